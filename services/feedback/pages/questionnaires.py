"""The operator builds what is asked: a form of questions, published as the next version."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter, ValidationError

from services.feedback.answering_api import publish
from services.feedback.questionnaires import CHOOSING, Questionnaire, in_use
from shared.contract.events import FeedbackRole, Question, QuestionKind, wording_of
from shared.http.auth import Role
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import NETWORK, MemberVisit, SignedInOffline, demand_role
from shared.pages.languages import LANGUAGES, N_, Language, in_language

from .asked import ROLES

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
Asked = Annotated[FeedbackRole, Path()]
KINDS = {
    QuestionKind.overall: N_("overall rating, 1 to 5"),
    QuestionKind.relevance: N_("how relevant the training is, 1 to 5"),
    QuestionKind.competencies: N_("rating of each competency"),
    QuestionKind.choice: N_("one of several"),
    QuestionKind.choices: N_("any of several"),
    QuestionKind.number: N_("number"),
    QuestionKind.employment: N_("what the graduate is doing"),
    QuestionKind.text: N_("free text"),
}
TONGUES: dict[Language, str] = {"en": N_("in English"), "ru": N_("in Russian")}
MOST = 30
_questions: TypeAdapter[list[Question]] = TypeAdapter(list[Question])


@router.get("/sheets")
async def sheets_page(visit: SignedInOffline) -> Response:
    demand_role(visit, NETWORK)
    known = [await in_use(visit.service.db, role) for role in FeedbackRole]
    roles = [(one.role, visit.word(ROLES[one.role]), one.version, len(one.questions)) for one in known]
    return visit.show("services/feedback/pages/questionnaires.html", roles=roles)


@router.get("/sheets/{role}")
async def sheet_page(visit: SignedInOffline, role: Asked, done: str = "") -> Response:
    demand_role(visit, NETWORK)
    known = await in_use(visit.service.db, role)
    visit.form.values = _typed(known)
    if done:
        visit.notice = visit.word(N_("Published: whoever is asked from now on is asked this."))
    return _show(visit, role, known.version)


def _typed(known: Questionnaire) -> dict[str, list[str]]:
    """The form that says what a questionnaire asks."""
    values: dict[str, list[str]] = {}
    for number, question in enumerate(known.questions):
        values |= {
            f"{number}.id": [question.id],
            f"{number}.kind": [question.kind],
            f"{number}.required": ["yes"] if question.required else [],
            f"{number}.least": [] if question.least is None else [f"{question.least:g}"],
            f"{number}.most": [] if question.most is None else [f"{question.most:g}"],
            f"{number}.place": [str(number + 1)],
        }
        for language in LANGUAGES:
            values[f"{number}.{language}"] = [question.words.get(language, "")]
            lines = [f"{choice.id} = {choice.words.get(language, '')}" for choice in question.choices]
            values[f"{number}.choices.{language}"] = ["\n".join(lines)]
    return values


def _show(visit: MemberVisit, role: FeedbackRole, version: int, status: int = 200) -> Response:
    numbers = sorted({int(name.split(".")[0]) for name in visit.form.values if name.split(".")[0].isdigit()})
    shown = [number for number in numbers if number < MOST]
    fresh = max(shown, default=-1) + 1
    wrong = {number: _wrong(visit.form, number) for number in (*shown, fresh)}
    return visit.show(
        "services/feedback/pages/questionnaire.html",
        status,
        role=role,
        role_words=visit.word(ROLES[role]),
        version=version,
        numbers=shown,
        fresh=fresh if fresh < MOST else None,
        kinds=[(kind.value, visit.word(words)) for kind, words in KINDS.items()],
        choosing=[kind.value for kind in CHOOSING],
        wrong=wrong,
        tongues=[(language, visit.word(words)) for language, words in TONGUES.items()],
        may=visit.member.role is Role.operator,
    )


def _wrong(form: Form, number: int) -> list[str]:
    return [words for name, words in form.errors.items() if name.startswith(f"{number}.")]


@router.post("/sheets/{role}")
async def publish_sheet(visit: SignedInOffline, role: Asked) -> Response:
    """Publish what was typed as the next version; with `draft` only show it again, with room for one more."""
    demand_role(visit, (Role.operator,))
    form, known = visit.form, await in_use(visit.service.db, role)
    if not form.is_meant:
        return _show(visit, role, known.version, 200 if form.is_draft else 403)
    numbers = _in_order(form)
    try:
        questions = _questions.validate_python([_question(form, number) for number in numbers])
        await publish(visit.service, visit.member.caller, role, questions, "wait=10")
    except ValidationError as error:
        for each in error.errors():
            at, *rest = (str(part) for part in each["loc"])
            form.add_error(f"{numbers[int(at)]}.{'.'.join(rest)}", wording_of(each))
    except Problem as problem:
        for field, text in problem.errors or [("", problem.detail)]:
            _, *about = field.split(".")
            name = f"{numbers[int(about[0])]}.{about[1]}" if len(about) > 1 else ""
            form.add_error(name, in_language(text, visit.language))
    if form.errors:
        return _show(visit, role, known.version, 422)
    return visit.go(f"/sheets/{role}?done=1")


def _in_order(form: Form) -> list[int]:
    """The numbers of the questions that are to be asked, by the place that was typed."""
    numbers = {int(name.split(".")[0]) for name in form.values if name.endswith(".en") and name.split(".")[0].isdigit()}
    kept = [n for n in numbers if any(form[f"{n}.{language}"] for language in LANGUAGES) and not form[f"{n}.remove"]]
    return sorted(kept, key=lambda n: (_place(form[f"{n}.place"], n), n))


def _place(typed: str, number: int) -> float:
    try:
        return float(typed.replace(",", "."))
    except ValueError:
        return number + 1


def _question(form: Form, number: int) -> dict[str, Any]:
    at = f"{number}."
    kind = form[f"{at}kind"]
    question: dict[str, Any] = {
        "id": form[f"{at}id"] or f"question-{number + 1}",
        "kind": kind,
        "words": {language: form[at + language] for language in LANGUAGES if form[at + language]},
        "required": bool(form[f"{at}required"]),
    }
    if kind in CHOOSING:
        question["choices"] = _choices({language: form.raw(f"{at}choices.{language}") for language in LANGUAGES})
    if kind == QuestionKind.number:
        question |= {name: form[at + name].replace(",", ".") for name in ("least", "most") if form[at + name]}
    return question


def _choices(typed: Mapping[str, str]) -> list[dict[str, Any]]:
    """A line is `name = words`, or words alone; the same line in each language is one choice."""
    choices: dict[str, dict[str, Any]] = {}
    for language, text in typed.items():
        for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
            name, is_named, words = (part.strip() for part in line.partition("="))
            id = name if is_named else f"choice-{number}"
            choice = choices.setdefault(id, {"id": id, "words": {}})
            if said := words if is_named else name:
                choice["words"][language] = said
    return list(choices.values())
