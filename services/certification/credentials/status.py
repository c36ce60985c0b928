"""Bitstring Status Lists (W3C, 2025): which credentials have been revoked, told without telling which was asked about.

A credential's number among those of its institution is put to a random place by a permutation with a key: a place says
nothing of when a credential was issued, no two have the same, and it can always be worked out again.
"""

import gzip
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from shared.pages.languages import Text

from . import contexts
from .canonical import Document
from .keyforms import unbase64url
from .keys import Keyring

ENTRIES = 131_072  # the least that keeps one among many
MOST_BYTES = 16 * 2**20  # of a list, inflated
PURPOSE = "revocation"
_HALF_BITS, _HALF, _ROUNDS = 9, 511, 6  # two halves of 9 bits: the smallest square above the entries


class NoList(Exception):
    """It is no status list that could be read, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


def place(number: int, ring: Keyring, institution: str) -> tuple[int, int]:
    """The list, from 1, and the index in it of a credential's number."""
    number_of_list, rest = divmod(number, ENTRIES)
    index = _permuted(rest, ring, f"{institution}/{number_of_list}")
    while index >= ENTRIES:  # what falls beside goes round again, so that it stays a permutation
        index = _permuted(index, ring, f"{institution}/{number_of_list}")
    return number_of_list + 1, index


def _permuted(value: int, ring: Keyring, of: str) -> int:
    """A Feistel network over 18 bits."""
    left, right = value >> _HALF_BITS, value & _HALF
    for turn in range(_ROUNDS):
        mixed = int.from_bytes(ring.keyed("status", f"{of}/{turn}/{right}")[:2], "big") & _HALF
        left, right = right, left ^ mixed
    return left << _HALF_BITS | right


def address(public: str, institution: str, number_of_list: int, did: str = "") -> str:
    """Where a list is: one for each DID that the institution has issued by, as a list is its issuer's."""
    return "/".join((f"{public}/issuers/{institution}/status/{number_of_list}", *([quoted_did(did)] if did else ())))


def quoted_did(did: str) -> str:
    """A DID as a part of a path."""
    return quote(did, safe=":~")


def entry(public: str, quoted: str, number: int, ring: Keyring, institution: str, did: str) -> dict[str, str]:  # noqa: PLR0913, PLR0917
    """What a credential says of its place."""
    number_of_list, index = place(number, ring, institution)
    of_list = address(public, quoted, number_of_list, did)
    return {
        "id": f"{of_list}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": PURPOSE,
        "statusListIndex": str(index),
        "statusListCredential": of_list,
    }


def encoded(indexes: Iterable[int]) -> str:
    """The list in which these are set; the same for the same."""
    bits = bytearray(ENTRIES // 8)
    for index in indexes:
        bits[index >> 3] |= 0x80 >> (index & 7)
    return "u" + urlsafe_b64encode(gzip.compress(bytes(bits), mtime=0)).rstrip(b"=").decode()


def decoded(text: object) -> bytes:
    """The bits of an `encodedList`.

    Raises:
        NoList: it is none, or inflates beyond bounds.
    """
    if not isinstance(text, str):
        raise NoList(Text("its encodedList is no text"))
    try:
        data = unbase64url(text.removeprefix("u"))
        inflating = zlib.decompressobj(wbits=31)
        bits = inflating.decompress(data, MOST_BYTES)
    except (ValueError, zlib.error):
        raise NoList(Text("its encodedList is no base64url of gzip")) from None
    if inflating.unconsumed_tail:
        raise NoList(Text("its encodedList has more than {most} bytes", {"most": MOST_BYTES}))
    if not inflating.eof:
        raise NoList(Text("its encodedList is cut off"))
    return bits


def bits_at(bits: bytes, index: int, size: int = 1) -> int:
    """The value of *size* bits at an index.

    Raises:
        NoList: the list is shorter, or so short that it tells who was asked about.
    """
    begin, value = index * size, 0
    if 8 * len(bits) // size < ENTRIES:
        raise NoList(Text("it has fewer than {least} entries", {"least": ENTRIES}))
    if begin + size > 8 * len(bits):
        raise NoList(Text("the index lies behind the list's end"))
    for at in range(begin, begin + size):
        value = value << 1 | bits[at >> 3] >> (7 - at % 8) & 1
    return value


def credential(list_address: str, did: str, indexes: Iterable[int], since: str) -> Document:
    """A list as a credential, without a proof."""
    return {
        "@context": [contexts.V2],
        "id": list_address,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": did,
        "validFrom": since,
        "credentialSubject": {
            "id": f"{list_address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": PURPOSE,
            "encodedList": encoded(indexes),
        },
    }


def index_of(given: Any) -> int:
    """A `statusListIndex`, as text or a number.

    Raises:
        NoList: it is neither, or below 0.
    """
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise NoList(Text("its statusListIndex is no whole number"))
    return int(text)
