"""A worker that makes no progress while events wait ends itself, so that its supervisor starts a fresh one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from deploy.local.processes import Server, free_port, is_ok
from shared.contract.events import LearnerEnrolled
from shared.log.producer import Producer, record_of
from shared.settings import Settings
from tests.making import event
from tests.processes import Processes
from tests.stack import until


@pytest.fixture(params=["waiting", "looping"])
async def worker(request: pytest.FixtureRequest, kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Server]:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MONGODB_URI": mongodb,
        "PRAKTIKA_NAMESPACE": f"stalling{request.param}",
        "PRAKTIKA_KEYS_DIR": str(tmp_path / "keys"),
        "PRAKTIKA_PORT": str(free_port()),
        "PRAKTIKA_TICK_S": "0.2",
        "PRAKTIKA_ROLE": "worker",
    }
    with Processes((), tmp_path, **env):
        pass  # only the set-up
    address = f"http://127.0.0.1:{env['PRAKTIKA_PORT']}"
    command = [sys.executable, "-m", "tests.shared.stalling", request.param, str(tmp_path)]
    server = Server("worker", address, command, tmp_path, partial(is_ok, f"{address}/health/ready"), env=env)
    server.start()
    try:
        settings = Settings(kafka_bootstrap_servers=kafka, namespace=env["PRAKTIKA_NAMESPACE"])
        producer = Producer(settings)
        await producer.publish([record_of(event(LearnerEnrolled(programme="p"), "l1"))])
        await producer.close()
        yield server
    finally:
        server.kill()


async def test_a_stalled_worker_ends_itself_and_the_next_one_does_its_work(worker: Server):
    async def has_ended() -> bool:
        return worker.pid is None

    await until(has_ended, 60)
    assert "Timeout (" in worker.log.read_text(), "it does not say where each thread stood"
    worker.stop()  # forgets the process that has ended
    await asyncio.to_thread(worker.start)

    async def has_applied() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            lines = (await client.get(f"{worker.address}/metrics")).text.splitlines()
        return any(line.startswith("praktika_events_applied_total{") and line.endswith(" 1.0") for line in lines)

    await until(has_applied)
