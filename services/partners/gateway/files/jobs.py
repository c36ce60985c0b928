"""Files that members have uploaded, checked and published in the background, one after the other.

Where each stands is in the service's home, so the work survives the browser, and a restart: repeating is harmless, and
what was interrupted begins anew.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from services.partners.gateway.credentials import refuse_suspended
from services.partners.gateway.ingress.http import memory_of
from shared.contract.events import Publisher
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Service
from shared.log.producer import NotPublished
from shared.observability import logs
from shared.pages.languages import N_
from shared.processing import mongo

from .uploads import Meant, published

UPLOADS, FILES = "uploads", "upload_files"
SHOWN = 200  # refused rows that are kept one by one; the report has all
STALE_S = 60  # so long nothing was heard of it: whoever worked on it is gone
LOOK_S = 2
log = logs.get(__name__)
Job = dict[str, Any]


def awake(service: Service) -> asyncio.Event:
    """What is set when there is work for this process."""
    event: asyncio.Event = service.shared.setdefault("uploads", asyncio.Event())
    return event


async def work_on_uploads(service: Service) -> None:
    """Check and publish what members upload, one file after the other; what was interrupted begins anew."""
    called = awake(service)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await called.wait()
        called.clear()
        while job := await _next(service.store.home):
            await _work(service, job)


async def _next(home: mongo.Database) -> Job | None:
    """Take up an upload that waits, or whose worker is gone."""
    now = datetime.now(UTC)
    left = {"state": "running", "alive_at": {"$lt": now - timedelta(seconds=STALE_S)}}
    taken = {"$set": {"state": "running", "alive_at": now}}
    found: Job | None = await home[UPLOADS].find_one_and_update({"$or": [{"state": "waiting"}, left]}, taken)
    return found


async def _work(service: Service, job: Job) -> None:
    home = service.store.home
    try:
        problem = await _publish(service, job)
    except asyncio.CancelledError:
        await home[UPLOADS].update_one({"_id": job["_id"]}, {"$set": {"state": "waiting"}})
        raise
    except Problem as refused:
        if refused.status == 429:  # the organisation's system sends a file just now
            await home[UPLOADS].update_one({"_id": job["_id"]}, {"$set": {"state": "waiting"}})
            await asyncio.sleep(LOOK_S)
            return
        problem = refused.detail
    except (NotPublished, mongo.DatabaseError):
        problem = N_("Kafka or MongoDB does not answer; some rows may have been taken: publish again")
    except Exception:
        log.exception("upload_failed", upload=job["_id"])
        problem = N_("this is a defect of ours; it has been logged")
    state = "failed" if problem else "checked" if job["dry_run"] else "published"
    await home[UPLOADS].update_one({"_id": job["_id"]}, {"$set": {"state": state, "problem": problem}})


async def _publish(service: Service, job: Job) -> str | None:
    """Work through a file, noting how far; what stopped it, if something did."""
    home, id = service.store.home, job["_id"]
    file = await home[FILES].find_one({"_id": id}, {"content": 1})
    if file is None:
        return N_("the file is not kept any more; upload it again")
    caller = Caller(job["organisation"], Publisher(job["kind"]), job["sandbox"], member=job["member"])
    await refuse_suspended(service, caller)
    meant = Meant.model_validate({**job["meant"], "lang": job["language"], "dry_run": job["dry_run"]})
    mistakes: list[Any] = []
    lines: list[str] = []
    async for answer in await published(file["content"], service, caller, await memory_of(service), meant):
        if "problem" in answer:
            return str(answer["problem"]["detail"])
        if "report" in answer:
            lines.append(answer["report"])
            continue
        for row in answer["refused"]:
            lines.append(row["line"])
            mistakes += [{"row": row["row"], **mistake} for mistake in row["mistakes"]]
        far = {"done": answer["done"], "accepted": answer["accepted"], "refused": len(lines) - 1}
        await home[UPLOADS].update_one({"_id": id}, {"$set": {**far, "alive_at": datetime.now(UTC)}})
    kept = {"mistakes": mistakes[:SHOWN], "report": "".join(lines) if len(lines) > 1 else ""}
    await home[FILES].update_one({"_id": id}, {"$set": kept})
    return None
