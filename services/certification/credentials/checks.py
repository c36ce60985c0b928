"""What a verification says: checks, each with a result and a reason; and what it may ask of the world."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from time import monotonic
from typing import Any, Literal, NamedTuple

import httpx
import jiter

from shared.pages.languages import Text, enumerated

from .canonical import MOST_VALUES, Document
from .examining import Examined
from .form import moment

Result = Literal["valid", "invalid", "unknown"]
MOST_BYTES = 1_000_000
MOST_PROOFS = 100
MOST_ENDORSEMENTS = 20
MOST_STATUSES = 10
MOST_CONTAINED = 50
MOST_FETCHES = 30
WITHIN_S = 35  # after this nothing more is looked up, so that there is an answer
SKEW = timedelta(minutes=5)
INFORMS = ("network", "endorsement")  # checks that are for whoever reads them, and decide nothing


class Unavailable(Exception):
    """It could not be looked up, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


class Gone(Unavailable):
    """Its own address says that it is there no more (410)."""


class Wrong(Exception):
    """It is not what it must be, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


class TooMuch(ValueError):
    """It has too much of something; the argument, a `Text`, says of what."""


class Check(NamedTuple):
    check: str
    result: Result
    reason: Text


class Verdict(NamedTuple):
    """What was found of a credential.

    Attributes:
        credential: what was read; None if nothing could be.
    """

    result: Result
    checks: list[Check]
    credential: Document | None


class Found(NamedTuple):
    """What is at an address.

    Attributes:
        address: where it was in the end, after redirects.
    """

    content: bytes
    address: str


Fetch = Callable[[str], Awaitable[Found]]  # raises Unavailable
Examine = Callable[[list[Document]], Awaitable[list[Examined]]]


async def offline(address: str) -> Found:
    raise Unavailable(Text("{address} was not looked up: offline", {"address": short(address)}))


@dataclass
class Surroundings:
    """What a verification needs beside the credential.

    Attributes:
        fetch: looks an address up.
        examine: makes statements of documents, in bounded time.
        public: the address of our own certification; empty: there is none.
        own: looks a path of ours up without asking ourselves over the network.
        known: what the organisation of a DID is called; None: it is none of the network's.
        until: by the monotonic clock, after this nothing is looked up any more.
    """

    fetch: Fetch
    examine: Examine
    public: str = ""
    own: Callable[[str], Awaitable[bytes]] | None = None
    known: Callable[[str], Awaitable[str | None]] | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    until: float = field(default_factory=lambda: monotonic() + WITHIN_S)
    _fetched: dict[str, Found | Unavailable] = field(default_factory=dict)
    _objects: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    _fetches: int = 0

    def _own_path(self, address: str) -> str:
        """The path of an address of ours; did:web always means https, where we may be http on one machine."""
        own = f"{self.public.partition('://')[2]}/"
        _, _, rest = address.partition("://")
        return rest.removeprefix(own) if rest.startswith(own) else ""

    async def get(self, address: str, *, same_host: bool = False) -> bytes:
        """What is at an address; asked once, whether it answers or not.

        Args:
            same_host: a redirect must not have led to another host.
        """
        if address not in self._fetched:
            try:
                self._fetched[address] = await self._asked(address)
            except Unavailable as away:
                self._fetched[address] = away
        found = self._fetched[address]
        if isinstance(found, Unavailable):
            raise found
        if same_host and host_of(found.address) != host_of(address):
            about = {"address": short(address), "host": short(host_of(found.address))}
            raise Unavailable(Text("{address} leads to another host, {host}.", about))
        return found.content

    async def _asked(self, address: str) -> Found:
        if self.own and self.public and (path := self._own_path(address)):
            return Found(await self.own(path), address)
        self._fetches += 1
        if self._fetches > MOST_FETCHES:
            raise Unavailable(Text("it names more than {most} addresses", {"most": MOST_FETCHES}))
        try:
            async with asyncio.timeout(max(self.until - monotonic(), 0)):
                return await self.fetch(address)
        except TimeoutError:
            about = {"address": short(address)}
            raise Unavailable(Text("{address} was not looked up: there was no time left for it", about)) from None

    async def get_object(self, address: str, *, same_host: bool = False) -> dict[str, Any]:
        """The JSON object at an address, read once."""
        content = await self.get(address, same_host=same_host)
        if address not in self._objects:
            try:
                read = read_json(content)
            except ValueError:
                read = None
            self._objects[address] = read if isinstance(read, dict) else None
        found = self._objects[address]
        if found is None:
            raise Unavailable(Text("What is at {address} is no JSON object.", {"address": short(address)}))
        return found

    async def examined(self, documents: list[Document]) -> list[Examined]:
        """What is found of documents, while there is time."""
        try:
            async with asyncio.timeout(max(self.until - monotonic(), 0)):
                return await self.examine(documents)
        except TimeoutError:
            late = Text("there was no time left to make statements of it")
            return [Examined([], [], late)] * len(documents)


def host_of(address: object) -> str:
    """The host, and port, of an address; an address that is none has only itself."""
    try:
        return httpx.URL(str(address)).netloc.decode() or str(address)
    except (httpx.InvalidURL, ValueError):
        return str(address)


def read_json(data: bytes | str) -> Any:
    """JSON, strictly: no member twice, in UTF-8, no deeper than a hundred or so, of so many values at most.

    Raises:
        ValueError: it is none.
    """
    raw = data.encode() if isinstance(data, str) else data.removeprefix(b"\xef\xbb\xbf")
    found = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    if _has_more(found, MOST_VALUES):
        raise TooMuch(Text("it has more than {most} values", {"most": MOST_VALUES}))
    json.dumps(found).encode()  # whatever is later written again must be writable
    return found


def _has_more(value: Any, most: int) -> bool:
    count, todo = 0, [value]
    while todo:
        each = todo.pop()
        inside = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        count += 1 + len(inside)
        if count > 2 * most:  # each one is counted twice: in its place, and by itself
            return True
        todo += inside
    return False


def unreadable(why: str) -> Verdict:
    return Verdict("invalid", [Check("form", "invalid", Text("It cannot be read: {why}", {"why": why}))], None)


def concluded(checks: list[Check], credential: Document | None) -> Verdict:
    """The whole of the checks."""
    found = {each.result for each in checks if each.check not in INFORMS}
    result: Result = "invalid" if "invalid" in found else "unknown" if "unknown" in found else "valid"
    return Verdict(result, checks, credential)


def dates(begin: Any, end: Any, now: datetime) -> Check:
    """Is it valid now?"""
    try:
        if begin is not None and moment(begin) > now + SKEW:
            return Check("dates", "invalid", Text("It is valid from {moment} only.", {"moment": short(begin)}))
        if end is not None and moment(end) < now:
            return Check("dates", "invalid", Text("It was valid until {moment}.", {"moment": short(end)}))
    except ValueError:
        return Check("dates", "invalid", Text("Its dates cannot be read."))
    return Check("dates", "valid", Text("It is valid now."))


def told(text: str) -> Text:
    """A reason, which may be one that is only in English."""
    return text if isinstance(text, Text) else Text("{why}", {"why": text[:400]})


def listed(reasons: Sequence[str]) -> Text:
    """Several reasons as one, each in the reader's language."""
    return enumerated([*map(told, reasons)], "; ")


def identity_hashes(identity: str, salt: object) -> set[str]:
    """How an identity may be written so that only who knows it can tell."""
    salted = (identity + str(salt or "")).encode(errors="replace")
    return {f"sha256${sha256(salted).hexdigest()}", f"md5${md5(salted, usedforsecurity=False).hexdigest()}"}


def is_name(identity: dict[str, Any]) -> bool:
    """Is it a name, which holders may add to a copy? Then it is their word alone."""
    return identity.get("hashed") is not True and identity.get("identityType") == "name"


def short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 150 else f"{text[:147]}..."


def as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
