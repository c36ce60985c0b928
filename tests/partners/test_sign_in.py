"""Signing in: invitations, passwords, sessions, the sign-in provider, mail; and those who try it with bad intent."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.controller import Controller
from httpx import Response
from pydantic import SecretStr

from deploy.local.processes import free_port
from services.certification.app import core as certification_core
from services.certification.app import router as certification_router
from services.partners.app import core, router
from services.partners.gateway.login_limits import SHARED_BY
from services.partners.people import alert_mail, members, passwords
from services.partners.people.alert_mail import mail_alerts
from services.partners.people.members import INVITATIONS, JOURNAL, MEMBERS, SESSIONS, Wrong
from services.partners.people.sign_in import safe
from shared.contract.events import IndicatorAlerted, IndicatorRuleRemoved
from shared.http.sessions import COOKIE
from shared.settings import Settings
from tests.making import event
from tests.partners.conftest import register
from tests.people import PASSWORD, Visitor, in_session, invited, person, signed_in, visitor
from tests.stack import Running, running, until


@pytest.fixture
def home(partners: Running) -> Any:
    return partners.service.store.home


async def sign_in(who: Visitor, email: str, password: str = PASSWORD, **form: str) -> Response:
    return await who.post("/sign-in", email=email, password=password, **form)


# invitations


async def test_an_invitation_makes_a_member_once(partners: Running, home: Any):
    link, anna = await invited(partners, "uni", "admin", "Anna@Uni.example"), visitor(partners)
    page = await anna.get(link)
    assert (page.status_code, "Uni" in page.text, "Anna@Uni.example" in page.text) == (200, True, True)
    answer = await anna.post(link, name="Anna", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/work")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]
    assert anna.member is not None
    assert (anna.member.organisation, anna.member.role, anna.member.name) == ("uni", "admin", "Anna")
    for again in (await visitor(partners).get(link), await visitor(partners).post(link, name="Eve", password=PASSWORD)):
        assert again.status_code == 410
    assert await home[MEMBERS].count_documents({"address": "anna@uni.example"}) == 1
    other = visitor(partners)
    assert (await sign_in(other, "anna@UNI.example")).status_code == 303
    assert other.member is not None
    assert other.member.id == anna.member.id


async def test_of_many_who_use_one_link_at_once_one_is_let_in(partners: Running, home: Any):
    link = await invited(partners, "uni", "staff")
    answers = await asyncio.gather(*(visitor(partners).post(link, name="N", password=PASSWORD) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410, 410]


async def test_a_forged_an_expired_and_a_replaced_link_are_told_apart_from_nothing(partners: Running, home: Any):
    first = await invited(partners, "uni", "staff", "late@uni.example")
    second = await invited(partners, "uni", "staff", "late@uni.example")
    assert (await visitor(partners).get(first)).status_code == 410
    past = datetime.now(UTC) - timedelta(seconds=1)
    await home[INVITATIONS].update_one({"address": "late@uni.example"}, {"$set": {"ends_at": past}})
    forged = re.sub(r"=.*", "=" + "A" * 43, second)
    answers = [await visitor(partners).get(link) for link in (first, second, forged)]
    assert {answer.status_code for answer in answers} == {410}
    assert len({re.sub(r"token=[\w-]+", "", answer.text) for answer in answers}) == 1
    for link in (second, forged):
        assert (await visitor(partners).post(link, name="N", password=PASSWORD)).status_code == 410


async def test_nobody_is_invited_twice_and_a_link_of_an_admin_sets_a_new_password(partners: Running, home: Any):
    ivan = await person(partners, "uni", "staff", password=PASSWORD)
    admin = await signed_in(partners, "uni", "admin", "institution")
    answer = await admin.post("/members", name="Ivan", email=ivan["email"].upper(), role="staff")
    assert answer.status_code == 422
    assert "is a member of the network already" in answer.text
    old = visitor(partners)
    assert (await sign_in(old, ivan["email"])).status_code == 303
    made = await admin.post(f"/members/{ivan['_id']}", do="link")
    link = re.search(r"/invitation\?token=[\w-]+", made.text)
    assert link
    answer = await visitor(partners).post(link[0], name="Ivan", password="quite another orchard of lanterns")
    assert answer.status_code == 303
    assert (await old.get("/account")).status_code == 303, "what was open ends"
    assert (await sign_in(visitor(partners), ivan["email"])).status_code == 422
    assert (await sign_in(visitor(partners), ivan["email"], "quite another orchard of lanterns")).status_code == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Eve\r\nBcc: all@uni.example"),
        ("name", "Eve<script>alert(1)</script>"),
        ("name", ""),
        ("name", "x" * 101),
        ("name", "Eve\u202eeve"),
        ("email", "eve@uni.example\nBcc: all@uni.example"),
        ("email", "eve@uni.example, all@uni.example"),
        ("email", "Eve <eve@uni.example>"),
        ("email", "eve"),
        ("email", f"{'x' * 250}@uni.example"),
        ("role", "operator"),
        ("role", "coordinator"),
        ("role", ""),
    ],
)
async def test_what_does_not_do_is_said_beside_its_field_and_kept(partners: Running, field: str, value: str):
    admin = await signed_in(partners, "uni", "admin", "institution")
    typed = {"name": "Eve", "email": "eve@uni.example", "role": "staff"} | {field: value}
    if "\n" in value and field == "name":
        assert members.checked("uni", "eve@uni.example", value, "staff").name == "Eve Bcc: all@uni.example"
        return
    answer = await admin.post("/members", **typed)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert f'aria-describedby="{field}-wrong"' in answer.text
    assert "<script>alert" not in answer.text
    kept = {name: typed[name] for name in ("name", "email") if name != field}
    assert all(f'value="{text}"' in answer.text for text in kept.values())


# passwords


@pytest.mark.parametrize("password", ["short", "passwordpassword", "aaaaaaaaaaaaaaaa", "qwertyuiop12", "x" * 201])
async def test_a_password_that_is_short_or_easy_to_guess_is_refused(partners: Running, password: str):
    link = await invited(partners, "uni", "staff")
    answer = await visitor(partners).post(link, name="Olga", password=password)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
    assert password not in answer.text.replace(link, "")
    assert (await visitor(partners).get(link)).status_code == 200, "the link still counts"


def test_what_others_know_of_somebody_makes_no_password():
    with pytest.raises(Wrong):
        passwords.demand_hard("anna@uni.example", "anna@uni.example")
    passwords.demand_hard(PASSWORD, "anna@uni.example")
    passwords.demand_hard("сорок яблонь у старой мельницы")


async def test_a_password_is_kept_as_argon2id_and_however_it_is_typed(partners: Running, home: Any):
    composed, decomposed = "caf\u00e9 orchard seven lanterns", "cafe\u0301 orchard seven lanterns"
    who = await person(partners, "uni", "staff", password=composed)
    assert who["password"].startswith("$argon2id$")
    assert (await sign_in(visitor(partners), who["email"], decomposed)).status_code == 303


async def test_wrong_attempts_are_limited_and_lock_nobody_else_out(partners: Running):
    olga, ivan = [await person(partners, "uni", "staff", password=PASSWORD) for _ in range(2)]
    settings = partners.settings
    said = set()
    for _ in range(settings.sign_in_failures):
        answer = await sign_in(visitor(partners), olga["email"], "wrong wrong wrong")
        assert answer.status_code == 422
        said.add(re.sub(r'name="challenge"[^>]*|"challenge": "[^"]*"|value="[^"]*@[^"]*"', "", answer.text))
    answer = await sign_in(visitor(partners), "nobody@uni.example", "wrong wrong wrong")
    said.add(re.sub(r'name="challenge"[^>]*|"challenge": "[^"]*"|value="[^"]*@[^"]*"', "", answer.text))
    assert len(said) == 1, "whether there is such a member is not said"
    answer = await sign_in(visitor(partners), olga["email"])
    assert "too many attempts; try again in 1 min" in answer.text
    assert (await sign_in(visitor(partners), ivan["email"])).status_code == 303


async def test_wrong_attempts_from_many_networks_are_limited_for_the_member_but_not_where_the_password_was_right(
    partners: Running,
):
    olga, home = await person(partners, "uni", "staff", password=PASSWORD), visitor(partners)
    assert (await sign_in(home, olga["email"])).status_code == 303
    at_once = SHARED_BY * partners.settings.sign_in_failures
    for n in range(2 * at_once):  # while it is tried, further attempts come due
        answer = await sign_in(visitor(partners, f"10.0.{n}.1"), olga["email"], "wrong wrong wrong")
        if "too many attempts" in answer.text:
            break
    assert at_once <= n < 1.5 * at_once
    assert (await sign_in(visitor(partners, "10.1.0.2"), olga["email"])).status_code == 303


async def test_who_belongs_to_a_suspended_organisation_is_told_so_and_no_link_is_used_up(partners: Running):
    await register(partners, "paused", "enterprise")
    who, link = await person(partners, "paused", "admin", password=PASSWORD), await invited(partners, "paused", "staff")
    operator = {**partners.token("operator", "operator"), "Prefer": "wait=20"}
    await partners.client.post("/organisations/paused/suspension", json={"reason": "test data"}, headers=operator)
    answer = await sign_in(visitor(partners), who["email"])
    assert (answer.status_code, "Paused is suspended: test data" in answer.text) == (422, True)
    answer = await visitor(partners).post(link, name="N", password=PASSWORD)
    assert (answer.status_code, "Paused is suspended: test data" in answer.text) == (422, True)
    await partners.client.post("/organisations/paused/reinstatement", headers=operator)
    assert (await visitor(partners).post(link, name="N", password=PASSWORD)).status_code == 303


# sessions


async def test_behind_tls_the_cookie_never_travels_without(partners: Running, monkeypatch: pytest.MonkeyPatch):
    who = await person(partners, "uni", "staff", password=PASSWORD)
    assert "Secure" not in (await sign_in(visitor(partners), who["email"])).headers["set-cookie"]
    monkeypatch.setattr(partners.settings, "public_url", "https://praktika.example")
    assert "Secure" in (await sign_in(visitor(partners), who["email"])).headers["set-cookie"]


async def test_a_language_once_chosen_stays(partners: Running):
    who = visitor(partners, **{"Accept-Language": "en"})
    for path, language in (("/sign-in", "en"), ("/sign-in?lang=ru", "ru"), ("/join", "ru"), ("/join?lang=en", "en")):
        assert f'<html lang="{language}">' in (await who.get(path)).text


async def test_a_sign_in_begins_a_session_of_its_own(partners: Running, home: Any):
    """Fixation: who was given another's cookie, and signs in, is in neither that session nor that account."""
    eve = await signed_in(partners, "uni", "staff", "institution")
    olga = await person(partners, "plant", "admin", password=PASSWORD)
    planted = eve.client.cookies[COOKIE]
    browser = visitor(partners)
    browser.take(planted)
    before = browser.member
    assert (await sign_in(browser, olga["email"])).status_code == 303
    after = browser.member
    assert before is not None
    assert after is not None
    assert (after.id, after.session == before.session) == (olga["_id"], False)
    assert (await eve.get("/account")).status_code == 303, "the planted session is over"


async def test_a_session_is_renewed_while_it_is_used_and_ends_after_twelve_hours(partners: Running, monkeypatch: Any):
    who = await signed_in(partners, "uni", "staff", "institution")
    cookie = who.client.cookies[COOKIE]
    assert (await who.get("/account")).headers.get("set-cookie") is None
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 400)
    assert (await who.get("/account")).status_code == 200
    assert who.client.cookies[COOKIE] != cookie
    monkeypatch.setattr(time, "time", lambda: now() + 400 + 1_000)
    answer = await who.get("/account", lang="en")
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("/session?next=http%3A%2F%2Flocalhost%3A8101%2Faccount%3Flang%3Den")
    answer = await who.get("/session", next="/account?lang=en")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?lang=en")
    assert (await who.get("/account")).status_code == 200
    monkeypatch.setattr(time, "time", now)
    old = await in_session(partners, await person(partners, "uni", "staff"), "institution", age_s=12 * 3600 + 1)
    assert (await old.get("/account")).status_code == 303


async def test_another_service_knows_who_is_signed_in_and_sends_who_must_renew_to_partners(
    partners: Running, kafka: str, mongodb: str, monkeypatch: Any
):
    who = await signed_in(partners, "uni", "staff", "institution", "Olga of Uni")
    async with running(
        certification_core, certification_router, kafka=kafka, mongodb=mongodb, keys_dir=partners.settings.keys_dir
    ) as certification:
        there = visitor(certification)
        there.take(who.client.cookies[COOKIE])
        page = await there.get("/")
        assert (page.status_code, "Olga of Uni" in page.text) == (200, True)
        assert page.headers["cache-control"] == "private, no-cache"
        assert (await there.get("/static/praktika.css")).headers["cache-control"] == "public, no-cache"
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 1_000)
        answer = await there.get("/docs")
        assert answer.headers["location"].startswith("http://localhost:8101/session?next=http%3A%2F%2Flocalhost%3A8103")
        program = await there.client.get("/docs", headers={"Accept": "application/json"})
        assert program.status_code == 200, "only people are sent away"
        monkeypatch.setattr(time, "time", now)


async def test_signing_out_ends_the_session_at_once(partners: Running, home: Any):
    who = await signed_in(partners, "uni", "staff", "institution")
    cookie = who.client.cookies[COOKIE]
    answer = await who.post("/sign-out")
    assert (answer.status_code, answer.headers["clear-site-data"]) == (303, '"cache"')
    thief = visitor(partners)
    thief.take(cookie)
    assert (await thief.get("/account")).status_code == 303


async def test_one_ends_ones_own_sessions_and_nobody_elses(partners: Running, home: Any):
    olga = await person(partners, "uni", "staff")
    here, there = [await in_session(partners, olga, "institution") for _ in range(2)]
    other = await signed_in(partners, "uni", "staff", "institution")
    assert here.member
    assert there.member
    page = await here.get("/account")
    assert there.member.session in page.text
    await other.post("/account/sessions", session=there.member.session)
    assert (await there.get("/account")).status_code == 200
    await here.post("/account/sessions", session=there.member.session)
    assert (await there.get("/account")).status_code == 303
    assert (await here.get("/account")).status_code == 200


async def test_a_changed_password_ends_the_other_sessions_and_needs_the_old_one(partners: Running):
    olga = await person(partners, "uni", "staff", password=PASSWORD)
    here, there = [await in_session(partners, olga, "institution") for _ in range(2)]
    new = "a boat with nine green windows"
    answer = await here.post("/account/password", old_password="wrong wrong wrong", password=new)
    assert (answer.status_code, 'id="old_password-wrong"' in answer.text) == (422, True)
    assert (await here.post("/account/password", old_password=PASSWORD, password=new)).status_code == 303
    assert (await here.get("/account")).status_code == 200
    assert (await there.get("/account")).status_code == 303
    assert (await sign_in(visitor(partners), olga["email"], new)).status_code == 303


async def test_what_was_typed_before_the_session_ended_is_there_after_the_sign_in(partners: Running, home: Any):
    admin = await person(partners, "uni", "admin", password=PASSWORD)
    browser = await in_session(partners, admin, "institution")
    await home[SESSIONS].delete_many({"member": admin["_id"]})
    answer = await browser.post("/members", name="Борис", email="boris@uni.example", role="mentor")
    assert answer.status_code == 401
    hidden = dict(re.findall(r'name="(next|typed)" value="([^"]*)"', answer.text))
    form = {name: value.replace("&amp;", "&") for name, value in hidden.items()}
    page = await browser.post("/sign-in", **form)
    assert (page.status_code, form["typed"].split("&")[1] in page.text) == (200, True)
    answer = await sign_in(browser, admin["email"], **form)
    assert (answer.status_code, 'action="/members"' in answer.text) == (200, True)
    back = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text.partition("<main")[2]))
    assert back["draft"] == "1"
    page = await browser.client.post("/members", data=back)
    assert (page.status_code, 'value="Борис"' in page.text) == (403, True)
    assert await home[INVITATIONS].find_one({"address": "boris@uni.example"}) is None, "nothing is done by itself"


async def test_no_password_that_was_typed_is_kept_on_a_page(partners: Running, home: Any):
    who = await person(partners, "uni", "staff", password=PASSWORD)
    browser = await in_session(partners, who, "institution")
    await home[SESSIONS].delete_many({"member": who["_id"]})
    answer = await browser.post("/account/password", old_password=PASSWORD, password="another orchard of lanterns")
    assert answer.status_code == 401
    assert "lanterns" not in answer.text


OPEN_REDIRECTS = (
    *("https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"),
    *("/\t/evil.example", "http://localhost:8101.evil.example/", "http://localhost:8101@evil.example/", "/a\r\nX: y"),
)


@pytest.mark.parametrize("address", OPEN_REDIRECTS)
async def test_next_leads_nowhere_else(partners: Running, address: str):
    assert safe(partners.settings, address) == "/work"
    who = await signed_in(partners, "uni", "staff", "institution")
    for path in ("/session", "/sign-in"):
        answer = await who.get(path, next=address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/work")


def test_next_leads_to_our_pages():
    settings = Settings()
    for address in ("/members?search=%D0%B0&after=x", "http://localhost:8104/?scope=network", "/"):
        assert safe(settings, address) == address
    behind = Settings(public_url="https://praktika.example")
    assert safe(behind, "https://praktika.example/values") == "https://praktika.example/values"
    assert safe(behind, "http://localhost:8104/") == "/work"


async def test_a_form_of_ten_megabytes_is_refused_unread(partners: Running):
    who = await signed_in(partners, "uni", "admin", "institution")
    answer = await who.post("/members", name="x" * 10_000_000)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    answer = await who.client.post("/members", data={f"f{n}": "" for n in range(3_000)})
    assert answer.status_code == 422
    answer = await who.client.post("/members", content=b"name=%ff%fe", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


# an organisation's members


async def test_five_thousand_members_are_listed_page_by_page_and_found(partners: Running, home: Any):
    await register(partners, "crowd", "enterprise")
    rows = [
        {
            "_id": f"m-{n:016x}",
            "organisation": "crowd",
            "email": f"p{n}@crowd.example",
            "address": f"p{n}@crowd.example",
        }
        | {"name": f"Person {n:04}", "role": "staff", "seen_at": None, "user": str(n), "password": None, "passkeys": []}
        for n in range(5_000)
    ]
    await home[MEMBERS].insert_many(rows)
    operator = await signed_in(partners, "operator", "operator", "operator")
    page = await operator.get("/members", organisation="crowd")
    assert ("In all: 5,000" in page.text, page.text.count("<tr>")) == (True, 51)
    assert len(page.content) < 60_000
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following
    page = await operator.get("/" + following[1].replace("&amp;", "&").lstrip("./"))
    assert "Person 0050" in page.text
    page = await operator.get("/members", organisation="crowd", search="P4999@CROWD")
    assert ("Person 4999" in page.text, page.text.count("<tr>")) == (True, 2)
    page = await operator.get("/members", organisation="crowd", search=".*")
    assert "Nobody here fits" in page.text


async def test_an_invitation_is_withdrawn_and_its_address_forgotten(partners: Running, home: Any):
    admin, plant = [
        await signed_in(partners, of, "admin", kind) for of, kind in (("uni", "institution"), ("plant", "enterprise"))
    ]
    link = await invited(partners, "uni", "staff", "mistake@uni.example")
    kept = await home[INVITATIONS].find_one({"address": "mistake@uni.example"})
    await plant.post("/members", withdraw=kept["_id"])
    assert (await visitor(partners).get(link)).status_code == 200, "it is not plant's to withdraw"
    assert (await admin.post("/members", withdraw=kept["_id"])).status_code == 303
    assert (await visitor(partners).get(link)).status_code == 410
    for collection in (JOURNAL, INVITATIONS):
        assert (
            await home[collection].find_one(
                {"$or": [{"about": "mistake@uni.example"}, {"address": "mistake@uni.example"}]}
            )
            is None
        )


async def test_of_two_admins_who_remove_each_other_one_stays(partners: Running, home: Any):
    await register(partners, "duo", "enterprise")
    one, two = [await person(partners, "duo", "admin") for _ in range(2)]
    first, second = [await in_session(partners, each, "enterprise") for each in (one, two)]
    answers = await asyncio.gather(
        first.post(f"/members/{two['_id']}", do="remove", sure="yes"),
        second.post(f"/members/{one['_id']}", do="remove", sure="yes"),
    )
    assert sorted(answer.status_code for answer in answers)[0] == 303
    assert max(answer.status_code for answer in answers) in (401, 422)
    left = await home[MEMBERS].find({"organisation": "duo"}).to_list(None)
    assert len(left) == 1
    last = first if left[0]["_id"] == one["_id"] else second
    for form in ({"do": "remove", "sure": "yes"}, {"do": "role", "role": "staff"}):
        answer = await last.post(f"/members/{left[0]['_id']}", **form)
        assert answer.status_code == 422
        assert "this is the last one who may invite others" in answer.text


async def test_a_removed_member_is_erased_and_the_journal_names_nobody(partners: Running, home: Any):
    admin = await signed_in(partners, "uni", "admin", "institution")
    link = await invited(partners, "uni", "staff", "gone@uni.example")
    browser = visitor(partners)
    await browser.post(link, name="Soon Gone", password=PASSWORD)
    assert browser.member
    id = browser.member.id
    page = await admin.get("/people-log")
    assert "Soon Gone" in page.text
    answer = await admin.post(f"/members/{id}", do="remove")
    assert (answer.status_code, "tick this" in answer.text) == (422, True)
    assert (await admin.post(f"/members/{id}", do="remove", sure="yes")).status_code == 303
    assert (await browser.get("/account")).status_code == 303
    for collection in (MEMBERS, JOURNAL, INVITATIONS, SESSIONS):
        async for doc in home[collection].find():
            assert "Soon Gone" not in str(doc)
            assert "gone@uni.example" not in str(doc)
    page = await admin.get("/people-log")
    assert id in page.text


async def test_the_journal_has_each_step_and_only_ones_own(partners: Running):
    admin = await signed_in(partners, "plant", "admin", "enterprise", "Chief of Plant")
    await admin.post("/members", name="Newcomer", email="newcomer@plant.example", role="mentor")
    mine = (await admin.get("/people-log")).text
    assert "newcomer@plant.example" in mine
    assert "uni" not in re.sub(r"<header.*?</header>", "", mine, flags=re.DOTALL).lower()
    operator = await signed_in(partners, "operator", "operator", "operator")
    everything = (await operator.get("/people-log")).text
    assert "newcomer@plant.example" in everything
    assert (await operator.get("/people-log", before="2020-01-01T00:00:00Z")).status_code == 200


# mail


class Inbox:
    """Takes mail, as aiosmtpd asks for it."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 OK"


@pytest_asyncio.fixture
async def inbox(partners: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inbox]:
    taken = Inbox()
    controller = Controller(taken, hostname="127.0.0.1", port=free_port())
    controller.start()
    monkeypatch.setattr(partners.settings, "smtp_url", SecretStr(f"smtp://127.0.0.1:{controller.port}"))
    monkeypatch.setattr(partners.settings, "smtp_from", "praktika@uni.example")
    yield taken
    controller.stop()


async def test_an_invitation_goes_by_mail_where_there_is_a_server(partners: Running, inbox: Inbox):
    admin = await signed_in(partners, "uni", "admin", "institution")
    page = await admin.post("/members", name="Вера Bcc: x", email="vera@uni.example", role="staff")
    assert "It was sent to vera@uni.example" in page.text
    (envelope,) = inbox.mails
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert (mail["To"], mail["From"], envelope.rcpt_tos) == (
        "vera@uni.example",
        "praktika@uni.example",
        ["vera@uni.example"],
    )
    text = mail.get_content()
    link = re.search(r"/invitation\?token=[\w-]+", text)
    assert link
    assert (await visitor(partners).get(link[0])).status_code == 200
    assert "Вера Bcc: x" in text


async def test_alerts_go_by_mail_to_admins_of_whom_they_are_for_and_to_the_operator(
    kafka: str, mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(alert_mail, "AGAIN_S", 0.2)
    taken, port = Inbox(), free_port()
    away = iter((False, True))  # after one letter the server is away for a while
    send = alert_mail.send

    async def send_or_not(settings: Settings, mail: EmailMessage) -> None:
        if taken.mails and next(away, False):
            raise ConnectionError
        await send(settings, mail)

    monkeypatch.setattr(alert_mail, "send", send_or_not)
    mails = {"alert_mails": True, "smtp_url": f"smtp://127.0.0.1:{port}", "smtp_from": "praktika@region.example"}

    def alert(scope_id: str, **more: Any) -> Any:
        about = {"indicator": "employment_rate", "scope": "institution", "scope_id": scope_id, "window": "2024"}
        data = IndicatorAlerted.model_validate({**about, "value": 0.4, "threshold": 0.5, "n": 9, **more})
        return event(data, f"rule-{scope_id}", by="service:monitoring")

    async with running(
        core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, work=(mail_alerts,), **mails
    ) as stack:
        for organisation, role in (("uni", "admin"), ("uni", "staff"), ("college", "admin"), ("operator", "operator")):
            await person(stack, organisation, role)
        await stack.publish(
            alert("uni"),
            alert("college", organisation="college"),
            event(IndicatorRuleRemoved(), "rule", by="operator:operator"),
        )
        controller = Controller(taken, hostname="127.0.0.1", port=port)
        controller.start()
        try:

            async def come() -> bool:
                return len(taken.mails) >= 3

            await until(come, 90)  # the server was away at first
        finally:
            controller.stop()
    assert next(away, None) is None
    to = sorted(envelope.rcpt_tos[0].partition("@")[2] for envelope in taken.mails)
    assert to == ["college.example", "operator.example", "uni.example"]
    mail = next(
        message_from_bytes(each.content, policy=policy.default) for each in taken.mails if "uni" in each.rcpt_tos[0]
    )
    assert isinstance(mail, EmailMessage)
    assert "employment_rate, institution uni, 2024: 0.4, n = 9" in mail.get_content()
    assert mail["Message-ID"].endswith("@praktika>")


async def test_without_a_server_or_if_it_is_away_the_link_is_handed_over(partners: Running, monkeypatch: Any):
    admin = await signed_in(partners, "uni", "admin", "institution")
    monkeypatch.setattr(partners.settings, "smtp_url", SecretStr("smtp://127.0.0.1:9"))
    for email in ("away@uni.example", "none@uni.example"):
        page = await admin.post("/members", name="N", email=email, role="staff")
        assert f"Send it to {email}" in page.text
        assert "/invitation?token=" in page.text
        monkeypatch.setattr(partners.settings, "smtp_url", SecretStr(""))
