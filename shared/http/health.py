"""Is the service well? Readiness, and the metrics that have to be asked for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from shared.http import auth
from shared.http.service import Service
from shared.log.producer import NotPublished
from shared.log.topics import dead_letter_topic
from shared.observability import logs, metrics
from shared.processing import mongo

log = logs.get(__name__)

OBSERVE_EVERY_S = 10
DISK_EVERY_S = 60  # asking for it takes a client of its own


async def hindrances(service: Service) -> list[str]:
    reasons = []
    try:
        async with asyncio.timeout(3):
            await mongo.Store(service.db).ping()
    except (mongo.DatabaseError, TimeoutError) as error:
        reasons.append(f"MongoDB does not answer: {type(error).__name__}")
    if service.settings.role != "worker":
        try:
            await service.producer.ping()
        except NotPublished as error:
            reasons.append(str(error)[:300])
    if service.runner is not None and service.runner.trouble:
        reasons.append(service.runner.trouble)
    return [*reasons, *service.troubles.values()]


Observation = Callable[[Service], Awaitable[None]]


async def observe(service: Service, observations: Sequence[Observation]) -> None:
    """Keep the metrics that have to be asked for; what cannot be asked now keeps its last value."""
    while True:
        for observation in observations:
            try:
                async with asyncio.timeout(10):
                    await observation(service)
            except (NotPublished, mongo.DatabaseError, TimeoutError):
                pass  # readiness says it
            except Exception:
                log.exception("not_observed", metric=observation.__name__)
        await asyncio.sleep(OBSERVE_EVERY_S)


async def _readiness(service: Service) -> None:
    is_ready = False
    try:
        is_ready = not await hindrances(service)
    finally:
        metrics.READY.set(is_ready)


async def _keys(service: Service) -> None:
    for key, age_s in auth.key_ages_s(service.settings).items():
        metrics.KEY_AGE_S.labels(key).set(age_s)


async def _dead_letters(service: Service) -> None:
    topic = dead_letter_topic(service.core.name)
    metrics.DEAD_LETTER_RECORDS.labels(topic).set(sum((await service.log.ends(topic)).values()))


async def _disk(service: Service) -> None:
    """MongoDB sees its own disk; where that is not known (in memory, behind a router) nothing is shown."""
    if time.monotonic() - service.shared.get("disk_asked_at", float("-inf")) < DISK_EVERY_S:
        return
    client = mongo.connect(service.settings, strict=False)
    try:
        sizes = await mongo.disk(client, service.db.name)
        service.shared["disk_asked_at"] = time.monotonic()
    finally:
        client.close()
    if sizes:
        metrics.DISK_BYTES.labels(service.db.name).set(sizes[0])
        metrics.DISK_USED_BYTES.labels(service.db.name).set(sizes[1])


async def _pauses(_: Service) -> None:
    loop = asyncio.get_running_loop()
    if isinstance(loop, metrics.MeasuredLoop):
        metrics.LONGEST_PAUSE_S.set(loop.longest_pause_s())


OBSERVED: tuple[Observation, ...] = (_readiness, _keys, _dead_letters, _disk, _pauses)
