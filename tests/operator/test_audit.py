"""praktika audit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.monitoring.app import core, router
from shared.contract.events import LearnerEnrolled, LearnerGraduated
from shared.processing.mongo import COUNTERS
from tests.making import NOON, event
from tests.operator.conftest import Praktika
from tests.stack import Running, running


@pytest.fixture
async def monitoring(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        for n in range(20):
            graduated = LearnerGraduated(programme="p", graduated_on=NOON.date())
            await stack.publish(event(LearnerEnrolled(programme="p"), f"l{n}"), event(graduated, f"l{n}"))
        await stack.applied()
        yield stack


async def test_equal_counters_end_with_0_and_the_result_is_kept(monitoring: Running):
    praktika = Praktika(monitoring.settings)
    done = await praktika("audit")
    assert (done.code, done.out.startswith("audit: ")) == (0, True), done.err
    assert done.out.endswith("counters of 20 entities equal\n")
    kept = await monitoring.service.db["_audits"].find_one({"_id": "last"})
    assert kept is not None
    assert (kept["entities"], kept["differences"]) == (20, 0)
    assert kept["at_ms"] > 0


async def test_a_counter_that_is_wrong_is_named_and_ends_with_1(monitoring: Running):
    praktika = Praktika(monitoring.settings)
    counter = await monitoring.service.db[COUNTERS].find_one({"m.graduates": {"$gt": 0}})
    assert counter is not None
    await monitoring.service.db[COUNTERS].update_one({"_id": counter["_id"]}, {"$inc": {"m.graduates": 1}})
    done = await praktika("audit", "--json")
    assert done.code == 1
    (difference,) = done.json["differences"]
    assert "graduates: stored" in difference
    assert "1 of" in (await praktika("audit")).out


async def test_a_missing_server_is_named_without_its_password(monitoring: Running, unanswering: dict[str, str]):
    done = await Praktika(monitoring.settings)("audit", **unanswering)
    assert (done.code, done.out) == (3, "")
    assert "127.0.0.1:9 " in done.err
    assert "hunter2" not in done.err
