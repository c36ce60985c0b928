"""The HTTP side that all services share: problems, health, metrics, commands, paging."""

import asyncio
import faulthandler
import gc
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

import fastapi
import jiter
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contract import events
from shared.contract.events import Data, Event, Publisher
from shared.contract.text import composed, hidden_in
from shared.http import apidocs, auth, hardening, trail
from shared.http.auth import Caller, Unauthorised, Verifier
from shared.log.kafka import KafkaError, NotPublished, Producer, Record, dead_letter_topic, record_of
from shared.log.reads import Log
from shared.observability import logs, metrics
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.runner import Runner
from shared.settings import Settings
from shared.settings import settings as read_settings

log = logs.get(__name__)
UNAUTHORISED = Counter("praktika_unauthorised_total", "Requests without a valid token where one is needed.")
COMMAND_BYTES = 256 * 1024  # of a body: FastAPI reads a command's before it asks who is calling
LARGE_BODIES = ("/events", "/upload")  # beginnings of paths that take batches and files, and ask first
CURRENT_WITHIN_S = 10
ENDED_WITHIN_S = 10.0  # so long a task may take to end, twice
OBSERVE_EVERY_S = 10
WORK_AGAIN_S = 2
HANGING_S = 60  # an event loop that stands still, or an end that does not come, for so long: end the process
PORTS = {"partners": 8101, "feedback": 8102, "certification": 8103, "monitoring": 8104}


class Problem(Exception):
    """An answer by RFC 9457.

    Attributes:
        errors: (field, what is wrong with it), for the one who must mend it.
        more: further members of the answer, for programs.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self.status, self.detail, self.errors, self.headers, self.more = status, detail, errors or [], headers, more
        super().__init__(detail)

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"field": field, "detail": detail} for field, detail in self.errors]
        return body | (self.more or {})

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers, media_type="application/problem+json")


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

    @property
    def db(self) -> mongo.Database:
        """The database in use now."""
        return self.store.db

    async def by_id(
        self, collection: str, ids: Collection[str], fields: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Documents with these *fields*, not to be changed: who asks at the same time gets the same ones."""
        finder = self._finders.setdefault((collection, *fields), mongo.BatchedLookup(collection, fields))
        return await finder.find(self.db, ids)

    async def publish(self, *published: Event[Data]) -> list["Address"]:
        return await self.publish_records([record_of(event) for event in published])

    async def publish_records(self, records: list[Record]) -> list["Address"]:
        acknowledged = await self.producer.publish(records, timeout_s=10)
        return [Address(r.topic, a.partition, a.offset) for r, a in zip(records, acknowledged, strict=True)]

    async def applied(self, address: "Address") -> bool:
        position = (await mongo.positions(self.db)).get(f"{address.topic}-{address.partition}")
        return position is not None and position.next_offset > address.offset

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
            detail = "this service has not taken in yet what was said before; nothing was done: send it again"
            raise Problem(503, detail, headers={"Retry-After": "5"}) from None

    async def reached(self, wanted: Mapping[str, int]) -> bool:
        """Has the service taken in each partition, by label, up to these offsets?"""
        positions = await mongo.positions(self.db) if wanted else {}
        return all(label in positions and positions[label].next_offset >= end for label, end in wanted.items())


@dataclass(frozen=True)
class Address:
    """Where an event is in the log."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"/events/{self.topic}/{self.partition}/{self.offset}"


# Coroutines, though they wait for nothing: FastAPI runs plain functions in threads, where these would race.
async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


# For the OpenAPI document; what a token is worth, the verifier says.
TOKEN = HTTPBearer(auto_error=False, bearerFormat="JWT", description="From `POST /token` of partners.")


async def _caller(request: Request, service: "Running", _: Annotated[object, Security(TOKEN)]) -> Caller:
    try:
        caller = service.verifier.caller(request.headers.get("authorization"))
        request.state.actor = caller.actor
        why = await barred(service, caller)
    except Unauthorised as error:
        UNAUTHORISED.inc()
        raise Problem(401, str(error), headers={"WWW-Authenticate": 'Bearer realm="praktika"'}) from None
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
    return f"{caller.organisation} is suspended: {access['suspended']}" if "suspended" in access else None


Running = Annotated[Service, Depends(_service)]
Authenticated = Annotated[Caller, Depends(_caller)]
EntityId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}$")]


def require(caller: Caller, *kinds: Publisher) -> None:
    """Refuse a caller that is none of *kinds*; the operator is a kind like the others."""
    _refuse_sandbox(caller)
    if caller.kind not in kinds:
        raise Problem(403, f"only {', '.join(kinds)} may do this; you are {caller.kind}")


def _refuse_sandbox(caller: Caller) -> None:
    """What is commanded would be real. (Events are told apart: `Event.sandbox`.)"""
    if caller.sandbox:
        raise Problem(403, f"{caller.organisation} is a sandbox organisation: it says everything through POST /events")


def event_by(caller: Caller, data: Data, subject: str) -> Event[Data]:
    """The event by which *caller* says *data* about an entity now."""
    _refuse_sandbox(caller)
    content = data.model_dump(mode="json")
    if wrong := hidden_in(content):
        raise Problem(422, wrong[1], [wrong])
    return events.compose(
        type(data).model_validate_json(composed(data.model_dump_json())),
        source=caller.source,
        kind=caller.kind,
        id=str(uuid4()),
        subject=subject,
        key=subject,
        time=datetime.now(UTC),
    )


async def accept(
    service: Service,
    event: Event[Data],
    prefer: str | None,
    read: Callable[[], Awaitable[dict[str, Any]]],
) -> JSONResponse:
    """Publish a command's event; answer 202 with its address or, as `Prefer: wait=<seconds>` asks, the applied state.

    Args:
        prefer: the request's `Prefer` header (RFC 7240); at most 30 seconds are waited.
    """
    (address,) = await service.publish(event)
    headers = {"Location": str(address)}
    wanted = re.search(r"\bwait=(\d{1,4})\b", prefer or "")
    if wanted:
        try:
            async with asyncio.timeout(min(30, int(wanted[1]))):
                while not await service.applied(address):
                    await asyncio.sleep(0.02)
            return JSONResponse(await read(), 200, headers | {"Preference-Applied": wanted[0]})
        except TimeoutError:
            pass
    return JSONResponse({"id": event.id, "type": event.type, "event": str(address)}, 202, headers)


Prefer = Annotated[str | None, Header(description="wait=<seconds> answers with the applied state (RFC 7240)")]


@dataclass
class Paging:
    """Which part of a list is wanted: up to `limit` items after the id `after`."""

    after: Annotated[str | None, Query(max_length=200)] = None
    limit: Annotated[int, Query(ge=1, le=1000)] = 100


Pages = Annotated[Paging, Depends(Paging)]


def public(doc: dict[str, Any]) -> dict[str, Any]:
    """An entity as it is shown: its id and its view."""
    return {"id": doc["_id"], **{k: v for k, v in doc.items() if k not in ("_id", "state", "partition", "access")}}


async def listed(db: mongo.Database, collection: str, match: dict[str, Any], paging: Paging) -> dict[str, Any]:
    """A page of a collection; `next` is the `after` of the following page."""
    wanted = {field: value for field, value in match.items() if value is not None}
    items, next_after = await mongo.page(db, collection, wanted, paging.after, paging.limit)
    return {"items": [public(doc) for doc in items], "next": next_after}


async def found(db: mongo.Database, collection: str, id: str) -> dict[str, Any]:
    """One entity as it is shown, or 404."""
    doc = await db[collection].find_one({"_id": id, "state.erased": {"$exists": False}})
    if doc is None:
        raise Problem(404, f"there is no {id} in {collection} (yet)")
    return public(doc)


common = APIRouter()


@common.get("/health/live", tags=["operation"])
async def live(service: Running) -> dict[str, str]:
    """Is the process worth keeping?"""
    return {"status": "live"}


@common.get("/health/ready", tags=["operation"], responses={503: {"description": "Not ready; the answer says why."}})
async def ready(service: Running) -> JSONResponse:
    """Can the service do its work now? If not, the reason."""
    reasons = await _hindrances(service)
    return JSONResponse({"status": "not ready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200)


async def _hindrances(service: Service) -> list[str]:
    reasons = []
    try:
        async with asyncio.timeout(3):
            await mongo.Store(service.db).ping()
    except (mongo.DatabaseError, TimeoutError) as error:
        reasons.append(f"MongoDB does not answer: {type(error).__name__}")
    if service.settings.role != "worker":
        try:
            await service.producer.ping()
        except NotPublished as error:
            reasons.append(str(error)[:300])
    if service.runner is not None and service.runner.trouble:
        reasons.append(service.runner.trouble)
    return [*reasons, *service.troubles.values()]


@common.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
async def show_metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@common.get("/events/{topic}/{partition}/{offset}", tags=["events"])
async def read_event(
    service: Running,
    caller: Authenticated,
    topic: str,
    partition: Annotated[int, Path(ge=0, le=10_000)],
    offset: Annotated[int, Path(ge=0, le=2**62)],
) -> JSONResponse:
    """The event at an address, for who published it and the operator; `applied`: has this service taken it in?"""
    address = Address(topic, partition, offset)
    record = await service.log.record(topic, partition, offset) if topic in (*events.TOPICS, events.SANDBOX) else None
    try:
        event = events.parse(record.value or b"", tolerant=True) if record else None
    except events.ContractError:
        event = None
    if event is None or not (caller.is_operator or event.source == caller.source):
        raise Problem(404, f"there is no event of yours at {address}")
    applied = await service.applied(address)
    return JSONResponse({"event": event.model_dump(mode="json", exclude_none=True), "applied": applied})


@common.get("/docs", include_in_schema=False)
async def show_docs(request: Request) -> HTMLResponse:
    """What this service answers, for people."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(apidocs.page(request.app.openapi()), headers={"Content-Security-Policy": policy})


Observation = Callable[[Service], Awaitable[None]]


async def observe(service: Service, observations: Sequence[Observation]) -> None:
    """Keep the metrics that have to be asked for; what cannot be asked now keeps its last value."""
    while True:
        for observation in observations:
            try:
                async with asyncio.timeout(10):
                    await observation(service)
            except (NotPublished, mongo.DatabaseError, TimeoutError):
                pass  # readiness says it
            except Exception:
                log.exception("not_observed", metric=observation.__name__)
        await asyncio.sleep(OBSERVE_EVERY_S)


async def _readiness(service: Service) -> None:
    is_ready = False
    try:
        is_ready = not await _hindrances(service)
    finally:
        metrics.READY.set(is_ready)


async def _keys(service: Service) -> None:
    for key, age_s in auth.key_ages_s(service.settings).items():
        metrics.KEY_AGE_S.labels(key).set(age_s)


async def _dead_letters(service: Service) -> None:
    topic = dead_letter_topic(service.core.name)
    metrics.DEAD_LETTER_RECORDS.labels(topic).set(sum((await service.log.ends(topic)).values()))


async def _disk(service: Service) -> None:
    """MongoDB sees its own disk; where that is not known (in memory, behind a router) nothing is shown."""
    client = mongo.connect(service.settings, strict=False)
    try:
        sizes = await mongo.disk(client, service.db.name)
    finally:
        client.close()
    if sizes:
        metrics.DISK_BYTES.labels(service.db.name).set(sizes[0])
        metrics.DISK_USED_BYTES.labels(service.db.name).set(sizes[1])


OBSERVED: tuple[Observation, ...] = (_readiness, _keys, _dead_letters, _disk)


class BodyTooLarge(fastapi.HTTPException):
    """The body is beyond the limit. (Of all that reading a body raises, FastAPI lets only its own exception pass.)"""


class BodyLimit:
    """Refuses a request body that is too large with 413, unread if its length was announced, and ends a slow one.

    Args:
        large: bytes allowed for `LARGE_BODIES`; for others `COMMAND_BYTES` are.
    """

    def __init__(self, app: ASGIApp, large: int) -> None:
        self.app, self.large = app, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        is_command = not scope["path"].startswith(LARGE_BODIES)
        limit = min(self.large, COMMAND_BYTES) if is_command else self.large
        seen, whole, body = 0, False, bytearray()
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and (len(announced) > 18 or int(announced) > limit)
        ends_at = asyncio.get_running_loop().time() + hardening.BODY_S

        async def counted() -> Message:
            nonlocal seen, whole
            if whole:
                return await receive()  # whatever comes after the body: the end of the connection
            if not too_large:
                try:
                    async with asyncio.timeout_at(ends_at):
                        message = await receive()
                except TimeoutError:
                    return {"type": "http.disconnect"}
                whole = not message.get("more_body")
                seen += len(message.get("body", b""))
            if too_large or seen > limit:
                raise BodyTooLarge(413, f"the body is larger than {limit} bytes")
            if is_command:
                body.extend(message.get("body", b""))
                if whole:
                    _refuse_twice(bytes(body))
            return message

        await self.app(scope, counted, send)


def _refuse_twice(body: bytes) -> None:
    """Refuse JSON with a member that is given twice: readers differ in which of the two they take."""
    try:
        jiter.from_json(body, catch_duplicate_keys=True)
    except ValueError as error:
        if "duplicate key" in str(error):
            raise fastapi.HTTPException(400, str(error)) from None


_TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail"), _TEXT),
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {"field": _TEXT, "detail": _TEXT}}},
    },
}
PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {"application/problem+json": {"schema": PROBLEM_REF}},
    }
    for status, description in (("4XX", "What to mend (RFC 9457)."), ("5XX", "What is wrong here (RFC 9457)."))
}


ACCEPTED_BODY = {
    "type": "object",
    "required": ["id", "type", "event"],
    "properties": {**dict.fromkeys(("id", "type"), _TEXT), "event": {**_TEXT, "description": "Its address."}},
}


class Application(FastAPI):
    """FastAPI, but its document knows the shape of a problem, and both answers to a command: see `accept`."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            if "prefer" in (parameter["name"] for parameter in operation.get("parameters", ())):
                operation["responses"] |= {
                    "200": {"description": "The state, now or already.", "content": _json({"type": "object"})},
                    "202": {"description": "Accepted; not applied yet.", "content": _json(ACCEPTED_BODY)},
                }
        return document


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation_id(route: APIRoute) -> str:
    return route.name


def _field(error: Mapping[str, Any]) -> str:
    """Where a request is wrong; of what is no JSON the location is only a character."""
    if error["type"] == "json_invalid":
        return "body"
    return ".".join(str(part) for part in error["loc"][1:])[:200]


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [(_field(e), str(e["msg"])[:500]) for e in error.errors()[:50]]
        return Problem(422, "the request does not fit", errors).response()

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})).response()

    @app.exception_handler(ClientDisconnect)
    async def ended(_: Request, error: ClientDisconnect) -> JSONResponse:
        return Problem(400, "the body ended early, or took too long").response()

    @app.exception_handler(NotPublished)
    @app.exception_handler(mongo.DatabaseError)
    async def unavailable(_: Request, error: Exception) -> JSONResponse:
        log.warning("unavailable", reason=repr(error)[:300])
        detail = "Kafka or MongoDB does not answer; what you sent may or may not have been taken: send it again"
        return Problem(503, detail, headers={"Retry-After": "5"}).response()

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> JSONResponse:
        return Problem(500, "this is a defect of ours; it has been logged").response()


async def _store(client: Any, core: Core, settings: Settings) -> mongo.Store:
    """The service's databases; where MongoDB does not answer yet, whoever follows finds out which is in use."""
    home = mongo.database(client, settings, core.name)
    try:
        async with asyncio.timeout(2):
            return mongo.Store(await mongo.live(home), home)
    except (mongo.DatabaseError, TimeoutError):
        return mongo.Store(home)


async def _follow(store: mongo.Store) -> None:
    """Go over to the database that is in use; the operator's rebuild may have swapped it. (A runner does so itself.)"""
    while True:
        with suppress(mongo.DatabaseError):
            store.db = await mongo.live(store.home)
        await asyncio.sleep(1)


async def _guard() -> None:
    """Put off the end of the process, again and again: a thread that needs no event loop brings it about."""
    while True:
        faulthandler.dump_traceback_later(HANGING_S, exit=True)
        await asyncio.sleep(1)


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end, but not for ever: one that swallows its cancellation is named and left."""
    late = set(tasks)
    for _ in range(2):
        for task in late:
            task.cancel()
        if late:
            _, late = await asyncio.wait(late, timeout=ENDED_WITHIN_S)
    if late:
        log.warning("not_stopped", tasks=sorted(str(task.get_coro()) for task in late))


Work = Callable[[Service], Awaitable[None]]


async def _keep_at(work: Work, service: Service) -> None:
    """Do *work* for as long as the service runs; whatever ends it, it begins anew."""
    while True:
        try:
            await work(service)
        except (NotPublished, KafkaError, mongo.DatabaseError, TimeoutError) as error:
            log.warning("work_interrupted", work=work.__name__, reason=repr(error)[:300])
        except Exception:
            log.exception("work_interrupted", work=work.__name__)
        await asyncio.sleep(WORK_AGAIN_S)


def create_app(  # noqa: PLR0913
    core: Core,
    router: APIRouter,
    settings: Settings | None = None,
    observations: Sequence[Observation] = (),
    *,
    work: Sequence[Work] = (),
    guarded: bool = False,
) -> FastAPI:
    """The HTTP application of a service; with the role all or worker its consumer runs inside.

    Args:
        observations: what the service itself has to ask for to keep its metrics.
        work: what else goes on beside answering requests; as the consumer does, not in a process that only answers.
        guarded: end the process if it hangs, so that its supervisor starts a fresh one.
    """
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = mongo.connect(settings)
        store, producer, kafka_log = await _store(client, core, settings), Producer(settings), Log(settings)
        runner = Runner(core, settings, store, producer) if settings.role != "api" else None
        app.state.service = Service(core, settings, store, producer, kafka_log, Verifier(settings), runner)
        if runner:
            runner.start()
        metrics.show_build(settings)
        app.state.trail = trail.Trail(core.name, producer)
        tasks = [asyncio.create_task(observe(app.state.service, [*OBSERVED, *observations]))]
        tasks.append(asyncio.create_task(app.state.trail.keep()))
        if settings.role != "api":
            tasks += [asyncio.create_task(_keep_at(each, app.state.service)) for each in work]
        if not runner:
            tasks.append(asyncio.create_task(_follow(store)))
        if guarded:
            tasks.append(asyncio.create_task(_guard()))
        log.info("started", role=settings.role)
        try:
            yield
        finally:
            await end(tasks)
            if runner:
                await runner.stop()
            await app.state.trail.flush()
            await kafka_log.close()
            await producer.close()
            client.close()
            log.info("stopped")

    app = Application(
        title=f"Praktika {core.name}",
        version=metrics.VERSION,
        lifespan=lifespan,
        responses=REFUSALS,
        generate_unique_id_function=_operation_id,
        docs_url=None,  # ours are below, with a policy
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, large=settings.batch_max_bytes)
    app.add_middleware(
        hardening.AnonymousLimits,
        at_once=settings.strangers_at_once,
        per_s=settings.strangers_per_s,
        burst=settings.strangers_burst,
    )
    app.add_middleware(hardening.SecurityHeaders)
    app.add_middleware(trail.AuditMiddleware, trail=lambda: getattr(app.state, "trail", None))
    app.add_middleware(metrics.RequestMetrics)  # added last: the outermost, so that it sees every answer
    _handle_errors(app)
    app.include_router(common)
    if settings.role != "worker":
        app.include_router(router)
    return app


def tune(role: str) -> None:
    """Set the interpreter for batches, or for requests."""
    gc.freeze()  # what is imported stays
    # A batch makes a few hundred thousand objects that all go together, without a collection. Requests leave cycles,
    # some of which hold much memory.
    gc.set_threshold(500_000 if role == "worker" else 20_000, 20, 20)
    # The driver's threads ask for the interpreter many times per transaction, and waited 5 ms each time.
    sys.setswitchinterval(0.0005)


def serve(core: Core, router: APIRouter, observations: Sequence[Observation] = (), work: Sequence[Work] = ()) -> None:
    """Run a service until SIGTERM; see `create_app`."""
    settings = read_settings()
    logs.configure(core.name, settings.log_level)
    tune(settings.role)
    app = create_app(core, router, settings, observations, work=work, guarded=True)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port or PORTS[core.name],
        ws="none",
        log_config=None,
        server_header=False,
        http=hardening.SlowClientTimeout,
        h11_max_incomplete_event_size=hardening.HEAD_BYTES,
        forwarded_allow_ips=settings.proxies,
        timeout_graceful_shutdown=20,
    )
    app.state.server = uvicorn.Server(config)  # what answers for long looks whether the server is ending
    with suppress(KeyboardInterrupt):
        app.state.server.run()
    if not app.state.server.started:
        sys.exit(3)
