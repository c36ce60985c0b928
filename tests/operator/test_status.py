"""praktika status, on all services as processes, one of which is killed."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.processes import ROOT
from deploy.local.stack import WORKER
from shared.contract.events import LearnerEnrolled
from shared.log.producer import Producer, record_of
from shared.settings import Settings
from tests.making import event
from tests.operator.conftest import Praktika
from tests.processes import ALL, Processes
from tests.stack import until

NAMESPACE = "status"


@pytest_asyncio.fixture(scope="module")
async def processes(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Processes]:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": NAMESPACE}
    started = Processes(ALL, tmp_path_factory.mktemp("status"), **servers)
    await asyncio.to_thread(started.__enter__)
    yield started
    started.__exit__(None, None, None)


@pytest.fixture
def praktika(processes: Processes, kafka: str, mongodb: str, tmp_path: Path) -> Praktika:
    settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb, namespace=NAMESPACE, keys_dir=tmp_path)
    urls = {f"PRAKTIKA_{name.upper()}_URL": server.address for name, server in processes.by_name.items()}
    return Praktika(settings, **{name: url for name, url in urls.items() if "-" not in name})


async def services(praktika: Praktika) -> dict[str, dict[str, Any]]:
    return {service["name"]: service for service in (await praktika("status", "--json")).json["services"]}


async def test_a_network_that_works_ends_with_0(praktika: Praktika):
    async def well() -> dict[str, dict[str, Any]]:
        shown = await services(praktika)
        fine = all(service["ready"] and service["applied_until"] for service in shown.values())
        return shown if fine and (await praktika("status")).code == 0 else {}

    for name, service in (await until(well, 60)).items():
        assert (service["ready"], service["workers"], sum(service["lag"].values())) == (True, 1, 0), name
        assert service["dead_letters"] == 0


async def test_an_operator_gets_a_credential_of_their_own(praktika: Praktika):
    made = (await praktika("operator", "--name", "anna", "--json")).json
    form = {"grant_type": "client_credentials", **{name: made[name] for name in ("client_id", "client_secret")}}
    async with httpx.AsyncClient(base_url=praktika.env["PRAKTIKA_PARTNERS_URL"], trust_env=False) as http:
        token = (await http.post("/token", data=form)).json()["access_token"]
        listed = await http.get("/organisations/operator/credentials", headers={"Authorization": f"Bearer {token}"})
    assert "anna" in [each["name"] for each in listed.json()["items"]]


async def test_a_killed_worker_and_what_it_leaves_undone_are_shown(praktika: Praktika, processes: Processes):
    processes[WORKER].kill()

    async def noticed() -> bool:
        return (await services(praktika))["monitoring"]["workers"] == 0

    await until(noticed, 60)
    producer = Producer(Settings(kafka_bootstrap_servers=praktika.env["KAFKA_BOOTSTRAP_SERVERS"], namespace=NAMESPACE))
    await producer.publish([record_of(event(LearnerEnrolled(programme="p"), f"l{n}")) for n in range(7)])
    await producer.close()
    done = await praktika("status")
    assert done.code == 1
    assert "monitoring: nobody consumes for it" in done.out
    assert "monitoring: 7 of learner not applied yet" in done.out
    await asyncio.to_thread(processes[WORKER].start)

    async def recovered() -> bool:
        monitoring = (await services(praktika))["monitoring"]
        return (monitoring["workers"], monitoring["lag"]["learner"]) == (1, 0)

    await until(recovered, 60)


async def test_a_service_that_does_not_answer_is_named(praktika: Praktika, processes: Processes):
    processes["feedback"].kill()
    done = await praktika("status")
    assert done.code == 1
    assert f"feedback: does not answer at {processes['feedback'].address}" in done.out
    await asyncio.to_thread(processes["feedback"].start)


async def test_missing_servers_end_with_3_and_are_all_named_without_passwords(
    praktika: Praktika, unanswering: dict[str, str]
):
    done = await praktika("status", "--json", **unanswering)
    assert done.code == 3
    assert all(done.json["servers"].values())
    assert "127.0.0.1:9" in done.out
    assert "hunter2" not in done.out + done.err
    assert [service["lag"] for service in done.json["services"]] == [None] * 4


async def test_the_command_runs_in_any_folder(praktika: Praktika, tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *(ROOT / "deploy/praktika.sh", "status", "--json"),
        cwd=tmp_path,
        env={**os.environ, **praktika.env},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert len(json.loads(out)["services"]) == 4


async def test_an_environment_that_does_not_fit_is_wrong_use(praktika: Praktika):
    done = await praktika("status", PRAKTIKA_NAMESPACE="no good")
    assert (done.code, "namespace" in done.err.lower()) == (2, True)
