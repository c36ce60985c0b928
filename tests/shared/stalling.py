"""A service whose rules stop for good on the first event, as a lost answer or an endless loop would; for test_watchdog.

python -m tests.shared.stalling waiting|looping FOLDER     the second start, in which `FOLDER/stalled` exists, works
"""

import asyncio
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from fastapi import APIRouter

from shared.contract.events import Data, Event
from shared.http import application
from shared.http.application import serve
from shared.processing import runner
from shared.processing.core import Core
from shared.processing.mongo import Database, Key

how, folder = sys.argv[1], Path(sys.argv[2])


async def stall(_: Database, __: Collection[Key], events: Sequence[Event[Data]]) -> None:
    if not events or (folder / "stalled").exists():
        return
    (folder / "stalled").touch()
    if how == "looping":
        time.sleep(3_600)  # noqa: ASYNC251 (the defect that is wanted here)
    await asyncio.Event().wait()


if not (folder / "stalled").exists():
    runner.STALLED_S, application.HANGING_S = 1, 10
core = Core(
    name="feedback",
    topics=("learner",),
    indexes={"learners": []},
    route=lambda event: Key("learners", event.partitionkey),
    context=stall,
)
serve(core, APIRouter())
