"""Which competencies a skill may be: by spelling, stems and alternative labels. A person decides, this proposes."""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from snowballstemmer import stemmer

from shared.contract.skills import normalised

LEAST_ALIKE = 0.5  # of the stems of two labels, by Dice's coefficient
MOST_POSTINGS = 2_000  # labels with one stem: a word that is in more tells nothing
_WORD = re.compile(r"[\w+#]+")
_CYRILLIC = re.compile(r"[а-я]")
_STEMMERS = {"ru": stemmer("russian"), "en": stemmer("english")}
_URI = re.compile(r"^https?://data\.europa\.eu/esco/skill/([A-Za-z0-9-]{1,64})$")
SEVERAL = re.compile(r"\s*[|\n]\s*")


class Label(NamedTuple):
    """One name of a competency; the first one is what it is shown by."""

    competency: str
    text: str
    alternative: bool = False


class Suggestion(NamedTuple):
    """A competency that a skill may be.

    Attributes:
        label: by which it was found.
        ground: spelling, alternative (label), stems, or alike (some of the stems).
        alike: 1 for the same, else the share of stems in common.
    """

    competency: str
    label: str
    ground: str
    alike: float


@lru_cache(100_000)
def _stem(word: str) -> str:
    stemmed: str = _STEMMERS["ru" if _CYRILLIC.search(word) else "en"].stemWord(word)
    return stemmed


def stems(text: str) -> frozenset[str]:
    """The stems of a label's words, each by the language of its letters."""
    return frozenset(map(_stem, _WORD.findall(normalised(text))))


class Labels:
    """Names of competencies, to be searched."""

    def __init__(self, labels: Iterable[Label]) -> None:
        self.names: dict[str, str] = {}
        self._spelled: defaultdict[str, list[Label]] = defaultdict(list)
        self._stemmed: defaultdict[str, list[tuple[Label, frozenset[str]]]] = defaultdict(list)
        for label in labels:
            self.names.setdefault(label.competency, label.text)
            self._spelled[normalised(label.text)].append(label)
            found = stems(label.text)
            for stem in found:
                self._stemmed[stem].append((label, found))

    def find(self, skill: str) -> Iterator[Suggestion]:
        """Every competency that may be meant, in no order, some by several labels."""
        for label in self._spelled.get(normalised(skill), ()):
            yield Suggestion(label.competency, label.text, "alternative" if label.alternative else "spelling", 1)
        wanted = stems(skill)
        for stem in wanted:
            postings = self._stemmed.get(stem, [])
            for label, own in postings if len(postings) <= MOST_POSTINGS else ():
                alike = 2 * len(wanted & own) / (len(wanted) + len(own))
                if alike >= LEAST_ALIKE:
                    yield Suggestion(label.competency, label.text, "stems" if own == wanted else "alike", alike)


_GROUNDS = ("spelling", "alternative", "stems", "alike")


def suggest(skill: str, labels: Collection[Labels], most: int = 4) -> list[Suggestion]:
    """The best suggestions for a skill, each competency once; those that are the same in spelling are all there."""
    best: dict[str, Suggestion] = {}
    for one in (found for each in labels for found in each.find(skill)):
        if one.competency not in best or _rank(one) < _rank(best[one.competency]):
            best[one.competency] = one
    ranked = sorted(best.values(), key=_rank)
    same = sum(one.ground in _GROUNDS[:2] for one in ranked)
    return ranked[: max(most, same)]


def _rank(one: Suggestion) -> tuple[int, float, str, str]:
    return _GROUNDS.index(one.ground), -one.alike, one.competency, one.label


def labels_in(lines: Iterable[str]) -> Iterator[Label]:
    """The labels in a CSV of skills as ESCO gives it out: conceptUri (or id), preferredLabel, altLabels.

    Raises:
        ValueError: it has other columns.
    """
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or []
    id = next((name for name in ("id", "conceptUri") if name in columns), None)
    if id is None or "preferredLabel" not in columns:
        raise ValueError(f"id (or conceptUri) and preferredLabel are needed as columns; there are {', '.join(columns)}")
    for row in reader:
        uri = _URI.match(row[id])
        competency = f"esco:{uri[1]}" if uri else row[id]
        yield Label(competency, row["preferredLabel"])
        for text in filter(None, SEVERAL.split(row.get("altLabels") or "")):
            yield Label(competency, text, alternative=True)
