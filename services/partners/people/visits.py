"""A visit to a page: who comes, in which language, with which form; and who may come at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.partners.network.registry import OPERATOR
from shared.http.auth import Member, Role
from shared.http.bodies import COMMAND_BYTES
from shared.http.forms import MOST_FIELDS, Form, read_form
from shared.http.problems import FORM, Problem, SignInNeeded
from shared.http.service import Running, Service
from shared.pages.languages import N_, Chosen, Language, Text, translated
from shared.pages.pages import page

from . import sessions
from .members import is_chief


@dataclass
class Visit:
    """What a page's route works with.

    Attributes:
        form: what was sent; on a GET an empty one, to be filled.
        notice: what has been done, if a form led here.
    """

    request: Request
    service: Service
    language: Language
    form: Form = field(default_factory=Form)
    notice: str = ""

    def word(self, text: str) -> str:
        """A marked text (N_) in the visitor's language."""
        return translated(self.language, text)

    def wrong(self, errors: Mapping[str, Text]) -> None:
        """Say beside the form's fields what does not do."""
        self.form.errors = {name: text.into(self.language) for name, text in errors.items()}

    def show(
        self, template: str, status: int = 200, *, scripts: bool = False, once: bool = False, **context: Any
    ) -> Response:
        """The page, with the form on it; *once*: it has a secret, which no browser shall keep."""
        given = {"form": self.form, "notice": self.notice, **context}
        answer = page(self.request, template, self.language, status=status, scripts=scripts, **given)
        answer.headers["Cache-Control"] = (
            "no-store" if once else "private, no-cache"
        )  # invitations and challenges, too, are for one browser
        return answer

    def go(self, address: str) -> Response:
        """Send the browser to another page, after something was done."""
        return RedirectResponse(address, 303)


@dataclass
class MemberVisit(Visit):
    """A visit of somebody who is signed in."""

    member: Member = field(kw_only=True)


async def _visit(request: Request, service: Running, language: Chosen) -> Visit:
    form = await read_form(request) if request.method == "POST" else Form()
    return Visit(request, service, language, form)


async def _member_visit(request: Request, service: Running, language: Chosen) -> MemberVisit:
    """The visit of whoever is signed in.

    Raises:
        SignInNeeded: nobody; a form that was sent is kept for after the sign-in.
    """
    member = await sessions.current(request, service)
    if member is None:
        is_form = request.headers.get("content-type", "").startswith(FORM)
        raise SignInNeeded(_typed(await request.body()) if is_form else "")
    form = await read_form(request) if request.method == "POST" else Form()
    return MemberVisit(request, service, language, form, member=member)


def _typed(body: bytes) -> str:
    """A form that was sent, to be shown again later, if it is small: without what nobody should find on a page."""
    try:
        small = body if len(body) <= COMMAND_BYTES else b""
        pairs = parse_qsl(small.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return ""
    return urlencode([(name, value) for name, value in pairs if "pass" not in name and name not in ("csrf", "draft")])


AnyVisit = Annotated[Visit, Depends(_visit)]
SignedIn = Annotated[MemberVisit, Depends(_member_visit)]


async def _chiefs_visit(visit: SignedIn) -> MemberVisit:
    """The visit of somebody who looks after an organisation's members."""
    if not is_chief(visit.member.role):
        raise Problem(403, f"this page is for {Role.admin} and {Role.operator}; you are {visit.member.role}")
    return visit


ByChief = Annotated[MemberVisit, Depends(_chiefs_visit)]


async def name_of(service: Service, organisation: str, language: Language = "en") -> str:
    """The name of an organisation; its id, as long as the registry does not know it."""
    if organisation == OPERATOR:
        return translated(language, N_("operator of the network"))
    entry = (await service.by_id("organisations", [organisation], {"name": 1})).get(organisation, {})
    return str(entry.get("name", organisation))
