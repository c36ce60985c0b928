"""Data Integrity proofs of the suite `eddsa-rdfc-2022` (W3C, Data Integrity EdDSA Cryptosuites 1.0)."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.pages.languages import Text

from . import contexts
from .canonical import Canonical, Document, Unreadable, canonical
from .contexts import UnknownContext
from .form import values
from .keyforms import multibase

SUITE = "eddsa-rdfc-2022"


class Unsigned(Exception):
    """A document that says what a signature would not cover; the argument lists what."""


class Proven(NamedTuple):
    """What a proof of a document signs.

    Attributes:
        data: the bytes that the signature is over; empty where `trouble` says why there are none.
        trouble: why it cannot be told.
        wrong: the proof cannot be right; else it is only of a kind that is not known here.
    """

    data: bytes = b""
    trouble: str = ""
    wrong: bool = False


def signed(document: Document, key: Ed25519PrivateKey, method: str, created: str) -> Document:
    """*document* with a proof.

    Args:
        method: id of the verification method that has the public key.
        created: when it is signed; the same key, document and moment give the same proof.
    Raises:
        Unsigned: it says what the signature would not cover.
    """
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "created": created,
        "verificationMethod": method,
        "proofPurpose": "assertionMethod",
    }
    found = canonical(document)
    if found.unsigned:
        raise Unsigned(found.unsigned)
    # All members of the proof are of this context, so it says the same with fewer.
    signature = key.sign(_hash(proof, contexts.V2) + sha256(found.quads).digest())
    return {**document, "proof": {**proof, "proofValue": multibase(signature)}}


def _hash(proof: dict[str, Any], context: Any) -> bytes:
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    found = canonical({**options, "@context": context})
    if found.unsigned:
        raise Unsigned(found.unsigned)
    return sha256(found.quads).digest()


def proofs_of(document: Document) -> list[Any]:
    given = document.get("proof", [])
    return given if isinstance(given, list) else [given]


def without_proofs(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "proof"}


def examine(document: Document) -> tuple[Canonical, list[Proven]]:
    """The canonical form of a secured document, and what each of its proofs signs.

    Raises:
        UnknownContext, Unreadable: as of `canonical`.
    """
    bare, given = without_proofs(document), proofs_of(document)
    found, cache = canonical(bare), {}

    def digest(before: list[Any]) -> bytes:
        """Of the document with the proofs that a proof of a chain comes after."""
        key = tuple(id(each) for each in before)
        if key not in cache:
            cache[key] = sha256((canonical({**bare, "proof": before}) if before else found).quads).digest()
        return cache[key]

    return found, [_examined(proof, given, document.get("@context"), digest) for proof in given]


def _examined(proof: Any, given: list[Any], context: Any, digest: Any) -> Proven:
    if not isinstance(proof, dict) or not isinstance(proof.get("proofValue"), str):
        return Proven(trouble=Text("it is no proof with a proofValue"), wrong=True)
    if (values(proof.get("type")), proof.get("cryptosuite")) != (["DataIntegrityProof"], SUITE):
        kind = proof.get("cryptosuite") or proof.get("type")
        return Proven(trouble=Text("proofs of the kind {kind} are not known here", {"kind": repr(kind)[:60]}))
    previous = proof.get("previousProof", [])
    wanted = previous if isinstance(previous, list) else [previous]
    before = [each for each in given if isinstance(each, dict) and each is not proof and each.get("id") in wanted]
    if len(before) < len(wanted):
        return Proven(trouble=Text("a proof that it comes after is not there"), wrong=True)
    return _digested(proof, context, lambda: digest(before))


def _digested(proof: dict[str, Any], context: Any, digest: Callable[[], bytes]) -> Proven:
    try:
        return Proven(_hash(proof, proof.get("@context", context)) + digest())
    except Unsigned as error:
        return Proven(
            trouble=Text("the proof says what it does not sign: {what}", {"what": error.args[0][0]}), wrong=True
        )
    except UnknownContext as error:
        return Proven(trouble=Text("the proof has an unknown context: {what}", {"what": str(error)[:400]}))
    except Unreadable as error:
        return Proven(trouble=error.args[0], wrong=True)
