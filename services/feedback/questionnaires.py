"""What people are asked: questionnaires are data. The defaults come with the product, the operator publishes others."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from shared.contract.events import FeedbackRole, Question, QuestionChoice, QuestionKind
from shared.pages.languages import LANGUAGES, N_, Language, Text, translated
from shared.processing.mongo import Database

ONCE = (
    *(QuestionKind.overall, QuestionKind.relevance, QuestionKind.competencies),
    *(QuestionKind.employment, QuestionKind.text),
)
CHOOSING = (QuestionKind.choice, QuestionKind.choices)


class Questionnaire(NamedTuple):
    """A version of what is asked of those who answer in a role."""

    role: FeedbackRole
    version: int
    questions: tuple[Question, ...]

    def has(self, kind: QuestionKind) -> bool:
        return any(question.kind is kind for question in self.questions)


def _words(text: str) -> dict[Language, str]:
    return {language: translated(language, text) for language in LANGUAGES}


def _question(id: str, kind: QuestionKind, text: str, choices: Iterable[tuple[str, str]] = ()) -> Question:
    known = [QuestionChoice(id=choice, words=_words(words)) for choice, words in choices]
    is_required = kind is QuestionKind.overall
    return Question(id=id, kind=kind, words=_words(text), required=is_required, choices=known)


_COMPETENCIES = N_("What could be seen of each competency?")
_TEXT = N_("What should be done better? Please name nobody.")
_DEFAULTS: dict[FeedbackRole, list[tuple[str, QuestionKind, str] | tuple[str, QuestionKind, str, Any]]] = {
    FeedbackRole.enterprise: [
        ("overall", QuestionKind.overall, N_("How well prepared for the work?")),
        ("relevance", QuestionKind.relevance, N_("How well does the training fit your work?")),
        ("competencies", QuestionKind.competencies, _COMPETENCIES),
        (
            "hire",
            QuestionKind.choice,
            N_("Would you hire somebody with this training?"),
            [("yes", N_("yes")), ("unsure", N_("not sure")), ("no", N_("no"))],
        ),
        ("text", QuestionKind.text, _TEXT),
    ],
    FeedbackRole.learner: [
        ("overall", QuestionKind.overall, N_("How was your practice?")),
        ("relevance", QuestionKind.relevance, N_("How well did the training prepare you for it?")),
        ("competencies", QuestionKind.competencies, N_("How much did you learn of each?")),
        ("text", QuestionKind.text, _TEXT),
    ],
    FeedbackRole.graduate: [
        ("employment", QuestionKind.employment, N_("What are you doing now?")),
        ("overall", QuestionKind.overall, N_("How was the programme?")),
        ("relevance", QuestionKind.relevance, N_("How useful is it for what you do now?")),
        (
            "found-by",
            QuestionKind.choice,
            N_("How did you find your work?"),
            [
                ("practice", N_("through practice")),
                ("institution", N_("through the institution")),
                ("own", N_("by myself")),
                ("none", N_("I have none")),
            ],
        ),
        ("text", QuestionKind.text, _TEXT),
    ],
    FeedbackRole.mentor: [
        ("overall", QuestionKind.overall, N_("How well prepared for the work?")),
        ("relevance", QuestionKind.relevance, N_("How well does the training fit the work?")),
        ("competencies", QuestionKind.competencies, _COMPETENCIES),
        ("text", QuestionKind.text, _TEXT),
    ],
}


def default(role: FeedbackRole) -> Questionnaire:
    """Version 1 of each role."""
    return Questionnaire(role, 1, tuple(_question(*each) for each in _DEFAULTS[role]))


async def in_use(db: Database, role: FeedbackRole) -> Questionnaire:
    """What is asked today of those who answer in a role."""
    doc = await db["questionnaires"].find_one({"_id": role}, {"version": 1, "questions": 1})
    return questionnaire_of(role, doc) if doc and "questions" in doc else default(role)


def questionnaire_of(role: FeedbackRole, doc: Mapping[str, Any]) -> Questionnaire:
    """What the event, or `GET /questionnaires/<role>`, says."""
    return Questionnaire(role, doc["version"], tuple(Question.model_validate(each) for each in doc["questions"]))


def mistakes(role: FeedbackRole, questions: list[Question]) -> list[tuple[str, Text]]:
    """What speaks against a questionnaire, by field (`questions.2.choices`)."""
    wrong: list[tuple[str, Text]] = []
    kinds, ids = Counter(question.kind for question in questions), Counter(question.id for question in questions)
    if not kinds[QuestionKind.overall]:
        wrong.append(("questions", Text(N_("one question must be the overall rating, which indicators are made of"))))
    for number, question in enumerate(questions):
        at = f"questions.{number}"
        if ids[question.id] > 1:
            wrong.append((f"{at}.id", Text(N_("another question has this name"))))
        if question.kind in ONCE and kinds[question.kind] > 1:
            wrong.append((f"{at}.kind", Text(N_("there can be one question of this kind"))))
        if question.kind is QuestionKind.employment and role is not FeedbackRole.graduate:
            wrong.append((f"{at}.kind", Text(N_("only graduates are asked what they are doing"))))
        wrong += [(f"{at}.{field}", text) for field, text in _mistakes_of(question)]
    return wrong


def _mistakes_of(question: Question) -> Iterable[tuple[str, Text]]:
    chosen = [choice.id for choice in question.choices]
    if question.kind in CHOOSING and len(chosen) < 2:
        yield "choices", Text(N_("give at least two to choose from"))
    if len(set(chosen)) < len(chosen):
        yield "choices", Text(N_("two have the same name"))
    if question.least is not None and question.most is not None and question.least > question.most:
        yield "least", Text(N_("the least is greater than the most"))
