"""The HTTP application of a service: what it is put together from, how it starts, and how it ends."""

import asyncio
import faulthandler
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI

from shared import __version__
from shared.http import hardening, trail
from shared.http.auth import Unauthorised, Verifier
from shared.http.bodies import BodyLimit
from shared.http.caching import Compression, ConditionalGet, FromMemory, Prepared
from shared.http.commands import ACCEPTED_BODY
from shared.http.common import common, home
from shared.http.health import OBSERVED, Observation, observe
from shared.http.problems import PROBLEM, handle_errors
from shared.http.service import Service
from shared.http.sessions import Sessions
from shared.log.producer import NotPublished, Producer
from shared.log.reads import Log
from shared.observability import logs, metrics
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.runner import Runner
from shared.settings import PORTS, Settings
from shared.settings import settings as read_settings

log = logs.get(__name__)

ENDED_WITHIN_S = 10.0  # so long a task may take to end, twice
WORK_AGAIN_S = 2
HANGING_S = 60  # an event loop that stands still, or an end that does not come, for so long: end the process
KEEP_ALIVE_S = 30  # longer than clients keep an idle connection, or they would use it while it is being closed


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
Find = Callable[[Service, str], Prepared | None]


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
    serving: Sequence[Work] = (),
    find: Find | None = None,
    guarded: bool = False,
) -> FastAPI:
    """The HTTP application of a service; with the role all or worker its consumer runs inside.

    Args:
        observations: what the service itself has to ask for to keep its metrics.
        work: what else goes on beside answering requests; as the consumer does, not in a process that only answers.
        serving: what goes on in each process that answers requests.
        find: what is prepared to be answered at a path, if anything is.
        guarded: end the process if it hangs, so that its supervisor starts a fresh one.
    """
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = mongo.connect(settings)
        store, producer, kafka_log = await _store(client, core, settings), Producer(settings), Log(settings)
        runner = Runner(core, settings, store, producer, kafka_log) if settings.role != "api" else None
        app.state.service = Service(core, settings, store, producer, kafka_log, Verifier(settings), runner)
        if runner:
            runner.start()
        metrics.show_build(settings)
        app.state.trail = trail.Trail(core.name, producer)
        tasks = [asyncio.create_task(observe(app.state.service, [*OBSERVED, *observations]))]
        tasks.append(asyncio.create_task(app.state.trail.keep()))
        beside = (*(work if settings.role != "api" else ()), *(serving if settings.role != "worker" else ()))
        tasks += [asyncio.create_task(_keep_at(each, app.state.service)) for each in beside]
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

    routes = common.routes
    if settings.role != "worker":  # they are asked in this order
        routes = [*router.routes, *common.routes, *home.routes]
    app = Application(
        title=f"Praktika {core.name}",
        version=__version__,
        lifespan=lifespan,
        routes=routes,
        docs_url=None,  # ours are below, with a policy
        redoc_url=None,
        telemetry={
            "tracing": False,
            "metrics": False,
        },  # ours are at /metrics; FastAPI would look for OpenTelemetry each time
    )
    app.state.settings, app.state.name = settings, core.name
    app.add_middleware(BodyLimit, large=settings.batch_max_bytes)
    app.add_middleware(ConditionalGet)
    app.add_middleware(Compression)
    app.add_middleware(Sessions, service=lambda: app.state.service)
    if find:
        app.add_middleware(FromMemory, find=lambda path: find(app.state.service, path))
    app.add_middleware(
        hardening.AnonymousLimits,
        at_once=settings.strangers_at_once,
        per_s=settings.strangers_per_s,
        burst=settings.strangers_burst,
        is_known=lambda header: _is_known(app, header),
    )
    app.add_middleware(hardening.SecurityHeaders)
    app.add_middleware(trail.AuditMiddleware, trail=lambda: getattr(app.state, "trail", None))
    app.add_middleware(metrics.RequestMetrics)  # added last: the outermost, so that it sees every answer
    handle_errors(app)
    return app


def _is_known(app: Application, authorization: str) -> bool:
    """Is it a token of ours? A secret, which partners alone takes, has limits of its own there."""
    if authorization[:6].lower() == "basic ":
        return bool(app.state.name == "partners")
    try:
        app.state.service.verifier.caller(authorization)
    except (AttributeError, OSError, Unauthorised):  # there are no keys, or no service, yet
        return False
    return True


def tune(role: str) -> None:
    """Set the interpreter for batches, or for requests."""
    gc.freeze()  # what is imported stays
    # A batch makes a few hundred thousand objects that all go together, without a collection. Requests leave cycles,
    # some of which hold much memory.
    gc.set_threshold(500_000 if role == "worker" else 20_000, 20, 20)
    # The driver's threads ask for the interpreter many times per transaction, and wait so long each time (else 5 ms).
    sys.setswitchinterval(0.0001)


class _Server(uvicorn.Server):
    """uvicorn's own looks ten times a second whether it should end: this one is woken for that."""

    async def main_loop(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):  # each second a new date for the answers
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._ending.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if hasattr(self, "_loop"):
            self._loop.call_soon_threadsafe(self._ending.set)


def serve(  # noqa: PLR0913, PLR0917
    core: Core,
    router: APIRouter,
    observations: Sequence[Observation] = (),
    work: Sequence[Work] = (),
    serving: Sequence[Work] = (),
    find: Find | None = None,
) -> None:
    """Run a service until SIGTERM; see `create_app`."""
    settings = read_settings()
    logs.configure(core.name, settings.log_level)
    tune(settings.role)
    app = create_app(core, router, settings, observations, work=work, serving=serving, find=find, guarded=True)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port or PORTS[core.name],
        ws="none",
        loop=f"{metrics.__name__}:{metrics.MeasuredLoop.__name__}",
        log_config=None,
        server_header=False,
        http=hardening.SlowClientTimeout,
        h11_max_incomplete_event_size=hardening.HEAD_BYTES,
        forwarded_allow_ips=settings.proxies.replace(",", " ").split(),
        timeout_graceful_shutdown=20,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    app.state.server = _Server(config)  # what answers for long looks whether the server is ending
    with suppress(KeyboardInterrupt):
        app.state.server.run()
    if not app.state.server.started:
        sys.exit(3)
