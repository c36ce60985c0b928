"""Who is signed in, by the session's cookie: found out for every request, offline, in every service."""

import time
from collections.abc import Callable
from urllib.parse import quote

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.auth import SESSION_S, Member
from shared.http.service import Service
from shared.settings import Settings

COOKIE = "praktika_session"
RENEWAL = "/session"  # of partners: gives a new token to whose session goes on


class Sessions:
    """Puts who is signed in into `request.state.member` (None: nobody), and sends on the cookie that a route has set.

    A browser whose token has expired is sent to partners to renew it, and comes back.
    """

    def __init__(self, app: ASGIApp, service: Callable[[], Service]) -> None:
        self.app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        state = scope.setdefault("state", {})
        headers = Headers(scope=scope)
        token = cookie_of(headers, COOKIE)
        member = self._service().verifier.member(token) if token else None
        may_renew = member and not member.is_current and member.until > time.time()
        if may_renew and _may_go_away(scope, headers):
            return await RedirectResponse(self._renewal(scope), 303)(scope, receive, send)
        state["member"] = member if member and member.is_current else None
        state["session"] = member

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and "cookies" in state:
                answered = MutableHeaders(scope=message)
                for cookie in state["cookies"]:
                    answered.append("Set-Cookie", cookie)
            await send(message)

        await self.app(scope, receive, with_cookies)

    def _renewal(self, scope: Scope) -> str:
        service = self._service()
        here = Request(scope).url
        back = f"{service.settings.public(service.core.name)}{here.path}{'?' if here.query else ''}{here.query}"
        return f"{service.settings.public('partners')}{RENEWAL}?next={quote(back, safe='')}"


def _may_go_away(scope: Scope, headers: Headers) -> bool:
    """Is it somebody who looks at a page, whom a redirection does not disturb?"""
    return scope["method"] == "GET" and scope["path"] != RENEWAL and "text/html" in headers.get("accept", "")


def cookie_of(headers: Headers, name: str) -> str:
    """The value of a cookie; of several with one name the first."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"')
    return ""


def set_cookie(  # noqa: PLR0913, PLR0917
    request: Request, settings: Settings, name: str, value: str, lifetime_s: int, path: str = "/"
) -> None:
    """Let the answer set a cookie that no script reads; an empty value deletes it."""
    secure = settings.public("partners").startswith("https:")
    answer = Response()
    answer.set_cookie(name, value, lifetime_s if value else 0, path=path, secure=secure, httponly=True, samesite="lax")
    request.scope["state"].setdefault("cookies", []).append(answer.headers["set-cookie"])


def keep_session(request: Request, settings: Settings, token: str) -> None:
    """Let the browser keep the session's token; an empty one ends it there."""
    set_cookie(request, settings, COOKIE, token, SESSION_S)


def signed_in(request: Request) -> Member | None:
    """Who is signed in, as far as can be told offline."""
    member: Member | None = getattr(request.state, "member", None)
    return member
