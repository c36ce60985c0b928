"""The feedback service: requests raised by events, answers, ratings, demand, recommended revisions."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from shared.contract.events import Data, Event, FeedbackRequested
from shared.http.application import serve
from shared.http.auth import RequestKey, request_key
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.facts import DecodedEvent, State
from shared.processing.mongo import Database, Key
from shared.settings import settings

from .api import router
from .gaps import BY, Gap, gaps, recommend
from .requests import ask, contributions, forget, route, view

AT_ONCE = 1_000


class Context(NamedTuple):
    """What a state is judged by besides its facts."""

    erased: frozenset[str]  # learners, of those that matter here
    gaps: list[Gap]  # of the programmes that matter here
    now: datetime
    secret: RequestKey


def react(key: Key, state: State, context: Context) -> list[Event[Data]]:
    match key.collection:
        case "learners":
            return ask(key.id, state, context.secret)
        case "requests":
            return forget(key.id, state, context.erased)
        case "programmes":
            return recommend(key.id, state, context.gaps, context.now)
        case _:
            return []


async def read_context(db: Database, keys: Collection[Key], events: Sequence[DecodedEvent]) -> Context:
    requests = [key.id for key in keys if key.collection == "requests"]
    learners = {event.fact["data"]["learner"] for event in events if event.event_class is FeedbackRequested}
    if requests and not events:
        learners |= {doc["learner"] async for doc in db["requests"].find({"_id": {"$in": requests}}, {"learner": 1})}
    # Gaps are judged at a tick: in the middle of a backlog the ratings are not all there.
    programmes = [key.id for key in keys if key.collection == "programmes" and not events]
    secret = request_key(settings().keys_dir)
    return Context(await _erased(db, learners), await read_gaps(db, programmes), datetime.now(UTC), secret)


async def _erased(db: Database, learners: Collection[str]) -> frozenset[str]:
    if not learners:
        return frozenset()
    found = db["learners"].find({"_id": {"$in": list(learners)}, "erased": True}, {"_id": 1})
    return frozenset([doc["_id"] async for doc in found])


async def read_gaps(db: Database, programmes: Collection[str]) -> list[Gap]:
    """The ratings of these programmes by competency and window."""
    if not programmes:
        return []
    # An id is "<programme> <competency>"; a blank is in neither, and sorts before every other character of an id.
    ranges = [{"id": {"$gt": f"{programme} ", "$lt": f"{programme}!"}} for programme in programmes]
    return gaps(await mongo.sums(db, {"kind": "programme_competency", "$or": ranges}, BY))


class RegistryChanges:
    """Finds what other partitions have brought about: erased learners' requests, and gaps in programmes.

    It looks again only after something was consumed, and remembers that there was nothing to do; a restart forgets.
    """

    def __init__(self) -> None:
        self._quiet_at: object = None

    async def due(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        positions = await mongo.positions(db)
        seen = (db.name, sorted(labels), sorted((label, p.next_offset) for label, p in positions.items()))
        if seen == self._quiet_at:
            return []
        found = await self._requests_of_erased(db, labels) + await self._programmes_with_gaps(db, labels)
        if not found:
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
        now = datetime.now(UTC)
        known = [gap for gap in gaps(await mongo.sums(db, {"kind": "programme_competency"}, BY)) if gap.is_open]
        mine = {"_id": {"$in": list({gap.programme for gap in known})}, "partition": {"$in": list(labels)}}
        return [
            (doc["partition"], Key("programmes", doc["_id"]))
            async for doc in db["programmes"].find(mine)
            if recommend(doc["_id"], doc["state"], known, now)
        ]


core = Core(
    name="feedback",
    topics=("learner", "feedback", "programme", "demand", "organisation"),
    indexes={
        "learners": [("erased",)],
        "requests": [("learner",), ("status", "due"), ("programme",), ("enterprise",)],
        "programmes": [("institution",)],
        "demands": [("competency",)],
        "organisations": [],
    },
    route=route,
    view=view,
    react=react,
    contributions=contributions,
    context=read_context,
    due=RegistryChanges().due,
)

if __name__ == "__main__":
    serve(core, router)
