"""Who may open each page and send each form: one line for each, tried in tests/partners/test_page_rights.py."""

from dataclasses import dataclass

CHIEFS = frozenset({"admin", "operator"})
# Who may use each form of the work space: roles, and the kinds of their organisations.
_OPERATOR = {("operator", "operator")}
_INSTITUTION = {("institution", role) for role in ("admin", "staff")}
_ENTERPRISE = {("enterprise", role) for role in ("admin", "staff")}
_PARTNERS = _INSTITUTION | _ENTERPRISE
_MENTORS = _PARTNERS | {("institution", "mentor"), ("enterprise", "mentor")}
FORMS: dict[str, set[tuple[str, str]]] = {
    **dict.fromkeys(("register", "edit", "suspend", "reinstate"), _OPERATOR),
    **dict.fromkeys(("propose", "sign", "refuse", "end", "hold", "status", "status_end", "join"), _PARTNERS),
    **dict.fromkeys(
        ("publish", "revise", "plan", "decline", "enrol", "graduate", "leave", "describe", "share"), _INSTITUTION
    ),
    **dict.fromkeys(("apply", "support", "support_end"), _INSTITUTION),
    **dict.fromkeys(("start", "complete", "cancel", "assess", "answer"), _MENTORS),
    **dict.fromkeys(("offer", "close", "accept", "turn_down", "recognise"), _ENTERPRISE),
    "demand": _ENTERPRISE | _OPERATOR,
    "erase": _INSTITUTION | _OPERATOR,
}
ALL = frozenset({"admin", "staff", "mentor", "operator", "coordinator"})
STAFF = frozenset({"admin", "staff", "operator"})
HOSTS = frozenset({"enterprise", "research_centre"})


@dataclass(frozen=True)
class PageRule:
    """Who may come, and how it is tried.

    Attributes:
        roles: who may; None: everybody, signed in or not.
        at: an address of the own organisation's; `{member}` and the like are filled in.
        foreign: what another organisation is answered there.
        kinds: of organisations whose members may, if not all.
    """

    roles: frozenset[str] | None
    at: str = ""
    foreign: int | None = None
    kinds: frozenset[str] | None = None


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
    "GET /work": MEMBERS,
    "GET /work/{name}": PageRule(ALL, "/work/organisations"),
    "GET /work/{name}/{id}": PageRule(ALL, "/work/organisations/uni"),
    "GET /work/do/{name}": PageRule(frozenset({"admin", "staff"}), "/work/do/propose"),
    "POST /work/do/{name}": PageRule(frozenset({"admin", "staff"}), "/work/do/propose"),
    "GET /work/confirm": PageRule(frozenset({"admin", "staff", "mentor"}), kinds=HOSTS),
    "POST /work/confirm": PageRule(frozenset({"admin", "staff", "mentor"}), kinds=HOSTS),
    "GET /work/health": PageRule(frozenset({"operator", "coordinator"})),
    "GET /work/integration": PageRule(CHIEFS),
    "POST /work/integration/credentials": PageRule(CHIEFS),
    "POST /work/integration/kafka-credentials": PageRule(CHIEFS),
    "POST /work/integration/webhooks": PageRule(frozenset({"admin"})),
    "GET /work/integration/webhooks/{id}": PageRule(CHIEFS, "/work/integration/webhooks/{webhook}", 404),
    "POST /work/integration/webhooks/{id}": PageRule(CHIEFS, "/work/integration/webhooks/{webhook}", 404),
    "GET /work/rejections": PageRule(STAFF),
    "POST /work/rejections": PageRule(STAFF),
    "GET /work/rejections/{position}": PageRule(STAFF, "/work/rejections/{rejection}", 404),
    "POST /work/rejections/{position}": PageRule(STAFF, "/work/rejections/{rejection}", 404),
    "GET /uploads": PageRule(STAFF),
    "POST /uploads": PageRule(STAFF),
    "GET /uploads/pages/uploads.js": EVERYBODY,
    "GET /uploads/{id}": PageRule(STAFF, "/uploads/{upload}", 404),
    "POST /uploads/{id}": PageRule(STAFF, "/uploads/{upload}", 404),
    "GET /uploads/{id}/progress": PageRule(STAFF, "/uploads/{upload}/progress", 404),
    "GET /uploads/{id}/refused.csv": PageRule(STAFF, "/uploads/{upload}/refused.csv", 404),
    "GET /network/{name}": PageRule(None, "/network/programmes"),
    "GET /network/{name}/{id}": PageRule(None, "/network/programmes/mechanics"),
    "GET /join": EVERYBODY,
}

# Pages of certification about competency frameworks; tried in tests/certification/test_frameworks_flow.py.
FRAMEWORK_PAGES: dict[str, PageRule] = {
    "GET /frameworks/import": PageRule(frozenset({"operator"})),
    "POST /frameworks/import": PageRule(frozenset({"operator"})),
}

# Pages of certification about recognition; tried in tests/certification/test_recognition_flow.py.
RECOGNITION_PAGES: dict[str, PageRule] = {
    "GET /recognitions/mine": PageRule(frozenset({"admin", "staff", "mentor"}), kinds=HOSTS),
}

# Pages of certification for institutions; tried in tests/certification/test_issuing_pages.py.
_STAFF_OF_INSTITUTIONS = PageRule(frozenset({"admin", "staff"}), kinds=frozenset({"institution"}))
_ADMIN_OF_INSTITUTIONS = PageRule(frozenset({"admin"}), kinds=frozenset({"institution"}))
ISSUING_PAGES: dict[str, PageRule] = {
    "GET /issuing": _STAFF_OF_INSTITUTIONS,
    "GET /issuing/scheme": _ADMIN_OF_INSTITUTIONS,
    "POST /issuing/scheme": _ADMIN_OF_INSTITUTIONS,
    "GET /issuing/nearly": _STAFF_OF_INSTITUTIONS,
    "GET /issuing/nearly.{format}": _STAFF_OF_INSTITUTIONS,
    "GET /issuing/certificates": _STAFF_OF_INSTITUTIONS,
    "GET /issuing/certificates.{format}": _STAFF_OF_INSTITUTIONS,
    "GET /issuing/certificates/{id}": _STAFF_OF_INSTITUTIONS,
    "POST /issuing/certificates/{id}": _STAFF_OF_INSTITUTIONS,
}

# Pages of certification about learners' links; tried in tests/certification/test_links.py.
LINK_PAGES: dict[str, PageRule] = dict.fromkeys(
    ("GET /links", "POST /links", "GET /links/links.{format}"),
    PageRule(frozenset({"admin", "staff"}), kinds=frozenset({"institution"})),
)

# Pages of monitoring about alerts; tried in tests/monitoring/test_alerts.py.
ALERT_PAGES: dict[str, PageRule] = {
    "GET /alerts/rules": PageRule(STAFF, kinds=frozenset({"institution", "operator"})),
    "POST /alerts/rules": PageRule(STAFF, kinds=frozenset({"institution", "operator"})),
    "POST /alerts/{id}": PageRule(STAFF, "/alerts/x", kinds=frozenset({"institution", "operator"})),
}
# Pages of monitoring on which reports are kept; tried in tests/monitoring/test_reports.py.
REPORT_PAGES: dict[str, PageRule] = {"POST /report": MEMBERS, "POST /reports/{id}/removal": MEMBERS}

# Pages of feedback about the labour market; tried in tests/feedback/test_market.py.
MARKET_PAGES: dict[str, PageRule] = {
    "GET /market/mapping": PageRule(frozenset({"operator"})),
    "POST /market/mapping": PageRule(frozenset({"operator"})),
    "GET /market/import": PageRule(frozenset({"operator"})),
    "POST /market/import": PageRule(frozenset({"operator"})),
}

# Pages of certification about badges; tried in tests/certification/test_badges.py.
BADGE_PAGES: dict[str, PageRule] = {
    "GET /badges": PageRule(frozenset({"admin", "staff"}), kinds=frozenset({"institution"})),
    "GET /badges/{competency}/form": PageRule(
        frozenset({"admin", "staff"}), "/badges/greencomp:3.1/form", kinds=frozenset({"institution"})
    ),
    "GET /badges/{competency}/picture": PageRule(
        frozenset({"admin", "staff"}), "/badges/greencomp:3.1/picture", kinds=frozenset({"institution"})
    ),
    "POST /badges/{competency}/form": PageRule(
        frozenset({"admin", "staff"}), "/badges/greencomp:3.1/form", kinds=frozenset({"institution"})
    ),
}
