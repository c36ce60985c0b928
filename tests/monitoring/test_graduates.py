"""16,031 real graduates through the pure functions: the figures are those of a direct count over the file."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta

from deploy.demo import graduates
from deploy.demo.count import INDICATORS as COUNTED
from deploy.demo.count import count
from deploy.demo.network import Json
from services.monitoring.figures import caveats, figures, shown, sum_of
from services.monitoring.indicators import INDICATORS
from services.monitoring.states import contributions, route
from shared.contract.events import Publisher, parse
from shared.processing import facts

Measures = dict[str, int]


def measures_of_programmes(told: Callable[[graduates.Row], Iterable[Json]]) -> dict[str, Measures]:
    """All cohorts' measures by programme, from what is told of each graduate."""
    programmes: dict[str, Measures] = {}
    for row in graduates.rows():
        state = facts.empty()
        for said in told(row):
            keyed = {**said, "partitionkey": said.get("partitionkey", said["subject"])}
            event = parse(json.dumps({**keyed, "sourcekind": Publisher.institution}).encode())
            key = route(facts.from_event(event))
            state = facts.apply(state, event)
        assert key is not None
        for (_, id, _, measure), n in contributions(key, state).items():
            measures = programmes.setdefault(id, {})
            measures[measure] = measures.get(measure, 0) + n
    return programmes


def in_spells(row: graduates.Row) -> Iterator[Json]:
    """The same person as a register tells it: hired once, and ended before a survey that does not find work."""
    is_at_work = False
    for said in graduates.learner_events(row):
        if said["type"] != "praktika.employment.recorded.v1":
            yield said
        elif said["data"]["status"] not in ("employed", "self_employed"):
            if is_at_work:
                yield ended(said)
                is_at_work = False
            yield said
        elif not is_at_work:
            is_at_work = True
            yield {**said, "subject": f"{said['partitionkey']}-job", "data": {**said["data"], "basis": "register"}}
    if is_at_work and not row["situationProN30"]:
        yield ended({**said, "time": f"{int(row['annee']) + 2}-12-01T00:00:00Z"})


def ended(survey: Json) -> Json:
    """A job's end on the day before a survey."""
    day = date.fromisoformat(survey["time"][:10]) - timedelta(days=1)
    subject, id = f"{survey['partitionkey']}-job", f"{survey['id']}-ended"
    said = {"type": "praktika.employment.ended.v1", "subject": subject, "id": id}
    return {**survey, **said, "data": {"ended_on": day.isoformat()}}


def test_hired_and_ended_spells_give_the_counts_of_the_survey_and_the_bounds_of_the_unknown() -> None:
    expected, _ = count(graduates.FILE)
    network = sum_of(measures_of_programmes(in_spells))
    for indicator in ("employment_rate_18m", "employment_rate_30m"):
        assert figures(INDICATORS[indicator], network)[1:3] == expected[indicator]
    entry = INDICATORS["employment_rate_30m"]
    found = caveats(entry, network, shown(entry, network, 5), 5, 0.5)
    assert found["left_out"] == [{"reason": "unknown", "n": 4_938}]
    assert (found["lower"], found["upper"]) == (8_898 / 16_031, (8_898 + 4_938) / 16_031)
    assert (found["coverage"], found["thin"]) == (11_093 / 16_031, False)


def test_six_indicators_equal_a_direct_count_over_the_file_for_the_network_and_every_programme() -> None:
    expected, by_code = count(graduates.FILE)
    programmes = measures_of_programmes(graduates.learner_events)
    network = sum_of(programmes)
    assert network["graduates"] == 16_031
    for indicator in COUNTED:
        assert figures(INDICATORS[indicator], network)[1:3] == expected[indicator]
        for code, counts in by_code.items():
            measures = programmes[f"{graduates.UNIVERSITY}:{code or graduates.NO_CODE}"]
            assert figures(INDICATORS[indicator], measures)[1:3] == counts[indicator]
