"""Which small groups are hidden, and what beside them, so that no sum or difference of answers gives them away. Pure.

A group is small if it has fewer than five cases, or fewer than ten that are all alike (a share of 0 % or 100 %). What
is small is hidden. What would tell it by subtraction is hidden, too: the network less its other regions, a region less
its other programmes, the whole less its other months.

**The rules**, from the network down, for each scope and its parts:

1. Parts that are small as wholes are hidden altogether, with the smallest of the others until they are not small
   together. Of another that has parts itself only its smallest parts are hidden; it is not told, its other parts are.
2. A month that is hidden of a scope is hidden of all its parts.
3. The hidden months of a part are not small together; if they are, its smallest other month is hidden, too.
4. Each small month stands in a *block*: at least two parts, and at least two months that are hidden of each of them.
   Neither the part over the block's months nor the month over the block's parts is small. Where there is no such block,
   one is made by hiding months of the parts that lose least.

**Why nobody can work out a small group from all answers together.** In a block one case can be moved: one more in part
A in May and one less in June, one less in part B in May and one more in June. All that is told stays the same, because
May, June, A and B have as many as before, and the four numbers that change are hidden. So what follows from the answers
must stay the same as well: a group that follows, and in which A's May is, must have A's June or B's May in it. This is
so of each month and each part of the block, so the group has A's whole row of the block in it or May's whole column.
Neither is small. If May is hidden of the parent as well, the column goes on in the parent's own block. Thus every group
that follows from the answers has enough cases, and no small one follows. Within parts that are hidden altogether cases
can be moved from one to the other, so a group that follows has all of them in it.

The parts of one whole make a tree. Where there are two ways to divide a whole, see `hidden_scopes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Cell = tuple[int, int]  # cases, and how many of them count in the numerator (of a share; else 0)
Cells = Mapping[str, Cell]  # by month
# A scope and its id; of the part of a sector in a region also the region. The scope is empty if no answer is about it.
Key = tuple[str | None, ...]
NETWORK: Key = ("network", None)


class Hidden(NamedTuple):
    """What is hidden of a scope.

    Attributes:
        whole: all of it.
        months: of windows and series; of a stock at their ends.
        ends: of a stock, the months at whose end it is told. Nothing changes between these and *months*.
    """

    whole: bool = False
    months: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()

    def __or__(self, other: "Hidden") -> "Hidden":
        """What is hidden in any of two."""
        return Hidden(self.whole or other.whole, self.months | other.months, self.ends | other.ends)

    def has_end(self, month: str) -> bool:
        """Is a stock hidden at the end of the month?"""
        changed = max((each for each in self.months | self.ends if each <= month), default=None)
        return self.whole or changed in self.months


class Rule(NamedTuple):
    """When a group is small."""

    least: int
    is_share: bool

    def has_enough(self, cell: Cell) -> bool:
        """May it be told?"""
        cases, part = cell
        if cases < self.least:
            return False
        return not self.is_share or 0 < part < cases or self.least == 1 or cases >= 2 * self.least

    def is_small(self, cell: Cell) -> bool:
        """Is there anybody, but not enough?"""
        return cell != (0, 0) and not self.has_enough(cell)


def total(cells: Iterable[Cell]) -> Cell:
    cases = part = 0
    for cell in cells:
        cases += cell[0]
        part += cell[1]
    return cases, part


@dataclass(eq=False)
class Group:
    """A scope with its parts, and what is hidden of it.

    Attributes:
        is_told: is there an answer for it?
    """

    key: Key
    months: dict[str, Cell] = field(default_factory=dict)
    parts: dict[Key, "Group"] = field(default_factory=dict)
    is_told: bool = True
    is_hidden: bool = False
    hidden: set[str] = field(default_factory=set)

    @property
    def whole(self) -> Cell:
        return total(self.months.values())

    def over(self, months: Iterable[str]) -> Cell:
        get = self.months.get
        return total([get(month, NONE) for month in months])

    def add(self, cells: Cells) -> None:
        own = self.months
        for month, (cases, part) in cells.items():
            if cases or part:
                before = own.get(month, NONE)
                own[month] = before[0] + cases, before[1] + part


NONE: Cell = (0, 0)
Path = tuple[Key, ...]  # the scopes that something is part of, the widest first, without the network
Counted = Mapping[str, Mapping[Path, Cells]]  # by kind of counter


def hidden_scopes(counted: Counted, kind: str, rule: Rule) -> dict[Key, Hidden]:
    """What is hidden of each scope of an indicator.

    Two kinds of counters divide the same network, an internship's programme and its enterprise: no answer is about
    both, so cases can be moved in one division while the other stays as it is. Only the network is in both; what is
    hidden of it is worked out from the first and holds for both. Regions and sectors of the same enterprises would not
    leave each other alone: there the parts of a region are its sectors, and a sector is told as the sum of such parts,
    as far as all of them are.

    Args:
        kind: of which the network is the sum.
    """
    network = _tree(counted.get(kind, {}))
    _hide_network(network, rule)
    found = _found(network)
    for other, cells in counted.items():
        if other != kind:
            divided = _tree(cells)
            rest = {month: _less(cell, divided.months.get(month, NONE)) for month, cell in network.months.items()}
            divided.add(rest)
            divided.parts["", None] = Group(
                ("", None), {m: cell for m, cell in rest.items() if cell != NONE}, {}, False
            )
            divided.hidden, divided.is_hidden = set(network.hidden), network.is_hidden
            _hide_network(divided, rule)
            found = _found(divided) | found
    return found


def _less(cell: Cell, other: Cell) -> Cell:
    """What is left; a learner may count at several enterprises, so that nothing is."""
    cases = max(0, cell[0] - other[0])
    return cases, min(cases, max(0, cell[1] - other[1]))


def _tree(cells: Mapping[Path, Cells]) -> Group:
    network = Group(NETWORK)
    for path, months in cells.items():
        network.add(months)
        within = network
        for key in path:
            within = within.parts.setdefault(key, Group(key, is_told=bool(key[0])))
            within.add(months)
    return network


def _found(network: Group) -> dict[Key, Hidden]:
    found: dict[Key, Hidden] = {}
    groups = [network]
    while groups:
        group = groups.pop()
        groups += group.parts.values()
        if group.is_told:
            key = group.key[:2]
            one = found.get(key, Hidden())  # a sector has a part in each region
            found[key] = one | Hidden(group.is_hidden, frozenset(group.hidden))
    return found


def _hide_network(network: Group, rule: Rule) -> None:
    """Hide what has to be of the network, besides what is already, and of its parts."""
    if network.is_hidden or rule.is_small(network.whole):
        _hide_all([network], network.months)
        return
    network.hidden |= _small_months(network, rule)
    _hide_months(network, rule, {})
    _hide_parts(network, network.months, dict.fromkeys(network.hidden, network.hidden), rule)


def _hide_all(groups: Iterable[Group], months: Iterable[str]) -> None:
    for group in groups:
        group.is_hidden, group.hidden = True, set(months)
        _hide_all(group.parts.values(), months)


def _small_months(group: Group, rule: Rule) -> set[str]:
    return {month for month, cell in group.months.items() if rule.is_small(cell)}


def _hide_months(group: Group, rule: Rule, elsewhere: Mapping[str, int]) -> None:
    """Hide more months until those that are hidden are not small together.

    Args:
        elsewhere: of how many other groups a month is hidden; those are taken first, because they make blocks.
    """
    if not any(rule.is_small(group.months.get(month, NONE)) for month in group.hidden):
        return
    others = sorted(
        group.months.keys() - group.hidden, key=lambda month: (not elsewhere.get(month), group.months[month][0], month)
    )
    for month in others:
        if rule.has_enough(group.over(group.hidden)):
            break
        group.hidden.add(month)


def _hide_parts(group: Group, months: Iterable[str], blocks: Mapping[str, set[str]], rule: Rule) -> None:
    """Hide what has to be of the parts of a group that is not hidden altogether.

    Args:
        months: all that there are.
        blocks: the months of the blocks that the group's own small months stand in.
    """
    parts = [part for part in group.parts.values() if part.months]
    if len(parts) == 1 and parts[0].is_told:  # it is the same as the whole
        parts[0].hidden = set(group.hidden)
        _hide_parts(parts[0], months, blocks, rule)
        return
    rows, together = _divided(parts, months, rule)
    counts: dict[str, int] = {}
    for row in rows:
        row.hidden = group.hidden | _small_months(row, rule)
        for month in row.hidden:
            counts[month] = counts.get(month, 0) + 1
    for row in rows:
        before = set(row.hidden)
        _hide_months(row, rule, counts)
        for month in row.hidden - before:
            counts[month] = counts.get(month, 0) + 1
    if together:
        merged = Group(("", None), hidden=set(months))
        for part in together:
            merged.add(part.months)
        rows = [*rows, merged]
    found = _Blocks(rows, blocks, rule).found if len(rows) > 1 else {}
    for row in rows:
        if row.parts:
            _hide_parts(row, months, found.get(row, {}), rule)


def _divided(parts: Iterable[Group], months: Iterable[str], rule: Rule) -> tuple[list[Group], list[Group]]:
    """The parts that are told, and those that are hidden altogether.

    Of a part that has to be hidden beside small ones only the smallest parts are, and it is not told itself: what else
    it has stands beside the other parts.

    Raises:
        Coarse: the parts of such a one are not known.
    """
    told, together = list[Group](), list[Group]()

    def divide(some: Iterable[Group]) -> None:
        for part in some:
            (together if not part.is_told or rule.is_small(part.whole) else told).append(part)
        told.sort(key=lambda part: (part.whole[0], str(part.key)))

    divide(part for part in parts if part.months)
    while together and told and not rule.has_enough(total(part.whole for part in together)):
        part = told.pop(0)
        if SUMMED in part.parts:
            raise Coarse(part.key)
        if part.parts:
            part.is_hidden, part.hidden = True, set(months)
            divide(of_it for of_it in part.parts.values() if of_it.months)
        else:
            together.append(part)
    _hide_all(together, months)
    return told, together


SUMMED: Key = ("", "summed")  # in place of parts that are not known one by one


class Coarse(Exception):
    """What is hidden depends on parts that are known only as a sum."""


class _Blocks:
    """The blocks of the parts of one group; where one is missing, more is hidden.

    Attributes:
        found: the months of the block that a small month of a row stands in.
    """

    def __init__(self, rows: Sequence[Group], of_whole: Mapping[str, set[str]], rule: Rule) -> None:
        self._rows, self._of_whole, self._rule = rows, of_whole, rule
        self.found: dict[Group, dict[str, set[str]]] = {row: {} for row in rows}
        for row in rows:
            for month in sorted(row.hidden):
                if rule.is_small(row.months.get(month, NONE)) and month not in self.found[row]:
                    self._note(*(self._block(row, month) or self._made(row, month)))

    def _block(self, row: Group, month: str) -> tuple[list[Group], set[str]] | None:
        """A block of what is hidden already; once it is one, with all rows that fit."""
        block, months, is_one = [row], set(row.hidden), False
        others = [other for other in self._rows if other is not row and self._helps(other, month, other.hidden)]
        for other in sorted(others, key=lambda other: -len(other.hidden & row.hidden)):
            both = months & other.hidden
            if both == months or (not is_one and len(both) > 1 and self._rule.has_enough(row.over(both))):
                block.append(other)
                months = both
                is_one = is_one or self._has_enough(block, month)
        return (block, months) if is_one else None

    def _made(self, row: Group, month: str) -> tuple[list[Group], set[str]]:
        """A block for which as little as possible is hidden besides."""
        months = {month}
        for other_month in sorted(row.hidden - months, key=lambda other: (row.months.get(other, NONE)[0], other))[::-1]:
            if len(months) > 1 and self._rule.has_enough(row.over(months)):
                break
            months.add(other_month)
        block = [row]
        others = [other for other in self._rows if other is not row and self._helps(other, month, {month})]
        for other in sorted(others, key=lambda other: (other.over(months - other.hidden)[0], -other.over([month])[0])):
            block.append(other)
            other.hidden |= months
            if self._has_enough(block, month):
                break
        return block, months

    def _helps(self, row: Group, month: str, hidden: set[str]) -> bool:
        return month in hidden and (month in row.months or month in self._of_whole)

    def _has_enough(self, block: Sequence[Group], month: str) -> bool:
        """Is the month not small over the rows of the block, or are they not in the block of the whole?"""
        if self._rule.has_enough(total([row.months.get(month, NONE) for row in block])):
            return True
        of_whole = self._of_whole.get(month)
        return of_whole is not None and self._rule.has_enough(total([row.over(of_whole) for row in block]))

    def _note(self, block: Sequence[Group], months: set[str]) -> None:
        enough = [month for month in months if self._has_enough(block, month)]
        for row in block:
            if self._rule.has_enough(row.over(months)):
                self.found[row] |= dict.fromkeys(enough, months)


def hidden_ends(counted: Counted, kind: str, rule: Rule) -> dict[Key, Hidden]:
    """What is hidden of a stock: of which parts all, and of which the ends of months before the last.

    Ends are told at which nothing is small and between which enough cases have changed. A part is told at the ends of
    its whole if that holds for it, too, or nothing of it has changed; else only as it is now. The parts that are not
    told at these ends stand in one block, for which it must hold together. So it goes on with the parts of a part:
    what is told of it is less than its whole tells, so nothing more follows of what lies beside it.
    """
    network = _tree(counted.get(kind, {}))
    if rule.is_small(network.whole):
        _hide_all([network], network.months)
        return _found(network)
    found: dict[Key, Hidden] = {}
    months = sorted(network.months)
    _tell_ends(network, months, frozenset(months), rule, found)
    return found | {key: hidden for key, hidden in _found(network).items() if hidden.whole}


def _tell_ends(
    group: Group, candidates: Sequence[str], months: frozenset[str], rule: Rule, found: dict[Key, Hidden]
) -> None:
    """Note at which of the ends of its whole a group is told, and so with its parts."""
    parts = [part for part in group.parts.values() if part.months]
    told, together = ([], []) if SUMMED in group.parts else _divided(parts, months, rule)
    ends = _ends(candidates, [[group]], rule)
    closed = [part for part in told if not _is_told_at(ends, [part], rule)]
    ends = _ends(ends, [[group], [*together, *closed]], rule)
    at = frozenset({max(months, default=""), *ends})
    found[group.key[:2]] = Hidden(months=months - at, ends=at)
    for part in told:
        _tell_ends(part, [] if part in closed else ends, months, rule, found)


Block = Sequence[Group]  # groups that are told of together only


def _changed(cell: Cell) -> int:
    """How many cases a month's change is about, at least: they may cancel out, in all or in the numerator."""
    return max(map(abs, cell))


def _between(block: Block, begin: str, end: str) -> int:
    """How many cases have changed after one end up to another."""
    return sum(_changed(cell) for group in block for month, cell in group.months.items() if begin < month <= end)


def _until(block: Block, end: str) -> Cell:
    """The stock at an end."""
    return total(cell for group in block for month, cell in group.months.items() if month <= end)


def _ends(candidates: Sequence[str], blocks: Sequence[Block], rule: Rule) -> list[str]:
    """The ends at which no block is small, and between any two of which enough of its cases have changed, or none.

    Now is an end, too.
    """

    def is_enough(begin: str, end: str) -> bool:
        changed = [_between(block, begin, end) for block in blocks]
        return all(n == 0 or n >= rule.least for n in changed)

    ends = [""]
    for end in candidates:
        if is_enough(ends[-1], end) and not any(rule.is_small(_until(block, end)) for block in blocks):
            ends.append(end)
    while len(ends) > 1 and not is_enough(ends[-1], LAST):
        ends.pop()
    return ends[1:]


LAST = "9"  # after any month


def _is_told_at(ends: Sequence[str], block: Block, rule: Rule) -> bool:
    return _ends(ends, [block], rule) == list(ends)
