"""Does a certificate count today? Its end is a day that comes by itself: what is stored does not know of it."""

from datetime import UTC, date, datetime
from typing import Any, Literal

from shared.pages.languages import N_

Status = Literal["valid", "expired", "revoked"]
STATUS: dict[str, str] = {"valid": N_("Valid"), "expired": N_("Expired"), "revoked": N_("Revoked")}


def today() -> date:
    return datetime.now(UTC).date()


def as_of_today(certificate: dict[str, Any]) -> dict[str, Any]:
    """The certificate with the status `expired` once its last day is over."""
    until = certificate.get("valid_until")
    is_over = certificate["status"] == "valid" and until is not None and until < today().isoformat()
    return certificate | ({"status": "expired"} if is_over else {})


def is_valid(certificate: dict[str, Any]) -> bool:
    return bool(as_of_today(certificate)["status"] == "valid")


def match(status: Status) -> dict[str, Any]:
    """What certificates of learners' documents have that `as_of_today` says this of."""
    day = today().isoformat()
    if status == "revoked":
        return {"certificates.status": "revoked"}
    ends = {"certificates.valid_until": {"$lt": day}}
    if status == "expired":
        return {"$and": [{"certificates.status": "valid"}, ends]}
    lasts = {"$or": [{"certificates.valid_until": None}, {"certificates.valid_until": {"$gte": day}}]}
    return {"$and": [{"certificates.status": "valid"}, lasts]}
