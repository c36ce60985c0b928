"""What aiokafka takes for granted of a batch of records, where strangers write them.

A few kilobytes may inflate to gigabytes, and the name of a header may be no UTF-8, which ends the reading of the batch
for good. The broker checks neither. Importing this module guards every consumer of the process.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as compiled

# For the task that reads. What Praktika itself writes is below: `shared.log.raw` sends records of up to 64 MiB.
INFLATED_BYTES: ContextVar[int] = ContextVar("INFLATED_BYTES", default=72 * 1024 * 1024)
VALUE_BYTES: ContextVar[int] = ContextVar(
    "VALUE_BYTES", default=72 * 1024 * 1024
)  # of a record's value; the rest is cut
XERIAL = b"\x82SNAPPY\x00"  # begins snappy as Java writes it: blocks, each after its length
XERIAL_HEADER = 16


class Unreadable(Exception):
    """A batch of records, or its rest, could not be read; the text says why, for the sender."""


def unreadable(record: Any) -> Unreadable | None:
    """What a consumer record stands for if it is no record, but the unreadable rest of a batch."""
    return record.checksum if isinstance(record.checksum, Unreadable) else None


def _bounded(decompress_into: Callable[[Any, bytearray], int]) -> Callable[[Any], bytes]:
    def decode(payload: Any) -> bytes:
        most = INFLATED_BYTES.get()
        size = min(most, 8 * len(payload) + 4096)
        while True:
            room = bytearray(size)
            try:
                return bytes(memoryview(room)[: decompress_into(payload, room)])
            except cramjam.DecompressionError:
                if size == most:
                    raise Unreadable(f"its records are damaged, or inflate to more than {most} bytes") from None
                size = min(most, 16 * size)

    return decode


def _snappy(payload: Any) -> bytes:
    payload, blocks = bytes(payload), []
    if payload.startswith(XERIAL):
        at = XERIAL_HEADER
        while at < len(payload):
            next_offset = at + 4 + int.from_bytes(payload[at : at + 4])
            blocks.append(payload[at + 4 : next_offset])
            at = next_offset
    else:
        blocks.append(payload)
    most = INFLATED_BYTES.get()
    try:
        if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > most:
            raise Unreadable(f"its records inflate to more than {most} bytes")
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except cramjam.DecompressionError:
        raise Unreadable("its records are damaged") from None


class _Batch:
    """A batch as aiokafka has it, which ends with an `Unreadable` where it cannot be read on."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        next_offset, most = self._batch.base_offset, VALUE_BYTES.get()
        try:
            for record in self._batch:
                yield record if len(record.value or b"") <= most else _cut(record, most)
                next_offset = record.offset + 1
        except Exception as error:
            cause = error if isinstance(error, Unreadable) else Unreadable(f"a record cannot be read: {error}"[:300])
            empty = {"key": None, "value": None, "headers": (), "timestamp": 0, "timestamp_type": 0}
            yield SimpleNamespace(offset=next_offset, checksum=cause, **empty)


def _cut(record: Any, most: int) -> Any:
    known = {name: getattr(record, name) for name in ("offset", "timestamp", "timestamp_type", "key", "headers")}
    return SimpleNamespace(**known, checksum=None, value=record.value[:most])


class _Records:
    """Batches as they were fetched, one after the other."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> _Batch:
        return _Batch(self._records.next_batch())


class _PartitionRecords(fetcher.PartitionRecords):
    def __init__(self, tp: Any, records: Any, *others: Any) -> None:
        super().__init__(tp, _Records(records), *others)


_DECODERS = {codec: _bounded(getattr(cramjam, codec).decompress_into) for codec in ("gzip", "lz4", "zstd")}
for _module in (default_records, compiled):
    for _codec, _decode in {**_DECODERS, "snappy": _snappy}.items():
        setattr(_module, f"{_codec}_decode", _decode)
fetcher.PartitionRecords = _PartitionRecords  # type: ignore[misc]
