"""A status list with a thousand revoked credentials, for 20 verifiers at once, against a static file of its size."""

import asyncio
import itertools
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx

from benchmarks.environment import Environment
from benchmarks.http_load import get, hammer
from benchmarks.plan import Plan, table
from benchmarks.processes import answers, service
from benchmarks.timing import started
from deploy.local.processes import free_port
from services.certification.app import core
from services.certification.credentials import keys
from shared.contract import events as e
from shared.contract.events import Data, Publisher, compose, derive
from shared.http.auth import ensure_keys
from shared.log.producer import Producer, Record, record_of
from shared.log.topics import ensure_topics
from shared.processing import mongo

NAMESPACE, COLLEGE = "blist", "north-college"
REVOKED, READERS, SECONDS = 1_000, 20, 0.5
TURNS = 6  # of both in a round, one after the other: whatever else the machine does meets both alike
PATH = f"/issuers/{COLLEGE}/status/1"
WHOLE, UNCHANGED = "the list", "304, it has not changed"
START = datetime(2026, 1, 1, tzinfo=UTC)


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    settings = at.settings(NAMESPACE)
    await at.client.drop_database(f"{NAMESPACE}_certification")
    await ensure_topics(settings)
    await mongo.ensure_indexes(at.client[f"{NAMESPACE}_certification"], core.indexes)
    ensure_keys(settings)
    keys.ensure(settings)
    producer, records = Producer(settings), _certificates()
    await producer.publish(records)
    await producer.close()
    # What is measured is the list, not how often one address may ask for it.
    free = {"PRAKTIKA_STRANGERS_PER_S": "1000000", "PRAKTIKA_STRANGERS_BURST": "1000000"}
    port, rows = free_port(), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.peers.static_file.app", str(port), folder]
        async with (
            service(at, NAMESPACE, "certification", "worker", **free) as worker,
            service(at, NAMESPACE, "certification", "api", **free) as ours,
            started("static-file", command, at.env(NAMESPACE)) as static,
        ):
            await answers(static, port, "/health/ready")
            while await worker.metric("praktika_events_applied_total") < len(records):
                worker.process.check()
                await asyncio.sleep(0.2)
            await asyncio.sleep(2)  # until the list that was signed meanwhile is looked at again
            async with httpx.AsyncClient(trust_env=False) as client:
                of_list = await client.get(f"http://127.0.0.1:{ours.port}{PATH}")
                (Path(folder) / "list.json").write_bytes(of_list.content)
                of_file = await client.get(f"http://127.0.0.1:{port}/files/list.json")
            assert len(of_list.content) == len(of_file.content)
            assert json.loads(of_list.content)["id"].endswith(PATH)
            for number, (way, expected) in itertools.product(
                range(min(5, plan.rounds)), ((WHOLE, 200), (UNCHANGED, 304))
            ):
                both = ((ours.port, PATH, of_list), (port, "/files/list.json", of_file))
                speeds = [list[float](), list[float]()]
                for of, (to, path, answer) in list(enumerate(both)) * TURNS:
                    known = f"If-None-Match: {answer.headers['etag']}\r\n" if expected == 304 else ""
                    done = await hammer(to, itertools.repeat(get(path, known)), READERS, SECONDS, expected)
                    speeds[of].append(done.per_s)
                own, other = map(mean, speeds)
                rows.append({"round": number, "way": way, "bytes": len(of_list.content), "own": own, "file": other})
                print(f"  {way:25} {own:7.0f}/s, {own / other:.2f} of a static file", flush=True)
    return rows


def _certificates() -> list[Record]:
    """An institution, and learners whose certificates were issued and revoked."""
    named = e.OrganisationRegistered(kind=e.OrganisationKind.institution, name="North College", region="north")
    source, operator = "/organisations/operator", Publisher.operator
    registered = compose(named, source=source, kind=operator, id="o", subject=COLLEGE, key=COLLEGE, time=START)
    found = [record_of(registered)]

    def said(data: Data, number: int) -> None:
        id, learner = f"certificate-{number}", f"{COLLEGE}:{number}"
        event = derive("certification", data, id=f"{id} {type(data).__name__}", subject=id, key=learner, time=START)
        found.append(record_of(event))

    evidence = [f"{COLLEGE}/exam"]
    for number in range(REVOKED):
        about = {"competency": "greencomp:3.1", "level": 4, "scheme": f"{COLLEGE}:s", "institution": COLLEGE}
        address = f"/certificates/certificate-{number}"
        said(e.CompetencyCertified.model_validate({**about, "evidence": evidence, "address": address}), number)
        title = {"en": "Futures literacy"}
        issued = {"institution": COLLEGE, "name": "North College", "number": number, "evidence": [], "title": title}
        said(e.CertificateIssued.model_validate(issued), number)
        said(e.CompetencyRevoked(reason="x"), number)
    return found


def report(rows: list[dict[str, Any]]) -> list[str]:
    def of(way: str, name: str) -> float:
        return median(row[name] for row in rows if row["way"] == way)

    lines = [
        [way, f"{of(way, 'own'):,.0f}", f"{of(way, 'file'):,.0f}", f"{ratio(rows, way):.2f}", str(size)]
        for way in (WHOLE, UNCHANGED)
        for size in {row["bytes"] for row in rows}
    ]
    return table(("", "requests/s", "a static file", "ratio, median of rounds", "bytes"), lines)


def ratio(rows: list[dict[str, Any]], way: str) -> float:
    """Of our requests a second to a static file's, in the same round."""
    return median(row["own"] / row["file"] for row in rows if row["way"] == way)
