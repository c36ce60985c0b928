"""The pages of lists and of single things, for members and (what is public) for everybody."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup, escape

from services.partners.people.visits import SignedIn
from shared.http.auth import Member
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import AnyVisit, MemberVisit, Visit
from shared.pages.languages import N_, Text, translated
from shared.pages.pages import number, short_day
from shared.pages.recommendations import GROUNDS, OVERDUE

from .actions import ACTIONS, new_actions
from .fields import YES_OR_NO, competency, zone
from .lists import (
    ANSWERS,
    COLUMNS,
    LISTS,
    PER_PAGE,
    STATUS,
    Doc,
    Listing,
    Wanted,
    find,
    find_one,
    lists_of,
    names_in,
    scope_of,
)
from .offers import Offer, offers, recommendation_offers

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
FOLDER = "services/partners/pages/"
Short = Annotated[str, Query(max_length=100)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
_DAYS = ("valid_from", "valid_until", "closes_on", "due", "graduated_on", "left_on", "ended_on", "since")


@dataclass
class Asked:
    """What the address of a list says."""

    search: Short = ""
    status: Short = ""
    kind: Short = ""
    level: Short = ""
    sort: Short = ""
    page: PageNumber = 1

    def of(self, listing: Listing) -> Wanted:
        """What of it the list knows; all else is passed over."""
        given = {"status": self.status, "kind": self.kind, "level": self.level}
        filters = {field: value for field, value in given.items() if value in listing.filters.get(field, ())}
        return Wanted(
            self.search.strip(), filters, self.sort if self.sort in listing.sort else listing.sort[0], self.page
        )


@router.get("/work/{name}")
async def list_page(
    visit: SignedIn, name: str, asked: Annotated[Asked, query(Asked)], done: Short = "", later: Short = ""
) -> Response:
    visit.notice = notice(visit, done, later)
    listing = dict(lists_of(visit.member)).get(name)
    if listing is None:
        raise Problem(404, Text("there is no such list for you"))
    return await _list(visit, name, listing, asked.of(listing), visit.member)


@router.get("/network/{name}")
async def public_list_page(visit: AnyVisit, name: str, asked: Annotated[Asked, query(Asked)]) -> Response:
    listing = _public(name)
    return await _list(visit, name, listing, asked.of(listing), None)


def _public(name: str) -> Listing:
    listing = LISTS.get(name)
    if listing is None or not listing.is_public:
        raise Problem(404, Text("there is no such list"))
    return listing


async def _list(visit: Visit, name: str, listing: Listing, wanted: Wanted, member: Member | None) -> Response:
    scope = scope_of(listing, member)
    question = ("list", name, visit.language, repr((scope, wanted)))
    total, rows = await visit.service.recent(question, lambda: _rows(visit, listing, scope, wanted))
    base = f"work/{name}" if member else f"network/{name}"
    asked = {"search": wanted.search, **wanted.filters, "sort": wanted.sort if wanted.sort != listing.sort[0] else ""}
    pages = -(-total // PER_PAGE)
    return visit.show(
        FOLDER + "list.html",
        title=visit.word(listing.title),
        base=base,
        columns=[escape(visit.word(COLUMNS[column])) for column in listing.columns],
        rows=rows,
        total=total,
        empty=visit.word(listing.empty if member else NOTHING),
        wanted=wanted,
        filters=[(f, visit.word(COLUMNS[f]), [(v, _said(visit, v)) for v in vs]) for f, vs in listing.filters.items()],
        sorts=[(way, visit.word(COLUMNS[way.lstrip("-")])) for way in listing.sort],
        pages=pages,
        address=lambda **changed: "?" + urlencode({k: v for k, v in {**asked, **changed}.items() if v}),
        new=[(key, visit.word(action.title)) for key, action in new_actions(member, name)] if member else [],
        is_filtered=bool(wanted.search or wanted.filters),
    )


async def _rows(
    visit: Visit, listing: Listing, scope: Doc, wanted: Wanted
) -> tuple[int, list[tuple[str, list[Markup]]]]:
    """How many items there are, and a page of them: (id, cells as they go into the page)."""
    found = await find(visit, listing, scope, wanted)
    names = await names_in(visit, found.items)
    columns = listing.columns
    return found.total, [
        (each["id"], [escape(_cell(visit, names, c, each.get(c))) for c in columns]) for each in found.items
    ]


def _said(visit: Visit, value: str) -> str:
    """A status or another word of the contract in the visitor's language."""
    return visit.word(STATUS[value]) if value in STATUS else translated(visit.language, value, "value")


def _cell(visit: Visit, names: dict[str, str], field: str, value: Any) -> str:
    """A value as people read it: names before ids, words before codes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return visit.word(dict(YES_OR_NO)[str(value).lower()])
    if isinstance(value, list):
        return ", ".join(_cell(visit, names, field, each) for each in value)
    if isinstance(value, dict):
        return _part_of_a_list(visit, names, value)
    return _text(visit, names, field, value) if isinstance(value, str) else number(value, visit.language)


def _part_of_a_list(visit: Visit, names: dict[str, str], value: Doc) -> str:
    if "competency" in value:
        return f"{competency(visit, value['competency'])} ({value['level']})"
    id = value.get("organisation") or value.get("id") or ""
    return names.get(id, id) + (f" ({_said(visit, value['status'])})" if "status" in value else "")


def _text(visit: Visit, names: dict[str, str], field: str, value: str) -> str:
    if field in ("competencies", "competency"):
        return competency(visit, value)
    if field in ("status", "kind", "role", "outcome"):
        return _said(visit, value)
    is_day = field.endswith("_at") or field in _DAYS
    return short_day(value, visit.language, zone(visit)) if is_day else names.get(value, value)


# one thing


@router.get("/work/{name}/{id}")
async def item_page(visit: SignedIn, name: str, id: str, done: Short = "", later: Short = "") -> Response:
    visit.notice = notice(visit, done, later)
    listing = dict(lists_of(visit.member)).get(name)
    item, names = await _found(visit, listing, id, visit.member) if listing else (None, {})
    if listing is None or item is None:
        raise Problem(404, Text("there is no {id} here (yet), or it is not yours to see", {"id": id[:100]}))
    return _item(visit, name, listing, item, names)


@router.get("/network/{name}/{id}")
async def public_item_page(visit: AnyVisit, name: str, id: str) -> Response:
    listing = _public(name)
    item, names = await _found(visit, listing, id, None)
    if item is None:
        raise Problem(404, Text("there is no {id} here (yet)", {"id": id[:100]}))
    return _item(visit, name, listing, item, names)


async def _found(visit: Visit, listing: Listing, id: str, member: Member | None) -> tuple[Doc | None, dict[str, str]]:
    """A thing, with the names in it; what is public may be seen by every member, whosever it is."""
    own = scope_of(listing, None if listing.is_public else member)

    async def read() -> tuple[Doc | None, dict[str, str]]:
        item = await find_one(visit, listing, own, id)
        return item, await names_in(visit, [item] if item else [])

    return await visit.service.recent(("item", listing.collection, listing.inner, id, repr(own)), read)


def _item(visit: Visit, name: str, listing: Listing, item: Doc, names: dict[str, str]) -> Response:
    member = visit.member if isinstance(visit, MemberVisit) else None
    shown = [field for field in COLUMNS if field in item and field != "id" and not isinstance(item[field], dict)]
    title = item.get(listing.columns[0]) or item["id"]
    return visit.show(
        FOLDER + "item.html",
        title=_cell(visit, names, listing.columns[0], title),
        item=item,
        base=f"work/{name}" if member else f"network/{name}",
        list_title=visit.word(listing.title),
        facts=[(visit.word(COLUMNS[f]), cell) for f in shown if (cell := _cell(visit, names, f, item[f])) != ""],
        parts=_parts(visit, names, item),
        recommendations=_recommendations(visit, names, item, member),
        offers=_buttons(visit, names, offers(name, item, member)) if member else [],
        is_operator=member is not None and member.is_operator and name == "organisations",
    )


def _is_overdue(recommendation: Doc) -> bool:
    """Was a revision planned until a day that has passed?"""
    today = datetime.now(UTC).date().isoformat()
    return recommendation["status"] == "planned" and str(recommendation["until"]) < today


_EVIDENCE = {"employers": N_("employers"), "places": N_("places"), "vacancies": N_("open vacancies")}


def _recommendations(visit: Visit, names: dict[str, str], item: Doc, member: Member | None) -> list[Doc]:
    """Revisions recommended to a programme, the open ones first, each with how it may be answered."""
    found = sorted(item.get("recommendations") or [], key=lambda each: each["status"] != "open")
    return [
        {
            "competency": competency(visit, each["competency"]),
            "ground": visit.word(GROUNDS[each["ground"]]),
            "status": visit.word(OVERDUE) if _is_overdue(each) else _said(visit, each["status"]),
            "at": short_day(each["recommended_at"], visit.language, zone(visit)),
            "evidence": [(visit.word(words), each[name]) for name, words in _EVIDENCE.items() if each.get(name)],
            "satisfied": each.get("satisfied"),
            "ratings": each.get("ratings"),
            "offers": _buttons(visit, names, recommendation_offers(item, each, member)) if member else [],
        }
        for each in found
    ]


# Parts of a thing that are shown as lists of their own: field, its columns.
_PARTS: dict[str, tuple[str, ...]] = {
    "answers": ("party", "answer", "at"),
    "internships": ("id", "enterprise", "programme", "started_at", "status"),
    "employment": ("status", "enterprise", "since", "ended_on"),
    "applications": ("id", "enterprise", "status"),
    "support": ("id", "need", "status"),
}


def _parts(visit: Visit, names: dict[str, str], item: Doc) -> list[tuple[str, list[list[Any]]]]:
    found = []
    for field, columns in _PARTS.items():
        if items := item.get(field):
            rows = [[_part_cell(visit, names, c, each.get(c)) for c in columns] for each in items]
            found.append((field, rows))
    return found


def _part_cell(visit: Visit, names: dict[str, str], column: str, value: Any) -> str:
    if column == "answer":
        return visit.word(ANSWERS[value])
    if column in ("status", "need") and isinstance(value, str):
        return _said(visit, value)
    return _cell(visit, names, "x_at" if column == "at" else column, value)


def _buttons(visit: Visit, names: dict[str, str], found: list[Offer]) -> list[tuple[str, str, str, bool]]:
    """Forms as links: (address, words, which programme, is it grave)."""
    made = []
    for action, given in found:
        programme = given.get("programme", "") if action in ("graduate", "leave") else ""
        words, is_grave = visit.word(ACTIONS[action].title), ACTIONS[action].is_grave
        made.append((f"work/do/{action}?{urlencode(given)}", words, names.get(programme, programme), is_grave))
    return made


NOTHING = N_("There is nothing here yet.")
DONE, ACCEPTED = N_("done"), N_("accepted, it will show in a moment")


def notice(visit: MemberVisit, done: str, later: str) -> str:
    """What has been done, when a form led here."""
    action = ACTIONS.get(done)
    return f"{visit.word(action.title)}: {visit.word(ACCEPTED if later else DONE)}" if action else ""
