"""Whatever the order, the repetition and the contradictions of events, states and counters are the same."""

from datetime import UTC, date, datetime
from typing import Any, TypeGuard

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.monitoring.app import core
from services.monitoring.states import contributions, route, view
from shared.contract import events as e
from shared.contract.events import Data, Event
from shared.processing import facts
from shared.processing.annulments import ANNULMENTS
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests.making import event, examples

from .counting import fold, total

LEARNERS, PROGRAMMES = st.sampled_from(["ann", "ben"]), st.sampled_from(["welding", "mechatronics"])
ENTERPRISES, PARTIES = st.sampled_from(["plant", "works"]), st.sampled_from(["uni", "plant", "works"])
COMPETENCIES = st.sampled_from(["greencomp:3.1", "esco:cnc"])
DAYS = st.sampled_from([date(2022, 1, 31), date(2023, 6, 1), date(2024, 2, 29), date(2025, 12, 1)])
IDS = st.sampled_from(["one", "two"])
MAYBE = st.booleans() | st.none()
DRAWN: set[type[Data]] = set()
# Of two who claim these the first on the log has them, so order matters there: see tests/shared/test_owners.py.
ONE_SPEAKS = (
    e.ProgrammePublished,
    e.ProgrammeRevised,
    e.ProgrammeRevisionDeclined,
    e.ProgrammeRevisionPlanned,
    e.ActivityHeld,
    e.OpportunityPosted,
    e.OpportunityClosed,
    e.LearnerEnrolled,
    e.LearnerLeft,
    e.LearnerDescribed,
    e.LearnerGraduated,
    e.LearnerErased,
    e.ApplicationSubmitted,
    e.ApplicationWithdrawn,
    e.SupportRequested,
    e.SupportClosed,
    e.InternshipStarted,
    e.InternshipCompleted,
    e.InternshipCancelled,
)


def says(data: type[Data], subject: Any = IDS, key: Any = None, **fields: Any) -> Any:
    """Events of one type: few ids, times and publishers, so that they repeat and contradict each other often."""
    DRAWN.add(data)
    times = DAYS.map(lambda day: datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    publishers = st.sampled_from([kind for kind in data.by if kind != "service"] or ["service"])

    @st.composite
    def one(draw: Any) -> Event[Data]:
        said = data(**{name: draw(field) for name, field in fields.items()})
        about = draw(subject)
        if data.key in ("subject", "learner"):
            keyed = about if key is None else draw(key)
        else:
            keyed = getattr(said, data.key) or about
        publisher = draw(publishers)
        speaker = "uni" if data in ONE_SPEAKS else draw(PARTIES)
        organisation = "feedback" if publisher == "service" else speaker
        given = {"by": f"{publisher}:{organisation}", "time": draw(times), "id": draw(IDS)}
        made = event(said, about, keyed, **given)
        if not isinstance(said, e.SUSTAINABILITY_COUNTED):
            return made
        # The same event that is sent again may be stamped otherwise: see `facts.age`.
        return made.model_copy(update={"sustainable": draw(st.sampled_from([None, "esco:cnc", "esco:cnc esco:x"]))})

    return one()


INTERNSHIP = {"enterprise": ENTERPRISES, "programme": PROGRAMMES}
# What is about the same entities is drawn together, so that it meets often.
TOPICS = (
    [
        says(
            e.OrganisationRegistered,
            PARTIES,
            kind=st.sampled_from(["institution", "enterprise"]),
            name=st.just("A name"),
            region=IDS,
        ),
        says(e.OrganisationSuspended, PARTIES, reason=st.just("late")),
        says(e.OrganisationReinstated, PARTIES),
        says(e.CredentialWithdrawn, organisation=PARTIES, credential=IDS),
    ],
    [
        says(
            e.AgreementProposed,
            parties=st.permutations(["uni", "plant", "works"]),
            scope=st.just("practice"),
            valid_from=DAYS,
            valid_until=DAYS | st.none(),
        ),
        says(e.AgreementSigned),
        says(e.AgreementRefused, reason=st.just("no")),
        says(e.AgreementEnded, reason=st.just("over")),
    ],
    [
        says(
            e.ProgrammePublished,
            PROGRAMMES,
            title=IDS,
            version=IDS,
            level=st.just(5),
            hours_theory=st.just(10.0),
            hours_workplace=st.just(10.0),
            competencies=st.lists(
                st.builds(e.ProgrammeCompetency, competency=COMPETENCIES, level=st.just(5)), max_size=2
            ),
            joint_partners=st.lists(
                st.builds(e.JointPartner, organisation=PARTIES, kind=st.sampled_from(e.OrganisationKind)), max_size=1
            ),
        ),
        says(
            e.ProgrammeRevisionRecommended,
            PROGRAMMES,
            recommendation=IDS,
            competency=COMPETENCIES,
            window=st.just("2024Q1"),
            ratings=st.just(9),
            satisfied=st.just(3),
            threshold=st.just(0.6),
        ),
        says(
            e.ProgrammeGapFound,
            PROGRAMMES,
            recommendation=IDS,
            competency=COMPETENCIES,
            window=st.just("2024Q1"),
            ground=st.sampled_from(e.GapGround),
        ),
        says(
            e.ProgrammeDemandLapsed,
            PROGRAMMES,
            recommendation=IDS,
            competency=COMPETENCIES,
            window=st.just("2024Q1"),
            observed_since=DAYS,
        ),
        says(e.ProgrammeRevisionWithdrawn, PROGRAMMES, recommendation=IDS, reason=IDS),
        says(e.ProgrammeRevised, PROGRAMMES, recommendation=IDS, version=IDS),
        says(e.ProgrammeRevisionDeclined, PROGRAMMES, recommendation=IDS, reason=IDS),
        says(e.ProgrammeRevisionPlanned, PROGRAMMES, recommendation=IDS, until=DAYS),
        says(e.ProgrammeJoined, PROGRAMMES),
    ],
    [
        says(
            e.ActivityHeld,
            kind=st.sampled_from(["teacher_upskilling", "workshop", "guest_lecture"]),
            organisations=st.lists(PARTIES, max_size=2),
            participants_of=st.dictionaries(PARTIES, st.integers(0, 3), max_size=2),
            hours=st.sampled_from([1.25, 8]),
            participants=st.just(3),
            competencies=st.lists(COMPETENCIES, max_size=2),
        ),
    ],
    [
        says(e.OpportunityPosted, kind=st.just("internship"), title=IDS, places=st.integers(1, 3)),
        says(e.OpportunityClosed, filled=st.integers(0, 9)),
    ],
    [
        says(e.LearnerEnrolled, LEARNERS, programme=PROGRAMMES, cohort=st.just("2024-06") | st.none()),
        says(
            e.LearnerDescribed,
            LEARNERS,
            sex=st.sampled_from(e.Sex) | st.none(),
            disability=MAYBE,
            rural=MAYBE,
            first_in_family=MAYBE,
        ),
        says(e.LearnerLeft, LEARNERS, programme=PROGRAMMES, left_on=DAYS),
        says(e.SupportRequested, key=LEARNERS, need=st.just("job")),
        says(e.SupportClosed, key=LEARNERS, outcome=st.sampled_from(e.SupportOutcome)),
        says(e.ApplicationSubmitted, key=LEARNERS, enterprise=PARTIES),
        says(e.ApplicationWithdrawn, key=LEARNERS, enterprise=PARTIES),
        says(e.ApplicationAccepted, key=LEARNERS),
        says(e.ApplicationDeclined, key=LEARNERS),
        says(e.InternshipStarted, key=LEARNERS, **INTERNSHIP),
        says(e.LearnerGraduated, LEARNERS, programme=PROGRAMMES, graduated_on=DAYS),
        says(
            e.InternshipCompleted,
            key=LEARNERS,
            hours=st.sampled_from([0.25, 7.33, 40]),
            outcome=st.just("passed"),
            **INTERNSHIP,
        ),
        says(e.InternshipCancelled, key=LEARNERS, reason=IDS, **INTERNSHIP),
        says(
            e.EmploymentRecorded,
            key=LEARNERS,
            status=st.sampled_from(e.EmploymentStatus),
            since=DAYS | st.none(),
            contract=st.sampled_from(e.Contract) | st.none(),
            full_time=MAYBE,
            related_to_field=MAYBE,
            enterprise=ENTERPRISES | st.none(),
            basis=st.sampled_from(e.Basis) | st.none(),
            hours_per_week=st.sampled_from([10.0, 40.0]) | st.none(),
            occupation=st.sampled_from(["isco:2512", "isco:9111"]) | st.none(),
            pay_band=st.sampled_from(e.PayBand) | st.none(),
            detail=st.sampled_from(e.EmploymentDetail) | st.none(),
        ),
        says(e.EmploymentEnded, key=LEARNERS, ended_on=DAYS),
        says(
            e.CompetencyCertified,
            key=LEARNERS,
            competency=COMPETENCIES,
            level=st.just(4),
            scheme=IDS,
            institution=st.just("uni"),
            evidence=st.just(["uni/exam"]),
            address=st.just("/certificates/one"),
            valid_until=DAYS | st.none(),
        ),
        says(e.CompetencyRevoked, key=LEARNERS, reason=IDS),
    ],
    [
        says(
            e.FeedbackRequested,
            role=st.sampled_from(["enterprise", "graduate"]),
            respondent=PARTIES,
            learner=LEARNERS,
            enterprise=ENTERPRISES | st.none(),
            programme=PROGRAMMES,
            due=DAYS,
        ),
        says(
            e.FeedbackSubmitted,
            request=IDS | st.none(),
            role=st.sampled_from(e.FeedbackRole),
            programme=PROGRAMMES | st.none(),
            enterprise=ENTERPRISES | st.none(),
            overall=st.integers(1, 5),
            relevance=st.integers(1, 5) | st.none(),
        ),
        says(
            e.FeedbackCancelled,
            role=st.just("enterprise"),
            respondent=PARTIES,
            learner=LEARNERS,
            programme=PROGRAMMES,
        ),
        says(e.FeedbackWithdrawn, organisation=PARTIES, submission=IDS, reason=IDS),
        says(e.FeedbackErased),
    ],
    [
        says(
            e.DemandReported,
            competency=COMPETENCIES,
            places=st.integers(0, 9),
            horizon=DAYS,
            research=st.just("survey"),
        ),
        says(e.VacancyObserved, portal=st.just("hh"), title=IDS, region=IDS | st.none(), published_on=DAYS | st.none()),
        says(e.RecognitionGranted, competency=COMPETENCIES, certificate=IDS | st.none(), since=DAYS),
        says(e.RecognitionWithdrawn, competency=COMPETENCIES, certificate=IDS | st.none(), reason=IDS),
    ],
)
# Erasure empties a learner, so it is drawn less often than everything else.
ANY = [*(says_one for topic in TOPICS for says_one in topic)] * 2 + [says(e.LearnerErased, LEARNERS)]
SEQUENCES = st.one_of(*(st.lists(st.one_of(*topic), max_size=20) for topic in (*TOPICS, ANY)))


def test_every_type_that_counts_is_drawn() -> None:
    alerts = {e.IndicatorRuleSet, e.IndicatorRuleRemoved, e.IndicatorAlerted, e.IndicatorAcknowledged}
    asking = {e.FollowupOpened, e.QuestionnairePublished, e.FeedbackReminded, e.FeedbackExpired}
    market = {e.VacancyClosed, e.SkillMapped}
    told = {e.LearnerShared, e.AssessmentRecorded, *ANNULMENTS}  # annulments: tests/shared/test_annulments.py
    frameworks = {e.FrameworkItemDefined, e.FrameworkPublished}  # tests/shared/test_frameworks.py
    credentials = {e.CertificateIssued, e.CertificateExpiring, e.IssuerDeclared}
    held = {e.CertificateCollected, e.CertificateHidden, e.CertificateShown, e.LearnerErasureRequested}
    uncounted = {*told, *alerts, *asking, *market, *frameworks, *credentials, *held}
    assert {data for data in e.DATA.values() if data.topic in core.topics} == DRAWN | uncounted


@settings(max_examples=examples(400), deadline=None)
@given(SEQUENCES, st.data())
def test_any_order_and_repetition_gives_the_same_states_views_and_counters(
    sequence: list[Event[Data]], data: st.DataObject
) -> None:
    assume(_each_asks_one_alone(sequence) and _each_answers_as_one(sequence))
    repeated = data.draw(st.lists(st.sampled_from(sequence), max_size=10)) if sequence else []
    shuffled = data.draw(st.permutations([*sequence, *repeated]))
    once, again = fold(sequence), fold(shuffled)
    assert _but_requests(once) == _but_requests(again)
    assert {key: view(key, state) for key, state in once.items()} == {key: view(key, s) for key, s in again.items()}
    assert total(once) == total(again)


def _each_asks_one_alone(sequence: list[Event[Data]]) -> bool:
    """Does each request ask one respondent in one role, whatever else is corrected of it? Its id is made of these."""
    asked = {(event.subject, event.data.role, event.data.respondent) for event in sequence if _asks(event)}
    return len(asked) == len({subject for subject, *_ in asked})


def _each_answers_as_one(sequence: list[Event[Data]]) -> bool:
    """Is each answer given in one role, to one request? In another it is a stranger's, and would replace itself."""
    given = {
        (event.subject, event.source, event.sourcekind, event.data.role, event.data.request)
        for event in sequence
        if isinstance(event.data, e.FeedbackSubmitted)
    }
    return len(given) == len({(subject, source) for subject, source, *_ in given})


def _asks(event: Event[Any]) -> TypeGuard[Event[e.FeedbackRequested]]:
    return isinstance(event.data, e.FeedbackRequested)


def _but_requests(states: dict[Key, State]) -> dict[Key, State]:
    """A stranger's answer is not kept once the request is known; it counts neither way."""
    return {key: state for key, state in states.items() if key.collection != "requests"}


@settings(max_examples=examples(400), deadline=None)
@given(SEQUENCES)
def test_the_sum_of_differences_is_what_is_recomputed(sequence: list[Event[Data]]) -> None:
    counts: dict[Any, int] = {}
    states: dict[Any, Any] = {}
    for said in sequence:
        key = route(facts.from_event(said))
        assert key is not None
        before = contributions(key, states[key]) if key in states else {}
        states = fold([said], states)
        for counter, count in contributions(key, states[key]).items():
            counts[counter] = counts.get(counter, 0) + count
        for counter, count in before.items():
            counts[counter] = counts.get(counter, 0) - count
    assert {counter: count for counter, count in counts.items() if count} == total(states)


@settings(max_examples=examples(400), deadline=None)
@given(SEQUENCES)
def test_no_stock_is_ever_negative(sequence: list[Event[Data]]) -> None:
    stocks = {"partners", "agreements", "certificates", "demand_places", "demand_reports", "programmes"}
    by_scope: dict[tuple[str, str, str], dict[str, int]] = {}
    for (kind, id, period, measure), count in total(fold(sequence)).items():
        if measure.partition("_sus")[0].partition("_joint")[0] in stocks:
            by_scope.setdefault((kind, id, measure), {})[period] = count
    for changes in by_scope.values():
        stock = 0
        for _, change in sorted(changes.items()):
            stock += change
            assert stock >= 0


@given(SEQUENCES, LEARNERS)
def test_an_erased_learner_counts_in_nothing(sequence: list[Event[Data]], learner: str) -> None:
    states = fold([*sequence, event(e.LearnerErased(), learner)])
    assert contributions(*next((key, state) for key, state in states.items() if key == ("learners", learner))) == {}
