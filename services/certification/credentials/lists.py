"""The status lists of this network's institutions: read from the database, signed, and kept for when that is away."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

from shared.http.caching import Prepared, prepared
from shared.http.problems import Problem
from shared.http.service import Service
from shared.observability import logs
from shared.processing import mongo

from . import badge, keys, numbers, proofs, status
from .baking import as_text
from .endorsing import OWN
from .links import REVOKED
from .numbers import COUNTERS, SAID

log = logs.get(__name__)

FORGOTTEN = "issued_forgotten"  # in the home: numbers of credentials whose learners were erased
KEPT_S = 1.0  # so long a list is given again without asking the database
LOOK_EVERY_S = 20.0
SHARE = 20  # looking takes this part of the time, unless it would be too late then
NOTED_WITHIN_S = 60.0
_NUMBERS = {"certificates.institution": 1, "certificates.number": 1}
_BEGINNING = "2020-01-01T00:00:00.000000Z"  # of a list on which nothing has happened


# With an ETag: asking again is cheap, and a revocation is seen at once.
HEADERS = {"Cache-Control": "public, no-cache", "Access-Control-Allow-Origin": "*"}
MEDIA_TYPE = "application/vc+ld+json"
PATH = "/issuers/{id}/status/{number}"


class Kept(NamedTuple):
    """A signed list as it is answered, and when it was found to be that of now."""

    answer: Prepared
    read_at: float
    of: object  # the keys and the numbers that it was made of


async def signed_list(service: Service, institution: str, number: int, did: str = "") -> bytes:
    """The status list with this number, from 1, of an institution: as it is now, or was when the database answered.

    Args:
        did: the institution's own, of which it is; empty: that under the network's address.
    Raises:
        Problem: there is no such list.
    """
    known: dict[tuple[str, int, str], Kept] = service.shared.setdefault("status_lists", {})
    wanted = (institution, number, did)
    kept = known.get(wanted)
    if kept and time.monotonic() - kept.read_at < KEPT_S:
        return kept.answer.content
    ring = keys.keyring(service.settings)
    question = ("status list", wanted, keys.fingerprint(ring))
    try:
        async with asyncio.timeout(5):
            revoked = await service.coalesced(question, lambda: _revoked(service, *wanted))
    except (mongo.DatabaseError, TimeoutError) as error:
        if kept is None:
            raise
        log.warning("status_list_kept", institution=institution, reason=repr(error)[:200])
        known[wanted] = kept._replace(read_at=time.monotonic())
        return kept.answer.content
    made_of = (question, revoked)
    if kept is None or kept.of != made_of:
        content = await service.coalesced(made_of, lambda: _sign(service, ring, *wanted, revoked))
        kept = Kept(prepared(PATH, content, MEDIA_TYPE, HEADERS), 0.0, made_of)
    known[wanted] = kept._replace(read_at=time.monotonic())
    return kept.answer.content


def find(service: Service, path: str) -> Prepared | None:
    """The list at a path, if it was looked at just now: verifiers everywhere ask for the same one."""
    match path.split("/"):
        case ["", "issuers", id, "status", number] if number.isdecimal() and len(number) < 7:
            kept: Kept | None = service.shared.get("status_lists", {}).get((id, int(number), ""))
            return kept.answer if kept and time.monotonic() - kept.read_at < KEPT_S else None
    return None


class Revoked(NamedTuple):
    numbers: frozenset[int]
    last: str  # when the last was revoked, as `events.timestamp`


async def _revoked(service: Service, institution: str, list_number: int, did: str) -> Revoked:
    """Which credentials of a list are revoked."""
    begin = (list_number - 1) * status.ENTRIES
    if list_number < 1 or (list_number > 1 and not await _has(service, institution, begin)):
        raise Problem(404, f"{institution} has no status list {list_number}")
    found = await service.db["organisations"].find_one({"_id": institution}, {"dids": 1})
    if found is None:
        raise Problem(404, f"there is no institution {institution}")
    if did and did not in found.get("dids", ()):
        raise Problem(404, f"{institution} has not issued by {did}")
    numbers, last = set(), _BEGINNING
    match = {"certificates": {"$elemMatch": {"institution": institution, "status": "revoked"}}}
    async for doc in service.db["learners"].find(match, {"certificates": 1}):
        for each in doc["certificates"]:
            if each["institution"] == institution and each["status"] == "revoked" and "number" in each:
                numbers.add(each["number"])
                last = max(last, each["revoked_at"])
    forgotten = await service.store.home[FORGOTTEN].find_one({"_id": institution}) or {"numbers": []}
    numbers |= set(forgotten["numbers"])
    return Revoked(frozenset(n for n in numbers if begin <= n < begin + status.ENTRIES), last)


async def _has(service: Service, institution: str, begin: int) -> bool:
    counter = await service.store.home[COUNTERS].find_one({"_id": institution})
    if counter is not None and counter["next"] > begin:
        return True
    match = {"certificates": {"$elemMatch": {"institution": institution, "number": {"$gte": begin}}}}
    return await service.db["learners"].find_one(match, {"_id": 1}) is not None


async def _sign(  # noqa: PLR0913, PLR0917
    service: Service, ring: keys.Keyring, institution: str, number: int, own: str, revoked: Revoked
) -> bytes:
    public, since = service.settings.public("certification"), badge.moment(revoked.last)
    did, quoted = own or badge.did_of(public, institution), badge.quoted(institution)
    indexes = [status.place(each, ring, institution)[1] for each in revoked.numbers]
    of_list = status.credential(status.address(public, quoted, number, own), did, indexes, since)
    key = keys.issuer_keys(ring, institution)[-1]
    return as_text(proofs.signed(of_list, key.ed25519, f"{did}#{key.id}", since)).encode()


async def note_erasures(service: Service) -> None:
    """Keep what lists say of erased learners: where the consumer runs."""
    await numbers.read_log(service)  # a new home knows of no numbers, and so of none that nobody has any more
    before: dict[str, int] = {}
    while True:
        began = time.monotonic()
        with suppress(Problem):  # it lags behind: nothing can be told yet, and the next look is soon
            before = await note_erased(service, before)
        await asyncio.sleep(_pause(time.monotonic() - began))


def _pause(looked_s: float) -> float:
    """Until the next look: a number is noted at the second one at the latest, within a minute."""
    return min(max(LOOK_EVERY_S, SHARE * looked_s), max(NOTED_WITHIN_S / 2 - 2 * looked_s, 1.0))


async def keep_lists(service: Service) -> None:
    """Keep every list for when the database is away: in each process that answers requests."""
    while True:
        began = time.monotonic()
        ends = {doc["_id"]: int(doc["next"]) async for doc in service.store.home[COUNTERS].find()}
        declared = await service.by_id("organisations", ends, {"dids": 1})
        for institution, end in ends.items():
            for number, did in _lists(end, declared.get(institution, {}).get("dids", ())):
                with suppress(Problem):  # an institution that is not registered here (yet)
                    await signed_list(service, institution, number, did)
        await asyncio.sleep(max(LOOK_EVERY_S, SHARE * (time.monotonic() - began)))


def _lists(end: int, dids: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Each list of an institution whose numbers end there, by its number and DID."""
    return product(range(1, max(0, end - 1) // status.ENTRIES + 2), ("", *dids))


async def note_erased(service: Service, before: dict[str, int]) -> dict[str, int]:
    """Note the numbers that no certificate has (any more): their learners were erased, which leaves no fact.

    What else is kept of such certificates is deleted.

    Args:
        before: where numbers ended at the last look; later ones may be on their way to the log.
    Returns:
        where they end now.
    """
    home = service.store.home
    now = {doc["_id"]: int(doc["next"]) async for doc in home[COUNTERS].find()}
    kept = {name: [doc["_id"] async for doc in home[name].find({}, {"_id": 1})] for name in (SAID, REVOKED)}
    await service.current("learner")  # in a database that is being rebuilt most are not there yet
    for name, certificates in kept.items():
        await _forget(service, name, certificates)
    endorsed = [doc["certificate"] async for doc in home[OWN].find({"certificate": {"$exists": True}})]
    await _forget(service, OWN, endorsed, "certificate")
    for institution, end in before.items():
        found = service.db["learners"].find({"certificates.institution": institution}, _NUMBERS)
        held = {each.get("number") async for doc in found for each in doc["certificates"] if _is_of(each, institution)}
        about_to_be = home[SAID].find({"said.institution": institution}, {"said.number": 1})
        held |= {doc["said"]["number"] async for doc in about_to_be}  # Kafka may have been away
        forgotten = await home[FORGOTTEN].find_one({"_id": institution}) or {"numbers": []}
        gone = sorted({*range(end), *forgotten["numbers"]} - held)
        if gone != forgotten["numbers"]:
            await home[FORGOTTEN].update_one({"_id": institution}, {"$set": {"numbers": gone}}, upsert=True)
    return now


async def _forget(service: Service, collection: str, certificates: list[str], field: str = "_id") -> None:
    """Delete what a collection of the home has about those of these certificates that are not there any more.

    Args:
        field: in which the collection names a certificate.
    """
    for start in range(0, len(certificates), 1_000):
        some = certificates[start : start + 1_000]
        found = service.db["learners"].find({"certificates.id": {"$in": some}}, {"certificates.id": 1})
        there = {each["id"] async for doc in found for each in doc["certificates"]}
        if gone := set(some) - there:
            await service.store.home[collection].delete_many({field: {"$in": sorted(gone)}})


def _is_of(certificate: dict[str, Any], institution: str) -> bool:
    return bool(certificate["institution"] == institution)
