"""Nobody speaks of what is another's, nor reads it."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.contract.events import (
    ActivityHeld,
    AgreementProposed,
    AgreementSigned,
    EmploymentRecorded,
    InternshipCompleted,
    InternshipStarted,
    LearnerEnrolled,
    OpportunityPosted,
    ProgrammePublished,
    ProgrammeRevisionRecommended,
    SupportRequested,
)
from tests.making import NOON, event
from tests.partners.conftest import JOINT, ORGANISATIONS, as_, enrolled
from tests.stack import Running

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TERMS = {"parties": ["uni", "plant"], "scope": "internships", "valid_from": "2026-01-01"}
KNOWN = [
    event(ProgrammePublished(title="Mechanics", version="1", level=6, joint_partners=[JOINT]), "p"),
    event(
        ProgrammeRevisionRecommended(
            recommendation="r1", competency="greencomp:1.1", window="2026Q1", ratings=5, satisfied=2, threshold=0.6
        ),
        "p",
        by="service:feedback",
    ),
    event(OpportunityPosted(kind="vacancy", title="Welder", places=2), "o", by="enterprise:plant"),
    event(ActivityHeld(kind="workshop", hours=2, participants=20), "w"),
    event(AgreementProposed(**TERMS), "a"),
    event(LearnerEnrolled(programme="p"), "l"),
]
PUBLISHED = {"title": "Taken", "version": "2", "level": 6}
FOREIGN = {
    "programme.published": ("college", "p", PUBLISHED),
    "programme.revised": ("college", "p", {"recommendation": "r1", "version": "2"}),
    "programme.revision_declined": ("college", "p", {"recommendation": "r1", "reason": "no"}),
    "opportunity.posted": ("works", "o", {"kind": "vacancy", "title": "Taken", "places": 1}),
    "opportunity.closed": ("works", "o", {"filled": 0}),
    "activity.held": ("plant", "w", {"kind": "workshop", "hours": 2, "participants": 1}),
    "agreement.proposed": ("works", "a", TERMS | {"parties": ["works", "uni"]}),
    "agreement.signed": ("works", "a", {}),
    "agreement.refused": ("works", "a", {"reason": "no"}),
    "agreement.ended": ("works", "a", {"reason": "no"}),
    "learner.enrolled": ("college", "l", {"programme": "p"}),
    "learner.graduated": ("college", "l", {"programme": "p", "graduated_on": "2026-06-30"}),
    "learner.erased": ("college", "l", {}),
    "support.requested": ("college", "s", {"need": "job"}),
    "support.closed": ("college", "s", {"outcome": "hired"}),
}

INTRODUCING = ("programme.published", "opportunity.posted", "activity.held", "agreement.proposed", "learner.enrolled")


def cloudevent(type_: str, by: str, subject: str, data: Any, **changes: Any) -> dict[str, Any]:
    about = {"subject": subject, "data": data} | ({"partitionkey": "l"} if type_.startswith("support") else {})
    return enrolled(type=f"praktika.{type_}.v1", source=f"/organisations/{by}", **(about | changes))


async def send(stack: Running, by: str, events: Any) -> httpx.Response:
    headers = as_(by, stack) | (BATCH if isinstance(events, list) else STRUCTURED)
    return await stack.client.post("/events", json=events, headers=headers)


@pytest.mark.parametrize("type_", FOREIGN)
async def test_what_is_anothers_is_refused_alone_and_in_a_batch(partners: Running, type_: str):
    await partners.publish(*KNOWN)
    await partners.applied()
    by, subject, data = FOREIGN[type_]
    topic = "learner" if type_.startswith("support") else type_.partition(".")[0]
    on_log = await partners.count(topic)
    alone = await send(partners, by, cloudevent(type_, by, subject, data))
    field = "partitionkey" if type_.startswith("support") else "subject"
    assert (alone.status_code, [e["field"] for e in alone.json()["errors"]]) == (403, [field])
    assert "belongs to" in alone.json()["detail"]
    assert topic != "learner" or "uni" not in alone.json()["detail"]
    unknown = {"partitionkey": f"own-{type_}"} if type_.startswith("support") else {}
    mine = cloudevent(type_, by, f"own-{type_}", data, **unknown)
    batch = await send(partners, by, [cloudevent(type_, by, subject, data), mine])
    introduced = type_ in INTRODUCING
    assert [item["status"] for item in batch.json()["items"]] == [403, 202 if introduced else 422]
    assert await partners.count(topic) == on_log + introduced


@pytest.mark.parametrize("type_", [type_ for type_ in FOREIGN if type_ != "learner.erased"])
async def test_what_is_ones_own_is_accepted(partners: Running, type_: str):
    await partners.publish(*KNOWN)
    await partners.applied()
    _, subject, data = FOREIGN[type_]
    owner = "plant" if type_.startswith("opportunity") else "uni"
    assert (await send(partners, owner, cloudevent(type_, owner, subject, data))).status_code == 202


async def test_signed_agreement_stays_as_it_is_and_its_history_may_be_sent_again(partners: Running):
    first = cloudevent("agreement.proposed", "uni", "signed", TERMS, time=NOON.isoformat())
    second = cloudevent("agreement.proposed", "plant", "signed", TERMS, time=(NOON + timedelta(minutes=1)).isoformat())
    await send(partners, "uni", first)
    await send(partners, "plant", second)
    await partners.publish(event(AgreementSigned(), "signed", time=NOON + timedelta(minutes=2)))
    await partners.applied()
    for by, other in (("uni", "all"), ("plant", "internships")):
        again = await send(partners, by, cloudevent("agreement.proposed", by, "signed", TERMS | {"scope": other}))
        assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "subject")
    assert (await send(partners, "uni", first)).status_code == 202
    assert (await send(partners, "plant", second)).status_code == 202
    await partners.applied()
    assert (await partners.client.get("/agreements/signed")).json()["status"] == "signed"


async def test_learner_enrolled_a_moment_ago_is_erased_by_no_other_institution(partners: Running):
    learner = enrolled()
    await send(partners, "uni", learner)
    erasure = cloudevent("learner.erased", "college", learner["subject"], {})
    assert (await send(partners, "college", [erasure])).json()["items"][0]["status"] == 403
    assert (await send(partners, "uni", cloudevent("learner.erased", "uni", learner["subject"], {}))).status_code == 202


# reading


async def read(stack: Running, by: str, path: str) -> httpx.Response:
    return await stack.client.get(path, headers=as_(by, stack))


async def test_entry_is_read_whole_by_its_institution_and_in_part_by_others(partners: Running):
    for organisation in ORGANISATIONS:
        by = f"{ORGANISATIONS[organisation]}:{organisation}"
        if organisation != "uni":
            await partners.publish(event(EmploymentRecorded(status="seeking"), f"j-{organisation}", "r-1", by=by))
    await partners.publish(
        event(LearnerEnrolled(programme="reading"), "r-1"),
        event(SupportRequested(need="counselling"), "s-1", "r-1"),
        event(InternshipStarted(enterprise="plant", programme="reading", agreement="a-1"), "i-1", "r-1"),
        event(EmploymentRecorded(status="employed", enterprise="works"), "j-1", "r-1"),
        event(InternshipStarted(enterprise="works", programme="reading"), "i-2", "r-2"),
        event(LearnerEnrolled(programme="reading"), "r-2"),
    )
    await partners.applied()
    for reader in ("uni", "operator"):
        whole = (await read(partners, reader, "/learners/r-1")).json()
        assert (len(whole["programmes"]), len(whole["support"]), len(whole["employment"])) == (1, 1, 4)
        assert [i["id"] for i in whole["internships"]] == ["i-1"]
        found = (await read(partners, reader, "/learners?programme=reading")).json()["items"]
        assert [learner["id"] for learner in found] == ["r-1", "r-2"]
        assert found[0] == whole
    for reader, jobs, internships in (("plant", ["j-plant"], ["i-1"]), ("works", ["j-works", "j-1"], [])):
        own = (await read(partners, reader, "/learners/r-1")).json()
        assert own.keys() == {"id", "internships", "employment", "applications"}
        assert sorted(job["id"] for job in own["employment"]) == sorted(jobs)
        assert [i["id"] for i in own["internships"]] == internships
        assert own in (await read(partners, reader, "/learners")).json()["items"]
        assert (await read(partners, reader, "/learners?programme=reading")).json()["items"] == []
        listed = (await read(partners, reader, "/internships?programme=reading")).json()["items"]
        assert [(i["id"], i["of"]) for i in listed] == [("i-1", "r-1") if reader == "plant" else ("i-2", "r-2")]
        assert not any("readers" in i for i in listed)
    assert [job["id"] for job in (await read(partners, "college", "/learners/r-1")).json()["employment"]] == [
        "j-college"
    ]
    assert (await read(partners, "college", "/learners/r-2")).status_code == 404


async def test_the_internship_of_another_enterprise_stays_as_it_is_and_unseen(partners: Running):
    completed = InternshipCompleted(enterprise="works", programme="reading", hours=1, outcome="passed")
    await partners.publish(
        event(LearnerEnrolled(programme="reading"), "r-3"),
        event(InternshipStarted(enterprise="plant", programme="reading", agreement="secret"), "i-3", "r-3"),
        event(completed, "i-3", "r-3", by="enterprise:works"),
    )
    await partners.applied()
    assert (await read(partners, "works", "/learners/r-3")).status_code == 404
    (theirs,) = (await read(partners, "plant", "/learners/r-3")).json()["internships"]
    assert (theirs["status"], theirs["agreement"]) == ("started", "secret")
