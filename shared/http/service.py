"""What a route works with: the running service, who is calling, and what that caller may do."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer
from prometheus_client import Counter

from shared.contract.events import Data, Event, Publisher
from shared.http.auth import Caller, Unauthorised, Verifier
from shared.http.problems import Problem
from shared.log.producer import Producer, Record, record_of
from shared.log.reads import Log
from shared.pages.languages import Text
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.frameworks import LOOK_S, Frameworks, FrameworksReader
from shared.processing.mongo import Answer
from shared.processing.recent import RecentAnswers
from shared.processing.runner import Runner
from shared.settings import Settings

UNAUTHORISED = Counter("praktika_unauthorised_total", "Requests without a valid token where one is needed.")
CURRENT_WITHIN_S = 10


@dataclass
class Service:
    """One running service: its rules and what they run on."""

    core: Core
    settings: Settings
    store: mongo.Store
    producer: Producer
    log: Log
    verifier: Verifier
    runner: Runner | None
    troubles: dict[str, str] = field(default_factory=dict)  # of work beside the consumer, by its name
    shared: dict[str, Any] = field(default_factory=dict)  # what all requests of a process have in common
    _finders: dict[tuple[str, ...], mongo.BatchedLookup] = field(default_factory=dict)
    # One query at a time: those who ask meanwhile share the next. Beside each other queries are many, each for few.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _reads: dict[Hashable, mongo.CoalescedRead[Any]] = field(default_factory=dict)
    _frameworks: FrameworksReader = field(default_factory=FrameworksReader)
    _recent: RecentAnswers = field(default_factory=lambda: RecentAnswers(most=500))

    @property
    def db(self) -> mongo.Database:
        """The database in use now."""
        return self.store.db

    async def by_id(
        self, collection: str, ids: Collection[str], fields: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Documents with these *fields*, not to be changed: who asks at the same time gets the same ones."""
        return await self._finder("live", collection, fields).find(self.db, ids)

    async def at_home(self, collection: str, id: str) -> dict[str, Any] | None:
        """A document of the service's home, whole; as of `by_id`."""
        return (await self._finder("home", collection, {}).find(self.store.home, [id])).get(id)

    def _finder(self, of: str, collection: str, fields: Mapping[str, Any]) -> mongo.BatchedLookup:
        key = (of, collection, *fields)
        if key not in self._finders:
            self._finders[key] = mongo.BatchedLookup(collection, fields, self._turn)
        return self._finders[key]

    async def coalesced(self, question: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What *work* reads, once for all who ask the same at the same time; no answer is older than its question."""
        read = self._reads.setdefault(question, mongo.CoalescedRead(work))
        try:
            answer: Answer = await read()
            return answer
        finally:
            if read.is_idle:
                self._reads.pop(question, None)

    async def recent(self, question: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What *work* reads of the database, once for all who ask the same until something new is applied.

        Do not change it. What is not in the question must not matter to the answer.
        """
        return (await self._recent.answer(self.db, question, 0, work))[0]

    async def frameworks(self, within_s: float = LOOK_S) -> Frameworks:
        """The competency frameworks, as this service knew them so long ago, at most."""
        return await self._frameworks.of(self.db, within_s)

    async def publish(self, *published: Event[Data]) -> list["Address"]:
        return await self.publish_records([record_of(event) for event in published])

    async def publish_records(self, records: list[Record]) -> list["Address"]:
        acknowledged = await self.producer.publish(records, timeout_s=10)
        return [Address(r.topic, a.partition, a.offset) for r, a in zip(records, acknowledged, strict=True)]

    async def applied(self, address: "Address") -> bool:
        position = (await mongo.positions(self.db)).get(f"{address.topic}-{address.partition}")
        return position is not None and position.next_offset > address.offset

    async def applied_within(self, address: "Address", wait_s: float) -> bool:
        """Wait until the service has taken in what is at an address; False: not in time."""
        try:
            async with asyncio.timeout(wait_s):
                while not await self.applied(address):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    async def current(self, topic: str, key: str | None = None) -> None:
        """Wait until the service has taken in what is on a topic (or on the partition of *key*) now.

        Whoever judges by the database calls this first: else what was said a moment ago would not count.
        Raises:
            Problem: it lags behind by more than can be waited for.
            NotPublished: Kafka does not answer.
        """
        ends = await self.log.ends(topic, key)
        wanted = {f"{topic}-{partition}": end for partition, end in ends.items() if end}
        try:
            async with asyncio.timeout(CURRENT_WITHIN_S):
                while not await self.reached(wanted):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            detail = Text("this service has not taken in yet what was said before; nothing was done: send it again")
            raise Problem(503, detail, headers={"Retry-After": "5"}) from None

    async def reached(self, wanted: Mapping[str, int]) -> bool:
        """Has the service taken in each partition, by label, up to these offsets?"""
        positions = await mongo.positions(self.db) if wanted else {}
        return all(label in positions and positions[label].next_offset >= end for label, end in wanted.items())


class Address(NamedTuple):
    """Where an event is in the log."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"/events/{self.topic}/{self.partition}/{self.offset}"


def running(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


# A coroutine, though it waits for nothing: FastAPI runs plain functions in threads, where this would race.
async def _service(request: Request) -> Service:
    return running(request)


# For the OpenAPI document; what a token is worth, the verifier says.
TOKEN = HTTPBearer(auto_error=False, bearerFormat="JWT", description="From `POST /token` of partners.")


async def _caller(request: Request, service: "Running", _: Annotated[object, Security(TOKEN)]) -> Caller:
    return await authenticated(request, service)


async def authenticated(request: Request, service: Service) -> Caller:
    """Who sends a request, if it may; what it may only not send now is for the route to refuse: `state.is_barred`.

    Raises:
        Problem: 401 or 403.
    """
    try:
        caller = service.verifier.caller(request.headers.get("authorization"))
        request.state.actor = caller.actor
        why = await barred(service, caller)
    except Unauthorised as error:
        UNAUTHORISED.inc()
        raise Problem(401, str(error), headers={"WWW-Authenticate": 'Bearer realm="praktika"'}) from None
    request.state.is_barred = bool(why)
    if why and request.method in ("GET", "HEAD"):  # what is sent is refused where it can be noted, too
        raise Problem(403, why, [("source", why)])
    _refuse_beyond(caller, request)
    return caller


SENDS = ("/events", "/rejections", "/upload")


def _refuse_beyond(caller: Caller, request: Request) -> None:
    """Refuse what a credential's scope does not allow."""
    is_read = request.method in ("GET", "HEAD")
    if (caller.scope == "read" and not is_read) or (caller.scope == "send" and not request.url.path.startswith(SENDS)):
        detail = f"this credential of {caller.organisation} may only {caller.scope}"
        raise Problem(403, detail, more={"scope": caller.scope})


async def barred(service: Service, caller: Caller) -> str | None:
    """Why the caller may do nothing now, if it is suspended; the token may be older than that.

    Raises:
        Unauthorised: the credential was withdrawn.
    """
    if caller.is_operator:
        return None
    found = await service.by_id("organisations", [caller.organisation], {"access": 1})
    access = found.get(caller.organisation, {}).get("access", {})
    if caller.credential in access.get("withdrawn", ()):
        raise Unauthorised("the credential that this token was given for has been withdrawn")
    given = {"organisation": caller.organisation, "reason": access.get("suspended")}
    return Text("{organisation} is suspended: {reason}", given) if "suspended" in access else None


Running = Annotated[Service, Depends(_service)]
Authenticated = Annotated[Caller, Depends(_caller)]


async def _active(service: Running, caller: Authenticated) -> Caller:
    """The caller, unless it is suspended: for commands of services that learn of it from the log."""
    if why := await barred(service, caller):
        raise Problem(403, why)
    return caller


Active = Annotated[Caller, Depends(_active)]
EntityId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}$")]


def require(caller: Caller, *kinds: Publisher) -> None:
    """Refuse a caller that is none of *kinds*; the operator is a kind like the others."""
    refuse_sandbox(caller)
    if caller.kind not in kinds:
        raise Problem(403, f"only {', '.join(kinds)} may do this; you are {caller.kind}")


def refuse_sandbox(caller: Caller) -> None:
    """What is commanded would be real. (Events are told apart: `Event.sandbox`.)"""
    if caller.sandbox:
        about = {"organisation": caller.organisation}
        raise Problem(
            403, Text("{organisation} is a sandbox organisation: it says everything through POST /events", about)
        )
