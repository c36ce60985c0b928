"""What learners say of their certificates, as events: collected, not to be shown in public, please erase me."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.certification.schemes.rules import is_hidden
from shared.contract.events import (
    CertificateCollected,
    CertificateHidden,
    CertificateShown,
    Data,
    LearnerErasureRequested,
    derive,
    derived_id,
    timestamp,
)
from shared.http.ratelimit import Quota
from shared.http.service import Address, Service
from shared.processing import facts

WAIT_S = 10
Learner = dict[str, Any]  # a learner's document


async def _say(service: Service, learner: Learner, data: Data, subject: str, at: datetime, *unique: str) -> Address:
    event = derive(
        "certification",
        data,
        id=derived_id(data.short_type, subject, *unique),
        subject=subject,
        key=learner["_id"],
        time=at,
    )
    (address,) = await service.publish(event)
    return address


async def note_collected(service: Service, learner: Learner, id: str) -> None:
    """Say that a learner has a credential, unless it is known already; said again, the first time counts."""
    if id not in facts.facts(learner["state"], "certificate.collected") and _may_say(service, "collected", id, 1):
        await _say(service, learner, CertificateCollected(), id, datetime.now(UTC))


def _may_say(service: Service, what: str, id: str, burst: int) -> bool:
    """Whoever has a link says no more than *burst* words at once, and one a minute: the log keeps them for good."""
    quota: Quota = service.shared.setdefault(f"learners' words: {what}", Quota(1 / 60, burst))
    if quota.wait_s(id):
        return False
    quota.charge(id, 1)
    return True


async def show_in_public(service: Service, learner: Learner, id: str, *, is_shown: bool) -> bool:
    """Let everybody see a certificate, or nobody but its institution; the newest word by time counts.

    Returns:
        Is it so now? Not if it was changed too often just now.
    """
    if is_shown != is_hidden(learner["state"], id):
        return True
    if not _may_say(service, "public", id, 10):
        return False
    before = [facts.facts(learner["state"], name).get(id) for name in ("certificate.hidden", "certificate.shown")]
    last = max(
        (datetime.fromisoformat(fact["time"]) for fact in before if fact), default=datetime.min.replace(tzinfo=UTC)
    )
    at = max(datetime.now(UTC), last + timedelta(microseconds=1))  # after the last one, whatever the clocks say
    said = CertificateShown() if is_shown else CertificateHidden()
    await service.applied_within(await _say(service, learner, said, id, at, timestamp(at)), WAIT_S)
    return True


async def ask_erasure(service: Service, learner: Learner, institution: str) -> None:
    """Tell an institution that its learner asks to be erased; once is enough."""
    if institution in facts.facts(learner["state"], "learner.erasure_requested"):
        return
    said = LearnerErasureRequested(institution=institution)
    at = datetime.now(UTC)
    await service.applied_within(await _say(service, learner, said, learner["_id"], at, institution), WAIT_S)
