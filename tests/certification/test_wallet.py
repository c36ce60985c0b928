"""A wallet's way, walked by a client of its own: OpenID for Verifiable Credential Issuance 1.0, step by step.

The client has PyJWT and cryptography, and takes every address from what it was answered before.
"""

import asyncio
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx import AsyncClient, Response

from services.certification.app import core, router
from services.certification.credentials import keyforms, links, wallets
from shared.contract.events import LearnerErased, OrganisationKind, OrganisationRegistered
from shared.processing import facts
from tests.certification.test_credentials_flow import FROM_HERE, PUBLIC, certificate_of, publish_scheme
from tests.making import event
from tests.stack import Running, running, until

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
KEYS = {"ES256": ec.generate_private_key(ec.SECP256R1()), "EdDSA": Ed25519PrivateKey.generate()}
PRESSED = FROM_HERE | {"Content-Type": "application/x-www-form-urlencoded"}  # a button of a form without fields
Json = dict[str, Any]


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="North College", region="north")
        await started.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(started, "futures")
        yield started


class Wallet:
    """A wallet with one key, which follows the specification."""

    def __init__(self, http: AsyncClient, algorithm: str = "ES256", *, by_kid: bool = False) -> None:
        self.http, self.algorithm, self.key, self.by_kid = http, algorithm, KEYS[algorithm], by_kid
        self.issuer: Json = {}

    @property
    def jwk(self) -> Json:
        kinds: Any = jwt.algorithms.get_default_algorithms()[self.algorithm]
        found: Json = kinds.to_jwk(self.key.public_key(), as_dict=True)
        return {name: found[name] for name in sorted(found) if name in ("crv", "kty", "x", "y")}

    @property
    def did(self) -> str:
        if self.by_kid:
            return f"did:key:{keyforms.multikey(self.key.public_key())}"
        return "did:jwk:" + urlsafe_b64encode(json.dumps(self.jwk, separators=(",", ":")).encode()).decode().rstrip("=")

    async def at(self, address: str, method: str = "GET", **sent: Any) -> Response:
        assert address.startswith(f"{PUBLIC}/")
        return await self.http.request(method, address.removeprefix(PUBLIC), **sent)

    async def offer(self, link: str) -> Json:
        """Section 4.1.3: by reference."""
        parts = urlsplit(link)
        assert parts.scheme == "openid-credential-offer"
        answer = await self.at(parse_qs(parts.query)["credential_offer_uri"][0])
        assert answer.headers["content-type"] == "application/json", answer.text
        found: Json = answer.json()
        return found

    async def metadata(self, offer: Json, of: str = "openid-credential-issuer") -> Json:
        """Section 12.2.2: between the host and the path of the identifier; RFC 8414, section 3.1, the same."""
        identifier = urlsplit(offer["credential_issuer"])
        answer = await self.at(f"{identifier.scheme}://{identifier.netloc}/.well-known/{of}{identifier.path}")
        found: Json = answer.json()
        return found

    async def begin(self, link: str) -> Json:
        """What is offered, with the metadata of who offers it."""
        offer = await self.offer(link)
        self.issuer = await self.metadata(offer)
        assert self.issuer["credential_issuer"] == offer["credential_issuer"]
        assert "authorization_servers" not in self.issuer, "the issuer is its own authorisation server"
        self.server = await self.metadata(offer, "oauth-authorization-server")
        assert self.server["issuer"] == offer["credential_issuer"]
        assert set(offer["credential_configuration_ids"]) <= self.issuer["credential_configurations_supported"].keys()
        return offer

    async def token(self, offer: Json, typed: str, /, **changes: str) -> Response:
        """Section 6.1."""
        grant = offer["grants"][GRANT]
        form = {"grant_type": GRANT, "pre-authorized_code": grant["pre-authorized_code"], "tx_code": typed} | changes
        return await self.at(self.server["token_endpoint"], "POST", data=form)

    async def nonce(self) -> str:
        """Section 7."""
        answer = await self.at(self.issuer["nonce_endpoint"], "POST")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        return str(answer.json()["c_nonce"])

    def proof(self, challenge: str, /, **changes: Any) -> str:
        """Appendix F.1; `header`, `key` and claims may be other ones."""
        named: Json = {"kid": f"{self.did}#{self.did.removeprefix('did:key:')}"} if self.by_kid else {"jwk": self.jwk}
        header = {"typ": "openid4vci-proof+jwt", **named} | changes.pop("header", {})
        key, algorithm = changes.pop("key", self.key), changes.pop("algorithm", self.algorithm)
        claims = {"aud": self.issuer["credential_issuer"], "iat": int(time.time()), "nonce": challenge} | changes
        told, headed = ({n: value for n, value in each.items() if value is not None} for each in (claims, header))
        return jwt.encode(told, key, algorithm, headers=headed)

    async def credential(self, access_token: str, proof: Any, **changes: Any) -> Response:
        """Section 8.2."""
        asked = {"credential_configuration_id": "OpenBadgeCredential_ldp_vc", "proofs": {"jwt": [proof]}} | changes
        told = {name: value for name, value in asked.items() if value is not None}
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.at(self.issuer["credential_endpoint"], "POST", json=told, headers=headers)


async def link_of(stack: Running, id: str) -> str:
    answer = await stack.client.post(f"/certificates/{id}/link", headers=stack.token("uni", "institution"))
    return str(answer.json()["address"]).removeprefix(PUBLIC)


async def offered(stack: Running, id: str) -> tuple[str, str]:
    """The link that the learner's page has for a wallet, and its transaction code."""
    answer = await stack.client.post(f"{await link_of(stack, id)}/wallet", headers=PRESSED)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    link = re.search(r'href="(openid-credential-offer:[^"]+)"', answer.text)
    tx_code = re.search(r"<strong>(\d{6})</strong>", answer.text)
    assert link is not None
    assert tx_code is not None
    return link[1].replace("&amp;", "&"), tx_code[1]


async def let_in(stack: Running, id: str, wallet: Wallet) -> str:
    """An access token."""
    link, tx_code = await offered(stack, id)
    answer = await wallet.token(await wallet.begin(link), tx_code)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
@pytest.mark.parametrize("by_kid", [False, True])
async def test_a_wallet_takes_the_credential_in_both_formats(stack: Running, algorithm: str, by_kid: bool):
    id = await certificate_of(stack, f"wallet-{algorithm}-{by_kid}")
    wallet = Wallet(stack.client, algorithm, by_kid=by_kid)
    link, tx_code = await offered(stack, id)
    offer = await wallet.begin(link)
    assert offer["grants"][GRANT]["tx_code"]["length"] == len(tx_code)
    assert GRANT in wallet.server["grant_types_supported"]
    configurations = wallet.issuer["credential_configurations_supported"]
    assert sorted(each["format"] for each in configurations.values()) == ["jwt_vc_json", "ldp_vc"]
    for each in configurations.values():
        assert algorithm in each["proof_types_supported"]["jwt"]["proof_signing_alg_values_supported"]
    granted = await wallet.token(offer, tx_code)
    assert (granted.json()["token_type"], granted.headers["cache-control"]) == ("Bearer", "no-store")
    assert 0 < granted.json()["expires_in"] <= 600
    for configuration, about in configurations.items():
        proof = wallet.proof(await wallet.nonce())
        answer = await wallet.credential(
            granted.json()["access_token"], proof, credential_configuration_id=configuration
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        ((name, credential),) = answer.json()["credentials"][0].items()
        assert name == "credential"
        is_jwt = about["format"] == "jwt_vc_json"
        claims = jwt.decode(credential, options={"verify_signature": False}) if is_jwt else credential
        assert claims["credentialSubject"]["id"] == wallet.did
        assert not is_jwt or claims["sub"] == wallet.did
        assert about["credential_definition"]["type"] == claims["type"]
        assert claims["id"] == f"{PUBLIC}/certificates/{id}"
        content = credential.encode() if is_jwt else json.dumps(credential).encode()
        media_type = "application/jwt" if is_jwt else "application/json"
        verdict = await stack.client.post(
            f"/verify?recipient={wallet.did}", content=content, headers={"Content-Type": media_type}
        )
        assert verdict.json()["result"] == "valid", verdict.text
    assert await collected(stack, id)


async def collected(stack: Running, id: str) -> bool:
    async def is_noted() -> bool:
        doc = await stack.service.db["learners"].find_one({"certificates.id": id})
        return doc is not None and id in facts.facts(doc["state"], "certificate.collected")

    return bool(await until(is_noted))


async def test_a_wallet_may_ask_by_what_the_token_names(stack: Running):
    wallet = Wallet(stack.client)
    link, tx_code = await offered(stack, await certificate_of(stack, "detailed"))
    details = [{"type": "openid_credential", "credential_configuration_id": "OpenBadgeCredential_jwt_vc_json"}]
    assert (
        "openid_credential"
        in (await wallet.metadata(await wallet.begin(link), "oauth-authorization-server"))[
            "authorization_details_types_supported"
        ]
    )
    offer = await wallet.offer(link)
    unknown = [{**details[0], "credential_configuration_id": "Diploma"}]
    refused = await wallet.token(offer, tx_code, authorization_details=json.dumps(unknown))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    granted = (await wallet.token(offer, tx_code, authorization_details=json.dumps(details))).json()
    (identifier,) = granted["authorization_details"][0]["credential_identifiers"]
    by_identifier: Json = {"credential_configuration_id": None, "credential_identifier": identifier}
    proof = wallet.proof(await wallet.nonce())
    assert (await wallet.credential(granted["access_token"], proof, **by_identifier)).status_code == 200
    by_identifier["credential_identifier"] = "another"
    answer = await wallet.credential(granted["access_token"], proof, **by_identifier)
    assert answer.json()["error"] == "unknown_credential_identifier"


async def test_a_code_is_good_once_and_a_new_offer_ends_the_one_before(stack: Running):
    id, wallet = await certificate_of(stack, "once"), Wallet(stack.client)
    link, tx_code = await offered(stack, id)
    offer = await wallet.begin(link)
    answers = await asyncio.gather(*(wallet.token(offer, tx_code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
    assert (await wallet.at(parse_qs(urlsplit(link).query)["credential_offer_uri"][0])).status_code == 404
    earlier, _ = await offered(stack, id)
    old = await wallet.offer(earlier)
    await until(lambda: second_after(old))
    _, new_code = await offered(stack, id)
    assert (await wallet.token(old, new_code)).json()["error"] == "invalid_grant"


async def second_after(offer: Json) -> bool:
    """Codes of one second are one: is it another second than that of this offer's?"""
    end = links.end_of(offer["grants"][GRANT]["pre-authorized_code"])
    return links._now() + wallets.CODE_LASTS >= end + timedelta(seconds=1)


async def test_five_wrong_transaction_codes_end_the_code(stack: Running):
    id, wallet = await certificate_of(stack, "guessed"), Wallet(stack.client)
    link, tx_code = await offered(stack, id)
    offer = await wallet.begin(link)
    wrong = f"{(int(tx_code) + 1) % 10**6:06}"
    for _ in range(4):
        assert (await wallet.token(offer, wrong)).json()["error"] == "invalid_grant"
    assert (await wallet.token(offer, tx_code)).status_code == 200, "four wrong ones are forgiven"
    link, tx_code = await offered(stack, id)
    offer = await wallet.begin(link)
    for _ in range(5):
        assert (await wallet.token(offer, wrong)).json()["error"] == "invalid_grant"
    assert (await wallet.token(offer, tx_code)).json()["error"] == "invalid_grant"


async def test_what_has_ended_opens_nothing(stack: Running, monkeypatch: pytest.MonkeyPatch):
    id, wallet, now = await certificate_of(stack, "late"), Wallet(stack.client), links._now()
    link, tx_code = await offered(stack, id)
    offer = await wallet.begin(link)
    access = await let_in(stack, id, wallet)
    nonce = await wallet.nonce()
    monkeypatch.setattr(wallets, "_now", lambda: now + timedelta(minutes=6))
    stale = await wallet.credential(access, wallet.proof(nonce))
    assert (stale.status_code, stale.json()["error"]) == (400, "invalid_nonce")
    monkeypatch.setattr(links, "_now", lambda: now + timedelta(minutes=6))
    ended = await wallet.credential(access, wallet.proof(nonce))
    assert (ended.status_code, ended.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]
    monkeypatch.setattr(links, "_now", lambda: now + timedelta(minutes=11))
    assert (await wallet.token(offer, tx_code)).json()["error"] == "invalid_grant"
    kept = stack.service.store.home[wallets.OFFERS]
    assert any(index.get("expireAfterSeconds") == 0 for index in (await kept.index_information()).values())


async def test_links_that_are_withdrawn_take_codes_and_tokens_along(stack: Running):
    id, wallet = await certificate_of(stack, "withdrawn"), Wallet(stack.client)
    access = await let_in(stack, id, wallet)
    link, tx_code = await offered(stack, id)
    offer = await wallet.offer(link)
    await stack.client.delete(f"/certificates/{id}/link", headers=stack.token("uni", "institution"))
    assert (await wallet.token(offer, tx_code)).json()["error"] == "invalid_grant"
    assert (await wallet.credential(access, wallet.proof(await wallet.nonce()))).status_code == 401


async def test_a_revoked_certificate_is_given_to_no_wallet(stack: Running):
    id, wallet = await certificate_of(stack, "revoked"), Wallet(stack.client)
    access = await let_in(stack, id, wallet)
    headers = stack.token("uni", "institution") | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=headers)
    answer = await wallet.credential(access, wallet.proof(await wallet.nonce()))
    assert answer.json()["error"] == "credential_request_denied"
    again = await stack.client.post(f"{await link_of(stack, id)}/wallet", headers=PRESSED)
    assert (again.status_code, "openid-credential-offer" in again.text) == (403, False)


async def test_an_erased_learners_wallet_gets_nothing(stack: Running):
    id, wallet = await certificate_of(stack, "erased"), Wallet(stack.client)
    path, access = await link_of(stack, id), await let_in(stack, id, wallet)
    await stack.publish(event(LearnerErased(), "erased"))
    await stack.applied()
    answer = await wallet.credential(access, wallet.proof(await wallet.nonce()))
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")
    page = await stack.client.get(path, headers=FROM_HERE)
    assert (page.status_code, "does not lead anywhere" in page.text) == (404, True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"tx_code": ""}, "invalid_request"),
        ({"pre-authorized_code": ""}, "invalid_request"),
        ({"pre-authorized_code": "x.y.z"}, "invalid_grant"),
        ({"tx_code": "ж" * 2_000}, "invalid_grant"),
        ({"authorization_details": "[1]"}, "invalid_authorization_details"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
    ],
)
async def test_a_wrong_token_request_gets_the_error_of_oauth(stack: Running, changes: dict[str, str], error: str):
    wallet = Wallet(stack.client)
    link, tx_code = await offered(stack, await certificate_of(stack, "asking"))
    answer = await wallet.token(await wallet.begin(link), tx_code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")


async def test_a_token_request_is_a_form_with_each_parameter_once(stack: Running):
    for content in (b"grant_type=a&grant_type=b", b"\xff=1", b"a&" * 1_000):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await stack.client.post("/wallet/token", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), content
    answer = await stack.client.post("/wallet/token", json={"grant_type": GRANT})
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_wrong_proofs_are_refused(stack: Running):
    wallet, other = Wallet(stack.client), ec.generate_private_key(ec.SECP256R1())
    access = await let_in(stack, await certificate_of(stack, "proving"), wallet)
    nonce = await wallet.nonce()
    good = wallet.proof(nonce)
    head, _, rest = good.partition(".")
    private = jwt.algorithms.get_default_algorithms()["ES256"].to_jwk(wallet.key, as_dict=True)  # type: ignore[attr-defined]
    unsigned = jwt.encode({"aud": PUBLIC, "iat": 1, "nonce": nonce}, None, "none", headers={"jwk": wallet.jwk})
    wrong: dict[str, Any] = {
        "another audience": wallet.proof(nonce, aud="https://elsewhere.example"),
        "several audiences": wallet.proof(nonce, aud=[PUBLIC, "https://elsewhere.example"]),
        "no audience": wallet.proof(nonce, aud=None),
        "no moment": wallet.proof(nonce, iat=None),
        "a moment to come": wallet.proof(nonce, iat=int(time.time()) + 3_600),
        "no nonce": wallet.proof(nonce, nonce=None),
        "a number as nonce": wallet.proof(nonce, nonce=7),
        "another's signature": wallet.proof(nonce, key=other),
        "a type of its own": wallet.proof(nonce, header={"typ": "JWT"}),
        "an extension": wallet.proof(nonce, header={"crit": ["exp"], "exp": 1}),
        "a private key": wallet.proof(nonce, header={"jwk": private}),
        "no key": wallet.proof(nonce, header={"jwk": {}}),
        "two keys": wallet.proof(nonce, header={"kid": wallet.did}),
        "a key elsewhere": Wallet.proof(Elsewhere(wallet), nonce),
        "alg none": unsigned,
        "a secret": wallet.proof(nonce, key="s" * 64, algorithm="HS256"),
        "another algorithm": f"{_header(good, alg='EdDSA')}.{rest}",
        "alg none in a good one": f"{_header(good, alg='none')}.{rest}",
        "no signature": f"{head}.{rest.partition('.')[0]}.",
        "a DID that is no address": wallet.proof(nonce, header={"jwk": None, "kid": f"{wallet.did}<>"}),
        "a DID without end": wallet.proof(nonce, header={"jwk": None, "kid": wallet.did + "x" * 100_000}),
        "no JWT": "x",
        "a number": 7,
    }
    for what, proof in wrong.items():
        answer = await wallet.credential(access, proof)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_proof"), what
        assert answer.json()["error_description"].isascii()
    for forged in ("x", "zz.y.z", f"{int(time.time()) + 60:x}.y.z", nonce[:-2], "é.é.é"):
        answer = await wallet.credential(access, wallet.proof(forged))
        assert answer.json()["error"] == "invalid_nonce", forged
    assert (await wallet.credential(access, good)).status_code == 200, "what was wrong has ended nothing"


class Elsewhere(Wallet):
    """A wallet whose key nobody can look up offline."""

    def __init__(self, other: Wallet) -> None:
        super().__init__(other.http, by_kid=True)
        self.issuer = other.issuer

    @property
    def did(self) -> str:
        return "did:web:wallet.example"


def _header(token: str, **changes: str) -> str:
    header = jwt.get_unverified_header(token) | changes
    return urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"credential_configuration_id": "Diploma"}, "unknown_credential_configuration"),
        ({"credential_configuration_id": None}, "invalid_credential_request"),
        ({"credential_configuration_id": 7}, "invalid_credential_request"),
        ({"credential_identifier": "x"}, "invalid_credential_request"),
        ({"proofs": None}, "invalid_proof"),
        ({"proofs": {"jwt": []}}, "invalid_proof"),
        ({"proofs": {"jwt": ["a", "b"]}}, "invalid_proof"),
        ({"proofs": {"di_vp": [{}]}}, "invalid_proof"),
        ({"proofs": []}, "invalid_proof"),
    ],
)
async def test_a_wrong_credential_request_is_told_so(stack: Running, changes: Json, error: str):
    wallet = Wallet(stack.client)
    access = await let_in(stack, await certificate_of(stack, "requesting"), wallet)
    answer = await wallet.credential(access, "", **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_without_an_access_token_there_is_no_credential(stack: Running):
    id, wallet = await certificate_of(stack, "tokenless"), Wallet(stack.client)
    link, _ = await offered(stack, id)
    offer = await wallet.begin(link)
    proof, code = wallet.proof(await wallet.nonce()), offer["grants"][GRANT]["pre-authorized_code"]
    for token in ("", "x", code, (await link_of(stack, id)).rpartition("/")[2]):
        answer = await wallet.credential(token, proof)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    access = await let_in(stack, id, wallet)
    for body in (b"", b"[]", b"{", b"\xff"):
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        answer = await stack.client.post("/wallet/credential", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_credential_request"), body


async def test_what_a_wallet_was_given_is_in_the_home_only_as_digests(stack: Running):
    id = await certificate_of(stack, "secretive")
    link, tx_code = await offered(stack, id)
    code = parse_qs(urlsplit(link).query)["credential_offer_uri"][0].rpartition("/")[2]
    kept = str(await stack.service.store.home[wallets.OFFERS].find_one({"_id": id}))
    assert code not in kept
    assert tx_code not in re.sub(r"[0-9a-f]{64}", "", kept)
