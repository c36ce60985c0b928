"""Proves the counters: recomputes each from the stored facts, in one snapshot, and prints what differs.

python -m services.monitoring.audit     ends with 0 when all are equal, with 1 when any differs
"""

import asyncio
import sys
from typing import NamedTuple

from shared import mongo
from shared.mongo import COUNTERS, POSITIONS, Counter, Counts, Database, Find, Key
from shared.settings import settings

from .states import COLLECTIONS, contributions


class Audit(NamedTuple):
    """What was found: how many counters (that are not zero) of how many entities, and the differences in words."""

    counters: int
    entities: int
    differences: list[str]


async def audit(db: Database) -> Audit:
    """Compare partition by partition, so that only one partition's counters are held at a time."""
    total = Audit(0, 0, [])
    async with mongo.snapshot(db) as find:
        labels = [position["_id"] async for position in find(POSITIONS, {})]
        for label in sorted(labels):
            recomputed, entities = await _recompute(find, label)
            stored = await _stored(find, {"_id": {"$gte": f"{label}|", "$lt": f"{label}}}"}})
            total = Audit(
                total.counters + len(recomputed),
                total.entities + entities,
                total.differences + _compare(label, recomputed, stored),
            )
        stray = await _stored(find, {"partition": {"$nin": labels}})
    return total._replace(differences=total.differences + _compare("no partition", {}, stray))


async def _recompute(find: Find, label: str) -> tuple[Counts, int]:
    counts: Counts = {}
    entities = 0
    for collection in COLLECTIONS.values():
        async for doc in find(collection, {"partition": label}):
            entities += 1
            for counter, count in contributions(Key(collection, doc["_id"]), doc["state"]).items():
                counts[counter] = counts.get(counter, 0) + count
    return {counter: count for counter, count in counts.items() if count}, entities


async def _stored(find: Find, match: dict[str, object]) -> Counts:
    counts: Counts = {}
    async for doc in find(COUNTERS, match):
        for measure, count in doc.get("m", {}).items():
            if count:
                counts[Counter(doc["kind"], doc["id"], doc["period"], measure)] = count
    return counts


def _compare(label: str, recomputed: Counts, stored: Counts) -> list[str]:
    return [
        f"{label} {' '.join(counter)}: stored {stored.get(counter, 0)}, recomputed {recomputed.get(counter, 0)}"
        for counter in sorted({*recomputed, *stored})
        if stored.get(counter, 0) != recomputed.get(counter, 0)
    ]


async def main() -> int:
    client = mongo.connect(settings())
    try:
        found = await audit(mongo.database(client, settings(), "monitoring"))
    finally:
        client.close()
    for difference in found.differences:
        print(difference)  # noqa: T201
    if found.differences:
        print(f"audit: {len(found.differences)} of {found.counters} counters differ")  # noqa: T201
        return 1
    print(f"audit: {found.counters} counters of {found.entities} entities equal")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
