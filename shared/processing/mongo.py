"""MongoDB: the only place that imports the driver; states, counters and positions of one service."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import bson
from bson import json_util
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorDatabase
from prometheus_client import Counter as Metric
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.server_api import ServerApi
from pymongo.synchronous.client_session import ClientSession
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from shared.observability import logs
from shared.processing.facts import State
from shared.settings import Settings

Database = AsyncIOMotorDatabase[dict[str, Any]]
DatabaseError = PyMongoError
log = logs.get(__name__)

RETRIES = Metric("praktika_transaction_retries_total", "Transactions begun again because MongoDB called it transient.")

AUTHENTICATION_FAILED = 18
# What the services and the operator's commands do, in databases whose names follow from the namespace.
ROLES = ["readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterMonitor"]
RETRIED_FOR_S = 10  # longer than what a killed process leaves open holds its conflicts: 3 s, and a look each 1.5 s
LIVE = "_live"
POSITIONS = "_positions"
ABOUT = "_about"  # by which rules the database was made
COUNTERS = "_counters"


PAGE_BYTES = 1_000_000  # of a page of a list; who wants more asks for the next
DOCS_AT_ONCE = 100


class Key(NamedTuple):
    """Where an entity's state is kept."""

    collection: str
    id: str


# What is counted: a scope (kind and id), a period (YYYY-MM, UTC) and a measure. A plain tuple: millions are made.
Counter = tuple[str, str, str, str]
Counts = dict[Counter, int]
TOTAL = "/total"  # ends the kind of a total


def totals(counts: Counts) -> Counts:
    """The counts over all ids of a kind: kept, too, so that a value of the whole network is a few documents."""
    found: Counts = {}
    for (kind, _, period, measure), count in counts.items():
        total = kind + TOTAL, "", period, measure
        found[total] = found.get(total, 0) + count
    return found


class Fenced(Exception):
    """Somebody else has moved this partition's position: it is no longer ours, nothing was written."""


class Position(NamedTuple):
    """How far a partition is applied: the next offset, and until when (ms) everything published is applied."""

    next_offset: int
    complete_until_ms: int

    @classmethod
    def of(cls, doc: Mapping[str, Any]) -> "Position":
        return cls(doc["next"], max(doc.get("time_ms", 0), doc.get("complete_ms", 0)))


@dataclass
class WriteSet:
    """One batch, to be written whole or not at all.

    Attributes:
        states: by key, with the label of the partition (`learner-3`) that owns it and the fields to search by.
        counts: by partition label, what to add.
        positions: by partition label, the offset expected, the next one, and the last record's time (ms).
        new: keys of `states` that the database does not have yet.
    """

    states: dict[Key, tuple[str, State, dict[str, Any]]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    positions: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    new: set[Key] = field(default_factory=set)


def connect(settings: Settings, *, strict: bool = True) -> "AsyncIOMotorClient[dict[str, Any]]":
    """A client that speaks nothing but MongoDB's Stable API 1, so that it goes on with the next versions of the server.

    It logs in as the URI says, else with the settings' user if they have a password.

    Args:
        strict: False for what that API does not have: to make a replica set, and to ask how full the disk is.
    """
    return AsyncIOMotorClient(
        settings.mongodb_uri,
        server_api=ServerApi("1", strict=True, deprecation_errors=True) if strict else None,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=20_000,
        retryWrites=True,
        w="majority",
        readConcernLevel="majority",
        **_login(settings),
    )


def _login(settings: Settings) -> dict[str, Any]:
    password = settings.mongodb_password.get_secret_value()
    if not password or parse_uri(settings.mongodb_uri)["username"]:
        return {}
    return {"username": settings.mongodb_user, "password": password, "authSource": "admin"}


def database(client: "AsyncIOMotorClient[dict[str, Any]]", settings: Settings, service: str) -> Database:
    """The home of a service: it holds what is not in the log, and says which database is in use, see `live`."""
    return client[f"{settings.namespace}_{service}"]


async def live(home: Database) -> Database:
    """The database that a service uses: its home, unless `praktika rebuild` has put the one beside it in its place."""
    pointer = await home[LIVE].find_one({"_id": "live"})
    return home.client[pointer["database"]] if pointer else home


async def ensure_replica_set(settings: Settings) -> bool:
    """Initiate a replica set of one node if the server has none; return whether it did. Wait for the primary.

    The member is named as the URI names the host, because clients follow the member's name. With a login of ours the
    server is asked at 127.0.0.1: before there is a user, it obeys who comes from its own machine. Then make that login.
    """
    (host, port), *_ = parse_uri(settings.mongodb_uri)["nodelist"]
    login = _login(settings)
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        f"mongodb://127.0.0.1:{port}" if login else settings.mongodb_uri,
        directConnection=True,
        replicaSet=None,
        serverSelectionTimeoutMS=30_000,
    )
    try:
        hello = await client.admin.command("hello")
        made = "setName" not in hello and "msg" not in hello
        if made:
            member = {"_id": 0, "host": f"{host}:{port}"}
            await client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        async with asyncio.timeout(60):
            while not (await client.admin.command("hello")).get("isWritablePrimary"):
                await asyncio.sleep(0.2)
        if login:
            await _ensure_login(settings, client)
        return made
    finally:
        client.close()


async def _ensure_login(settings: Settings, beside: "AsyncIOMotorClient[dict[str, Any]]") -> None:
    """Make the user that the settings name, unless it can log in.

    Args:
        beside: a client on the server's own machine, which may make the first user.
    """
    client = connect(settings)
    try:
        await client.admin.command("ping")
    except OperationFailure as error:
        if error.code != AUTHENTICATION_FAILED:
            raise
        login = _login(settings)
        try:
            await beside.admin.command("createUser", login["username"], pwd=login["password"], roles=ROLES)
        except OperationFailure as refused:
            raise RuntimeError(f"MongoDB has users, and this password is not {login['username']}'s") from refused
    finally:
        client.close()


async def ensure_indexes(db: Database, indexes: Mapping[str, Iterable[Sequence[str]]], generation: int = 1) -> None:
    """Create the collections and indexes of a service (field names ascending); what exists stays.

    A database that is new is noted as one of this *generation*.
    """
    existing = set(await db.list_collection_names())
    if POSITIONS not in existing:
        await db[ABOUT].replace_one({"_id": "generation"}, {"number": generation}, upsert=True)
    for collection in {POSITIONS, COUNTERS, *indexes} - existing:
        await db.create_collection(collection)
    wanted: dict[str, list[Sequence[str]]] = {COUNTERS: [("kind", "id", "period")]}
    wanted |= {name: [("partition",), *some] for name, some in indexes.items()}
    for collection, several in wanted.items():  # all at once: each command waits for the majority
        await db[collection].create_indexes([IndexModel([(name, ASCENDING) for name in fields]) for fields in several])


async def generation(db: Database) -> int:
    """The generation of the rules by which a database was made; 1 where nothing is noted."""
    found = await db[ABOUT].find_one({"_id": "generation"})
    return found["number"] if found else 1


async def transact(db: Database, work: Callable[[AsyncIOMotorClientSession], Awaitable[None]]) -> None:
    """Run *work* in one majority transaction; retry what MongoDB calls transient, with jittered back-off.

    The driver's own `with_transaction` retries at once and so makes contention worse.
    Raises:
        DatabaseError: still failing after `RETRIED_FOR_S`; nothing was written.
    """
    until = time.monotonic() + RETRIED_FOR_S
    async with await db.client.start_session() as session:
        for attempt in itertools.count():
            session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
            try:
                await work(session)
                await _commit(session)
                return
            except BaseException as error:
                with suppress(PyMongoError):
                    await _whole(session.abort_transaction())
                transient = isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")
                if not transient or time.monotonic() > until:
                    raise
            RETRIES.inc()
            await asyncio.sleep(random.uniform(0, min(2.0, 0.02 * 2**attempt)))  # noqa: S311


async def _whole(doing: Awaitable[Any]) -> Any:
    """Await what a thread of the driver does; who is cancelled leaves only when it is done.

    Else the transaction would be aborted first, and the thread would go on to write outside of it.
    """
    thread = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        while not thread.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([thread])
        thread.cancelled() or thread.exception()  # or asyncio would report that nobody has looked
        raise


async def _commit(session: AsyncIOMotorClientSession) -> None:
    """Commit; while the outcome is unknown, ask again (committing twice is committing once)."""
    for attempt in range(5):
        try:
            await _whole(session.commit_transaction())
            return
        except (ConnectionFailure, OperationFailure) as error:
            if attempt == 4 or not error.has_error_label("UnknownTransactionCommitResult"):
                raise
        await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311


class Store:
    """What the runner reads and writes of one service: in `db`, the database in use."""

    def __init__(self, db: Database, home: Database | None = None) -> None:
        self.db = db
        self.home = db if home is None else home

    async def ping(self) -> None:
        """Raise DatabaseError unless there is a primary."""
        await self.db.command("ping")

    async def positions(self, labels: Iterable[str]) -> dict[str, Position]:
        """Where each partition stands; one never seen begins at 0."""
        labels = list(labels)
        if labels:
            await self.db[POSITIONS].bulk_write(
                [UpdateOne({"_id": label}, {"$setOnInsert": {"next": 0}}, upsert=True) for label in labels],
                ordered=False,
            )
        found = self.db[POSITIONS].find({"_id": {"$in": labels}})
        return {doc["_id"]: Position.of(doc) async for doc in found}

    async def load(self, keys: Iterable[Key]) -> dict[Key, State]:
        """The states of *keys*, of those that there are."""
        wanted: dict[str, list[str]] = {}
        for key in keys:
            wanted.setdefault(key.collection, []).append(key.id)
        states: dict[Key, State] = {}
        for collection, ids in wanted.items():
            docs = self.db[collection].find({"_id": {"$in": ids}}, {"state": 1}, batch_size=len(ids) + 1)
            for doc in await docs.to_list(None):
                states[Key(collection, doc["_id"])] = doc["state"]
        return states

    async def write(self, batch: WriteSet) -> None:
        """Write *batch* in one transaction.

        Raises:
            Fenced: a position, or an entity, was not what this owner believed it to be.
        """

        def send(session: ClientSession) -> None:
            # The positions first: who lost a partition finds out before anything else is done.
            moved = _run(self.db, _position_command(batch.positions), session)
            if moved["n"] != len(batch.positions):
                raise Fenced(f"one of {', '.join(batch.positions)} is not where it was left")
            for command in (*_state_commands(batch), *_counter_commands(batch.counts)):
                _run(self.db, command, session)

        async def work(session: AsyncIOMotorClientSession) -> None:
            # In one thread: else each command waited for its turn in an event loop that is busy with the next batch.
            await _whole(asyncio.to_thread(send, session.delegate))

        await transact(self.db, work)

    async def mark_complete(self, positions: Mapping[str, int], complete_until_ms: int) -> None:
        """Note until when (ms) all that was published is applied, for partitions still at these positions."""
        if positions:
            marked = {"$set": {"complete_ms": complete_until_ms}}
            updates = [{"q": {"_id": label, "next": next}, "u": marked} for label, next in positions.items()]
            command = {"update": POSITIONS, "updates": updates, "ordered": False}
            await asyncio.to_thread(_run, self.db, command)  # each second in each worker, though nothing happens


Command = dict[str, Any]
MAX_COMMAND_BYTES = 1_000_000  # encoding a command keeps the interpreter; an entity, which may be larger, is not split
DUPLICATE_KEY = 11000


def _run(db: Database, command: Command, session: ClientSession | None = None) -> Mapping[str, Any]:
    """Run a write command as it is, in a thread: building it from driver objects costs a fifth more."""
    reply: Mapping[str, Any] = db.delegate.command(command, session=session)
    for error in reply.get("writeErrors", []):
        if error["code"] == DUPLICATE_KEY:
            raise Fenced("an entity that was new is there already")
        raise OperationFailure(f"{next(iter(command))} failed", error["code"])
    return reply


def _position_command(positions: Mapping[str, tuple[int, int, int]]) -> Command:
    updates = []
    for label, (expected, next_offset, time_ms) in positions.items():
        moved = (
            {"$set": {"next": next_offset, "time_ms": time_ms}} if next_offset != expected else {"$inc": {"ticks": 1}}
        )
        updates.append({"q": {"_id": label, "next": expected}, "u": moved})
    return {"update": POSITIONS, "updates": updates}


def _state_commands(batch: WriteSet) -> Iterable[Command]:
    """Inserts of new entities, and replacements of the others; unordered, which the server does faster."""
    inserts: dict[str, list[tuple[int, Any]]] = {}
    updates: dict[str, list[tuple[int, Any]]] = {}
    for key, (label, state, view) in batch.states.items():
        doc = {"_id": key.id, "partition": label, "state": state, **view}
        if key in batch.new:
            inserts.setdefault(key.collection, []).append((state["bytes"], doc))
        else:
            update = {"q": {"_id": key.id}, "u": doc, "upsert": True}
            updates.setdefault(key.collection, []).append((state["bytes"], update))
    for verb, name, wanted in (("insert", "documents", inserts), ("update", "updates", updates)):
        for collection, sized in wanted.items():
            for part in _parts(sized):
                yield {verb: collection, name: part, "ordered": False}


def _parts(sized: Iterable[tuple[int, Any]]) -> Iterable[list[Any]]:
    """Split what is too large for one command."""
    part: list[Any] = []
    total = 0
    for size, item in sized:
        if part and total + size > MAX_COMMAND_BYTES:
            yield part
            part, total = [], 0
        part.append(item)
        total += size + 500
    if part:
        yield part


def _counter_commands(counts: Mapping[str, Counts]) -> Iterable[Command]:
    """One update per counter document: a (partition, scope, period) with a field per measure."""
    documents: dict[tuple[str, str, str, str], dict[str, int]] = {}
    for label, differences in counts.items():
        for (kind, id, period, measure), difference in (differences | totals(differences)).items():
            if difference:
                documents.setdefault((label, kind, id, period), {})[f"m.{measure}"] = difference
    updates = []
    for (label, kind, id, period), fields in documents.items():
        identity = {"partition": label, "kind": kind, "id": id, "period": period}
        change = {"$inc": fields, "$setOnInsert": identity}
        updates.append((100, {"q": {"_id": f"{label}|{kind}|{id}|{period}"}, "u": change, "upsert": True}))
    for part in _parts(updates):
        yield {"update": COUNTERS, "updates": part, "ordered": False}


async def positions(db: Database) -> dict[str, Position]:
    """Where every partition of the service stands, by label (`learner-3`)."""
    return {doc["_id"]: Position.of(doc) async for doc in db[POSITIONS].find()}


async def sums(
    db: Database, match: Mapping[str, Any], by: Sequence[str], measures: Iterable[str] | None = None
) -> dict[tuple[str, ...], dict[str, int]]:
    """Counters that *match*, summed: {values of the fields *by*: {measure: count}}.

    Args:
        match: on partition, kind, id, period.
        measures: None: all that there are. A few are summed by the database; many are faster summed here (51 of
            11,109 documents: 114 ms here, 794 ms there).
    """
    if measures is None:
        stages: list[dict[str, Any]] = [{"$project": {**dict.fromkeys(by, 1), "m": 1, "_id": 0}}]
    else:
        named = {f"m_{measure}": {"$sum": f"$m.{measure}"} for measure in measures}
        fields = {field: f"$_id.{field}" for field in by} | {"m": {name[2:]: f"${name}" for name in named}}
        stages = [{"$group": {"_id": {field: f"${field}" for field in by}, **named}}, {"$project": fields}]
    totals: dict[tuple[str, ...], dict[str, int]] = {}
    for doc in await db[COUNTERS].aggregate([{"$match": dict(match)}, *stages], batchSize=10_000).to_list(None):
        counts = totals.setdefault(tuple(doc[field] for field in by), {})
        for measure, count in doc.get("m", {}).items():
            counts[measure] = counts.get(measure, 0) + count
    return totals


Answer = TypeVar("Answer")


class CoalescedRead(Generic[Answer]):
    """One read for many who ask at once: who asks while one is under way waits for the next.

    So a crowd costs as much as two, and no answer is older than its question. What is read is shared: do not change it.
    *read* is called more than once, also for others than who gave it.

    Args:
        turn: held while reading, in turn with whoever else is given the same.
    """

    def __init__(self, read: Callable[[], Awaitable[Answer]], turn: asyncio.Lock | None = None) -> None:
        self._read = read
        self._next: asyncio.Task[Answer] | None = None
        self._one_at_a_time = turn or asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        return self._next is None and not self._one_at_a_time.locked()

    async def __call__(self) -> Answer:
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
        return await asyncio.shield(self._next)  # who hangs up takes nothing from the others

    async def _in_turn(self) -> Answer:
        async with self._one_at_a_time:
            self._next = None
            return await self._read()


class BatchedLookup:
    """Finds documents by id, in one query for many who ask at once (see `CoalescedRead`)."""

    def __init__(self, collection: str, fields: Mapping[str, Any], turn: asyncio.Lock | None = None) -> None:
        self._collection, self._fields = collection, dict(fields)
        self._ids: set[str] = set()
        self._db: Database
        self._read = CoalescedRead(lambda: self._find(self._db), turn)

    async def find(self, db: Database, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        self._ids.update(ids)
        self._db = db
        found = await self._read()
        return {id: found[id] for id in ids if id in found}

    async def _find(self, db: Database) -> dict[str, dict[str, Any]]:
        ids, self._ids = self._ids, set()
        docs = db[self._collection].find({"_id": {"$in": list(ids)}}, self._fields, batch_size=len(ids) + 1)
        return {doc["_id"]: doc for doc in await docs.to_list(None)}


Find = Callable[[str, Mapping[str, Any]], AsyncIterator[dict[str, Any]]]


@asynccontextmanager
async def snapshot(db: Database) -> AsyncIterator[Find]:
    """Read as of one moment, while others write: `find(collection, match)`. The server keeps it for 5 minutes."""
    async with await db.client.start_session(snapshot=True) as session:

        def find(collection: str, match: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            return db[collection].find(dict(match), session=session)

        yield find


class Page(NamedTuple):
    """Some documents in the order of their ids, and the id to go on after (None at the end)."""

    items: list[dict[str, Any]]
    next_after: str | None


async def page(db: Database, collection: str, match: Mapping[str, Any], after: str | None, limit: int) -> Page:
    """Read up to *limit* entities that are not erased, without their facts, as many as fit `PAGE_BYTES`."""
    query = {**match, "state.erased": {"$exists": False}}
    if after is not None:
        query["_id"] = {"$gt": after}
    items, is_more = await fitting(db[collection].find(query, {"state": 0}).sort("_id", ASCENDING), limit)
    return Page(items, items[-1]["_id"] if is_more else None)


async def fitting(cursor: Any, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Up to *limit* documents, as many as fit `PAGE_BYTES` but at least one; and are there more?"""
    items: list[dict[str, Any]] = []
    size = 0
    async for doc in cursor.batch_size(min(limit + 1, DOCS_AT_ONCE)):
        size += len(bson.encode(doc))
        if len(items) == limit or (items and size > PAGE_BYTES):
            return items, True
        items.append(doc)
    return items, False


async def page_within(  # noqa: PLR0913, PLR0917
    db: Database, collection: str, field: str, match: Mapping[str, Any], after: str | None, limit: int
) -> Page:
    """As `page`, for the sub-entities in the list *field* of each entity; *match* names their fields in full.

    The items are the sub-entities, each with the entity's id as `of`, in the order of their ids. Two entities may
    each have a sub-entity of one id, so where to go on is named by both: `<sub-entity>/<entity>`.
    """
    inner = dict(match)
    if after is not None:
        id, _, of = after.partition("/")
        inner["$or"] = [{f"{field}.id": {"$gt": id}}, {f"{field}.id": id, "_id": {"$gt": of}}]
    cursor = db[collection].aggregate(
        [
            {"$match": {**match, "state.erased": {"$exists": False}}},
            {"$unwind": f"${field}"},
            {"$match": inner},
            {"$sort": {f"{field}.id": ASCENDING, "_id": ASCENDING}},
            {"$limit": limit + 1},
            {"$replaceWith": {"$mergeObjects": [f"${field}", {"of": "$_id"}]}},
        ],
        allowDiskUse=True,
    )
    items, is_more = await fitting(cursor, limit)
    return Page(items, "{id}/{of}".format(**items[-1]) if is_more else None)


async def distinct(
    db: Database, collection: str, fields: Sequence[str], match: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """The values that *fields* have together, in order. (The command `distinct` is not in the Stable API.)"""
    group = {"_id": {field: f"${field}" for field in fields}}
    found = db[collection].aggregate([{"$match": match}, {"$group": group}, {"$sort": {"_id": ASCENDING}}])
    return [tuple(doc["_id"].get(field) for field in fields) async for doc in found]


async def disk(client: "AsyncIOMotorClient[dict[str, Any]]", name: str) -> tuple[float, float] | None:
    """Bytes of the disk that a database is on, and how many are used; None where that is not known.

    Args:
        client: one that is not strict.
    """
    stats = await client[name].command("dbStats")
    return (stats["fsTotalSize"], stats["fsUsedSize"]) if "fsTotalSize" in stats else None


async def dumped(db: Database, collections: Iterable[str]) -> list[str]:
    """The documents of collections, each as a line of extended JSON that names its collection."""
    found = [(name, doc) for name in collections async for doc in db[name].find()]
    return [json_util.dumps({"collection": name, "document": doc}) for name, doc in found]


async def restored(db: Database, lines: Iterable[str]) -> int:
    """Put back what `dumped` gave; what is there under the same id is replaced."""
    documents = [json_util.loads(line) for line in lines]
    for kept in documents:
        await db[kept["collection"]].replace_one({"_id": kept["document"]["_id"]}, kept["document"], upsert=True)
    return len(documents)
