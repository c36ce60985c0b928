"""What a learner adds to feedback's counters: certificates, an expected graduation, work after one: pure rules."""

from shared.processing import employment, facts
from shared.processing.facts import State
from shared.processing.mongo import Counter, Counts

AFTER_MONTHS = 6  # after a graduation, when it is asked who is in work
CERTIFIED, EXPECTED, COHORT = "certified", "expected", "cohort"  # kinds of counters


def outcomes(state: State) -> Counts:
    """One learner's counts, 1 each.

    - `certified`, by programme and competency, in the month of the first certificate that is valid: `people`;
    - `expected`, by programme, in the month in which who is still there is to graduate: `learners`;
    - `cohort`, by programme, in the month of graduation: of graduates six months later `known` and `working`.
    """
    return dict.fromkeys([*_certified(state), *_expected(state), *_graduated(state)], 1)


def _certified(state: State) -> list[Counter]:
    revoked, since = facts.facts(state, "competency.revoked"), dict[str, str]()
    for id, fact in facts.facts(state, "competency.certified").items():
        if id not in revoked:
            competency = fact["data"]["competency"]
            since[competency] = min(fact["time"][:7], since.get(competency, fact["time"][:7]))
    programmes = facts.facts(state, "learner.enrolled")
    return [(CERTIFIED, f"{p} {c}", month, "people") for c, month in since.items() for p in programmes]


def _expected(state: State) -> list[Counter]:
    graduated, left = facts.facts(state, "learner.graduated"), facts.facts(state, "learner.left")
    return [
        (EXPECTED, programme, enrolled["data"]["cohort"], "learners")
        for programme, enrolled in facts.facts(state, "learner.enrolled").items()
        if "cohort" in enrolled["data"]
        and programme not in graduated
        and facts.newest(enrolled, left.get(programme)) is enrolled
    ]


def _graduated(state: State) -> list[Counter]:
    spells, found = employment.spells_of(state), list[Counter]()
    for programme, graduation in facts.facts(state, "learner.graduated").items():
        day = graduation["data"]["graduated_on"]
        then = employment.at(employment.of_graduate(spells, day), employment.months_after(day, AFTER_MONTHS))
        measures = ["known", *(["working"] if then.in_work else [])] if then else []
        found += [(COHORT, programme, day[:7], measure) for measure in measures]
    return found
