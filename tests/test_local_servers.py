"""Servers and their process handling: what a test and `make up` rely on."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.local.processes import Server, ServerError, free_port, is_free, start_mark, wait_until
from deploy.local.servers import mongod
from shared.processing import mongo
from shared.settings import Settings
from tests.servers import Servers

SERVE = """
import signal, socket, sys
if "--deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True: listener.accept()[0].close()
"""


@pytest.fixture
def program(tmp_path: Path):
    """A small server that is ended with the test."""
    programs: list[Server] = []

    def make(*arguments: str, code: str = SERVE, timeout_s: float = 20) -> Server:
        port = free_port()
        command = [sys.executable, "-c", code, str(port), *arguments]
        server = Server("small", str(port), command, tmp_path, lambda: not is_free(port), timeout_s=timeout_s)
        programs.append(server)
        return server

    yield make
    for server in programs:
        server.kill()


def test_started_server_answers_and_has_a_log(program):
    server = program()
    server.start()
    socket.create_connection(("127.0.0.1", int(server.address))).close()
    assert wait_until(lambda: server.log.read_text() == "listening\n", 20)


def test_start_leaves_a_running_server_alone(program):
    server = program()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid


def test_server_is_found_again_by_another_starter(program):
    first, second = program(), program()
    first.start()
    assert second.pid == first.pid
    second.stop()
    assert first.pid is None


def test_server_that_ignores_sigterm_is_ended(program):
    server = program("--deaf")
    server.start()
    server.stop(grace_s=0.2)
    assert server.pid is None
    assert is_free(int(server.address))


def test_killed_server_starts_again(program):
    server = program()
    server.start()
    server.kill()
    assert server.pid is None
    server.start()
    assert server.pid


def test_stopping_a_stopped_server_does_nothing(program):
    server = program()
    server.stop()
    server.kill()


def test_pid_of_another_process_is_never_signalled(program, tmp_path):
    """The pid file is of an earlier process whose number the system has given to somebody else."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stale = {"pid": other.pid, "mark": "an earlier boot 1"}
        (tmp_path / "small.pid").write_text(json.dumps(stale))
        server = program()
        assert server.pid is None
        server.kill()
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_ended_process_has_no_mark():
    with subprocess.Popen([sys.executable, "-c", ""]) as done:
        done.communicate()
    assert start_mark(done.pid) is None


def test_failed_start_shows_the_end_of_the_log(program):
    with pytest.raises(ServerError, match=r"small ended\n.*\nno disk left"):
        program(code="print('no disk left')").start()


def test_silent_server_is_given_up(program):
    with pytest.raises(ServerError, match="did not answer within 0 s"):
        program(code="import signal; signal.pause()", timeout_s=0.2).start()


async def test_kafka_keeps_records_over_a_kill(own_servers: Servers):
    kafka = own_servers.kafka
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, acks="all") as producer:
        await producer.send_and_wait("kept", b"before")
    kafka.kill()
    kafka.start()
    async with AIOKafkaConsumer(bootstrap_servers=kafka.address, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("kept", 0)])
        assert (await consumer.getone()).value == b"before"


async def test_mongodb_keeps_transactions_over_a_kill(own_servers: Servers):
    mongodb = own_servers.mongodb
    client = AsyncIOMotorClient(mongodb.address)
    async with await client.start_session() as session, session.start_transaction():
        await client.test.kept.insert_one({"_id": "before"}, session=session)
    mongodb.kill()
    mongodb.start()
    assert await client.test.kept.find_one() == {"_id": "before"}
    client.close()


def test_shared_servers_are_up(kafka: str, mongodb: str):
    host, _, port = kafka.partition(",")[0].rpartition(":")
    socket.create_connection((host, int(port))).close()
    assert mongodb.startswith("mongodb")


@pytest.mark.slow
async def test_data_without_a_login_get_one(tmp_path: Path):
    """Also what `make up` relies on: the set-up makes the login, and who has not got it reads nothing."""
    port, keys = free_port(), tmp_path / "keys"
    open_to_all = mongod(tmp_path, port)
    open_to_all.start()
    try:
        with MongoClient(open_to_all.address) as client:
            client["praktika_partners"]["learners"].insert_one({"_id": "known"})
    finally:
        open_to_all.stop()
    server = mongod(tmp_path, port, keys)
    server.start()
    try:
        own = Settings(MONGODB_URI=server.address, _secrets_dir=keys / "services")
        for _ in range(2):
            await mongo.ensure_replica_set(own)
            assert await ids(mongo.connect(own)) == ["known"]
        with pytest.raises(OperationFailure, match="authentication"):
            await ids(mongo.connect(Settings(MONGODB_URI=server.address)))
        other = own.model_copy(update={"mongodb_password": SecretStr("another")})
        with pytest.raises(RuntimeError, match="password is not praktika's"):
            await mongo.ensure_replica_set(other)
    finally:
        server.kill()


async def ids(client: "AsyncIOMotorClient[dict[str, Any]]") -> list[str]:
    try:
        return [doc["_id"] async for doc in client["praktika_partners"]["learners"].find()]
    finally:
        client.close()
