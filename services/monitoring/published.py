"""What was published of each figure, day by day: kept, so that one can see since when a figure is as it is.

The log tells what is true of a day, not what was shown on it: what comes late, or is mended, changes the past, too. So
once a day each figure is recorded as the public sees it, where it differs from the last record. The records are in the
service's home, which no rebuild touches.

Between two records of a figure about people at least as many cases have changed as are shown at all (`is_step`), and
what is few cases away from what is shown now is not told beside it (`told`). So the records give away none of those
who have come one by one.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

from shared.http.service import Service
from shared.processing import mongo
from shared.processing.mongo import DUPLICATE_KEY, Database
from shared.processing.recent import applied

from . import counters
from .answers import Asked, side_by_side, worked_out
from .figures import is_of_cases
from .indicators import INDICATORS, Indicator, Scope

FIGURES, DEFINITIONS, DAYS = "published_figures", "published_definitions", "published_days"
MOST = 400  # of what is recorded of a figure, the last ones are kept
LOOKED_BACK = 10  # of them, for the last value that was shown
LEASE_S = 900  # so long one process has for a day before another may try
LOOK_EVERY_S = 60


class Recorded(NamedTuple):
    """A figure as it was shown on a day, and until it is recorded again."""

    day: str
    status: str
    value: float | None
    numerator: float | None
    denominator: float | None
    n: int | str | None


NOTHING = Recorded("", "not_enough_data", None, None, None, 0)


def recorded(day: str, said: Mapping[str, Any]) -> Recorded:
    """What an answer about a figure says."""
    return Recorded(day, said["status"], said["value"], said["numerator"], said["denominator"], said["n"])


def cases_between(of: Indicator, one: Recorded, other: Recorded) -> int:
    """How many cases must have changed, at least, between two values that are shown."""
    changed = [abs(_number(one.n) - _number(other.n))]
    if is_of_cases(of):
        parts = [(_number(each.numerator), _number(each.denominator)) for each in (one, other)]
        (part, whole), (other_part, other_whole) = parts
        changed += [abs(part - other_part), abs(whole - part - other_whole + other_part)]
    return int(max(changed))


def _number(content: float | str | None) -> float:
    return content if isinstance(content, int | float) else 0


def differs(one: Recorded, other: Recorded) -> bool:
    """Is something else shown? What is not shown is not told apart."""
    return one.status != other.status or (one.status == "ok" and one[1:] != other[1:])


def is_step(of: Indicator, before: Sequence[Recorded], now: Recorded, least: int) -> bool:
    """Is it to be recorded again? Of people only if so many cases have changed that none of them is told of.

    Args:
        before: what was recorded last, the oldest first. While a value was hidden, the one before that matters.
        least: how many cases are shown at all.
    """
    if not differs(before[-1], now):
        return False
    shown = [each for each in before if each.status == "ok"]
    if not of.personal or now.status != "ok" or not shown:
        return True
    return not differs(shown[-1], now) or cases_between(of, shown[-1], now) >= least


def told(of: Indicator, history: Iterable[Recorded], now: Recorded, least: int) -> list[Recorded]:
    """What of a history may stand beside a value of now: no difference tells of few."""
    return [each for each in history if not differs(each, now) or is_step(of, [each], now, least)]


def digest(of: Indicator) -> str:
    """Another one: the indicator is no longer defined as it was."""
    defined = (of.formula.into("en"), of.window.into("en"), sorted(of.numerator), sorted(of.denominator))
    return sha256(repr(defined).encode()).hexdigest()[:12]


# the record


async def keep_published(service: Service, every_s: float = LOOK_EVERY_S) -> None:
    """Record the figures of each day, once all that was published before that day is applied."""
    home = service.store.home
    await home[FIGURES].create_index([("scope", 1), ("day", 1)])
    while True:
        await asyncio.sleep(every_s)
        day = counters.today()
        until = (await applied(service.db)).until
        if until and until[:10] >= day.isoformat() and await claim(home, day):
            await take(service, day)


async def claim(home: Database, day: date) -> bool:
    """Is it for this process to record the figures of a day? If it does not come to an end, another may, later."""
    now = time.time()
    await home[DAYS].update_one({"_id": "days"}, {"$setOnInsert": {"last": "", "claimed_at": 0.0}}, upsert=True)
    free = {"_id": "days", "last": {"$lt": day.isoformat()}, "claimed_at": {"$lt": now - LEASE_S}}
    found = await home[DAYS].update_one(free, {"$set": {"claimed_at": now}})
    return bool(found.modified_count)


async def take(service: Service, day: date) -> int:
    """Record the figures of a day that differ from the last record; return how many. Repeated, it changes nothing."""
    home, at, changed = service.store.home, day.isoformat(), 0
    await _record_definitions(home, at)
    for item in await worked_out(service, list(INDICATORS.values()), Asked()):
        changed += await _record(service, INDICATORS[item["indicator"]], "network", {"": item}, at)
    for of in INDICATORS.values():
        for scope in of.scopes:
            if scope != "network":
                items, _ = await side_by_side(service, of, Asked(scope))
                changed += await _record(service, of, scope, {item["scope_id"]: item for item in items}, at)
    done = {"$set": {"last": at, "claimed_at": 0.0}, "$min": {"first": at}}
    await home[DAYS].update_one({"_id": "days"}, done, upsert=True)
    return changed


async def _record_definitions(home: Database, at: str) -> None:
    known = {doc["_id"]: doc["recorded"][-1] async for doc in home[DEFINITIONS].find({}, {"recorded": {"$slice": -1}})}
    for of in INDICATORS.values():
        if of.id not in known or known[of.id]["digest"] != digest(of):
            said = {"day": at, "digest": digest(of), "definition": of.formula.in_all()}
            push = {"recorded": {"$each": [said], "$slice": -MOST}}
            # By two processes at once it is recorded twice, which says the same.
            await home[DEFINITIONS].update_one({"_id": of.id}, {"$push": push}, upsert=True)


async def _record(
    service: Service, of: Indicator, scope: Scope, items: Mapping[str, Mapping[str, Any]], at: str
) -> int:
    """Record those of a scope's figures, by id, that differ."""
    home, least = service.store.home, service.settings.suppress_below
    begin = f"{of.id}|{scope}|"
    of_scope = {"_id": {"$gte": begin, "$lt": f"{begin[:-1]}}}"}}
    found = home[FIGURES].find(of_scope, {"recorded": {"$slice": -LOOKED_BACK}, "latest": 1})
    known = {doc["_id"].removeprefix(begin): doc async for doc in found}
    updates, steps = [], 0
    for id in sorted({*items, *known}):
        now = recorded(at, items[id]) if id in items else NOTHING._replace(day=at)
        doc = known.get(id)
        before = [Recorded(*each) for each in doc["recorded"]] if doc else [NOTHING]
        if is_step(of, before, now, least):
            about = {"indicator": of.id, "scope": scope, "scope_id": id or None, "day": at, "latest": list(now)}
            change = {"$set": about, "$push": {"recorded": {"$each": [list(now)], "$slice": -MOST}}}
            # What another process has recorded of this day stays.
            updates.append({"q": {"_id": begin + id, "day": {"$lt": at}}, "u": change, "upsert": True})
            steps += 1
        elif doc and differs(Recorded(*doc["latest"]), now):
            updates.append({"q": {"_id": begin + id}, "u": {"$set": {"latest": list(now)}}})
    for start in range(0, len(updates), 1_000):
        part = updates[start : start + 1_000]
        reply = await home.command({"update": FIGURES, "updates": part, "ordered": False})
        if wrong := [error for error in reply.get("writeErrors", ()) if error["code"] != DUPLICATE_KEY]:
            raise mongo.DatabaseError(f"figures were not recorded: {wrong[0]}")
    return steps


class Days(NamedTuple):
    """The first and the last day that figures were recorded; None: none yet."""

    first: str | None
    last: str | None


async def days(home: Database) -> Days:
    found = await home[DAYS].find_one({"_id": "days"}) or {}
    return Days(found.get("first"), found.get("last") or None)


async def histories(
    home: Database, some: Iterable[Indicator], scope: Scope, scope_id: str | None
) -> dict[str, list[Recorded]]:
    """All that was recorded of indicators of one scope and is kept, by indicator, the oldest first."""
    ids = [f"{of.id}|{scope}|{scope_id or ''}" for of in some]
    found = home[FIGURES].find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
    return {doc["indicator"]: [Recorded(*each) for each in doc["recorded"]] async for doc in found}


def on(kept: list[Recorded], day: str) -> Recorded:
    """What was shown on a day; of one before all that is kept, the oldest."""
    until = [each for each in kept if each.day <= day]
    return until[-1] if until else kept[0] if len(kept) >= MOST else NOTHING


class Figure(NamedTuple):
    """What was shown of a figure on a day, and what is shown now, or was on the last day that figures were recorded."""

    indicator: str
    scope: Scope
    scope_id: str | None
    before: Recorded
    now: Recorded


async def since(home: Database, day: str, **match: Any) -> list[Figure]:
    """The figures that were recorded anew after a day, with what they were on the last day.

    Args:
        match: on scope, scope_id and indicator.
    """
    found = home[FIGURES].find({**match, "day": {"$gt": day}}, batch_size=1_000)
    figures = []
    for doc in await found.to_list(None):
        kept = [Recorded(*each) for each in doc["recorded"]]
        figures.append(Figure(doc["indicator"], doc["scope"], doc["scope_id"], on(kept, day), Recorded(*doc["latest"])))
    return figures


class Redefined(NamedTuple):
    """An indicator that is defined in other words since a day, in all languages."""

    indicator: str
    day: str
    before: dict[str, str]
    now: dict[str, str]


async def redefined(home: Database, day: str) -> list[Redefined]:
    """The indicators whose definition has changed after a day."""
    found = []
    async for doc in home[DEFINITIONS].find():
        kept = doc["recorded"]
        before = [each for each in kept if each["day"] <= day]
        if before and before[-1]["digest"] != kept[-1]["digest"]:
            changed = Redefined(doc["_id"], kept[-1]["day"], before[-1]["definition"], kept[-1]["definition"])
            found.append(changed)
    return found
