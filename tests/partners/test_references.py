"""What an event refers to must be there; nobody is refused because the registry lags behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.partners.app import core, router
from services.partners.network.references import OWN_WORD, RULES, gap_of
from shared.contract import events
from shared.contract.events import (
    DATA,
    AgreementEnded,
    AgreementProposed,
    AgreementSigned,
    ApplicationAccepted,
    ApplicationSubmitted,
    CompetencyCertified,
    Data,
    EmploymentRecorded,
    InternshipStarted,
    LearnerEnrolled,
    OpportunityPosted,
    OrganisationKind,
    OrganisationRegistered,
    ProgrammePublished,
    Publisher,
)
from shared.http import service
from tests.making import NOON, event
from tests.partners.conftest import MECHANICS, ORGANISATIONS, as_, enrolled
from tests.stack import Running, running

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TERMS = {"parties": ["uni", "plant"], "scope": "internships", "valid_from": "2026-01-01", "valid_until": "2026-06-30"}


def registered() -> list[events.Event[Data]]:
    return [
        event(OrganisationRegistered(kind=OrganisationKind(kind), name=id, region="r"), id, by="operator:operator")
        for id, kind in ORGANISATIONS.items()
    ]


# uni offers mechanics (with college) and drawing; l-1 learns mechanics, was placed at plant and works at works.
WORLD = [
    *registered(),
    MECHANICS,
    event(ProgrammePublished(title="Drawing", version="1", level=4), "drawing"),
    event(LearnerEnrolled(programme="mechanics"), "l-1"),
    event(LearnerEnrolled(programme="mechanics"), "l-2"),
    event(LearnerEnrolled(programme="mechanics"), "l-3"),
    event(AgreementProposed(**TERMS), "a-1"),  # type: ignore[arg-type]
    event(AgreementSigned(), "a-1", by="enterprise:plant", time=NOON + timedelta(minutes=1)),
    event(AgreementProposed(**TERMS | {"parties": ["uni", "works"], "programmes": ["drawing"]}), "a-2"),  # type: ignore[arg-type]
    event(AgreementSigned(), "a-2", by="enterprise:works", time=NOON + timedelta(minutes=1)),
    event(AgreementEnded(reason="moved"), "a-2", time=NOON + timedelta(days=30)),
    event(AgreementProposed(**TERMS), "a-3"),  # type: ignore[arg-type]
    event(InternshipStarted(enterprise="plant", programme="mechanics"), "i-1", "l-1", by="enterprise:plant"),
    event(EmploymentRecorded(status="employed", enterprise="works"), "j-1", "l-1"),
    event(EmploymentRecorded(status="employed", enterprise="abroad"), "j-0", "l-2", id="a-mistake"),
    event(
        CompetencyCertified(
            competency="greencomp:3.1",
            level=5,
            scheme="s",
            institution="uni",
            evidence=["uni/x-1"],
            address="/certificates/c-1",
        ),
        "c-1",
        "l-1",
        by="service:certification",
    ),
    event(OpportunityPosted(kind="vacancy", title="Welder", places=2), "o-1", by="enterprise:plant"),
    event(LearnerEnrolled(programme="mechanics"), "l-4"),
    event(ApplicationSubmitted(enterprise="plant", opportunity="o-1"), "ap-1", "l-4"),
    event(ApplicationSubmitted(enterprise="works"), "ap-2", "l-4"),
    event(ApplicationAccepted(), "ap-2", "l-4", by="enterprise:works", time=NOON + timedelta(minutes=1)),
]
INTERNSHIP = {"enterprise": "plant", "programme": "mechanics"}
COMPLETED = INTERNSHIP | {"hours": 80, "outcome": "passed"}
ASSESSED = {"competency": "greencomp:3.1", "method": "exam", "score": 0.5}
OFFER = {"title": "Offer", "version": "1", "level": 5}
WORKSHOP = {"kind": "workshop", "hours": 2, "participants": 20}
EMPLOYED = {"status": "employed"}

# by whom, type, subject, learner (or None), data, day of March 2026
DecodedEvent = tuple[str, str, str, str | None, dict[str, Any], int]
ACCEPTED: dict[str, DecodedEvent] = {
    "an alert rule about one's own programme": (
        "uni",
        "indicator.rule_set",
        "uni:low",
        None,
        {
            "indicator": "employment_rate",
            "scope": "programme",
            "scope_id": "drawing",
            "when": "below",
            "threshold": 0.5,
        },
        2,
    ),
    "a learner of one's programme": ("uni", "learner.enrolled", "n-1", None, {"programme": "drawing"}, 2),
    "a learner of a joint programme": ("college", "learner.enrolled", "n-2", None, {"programme": "mechanics"}, 2),
    "an internship under an agreement": ("plant", "internship.started", "i-2", "l-2", INTERNSHIP, 2),
    "under the agreement named": ("uni", "internship.started", "i-3", "l-2", INTERNSHIP | {"agreement": "a-1"}, 2),
    "an internship that ends": ("plant", "internship.completed", "i-1", "l-1", COMPLETED, 30),
    "an assessment after a placement": ("plant", "assessment.recorded", "x-1", "l-1", ASSESSED, 2),
    "an assessment of one's own learner": ("uni", "assessment.recorded", "x-2", "l-2", ASSESSED, 2),
    "a framework of one's own": (
        "uni",
        "assessment.recorded",
        "x-3",
        "l-2",
        ASSESSED | {"competency": "welding:tig"},
        2,
    ),
    "a job after a placement": ("plant", "employment.recorded", "j-2", "l-1", EMPLOYED | {"enterprise": "plant"}, 2),
    "a job where the learner named it": ("works", "employment.recorded", "j-3", "l-1", EMPLOYED, 2),
    "a job anywhere, by the institution": (
        "uni",
        "employment.recorded",
        "j-4",
        "l-2",
        EMPLOYED | {"enterprise": "abroad"},
        2,
    ),
    "the end of a job that one has recorded": (
        "uni",
        "employment.ended",
        "j-1",
        "l-1",
        {"ended_on": "2026-03-20"},
        20,
    ),
    "one's own word taken back": (
        "uni",
        "employment.annulled",
        "j-0",
        "l-2",
        {"event": "a-mistake", "reason": "another learner"},
        3,
    ),
    "leaving a programme": (
        "uni",
        "learner.left",
        "l-3",
        None,
        {"programme": "mechanics", "left_on": "2026-03-01"},
        2,
    ),
    "a partner's confirmation": ("college", "programme.joined", "mechanics", None, {}, 3),
    "a certificate that was issued": (
        "plant",
        "recognition.granted",
        "g-1",
        None,
        {"competency": "greencomp:3.1", "certificate": "c-1", "since": "2026-03-01"},
        2,
    ),
    "an application for an offer": (
        "uni",
        "application.submitted",
        "ap-3",
        "l-2",
        {"enterprise": "plant", "opportunity": "o-1"},
        2,
    ),
    "an application withdrawn": ("uni", "application.withdrawn", "ap-2", "l-4", {"enterprise": "works"}, 1),
    "a job of an applicant whom one has accepted": ("works", "employment.recorded", "j-7", "l-4", EMPLOYED, 2),
    "the end of one's offer": ("plant", "opportunity.closed", "o-1", None, {"filled": 2}, 2),
}
ALERT_RULE = {"indicator": "employment_rate", "scope": "programme", "when": "below", "threshold": 0.5}
REFUSED: dict[str, tuple[DecodedEvent, int, str, str, str]] = {
    "an alert rule about another's programme": (
        ("college", "indicator.rule_set", "college:low", None, ALERT_RULE | {"scope_id": "mechanics"}, 2),
        403,
        "scope",
        "mechanics",
        "data.scope_id",
    ),
    "an alert rule about another institution": (
        (
            "college",
            "indicator.rule_set",
            "college:low",
            None,
            ALERT_RULE | {"scope": "institution", "scope_id": "uni"},
            2,
        ),
        403,
        "scope",
        "uni",
        "data.scope_id",
    ),
    "an acknowledgement of an alert about a region": (
        (
            "uni",
            "indicator.acknowledged",
            "low",
            None,
            {"indicator": "employment_rate", "scope": "region", "scope_id": "r", "window": "2024"},
            2,
        ),
        403,
        "scope",
        "r",
        "data.scope_id",
    ),
    "a certificate that nobody issued": (
        (
            "plant",
            "recognition.granted",
            "g-2",
            None,
            {"competency": "greencomp:3.1", "certificate": "c-9", "since": "2026-03-01"},
            2,
        ),
        422,
        "certificate",
        "c-9",
        "data.certificate",
    ),
    "an application for another's offer": (
        ("uni", "application.submitted", "ap-4", "l-2", {"enterprise": "works", "opportunity": "o-1"}, 2),
        422,
        "opportunity",
        "o-1",
        "data.opportunity",
    ),
    "the decision on an application to another": (
        ("works", "application.accepted", "ap-1", "l-4", {}, 2),
        422,
        "application",
        "l-4",
        "subject",
    ),
    "a job of an applicant on whom nothing is decided": (
        ("plant", "employment.recorded", "j-8", "l-4", EMPLOYED, 2),
        403,
        "placement",
        "l-4",
        "partitionkey",
    ),
    "more places filled than offered": (
        ("plant", "opportunity.closed", "o-1", None, {"filled": 99}, 2),
        422,
        "places",
        "o-1",
        "data.filled",
    ),
    "more hours than there were": (
        ("plant", "internship.completed", "i-1", "l-1", COMPLETED | {"hours": 9_999}, 30),
        422,
        "plausible",
        "i-1",
        "data.hours",
    ),
    "an end before the begin": (
        ("uni", "internship.completed", "i-1", "l-1", COMPLETED, 1),
        422,
        "plausible",
        "i-1",
        "time",
    ),
    "the end of a job that another recorded": (
        ("plant", "employment.ended", "j-1", "l-1", {"ended_on": "2026-03-20"}, 20),
        422,
        "employment",
        "l-1",
        "subject",
    ),
    "the end of a job before its begin": (
        ("uni", "employment.ended", "j-1", "l-1", {"ended_on": "2026-01-20"}, 20),
        422,
        "plausible",
        "j-1",
        "data.ended_on",
    ),
    "taking back what was not said": (
        ("uni", "employment.annulled", "j-1", "l-1", {"event": "nothing", "reason": "x"}, 3),
        422,
        "annulled",
        "l-1",
        "data.event",
    ),
    "taking back another's word": (
        ("works", "employment.annulled", "j-0", "l-2", {"event": "a-mistake", "reason": "x"}, 3),
        422,
        "annulled",
        "l-2",
        "data.event",
    ),
    "the confirmation of a stranger": (
        ("plant", "programme.joined", "mechanics", None, {}, 3),
        403,
        "programme",
        "mechanics",
        "subject",
    ),
    "a detail of another status": (
        ("uni", "employment.recorded", "j-9", "l-1", EMPLOYED | {"detail": "illness"}, 2),
        422,
        "",
        "",
        "data.detail",
    ),
    "more participants than there were": (
        ("uni", "activity.held", "w-8", None, WORKSHOP | {"participants_of": {"uni": 21}}, 2),
        422,
        "",
        "",
        "data.participants_of",
    ),
    "unknown programme": (
        ("uni", "learner.enrolled", "n-3", None, {"programme": "nothing"}, 2),
        422,
        "programme",
        "nothing",
        "data",
    ),
    "programme of others": (
        ("college", "learner.enrolled", "n-4", None, {"programme": "drawing"}, 2),
        403,
        "programme",
        "drawing",
        "data.programme",
    ),
    "unknown learner": (
        ("plant", "internship.started", "i-4", "l-9", INTERNSHIP, 2),
        422,
        "learner",
        "l-9",
        "partitionkey",
    ),
    "learner of others": (
        ("college", "internship.started", "i-5", "l-1", INTERNSHIP, 2),
        403,
        "learner",
        "l-1",
        "partitionkey",
    ),
    "not enrolled": (
        ("plant", "internship.started", "i-6", "l-1", INTERNSHIP | {"programme": "drawing"}, 2),
        422,
        "enrolment",
        "l-1",
        "partitionkey",
    ),
    "graduated elsewhere": (
        ("uni", "learner.graduated", "l-1", None, {"programme": "drawing", "graduated_on": "2026-02-01"}, 2),
        422,
        "enrolment",
        "l-1",
        "partitionkey",
    ),
    "at another's place": (
        ("works", "internship.completed", "i-1", "l-1", COMPLETED, 2),
        403,
        "enterprise",
        "plant",
        "data.enterprise",
    ),
    "at a stranger's place": (
        ("uni", "internship.started", "i-7", "l-1", INTERNSHIP | {"enterprise": "abroad"}, 2),
        422,
        "organisation",
        "abroad",
        "data",
    ),
    "no agreement for the programme": (
        ("works", "internship.started", "i-8", "l-1", INTERNSHIP | {"enterprise": "works"}, 2),
        422,
        "agreement",
        "works",
        "data.enterprise",
    ),
    "an agreement not signed": (
        ("plant", "internship.started", "i-9", "l-1", INTERNSHIP | {"agreement": "a-3"}, 2),
        422,
        "agreement",
        "a-3",
        "data.agreement",
    ),
    "unknown competency": (
        ("uni", "assessment.recorded", "x-4", "l-1", ASSESSED | {"competency": "greencomp:9.9"}, 2),
        422,
        "",
        "",
        "data.competency",
    ),
    "an assessment by a stranger": (
        ("plant", "assessment.recorded", "x-5", "l-3", ASSESSED, 2),
        403,
        "placement",
        "l-3",
        "partitionkey",
    ),
    "a job of a learner never placed": (
        ("plant", "employment.recorded", "j-5", "l-3", EMPLOYED, 2),
        403,
        "placement",
        "l-3",
        "partitionkey",
    ),
    "a job at another's": (
        ("plant", "employment.recorded", "j-6", "l-1", EMPLOYED | {"enterprise": "works"}, 2),
        403,
        "enterprise",
        "works",
        "data.enterprise",
    ),
    "the end of an unknown offer": (
        ("plant", "opportunity.closed", "o-9", None, {"filled": 2}, 2),
        422,
        "opportunity",
        "o-9",
        "subject",
    ),
    "an unknown agreement": (("plant", "agreement.signed", "a-9", None, {}, 2), 422, "agreement", "a-9", "subject"),
    "a party not registered": (
        ("uni", "agreement.proposed", "a-8", None, TERMS | {"parties": ["uni", "abroad"]}, 2),
        422,
        "organisation",
        "abroad",
        "data",
    ),
    "an unknown recommendation": (
        ("uni", "programme.revised", "drawing", None, {"recommendation": "r-9", "version": "2"}, 2),
        422,
        "recommendation",
        "r-9",
        "data.recommendation",
    ),
    "a partner not registered": (
        (
            "uni",
            "programme.published",
            "p-9",
            None,
            OFFER | {"joint_partners": [{"organisation": "abroad", "kind": "enterprise"}]},
            2,
        ),
        422,
        "organisation",
        "abroad",
        "data",
    ),
    "a stranger at a workshop": (
        ("uni", "activity.held", "w-9", None, WORKSHOP | {"organisations": ["abroad"]}, 2),
        422,
        "organisation",
        "abroad",
        "data",
    ),
}


@pytest_asyncio.fixture(scope="module")
async def world(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as stack:
        await stack.publish(*WORLD)
        yield stack


def message(cloudevent: DecodedEvent) -> dict[str, Any]:
    by, type_, subject, learner, data, day = cloudevent
    return enrolled(
        source=f"/organisations/{by}",
        type=f"praktika.{type_}.v1",
        subject=subject,
        partitionkey=learner,
        time=f"2026-03-{day:02d}T12:00:00Z",
        data=data,
    )


async def send(stack: Running, by: str, content: Any) -> httpx.Response:
    headers = as_(by, stack) | (BATCH if isinstance(content, list) else STRUCTURED)
    return await stack.client.post("/events", json=content, headers=headers)


@pytest.mark.parametrize("case", ACCEPTED)
async def test_what_refers_to_what_is_there_is_accepted(world: Running, case: str):
    cloudevent = ACCEPTED[case]
    answer = await send(world, cloudevent[0], message(cloudevent))
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_says_which_rule_and_which_reference(world: Running, case: str):
    cloudevent, status, rule, reference, field = REFUSED[case]
    answer = await send(world, cloudevent[0], message(cloudevent))
    problem = answer.json()
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in problem["errors"]] == [field]
    assert (problem.get("rule", ""), problem.get("reference", "")) == (rule, reference)
    assert reference in problem["errors"][0]["detail"]


GAPS: dict[str, tuple[dict[str, Any], str | None]] = {
    "within": ({}, None),
    "its last day": ({"valid_until": "2026-03-02"}, None),
    "its first day": ({"valid_from": "2026-03-02"}, None),
    "without end": ({"valid_until": None}, None),
    "the programme named": ({"programmes": ["p", "q"]}, None),
    "too early": ({"valid_from": "2026-03-03"}, "is valid from 2026-03-03"),
    "too late": ({"valid_until": "2026-03-01"}, "is valid until 2026-03-01"),
    "another programme": ({"programmes": ["q"]}, "covers other programmes"),
    "proposed": ({"status": "proposed"}, "is proposed"),
    "ended later": ({"status": "ended", "ended": {"at": "2026-03-02T10:00"}}, None),
    "ended before": ({"status": "ended", "ended": {"at": "2026-03-01T10:00"}}, "ended on 2026-03-01"),
}


@pytest.mark.parametrize("case", GAPS)
def test_an_agreement_covers_programme_and_day(case: str):
    changes, gap = GAPS[case]
    agreement = {"status": "signed", "programmes": [], "valid_from": "2026-01-01", "valid_until": "2026-12-31"}
    assert gap_of(agreement | changes, "p", "2026-03-02") == gap


async def test_near_misses_are_named(world: Running):
    late = ("plant", "internship.started", "i-10", "l-2", INTERNSHIP, 2)
    answer = await send(world, "plant", message(late) | {"time": "2026-07-01T12:00:00Z"})
    detail = answer.json()["detail"]
    assert "on 2026-07-01" in detail
    assert "a-1 is valid until 2026-06-30; a-3 is proposed" in detail


async def test_an_internship_that_began_under_an_agreement_may_end_after_it(world: Running):
    ended = message(("plant", "internship.completed", "i-1", "l-1", COMPLETED, 2)) | {"time": "2026-07-01T12:00:00Z"}
    assert (await send(world, "plant", ended)).status_code == 202


async def test_in_a_batch_one_may_refer_to_what_another_introduces_in_any_order(world: Running):
    programme = message(("uni", "programme.published", "together", None, OFFER, 1))
    begun = message(("uni", "learner.enrolled", "t-1", None, {"programme": "together"}, 2))
    done = {"programme": "together", "graduated_on": "2026-03-02"}
    graduated = message(("uni", "learner.graduated", "t-1", None, done, 3))
    job = message(("uni", "employment.recorded", "t-1-job", "t-1", EMPLOYED, 4))
    stranger = message(("uni", "employment.recorded", "t-2-job", "t-2", EMPLOYED, 4))
    answer = await send(world, "uni", [job, stranger, graduated, begun, programme])
    assert [item["status"] for item in answer.json()["items"]] == [202, 422, 202, 202, 202]


async def test_nobody_is_refused_because_the_registry_lags(world: Running, monkeypatch: pytest.MonkeyPatch):
    runner = world.service.runner
    assert runner is not None
    async with runner._batch:  # the registry's worker takes nothing in
        begun = message(("uni", "learner.enrolled", "late-1", None, {"programme": "mechanics"}, 2))
        assert (await send(world, "uni", begun)).status_code == 202
        job = message(("uni", "employment.recorded", "late-1-job", "late-1", EMPLOYED, 4))
        monkeypatch.setattr(service, "CURRENT_WITHIN_S", 0.2)
        rejected = await world.count("rejected")
        answer = await send(world, "uni", job)
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
        assert await world.count("rejected") == rejected
        monkeypatch.setattr(service, "CURRENT_WITHIN_S", 20)
        waiting = asyncio.create_task(send(world, "uni", job))
        known = message(("uni", "employment.recorded", "late-2-job", "l-2", EMPLOYED, 4))
        assert (await send(world, "uni", known)).status_code == 202  # what is known waits for nothing
        assert not waiting.done()
    assert (await waiting).status_code == 202


@pytest_asyncio.fixture
async def waited_for(world: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """Topics: the registry takes in what is waited for, and nothing else."""
    runner, topics = world.service.runner, list[str]()
    assert runner is not None

    async def current(topic: str, key: str | None = None) -> None:
        topics.append(topic)
        await runner._process(await world.read(topic))
        await runner._batches.flush()

    monkeypatch.setattr(world.service, "current", current)
    async with runner._batch:
        yield topics


async def test_nobody_is_refused_because_the_registry_lags_in_several_ways(world: Running, waited_for: list[str]):
    await world.publish(
        event(ProgrammePublished(title="Late", version="1", level=5), "late"),
        event(LearnerEnrolled(programme="late"), "late-3"),
    )
    graduated = {"programme": "late", "graduated_on": "2026-03-02"}
    answer = await send(world, "uni", message(("uni", "learner.graduated", "late-3", None, graduated, 3)))
    assert (answer.status_code, waited_for) == (202, ["programme", "learner"])


async def test_nobody_is_refused_because_an_internships_beginning_lags(world: Running, waited_for: list[str]):
    terms = TERMS | {"parties": ["uni", "works"], "valid_from": "2026-03-05", "valid_until": "2026-03-06"}
    began = InternshipStarted(enterprise="works", programme="mechanics")
    await world.publish(
        event(AgreementProposed(**terms), "short"),  # type: ignore[arg-type]
        event(AgreementSigned(), "short", by="enterprise:works", time=NOON + timedelta(minutes=1)),
        event(began, "i-short", "l-2", by="enterprise:works", time=datetime(2026, 3, 5, 12, tzinfo=UTC)),
    )
    done = COMPLETED | {"enterprise": "works"}
    answer = await send(world, "works", message(("works", "internship.completed", "i-short", "l-2", done, 20)))
    assert (answer.status_code, {*waited_for}) == (202, {"agreement", "programme", "learner"}), answer.text


async def test_in_a_batch_it_is_said_what_is_wrong_though_the_rest_is_there(world: Running):
    begun = message(("uni", "learner.enrolled", "placed", None, {"programme": "mechanics"}, 2))
    placed = INTERNSHIP | {"enterprise": "works"}
    started = message(("uni", "internship.started", "i-nowhere", "placed", placed, 25))
    accepted, refused = (await send(world, "uni", [begun, started])).json()["items"]
    assert (accepted["status"], refused["status"], refused["problem"]["rule"]) == (202, 422, "agreement")


async def test_what_was_accepted_before_its_begin_was_known_is_listed(world: Running):
    long = COMPLETED | {"hours": 300}
    await send(world, "plant", message(("plant", "internship.completed", "i-long", "l-2", long, 20)))
    answer = await send(world, "plant", message(("plant", "internship.started", "i-long", "l-2", INTERNSHIP, 19)))
    assert answer.status_code == 202, answer.text
    await world.applied()

    async def listed(**query: str) -> dict[str, str | None]:
        answer = await world.client.get("/internships", params=query, headers=world.token("uni", "institution"))
        return {item["id"]: item["implausible"] for item in answer.json()["items"]}

    assert {id: why and why[:9] for id, why in (await listed(implausible="true")).items()} == {"i-long": "300 hours"}
    assert len(await listed()) > 1


async def test_who_is_erased_stays_erased_and_nobody_is_refused_for_it(world: Running):
    await send(world, "uni", message(("uni", "learner.enrolled", "gone", None, {"programme": "mechanics"}, 2)))
    erased = message(("uni", "learner.erased", "gone", None, {}, 3))
    job = message(("uni", "employment.recorded", "gone-job", "gone", EMPLOYED, 4))
    for late in (erased, erased, job):
        assert (await send(world, "uni", late)).status_code == 202


async def test_while_a_registry_is_being_filled_only_what_is_anothers_is_refused(
    kafka: str, mongodb: str, tmp_path: Path
):
    async with running(
        core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, registry_checks="owners"
    ) as stack:
        await stack.publish(*registered(), event(LearnerEnrolled(programme="p"), "l"))
        await stack.applied()
        job = message(("plant", "employment.recorded", "j", "nobody-yet", EMPLOYED, 4))
        assert (await send(stack, "plant", job)).status_code == 202
        graduated = {"programme": "p", "graduated_on": "2026-03-02"}
        theirs = message(("college", "learner.graduated", "l", None, graduated, 4))
        assert (await send(stack, "college", theirs)).status_code == 403


def test_every_type_that_organisations_send_has_rules_or_needs_none():
    without = {
        type_
        for type_, data in DATA.items()
        if data not in {*RULES, *OWN_WORD} and not {Publisher.service, Publisher.operator} >= {*data.by}
    }
    assert without == {
        "praktika.opportunity.posted.v1",
        "praktika.demand.reported.v1",
        "praktika.recognition.withdrawn.v1",
        "praktika.indicator.rule_removed.v1",
    }
