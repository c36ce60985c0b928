"""Pages against strangers: each page and form is tried as nobody, as another organisation, and in each role."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from services.partners.app import core, router
from services.partners.gateway.egress.forwarding import EGRESS, REJECTIONS
from services.partners.gateway.egress.hooks import WEBHOOKS
from services.partners.gateway.files.jobs import FILES, UPLOADS
from services.partners.pages.actions import ACTIONS
from services.partners.people.members import JOURNAL, MEMBERS, SESSIONS
from shared.http.application import create_app
from shared.pages.chosen import COOKIE as LANGUAGE
from shared.processing.refusals import REJECTED
from shared.settings import Settings
from tests.network import STRUCTURED, cloudevent
from tests.pages import FORMS, PAGES, PageRule
from tests.partners.conftest import ORGANISATIONS, practise
from tests.people import Visitor, close, in_session, person, signed_in, visitor
from tests.stack import Running

KINDS = {**ORGANISATIONS, "operator": "operator"}
ROLES = (
    *(("uni", role) for role in ("admin", "staff", "mentor")),
    *(("plant", role) for role in ("admin", "staff", "mentor")),
    *(("operator", role) for role in ("operator", "coordinator")),
    ("works", "admin"),
)
OURS = ("services.partners.people", "services.partners.pages")
GUARDED = sorted(page for page, rule in PAGES.items() if rule.roles is not None)
SENT = sorted(page for page in GUARDED if page.startswith("POST "))


@pytest_asyncio.fixture(scope="module")
async def visitors(partners: Running) -> AsyncIterator[dict[tuple[str, str], Visitor]]:
    """Somebody of each organisation and role, who reads Russian."""
    made = {(of, role): await signed_in(partners, of, role, KINDS[of]) for of, role in ROLES}
    for who in made.values():
        who.client.cookies.set(LANGUAGE, "ru")
    yield made
    await close(*made.values())


@pytest_asyncio.fixture(scope="module")
async def names(partners: Running) -> dict[str, dict[str, str]]:
    """By organisation: what stands for the braces in an address of its own."""
    home, made = partners.service.store.home, dict[str, dict[str, str]]()
    for number, of in enumerate(KINDS):
        bad = cloudevent(of, "programme.published", "x", {"title": "x"})
        await partners.client.post("/events", json=bad, headers=partners.token(of, KINDS[of]) | STRUCTURED)
        ends = await partners.service.log.ends(REJECTED, of)
        (partition, end) = next(iter(ends.items()))
        rejection, upload, webhook = f"rejected-{partition}-{end - 1}", f"u-{number:016x}", f"hook-{of}"
        about = {"received_at": "2026-11-01T09:00:00+00:00", "status": 422, "detail": "x", "errors": []}
        listed = {"organisation": of, "about": json.dumps(about), "offset": end - 1, "at": datetime.now(UTC)}
        await home[REJECTIONS].insert_one({"_id": rejection, **listed})
        await home[EGRESS].update_one({"_id": f"{REJECTED}-{partition}"}, {"$set": {"next": end}}, upsert=True)
        await home[WEBHOOKS].insert_one(
            {"_id": webhook, "organisation": of, "url": "https://x.example/", "status": "active", "cursor": 0}
        )
        job = {"columns": ["subject"], "meant": {"type": "praktika.demand.reported.v1", **_MEANT}, "name": "x.csv"}
        counts = {"rows": 1, "done": 0, "accepted": 0, "refused": 0, "problem": None, "encoding": "utf-8"}
        job |= {"_id": upload, "organisation": of, "state": "new", "at": datetime.now(UTC)}
        await home[UPLOADS].insert_one({**job, **counts})
        await home[FILES].insert_one({"_id": upload, "report": "refused: row", "content": b"subject\n1"})
        member = (await person(partners, of, "staff"))["_id"]
        made[of] = {"member": member, "rejection": rejection, "upload": upload, "webhook": webhook}
    return made


_MEANT = {"map": [], "set": [], "key": [], "timezone": "+00:00", "encoding": None}


def address(page: str, names: dict[str, str]) -> tuple[str, str]:
    """The method and the path of a page of an organisation's own."""
    method, path = page.split(" ")
    return method, (PAGES[page].at or path).format(**names)


def test_page_rights_are_said_of_every_page_and_every_form_leads_to_one():
    app = create_app(core, router, Settings(role="all"))
    api = {*app.openapi()["paths"]}
    there = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD" and route.original_route.endpoint.__module__.startswith(OURS)
    }
    assert there == {*PAGES}
    assert not api & {page.split(" ")[1] for page in PAGES}, "pages are no part of the HTTP API"


@pytest.mark.parametrize("page", GUARDED)
async def test_page_rights_nobody_is_sent_to_the_sign_in(
    partners: Running, names: dict[str, dict[str, str]], page: str
):
    method, path = address(page, names["uni"])
    nobody = visitor(partners)
    answer = await (nobody.get(path) if method == "GET" else nobody.post(path, name="typed by hand"))
    if method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{partners.settings.public('partners')}/sign-in?next=%2F")
    else:
        assert answer.status_code == 401
        assert "typed+by+hand" in answer.text, "what was typed is kept for after the sign-in"
    await close(nobody)


@pytest.mark.parametrize("page", GUARDED)
async def test_page_rights_only_its_roles_open_it(
    partners: Running, visitors: dict[tuple[str, str], Visitor], names: dict[str, dict[str, str]], page: str
):
    rule: PageRule = PAGES[page]
    assert rule.roles
    before = await partners.count(*core.topics)
    for (organisation, role), who in visitors.items():
        method, path = address(page, names[organisation])
        answer = await (who.get(path) if method == "GET" else who.post(path))
        allowed = role in rule.roles and (rule.kinds is None or KINDS[organisation] in rule.kinds)
        assert (answer.status_code != 403) == allowed, f"{role} of {organisation}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500
    assert await partners.count(*core.topics) == before


@pytest.mark.parametrize("page", sorted(page for page in GUARDED if PAGES[page].foreign))
async def test_page_rights_end_at_the_own_organisation(
    partners: Running, visitors: dict[tuple[str, str], Visitor], names: dict[str, dict[str, str]], page: str
):
    method, path = address(page, names["plant"])
    for role in PAGES[page].roles or ():
        if (who := visitors.get(("uni", role))) is None:
            continue
        for at in (path, f"{path}?organisation=plant"):
            answer = await (who.get(at) if method == "GET" else who.post(at, do="remove", sure="yes"))
            refused = (
                {PAGES[page].foreign, 422} if at != path else {PAGES[page].foreign}
            )  # 422: it is asked for nowhere
            assert answer.status_code in refused, answer.text
    assert await partners.service.store.home[MEMBERS].find_one({"_id": names["plant"]["member"]})


@pytest.mark.parametrize("page", SENT)
@pytest.mark.parametrize("how", ["no token", "another's token", "another site"])
async def test_page_rights_a_form_from_elsewhere_does_nothing(
    partners: Running, visitors: dict[tuple[str, str], Visitor], names: dict[str, dict[str, str]], page: str, how: str
):
    """Cross-site request forgery: the cookie alone moves nothing."""
    home = partners.service.store.home
    role = "admin" if "admin" in (PAGES[page].roles or ()) else next(iter(PAGES[page].roles or ()))
    organisation = "operator" if role in ("operator", "coordinator") else "plant" if PAGES[page].kinds else "uni"
    who = visitors[organisation, role]
    _, path = address(page, names[organisation])
    filled = {"do": "remove", "sure": "yes", "name": "X", "email": "x@uni.example", "role": "staff", "session": "x"}
    other = visitors["works", "admin"].member
    assert other
    token = {"no token": "", "another's token": other.csrf, "another site": who.member.csrf if who.member else ""}[how]
    site = {"Sec-Fetch-Site": "cross-site" if how == "another site" else "same-origin"}
    before = [await home[name].count_documents({}) for name in (MEMBERS, SESSIONS, JOURNAL)]
    events = await partners.count(*core.topics)
    answer = await who.client.post(path, data={**filled, "csrf": token}, headers=site)
    assert answer.status_code == 403, answer.text
    assert [await home[name].count_documents({}) for name in (MEMBERS, SESSIONS, JOURNAL)] == before
    assert await partners.count(*core.topics) == events


def test_page_rights_are_said_of_every_form_of_the_work_space():
    assert ACTIONS.keys() == FORMS.keys()


@pytest.mark.parametrize("name", sorted(FORMS))
async def test_page_rights_each_form_is_for_its_roles(
    partners: Running, visitors: dict[tuple[str, str], Visitor], name: str
):
    before = await partners.count(*core.topics)
    for (organisation, role), who in visitors.items():
        may = (KINDS[organisation], role) in FORMS[name]
        answer = await who.get(f"/work/do/{name}")
        assert answer.status_code == (200 if may else 403), f"{role} of {organisation}"
        answer = await who.post(f"/work/do/{name}", csrf="wrong")
        assert answer.status_code == 403
        if not may:
            assert (await who.post(f"/work/do/{name}", subject="uni:x", sure="yes")).status_code == 403
    nobody = visitor(partners)
    assert (await nobody.get(f"/work/do/{name}")).status_code == 303
    assert (await nobody.post(f"/work/do/{name}", subject="uni:x")).status_code == 401
    assert await partners.count(*core.topics) == before


# What college may not do with what is uni's or plant's, though the form is its own.
FOREIGN: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("college", "sign", {"subject": "practice"}),
    ("college", "refuse", {"subject": "practice", "reason": "x"}),
    ("college", "end", {"subject": "practice", "reason": "x"}),
    ("college", "publish", {"subject": "welding", "title": "x", "version": "9", "level": "4"}),
    ("college", "revise", {"subject": "welding", "recommendation": "x", "version": "9"}),
    ("college", "graduate", {"subject": "l-1", "programme": "welding", "graduated_on": "2026-06-01"}),
    ("college", "leave", {"subject": "l-1", "programme": "welding", "left_on": "2026-06-01"}),
    ("college", "share", {"subject": "l-1", "institution": "college"}),
    ("college", "erase", {"subject": "l-1", "sure": "yes"}),
    ("college", "enrol", {"subject": "l-1", "programme": "welding"}),
    (
        "college",
        "assess",
        {"subject": "x", "partitionkey": "l-1", "competency": "greencomp:3.1", "method": "exam", "score": "1"},
    ),
    ("college", "status", {"subject": "x", "partitionkey": "l-1", "status": "employed"}),
    (
        "works",
        "complete",
        {
            "subject": "i",
            "partitionkey": "l-1",
            "programme": "welding",
            "enterprise": "plant",
            "hours": "1",
            "outcome": "passed",
        },
    ),
    (
        "works",
        "cancel",
        {"subject": "i", "partitionkey": "l-1", "programme": "welding", "enterprise": "plant", "reason": "x"},
    ),
    ("works", "status", {"subject": "x", "partitionkey": "l-1", "status": "employed"}),
    ("works", "accept", {"subject": "x", "partitionkey": "l-1"}),
)


@pytest.mark.parametrize(("by", "name", "form"), FOREIGN, ids=[f"{by} {name}" for by, name, _ in FOREIGN])
async def test_page_rights_a_form_moves_nothing_of_others(partners: Running, by: str, name: str, form: dict[str, str]):
    if not await partners.service.db["agreements"].find_one({"_id": "practice"}):
        await practise(partners)
    who = await signed_in(partners, by, "admin", KINDS[by])
    before = await partners.count(*core.topics)
    answer = await who.post(f"/work/do/{name}", **form)
    assert answer.status_code == 422, answer.text
    assert 'class="trouble"' in answer.text
    assert await partners.count(*core.topics) == before
    await close(who)


async def test_page_rights_what_is_anothers_is_not_shown(partners: Running):
    if not await partners.service.db["agreements"].find_one({"_id": "practice"}):
        await practise(partners)
    college, uni = [await signed_in(partners, of, "admin", "institution") for of in ("college", "uni")]
    coordinator = await signed_in(partners, "operator", "coordinator", "operator")
    for path in ("/work/learners/l-1", "/work/agreements/practice"):
        assert (await uni.get(path)).status_code == 200
        assert (await college.get(path)).status_code == 404
    for path in ("/work/learners", "/work/agreements"):
        page = (await college.get(path)).text
        assert ("l-1" in page, "practice" in page) == (False, False)
    assert (await coordinator.get("/work/agreements/practice")).status_code == 200
    for path in ("/work/learners", "/work/learners/l-1", "/work/placements"):
        assert (await coordinator.get(path)).status_code == 404, "learners are not for who only reads"


async def test_what_a_member_says_is_on_the_log_as_the_organisations_with_an_opaque_id(partners: Running):
    who = await person(partners, "uni", "admin", "Anna Petrova")
    anna = await in_session(partners, who, "institution")
    answer = await anna.post("/work/do/publish", subject="of-anna", title="Anna's", version="1", level="4")
    assert answer.status_code == 303, answer.text
    answer = await anna.post("/work/do/hold", subject="of-anna", kind="workshop", hours="2", participants="9")
    assert answer.status_code == 303, answer.text
    for topic in ("programme", "activity"):
        raw = [record.value or b"" for record in await partners.read(topic)]
        (said,) = [event for event in map(json.loads, raw) if event["subject"] == "of-anna"]
        assert (said["source"], said["member"]) == ("/organisations/uni", who["_id"])
        assert not any(b"Petrova" in each or who["email"].encode() in each for each in raw)


async def test_no_system_says_that_a_member_has_said_it(partners: Running):
    sent = cloudevent("uni", "programme.published", "by-system", {"title": "x", "version": "1", "level": 4})
    headers = partners.token("uni", "institution") | STRUCTURED
    answer = await partners.client.post("/events", json=sent | {"member": "m-0123456789abcdef"}, headers=headers)
    assert answer.status_code == 202, answer.text
    (said,) = [
        json.loads(r.value or b"") for r in await partners.read("programme") if b'"by-system"' in (r.value or b"")
    ]
    assert "member" not in said


async def test_page_rights_a_mentor_sees_placements_and_no_learners(partners: Running):
    mentor = await signed_in(partners, "uni", "mentor", "institution")
    for name, status in (("placements", 200), ("programmes", 200), ("learners", 404), ("agreements", 404)):
        assert (await mentor.get(f"/work/{name}")).status_code == status


async def test_the_operator_says_why_a_learner_is_erased(partners: Running):
    if not await partners.service.db["agreements"].find_one({"_id": "practice"}):
        await practise(partners)
    operator = await signed_in(partners, "operator", "operator", "operator")
    answer = await operator.post("/work/do/erase", subject="l-3", reason="asked for it")
    assert (answer.status_code, 'id="sure-wrong"' in answer.text) == (422, True)
    answer = await operator.post("/work/do/erase", subject="l-3", sure="yes")
    assert (answer.status_code, 'id="reason-wrong"' in answer.text) == (422, True)
    answer = await operator.post("/work/do/erase", subject="l-3", sure="yes", reason="asked for it")
    assert answer.status_code == 303, answer.text
    assert (await operator.get("/work/learners/l-3")).status_code == 404


async def test_stored_script_is_text_wherever_it_is_shown(partners: Running):
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{7*7}}"
    uni = await signed_in(partners, "uni", "admin", "institution", 'O"Neil & Sons')
    answer = await uni.post(
        "/work/do/propose", subject="hostile", parties="plant", scope=hostile, valid_from="2026-01-01"
    )
    assert answer.status_code == 303, answer.text
    answer = await uni.post("/work/do/publish", subject="hostile", title=hostile, version="1", level="4")
    assert answer.status_code == 303, answer.text
    plant = await signed_in(partners, "plant", "admin", "enterprise")
    shown = 0
    for who in (uni, plant, visitor(partners)):
        for path in ("/work", "/work/agreements", "/work/agreements/hostile", "/work/programmes/hostile"):
            page = await who.get(path)
            shown += "&lt;script&gt;alert(1)" in page.text
            assert "<script>alert" not in page.text
            assert "<img" not in page.text
        for path in ("/network/programmes?search=%3Cscript%3E", "/network/programmes/hostile"):
            page = await who.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
        assert "{{7*7}}" in page.text, "nor is it a template"
    assert shown >= 6


async def test_page_rights_a_session_token_is_none_for_the_api(
    partners: Running, visitors: dict[tuple[str, str], Visitor]
):
    """A mentor's cookie must not open to programs what the organisation's credential opens."""
    for who in visitors.values():
        token = who.client.cookies["praktika_session"]
        for path in ("/learners", "/feed", "/rejections"):
            answer = await partners.client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        answer = await partners.client.get("/learners", headers={"Cookie": f"praktika_session={token}"})
        assert answer.status_code == 401


async def test_page_rights_end_with_membership_role_and_suspension(partners: Running):
    home = partners.service.store.home
    who = await person(partners, "works", "admin")
    browser = await in_session(partners, who, "enterprise")
    assert (await browser.get("/members")).status_code == 200
    await home[MEMBERS].update_one({"_id": who["_id"]}, {"$set": {"role": "mentor"}})
    assert (await browser.get("/members")).status_code == 403
    await home[MEMBERS].delete_one({"_id": who["_id"]})
    assert (await browser.get("/account")).status_code == 303
    who = await person(partners, "works", "admin")
    browser = await in_session(partners, who, "enterprise")
    operator = {**partners.token("operator", "operator"), "Prefer": "wait=20"}
    answer = await partners.client.post("/organisations/works/suspension", json={"reason": "x"}, headers=operator)
    assert answer.status_code == 200
    try:
        answer = await browser.get("/account")
        assert answer.status_code == 303
        assert await home[SESSIONS].find_one({"member": who["_id"]}) is None
    finally:
        await partners.client.post("/organisations/works/reinstatement", headers=operator)
