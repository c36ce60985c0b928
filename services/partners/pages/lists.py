"""What members see of the registry: lists to search, filter and sort, and each thing with what can be done about it.

Everything that a list is asked for stands in its address.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from services.partners.network.registry import OPERATOR, part
from shared.contract.events import HOSTS, Publisher
from shared.http.auth import Member, Role
from shared.http.lists import public
from shared.http.visits import NETWORK, Visit
from shared.pages.languages import N_

Doc = dict[str, Any]
PER_PAGE = 50
STATUS = {
    "registered": N_("registered"),
    "suspended": N_("suspended"),
    "proposed": N_("to be signed"),
    "signed": N_("in force"),
    "refused": N_("refused"),
    "ended": N_("ended"),
    "started": N_("running"),
    "completed": N_("completed"),
    "cancelled": N_("cancelled"),
    "open": N_("open"),
    "closed": N_("closed"),
    "expired": N_("expired"),
    "answered": N_("answered"),
    "enrolled": N_("enrolled"),
    "graduated": N_("graduated"),
    "left": N_("left"),
    "submitted": N_("to be decided"),
    "accepted": N_("accepted"),
    "declined": N_("declined"),
    "withdrawn": N_("withdrawn"),
    "revised": N_("taken up"),
    "planned": N_("planned"),
}
ANSWERS = {"signed": N_("signed"), "refused": N_("refused")}
COLUMNS = {
    "id": N_("Id"),
    "name": N_("Name"),
    "title": N_("Title"),
    "kind": N_("Kind"),
    "region": N_("Region"),
    "sector": N_("Sector"),
    "status": N_("State"),
    "scope": N_("About"),
    "parties": N_("Parties"),
    "valid_from": N_("From"),
    "valid_until": N_("Until"),
    "institution": N_("Institution"),
    "enterprise": N_("Enterprise"),
    "programme": N_("Programme"),
    "level": N_("Level (EQF)"),
    "version": N_("Version"),
    "learner": N_("Learner"),
    "of": N_("Learner"),
    "started_at": N_("Began"),
    "ended_at": N_("Ended"),
    "hours": N_("Hours"),
    "organiser": N_("Organiser"),
    "organisations": N_("Who took part"),
    "held_at": N_("Held"),
    "participants": N_("Participants"),
    "places": N_("Places"),
    "closes_on": N_("Closes"),
    "due": N_("Due"),
    "programmes": N_("Programmes"),
    "competencies": N_("Competencies"),
    "opportunity": N_("Opportunity"),
    "submitted_at": N_("Submitted"),
    "role": N_("Asked as"),
    "since": N_("Since"),
    "reason": N_("Reason"),
    "hours_theory": N_("Hours of theory"),
    "hours_workplace": N_("Hours at the workplace"),
    "joint_partners": N_("Offered together with"),
    "joined": N_("Confirmed by"),
    "agreement": N_("Agreement"),
    "outcome": N_("Outcome"),
    "implausible": N_("Cannot have been so"),
    "proposer": N_("Proposed by"),
    "proposed_at": N_("Proposed"),
    "published_at": N_("Published"),
    "posted_at": N_("Posted"),
    "filled": N_("Places filled"),
    "internship": N_("Placement"),
}


class Listing(NamedTuple):
    """A list.

    Attributes:
        collection: of the service's database; with `inner` the field of its documents that holds the items.
        introduced: the field without which there is nothing to show yet.
        whose: the field that has the organisations to which an item belongs; empty: everybody sees all.
        columns: the first one leads to the item.
        search: the fields that are searched.
        filters: fields with few values, and these.
        sort: fields to sort by, the first one is how the list comes; `-` in front: the greatest first.
        kinds: of organisations that have such a list.
        empty: what to do first.
    """

    title: str
    collection: str
    introduced: str
    whose: str
    columns: tuple[str, ...]
    search: tuple[str, ...]
    filters: Mapping[str, tuple[str, ...]]
    sort: tuple[str, ...]
    kinds: tuple[Publisher, ...]
    empty: str
    inner: str = ""
    is_public: bool = False


_ALL = (Publisher.operator, Publisher.institution, *HOSTS)
_PARTNERS = (Publisher.institution, *HOSTS)
LISTS: dict[str, Listing] = {
    "organisations": Listing(
        N_("Organisations"),
        "organisations",
        "name",
        "",
        ("name", "kind", "region", "status"),
        ("name", "_id"),
        {"kind": ("institution", "enterprise", "research_centre"), "status": ("registered", "suspended")},
        ("name", "region", "kind"),
        _ALL,
        N_("No organisation is registered yet. The operator registers the first ones."),
        is_public=True,
    ),
    "programmes": Listing(
        N_("Programmes"),
        "programmes",
        "title",
        "institution",
        ("title", "institution", "level", "version"),
        ("title", "_id"),
        {"level": tuple("12345678")},
        ("title", "institution", "level"),
        _ALL,
        N_("No programme is published yet. Publish one, then learners can be enrolled."),
        is_public=True,
    ),
    "opportunities": Listing(
        N_("Opportunities"),
        "opportunities",
        "title",
        "enterprise",
        ("title", "enterprise", "kind", "places", "closes_on", "status"),
        ("title", "_id"),
        {"kind": ("internship", "vacancy"), "status": ("open", "closed")},
        ("-posted_at", "title", "closes_on"),
        _ALL,
        N_("Nothing is offered yet. Post what you have for interns and graduates."),
        is_public=True,
    ),
    "agreements": Listing(
        N_("Agreements"),
        "agreements",
        "proposer",
        "parties",
        ("scope", "parties", "valid_from", "valid_until", "status"),
        ("scope", "_id"),
        {"status": ("proposed", "signed", "refused", "ended")},
        ("-proposed_at", "scope", "valid_from"),
        _ALL,
        N_("There is no agreement yet. Propose one to those with whom you train people."),
    ),
    "learners": Listing(
        N_("Learners"),
        "learners",
        "readers",
        "institutions",
        ("id", "programmes"),
        ("_id",),
        {},
        ("id",),
        (Publisher.institution, Publisher.operator),
        N_("Nobody is enrolled yet. Enrol one learner, or upload a file with many."),
    ),
    "placements": Listing(
        N_("Placements"),
        "learners",
        "readers",
        "readers",
        ("of", "enterprise", "programme", "started_at", "ended_at", "status"),
        ("internships.id", "_id"),
        {"status": ("started", "completed", "cancelled")},
        ("-started_at", "enterprise", "programme"),
        _ALL,
        N_("There is no placement yet. Start one for a learner who is enrolled."),
        inner="internships",
    ),
    "applications": Listing(
        N_("Applications"),
        "learners",
        "readers",
        "readers",
        ("of", "enterprise", "opportunity", "submitted_at", "status"),
        ("applications.id", "_id"),
        {"status": ("submitted", "accepted", "declined", "withdrawn")},
        ("-submitted_at",),
        _PARTNERS,
        N_("Nobody has applied yet. Institutions pass applications on."),
        inner="applications",
    ),
    "requests": Listing(
        N_("Feedback asked of us"),
        "requests",
        "role",
        "respondent",
        ("programme", "role", "due", "status"),
        ("_id", "programme"),
        {"status": ("open", "answered", "expired")},
        ("due",),
        HOSTS,
        N_("Nothing is asked of you. A request follows each completed placement."),
    ),
    "activities": Listing(
        N_("Activities"),
        "activities",
        "organiser",
        "organisations",
        ("kind", "organiser", "held_at", "hours", "participants"),
        ("_id",),
        {
            "kind": (
                *("workshop", "master_class", "guest_lecture", "project_assignment"),
                *("joint_research", "teacher_upskilling"),
            )
        },
        ("-held_at", "kind"),
        _ALL,
        N_("No activity is recorded yet: workshops, guest lectures, joint research, teachers' upskilling."),
    ),
}


def lists_of(member: Member) -> list[tuple[str, Listing]]:
    """The lists that a member has: who only reads sees no learners, a mentor of them the placements."""
    hidden = _HIDDEN.get(member.role, ())
    return [(name, each) for name, each in LISTS.items() if member.kind in each.kinds and name not in hidden]


_HIDDEN = {
    Role.coordinator: ("learners", "placements", "applications"),
    Role.mentor: ("learners", "applications", "agreements"),
}


class Wanted(NamedTuple):
    """What a list is asked for: words, filters, how to sort, which page (from 1)."""

    search: str
    filters: dict[str, str]
    sort: str
    page: int


class Found(NamedTuple):
    items: list[Doc]
    total: int


def reader_of(member: Member | None) -> str | None:
    """As whom somebody reads; None: all of what is for everybody, or as who runs the network."""
    if member is None:
        return None
    return None if member.role in NETWORK else member.organisation


def scope_of(listing: Listing, member: Member | None) -> Doc:
    """Which documents somebody may see: of one's own organisation; the network's people see all."""
    reader = reader_of(member)
    match: Doc = {listing.introduced: {"$exists": True}}
    if listing.collection == "learners" and reader is None:
        reader = OPERATOR  # who reads learners is said of each, of the operator, too
        return {**match, "readers": reader}
    return match if reader is None or not listing.whose else {**match, listing.whose: reader}


async def find(visit: Visit, listing: Listing, scope: Doc, wanted: Wanted) -> Found:
    """A page of a list."""
    match = {**scope, **_filtered(listing, wanted)}
    at = f"{listing.inner}." if listing.inner else ""
    descending = wanted.sort.startswith("-")
    field = {"id": "_id", "of": "_id"}.get(wanted.sort.lstrip("-"), at + wanted.sort.lstrip("-"))
    order = {field: -1 if descending else 1, f"{at}id" if at else "_id": 1}
    stages: list[Doc] = [{"$match": {**scope, **({f"{listing.inner}.0": {"$exists": True}} if at else {})}}]
    if at:
        readers = {f"{at}readers": scope["readers"]}
        stages += [{"$unwind": f"${listing.inner}"}, {"$match": {**readers, **match}}]
    else:
        stages = [{"$match": match}]
    collection = visit.service.db[listing.collection]
    total = [doc["n"] async for doc in collection.aggregate([*stages, {"$count": "n"}])]
    page: list[Doc] = [{"$sort": order}, {"$skip": (wanted.page - 1) * PER_PAGE}, {"$limit": PER_PAGE}]
    shown: Doc = {"$project": {listing.inner: 1} if at else {"state": 0}}
    docs = [doc async for doc in collection.aggregate([*stages, *page, shown])]
    items = [{"of": doc["_id"], **doc[listing.inner]} if at else public(doc) for doc in docs]
    return Found(items, total[0] if total else 0)


def _filtered(listing: Listing, wanted: Wanted) -> Doc:
    at = f"{listing.inner}." if listing.inner else ""
    match: Doc = {f"{at}{field}": _typed(field, value) for field, value in wanted.filters.items() if value}
    if wanted.search:
        sought = {"$regex": re.escape(wanted.search), "$options": "i"}
        match["$or"] = [{field: sought} for field in listing.search]
    return match


def _typed(field: str, value: str) -> Any:
    return int(value) if field == "level" else value


async def find_one(visit: Visit, listing: Listing, scope: Doc, id: str) -> Doc | None:
    """One thing of a list, if it may be seen there."""
    collection = visit.service.db[listing.collection]
    if not listing.inner:
        doc = await collection.find_one({"_id": id, **scope}, {"state": 0})
        shown = public(doc) if doc else None
        is_learner = listing.collection == "learners"
        return part(shown, scope.get("institutions") or OPERATOR) if shown and is_learner else shown
    doc = await collection.find_one({f"{listing.inner}.id": id, **scope}, {listing.inner: 1})
    inner = (doc or {}).get(listing.inner, ())
    item = next((each for each in inner if each["id"] == id and scope["readers"] in each["readers"]), None)
    return {"of": doc["_id"], **item} if doc and item else None


async def names_in(visit: Visit, items: list[Doc]) -> dict[str, str]:
    """The names of organisations and the titles of programmes that these items name."""
    ids = {value for item in items for value in _texts(item)}
    found: dict[str, str] = {}
    for collection, words in (("organisations", "name"), ("programmes", "title"), ("opportunities", "title")):
        docs = await visit.service.by_id(collection, ids, {words: 1}) if ids else {}
        found |= {id: doc[words] for id, doc in docs.items() if words in doc}
    return found


_REFERENCES = (
    *("parties", "institution", "enterprise", "programme", "organiser", "organisations", "opportunity", "proposer"),
    *("joined", "respondent", "joint_partners", "programmes", "party", "answers", "internships", "employment"),
    "applications",
)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, dict):
        return [
            text
            for name, each in value.items()
            if name in (*_REFERENCES, "id", "organisation")
            for text in _texts(each)
        ]
    return []
