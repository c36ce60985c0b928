"""Users of a secured Kafka, what they may do and how much of it.

The only import of confluent-kafka: aiokafka knows neither users nor access lists. Neither of the two can set quotas, so
aiokafka is given that request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from shared.log.producer import NotPublished
from shared.log.topics import connection, topic_name, topic_of
from shared.settings import Settings

KNOWN_WITHIN_S = 10
ITERATIONS = 4096  # slow hashes protect guessable passwords, and these are 32 random bytes
Grant = AclBinding


def group_prefix(settings: Settings, organisation: str) -> str:
    """How the names of an organisation's groups begin. No organisation's own name holds a `/`, so none is another's."""
    return f"{topic_name(settings.namespace, organisation)}/"


def grants(settings: Settings, organisation: str, user: str) -> set[Grant]:
    """All that a user of an organisation may do: write to its topic, read from its topic, in groups of its own."""
    ingress, egress = (topic_name(settings.namespace, topic_of(way, organisation)) for way in ("ingress", "egress"))
    return {
        _grant(user, AclOperation.WRITE, ResourceType.TOPIC, ingress, ResourcePatternType.LITERAL),
        _grant(user, AclOperation.READ, ResourceType.TOPIC, egress, ResourcePatternType.LITERAL),
        _grant(
            user,
            AclOperation.READ,
            ResourceType.GROUP,
            group_prefix(settings, organisation),
            ResourcePatternType.PREFIXED,
        ),
    }


def _grant(user: str, operation: AclOperation, kind: ResourceType, name: str, pattern: ResourcePatternType) -> Grant:
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


class Admin:
    """Asks Kafka as the super user that our settings name; what it changes holds when the change returns."""

    def __init__(self, settings: Settings) -> None:
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "security.protocol": settings.kafka_security,
            "sasl.mechanism": settings.kafka_mechanism,
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password.get_secret_value(),
            "socket.timeout.ms": 5_000,
            "log_level": 0,
        }
        if settings.kafka_ca_file:
            config["ssl.ca.location"] = str(settings.kafka_ca_file)
        self._client = AdminClient(config)

    async def users(self, prefix: str) -> set[str]:
        """The names of the SCRAM users that begin with *prefix*."""
        # Refused, librdkafka 2.16 would end the process instead of saying so.
        (cluster,) = await _all(self._client.describe_cluster(include_authorized_operations=True))
        if AclOperation.ALTER not in (cluster.authorized_operations or ()):
            raise NotPublished("Kafka does not let us see its users: PRAKTIKA_KAFKA_USER is none of its super users")
        described = await _all(self._client.describe_user_scram_credentials())
        return {user for user in described[0] if user.startswith(prefix)}

    async def set_user(self, user: str, password: str) -> None:
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        made = UserScramCredentialUpsertion(user, how, password.encode())
        await _all(self._client.alter_user_scram_credentials([made]))
        await _known(lambda: self._has(user))

    async def delete_user(self, user: str) -> None:
        gone = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
        await _all(self._client.alter_user_scram_credentials([gone]))
        await _known(lambda: self._has(user), gone=True)

    async def _has(self, user: str) -> bool:
        return user in await self.users(user)

    async def granted(self, prefix: str) -> set[Grant]:
        """What users whose names begin with *prefix* may do."""
        any_name: Any = None
        every = AclBindingFilter(
            ResourceType.ANY,
            any_name,
            ResourcePatternType.ANY,
            any_name,
            any_name,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        (found,) = await _all(self._client.describe_acls(every))
        return {grant for grant in found if grant.principal.startswith(f"User:{prefix}")}

    async def grant(self, wanted: Iterable[Grant]) -> None:
        if wanted := [*wanted]:
            await _all(self._client.create_acls(wanted))
            await _known(lambda: self._grants(wanted, all))

    async def revoke(self, unwanted: Iterable[Grant]) -> None:
        """Take back what was granted; connections that are open are refused from then on, too."""
        if unwanted := [*unwanted]:
            filters = [
                AclBindingFilter(
                    g.restype, g.name, g.resource_pattern_type, g.principal, g.host, g.operation, g.permission_type
                )
                for g in unwanted
            ]
            await _all(self._client.delete_acls(filters))
            await _known(lambda: self._grants(unwanted, any), gone=True)

    async def _grants(self, some: list[Grant], of: Callable[[Iterable[bool]], bool]) -> bool:
        granted = await self.granted("")
        return of(each in granted for each in some)


class _AlterClientQuotasResponse(Response):
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
            ),
        ),
    )


class _AlterClientQuotasStruct(RequestStruct):
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterClientQuotasResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_AlterClientQuotasStruct]):
    """KIP-546: sets or removes quotas of users."""

    API_KEY = 49

    def __init__(self, users: Iterable[str], bytes_per_s: int | None) -> None:
        rates = ("producer_byte_rate", "consumer_byte_rate")
        changes = [(rate, float(bytes_per_s or 0), bytes_per_s is None) for rate in rates]
        self._entries = [([("user", user)], changes) for user in users]

    def build(self, request_struct_class: type[_AlterClientQuotasStruct]) -> _AlterClientQuotasStruct:
        return request_struct_class(self._entries, False)


async def set_quotas(settings: Settings, users: Iterable[str], bytes_per_s: int | None) -> None:
    """Let Kafka slow down each of these users beyond so many bytes a second, in and out apart; None: no longer.

    Raises:
        NotPublished: Kafka does not answer, or does not do it.
    """
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        answer: Any = await admin._send_request(_AlterClientQuotas(users, bytes_per_s))
        for code, message, _ in answer.entries:
            if code:
                raise for_code(code)(message)
    except KafkaError as error:
        raise NotPublished(f"Kafka did not set quotas: {error}"[:300]) from None
    finally:
        await admin.close()


async def _known(holds: Callable[[], Awaitable[bool]], *, gone: bool = False) -> None:
    """Wait until the broker goes by what Kafka has decided: it hears of it a moment later.

    Raises:
        NotPublished: it does not.
    """
    try:
        async with asyncio.timeout(KNOWN_WITHIN_S):
            while await holds() is gone:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise NotPublished("Kafka has decided it, but does not go by it yet") from None


async def _all(asked: "Future[Any] | dict[Any, Future[Any]]") -> list[Any]:
    """The answers to what was asked.

    Raises:
        NotPublished: Kafka does not answer, or does not do it.
    """
    futures = [asked] if isinstance(asked, Future) else asked.values()
    try:
        return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))
    except KafkaException as error:
        raise NotPublished(f"Kafka did not do it: {error.args[0].str()}"[:300]) from None
