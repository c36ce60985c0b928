"""An import of vacancies: files are compared with what is known, and what is different is published."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

from shared.contract.events import Data, VacancyClosed, derived_id, timestamp
from shared.contract.skills import normalised
from shared.pages.languages import Text

from .market import digest
from .vacancy_files import Pages, Reading, Row, Unfit, Vacancy

BATCH = 500
KEPT = 100  # refused rows that are told
WAIT_S = 60  # for what was published last to be shown
KNOWN = {"digest": 1, "open": 1, "observed_at": 1, "closed_at": 1}  # what vacancies are compared by
Doc = dict[str, Any]


class Change(NamedTuple):
    """What an import has to say of a vacancy: from which row, how it is counted, and the event's data."""

    place: str
    kind: str
    id: str
    data: Data


class Network(Protocol):
    """What an import works on: over HTTP, or within the service."""

    async def regions(self, portal: str) -> dict[str, str]:
        """The region that was last given to each area of a portal."""

    async def known(self, ids: Sequence[str]) -> dict[str, Doc]:
        """The vacancies that are known of these, by id: of each what `KNOWN` names."""

    def open_of(self, portal: str) -> AsyncIterator[Doc]:
        """The open vacancies of a portal, with their ids."""

    async def publish(self, changes: Sequence[Change], at: datetime) -> list[str | None]:
        """Publish changes; of each why it was refused, if it was."""


@dataclass
class Import:
    """One import.

    Attributes:
        at: when the files were exported: the time of all events.
        refused: is told of each row that is refused: its place, and why.
        seen: ids of the files; each counts once.
        areas: that the network knows no region for, with how many vacancies.
        unused: areas that were given a region, and are not in the files.
        warning: why nothing was closed although that was asked for.
        is_shown: the network shows what was published last.
    """

    how: Reading
    network: Network
    at: datetime
    refused: Callable[[str, str], None] = lambda _place, _reason: None
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    areas: Counter[str] = field(default_factory=Counter)
    unused: set[str] = field(default_factory=set)
    warning: Text | None = None
    is_shown: bool = True
    _last: list[str] = field(default_factory=list)
    _nameless: int = 0

    async def run(
        self, rows: Iterable[Row], pages: Pages, *, complete: bool, advance: Callable[[int], None] = lambda _: None
    ) -> None:
        """Import rows batch by batch; *complete*: these are all of the portal, so what is not among them is closed.

        An area has the region that is given now, else the one that it was given before.
        """
        self.unused = {*self.how.regions}
        self.how = self.how.with_regions(await self.network.regions(self.how.portal))
        each = iter(rows)
        while batch := list(islice(each, BATCH)):
            await self._publish([change async for change in self._changes(batch)])
            advance(len(batch))
        if complete:
            await self._close_others(pages)
        await self._wait()

    async def _changes(self, rows: list[Row]) -> AsyncIterator[Change]:
        found = [*self._vacancies(rows)]
        known = await self.network.known([vacancy.id for _, vacancy in found])
        for place, vacancy in found:
            kind = standing(vacancy, known.get(vacancy.id), timestamp(self.at))
            if kind == "unchanged":
                self.counts[kind] += 1
            elif self._is_said(known.get(vacancy.id)):
                self._refuse(place, Text("something else is known of this time: give a later one (--on)"))
            else:
                yield Change(place, kind, vacancy.id, vacancy.data or self._closed())

    def _is_said(self, known: Doc | None) -> bool:
        """Is something known of this very time? Of two words of one time none is the newer one."""
        return known is not None and timestamp(self.at) in (known.get("observed_at"), known.get("closed_at"))

    def _closed(self) -> VacancyClosed:
        return VacancyClosed(closed_on=self.at.astimezone(UTC).date())

    def _vacancies(self, rows: list[Row]) -> Iterator[tuple[str, Vacancy]]:
        """The vacancies that rows are, each id once; what is none is refused."""
        for row in rows:
            self.counts["read"] += 1
            try:
                vacancy = self.how.vacancy(row)
            except Unfit as error:
                self._refuse(row.place, error.args[0])
                self._note_id(row)
                continue
            if vacancy.id in self.seen:
                self.counts["repeated"] += 1
            else:
                self.seen.add(vacancy.id)
                self._note_area(vacancy)
                yield row.place, vacancy

    def _note_area(self, vacancy: Vacancy) -> None:
        if vacancy.data and vacancy.data.area:
            self.unused.discard(normalised(vacancy.data.area))
            if not vacancy.data.region:
                self.areas[vacancy.data.area] += 1

    def _note_id(self, row: Row) -> None:
        """A row that is refused is there, nevertheless: it must not be closed."""
        try:
            self.seen.add(self.how.id_of(row))
        except Unfit:
            self._nameless += 1

    async def _publish(self, changes: list[Change]) -> None:
        if not changes:
            return
        accepted = []
        for change, reason in zip(changes, await self.network.publish(changes, self.at), strict=True):
            if reason:
                self._refuse(change.place, reason)
            else:
                self.counts[change.kind] += 1
                accepted.append(change.id)
        self._last = accepted

    def _refuse(self, place: str, reason: str) -> None:
        self.counts["refused"] += 1
        if len(self.problems) < KEPT:
            self.problems.append({"place": place, "reason": reason})
        self.refused(place, reason)

    async def _close_others(self, pages: Pages) -> None:
        """Close what is open and not in the files, unless these are not all."""
        if not self.seen:
            self.warning = Text("nothing was closed: there are no vacancies in the files")
        elif pages.missing:
            about = {"missing": pages.missing, "pages": pages.number}
            self.warning = Text("nothing was closed: {missing} of {pages} pages are missing", about)
        elif self._nameless:
            about = {"rows": self._nameless}
            self.warning = Text("nothing was closed: rows that do not say which vacancy they are: {rows}", about)
        else:
            now = timestamp(self.at)
            opened = self.network.open_of(self.how.portal)
            await self._close([d["id"] async for d in opened if d["id"] not in self.seen and d["observed_at"] < now])

    async def _close(self, ids: list[str]) -> None:
        data = self._closed()
        for start in range(0, len(ids), BATCH):
            await self._publish([Change(id, "closed", id, data) for id in ids[start : start + BATCH]])

    async def _wait(self) -> None:
        """Wait until the network shows what was published last; the log has it in any case."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not await self._is_applied():
                    await asyncio.sleep(0.2)
        except TimeoutError:
            self.is_shown = False

    async def _is_applied(self) -> bool:
        known, at = await self.network.known(self._last), timestamp(self.at)
        return all(
            at in (known.get(id, {}).get("observed_at"), known.get(id, {}).get("closed_at")) for id in self._last
        )


def standing(vacancy: Vacancy, known: Doc | None, at: str) -> str:
    """What a file of the time *at* says of a vacancy that is not known: new, changed, closed; else unchanged."""
    if known is not None and max(known.get("observed_at") or "", known.get("closed_at") or "") > at:
        return "unchanged"  # something newer is known
    if vacancy.data is None:
        return "closed" if known and known["open"] else "unchanged"
    if known is None or not known.get("observed_at"):
        return "new"
    is_same = known["digest"] == digest(vacancy.data.model_dump(mode="json"))
    return "unchanged" if known["open"] and is_same else "changed"


def event_id(change: Change, at: datetime) -> str:
    """The id of the event that says a change: the same again for the same content and time."""
    return derived_id(change.data.short_type, change.id, timestamp(at), change.data.model_dump_json(exclude_none=True))
