"""An institution publishes a scheme, or its next version: what follows is said before it is done."""

import hashlib
from datetime import UTC, datetime
from secrets import token_hex
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter, ValidationError

from services.certification.credentials.badge import METHODS
from services.certification.schemes.api import own_scheme, publication
from services.certification.schemes.reads import Consequences, consequences_of, scheme_by
from services.certification.schemes.words import rule_in_words
from shared.contract.events import CompetencyId, Id, SchemePublished, timestamp, wording_of
from shared.http.auth import Role
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit, demand_role
from shared.pages.languages import N_, Text, in_language

from .issuing import FOLDER, WAIT_S, ByInstitution

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
MOST_FOUND = 10  # competencies by words
MOST_ITEMS = 60  # of a framework that is proposed as a whole
_ID: TypeAdapter[str] = TypeAdapter(Id)
_COMPETENCY: TypeAdapter[str] = TypeAdapter(CompetencyId)
FIELDS = ("id", "competency", "level", "methods", "least_score", "valid_months")
Doc = dict[str, Any]


async def _by_admin(visit: ByInstitution) -> MemberVisit:
    demand_role(visit, (Role.admin,))
    return visit


ByAdmin = Annotated[MemberVisit, Depends(_by_admin)]
Known = Annotated[str, Query(max_length=100)]


@router.get("/issuing/scheme")
async def scheme_form(visit: ByAdmin, id: Known = "") -> Response:
    """The form: empty, or a scheme of the own institution as it is."""
    visit.form = await _proposed(visit, id)
    return _show(visit, id)


async def _proposed(visit: MemberVisit, id: str) -> Form:
    own = visit.member.organisation
    if not id:
        return Form.filled(id=f"{own}:{token_hex(4)}")
    await own_scheme(visit.service, visit.member.caller, id)
    doc = await visit.service.db["schemes"].find_one({"_id": id}, {"state": 0}) or {}
    values = {
        "id": [id],
        "competency": [doc["competency"]],
        "level": [str(doc["level"])],
        "least_score": [_typed(doc["least_score"])],
        "methods": doc["methods"],
        "enterprise_required": ["yes"] if doc["enterprise_required"] else [],
        "valid_months": [str(doc.get("valid_months") or "")],
    }
    for each in doc.get("by_method") or []:
        values[f"score:{each['method']}"] = [_typed(each.get("least_score"))]
        values[f"assessors:{each['method']}"] = [str(each.get("assessors") or "")]
    return Form(values)


def _typed(score: float | None) -> str:
    return "" if score is None else f"{round(100 * score, 4):g}"


def _show(visit: MemberVisit, id: str, status: int = 200, **ahead: Any) -> Response:
    words, known = visit.form["competency"], visit.frameworks
    several = [] if ":" in words else known.search(words, MOST_FOUND)
    return visit.show(
        FOLDER + "publish.html",
        status,
        id=id,
        query=urlencode({"id": id}) if id else "",
        methods=[(method, visit.word(name)) for method, name in METHODS.items()],
        several=[(each, known.name(each, visit.language)) for each in several],
        competency={
            "name": "competency",
            "label": visit.word(N_("Competency")),
            "hint": visit.word(N_("Its id, or words of its name.")),
            "required": True,
            "options": [(each, known.name(each, visit.language)) for each in known.offered(MOST_ITEMS)],
        },
        **{"ahead": None, **ahead},
    )


@router.post("/issuing/scheme")
async def publish_scheme(visit: ByAdmin, id: Known = "") -> Response:
    """Say what would follow; publish it, if that was said of just this."""
    form, service, caller = visit.form, visit.service, visit.member.caller
    if id:
        await own_scheme(service, caller, id)
        form.values["id"] = [id]
    if not form.is_meant:
        return _show(visit, id, 200 if form.is_draft else 403)
    body = _read(visit)
    if body is None:
        return _show(visit, id, 422)
    try:
        event = await publication(service, caller, form["id"], body)
    except Problem as problem:
        visit.refuse(problem, FIELDS)
        return _show(visit, id, 422)
    if event is None:
        form.errors = {"": visit.word(N_("Nothing is different: this version is in force."))}
        return _show(visit, id, 422)
    about = hashlib.sha256(f"{form['id']} {body.model_dump_json()}".encode()).hexdigest()
    if form["checked"] != about:
        said = body.model_dump(mode="json")
        scheme = scheme_by(said, form["id"], caller.organisation, timestamp(datetime.now(UTC)))
        ahead: Consequences = await consequences_of(service.db, scheme)
        return _show(visit, id, ahead=ahead, about=about, rule=rule_in_words(said, visit.frameworks, visit.language))
    (address,) = await service.publish(visit.frameworks.stamped(event))
    is_applied = await service.applied_within(address, WAIT_S)
    return visit.go("/issuing?done=published" + ("" if is_applied else "&later=1"))


# what was typed


def _read(visit: MemberVisit) -> SchemePublished | None:
    """The scheme that the form says; None: something is wrong, which then stands beside its field."""
    form = visit.form
    methods = [method for method in METHODS if method in form.all("methods")]
    for name, fits, words in (
        ("id", _fits(_ID, form["id"]), N_("takes Latin letters, digits and . _ : ~ - only")),
        ("level", form["level"] in {*"12345678"}, N_("Choose a level.")),
        ("methods", bool(methods), N_("Tick one method at least.")),
    ):
        if not fits:
            form.add_error(name, visit.word(words))
    said: Doc = {
        "competency": _competency(visit),
        "level": form["level"],
        "methods": methods,
        "least_score": _per_cent(visit, "least_score", needed=True),
        "enterprise_required": bool(form["enterprise_required"]),
        "by_method": _by_method(visit, methods) or None,
        "valid_months": _whole(visit, "valid_months", 1, 120),
    }
    if form.errors:
        return None
    try:
        return SchemePublished.model_validate(said)
    except ValidationError as error:
        for one in error.errors():
            name = str(one["loc"][0])
            form.add_error(name if name in FIELDS else "", in_language(wording_of(one), visit.language))
    return None


def _fits(kind: TypeAdapter[str], typed: str) -> bool:
    try:
        kind.validate_python(typed)
    except ValidationError:
        return False
    return True


def _competency(visit: MemberVisit) -> str:
    """The competency that was typed by its id, or by words that only its name has, or that was chosen among several."""
    form = visit.form
    typed = form["competency"]
    if not typed:
        form.add_error("competency", visit.word(N_("is empty, and it is needed")))
        return typed
    if ":" in typed:
        if not _fits(_COMPETENCY, typed):
            form.add_error("competency", visit.word(N_("must be framework:item, or words of its name")))
        return typed
    found = visit.frameworks.search(typed, MOST_FOUND)
    chosen = found[0] if len(found) == 1 else form["found"]
    if chosen in found:
        form.values["competency"] = [chosen]
        return chosen
    words = N_("Several have these words: choose one.") if found else N_("No competency has these words in its name.")
    form.add_error("competency", visit.word(words))
    return typed


def _by_method(visit: MemberVisit, methods: list[str]) -> list[Doc]:
    form, asked = visit.form, list[Doc]()
    for method, name in METHODS.items():
        score = _per_cent(visit, f"score:{method}", beside="methods")
        assessors = _whole(visit, f"assessors:{method}", 1, 7, beside="methods")
        if method not in methods and (form[f"score:{method}"] or form[f"assessors:{method}"]):
            words = Text("{method} is not ticked: tick it, or leave its row empty", {"method": visit.word(name)})
            form.add_error("methods", words.into(visit.language))
        of_several = assessors if assessors and assessors > 1 else None
        if score is not None or of_several:
            asked.append({"method": method, "least_score": score, "assessors": of_several})
    return asked


def _per_cent(visit: MemberVisit, name: str, *, needed: bool = False, beside: str = "") -> float | None:
    """A score that was typed in per cent, from 0 to 1."""
    typed = visit.form[name]
    if not typed and not needed:
        return None
    try:
        number = float(typed.replace(",", "."))
    except ValueError:
        number = -1
    if not 0 <= number <= 100:
        visit.form.add_error(beside or name, visit.word(N_("a score is a number from 0 to 100, in per cent")))
        return None
    return round(number / 100, 6)


def _whole(visit: MemberVisit, name: str, least: int, most: int, *, beside: str = "") -> int | None:
    typed = visit.form[name]
    if not typed:
        return None
    if not typed.isascii() or not typed.isdigit() or not least <= int(typed[:9]) <= most:
        words = Text("must be a whole number from {least} to {most}", {"least": least, "most": most})
        visit.form.add_error(beside or name, words.into(visit.language))
        return None
    return int(typed)
