"""The one-shot set-up job: replica set, keys, topics, collections and indexes. Safe to repeat at any time."""

import asyncio
import importlib

from shared import auth, kafka, logs, mongo
from shared.core import Core
from shared.settings import Settings, settings

log = logs.get(__name__)


async def set_up(settings: Settings) -> None:
    """Make what is missing of everything that the services expect to find."""
    log.info("replica_set", made=await mongo.ensure_replica_set(settings))
    log.info("token_keys", made=auth.ensure_keys(settings))
    log.info("topics", made=await kafka.ensure_topics(settings))
    client = mongo.connect(settings)
    try:
        for name in kafka.SERVICES:
            core: Core = importlib.import_module(f"services.{name}.app").core
            await mongo.ensure_indexes(await mongo.live(mongo.database(client, settings, name)), core.indexes)
    finally:
        client.close()
    log.info("indexes")


if __name__ == "__main__":
    logs.configure("setup", settings().log_level)
    asyncio.run(set_up(settings()))
