"""Foreign verifiers that share no code with us accept our credentials, and refuse each that was tampered with.

Node: @digitalcredentials/vc with its suite for eddsa-rdfc-2022, and contexts of its own. Python: openvc-core with PyLD;
PyJWT for the JWTs, as Open Badges 3.0 writes them without the `vc` that openvc-core wants.
"""

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from openvc.errors import OpenvcError
from openvc.keys import Ed25519SigningKey
from openvc.proof.data_integrity import DataIntegrityProofSuite
from openvc.proof.vc_jwt import VcJwtProofSuite
from openvc.status.bitstring import decode_bitstring, get_status_bit

from deploy.demo import independent
from deploy.local import node
from services.certification.credentials import badge, contexts, issuing, keyforms, keys, proofs, records, status
from services.certification.credentials.badge import Assessed, Certificate
from shared.settings import Settings
from tests.certification.vc import KEY, checked, method_of
from tests.certification.vc import badge as unsigned
from tests.packages import packages

PUBLIC = "https://praktika.example"
CERTIFICATE = Certificate(
    id="c-1",
    learner="north-college:17",
    institution="north-college",
    name="Северный колледж “A” 👩🏽‍🏭 שלום é",
    competency="greencomp:3.1",
    level=5,
    scheme="north-college:futures",
    earned_at="2026-06-15T09:30:00.250000Z",
    evidence=(Assessed("exam", "north-college", "Северный колледж", "2026-06-14"),),
    number=41,
    title={"en": "Futures literacy", "ru": "Грамотность в вопросах будущего"},
    framework={"en": "GreenComp"},
    target="https://doi.org/10.2760/13286",
)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> keys.Keyring:
    settings = Settings(keys_dir=tmp_path_factory.mktemp("keys"))
    keys.ensure(settings)
    keys.rotate(settings)
    return keys.keyring(settings)


@pytest.fixture(scope="module")
def issued(ring: keys.Keyring) -> issuing.Issued:
    return issuing.Issued(CERTIFICATE, badge.credential(CERTIFICATE, PUBLIC, ring, "ru"), ring)


@pytest.fixture(scope="module")
def document(issued: issuing.Issued) -> dict[str, Any]:
    return issuing.signed(issued)


@pytest.fixture(scope="module")
def did(ring: keys.Keyring) -> dict[str, Any]:
    return issuing.did_document(badge.did_of(PUBLIC, "north-college"), "north-college", ring)


@pytest.fixture(scope="module")
def status_list(ring: keys.Keyring, did: dict[str, Any]) -> dict[str, Any]:
    key = keys.issuer_keys(ring, "north-college")[-1]
    address = status.address(PUBLIC, "north-college", 1)
    of_list = status.credential(address, did["id"], [1, 131_071], "2026-06-15T00:00:00Z")
    return proofs.signed(of_list, key.ed25519, f"{did['id']}#{key.id}", "2026-06-15T00:00:00Z")


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        at: Any = document
        for name in way:
            at = at[int(name) if isinstance(at, list) else name]
        at[int(last) if isinstance(at, list) else last] = value

    return change


TAMPERED = {
    "name": _set("credentialSubject.achievement.name", "Хирургия"),
    "level": _set("credentialSubject.result.0.value", "8"),
    "identity": _set("credentialSubject.identifier.0.identityHash", "sha256$0"),
    "salt": _set("credentialSubject.identifier.0.salt", "0"),
    "issuer": _set("issuer.id", "did:web:evil.example"),
    "issuer's name": _set("issuer.name", "Another"),
    "date": _set("validFrom", "2020-06-15T09:30:00Z"),
    "added date": _set("validUntil", "2099-01-01T00:00:00Z"),
    "index": _set("credentialStatus.statusListIndex", "7"),
    "no status": lambda document: document.pop("credentialStatus"),
    "no evidence": lambda document: document.pop("evidence"),
    "an unknown property": _set("honours", "summa cum laude"),
    "when it was signed": _set("proof.created", "2026-06-16T09:30:00Z"),
    "key": _set("proof.verificationMethod", "did:web:praktika.example:issuers:north-college#key-0"),
    "signature": _set("proof.proofValue", "z" + "1" * 64),
    "purpose": _set("proof.proofPurpose", "authentication"),
}


def tampered(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, change in TAMPERED.items():
        found[name] = deepcopy(document)
        change(found[name])
    return found


def test_independent_node_accepts_ours_and_refuses_each_tampered_one(
    document: dict[str, Any], did: dict[str, Any], status_list: dict[str, Any]
):
    folder, wrong = packages(), tampered(document)
    asked = [{"credential": each, "documents": {did["id"]: did}} for each in (document, status_list, *wrong.values())]
    done = subprocess.run(
        ["node", "verify.mjs"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
        timeout=120,
    )
    ours, of_list, *others = json.loads(done.stdout)
    assert (ours, of_list) == (True, True)
    assert [name for name, found in zip(wrong, others, strict=True) if found is True] == []


def test_independent_node_accepts_a_holders_copy_and_a_record_and_refuses_changed_ones(
    issued: issuing.Issued, did: dict[str, Any]
):
    held = badge.Holder("Ирина “Тест” 🔧", f"did:key:{keyforms.multikey(KEY.public_key())}")
    other = CERTIFICATE._replace(id="c-2", number=42, scheme="north-college:welding")
    two = [issued, issued._replace(of=other, document=badge.credential(other, PUBLIC, issued.ring, "ru"))]
    copy = issuing.signed(issued._replace(document=badge.for_holder(issued.document, held)))
    whole = issuing.signed(records.record(two, held, "ru"))
    renamed, missing, swapped = deepcopy(copy), deepcopy(whole), deepcopy(whole)
    renamed["credentialSubject"]["identifier"][1]["identityHash"] = "Другое Имя"
    missing["credentialSubject"]["verifiableCredential"].pop()
    swapped["credentialSubject"]["id"] = "did:example:somebody"
    documents = {did["id"]: did, contexts.CLR: {"@context": contexts.content(contexts.CLR)}}
    asked = [{"credential": each, "documents": documents} for each in (copy, whole, renamed, missing, swapped)]
    done = subprocess.run(
        ["node", "verify.mjs"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=packages(),
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert found[:2] == [True, True], found
    assert True not in found[2:]


def test_the_demo_asks_the_independent_verifier_or_says_that_it_cannot(
    document: dict[str, Any], did: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    packages()
    assert independent.verified(document, did) is True
    assert independent.verified(tampered(document)["level"], did) is not True
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(node.NoNode, match="no Node"):
        independent.verified(document, did)


def test_independent_python_accepts_ours_and_refuses_each_tampered_one(
    document: dict[str, Any], did: dict[str, Any], status_list: dict[str, Any]
):
    def accepts(credential: dict[str, Any]) -> bool:
        method = credential["proof"]["verificationMethod"]
        found = next((m for m in did["verificationMethod"] if m["id"] == method), did["verificationMethod"][0])
        key = keyforms.jwk(keyforms.key_of(found))
        known = {contexts.OB: {"@context": contexts.content(contexts.OB)}}
        try:
            DataIntegrityProofSuite().verify(credential, public_key_jwk=key, extra_contexts=known)
        except OpenvcError:
            return False
        return True

    assert accepts(document)
    assert accepts(status_list)
    assert [name for name, each in tampered(document).items() if accepts(each)] == []


def test_independent_python_reads_our_status_list(status_list: dict[str, Any]):
    bits = decode_bitstring(status_list["credentialSubject"]["encodedList"])
    assert [get_status_bit(bits, index) for index in (0, 1, 2, 131_071)] == [0, 1, 0, 1]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_independent_pyjwt_accepts_our_jwts_and_refuses_tampered_ones(
    issued: issuing.Issued, did: dict[str, Any], algorithm: str
):
    token = issuing.signed_jwt(issued, algorithm)
    assert token == issuing.signed_jwt(issued, algorithm)
    header = jwt.get_unverified_header(token)
    method = next(m for m in did["verificationMethod"] if m["id"] == header["kid"])
    key = jwt.PyJWK(keyforms.jwk(keyforms.key_of(method)), algorithm)
    claims = jwt.decode(token, key, algorithms=[algorithm])
    assert (claims["iss"], claims["jti"]) == (did["id"], issued.document["id"])
    assert {name: value for name, value in claims.items() if name in issued.document} == issued.document
    head, payload, signature = token.split(".")
    other = keyforms.base64url(json.dumps(claims | {"name": "x"}).encode())
    for wrong in (f"{head}.{other}.{signature}", f"{head}.{payload}.{signature[:-4]}AAAA"):
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(wrong, key, algorithms=[algorithm])


async def test_independent_python_signs_and_we_accept_it():
    key = Ed25519SigningKey(Ed25519PrivateKey.from_private_bytes(KEY.private_bytes_raw()), kid=method_of(KEY))
    known = {contexts.OB: {"@context": contexts.content(contexts.OB)}}
    theirs = DataIntegrityProofSuite().add_proof(
        unsigned(), signing_key=key, verification_method=method_of(KEY), extra_contexts=known
    )
    assert (await checked(theirs, now=datetime.now(UTC))).result == "valid"
    wrapped = VcJwtProofSuite().sign(unsigned(), signing_key=key)
    assert (await checked(wrapped.encode(), now=datetime.now(UTC))).result == "valid"
