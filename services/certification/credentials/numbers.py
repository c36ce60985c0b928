"""Which number a credential gets among those of its institution: never one that another has, or once had.

Counters are in the home. That may be lost, or older than the log (a backup): a new home reads the log once, in which
erased learners' credentials still are, and each process looks where an institution's numbers end before it first draws.
"""

from contextlib import suppress

from shared.contract.events import CertificateIssued, ContractError
from shared.http.problems import Problem
from shared.http.service import Service
from shared.processing import facts

# In the home: what is about to be said on the log by certificate, counters by institution, whether the log was read.
SAID, COUNTERS, READ = "issued_numbers", "issued_counters", "issued_read"
_ISSUED = CertificateIssued.short_type.encode()


async def draw(service: Service, institution: str) -> int:
    """The next number of an institution.

    Raises:
        Problem: this service lags behind the log; nothing was drawn.
    """
    begun: set[str] = service.shared.setdefault("numbers_begun", set())
    counters = service.store.home[COUNTERS]
    await read_log(service)
    if institution not in begun or not await counters.find_one({"_id": institution}):
        await _begin(service, institution)
        begun.add(institution)
    before = await counters.find_one_and_update({"_id": institution}, {"$inc": {"next": 1}})
    if before is None:  # the home was lost a moment ago
        raise Problem(503, "the credential is being issued; ask again", headers={"Retry-After": "5"})
    return int(before["next"])


async def _begin(service: Service, institution: str) -> None:
    """Let numbers go on behind the highest that is known here, whatever the counter says."""
    await service.current("learner")
    known = [-1]
    async for doc in service.db["learners"].find({"certificates.institution": institution}, {"certificates": 1}):
        known += [c["number"] for c in doc["certificates"] if c["institution"] == institution and "number" in c]
    async for doc in service.store.home[SAID].find({"said.institution": institution}, {"said.number": 1}):
        known.append(doc["said"]["number"])
    await _raise(service, institution, max(known) + 1)


async def _raise(service: Service, institution: str, least: int) -> None:
    await service.store.home[COUNTERS].update_one({"_id": institution}, {"$max": {"next": least}}, upsert=True)


async def read_log(service: Service) -> None:
    """Once in a home: let each institution's numbers go on behind the highest that the log has."""
    read = service.store.home[READ]
    if await read.find_one({"_id": "learner"}):
        return
    for institution, highest in (await service.coalesced("numbers on the log", lambda: _highest(service))).items():
        await _raise(service, institution, highest + 1)
    await read.update_one({"_id": "learner"}, {"$set": {"read": True}}, upsert=True)


async def _highest(service: Service) -> dict[str, int]:
    """The highest number of each institution on the log."""
    highest: dict[str, int] = {}
    for partition in await service.log.ends("learner"):
        offset, end = await service.log.span("learner", partition) or (0, 0)
        while offset < end and (records := await service.log.records("learner", partition, offset, most=10_000)):
            offset = records[-1].offset + 1
            for record in records:
                for institution, number in _numbered(record.value):
                    highest[institution] = max(number, highest.get(institution, -1))
    return highest


def _numbered(raw: bytes | None) -> list[tuple[str, int]]:
    """The institution and the number, if it is that event."""
    if raw and _ISSUED in raw:
        with suppress(ContractError):
            event = facts.decode(raw)
            if event.event_class is CertificateIssued:
                return [(event.fact["data"]["institution"], event.fact["data"]["number"])]
    return []
