"""praktika rejections: what the ingress refused, and why."""

from datetime import datetime
from typing import Annotated, Any

import typer
from aiokafka import TopicPartition

from shared.log.raw import Spans, count, reader
from shared.log.topics import partition_of
from shared.operator import console
from shared.operator.console import Json, moment, progress, say, show_json, show_table
from shared.settings import Settings

from .rejection_records import rejection_in, resubmission_in


def command(
    organisation: Annotated[str | None, typer.Option(metavar="ID", help="Only what this organisation sent.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only from then on: 2026-03-02T12:00 (UTC), or 45m, 36h, 7d ago.")
    ] = None,
    json: Json = False,
) -> None:
    """List what the ingress refused, oldest first, with the reason that the sender was given.

    With --json also what was sent (`original`, base64, at most 64 KiB).
    """
    start = moment(since) if since else None

    async def work(settings: Settings) -> int:
        found, unreadable = await rejections(settings, organisation, start)
        if json:
            show_json({"rejections": found, "unreadable": unreadable})
        else:
            _print(found)
            say(f"{len(found)} rejections" + (f", {unreadable} unreadable records" if unreadable else ""))
        return console.OK

    console.run(work)


async def rejections(
    settings: Settings, organisation: str | None, start: datetime | None
) -> tuple[list[dict[str, Any]], int]:
    """The rejections, and how many records of the topic are none."""
    found, unreadable = [], 0
    async with reader(settings) as topics:
        spans = await topics.spans(["rejected"])
        if organisation is not None:
            spans = _of_key(spans, organisation)
        if start is not None:
            spans = await topics.since(spans, start)
        with progress("reading rejections", count(spans)) as advance:
            async for record in topics.read(spans, advance):
                rejection = rejection_in(record)
                if rejection is None:
                    unreadable += resubmission_in(record) is None
                elif organisation in (None, rejection["organisation"]):
                    found.append(rejection)
    return sorted(found, key=lambda rejection: str(rejection["received_at"])), unreadable


def _of_key(spans: Spans, key: str) -> Spans:
    """The one partition that holds *key*."""
    partition = partition_of(key.encode(), len(spans)) if spans else 0
    return {tp: span for tp, span in spans.items() if tp == TopicPartition(tp.topic, partition)}


def _print(found: list[dict[str, Any]]) -> None:
    rows = []
    for x in found:
        errors = "; ".join(f"{error.get('field')}: {error.get('detail')}" for error in x["errors"])
        reason = f"{x['detail']}{f' ({errors})' if errors else ''}"
        rows.append([str(x["received_at"])[:19], x["organisation"], x["status"], reason])
    if rows:
        show_table(["RECEIVED", "ORGANISATION", "STATUS", "REASON"], rows)
