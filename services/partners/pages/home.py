"""Home: what waits for whoever is signed in, counted, oldest first, each one click from being done."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from pydantic_core import from_json

from services.partners.gateway.egress.forwarding import REJECTIONS
from services.partners.gateway.egress.hooks import WEBHOOKS
from services.partners.network.registry import OPERATOR
from services.partners.people.members import MEMBERS, is_chief
from services.partners.people.visits import SignedIn, name_of
from shared.contract.events import HOSTS, INSTITUTION_OR_OPERATOR, Publisher
from shared.http.auth import Member, Role
from shared.http.routing import Router
from shared.http.visits import NETWORK, STAFF, MemberVisit
from shared.pages.languages import N_

from .actions import ACTIONS
from .browse import notice
from .fields import competency, zone
from .lists import Doc, lists_of, names_in
from .rejections import open_rejections, reason

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SHOWN = 5  # of each kind; the list has all
MOST = 1_000


class System(NamedTuple):
    """A page about systems or data, and who may open it.

    Attributes:
        kinds: of organisations whose members may; none: all.
    """

    service: str
    path: str
    words: str
    roles: tuple[Role, ...]
    kinds: tuple[Publisher, ...] = ()

    def is_open_to(self, member: Member) -> bool:
        return member.role in self.roles and (not self.kinds or member.kind in self.kinds)


SYSTEMS = (
    System("certification", "issuing", N_("Schemes and certificates"), STAFF, (Publisher.institution,)),
    System("certification", "links", N_("Links for learners"), (Role.admin, Role.staff), (Publisher.institution,)),
    System("partners", "uploads", N_("Files"), STAFF),
    System("monitoring", "alerts", N_("Alerts of indicators"), STAFF, INSTITUTION_OR_OPERATOR),
    System("feedback", "market/import", N_("Import vacancies"), (Role.operator,)),
    System("feedback", "market/mapping", N_("Map skills to competencies"), (Role.operator,)),
    System("certification", "frameworks", N_("Competency frameworks"), (Role.operator,)),
    System("certification", "badges", N_("Pictures of badges"), (Role.admin, Role.staff), (Publisher.institution,)),
    System("partners", "work/rejections", N_("Refused"), STAFF),
    System("partners", "work/integration", N_("Connect systems"), (Role.admin, Role.operator)),
    System("partners", "work/health", N_("How the network is"), NETWORK),
    System("partners", "people-log", N_("Who signed in, was invited, changed"), (Role.admin, Role.operator)),
)
# Pages of figures, which everybody may open: service, path, words.
FIGURES = (
    ("monitoring", "competencies", N_("Competencies: demanded, certified, taught")),
    ("monitoring", "sustainability", N_("Sustainability competencies")),
)


class Task(NamedTuple):
    """Something that waits.

    Attributes:
        since: day and time, as text.
        path: of the page on which it is done.
    """

    words: str
    since: str
    path: str


class Waiting(NamedTuple):
    """What waits of one kind: its words, their number, the oldest, and the list that has all."""

    title: str
    number: int
    tasks: list[Task]
    path: str


@router.get("/work")
async def home_page(
    visit: SignedIn,
    done: Annotated[str, Query(max_length=100)] = "",
    later: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    visit.notice = notice(visit, done, later)
    member = visit.member
    waits = [] if member.role is Role.coordinator else [each for each in await _waiting(visit) if each.number]
    begins = [
        (name, visit.word(action.title))
        for name, action in ACTIONS.items()
        if (action.is_new or name == "register") and action.is_open_to(member)
    ]
    return visit.show(
        "services/partners/pages/home.html",
        waiting=waits,
        count=sum(each.number for each in waits),
        lists=[(name, visit.word(listing.title)) for name, listing in lists_of(member)],
        figures=[(service, path, visit.word(words)) for service, path, words in FIGURES],
        systems=[(each.service, each.path, visit.word(each.words)) for each in SYSTEMS if each.is_open_to(member)],
        begins=begins,
        zone=zone(visit),
        organisation=await name_of(visit.service, member.organisation, visit.language),
    )


async def _waiting(visit: MemberVisit) -> list[Waiting]:
    member = visit.member
    if member.is_operator:
        return await _of(visit, (_without_members, _dead_webhooks, _rejections))
    of_mentors = [_placements, _requests] if member.kind in HOSTS else [_placements]
    is_institution = member.kind is Publisher.institution
    of_staff = [_agreements, *([_recommendations, _erasures] if is_institution else [_applications])]
    of_registry = of_mentors if member.role is Role.mentor else [*of_staff, *of_mentors]
    of_systems = (
        [] if member.role is Role.mentor else [_rejections, *([_dead_webhooks] if is_chief(member.role) else [])]
    )

    async def looked_up() -> list[Waiting]:
        return [await each(visit) for each in of_registry]

    question = ("waiting", member.organisation, member.kind, member.role, visit.language)
    return [*await visit.service.recent(question, looked_up), *await _of(visit, of_systems)]


Wait = Callable[[MemberVisit], Awaitable[Waiting]]


async def _of(visit: MemberVisit, waits: Sequence[Wait]) -> list[Waiting]:
    """What is not in the database that follows the log."""
    member = visit.member

    async def looked_up() -> list[Waiting]:
        return [await each(visit) for each in waits]

    return await visit.service.coalesced(("home", member.organisation, member.role, visit.language), looked_up)


def _ways(action: str, **given: str | None) -> str:
    return f"work/do/{action}?{urlencode({name: value for name, value in given.items() if value})}"


async def _oldest(visit: MemberVisit, collection: str, stages: list[Doc], by: str) -> tuple[int, list[Doc]]:
    """How many documents come out of *stages*, and the oldest of them."""
    first: list[Doc] = [{"$sort": {by: 1}}, {"$limit": SHOWN}]
    parts = {"$facet": {"number": [{"$count": "n"}], "first": first}}
    (found,) = await visit.service.db[collection].aggregate([*stages, parts]).to_list(1)
    return (found["number"][0]["n"] if found["number"] else 0), found["first"]


async def _agreements(visit: MemberVisit) -> Waiting:
    """Agreements that others have signed and we have not answered."""
    own = visit.member.organisation
    match = {"parties": own, "status": "proposed", "answers.party": {"$ne": own}}
    fields = {"scope": 1, "proposer": 1, "proposed_at": 1}
    number, docs = await _oldest(visit, "agreements", [{"$match": match}, {"$project": fields}], "proposed_at")
    names = await names_in(visit, docs)
    tasks = [
        Task(
            f"{doc['scope']} · {names.get(doc['proposer'], doc['proposer'])}",
            doc["proposed_at"],
            f"work/agreements/{doc['_id']}",
        )
        for doc in docs
    ]
    return Waiting(visit.word(N_("Agreements to sign")), number, tasks, "work/agreements?status=proposed")


async def _items(visit: MemberVisit, field: str, match: Doc, by: str) -> tuple[int, list[Doc]]:
    """Parts of learners that are ours and fit, with whose they are: how many, and the oldest."""
    own = visit.member.organisation
    wanted = {f"{field}.{name}": value for name, value in {**match, "readers": own}.items()}
    stages: list[Doc] = [
        {"$match": {"readers": own, f"{field}.status": match["status"]}},
        {"$project": {field: 1}},
        {"$unwind": f"${field}"},
        {"$match": wanted},
    ]
    number, docs = await _oldest(visit, "learners", stages, f"{field}.{by}")
    return number, [{"of": doc["_id"], **doc[field]} for doc in docs]


async def _placements(visit: MemberVisit) -> Waiting:
    """Placements that run; where people are trained, they are to be confirmed once they are over."""
    member = visit.member
    at_us = {"enterprise": member.organisation} if member.kind in HOSTS else {}
    number, items = await _items(visit, "internships", {"status": "started", **at_us}, "started_at")
    names = await names_in(visit, items)
    tasks = [
        Task(
            f"{item['of']} · {names.get(item['programme'], item['programme'])}",
            item["started_at"] or "",
            _ways(
                "complete",
                subject=item["id"],
                learner=item["of"],
                enterprise=item["enterprise"],
                programme=item["programme"],
            )
            if member.kind in HOSTS
            else f"work/placements/{item['id']}",
        )
        for item in items
    ]
    if member.kind in HOSTS:
        return Waiting(visit.word(N_("Placements to confirm")), number, tasks, "work/confirm")
    return Waiting(visit.word(N_("Placements that run")), number, tasks, "work/placements?status=started")


async def _erasures(visit: MemberVisit) -> Waiting:
    """Learners who ask us, by their certificate's link, to be erased."""
    own = visit.member.organisation
    stages: list[Doc] = [
        {"$match": {"readers": own, "erasure_wanted.of": own}},
        {"$project": {"erasure_wanted": 1}},
        {"$unwind": "$erasure_wanted"},
        {"$match": {"erasure_wanted.of": own}},
    ]
    number, docs = await _oldest(visit, "learners", stages, "erasure_wanted.at")
    tasks = [Task(doc["_id"], doc["erasure_wanted"]["at"], _ways("erase", subject=doc["_id"])) for doc in docs]
    return Waiting(visit.word(N_("Learners who ask to be erased")), number, tasks, "work/learners")


async def _recommendations(visit: MemberVisit) -> Waiting:
    today = datetime.now(UTC).date().isoformat()
    overdue = {"recommendations.status": "planned", "recommendations.until": {"$lt": today}}
    is_open = {"$or": [{"recommendations.status": "open"}, overdue]}
    stages: list[Doc] = [
        {"$match": {"institution": visit.member.organisation, **is_open}},
        {"$project": {"title": 1, "recommendations": 1}},
        {"$unwind": "$recommendations"},
        {"$match": is_open},
    ]
    number, docs = await _oldest(visit, "programmes", stages, "recommendations.recommended_at")
    tasks = [
        Task(
            f"{doc['title']}: {competency(visit, doc['recommendations']['competency'])}",
            doc["recommendations"]["recommended_at"],
            f"work/programmes/{doc['_id']}",
        )
        for doc in docs
    ]
    return Waiting(visit.word(N_("Recommended revisions to answer")), number, tasks, "work/programmes")


async def _requests(visit: MemberVisit) -> Waiting:
    match = {"respondent": visit.member.organisation, "status": "open"}
    number, docs = await _oldest(visit, "requests", [{"$match": match}, {"$project": {"state": 0}}], "due")
    names = await names_in(visit, docs)
    fields = ("role", "programme", "internship", "enterprise")
    tasks = [
        Task(
            names.get(doc["programme"], doc["programme"]) or "",
            doc["due"],
            _ways("answer", request=doc["_id"], **{field: doc.get(field) for field in fields}),
        )
        for doc in docs
    ]
    return Waiting(visit.word(N_("Feedback asked of us")), number, tasks, "work/requests?status=open")


async def _applications(visit: MemberVisit) -> Waiting:
    match = {"status": "submitted", "enterprise": visit.member.organisation}
    number, items = await _items(visit, "applications", match, "submitted_at")
    tasks = [Task(item["of"], item["submitted_at"], f"work/applications/{item['id']}") for item in items]
    return Waiting(visit.word(N_("Applications to decide")), number, tasks, "work/applications?status=submitted")


async def _rejections(visit: MemberVisit) -> Waiting:
    """What we were refused lately, and nobody has mended or put aside."""
    rejections, match = visit.service.store.home[REJECTIONS], open_rejections(visit.member.organisation)
    docs = await rejections.find(match).sort("at", 1).to_list(SHOWN)
    number = len(docs) if len(docs) < SHOWN else await rejections.count_documents(match)
    tasks = [
        Task(reason(visit, from_json(doc["about"])), _moment(doc["at"]), f"work/rejections/{doc['_id']}")
        for doc in docs
    ]
    return Waiting(visit.word(N_("Refused, to be mended")), number, tasks, "work/rejections")


async def _dead_webhooks(visit: MemberVisit) -> Waiting:
    """Webhooks to which nothing is sent any more: of the own organisation, for the operator of all."""
    own = {} if visit.member.is_operator else {"organisation": visit.member.organisation}
    docs = await visit.service.store.home[WEBHOOKS].find({"status": {"$ne": "active"}, **own}).to_list(MOST)
    tasks = [
        Task(
            f"{doc['organisation']}: {doc['url']}",
            doc.get("failed_at") or "",
            f"work/integration/webhooks/{doc['_id']}",
        )
        for doc in docs
    ]
    at = "work/health" if visit.member.is_operator else "work/integration"
    return _some(visit.word(N_("Webhooks that ended")), tasks, at)


def _some(title: str, tasks: list[Task], path: str) -> Waiting:
    oldest = sorted(tasks, key=lambda task: task.since)
    return Waiting(title, len(tasks), oldest[:SHOWN], path)


def _moment(at: datetime) -> str:
    return at.replace(tzinfo=UTC).isoformat()


async def _without_members(visit: MemberVisit) -> Waiting:
    """Organisations for which nobody can sign in."""
    with_members = {
        doc["_id"] async for doc in visit.service.store.home[MEMBERS].aggregate([{"$group": {"_id": "$organisation"}}])
    } - {OPERATOR}
    match: dict[str, Any] = {"name": {"$exists": True}, "_id": {"$nin": sorted(with_members)}, "status": "registered"}
    organisations = visit.service.db["organisations"]
    docs = await organisations.find(match, {"name": 1, "since": 1}).sort("since", 1).to_list(SHOWN)
    number = len(docs) if len(docs) < SHOWN else await organisations.count_documents(match)
    tasks = [Task(doc["name"], doc.get("since") or "", f"members?organisation={doc['_id']}") for doc in docs]
    title = visit.word(N_("Organisations for which nobody can sign in yet"))
    return Waiting(title, number, tasks, "work/organisations")
