"""Records that are no events, put straight onto the topics: each must become a dead letter and hold up nothing."""

import json
from random import Random
from typing import NamedTuple

from shared.log.topics import PARTITIONS, partition_of

from .region import Json, said_of

# Most of it lies among the learners' events, where it could hold up the most.
TOPICS = ("learner", "learner", "learner", "learner", "feedback", "programme", "demand", "agreement", "organisation")
MARK = b"poison"  # in the key, to be told from what has a right to be there


class Poison(NamedTuple):
    """A record that no service can process, by where and how it is put into the log."""

    kind: str
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def poison(seed: int, number: int) -> Poison:
    """The *number*th poison, unlike every other."""
    random = Random(f"{seed}/poison/{number}")  # noqa: S311
    topic = random.choice(TOPICS)
    partitions = PARTITIONS.get(topic, 3)
    kind = random.choice((*VALUES, *LEARNER_VALUES)) if topic == "learner" else random.choice(tuple(VALUES))
    key = MARK + f"-{number}".encode()
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition = partition_of(key, partitions)
    value = VALUES[kind](number) if kind in VALUES else LEARNER_VALUES[kind](learner_event(seed, number, key))
    if kind == "binary headers":
        headers = (("content-type", b"\xff\xfe\x00"), ("traceparent", None), ("é", random.randbytes(40)))
    if kind == "wrong partition":
        partition = (partition + 1) % partitions
    if kind == "no key":
        return Poison(kind, topic, partition, None, value, headers)
    return Poison(kind, topic, partition, key, value, headers)


def learner_event(seed: int, number: int, key: bytes) -> Json:
    """A good event about the learner named *key*, whom nothing good is ever said of."""
    said = said_of(seed, number)[0]
    learner = {"partitionkey": key.decode(), "subject": key.decode()}
    return {**said, **learner, "id": f"poison-{number}", "sourcekind": "institution"}


def text(content: Json) -> bytes:
    return json.dumps(content).encode()


# Whatever the topic.
VALUES = {
    "not JSON": lambda n: f"{{ {n}: this is not JSON".encode(),
    "binary headers": lambda n: b"\x00\xff\xfe" + str(n).encode(),
    "no value": lambda _: None,
    "empty value": lambda _: b"",
    "not UTF-8": lambda n: b'{"id": "\xc0\xa0' + str(n).encode() + b'"}',
    "too deep": lambda n: b"[" * 20_000 + str(n).encode() + b"]" * 20_000,
    "a list": lambda n: json.dumps([n]).encode(),
    "no attributes": lambda n: json.dumps({"specversion": "1.0", "id": f"poison-{n}"}).encode(),
    "no key": lambda n: json.dumps({"n": n}).encode(),
}
# Nearly good: for the topic of the learners.
LEARNER_VALUES = {
    "unknown type": lambda good: text({**good, "type": "praktika.learner.promoted.v1"}),
    "type of another topic": lambda good: text({**good, "type": "praktika.activity.held.v1"}),
    "wrong key": lambda good: text({**good, "partitionkey": "somebody-else", "subject": "somebody-else"}),
    "wrong partition": text,
    "no time zone": lambda good: text({**good, "time": "2024-03-01T10:00:00"}),
    "wrong field": lambda good: text({**good, "data": {"programme": 17}}),
    "half a surrogate": lambda good: text(good).replace(b'"id": "', b'"id": "\\ud800'),
    "other specversion": lambda good: text({**good, "specversion": "0.3"}),
    "deep inside": lambda good: text(good)[:-1] + b', "extra": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
}
