"""The mentor's list: placements that run at the own organisation, several of them confirmed at once.

Each that is marked is the form `complete` of its own: what is right is done, what is not stays with what is wrong.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, Response

from services.partners.gateway.ingress.http import IngressMemory
from services.partners.people.visits import SignedIn
from shared.contract.events import HOSTS
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import N_, Text

from .actions import ACTIONS
from .browse import ACCEPTED
from .do import WAIT_S, attempt
from .fields import competency, form_fields, zone
from .lists import LISTS, Doc, Wanted, find, names_in, scope_of

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SHOWN = 20  # at once
FIELDS = ("time", "hours", "outcome", "competencies")


async def _by_host(visit: SignedIn) -> MemberVisit:
    """The visit of somebody who may confirm placements at the own organisation."""
    if visit.member.kind not in HOSTS or not ACTIONS["complete"].is_open_to(visit.member):
        raise Problem(403, Text("this page is for those at whom people are trained"))
    return visit


ByHost = Annotated[MemberVisit, Depends(_by_host)]
Search = Annotated[str, Query(max_length=100)]


@router.get("/work/confirm")
async def confirm_page(visit: ByHost, search: Search = "") -> Response:
    return await _show(visit, search.strip())


async def _running(visit: MemberVisit, search: str) -> tuple[list[Doc], int, dict[str, str]]:
    """Placements that run here, the oldest first, with their programmes' competencies; how many there are; names."""
    question = ("confirm", visit.member.organisation, search, visit.language)
    return await visit.service.recent(question, lambda: _read(visit, search))


async def _read(visit: MemberVisit, search: str) -> tuple[list[Doc], int, dict[str, str]]:
    listing = LISTS["placements"]
    scope = {**scope_of(listing, visit.member), "internships.enterprise": visit.member.organisation}
    found = await find(visit, listing, scope, Wanted(search, {"status": "started"}, "started_at", 1))
    programmes = await visit.service.by_id(
        "programmes", {item["programme"] for item in found.items}, {"competencies": 1}
    )
    items = []
    for item in found.items:
        named = programmes.get(item["programme"], {}).get("competencies", ())
        words = [(each["competency"], competency(visit, each["competency"])) for each in named]
        items.append({**item, "competencies": words})
    return items[:SHOWN], found.total, await names_in(visit, items)


async def _show(visit: MemberVisit, search: str, status: int = 200, done: Sequence[str] = ()) -> Response:
    """The list, without those that are done just now."""
    running, total, names = await _running(visit, search)
    items = [{**item} for item in running if item["id"] not in done]
    fields = {field.name: field for field in await form_fields(visit, ACTIONS["complete"], {})}
    for item in items:
        item["wrong"] = [
            (fields[name].label if name in fields else "", visit.form.errors[f"{name}:{item['id']}"])
            for name in ("", *FIELDS, "subject", "partitionkey", "programme", "enterprise")
            if f"{name}:{item['id']}" in visit.form.errors
        ]
    return visit.show(
        "services/partners/pages/confirm.html",
        status,
        items=items,
        total=total,
        search=search,
        names=names,
        fields=fields,
        zone=zone(visit),
    )


@router.post("/work/confirm")
async def confirm(visit: ByHost, memory: IngressMemory, search: Search = "") -> Response:
    form, search = visit.form, search.strip()
    if not form.is_meant:
        return await _show(visit, search, 200 if form.is_draft else 403)
    items, _, _ = await _running(visit, search)
    marked = [item for item in items if item["id"] in form.all("placement")]
    if not marked:
        form.errors = {"": visit.word(N_("Mark those that are over."))}
        return await _show(visit, search, 422)
    done, is_late, ends_at = list[str](), False, time.monotonic() + WAIT_S
    for item in marked:
        one = replace(visit, form=_form_of(form, item))
        is_applied = await attempt(one, "complete", memory, max(0, ends_at - time.monotonic()))
        form.errors |= {f"{name}:{item['id']}": words for name, words in one.form.errors.items()}
        if not one.form.errors:
            done.append(item["id"])
            is_late |= not is_applied
    if done:
        visit.notice = f"{visit.word(N_('Confirmed'))}: {len(done)}" + (f" ({visit.word(ACCEPTED)})" if is_late else "")
    form.values["placement"] = [item["id"] for item in marked if item["id"] not in done]
    return await _show(visit, search, 422 if form.errors else 200, done)


def _form_of(form: Form, item: Doc) -> Form:
    """What was typed in the row of a placement; what was not, is said above for all."""
    values = {name: form.all(f"{name}:{item['id']}") or form.all(name) for name in FIELDS}
    given = {"subject": item["id"], "partitionkey": item["of"], **{n: item[n] for n in ("programme", "enterprise")}}
    return Form(values | {name: [value] for name, value in given.items()})
