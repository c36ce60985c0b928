"""The feedback service on real Kafka and MongoDB."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.feedback.app import DueStates, core, router
from services.feedback.gap_reads import read_demand
from services.feedback.market import History
from shared.contract.events import (
    DemandReported,
    FeedbackSubmitted,
    InternshipCompleted,
    InternshipOutcome,
    LearnerErased,
    OrganisationRegistered,
    ProgrammeCompetency,
    ProgrammePublished,
    SchemePublished,
)
from shared.processing.mongo import Key
from tests.making import NOON, event
from tests.stack import Running, running, until


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        yield one


async def complete_internship(
    stack: Running, learner: str, programme: str = "welding", time: datetime | None = None
) -> list[dict[str, Any]]:
    """Let *learner* complete an internship, now unless it is said when; return the two requests that this raises."""
    data = InternshipCompleted(
        enterprise="plant",
        programme=programme,
        hours=80,
        competencies=["greencomp:3.1"],
        outcome=InternshipOutcome.passed,
    )
    completed = event(data, f"i-{learner}", learner, time=time or datetime.now(UTC))
    await stack.publish(completed, completed)
    operator = stack.token("operator", "operator")

    async def raised() -> list[dict[str, Any]]:
        await stack.applied()
        answer = await stack.client.get("/requests", params={"programme": programme, "limit": 1000}, headers=operator)
        mine = [r for r in answer.json()["items"] if r["learner"] == learner]
        return mine if len(mine) >= 2 else []

    found: list[dict[str, Any]] = await until(raised)
    return found


async def test_a_request_is_due_14_days_after_a_completion_of_long_ago_was_told(stack: Running):
    first = datetime.now(UTC).date()
    requests = await complete_internship(stack, "late", "welding-late", time=NOON)
    due = {date.fromisoformat(request["due"]) - timedelta(days=14) for request in requests}
    assert due <= {first, datetime.now(UTC).date()}


async def submit(stack: Running, request: dict[str, Any], overall: int, n: int = 1) -> None:
    role = request["role"]
    data = FeedbackSubmitted(
        request=request["id"], role=role, overall=overall, relevance=overall, competencies={"greencomp:3.1": overall}
    )
    by = "enterprise:plant" if role == "enterprise" else "institution:uni"
    await stack.publish(event(data, f"s{n}-{request['id']}", request["id"], by=by, time=datetime.now(UTC)))
    await stack.applied()


async def test_a_completed_internship_raises_two_requests_which_are_answered_once(stack: Running):
    requests = await complete_internship(stack, "one", "welding-a")
    assert {r["role"] for r in requests} == {"enterprise", "learner"}
    assert all(r["status"] == "open" for r in requests)
    await submit(stack, requests[0], 2, 1)
    await submit(stack, requests[0], 5, 2)
    operator = stack.token("operator", "operator")
    shown = (await stack.client.get(f"/requests/{requests[0]['id']}", headers=operator)).json()
    assert (shown["status"], shown["answers"][0]["ratings"]["overall"]) == ("answered", 5)
    assert len([r for r in await stack.read("feedback") if r.key == requests[1]["id"].encode()]) == 1


async def test_each_sees_only_the_requests_that_concern_it(stack: Running):
    requests = await complete_internship(stack, "seen", "welding-b")
    (request,) = [r for r in requests if r["role"] == "enterprise"]
    for organisation, kind, status in (
        ("plant", "enterprise", 200),
        ("other", "enterprise", 404),
        ("uni", "institution", 404),
        ("operator", "operator", 200),
    ):
        headers = stack.token(organisation, kind)
        assert (await stack.client.get(f"/requests/{request['id']}", headers=headers)).status_code == status
        listed = (await stack.client.get("/requests", params={"programme": "welding-b"}, headers=headers)).json()
        assert bool(listed["items"]) == (status == 200)
    (learners,) = [r for r in requests if r["role"] == "learner"]
    plant = stack.token("plant", "enterprise")
    assert (await stack.client.get(f"/requests/{learners['id']}", headers=plant)).status_code == 404
    seen = (await stack.client.get("/requests", params={"programme": "welding-b"}, headers=plant)).json()["items"]
    assert [r["id"] for r in seen] == [request["id"]]
    assert (await stack.client.get("/requests")).status_code == 401


async def test_bad_ratings_recommend_a_revision_once(stack: Running):
    competency = ProgrammeCompetency(competency="greencomp:3.1", level=4)
    data = ProgrammePublished(
        title="C", version="1", level=4, competencies=[competency], hours_theory=1, hours_workplace=1
    )
    await stack.publish(event(data, "welding-c"))
    for number, overall in enumerate([2, 2, 4]):
        for request in await complete_internship(stack, f"rated-{number}", "welding-c"):
            await submit(stack, request, overall)

    async def recommended() -> list[dict[str, Any]]:
        answer = await stack.client.get("/programmes/welding-c/recommendations")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    (shown,) = await until(recommended)
    assert (shown["competency"], shown["status"]) == ("greencomp:3.1", "open")
    assert shown["ratings"] >= 5
    assert shown["satisfied"] < 0.6 * shown["ratings"]
    for request in await complete_internship(stack, "rated-later", "welding-c"):
        await submit(stack, request, 1)
    events = [json.loads(r.value) for r in await stack.read("programme") if r.key == b"welding-c"]
    assert len([e for e in events if e["type"] == "praktika.programme.revision_recommended.v1"]) == 1
    ratings = (await stack.client.get("/programmes/welding-c/ratings")).json()
    assert ratings["competencies"]["greencomp:3.1"]["n"] == 8
    assert (await stack.client.get("/competencies/greencomp:3.1/ratings")).json()["ratings"]["n"] >= 8


async def gaps_of(stack: Running, programme: str) -> list[dict[str, Any]]:
    answer = await stack.client.get(f"/programmes/{programme}/recommendations")
    return [item for item in answer.json().get("items", ()) if item["ground"] != "ratings"]


async def test_what_three_employers_miss_is_found_as_a_gap_of_the_programme(stack: Running):
    data = ProgrammePublished(title="W", version="1", level=4)
    await stack.publish(event(data, "welding-w"))
    for employer in ("plant", "mill", "works"):
        about = {"programme": "welding-w", "overall": 3, "competencies": {"greencomp:4.2": 1}}
        said = FeedbackSubmitted(role="enterprise", **about)
        await stack.publish(event(said, f"{employer}-w", by=f"enterprise:{employer}", time=datetime.now(UTC)))
    (shown,) = await until(lambda: gaps_of(stack, "welding-w"))
    assert (shown["ground"], shown["competency"], shown["employers"]) == ("wishes", "greencomp:4.2", 3)


async def test_demand_that_nobody_of_the_region_certifies_is_found_as_a_gap(stack: Running):
    for id, kind in (("east-college", "institution"), ("east-plant", "enterprise")):
        entry = OrganisationRegistered(kind=kind, name=id, region="east")
        await stack.publish(event(entry, id, by="operator:operator"))
    for places, hour in ((9, 1), (0, 2)):  # the newer report on a demand counts, though it has no places
        about = {"competency": "demanded:three", "of": "east-plant", "horizon": date(2099, 1, 1), "research": "plan"}
        report = DemandReported(places=places, **about)
        time = datetime.now(UTC) + timedelta(minutes=hour)
        await stack.publish(event(report, f"report-{hour}", "demanded:three", by="operator:operator", time=time))
    await stack.applied()  # before there is a programme that it could be a gap of
    programmes = {"welding-x": "demanded:one", "welding-y": "demanded:two", "welding-z": "demanded:three"}
    for programme, competency in programmes.items():
        taught = [ProgrammeCompetency(competency=competency, level=4)]
        data = ProgrammePublished(title="X", version="1", level=4, competencies=taught)
        await stack.publish(event(data, programme, by="institution:east-college"))
    scheme = SchemePublished(
        competency="demanded:two", level=4, methods=["exam"], least_score=0.5, enterprise_required=False
    )
    await stack.publish(event(scheme, "scheme-two", by="institution:east-college"))
    for competency in ("demanded:one", "demanded:two"):
        report = DemandReported(competency=competency, places=12, horizon=date(2099, 1, 1), research="plan")
        await stack.publish(event(report, "plan", competency, by="enterprise:east-plant"))
    (shown,) = await until(lambda: gaps_of(stack, "welding-x"))
    assert (shown["ground"], shown["places"]) == ("demand", 12)
    assert await gaps_of(stack, "welding-y") == await gaps_of(stack, "welding-z") == []


async def test_of_reports_on_one_demand_the_newest_says_until_when_it_was(stack: Running):
    now, reports = (
        datetime.now(UTC),
        (("later:one", 9, 300, -400), ("later:one", 0, 300, -300), ("later:two", 9, -20, -400)),
    )
    for number, (competency, places, ends, told) in enumerate(reports):
        about = {"of": "east", "horizon": (now + timedelta(days=ends)).date(), "research": "plan"}
        data = DemandReported(competency=competency, places=places, **about)
        time = now + timedelta(days=told)
        await stack.publish(event(data, f"until-{number}", competency, by="operator:operator", time=time))
    nobodys = DemandReported(competency="later:three", places=5, horizon=date(2099, 1, 1), research="plan")
    await stack.publish(event(nobodys, "nobodys", "later:three", by="operator:operator"))
    await stack.applied()
    today = await read_demand(stack.service.db, History({}))
    ended = {of: day for of, day in today.reported_until.items() if of[0].startswith("later:")}
    days = {competency: (now + timedelta(days=n)).date().isoformat() for competency, n in (("one", -300), ("two", -20))}
    assert ended == {
        ("later:one", "east"): days["one"],
        ("later:two", "east"): days["two"],
        ("later:three", None): "2099-01-01",
    }
    assert [one.region for one in today.reported if one.competency == "later:three"] == [None]


async def test_what_was_looked_at_in_one_database_is_looked_at_in_another(stack: Running):
    client, name = stack.service.db.client, stack.service.db.name
    one, other = client[f"{name}_one"], client[f"{name}_other"]  # at the same positions, as after a swap
    await other["learners"].insert_one({"_id": "gone", "erased": True})
    await other["requests"].insert_one({"_id": "asked", "learner": "gone", "partition": "feedback-0"})
    try:
        watch = DueStates()
        assert await watch.due(one, ["feedback-0"]) == []
        assert await watch.due(other, ["feedback-0"]) == [("feedback-0", Key("requests", "asked"))]
    finally:
        await client.drop_database(other.name)


async def test_few_ratings_are_not_shown(stack: Running):
    requests = await complete_internship(stack, "few", "welding-d")
    await submit(stack, requests[0], 1)
    ratings = (await stack.client.get("/programmes/welding-d/ratings")).json()
    assert ratings["overall"] == {"status": "suppressed", "n": "<5"}
    empty = (await stack.client.get("/programmes/none/ratings")).json()
    assert empty["overall"]["status"] == "not_enough_data"


async def test_an_erased_learners_feedback_is_gone_from_lists_and_counts(stack: Running):
    requests = await complete_internship(stack, "leaving", "welding-e")
    for request in requests:
        await submit(stack, request, 5)
    await stack.publish(event(LearnerErased(), "leaving"))
    operator = stack.token("operator", "operator")

    async def gone() -> bool:
        listed = await stack.client.get("/requests", params={"programme": "welding-e"}, headers=operator)
        return listed.json()["items"] == []

    await until(gone)
    await stack.applied()
    ratings = (await stack.client.get("/programmes/welding-e/ratings")).json()
    assert ratings["overall"] == {"status": "not_enough_data", "n": 0}


async def test_demand_is_kept_per_competency_and_the_newest_report_counts(stack: Running):
    def reported(places: int, hour: int) -> DemandReported:
        day = datetime(2099, 1, 1, tzinfo=UTC).date()
        return DemandReported(competency="esco:weld", places=places, horizon=day, research=f"survey {hour}")

    for hour, places in ((2, 30), (1, 99)):
        time = datetime(2026, 1, 1, hour, tzinfo=UTC)
        await stack.publish(event(reported(places, hour), "d1", "esco:weld", by="enterprise:plant", time=time))
    await stack.publish(event(reported(5, 3), "d2", "esco:weld", by="operator:operator"))
    await stack.applied()
    assert (await stack.client.get("/demand/esco:weld")).json() == {
        "competency": "esco:weld",
        "places": 35,
        "reports": 2,
    }
    listed = (await stack.client.get("/demand", params={"competency": "esco:weld"})).json()["items"]
    assert {r["organisation"]: r["places"] for r in listed} == {"plant": 30, "operator": 5}
