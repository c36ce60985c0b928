"""What learners may add to a copy of their credential: a name and a DID. Nothing of it is kept anywhere."""

import json
import re

from shared.contract.text import hidden
from shared.pages.languages import Text

from . import keyforms
from .badge import Holder
from .checks import Wrong
from .keyforms import PublicKey, UnknownKey
from .verifying import did_web_address

LONGEST_NAME, LONGEST_DID = 200, 1_000
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_DID = re.compile(r"did:(key|jwk|web):[A-Za-z0-9._:%-]+")


def mistakes(holder: Holder) -> dict[str, Text]:
    """What cannot go into a credential, by field."""
    found: dict[str, Text] = {}
    if holder.name and not (
        len(holder.name) <= LONGEST_NAME and _NAME.fullmatch(holder.name) and not hidden(holder.name)
    ):
        about = {"most": LONGEST_NAME}
        found["name"] = Text("A name has {most} characters at most, and no line breaks or hidden characters.", about)
    if holder.did and not (len(holder.did) <= LONGEST_DID and is_did(holder.did)):
        found["did"] = Text("It is no DID that can be used here: one that begins with did:key:, did:jwk: or did:web:.")
    return found


def is_did(did: str) -> bool:
    """Is it a DID that is known here? That of a key must have one in it that is known; of a did:web the form counts."""
    if not _DID.fullmatch(did):
        return False
    try:
        if did.startswith("did:web:"):
            did_web_address(did)
        else:
            key_in(did)
    except (Wrong, UnknownKey):
        return False
    return True


def key_in(did: str) -> PublicKey:
    """The public key that a did:key or did:jwk is.

    Raises:
        UnknownKey: it is none of them, or has no key that is known here, or a private one.
    """
    (method,) = keyforms.did_document(did)["verificationMethod"]
    if "d" in (method.get("publicKeyJwk") or {}):
        raise UnknownKey(Text("it has a private key in it"))
    return keyforms.key_of(method)


def did_of(key: PublicKey) -> str:
    """The did:jwk of a key; its members in the order of RFC 7638, so that a key has one."""
    text = json.dumps(keyforms.jwk(key), separators=(",", ":"), sort_keys=True)
    return f"did:jwk:{keyforms.base64url(text.encode())}"
