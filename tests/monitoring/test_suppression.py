"""Who has all public answers, of all scopes, months, windows and reasons, can work out nothing of a small group."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import combinations, combinations_with_replacement
from math import gcd, inf
from random import Random
from typing import Any, NamedTuple, cast

import pytest

from services.monitoring.counters import Hiding, Registry, hidden_reasons, hidden_values
from services.monitoring.figures import caveats, of_months, of_window, rule_of, sum_of
from services.monitoring.indicators import INDICATORS, Indicator, Scope
from services.monitoring.states import UNKNOWN
from services.monitoring.suppression import NETWORK, NONE, Cell, Hidden, Key, Path, Rule, total

LEAST, TODAY = 5, date(2026, 3, 15)
Atom = tuple[str, str, str]  # programme, enterprise, month: what no answer divides further
Learners = Mapping[Atom, Cell]


class Network(NamedTuple):
    """Who trains whom where, and of how many learners of each programme, enterprise and month it is so."""

    registry: Registry
    learners: Learners

    def kinds(self) -> dict[str, int]:
        """Where an atom has the id of each kind."""
        return {"programme": 0, "enterprise": 1}

    def counted(self, measures: tuple[str, str]) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        """The counters by kind, id and month: the first of *measures* counts in the numerator, both in all."""
        found: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
        for atom, (n, part) in self.learners.items():
            for kind, at in self.kinds().items():
                if n and not (kind == "enterprise" and atom[1] == UNKNOWN):
                    counts = dict(found.setdefault(kind, {}).setdefault(atom[at], {}).get(atom[2], {}))
                    for measure, count in zip(measures, (part, n - part), strict=True):
                        counts[measure] = counts.get(measure, 0) + count
                    found[kind][atom[at]][atom[2]] = counts
        return found

    def cell(self, atoms: Iterable[Atom]) -> Cell:
        return total(self.learners[atom] for atom in atoms)


def network(random: Random, with_enterprises: bool) -> Network:
    """A small network, with few people in most places, none in some, and parts that nobody has registered."""
    regions = [f"r{n}" for n in range(random.randint(1, 3))]
    organisations: dict[str, Any] = {
        f"i{n}": {"kind": "institution", "region": random.choice(regions)} for n in range(random.randint(1, 4))
    }
    institutions = [*organisations, "unregistered"]
    programmes = {f"p{n}": {"institution": random.choice(institutions)} for n in range(random.randint(2, 8))}
    enterprises = [UNKNOWN]
    if with_enterprises:
        enterprises = [f"e{n}" for n in range(random.randint(1, 5))]
        organisations |= {
            id: {"kind": "enterprise", "region": random.choice(regions), "sector": random.choice("CF")}
            for id in enterprises
        }
    months = [f"2024-{n:02}" for n in range(1, random.randint(2, 6))]
    most = random.choice([3, 6, 12, 40])
    share = random.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    learners = {}
    for programme in programmes:
        size = random.randint(0, most)
        for enterprise in enterprises:
            for month in months:
                n = random.choice([0, random.randint(0, size), size])
                learners[programme, enterprise, month] = n, sum(random.random() < share for _ in range(n))
    registered = {id: entry for id, entry in programmes.items() if random.random() < 0.9}
    return Network(Registry(organisations, registered), learners)


def hiding(of: Network, indicator: Indicator, measures: tuple[str, str]) -> Hiding:
    counted = {
        kind: {of.registry.path(indicator, kind, id): months for id, months in ids.items()}
        for kind, ids in of.counted(measures).items()
        if kind in indicator.scopes.values()
    }
    return Hiding(hidden_values([indicator], counted, TODAY, LEAST), {})


class Answer(NamedTuple):
    """A public answer: of whom it is, and what is said."""

    atoms: frozenset[Atom]
    said: Mapping[str, Any]


def scopes(of: Network, indicator: Indicator) -> Iterator[tuple[Scope, str | None, list[Atom]]]:
    """Every scope that there are answers for, with its atoms."""
    at = of.kinds()
    for scope, kind in indicator.scopes.items():
        ids: dict[str | None, list[Atom]] = {}
        for atom in of.learners:
            id = None if scope == "network" else of.registry.scope_of(atom[at[kind]], kind, scope)
            if scope == "network" or id is not None:
                ids.setdefault(id, []).append(atom)
        yield from ((scope, id, atoms) for id, atoms in ids.items())


Hide = Callable[[Scope, str | None], Hidden]


def alone(of: Network, indicator: Indicator, measures: tuple[str, str]) -> Hide:
    """What is hidden if each scope is looked at by itself."""
    found: dict[tuple[Scope, str | None], Hidden] = {}
    counted = of.counted(measures)
    for scope, id, atoms in scopes(of, indicator):
        kind = indicator.scopes[scope]
        ids = {atom[of.kinds()[kind]] for atom in atoms}
        own = {(("", each),): months for each, months in counted.get(kind, {}).items() if each in ids}
        network = indicator.scopes["network"]
        found[scope, id] = hidden_values([indicator], {network: own}, TODAY, LEAST)[indicator.id].get(NETWORK, Hidden())
    return lambda scope, id: found[scope, id]


def answers(of: Network, indicator: Indicator, measures: tuple[str, str], hide: Hide) -> list[Answer]:
    """All that the API answers."""
    found: list[Answer] = []
    counted, months = of.counted(measures), sorted({month for *_, month in of.learners})
    windows = [
        *combinations_with_replacement(months, 2),
        *((None, month) for month in months),
        *((month, None) for month in months),
    ]
    at = of.kinds()
    for scope, id, atoms in scopes(of, indicator):
        kind = indicator.scopes[scope]
        by_month: dict[str, dict[str, int]] = {}
        for leaf in sorted({atom[at[kind]] for atom in atoms}):
            for month, counts in counted.get(kind, {}).get(leaf, {}).items():
                by_month[month] = sum_of({"": by_month.get(month, {}), "+": counts})
        hidden = hide(scope, id)
        found.append(Answer(frozenset(atoms), of_window(indicator, by_month, None, None, LEAST, hidden)))
        points = {p["period"]: p for p in of_months(indicator, by_month, None, "2026-01", LEAST, hidden)}
        told = {m for m in months if (points.get(m) or {"status": "not_enough_data"})["status"] != "suppressed"}
        for month in told:
            point = points.get(month, {"n": 0, "numerator": 0})
            found.append(Answer(frozenset(a for a in atoms if a[2] == month), point))
        for begin, end in windows:
            said = of_window(indicator, by_month, begin, end, LEAST, hidden)
            of_it = (a for a in atoms if a[2] in told and (begin or a[2]) <= a[2] <= (end or a[2]))
            found.append(Answer(frozenset(of_it), said))
    numbers = [answer for answer in found if isinstance(answer.said["n"], int)]
    for answer in numbers:  # the attacker is right about what an answer is the sum of
        assert of.cell(answer.atoms) == (answer.said["n"], answer.said["numerator"] or 0)
    return numbers


# an attacker's arithmetic: whole numbers, nothing is rounded

Row = dict[Atom, int]


class Span:
    """All that follows from some sums: any combination of them."""

    def __init__(self, sums: Iterable[frozenset[Atom]]) -> None:
        self._rows: dict[Atom, Row] = {}  # by the atom that is in no other row
        for atoms in sums:
            self._add(self._rest(dict.fromkeys(atoms, 1)))

    def _add(self, row: Row) -> None:
        if row:
            pivot = min(row)
            for other, known in self._rows.items():
                if pivot in known:
                    self._rows[other] = _without(known, pivot, row)
            self._rows[pivot] = row

    def _rest(self, row: Row) -> Row:
        """What of a sum does not follow."""
        for pivot in [atom for atom in row if atom in self._rows]:
            row = _without(row, pivot, self._rows[pivot])
        return row

    def has(self, atoms: Iterable[Atom]) -> bool:
        """Does the sum over these atoms follow?"""
        return not self._rest(dict.fromkeys(atoms, 1))

    @property
    def rows(self) -> list[Row]:
        return list(self._rows.values())


def _without(row: Row, pivot: Atom, other: Row) -> Row:
    """A combination of two rows in which *pivot* is not."""
    a, b = other[pivot], row[pivot]
    found = {atom: a * row.get(atom, 0) - b * other.get(atom, 0) for atom in row.keys() | other.keys()}
    divisor = gcd(*found.values()) or 1
    return {atom: n // divisor for atom, n in found.items() if n}


def told(of: Network, found: Iterable[Answer], rule: Rule) -> list[frozenset[Atom]]:
    """Groups that are small and follow from the answers: any atom, pairs and triples, any cell of any scope."""
    span = Span(dict.fromkeys(answer.atoms for answer in found))
    some = [atom for atom, cell in of.learners.items() if cell != NONE]
    unknown = [atom for atom in some if rule.is_small(of.learners[atom])]
    groups: list[frozenset[Atom]] = [frozenset({atom}) for atom in unknown]
    groups += [frozenset(few) for size in (2, 3) for few in list(combinations(unknown, size))[:300]]
    groups += [frozenset(row) for row in span.rows if set(row.values()) == {1}]
    by: dict[tuple[str, ...], set[Atom]] = {}
    for programme, enterprise, month in some:
        for key in ((programme,), ("", enterprise), (programme, "", month), ("", enterprise, month), ("", "", month)):
            by.setdefault(key, set()).add((programme, enterprise, month))
    groups += [frozenset(atoms) for atoms in by.values()]
    return [group for group in groups if rule.is_small(of.cell(group)) and span.has(group)]


def alike(of: Network, found: Iterable[Answer], count: Callable[[Cell], int]) -> set[Atom]:
    """Atoms in which *count* must be zero, as it is negative nowhere: ends are drawn closer until they stay."""
    sums = sorted({answer.atoms for answer in found}, key=sorted)
    equations = [dict.fromkeys(atoms, 1) for atoms in sums] + Span(sums).rows
    values = [sum(factor * count(of.learners[atom]) for atom, factor in row.items()) for row in equations]
    least: dict[Atom, float] = dict.fromkeys(of.learners, 0)
    most: dict[Atom, float] = dict.fromkeys(of.learners, inf)
    before: list[float] = []
    while before != [*least.values(), *most.values()]:
        before = [*least.values(), *most.values()]
        for row, value in zip(equations, values, strict=True):
            for atom, factor in row.items():
                others = [(each, of_other) for of_other, each in row.items() if of_other != atom]
                low = value - sum(each * (most if each > 0 else least)[other] for each, other in others)
                high = value - sum(each * (least if each > 0 else most)[other] for each, other in others)
                low, high = sorted((low / factor, high / factor))
                least[atom], most[atom] = max(least[atom], low), min(most[atom], high)
    return {atom for atom, cell in of.learners.items() if cell[0] and most[atom] < 1}


CASES = {  # an indicator of each shape: what counts in its numerator, and what else in its denominator
    "insertion_rate": ("status_employed", "status_seeking"),  # programmes
    "training_relevance": ("training_relevant", "training_not_relevant"),  # programmes, and enterprises
    "application_acceptance_rate": ("applications_accepted", "applications_declined"),  # enterprises twice
}
NETWORKS = range(25)


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311


def made(indicator: str, seed: int) -> Network:
    return network(chance(seed), with_enterprises=indicator != "insertion_rate")


def public(of: Network, indicator: str) -> list[Answer]:
    """All that the API answers of an indicator."""
    entry, measures = INDICATORS[indicator], CASES[indicator]
    hidden = hiding(of, entry, measures)
    return answers(of, entry, measures, lambda scope, id: hidden.of(entry, scope, id))


@pytest.mark.parametrize("indicator", CASES)
def test_attack_no_small_group_follows_from_all_public_answers(indicator: str) -> None:
    for seed in NETWORKS:
        of = made(indicator, seed)
        assert not told(of, public(of, indicator), rule_of(INDICATORS[indicator], LEAST)), seed


@pytest.mark.parametrize("indicator", CASES)
def test_attack_would_succeed_if_each_scope_hid_by_itself(indicator: str) -> None:
    entry, measures = INDICATORS[indicator], CASES[indicator]
    found = 0
    for seed in NETWORKS:
        of = made(indicator, seed)
        found += bool(told(of, answers(of, entry, measures, alone(of, entry, measures)), rule_of(entry, LEAST)))
    assert found > 3


@pytest.mark.parametrize("indicator", CASES)
def test_attack_that_numbers_are_not_negative_helps_nobody(indicator: str) -> None:
    """Nobody learns that all or none in a group count in the numerator, but of ten or more together."""
    for seed in NETWORKS:
        of = made(indicator, seed)
        found = public(of, indicator)
        for count in (lambda cell: cell[1], lambda cell: cell[0] - cell[1]):
            if not any(answer.said["n"] and not count(of.cell(answer.atoms)) for answer in found):  # said openly
                assert not 0 < of.cell(alike(of, found, count))[0] < 2 * LEAST, seed


RATE, REASONS = INDICATORS["unemployment_rate"], ("studying", "illness", "other")


def test_attack_nobody_learns_why_few_are_left_out() -> None:
    listed = 0
    for seed in NETWORKS:
        random = chance(seed)
        of = network(random, with_enterprises=False)
        why = {(p, UNKNOWN, r): random.choice([0, 1, 2, 5, 9]) for p, *_ in of.learners for r in REASONS}
        told_reasons = reasons_told(of, why)
        listed += len(told_reasons)
        span = Span(told_reasons)
        for _, _, atoms in scopes(of, RATE):
            for reason in REASONS:
                cell = {(programme, UNKNOWN, reason) for programme, *_ in atoms}
                assert not (0 < sum(why[atom] for atom in cell) < LEAST and span.has(cell)), seed
    assert listed


def reasons_told(of: Network, why: Mapping[Atom, int]) -> list[frozenset[Atom]]:
    """The sums that are told of those who are left out: by reason, and of all reasons."""
    counted = {
        programme: {"status_seeking": 30, "status_employed": 30, "graduates": 90}
        | {f"status_{reason}": why[programme, UNKNOWN, reason] for reason in REASONS}
        for programme in {programme for programme, *_ in why}
    }
    paths = {of.registry.path(RATE, "programme", id): {"2024-01": counts} for id, counts in counted.items()}
    hidden = Hiding({}, hidden_reasons([RATE], {"programme": paths}, TODAY, LEAST))
    found: list[frozenset[Atom]] = []
    for scope, id, atoms in scopes(of, RATE):
        own = {programme for programme, *_ in atoms}
        counts = sum_of({programme: counted[programme] for programme in own})
        said = caveats(RATE, counts, {"status": "ok"}, LEAST, 0.5, hidden.reasons_of(RATE, scope, id))
        listed = {each["reason"] for each in said["left_out"] or ()}
        cells = {reason: frozenset((programme, UNKNOWN, reason) for programme in own) for reason in REASONS}
        found += [cells[reason] for reason in REASONS if reason in listed or "other_reasons" not in listed]
        found.append(frozenset().union(*cells.values()))  # it follows from the coverage
    return found


STOCK = INDICATORS["recognised_certificates_rate"]


def test_attack_no_small_change_of_a_stock_follows() -> None:
    months = [f"2024-{n:02}" for n in range(1, 7)]
    for seed in NETWORKS:
        random = chance(seed)
        ids = [f"c{n}" for n in range(random.randint(1, 5))]
        changes = {(id, "", month): random.choice([0, 0, 1, 3, 6, 12]) for id in ids for month in months}
        span = Span(ends_told(changes, months))
        small = [atom for atom, n in changes.items() if 0 < n < LEAST]
        groups = [*((atom,) for atom in small), *combinations(small, 2)]
        assert not any(sum(changes[a] for a in group) < LEAST and span.has(group) for group in groups), seed


def ends_told(changes: Mapping[Atom, int], months: list[str]) -> list[frozenset[Atom]]:
    """The sums of changes up to the ends of months at which a stock is told."""
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for (id, _, month), n in changes.items():
        counted.setdefault(id, {})[month] = {"certificates": n, "certificates_recognised": n // 2}
    paths = {(("competency", id),): of_month for id, of_month in counted.items()}
    hidden = Hiding(hidden_values([STOCK], {"competency": paths}, TODAY, LEAST), {})
    found: list[frozenset[Atom]] = []
    for id in (None, *counted):
        scope: Scope = "network" if id is None else "competency"
        own = [of_month for one, of_month in counted.items() if id in (None, one)]
        by_month = {m: sum_of({str(n): of_month[m] for n, of_month in enumerate(own)}) for m in months}
        for end in (*months, None):
            said = of_window(STOCK, by_month, None, end, LEAST, hidden.of(STOCK, scope, id))
            if isinstance(said["n"], int):
                found.append(frozenset(a for a in changes if id in (None, a[0]) and a[2] <= (end or "9")))
    return found


ENROLLED = INDICATORS["participation"]


def test_attack_a_stock_tells_of_no_small_region_institution_or_programme_at_any_end() -> None:
    """Three levels, so what is hidden of one must not follow from the parts of another."""
    months, told_in_all = [f"2024-{n:02}" for n in range(1, 5)], 0
    for seed in NETWORKS:
        random = chance(seed)
        programmes = {
            f"p{r}{i}{p}": (("region", f"r{r}"), ("institution", f"i{r}{i}"), ("programme", f"p{r}{i}{p}"))
            for r in range(random.randint(1, 3))
            for i in range(random.randint(1, 3))
            for p in range(random.randint(1, 3))
        }
        changes = {(id, "", month): random.choice([0, 0, 1, 3, 6, 12]) for id in programmes for month in months}
        counted = {
            path: {m: {"learners": changes[id, "", m]} for m in months if changes[id, "", m]}
            for id, path in programmes.items()
        }
        hidden = Hiding(hidden_values([ENROLLED], {"programme": counted}, TODAY, LEAST), {})
        within: dict[tuple[Scope, str | None], set[str]] = {("network", None): {*programmes}}
        for id, path in programmes.items():
            for scope, of in path:
                within.setdefault((cast(Scope, scope), of), set()).add(id)
        told: list[frozenset[Atom]] = []
        sums: dict[frozenset[Atom], int] = {}
        for (scope, of), own in within.items():
            by_month = {m: {"learners": sum(changes[id, "", m] for id in own)} for m in months}
            by_month = {m: counts for m, counts in by_month.items() if counts["learners"]}
            for end in (*months, None):
                atoms = frozenset(a for a in changes if a[0] in own and a[2] <= (end or "9"))
                sums[atoms] = sum(changes[a] for a in atoms)
                said = of_window(ENROLLED, by_month, None, end, LEAST, hidden.of(ENROLLED, scope, of))
                if isinstance(said["n"], int) and said["status"] != "suppressed":
                    told.append(atoms)
        told_in_all += len(told)
        span = Span(told)
        for atoms, n in sums.items():
            assert not (0 < n < LEAST and span.has(atoms)), (seed, sorted(atoms))
        small = [frozenset({atom}) for atom, n in changes.items() if 0 < n < LEAST]
        assert not any(span.has(atom) for atom in small), seed
    assert told_in_all > 500


def test_attack_a_stock_tells_no_past_end_at_which_all_were_alike() -> None:
    """Competencies a, b and c of which all, a quarter and a sixth were recognised at first."""
    first = {"a": (6, 6), "b": (20, 5), "c": (30, 5)}
    paths = {
        (("competency", id),): {
            "2025-01": {"certificates": n, "certificates_recognised": k},
            "2025-02": {"certificates": 40, "certificates_recognised": 20},
        }
        for id, (n, k) in first.items()
    }
    hidden = Hiding(hidden_values([STOCK], {"competency": paths}, TODAY, LEAST), {})
    told = {id for id in first if not hidden.of(STOCK, "competency", id).has_end("2025-01")}
    is_network_told = not hidden.of(STOCK, "network", None).has_end("2025-01")
    assert not (is_network_told and told >= {"b", "c"})
    assert "a" not in told


# what it costs


def hidden_of(indicator: str, *counted: tuple[Path, Mapping[str, int]]) -> Mapping[Key, Hidden]:
    """What is hidden where so much is counted in one month."""
    entry = INDICATORS[indicator]
    paths = {path: {"2024-01": dict(counts)} for path, counts in counted}
    return hidden_values([entry], {"programme": paths}, TODAY, LEAST)[indicator]


def graduates(employed: int, seeking: int) -> dict[str, int]:
    return {"status_employed": employed, "status_seeking": seeking}


def test_a_tiny_region_hides_the_one_beside_it_but_only_its_smallest_programme() -> None:
    north, south = ("region", "north"), ("region", "south")
    found = hidden_of(
        "insertion_rate",
        ((north, ("programme", "tiny")), graduates(1, 1)),
        ((south, ("programme", "large")), graduates(60, 40)),
        ((south, ("programme", "small")), graduates(6, 4)),
    )
    assert {key for key, hidden in found.items() if hidden.whole} == {
        *(north, south, ("programme", "tiny"), ("programme", "small"))
    }


def test_nothing_is_hidden_upwards() -> None:
    south = ("region", "south")
    parts = [((south, ("programme", name)), graduates(n, n)) for name, n in (("tiny", 1), ("small", 3), ("large", 30))]
    found = hidden_of("insertion_rate", *parts)
    assert {key for key, hidden in found.items() if hidden.whole} == {("programme", "tiny"), ("programme", "small")}


def test_of_passed_failed_and_broken_off_all_are_hidden_if_one_is() -> None:
    ended = {"internships_passed": 6, "internships_cancelled": 1}  # nobody failed
    other = {"internships_passed": 20, "internships_cancelled": 5, "internships_failed": 5}
    for outcome in ("completion", "failure", "cancellation"):
        found = hidden_of(f"internship_{outcome}_rate", ((("programme", "a"),), ended), ((("programme", "b"),), other))
        assert found["programme", "a"].whole


def test_where_everything_is_small_nothing_more_is_hidden() -> None:
    """Three of each programme and month: programmes are told as wholes, institutions by month."""
    months = {f"2024-{n:02}": graduates(2, 1) for n in range(1, 13)}
    paths = {(("institution", f"i{n // 5}"), ("programme", f"p{n}")): months for n in range(10)}
    found = hidden_values([INDICATORS["insertion_rate"]], {"programme": paths}, TODAY, LEAST)["insertion_rate"]
    assert not any(hidden.whole for hidden in found.values())
    assert {len(hidden.months) for (scope, _), hidden in found.items() if scope != "programme"} == {0}
