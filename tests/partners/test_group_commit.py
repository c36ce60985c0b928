"""Single events that come at the same time are judged together, and each is answered for itself."""

import asyncio
from typing import Any

import pytest

from services.partners.gateway.ingress import group_commit
from services.partners.gateway.ingress.group_commit import GroupCommit
from shared.contract.events import Publisher
from shared.http.auth import Caller
from shared.http.problems import Problem
from tests.partners.conftest import enrolled
from tests.partners.test_deduplication import send
from tests.stack import Running

UNI = Caller("uni", Publisher.institution)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The ids of each group that is judged; what is called `defect` meets one of ours."""
    judged, validated = list[list[str]](), group_commit.validated

    async def noted(items: list[Any], *about: Any, waits: bool) -> Any:
        judged.append([item["id"] for item in items])
        if any(item["id"].startswith("defect") for item in items):
            raise ZeroDivisionError
        return await validated(items, *about, waits=waits)

    monkeypatch.setattr(group_commit, "validated", noted)
    return judged


async def test_each_of_many_at_once_has_an_answer_of_its_own(partners: Running, groups: list[list[str]]):
    before = await partners.count("learner")
    strange = enrolled(data={"programme": "unheard-of", "cohort": "2026-01"})
    sent = [enrolled() for _ in range(20)] + [strange] + [enrolled() for _ in range(20)]
    answers = await asyncio.gather(*(send(partners, event) for event in sent))
    assert [answer.status_code for answer in answers] == [202] * 20 + [422] + [202] * 20
    assert answers[20].json()["rule"] == "programme"
    assert [answer.json().get("id", strange["id"]) for answer in answers] == [event["id"] for event in sent]
    assert len({answer.json().get("event") for answer in answers}) == 41
    assert await partners.count("learner") == before + 40
    assert sum(map(len, groups)) == 42, "what is refused is judged again by itself"
    assert len(groups) < 20, "those that came meanwhile were judged together"


async def test_of_two_contents_under_one_id_at_once_one_is_accepted(partners: Running):
    first = enrolled()
    second = first | {"data": {"programme": "mechanics", "cohort": "2027-01"}}
    answers = await asyncio.gather(*(send(partners, event) for event in (enrolled(), first, second)))
    assert [answer.status_code for answer in answers] == [202, 202, 409]


async def test_who_meets_a_defect_of_ours_stops_nobody_else(partners: Running, groups: list[list[str]]):
    singles = GroupCommit(partners.service.shared["memory"].recent)
    sent = [enrolled(id=id) for id in ("fine-1", "defect-2", "fine-3")]
    first, second, third = await asyncio.gather(
        *(singles.publish(item, partners.service, UNI) for item in sent), return_exceptions=True
    )
    assert isinstance(second, ZeroDivisionError)
    for accepted in (first, third):
        assert isinstance(accepted, tuple)
    assert groups == [["fine-1", "defect-2", "fine-3"], ["fine-1"], ["defect-2"], ["fine-3"]]


async def test_a_client_that_went_away_holds_nobody_up(partners: Running):
    singles, events = GroupCommit(partners.service.shared["memory"].recent), [enrolled() for _ in range(3)]
    waiting = [asyncio.create_task(singles.publish(item, partners.service, UNI)) for item in events]
    await asyncio.sleep(0)
    waiting[1].cancel()
    first, gone, third = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    for accepted in (first, third):
        assert not isinstance(accepted, Problem | BaseException)
    assert not singles._next
