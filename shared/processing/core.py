"""What a service is: its rules as pure functions, which `batches.py` applies and nothing else of ours knows."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contract.events import Data, Event
from shared.processing.facts import DecodedEvent, State
from shared.processing.mongo import Counts, Database, Key


def _nothing(*_: Any) -> Any:
    return {}


async def _no_context(_db: Database, _keys: Collection[Key], _said: Sequence[DecodedEvent]) -> Any:
    return None


async def _none_due(_db: Database, _labels: Sequence[str]) -> list[tuple[str, Key]]:
    return []


@dataclass(frozen=True)
class Core:
    """The rules of a service, without I/O but for `context` and `due`, which only read.

    Attributes:
        name: of the service; its consumer group and database too.
        topics: what it consumes.
        indexes: collections of the service with the field names to index.
        route: which state an event belongs to; None: the service has no use for the event. A state belongs to
            one partition: its id begins with the event's key.
        view: fields of a state to store beside it, for lists and look-ups.
        react: the events that should exist, given a state and the context, and do not yet; each is at once
            taken into the state as a fact, so that asking again gives nothing.
        contributions: what a state adds to the counters.
        context: read what `react` needs besides the states of these keys, to judge these events. What it reads of
            other entities may be one batch old; `due` mends what that misses.
        generation: raised when the rules keep or count more than before: a database that was made earlier lacks that
            until it is rebuilt, and the operator is told.
        tells: topics; who published an event of theirs that a rule refuses is told so by this service.
        due: states in these partitions (labels like `learner-3`) that `react` should look at because of time, or
            of what other partitions know; with the label of each.
    """

    name: str
    topics: tuple[str, ...]
    indexes: dict[str, list[tuple[str, ...]]]
    route: Callable[[DecodedEvent], Key | None]
    generation: int = 1
    tells: tuple[str, ...] = ()
    view: Callable[[Key, State], dict[str, Any]] = _nothing
    react: Callable[[Key, State, Any], list[Event[Data]]] = _nothing
    contributions: Callable[[Key, State], Counts] = _nothing
    context: Callable[[Database, Collection[Key], Sequence[DecodedEvent]], Awaitable[Any]] = _no_context
    due: Callable[[Database, Sequence[str]], Awaitable[list[tuple[str, Key]]]] = _none_due
