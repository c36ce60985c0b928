"""An import of a framework's version: what is different is published; the version last, when it has all its items."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from shared.contract.events import (
    Data,
    Event,
    FrameworkItemDefined,
    FrameworkPublished,
    serialise,
    wording_of,
)
from shared.http.auth import Caller
from shared.http.commands import event_by
from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import Text
from shared.processing.frameworks import FRAMEWORKS, ITEMS, TOPIC, misfit

from .files import AT_ONCE, TAKEN, misnamed

Doc = dict[str, Any]


@dataclass
class Outcome:
    """What became of items: how many are new, changed or the same, and what was refused, by its place among them."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[Doc] = field(default_factory=list)

    def shown(self) -> Doc:
        return {**{name: self.counts[name] for name in ("new", "changed", "same")}, "refused": self.refused}


async def define(service: Service, caller: Caller, framework: str, version: str, items: Sequence[Doc]) -> Outcome:
    """Publish those of a version's items that are not known as they are.

    What is on the log already is taken in first. So an import that was broken off goes on where it was, and one that is
    repeated publishes nothing.
    Raises:
        Problem: the framework is built in, or this service lags behind.
    """
    _check_id(framework)
    outcome, events = Outcome(), list[Event[Data]]()
    async with service.shared.setdefault(f"import of {framework}", asyncio.Lock()):
        await service.current(TOPIC, framework)
        is_published = version in {one["version"] for one in await _versions(service, framework)}
        held = await _held(service, version, [str(item.get("id")) for item in items])
        for place, item in enumerate(items):
            try:
                event = _item(service, caller, framework, version, item)
                known = held.get(event.subject)
                _check_change(event.data, known, is_published=is_published)
            except Problem as problem:
                errors = [{"field": name, "detail": detail} for name, detail in problem.errors]
                outcome.refused.append({"item": place, "errors": errors or [{"field": "", "detail": problem.detail}]})
                continue
            outcome.counts["same" if known == event.data else "changed" if known else "new"] += 1
            if known != event.data:
                held[event.subject] = event.data
                events.append(event)
        if events:
            await service.publish(*events)
    return outcome


async def publish(service: Service, caller: Caller, framework: str, data: FrameworkPublished) -> Event[Data] | None:
    """The event that puts a version in force, to be published; None: it is in force as it is.

    Raises:
        Problem: it does not have all its items yet, or was published before.
    """
    _check_id(framework)
    await service.current(TOPIC, framework)
    versions = await _versions(service, framework)
    event = event_by(caller, data, framework)
    before = next((one for one in versions if one["version"] == data.version), None)
    if before is not None:
        if before is versions[-1] and FrameworkPublished.model_validate(_said(before)) == event.data:
            return None
        about = {"version": data.version}
        wrong = Text("{version} was published before: what is different is another version", about)
        raise Problem(409, wrong, [("version", wrong)])
    number = await service.db[ITEMS].count_documents({"framework": framework, "versions.version": data.version})
    if number != data.items:
        given: Doc = {"version": data.version, "number": number, "items": data.items}
        wrong = Text(
            "of {version} there are {number} items, and {items} are announced: import all of them first", given
        )
        raise Problem(409, wrong, [("items", wrong)])
    return event


def _said(shown: Doc) -> Doc:
    return {name: value for name, value in shown.items() if name != "published_at"}


def _check_id(framework: str) -> None:
    if wrong := misnamed(framework, "1"):
        raise Problem(409 if framework in TAKEN else 422, wrong["framework"], [("id", wrong["framework"])])


async def _versions(service: Service, framework: str) -> list[Doc]:
    doc = await service.db[FRAMEWORKS].find_one({"_id": framework}, {"versions": 1})
    return doc["versions"] if doc else []


async def _held(service: Service, version: str, ids: list[str]) -> dict[str, Data]:
    """The items that a version has already, of these."""
    docs = service.db[ITEMS].find({"_id": {"$in": ids}}, {"state.facts": 1}, batch_size=AT_ONCE)
    slots = {doc["_id"]: doc["state"]["facts"][FrameworkItemDefined.short_type] async for doc in docs}
    return {id: FrameworkItemDefined.model_validate(of[version]["data"]) for id, of in slots.items() if version in of}


def _item(service: Service, caller: Caller, framework: str, version: str, item: Doc) -> Event[Data]:
    said = {name: value for name, value in item.items() if name != "id"}
    try:
        data = FrameworkItemDefined.model_validate({**said, "framework": framework, "version": version})
        event = event_by(caller, data, str(item.get("id")), framework)
    except ValidationError as error:
        wrong = [(".".join(map(str, one["loc"])), wording_of(one)) for one in error.errors(include_url=False)[:10]]
        raise Problem(422, "the item does not fit", wrong) from None
    if found := misfit(event):
        raise Problem(422, "the item does not fit", [("id", found[1])])
    most = service.settings.event_max_bytes
    if (size := len(serialise(event))) > most:
        wrong_size = Text("the event has {size} bytes; at most {most} are accepted", {"size": size, "most": most})
        raise Problem(422, wrong_size, [("alternative", wrong_size)])
    return event


def _check_change(data: Any, known: Any, *, is_published: bool) -> None:
    """Refuse what would change what a version in force has, or counts; how its items are called may be mended."""
    if is_published and (known is None or known.sustainability != data.sustainability):
        what = "sustainability" if known else "id"
        given = {"version": data.version}
        wrong = Text("{version} is published: a new item, or what counts, is another version", given)
        raise Problem(409, wrong, [(what, wrong)])
