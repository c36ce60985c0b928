"""Public keys as DID documents and JWTs write them: multibase Multikeys and JWKs; did:key and did:jwk."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.pages.languages import Text

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
ED25519, P256 = b"\xed\x01", b"\x80\x24"  # multicodec, as a varint
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LONGEST = 200  # characters of base58: decoding takes their square


class UnknownKey(Exception):
    """It is no public key of a kind that is known here; the text says why."""


def base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text: str) -> bytes:
    """The bytes.

    Raises:
        ValueError: it is no base58, or too long to be anything of ours.
    """
    if len(text) > _LONGEST:
        raise ValueError("too long")
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    """The bytes; padding is not written.

    Raises:
        ValueError: it is no base64url.
    """
    if not text.isascii() or any(c in text for c in "=+/ \n\r\t"):
        raise ValueError("no base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def multibase(data: bytes) -> str:
    return "z" + base58(data)


def unmultibase(text: str) -> bytes:
    """The bytes of base58btc (`z`) or base64url (`u`) multibase.

    Raises:
        ValueError: it is neither.
    """
    if text[:1] == "z":
        return unbase58(text[1:])
    if text[:1] == "u":
        return unbase64url(text[1:])
    raise ValueError("neither base58btc nor base64url")


def multikey(key: PublicKey) -> str:
    """The `publicKeyMultibase` of a key."""
    if isinstance(key, Ed25519PublicKey):
        return multibase(ED25519 + key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return multibase(P256 + key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def from_multikey(text: str) -> PublicKey:
    """The key that a `publicKeyMultibase`, or a did:key after its method, is."""
    try:
        data = unmultibase(text)
        if data[:2] == ED25519:
            return Ed25519PublicKey.from_public_bytes(data[2:])
        if data[:2] == P256:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data[2:])
    except ValueError as error:
        raise UnknownKey(Text("it is no Multikey: {why}", {"why": str(error)[:200]})) from None
    raise UnknownKey(Text("it is a Multikey of a kind that is not known here"))


def jwk(key: PublicKey) -> dict[str, str]:
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"kty": "EC", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])}


def from_jwk(given: Any) -> PublicKey:
    """The key that a JWK is: Ed25519, P-256, or RSA of 2,048 to 8,192 bits."""
    try:
        match given["kty"], given.get("crv"):
            case "OKP", "Ed25519":
                return Ed25519PublicKey.from_public_bytes(unbase64url(given["x"]))
            case "EC", "P-256":
                point = b"\x04" + unbase64url(given["x"]).rjust(32, b"\0") + unbase64url(given["y"]).rjust(32, b"\0")
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            case "RSA", _:
                e, n = (int.from_bytes(unbase64url(given[name]), "big") for name in ("e", "n"))
                if 2_048 <= n.bit_length() <= 8_192 and e.bit_length() <= 64:
                    return rsa.RSAPublicNumbers(e, n).public_key()
    except (KeyError, TypeError, AttributeError, ValueError, UnsupportedAlgorithm) as error:
        raise UnknownKey(Text("it is no JWK: {why}", {"why": repr(error)[:200]})) from None
    raise UnknownKey(Text("it is a JWK of a kind that is not known here"))


def did_document(did: str) -> dict[str, Any]:
    """The DID document of a did:key or did:jwk, which is in the DID itself."""
    method, _, rest = did.removeprefix("did:").partition(":")
    if method == "key":
        from_multikey(rest)
        key = {"type": "Multikey", "publicKeyMultibase": rest}
        id = f"{did}#{rest}"
    elif method == "jwk":
        try:
            given = json.loads(unbase64url(rest))
        except ValueError:
            raise UnknownKey(Text("it has no JWK in it")) from None
        key, id = {"type": "JsonWebKey", "publicKeyJwk": given}, f"{did}#0"
    else:
        raise UnknownKey(Text("DIDs of the method {method} are not known here.", {"method": method[:30]}))
    return {"id": did, "verificationMethod": [{"id": id, "controller": did, **key}], "assertionMethod": [id]}


def key_of(method: Any) -> PublicKey:
    """The public key of a verification method."""
    if not isinstance(method, dict):
        raise UnknownKey(Text("it is no verification method"))
    if isinstance(multibase_key := method.get("publicKeyMultibase"), str):
        return from_multikey(multibase_key)
    if "publicKeyJwk" in method:
        return from_jwk(method["publicKeyJwk"])
    raise UnknownKey(Text("the verification method has no key of a kind that is known here"))


def verifies(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Is it a signature over *data* by Ed25519, ES256 or RS256, whichever is the key's?"""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            if len(signature) != 64:
                return False
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
