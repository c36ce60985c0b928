"""A question sheet: what a questionnaire asks about one request, and what was typed as the answer to it. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from shared.contract import frameworks
from shared.contract.events import Contract, EmploymentStatus, Question, QuestionKind
from shared.http.forms import Form
from shared.pages.languages import N_, Language, Text, translated

from .questionnaires import Questionnaire

MOST_TEXT = 2_000  # characters
MARKS = ("1", "2", "3", "4", "5")
STATUS = {
    EmploymentStatus.employed: N_("I have a job"),
    EmploymentStatus.self_employed: N_("I work for myself"),
    EmploymentStatus.studying: N_("I study"),
    EmploymentStatus.seeking: N_("I am looking for work"),
    EmploymentStatus.other: N_("something else"),
}
CONTRACT = {
    Contract.permanent: N_("permanent"),
    Contract.fixed_term: N_("for a fixed term"),
    Contract.agency: N_("through an agency"),
    Contract.apprenticeship: N_("an apprenticeship"),
    Contract.other: N_("another one"),
}
YES_OR_NO = {"true": N_("yes"), "false": N_("no")}
Names = Callable[[str, Language], str]
AT_WORK = (EmploymentStatus.employed, EmploymentStatus.self_employed)


class Asked(NamedTuple):
    """One thing that is asked.

    Attributes:
        name: of its field in the form.
        widget: how it is shown: rating, choice, choices, number, day, text.
        options: (value, words).
        group: the words of the question that it is a part of.
    """

    name: str
    label: str
    widget: str
    options: list[tuple[str, str]]
    required: bool = False
    group: str = ""


def asked(
    questionnaire: Questionnaire,
    about: Mapping[str, Any],
    language: Language,
    prefix: str = "",
    names: Names = frameworks.name,
) -> list[tuple[str, list[Asked]]]:
    """What is asked, in order: by group, which is empty for what stands by itself.

    Args:
        about: the request, with the `competencies` that were practised, or that its programme names.
        prefix: of the names of fields, where several sheets are one form.
        names: what competencies are called, in a language.
    """
    found = (one for question in questionnaire.questions for one in _of(question, about, language, prefix, names))
    return [(group, list(items)) for group, items in groupby(found, attrgetter("group"))]


def words(said: Mapping[Language, str], language: Language) -> str:
    """A text of a questionnaire in a language, or in one that it has."""
    return said.get(language) or next(iter(said.values()))


def _of(question: Question, about: Mapping[str, Any], language: Language, prefix: str, names: Names) -> Iterable[Asked]:
    name, label = prefix + question.id, words(question.words, language) + (" *" if question.required else "")
    options = [(choice.id, words(choice.words, language)) for choice in question.choices]
    match question.kind:
        case QuestionKind.overall | QuestionKind.relevance:
            yield Asked(name, label, "rating", [(mark, mark) for mark in MARKS], question.required)
        case QuestionKind.competencies:
            for competency in about.get("competencies", ()):
                each = names(competency, language)
                yield Asked(f"{name}.{competency}", each, "rating", [(mark, mark) for mark in MARKS], group=label)
        case QuestionKind.choice | QuestionKind.choices:
            yield Asked(name, label, question.kind, options, question.required)
        case QuestionKind.number:
            yield Asked(name, label, "number", [], question.required)
        case QuestionKind.employment:
            yield from _employment(question, label, language, name)
        case QuestionKind.text:
            yield Asked(name, label, "text", [])


def _employment(question: Question, label: str, language: Language, name: str) -> Iterable[Asked]:
    def options(of: Mapping[Any, str]) -> list[tuple[str, str]]:
        return [(str(value), translated(language, text)) for value, text in of.items()]

    yield Asked(f"{name}.status", label, "choice", options(STATUS), question.required)
    work = translated(language, N_("If you work"))
    yield Asked(f"{name}.since", translated(language, N_("since")), "day", [], group=work)
    yield Asked(f"{name}.contract", translated(language, N_("contract")), "choice", options(CONTRACT), group=work)
    for part, text in (("full_time", N_("full time")), ("related_to_field", N_("it is what I was trained for"))):
        yield Asked(f"{name}.{part}", translated(language, text), "choice", options(YES_OR_NO), group=work)


@dataclass
class Answer:
    """What was typed.

    Attributes:
        said: fields of `FeedbackSubmitted`.
        employment: fields of `EmploymentRecorded`, if that was asked and said.
        text: what stays in this service.
        errors: what does not do, by the name of a field.
    """

    said: dict[str, Any] = field(default_factory=dict)
    employment: dict[str, Any] | None = None
    text: str = ""
    errors: dict[str, Text] = field(default_factory=dict)


MISSING, UNKNOWN = Text(N_("this must be answered")), Text(N_("choose one of those that are given"))


def read(form: Form, questionnaire: Questionnaire, about: Mapping[str, Any], today: date, prefix: str = "") -> Answer:
    """The answer that a form gives; `errors` says what does not do."""
    answer = Answer({"questionnaire": questionnaire.version})
    reader = _Reader(form, about, today, answer)
    for question in questionnaire.questions:
        _READ[question.kind](reader, question, prefix + question.id)
    return answer


class _Reader(NamedTuple):
    """Takes the parts of an answer from a form."""

    form: Form
    about: Mapping[str, Any]
    today: date
    answer: Answer

    def rating(self, question: Question, name: str) -> None:
        if (mark := self._mark(name, required=question.required)) is not None:
            self.answer.said[question.kind.value] = mark

    def competencies(self, question: Question, name: str) -> None:
        marks = {each: self._mark(f"{name}.{each}") for each in self.about.get("competencies", ())}
        if given := {each: mark for each, mark in marks.items() if mark is not None}:
            self.answer.said["competencies"] = given

    def choice(self, question: Question, name: str) -> None:
        known, given = [choice.id for choice in question.choices], self.form.all(name)
        if any(each not in known for each in given) or (question.kind is QuestionKind.choice and len(given) > 1):
            self._wrong(name, UNKNOWN)
        elif question.required and not given:
            self._wrong(name, MISSING)
        elif given:
            self.answer.said.setdefault("choices", {})[question.id] = [each for each in known if each in given]

    def number(self, question: Question, name: str) -> None:
        given = self.form[name].replace(",", ".").replace(" ", "").replace("\xa0", "")
        if not given:
            return self._wrong(name, MISSING) if question.required else None
        least = -1e9 if question.least is None else question.least
        most = 1e9 if question.most is None else question.most
        try:
            number = float(given)
        except ValueError:
            return self._wrong(name, Text(N_("write a number")))
        if not least <= number <= most:
            bounds = {"least": f"{least:g}", "most": f"{most:g}"}
            return self._wrong(name, Text(N_("write a number from {least} to {most}"), bounds))
        self.answer.said.setdefault("numbers", {})[question.id] = number
        return None

    def employment(self, question: Question, name: str) -> None:
        """What a graduate is doing; what belongs to work is left out of everything else."""
        status = self._one_of(f"{name}.status", STATUS)
        if status is None:
            if question.required and f"{name}.status" not in self.answer.errors:
                self._wrong(f"{name}.status", MISSING)
            return
        said: dict[str, Any] = {"status": status, "basis": "survey"}
        if EmploymentStatus(status) in AT_WORK:
            said["since"] = self._day(f"{name}.since")
            for part in ("full_time", "related_to_field"):
                given = self._one_of(f"{name}.{part}", YES_OR_NO)
                said[part] = None if given is None else given == "true"
        if status == EmploymentStatus.employed:
            said["contract"] = self._one_of(f"{name}.contract", CONTRACT)
        self.answer.employment = {part: value for part, value in said.items() if value is not None}

    def text(self, question: Question, name: str) -> None:
        self.answer.text = self.form.raw(name).strip()
        if len(self.answer.text) > MOST_TEXT:
            self._wrong(name, Text(N_("at most {most} characters"), {"most": MOST_TEXT}))

    def _wrong(self, name: str, text: Text) -> None:
        self.answer.errors[name] = text

    def _mark(self, name: str, *, required: bool = False) -> int | None:
        given = self.form[name]
        if given in MARKS:
            return int(given)
        if given or required:
            self._wrong(name, Text(N_("choose 1 to 5")))
        return None

    def _one_of(self, name: str, known: Mapping[Any, str]) -> str | None:
        given = self.form[name]
        if given and given not in {str(each) for each in known}:
            self._wrong(name, UNKNOWN)
            return None
        return given or None

    def _day(self, name: str) -> str | None:
        given = self.form[name]
        try:
            day = date.fromisoformat(given) if given else None
        except ValueError:
            self._wrong(name, Text(N_("write a day")))
            return None
        if day and not date(1950, 1, 1) <= day <= self.today:
            self._wrong(name, Text(N_("this day is not past")))
        return day.isoformat() if day else None


_READ: dict[QuestionKind, Callable[[_Reader, Question, str], None]] = {
    QuestionKind.overall: _Reader.rating,
    QuestionKind.relevance: _Reader.rating,
    QuestionKind.competencies: _Reader.competencies,
    QuestionKind.choice: _Reader.choice,
    QuestionKind.choices: _Reader.choice,
    QuestionKind.number: _Reader.number,
    QuestionKind.employment: _Reader.employment,
    QuestionKind.text: _Reader.text,
}


def typed(
    questionnaire: Questionnaire, about: Mapping[str, Any], answers: Mapping[str, Any]
) -> tuple[Form, dict[str, Text]]:
    """The form that says what a program says by the names of questions, and what of that is not asked."""
    known = {one.name for _, group in asked(questionnaire, about, "en") for one in group}
    flat: dict[str, list[str]] = {}
    for question, value in answers.items():
        parts = (
            {f"{question}.{part}": each for part, each in value.items()}
            if isinstance(value, dict)
            else {question: value}
        )
        for name, each in parts.items():
            flat[name] = [_as_typed(one) for one in (each if isinstance(each, list) else [each]) if one is not None]
    return Form(flat), {name: Text(N_("this is not asked")) for name in flat if name not in known}


def _as_typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def filled(questionnaire: Questionnaire, said: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a sheet shows that was answered: the fields of the form.

    Args:
        said: the answer as `FeedbackSubmitted` has it; `kept`: what this service keeps beside it.
    """
    values: dict[str, list[str]] = {}
    for question in questionnaire.questions:
        match question.kind:
            case QuestionKind.overall | QuestionKind.relevance:
                if question.kind.value in said:
                    values[question.id] = [str(said[question.kind.value])]
            case QuestionKind.competencies:
                values |= {f"{question.id}.{each}": [str(mark)] for each, mark in said.get("competencies", {}).items()}
            case QuestionKind.choice | QuestionKind.choices:
                values[question.id] = list((said.get("choices") or {}).get(question.id, ()))
            case QuestionKind.number:
                number = (said.get("numbers") or {}).get(question.id)
                values[question.id] = [] if number is None else [f"{number:g}"]
            case QuestionKind.employment:
                given = (kept.get("employment") or {}).items()
                values |= {f"{question.id}.{part}": [str(value).lower()] for part, value in given}
            case QuestionKind.text:
                values[question.id] = [kept.get("text", "")]
    return values
