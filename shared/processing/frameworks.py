"""Competency frameworks that were imported: every service keeps them from the log, by the rules here, and reads them.

An item holds in the versions that define it. The version that was published last is in force; a version whose items
were only imported in part is not published, and changes nothing. GreenComp is built in.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, NamedTuple

from shared.contract import events
from shared.contract import frameworks as built_in
from shared.contract.events import Data, Event, FrameworkItemDefined, FrameworkPublished
from shared.contract.text import Message
from shared.processing import facts, mongo
from shared.processing.core import Core
from shared.processing.facts import DecodedEvent, State
from shared.processing.mongo import Database, Key

TOPIC = FrameworkPublished.topic
FRAMEWORKS, ITEMS = "frameworks", "framework_items"
_FRAMEWORK, _COMPETENCY = re.compile(events.FRAMEWORK), re.compile(events.COMPETENCY)
LOOK_S = 0.5  # so long what is kept in memory is not compared with the database
RELOAD_S = 5  # so often, at most, what changes besides publications is read again: an import of thousands goes on
Names = Mapping[str, str]  # by language
Doc = dict[str, Any]


# what a service keeps


def with_frameworks(core: Core) -> Core:
    """The same service, keeping the frameworks, too."""
    own = frozenset({FRAMEWORKS, ITEMS})
    return replace(
        core,
        topics=(*core.topics, TOPIC),
        indexes={**core.indexes, FRAMEWORKS: [], ITEMS: [("framework",)]},
        route=lambda event: route(event) if event.event_class.topic == TOPIC else core.route(event),
        view=lambda key, state: view(key, state) if key.collection in own else core.view(key, state),
        react=lambda key, state, context: [] if key.collection in own else core.react(key, state, context),
        contributions=lambda key, state: {} if key.collection in own else core.contributions(key, state),
    )


def route(event: DecodedEvent) -> Key | None:
    """The state that an event of the topic belongs to; what is built in is not for anybody to define."""
    if event.partitionkey in built_in.FRAMEWORKS or event.topic != TOPIC:
        return None
    return Key(ITEMS if event.event_class is FrameworkItemDefined else FRAMEWORKS, event.subject)


def misfit(event: Event[Any]) -> tuple[str, str] | None:
    """What is wrong with an event of the topic that its schema cannot say: the field, and what."""
    framework = event.partitionkey
    if framework in built_in.FRAMEWORKS:
        return "partitionkey", Message("{framework} is built in", {"framework": framework})
    if not isinstance(event.data, FrameworkItemDefined):
        return None if _FRAMEWORK.fullmatch(framework) else ("subject", Message("must be the id of a framework: esco"))
    is_item = event.subject.startswith(f"{framework}:") and _COMPETENCY.fullmatch(event.subject)
    wanted = Message("must be an item of {framework}, for example {framework}:1.1", {"framework": framework})
    return None if is_item else ("subject", wanted)


def view(key: Key, state: State) -> Doc:
    """A framework's versions in the order of their publication; an item as each version defines it."""
    published = key.collection == FRAMEWORKS
    told = facts.facts(state, (FrameworkPublished if published else FrameworkItemDefined).short_type)
    in_order = sorted(told.values(), key=facts.age)
    if published:
        return {"versions": [{**fact["data"], "published_at": fact["time"]} for fact in in_order]}
    versions = [{n: v for n, v in fact["data"].items() if n not in _NOT_SHOWN} for fact in in_order]
    return {"framework": in_order[-1]["data"]["framework"], "versions": versions} if in_order else {}


_NOT_SHOWN = ("framework", "alternative")


# what is read of it


class Item(NamedTuple):
    """A competency as the version in force has it; of one that it does not have any more, as the last that had it.

    Attributes:
        since: from when on it counts as sustainability without interruption, as a timestamp; None: it does not; of what
            is built in it is empty.
    """

    id: str
    name: Names
    area: Names
    broader: tuple[str, ...]
    uri: str | None
    version: str
    is_in_force: bool
    since: str | None

    def has(self, words: Iterable[str]) -> bool:
        """Are all these words (in small letters) in the id or a name?"""
        text = " ".join((self.id, *self.name.values())).casefold()
        return all(word in text for word in words)


@dataclass(frozen=True)
class Framework:
    """A framework with the version in force, which is the last of `versions`, and every item that it has ever had."""

    id: str
    versions: list[Doc]
    items: dict[str, Item]

    @property
    def in_force(self) -> Doc:
        return self.versions[-1]

    @property
    def current(self) -> list[Item]:
        """The items of the version in force."""
        return [item for item in self.items.values() if item.is_in_force]


def _built_in(one: built_in.Framework) -> Framework:
    version = {"version": one["version"], "name": one["name"], "items": len(one["competencies"]), "closed": True}
    about = {"origin": one["source"], "licence": one["licence"], "published_at": ""}
    items = {each["id"]: _built_in_item(each, one["version"]) for each in one["competencies"]}
    return Framework(one["id"], [version | about], items)


def _built_in_item(one: built_in.Competency, version: str) -> Item:
    since = "" if events.is_sustainability(one["id"]) else None
    return Item(one["id"], one["name"], one["area"], (), None, version, is_in_force=True, since=since)


BUILT_IN = {id: _built_in(one) for id, one in built_in.FRAMEWORKS.items()}


@dataclass(frozen=True)
class Frameworks:
    """What a service knows of all frameworks; not to be changed.

    Attributes:
        reading: a number that is another once the database was read anew.
    """

    imported: Mapping[str, Framework] = field(default_factory=dict)
    reading: int = 0

    @property
    def all(self) -> dict[str, Framework]:
        """Those that are built in, then the others by id."""
        return {**BUILT_IN, **dict(sorted(self.imported.items()))}

    def of(self, competency: str) -> Framework | None:
        """The framework that a competency's id names."""
        id = competency.partition(":")[0]
        return BUILT_IN.get(id) or self.imported.get(id)

    def item(self, competency: str) -> Item | None:
        framework = self.of(competency)
        return framework.items.get(competency) if framework else None

    def name(self, competency: str, language: str) -> str:
        """The competency's name, in another language where there is none in *language*; its id if none is known."""
        item = self.item(competency)
        return said(item.name, language) if item else competency

    def is_known(self, competency: str) -> bool:
        """May it be named? Of a framework that is closed only what one of its versions has."""
        framework = self.of(competency)
        return framework is None or not framework.in_force.get("closed") or competency in framework.items

    def offered(self, most: int) -> list[str]:
        """What may be chosen: the built-in items, and those of each imported framework that has no more than *most*."""
        small = [each for each in self.all.values() if each.id in BUILT_IN or each.in_force["items"] <= most]
        return [item.id for each in small for item in each.current]

    def search(self, text: str, most: int) -> list[str]:
        """Items in force whose names have all of these words, the shortest names first."""
        words = text.casefold().split()
        found = [item for each in self.all.values() for item in each.current if words and item.has(words)]
        return [item.id for item in sorted(found, key=lambda item: (len(said(item.name, "en")), item.id))[:most]]

    def counts(self, competency: str) -> bool:
        """Does it count as sustainability, now?"""
        item = self.item(competency)
        return item is not None and item.since is not None

    def stamp(self, data: Data) -> str | None:
        """What an event that says *data* is stamped with: see `Event.sustainable`."""
        if not self.imported or not isinstance(data, events.SUSTAINABILITY_COUNTED):
            return None
        named = dict.fromkeys(events.competencies_of(data))
        return " ".join(one for one in named if self.counts(one) and not events.is_sustainability(one)) or None

    def stamped(self, event: Event[Data]) -> Event[Data]:
        """*event* with what counts now, whatever it said before."""
        stamp = self.stamp(event.data)
        return event if stamp == event.sustainable else event.model_copy(update={"sustainable": stamp})


def said(names: Names, language: str) -> str:
    """A text in a language, or in one that it has."""
    return names.get(language) or names.get("en") or next(iter(names.values()), "")


class FrameworksReader:
    """Keeps what a database holds of frameworks in memory, until more is applied."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._frameworks = Frameworks()
        self._of, self._publications, self._positions = "", object(), object()
        self._looked_at, self._read_at = 0.0, 0.0

    async def of(self, db: Database, within_s: float = LOOK_S) -> Frameworks:
        """The frameworks as they were so long ago, at most."""
        asked_at = monotonic()

        def is_recent() -> bool:
            return db.name == self._of and asked_at - self._looked_at < within_s

        if not is_recent():
            async with self._lock:
                if not is_recent():
                    await self._look(db)
        return self._frameworks

    async def _look(self, db: Database) -> None:
        now = monotonic()
        positions = {label: at.next_offset for label, at in (await mongo.positions(db)).items() if _is_ours(label)}
        if db.name != self._of or positions != self._positions:
            docs = await db[FRAMEWORKS].find({"versions.0": {"$exists": True}}, {"versions": 1}).to_list(None)
            is_new = db.name != self._of or docs != self._publications
            if is_new or now - self._read_at >= RELOAD_S:
                self._frameworks = Frameworks(await _read(db, docs), self._frameworks.reading + 1)
                self._of, self._publications, self._positions, self._read_at = db.name, docs, positions, now
        self._looked_at = now


def _is_ours(label: str) -> bool:
    return label.startswith(f"{TOPIC}-")


async def _read(db: Database, docs: Iterable[Doc]) -> dict[str, Framework]:
    imported = {}
    for doc in docs:
        id, versions = doc["_id"], doc["versions"]
        found = db[ITEMS].find({"framework": id}, {"versions": 1}, batch_size=2_000)
        items = [item async for each in found if (item := item_of(each["_id"], each["versions"], versions))]
        items.sort(key=lambda item: (said(item.name, "en").casefold(), item.id))
        imported[id] = Framework(id, versions, {item.id: item for item in items})
    return imported


def item_of(id: str, defined: Iterable[Doc], published: list[Doc]) -> Item | None:
    """An item, by what each version says of it, of which those count that are *published* (in order)."""
    by_version = {one["version"]: one for one in defined}
    having = [version for version in published if version["version"] in by_version]
    if not having:
        return None
    shown = by_version[having[-1]["version"]]
    return Item(
        id,
        shown["name"],
        shown.get("area") or {},
        tuple(shown.get("broader", ())),
        shown.get("uri"),
        shown["version"],
        having[-1] is published[-1],
        _since(by_version, published),
    )


def _since(by_version: Mapping[str, Doc], published: list[Doc]) -> str | None:
    """When the first of the versions came into force of which each until now says that the item counts."""
    since = None
    for version in reversed(published):
        item = by_version.get(version["version"])
        if item is None or not (item.get("sustainability") or version.get("sustainability")):
            break
        since = version["published_at"]
    return since


async def counted(db: Database, competencies: Collection[str]) -> frozenset[str]:
    """Which of these competencies count as sustainability now."""
    imported = {one for one in competencies if not events.is_sustainability(one)}
    found = frozenset(set(competencies) - imported)
    if imported:
        ids = sorted({one.partition(":")[0] for one in imported})
        versions = {
            doc["_id"]: doc["versions"] async for doc in db[FRAMEWORKS].find({"_id": {"$in": ids}}, {"versions": 1})
        }
        docs = db[ITEMS].find({"_id": {"$in": sorted(imported)}}, {"framework": 1, "versions": 1})
        shown = [item_of(doc["_id"], doc["versions"], versions.get(doc["framework"], [])) async for doc in docs]
        found |= {item.id for item in shown if item and item.since}
    return found


async def labels(db: Database, known: Frameworks) -> list[tuple[str, str, bool]]:
    """Every name of the items in force: (competency, name, is it an alternative one)."""
    found = []
    for framework in known.imported.values():
        async for doc in db[ITEMS].find({"framework": framework.id}, {"state.facts": 1}, batch_size=500):
            slots = doc["state"]["facts"][FrameworkItemDefined.short_type]
            if fact := slots.get(framework.in_force["version"]):
                found += [(doc["_id"], text, is_other) for text, is_other in _texts(fact["data"])]
    return found


def _texts(data: Doc) -> Iterator[tuple[str, bool]]:
    yield from ((text, False) for text in data["name"].values())
    yield from ((text, True) for texts in data.get("alternative", {}).values() for text in texts)
