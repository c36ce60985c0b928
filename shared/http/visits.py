"""A visit to a page: who comes, in which language, with which form; and who may come at all."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from shared.http.auth import Member, Role
from shared.http.bodies import COMMAND_BYTES
from shared.http.forms import MOST_FIELDS, Form, read_form
from shared.http.problems import FORM, Problem, SignInNeeded
from shared.http.service import Running, Service, barred
from shared.http.sessions import signed_in
from shared.pages.chosen import Chosen
from shared.pages.languages import Language, Text, enumerated, in_language, translated
from shared.pages.pages import page
from shared.processing.frameworks import Frameworks


@dataclass
class Visit:
    """What a page's route works with.

    Attributes:
        frameworks: what competencies are called, and which there are.
        form: what was sent; on a GET an empty one, to be filled.
        notice: what has been done, if a form led here.
    """

    request: Request
    service: Service
    language: Language
    frameworks: Frameworks
    form: Form = field(default_factory=Form)
    notice: str = ""

    def word(self, text: str) -> str:
        """A marked text (N_) in the visitor's language."""
        return translated(self.language, text)

    def wrong(self, errors: Mapping[str, Text]) -> None:
        """Say beside the form's fields what does not do."""
        self.form.errors = {name: text.into(self.language) for name, text in errors.items()}

    def refuse(self, problem: Problem, fields: Collection[str] = (), otherwise: str = "") -> None:
        """Say on the form what speaks against it: beside one of *fields*, or of the field *otherwise*."""
        for name, text in problem.errors or [("", problem.detail)]:
            self.form.add_error(name if name in fields else otherwise, in_language(text, self.language))

    def show(
        self, template: str, status: int = 200, *, scripts: bool = False, once: bool = False, **context: Any
    ) -> Response:
        """The page, with the form on it; *once*: it has a secret, which no browser shall keep."""
        given = {"form": self.form, "notice": self.notice, **context}
        answer = page(self.request, template, self.language, status=status, scripts=scripts, **given)
        # Invitations and challenges, too, are for one browser.
        answer.headers["Cache-Control"] = "no-store" if once else "private, no-cache"
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
    return Visit(request, service, language, await service.frameworks(), form)


async def member_visit(request: Request, service: Service, language: Language, member: Member | None) -> MemberVisit:
    """The visit of whoever is signed in.

    Raises:
        SignInNeeded: nobody; a form that was sent is kept for after the sign-in.
    """
    if member is None:
        is_form = request.headers.get("content-type", "").startswith(FORM)
        raise SignInNeeded(_typed(await request.body()) if is_form else "")
    form = await read_form(request) if request.method == "POST" else Form()
    return MemberVisit(request, service, language, await service.frameworks(), form, member=member)


def _typed(body: bytes) -> str:
    """A form that was sent, to be shown again later, if it is small: without what nobody should find on a page."""
    try:
        small = body if len(body) <= COMMAND_BYTES else b""
        pairs = parse_qsl(small.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return ""
    return urlencode([(name, value) for name, value in pairs if "pass" not in name and name not in ("csrf", "draft")])


async def _by_token(request: Request, service: Running, language: Chosen) -> MemberVisit:
    return await member_visit(request, service, language, signed_in(request))


AnyVisit = Annotated[Visit, Depends(_visit)]
SignedInOffline = Annotated[MemberVisit, Depends(_by_token)]  # partners, which has the sessions, looks closer


ROLES = {
    Role.admin: Text("an admin"),
    Role.staff: Text("staff"),
    Role.mentor: Text("a mentor"),
    Role.operator: Text("the operator"),
    Role.coordinator: Text("a coordinator"),
}


def demand_role(visit: MemberVisit, roles: Collection[Role]) -> None:
    """Refuse who has none of these roles."""
    if visit.member.role not in roles:
        given = {"roles": enumerated([ROLES[role] for role in roles]), "role": ROLES[visit.member.role]}
        raise Problem(403, Text("this page is for {roles}; you are {role}", given))


async def demand_active(visit: MemberVisit) -> None:
    """Refuse whose organisation is suspended; the token may be older than that."""
    if why := await barred(visit.service, visit.member.caller):
        raise Problem(403, why)


STAFF = (Role.admin, Role.staff, Role.operator)  # who acts for an organisation
NETWORK = (Role.operator, Role.coordinator)
