"""How `make up` decides where Praktika runs."""

import socket

import pytest

from deploy import compose, stack
from deploy.local.processes import ServerError
from deploy.stack import PORTS, Choice, choose

GIVEN = ["kafka.example:9092", "mongodb://mongo.example/?replicaSet=rs0"]


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine without Docker on which nothing runs, and no wish in the environment."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "PRAKTIKA_STACK", "PRAKTIKA_PUBLIC_URL", "SECURE"):
        monkeypatch.delenv(name, raising=False)
    for name in PORTS:
        monkeypatch.delenv(f"PRAKTIKA_{name.upper()}_PORT", raising=False)
    monkeypatch.setattr(compose, "is_possible", lambda: False)
    monkeypatch.setattr(compose, "running_services", set)
    monkeypatch.setattr(stack, "runs", lambda _: False)
    return monkeypatch


def give_servers(monkeypatch):
    for name, value in zip(("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"), GIVEN, strict=True):
        monkeypatch.setenv(name, value)


def test_processes_run_where_docker_does_not():
    assert choose(Choice()).kind == "local"


def test_containers_run_where_docker_does(machine):
    machine.setattr(compose, "is_possible", lambda: True)
    assert choose(Choice()).kind == "compose"


def test_containers_are_opened_at_one_address(machine):
    machine.setattr(stack, "is_free", lambda _: True)
    machine.setenv("PRAKTIKA_STACK", "compose")
    machine.setenv("PRAKTIKA_HTTPS_PORT", "9443")
    choice = choose(Choice())
    assert choice.address() == "https://localhost:9443"
    machine.setenv("PRAKTIKA_PUBLIC_URL", "https://praktika.example")
    assert choice.address() == "https://praktika.example"


def test_given_servers_are_used_even_where_docker_runs(machine):
    machine.setattr(compose, "is_possible", lambda: True)
    give_servers(machine)
    choice = choose(Choice())
    assert (choice.kind, choice.given) == ("local", GIVEN)


def test_environment_decides(machine):
    machine.setenv("PRAKTIKA_STACK", "compose")
    assert choose(Choice()).kind == "compose"


def test_unknown_wish_is_refused(machine):
    machine.setenv("PRAKTIKA_STACK", "podman")
    with pytest.raises(ServerError, match="'podman'"):
        choose(Choice())


def test_started_stack_stays_as_it_is(machine):
    """Docker appeared, or the given servers are no longer in the environment: what runs goes on."""
    machine.setattr(compose, "is_possible", lambda: True)
    assert choose(Choice("local", GIVEN)).given == GIVEN


def test_started_stack_is_not_changed_into_another(machine):
    give_servers(machine)
    with pytest.raises(ServerError, match="make down first"):
        choose(Choice("compose"))


def test_free_ports_are_the_usual_ones(machine):
    machine.setattr(stack, "is_free", lambda _: True)
    ports = choose(Choice()).ports
    assert {name: ports[name] for name in PORTS} == PORTS


def test_asked_port_is_taken(machine):
    machine.setattr(stack, "is_free", lambda _: True)
    machine.setenv("PRAKTIKA_FEEDBACK_PORT", "9102")
    assert choose(Choice()).ports["feedback"] == 9102


def test_port_of_another_program_is_avoided_and_named(machine, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        machine.setenv("PRAKTIKA_PARTNERS_PORT", str(port))
        ports = choose(Choice()).ports
    assert ports["partners"] != port
    assert f"port {port} is used by another program" in capsys.readouterr().out


def test_running_service_keeps_its_port(machine):
    machine.setattr(stack, "runs", lambda name: name == "partners")
    assert choose(Choice("local", None, {"partners": 30_001})).ports["partners"] == 30_001


def test_mongodb_keeps_its_port_after_down():
    assert choose(Choice(ports={"mongod": 30_002})).ports["mongod"] == 30_002


def test_secured_kafka_has_a_port_for_organisations_and_stays_secured(machine):
    machine.setattr(stack, "is_free", lambda _: True)
    machine.setenv("SECURE", "1")
    choice = choose(Choice())
    assert (choice.secured, choice.ports["kafka-external"]) == (True, 9094)
    machine.delenv("SECURE")
    assert choose(Choice(ports=choice.ports, secured=True)).secured
    assert choose(choice).secured


def test_running_stack_is_not_secured_by_the_way(machine):
    machine.setenv("SECURE", "1")
    with pytest.raises(ServerError, match="make down first"):
        choose(Choice("local"))


def test_given_kafka_is_not_ours_to_secure(machine):
    give_servers(machine)
    assert not choose(Choice(secured=True)).secured
    machine.setenv("SECURE", "1")
    with pytest.raises(ServerError, match="a Kafka of ours"):
        choose(Choice())


class Stopping:
    """A stack that says how it is stopped."""

    def __init__(self) -> None:
        self.cleaned: list[bool] = []

    def down(self, *, clean: bool) -> None:
        self.cleaned.append(clean)


@pytest.mark.parametrize(("given", "stopped"), [(None, "the services, Kafka and MongoDB"), (GIVEN, "the services")])
def test_whoever_stops_it_is_told_what_was_stopped_and_what_of_the_data(machine, tmp_path, capsys, given, stopped):
    stopping = Stopping()
    machine.setattr(stack, "CHOICE", tmp_path / "stack.json")
    machine.setattr(stack, "OPERATOR", tmp_path / "operator.json")
    machine.setattr(Choice, "stack", lambda _: stopping)
    for clean, data in ((False, "the data stay"), (True, "the data were deleted")):
        Choice("local", given).keep()
        stack.down(clean=clean)
        first, second = capsys.readouterr().out.splitlines()
        assert first == f"stopped: {stopped}"
        assert second.startswith(data)
    assert stopping.cleaned == [False, True]
    Choice(ports={"kafka": 1}).keep()  # as `down` leaves it
    for clean in (False, True, True):
        stack.down(clean=clean)
        assert capsys.readouterr().out.splitlines()[0] == "nothing runs"
    assert stopping.cleaned == [False, True, True], "the data of what was stopped before are deleted, too"
