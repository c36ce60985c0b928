"""praktika dead-letters: list, show, replay, discard."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from shared.log.raw import Raw, Spans, count, reader, writer
from shared.log.reads import Log
from shared.log.topics import SERVICES
from shared.operator import console, dead_letters
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import (
    Failed,
    Json,
    Misused,
    progress,
    say,
    show,
    show_json,
    show_table,
    time_of,
)
from shared.operator.dead_letters import DISCARDED, REPLAYED, DeadLetter, Found, Position
from shared.processing import mongo
from shared.settings import Settings

app = application("What services could not process: look at it, give it to them once more, or discard it.")

Services = Annotated[
    list[str] | None, typer.Option("--service", metavar="SERVICE", help=f"Only of these: {', '.join(SERVICES)}.")
]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Only those whose cause or reason contains this.")]
Positions = Annotated[list[str] | None, typer.Argument(metavar="POSITION", help="As listed, like learner-3-117.")]
SHOWN_BYTES = 4_000
STATUSES = ("open", REPLAYED, DISCARDED)
# What became of a replayed dead letter, as its service sees it.
APPLIED, PUBLISHED, FAILED, LATE, IMPOSSIBLE = (
    "applied",
    "published",
    "failed again",
    "not taken in yet",
    "not replayed",
)


@dataclass
class Chosen:
    """What the options choose; a position chooses the dead letters of every service unless services are named."""

    services: list[str]
    reason: str
    positions: list[Position]

    @classmethod
    def by(cls, services: list[str] | None, reason: str | None, positions: list[str] | None = None) -> "Chosen":
        if unknown := set(services or ()) - set(SERVICES):
            raise Misused(f"there is no service {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
        parsed = {text: Position.of(text) for text in positions or ()}
        if wrong := [text for text, position in parsed.items() if position is None]:
            raise Misused(f"{', '.join(wrong)} is no position; it looks like learner-3-117")
        return cls(services or list(SERVICES), (reason or "").lower(), [p for p in parsed.values() if p])

    def of(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Those of *letters* that are chosen.

        Raises:
            Failed: a position names none.
        """
        chosen = [
            letter
            for letter in letters
            if letter.service in self.services
            and self.reason in f"{letter.cause} {letter.reason}".lower()
            and (not self.positions or letter.position in self.positions)
        ]
        if missing := set(self.positions) - {letter.position for letter in chosen}:
            raise Failed(f"there is no such dead letter: {', '.join(sorted(map(str, missing)))}")
        return chosen


async def read(
    settings: Settings, services: Sequence[str] = SERVICES, after: Spans | None = None
) -> tuple[Found, Spans]:
    """All dead letters of *services* (behind what *after* spans), and what was read."""
    async with reader(settings) as topics:
        spans = await dead_letters.spans(topics, services)
        if after:
            spans = {tp: span._replace(first=after[tp].end) if tp in after else span for tp, span in spans.items()}
        with progress("reading dead letters", count(spans)) as advance:
            return await dead_letters.read(topics, spans, advance), spans


def as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "service": letter.service,
        "position": str(letter.position),
        "status": letter.status,
        "at": time_of(letter.at_ms),
        "cause": letter.cause,
        "reason": letter.reason,
        "bytes": letter.size,
        "replay_of": letter.again,
        "copies": letter.copies,
        "mark": letter.mark or None,
    }


@app.command("list", epilog=EXIT_CODES)
def list_(
    service: Services = None,
    reason: Reason = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were replayed or discarded.")] = False,
    json: Json = False,
) -> None:
    """List dead letters, oldest first: those that nothing was done about."""

    async def work(settings: Settings) -> int:
        chosen = Chosen.by(service, reason)
        found, _ = await read(settings, chosen.services)
        letters = chosen.of(found.letters)
        counts = {status: sum(x.status == status for x in letters) for status in STATUSES}
        shown = [letter for letter in letters if all_ or letter.is_open]
        if json:
            unreadable = [str(position) for position in found.unreadable]
            show_json({**counts, "unreadable": unreadable, "dead_letters": list(map(as_json, shown))})
            return console.OK
        _print(shown, with_status=all_)
        say(", ".join(f"{number} {status}" for status, number in counts.items()))
        if found.unreadable:
            say(
                f"{len(found.unreadable)} records there are no dead letters of ours, the first is {found.unreadable[0]}"
            )
        return console.OK

    console.run(work)


def _print(letters: Sequence[DeadLetter], *, with_status: bool) -> None:
    rows = []
    for x in letters:
        status = [_status(x)] if with_status else []
        again = f"(replay of {x.again}) " if x.again else ""
        rows.append([x.service, x.position, time_of(x.at_ms)[:19], *status, x.cause, again + x.reason])
    if rows:
        show_table(["SERVICE", "POSITION", "SINCE", *(["STATUS"] if with_status else []), "CAUSE", "REASON"], rows)


def _status(letter: DeadLetter) -> str:
    return f"replayed as {letter.mark.get('to')}" if letter.status == REPLAYED else letter.status


@app.command("show", epilog=EXIT_CODES)
def show_(
    position: Annotated[str, typer.Argument(help="As listed, like learner-3-117.")],
    service: Services = None,
    json: Json = False,
) -> None:
    """Show a dead letter in full: why it was not processed, what was done about it, and the original record."""

    async def work(settings: Settings) -> int:
        chosen = Chosen.by(service, None, [position])
        found, _ = await read(settings, chosen.services)
        letters = chosen.of(found.letters)
        async with log_of(settings) as log:
            raw = await dead_letters.original(letters[0], log) or await dead_letters.kept(letters[0], log)
        if json:
            show_json({"record": _record(raw, letters[0].size), "dead_letters": list(map(as_json, letters))})
            return console.OK
        for letter in letters:
            _print_letter(letter)
        _print_record(raw)
        return console.OK

    console.run(work)


def _record(raw: Raw, length: int | None) -> dict[str, Any]:
    return {
        "key": _text(raw.key),
        "headers": [{"name": name, "value": _text(content)} for name, content in raw.headers],
        "value": None if raw.value is None else _text(raw.value),
        "value_base64": None if raw.value is None else base64.b64encode(raw.value).decode(),
        "whole": len(raw.value or b"") == (length or 0),
    }


def _print_letter(letter: DeadLetter) -> None:
    show(f"{letter.service} {letter.position}, since {time_of(letter.at_ms)}: {_status(letter)}")
    show(f"  {letter.cause}: {letter.reason}")
    if letter.again:
        show(f"  is a replay of {letter.again}")
    for name, content in letter.mark.items():
        show(f"  {name}: {content}")


def _print_record(raw: Raw) -> None:
    show(f"key: {_text(raw.key)}")
    for name, content in raw.headers:
        show(f"header {name}: {_text(content)}")
    show("no value" if raw.value is None else _text(raw.value[:SHOWN_BYTES]))
    if raw.value and len(raw.value) > SHOWN_BYTES:
        say(f"... {len(raw.value) - SHOWN_BYTES} bytes more; --json shows all")


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


@app.command(epilog=EXIT_CODES)
def replay(  # noqa: PLR0913, PLR0917
    positions: Positions = None,
    service: Services = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--everything", help="All that are open.")] = False,
    wait: Annotated[int, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the services.")] = 30,
    json: Json = False,
) -> None:
    """Give originals to the services once more, after what kept them from being processed was mended.

    The record is published again, as it was, behind all others of its key. Every service sees it; those that have it
    change nothing. What fails again is a new dead letter that names the former. What was replayed already is left
    alone; what was discarded, too, unless its position is named.
    """

    async def work(settings: Settings) -> int:
        chosen = Chosen.by(service, reason, positions)
        if not (positions or service or reason or everything):
            raise Misused("say which: positions, --service, --reason, or --everything")
        found, spans = await read(settings)
        letters = _to_replay(found.letters, chosen)
        done = await _replay(settings, letters)
        outcomes = await _outcomes(settings, letters, done, spans, wait)
        for x, outcome in zip(letters, outcomes, strict=True):
            if not json:
                show(f"{x.service} {x.position} -> {done[x.position]}: {outcome}")
        if json:
            rows = [(x.service, str(x.position), str(done[x.position])) for x in letters]
            replayed = [(*row, outcome) for row, outcome in zip(rows, outcomes, strict=True)]
            show_json(
                {"replayed": [dict(zip(("service", "position", "to", "outcome"), x, strict=True)) for x in replayed]}
            )
        say(f"{len(letters)} replayed")
        return console.OK if {APPLIED, PUBLISHED}.issuperset(outcomes) else console.DIFFERENT

    console.run(work, "repeat the command; what is replayed already is left alone")


def _to_replay(letters: Sequence[DeadLetter], chosen: Chosen) -> list[DeadLetter]:
    """The chosen ones and, because a record is published for all services, what others have at the same positions."""
    wanted = {x.position for x in chosen.of(letters) if x.is_open or (chosen.positions and x.status == DISCARDED)}
    return [x for x in letters if x.position in wanted and x.status != REPLAYED]


async def _replay(settings: Settings, letters: Sequence[DeadLetter]) -> dict[Position, Position | str]:
    async with log_of(settings) as log, writer(settings) as into:
        with progress("replaying", len({letter.position for letter in letters})) as advance:
            return await dead_letters.replay(letters, log, into, advance)


async def _outcomes(
    settings: Settings,
    letters: Sequence[DeadLetter],
    done: Mapping[Position, Position | str],
    read_to: Spans,
    wait_s: int,
) -> list[str]:
    """What became of each of *letters*: whether its service has taken the record in now."""
    there = {(x.service, to) for x in letters if isinstance(to := done[x.position], Position)}
    passed = await _passed(settings, there, wait_s)
    # Whatever failed again became a dead letter before its service went on.
    again, _ = await read(settings, SERVICES, read_to) if passed else (Found([], []), None)
    failed = {(x.service, x.position) for x in again.letters}

    def outcome(named: tuple[str, Position | str]) -> str:
        if named not in there:
            return IMPOSSIBLE
        if named in failed:
            return FAILED
        return APPLIED if named in passed else LATE if wait_s else PUBLISHED

    return [outcome((x.service, done[x.position])) for x in letters]


async def _passed(settings: Settings, there: set[tuple[str, Position]], wait_s: int) -> set[tuple[str, Position]]:
    """Those of *there* that the named service has behind it; waits for the rest for so long."""
    passed: set[tuple[str, Position]] = set()
    client, deadline = mongo.connect(settings), time.monotonic() + wait_s
    try:
        while passed != there and time.monotonic() < deadline:
            for service in {service for service, _ in there - passed}:
                stands = await mongo.positions(await mongo.live(mongo.database(client, settings, service)))
                for named, to in there:
                    at = stands.get(f"{to.topic}-{to.partition}")
                    if named == service and at and at.next_offset > to.offset:
                        passed.add((named, to))
            await asyncio.sleep(0.1)
        return passed
    finally:
        client.close()


@app.command(epilog=EXIT_CODES)
def discard(
    positions: Annotated[list[str], typer.Argument(metavar="POSITION", help="As listed, like learner-3-117.")],
    because: Annotated[str, typer.Option(metavar="TEXT", help="Why nothing will be done; it is recorded.")],
    service: Services = None,
    json: Json = False,
) -> None:
    """Note that nothing will be done about dead letters. They are no longer listed, except by `list --all`."""

    async def work(settings: Settings) -> int:
        chosen = Chosen.by(service, None, positions)
        if not because.strip():
            raise Misused("--because must say why")
        found, _ = await read(settings, chosen.services)
        letters = [letter for letter in chosen.of(found.letters) if letter.is_open]
        async with writer(settings) as into:
            await dead_letters.discard(letters, because, into)
        if json:
            show_json({"discarded": [{"service": x.service, "position": str(x.position)} for x in letters]})
        say(f"{len(letters)} discarded")
        return console.OK

    console.run(work, "repeat the command; what is discarded already is left alone")


@asynccontextmanager
async def log_of(settings: Settings) -> AsyncIterator[Log]:
    log = Log(settings)
    try:
        yield log
    finally:
        await log.close()
