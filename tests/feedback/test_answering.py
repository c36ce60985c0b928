"""Answering: one-time links, several at once, questionnaires, comments and rates, on real Kafka and MongoDB."""

import io
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from httpx import Response
from openpyxl import load_workbook
from playwright.async_api import Browser, BrowserContext, expect

from services.feedback.answering import ANSWERS
from services.feedback.app import core, router, work
from shared.contract.events import (
    FeedbackExpired,
    FeedbackRequested,
    FeedbackRole,
    FeedbackSubmitted,
    FollowupOpened,
    InternshipCompleted,
    InternshipOutcome,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammeCompetency,
    ProgrammePublished,
    ProgrammeRevised,
    Publisher,
)
from shared.http.auth import Member, Role, Signer
from shared.http.sessions import COOKIE
from shared.pages.chosen import COOKIE as LANGUAGE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.making import event
from tests.people import Visitor, close, visitor
from tests.stack import Running, on_a_socket, running, until

NOW = datetime.now(UTC)
UNI = {"organisation": "uni", "kind": "institution"}
GIVEN = {
    "employment.status": "employed",
    "employment.since": "2026-01-15",
    "employment.contract": "permanent",
    "employment.full_time": "true",
    "employment.related_to_field": "true",
    "overall": "4",
    "relevance": "5",
    "found-by": "practice",
    "text": "More practice, please.",
}


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys, work=work) as one:
        for id, kind in (("uni", "institution"), ("plant", "enterprise")):
            data = OrganisationRegistered.model_validate({"kind": kind, "name": f"The {id}", "region": "north"})
            await one.publish(event(data, id, by="operator:operator"))
        yield one


async def graduates(stack: Running, programme: str, number: int = 1, days: int = 20) -> list[str]:
    """Learners whose six months are over; the requests that ask them, in order of the learners."""
    part = [ProgrammeCompetency(competency="greencomp:3.1", level=4)]
    published = ProgrammePublished(title=f"About {programme}", version="1", level=4, competencies=part)
    await stack.publish(event(published, programme))
    learners = [f"{programme}-{n}" for n in range(number)]
    due = NOW.date() + timedelta(days=days)
    for learner in learners:
        opened = FollowupOpened(programme=programme, months=6, institution="uni", due=due)
        graduated = LearnerGraduated(programme=programme, graduated_on=date(2026, 1, 10))
        await stack.publish(
            event(LearnerEnrolled(programme=programme), learner, id=f"e-{learner}"),
            event(graduated, learner, id=f"g-{learner}"),
            event(opened, str(uuid4()), learner, by="service:feedback"),
        )

    async def asked() -> list[str]:
        found = stack.service.db["requests"].find({"programme": programme, "role": "graduate"})
        by_learner = {doc["learner"]: doc["_id"] async for doc in found}
        return [by_learner[learner] for learner in learners] if len(by_learner) == number else []

    found: list[str] = await until(asked)
    return found


async def link(stack: Running, request: str) -> str:
    """The path of the link that the institution's system is given."""
    programme = (await stack.service.db["requests"].find_one({"_id": request}) or {})["programme"]
    answer = await stack.client.get("/invitations", params={"programme": programme}, headers=stack.token(**UNI))
    (found,) = [item["link"] for item in answer.json()["items"] if item["request"] == request]
    address: str = found
    assert address.startswith(f"{stack.settings.public('feedback')}/a/")
    return address.removeprefix(stack.settings.public("feedback"))


async def said(stack: Running, topic: str, about: str) -> list[dict[str, Any]]:
    """What stands on a topic under a key, of the two types that answers become."""
    found = [json.loads(record.value) for record in await stack.read(topic) if record.key == about.encode()]
    types = ("praktika.feedback.submitted.v1", "praktika.employment.recorded.v1")
    return [item for item in found if item["type"] in types]


async def test_a_graduate_answers_in_a_minute_and_corrects_it(stack: Running):
    (request,) = await graduates(stack, "welding")
    path, phone = await link(stack, request), visitor(stack)
    page = await phone.get(path)
    assert page.status_code == 200
    for words in ("About welding", "6 months after graduation", "What are you doing now?", "How was the programme?"):
        assert words in page.text
    wrong = await phone.post(path, **{**GIVEN, "overall": "", "employment.since": "2999-01-01"})
    assert wrong.status_code == 422
    assert ("choose 1 to 5" in wrong.text, "this day is not past" in wrong.text) == (True, True)
    assert "More practice, please." in wrong.text, "nothing typed is lost"
    sent = await phone.post(path, **GIVEN)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{path}?done=1")
    (submitted,) = await said(stack, "feedback", request)
    assert (submitted["source"], submitted["sourcekind"]) == ("/organisations/uni", "service")
    assert submitted["data"] | {"programme": ""} == {
        **{"request": request, "role": "graduate", "programme": "", "overall": 4, "relevance": 5, "competencies": {}},
        **{"questionnaire": 1, "choices": {"found-by": ["practice"]}},
    }
    (employment,) = await said(stack, "learner", "welding-0")
    assert employment["data"] == {
        **{"status": "employed", "since": "2026-01-15", "basis": "survey", "contract": "permanent"},
        **{"full_time": True, "related_to_field": True},
    }
    again = await phone.get(path, done="1")
    assert "Thank you, your answer has arrived." in again.text
    assert "More practice, please." in again.text
    assert re.search(r'name="overall" value="4" checked', again.text)
    assert (await phone.post(path, **{**GIVEN, "overall": "2", "employment.status": "seeking"})).status_code == 303
    doc = await stack.service.db["requests"].find_one({"_id": request}) or {}
    assert [answer["ratings"]["overall"] for answer in doc["answers"]] == [2]
    (first, second) = await said(stack, "learner", "welding-0")
    assert (first["subject"], second["data"]) == (second["subject"], {"status": "seeking", "basis": "survey"})
    await close(phone)


async def test_a_link_that_was_passed_on_shows_nobody_what_was_said(stack: Running):
    (request,) = await graduates(stack, "passed-on")
    path, phone, other = await link(stack, request), visitor(stack), visitor(stack)
    assert (await phone.post(path, **GIVEN, draft="1")).status_code == 200
    assert "More practice" in (await phone.get(path)).text, "a draft is there again"
    for typed in (GIVEN, {}):
        if typed:
            assert (await phone.post(path, **typed)).status_code == 303
        seen = (await other.get(path)).text
        assert ("More practice" in seen, "checked" in re.sub(r'value="" checked', "", seen)) == (False, False)
    assert "This has been answered." in (await other.get(path)).text
    for typed in ({}, {"overall": "1"}):  # what another browser types is its own
        assert (await other.post(path, draft="1", **typed)).status_code == 200
        assert "More practice" not in (await other.get(path)).text
    assert "More practice" in (await phone.get(path)).text
    assert (await stack.client.post(f"/requests/{request}/link", headers=stack.token(**UNI))).status_code == 409
    await close(phone, other)


async def test_an_enterprise_answers_by_a_link_in_its_own_name(stack: Running):
    data = InternshipCompleted(
        **{"enterprise": "plant", "programme": "welding", "hours": 80, "outcome": InternshipOutcome.passed},
        competencies=[],
    )
    await stack.publish(event(data, "by-link", "by-link", time=datetime.now(UTC)))
    plant = stack.token("plant", "enterprise")

    async def given() -> str | None:
        items = (await stack.client.get("/invitations", headers=plant)).json()["items"]
        return next((item["link"] for item in items if item["learner"] == "by-link"), None)

    path = (await until(given)).removeprefix(stack.settings.public("feedback"))
    mentor = visitor(stack)
    assert (await mentor.post(path, overall="4", **{"a\x00b": "1"})).status_code == 303
    doc = await stack.service.db["requests"].find_one({"learner": "by-link", "role": "enterprise"}) or {}
    assert (doc["status"], [answer["ratings"]["overall"] for answer in doc["answers"]]) == ("answered", [4])
    await close(mentor)


async def test_a_suspended_institution_passes_nothing_on(stack: Running):
    (request,) = await graduates(stack, "suspended")
    path, phone, staff = await link(stack, request), visitor(stack), member(stack, "uni", "institution", "staff")
    why = OrganisationSuspended(reason="x")
    await stack.publish(event(why, "uni", by="operator:operator", time=datetime.now(UTC)))
    await stack.applied()
    try:
        assert (await phone.get(path)).status_code == 410
        assert (await phone.post(path, **GIVEN)).status_code == 410
        assert [(await staff.get(page)).status_code for page in ("/asked", "/asked/links.csv")] == [403, 403]
    finally:
        again = OrganisationReinstated()
        await stack.publish(event(again, "uni", by="operator:operator", time=datetime.now(UTC)))
        await stack.applied()
    assert (await phone.get(path)).status_code == 200
    await close(phone, staff)


async def test_a_draft_is_forgotten_when_nobody_can_send_it_any_more(stack: Running):
    (request,) = await graduates(stack, "forgotten")
    phone, home = visitor(stack), stack.service.store.home[ANSWERS]
    await phone.post(await link(stack, request), **GIVEN, draft="1")
    assert (await home.find_one({"_id": request}) or {})["draft"]
    over = FeedbackExpired(role=FeedbackRole.graduate, respondent="x", learner="forgotten-0", programme="forgotten")
    await stack.publish(event(over, request, request, by="service:feedback", time=datetime.now(UTC)))

    async def forgotten() -> bool:
        return "draft" not in (await home.find_one({"_id": request}) or {})

    await until(forgotten)
    await close(phone)


async def test_questions_that_changed_meanwhile_are_shown_again(stack: Running):
    (request,) = await graduates(stack, "changed")
    path, phone = await link(stack, request), visitor(stack)
    again = await phone.post(path, **GIVEN, version="77")
    assert (again.status_code, "The questions have changed meanwhile" in again.text) == (409, True)
    assert "More practice" in again.text
    await close(phone)


async def test_what_is_no_link_any_more_gives_nothing_away(stack: Running):
    (request,), (other,), (late,) = [
        await graduates(stack, name, days=days) for name, days in (("revoked", 20), ("other", 20), ("late", -1))
    ]
    good, others, nobody = await link(stack, request), await link(stack, other), visitor(stack)
    over = (await stack.client.get("/invitations", params={"status": "open"}, headers=stack.token(**UNI))).json()
    closed = [item["link"] for item in over["items"] if item["request"] == late]
    forged = {
        "another's signature": f"/a/{request}.{others.rpartition('.')[2]}",
        "cut off": good[:-1],
        "longer": good + "A",
        "no signature": f"/a/{request}",
        "nothing": "/a/x",
        "unicode": "/a/%D1%8F.%D1%8F",
    }
    renewed = await stack.client.post(f"/requests/{request}/link", headers=stack.token(**UNI))
    forged["revoked"] = good
    for about, path in forged.items():
        for answer in (await nobody.get(path), await nobody.post(path, **GIVEN)):
            assert answer.status_code == 404, about
            assert "About revoked" not in answer.text
    fresh = renewed.json()["link"].removeprefix(stack.settings.public("feedback"))
    assert (await nobody.get(fresh)).status_code == 200
    for path in [address.removeprefix(stack.settings.public("feedback")) for address in closed]:
        answer = await nobody.get(path)
        assert (answer.status_code, "About late" in answer.text) == (410, False)
    await stack.publish(event(LearnerAnnulled(event="g-other-0", reason="x"), "other-0", time=datetime.now(UTC)))

    async def withdrawn() -> bool:
        return (await nobody.get(others)).status_code == 410

    await until(withdrawn)
    assert (await nobody.post(others, **GIVEN)).status_code == 410
    assert await said(stack, "feedback", other) == await said(stack, "feedback", request) == []
    await close(nobody)


async def test_a_form_from_elsewhere_answers_nothing(stack: Running):
    (request,) = await graduates(stack, "elsewhere")
    path, nobody = await link(stack, request), visitor(stack)
    for site in ("cross-site", "same-site"):
        answer = await nobody.client.post(path, data=GIVEN, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert await said(stack, "feedback", request) == []
    for name in ("foreign", "plant"):
        kind = "institution" if name == "foreign" else "enterprise"
        answer = await stack.client.post(f"/requests/{request}/link", headers=stack.token(name, kind))
        assert answer.status_code == 404
    await close(nobody)


async def test_links_come_as_tables_and_stand_in_no_log(stack: Running):
    await graduates(stack, "tables", 3)
    asked: dict[str, Any] = {"params": {"programme": "tables", "format": "csv"}, "headers": stack.token(**UNI)}
    lines = (await stack.client.get("/invitations", **asked)).text.removeprefix("\ufeff").splitlines()
    assert lines[0] == "request,role,learner,programme,months,enterprise,due,status,reminders,link"
    assert len(lines) == 4
    asked["params"]["format"] = "xlsx"
    sheet = load_workbook(io.BytesIO((await stack.client.get("/invitations", **asked)).content)).active
    assert sheet is not None
    assert sheet.max_row == 4
    nobody = visitor(stack)
    for line in lines[1:]:
        path = line.rpartition(",")[2].removeprefix(stack.settings.public("feedback"))
        await nobody.post(path, **GIVEN)
    await stack.app.state.trail.flush()
    tokens = [line.rpartition(".")[2] for line in lines[1:]]
    for topic in ("feedback", "learner", "audit"):
        content = b"".join(record.value or b"" for record in await stack.read(topic)).decode()
        assert not [token for token in tokens if token in content], topic
        assert "More practice" not in content, topic
    await close(nobody)


async def test_comments_show_from_five_on_and_go_with_the_learner(stack: Running):
    requests = await graduates(stack, "comments", 6)
    nobody = visitor(stack)

    async def written() -> list[str]:
        answer = await stack.client.get("/programmes/comments/comments", headers=stack.token(**UNI))
        return [item["text"] for item in answer.json()["items"]]

    for number, request in enumerate(requests[:4]):
        assert (await nobody.post(await link(stack, request), **{**GIVEN, "text": f"said {number}"})).status_code == 303
    assert await written() == []
    for number, request in enumerate(requests[4:], 4):
        assert (await nobody.post(await link(stack, request), **{**GIVEN, "text": f"said {number}"})).status_code == 303
    assert await written() == [], "not before the requests are due"
    for number, request in enumerate(requests):
        past = FeedbackRequested(
            **{"role": FeedbackRole.graduate, "respondent": f"comments-{number}", "learner": f"comments-{number}"},
            **{"institution": "uni", "programme": "comments", "months": 6, "due": NOW.date() - timedelta(days=1)},
        )
        await stack.publish(event(past, request, request, by="service:feedback", time=datetime.now(UTC)))
    await stack.applied()
    assert sorted(await written()) == [f"said {number}" for number in range(6)]
    orders = {tuple(await written()) for _ in range(20)}
    assert len(orders) > 1, "no order tells who wrote what"
    assert (
        await stack.client.get("/programmes/comments/comments", headers=stack.token("plant", "enterprise"))
    ).status_code == 404
    await stack.publish(event(LearnerErased(), "comments-3", time=datetime.now(UTC)))

    async def forgotten() -> bool:
        return await stack.service.store.home[ANSWERS].find_one({"_id": requests[3]}) is None

    await until(forgotten)
    assert "said 3" not in await written()
    await close(nobody)


def member(stack: Running, organisation: str, kind: str, role: str) -> Visitor:
    """Somebody who is signed in, as the session's cookie says."""
    until_ = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    who = Member("m1", organisation, Publisher(kind), Role(role), "A Member", uuid4().hex, 0, until_, until_)
    found = visitor(stack)
    found.client.cookies.set(COOKIE, Signer(stack.settings).session_token(who), domain=found.client.base_url.host)
    return found


async def test_a_mentor_answers_several_at_once(stack: Running):
    for number in range(3):
        data = InternshipCompleted(
            **{"enterprise": "plant", "programme": "welding", "hours": 80, "outcome": InternshipOutcome.passed},
            competencies=["greencomp:3.1"],
        )
        await stack.publish(event(data, f"i-{number}", f"intern-{number}", time=datetime.now(UTC)))
    mentor = member(stack, "plant", "enterprise", "mentor")

    async def ids() -> list[str]:
        mine = {"respondent": "plant", "status": "open"}
        found = [doc["_id"] async for doc in stack.service.db["requests"].find(mine).sort([("due", 1), ("_id", 1)])]
        return found if len(found) == 3 else []

    first, second, third = await until(ids)
    page = await mentor.get("/answers")
    assert ("Feedback asked of us: 3" in page.text, "intern-0" in page.text) == (True, True)
    rated = {f"{first}:overall": "4", f"{first}:competencies.greencomp:3.1": "5", f"{first}:hire": "yes"}
    bad = await mentor.post("/answers", **rated, **{f"{second}:relevance": "3"})
    assert (bad.status_code, "choose 1 to 5" in bad.text) == (422, True)
    assert "Answered: 1" in bad.text, "what is right is done"
    (done,) = await said(stack, "feedback", first)
    assert (done["source"], done["sourcekind"], done["member"]) == ("/organisations/plant", "enterprise", "m1")
    assert (done["data"]["competencies"], done["data"]["choices"]) == ({"greencomp:3.1": 5}, {"hire": ["yes"]})
    assert (await mentor.post("/answers")).status_code == 422
    good = await mentor.post("/answers", **{f"{each}:overall": "5" for each in (second, third)})
    assert good.headers["location"] == "/answers?done=2"
    assert "Nothing is asked of you." in (await mentor.get("/answers")).text
    await close(mentor)


async def test_the_operator_builds_a_questionnaire_and_answers_keep_their_version(stack: Running):
    before = (await stack.client.get("/questionnaires/learner")).json()
    assert before["version"] == 1
    boss = member(stack, "operator", "operator", "operator")
    page = (await boss.get("/sheets/learner")).text
    assert "How was your practice?" in page
    typed = {
        **{"0.en": "How was it?", "0.ru": "Как прошло?", "0.kind": "overall", "0.id": "overall", "0.required": "yes"},
        **{"1.en": "How many hours a week?", "1.kind": "number", "1.id": "hours", "1.least": "0", "1.most": "168"},
        **{"2.en": "Who helped?", "2.ru": "Кто помогал?", "2.kind": "choices", "2.id": "helped", "2.place": "1.5"},
        **{"2.choices.en": "mentor = the mentor\nothers = others", "2.choices.ru": "mentor = наставник"},
    }
    bad = await boss.post("/sheets/learner", **{**typed, "2.choices.en": "", "2.choices.ru": "", "0.kind": "relevance"})
    assert (bad.status_code, "How many hours a week?" in bad.text) == (422, True)
    assert "give at least two to choose from" in bad.text
    assert (await boss.post("/sheets/learner", **typed)).status_code == 303
    now = (await stack.client.get("/questionnaires/learner")).json()
    assert (now["version"], [question["id"] for question in now["questions"]]) == (2, ["overall", "helped", "hours"])
    assert now["questions"][1]["choices"] == [
        {"id": "mentor", "words": {"en": "the mentor", "ru": "наставник"}},
        {"id": "others", "words": {"en": "others"}},
    ]
    same = {"questions": now["questions"]}
    operator = stack.token("operator", "operator")
    assert (await stack.client.put("/questionnaires/learner", json=same, headers=operator)).status_code == 200
    assert (await stack.client.put("/questionnaires/learner", json=same, headers=stack.token(**UNI))).status_code == 403
    empty = await stack.client.put("/questionnaires/learner", json={"questions": []}, headers=operator)
    assert empty.status_code == 422
    coordinator = member(stack, "operator", "operator", "coordinator")
    assert (await coordinator.get("/sheets/learner")).status_code == 200
    assert (await coordinator.post("/sheets/learner", **typed)).status_code == 403
    await close(boss, coordinator)


async def test_rates_leave_out_what_is_not_due_and_hide_small_groups(stack: Running):
    """Ten graduates are due, seven of them answered; two enterprises' requests are due; one is not due yet."""

    async def ask(number: int, role: str, due: date, respondent: str) -> str:
        id = f"rate-{role}-{number}"
        data = FeedbackRequested(
            **{"role": FeedbackRole(role), "respondent": respondent, "learner": f"r-{number}", "programme": "rates"},
            **{"institution": "uni", "due": due, "months": 6},
        )
        await stack.publish(event(data, id, id, by="service:feedback", time=NOW - timedelta(days=31)))
        return id

    published = ProgrammePublished(title="Rates", version="1", level=4)
    await stack.publish(event(published, "rates"))
    past, coming = NOW.date() - timedelta(days=1), NOW.date() + timedelta(days=9)
    requests = [await ask(number, "graduate", past, f"r-{number}") for number in range(10)]
    requests += [await ask(number, "enterprise", past, "plant") for number in range(2)]
    await ask(77, "graduate", coming, "r-77")
    for request in requests[:7]:
        answered = {"request": request, "role": "graduate", "programme": "rates", "overall": 4}

        await stack.publish(event(FeedbackSubmitted.model_validate(answered), f"a-{request}", request))
    await stack.applied()
    asked = {"by": "role,months,questionnaire", "programme": "rates"}
    answer = await stack.client.get("/response-rates", params=asked, headers=stack.token(**UNI))
    assert answer.json()["items"] == [
        {
            **{"role": "enterprise", "months": 6, "questionnaire": 1, "status": "suppressed"},
            **{"asked": "<5", "answered": None, "rate": None},
        },
        {
            **{"role": "graduate", "months": 6, "questionnaire": 1, "status": "ok"},
            **{"asked": 10, "answered": 7, "rate": 0.7},
        },
    ]
    staff = member(stack, "uni", "institution", "staff")
    page: Response = await staff.get("/asked", programme="rates")
    assert ("70 %" in page.text, page.text.count("<small>hidden</small>")) == (True, 1)
    await close(staff)


# in a browser


@pytest_asyncio.fixture(scope="module")
async def url(stack: Running) -> AsyncIterator[str]:
    async with on_a_socket(stack) as address:
        yield address.replace("127.0.0.1", "localhost")


async def signed_in(context: BrowserContext, stack: Running, url: str, *who: str) -> None:
    """Give a browser the session of a member."""
    cookie = member(stack, *who).client.cookies.get(COOKIE) or ""
    await context.add_cookies([{"name": COOKIE, "value": cookie, "url": url}])


@within(120)
async def test_journey_a_graduate_answers_on_a_phone_without_javascript(browser: Browser, stack: Running, url: str):
    (request,) = await graduates(stack, "phone")
    context = await browser.new_context(viewport=PHONE, locale="ru", java_script_enabled=False)
    page = await context.new_page()
    await page.goto(url + await link(stack, request))
    await expect(page.locator("h1")).to_have_text("Что дало вам обучение?")
    await shot(page, "answer-ru")
    await page.get_by_label("Чем вы заняты сейчас?").select_option("seeking")
    await page.get_by_role("button", name="Отправить").click()
    await expect(page.locator(".wrong")).to_have_text("выберите от 1 до 5")
    await shot(page, "answer-wrong-ru")
    await expect(page.get_by_label("Чем вы заняты сейчас?")).to_have_value("seeking")
    await page.get_by_role("group", name="Как вы оцениваете программу? *").get_by_label("4").check()
    await page.get_by_role("button", name="Сохранить на потом").click()
    await expect(page.get_by_role("status").first).to_contain_text("Введённое сохранено")
    await page.goto(page.url)
    await expect(page.get_by_role("group", name="Как вы оцениваете программу? *").get_by_label("4")).to_be_checked()
    await page.get_by_role("button", name="Отправить").click()
    await expect(page.get_by_role("status").first).to_have_text("Спасибо, ваш ответ получен.")
    await shot(page, "answer-done-ru")
    await page.goto(url + "/a/nothing")
    await expect(page.locator("h1")).to_have_text("Эта ссылка никуда не ведёт")
    await shot(page, "answer-closed-ru")
    assert [item["data"]["overall"] for item in await said(stack, "feedback", request)] == [4]
    await context.close()


@within(120)
async def test_journey_a_learner_answers_by_keyboard_and_what_is_typed_is_saved(
    browser: Browser, stack: Running, url: str
):
    (request,) = await graduates(stack, "keys")
    context = await browser.new_context(viewport=DESK, locale="en")
    page = await context.new_page()
    await page.goto(url + await link(stack, request))
    await page.get_by_label("What are you doing now?").focus()
    await page.keyboard.type("I study")
    await page.get_by_label("What should be done better?").focus()
    await page.keyboard.type("Longer practice")
    await expect(page.get_by_text("What you typed is saved.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("What should be done better?")).to_have_value("Longer practice")
    await page.get_by_role("group", name="How was the programme? *").get_by_label("3").focus()
    await page.keyboard.press("Space")
    await shot(page, "answer-en")
    await page.get_by_role("button", name="Send").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_have_text("Thank you, your answer has arrived.")
    assert [item["data"]["overall"] for item in await said(stack, "feedback", request)] == [3]
    await context.close()


async def revised(stack: Running) -> str:
    """A programme that was revised for its ratings, which have risen since."""
    part = [ProgrammeCompetency(competency="greencomp:3.1", level=4)]
    at = datetime(2025, 2, 1, tzinfo=UTC)
    await stack.publish(
        event(ProgrammePublished(title="Welding", version="1", level=4, competencies=part), "told", time=at)
    )
    for number in range(40):
        late, rating = number >= 20, 5 if number >= 18 or number % 5 == 0 else 2
        time = at + timedelta(days=250 if late else 1, minutes=number)
        data = FeedbackSubmitted(
            role=FeedbackRole.enterprise, programme="told", overall=rating, competencies={"greencomp:3.1": rating}
        )
        await stack.publish(event(data, f"told-{number}", by="enterprise:plant", id=f"told-{number}", time=time))

    async def recommended() -> str | None:
        shown = (await stack.client.get("/programmes/told/recommendations")).json()["items"]
        return next((item["id"] for item in shown if item["window"] == "2025Q1"), None)

    answer = ProgrammeRevised(recommendation=await until(recommended), version="2")
    await stack.publish(event(answer, "told", id="told-revised", time=at + timedelta(days=100)))

    async def compared() -> bool:
        effects = (await stack.client.get("/programmes/told/story")).json()["effects"]
        return [each["verdict"] for each in effects] == ["better"]

    await until(compared)
    return "told"


@within(240)
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_axe_finds_nothing_on_pages_of_feedback(browser: Browser, stack: Running, url: str, language: str):
    (request,) = await graduates(stack, f"axe-{language}")
    for number in range(2):
        data = InternshipCompleted(
            **{"enterprise": "plant", "programme": "welding", "hours": 80, "outcome": InternshipOutcome.passed},
            competencies=["greencomp:3.1", "greencomp:3.2"],
        )
        await stack.publish(event(data, f"axe-{language}-{number}", f"axe-{number}", time=datetime.now(UTC)))
    await stack.applied()
    whose = {
        await link(stack, request): (),
        "/answers": ("plant", "enterprise", "mentor"),
        "/asked": ("uni", "institution", "staff"),
        f"/asked?programme=axe-{language}": ("uni", "institution", "staff"),
        "/sheets": ("operator", "operator", "operator"),
        "/sheets/graduate": ("operator", "operator", "operator"),
        f"/stories/{await revised(stack)}": (),
    }
    for size in (PHONE, DESK):
        for path, who in whose.items():
            context = await browser.new_context(viewport=size, locale=language)
            if who:
                await signed_in(context, stack, url, *who)
            page = await context.new_page()
            answer = await page.goto(url + path)
            assert answer is not None
            assert answer.status == 200, path
            await expect(page.locator("h1")).not_to_be_empty()
            await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            name = path.strip("/").partition("?")[0].replace("/", "-")
            await shot(page, f"{'answer' if path.startswith('/a/') else name}-{language}-{size['width']}")
            await accessible(page)
            await context.close()


# who may come

MAY = {
    "/asked": {"admin", "staff", "operator"},
    "/asked/links.csv": {"admin", "staff"},
    "/answers": set[str](),  # of an institution nobody
    "/sheets": {"operator", "coordinator"},
    "/sheets/graduate": {"operator", "coordinator"},
}


@pytest.mark.parametrize("path", sorted(MAY))
async def test_page_rights_of_feedback(stack: Running, path: str):
    nobody = visitor(stack)
    answer = await nobody.get(path)
    assert (answer.status_code, "/sign-in?next=" in answer.headers["location"]) == (303, True)
    await close(nobody)
    for role in ("admin", "staff", "mentor", "operator", "coordinator"):
        of = ("operator", "operator") if role in ("operator", "coordinator") else ("uni", "institution")
        who = member(stack, *of, role)
        who.client.cookies.set(LANGUAGE, "ru")
        assert (await who.get(path)).status_code == (200 if role in MAY[path] else 403), role
        if path in ("/asked", "/answers", "/sheets/graduate"):
            forged = await who.client.post(path, data={"csrf": "x", "request": "r", "0.en": "x"})
            assert forged.status_code == 403, role
        await close(who)
    for role, may in (("mentor", 200), ("staff", 200)):
        host = member(stack, "plant", "enterprise", role)
        assert (await host.get("/answers")).status_code == may
        await close(host)


async def test_nobody_makes_links_for_others_or_reads_what_they_asked(stack: Running):
    (request,) = await graduates(stack, "others")
    stranger = member(stack, "college", "institution", "admin")
    assert "others" not in (await stranger.get("/asked")).text
    assert (await stranger.post("/asked", request=request)).status_code == 404
    assert (await stranger.get("/asked", programme="others")).status_code == 200
    assert "About others" not in (await stranger.get("/asked", programme="others")).text.replace("Feedback: About", "")
    boss = member(stack, "operator", "operator", "operator")
    assert "/a/" not in (await boss.get("/asked", programme="others")).text, "the operator passes no links on"
    listed = await stack.client.get("/invitations", headers=stack.token("operator", "operator"))
    assert listed.status_code == 403
    await close(stranger, boss)


async def test_a_programme_tells_its_story(stack: Running):
    for version, taught in (("1", ["greencomp:3.1", "welding:arc"]), ("2", ["greencomp:3.1", "welding:tig"])):
        parts = [ProgrammeCompetency(competency=competency, level=4) for competency in taught]
        month = datetime(2025, 2 + int(version), 1, tzinfo=UTC)
        published = ProgrammePublished(title="Story", version=version, level=4, competencies=parts)
        await stack.publish(event(published, "story", time=month))
    await stack.applied()
    told = (await stack.client.get("/programmes/story/story")).json()
    assert ([each["version"] for each in told["versions"]], told["effects"]) == (["1", "2"], [])
    assert [(each["added"], each["removed"]) for each in told["versions"]] == [
        ([], []),
        (["welding:tig"], ["welding:arc"]),
    ]
    nobody = visitor(stack)
    page = await nobody.get("/stories/story", lang="ru")
    assert ("Рекомендаций пока не было." in page.text, "версия 2" in page.text) == (True, True)
    assert "+ welding:tig, − welding:arc" in page.text
    assert (await nobody.get("/stories/nothing", lang="ru")).status_code == 404
    await close(nobody)


async def test_a_survey_made_elsewhere_answers_under_the_questions_names(stack: Running):
    (request,) = await graduates(stack, "survey")
    uni, path = stack.token(**UNI), f"/requests/{request}/answers"
    answers: dict[str, Any] = {"overall": 4, "relevance": 5, "found-by": "own", "text": "From elsewhere."}
    answers["employment"] = {"status": "employed", "since": "2026-01-15", "full_time": True}
    wrong = {**answers, "overall": 9, "mood": "good", "employment": {"status": "rich"}}
    refused = await stack.client.post(path, json={"answers": wrong}, headers=uni)
    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == {"overall", "mood", "employment.status"}
    for status in ("answered", "unchanged"):
        done = await stack.client.post(path, json={"answers": answers}, headers=uni)
        assert (done.status_code, done.json()["status"]) == (202, status), done.text
    (submitted,) = await said(stack, "feedback", request)
    assert (submitted["sourcekind"], submitted["data"]["choices"]) == ("institution", {"found-by": ["own"]})
    (employment,) = await said(stack, "learner", "survey-0")
    assert (employment["sourcekind"], employment["data"]["basis"]) == ("institution", "survey")
    plant = await stack.client.post(path, json={"answers": answers}, headers=stack.token("plant", "enterprise"))
    assert plant.status_code == 404
