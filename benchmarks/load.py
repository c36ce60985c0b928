"""Puts a log onto a topic, fast; runs in the harness's own virtual environment.

python -m benchmarks.load SERVERS TOPIC job LEARNERS SEED PROGRAMMES MONTHS     all at once
python -m benchmarks.load SERVERS TOPIC graduates PEOPLE FILE                   all at once
python -m benchmarks.load SERVERS TOPIC steady PER_S SECONDS [SEED]             so many events a second, of the job
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Producer

from benchmarks import graduates, job
from benchmarks.job import Message


def load(servers: str, topic: str, messages: Iterable[Message]) -> None:
    """Send everything; the partitioner is Java's, which is the product's (`shared.log.topics.partition_of`)."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2",
            "enable.idempotence": True,
            "linger.ms": 5,
            "batch.size": 256 * 1024,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "lz4",
        }
    )
    for number, (key, value) in enumerate(messages):
        while True:
            try:
                producer.produce(topic, value, key, headers=HEADERS)
                break
            except BufferError:
                producer.poll(0.2)
        if number % 5_000 == 0:
            producer.poll(0)
            if number % 500_000 == 0 and number:
                print(f"  {number:,} events loaded", flush=True)
    if producer.flush(120):
        raise SystemExit("not everything was acknowledged")


HEADERS = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def messages(kind: str, *what: str) -> Iterable[Message]:
    if kind == "steady":
        return steady(int(what[0]), float(what[1]), *map(int, what[2:]))
    if kind == "graduates":
        return graduates.log(graduates.people(int(what[0]), Path(what[1])))
    count, seed, programmes, cohorts = (int(part) for part in what)
    return job.log(job.learners(count, seed=seed, programmes=programmes, cohorts=job.COHORTS[:cohorts]), seed=seed)


def steady(per_s: int, seconds: float, seed: int = 2) -> Iterable[Message]:
    """Events in the order of the job's log, as evenly as a hundredth of a second allows.

    Prints a line when all are made, and one at the end with how many a second were sent.
    """
    made = job.log(job.learners(round(per_s * seconds / job.EVENTS_PER_LEARNER) + 10, seed=seed), seed=seed)
    print(f"sending {len(made)} events", flush=True)
    began = time.monotonic()
    for number, message in enumerate(made):
        if number % max(1, per_s // 100) == 0:
            time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        yield message
    print(f"sent {len(made) / (time.monotonic() - began):.0f} events/s", flush=True)


if __name__ == "__main__":
    load(sys.argv[1], sys.argv[2], messages(*sys.argv[3:]))
