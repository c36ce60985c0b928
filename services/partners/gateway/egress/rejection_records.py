"""What the records of the topic `rejected` say."""

from typing import Any

from pydantic_core import from_json

from shared.log.consumer import ConsumerRecord


def resubmission_in(record: ConsumerRecord) -> dict[str, Any] | None:
    """What a record of the topic says, if it says that something refused was sent again and accepted."""
    try:
        content = from_json(record.value or b"")
        return {name: str(content[name]) for name in ("organisation", "received_at", "resubmitted", "id", "event")}
    except (ValueError, KeyError, TypeError):
        return None


def rejection_in(record: ConsumerRecord) -> dict[str, Any] | None:
    """What a record of the topic says was refused; None if it says something else."""
    try:
        content = from_json(record.value or b"")
        problem = content["problem"]
        return {
            "position": f"rejected-{record.partition}-{record.offset}",
            **{name: content[name] for name in ("organisation", "received_at")},
            "status": problem["status"],
            "detail": problem["detail"],
            "errors": [dict(error) for error in problem.get("errors", [])],
            **{name: problem[name] for name in ("rule", "reference", "digests", "row") if name in problem},
            **{name: content.get(name) for name in ("content_type", "attributes", "size", "original")},
        }
    except (ValueError, KeyError, TypeError):
        return None
