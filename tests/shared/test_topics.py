"""Topics of single organisations."""

import re
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.events import TOPICS
from shared.log.topics import connection, ensure_topics, topic_name, topic_of
from shared.settings import Settings
from tests.stack import delete_topics, until

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,40}", fullmatch=True)


@given(ids, ids)
def test_every_organisation_has_a_legal_topic_of_its_own(one: str, other: str):
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,217}", topic_of("ingress", one))
    assert (topic_of("ingress", one) == topic_of("ingress", other)) == (one == other)
    assert topic_of("ingress", one) not in {topic_of("egress", one), *TOPICS}


def test_an_id_that_makes_no_topic_is_refused():
    with pytest.raises(ValueError, match="too long"):
        topic_of("ingress", "a" + ":" * 99)


async def retention(settings: Settings, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic_name(settings.namespace, topic), {})
        (answer,) = await admin.describe_configs([asked])
    finally:
        await admin.close()
    ((_, _, _, _, configs),) = answer.resources
    return {name: value for name, value, *_ in configs if name.startswith("retention.")}


async def test_what_was_refused_is_kept_for_as_long_as_the_settings_say_now(kafka: str, tmp_path: Path):
    given = {"kafka_bootstrap_servers": kafka, "keys_dir": tmp_path, "namespace": f"t{uuid4().hex[:12]}"}
    settings = Settings(**given)
    await ensure_topics(settings)
    try:
        assert (await retention(settings, "rejected"))["retention.ms"] == str(90 * 86_400_000)
        assert (await retention(settings, "learner"))["retention.ms"] == "-1"
        assert await ensure_topics(Settings(**given, rejected_kept_days=7, rejected_max_bytes=5_000_000)) == []
        changed = {"retention.ms": str(7 * 86_400_000), "retention.bytes": "5000000"}

        async def is_changed() -> bool:  # the brokers hear of it a moment later
            return await retention(settings, "rejected") == changed

        await until(is_changed)
    finally:
        await delete_topics(settings)
