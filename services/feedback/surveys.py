"""Surveys that were made elsewhere: which column answers which question, and what a cell says. Pure.

Exports name columns by the question's text (Google Forms), its code, or both (LimeSurvey: "overall. How was it?").
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from shared.pages.languages import LANGUAGES

from .questionnaires import Questionnaire
from .sheet import asked

RATED = re.compile(r"\s*([1-5])(?:[.,]0+)?\b")
DAY = re.compile(r"\s*(\d{1,2})[./](\d{1,2})[./](\d{4})")
LEARNER = ("learner", "pseudonym", "token", "student", "код", "обучающийся", "псевдоним", "студент")


class Answered(NamedTuple):
    """What a column answers.

    Attributes:
        name: of the field in the form.
        widget: how it is asked: see `sheet.Asked`.
        options: what may be chosen, by its words in small letters.
    """

    name: str
    widget: str
    options: Mapping[str, str]


class Unmapped(ValueError):
    """A file cannot be read without being told more; the text says what."""


def columns(
    headings: Iterable[str], questionnaire: Questionnaire, given: Mapping[str, str], learner: str | None = None
) -> tuple[str, dict[str, Answered]]:
    """The column of the learner's pseudonym, and what each column that is understood answers.

    Args:
        given: what the user says: question by column; empty: leave it out.
        learner: the column of the pseudonym; else one of the usual names.
    Raises:
        Unmapped: a column or a question that is named is not there, or nothing tells whose a row is.
    """
    known, by_words = _known(questionnaire), _by_words(questionnaire)
    headings = list(headings)
    if missing := [column for column in (*given, *filter(None, [learner])) if column not in headings]:
        raise Unmapped(f"there is no column {missing[0]!r}; there are {', '.join(headings)}")
    if unknown := [name for name in given.values() if name and name not in known and "." not in name]:
        raise Unmapped(f"there is no question {unknown[0]!r}; there are {', '.join(known)}")
    found: dict[str, Answered] = {}
    for heading in headings:
        name = given[heading] if heading in given else _meant(heading, known, by_words)
        if name:
            found[heading] = known.get(name, Answered(name, "rating", {}))
    twice = [name for name, times in Counter(one.name for one in found.values()).items() if times > 1]
    if twice:
        two = [heading for heading, one in found.items() if one.name == twice[0]]
        raise Unmapped(f"{twice[0]} is answered by the columns {' and '.join(two)}: leave one out, --map '{two[1]}='")
    whose = learner or next((heading for heading in headings if heading.strip().casefold() in LEARNER), None)
    if whose is None:
        raise Unmapped("which column has the learner's pseudonym? Name it: --learner COLUMN")
    if "overall" not in {each.name for each in found.values()}:
        wanted = next(question for question in questionnaire.questions if question.kind == "overall")
        raise Unmapped(f"which column is the overall rating? Name it: --map COLUMN={wanted.id}")
    return whose, found


def _known(questionnaire: Questionnaire) -> dict[str, Answered]:
    """All that is asked, by the name of its field, with the options in every language."""
    known: dict[str, Answered] = {}
    for language in LANGUAGES:
        for _, group in asked(questionnaire, {}, language):
            for one in group:
                options = {words.casefold(): value for value, words in one.options}
                before = known[one.name].options if one.name in known else {}
                own = {value.casefold(): value for value, _ in one.options}
                known[one.name] = Answered(one.name, one.widget, {**before, **own, **options})
    return known


def _by_words(questionnaire: Questionnaire) -> dict[str, str]:
    """The names of fields by what is asked, in every language; parts of a group as `group [part]`."""
    return {
        _plain(f"{words} [{one.label}]" if words else one.label): one.name
        for language in LANGUAGES
        for words, group in asked(questionnaire, {}, language)
        for one in group
    }


def _plain(words: str) -> str:
    return " ".join(words.removesuffix(" *").split()).casefold().rstrip(" ?:.*")


def _meant(heading: str, known: Mapping[str, Answered], by_words: Mapping[str, str]) -> str:
    code, _, words = heading.partition(". ")
    for tried in (heading.strip(), code.strip()):
        if tried in known:
            return tried
    return by_words.get(_plain(heading)) or by_words.get(_plain(words)) or ""


def answers(cells: Mapping[str, Any], of: Mapping[str, Answered]) -> dict[str, Any]:
    """What a row answers, by the names of questions, as `POST /requests/<id>/answers` takes it."""
    found: dict[str, Any] = {}
    for column, one in of.items():
        text = str(cells.get(column, "")).strip()
        if not text:
            continue
        question, _, part = one.name.partition(".")
        value = _value(one, text)
        if part:
            found.setdefault(question, {})[part] = value
        else:
            found[question] = value
    return found


def _value(one: Answered, text: str) -> Any:
    match one.widget:
        case "rating":
            return int(rated[1]) if (rated := RATED.match(text)) else text
        case "choice":
            return one.options.get(text.casefold(), text)
        case "choices":
            parts = [part.strip() for part in re.split("[;|\n]" if re.search("[;|\n]", text) else ",", text)]
            return [one.options.get(part.casefold(), part) for part in parts if part]
        case "day":
            day = DAY.match(text)
            return f"{day[3]}-{int(day[2]):02}-{int(day[1]):02}" if day else text[:10]
        case _:
            return text
