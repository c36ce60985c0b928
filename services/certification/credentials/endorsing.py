"""An enterprise's recognition as an EndorsementCredential of Open Badges 3.0, signed with the enterprise's key.

It is made whenever it is asked for, in the words of now: the same facts, settings and key give the same one.
"""

import json
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract.events import derived_id
from shared.pages.languages import N_, Language, translated
from shared.processing.frameworks import Names, said

from . import badge, contexts, jwts, keys, proofs
from .canonical import Document
from .keys import Keyring
from .status import quoted_did

Of = Literal["schemes", "certificates"]
OWN = "own_endorsements"  # in the home: what enterprises have signed themselves
TITLE = N_("Recognition of “{name}”")
COMMENTS: dict[Of, str] = {
    "schemes": N_("{enterprise} recognises certificates in “{name}”, since {day}."),
    "certificates": N_("{enterprise} recognises this certificate in “{name}”, since {day}."),
}


class Endorsement(NamedTuple):
    """What an endorsement is made of.

    Attributes:
        name: of the enterprise.
        did: its own, by which Praktika signs in its name; empty: that under the network's address.
        of, id: what it endorses: the achievement of a scheme, or one certificate.
        since: a day.
        granted_at: as `events.timestamp`.
        title: how the competency is called.
    """

    enterprise: str
    name: str
    did: str
    competency: str
    of: Of
    id: str
    since: str
    granted_at: str
    title: Names


def address(public: str, enterprise: str, competency: str, of: Of, id: str) -> str:
    """Where an endorsement is; its id, too."""
    return f"{public}/endorsements/{'/'.join(map(badge.quoted, (enterprise, competency, of, named(of, id))))}"


def named(of: Of, id: str) -> str:
    """How an address names what is endorsed: nobody learns of a certificate from a list of addresses."""
    return id if of == "schemes" else derived_id("endorsement", id)


def endorsed(public: str, of: Of, id: str) -> str:
    """The id of what an endorsement is of, as credentials have it."""
    return badge.achievement_id(public, id) if of == "schemes" else badge.certificate_id(public, id)


def revocations_address(public: str, enterprise: str, did: str) -> str:
    """Where its Revocation List is: one for each DID, as a list is its issuer's."""
    return "/".join((f"{public}/issuers/{badge.quoted(enterprise)}/revocations", *([quoted_did(did)] if did else ())))


def document(of: Endorsement, public: str, language: Language) -> Document:
    """The endorsement without a proof."""
    about = {"name": said(of.title, language), "enterprise": of.name, "day": of.since}
    return {
        "@context": [contexts.V2, contexts.OB, contexts.EXTENSIONS],
        "id": address(public, of.enterprise, of.competency, of.of, of.id),
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": badge.profile(of.did or badge.did_of(public, of.enterprise), of.name),
        "validFrom": f"{of.since}T00:00:00Z",
        "awardedDate": badge.moment(of.granted_at),
        "name": translated(language, TITLE).format(**about),
        "credentialSubject": {
            "id": endorsed(public, of.of, of.id),
            "type": ["EndorsementSubject"],
            "endorsementComment": translated(language, COMMENTS[of.of]).format(**about),
        },
        "credentialStatus": {
            "id": revocations_address(public, of.enterprise, of.did),
            "type": "1EdTechRevocationList",
        },
    }


def signed(made: Document, of: Endorsement, ring: Keyring) -> Document:
    """The endorsement with a Data Integrity proof; not to be changed."""
    key = keys.signing_key(ring, of.enterprise, of.granted_at)
    created = badge.moment(max(of.granted_at, key.since))
    return _proven(json.dumps(made), key.ed25519, f"{made['issuer']['id']}#{key.id}", created)


@lru_cache(2_000)  # of one achievement there may be hundreds
def _proven(text: str, key: Ed25519PrivateKey, method: str, created: str) -> Document:
    return proofs.signed(json.loads(text), key, method, created)


def signed_jwt(made: Document, of: Endorsement, ring: Keyring, algorithm: str) -> str:
    """The endorsement as a JWT."""
    key = keys.signing_key(ring, of.enterprise, of.granted_at)
    method = f"{made['issuer']['id']}#{key.id}"
    return jwts.signed(made, *((key.p256, f"{method}-p256") if algorithm == "ES256" else (key.ed25519, method)))


def revocation_list(public: str, enterprise: str, did: str, revoked: list[str]) -> dict[str, Any]:
    """1EdTech's Revocation List, with the endorsements that do not count any more; why is the enterprise's own."""
    return {
        "id": revocations_address(public, enterprise, did),
        "issuer": did or badge.did_of(public, enterprise),
        "revokedCredential": [{"id": id, "revoked": True} for id in revoked],
    }
