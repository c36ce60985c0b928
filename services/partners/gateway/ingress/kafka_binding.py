"""The Kafka binding of CloudEvents 1.0.2: from a record to what an event says of itself. See `http_binding.py`."""

import re
from collections.abc import Iterable
from typing import Any

from shared.log.consumer import ConsumerRecord

from .http_binding import Mode, media_of, read_json, refusal

PREFIX = "ce_"
_ATTRIBUTE = re.compile(r"ce_[a-z0-9]+")
_NOT_ATTRIBUTES = ("ce_data", "ce_datacontenttype")


def decoded_record(record: ConsumerRecord, most: int) -> Any:
    """The parsed JSON of an event, still to be made plain; the record's key is its `partitionkey`.

    Args:
        most: bytes of a value.
    Raises:
        Problem: 400, 413, 415 or 422.
    """
    if record.value is None:
        raise refusal(400, "this is no CloudEvent", "value", "is missing: a record without a value says nothing")
    if len(record.value) > most:
        detail = f"the record's value has more than {most} bytes"
        raise refusal(413, detail, "data", detail)
    content_type = _content_type(record.headers)
    item = read_json(record.value)
    if media_of(content_type) == Mode.binary:
        return _keyed({**_attributes(record.headers), "datacontenttype": content_type, "data": item}, record.key)
    # A list is no batch here: the binding has none.
    return _keyed(item, record.key) if isinstance(item, dict) else None


def _content_type(headers: Iterable[tuple[str, bytes | None]]) -> str:
    given = [value or b"" for name, value in headers if name == "content-type"]
    is_binary = any(name == "ce_specversion" for name, _ in headers)
    content_type = given[0].decode("latin-1") if len(given) == 1 else ""
    media = media_of(content_type)
    if media == Mode.structured or (media == Mode.binary and is_binary):
        return content_type
    expected = (
        f"must be {Mode.structured}, or {Mode.binary} with ce_specversion and the other ce_ headers; in UTF-8, once"
    )
    raise refusal(415, "this content type is not understood", "content-type", expected)


def _attributes(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The attributes in `ce_` headers: UTF-8, not encoded in any further way (binding, section 3.2.3)."""
    attributes: dict[str, str] = {}
    for name, value in headers:
        if not name.lower().startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        if not _ATTRIBUTE.fullmatch(name) or name in _NOT_ATTRIBUTES:
            raise refusal(400, "this is no CloudEvent", name[:100], "is no header of an attribute")
        if attribute in attributes:
            raise refusal(400, "this is no CloudEvent", attribute, "is given twice")
        if value is None:
            raise refusal(400, "this is no CloudEvent", attribute, "has no value")
        try:
            attributes[attribute] = value.decode()
        except UnicodeDecodeError:
            raise refusal(400, "this is no CloudEvent", attribute, "is not UTF-8") from None
    return attributes


def _keyed(item: dict[str, Any], key: bytes | None) -> dict[str, Any]:
    if not key:
        return item
    try:
        partitionkey = key.decode()
    except UnicodeDecodeError:
        raise refusal(422, "the key does not fit the event", "key", "is not UTF-8") from None
    if item.get("partitionkey") not in (None, partitionkey):
        raise refusal(422, "the key does not fit the event", "key", "must be the event's partitionkey, or left out")
    return {**item, "partitionkey": partitionkey}
