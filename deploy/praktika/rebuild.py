"""praktika rebuild: a service's database anew from the log, beside the one in use, compared and swapped."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, NamedTuple

import typer

from deploy.praktika.status import core
from shared.log.producer import Record
from shared.log.raw import Raw, reader, writer
from shared.log.topics import SERVICES
from shared.operator import console, rebuild
from shared.operator.console import Failed, Json, Misused, progress, say, show, show_json
from shared.operator.rebuild import Compared, Databases, NotRebuilt, Rebuild
from shared.processing import mongo
from shared.processing.mongo import COUNTERS, Fenced
from shared.settings import Settings

SHOWN = 20


def command(  # noqa: PLR0913, PLR0917
    service: Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(SERVICES))],
    accept: Annotated[bool, typer.Option("--accept", help="Swap though there are differences.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Publish what should be in the log and is not.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Put the former database in use again.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Drop the former database.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Drop a rebuild that is not complete.")] = False,
    json: Json = False,
) -> None:
    """Replay the log into a second database beside the one in use, compare them, and swap.

    The service goes on meanwhile and nothing is published. If all is equal, the rebuilt database is put in use at once
    and the former is kept (--back, --drop-old). If anything differs, it is shown, nothing is swapped, and this ends
    with 1: repeat with --accept to swap nevertheless. After a defect in a service's rules was mended that is to be
    expected, and events may show up that should have been published (--publish).
    """

    async def work(settings: Settings) -> int:
        if service not in SERVICES:
            raise Misused(f"there is no service {service}; there are {', '.join(SERVICES)}")
        if back + drop_old + abandon > 1 or ((back or drop_old or abandon) and (accept or publish)):
            raise Misused("--back, --drop-old and --abandon stand alone")
        async with found(settings, service) as dbs:
            try:
                if back or drop_old or abandon:
                    result = await _change(dbs, service, back=back, drop_old=drop_old)
                    code = console.OK
                else:
                    result, code = await _rebuild(settings, service, dbs, Wanted(accept, publish, not json))
            except NotRebuilt as error:
                raise Failed(str(error)) from None
            except Fenced:
                raise Failed(f"another rebuild of {service} is under way") from None
            after = await rebuild.databases(dbs.home)
        if json:
            former = after.other.name if after.is_kept else None
            show_json({"service": service, "database": after.live.name, "former": former, **result})
        else:
            say(f"{service} uses {after.live.name}" + (f"; {after.other.name} is kept" if after.is_kept else ""))
        return code

    console.run(work, f"repeat the command, it goes on where it was; or praktika rebuild {service} --abandon")


@asynccontextmanager
async def found(settings: Settings, service: str) -> AsyncIterator[Databases]:
    client = mongo.connect(settings)
    try:
        yield await rebuild.databases(mongo.database(client, settings, service))
    finally:
        client.close()


async def _change(dbs: Databases, service: str, *, back: bool, drop_old: bool) -> dict[str, Any]:
    if back:
        if not dbs.is_kept:
            raise Failed("there is no former database")
        await rebuild.swap(dbs)
    elif drop_old:
        if dbs.is_kept:
            await rebuild.empty_other(dbs, core(service))
    elif dbs.is_kept:
        raise Failed(f"{dbs.other.name} is the former database, which was in use: --drop-old drops it")
    else:
        await rebuild.empty_other(dbs, core(service))
    return {}


class Wanted(NamedTuple):
    accept: bool
    publish: bool
    in_words: bool


async def _rebuild(settings: Settings, service: str, dbs: Databases, wanted: Wanted) -> tuple[dict[str, Any], int]:
    if dbs.is_kept:
        raise Failed(f"{dbs.other.name} is kept from the last rebuild: first --drop-old, or --back")
    async with reader(settings) as topics, aclosing(Rebuild(core(service), dbs, topics, settings.namespace)) as making:
        if await making.begin():
            say("going on with the rebuild that was begun")
        with progress(f"replaying into {dbs.other.name}", await making.ahead()) as advance:
            await making.catch_up(advance)
        compared = await _compare(making, dbs, core(service).indexes)
        missing = await making.unpublished()
        if wanted.in_words:
            _print(compared, missing)
        if wanted.publish:
            await _publish(settings, missing)
        swaps = wanted.accept or not (compared.different or (missing and not wanted.publish))
        if swaps:
            await _swap(making, dbs)
        else:
            say("nothing was swapped; --accept swaps, --abandon drops the rebuilt one")
    return _result(compared, missing, swapped=swaps), console.OK if swaps else console.DIFFERENT


async def _compare(making: Rebuild, dbs: Databases, collections: Any) -> Compared:
    total = sum([await dbs.live[name].estimated_document_count() for name in (COUNTERS, *collections)])
    with progress("comparing", total) as advance:
        return await making.compare(advance)


async def _publish(settings: Settings, missing: list[Record]) -> None:
    records = [Raw(r.topic, r.key.encode(), r.value, r.headers) for r in missing]
    async with writer(settings) as into:
        for start in range(0, len(records), 100):
            await into.write(records[start : start + 100])


async def _swap(making: Rebuild, dbs: Databases) -> None:
    with progress("catching up", await making.ahead()) as advance:
        await making.catch_up(advance)
    await rebuild.swap(dbs)


def _print(compared: Compared, missing: list[Record]) -> None:
    for what, live, rebuilt in compared.differences[:SHOWN]:
        show(f"{what}: {_brief(live)} in use, {_brief(rebuilt)} rebuilt")
    for record in missing[:SHOWN]:
        show(f"not in the log: {record.topic} {record.key}: {_brief((record.value or b'').decode('utf-8', 'replace'))}")
    show(
        f"rebuild: {compared.counters} counters and {compared.entities} entities compared, {compared.different} differ"
    )
    if missing:
        show(f"rebuild: {len(missing)} records that should be in the log are not")


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 100 else text[:100] + "..."


def _result(compared: Compared, missing: list[Record], *, swapped: bool) -> dict[str, Any]:
    return {
        "swapped": swapped,
        "entities": compared.entities,
        "counters": compared.counters,
        "different": compared.different,
        "differences": [{"what": d.what, "live": str(d.live), "rebuilt": str(d.rebuilt)} for d in compared.differences],
        "missing": [{"topic": record.topic, "key": record.key} for record in missing],
    }
