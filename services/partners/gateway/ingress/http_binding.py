"""The HTTP binding and the JSON format of CloudEvents 1.0.2: from headers and a body to what an event says of itself.

It knows nothing of the contract but the names of attributes: what comes out still has to be one of its events.
"""

import difflib
import re
import zlib
from base64 import b64decode
from codecs import BOM_UTF8
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_to_bytes

import jiter
from pydantic_core import from_json
from starlette.datastructures import Headers

from shared.contract.events import Event
from shared.http.problems import Problem
from shared.settings import Settings


class Mode(StrEnum):
    """How a request carries events, by its media type; another type of data than JSON is not in the contract."""

    structured = "application/cloudevents+json"
    batch = "application/cloudevents-batch+json"
    binary = "application/json"


_JSON = Mode.binary.value
_ATTRIBUTES = frozenset(Event.model_fields)
_GZIP = ("gzip", "x-gzip")  # RFC 9110, section 8.4.1.3
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""")
_NAME = re.compile(r"[a-z0-9]+")
MOST_LETTERS = 40  # of a name: CloudEvents recommends 20, and what others add keeps to it
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ENCODED = re.compile(rb"(?:[ -$&-~]|%[0-9A-Fa-f]{2})*")


def mode_of(headers: Headers) -> Mode:
    """The mode of a request.

    Raises:
        Problem: 415, its media type, charset or content coding is not understood.
    """
    if _coding(headers) not in ("", "identity", *_GZIP):
        expected, accepted = "must be gzip or left out", {"Accept-Encoding": "gzip"}  # RFC 9110, section 15.5.16
        raise refusal(415, "this content coding is not understood", "content-encoding", expected, accepted)
    media = media_of(headers.get("content-type", ""))
    if media not in tuple(Mode) or (media == Mode.binary and "ce-specversion" not in headers):
        expected = (
            f"must be {Mode.structured}, {Mode.batch}, or {Mode.binary} with ce-specversion and the other ce- headers; "
            "in UTF-8"
        )
        raise refusal(415, "this content type is not understood", "content-type", expected)
    return Mode(media)


def _coding(headers: Headers) -> str:
    return ",".join(headers.getlist("content-encoding")).strip().lower()


def media_of(content_type: str) -> str | None:
    """The media type without parameters; None if it is not in UTF-8."""
    media, _, parameters = content_type.lower().partition(";")
    charset = _CHARSET.search(parameters)
    return None if charset and charset[1] not in ("utf-8", "utf8", "us-ascii") else media.strip()


def inflated(headers: Headers, body: bytes, most: int) -> bytes:
    """The body without its content coding, of at most *most* bytes; what would be more is not even inflated.

    Raises:
        Problem: 413, or 400 if it is no gzip of one member (many small ones would take long).
    """
    what = "the body"
    if _coding(headers) in _GZIP:
        what, inflater = "the inflated body", zlib.decompressobj(wbits=31)
        try:
            body = inflater.decompress(body, most + 1)
        except zlib.error as error:
            raise refusal(400, "this is not gzip", "body", str(error)) from None
        if len(body) <= most and (not inflater.eof or inflater.unused_data):
            raise refusal(400, "this is not gzip", "body", "goes on after its end" if inflater.eof else "ended early")
    if len(body) > most:
        detail = f"{what} has more than {most} bytes"
        raise refusal(413, detail, "body", detail)
    return body


def decoded(mode: Mode, headers: Headers, body: bytes, settings: Settings) -> Any:
    """The parsed JSON of an event, or of the list of a batch; each still to be made plain.

    Raises:
        Problem: 400 or 413.
    """
    content = read_json(body, settings.body_max_values)
    if mode == Mode.binary:
        return {**_attributes(headers), "datacontenttype": headers["content-type"], "data": content}
    if mode == Mode.structured:
        # A list is what a batch is, so here it is as little an event as any other JSON.
        return content if isinstance(content, dict) else None
    if not isinstance(content, list):
        raise refusal(400, "this is no batch", "body", "must be a JSON array of CloudEvents")
    if len(content) > settings.batch_max_events:
        detail = f"the batch has {len(content)} events; at most {settings.batch_max_events} are accepted"
        raise refusal(413, detail, "body", detail)
    return content


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """An event in one form of the several that the JSON format allows: null is absent, data is JSON and no base64.

    *item* stays as it was sent.
    Raises:
        Problem: 422.
    """
    event = {name: value for name, value in item.items() if value is not None} if None in item.values() else item
    content_type = event.get("datacontenttype", _JSON)
    if content_type != _JSON and isinstance(content_type, str) and media_of(content_type) == _JSON:
        event = {**event, "datacontenttype": _JSON}
    if "data_base64" in event and "data" not in event:
        try:
            data = b64decode(event["data_base64"], validate=True).removeprefix(BOM_UTF8)
            event = {**event, "data": from_json(data, allow_inf_nan=False)}
            del event["data_base64"]
        except (ValueError, TypeError):
            raise refusal(422, "the data is not JSON", "data_base64", "must be JSON in base64") from None
    return event


def without_extensions(event: dict[str, Any]) -> dict[str, Any]:
    """An event without the extension attributes that intermediaries added: Knative, Dapr and others do.

    They never reach a topic. What looks like an attribute of the contract with a mistake in it is not dropped.
    Raises:
        Problem: 422, it is such a mistake, or no extension attribute of CloudEvents (section 3.1).
    """
    if event.keys() <= _ATTRIBUTES:
        return event
    unknown = event.keys() - _ATTRIBUTES
    for name in sorted(unknown):
        if similar := difflib.get_close_matches(name.lower(), Event.model_fields, n=1, cutoff=0.85):
            raise refusal(422, "there is no such attribute", name[:100], f"is not known; is it {similar[0]}?")
        if not _NAME.fullmatch(name) or len(name) > MOST_LETTERS or not isinstance(event[name], str | bool | int):
            wrong = f"must have {MOST_LETTERS} lower-case letters and digits at most, and be a text, number or boolean"
            raise refusal(422, "this is no extension attribute of CloudEvents", name[:100], wrong)
    return {name: value for name, value in event.items() if name not in unknown}


def refusal(status: int, detail: str, field: str, wrong: str, headers: dict[str, str] | None = None) -> Problem:
    return Problem(status, detail, [(field, wrong)], headers)


def read_json(body: bytes, most: int = 100_000) -> Any:
    """Parsed JSON, strictly.

    Args:
        most: values, as far as they can be counted before anything is parsed; a comma in a text counts, too.
    Raises:
        Problem: it is none, or would take much more memory than it has bytes.
    """
    if len(body) > most and sum(map(body.count, (b",", b"[", b"{"))) > most:
        detail = f"there are more than {most} values in it"
        raise refusal(413, detail, "body", detail)
    try:
        body = body.removeprefix(BOM_UTF8)  # 1C and .NET write it
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise refusal(400, "this is not JSON", "body", str(error)[:200]) from None


def _attributes(headers: Headers) -> dict[str, str]:
    """The attributes in `ce-` headers: unquoted, percent-decoded once, strict UTF-8 (binding, section 3.1.3.2).

    What should have been encoded and is not (a stray %, a letter beyond ASCII) could be read in two ways: refused.
    """
    attributes: dict[str, str] = {}
    for name, value in headers.raw:
        header = name.decode("latin-1").lower()
        attribute = header.removeprefix("ce-")
        if attribute == header:
            continue
        if not _NAME.fullmatch(attribute) or attribute in ("data", "datacontenttype"):
            raise refusal(400, "this is no CloudEvent", header[:100], "is no header of an attribute")
        if attribute in attributes:
            raise refusal(400, "this is no CloudEvent", attribute, "is given twice")
        try:
            attributes[attribute] = _text(value)
        except ValueError:
            raise refusal(400, "this is no CloudEvent", attribute, "is not percent-encoded UTF-8") from None
    return attributes


def _text(value: bytes) -> str:
    quoted = _QUOTED.fullmatch(value)
    encoded = re.sub(rb"\\(.)", rb"\1", quoted[1]) if quoted else value
    if not _ENCODED.fullmatch(encoded):
        raise ValueError(encoded)
    return unquote_to_bytes(encoded).decode()
