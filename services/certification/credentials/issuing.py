"""From a certificate to its credential: numbered once on the log, then made whenever it is asked for."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.contract.events import CertificateIssued, derive, derived_id, timestamp
from shared.http.problems import Problem
from shared.http.service import Service
from shared.processing import facts, mongo
from shared.processing.facts import Fact

from . import badge, jwts, keys, numbers, own_pictures, pdfs, picture, proofs
from .badge import Assessed, Certificate
from .baking import as_text, bake_png, bake_svg
from .canonical import Document
from .keyforms import multikey
from .keys import Keyring

FORMS = {
    "credential.json": "application/vc+ld+json",
    "credential.jwt": "application/vc+jwt",
    "badge.png": "image/png",
    "badge.svg": "image/svg+xml",
    "certificate.pdf": "application/pdf",
}


class Issued(NamedTuple):
    """A certificate whose credential can be made.

    Attributes:
        of: the facts.
        document: the credential without a proof.
        own: the picture (PNG) that the institution has given for the badge; None: it is drawn.
    """

    of: Certificate
    document: Document
    ring: Keyring
    own: bytes | None = None


async def issue(service: Service, learner: dict[str, Any], id: str) -> Issued:
    """The certificate *id* of a learner's document, issued now if it was not before.

    Raises:
        Problem: it was issued, but this service has not taken that in yet.
    """
    fact = _issued(learner, id)
    if fact is None:
        learner, fact = await _number(service, learner, id)
    ring, settings = keys.keyring(service.settings), service.settings
    of = certificate(learner, id, fact)
    document = badge.credential(of, settings.public("certification"), ring, settings.credential_language)
    return Issued(of, document, ring, await own_pictures.find(service, of.institution, of.competency))


def _issued(learner: dict[str, Any], id: str) -> Fact | None:
    return facts.facts(learner["state"], "certificate.issued").get(id)


def certificate(learner: dict[str, Any], id: str, issued: Fact) -> Certificate:
    """The facts of a certificate, from its learner's document."""
    certified = facts.facts(learner["state"], "competency.certified")[id]
    data, said = certified["data"], issued["data"]
    return Certificate(
        id=id,
        learner=learner["_id"],
        institution=data["institution"],
        name=said["name"],
        competency=data["competency"],
        level=data["level"],
        scheme=data["scheme"],
        earned_at=certified["time"],
        evidence=tuple(Assessed(*(each[name] for name in Assessed._fields)) for each in said["evidence"]),
        number=said["number"],
        title=said["title"],
        framework=said.get("framework_title"),
        target=said.get("target"),
        wording=_wording(said),
        valid_until=data.get("valid_until"),
        did=said.get("issuer", ""),
    )


def _wording(said: dict[str, Any]) -> badge.Wording | None:
    if said.get("language") is None:
        return None
    return badge.Wording(
        language=said["language"],
        public=said["public"],
        description=said["description"],
        criteria=said["criteria"],
        level=said["level_title"],
        evidence=tuple((each["method_title"], each["narrative"]) for each in said["evidence"]),
    )


async def _number(service: Service, learner: dict[str, Any], id: str) -> tuple[dict[str, Any], Fact]:
    """Give the certificate its number and say so on the log; as often as it is tried, the same is said.

    Judged by what the log has now: in a database that is being rebuilt the first word may be missing yet.
    """
    await service.current("learner", learner["_id"])
    learner = await _read_again(service, learner, id)
    if fact := _issued(learner, id):
        return learner, fact
    certified = facts.facts(learner["state"], "competency.certified")[id]
    kept = await _to_say(service, learner["state"], certified, id)
    event = derive(
        "certification",
        CertificateIssued.model_validate(kept["said"]),
        id=derived_id("certificate.issued", id),
        subject=id,
        key=learner["_id"],
        # Of two words that are said nevertheless (the home was lost) the earlier counts, in whatever order they come.
        time=datetime.fromisoformat(kept.get("at", certified["time"])),
    )
    (address,) = await service.publish(event)
    await service.applied_within(address, 10)
    learner = await _read_again(service, learner, id)
    if (fact := _issued(learner, id)) is None:
        detail = "the credential is being issued; ask again"
        raise Problem(503, detail, headers={"Retry-After": "5"})
    return learner, fact


async def _read_again(service: Service, learner: dict[str, Any], id: str) -> dict[str, Any]:
    again = await service.db["learners"].find_one({"_id": learner["_id"]})
    if again is None or id not in facts.facts(again["state"], "competency.certified"):
        raise Problem(404, f"there is no certificate {id} (any more)")
    return again


async def _to_say(service: Service, state: facts.State, certified: Fact, id: str) -> dict[str, Any]:
    """What the log is to be told, and when that was decided. Kept first, so that all who ask say the same."""
    said = service.store.home[numbers.SAID]
    if not await said.find_one({"_id": id}):
        content, at = await _said_now(service, state, certified["data"]), timestamp(datetime.now(UTC))
        now = {"said": content, "at": max(at, certified["time"])}
        await said.update_one({"_id": id}, {"$setOnInsert": now}, upsert=True)
    kept = await said.find_one({"_id": id})
    if kept is None:
        raise Problem(404, f"there is no certificate {id} (any more)")
    return kept


async def _said_now(service: Service, state: facts.State, certified: dict[str, Any]) -> dict[str, Any]:
    institution, assessments = certified["institution"], facts.facts(state, "assessment.recorded")
    found = [assessments[slot] for slot in certified["evidence"] if slot in assessments]
    called = await names(service.db, {institution, *map(facts.organisation, found)})
    evidence = [
        Assessed(each["data"]["method"], assessor, called[assessor], each["time"][:10])
        for each in found
        for assessor in (facts.organisation(each),)
    ]
    number = await numbers.draw(service, institution)
    title, framework, target = badge.named(certified["competency"], await service.frameworks())
    words = badge.worded(
        service.settings.public("certification"),
        service.settings.credential_language,
        title=title,
        level=certified["level"],
        institution=called[institution],
        evidence=evidence,
    )
    return {
        "institution": institution,
        "name": called[institution],
        "number": number,
        "evidence": [
            {**each._asdict(), "method_title": method, "narrative": narrative}
            for each, (method, narrative) in zip(evidence, words.evidence, strict=True)
        ],
        "title": title,
        "framework_title": framework,
        "target": target,
        "language": words.language,
        "public": words.public,
        "description": words.description,
        "criteria": words.criteria,
        "level_title": words.level,
        "issuer": await own_did(service, institution) or None,
    }


async def own_did(service: Service, issuer: str) -> str:
    """The DID of its own by which Praktika signs in an organisation's name; empty: that under the network's address."""
    return signing_did((await service.by_id("organisations", [issuer], {"did": 1, "own_key": 1})).get(issuer, {}))


def signing_did(organisation: dict[str, Any]) -> str:
    """The same of an organisation's document."""
    return "" if organisation.get("own_key") else organisation.get("did") or ""


async def names(db: mongo.Database, ids: set[str]) -> dict[str, str]:
    """What organisations are called; the id, while nobody has said."""
    found = {doc["_id"]: doc async for doc in db["organisations"].find({"_id": {"$in": sorted(ids)}}, {"name": 1})}
    return {id: found.get(id, {}).get("name", id) for id in sorted(ids)}


def signed(issued: Issued) -> Document:
    """The credential with its embedded proof."""
    of = issued.of
    key = keys.signing_key(issued.ring, of.institution, of.earned_at)
    method = f"{issued.document['issuer']['id']}#{key.id}"
    return proofs.signed(issued.document, key.ed25519, method, badge.moment(signed_at(key, of)))


def signed_at(key: keys.IssuerKey, of: Certificate) -> str:
    """When it counts as signed: when it was earned, or when the first key that is still good came."""
    return max(of.earned_at, key.since)


def signed_jwt(issued: Issued, algorithm: str) -> str:
    """The credential as a JWT."""
    of = issued.of
    key = keys.signing_key(issued.ring, of.institution, of.earned_at)
    did = issued.document["issuer"]["id"]
    if algorithm == "ES256":
        return jwts.signed(issued.document, key.p256, f"{did}#{key.id}-p256")
    return jwts.signed(issued.document, key.ed25519, f"{did}#{key.id}")


def in_form(issued: Issued, form: str, algorithm: str) -> bytes:
    """The credential in one of `FORMS`."""
    of = issued.of
    if form == "credential.jwt":
        return signed_jwt(issued, algorithm).encode()
    text, badge_of = as_text(signed(issued)), (of.institution, of.name, of.competency)
    if form == "badge.png":
        return bake_png(issued.own or picture.png(*badge_of), text)
    drawn = picture.framed(picture.data_uri(issued.own)) if issued.own else picture.svg(*badge_of)
    if form == "badge.svg":
        return bake_svg(drawn, text).encode()
    if form == "certificate.pdf":
        return pdfs.pdf(of, issued.document, drawn, text)
    return text.encode()


def did_document(did: str, institution: str, ring: Keyring) -> Document:
    """All keys that an institution has ever signed with; of those that were withdrawn, when."""
    methods: list[Document] = []
    good: list[str] = []
    for key in keys.issuer_keys(ring, institution):
        validity = {"revoked": badge.moment(key.withdrawn)} if key.withdrawn else {}
        for id, public_key in ((key.id, key.ed25519.public_key()), (f"{key.id}-p256", key.p256.public_key())):
            method = {"id": f"{did}#{id}", "type": "Multikey", "controller": did, **validity}
            methods.append({**method, "publicKeyMultibase": multikey(public_key)})
            if not key.withdrawn:
                good.append(f"{did}#{id}")
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": good,
    }
