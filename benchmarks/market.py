"""The labour market: the gap table of a region for 20 readers at once, and an import of 100,000 vacancies."""

import asyncio
import csv
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

from benchmarks.environment import BENCH, Environment
from benchmarks.http_load import get, hammer
from benchmarks.ingress import bare
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import Service, service
from deploy.local.processes import ROOT
from services.feedback.app import core as feedback
from services.partners.app import core as partners
from services.partners.gateway.credentials import issue_to_operator
from shared.contract import events as e
from shared.contract.events import Data, Publisher, compose
from shared.contract.skills import skill_id
from shared.http.auth import ensure_keys
from shared.log.producer import Producer, Record, record_of
from shared.log.topics import ensure_topics
from shared.processing import mongo

NAMESPACE = "bmarket"
REGIONS, PROGRAMMES, COMPETENCIES = 10, 500, 600
TAUGHT, RATED = 200, 20  # competencies of a programme
CERTIFIED = 580  # competencies in each region
MONTHS, ROLES = ("2026-01", "2026-02", "2026-03"), ("learner", "graduate")  # six ratings a quarter
SMALL, LARGE = 25_000, 100_000  # vacancies
READERS, SECONDS, MOVING_SECONDS = 20, 3, 30
EVENTS_PER_S = 50
QUIET_S = 15
ONE, TABLE, OF_REGION = "find_one over HTTP", "gap table, by vacancies", "gap table of a region, by vacancies"
IDLE, MOVING = "idle", f"{EVENTS_PER_S} events/s"
SORTED = "/market/gap-table?sort=vacancies&limit=50"
PATHS = {TABLE: SORTED, OF_REGION: f"{SORTED}&region=region-3"}


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    settings = at.settings(NAMESPACE)
    await at.fresh_topics(NAMESPACE)
    for name, core in (("feedback", feedback), ("partners", partners)):
        await at.client.drop_database(f"{NAMESPACE}_{name}")
        await mongo.ensure_indexes(at.client[f"{NAMESPACE}_{name}"], core.indexes)
    await ensure_topics(settings)
    ensure_keys(settings)
    secret = (await issue_to_operator(settings, "bench"))["client_secret"]
    free = {"PRAKTIKA_STRANGERS_PER_S": "1000000", "PRAKTIKA_STRANGERS_BURST": "1000000"}
    free |= {"PRAKTIKA_QUOTA_BYTES_PER_S": "1000000000", "PRAKTIKA_QUOTA_BURST_BYTES": "1000000000"}
    async with service(at, NAMESPACE, "feedback", "all", **free) as ours:
        async with service(at, NAMESPACE, "partners", "all", **free) as ingress:
            rows = await _imports(ours, ingress, secret)
        producer = Producer(settings)
        await producer.publish(list(_region()))
        await _applied(ours)
        async with bare(at, NAMESPACE) as (_, port):
            one = await at.client[f"{NAMESPACE}_feedback"][mongo.COUNTERS].find_one({})
            rows += await _reads(plan, ours, port, one["_id"], producer)
        await producer.close()
    return rows


# the import


async def _imports(ours: Service, ingress: Service, secret: str) -> list[dict[str, Any]]:
    """Two files, of one portal each, and the larger one again."""
    urls = {"PRAKTIKA_PARTNERS_URL": ingress.port, "PRAKTIKA_FEEDBACK_URL": ours.port}
    env = {name: f"http://127.0.0.1:{port}" for name, port in urls.items()}
    env |= {"PRAKTIKA_CLIENT_ID": "operator", "PRAKTIKA_CLIENT_SECRET": secret}
    rows = []
    for what, number in (("new", SMALL), ("new", LARGE), ("unchanged", LARGE)):
        file = _file(number)
        regions = [f"--region=City {region}=region-{region}" for region in range(REGIONS)]
        command = ["demand", "import", str(file), f"--portal=p{number}", "--on=2026-06-01", "--json", *regions]
        counts, seconds, peak_mb = await asyncio.to_thread(_run, command, env)
        if counts[what] != number or counts["refused"]:
            raise RuntimeError(f"imported {counts}")
        rows.append({"import": what, "vacancies": number, "seconds": seconds, "peak_mb": peak_mb})
        print(f"  {number:,} vacancies, {what}: {seconds:.1f} s, {peak_mb:.0f} MB", flush=True)
    return rows


def _run(command: list[str], env: dict[str, str]) -> tuple[dict[str, Any], float, float]:
    """What `praktika` printed, how long it took, and the most memory that it had."""
    began, whole = time.monotonic(), [sys.executable, "-m", "deploy.praktika", *command]
    with subprocess.Popen(whole, cwd=ROOT, env=os.environ | env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return json.loads(printed), time.monotonic() - began, used.ru_maxrss / 1024


def _file(number: int) -> Path:
    """A CSV with so many vacancies, each with a few skills, of which there is one a competency."""
    random, file = Random(number), BENCH / f"vacancies-{number}.csv"  # noqa: S311
    with file.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(("id", "title", "area", "skills", "published"))
        for id in range(number):
            skills = "; ".join(_skill(random.randrange(COMPETENCIES)) for _ in range(random.randrange(2, 7)))
            day = date(2025, 1, 1) + timedelta(days=random.randrange(500))
            rows.writerow((id, f"Specialist {id % 977}", f"City {random.randrange(REGIONS)}", skills, day))
    return file


def _skill(number: int) -> str:
    return f"Skill of kind {number}"


# the gap table


def _region() -> Iterator[Record]:
    """Institutions, their programmes and ratings of these, and what skills are mapped to."""
    operator = ("operator", Publisher.operator)
    for number in range(REGIONS):
        name, region = f"Institution {number}", f"region-{number}"
        entry = e.OrganisationRegistered(kind=e.OrganisationKind.institution, name=name, region=region)
        yield _said(entry, f"institution-{number}", *operator)
        for competency in range(CERTIFIED):
            exam = {"methods": [e.AssessmentMethod.exam], "least_score": 0.6, "enterprise_required": False}
            scheme = e.SchemePublished(competency=f"skills:{competency}", level=4, **exam)
            yield _said(scheme, f"institution-{number}:s{competency}", f"institution-{number}", Publisher.service)
    for number in range(COMPETENCIES):
        skill = e.SkillMapped(skill=_skill(number), competency=f"skills:{number}")
        yield _said(skill, skill_id(_skill(number)), *operator)
    for number in range(PROGRAMMES):
        institution = f"institution-{number % REGIONS}"
        by, id = (institution, Publisher.institution), f"{institution}:p{number}"
        taught = [f"skills:{(number * 7 + each) % COMPETENCIES}" for each in range(TAUGHT)]
        parts = [e.ProgrammeCompetency(competency=competency, level=4) for competency in taught]
        yield _said(
            e.ProgrammePublished(title=f"Programme {number}", version="1", level=4, competencies=parts), id, *by
        )
        for month, role in itertools.product(MONTHS, ROLES):
            said = {"role": role, "programme": id, "overall": 4}
            said["competencies"] = {
                competency: 1 + (number + each) % 5 for each, competency in enumerate(taught[:RATED])
            }
            time = datetime.fromisoformat(f"{month}-15T12:00:00Z")
            yield _said(e.FeedbackSubmitted.model_validate(said), f"{id}:{role}:{month}", *by, time)


START = datetime(2026, 1, 1, tzinfo=UTC)


def _said(data: Data, id: str, by: str, kind: Publisher, time: datetime = START) -> Record:
    source = f"/organisations/{by}"
    return record_of(compose(data, source=source, kind=kind, id=str(uuid4()), subject=id, key=id, time=time))


async def _applied(ours: Service) -> None:
    """Wait until the service has applied everything, and what follows from it: until nothing more is applied."""
    known, since = -1.0, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        ours.process.check()
        if (now := await ours.metric("praktika_events_applied_total")) != known:
            known, since = now, time.monotonic()
        await asyncio.sleep(0.5)


async def _reads(plan: Plan, ours: Service, other: int, one: str, producer: Producer) -> list[dict[str, Any]]:
    found = f"/counters/{NAMESPACE}_feedback/{one.replace('|', '%7C').replace(' ', '%20')}"
    ways = {ONE: (other, found)} | {name: (ours.port, path) for name, path in PATHS.items()}
    rows = []
    for number, when in itertools.product(range(min(3, plan.rounds)), (IDLE, MOVING)):
        async with _events(producer) if when == MOVING else _quiet():
            for way, (port, path) in ways.items():
                await hammer(port, itertools.repeat(get(path)), 1, 1, 200)  # warm
                seconds = MOVING_SECONDS if when == MOVING and way != ONE else SECONDS
                done = await hammer(port, itertools.repeat(get(path)), READERS, seconds, 200)
                about = {"round": number, "when": when, "way": way, "per_s": done.per_s}
                rows.append(about | {f"p{p}_ms": 1000 * percentile(done.seconds, p) for p in (50, 95, 100)})
                print(f"  {when:12} {way:36} p95 {rows[-1]['p95_ms']:7.1f} ms, {done.per_s:6.0f}/s", flush=True)
    return rows


@asynccontextmanager
async def _quiet() -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _events(producer: Producer) -> AsyncIterator[None]:
    """While it lasts, vacancies and enrolments come in."""

    async def publish() -> None:
        for number in itertools.count():
            vacancy = e.VacancyObserved(
                portal="live", title="Specialist", region="region-3", skills=[_skill(number % COMPETENCIES)]
            )
            enrolled = e.LearnerEnrolled(programme="institution-3:p3")
            await producer.publish(
                [
                    _said(vacancy, f"live:{uuid4().hex}", "operator", Publisher.operator),
                    _said(enrolled, f"institution-3:{uuid4().hex}", "institution-3", Publisher.institution),
                ]
            )
            await asyncio.sleep(2 / EVENTS_PER_S)

    publishing = asyncio.create_task(publish())
    try:
        yield
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


def report(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for when, way in itertools.product((IDLE, MOVING), (ONE, *PATHS)):
        p50, p95, most, per_s = (_median(rows, when, way, name) for name in ("p50_ms", "p95_ms", "p100_ms", "per_s"))
        share = "" if way == ONE else f"{_over_one(rows, when, way):.1f}"
        lines.append([way, when, f"{p50:.0f}", f"{p95:.0f}", share, f"{most:.0f}", f"{per_s:.0f}"])
    heads = ("for 20 readers at once", "beside it", "p50 ms", "p95 ms", "ratio", "longest ms", "per s")
    imports = [
        [f"{r['vacancies']:,} vacancies, {r['import']}", f"{r['seconds']:.0f}", f"{r['peak_mb']:.0f}"]
        for r in rows
        if "import" in r
    ]
    return [*table(heads, lines), "", *table(("`praktika demand import`", "seconds", "most memory, MB"), imports)]


def _median(rows: list[dict[str, Any]], when: str, way: str, name: str) -> float:
    return median(row[name] for row in rows if (row.get("when"), row.get("way")) == (when, way))


def _over_one(rows: list[dict[str, Any]], when: str, way: str) -> float:
    """The p95 over that of `find_one` in the same round; the median of rounds."""
    own, one = ([r["p95_ms"] for r in rows if (r.get("when"), r.get("way")) == (when, of)] for of in (way, ONE))
    return median(mine / other for mine, other in zip(own, one, strict=True))


def ratio(rows: list[dict[str, Any]], when: str) -> float:
    """The p95 of the slower of the two tables over that of `find_one`."""
    return max(_over_one(rows, when, way) for way in PATHS)
