"""What spreadsheets read: their media type, the mark by which they know UTF-8, and what they take for a formula."""

import unicodedata

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOM = "\ufeff"
_FORMULAS = ("=", "+", "-", "@", "|", "%")


def is_risky(text: str) -> bool:
    """Would a spreadsheet take it for a formula (OWASP, CSV injection)? Full-width signs count as the plain ones."""
    begin = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return begin in _FORMULAS or text[:1] in ("\t", "\r", "\n")
