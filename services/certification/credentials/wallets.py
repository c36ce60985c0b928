"""What a wallet shows by OpenID for Verifiable Credential Issuance 1.0: a code, a transaction code, a nonce, a key.

The pre-authorised code and the access token are signed tokens for a certificate (see links.py). What has to be known of
a code is in the home until it ends: the digest of its transaction code, and how often that was tried.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import randbelow, token_urlsafe
from typing import Any, NamedTuple

from shared.http.service import Service

from . import holders, jwts, keyforms, keys, links
from .checks import read_json
from .keyforms import PublicKey, UnknownKey, base64url
from .keys import Keyring
from .links import certificate_of

OFFERS = "wallet_offers"  # in the home, by certificate
CODE, ACCESS, NONCE, TX_CODE = "pre-authorised code", "access token", "nonce", "transaction code"
CODE_LASTS, ACCESS_LASTS, NONCE_LASTS_S = timedelta(minutes=10), timedelta(minutes=5), 300
TX_DIGITS, TRIES = 6, 5
ALGORITHMS = ("ES256", "EdDSA")  # of proofs
BINDING = ("did:key", "did:jwk", "jwk")
PROOF_TYPE = "openid4vci-proof+jwt"


class Refused(Exception):
    """What a wallet sent is not accepted.

    Attributes:
        error: the code of the specification (or of OAuth 2.0, RFC 6749 and 6750).
        description: in English, ASCII.
    """

    def __init__(self, error: str, description: str) -> None:
        self.error, self.description = error, description
        super().__init__(error)


class Offer(NamedTuple):
    """A credential that a wallet may take once, with a code that is typed from the learner's page."""

    code: str
    tx_code: str
    end: datetime


def _now() -> datetime:
    return datetime.now(UTC)


async def offer(service: Service, certificate: str) -> Offer:
    """Let a wallet take a certificate's credential; an offer before it leads nowhere any more."""
    codes, end = await links.tokens(service, [certificate], CODE, CODE_LASTS)
    code, tx_code = codes[certificate], f"{randbelow(10**TX_DIGITS):0{TX_DIGITS}}"
    offers = service.store.home[OFFERS]
    await offers.create_index("expires", expireAfterSeconds=0)
    kept = {"code": _digest(code), "tx_code": _keyed(service, code, tx_code), "tries": 0, "expires": end}
    await offers.replace_one({"_id": certificate}, kept, upsert=True)
    return Offer(code, tx_code, end)


async def is_open(service: Service, code: str) -> bool:
    """Can a code still be used?"""
    certificate = await certificate_of(service, code, CODE)
    match = {"_id": certificate, "code": _digest(code), "tries": {"$lt": TRIES}}
    return certificate is not None and await service.store.home[OFFERS].find_one(match, {"_id": 1}) is not None


async def redeem(service: Service, code: str, tx_code: str) -> str:
    """The certificate that a code is for; it ends with that, or with the last wrong transaction code.

    Raises:
        Refused: invalid_grant.
    """
    certificate = await certificate_of(service, code, CODE)
    offers, match = service.store.home[OFFERS], {"_id": certificate, "code": _digest(code)}
    found = certificate and await offers.find_one_and_update({**match, "tries": {"$lt": TRIES}}, {"$inc": {"tries": 1}})
    if not certificate or not found:
        raise Refused("invalid_grant", "the pre-authorized code is wrong, was used, or has ended")
    if not hmac.compare_digest(found["tx_code"], _keyed(service, code, tx_code)):
        raise Refused("invalid_grant", "the transaction code is wrong")
    if not (await offers.delete_one(match)).deleted_count:
        raise Refused("invalid_grant", "the pre-authorized code was used")
    return certificate


def _digest(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def _keyed(service: Service, code: str, tx_code: str) -> str:
    """Of a million transaction codes each could be tried: so only with a key that is not in the database."""
    return keys.keyring(service.settings).keyed(TX_CODE, f"{code}/{tx_code}").hex()


async def access_token(service: Service, certificate: str) -> str:
    tokens, _ = await links.tokens(service, [certificate], ACCESS, ACCESS_LASTS)
    return tokens[certificate]


async def allowed(service: Service, access_token: str) -> str | None:
    """The certificate whose credential an access token is for; None: for none (any more)."""
    return await certificate_of(service, access_token, ACCESS)


def nonce(ring: Keyring) -> str:
    """A challenge that nobody can foresee and that says itself when it ends: none is stored."""
    content = f"{int(time.time()) + NONCE_LASTS_S:x}.{token_urlsafe(16)}"
    return f"{content}.{base64url(ring.keyed(NONCE, content)[:18])}"


def _is_fresh(ring: Keyring, given: str) -> bool:
    content, _, signature = given.rpartition(".")
    genuine = hmac.compare_digest(signature.encode(), base64url(ring.keyed(NONCE, content)[:18]).encode())
    return genuine and _now().timestamp() < int(content.partition(".")[0], 16)


def holder_of(ring: Keyring, proof: Any, issuer: str) -> str:
    """The DID that a wallet's proof shows possession of: that of its `kid`, or of its `jwk` (as did:jwk).

    Args:
        proof: a JWT as of appendix F.1.
        issuer: for whom it must be meant.
    Raises:
        Refused: invalid_proof, or invalid_nonce.
    """
    try:
        jwt = jwts.parsed(proof if isinstance(proof, str) else "", read_json)
        did, key = _key(jwt.header)
    except (jwts.NoJwt, UnknownKey, ValueError):
        raise Refused("invalid_proof", "the proof is no JWT with one key that is known here, as kid or jwk") from None
    _demand_form(jwt.header, jwt.claims, key, issuer)
    if not keyforms.verifies(key, jwt.signature, jwt.signed):
        raise Refused("invalid_proof", "the signature of the proof is not right")
    if not _is_fresh(ring, jwt.claims["nonce"]):
        raise Refused("invalid_nonce", "the nonce is none of ours, or has ended: ask for a new one")
    return did


def _demand_form(header: Mapping[str, Any], claims: Mapping[str, Any], key: PublicKey, issuer: str) -> None:
    algorithm = header.get("alg")
    iat, challenge = claims.get("iat"), claims.get("nonce")
    wrong = {
        f"typ must be {PROOF_TYPE}": header.get("typ") != PROOF_TYPE,
        f"alg must be one of {', '.join(ALGORITHMS)} and fit the key": algorithm not in ALGORITHMS
        or not jwts.fits(algorithm, key),
        "crit is not known here": "crit" in header,
        "aud must be the credential issuer": claims.get("aud") != issuer,
        "iat must be a moment that is not to come": not _is_past(iat),
        "nonce is missing": not isinstance(challenge, str),
    }
    if found := next((words for words, is_wrong in wrong.items() if is_wrong), None):
        raise Refused("invalid_proof", found)


def _is_past(seconds: Any) -> bool:
    """How old a proof is at most, its nonce says; clocks of wallets may be wrong by minutes."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return is_number and seconds <= _now().timestamp() + NONCE_LASTS_S


def _key(header: Mapping[str, Any]) -> tuple[str, PublicKey]:
    """The DID and the public key that a proof names.

    Raises:
        UnknownKey: it names none, more than one, a private one, or one of a kind that is not known here.
    """
    match [name for name in ("kid", "jwk", "x5c") if name in header]:
        case ["jwk"]:
            if not isinstance(header["jwk"], dict) or "d" in header["jwk"]:
                raise UnknownKey
            key = keyforms.from_jwk(header["jwk"])
            return holders.did_of(key), key
        case ["kid"]:
            kid = str(header["kid"])
            did = kid.partition("#")[0]
            if len(kid) > 2 * holders.LONGEST_DID or not holders.is_did(did):
                raise UnknownKey
            key = holders.key_in(did)
            if kid not in (did, *keyforms.did_document(did)["assertionMethod"]):
                raise UnknownKey
            return did, key
    raise UnknownKey
