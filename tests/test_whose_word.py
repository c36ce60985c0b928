"""What one organisation's credential cannot do to what belongs to another, on the whole network."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio

from shared.contract.events import LearnerEnrolled, ProgrammePublished, derived_id
from tests.making import event
from tests.network import INTERNSHIP, LEARNER, STRUCTURED, as_, cloudevent
from tests.stack import Running, until

Services = dict[str, Running]
PLACED = {"enterprise": "plant", "programme": "welding"}


@pytest_asyncio.fixture(scope="module")
async def told(services: Services, names: dict[str, str]) -> AsyncIterator[Services]:
    """The network, after uni and plant have said what `names` names."""
    assert names
    yield services


async def send(services: Services, by: str, *args: Any, **more: Any) -> httpx.Response:
    stack = services["partners"]
    headers = as_(stack, by) | STRUCTURED
    return await stack.client.post("/events", json=cloudevent(by, *args, **more), headers=headers)


async def enrol(services: Services, learner: str, programme: str = "welding") -> None:
    assert (await send(services, "uni", "learner.enrolled", learner, {"programme": programme})).status_code == 202


async def applied(services: Services) -> None:
    for stack in services.values():
        await stack.applied(60)


async def rejections(services: Services, by: str) -> list[dict[str, Any]]:
    answer = await services["partners"].client.get("/rejections", headers=as_(services["partners"], by))
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_of_two_enrolments_and_programmes_at_once_the_first_on_the_log_counts_everywhere(told: Services):
    """What the ingress of two processes may let in at the same moment, the log decides; the loser is told."""
    partners = told["partners"]
    first, second = "institution:uni", "institution:college"
    published = ProgrammePublished(title="Raced", version="1", level=4)
    await partners.publish(
        event(LearnerEnrolled(programme="welding"), "raced", by=first),
        event(LearnerEnrolled(programme="casting"), "raced", by=second, id="enrolled-second"),
        event(published, "raced-programme", by=first),
        event(published, "raced-programme", by=second, id="published-second", time=datetime.now(UTC)),
    )
    await applied(told)
    for name in ("partners", "certification"):
        learner = await told[name].service.db["learners"].find_one({"_id": "raced"})
        assert learner is not None
        assert learner["institutions"] == ["uni"], name
    for name in ("partners", "feedback", "monitoring"):
        programme = await told[name].service.db["programmes"].find_one({"_id": "raced-programme"})
        assert programme is not None
        assert programme["institution"] == "uni", name
    refused = [r["detail"] for r in await rejections(told, "college")]
    assert len(refused) == 2
    assert all("accepted, but not applied: " in detail for detail in refused)

    async def heard() -> set[str]:
        feed = await partners.client.get("/feed?limit=500", headers=as_(partners, "college"))
        items = feed.json()["items"]
        return {i["data"]["event"] for i in items if i["type"] == "praktika.event.refused.v1"}

    await until(lambda: _equal(heard, {"enrolled-second", "published-second"}), 30)
    erasure = await send(told, "college", "learner.erased", "raced", {})
    assert erasure.status_code == 403


async def _equal(read: Any, wanted: set[str]) -> bool:
    return await read() == wanted


async def test_a_second_institution_needs_consent_and_erases_nobody_alone(told: Services):
    await enrol(told, "shared")
    casting = {"title": "Casting", "version": "1", "level": 4}
    await told["partners"].client.put("/programmes/casting", json=casting, headers=as_(told["partners"], "college"))
    joining = ("college", "learner.enrolled", "shared", {"programme": "casting"})
    assert (await send(told, *joining)).status_code == 403
    assert (await send(told, "uni", "learner.shared", "shared", {"institution": "college"})).status_code == 202
    assert (await send(told, *joining)).status_code == 202
    assert (await send(told, "college", "learner.erased", "shared", {})).status_code == 202
    await applied(told)
    entry = await told["partners"].client.get("/learners/shared", headers=as_(told["partners"], "uni"))
    assert (entry.json()["institutions"], entry.json()["erasure_asked_by"]) == (["college", "uni"], ["college"])
    assert (await send(told, "uni", "learner.erased", "shared", {})).status_code == 202
    await applied(told)
    for name, stack in told.items():
        learner = await stack.service.db["learners"].find_one({"_id": "shared"})
        assert learner is not None
        assert "erased" in learner["state"], name


async def test_the_operator_erases_with_a_reason(told: Services):
    await enrol(told, "lost")
    without = await send(told, "operator", "learner.erased", "lost", {})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "data.reason")
    assert (await send(told, "operator", "learner.erased", "lost", {"reason": "its institution is gone"})).is_success
    await applied(told)
    learner = await told["monitoring"].service.db["learners"].find_one({"_id": "lost"})
    assert learner is not None
    assert "erased" in learner["state"]


async def test_a_foreign_internship_is_cancelled_by_nobody_else(told: Services):
    await enrol(told, "interned")
    completed = PLACED | {"hours": 80, "outcome": "passed"}
    about = {"partitionkey": "interned"}
    assert (await send(told, "plant", "internship.completed", "of-plant", completed, **about)).status_code == 202
    cancelled = {"enterprise": "works", "programme": "welding", "reason": "no"}
    foreign = await send(told, "works", "internship.cancelled", "of-plant", cancelled, **about)
    assert foreign.status_code in (403, 422)
    seeking = await send(told, "plant", "employment.recorded", "j", {"status": "seeking"}, **about)
    assert (seeking.status_code, seeking.json()["errors"][0]["field"]) == (403, "data.status")


RATING = {"role": "enterprise", "programme": "welding", "overall": 1}


async def test_feedback_counts_of_who_was_asked_or_has_a_tie_and_then_once(told: Services):
    month = datetime.now(UTC).strftime("%Y-%m")
    mine = f"plant:welding:enterprise:{month}"
    tied = await send(told, "plant", "feedback.submitted", "any", RATING)
    assert (tied.status_code, tied.json()["rule"]) == (422, "once")
    assert mine in tied.json()["detail"]
    for overall in (1, 2):
        answer = await send(told, "plant", "feedback.submitted", mine, RATING | {"overall": overall})
        assert answer.status_code == 202
    stranger = await send(told, "works", "feedback.submitted", f"works:welding:enterprise:{month}", RATING)
    assert (stranger.status_code, stranger.json()["rule"]) == (403, "tie")
    learners = RATING | {"role": "learner", "enterprise": "plant"}
    foreign = await send(told, "college", "feedback.submitted", f"college:welding:learner:{month}", learners)
    assert (foreign.status_code, foreign.json()["rule"]) == (403, "programme")
    invented = await send(told, "plant", "feedback.submitted", "a", {"request": "r", **RATING}, partitionkey="r")
    assert (invented.status_code, invented.json()["rule"]) == (422, "request")
    await applied(told)
    request = await told["feedback"].service.db["requests"].find_one({"_id": mine})
    assert request is not None
    assert [a["ratings"]["overall"] for a in request["answers"]] == [2]


async def test_only_the_asked_answer_a_request_and_the_operator_annuls(told: Services):
    feedback = told["feedback"]
    asked = await feedback.client.get("/requests?status=open", headers=as_(feedback, "plant"))
    request = next(item["id"] for item in asked.json()["items"] if item["role"] == "enterprise")
    about = {"partitionkey": request}
    answer = {"request": request, "role": "enterprise", "overall": 1}
    foreign = await send(told, "works", "feedback.submitted", "a-1", answer, **about)
    assert (foreign.status_code, foreign.json()["rule"]) == (403, "request")
    assert (await send(told, "plant", "feedback.submitted", "a-1", answer, **about)).status_code == 202
    await applied(told)
    withdrawal = {"organisation": "plant", "submission": "a-1", "reason": "it was forged"}
    path = f"/requests/{request}/withdrawals"
    refused = await feedback.client.post(path, json=withdrawal, headers=as_(feedback, "plant"))
    assert refused.status_code == 403
    done = await feedback.client.post(path, json=withdrawal, headers=as_(feedback, "operator"))
    assert (done.status_code, done.json()["status"], done.json()["answers"]) == (200, "open", [])
    await applied(told)
    counted = await told["monitoring"].service.db["requests"].find_one({"_id": request})
    assert counted is not None
    assert "plant/a-1" in counted["state"]["facts"]["feedback.withdrawn"]


async def test_a_request_id_cannot_be_worked_out(told: Services):
    about = "feedback.requested", LEARNER, INTERNSHIP
    known = {derived_id(*about, role) for role in ("enterprise", "learner")}
    ids = [doc["_id"] async for doc in told["feedback"].service.db["requests"].find({"respondent": "plant"})]
    assert ids
    assert not known.intersection(ids)


async def test_an_enterprise_does_not_fill_a_learner_and_is_told(told: Services):
    await enrol(told, "flooded")
    about = {"partitionkey": "flooded"}
    started = await send(told, "plant", "internship.started", "flooding", PLACED, **about)
    assert started.status_code == 202
    await applied(told)
    partners = told["partners"]
    jobs = [cloudevent("plant", "employment.recorded", f"job-{n}", {"status": "employed"}, **about) for n in range(600)]
    headers = as_(partners, "plant") | {"Content-Type": "application/cloudevents-batch+json"}
    batch = await partners.client.post("/events", json=jobs, headers=headers)
    refused = [item for item in batch.json()["items"] if item["status"] == 422]
    assert len(refused) == 600 - 249
    assert refused[0]["problem"]["rule"] == "room"
    graduated = {"programme": "welding", "graduated_on": "2026-06-30"}
    assert (await send(told, "uni", "learner.graduated", "flooded", graduated)).status_code == 202
    await applied(told)
    for name in ("partners", "monitoring"):
        learner = await told[name].service.db["learners"].find_one({"_id": "flooded"})
        assert learner is not None
        assert "learner.graduated" in learner["state"]["facts"], name


async def test_new_ids_begin_with_their_organisation(told: Services):
    partners = told["partners"]
    partners.service.settings.free_ids = False
    try:
        squatted = await send(told, "college", "learner.enrolled", "uni:1", {"programme": "casting"})
        assert (squatted.status_code, squatted.json()["rule"]) == (422, "name")
        assert "college:uni:1" in squatted.json()["detail"]
        programme = {"title": "A", "version": "1", "level": 4}
        headers = as_(partners, "college")
        command = await partners.client.put("/programmes/mine", json=programme, headers=headers)
        assert (command.status_code, command.json()["errors"][0]["field"]) == (422, "id")
        own = await partners.client.put("/programmes/college:mine", json=programme, headers=headers)
        assert own.status_code == 200
        renewed = await partners.client.put("/programmes/casting", json=programme, headers=headers)
        assert renewed.status_code == 200
    finally:
        partners.service.settings.free_ids = True


async def test_suspension_and_withdrawal_hold_at_once_for_reads_everywhere(told: Services):
    partners, operator = told["partners"], as_(told["partners"], "operator")
    reads = {"partners": "/learners", "feedback": "/requests", "certification": "/certificates"}

    async def statuses(headers: dict[str, str]) -> list[int]:
        asked = [await told[name].client.get(path, headers=headers) for name, path in reads.items()]
        return [answer.status_code for answer in asked]

    headers = as_(partners, "lab")
    assert await statuses(headers) == [200] * 3
    await partners.client.post("/organisations/lab/suspension", json={"reason": "left"}, headers=operator)
    await until(lambda: _equal(lambda: statuses(headers), [403] * 3), 5)
    await partners.client.post("/organisations/lab/reinstatement", headers=operator)
    await until(lambda: _equal(lambda: statuses(headers), [200] * 3), 5)
    made = (await partners.client.post("/organisations/lab/credentials", headers=operator)).json()
    form = {"grant_type": "client_credentials", "client_id": "lab", "client_secret": made["client_secret"]}
    given = (await partners.client.post("/token", data=form)).json()["access_token"]
    withdrawn = {"Authorization": f"Bearer {given}"}
    assert await statuses(withdrawn) == [200] * 3
    path = f"/organisations/lab/credentials/{made['credential']}"
    assert (await partners.client.delete(path, headers=operator)).status_code == 204
    await until(lambda: _equal(lambda: statuses(withdrawn), [401] * 3), 5)
    assert await statuses(headers) == [200] * 3  # others go on
