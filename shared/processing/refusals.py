"""Who published an event that is not applied learns of it: among the rejections, and in the feed."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from shared.contract.events import EventRefused, derive, derived_id
from shared.log.consumer import ConsumerRecord
from shared.log.producer import Record, record_of
from shared.processing.facts import DecodedEvent
from shared.processing.ownership import Refused

REJECTED = "rejected"
ORIGINAL_BYTES = 64 * 1024
NOT_APPLIED = "accepted, but not applied: "
UNPROCESSED = "the service could not process the event; the operator has it as a dead letter"


def rejected(  # noqa: PLR0913
    organisation: str,
    *,
    received_at: str,
    problem: dict[str, Any],
    content_type: str,
    attributes: Mapping[str, str],
    original: bytes | None,
) -> Record:
    """What goes to the topic `rejected`: the reason, and at most 64 KiB of what was sent (null: it was not read)."""
    about = {
        "organisation": organisation,
        "received_at": received_at,
        "problem": problem,
        "content_type": content_type,
        "attributes": attributes,
        "size": None if original is None else len(original),
        "original": None if original is None else base64.b64encode(original[:ORIGINAL_BYTES]).decode(),
    }
    return Record(REJECTED, organisation, to_json(about))


def refusal(service: str, record: ConsumerRecord, decoded: DecodedEvent, error: Exception) -> list[Record]:
    """What tells the publisher that *service* did not apply the event in *record*; nothing if it is no organisation's.

    The same event gives the same event again, so that a repetition can be told.
    """
    if not decoded.source.startswith("/organisations/"):
        return []
    rule, reason = (error.rule, str(error)) if isinstance(error, Refused) else ("unprocessed", UNPROCESSED)
    position, organisation = f"{record.topic.partition('.')[2]}-{record.partition}-{record.offset}", decoded.publisher
    time = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    data = EventRefused(
        organisation=organisation,
        event=decoded.fact["id"],
        type=f"praktika.{decoded.event_class.short_type}.v1",
        rule=rule,
        reason=reason,
    )
    id = derived_id("event.refused", service, position)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": NOT_APPLIED + reason,
        "rule": rule,
        "position": position,
    }
    rejection = rejected(
        organisation,
        received_at=time.isoformat(),
        problem=problem,
        content_type="application/cloudevents+json",
        attributes={},
        original=record.value,
    )
    return [rejection, record_of(derive(service, data, id=id, subject=id, key=organisation, time=time))]
