"""When two spellings are one skill: what the mapping of skills to competencies is kept by."""

import re
import unicodedata
from functools import lru_cache
from hashlib import sha256

_QUOTES = re.compile("[\"'`´«»„“”‘’‚‹›]")
_GAPS = re.compile(r"[\s_\-‐‑‒–—―−]+")


@lru_cache(100_000)
def normalised(skill: str) -> str:
    """A skill without what spellings differ by: case, forms of letters, ё, quotation marks, hyphens and spaces."""
    folded = unicodedata.normalize("NFKC", skill).casefold().replace("ё", "е")
    return _GAPS.sub(" ", _QUOTES.sub("", folded)).strip(" .,;")


@lru_cache(100_000)
def skill_id(skill: str) -> str:
    """The subject of what is said about a skill, the same for all its spellings."""
    return f"skill:{sha256((normalised(skill) or skill).encode()).hexdigest()[:24]}"
