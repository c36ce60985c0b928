"""A secured Kafka refuses organisations everything but writing to their own topic and reading from their own topic."""

import asyncio
import contextlib
import gc
import json
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import ConsumerGroupTopicPartitions as GroupPositions
from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from deploy import security
from deploy.local import servers as local
from deploy.local.processes import Server, free_port
from services.partners.app import core, router
from services.partners.gateway.ingress.kafka import ingress_over_kafka
from services.partners.gateway.kafka_credentials import access_to_kafka, compare
from shared.contract.events import TOPICS, parse
from shared.log.admin import Admin, grants, set_quotas
from shared.log.producer import NotPublished, Record
from shared.log.topics import connection
from shared.settings import Settings
from tests import servers
from tests.partners.conftest import MECHANICS, ORGANISATIONS, as_, enrolled, register
from tests.people import close, signed_in
from tests.stack import Running, running, until

pytestmark = [
    pytest.mark.skipif(not shutil.which("java"), reason="Kafka is started with Java"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
KAFKA_SETTINGS = {"kafka_security", "kafka_user", "kafka_password", "kafka_ca_file", "kafka_external"}
STRUCTURED = [("content-type", b"application/cloudevents+json")]
Made = dict[str, Any]


@pytest.fixture(autouse=True)
def refused_connections() -> Iterator[None]:
    """aiokafka leaves connections that were refused to the garbage collector, which complains of them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kafka-keys")


@pytest.fixture(scope="module")
def broker(keys: Path) -> Iterator[Server]:
    with servers.folder() as folder:
        server = local.kafka(folder, secured=local.Secured(keys, free_port()))
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest_asyncio.fixture(scope="module")
async def partners(
    broker: Server, keys: Path, mongodb: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    given = Settings(_secrets_dir=keys / "services").model_dump(include=KAFKA_SETTINGS)
    async with running(
        core,
        router,
        kafka=broker.address,
        mongodb=mongodb,
        keys_dir=tmp_path_factory.mktemp("keys"),
        work=[ingress_over_kafka, access_to_kafka],
        **given,
    ) as stack:
        for id, kind in ORGANISATIONS.items():
            await register(stack, id, kind)
        await stack.publish(MECHANICS)
        yield stack


async def credential(stack: Running, organisation: str) -> Made:
    url = f"/organisations/{organisation}/kafka-credentials"
    response = await stack.client.post(url, headers=as_("operator", stack))
    assert response.status_code == 201, response.text
    made: Made = response.json()
    return made


@pytest_asyncio.fixture(scope="module")
async def uni(partners: Running) -> Made:
    return await credential(partners, "uni")


@pytest_asyncio.fixture(scope="module")
async def plant(partners: Running) -> Made:
    return await credential(partners, "plant")


def client(made: Made, **changes: Any) -> dict[str, Any]:
    """What an organisation gives aiokafka."""
    return {
        "bootstrap_servers": made["bootstrap_servers"],
        "security_protocol": made["security_protocol"],
        "sasl_mechanism": made["mechanism"],
        "sasl_plain_username": made["user"],
        "sasl_plain_password": made["password"],
        "ssl_context": ssl.create_default_context(cadata=made["ca"]),
        **changes,
    }


def librdkafka(made: Made) -> dict[str, str | int | float | bool]:
    """What an organisation gives another client."""
    return {
        "bootstrap.servers": made["bootstrap_servers"],
        "security.protocol": made["security_protocol"],
        "sasl.mechanism": made["mechanism"],
        "sasl.username": made["user"],
        "sasl.password": made["password"],
        "ssl.ca.pem": made["ca"],
        "log_level": 0,
    }


def admin(made: Made) -> AdminClient:
    return AdminClient(librdkafka(made))


@contextlib.asynccontextmanager
async def producer(made: Made, **changes: Any) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(**client(made), acks="all", enable_idempotence=True, **changes) as started:
        yield started


async def send(on: AIOKafkaProducer, made: Made, event: dict[str, Any]) -> None:
    await on.send_and_wait(made["ingress"], json.dumps(event).encode(), headers=STRUCTURED)


async def accepted(stack: Running, event: dict[str, Any]) -> None:
    async def found() -> bool:
        return any(parse(record.value).id == event["id"] for record in await stack.read("learner"))

    await until(found)


def event_of(organisation: str) -> dict[str, Any]:
    return enrolled(source=f"/organisations/{organisation}")


# What is allowed


async def test_organisation_writes_to_its_topic_and_is_heard(partners: Running, uni: Made):
    event = event_of("uni")
    async with producer(uni) as sender:
        await send(sender, uni, event)
    await accepted(partners, event)


async def test_organisation_reads_what_is_for_it_in_a_group_of_its_own(partners: Running, uni: Made):
    await partners.publish(Record("egress.uni", "k", b"for uni"))
    group = uni["group_prefix"] + "reader"
    async with AIOKafkaConsumer(
        uni["egress"], **client(uni), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    ) as reader:
        assert (await reader.getone()).value == b"for uni"
        await reader.commit()


async def test_organisation_sees_no_topic_but_its_own(uni: Made, plant: Made):
    assert set(admin(uni).list_topics(timeout=10).topics) == {uni["ingress"], uni["egress"]}


# Who comes in

STRANGERS: dict[str, dict[str, Any]] = {
    "without TLS": {"security_protocol": "SASL_PLAINTEXT"},
    "without TLS and password": {"security_protocol": "PLAINTEXT"},
    "without a password": {"security_protocol": "SSL"},
    "with a wrong password": {"sasl_plain_password": "guess"},
    "as nobody known": {"sasl_plain_username": "nobody"},
    "with another mechanism": {"sasl_mechanism": "PLAIN"},
    "with SCRAM of another kind": {"sasl_mechanism": "SCRAM-SHA-256"},
    "as another": {"sasl_plain_username": "plant"},
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_stranger_is_refused(uni: Made, plant: Made, who: str):
    changes = STRANGERS[who]
    if who == "as another":
        changes = {"sasl_plain_username": plant["user"]}
    with pytest.raises(KafkaError):
        await start(client(uni, **changes))


async def start(how: dict[str, Any]) -> None:
    """Connect, and end at once."""
    quick = {"request_timeout_ms": 2_000, "metadata_max_age_ms": 60_000}
    started = AIOKafkaProducer(**how, **quick)
    try:
        async with asyncio.timeout(20):
            await started.start()
    finally:
        await started.stop()


async def test_certificate_of_another_authority_is_noticed(uni: Made):
    with pytest.raises(KafkaError):
        await start(client(uni, ssl_context=ssl.create_default_context()))


async def test_our_own_user_cannot_log_in_from_outside(keys: Path, uni: Made):
    user, password = security.login(keys)
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        how = {"sasl_plain_username": user, "sasl_plain_password": password, "sasl_mechanism": mechanism}
        with pytest.raises(KafkaError):
            await start(client(uni, **how))


async def test_inner_doors_are_closed_to_organisations_and_strangers(broker: Server, uni: Made):
    properties = (broker.folder / "kafka.properties").read_text()
    controller = properties.partition("CONTROLLER://")[2].partition("\n")[0]
    for address in (broker.address, controller):
        own = {"bootstrap_servers": address}
        for how in (
            {"security_protocol": "PLAINTEXT"},
            {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"},
            {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"},
        ):
            with pytest.raises(KafkaError):
                await start(client(uni, **own, **how))
    assert not local.kafka_answers(controller)
    assert not local.kafka_answers(broker.address, ("praktika", "guess"))


# What an organisation may not do


def others(stack: Running, made: Made, plant: Made) -> list[str]:
    ours = [f"{stack.settings.namespace}.{topic}" for topic in (*TOPICS, "rejected", "dead-letter.partners")]
    return [*ours, plant["ingress"], plant["egress"], "__consumer_offsets", f"{made['ingress']}.more"]


async def test_organisation_writes_to_no_other_topic(partners: Running, uni: Made, plant: Made):
    for topic in (*others(partners, uni, plant), uni["egress"]):
        async with AIOKafkaProducer(**client(uni), acks="all") as sender:
            with pytest.raises(TopicAuthorizationFailedError):
                async with asyncio.timeout(10):
                    await sender.send_and_wait(topic, b"{}")


async def test_organisation_reads_from_no_other_topic(partners: Running, uni: Made, plant: Made):
    async with AIOKafkaConsumer(uni["egress"], **client(uni)) as reader:
        for topic in (*others(partners, uni, plant), uni["ingress"]):
            assert await fetched(reader, topic) is TopicAuthorizationFailedError, topic
        assert await fetched(reader, uni["egress"]) is NoError


async def fetched(reader: AIOKafkaConsumer, topic: str) -> type[Exception]:
    """The broker's own word on a request to read (clients ask it for what they may see first)."""
    request = FetchRequest(100, 1, 1 << 20, 0, [(topic, [(0, 0, 1 << 20)])], rack_id="")
    answer = await reader._client.send(1, request)
    ((_, ((_, code, *_),)),) = answer.topics
    return for_code(code)


async def test_organisation_joins_no_other_group(partners: Running, uni: Made, plant: Made):
    ours = [f"{partners.settings.namespace}.{group}" for group in ("partners", "partners-ingress", "uni", "uni2/x")]
    for group in (*ours, plant["group_prefix"] + "reader", "uni", ""):
        reader = AIOKafkaConsumer(uni["egress"], **client(uni), group_id=group or "any")
        try:
            with pytest.raises(GroupAuthorizationFailedError):
                async with asyncio.timeout(10):
                    await reader.start()
        finally:
            await reader.stop()


async def test_organisation_begins_no_transaction(uni: Made):
    sender = AIOKafkaProducer(**client(uni), transactional_id="uni")
    try:
        with pytest.raises(KafkaError):
            async with asyncio.timeout(10):
                await sender.start()
    finally:
        await sender.stop()


def refused(ask: Callable[..., Any]) -> str:
    """The name of the error with which the broker refuses something."""
    try:
        answer = ask(10)
    except KafkaException as error:
        return str(error.args[0].name())
    return f"allowed: {answer!r}"


async def test_organisation_administers_nothing(partners: Running, uni: Made, plant: Made):
    own, asks = admin(uni), {}
    topic, cluster, group = (f"{what}_AUTHORIZATION_FAILED" for what in ("TOPIC", "CLUSTER", "GROUP"))
    theirs = plant["group_prefix"] + "reader"
    for name in (uni["ingress"], uni["egress"], plant["ingress"], f"{partners.settings.namespace}.learner"):
        config = ConfigResource(ResourceType.TOPIC, name)
        entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        asks |= {
            f"delete {name}": (one(own.delete_topics([name])), topic),
            f"describe {name}": (one(own.describe_configs([config])), topic),
            f"alter {name}": (one(own.incremental_alter_configs([change])), topic),
            f"widen {name}": (one(own.create_partitions([NewPartitions(name, 20)])), topic),
        }
    for name in (uni["ingress"], uni["egress"]):
        asks[f"empty {name}"] = one(own.delete_records([Position(name, 0, 1)], request_timeout=5)), topic
    for name in ("new", f"{uni['ingress']}2", f"{partners.settings.namespace}.ingress.new"):
        asks[f"create {name}"] = one(own.create_topics([NewTopic(name, 1, 1)])), topic
    whole = AclBinding(
        ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, f"User:{uni['user']}", "*", AclOperation.ALL,
        AclPermissionType.ALLOW,
    )  # fmt: skip
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    password = UserScramCredentialUpsertion(
        uni["user"], ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"mine"
    )
    node = ConfigResource(ResourceType.BROKER, "1")
    asks |= {
        "grant itself all": (one(own.create_acls([whole])), cluster),
        "revoke": (one(own.delete_acls([every])), cluster),
        # (The client of `describe_user_scram_credentials` ends the process when it is refused.)
        "see who may what": (own.describe_acls(every).result, "allowed: []"),
        "set its own password": (one(own.alter_user_scram_credentials([password])), cluster),
        "see the broker's settings": (one(own.describe_configs([node])), cluster),
        "delete another's group": (one(own.delete_consumer_groups([theirs], request_timeout=5)), group),
        "see another's group": (one(own.describe_consumer_groups([theirs], request_timeout=5)), group),
        "move our group": (
            one(
                own.alter_consumer_group_offsets(
                    [GroupPositions(f"{partners.settings.namespace}.partners", [Position(uni["egress"], 0, 0)])],
                    request_timeout=5,
                )
            ),
            group,
        ),
    }  # fmt: skip
    assert {what: refused(ask) for what, (ask, _) in asks.items()} == {what: why for what, (_, why) in asks.items()}
    groups = own.list_consumer_groups().result(10).valid
    assert all(found.group_id.startswith(uni["group_prefix"]) for found in groups)


def one(futures: dict[Any, Any]) -> Callable[..., Any]:
    """How to wait for the one answer."""
    (future,) = futures.values()
    return future.result  # type: ignore[no-any-return]


# Suspension and rotation


async def test_suspension_ends_it_on_open_connections_and_reinstatement_brings_it_back(partners: Running):
    made, operator = await credential(partners, "college"), as_("operator", partners)
    async with producer(made) as sender, AIOKafkaConsumer(made["egress"], **client(made)) as reader:
        await send(sender, made, event_of("college"))
        await reader.end_offsets(reader.assignment())
        await partners.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)

        async def is_refused() -> bool:
            try:
                await send(sender, made, event_of("college"))
            except TopicAuthorizationFailedError:
                return True
            return False

        await until(is_refused)
        with pytest.raises((KafkaError, TimeoutError)):
            async with asyncio.timeout(5):
                await reader.getone()
    denied = await partners.client.post("/organisations/college/kafka-credentials", headers=operator)
    assert (denied.status_code, "closed" in denied.json()["detail"]) == (409, True)
    await partners.client.post("/organisations/college/reinstatement", headers=operator)
    event = event_of("college")

    async def is_allowed() -> bool:
        with contextlib.suppress(KafkaError):
            async with producer(made) as sender:
                await send(sender, made, event)
            return True
        return False

    await until(is_allowed)
    await accepted(partners, event)


async def test_rotation_leaves_no_gap(partners: Running):
    old, operator = await credential(partners, "works"), as_("operator", partners)
    url = "/organisations/works/kafka-credentials"
    async with producer(old) as before:
        await send(before, old, event_of("works"))
        new = await credential(partners, "works")
        async with producer(new) as after:
            await send(after, new, event_of("works"))
            await send(before, old, event_of("works"))
            shown = (await partners.client.get(url, headers=operator)).json()["items"]
            assert [item["credential"] for item in shown] == [old["credential"], new["credential"]]
            assert all(item.keys() == {"credential", "user", "created_at"} for item in shown)
            assert (await partners.client.delete(f"{url}/{old['credential']}", headers=operator)).status_code == 204
            assert (await partners.client.delete(f"{url}/{old['credential']}", headers=operator)).status_code == 404
            with pytest.raises(TopicAuthorizationFailedError):
                await send(before, old, event_of("works"))
            await send(after, new, event_of("works"))
    with pytest.raises(KafkaError):
        await start(client(old))


async def test_what_an_operator_changed_by_hand_is_set_right(partners: Running, plant: Made):
    own = Admin(partners.settings)
    prefix = f"{partners.settings.namespace}."
    wanted = await own.granted(prefix)
    mine = grants(partners.settings, "plant", plant["user"])
    await own.revoke(mine)
    await own.grant(grants(partners.settings, "uni", plant["user"]))
    await set_quotas(partners.settings, [plant["user"]], None)
    await compare(partners.settings, set())
    assert await own.granted(prefix) == wanted
    await until(lambda: has_quota(partners, plant["user"]))


async def test_kafka_itself_slows_down_an_organisation_and_nobody_else(partners: Running):
    made = await credential(partners, "works")
    await until(lambda: has_quota(partners, made["user"]))
    assert await quotas(partners, partners.settings.kafka_user) == {}
    url = f"/organisations/works/kafka-credentials/{made['credential']}"
    assert (await partners.client.delete(url, headers=as_("operator", partners))).status_code == 204
    await until(lambda: has_quota(partners, made["user"], gone=True))


async def has_quota(partners: Running, user: str, *, gone: bool = False) -> bool:
    rates = dict.fromkeys(("producer_byte_rate", "consumer_byte_rate"), 2_000_000.0)
    return await quotas(partners, user) == ({} if gone else rates)


async def quotas(partners: Running, user: str) -> dict[str, float]:
    """What Kafka tells of the quotas of a user."""
    admin = AIOKafkaAdminClient(**connection(partners.settings))
    await admin.start()
    try:
        answer: Any = await admin._send_request(DescribeClientQuotasRequest([("user", 0, user)], strict=True))
    finally:
        await admin.close()
    return {name: value for _, values in answer.entries for name, value in values}


async def test_only_the_operator_gives_credentials(partners: Running):
    url = "/organisations/uni/kafka-credentials"
    own = as_("uni", partners)
    for answer in (
        await partners.client.post(url, headers=own),
        await partners.client.get(url, headers=own),
        await partners.client.delete(f"{url}/x", headers=own),
    ):
        assert answer.status_code == 403
    operator = as_("operator", partners)
    assert (await partners.client.post("/organisations/nobody/kafka-credentials", headers=operator)).status_code == 404
    assert (await partners.client.delete(f"{url}/x", headers=operator)).status_code == 404


async def test_an_admin_makes_users_of_the_own_organisation_on_a_page(partners: Running):
    """Each is shown once, can log in, and is refused once it is withdrawn; there are ten at most."""
    admin = await signed_in(partners, "college", "admin", "institution")
    page = await admin.post("/work/integration/kafka-credentials")
    assert page.status_code == 200, page.text
    shown = dict(re.findall(r'id="kafka-(\w+)"[^>]*?value="([^"]*)"', page.text))
    ca = re.search(r'id="kafka-ca"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)
    assert ca
    made = {name: unescape(value) for name, value in shown.items()} | {"ca": unescape(ca[1])}
    async with producer(made) as ours:
        await send(ours, made, event_of("college"))
    again = await admin.get("/work/integration")
    assert (made["user"] in again.text, made["password"] in again.text) == (True, False)
    id = re.findall(r'name="withdraw" value="([^"]+)"', again.text)[-1]
    stranger = await signed_in(partners, "works", "admin", "enterprise")
    assert (await stranger.post("/work/integration/kafka-credentials", withdraw=id)).status_code == 404
    while (answer := await admin.post("/work/integration/kafka-credentials")).status_code == 200:
        pass
    assert answer.status_code == 409
    ids = re.findall(r'name="withdraw" value="([^"]+)"', answer.text)
    assert len(ids) == 10
    for each in ids:
        assert (await admin.post("/work/integration/kafka-credentials", withdraw=each)).status_code == 303
    with pytest.raises(KafkaError):
        await start(client(made))
    await close(admin, stranger)


async def test_no_password_is_in_a_log(broker: Server, keys: Path, uni: Made, plant: Made):
    log = broker.log.read_text()
    for password in (security.login(keys)[1], uni["password"], plant["password"]):
        assert password not in log
    assert (broker.folder / "kafka.properties").stat().st_mode & 0o077 == 0


def test_keys_are_made_once_and_the_certificate_anew_for_another_host(tmp_path: Path):
    security.ensure(tmp_path, "kafka.example:9094")
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    security.ensure(tmp_path, "kafka.example:9094")
    assert kept == {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    security.ensure(tmp_path, "10.1.2.3:9094")
    changed = {path.name for path in tmp_path.rglob("*") if path.is_file() and kept[path.name] != path.read_bytes()}
    assert changed == {"broker.pem", "praktika_kafka_external"}
    assert (tmp_path / "authority" / "ca.key").stat().st_mode & 0o077 == 0


async def test_user_that_is_no_super_user_is_told_so(partners: Running, uni: Made):
    given = {"kafka_security": "SASL_SSL", "kafka_mechanism": "SCRAM-SHA-512", "kafka_user": uni["user"]}
    given |= {"kafka_password": SecretStr(uni["password"]), "kafka_bootstrap_servers": uni["bootstrap_servers"]}
    with pytest.raises(NotPublished, match="super users"):
        await Admin(partners.settings.model_copy(update=given)).users("")


async def test_kafka_that_is_away_is_told_so(partners: Running):
    own = Admin(partners.settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"}))
    with pytest.raises(NotPublished):
        await own.users("")
