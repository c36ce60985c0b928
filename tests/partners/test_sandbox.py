"""A sandbox organisation gets real answers, and what it says reaches nobody else and no indicator."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.monitoring.app import core as monitoring
from services.partners.app import core, router
from services.partners.gateway.credentials import issue
from shared.contract.events import SANDBOX, TOPICS, LearnerEnrolled, OrganisationRegistered, Publisher
from shared.log.producer import record_of
from shared.processing import facts
from shared.processing.mongo import Key
from tests.making import event
from tests.partners.conftest import MECHANICS, as_, enrolled, register
from tests.stack import Running, running, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
EMPLOYED = {"status": "employed"}
COMPLETED = {"enterprise": "trial", "programme": "sandbox-programme", "hours": 80, "outcome": "passed"}


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """With uni and its learner l-1, and the sandbox organisations trial (enterprise) and school (institution)."""
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as stack:
        for id, kind in (("uni", "institution"), ("college", "institution")):
            await register(stack, id, kind)
        for id, kind in (("trial", "enterprise"), ("school", "institution")):
            entry = {"kind": kind, "name": id, "region": "r", "sandbox": True}
            answer = await stack.client.put(f"/organisations/{id}", json=entry, headers=as_("operator", stack))
            assert answer.json()["sandbox"] is True
        await stack.publish(MECHANICS, event(LearnerEnrolled(programme="mechanics"), "l-1"))
        await stack.applied()
        yield stack


async def token(stack: Running, organisation: str, kind: Publisher) -> dict[str, str]:
    made = await issue(stack.service.store.home, organisation, kind)
    form = {"grant_type": "client_credentials", **{name: made[name] for name in ("client_id", "client_secret")}}
    answer = await stack.client.post("/token", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def by_trial(**changes: Any) -> dict[str, Any]:
    internship = {"type": "praktika.internship.completed.v1", "subject": "i-1", "data": COMPLETED}
    about = {"source": "/organisations/trial", "partitionkey": "sandbox-learner-1", **internship}
    return enrolled(**(about | changes))


def by_school(type_: str, subject: str, data: Any, **changes: Any) -> dict[str, Any]:
    return enrolled(type=f"praktika.{type_}.v1", source="/organisations/school", subject=subject, data=data, **changes)


async def send(stack: Running, headers: dict[str, str], content: Any) -> httpx.Response:
    kind = BATCH if isinstance(content, list) else STRUCTURED
    return await stack.client.post("/events", json=content, headers=headers | kind)


async def test_answers_are_real_and_no_topic_of_the_network_gets_the_event(stack: Running):
    trial, on_log = await token(stack, "trial", Publisher.enterprise), await stack.count(*TOPICS)
    sent = by_trial()
    answer = await send(stack, trial, sent)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].startswith("/events/sandbox/")
    shown = await until(lambda: applied(stack, trial, answer.headers["Location"]))
    assert (shown["event"]["id"], shown["event"]["sandbox"]) == (sent["id"], True)
    again = [(await send(stack, trial, each)).status_code for each in (sent, sent | {"data": COMPLETED | {"hours": 1}})]
    assert again == [202, 409]
    job = by_trial(type="praktika.employment.recorded.v1", subject="j-1", data={"status": "employed"})
    assert (await send(stack, trial, job)).status_code == 202
    assert await stack.count(*TOPICS) == on_log
    assert (await stack.client.get("/learners/sandbox-learner-1", headers=trial)).status_code == 404


async def applied(stack: Running, headers: dict[str, str], address: str) -> Any:
    shown = (await stack.client.get(address, headers=headers)).json()
    return shown if shown["applied"] else None


REFUSED = {
    "a real learner": ({"partitionkey": "l-1"}, 422, "learner"),
    "a real programme": ({"data": COMPLETED | {"programme": "mechanics"}}, 422, "programme"),
    "another enterprise": ({"data": COMPLETED | {"enterprise": "works"}}, 403, "enterprise"),
    "a learner never placed": (
        {
            "type": "praktika.employment.recorded.v1",
            "partitionkey": "sandbox-learner-2",
            "data": {"status": "employed"},
        },
        403,
        "placement",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refusals_are_real(stack: Running, case: str):
    changes, status, rule = REFUSED[case]
    trial, rejected = await token(stack, "trial", Publisher.enterprise), await stack.count("rejected")
    answer = await send(stack, trial, by_trial(**changes))
    assert (answer.status_code, answer.json().get("rule")) == (status, rule), answer.text
    assert await stack.count("rejected") == rejected + 1


async def test_an_institution_tries_its_own_way_out(stack: Running):
    school, on_log = await token(stack, "school", Publisher.institution), await stack.count(*TOPICS)
    internship = {"enterprise": "sandbox-enterprise", "programme": "p"}
    way = [
        by_school("programme.published", "p", {"title": "P", "version": "1", "level": 5}),
        by_school("learner.enrolled", "s-1", {"programme": "p"}),
        by_school("internship.started", "i-1", internship, partitionkey="s-1"),
        by_school("learner.graduated", "s-1", {"programme": "p", "graduated_on": "2026-03-02"}),
    ]
    assert [(await send(stack, school, one)).status_code for one in way] == [202] * 4
    batch = await send(stack, school, [*way, by_school("learner.erased", "l-1", {})])
    assert [item["status"] for item in batch.json()["items"]] == [202] * 4 + [422]
    assert await stack.count(*TOPICS) == on_log


async def test_commands_would_be_real_and_are_refused(stack: Running):
    school = await token(stack, "school", Publisher.institution)
    programme = {"title": "P", "version": "1", "level": 5}
    agreement = {"parties": ["school", "uni"], "scope": "all", "valid_from": "2026-01-01"}
    for path, body in (("/programmes/p", programme), ("/agreements/a", agreement)):
        answer = await stack.client.put(path, json=body, headers=school)
        assert (answer.status_code, "sandbox" in answer.json()["detail"]) == (403, True)


async def test_nobody_else_says_that_it_is_a_sandbox(stack: Running):
    answer = await send(stack, as_("uni", stack), enrolled(sandbox=True))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "sandbox")


async def test_an_event_on_the_wrong_side_is_a_dead_letter(stack: Running):
    real = event(LearnerEnrolled(programme="mechanics"), "l-2")
    trial = real.model_copy(update={"sandbox": True})
    letters = await stack.count("dead-letter.partners")
    await stack.publish(record_of(real)._replace(topic=SANDBOX), record_of(trial)._replace(topic="learner"))
    await stack.applied()
    assert await stack.count("dead-letter.partners") == letters + 2
    reasons = [dict(letter.headers) for letter in await stack.read("dead-letter.partners")]
    assert {json.loads(each["praktika-dead-letter"])["reason"] for each in reasons} == {
        "type: belongs to the topic learner",
        "type: belongs to the topic sandbox",
    }


@pytest.mark.parametrize("sandbox", [None, True])
def test_a_sandbox_organisation_is_no_partner_of_the_network(sandbox: Any):
    assert SANDBOX not in monitoring.topics
    registered = OrganisationRegistered(kind="enterprise", name="Trial", region="r", sandbox=sandbox)
    state = facts.apply(facts.empty(), event(registered, "trial", by="operator:operator"))
    assert bool(monitoring.contributions(Key("organisations", "trial"), state)) is not bool(sandbox)
