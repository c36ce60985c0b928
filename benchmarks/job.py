"""The job that every system does: events about graduates on a topic, and the counters that must come out.

Each learner graduates once and then has one or two recorded statuses; the second corrects the first (same subject)
or is a further one. The bytes are those of Praktika's contract. The log is in the order of the events' times,
mildly disturbed, and one event in ten comes twice. All of it follows from a seed.

`expected` counts straight from the learners, with nothing of the product's or the peers' code: the oracle.
"""

import random
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

COHORTS = ("2022-02", "2022-06", "2023-02", "2023-06", "2024-02", "2024-06")
STATUSES = ("employed", "self_employed", "studying", "seeking", "other")
IN_WORK = ("employed", "self_employed")
WEIGHTS = (60, 8, 12, 15, 5)
CONTRACTS = ("permanent", "fixed_term", "agency", "apprenticeship", "other")
EVENTS_PER_LEARNER = 2.86  # of the logs made here, duplicates included

Count = tuple[str, str, str]  # programme, month of graduation, measure; weeks to employment are measures, too: w012
Counts = dict[Count, int]


class Recorded(NamedTuple):
    """One `employment.recorded`; what is None was not said."""

    id: str
    subject: str  # which job or spell: the newest event about it counts
    time: datetime
    status: str
    since: date | None = None
    contract: str | None = None
    full_time: bool | None = None
    related: bool | None = None


class Learner(NamedTuple):
    """Someone who graduated, with what was recorded afterwards, oldest first."""

    id: str
    event_id: str
    institution: str
    programme: str
    graduated_on: date
    statuses: tuple[Recorded, ...]


class Message(NamedTuple):
    """What goes onto the topic."""

    key: bytes
    value: bytes


def learners(count: int, *, seed: int = 1, programmes: int = 200, cohorts: tuple[str, ...] = COHORTS) -> list[Learner]:
    """Make *count* learners."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    return [_learner(chance, number, programmes, cohorts) for number in range(count)]


def _learner(chance: random.Random, number: int, programmes: int, cohorts: tuple[str, ...]) -> Learner:
    programme = chance.randrange(programmes)
    graduated_on = date.fromisoformat(f"{chance.choice(cohorts)}-{chance.randint(1, 28):02d}")
    id = f"{chance.getrandbits(48):012x}-{number}"
    moment = datetime.combine(graduated_on, datetime.min.time()) + timedelta(seconds=chance.randrange(86_400))
    statuses, subject = [], "job-1"
    for ordinal in range(2 if chance.random() < 0.6 else 1):
        corrects = ordinal == 1 and chance.random() < 0.6
        moment += timedelta(days=chance.randint(1, 40) if corrects else chance.randint(30, 400))
        subject = subject if corrects or ordinal == 0 else "job-2"
        statuses.append(_recorded(chance, f"{id}-{ordinal}", f"{id}-{subject}", moment, graduated_on))
    institution = f"institution-{programme % 20}"
    return Learner(id, f"{id}-g", institution, f"programme-{programme}", graduated_on, tuple(statuses))


def _recorded(chance: random.Random, id: str, subject: str, time: datetime, graduated_on: date) -> Recorded:
    status = chance.choices(STATUSES, WEIGHTS)[0]
    since = None
    if chance.random() < 0.9:
        since = graduated_on + timedelta(days=int(chance.random() ** 2 * ((time.date() - graduated_on).days + 1)))
    if status not in ("employed", "self_employed"):
        return Recorded(id, subject, time, status, since)
    contract = chance.choice(CONTRACTS) if status == "employed" and chance.random() < 0.9 else None
    full_time, related = (chance.random() < 0.7 if chance.random() < 0.8 else None for _ in range(2))
    return Recorded(id, subject, time, status, since, contract, full_time, related)


def log(made: Iterable[Learner], *, seed: int = 1) -> list[Message]:
    """The events of all learners as the topic holds them."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    timed = [(time.timestamp() + chance.uniform(0, 2 * 86_400), m) for one in made for time, m in _messages(one)]
    timed.sort(key=lambda pair: pair[0])
    messages = [message for _, message in timed]
    places = [(place, message) for place, message in enumerate(messages)]
    again = [(place + chance.randrange(20_000), m) for place, m in places if chance.random() < 0.1]
    return [message for _, message in sorted([*places, *again], key=lambda pair: pair[0])]


def _messages(learner: Learner) -> Iterator[tuple[datetime, Message]]:
    noon = datetime.combine(learner.graduated_on, datetime.min.time()) + timedelta(hours=12)
    said = f'{{"programme":"{learner.programme}","graduated_on":"{learner.graduated_on}"}}'
    yield noon, _message(learner, learner.event_id, "learner.graduated", learner.id, noon, said)
    for recorded in learner.statuses:
        said = _employment(recorded)
        yield (
            recorded.time,
            _message(learner, recorded.id, "employment.recorded", recorded.subject, recorded.time, said),
        )


def _message(learner: Learner, id: str, type_: str, subject: str, time: datetime, data: str) -> Message:  # noqa: PLR0913, PLR0917
    """The bytes of `shared.contract.events.serialise`, put together by hand because millions are made."""
    value = (
        f'{{"specversion":"1.0","id":"{id}","source":"/organisations/{learner.institution}",'
        f'"type":"praktika.{type_}.v1","subject":"{subject}","time":"{time.isoformat()}Z",'
        f'"partitionkey":"{learner.id}","sourcekind":"institution","datacontenttype":"application/json","data":{data}}}'
    )
    return Message(learner.id.encode(), value.encode())


def _employment(said: Recorded) -> str:
    parts = [f'"status":"{said.status}"']
    if said.since:
        parts.append(f'"since":"{said.since}"')
    if said.contract:
        parts.append(f'"contract":"{said.contract}"')
    if said.full_time is not None:
        parts.append(f'"full_time":{str(said.full_time).lower()}')
    if said.related is not None:
        parts.append(f'"related_to_field":{str(said.related).lower()}')
    return f"{{{','.join(parts)}}}"


def expected(made: Iterable[Learner]) -> Counts:
    """What must be counted."""
    counts: Counts = Counter()
    for learner in made:
        month = f"{learner.graduated_on:%Y-%m}"
        for measure in _measures(learner):
            counts[learner.programme, month, measure] += 1
    return dict(counts)


def _measures(learner: Learner) -> Iterator[str]:
    yield "graduates"
    known = list({recorded.subject: recorded for recorded in sorted(learner.statuses, key=lambda r: r.time)}.values())
    if not known:
        return
    newest = _on(max(r.time.date() for r in known), known)
    if newest is not None:
        yield from _of_status(newest)
    for months in (6, 12, 18, 24, 30, 36):
        then = _on(_add_months(learner.graduated_on, months), known)
        if then:
            yield f"after_{months}m_{then.status}"
    work = [r for r in known if r.status in IN_WORK]
    if any(_begin(r) < learner.graduated_on < _end(r) for r in work):
        yield "employed_at_graduation"
    elif starts := [r.since for r in work if r.since and r.since >= learner.graduated_on]:
        yield f"w{min((min(starts) - learner.graduated_on).days // 7, 260):03d}"


def _of_status(newest: Recorded) -> Iterator[str]:
    yield f"status_{newest.status}"
    if newest.status in IN_WORK:
        if newest.status == "self_employed" or newest.contract:
            stable = newest.status == "self_employed" or newest.contract == "permanent"
            yield "contract_stable" if stable else "contract_other"
        if newest.full_time is not None:
            yield "hours_full" if newest.full_time else "hours_part"
        if newest.related is not None:
            yield "work_related" if newest.related else "work_unrelated"


def _begin(recorded: Recorded) -> date:
    return recorded.since or recorded.time.date()


def _end(recorded: Recorded) -> date:
    return _add_months(recorded.time.date(), 6)


def _on(day: date, known: list[Recorded]) -> Recorded | None:
    """What somebody does on a day: a status holds from its first day until six months after it was recorded.

    A later one takes its place, but for a second job that began before the first was recorded: of the jobs, the one
    with the most hours counts, then the longest.
    """
    held = [r for r in known if _begin(r) <= day < _end(r)]
    standing = [r for r in held if not any(_replaces(other, r) for other in held)]
    work = [r for r in standing if r.status in IN_WORK]
    if work:
        return min(work, key=lambda r: ({True: -40, False: -20, None: 0}[r.full_time], _begin(r), r.time))
    return max(standing, key=lambda r: (_begin(r), r.time), default=None)


def _replaces(other: Recorded, one: Recorded) -> bool:
    if (_begin(other), other.time) <= (_begin(one), one.time):
        return False
    both_work = other.status in IN_WORK and one.status in IN_WORK
    return not both_work or _begin(other) > one.time.date()


def _add_months(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def wrong(found: Counts, wanted: Counts) -> list[str]:
    """What differs, in words, at most five; nothing if all is right. A count of zero is as good as none."""
    differing = sorted(c for c in found.keys() | wanted.keys() if found.get(c, 0) != wanted.get(c, 0))
    words = [f"{' '.join(c)}: {found.get(c, 0)} instead of {wanted.get(c, 0)}" for c in differing[:5]]
    return [*words, f"and {len(differing) - 5} more"] if len(differing) > 5 else words
