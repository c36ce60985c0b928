"""What a spreadsheet would make of a text."""

import unicodedata

_FORMULAS = ("=", "+", "-", "@", "|", "%")


def is_risky(text: str) -> bool:
    """Would a spreadsheet take it for a formula (OWASP, CSV injection)? Full-width signs count as the plain ones."""
    begin = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return begin in _FORMULAS or text[:1] in ("\t", "\r", "\n")
