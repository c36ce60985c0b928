"""Commands become events once the registry allows them; lists show what events have said."""

from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.partners.app import core, router
from shared.contract.events import (
    InternshipCompleted,
    InternshipStarted,
    LearnerEnrolled,
    LearnerErased,
    OpportunityPosted,
    ProgrammeRevisionRecommended,
)
from shared.http import service
from tests.making import event
from tests.partners.conftest import ORGANISATIONS, as_
from tests.stack import Running, running

MECHANICS = {"title": "Mechanics", "version": "1", "level": 6, "hours_theory": 1200, "hours_workplace": 300}
TERMS = {"parties": ["uni", "plant"], "scope": "internships", "valid_from": "2026-01-01"}


async def put(stack: Running, url: str, body: Any, by: str) -> httpx.Response:
    return await stack.client.put(url, json=body, headers=as_(by, stack))


async def post(stack: Running, url: str, by: str, body: Any = None) -> httpx.Response:
    return await stack.client.post(url, json=body, headers=as_(by, stack))


async def get(stack: Running, url: str, by: str | None = None) -> Any:
    response = await stack.client.get(url, headers=as_(by, stack) if by else {})
    assert response.status_code == 200, response.text
    return response.json()


# commands in general


async def test_command_without_a_wait_is_answered_with_its_event(partners: Running):
    entry = {"kind": "enterprise", "name": "Forge", "region": "RU-KEM"}
    headers = partners.token("operator", "operator")
    response = await partners.client.put("/organisations/forge", json=entry, headers=headers)
    assert response.status_code == 202
    assert response.json()["type"] == "praktika.organisation.registered.v1"
    assert response.json()["event"] == response.headers["Location"]
    await partners.applied()
    assert (await get(partners, response.headers["Location"], "operator"))["applied"] is True


async def test_repeated_command_answers_the_state_and_publishes_nothing(partners: Running):
    entry = {"kind": "enterprise", "name": "Mill", "region": "RU-KEM"}
    first = await put(partners, "/organisations/mill", entry, "operator")
    published = await partners.count("organisation")
    second = await put(partners, "/organisations/mill", entry, "operator")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert await partners.count("organisation") == published


async def test_changed_entry_is_published_anew(partners: Running):
    entry = {"kind": "enterprise", "name": "Foundry", "region": "RU-KEM"}
    await put(partners, "/organisations/foundry", entry, "operator")
    changed = await put(partners, "/organisations/foundry", entry | {"name": "New Foundry"}, "operator")
    assert changed.json()["name"] == "New Foundry"


async def test_command_counts_although_the_one_before_is_not_applied_yet(partners: Running):
    entry, operator = (
        {"kind": "enterprise", "name": "Quick", "region": "RU-KEM"},
        partners.token("operator", "operator"),
    )
    await put(partners, "/organisations/quick", entry, "operator")
    await post(partners, "/organisations/quick/suspension", "operator", {"reason": "first"})
    for step, body in (("reinstatement", None), ("suspension", {"reason": "second"})):
        url = f"/organisations/quick/{step}"
        assert (await partners.client.post(url, json=body, headers=operator)).status_code == 202
    await partners.applied()
    assert (await get(partners, "/organisations/quick"))["status"] == "suspended"


async def test_party_registered_a_moment_ago_is_known(partners: Running):
    entry, operator = {"kind": "enterprise", "name": "New", "region": "RU-KEM"}, partners.token("operator", "operator")
    await partners.client.put("/organisations/newcomer", json=entry, headers=operator)
    proposed = await put(partners, "/agreements/a-new", TERMS | {"parties": ["uni", "newcomer"]}, "uni")
    assert proposed.status_code == 200, proposed.text


async def test_command_that_cannot_know_what_was_said_before_asks_to_come_again(
    kafka: str, mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CURRENT_WITHIN_S", 0.3)
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, role="api") as stack:
        headers = stack.token("operator", "operator")
        entry = {"kind": "enterprise", "name": "Quick", "region": "RU-KEM"}
        assert (await stack.client.put("/organisations/quick", json=entry, headers=headers)).status_code == 202
        again = await stack.client.put("/organisations/quick", json=entry, headers=headers)
        assert (again.status_code, again.headers["Retry-After"]) == (503, "5")
        assert await stack.count("organisation") == 1


async def test_only_the_operator_registers_and_suspends(partners: Running):
    entry = {"kind": "enterprise", "name": "Own", "region": "RU-KEM"}
    assert (await put(partners, "/organisations/own", entry, "plant")).status_code == 403
    assert (await post(partners, "/organisations/uni/suspension", "plant", {"reason": "x"})).status_code == 403
    assert (await post(partners, "/organisations/uni/reinstatement", "plant")).status_code == 403


async def test_operator_is_no_organisation(partners: Running):
    entry = {"kind": "enterprise", "name": "Operator", "region": "RU-KEM"}
    assert (await put(partners, "/organisations/operator", entry, "operator")).status_code == 422


async def test_unknown_organisation_is_not_suspended(partners: Running):
    assert (await post(partners, "/organisations/nobody/suspension", "operator", {"reason": "x"})).status_code == 404


# agreements


async def test_agreement_goes_from_proposal_to_its_end(partners: Running):
    url = "/agreements/a-1"
    assert (await put(partners, url, TERMS, "uni")).json()["status"] == "proposed"
    assert (await post(partners, f"{url}/end", "uni", {"reason": "done"})).status_code == 409
    assert (await post(partners, f"{url}/refusal", "plant", {"reason": "too long"})).json()["status"] == "refused"
    assert (await post(partners, f"{url}/signature", "plant")).json()["status"] == "signed"
    assert (await post(partners, f"{url}/refusal", "plant", {"reason": "no"})).status_code == 409
    assert (await put(partners, url, TERMS | {"scope": "more"}, "uni")).status_code == 409
    ended = (await post(partners, f"{url}/end", "plant", {"reason": "done"})).json()
    assert (ended["status"], ended["ended"]["by"]) == ("ended", "plant")
    assert (await post(partners, f"{url}/signature", "uni")).json()["status"] == "ended"
    assert (await put(partners, url, TERMS, "plant")).json()["status"] == "ended"


async def test_repeated_step_answers_the_state_and_publishes_nothing(partners: Running):
    url = "/agreements/a-2"
    await put(partners, url, TERMS, "uni")
    for step, body in (("refusal", {"reason": "x"}), ("signature", None), ("end", {"reason": "x"})):
        done = await post(partners, f"{url}/{step}", "plant", body)
        published = await partners.count("agreement")
        again = await post(partners, f"{url}/{step}", "plant", body)
        assert (again.status_code, again.json()) == (200, done.json())
        assert await partners.count("agreement") == published


async def test_stranger_takes_no_step_of_an_agreement(partners: Running):
    url = "/agreements/a-3"
    await put(partners, url, TERMS, "uni")
    for step, body in (("signature", None), ("refusal", {"reason": "x"}), ("end", {"reason": "x"})):
        assert (await post(partners, f"{url}/{step}", "works", body)).status_code == 403
    assert (await put(partners, url, TERMS | {"parties": ["works", "uni"]}, "works")).status_code == 403
    assert (await post(partners, "/agreements/nothing/signature", "uni")).status_code == 404


@pytest.mark.parametrize(
    ("parties", "field"),
    [
        (["uni", "nobody"], "parties.1"),
        (["plant", "works"], "parties"),
        (["uni", "uni"], "parties"),
        (["uni"], "parties"),
    ],
)
async def test_parties_are_registered_and_name_the_proposer(partners: Running, parties: list[str], field: str):
    response = await put(partners, "/agreements/a-4", TERMS | {"parties": parties}, "uni")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


async def test_agreements_are_found_by_party_and_status(partners: Running):
    await put(partners, "/agreements/a-5", TERMS | {"parties": ["college", "works"], "programmes": ["p9"]}, "college")
    found = await get(partners, "/agreements?party=works&status=proposed&programme=p9")
    assert [a["id"] for a in found["items"]] == ["a-5"]
    assert (await get(partners, "/agreements?party=works&status=ended"))["items"] == []


# programmes


async def test_programme_is_its_institutions(partners: Running):
    published = await put(partners, "/programmes/mechanics", MECHANICS, "uni")
    assert (published.json()["institution"], published.json()["version"]) == ("uni", "1")
    assert (await put(partners, "/programmes/mechanics", MECHANICS | {"version": "2"}, "college")).status_code == 403
    assert (await put(partners, "/programmes/plants", MECHANICS, "plant")).status_code == 403
    second = await put(partners, "/programmes/mechanics", MECHANICS | {"version": "2"}, "uni")
    assert second.json()["version"] == "2"


async def test_recommendation_is_answered_by_the_institution(partners: Running):
    await put(partners, "/programmes/welding", MECHANICS, "uni")
    recommended = ProgrammeRevisionRecommended(
        recommendation="r1", competency="greencomp:1.1", window="2026Q1", ratings=5, satisfied=2, threshold=0.6
    )
    await partners.publish(event(recommended, "welding", by="service:feedback"))
    await partners.applied()
    assert [p["id"] for p in (await get(partners, "/programmes?recommendation=open"))["items"]] == ["welding"]
    url, declined = "/programmes/welding/revision-refusal", {"recommendation": "r1", "reason": "no demand"}
    assert (await post(partners, url, "college", declined)).status_code == 403
    assert (await post(partners, url, "uni", declined | {"recommendation": "r2"})).status_code == 404
    first = await post(partners, url, "uni", declined)
    assert first.json()["recommendations"][0]["status"] == "declined"
    published = await partners.count("programme")
    assert (await post(partners, url, "uni", declined)).json() == first.json()
    assert await partners.count("programme") == published
    revised = await post(partners, "/programmes/welding/revision", "uni", {"recommendation": "r1", "version": "2"})
    assert revised.json()["recommendations"][0]["status"] == "revised"


# lists


async def test_pages_hold_every_entry_once(partners: Running):
    seen, url = [], "/organisations?limit=2"
    while url:
        page = await get(partners, url)
        seen += [entry["id"] for entry in page["items"]]
        url = page["next"] and f"/organisations?limit=2&after={page['next']}"
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen))
    assert ORGANISATIONS.keys() <= set(seen)


async def test_organisations_are_found_by_kind_and_region(partners: Running):
    found = await get(partners, "/organisations?kind=institution&region=RU-KEM&status=registered")
    assert [entry["id"] for entry in found["items"]] == ["college", "uni"]
    assert (await get(partners, "/organisations?region=RU-MOW"))["items"] == []
    assert (await partners.client.get("/organisations?kind=university")).status_code == 422


async def test_an_offer_whose_last_day_has_passed_is_expired_and_not_open(partners: Running):
    old = {"kind": "vacancy", "title": "Welder", "places": 1, "closes_on": date(2026, 1, 31)}
    await partners.publish(event(OpportunityPosted(**old), "o-old", by="enterprise:plant"))
    await partners.applied()
    assert (await get(partners, "/opportunities/o-old"))["status"] == "expired"
    listed = {s: (await get(partners, f"/opportunities?status={s}"))["items"] for s in ("open", "expired")}
    assert "o-old" not in [item["id"] for item in listed["open"]]
    assert [(item["id"], item["status"]) for item in listed["expired"]] == [("o-old", "expired")]


async def test_opportunities_are_found_by_enterprise(partners: Running):
    posted = OpportunityPosted(kind="vacancy", title="Welder", places=2)
    await partners.publish(event(posted, "o-1", by="enterprise:plant"))
    await partners.applied()
    found = await get(partners, "/opportunities?enterprise=plant&status=open&kind=vacancy")
    assert [entry["id"] for entry in found["items"]] == ["o-1"]
    assert (await get(partners, "/opportunities/o-1"))["places"] == 2


async def test_entry_of_which_only_an_answer_is_known_is_not_shown(partners: Running):
    recommended = ProgrammeRevisionRecommended(
        recommendation="r1", competency="greencomp:1.1", window="2026Q1", ratings=5, satisfied=2, threshold=0.6
    )
    await partners.publish(event(recommended, "unpublished", by="service:feedback"))
    await partners.applied()
    assert (await partners.client.get("/programmes/unpublished")).status_code == 404
    assert "unpublished" not in [p["id"] for p in (await get(partners, "/programmes"))["items"]]


async def test_learner_is_shown_to_the_organisations_concerned(partners: Running):
    internship = {"enterprise": "plant", "programme": "mechanics"}
    await partners.publish(
        event(LearnerEnrolled(programme="mechanics"), "l-1"),
        event(InternshipStarted(**internship), "i-1", "l-1"),
        event(LearnerEnrolled(programme="mechanics"), "l-2"),
        event(InternshipCompleted(**internship | {"enterprise": "works"}, hours=80, outcome="passed"), "i-1", "l-2"),
    )
    await partners.applied()
    assert (await partners.client.get("/learners")).status_code == 401
    assert [entry["id"] for entry in (await get(partners, "/learners", "plant"))["items"]] == ["l-1"]
    assert (await partners.client.get("/learners/l-2", headers=as_("plant", partners))).status_code == 404
    assert (await get(partners, "/learners/l-2", "uni"))["internships"][0]["hours"] == 80
    assert len((await get(partners, "/learners?programme=mechanics", "operator"))["items"]) == 2
    found = (await get(partners, "/internships?status=started", "uni"))["items"]
    assert [(i["id"], i["of"]) for i in found] == [("i-1", "l-1")]
    page = await get(partners, "/internships?limit=1", "uni")
    rest = await get(partners, f"/internships?limit=1&after={page['next']}", "uni")
    assert [i["of"] for i in page["items"] + rest["items"]] == ["l-1", "l-2"]
    assert rest["next"] is None


async def test_erased_learner_is_in_no_list(partners: Running):
    await partners.publish(
        event(InternshipStarted(enterprise="plant", programme="mechanics"), "i-9", "l-9"),
        event(LearnerErased(), "l-9"),
        event(LearnerEnrolled(programme="mechanics"), "l-9"),
    )
    await partners.applied()
    assert (await partners.client.get("/learners/l-9", headers=as_("operator", partners))).status_code == 404
    assert "l-9" not in [entry["id"] for entry in (await get(partners, "/learners", "operator"))["items"]]
    assert "i-9" not in [entry["id"] for entry in (await get(partners, "/internships", "operator"))["items"]]


async def test_a_command_that_is_no_json_is_told_so_of_its_body(partners: Running):
    headers = as_("operator", partners) | {"Content-Type": "application/json"}
    answer = await partners.client.put("/organisations/broken", content=b'{"kind": ', headers=headers)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["body"])
