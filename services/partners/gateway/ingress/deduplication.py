"""The same event again, or another one under its id: what tells them apart."""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256

from pydantic_core import from_json, to_json

from shared.contract import events
from shared.contract.events import DATA, Data, Event, Publisher
from shared.processing.facts import Fact
from shared.processing.mongo import Key

REMEMBERED = 100_000  # about 30 MB
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
Facts = Mapping[str, Mapping[str, Fact]]  # by short type and slot


def digest(event: Event[Data]) -> str:
    """SHA-256 of what the sender says: the attributes, a line each, and the data; nothing that is absent.

    Not of what belongs to the sending (trace, address of the schema, the sender's kind): that may differ when the
    same is sent again.
    """
    moment = str(event.time.timestamp())
    data = to_json(event.data, exclude_none=True)  # in the order of its model, but for the names of a map
    if b"{" in data[1:]:
        data = _CANONICAL.encode(from_json(data)).encode()
    about = (event.id, event.source, event.type, event.subject, event.partitionkey, moment, "")
    return sha256("\n".join(about).encode() + data).hexdigest()


class RecentEvents:
    """The digests of what this process accepted last, by source and id."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._digests: OrderedDict[str, str] = OrderedDict()  # by the source and, after a space, the id

    def of(self, source: str, id: str) -> str | None:
        return self._digests.get(f"{source} {id}")

    def note(self, source: str, digests: Mapping[str, str]) -> None:
        """Remember digests by id."""
        for id, known in digests.items():
            name = f"{source} {id}"
            self._digests[name] = known
            self._digests.move_to_end(name)
        while len(self._digests) > self._most:
            self._digests.popitem(last=False)


def kept(key: Key, held: Facts, source: str, ids: set[str]) -> Iterable[Event[Data]]:
    """The events of *source* under *ids* that an entity holds as facts."""
    for short_type, slots in held.items():
        for slot, fact in slots.items():
            if fact["id"] in ids and fact["source"] == source:
                yield _event(key, short_type, slot, fact)


def _event(key: Key, short_type: str, slot: str, fact: Fact) -> Event[Data]:
    """The event that a fact was made of; an optional field that came into the contract since has its default."""
    model = DATA[f"praktika.{short_type}.v1"]
    return events.compose(
        model.model_validate(fact["data"]),
        source=fact["source"],
        kind=Publisher(fact["kind"]),
        id=fact["id"],
        subject=key.id if model.key == "subject" else fact["data"].get("credential", slot.rpartition("/")[2]),
        key=key.id,
        time=datetime.fromisoformat(fact["time"]),
    )
