"""What a verification says: checks, each with a result and a reason; and what it may ask of the world."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import jiter

from shared.pages.languages import Text

from .canonical import Document
from .examining import Examined
from .form import moment

Result = Literal["valid", "invalid", "unknown"]
MOST_BYTES = 1_000_000
MOST_ENDORSEMENTS = 20
MOST_FETCHES = 30
SKEW = timedelta(minutes=5)
INFORMS = ("network",)  # checks that are for whoever reads them, and decide nothing


class Unavailable(Exception):
    """It could not be looked up, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


class Wrong(Exception):
    """It is not what it must be, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


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


Fetch = Callable[[str], Awaitable[bytes]]  # raises Unavailable
Examine = Callable[[list[Document]], Awaitable[list[Examined]]]


async def offline(address: str) -> bytes:
    raise Unavailable(Text("{address} was not looked up: offline", {"address": short(address)}))


@dataclass
class Surroundings:
    """What a verification needs beside the credential.

    Attributes:
        fetch: looks an address up.
        examine: makes statements of documents, in bounded time.
        public: the address of our own certification; empty: there is none.
        own: looks a path of ours up without asking ourselves over the network.
        known: what a registered organisation is called; None: it is none of the network's.
    """

    fetch: Fetch
    examine: Examine
    public: str = ""
    own: Fetch | None = None
    known: Callable[[str], Awaitable[str | None]] | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _fetched: dict[str, bytes] = field(default_factory=dict)
    _fetches: int = 0

    def _own_path(self, address: str) -> str:
        """The path of an address of ours; did:web always means https, where we may be http on one machine."""
        own = f"{self.public.partition('://')[2]}/"
        _, _, rest = address.partition("://")
        return rest.removeprefix(own) if rest.startswith(own) else ""

    async def get(self, address: str) -> bytes:
        """What is at an address; asked once."""
        if address not in self._fetched:
            if self.own and self.public and (path := self._own_path(address)):
                self._fetched[address] = await self.own(path)
            else:
                self._fetches += 1
                if self._fetches > MOST_FETCHES:
                    raise Unavailable(Text("it names more than {most} addresses", {"most": MOST_FETCHES}))
                self._fetched[address] = await self.fetch(address)
        return self._fetched[address]


def read_json(data: bytes | str) -> Any:
    """JSON, strictly: no member twice, in UTF-8, no deeper than a hundred or so.

    Raises:
        ValueError: it is none.
    """
    raw = data.encode() if isinstance(data, str) else data.removeprefix(b"\xef\xbb\xbf")
    found = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    json.dumps(found).encode()  # whatever is later written again must be writable
    return found


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
    """A reason that is only in English."""
    return Text("{why}", {"why": text[:400]})


def short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 150 else f"{text[:147]}..."


def as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
