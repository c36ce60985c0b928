"""Who may do what: each route of each service has a rule here, and is tried by those who may not.

A new route is one line in `RULES`, a page one in tests/pages.py. Routes are found by themselves.
"""

import asyncio
import time
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from shared.contract.skills import skill_id
from shared.http.application import create_app
from shared.http.auth import Signer, ensure_keys
from shared.log.topics import SERVICES
from shared.settings import Settings
from tests.network import COHORT, INTERNSHIP, LEARNER, STRUCTURED, as_, cloudevent
from tests.pages import (
    ALERT_PAGES,
    BADGE_PAGES,
    FRAMEWORK_PAGES,
    ISSUING_PAGES,
    LINK_PAGES,
    MARKET_PAGES,
    PAGES,
    RECOGNITION_PAGES,
    REPORT_PAGES,
)
from tests.stack import Running


@dataclass(frozen=True)
class Rule:
    """Who may do something, and how another organisation tries it.

    Attributes:
        at: the address of something of the owner's; `{learner}` and the like are what `tests.network.tell` names.
        refused: what another organisation is answered; 200 for lists, which only have what is its own.
        shown: `tests.network.tell` says something that the owner sees there.
    """

    who: Literal["everybody", "organisations", "operator", "owner", "page"]
    at: str = ""
    refused: int = 403
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    shown: bool = True


PUBLIC = Rule("everybody")
TOKEN = Rule("organisations")  # any organisation, and the answer is the same for each
OPERATOR = Rule("operator")
PAGE = Rule("page")  # no token opens it: see tests/partners/test_page_rights.py


def operator(body: Any) -> Rule:
    """What needs a body to get as far as the question who is calling."""
    return Rule("operator", body=body)


def own(at: str, refused: int = 403, body: Any = None, *, shown: bool = True, **headers: str) -> Rule:
    """What belongs to somebody."""
    return Rule("owner", at, refused, body, tuple(headers.items()), shown)


def mine(at: str = "", *, shown: bool = True) -> Rule:
    """A list that has for each organisation what is its own."""
    return Rule("owner", at, 200, shown=shown)


AGREEMENT = {"parties": ["college", "works"], "scope": "internships", "valid_from": "2026-01-01"}
PROGRAMME = {"title": "x", "version": "2", "level": 4, "competencies": [], "hours_theory": 1, "hours_workplace": 1}
SCHEME = {"competency": "greencomp:3.1", "level": 4, "methods": ["exam"], "least_score": 0.1}
QUESTION = {"id": "overall", "kind": "overall", "words": {"en": "How was it?"}, "required": True}
ALERT_RULE = {"indicator": "employment_rate", "scope": "region", "when": "below", "threshold": 0.5}
SKILL = {"skill": "TIG", "competency": None}

ASK_FOR_SECRETS = ("POST /token", "POST /wallet/credential")
OF_HOLDERS = ("copy", "erasure", "public", "wallet")

RULES: dict[str, Rule] = {
    # of all services
    "GET /": PUBLIC,
    "GET /docs": PUBLIC,
    "GET /static/{name}": PUBLIC,
    "GET /events/{topic}/{partition}/{offset}": own("{event}", 404),
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /openapi.json": PUBLIC,
    # partners
    "DELETE /organisations/{id}/credentials/{credential}": OPERATOR,
    "GET /activities": PUBLIC,
    "GET /activities/{id}": PUBLIC,
    "GET /agreements": PUBLIC,
    "GET /agreements/{id}": PUBLIC,
    "GET /asyncapi.json": PUBLIC,
    "GET /contract": PUBLIC,
    "GET /internships": mine(),
    "GET /learners": mine(),
    "GET /learners/{id}": own("/learners/{learner}", 404),
    "GET /opportunities": PUBLIC,
    "GET /opportunities/{id}": PUBLIC,
    "GET /organisations": PUBLIC,
    "GET /organisations/{id}": PUBLIC,
    "GET /organisations/{id}/credentials": OPERATOR,
    "GET /programmes": PUBLIC,
    "GET /programmes/{id}": PUBLIC,
    "GET /schemas/{type}.json": PUBLIC,
    "GET /schemas/{type}/data.json": PUBLIC,
    "POST /agreements/{id}/end": own("/agreements/a-1/end", body={"reason": "x"}),
    "POST /agreements/{id}/refusal": own("/agreements/a-1/refusal", body={"reason": "x"}),
    "POST /agreements/{id}/signature": own("/agreements/a-1/signature"),
    "POST /events": own("/events", body=cloudevent("uni", "learner.enrolled", "x", {"programme": "p"}), **STRUCTURED),
    "POST /organisations/{id}/credentials": OPERATOR,
    "POST /organisations/{id}/reinstatement": OPERATOR,
    "POST /organisations/{id}/suspension": operator({"reason": "x"}),
    "POST /programmes/{id}/revision": own("/programmes/welding/revision", body={"recommendation": "x", "version": "2"}),
    "POST /programmes/{id}/revision-refusal": own(
        "/programmes/welding/revision-refusal", body={"recommendation": "x", "reason": "y"}
    ),
    "POST /token": PUBLIC,
    "PUT /agreements/{id}": own("/agreements/a-1", body=AGREEMENT),
    "PUT /organisations/{id}": operator({"kind": "enterprise", "name": "x", "region": "y"}),
    "PUT /programmes/{id}": own("/programmes/welding", body=PROGRAMME),
    "DELETE /organisations/{id}/kafka-credentials/{credential}": OPERATOR,
    "GET /organisations/{id}/kafka-credentials": OPERATOR,
    "POST /organisations/{id}/kafka-credentials": OPERATOR,
    "DELETE /webhooks/{id}": own("/webhooks/x", 404),
    "GET /feed": mine(shown=False),
    "GET /feed/stream": TOKEN,
    "GET /rejections": mine(shown=False),
    "GET /rejections/{position}": own("/rejections/rejected-0-99999999", 404, shown=False),
    "GET /webhooks": mine(shown=False),
    "GET /webhooks/{id}": own("/webhooks/x", 404, shown=False),
    "GET /webhooks/{id}/failures": own("/webhooks/x/failures", 404, shown=False),
    "PUT /rejections/{position}/aside": own("/rejections/rejected-0-99999999/aside", 404, shown=False),
    "POST /rejections/{position}/resubmission": own(
        "/rejections/rejected-0-99999999/resubmission", 404, body={}, **STRUCTURED
    ),
    "POST /webhooks": TOKEN,
    "POST /webhooks/{id}/activation": own("/webhooks/x/activation", 404),
    "POST /webhooks/{id}/failures/{failure}/redelivery": own("/webhooks/x/failures/0/redelivery", 404),
    "POST /webhooks/{id}/test": own("/webhooks/x/test", 404),
    "POST /webhooks/{id}/secret": own("/webhooks/x/secret", 404),
    "GET /upload": PUBLIC,
    "GET /upload/template": PUBLIC,
    "GET /upload/types": PUBLIC,
    "GET /upload/upload.js": PUBLIC,
    "POST /upload/columns": TOKEN,
    "POST /upload/rows": TOKEN,
    # feedback
    "GET /competencies/{id}/ratings": PUBLIC,
    "GET /demand": PUBLIC,
    "GET /demand/{competency}": PUBLIC,
    "GET /enterprises/{id}/ratings": PUBLIC,
    "GET /programmes/{id}/gaps": PUBLIC,
    "GET /programmes/{id}/ratings": PUBLIC,
    "GET /programmes/{id}/recommendations": PUBLIC,
    "GET /programmes/{id}/story": PUBLIC,
    "GET /stories/{id}": PUBLIC,
    "GET /requests": mine(),
    "POST /requests/{id}/withdrawals": operator({"organisation": "o", "submission": "s", "reason": "r"}),
    "GET /requests/{id}": own("/requests/{request}", 404),
    "GET /market": PUBLIC,
    "GET /market/demand": PUBLIC,
    "GET /market/gap-table": PUBLIC,
    "GET /market/gaps": PUBLIC,
    "GET /market/areas": TOKEN,
    "GET /market/observations": TOKEN,
    "GET /market/skills": TOKEN,
    "GET /market/vacancies": TOKEN,
    "PUT /market/skills/{id}": Rule("operator", f"/market/skills/{skill_id('TIG')}", body=SKILL),
    # certification
    "DELETE /badges/{competency}": TOKEN,
    "GET /badges/{competency}": TOKEN,
    "PUT /badges/{competency}": TOKEN,
    "GET /certificates": mine(),
    "GET /certificates/check": PUBLIC,
    "GET /certificates/{id}": PUBLIC,
    "DELETE /certificates/{id}/link": own("/certificates/{certificate}/link"),
    "GET /certificates/{id}/{form}": own("/certificates/{certificate}/credential.json", shown=False),
    "GET /certificates/{id}/endorsements": PUBLIC,
    "GET /collect/{token}": PUBLIC,
    "GET /certificates/links": mine(),
    "GET /collect/{token}/{form}": PUBLIC,
    # who has the learner's link
    **dict.fromkeys(
        (f"{method} /collect/{{token}}/{what}" for what in OF_HOLDERS for method in ("GET", "POST")), PUBLIC
    ),
    # wallets, who have a code from the learner's page
    "GET /.well-known/oauth-authorization-server": PUBLIC,
    "GET /.well-known/openid-credential-issuer": PUBLIC,
    "GET /wallet/offers/{token}": PUBLIC,
    "POST /wallet/credential": PUBLIC,
    "POST /wallet/nonce": PUBLIC,
    "POST /wallet/token": PUBLIC,
    "GET /issuers/{id}/did.json": PUBLIC,
    "GET /issuers/{id}/status/{number}": PUBLIC,
    "GET /issuers/{id}/status/{number}/{did}": PUBLIC,
    "GET /issuers/{id}/revocations": PUBLIC,
    "GET /issuers/{id}/revocations/{did}": PUBLIC,
    "GET /issuers/{id}/did": PUBLIC,
    "DELETE /recognitions/{competency}/endorsement": TOKEN,
    "PUT /recognitions/{competency}/endorsement": TOKEN,
    "PUT /issuers/{id}/did": own("/issuers/uni/did", body={"did": None}),
    "GET /endorsements/{enterprise}/{competency}/{of}/{id}": PUBLIC,
    "GET /recognitions": PUBLIC,
    "GET /recognitions/graduates": mine(shown=False),
    "GET /schemes/{id}/achievement.json": PUBLIC,
    "GET /verify": PUBLIC,
    "POST /verify": PUBLIC,
    "GET /verify/file": PUBLIC,
    "POST /verify/file": PUBLIC,
    "POST /certificates/{id}/link": own("/certificates/{certificate}/link"),
    "GET /frameworks": PUBLIC,
    "GET /frameworks/{id}": PUBLIC,
    "PUT /frameworks/{id}": operator({"version": "1", "name": {"en": "x"}, "items": 1}),
    "POST /frameworks/import/{id}/{version}": operator([]),
    "GET /schemes": PUBLIC,
    "GET /schemes/{id}": PUBLIC,
    "GET /schemes/{id}/nearly": own("/schemes/futures/nearly", shown=False),
    "POST /certificates/{id}/revocation": own("/certificates/{certificate}/revocation", body={"reason": "x"}),
    "PUT /schemes/{id}": own("/schemes/futures", body={**SCHEME, "enterprise_required": False}),
    # monitoring
    "DELETE /alert-rules/{id}": own("/alert-rules/x", 404),
    "GET /alert-rules": PUBLIC,
    "GET /alert-rules/{id}": PUBLIC,
    "PUT /alert-rules/{id}": own("/alert-rules/x", body=ALERT_RULE),
    "GET /alerts": PUBLIC,
    "GET /alerts/{id}": PUBLIC,
    "GET /alerts/{id}/notes": own("/alerts/x/notes", 404, shown=False),
    "PUT /alerts/{id}/acknowledgement": own("/alerts/x/acknowledgement", 404, body={}),
    "GET /compare": PUBLIC,
    "GET /find": PUBLIC,
    "GET /live.js": PUBLIC,
    "GET /gaps": PUBLIC,
    "GET /indicators": PUBLIC,
    "GET /indicators/{indicator_id}": PUBLIC,
    "GET /indicators/{indicator_id}/comparison": PUBLIC,
    "GET /indicators/{indicator_id}/series": PUBLIC,
    "GET /figures/{indicator_id}": PUBLIC,
    "GET /ranking": PUBLIC,
    **dict.fromkeys(("GET /changes", "GET /recommendations", "GET /unanswered"), PUBLIC),
    "GET /competencies": PUBLIC,
    "GET /sustainability": PUBLIC,
    "GET /sustainability/programmes": PUBLIC,
    "DELETE /reports/{id}": TOKEN,
    "GET /catalogue": PUBLIC,
    "GET /charts/{indicator_id}.{form}": PUBLIC,
    "GET /report": PUBLIC,
    "GET /reports/{id}": PUBLIC,
    "POST /reports": TOKEN,
    "GET /scopes/{scope}": PUBLIC,
    "GET /values": PUBLIC,
    "GET /a/answer.js": PUBLIC,
    "GET /a/{token}": PUBLIC,  # who has the link
    "POST /a/{token}": PUBLIC,
    "GET /invitations": mine(),
    "POST /requests/{id}/link": own("/requests/{request}/link", 404),
    "POST /requests/{id}/answers": own("/requests/{request}/answers", 404, body={"answers": {"overall": 4}}),
    "GET /response-rates": mine(shown=False),
    "GET /programmes/{id}/comments": own("/programmes/welding/comments", 404, shown=False),
    "GET /questionnaires": PUBLIC,
    "GET /questionnaires/{role}": PUBLIC,
    "PUT /questionnaires/{role}": Rule("operator", "/questionnaires/learner", body={"questions": [QUESTION]}),
    # those that take a session's cookie
    **dict.fromkeys(("GET /asked", "POST /asked", "GET /asked/links.{format}", "GET /answers", "POST /answers"), PAGE),
    **dict.fromkeys(("GET /sheets", "GET /sheets/{role}", "POST /sheets/{role}"), PAGE),
    **dict.fromkeys(PAGES | MARKET_PAGES | FRAMEWORK_PAGES, PAGE),
    **dict.fromkeys(BADGE_PAGES | RECOGNITION_PAGES | ISSUING_PAGES | LINK_PAGES | ALERT_PAGES | REPORT_PAGES, PAGE),
}


def routes() -> list[tuple[str, str]]:
    """Every route as (service, "METHOD /path"); HEAD comes with GET."""
    found = []
    for service in SERVICES:
        app = import_module(f"services.{service}.app")
        for route in iter_route_contexts(create_app(app.core, app.router, Settings(role="all")).routes):
            assert isinstance(route.original_route, Route), f"{route} is of a kind that this table does not know"
            found += [(service, f"{method} {route.path}") for method in (route.methods or ()) if method != "HEAD"]
    return sorted(found)


ROUTES = routes()
GUARDED = [(s, route) for s, route in ROUTES if route in RULES and RULES[route].who not in ("everybody", "page")]
OPEN = [(service, route) for service, route in ROUTES if RULES.get(route) == PUBLIC]
BAD_TOKENS = (
    *("none", "expired", "no algorithm", "public key as secret", "other key", "other key under our name"),
    *(
        "other audience",
        "other issuer",
        "other payload",
        "no end",
        "no key named",
        "no signature",
        "longer than allowed",
    ),
)


@pytest.fixture(scope="module")
def bad(services: dict[str, Running], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The `Authorization` headers that must prove nothing, each for the operator, by what is wrong."""
    elsewhere = Settings(keys_dir=tmp_path_factory.mktemp("elsewhere"))
    ensure_keys(elsewhere)
    ours, theirs = Signer(services["partners"].settings), Signer(elsewhere)
    key, kid, now = ours._key, ours._kid, int(time.time())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    claims = {"iss": "praktika", "aud": "praktika", "sub": "operator", "kind": "operator", "iat": now, "exp": now + 900}

    def signed(by: Any = key, algorithm: str = "EdDSA", name: str | None = kid, **changes: Any) -> str:
        told = {claim: value for claim, value in (claims | changes).items() if value is not None}
        return jwt.encode(told, by, algorithm, headers={"kid": name} if name else {})

    head, payload, signature = signed().split(".")
    forged = {
        "expired": signed(iat=now - 901, exp=now - 1),
        "no algorithm": signed(None, "none"),
        "public key as secret": signed(public, "HS256"),
        "other key": signed(theirs._key, name=theirs._kid),
        "other key under our name": signed(theirs._key),
        "other audience": signed(aud="elsewhere"),
        "other issuer": signed(iss="elsewhere"),
        "other payload": f"{head}.{signed(sub='uni').split('.')[1]}.{signature}",
        "no end": signed(exp=None),
        "no key named": signed(name=None),
        "no signature": f"{head}.{payload}.",
        "longer than allowed": signed(exp=now + 901),
    }
    return {"none": "", **{wrong: f"Bearer {token}" for wrong, token in forged.items()}}


def named(cases: list[tuple[str, str]]) -> list[str]:
    return [f"{service}: {route}" for service, route in cases]


def test_every_route_has_a_rule_and_every_rule_a_route():
    there = {route for _, route in ROUTES}
    missing = "\n".join(
        f'    "{route}": PUBLIC | TOKEN | OPERATOR | mine() | own(…),' for route in sorted(there - {*RULES})
    )
    assert there <= RULES.keys(), f"who may do this? Add to RULES in tests/test_routes.py:\n{missing}"
    assert RULES.keys() <= there, f"these routes are gone: {sorted(RULES.keys() - there)}"


def test_everything_that_writes_needs_a_token():
    # What the address has in it is the token; wallets send a code, and what they get for it.
    by_link = {"POST /a/{token}", *(f"POST /collect/{{token}}/{what}" for what in OF_HOLDERS)}
    by_code = {"POST /wallet/token", "POST /wallet/credential"}
    changes_nothing = {"POST /verify", "POST /verify/file", "POST /wallet/nonce"}
    written = {route for _, route in OPEN if not route.startswith("GET ")}
    assert written == {"POST /token", *by_link, *by_code, *changes_nothing}


@pytest.mark.parametrize(("service", "route"), GUARDED, ids=named(GUARDED))
async def test_nobody_does_it_without_a_right_token(
    services: dict[str, Running], names: dict[str, str], bad: dict[str, str], service: str, route: str
):
    rule = RULES[route]
    stack, (method, path) = services[service], route.split(" ")
    path = (rule.at or sample(path)).format(**names)
    assert bad.keys() == {*BAD_TOKENS}
    before = await on_log(services)

    async def tried(token: str) -> Any:
        given = {"Authorization": token} if token else {}
        return await stack.client.request(method, path, headers=given | dict(rule.headers), **body_of(rule, method))

    for wrong, answer in zip(bad, await asyncio.gather(*map(tried, bad.values())), strict=True):
        assert answer.status_code == 401, f"{wrong}: {answer.status_code} {answer.text}"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="praktika"'
        assert not seen(answer.text, path)
    assert await on_log(services) == before


@pytest.mark.parametrize(("service", "route"), GUARDED, ids=named(GUARDED))
async def test_another_organisation_neither_does_nor_sees_it(
    services: dict[str, Running], names: dict[str, str], service: str, route: str
):
    rule = RULES[route]
    stack, (method, path) = services[service], route.split(" ")
    path = (rule.at or sample(path)).format(**names)
    if rule.who == "organisations":
        return
    before = await on_log(services)
    for other in ("college", "works", "lab", *(("uni", "plant") if rule.who == "operator" else ())):
        headers = as_(stack, other, 0) | dict(rule.headers)
        answer = await stack.client.request(method, path, headers=headers, **body_of(rule, method))
        assert answer.status_code == rule.refused, f"{other}: {answer.status_code} {answer.text}"
        assert not seen(answer.text, path), f"{other} sees {answer.text}"
    assert await on_log(services) == before
    if rule.who == "owner" and method == "GET" and rule.shown:
        answer = await stack.client.get(path, headers=as_(stack, "uni"))
        assert answer.status_code == 200
        assert seen(answer.text, path), "the owner must see it, or this test proves nothing"


@pytest.mark.parametrize(("service", "route"), OPEN, ids=named(OPEN))
async def test_what_is_public_needs_no_token_and_tells_nothing_private(
    services: dict[str, Running], names: dict[str, str], service: str, route: str
):
    method, path = route.split(" ")
    for at in {sample(path), sample(path).replace("/x", "/welding"), path.replace("{id}", names["certificate"])}:
        answer = await services[service].client.request(method, at)
        assert answer.status_code not in (401, 403, 500) or route in ASK_FOR_SECRETS, answer.text
        assert not seen(answer.text, at)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def sample(path: str) -> str:
    """An address of a route where nothing is."""
    return path.replace("{topic}/{partition}/{offset}", "learner/0/0").replace("{", "x{").format_map(_Empty())


class _Empty(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return ""


def body_of(rule: Rule, method: str) -> dict[str, Any]:
    return {} if method in ("GET", "DELETE") else {"json": rule.body or {}}


def seen(text: str, path: str) -> list[str]:
    """What is private and in an answer, but not because the address named it."""
    return [mark for mark in (LEARNER, COHORT, INTERNSHIP) if mark in text and mark not in path]


async def on_log(services: dict[str, Running]) -> int:
    """How many events there are of what organisations say."""
    return await services["partners"].count("organisation", "agreement", "programme", "scheme", "learner")
