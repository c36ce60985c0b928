"""A network is backed up, lost, and restored: the same numbers, credentials and webhooks."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.demo.network import Network, until
from deploy.local.processes import ROOT
from deploy.praktika import backup
from shared.http.auth import private_dir
from shared.processing import mongo
from shared.settings import Settings
from tests.network import cloudevent
from tests.processes import ALL, Processes
from tests.stack import delete_topics


def praktika(processes: Processes, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.praktika", *arguments]
    env = {**os.environ, **processes.env}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


async def tell(network: Network) -> None:
    for id, kind in (("uni", "institution"), ("plant", "enterprise")):
        entry = {"kind": kind, "name": id, "region": "RU-KEM"}
        await network.ask("partners", "PUT", f"/organisations/{id}", entry, wait=True)
    programme = {"title": "Welding", "version": "1", "level": 4}
    await network.ask("partners", "PUT", "/programmes/welding", programme, by="uni", wait=True)
    agreement = {"parties": ["uni", "plant"], "scope": "practice", "valid_from": "2020-01-01"}
    await network.ask("partners", "PUT", "/agreements/a", agreement, by="uni", wait=True)
    await network.ask("partners", "POST", "/agreements/a/signature", by="plant", wait=True)
    for number in range(6):
        learner = f"l-{number}"
        await network.send("uni", [cloudevent("uni", "learner.enrolled", learner, {"programme": "welding"})])
        completed = {"enterprise": "plant", "programme": "welding", "hours": 10 + number, "outcome": "passed"}
        about = {"partitionkey": learner}
        await network.send("plant", [cloudevent("plant", "internship.completed", f"i-{number}", completed, **about)])


async def numbers(network: Network) -> dict[str, Any]:
    value = await network.ask("monitoring", "GET", "/indicators/workplace_hours_per_learner", by=None)
    listed = await network.ask("feedback", "GET", "/requests?limit=100")
    return {
        "hours": (value["numerator"], value["denominator"]),
        "requests": sorted(request["id"] for request in listed["items"]),
    }


async def test_a_network_comes_back_as_it_was(kafka: str, mongodb: str, tmp_path: Path):
    env = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": "backedup"}
    folder, kept = tmp_path / "stack", tmp_path / "backup"
    settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb, namespace="backedup")
    try:
        with Processes(ALL, folder, **env) as processes:
            network = processes.network()
            await tell(network)

            async def complete() -> dict[str, Any] | None:
                found = await numbers(network)
                return found if found["hours"] == (75, 6) and len(found["requests"]) == 12 else None

            before = await until(complete, "all of it")
            written = {"_id": before["requests"][0], "text": "Said in confidence."}
            async with kept_of(settings) as answers:
                await answers.insert_one(written)
            plant = dict(network.credentials["plant"])
            done = praktika(processes, "backup", str(kept))
            assert done.returncode == 0, done.stderr
            assert stat.S_IMODE(kept.stat().st_mode) == 0o700
            assert praktika(processes, "backup", str(kept)).returncode == 2, "a backup is never overwritten"
        await lose(settings)
        shutil.rmtree(folder / "keys")
        with Processes(ALL, folder, **env) as processes:
            for service in processes.by_name.values():
                service.stop()
            await lose(settings)
            assert processes.run("deploy.setup").returncode == 0
            done = praktika(processes, "restore", str(kept))
            assert done.returncode == 0, done.stderr
            for service in processes.by_name.values():
                service.start()
            network = processes.network()

            async def restored() -> bool:
                return await numbers(network) == before

            await until(restored, "the same numbers")
            async with kept_of(settings) as answers:
                assert await answers.find_one() == written
            form = {"grant_type": "client_credentials", **{k: plant[k] for k in ("client_id", "client_secret")}}
            async with httpx.AsyncClient(trust_env=False) as http:
                token = await http.post(processes["partners"].address + "/token", data=form)
            assert token.status_code == 200, token.text
            await network.close()
    finally:
        await lose(settings)


@asynccontextmanager
async def kept_of(settings: Settings) -> AsyncIterator[Any]:
    """What people wrote with their answers, which no log has."""
    client = mongo.connect(settings)
    yield mongo.database(client, settings, "feedback")["answers"]
    client.close()


async def lose(settings: Settings) -> None:
    """Kafka's topics and every database."""
    await delete_topics(settings)
    client = mongo.connect(settings)
    for name in await client.list_database_names():
        if name.startswith(f"{settings.namespace}_"):
            await client.drop_database(name)
    client.close()


def test_the_counters_of_credentials_are_copied_after_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []

    async def dumped(_: Settings, services: Iterable[str]) -> list[str]:
        done.extend(services)
        return []

    async def exported(*_: object) -> int:
        done.append("the log")
        return 0

    monkeypatch.setattr(backup, "_dumped", dumped)
    monkeypatch.setattr(backup.history, "export_to", exported)
    monkeypatch.setattr(backup.console, "run", lambda work, _: asyncio.run(work(Settings(keys_dir=tmp_path / "keys"))))
    private_dir(Settings(keys_dir=tmp_path / "keys")).mkdir(parents=True)
    backup.backup(tmp_path / "backup", json=True)
    assert done.index("partners") < done.index("the log") < done.index("certification")
