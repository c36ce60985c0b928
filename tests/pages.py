"""Who may open each page and send each form: one line for each, tried in tests/partners/test_page_rights.py."""

from dataclasses import dataclass

CHIEFS = frozenset({"admin", "operator"})
ALL = frozenset({"admin", "staff", "mentor", "operator", "coordinator"})


@dataclass(frozen=True)
class PageRule:
    """Who may come, and how it is tried.

    Attributes:
        roles: who may; None: everybody, signed in or not.
        at: an address of the own organisation's; `{member}` and the like are filled in.
        foreign: what another organisation is answered there.
    """

    roles: frozenset[str] | None
    at: str = ""
    foreign: int | None = None


EVERYBODY = PageRule(None)
MEMBERS = PageRule(ALL)
PAGES: dict[str, PageRule] = {
    "GET /sign-in": EVERYBODY,
    "POST /sign-in": EVERYBODY,
    "GET /sign-in/oidc": EVERYBODY,
    "GET /sign-in/oidc/callback": EVERYBODY,
    "GET /session": EVERYBODY,
    "POST /sign-out": EVERYBODY,
    "GET /invitation": PageRule(None, "/invitation?token=x"),
    "POST /invitation": PageRule(None, "/invitation?token=x"),
    "GET /people/signin.js": EVERYBODY,
    "GET /account": MEMBERS,
    "POST /account/password": MEMBERS,
    "POST /account/passkeys": MEMBERS,
    "POST /account/sessions": MEMBERS,
    "GET /members": PageRule(CHIEFS),
    "POST /members": PageRule(CHIEFS),
    "GET /members/{id}": PageRule(CHIEFS, "/members/{member}", 404),
    "POST /members/{id}": PageRule(CHIEFS, "/members/{member}", 404),
    "GET /people-log": PageRule(CHIEFS),
}
