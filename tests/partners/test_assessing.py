"""An assessment that a person types: in per cent, with the assessor's code, by who may, once."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.partners.app import core
from shared.contract.events import InternshipStarted
from tests.making import event
from tests.partners.conftest import ORGANISATIONS, practise
from tests.people import close, signed_in
from tests.stack import Running

TYPED = {"competency": "greencomp:3.1", "method": "review_360", "score": "82,5", "assessor": "t-17"}


async def said(partners: Running, subject: str) -> list[dict[str, Any]]:
    found = [json.loads(record.value or b"") for record in await partners.read("learner")]
    return [each for each in found if each["subject"] == subject]


@pytest.fixture(scope="module", autouse=True)
async def practice(partners: Running) -> None:
    """uni's learners, of whom l-7 is placed at plant."""
    await practise(partners)
    placed = InternshipStarted(enterprise="plant", programme="welding", agreement="practice")
    began = datetime.now(UTC) - timedelta(days=9)
    await partners.publish(event(placed, "plant:7", "l-7", by="enterprise:plant", time=began))
    await partners.applied()


@pytest.mark.parametrize(("organisation", "role"), [("uni", "staff"), ("plant", "mentor")])
async def test_what_is_typed_in_per_cent_is_said_from_0_to_1_and_once(partners: Running, organisation: str, role: str):
    who = await signed_in(partners, organisation, role, ORGANISATIONS[organisation])
    form = await who.get("/work/do/assess", learner="l-7", competency="greencomp:3.1", method="review_360", lang="en")
    assert "Score in per cent" in form.text
    subject = form.text.partition('name="subject" value="')[2].partition('"')[0]
    assert subject.startswith(f"{organisation}:")
    day = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    for _ in range(2):
        done = await who.post("/work/do/assess?learner=l-7", subject=subject, time=day, **TYPED)
        assert done.status_code == 303, done.text
        shown = await who.get(done.headers["location"])
        assert (shown.status_code, 'class="notice"' in shown.text) == (200, True)
    assessment, *again = await said(partners, subject)
    assert {each["id"] for each in again} <= {assessment["id"]}, "twice sent is one event"
    assert assessment["data"] == {**TYPED, "score": 0.825}
    assert who.member
    assert (assessment["source"], assessment["member"]) == (f"/organisations/{organisation}", who.member.id)
    await close(who)


@pytest.mark.parametrize("score", ["0,85", "-1", "101", "1e400", "nan", "gut", ""])
async def test_a_score_that_is_no_per_cent_is_refused_beside_its_field(partners: Running, score: str):
    who = await signed_in(partners, "uni", "staff", "institution")
    before = await partners.count(*core.topics)
    answer = await who.post("/work/do/assess?learner=l-7&lang=en", subject="uni:x", **TYPED | {"score": score})
    assert answer.status_code == 422
    assert answer.text.partition('id="score-wrong">')[2].partition("</p>")[0]
    assert 'value="t-17"' in answer.text, "what was typed stays"
    assert f'value="{score}"' in answer.text
    assert await partners.count(*core.topics) == before
    await close(who)


@pytest.mark.parametrize(("organisation", "learner"), [("plant", "l-8"), ("works", "l-7"), ("college", "l-7")])
async def test_a_learner_of_others_is_not_assessed(partners: Running, organisation: str, learner: str):
    who = await signed_in(partners, organisation, "admin", ORGANISATIONS[organisation])
    before = await partners.count(*core.topics)
    answer = await who.post(f"/work/do/assess?learner={learner}", subject=f"{organisation}:x", **TYPED)
    assert answer.status_code == 422
    assert await partners.count(*core.topics) == before
    await close(who)


async def test_a_mentor_is_offered_the_form_while_the_placement_runs(partners: Running):
    who = await signed_in(partners, "plant", "mentor", "enterprise")
    assert "work/do/assess?learner=l-7" in (await who.get("/work/placements/plant:7")).text
    await close(who)


async def test_home_leads_an_institutions_staff_to_its_schemes_and_nobody_else(partners: Running):
    for organisation, role, leads in (("uni", "staff", True), ("uni", "mentor", False), ("plant", "admin", False)):
        who = await signed_in(partners, organisation, role, ORGANISATIONS[organisation])
        assert ("/issuing" in (await who.get("/work")).text) == leads
        await close(who)
