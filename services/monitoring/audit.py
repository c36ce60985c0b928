"""praktika audit: proves the counters by recomputing each from the stored facts, in one snapshot."""

import time
from collections.abc import Callable
from typing import NamedTuple

import typer

from shared.operator import console
from shared.operator.console import Json, progress, show, show_json
from shared.processing import mongo
from shared.processing.mongo import COUNTERS, POSITIONS, Counts, Database, Find, Key
from shared.settings import Settings

from .counters import AUDITS
from .states import INDEXES, contributions


class Audit(NamedTuple):
    """What was found: how many counters (that are not zero) of how many entities, and the differences in words."""

    counters: int
    entities: int
    differences: list[str]


async def audit(db: Database, advanced: Callable[[int], None] = lambda _: None) -> Audit:
    """Compare partition by partition, so that only one partition's counters are held at a time.

    Args:
        advanced: is told of each entity.
    """
    total = Audit(0, 0, [])
    async with mongo.snapshot(db) as find:
        labels = [position["_id"] async for position in find(POSITIONS, {})]
        for label in sorted(labels):
            recomputed, entities = await _recompute(find, label, advanced)
            stored = await _stored(find, {"_id": {"$gte": f"{label}|", "$lt": f"{label}}}"}})
            total = Audit(
                total.counters + len(recomputed),
                total.entities + entities,
                total.differences + _compare(label, recomputed, stored),
            )
        stray = await _stored(find, {"partition": {"$nin": labels}})
    return total._replace(differences=total.differences + _compare("no partition", {}, stray))


async def _recompute(find: Find, label: str, advanced: Callable[[int], None]) -> tuple[Counts, int]:
    counts: Counts = {}
    entities = 0
    for collection in INDEXES:
        async for doc in find(collection, {"partition": label}):
            entities += 1
            advanced(1)
            for counter, count in contributions(Key(collection, doc["_id"]), doc["state"]).items():
                counts[counter] = counts.get(counter, 0) + count
    counts |= mongo.totals(counts)
    return {counter: count for counter, count in counts.items() if count}, entities


async def _stored(find: Find, match: dict[str, object]) -> Counts:
    counts: Counts = {}
    async for doc in find(COUNTERS, match):
        for measure, count in doc.get("m", {}).items():
            if count:
                counts[doc["kind"], doc["id"], doc["period"], measure] = count
    return counts


def _compare(label: str, recomputed: Counts, stored: Counts) -> list[str]:
    return [
        f"{label} {' '.join(counter)}: stored {stored.get(counter, 0)}, recomputed {recomputed.get(counter, 0)}"
        for counter in sorted({*recomputed, *stored})
        if stored.get(counter, 0) != recomputed.get(counter, 0)
    ]


def command(json: Json = False) -> None:
    """Recompute every counter of monitoring from the stored facts and compare. The result is kept for /metrics."""

    async def work(settings: Settings) -> int:
        client = mongo.connect(settings)
        try:
            db = await mongo.live(mongo.database(client, settings, "monitoring"))
            with progress("auditing", await _count(db)) as advance:
                found = await audit(db, advance)
            await _keep(db, found)
        finally:
            client.close()
        if json:
            show_json(found._asdict())
        else:
            _print(found)
        return console.DIFFERENT if found.differences else console.OK

    console.run(work)


async def _count(db: Database) -> int:
    return sum([await db[collection].estimated_document_count() for collection in INDEXES])


async def _keep(db: Database, found: Audit) -> None:
    result = {**found._asdict(), "differences": len(found.differences), "at_ms": int(time.time() * 1000)}
    await db[AUDITS].replace_one({"_id": "last"}, result, upsert=True)


def _print(found: Audit) -> None:
    for difference in found.differences:
        show(difference)
    if found.differences:
        show(f"audit: {len(found.differences)} of {found.counters} counters differ")
    else:
        show(f"audit: {found.counters} counters of {found.entities} entities equal")


if __name__ == "__main__":
    typer.run(command)
