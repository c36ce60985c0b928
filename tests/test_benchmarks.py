"""The benchmarks' job, oracle and systems at a size that proves them right; nobody is timed here."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import frontier, graduates, job, quick, timing
from benchmarks.environment import Environment
from benchmarks.job import Counts, Message
from benchmarks.systems import AIOKAFKA_MOTOR, BARE_LOOP, PEERS, PRAKTIKA, SAME_MODULE
from benchmarks.timing import Log, System
from deploy.local.processes import Server
from services.monitoring.states import contributions, route
from shared.contract.events import parse, serialise
from shared.log.topics import PARTITIONS, ensure_topics, partition_of
from shared.processing import facts, mongo
from shared.settings import Settings

LEARNERS = 150
FILE = Path(graduates.__file__).parent / "data" / "recent-grads.csv"
IN_OUR_ENVIRONMENT = [
    system for system in (*SAME_MODULE, *PEERS) if system.name in (PRAKTIKA, BARE_LOOP, AIOKAFKA_MOTOR)
]


def counted(messages: Sequence[Message]) -> Counts:
    """What the product's rules count."""
    states: dict[mongo.Key, facts.State] = {}
    for message in messages:
        cloudevent = facts.decode(message.value)
        key = route(cloudevent)
        assert key is not None
        states[key] = facts.apply(states.get(key, facts.empty()), cloudevent)
    counts: Counts = {}
    for key, state in states.items():
        for (_, id, period, measure), count in contributions(key, state).items():
            timing.add(counts, (id, period, measure.removeprefix("employment_weeks/")), count)
    return counts


@pytest.mark.slow
def test_the_jobs_bytes_are_those_of_the_contract():
    for message in [*job.log(job.learners(100)), *graduates.log(graduates.people(100, FILE))]:
        event = parse(message.value)
        assert serialise(event) == message.value
        assert event.partitionkey.encode() == message.key


@given(seed=st.integers(0, 2**31))
def test_the_oracle_and_the_products_rules_agree(seed):
    made = job.learners(20, seed=seed, programmes=3)
    assert not job.wrong(counted(job.log(made, seed=seed)), job.expected(made))


def test_the_oracle_notices_a_lost_event():
    made = job.learners(50)
    lost = job.log(made)[0].value
    assert job.wrong(counted([m for m in job.log(made) if m.value != lost]), job.expected(made))


def test_the_published_people_give_the_published_rates():
    majors = graduates.majors(FILE)
    assert sum(major.employed + major.unemployed for major in majors) == graduates.EVERYBODY
    for major in majors:
        rate = major.unemployed / (major.unemployed + major.employed or 1)
        assert round(rate, len(major.published_rate.partition(".")[2])) == float(major.published_rate)


@pytest.mark.slow
def test_a_part_of_the_graduates_is_counted_as_expected():
    them = graduates.people(300, FILE)
    assert not job.wrong(counted(list(graduates.log(them))), graduates.expected(them))


@pytest.mark.parametrize("system", IN_OUR_ENVIRONMENT, ids=lambda c: c.name)
async def test_a_system_counts_right(system: System, kafka: str, mongodb: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(timing, "BENCH", tmp_path)
    monkeypatch.setattr(timing, "RUNNING", tmp_path)
    made = job.learners(LEARNERS)
    messages = job.log(made)
    async with environment_on(kafka, mongodb, tmp_path) as at:
        namespace = f"t{uuid4().hex[:12]}"
        await ensure_topics(at.settings(namespace))
        topic = f"{namespace}.learner"
        await load(kafka, topic, messages)
        run = await timing.run_once(at, system, Log(namespace, topic, len(messages), job.expected(made)))
        await at.remove_topics(f"{namespace}.")
    assert run["wrong"] == []
    assert run["events"] == len(messages)


@asynccontextmanager
async def environment_on(kafka: str, mongodb: str, folder: Path) -> AsyncIterator[Environment]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb)
    client = mongo.connect(settings)
    servers = [
        Server(name, address, [], folder, lambda: True) for name, address in (("kafka", kafka), ("mongod", mongodb))
    ]
    try:
        yield Environment(*servers, admin, client)
    finally:
        client.close()
        await admin.close()


async def load(kafka: str, topic: str, messages: Sequence[Message]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for key, value in messages:
            partition = partition_of(key, PARTITIONS["learner"])
            await producer.send(topic, value, key, partition)


def test_the_frontier_is_the_highest_load_within_a_limit_with_the_best_setting():
    def row(system: str, sent: int, p99: float, tuning: str = "") -> dict[str, object]:
        return {"system": system, "tuning": tuning, "sent_per_s": sent, "p99_ms": p99}

    rows = [
        *(row(PRAKTIKA, sent, p99) for sent, p99 in ((4_000, 40), (8_000, 90), (12_000, 280), (16_000, 1_500))),
        *(row("bytewax", sent, p99, "BENCH_BATCH 200") for sent, p99 in ((2_000, 80), (4_000, 400))),
        *(row("bytewax", sent, p99, "BENCH_BATCH 5000") for sent, p99 in ((2_000, 200), (6_000, 290))),
    ]
    assert frontier.held(rows, PRAKTIKA, 300) == (12_000, "")
    assert frontier.held(rows, "bytewax", 100) == (2_000, "BENCH_BATCH 200")
    assert frontier.held(rows, "bytewax", 50) == (0, "")
    assert frontier.best_peer(rows, 300) == ("bytewax", 6_000)
    assert frontier.ratio(rows, 300) == 2
    assert (frontier.best_peer(rows, 50), frontier.ratio(rows, 50)) == (("", 0), None)
    assert frontier.tuning_of("bytewax", "BENCH_BATCH 5000") == {"BENCH_BATCH": "5000"}


def test_what_fell_by_more_than_a_tenth_is_marked():
    def found(half_ms: float) -> quick.Rows:
        of_load = {"system": PRAKTIKA, "load_per_s": 9_000, "ms": [half_ms]}
        return {"throughput": [], "latency": [of_load], "ingress": [], "idle": [], "frontier": []}

    marked = {line[0]: line[-1] for line in quick.compared(found(60), found(50))}
    assert marked["half load p50, ms"] == "LOOK INTO IT"
    assert {line[-1] for line in quick.compared(found(54), found(50))} == {""}
    assert quick.summary(found(54)).endswith("at 300 ms 0.00 of the best peer (none held)")
