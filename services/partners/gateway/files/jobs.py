"""Files that members have uploaded, checked and published in the background, one after the other.

Where each stands is in the service's home, so the work survives the browser, and a restart: repeating is harmless, and
what was interrupted begins anew.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

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
KEPT_DAYS = 30  # of an upload: what of it was accepted
FILE_KEPT_S = 86_400  # of the file itself, which may hold what nobody needs
IDLE = {"state": {"$nin": ["waiting", "running"]}}
UNTOUCHED = {"done": 0, "accepted": 0, "refused": 0, "problem": None}
SHOWN = 200  # refused rows that are kept one by one; the report has all
STALE_S = 60  # so long nothing was heard of it: whoever worked on it is gone
LOOK_S = 2
ATTEMPTS = 3  # a file at which processes end is not taken up for ever
REPORT_CHARACTERS = 3_500_000  # of a document's 16 MB, in whatever letters
log = logs.get(__name__)
Job = dict[str, Any]


def _awake(service: Service) -> asyncio.Event:
    """What is set when there is work for this process."""
    event: asyncio.Event = service.shared.setdefault("uploads", asyncio.Event())
    return event


async def keep(home: mongo.Database, job: Job, content: bytes, examples: Mapping[str, str]) -> None:
    """Keep a file with what is known of it."""
    await home[UPLOADS].create_index("at", expireAfterSeconds=KEPT_DAYS * 86_400)
    await home[UPLOADS].create_index([("organisation", 1), ("at", -1)])
    await home[FILES].create_index("at", expireAfterSeconds=FILE_KEPT_S)
    file = {"organisation": job["organisation"], "content": content, "examples": examples}
    await home[FILES].insert_one({"_id": job["_id"], "at": job["at"], **file})
    await home[UPLOADS].insert_one({**job, "state": "new", "alive_at": job["at"], **UNTOUCHED})


async def begin(service: Service, id: str, **said: Any) -> None:
    """Let an upload be worked on, if it is not already."""
    waits = {"state": "waiting", "alive_at": datetime.now(UTC), "attempts": 0, **UNTOUCHED}
    await service.store.home[UPLOADS].update_one({"_id": id, **IDLE}, {"$set": {**waits, **said}})
    _awake(service).set()


async def forget(home: mongo.Database, id: str) -> None:
    """Forget an upload with its file, if it is not worked on."""
    if (await home[UPLOADS].delete_one({"_id": id, **IDLE})).deleted_count:
        await home[FILES].delete_many({"_id": {"$in": [id, report_of(id)]}})


async def work_on_uploads(service: Service) -> None:
    """Check and publish what members upload, one file after the other; what was interrupted begins anew."""
    called = _awake(service)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await called.wait()
        called.clear()
        while job := await _next(service.store.home):
            await _work(service, job)


async def _next(home: mongo.Database) -> Job | None:
    """Take up what waits longest, or whose worker is gone; it is ours as long as `by` says so."""
    now = datetime.now(UTC)
    left = {"state": "running", "alive_at": {"$lt": now - timedelta(seconds=STALE_S)}}
    waits = {"state": "waiting", "not_before": {"$not": {"$gt": now}}}
    taken = {"$set": {"state": "running", "alive_at": now, "by": uuid4().hex}, "$inc": {"attempts": 1}}
    found: Job | None = await home[UPLOADS].find_one_and_update(
        {"$or": [waits, left]}, taken, sort=[("alive_at", 1)], return_document=True
    )
    return found


async def _note(home: mongo.Database, job: Job, **fields: Any) -> None:
    """Note how an upload is, unless another worker has taken it over."""
    ours = {"_id": job["_id"], "by": job["by"], "state": "running"}
    await home[UPLOADS].update_one(ours, {"$set": {**fields, "alive_at": datetime.now(UTC)}})


async def _work(service: Service, job: Job) -> None:
    home = service.store.home
    try:
        problem = await _publish(service, job) if job["attempts"] <= ATTEMPTS else N_("it could not be worked through")
    except asyncio.CancelledError:
        await _note(home, job, state="waiting", attempts=0)
        raise
    except Problem as refused:
        if refused.status == 429:  # the organisation's system sends a file just now
            later = datetime.now(UTC) + timedelta(seconds=LOOK_S)
            await _note(home, job, state="waiting", not_before=later, attempts=0)
            return
        problem = refused.detail
    except (NotPublished, mongo.DatabaseError):
        problem = N_("Kafka or MongoDB does not answer; some rows may have been taken: publish again")
    except Exception:
        log.exception("upload_failed", upload=job["_id"])
        problem = N_("this is a defect of ours; it has been logged")
    state = "failed" if problem else "checked" if job["dry_run"] else "published"
    await _note(home, job, state=state, problem=problem)


async def _publish(service: Service, job: Job) -> str | None:
    """Work through a file, noting how far; what stopped it, if something did."""
    home = service.store.home
    file = await home[FILES].find_one({"_id": job["_id"]}, {"content": 1})
    if file is None:
        return N_("the file is not kept any more; upload it again")
    caller = Caller(job["organisation"], Publisher(job["kind"]), job["sandbox"], member=job["member"])
    await refuse_suspended(service, caller)
    meant = Meant.model_validate({**job["meant"], "lang": job["language"], "dry_run": job["dry_run"]})
    mistakes: list[Any] = []
    lines: list[str] = []
    number = size = 0
    async for answer in await published(file["content"], service, caller, await memory_of(service), meant):
        if "problem" in answer:
            return str(answer["problem"]["detail"])
        if "report" in answer:
            lines.append(answer["report"])
            continue
        for row in answer["refused"]:
            number, size = number + 1, size + len(row["line"])
            if size < REPORT_CHARACTERS:
                lines.append(row["line"])
            if len(mistakes) < SHOWN:
                mistakes += [{"row": row["row"], **mistake} for mistake in row["mistakes"]]
        await _note(home, job, done=answer["done"], accepted=answer["accepted"], refused=number)
    kept = {"at": datetime.now(UTC), "mistakes": mistakes, "report": "".join(lines) if number else ""}
    await home[FILES].replace_one({"_id": report_of(job["_id"])}, kept, upsert=True)
    return None


def report_of(id: str) -> str:
    """The id under which the refused rows of an upload are kept."""
    return f"{id}-report"
