"""Who recognises what, as it is now: read from the database."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from services.certification import validity
from services.certification.credentials import endorsing
from services.certification.credentials.canonical import Document
from services.certification.credentials.endorsing import Endorsement, Of
from services.certification.validity import is_valid, today
from shared.http.problems import Problem
from shared.http.service import Service
from shared.processing import mongo
from shared.processing.frameworks import Names


class Recognition(NamedTuple):
    """An enterprise recognises a competency, or one certificate in it.

    Attributes:
        name: of the enterprise.
        did: its own; empty: that under the network's address.
        own_key: it signs by that itself.
        since: a day, which may be to come.
    """

    competency: str
    enterprise: str
    name: str
    did: str
    own_key: bool
    certificate: str | None
    since: str
    granted_at: str

    @property
    def id(self) -> str:
        return f"{self.competency}/{self.enterprise}"

    @property
    def has_begun(self) -> bool:
        return self.since <= today().isoformat()


async def recognitions(service: Service, **match: str) -> tuple[Recognition, ...]:
    """Those that are in force, by competency and enterprise.

    The word of an enterprise that is suspended, or not registered, does not count; nor that about a certificate that is
    not valid.

    Args:
        match: `competency`, `enterprise`.
    """
    return await service.recent(("recognitions", today(), *match.items()), lambda: _recognitions(service, match))


async def _recognitions(service: Service, match: dict[str, str]) -> tuple[Recognition, ...]:
    docs = [doc async for doc in service.db["recognitions"].find({**match, "in_force": True}, {"state": 0}).sort("_id")]
    active = await _active(service, {doc["enterprise"] for doc in docs})
    found = [
        Recognition(doc["competency"], doc["enterprise"], *who, each["certificate"], each["since"], each["granted_at"])
        for doc in docs
        if (who := active.get(doc["enterprise"]))
        for each in doc["granted"]
        if each["in_force"]
    ]
    valid = await _valid(service.db, {each.certificate for each in found if each.certificate})
    return tuple(each for each in found if each.certificate is None or each.certificate in valid)


async def _active(service: Service, ids: Collection[str]) -> dict[str, tuple[str, str, bool]]:
    """Of organisations that are registered and not suspended: the name, the own DID, and whether they sign by it."""
    found = await service.by_id("organisations", ids, {"name": 1, "access": 1, "did": 1, "own_key": 1})
    return {
        id: (doc["name"], doc.get("did") or "", bool(doc.get("own_key")))
        for id, doc in found.items()
        if "name" in doc and "suspended" not in doc.get("access", {})
    }


async def _valid(db: mongo.Database, certificates: set[str]) -> set[str]:
    match = {"certificates.id": {"$in": sorted(certificates)}}
    found = db["learners"].find(match, {"certificates": 1}) if certificates else None
    docs = [doc async for doc in found] if found else []
    return {each["id"] for doc in docs for each in doc["certificates"] if is_valid(each)} & certificates


async def of_certificate(service: Service, certificate: dict[str, Any]) -> list[Recognition]:
    """Who recognises a certificate today: of each enterprise the word on its competency, else that on it alone."""
    if certificate["status"] != "valid":
        return []
    found = await recognitions(service, competency=certificate["competency"])
    fits = [r for r in found if r.certificate in (None, certificate["id"]) and r.has_begun]
    whole = {r.enterprise for r in fits if r.certificate is None}
    return [r for r in fits if r.certificate is None or r.enterprise not in whole]


def address(service: Service, recognition: Recognition, scheme: str) -> str:
    """Where the endorsement of a recognition is: of the achievement of a scheme, or of the certificate alone."""
    of: Of = "certificates" if recognition.certificate else "schemes"
    id, public = recognition.certificate or scheme, service.settings.public("certification")
    return endorsing.address(public, recognition.enterprise, recognition.competency, of, id)


def endorsement(service: Service, recognition: Recognition, scheme: str, title: Names) -> Endorsement:
    """What the endorsement of a recognition is made of."""
    return Endorsement(
        enterprise=recognition.enterprise,
        name=recognition.name,
        did="" if recognition.own_key else recognition.did,
        competency=recognition.competency,
        of="certificates" if recognition.certificate else "schemes",
        id=recognition.certificate or scheme,
        since=recognition.since,
        granted_at=recognition.granted_at,
        title=title,
    )


async def find(service: Service, enterprise: str, competency: str, of: Of, id: str) -> Recognition:
    """The recognition that an endorsement is made of.

    Args:
        id: of what is endorsed, as the endorsement's address names it.
    Raises:
        Problem: there is none (404), or it does not count any more (410).
    """
    if of == "schemes":
        scheme = await service.db["schemes"].find_one({"_id": id}, {"competency": 1})
        if scheme is None or scheme.get("competency") != competency:
            raise Problem(404, f"there is no scheme {id} for {competency}")

    def fits(certificate: str | None) -> bool:
        is_single = certificate is not None and endorsing.named("certificates", certificate) == id
        return certificate is None if of == "schemes" else is_single

    for each in await recognitions(service, competency=competency):
        if each.enterprise == enterprise and fits(each.certificate):
            await _demand_shown(service, each.certificate)
            return each
    doc = await service.db["recognitions"].find_one({"_id": f"{competency}/{enterprise}"}, {"granted": 1})
    ended = [each["certificate"] for each in doc["granted"] if fits(each["certificate"])] if doc else []
    if ended:
        for certificate in ended:
            await _demand_shown(service, certificate)
        raise Problem(410, f"{enterprise} does not recognise it any more")
    raise Problem(404, f"{enterprise} has not said that it recognises this")


async def _demand_shown(service: Service, certificate: str | None) -> None:
    """Refuse to speak of a certificate that there is not, as of who was erased, or that its holder does not show."""
    if certificate is None:
        return
    doc = await service.db["learners"].find_one({"certificates.id": certificate}, {"certificates": 1})
    if doc is None:
        raise Problem(404, "there is no such certificate (any more)")
    if any(each["id"] == certificate and each.get("hidden") for each in doc["certificates"]):
        raise Problem(403, "its holder does not show this certificate in public")


async def revoked(service: Service, enterprise: str) -> list[str]:
    """The addresses of an enterprise's endorsements that do not count any more; while it is suspended, of all."""
    public, is_active = service.settings.public("certification"), await _active(service, [enterprise])
    found: list[str] = []
    async for doc in service.db["recognitions"].find({"enterprise": enterprise}, {"state": 0}).sort("_id"):
        ended = [each["certificate"] for each in doc["granted"] if not (each["in_force"] and is_active)]
        of: list[tuple[Of, str]] = [("certificates", id) for id in ended if id]
        if None in ended:
            schemes = service.db["schemes"].find({"competency": doc["competency"]}, {"_id": 1}).sort("_id")
            of += [("schemes", scheme["_id"]) async for scheme in schemes]
        found += [endorsing.address(public, enterprise, doc["competency"], kind, id) for kind, id in of]
    return found


async def revocation_list(service: Service, id: str, did: str = "") -> dict[str, Any]:
    """The Revocation List of an enterprise's endorsements, of the network's DID or of its own.

    Raises:
        Problem: there is no such organisation, or it has not issued by this DID.
    """
    found = (await service.by_id("organisations", [id], {"dids": 1})).get(id)
    if found is None or (did and did not in found.get("dids", ())):
        raise Problem(404, f"there is no organisation {id}, or it has not issued by this DID")
    ended = await service.recent(("revocations", id), lambda: revoked(service, id))
    return endorsing.revocation_list(service.settings.public("certification"), id, did, ended)


def own_id(enterprise: str, competency: str, of: Of, id: str) -> str:
    """Of an endorsement that an enterprise has signed itself, in the home."""
    return "/".join((enterprise, competency, of, id))


async def own_endorsement(service: Service, recognition: Recognition, scheme: str) -> Document | None:
    """What the enterprise has signed itself, by the DID that it has now; None: Praktika signs in its name."""
    if not recognition.own_key:
        return None
    made = endorsement(service, recognition, scheme, {})
    id = own_id(recognition.enterprise, recognition.competency, made.of, made.id)
    kept = await service.at_home(endorsing.OWN, id)
    return json.loads(kept["content"]) if kept and kept["did"] == recognition.did else None


async def graduates(service: Service, competencies: Collection[str]) -> dict[str, dict[str, int]]:
    """How many graduates have a valid certificate, by competency and by the institution that issued it."""
    wanted = {"$in": sorted(competencies)}
    of_each = {"competency": "$certificates.competency", "institution": "$certificates.institution"}
    found = service.db["learners"].aggregate(
        [
            {"$match": {"certificates.competency": wanted, "is_graduate": True}},
            {"$project": {"certificates": 1}},
            {"$unwind": "$certificates"},
            {"$match": {"certificates.competency": wanted, **validity.match("valid")}},
            {"$group": {"_id": {**of_each, "learner": "$_id"}}},
            {"$group": {"_id": {name: f"$_id.{name}" for name in of_each}, "people": {"$sum": 1}}},
        ],
        allowDiskUse=True,
    )
    counts: dict[str, dict[str, int]] = {}
    async for doc in found:
        counts.setdefault(doc["_id"]["competency"], {})[doc["_id"]["institution"]] = doc["people"]
    return counts
