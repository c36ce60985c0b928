"""People who are signed in, for tests: members of each organisation and role, and their browsers."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

from httpx import ASGITransport, AsyncClient, Response

from services.partners.people import members, passwords
from services.partners.people.members import SESSIONS, Invited, Person
from shared.contract.events import Publisher
from shared.http.auth import SESSION_S, Member, Role, Signer
from shared.http.sessions import COOKIE
from tests.stack import Running

PASSWORD = "pebble orchard seven lanterns"  # noqa: S105
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
# What is right of a page in a browser; every page of a test is looked at for it.
INLINE = re.compile(
    r"<script(?![^>]*(\bsrc=|application/json))|<style|<\w[^>]*\s(on\w+|style)=|=.javascript:", re.IGNORECASE
)


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies."""

    client: AsyncClient
    stack: Running

    @property
    def member(self) -> Member | None:
        return self.stack.service.verifier.member(self.client.cookies.get(COOKIE) or "")

    def take(self, cookie: str) -> None:
        """Have this session's cookie, whoever it was given to."""
        self.client.cookies.set(COOKIE, cookie, domain=self.client.base_url.host)

    async def get(self, path: str, **query: Any) -> Response:
        return looked_at(await self.client.get(path, params=query or None))

    async def post(self, path: str, **form: Any) -> Response:
        """Send a form, as the page that has it would."""
        member = self.member
        token = {"csrf": member.csrf} if member else {}
        return looked_at(await self.client.post(path, data={**token, **form}))


def looked_at(answer: Response) -> Response:
    """The answer, which as a page is all in one language, runs no script of others and asks for nothing elsewhere."""
    if answer.headers.get("content-type", "").startswith("text/html") and answer.content:
        assert not INLINE.search(answer.text), INLINE.search(answer.text)
        assert "Ответ сервиса (по-английски)" not in answer.text, answer.text
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    return answer


def visitor(stack: Running, address: str = "127.0.0.1", **headers: str) -> Visitor:
    """Somebody who is not signed in."""
    client = AsyncClient(
        transport=ASGITransport(stack.app, client=(address, 1)),
        base_url="http://praktika.test",
        headers=BROWSER | headers,
        timeout=60,
    )
    return Visitor(client, stack)


async def person(stack: Running, organisation: str, role: str, name: str = "", password: str | None = None) -> Person:
    """A new member."""
    name = name or f"{role} of {organisation}"
    invited = Invited(organisation, f"{uuid4().hex[:10]}@{organisation}.example", name, Role(role))
    proof = {"password": await passwords.hashed(password)} if password else {}
    return await members.add(stack.service.store.home, invited, "joined", proof)


async def signed_in(stack: Running, organisation: str, role: str, kind: str, name: str = "") -> Visitor:
    """A new member, in a session that has just begun."""
    return await in_session(stack, await person(stack, organisation, role, name), kind)


async def in_session(stack: Running, who: Person, kind: str, age_s: int = 0) -> Visitor:
    """A member in a session that began so long ago."""
    until = datetime.now(UTC) + timedelta(seconds=SESSION_S - age_s)
    session = {"_id": uuid4().hex, "member": who["_id"], "organisation": who["organisation"], "until": until}
    began = {"began_at": datetime.now(UTC), "way": "test", "address": "", "browser": ""}
    await stack.service.store.home[SESSIONS].insert_one({**session, **began})
    member = Member(
        id=who["_id"],
        organisation=who["organisation"],
        kind=Publisher(kind),
        role=Role(who["role"]),
        name=who["name"],
        session=session["_id"],
        issued_at=0,
        expires_at=0,
        until=int(until.timestamp()),
    )
    made = visitor(stack)
    made.take(Signer(stack.settings).session_token(member))
    return made


async def invited(stack: Running, organisation: str, role: str, email: str = "") -> str:
    """The path of a new invitation."""
    who = members.checked(organisation, email or f"{uuid4().hex[:10]}@new.example", "New Person", role)
    return f"/invitation?token={await members.invite(stack.service.store.home, 'test', who)}"


def links(answer: Response) -> list[str]:
    """The addresses that a page leads to."""
    return [unescape(found) for found in re.findall(r'href="([^"#]+)"', answer.text)]


async def close(*visitors: Visitor) -> None:
    await asyncio.gather(*(each.client.aclose() for each in visitors))
