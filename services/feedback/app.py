"""The feedback service: requests raised by events, answers, ratings, demand, what programmes lack."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from shared.contract.events import Data, Event, FeedbackRequested
from shared.http.application import serve
from shared.http.auth import RequestKey, request_key
from shared.http.routing import Router
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.facts import DecodedEvent, State
from shared.processing.frameworks import with_frameworks
from shared.processing.mongo import Database, Key
from shared.settings import settings

from . import answering_api, api, calendar, gap_api, market, market_api, requests
from .answering import forget_answers
from .gap_reads import read_evidence
from .gaps import Finding, Rules, recommend
from .market_reads import Histories
from .pages import answer, answers, asked, questionnaires, stories, vacancies
from .pages import gaps as gap_pages
from .pages import market as market_pages
from .requests import ask, contributions, forget, route, today

AT_ONCE = 1_000
HISTORIES = Histories()  # of this process's worker


class Context(NamedTuple):
    """What a state is judged by besides its facts."""

    erased: frozenset[str]  # learners, of those that matter here
    findings: Mapping[str, list[Finding]]  # by programme, of those that matter here
    now: datetime
    rules: Rules
    secret: RequestKey
    today: date | None = None  # at a tick; what time brings is decided then


def react(key: Key, state: State, context: Context) -> list[Event[Data]]:
    match key.collection:
        case "learners":
            asked = ask(key.id, state, context.secret) + calendar.ask_graduate(key.id, state, context.secret)
            return asked or (calendar.open_windows(key.id, state, context.today) if context.today else [])
        case "requests":
            forgotten = forget(key.id, state, context.erased)
            return forgotten or (calendar.remind(key.id, state, context.today) if context.today else [])
        case "programmes":
            return recommend(state, context.findings.get(key.id, []), context.now, context.rules)
        case _:
            return []


def view(key: Key, state: State) -> dict[str, Any]:
    """What is shown of a state, and the day on which time brings something more."""
    shown = requests.view(key, state)
    match key.collection:
        case "learners":
            return shown | {"opens_next": calendar.opens_next(state)}
        case "requests":
            return shown | {"step_next": calendar.step_next(state)}
        case _:
            return shown


async def read_context(db: Database, keys: Collection[Key], events: Sequence[DecodedEvent]) -> Context:
    requests = [key.id for key in keys if key.collection == "requests"]
    learners = {event.fact["data"]["learner"] for event in events if event.event_class is FeedbackRequested}
    if requests and not events:
        learners |= {doc["learner"] async for doc in db["requests"].find({"_id": {"$in": requests}}, {"learner": 1})}
    # Programmes are judged at a tick: in the middle of a backlog the ratings are not all there.
    programmes = [key.id for key in keys if key.collection == "programmes" and not events]
    rules, secret = Rules.of(settings()), request_key(settings().keys_dir)
    evidence = await read_evidence(db, programmes, await HISTORIES.of(db), rules) if programmes else None
    findings, day = evidence.findings if evidence else {}, None if events else today()
    return Context(await _erased(db, learners), findings, datetime.now(UTC), rules, secret, day)


async def _erased(db: Database, learners: Collection[str]) -> frozenset[str]:
    if not learners:
        return frozenset()
    found = db["learners"].find({"_id": {"$in": list(learners)}, "erased": True}, {"_id": 1})
    return frozenset([doc["_id"] async for doc in found])


async def _reached(db: Database, collection: str, field: str, labels: Sequence[str]) -> list[tuple[str, Key]]:
    """States that are to be looked at by today, by the day in a field of theirs; the earliest first, some at a time."""
    mine = {field: {"$lte": today().isoformat()}, "partition": {"$in": list(labels)}}
    found = db[collection].find(mine, {"partition": 1}).sort(field).limit(AT_ONCE)
    return [(doc["partition"], Key(collection, doc["_id"])) async for doc in found]


class DueStates:
    """Finds what time and other partitions have brought about.

    Erased learners' requests, what programmes lack, graduates to be asked, and who is to be reminded.

    It looks again only after something was consumed or another day began, and remembers that there was nothing to do;
    a restart forgets.
    """

    def __init__(self) -> None:
        self._quiet_at: object = None

    async def due(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        positions = await mongo.positions(db)
        seen = (db.name, today(), sorted(labels), sorted((label, p.next_offset) for label, p in positions.items()))
        if seen == self._quiet_at:
            return []
        found = await self._requests_of_erased(db, labels) + await self._programmes_with_gaps(db, labels)
        found += await _reached(db, "learners", "opens_next", labels)
        found += await _reached(db, "requests", "step_next", labels)
        if not found and await HISTORIES.are_current(db):
            self._quiet_at = seen
        return found

    async def _requests_of_erased(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        erased = [learner["_id"] async for learner in db["learners"].find({"erased": True}, {"_id": 1})]
        found = []
        for start in range(0, len(erased), AT_ONCE):
            mine = {"learner": {"$in": erased[start : start + AT_ONCE]}, "partition": {"$in": list(labels)}}
            async for doc in db["requests"].find(mine, {"partition": 1}):
                found.append((doc["partition"], Key("requests", doc["_id"])))
        return found

    async def _programmes_with_gaps(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        now, rules = datetime.now(UTC), Rules.of(settings())
        known = (await read_evidence(db, None, await HISTORIES.of(db), rules)).findings
        mine = {"_id": {"$in": [*known]}, "partition": {"$in": list(labels)}}
        return [
            (doc["partition"], Key("programmes", doc["_id"]))
            async for doc in db["programmes"].find(mine)
            if recommend(doc["state"], known[doc["_id"]], now, rules)
        ]


core = Core(
    name="feedback",
    generation=2,  # certificates, expected graduations and cohorts are counted
    topics=("learner", "feedback", "programme", "demand", "scheme", "organisation"),
    indexes={
        "learners": [("erased",), ("opens_next",)],
        "requests": [
            ("learner",),
            ("status", "due"),
            ("programme",),
            ("enterprise",),
            ("respondent",),
            ("institution",),
            ("step_next",),
        ],
        "programmes": [("institution",), ("competencies",)],
        "demands": [("competency",), ("horizon",)],
        "schemes": [],
        "organisations": [],
        "questionnaires": [],
        **market.INDEXES,
    },
    route=route,
    view=view,
    react=react,
    contributions=contributions,
    context=read_context,
    due=DueStates().due,
)
core = with_frameworks(core)

parts = (
    *(api, answering_api, market_api, gap_api, answer, answers, asked, questionnaires, stories, vacancies),
    *(market_pages, gap_pages),
)
router = Router(routes=[route for part in parts for route in part.router.routes])
work = (forget_answers,)

if __name__ == "__main__":
    serve(core, router, work=work)
