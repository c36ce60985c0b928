"""praktika status: what runs, how far each service is, and what waits for the operator."""

import asyncio
import importlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import httpx
from aiokafka.errors import KafkaError

from deploy.praktika import dead_letters
from shared.log.producer import NotPublished
from shared.log.raw import Spans, reader
from shared.log.topics import SERVICES
from shared.operator import console
from shared.operator.console import Json, say, show, show_json, show_table, time_of
from shared.operator.rebuild import databases
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.mongo import Position
from shared.settings import Settings

ANSWER_S = 5


@dataclass
class Status:
    """One service. What could not be found out is None.

    Attributes:
        url: where it answers, if the environment says so (PRAKTIKA_<SERVICE>_URL).
        ready: whether it says that it can do its work.
        workers: how many processes consume for it.
        lag: by topic, how many records are published and not applied.
        applied_until: everything published before is applied.
        database, former: which is in use, and which a rebuild has put aside and kept.
        outdated: the database was made by earlier rules, and lacks something until it is rebuilt.
    """

    name: str
    url: str | None = None
    ready: bool | None = None
    workers: int | None = None
    lag: dict[str, int] | None = None
    applied_until: str | None = None
    dead_letters: int | None = None
    database: str | None = None
    former: str | None = None
    outdated: bool = False
    troubles: list[str] = field(default_factory=list)


@dataclass
class Network:
    """All services, and which server does not answer, with what it said."""

    services: list[Status]
    servers: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(("kafka", "mongodb")))


def command(json: Json = False) -> None:
    """Show what runs and is ready, lag, open dead letters, and until when everything is applied.

    Ends with 1 if a service is not ready or nobody consumes for it. Dead letters and lag alone are no failure.
    """

    async def work(settings: Settings) -> int:
        network = await look(settings)
        if json:
            show_json(asdict(network))
        else:
            _print(network)
        if any(network.servers.values()):
            return console.NO_ANSWER
        return console.DIFFERENT if any(status.troubles for status in network.services) else console.OK

    console.run(work)


async def look(settings: Settings) -> Network:
    network = Network([Status(name, os.environ.get(f"PRAKTIKA_{name.upper()}_URL")) for name in SERVICES])
    async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as http:
        await asyncio.gather(*(_ask(http, status) for status in network.services))
    ends: Spans = {}
    try:
        ends = await _ask_kafka(settings, network.services)
    except (NotPublished, KafkaError) as error:
        network.servers["kafka"] = f"{error} (at {settings.kafka_bootstrap_servers})"
    try:
        await _ask_mongodb(settings, network.services, ends)
    except mongo.DatabaseError as error:
        network.servers["mongodb"] = f"{type(error).__name__} (at {console.servers_of(settings.mongodb_uri)})"
    return network


async def _ask(http: httpx.AsyncClient, status: Status) -> None:
    if status.url is None:
        return
    try:
        answer = await http.get(f"{status.url}/health/ready")
        status.ready = answer.is_success
        status.troubles += [] if status.ready else list(map(str, answer.json()["reasons"]))
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        status.ready = False
        status.troubles.append(f"does not answer at {status.url}: {type(error).__name__}")


async def _ask_kafka(settings: Settings, services: list[Status]) -> Spans:
    """Note who consumes and what is dead; return where all topics end."""
    found, _ = await dead_letters.read(settings)
    async with reader(settings) as topics:
        members = await topics.members(SERVICES)
        ends = await topics.spans({topic for status in services for topic in core(status.name).topics})
    for status in services:
        status.dead_letters = sum(x.is_open and x.service == status.name for x in found.letters)
        status.workers = members.get(status.name, 0)
        if not status.workers:
            status.troubles.append("nobody consumes for it")
    return ends


async def _ask_mongodb(settings: Settings, services: list[Status], ends: Spans) -> None:
    client = mongo.connect(settings)
    try:
        for status in services:
            home = mongo.database(client, settings, status.name)
            dbs = await databases(home)
            status.database, status.former = dbs.live.name, dbs.other.name if dbs.is_kept else None
            status.outdated = await mongo.generation(dbs.live) < core(status.name).generation
            _note(status, await mongo.positions(dbs.live), ends)
    finally:
        client.close()


def _note(status: Status, stands: Mapping[str, Position], ends: Spans) -> None:
    """Note how far the service is; without *ends*, because Kafka does not answer, lag is not known."""
    topics = core(status.name).topics
    if ends:
        status.lag = dict.fromkeys(topics, 0)
    for tp, (_, end) in ends.items():
        topic = tp.topic.partition(".")[2]
        if topic in topics:
            at = stands.get(f"{topic}-{tp.partition}")
            behind = end - (at.next_offset if at else 0)
            if behind < 0:
                status.troubles.append(f"has applied more of {topic}-{tp.partition} than there is: was it made anew?")
            status.lag[topic] += max(0, behind)  # type: ignore[index]
    until = min((at.complete_until_ms for at in stands.values()), default=0)
    status.applied_until = time_of(until) if until else None


def core(service: str) -> Core:
    found: Core = importlib.import_module(f"services.{service}.app").core
    return found


def _print(network: Network) -> None:
    rows = []
    for x in network.services:
        ready = {True: "yes", False: "no", None: "-"}[x.ready]
        lag = None if x.lag is None else sum(x.lag.values())
        until = x.applied_until and f"{x.applied_until[:19]}"
        rows.append([x.name, ready, x.workers, lag, x.dead_letters, until, x.url])
    cells = [["-" if cell is None else cell for cell in row] for row in rows]
    show_table(["SERVICE", "READY", "WORKERS", "LAG", "DEAD LETTERS", "APPLIED UNTIL", "ADDRESS"], cells)
    for x in network.services:
        for trouble in x.troubles:
            show(f"{x.name}: {trouble}")
        if x.outdated:
            show(
                f"{x.name}: an earlier version made its database: praktika rebuild {x.name} --accept adds what it lacks"
            )
        if x.former:
            show(f"{x.name}: uses {x.database}; {x.former} is kept (praktika rebuild {x.name} --drop-old)")
        for topic, behind in (x.lag or {}).items():
            if behind:
                show(f"{x.name}: {behind} of {topic} not applied yet")
    for name, why in network.servers.items():
        if why:
            say(f"{name} does not answer: {why}. Start it, or set its address (see `praktika --help`).")
