"""Everything is killed while real graduates are being sent; afterwards every number is exact."""

import asyncio
import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import graduates
from deploy.demo.__main__ import INDICATORS, compare, send_graduates
from deploy.local.stack import WORKER
from tests.processes import ALL, Processes
from tests.servers import Servers
from tests.stack import until


@pytest.fixture
def processes(own_servers: Servers, tmp_path: Path) -> Iterator[Processes]:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": own_servers.kafka.address, "MONGODB_URI": own_servers.mongodb.address}
    with Processes(ALL, tmp_path, **servers) as started:
        yield started


@pytest.fixture
def every_eighth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the graduates only so many as are sent while all is killed: `make demo` sends them all."""
    rows, some = graduates.rows()[::8], tmp_path / "graduates.csv.gz"
    with gzip.open(some, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(graduates, "FILE", some)


@pytest.mark.usefixtures("every_eighth")
async def test_killing_anything_under_load_loses_nothing_and_counts_nothing_twice(
    own_servers: Servers, processes: Processes
):
    network, killed = processes.network(), asyncio.Event()

    async def send() -> None:
        """Send everything, and again while there is something to kill: repeated events must change nothing either."""
        while not killed.is_set():
            await send_graduates(network)

    def kill_and_start(name: str) -> None:
        victim = own_servers._asdict().get(name) or processes[name]
        victim.kill()
        victim.start()

    load = asyncio.create_task(send())
    for name in (WORKER, "kafka", "feedback", "partners", "mongodb", "certification", WORKER, "kafka"):

        async def going_on(wanted: int = network.accepted + 500) -> bool:
            return network.accepted >= wanted or load.done()

        await until(going_on, 600)
        await asyncio.to_thread(kill_and_start, name)
    killed.set()
    await load
    equal, programmes, of = await compare(network)
    assert (equal, programmes) == (len(INDICATORS), of)
    audit = processes.run("deploy.praktika", "audit")
    assert audit.returncode == 0, audit.stdout
    await network.close()
