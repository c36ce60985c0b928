"""Topics: their names, partitions and retention, and how a client connects."""

import re
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

from shared.contract.events import SANDBOX, TOPICS
from shared.settings import Settings

SERVICES = ("partners", "feedback", "certification", "monitoring")
# Keys are spread by murmur2 modulo this number: raising it later would break the order of a key's events.
PARTITIONS = {"learner": 12, "feedback": 6}
DAY_MS = 86_400_000
EGRESS_KEPT_MS = 90 * DAY_MS
LONGEST_TOPIC = 249 - 32  # Kafka's limit without our namespace


def security(settings: Settings) -> BaseSecurity | None:
    """How our clients prove to Kafka who they are; None where it does not ask."""
    if settings.kafka_security == "PLAINTEXT":
        return None
    uses_tls = settings.kafka_security == "SASL_SSL"
    tls = ssl.create_default_context(cafile=settings.kafka_ca_file) if uses_tls else None
    of = {"PLAIN": SASLPlaintext, "SCRAM-SHA-512": SASLScram512}[settings.kafka_mechanism]
    return of(settings.kafka_user, settings.kafka_password.get_secret_value(), ssl_context=tls, use_ssl=uses_tls)


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka needs to connect."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security(settings))}


def topic_name(namespace: str, topic: str) -> str:
    return f"{namespace}.{topic}"


def topic_of(way: Literal["ingress", "egress"], organisation: str) -> str:
    """The topic (without the namespace) by which an organisation sends or is sent events over Kafka.

    What Kafka does not allow in a name is written as `_` and its two hexadecimal digits.
    Raises:
        ValueError: the name would be longer than Kafka allows.
    """
    topic = f"{way}." + re.sub(r"[^A-Za-z0-9.-]", lambda letter: f"_{ord(letter[0]):02X}", organisation)
    if len(topic) > LONGEST_TOPIC:
        raise ValueError(f"{organisation} is too long for a topic of its own")
    return topic


@lru_cache(maxsize=10_000)
def organisation_of(topic: str) -> str:
    """Whose a topic is: the reverse of `topic_of`."""
    return re.sub(r"_([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), topic.partition(".")[2])


@lru_cache(maxsize=100_000)  # the hash is pure Python, and keys come again
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that a key belongs to, as Java's and aiokafka's producers choose it."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def dead_letter_topic(service: str) -> str:
    return f"dead-letter.{service}"


async def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing of our topics; return the names made. `rejected` and `audit` are not kept for ever."""
    names = [*TOPICS, SANDBOX, *map(dead_letter_topic, SERVICES)]
    kept = settings.rejected_kept_days * DAY_MS, settings.rejected_max_bytes
    rejected = _topic(settings, "rejected", PARTITIONS.get("rejected", 3), *kept)
    endless = [_topic(settings, name, PARTITIONS.get(name, 3), -1) for name in names]
    trail = _topic(settings, "audit", PARTITIONS.get("audit", 3), settings.trail_kept_days * DAY_MS)
    created = await _create(settings, [*endless, rejected, trail])
    await _keep(settings, [topic for topic in (rejected, trail) if topic.name not in created])
    return created


async def ensure_ingress(settings: Settings, organisation: str) -> list[str]:
    """Create the topic by which an organisation sends, unless it is there: a way in, not the log, kept for a week."""
    return await _create(settings, [_topic(settings, topic_of("ingress", organisation), 3, 7 * DAY_MS)])


async def ensure_egress(settings: Settings, organisations: Iterable[str]) -> list[str]:
    """Create what is missing of the topics of what concerns organisations; return the names of those created.

    One partition, so that an offset is a place in all that an organisation is sent.
    """
    topics = [_topic(settings, topic_of("egress", each), 1, EGRESS_KEPT_MS) for each in organisations]
    return await _create(settings, topics)


def _topic(settings: Settings, name: str, partitions: int, kept_ms: int, kept_bytes: int = -1) -> NewTopic:
    kept = {"retention.ms": str(kept_ms), "retention.bytes": str(kept_bytes)}
    configs = kept | {"message.timestamp.type": "LogAppendTime"}
    # -1: as many replicas as the cluster's default; the client wants an (empty) assignment beside it.
    return NewTopic(topic_name(settings.namespace, name), partitions, -1, {}, configs)


async def _create(settings: Settings, topics: list[NewTopic]) -> list[str]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        response: Any = await admin.create_topics(topics)
    finally:
        await admin.close()
    created = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be created")
    return created


async def _keep(settings: Settings, topics: list[NewTopic]) -> None:
    """Let topics that are there be kept for as long as the settings say now."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        changed = [ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.topic_configs) for topic in topics]
        answers: Any = await admin.alter_configs(changed) if changed else []
    finally:
        await admin.close()
    for code, message, *_ in (resource for answer in answers for resource in answer.resources):
        if code:
            raise for_code(code)(message)
