"""Dead letters: what a service could not process, what became of it, and giving it to the services once more.

A dead letter is named by its service and the position of the original record: `monitoring learner-3-117`. What the
operator does about it is a further record under the same key on the same topic (a mark), so the log tells it all.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError

from shared.log.consumer import ConsumerRecord
from shared.log.producer import NotPublished
from shared.log.raw import Raw, Reader, Spans, Writer
from shared.log.reads import Log
from shared.log.topics import SERVICES, dead_letter_topic

HEADER = "praktika-dead-letter"
REPLAYED, DISCARDED = "replayed", "discarded"
MARKS = {f"{HEADER}-{status}": status for status in (REPLAYED, DISCARDED)}
REPLAY_OF = "praktika-replay-of"  # on a record that was published again: the position of the former
AT_ONCE = 100


class Position(NamedTuple):
    """Where a record is in the log; the topic without the namespace."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"

    @classmethod
    def of(cls, text: str) -> "Position | None":
        """The position that *text* names, with or without a namespace; None if it names none."""
        match = re.fullmatch(r"(?:[a-z][a-z0-9]*\.)?([a-z-]+)-(\d{1,9})-(\d{1,18})", text)
        return cls(match[1], int(match[2]), int(match[3])) if match else None


@dataclass
class DeadLetter:
    """One record that one service could not process.

    Attributes:
        size: bytes of the original; None: it had no value. Very long ones are cut in the dead letter.
        again: the position of the record that this one is a replay of.
        kept: where the dead letter itself is, on the service's dead-letter topic.
        copies: how often it is there; a service that crashes at the wrong moment writes it again.
        status: open, replayed or discarded; `mark` says when and how.
    """

    service: str
    position: Position
    at_ms: int
    size: int | None
    cause: str
    reason: str
    again: str | None
    kept: Position
    key: bytes
    copies: int = 1
    status: str = "open"
    mark: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.status == "open"


class Found(NamedTuple):
    """What is on the dead-letter topics; `unreadable`: positions of records there that are none of ours."""

    letters: list[DeadLetter]
    unreadable: list[Position]


async def spans(reader: Reader, services: Iterable[str] = SERVICES) -> Spans:
    return await reader.spans(map(dead_letter_topic, services))


async def read(reader: Reader, of: Spans, advanced: Callable[[int], None] = lambda _: None) -> Found:
    """The dead letters in a stretch of the dead-letter topics, oldest first, each once."""
    letters: dict[tuple[str, bytes], DeadLetter] = {}
    marks: dict[tuple[str, bytes], tuple[str, dict[str, Any]]] = {}
    unreadable: list[Position] = []
    async for record in reader.read(of, advanced):
        kept = Position(record.topic.partition(".")[2], record.partition, record.offset)
        named = kept.topic.rpartition(".")[2], record.key or b""
        try:
            if found := _mark(record):
                marks[named] = found
            elif named in letters:
                letters[named].copies += 1
            else:
                letters[named] = _letter(record, named[0], kept)
        except (ValueError, KeyError, TypeError, AttributeError):
            unreadable.append(kept)
    for named, (status, mark) in marks.items():
        if named in letters:
            letters[named].status, letters[named].mark = status, mark
    return Found(sorted(letters.values(), key=lambda letter: letter.at_ms), unreadable)


def _mark(record: ConsumerRecord) -> tuple[str, dict[str, Any]] | None:
    for name, content in record.headers:
        if name in MARKS:
            return MARKS[name], dict(json.loads(content))
    return None


def _letter(record: ConsumerRecord, service: str, kept: Position) -> DeadLetter:
    headers = dict(reversed(record.headers))  # the first of a name counts: what follows, the sender may have named
    about = json.loads(headers[HEADER])
    position = Position.of(f"{about['topic']}-{about['partition']}-{about['offset']}")
    if position is None or record.key is None:
        raise ValueError("it names no position")
    again = headers.get(f"original-{REPLAY_OF}")
    return DeadLetter(
        service=service,
        position=position,
        at_ms=record.timestamp,
        size=None if about["bytes"] is None else int(about["bytes"]),
        cause=str(about["cause"]),
        reason=str(about["reason"]),
        again=again.decode("utf-8", "replace") if again else None,
        kept=kept,
        key=record.key,
    )


async def original(letter: DeadLetter, log: Log) -> Raw | None:
    """The record that could not be processed, as it is in the log; else what the dead letter kept of it, if whole."""
    copy = await kept(letter, log)
    record = await log.record(*letter.position)
    if record is not None and (record.value or b"").startswith(copy.value or b""):
        return Raw(letter.position.topic, record.key, record.value, list(record.headers))
    return copy if letter.size is None or len(copy.value or b"") == letter.size else None


async def kept(letter: DeadLetter, log: Log) -> Raw:
    """What the dead letter holds of the original: key, bytes and headers, each perhaps cut."""
    record = await log.record(*letter.kept)
    if record is None:
        raise NotPublished(f"{letter.kept} was there and is not any more")
    # The first is the key; a header of the original may be called so, too.
    (_, key), *headers = [(name, content) for name, content in record.headers if name.startswith("original-")]
    value = None if letter.size is None else record.value
    return Raw(letter.position.topic, key, value, [(name.removeprefix("original-"), text) for name, text in headers])


async def replay(
    letters: Sequence[DeadLetter], log: Log, writer: Writer, advanced: Callable[[int], None]
) -> dict[Position, Position | str]:
    """Publish the originals once more, at the end of the partitions that they belong on, and mark the dead letters.

    All services see them again; for those that have taken them in already they are duplicates, which change nothing.
    Stopped in the middle, at most `AT_ONCE` of them are published and not marked: open still, and harmless twice.
    Returns:
        by former position, the new one, or why there is none.
    """
    done: dict[Position, Position | str] = {}
    waiting = list(dict.fromkeys(letter.position for letter in letters))
    for start in range(0, len(waiting), AT_ONCE):
        chunk = set(waiting[start : start + AT_ONCE])
        chosen = {letter.position: letter for letter in letters if letter.position in chunk}
        done |= await _publish(chosen, log, writer)
        marks = [
            _marked(letter, REPLAYED, to=str(done[letter.position]))
            for letter in letters
            if letter.position in chunk and isinstance(done[letter.position], Position)
        ]
        await writer.write(marks)
        advanced(len(chunk))
    return done


async def _publish(chosen: dict[Position, DeadLetter], log: Log, writer: Writer) -> dict[Position, Position | str]:
    done: dict[Position, Position | str] = {}
    records: dict[Position, Raw] = {}
    for position, letter in chosen.items():
        record = await original(letter, log)
        if record is None:
            done[position] = "neither the log nor the dead letter has all of its bytes"
        else:
            headers = [header for header in record.headers if header[0] != REPLAY_OF]
            records[position] = record._replace(headers=[*headers, (REPLAY_OF, str(position).encode())])
    for position, answer in zip(records, await writer.write(list(records.values())), strict=True):
        if isinstance(answer, MessageSizeTooLargeError):
            done[position] = "with the note that it is a replay it is larger than Kafka accepts"
        else:
            done[position] = Position(position.topic, answer.partition, answer.offset)
    return done


async def discard(letters: Sequence[DeadLetter], because: str, writer: Writer) -> None:
    """Note that nothing will be done about these dead letters."""
    await writer.write([_marked(letter, DISCARDED, because=because) for letter in letters])


def _marked(letter: DeadLetter, status: str, **how: str) -> Raw:
    mark = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": "operator", **how}
    header = (f"{HEADER}-{status}", json.dumps(mark).encode())
    return Raw(dead_letter_topic(letter.service), letter.key, b"", [header], letter.kept.partition)
