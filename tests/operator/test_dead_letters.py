"""praktika dead-letters on a network of two services, one of which has a defect that is mended later."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from fastapi import APIRouter

from shared.contract.events import Data, Event, LearnerEnrolled, serialise
from shared.log.producer import Record
from shared.log.raw import Raw, Writer, reader, writer
from shared.log.reads import Log
from shared.log.topics import partition_of
from shared.operator import dead_letters
from shared.operator.dead_letters import Position
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.mongo import Key
from tests.making import event
from tests.operator.conftest import Praktika
from tests.stack import Running, running

DEFECT = [True]  # as long as it holds something, the service feedback cannot process learner l1


def route(event: Event[Data]) -> Key | None:
    return Key("learners", event.partitionkey)


def defective(event: Event[Data]) -> Key | None:
    if DEFECT and event.partitionkey == "l1":
        raise RuntimeError("a defect")
    return route(event)


monitoring = Core(
    name="monitoring",
    topics=("learner",),
    indexes={"learners": []},
    route=route,
    contributions=lambda _, state: {
        ("network", "all", "2026-03", "enrolled"): len(state["facts"].get("learner.enrolled", {}))
    },
)
feedback = replace(monitoring, name="feedback", route=defective)


@dataclass
class Network:
    """Two services, and the operator's command."""

    feedback: Running
    monitoring: Running
    praktika: Praktika

    async def publish(self, *published: Event[Data] | Record) -> None:
        await self.feedback.publish(*published)
        await self.applied()

    async def applied(self) -> None:
        await self.feedback.applied()
        await self.monitoring.applied()

    async def listed(self, *options: str) -> list[dict[str, Any]]:
        done = await self.praktika("dead-letters", "list", "--json", *options)
        assert done.code == 0, done.err
        found: list[dict[str, Any]] = done.json["dead_letters"]
        return found

    async def counted(self, stack: Running) -> int:
        return (await mongo.sums(stack.service.db, {"kind": "network"}, ())).get((), {}).get("enrolled", 0)


@pytest.fixture
async def network(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Network]:
    DEFECT[:] = [True]
    servers: dict[str, Any] = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path}
    async with AsyncExitStack() as at_end:
        first = await at_end.enter_async_context(running(feedback, APIRouter(), **servers))
        servers["namespace"] = first.settings.namespace
        second = await at_end.enter_async_context(running(monitoring, APIRouter(), **servers))
        yield Network(first, second, Praktika(first.settings))


def enrolled(learner: str, programme: str = "p") -> Event[Data]:
    return event(LearnerEnrolled(programme=programme), learner)


async def forge(network: Network, *records: Raw) -> None:
    async with writer(network.feedback.settings) as into:
        await into.write(records)


async def test_a_dead_letter_is_listed_once_however_often_it_was_written(network: Network):
    await network.publish(enrolled("l1"), enrolled("l2"))
    (letter,) = await network.feedback.read("dead-letter.feedback")
    await forge(network, Raw("dead-letter.feedback", letter.key, letter.value, list(letter.headers)))
    (listed,) = await network.listed()
    assert listed["service"] == "feedback"
    assert Position.of(listed["position"]).topic == "learner"  # type: ignore[union-attr]
    assert (listed["cause"], listed["reason"], listed["copies"]) == ("RuntimeError", "a defect", 2)
    text = await network.praktika("dead-letters", "list")
    assert text.out.count(listed["position"]) == 1
    assert "1 open" in text.err


async def test_dead_letters_are_chosen_by_service_and_reason(network: Network):
    await network.publish(enrolled("l1"), Record("learner", "l9", b"no event"))
    assert len(await network.listed()) == 3
    assert {x["service"] for x in await network.listed("--service", "monitoring")} == {"monitoring"}
    assert {x["cause"] for x in await network.listed("--reason", "DEFECT")} == {"RuntimeError"}
    assert await network.listed("--service", "monitoring", "--reason", "defect") == []


async def test_what_was_mended_is_applied_by_a_replay_and_counted_once_by_all(network: Network):
    await network.publish(enrolled("l1"), enrolled("l1", "q"), enrolled("l2"))
    assert len(await network.listed()) == 2
    DEFECT.clear()
    done = await network.praktika("dead-letters", "replay", "--service", "feedback", "--json")
    assert done.code == 0, done.err
    assert [x["outcome"] for x in done.json["replayed"]] == ["applied", "applied"]
    assert await network.listed() == []
    await network.applied()
    assert await network.counted(network.feedback) == await network.counted(network.monitoring) == 3
    assert [x["status"] for x in await network.listed("--all")] == ["replayed", "replayed"]


async def test_a_replay_that_is_repeated_publishes_nothing_more(network: Network):
    await network.publish(enrolled("l1"))
    (listed,) = await network.listed()
    DEFECT.clear()
    for _ in range(2):
        assert (await network.praktika("dead-letters", "replay", listed["position"])).code == 0
    assert await network.feedback.count("learner") == 2


async def test_what_fails_again_is_a_new_dead_letter_that_names_the_former(network: Network):
    await network.publish(enrolled("l1"))
    (former,) = await network.listed()
    done = await network.praktika("dead-letters", "replay", "--everything")
    assert done.code == 1
    assert "failed again" in done.out
    (again,) = await network.listed()
    assert again["replay_of"] == former["position"] != again["position"]
    DEFECT.clear()
    assert (await network.praktika("dead-letters", "replay", "--everything")).code == 0
    assert await network.listed() == []
    assert await network.counted(network.feedback) == 1


async def test_a_record_that_several_services_could_not_process_is_published_once_for_all(network: Network):
    await network.publish(Record("learner", "l9", b"no event"))
    position = (await network.listed())[0]["position"]
    done = await network.praktika("dead-letters", "replay", position, "--service", "feedback", "--json")
    assert {(x["service"], x["outcome"]) for x in done.json["replayed"]} == {
        ("feedback", "failed again"),
        ("monitoring", "failed again"),
    }
    assert await network.feedback.count("learner") == 2
    assert {x["replay_of"] for x in await network.listed()} == {position}


async def test_without_waiting_a_replay_ends_when_it_is_published(network: Network):
    await network.publish(enrolled("l1"))
    done = await network.praktika("dead-letters", "replay", "--everything", "--wait", "0")
    assert (done.code, "published" in done.out) == (0, True)


async def test_a_record_on_the_wrong_partition_is_replayed_onto_its_own(network: Network):
    value, wrong = serialise(enrolled("l2")), (partition_of(b"l2", 12) + 1) % 12
    await forge(network, Raw("learner", b"l2", value, (), wrong))
    await network.applied()
    assert {x["cause"] for x in await network.listed()} == {"ContractError"}
    assert (await network.praktika("dead-letters", "replay", "--everything")).code == 0
    assert await network.counted(network.feedback) == 1


async def test_bytes_that_the_dead_letter_cut_are_replayed_whole(network: Network):
    whole = serialise(enrolled("l1"))
    whole = whole[:-1] + b" " * 950_000 + whole[-1:]
    await network.publish(Record("learner", "l1", whole, [("trace", b"\xff\x00")]))
    (listed,) = await network.listed()
    assert listed["bytes"] == len(whole)
    shown = (await network.praktika("dead-letters", "show", listed["position"], "--json")).json["record"]
    assert base64.b64decode(shown["value_base64"]) == whole
    DEFECT.clear()
    assert (await network.praktika("dead-letters", "replay", listed["position"])).code == 0
    first, second = await network.feedback.read("learner")
    assert (first.key, first.value, first.headers[0]) == (second.key, second.value, second.headers[0])


async def test_a_record_without_key_or_value_is_replayed_as_it_was(network: Network):
    await forge(network, Raw("learner", b"l1", None), Raw("learner", None, b"\xff", [("key", b"of the sender")]))
    await network.applied()
    assert (await network.praktika("dead-letters", "replay", "--everything")).code == 1
    records = await network.feedback.read("learner")
    assert sorted((r.key or b"", r.value or b"") for r in records) == [(b"", b"\xff")] * 2 + [(b"l1", b"")] * 2
    assert sum(("key", b"of the sender") in r.headers for r in records) == 2


class Stopped(Writer):
    """A writer that is stopped before it writes marks."""

    async def write(self, records: Sequence[Raw]) -> Any:
        if any(record.topic.startswith("dead-letter") for record in records):
            raise KeyboardInterrupt
        return await super().write(records)


async def test_a_replay_stopped_before_it_is_noted_publishes_a_duplicate_at_most(network: Network):
    await network.publish(enrolled("l1"))
    DEFECT.clear()
    settings = network.feedback.settings
    log = Log(settings)
    async with reader(settings) as topics, writer(settings) as into:
        found = await dead_letters.read(topics, await dead_letters.spans(topics))
        into.__class__ = Stopped
        with pytest.raises(KeyboardInterrupt):
            await dead_letters.replay(found.letters, log, into, lambda _: None)
    await log.close()
    assert len(await network.listed()) == 1
    assert (await network.praktika("dead-letters", "replay", "--everything")).code == 0
    assert await network.listed() == []
    assert await network.feedback.count("learner") == 3
    await network.applied()
    assert await network.counted(network.feedback) == 1


async def test_a_discarded_one_is_listed_only_on_demand_with_who_when_and_why(network: Network):
    await network.publish(enrolled("l1"), Record("learner", "l9", b"no event"))
    position = (await network.listed("--reason", "defect"))[0]["position"]
    for _ in range(2):
        done = await network.praktika("dead-letters", "discard", position, "--because", "a test of the vendor's")
        assert done.code == 0, done.err
    assert "defect" not in str(await network.listed())
    (listed,) = [x for x in await network.listed("--all") if x["status"] == "discarded"]
    assert (listed["mark"]["by"], listed["mark"]["because"]) == ("operator", "a test of the vendor's")
    assert listed["mark"]["at"]
    left_alone = await network.praktika("dead-letters", "replay", "--reason", "defect")
    assert "0 replayed" in left_alone.err
    DEFECT.clear()
    assert (await network.praktika("dead-letters", "replay", position)).code == 0
    assert await network.counted(network.feedback) == 1


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x7f\r[bold]"


async def test_nothing_in_a_dead_letter_reaches_the_terminal_raw(network: Network):
    about = {"topic": "t.learner", "partition": 1, "offset": 2, "bytes": 9, "cause": HOSTILE, "reason": HOSTILE}
    headers = [
        ("praktika-dead-letter", json.dumps(about).encode()),
        ("original-key", HOSTILE.encode()),
        (f"original-{HOSTILE}", HOSTILE.encode()),
        ("original-praktika-replay-of", HOSTILE.encode()),
    ]
    await forge(network, Raw("dead-letter.feedback", b"t.learner-1-2", HOSTILE.encode() + b"\n", headers))
    mark = [("praktika-dead-letter-discarded", json.dumps({"at": HOSTILE, "because": HOSTILE}).encode())]
    await forge(network, Raw("dead-letter.feedback", b"t.learner-1-2", b"", mark))
    for command in (
        ["list", "--all"],
        ["list", "--all", "--json"],
        ["show", "learner-1-2"],
        ["show", "learner-1-2", "--json"],
    ):
        done = await network.praktika("dead-letters", *command)
        assert done.code == 0, done.err
        assert "owned" in done.out
        assert all(c.isprintable() or c == "\n" for c in done.out + done.err), command


async def test_records_that_are_no_dead_letters_are_counted_and_stop_nothing(network: Network):
    broken = json.dumps({"topic": "t.learner", "partition": "one"}).encode()
    await forge(
        network,
        Raw("dead-letter.feedback", b"x", b"x"),
        Raw("dead-letter.feedback", None, b"", [("praktika-dead-letter", None)]),
        Raw("dead-letter.feedback", b"x", b"", [("praktika-dead-letter", broken)]),
        Raw("dead-letter.feedback", b"x", b"", [("praktika-dead-letter-replayed", b"[1]")]),
    )
    await network.publish(enrolled("l1"))
    done = (await network.praktika("dead-letters", "list", "--json")).json
    assert (done["open"], len(done["unreadable"])) == (1, 4)


async def test_wrong_use_and_missing_servers_have_their_own_exit_codes(network: Network, unanswering: dict[str, str]):
    assert (await network.praktika("dead-letters", "list", "--service", "sales")).code == 2
    assert (await network.praktika("dead-letters", "show", "learner")).code == 2
    assert (await network.praktika("dead-letters", "replay")).code == 2
    assert (await network.praktika("dead-letters", "discard", "learner-1-2")).code == 2
    missing = await network.praktika("dead-letters", "show", "learner-1-2")
    assert (missing.code, "no such dead letter" in missing.err) == (1, True)
    away = await network.praktika("dead-letters", "list", "--json", **unanswering)
    assert (away.code, away.out) == (3, "")
    assert "127.0.0.1:9" in away.err


def test_a_position_is_read_with_and_without_namespace():
    assert Position.of("praktika.learner-3-117") == Position.of("learner-3-117") == Position("learner", 3, 117)
    assert [Position.of(text) for text in ("learner-3", "learner-3-x", "", "-1-2", "learner-3-117\n")] == [None] * 5
    assert TopicPartition("learner", 3)
