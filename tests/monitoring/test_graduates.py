"""16,031 real graduates through the pure functions: the figures are those of a direct count over the file."""

import json

from deploy.demo import graduates
from deploy.demo.count import INDICATORS as COUNTED
from deploy.demo.count import count
from services.monitoring.figures import figures
from services.monitoring.indicators import INDICATORS
from services.monitoring.states import contributions, route
from shared.contract.events import Publisher, parse
from shared.processing import facts

Measures = dict[str, int]


def measures_of_programmes() -> dict[str, Measures]:
    """All cohorts' measures by programme."""
    programmes: dict[str, Measures] = {}
    for row in graduates.rows():
        state = facts.empty()
        for said in graduates.learner_events(row):
            keyed = {**said, "partitionkey": said.get("partitionkey", said["subject"])}
            event = parse(json.dumps({**keyed, "sourcekind": Publisher.institution}).encode())
            key = route(facts.from_event(event))
            state = facts.apply(state, event)
        assert key is not None
        for (_, id, _, measure), n in contributions(key, state).items():
            measures = programmes.setdefault(id, {})
            measures[measure] = measures.get(measure, 0) + n
    return programmes


def test_six_indicators_equal_a_direct_count_over_the_file_for_the_network_and_every_programme() -> None:
    expected, by_code = count(graduates.FILE)
    programmes = measures_of_programmes()
    network: Measures = {}
    for measures in programmes.values():
        for measure, n in measures.items():
            network[measure] = network.get(measure, 0) + n
    assert network["graduates"] == 16_031
    for indicator in COUNTED:
        assert figures(INDICATORS[indicator], network)[1:3] == expected[indicator]
        for code, counts in by_code.items():
            measures = programmes[f"{graduates.UNIVERSITY}:{code or graduates.NO_CODE}"]
            assert figures(INDICATORS[indicator], measures)[1:3] == counts[indicator]
