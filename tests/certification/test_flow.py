"""The certification service on real Kafka and MongoDB."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from services.certification import app
from services.certification.app import core, router
from shared.contract.events import (
    AssessmentMethod,
    AssessmentRecorded,
    Data,
    Event,
    LearnerEnrolled,
    LearnerErased,
    OrganisationKind,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    SchemePublished,
    derived_id,
)
from shared.log.topics import PARTITIONS
from shared.processing import mongo
from shared.processing.runner import Runner
from tests.making import event
from tests.stack import Running, running, until

SCHEME = {
    "competency": "greencomp:3.1",
    "level": 5,
    "methods": ["exam"],
    "least_score": 0.6,
    "enterprise_required": False,
}


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    keys: Path = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as running_stack:
        yield running_stack


def exam(learner: str, competency: str = "greencomp:3.1") -> list[Event[Data]]:
    data = AssessmentRecorded(competency=competency, method=AssessmentMethod.exam, score=0.8)
    return [event(LearnerEnrolled(programme="p"), learner), event(data, derived_id(learner), learner)]


async def publish_scheme(stack: Running, id: str, **changes: object) -> None:
    answer = await stack.client.put(
        f"/schemes/{id}",
        json=SCHEME | changes,
        headers=stack.token("uni", "institution") | {"Prefer": "wait=30"},
    )
    assert answer.status_code == 200, answer.text


async def certified(stack: Running, *learners: str) -> list[str]:
    """Ids of the certificates published for *learners*, once the service has taken all in."""
    await stack.applied()
    events = [json.loads(record.value) for record in await stack.read("learner")]
    ours = (e for e in events if e["partitionkey"] in learners and e["type"] == "praktika.competency.certified.v1")
    return [e["subject"] for e in ours]


async def test_a_learner_is_certified_once_however_often_the_events_come(stack: Running):
    await publish_scheme(stack, "futures")
    events = exam("often")
    await stack.publish(*events, *events)
    await stack.publish(*reversed(events))
    await until(lambda: certified(stack, "often"))
    assert len(await certified(stack, "often")) == 1


async def test_a_scheme_published_later_certifies_whoever_meets_it_already(stack: Running):
    learners = [f"early-{i}" for i in range(20)]
    await stack.publish(*[e for learner in learners for e in exam(learner, "greencomp:2.1")])
    await stack.applied()
    await publish_scheme(stack, "systems", competency="greencomp:2.1")

    async def all_certified() -> bool:
        return len(await certified(stack, *learners)) >= len(learners)

    await until(all_certified)
    ids = await certified(stack, *learners)
    assert len(ids) == len(set(ids)) == len(learners)


async def test_what_was_looked_at_in_one_database_is_looked_at_in_another(kafka: str, mongodb: str, tmp_path: Path):
    scheme = event(SchemePublished(**SCHEME), "same", by="institution:uni")  # type: ignore[arg-type]
    for _ in range(2):
        async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
            await stack.publish(*exam("early"))
            await stack.applied()
            await stack.publish(scheme)
            await until(lambda: certified(stack, "early"))
            await stack.applied()
            assert await core.due(stack.service.db, [f"learner-{n}" for n in range(PARTITIONS["learner"])]) == []


async def test_everybody_is_found_when_more_meet_a_scheme_than_are_looked_at_once(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "AT_ONCE", 3)
    learners = [f"many-{i}" for i in range(30)]
    await stack.publish(*[e for learner in learners for e in exam(learner, "greencomp:2.2")])
    await stack.applied()
    await publish_scheme(stack, "critical", competency="greencomp:2.2")

    async def all_certified() -> bool:
        return len(await certified(stack, *learners)) >= len(learners)

    await until(all_certified)


async def test_a_rebuild_leaves_a_certificate_as_it_was_given(kafka: str, mongodb: str, tmp_path: Path):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        await publish_scheme(stack, "problem", level=5)
        await stack.publish(*exam("lasting"))
        (id,) = await until(lambda: certified(stack, "lasting"))
        await publish_scheme(stack, "problem", level=7)
        given = (await stack.client.get(f"/certificates/{id}")).json()
        assert given["level"] == 5
        assert stack.service.runner is not None
        await stack.service.runner.stop()
        await stack.service.db.client.drop_database(stack.service.db.name)
        await mongo.ensure_indexes(stack.service.db, core.indexes)
        again = Runner(core, stack.settings, mongo.Store(stack.service.db), stack.service.producer, stack.service.log)
        again.start()

        async def shown() -> bool:
            return (await stack.client.get(f"/certificates/{id}")).json() == given

        await stack.applied()
        await until(shown)
        await again.stop()


async def test_a_certificate_has_a_public_page_and_json_until_it_is_revoked_with_a_reason(stack: Running):
    await publish_scheme(stack, "futures")
    named = OrganisationRegistered(kind=OrganisationKind.institution, name="North <College>", region="north")
    await stack.publish(event(named, "uni", by="operator:operator"))
    await stack.publish(*exam("pseudonym"))
    (id,) = await until(lambda: certified(stack, "pseudonym"))
    await stack.applied()
    shown = (await stack.client.get(f"/certificates/{id}")).json()
    assert (shown["status"], shown["competency_name"]["ru"]) == ("valid", "Грамотность в вопросах будущего")
    assert "pseudonym" not in str(shown)
    assert [set(each) for each in shown["evidence"]] == [{"method", "assessor", "assessor_name"}]

    uni, stranger = stack.token("uni", "institution"), stack.token("other", "institution")
    refused = await stack.client.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=stranger)
    assert refused.status_code == 403
    reason = "<script>alert(1)</script>"
    revoked = await stack.client.post(
        f"/certificates/{id}/revocation", json={"reason": reason}, headers=uni | {"Prefer": "wait=30"}
    )
    assert revoked.json()["status"] == "revoked"
    page = await stack.client.get(f"/certificates/{id}", headers={"Accept": "text/html", "Accept-Language": "ru"})
    assert "Отозван" in page.text
    assert "North &lt;College&gt;" in page.text
    assert reason not in page.text
    assert len(await certified(stack, "pseudonym")) == 1


async def test_a_certificate_is_looked_up_by_its_number_or_address(stack: Running):
    await publish_scheme(stack, "futures")
    await stack.publish(*exam("looked-up"))
    (id,) = await until(lambda: certified(stack, "looked-up"))
    await stack.applied()
    for number in (id, f"  {id.upper()} ", f"https://praktika.example/certificates/{id}/?lang=ru"):
        answer = await stack.client.get("/certificates/check", params={"number": number})
        assert (answer.status_code, answer.headers["location"]) == (303, f"./{quote(id)}")
    empty = await stack.client.get("/certificates/check", params={"lang": "ru"})
    assert (empty.status_code, "Проверить сертификат" in empty.text) == (200, True)
    for unknown, words in (
        ('"><script>', "Look whether the number is complete"),
        ("https://[x", "Look whether the number is complete"),
        (f"https://other.example/certificates/{id}1", "This is an address of other.example"),
    ):
        wrong = await stack.client.get("/certificates/check", params={"number": unknown, "lang": "en"})
        assert (wrong.status_code, "<script>" in wrong.text) == (404, False)
        assert words in wrong.text


async def test_an_erased_learners_certificate_is_gone(stack: Running):
    await publish_scheme(stack, "futures")
    await stack.publish(*exam("leaving"))
    (id,) = await until(lambda: certified(stack, "leaving"))
    await stack.publish(event(LearnerErased(), "leaving"))
    await stack.applied()
    assert (await stack.client.get(f"/certificates/{id}")).status_code == 404


async def test_a_scheme_for_an_unknown_competency_is_refused_naming_the_field(stack: Running):
    answer = await stack.client.put(
        "/schemes/x", json=SCHEME | {"competency": "greencomp:9.9"}, headers=stack.token("uni", "institution")
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "competency"


@pytest.mark.parametrize(
    "by_method",
    [[{"method": "portfolio", "least_score": 0.9}], [{"method": "exam", "assessors": 3}, {"method": "exam"}]],
)
async def test_what_a_scheme_asks_for_of_methods_must_be_of_its_own_each_once(stack: Running, by_method: object):
    headers = stack.token("uni", "institution")
    answer = await stack.client.put("/schemes/x", json=SCHEME | {"by_method": by_method}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "by_method")


def exam_days_ago(learner: str, days: int, id: str) -> Event[Data]:
    data = AssessmentRecorded(competency="greencomp:2.3", method=AssessmentMethod.exam, score=0.9)
    return event(data, derived_id(learner, id), learner, time=datetime.now(UTC) - timedelta(days=days))


def ending_scheme(id: str) -> Event[Data]:
    """A scheme of years ago, whose certificates are valid for a year."""
    about: dict[str, Any] = SCHEME | {"competency": "greencomp:2.3", "valid_months": 12}
    return event(SchemePublished(**about), id, by="institution:uni", time=datetime.now(UTC) - timedelta(days=900))


async def shown(stack: Running, learner: str) -> list[tuple[str, str]]:
    """The days of a learner's certificates and their status, the first one first."""
    headers = stack.token("uni", "institution")
    found = [json.loads(record.value) for record in await stack.read("learner")]
    own = {e["subject"] for e in found if e["partitionkey"] == learner and "certified" in e["type"]}
    listed = (await stack.client.get("/certificates?limit=1000", headers=headers)).json()["items"]
    return sorted((c["certified_at"][:10], c["status"]) for c in listed if c["id"] in own)


async def test_a_certificate_ends_is_said_to_end_and_is_renewed_by_a_new_assessment(stack: Running):
    await stack.publish(ending_scheme("systems-2"))
    for learner, days in (("over", 400), ("ending", 300), ("new", 1)):
        await stack.publish(exam(learner)[0], exam_days_ago(learner, days, "first"))
        await until(lambda learner=learner: certified(stack, learner))

    async def expiring() -> set[str]:
        events = [json.loads(record.value) for record in await stack.read("learner")]
        return {e["partitionkey"] for e in events if e["type"] == "praktika.certificate.expiring.v1"}

    await until(expiring)
    assert await expiring() == {"ending"}
    assert [[status for _, status in await shown(stack, each)] for each in ("over", "ending", "new")] == [
        ["expired"],
        ["valid"],
        ["valid"],
    ]
    await stack.publish(exam_days_ago("over", 2, "second"), exam_days_ago("ending", 2, "second"))
    for learner in ("over", "ending"):

        async def is_renewed(learner: str = learner) -> bool:
            return len(await certified(stack, learner)) == 2

        await until(is_renewed)
    await stack.applied()
    assert [status for _, status in await shown(stack, "over")] == ["expired", "valid"]
    (ended, _) = await certified(stack, "over")
    page = await stack.client.get(f"/certificates/{ended}?lang=en", headers={"Accept": "text/html"})
    assert ("Expired" in page.text, "Valid until" in page.text) == (True, True)


async def test_only_institutions_publish_schemes_and_only_their_own(stack: Running):
    await publish_scheme(stack, "futures")
    enterprise = await stack.client.put("/schemes/y", json=SCHEME, headers=stack.token("plant", "enterprise"))
    assert enterprise.status_code == 403
    other = await stack.client.put("/schemes/futures", json=SCHEME, headers=stack.token("other", "institution"))
    assert other.status_code == 403
    assert (await stack.client.put("/schemes/y", json=SCHEME)).status_code == 401


async def test_a_suspended_institution_commands_nothing_until_it_is_reinstated(stack: Running):
    async def publish() -> int:
        headers = stack.token("banned", "institution")
        return (await stack.client.put("/schemes/banned", json=SCHEME, headers=headers)).status_code

    operator = {"by": "operator:operator"}
    entry = OrganisationRegistered(kind=OrganisationKind.institution, name="Banned", region="r")
    await stack.publish(event(entry, "banned", **operator))
    suspended = event(OrganisationSuspended(reason="fraud"), "banned", **operator)
    await stack.publish(suspended)
    await stack.applied()
    assert await publish() == 403
    later = suspended.time + timedelta(seconds=1)
    await stack.publish(event(OrganisationReinstated(), "banned", time=later, **operator))
    await stack.applied()
    assert await publish() == 202
