"""Whom an event concerns is a pure function, and no wider than what the registry would let an organisation read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.partners.gateway.contract.examples import EXAMPLES
from services.partners.gateway.egress.audience import RULES, Known, audience_of
from services.partners.network.registry import OPERATOR, route, view
from shared.contract import events
from shared.contract.events import DATA, Data, Event, organisation_of
from shared.processing import facts
from shared.processing.mongo import Key
from tests.making import after, event

INSTITUTIONS, ENTERPRISES = ("uni", "college"), ("plant", "works")
LEARNER = "learner-17"


def test_every_type_has_its_rules():
    assert RULES.keys() == set(DATA.values())


def test_who_publishes_is_concerned():
    for example in EXAMPLES.values():
        if example.source.startswith("/organisations/"):
            assert organisation_of(example.source) in audience_of(example, Known())


def test_what_is_said_in_the_sandbox_is_for_nobody_else():
    data = events.InternshipStarted(enterprise="plant", programme="mechanics")
    tried = event(data, "i", LEARNER, by="enterprise:works").model_copy(update={"sandbox": True})
    assert audience_of(tried, Known(learners={LEARNER: {"institutions": ["uni"]}})) == {"works"}


def test_which_groups_a_learner_belongs_to_is_sent_to_nobody_and_shown_to_nobody():
    enrolled = event(events.LearnerEnrolled(programme="mechanics"), LEARNER)
    said = event(events.LearnerDescribed(sex=events.Sex.female, disability=True), LEARNER)
    known = Known(learners={LEARNER: {"institutions": ["uni", "college"], "readers": ["uni", "college", "plant"]}})
    assert audience_of(said, known) == {"uni"}
    before, then = after(facts.empty(), enrolled), after(facts.empty(), enrolled, said)
    assert before != then
    assert view(Key("learners", LEARNER), before) == view(Key("learners", LEARNER), then)
    assert after(then, event(events.LearnerDescribed(), LEARNER, by="institution:college")) is then


def names(value: Any) -> set[str]:
    """Every text within a value, and the organisation of what is written organisation/assessment."""
    if isinstance(value, dict):
        return set().union(*map(names, value.values()))
    if isinstance(value, list):
        return set().union(*map(names, value))
    return {str(value), str(value).partition("/")[0]}


def told_of(annulment: Event[Data], *said: Event[Data]) -> set[str]:
    """Who is sent an annulment, by what the registry shows once it is applied."""
    state = after(facts.empty(), *said, annulment)
    return audience_of(annulment, Known(learners={LEARNER: view(Key("learners", LEARNER), state)}))


def test_whom_an_event_concerned_is_told_that_it_was_taken_back():
    enrolled = event(events.LearnerEnrolled(programme="mechanics"), LEARNER, id="enrolled")
    about: dict[str, Any] = {"enterprise": "plant", "programme": "mechanics"}
    completed = event(events.InternshipCompleted(hours=8, outcome="passed", **about), "i", LEARNER, id="completed")
    annulled = event(events.InternshipAnnulled(event="completed", reason="goes on"), "i", LEARNER)
    assert told_of(annulled, enrolled, completed) == {"uni", "plant"}
    by_operator = events.LearnerAnnulled(event="enrolled", organisation="uni", reason="another learner")
    assert told_of(event(by_operator, LEARNER, by="operator:operator"), enrolled) >= {"uni"}


def test_nobody_is_concerned_whom_neither_the_event_nor_its_entity_names():
    for example in EXAMPLES.values():
        named = names(example.model_dump(mode="json")) | {organisation_of(example.source)}
        assert audience_of(example, Known()) <= named


@pytest.mark.parametrize(
    ("data", "by", "whom"),
    [
        (events.AgreementSigned(), "enterprise:plant", {"plant", "uni"}),
        (events.AgreementEnded(reason="over"), "institution:uni", {"plant", "uni"}),
        (events.ProgrammeRevised(recommendation="r", version="2"), "institution:uni", {"uni", "works"}),
        (
            events.ProgrammeRevisionRecommended(
                recommendation="r", competency="greencomp:3.1", window="2026Q1", ratings=9, satisfied=1, threshold=0.5
            ),
            "service:feedback",
            {"uni", "works"},
        ),
        (events.OrganisationSuspended(reason="lost"), "operator:operator", {"entity", "operator"}),
        (events.CompetencyRevoked(reason="by mistake"), "service:certification", {"uni"}),
        (
            events.CompetencyCertified(
                competency="greencomp:3.1",
                level=4,
                scheme="s",
                institution="college",
                evidence=["works/a1", "uni/a2"],
                address="/certificates/c",
            ),
            "service:certification",
            {"college", "works", "uni"},
        ),
        (
            events.ActivityHeld(kind=events.ActivityKind.workshop, organisations=["uni"], hours=2, participants=9),
            "enterprise:plant",
            {"plant", "uni"},
        ),
        (events.OpportunityClosed(filled=1), "enterprise:plant", {"plant"}),
        (events.FeedbackErased(), "service:feedback", set()),
        (
            events.IndicatorAlerted(
                indicator="i", scope="programme", scope_id="entity", value=0, threshold=1, window="w", n=9
            ),
            "service:monitoring",
            {"uni", "works"},
        ),
        (
            events.IndicatorAlerted(
                indicator="i", scope="enterprise", scope_id="plant", value=0, threshold=1, window="w", n=9
            ),
            "service:monitoring",
            {"plant"},
        ),
        (
            events.IndicatorAlerted(
                indicator="i",
                scope="programme",
                scope_id="entity",
                value=0,
                threshold=1,
                window="w",
                n=9,
                organisation="uni",
            ),
            "service:monitoring",
            {"uni"},
        ),
        (
            events.IndicatorAcknowledged(indicator="i", scope="programme", scope_id="entity", window="w"),
            "operator:operator",
            {"operator", "uni"},
        ),
    ],
)
def test_parties_partners_and_institutions_hear_of_what_is_theirs(data: Data, by: str, whom: set[str]):
    known = Known(
        learners={LEARNER: {"institutions": ["uni"]}},
        agreements={"entity": {"parties": ["plant", "uni"]}},
        programmes={"entity": {"institution": "uni", "joint_partners": [{"organisation": "works"}]}},
    )
    key = LEARNER if data.topic == "learner" else "entity"
    assert audience_of(event(data, "entity", key, by=by), known) == whom


def test_demand_offers_and_recognition_reach_the_institutions_of_the_region():
    horizon, since = "2027-01-01", "2026-01-01"
    demand = {"competency": "welding:tig", "places": 9, "horizon": horizon, "research": "plan"}
    told: list[tuple[Data, str]] = [
        (events.DemandReported.model_validate(demand), "plant"),
        (events.DemandReported.model_validate(demand | {"of": "RU-KEM"}), "RU-KEM"),
        (events.OpportunityPosted(kind=events.OpportunityKind.vacancy, title="Welder", places=1), "plant"),
        (events.RecognitionGranted.model_validate({"competency": "welding:tig", "since": since}), "plant"),
    ]
    for data, of in told:
        known = Known(institutions={of: frozenset({"uni", "college"})})
        assert audience_of(event(data, "one", "welding:tig", by="enterprise:plant"), known) == {
            "plant",
            "uni",
            "college",
        }
    about = {"indicator": "i", "scope": "region", "scope_id": "RU-KEM", "value": 0, "threshold": 1, "window": "w"}
    alert = event(events.IndicatorAlerted(**about, n=9), "rule", by="service:monitoring")
    assert audience_of(alert, Known(institutions={"RU-KEM": frozenset({"uni"})})) == {"uni"}


def test_an_enterprise_is_not_told_how_it_was_rated_nor_what_a_learner_is_asked():
    known = Known(learners={LEARNER: {"institutions": ["uni"]}}, programmes={"mechanics": {"institution": "college"}})
    for role, respondent, whom in (
        ("learner", LEARNER, {"uni", "college"}),
        ("enterprise", "plant", {"uni", "college", "plant"}),
    ):
        asked = events.FeedbackRequested(
            role=events.FeedbackRole(role),
            respondent=respondent,
            learner=LEARNER,
            enterprise="plant",
            programme="mechanics",
            due="2026-05-01",
        )
        assert audience_of(event(asked, "request-1", by="service:feedback"), known) == whom
    rated = events.FeedbackSubmitted(
        role=events.FeedbackRole.learner, enterprise="plant", programme="mechanics", overall=1
    )
    assert audience_of(event(rated, "answer-1", by="institution:uni"), known) == {"uni", "college"}


enterprises, institutions = st.sampled_from(ENTERPRISES), st.sampled_from(INSTITUTIONS)
hosts = st.sampled_from((*(f"institution:{i}" for i in INSTITUTIONS), *(f"enterprise:{e}" for e in ENTERPRISES)))
internships = st.builds(events.InternshipStarted, enterprise=enterprises, programme=st.just("mechanics"))
jobs = st.builds(
    events.EmploymentRecorded, status=st.just(events.EmploymentStatus.employed), enterprise=st.none() | enterprises
)


@given(st.sets(institutions), internships | jobs, hosts)
def test_of_a_learner_an_organisation_is_sent_exactly_what_the_registry_lets_it_read(
    enrolled: set[str], data: Data, by: str
):
    cloudevent, publisher = event(data, "entity-1", LEARNER, by=by), by.partition(":")[2]
    told: list[Event[Data]] = []
    first, *others = [f"institution:{institution}" for institution in sorted(enrolled)] or [""]
    told += [event(events.LearnerEnrolled(programme="of-first"), LEARNER, by=first)] if first else []
    for other in others:
        told.append(event(events.LearnerShared(institution=other.partition(":")[2]), LEARNER, by=first))
        told.append(event(events.LearnerEnrolled(programme="of-other"), LEARNER, by=other))
    known = shown([*told, cloudevent])
    readers = {*known["readers"]} - {OPERATOR}
    assert audience_of(cloudevent, Known(learners={LEARNER: known})) == (
        readers if publisher in readers else {publisher}
    )


def shown(told: list[Event[Data]]) -> dict[str, Any]:
    """What the registry shows of a learner of whom this was said."""
    state = after(facts.empty(), *told)
    key = route(event(events.LearnerEnrolled(programme="any"), LEARNER))
    assert key is not None
    return view(key, state)
