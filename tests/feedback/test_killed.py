"""Feedback is killed in the middle of a tick and of an import: nobody is asked twice, nothing is lost."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.feedback.app import core, router
from shared.contract.events import (
    EmploymentRecorded,
    EmploymentStatus,
    LearnerEnrolled,
    LearnerGraduated,
    VacancyClosed,
    VacancyObserved,
    serialise,
)
from shared.log.topics import PARTITIONS, connection, topic_name
from shared.processing.employment import months_later
from tests.making import event
from tests.operator.conftest import Praktika
from tests.processes import worker
from tests.stack import Running, running, until

GRADUATES, WORKING, VACANCIES = 600, 200, 3_000


async def with_the_senders_times(kafka: str, namespace: str) -> None:
    """Make the learners' topic, which keeps the times that producers give: else nothing can be told of long ago."""
    configs = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    topic = NewTopic(topic_name(namespace, "learner"), PARTITIONS["learner"], 1, topic_configs=configs)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([topic])
    finally:
        await admin.close()


async def long_ago(stack: Running) -> None:
    """Graduates who were told of 200 days ago; some of them work at the plant."""
    graduated = months_later(datetime.now(UTC).date(), -7)
    told = datetime.combine(graduated + timedelta(days=1), time(), UTC)
    topic = topic_name(stack.settings.namespace, "learner")
    async with AIOKafkaProducer(**connection(stack.settings)) as kafka:
        for n in range(GRADUATES):
            learner = f"l{n}"
            said = [
                event(LearnerEnrolled(programme="welding"), learner, id=f"e{n}", time=told),
                event(LearnerGraduated(programme="welding", graduated_on=graduated), learner, id=f"g{n}", time=told),
            ]
            if n < WORKING:
                job = EmploymentRecorded(status=EmploymentStatus.employed, enterprise="plant")
                said.append(event(job, f"j{n}", learner, by="enterprise:plant", id=f"j{n}", time=told))
            for each in said:
                at = int(told.timestamp() * 1000)
                await kafka.send(topic, serialise(each), key=learner.encode(), timestamp_ms=at)
        await kafka.flush()


async def vacancies(stack: Running) -> None:
    """A portal's vacancies, of which every third is closed a day later."""
    day = datetime(2026, 1, 10, 9, tzinfo=UTC)
    seen = VacancyObserved(portal="hh", title="Welder", region="east", skills=["TIG"])
    gone = VacancyClosed(closed_on=date(2026, 1, 11))
    told = [event(seen, f"hh:{n}", by="operator:operator", time=day, id=f"v{n}") for n in range(VACANCIES)]
    later = day + timedelta(days=1)
    told += [event(gone, f"hh:{n}", by="operator:operator", time=later, id=f"c{n}") for n in range(0, VACANCIES, 3)]
    await stack.publish(*told)


async def asked(stack: Running) -> int:
    return await stack.service.db["requests"].count_documents({"months": 6})


async def test_killed_in_the_middle_each_is_asked_once_and_each_vacancy_is_there(
    kafka: str, mongodb: str, tmp_path: Path
):
    before, namespace = datetime.now(UTC).date(), f"t{uuid4().hex[:12]}"
    await with_the_senders_times(kafka, namespace)
    about: dict[str, Any] = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path, "namespace": namespace}
    async with running(core, router, **about, role="api") as stack:
        await long_ago(stack)
        await vacancies(stack)
        for part in (0.05, 0.3, 0.6):
            with worker(stack, "feedback"):

                async def in_the_middle(goal: float = part * (GRADUATES + WORKING)) -> bool:
                    return await asked(stack) > goal

                await until(in_the_middle)
        with worker(stack, "feedback"):

            async def all_are() -> bool:
                return await asked(stack) == GRADUATES + WORKING

            await until(all_are)
            await stack.applied()
        assert await stack.service.db["vacancies"].count_documents({"open": True}) == VACANCIES - VACANCIES // 3
        contents: dict[str, set[bytes]] = {}
        for record in [*await stack.read("feedback"), *await stack.read("learner")]:
            value = record.value or b""
            for kind in (b"followup.opened", b"feedback.requested"):
                if kind in value:
                    contents.setdefault(f"{kind.decode()} {record.key!r}", set()).add(value)
        days = (datetime.now(UTC).date() - before).days + 1
        assert max(map(len, contents.values())) <= days, "what is said again is the same"
        assert len(contents) == GRADUATES + GRADUATES + WORKING
        done = await Praktika(stack.settings)("rebuild", "feedback", "--json")
        assert (done.code, done.json["different"]) == (0, 0), done.out + done.err
