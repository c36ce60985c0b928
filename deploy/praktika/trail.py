"""praktika trail: who did what, from where, and how it ended."""

from datetime import datetime
from typing import Annotated, Any

import typer

from shared.http.trail import TOPIC, entry_in
from shared.log.raw import count, reader
from shared.operator import console
from shared.operator.console import Json, moment, progress, say, show_json, show_table
from shared.settings import Settings


def command(
    actor: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what this organisation or operator did.")
    ] = None,
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only what was about this, say a learner.")] = None,
    action: Annotated[str | None, typer.Option(metavar="TEXT", help="Only actions with this in them: DELETE.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only from then on: 2026-03-02T12:00 (UTC), or 45m, 36h, 7d ago.")
    ] = None,
    json: Json = False,
) -> None:
    """List commands, refusals and who read about learners, oldest first; what was sent or answered is not kept."""
    start = moment(since) if since else None

    async def work(settings: Settings) -> int:
        found = [entry for entry in await entries(settings, start) if _is_wanted(entry, actor, subject, action)]
        if json:
            show_json({"entries": found})
        else:
            if found:
                show_table(["AT", "ACTOR", "ADDRESS", "ACTION", "SUBJECT", "OUTCOME"], map(_row, found))
            say(f"{len(found)} entries")
        return console.OK

    console.run(work)


async def entries(settings: Settings, start: datetime | None) -> list[dict[str, Any]]:
    found = []
    async with reader(settings) as topics:
        spans = await topics.spans([TOPIC])
        if start is not None:
            spans = await topics.since(spans, start)
        with progress("reading the trail", count(spans)) as advance:
            async for record in topics.read(spans, advance):
                if entry := entry_in(record.value):
                    found.append(entry)
    return sorted(found, key=lambda entry: str(entry["at"]))


def _row(entry: dict[str, Any]) -> list[Any]:
    return [
        entry["at"][:19],
        entry["actor"] or "-",
        *(entry[name] for name in ("address", "action", "subject", "outcome")),
    ]


def _is_wanted(entry: dict[str, Any], actor: str | None, subject: str | None, action: str | None) -> bool:
    if actor is not None and entry["actor"] != actor:
        return False
    if subject is not None and subject not in entry["subject"].split("/"):
        return False
    return action is None or action.lower() in entry["action"].lower()
