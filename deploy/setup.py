"""The one-shot set-up job: replica set, keys, topics, collections and indexes. Safe to repeat at any time.

`python -m deploy.setup --rotate-keys` lets a new key sign tokens; nothing has to be restarted.
"""

import argparse
import asyncio
import importlib
import time

from aiokafka.errors import KafkaConnectionError

from services.certification.credentials import keys as credential_keys
from shared.http import auth
from shared.log import topics
from shared.observability import logs
from shared.processing import mongo
from shared.processing.core import Core
from shared.settings import Settings, settings

KAFKA_WITHIN_S = 60
log = logs.get(__name__)


async def set_up(settings: Settings) -> None:
    """Make what is missing of everything that the services expect to find.

    MongoDB and Kafka may still be starting, so what takes time and needs neither comes first.
    """
    cores: list[Core] = [importlib.import_module(f"services.{name}.app").core for name in topics.SERVICES]
    log.info("replica_set", made=await mongo.ensure_replica_set(settings))
    log.info("token_keys", made=auth.ensure_keys(settings))
    log.info("credential_keys", made=credential_keys.ensure(settings))
    log.info("topics", made=await _topics(settings))
    client = mongo.connect(settings)
    try:
        for core in cores:
            live = await mongo.live(mongo.database(client, settings, core.name))
            await mongo.ensure_indexes(live, core.indexes, core.generation)
    finally:
        client.close()
    log.info("indexes")


async def _topics(settings: Settings) -> list[str]:
    deadline = time.monotonic() + KAFKA_WITHIN_S
    while True:
        try:
            return await topics.ensure_topics(settings)
        except KafkaConnectionError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.setup", description=(__doc__ or "").splitlines()[0])
    rotate = parser.add_mutually_exclusive_group()
    rotate.add_argument(
        "--rotate-keys", action="store_true", help="a new key signs tokens; those of the old one are valid to their end"
    )
    rotate.add_argument(
        "--replace-keys", action="store_true", help="the same, but the old key's tokens end now: it is known to others"
    )
    rotate.add_argument(
        "--rotate-credential-keys", action="store_true", help="new keys sign certificates; old signatures stay valid"
    )
    rotate.add_argument(
        "--replace-credential-keys",
        action="store_true",
        help="the same, but the old keys are known to others: their signatures end, and certificates are signed anew",
    )
    given = parser.parse_args()
    logs.configure("setup", settings().log_level)
    if given.rotate_keys or given.replace_keys:
        log.info("token_keys_rotated", kid=auth.rotate_keys(settings(), at_once=given.replace_keys))
    elif given.rotate_credential_keys or given.replace_credential_keys:
        kid = credential_keys.rotate(settings(), withdraw=given.replace_credential_keys)
        log.info("credential_keys_rotated", kid=kid)
    else:
        asyncio.run(set_up(settings()))


if __name__ == "__main__":
    main()
