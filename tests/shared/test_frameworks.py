"""Competency frameworks: which version is in force, what counts since when, and what an event is stamped with."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract import events as e
from shared.contract.events import Data, Event
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.frameworks import Framework, Frameworks, Item, item_of, misfit, route, view
from shared.processing.mongo import Key
from tests.making import NOON, event, examples

OPERATOR = "operator:operator"
HEAT_PUMP, STEAM = "esco:heat-pump", "esco:steam"


def defined(version: str, item: str = HEAT_PUMP, hours: int = 0, **more: Any) -> Event[Data]:
    said: dict[str, Any] = {"name": {"en": f"name in {version}"}} | more
    data = e.FrameworkItemDefined(framework="esco", version=version, **said)
    return event(data, item, "esco", by=OPERATOR, time=NOON + timedelta(hours=hours))


def published(version: str, hours: int, **more: Any) -> Event[Data]:
    data = e.FrameworkPublished(version=version, name={"en": "ESCO"}, items=1, **more)
    return event(data, "esco", by=OPERATOR, time=NOON + timedelta(hours=hours))


def known(*told: Event[Data]) -> Frameworks:
    """What a service knows after these events."""
    states: dict[Key, State] = {}
    for one in told:
        key = route(facts.from_event(one))
        assert key is not None
        states[key] = facts.apply(states.get(key, facts.empty()), one)
    versions = {key.id: view(key, state)["versions"] for key, state in states.items() if key.collection == "frameworks"}
    items: dict[str, dict[str, Item]] = {id: {} for id in versions}
    for key, state in states.items():
        if key.collection == "framework_items":
            shown = view(key, state)
            item = item_of(key.id, shown["versions"], versions.get(shown["framework"], []))
            if item:
                items[shown["framework"]][key.id] = item
    return Frameworks({id: Framework(id, versions[id], items[id]) for id in versions})


def at(hours: int) -> str:
    return e.timestamp(NOON + timedelta(hours=hours))


def test_a_version_that_was_imported_in_part_changes_nothing():
    half = known(defined("1"), published("1", 1), defined("2", hours=2, sustainability=True), defined("2", STEAM, 2))
    item = half.item(HEAT_PUMP)
    assert item is not None
    assert (item.name["en"], item.version, item.since) == ("name in 1", "1", None)
    assert half.item(STEAM) is None
    assert known(defined("1")).item(HEAT_PUMP) is None, "nothing of it is published"


def test_an_item_that_the_version_in_force_does_not_have_stays_readable_and_is_not_offered():
    later = known(defined("1"), published("1", 1), defined("2", STEAM, 2), published("2", 3))
    assert later.name(HEAT_PUMP, "ru") == "name in 1", "there is no Russian one"
    assert HEAT_PUMP not in later.offered(10)
    assert STEAM in later.offered(10)
    assert STEAM not in later.offered(0), "a large framework is searched and not listed"
    assert "greencomp:3.1" in later.offered(0)


def test_an_item_counts_since_the_first_of_the_versions_that_say_so_without_a_break():
    once = [defined("1"), published("1", 1), defined("2", hours=2, sustainability=True), published("2", 3)]
    again = [defined("3", hours=4, sustainability=True), published("3", 5)]
    ended = [defined("4", hours=6), published("4", 7)]
    anew = [defined("5", hours=8), published("5", 9, sustainability=True)]
    for told, since in (
        (once[:2], None), (once, at(3)), (once + again, at(3)), (once + again + ended, None),
        (once + again + ended + anew, at(9)),
    ):  # fmt: skip
        found = known(*told)
        item = found.item(HEAT_PUMP)
        assert item is not None
        assert (item.since, found.counts(HEAT_PUMP)) == (since, since is not None)


def test_of_a_closed_framework_only_what_one_of_its_versions_has_may_be_named():
    told = [defined("1"), published("1", 1), defined("2", STEAM, 2)]
    is_open, closed = known(*told, published("2", 3)), known(*told, published("2", 3, closed=True))
    for competency, taken in ((HEAT_PUMP, True), (STEAM, True), ("esco:other", False), ("national:weld", True)):
        assert is_open.is_known(competency)
        assert closed.is_known(competency) is taken
    for none in (Frameworks(), closed):
        assert (none.is_known("greencomp:3.1"), none.is_known("greencomp:9.9")) == (True, False)


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_any_order_and_repetition_of_what_is_said_of_frameworks_gives_the_same(data: st.DataObject):
    told = [
        *(defined(v, i, n, **more) for n, (v, i, more) in enumerate(
            (v, i, more) for v in "123" for i in (HEAT_PUMP, STEAM) for more in ({}, {"sustainability": True})
        )),
        *(published(version, 20 + int(version)) for version in "123"),
    ]  # fmt: skip
    some = data.draw(st.lists(st.sampled_from(told), min_size=1, unique_by=id))
    repeated = data.draw(st.lists(st.sampled_from(some), max_size=5))
    assert known(*some) == known(*data.draw(st.permutations([*some, *repeated])))


PROGRAMME = e.ProgrammePublished(
    title="x", version="1", level=4,
    competencies=[e.ProgrammeCompetency(competency=c, level=4) for c in (HEAT_PUMP, "greencomp:3.1", STEAM, HEAT_PUMP)],
)  # fmt: skip


def test_an_event_is_stamped_with_what_counts_besides_what_is_built_in():
    found = known(defined("1", sustainability=True), defined("1", STEAM), published("1", 1))
    stamped = found.stamped(event(PROGRAMME, "p"))
    assert stamped.sustainable == HEAT_PUMP
    assert Frameworks().stamped(stamped).sustainable is None, "whatever it said before"
    assert found.stamped(event(e.OrganisationSuspended(reason="x"), "uni")).sustainable is None
    raw = e.serialise(stamped)
    fact = facts.decode(raw).fact
    assert fact == facts.from_event(e.parse(raw)).fact, "both ways of reading it keep the stamp"
    assert facts.is_sustainability(fact, HEAT_PUMP)
    assert facts.is_sustainability(fact, "greencomp:3.1")
    assert not facts.is_sustainability(fact, STEAM)


def test_the_same_event_stamped_otherwise_is_the_same_fact_and_of_the_two_less_counts():
    before = event(PROGRAMME, "p", id="e-1")
    after = before.model_copy(update={"sustainable": HEAT_PUMP})
    for told in ((before, after), (after, before), (after, before, after)):
        state = facts.empty()
        for one in told:
            state = facts.apply(state, one)
        (fact,) = facts.facts(state, "programme.published").values()
        assert not facts.is_sustainability(fact, HEAT_PUMP)
        assert state["bytes"] == facts.apply(facts.empty(), before)["bytes"]


def test_an_event_of_before_is_read_as_ever():
    raw = json.loads(e.serialise(event(PROGRAMME, "p")))
    assert "sustainable" not in raw
    assert "sustainable" not in facts.decode(json.dumps(raw).encode()).fact


@pytest.mark.parametrize(
    ("subject", "framework", "wrong"),
    [
        ("esco:a", "esco", None),
        ("esco:a", "national", "subject"),
        ("escoa", "esco", "subject"),
        ("esco:a:b", "esco", "subject"),
        ("greencomp:9.9", "greencomp", "partitionkey"),
    ],
)
def test_an_item_is_of_its_framework_and_none_of_what_is_built_in(subject: str, framework: str, wrong: str | None):
    data = e.FrameworkItemDefined(framework=framework, version="1", name={"en": "x"})
    found = misfit(event(data, subject, framework, by=OPERATOR))
    assert (found and found[0]) == wrong
    if framework == "greencomp":
        assert route(facts.from_event(event(data, subject, framework, by=OPERATOR))) is None
