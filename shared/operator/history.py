"""The whole log as one file of CloudEvents, a line each: backup, migration, and proof in one.

A record that is an event in JSON is that event, with extension attributes that say where it was; any other record is
carried as an event `praktika.record.v1`. Either way the file holds its exact bytes. The first line says what the log
held, the last how many records there are and their digest. Records are in order partition by partition.
"""

import base64
import gzip
import hashlib
import io
import itertools
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any, NamedTuple
from uuid import uuid4

import zstandard
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from pydantic_core import from_json

from shared.contract.events import SANDBOX, TOPICS
from shared.http.trail import TOPIC as TRAIL
from shared.log.consumer import ConsumerRecord
from shared.log.raw import Raw, Reader, Span, Spans, Writer, count
from shared.log.topics import SERVICES, dead_letter_topic, topic_name

# What cannot be worked out again. Dead letters could be, but not what was decided about them.
HELD = (*TOPICS, SANDBOX, "rejected", TRAIL, *map(dead_letter_topic, SERVICES))
FORMAT = 1
BEGAN, ENDED, RECORD = "praktika.history.began.v1", "praktika.history.ended.v1", "praktika.record.v1"
AT_ONCE, AT_ONCE_BYTES = 1_000, 4_000_000


class Unfit(Exception):
    """The file is none of ours or damaged, or the log is not what the import can go on from; the text says which."""


class Entry(NamedTuple):
    """A record as a line holds it; `offset` is where it was."""

    record: Raw
    offset: int


# one line


def line_of(record: ConsumerRecord) -> bytes:
    value, topic = record.value, record.topic.partition(".")[2]
    about: dict[str, Any] = {
        "kafkatopic": topic,
        "kafkapartition": record.partition,
        "kafkaoffset": str(record.offset),  # a CloudEvents integer has 32 bits
        "kafkatime": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
    }
    if record.key is not None:
        about["kafkakey"] = base64.b64encode(record.key).decode()
    if record.headers:
        pairs = [(name, None if text is None else base64.b64encode(text).decode()) for name, text in record.headers]
        about["kafkaheaders"] = json.dumps(pairs)
    if value is not None and _is_event(value):
        about["kafkabytes"] = len(value)
        return bytes(json.dumps(about).encode()[:-1] + b", " + value[1:])
    position = f"{topic}-{record.partition}-{record.offset}"
    about |= {"specversion": "1.0", "id": position, "source": "/history", "type": RECORD}
    if value is not None:
        about["data_base64"] = base64.b64encode(value).decode()
    return json.dumps(about).encode()


def _is_event(value: bytes) -> bool:
    """Can *value* be carried as it is: a CloudEvent in one line that has none of our attributes?"""
    if not (value.startswith(b"{") and value.endswith(b"}")) or b"\n" in value or b"\r" in value:
        return False
    try:
        event = from_json(value, allow_inf_nan=False)
    except ValueError:
        return False
    named = all(isinstance(event.get(name), str) for name in ("specversion", "id", "source", "type"))
    return named and event["type"] != RECORD and not any(name.startswith("kafka") for name in event)


def entry_of(line: bytes) -> Entry:
    """The record that *line* holds.

    Raises:
        Unfit: it holds none.
    """
    try:
        return _entry_of(line.rstrip(b"\n"))
    except (ValueError, KeyError, TypeError):
        raise Unfit(f"the file is damaged: {line[:200]!r}") from None


def _entry_of(line: bytes) -> Entry:
    about = from_json(line)
    value = None
    if "kafkabytes" in about:
        value = b"{" + line[1 - about["kafkabytes"] :]
    elif "data_base64" in about:
        value = base64.b64decode(about["data_base64"], validate=True)
    key = base64.b64decode(about["kafkakey"], validate=True) if "kafkakey" in about else None
    pairs = json.loads(about.get("kafkaheaders", "[]"))
    headers = [(str(name), None if text is None else base64.b64decode(text, validate=True)) for name, text in pairs]
    record = Raw(str(about["kafkatopic"]), key, value, headers, int(about["kafkapartition"]))
    return Entry(record, int(about["kafkaoffset"]))


# the file


@contextmanager
def opened_to_write(target: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """A stream that compresses into *target*, as the file's name asks for: .zst, else gzip."""
    stream: Any
    if name.endswith(".zst"):
        stream = zstandard.ZstdCompressor(level=6, write_checksum=True).stream_writer(target, closefd=False)
    else:
        stream = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0)
    with stream:
        yield stream


def opened_to_read(source: io.BufferedReader) -> Iterator[bytes]:
    """The lines of *source*, whether it is compressed by zstd, gzip, or not."""
    begin = source.peek(4)[:4]
    decompressed: Any = source
    if begin.startswith(b"\x1f\x8b"):
        decompressed = gzip.GzipFile(fileobj=source)
    elif begin == b"\x28\xb5\x2f\xfd":
        reader: Any = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        decompressed = io.BufferedReader(reader)
    return iter(decompressed)


class Began(NamedTuple):
    """A file's first line: how many partitions each topic had, and about how many records follow."""

    partitions: dict[str, int]
    records: int


def began_of(line: bytes) -> Began:
    """
    Raises:
        Unfit: it is no first line of ours.
    """
    try:
        event = from_json(line)
        if event["type"] == BEGAN and event["data"]["format"] == FORMAT:
            partitions = {str(topic): int(number) for topic, number in event["data"]["partitions"].items()}
            return Began(partitions, int(event["data"]["records"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Unfit(f"the file is no history of format {FORMAT}")


def lines(file: Iterator[bytes]) -> Iterator[bytes]:
    """The first line, then a line per record; the last line is checked and kept.

    Raises:
        Unfit: the file is damaged, which may be noticed only at its end.
    """
    digest, number = hashlib.sha256(), -1
    try:
        for line in file:
            if number >= 0 and not line.startswith(b'{"kafkatopic"'):
                return _check_end(line, next(file, None), number, digest.hexdigest())
            digest.update(line)
            yield line
            number += 1
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise Unfit(f"the file is damaged after {number} records: {error}") from error
    raise Unfit(f"the file ends early, after {max(0, number)} records")


def _check_end(line: bytes, beyond: bytes | None, number: int, digest: str) -> None:
    try:
        end = from_json(line)
        if end["type"] == ENDED and end["data"] == {"records": number, "sha256": digest} and beyond is None:
            return
    except (ValueError, KeyError, TypeError):
        pass
    raise Unfit("the file is damaged: its lines are not those that the last one sums up")


def _line_about(type_: str, data: Mapping[str, Any]) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    event = {"specversion": "1.0", "id": str(uuid4()), "source": "/history", "type": type_, "time": now, "data": data}
    return json.dumps(event).encode() + b"\n"


# between log and file


async def export(records: AsyncIterator[ConsumerRecord], spans: Spans, into: IO[bytes]) -> int:
    """Write *records*, which are what *spans* hold; return how many there were."""
    partitions = Counter(tp.topic.partition(".")[2] for tp in spans)
    first = _line_about(BEGAN, {"format": FORMAT, "partitions": partitions, "records": count(spans)})
    into.write(first)
    digest, number = hashlib.sha256(first), 0
    async for record in records:
        line = line_of(record) + b"\n"
        into.write(line)
        digest.update(line)
        number += 1
    into.write(_line_about(ENDED, {"records": number, "sha256": digest.hexdigest()}))
    return number


class Imported(NamedTuple):
    """How many records were written, how many were there already, and how many have another offset than they had."""

    written: int
    there: int
    moved: int


async def import_(
    file: Iterator[bytes], reader: Reader, writer: Writer, namespace: str, advanced: Callable[[int], None]
) -> Imported:
    """Append what of the file is not there yet; what is there must be the same, record by record.

    Raises:
        Unfit: the file is damaged, or the log holds something else.
    """
    total = Imported(0, 0, 0)
    remaining = lines(file)
    began = began_of(next(remaining, b""))
    spans = await reader.spans(HELD)
    _demand_same_partitions(began, spans)
    by_partition = itertools.groupby(
        map(entry_of, remaining), lambda entry: (entry.record.topic, entry.record.partition)
    )
    for (topic, partition), entries in by_partition:
        tp = TopicPartition(topic_name(namespace, topic), partition or 0)
        if tp not in spans:
            raise Unfit(f"there is no partition {topic}-{partition}")
        done = await _import_partition(entries, reader.read({tp: spans[tp]}), spans[tp], writer, advanced)
        total = Imported(*map(sum, zip(total, done, strict=True)))
    return total


def _demand_same_partitions(began: Began, spans: Spans) -> None:
    there = Counter(tp.topic.partition(".")[2] for tp in spans)
    for topic, number in began.partitions.items():
        if there[topic] != number:
            raise Unfit(f"the topic {topic} must have {number} partitions and has {there[topic]}: is the set-up done?")


async def _import_partition(
    entries: Iterator[Entry],
    there: AsyncIterator[ConsumerRecord],
    span: Span,
    writer: Writer,
    advanced: Callable[[int], None],
) -> Imported:
    known, moved = 0, 0
    async for record in there:
        entry = next(entries, None)
        if entry is None:  # the log has gone on since
            return Imported(0, known, moved)
        if not _is_same(entry.record, record):
            raise Unfit(f"{record.topic}-{record.partition}-{record.offset} is another record than the file's")
        known, moved = known + 1, moved + (record.offset != entry.offset)
        advanced(1)
    written, end = 0, span.end
    for chunk in _chunks(entries):
        answers = await writer.write([entry.record for entry in chunk])
        for entry, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, MessageSizeTooLargeError):
                raise Unfit(
                    f"{entry.record.topic}-{entry.record.partition} offset {entry.offset} is too large for Kafka"
                )
            if answer.offset != end:
                raise Unfit(
                    f"somebody else writes to {answer.topic}: stop the services, make the topics anew, begin again"
                )
            written, moved, end = written + 1, moved + (answer.offset != entry.offset), end + 1
        advanced(len(chunk))
    return Imported(written, known, moved)


def _is_same(former: Raw, record: ConsumerRecord) -> bool:
    # The client cannot write a record that has neither key nor value; it got an empty key.
    key = former.key if (former.key, former.value) != (None, None) else record.key
    return (key, former.value, list(former.headers)) == (record.key, record.value, list(record.headers))


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += len(entry.record.value or b"")
        if len(chunk) >= AT_ONCE or size >= AT_ONCE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
