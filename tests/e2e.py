"""The Compose stack end to end, from the built image and through Caddy's TLS: `make e2e`.

Runs under its own project name, image tag, ports, network and volumes, and removes them all at the end.
"""

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaProducer

from deploy import compose
from deploy.compose import docker_compose
from deploy.local.processes import free_port, wait_until

PORTS = {name: free_port() for name in ("partners", "feedback", "certification", "monitoring", "https", "http")}
ORIGIN = f"https://localhost:{PORTS['https']}"
STAND_IN = "praktika-test/caddy"  # tests/caddy
NETWORK = "10.198.78"  # not the one of a stack that runs already
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"
INSTITUTION, PROGRAMME = "e2e-college", "e2e-college:welding"
STARTED = time.monotonic()
EMPLOYED, SEEKING = 9, 3
# Prints, as JSON, how many partitions each member of monitoring's consumer group has.
COUNT_PARTITIONS = """
import asyncio, json
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment as Assignment
async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers="kafka:9092")
    await admin.start()
    (answer,) = await admin.describe_consumer_groups(["praktika.monitoring"])
    await admin.close()
    (_, _, state, _, _, members), *_ = answer.groups
    assigned = [Assignment.decode(member[4]).assignment for member in members if state == "Stable"]
    print(json.dumps([sum(len(numbers) for _, numbers in topics) for topics in assigned]))
asyncio.run(main())
"""
# Fails if MongoDB tells anything to somebody who has not logged in.
READ_WITHOUT_LOGIN = """
import os, pymongo, pymongo.errors
try:
    pymongo.MongoClient(os.environ["MONGODB_URI"]).list_database_names()
except pymongo.errors.OperationFailure as error:
    raise SystemExit(error.code != 13)
raise SystemExit(1)
"""


class Client(httpx.Client):
    """Speaks to the stack as one organisation, with a token of partners."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        super().__init__(base_url=ORIGIN, verify=trusted(), timeout=30, trust_env=False, headers={"Prefer": "wait=20"})
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        answer = self.post("/token", data=form).raise_for_status().json()
        self.headers["Authorization"] = f"Bearer {answer['access_token']}"


@cache
def trusted(*protocols: str) -> ssl.SSLContext:
    """What trusts Caddy's own authority, and nobody else; *protocols*: to be offered."""
    shown = docker_compose("exec", "-T", "caddy", "cat", ROOT_CERTIFICATE, capture=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=shown.stdout)
    context.set_alpn_protocols(protocols or ["http/1.1"])
    return context


def main() -> int:
    if "CADDY_IMAGE" not in os.environ and not compose.has_image(compose.IMAGES["CADDY_IMAGE"]):
        compose.succeeds("build", "-t", STAND_IN, "tests/caddy")
        os.environ["CADDY_IMAGE"] = STAND_IN
    if not compose.is_possible():
        print("e2e needs Docker with Compose, and the images (see KAFKA_IMAGE, MONGO_IMAGE and CADDY_IMAGE)")
        return 1
    os.environ |= {"COMPOSE_PROJECT_NAME": "praktika-e2e", "PRAKTIKA_IMAGE": "praktika:e2e"}
    os.environ |= {f"PRAKTIKA_{name.upper()}_PORT": str(port) for name, port in PORTS.items()}
    os.environ["PRAKTIKA_KAFKA_EXTERNAL_PORT"] = str(free_port())
    os.environ["PRAKTIKA_PROXIED_NETWORK"] = NETWORK
    tear_down()  # what an interrupted run has left
    try:
        prove()
    except BaseException:
        docker_compose("ps", "--all")
        docker_compose("logs", "--tail", "20")
        raise
    finally:
        tear_down()
    say("passed")
    return 0


def prove() -> None:
    say("building the image and starting the stack")
    succeed("up", "-d", "--build", "--wait")
    prove_private_key_is_hidden()
    assert docker_compose("exec", "-T", "partners", "python", "-c", READ_WITHOUT_LOGIN).returncode == 0
    operator = Client(**credential(exec_in("partners", "-m", "services.partners.gateway.credentials", "operator")))
    say("registering an institution and its programme")
    institution = register(operator)
    publish_programme(institution)
    say("looking at the one origin")
    prove_origin(institution)
    prove_sign_in()
    prove_addresses(operator)
    graduates, statuses = list(graduations()), list(employments())

    say("sending events, killing Kafka between them")
    send(institution, graduates[: len(graduates) // 2])
    succeed("kill", "-s", "KILL", "kafka")
    succeed("up", "-d", "--wait")
    send(institution, graduates)  # the first half again: duplicates count once

    say("killing the worker, sending more, starting three workers")
    succeed("kill", "-s", "KILL", "monitoring-worker")
    send(institution, statuses)
    succeed("up", "-d", "--wait", "--scale", "monitoring-worker=3")
    demand(lambda: len(partitions()) == 3 and all(partitions()), "three workers share the partitions")

    say("reading the indicator")
    demand(lambda: employment_rate() == (EMPLOYED, EMPLOYED + SEEKING), "employment_rate is 9 of 12")
    succeed("run", "--rm", "-T", "praktika", "audit")
    demand(lambda: docker_compose("run", "--rm", "-T", "praktika", "status").returncode == 0, "the status is well")
    prove_backup()

    say("securing Kafka, on the same data")
    succeed("down")
    succeed("--profile", "secure", "up", "-d", "--wait")
    prove_secured(operator)


def prove_origin(institution: Client) -> None:
    """All services answer at one address over TLS and HTTP/2, compressed, and each part of a stream at once."""
    plain = socket.create_connection(("localhost", PORTS["https"]))
    with trusted("h2", "http/1.1").wrap_socket(plain, server_hostname="localhost") as secured:
        assert (secured.version(), secured.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    redirected = httpx.get(f"http://localhost:{PORTS['http']}/join?a=b", trust_env=False)
    assert (redirected.status_code, redirected.headers["Location"]) == (308, f"{ORIGIN}/join?a=b")

    with httpx.Client(base_url=ORIGIN, verify=trusted(), timeout=30, trust_env=False) as anybody:
        for path in ("/", "/join", "/requests", "/frameworks", "/feedback/docs", "/certification/", "/partners/"):
            answer = anybody.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == (401 if path == "/requests" else 200), f"{path}: {answer.status_code}"
            assert "Strict-Transport-Security" not in answer.headers, "it would hold for every port of localhost"
        for prefix in ("", *(f"/{name}" for name in ("partners", "feedback", "certification", "monitoring"))):
            assert anybody.get(f"{prefix}/metrics").status_code == 404
            assert anybody.get(f"{prefix}/health/ready").json()["status"] == "ready"
        for coding in ("zstd", "gzip"):
            with anybody.stream("GET", "/openapi.json", headers={"Accept-Encoding": coding}) as answer:
                assert answer.headers["Content-Encoding"] == coding
    with institution.stream("GET", "/feed/stream", params={"after": 0}) as stream:
        assert any("programme.published" in line for line in stream.iter_lines())


def prove_sign_in() -> None:
    """A link names the origin; who follows it has a session whose cookie goes over TLS only."""
    invite = "run", "--rm", "-T", "praktika", "member", "invite", "operator", "anna@e2e.example", "--json"
    link = json.loads(docker_compose(*invite, capture=True).stdout)["link"]
    assert link.startswith(f"{ORIGIN}/invitation?")
    form = {"name": "Anna", "password": "seven quiet lanterns of the orchard"}
    with httpx.Client(base_url=ORIGIN, verify=trusted(), timeout=30, trust_env=False) as anna:
        signed = anna.post(link, data=form, headers={"Origin": ORIGIN})
        assert (signed.status_code, "Secure" in signed.headers["Set-Cookie"]) == (303, True), signed.text
        assert anna.get("/work", headers={"Accept": "text/html"}).status_code == 200


def prove_addresses(operator: Client) -> None:
    """Who asks is told by Caddy alone, not by the caller, neither through Caddy nor past it."""
    path, forged = "/organisations/x/suspension", {"X-Forwarded-For": "203.0.113.7"}
    direct = httpx.post(f"http://127.0.0.1:{PORTS['partners']}{path}", headers=forged, trust_env=False)
    assert (operator.post(path, headers=forged).status_code, direct.status_code) == (422, 401)

    def addresses() -> list[str]:
        command = "run", "--rm", "-T", "praktika", "trail", "--action", "suspension", "--json"
        return [entry["address"] for entry in json.loads(docker_compose(*command, capture=True).stdout)["entries"]]

    demand(lambda: len(addresses()) == 2, "the trail has both")
    assert not {*addresses()} & {"203.0.113.7", f"{NETWORK}.2"}, "a caller's word is believed, or Caddy's is not"


def prove_backup() -> None:
    """As docs/operations.md says; how it is restored, tests/operator/test_backup.py proves."""
    backup = "praktika backup /tmp/praktika >&2 && ls /tmp/praktika"
    made = docker_compose("run", "--rm", "-T", "setup", "sh", "-c", backup, capture=True).stdout.split()
    assert made == ["history.jsonl.gz", "home.jsonl", "keys", "keys-credentials", "keys-private"], made


def prove_secured(operator: Client) -> None:
    """An event comes in over TLS with a credential, and nobody comes in without one."""
    made = operator.post(f"/organisations/{INSTITUTION}/kafka-credentials").raise_for_status().json()
    hired = event(INSTITUTION, "employment.recorded", "hired-over-kafka", learners()[-1], {"status": "employed"})
    asyncio.run(write(made, hired))
    demand(lambda: employment_rate() == (EMPLOYED + 1, EMPLOYED + SEEKING), "what came over Kafka is counted")
    succeed("run", "--rm", "-T", "praktika", "audit")
    assert docker_compose("exec", "-T", "partners", "python", "-c", COUNT_PARTITIONS, capture=True).returncode
    ours = "/kafka/services/praktika_kafka_password", "/mongodb/services/praktika_mongodb_password"
    show = f"print(*(open(path).read() for path in {ours}))"
    logs = docker_compose("logs", capture=True).stdout
    for secret in (*exec_in("partners", "-c", show).split(), made["password"]):
        assert secret not in logs, "a password is in a log"


async def write(made: dict[str, Any], event: dict[str, Any]) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=made["bootstrap_servers"],
        security_protocol=made["security_protocol"],
        sasl_mechanism=made["mechanism"],
        sasl_plain_username=made["user"],
        sasl_plain_password=made["password"],
        ssl_context=ssl.create_default_context(cadata=made["ca"]),
    ) as producer:
        headers = [("content-type", b"application/cloudevents+json")]
        await producer.send_and_wait(made["ingress"], json.dumps(event).encode(), headers=headers)


def register(operator: Client) -> Client:
    """Register the institution and speak as it."""
    body = {"kind": "institution", "name": INSTITUTION, "region": "e2e"}
    operator.put(f"/organisations/{INSTITUTION}", json=body).raise_for_status()
    made = operator.post(f"/organisations/{INSTITUTION}/credentials").raise_for_status()
    return Client(**credential(made.text))


def publish_programme(institution: Client) -> None:
    body = {"title": "Welding", "version": "1", "level": 4, "hours_theory": 400, "hours_workplace": 200}
    institution.put(f"/programmes/{PROGRAMME}", json=body).raise_for_status()


def graduations() -> Iterator[dict[str, Any]]:
    for learner in learners():
        yield event(INSTITUTION, "learner.enrolled", learner, learner, {"programme": PROGRAMME})
        graduated = {"programme": PROGRAMME, "graduated_on": "2024-06-30"}
        yield event(INSTITUTION, "learner.graduated", learner, learner, graduated)


def employments() -> Iterator[dict[str, Any]]:
    for number, learner in enumerate(learners()):
        status = {"status": "employed" if number < EMPLOYED else "seeking"}
        yield event(INSTITUTION, "employment.recorded", f"status-{learner}", learner, status)


def learners() -> list[str]:
    return [f"e2e-college:{number}" for number in range(EMPLOYED + SEEKING)]


def event(source: str, type_: str, subject: str, key: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": f"/organisations/{source}",
        "type": f"praktika.{type_}.v1",
        "subject": subject,
        "time": datetime.now(UTC).isoformat(),
        "partitionkey": key,
        "data": data,
    }


def send(client: Client, events: list[dict[str, Any]]) -> None:
    """Send a batch to the ingress, again while it asks to (503)."""
    headers = {"Content-Type": "application/cloudevents-batch+json"}

    def accepted() -> bool:
        answer = client.post("/events", content=json.dumps(events), headers=headers)
        if answer.status_code == 503:
            return False
        assert answer.status_code == 202, answer.text
        return True

    demand(accepted, f"{len(events)} events are accepted")


def employment_rate() -> tuple[int, int]:
    query = {"scope": "programme", "scope_id": PROGRAMME}
    address = f"{ORIGIN}/indicators/employment_rate"
    answer = httpx.get(address, params=query, verify=trusted(), timeout=30, trust_env=False)
    if answer.status_code == 404:  # the programme is not known yet
        return 0, 0
    value = answer.raise_for_status().json()
    return value["numerator"], value["denominator"]


def partitions() -> list[int]:
    done = docker_compose("exec", "-T", "partners", "python", "-c", COUNT_PARTITIONS, capture=True)
    return [] if done.returncode else sorted(json.loads(done.stdout))


def prove_private_key_is_hidden() -> None:
    look = "import pathlib; print(*sorted(p.name for p in pathlib.Path('/keys').glob('*/token.*')))"
    assert exec_in("partners", "-c", look).split() == ["token.jwks", "token.key"]
    for service in ("feedback", "certification", "monitoring", "monitoring-worker"):
        assert exec_in(service, "-c", look).split() == ["token.jwks"], f"{service} sees the private key"


def credential(printed: str) -> dict[str, str]:
    made = json.loads(printed.splitlines()[-1])
    return {name: made[name] for name in ("client_id", "client_secret")}


def exec_in(service: str, *arguments: str) -> str:
    done = docker_compose("exec", "-T", service, "python", *arguments, capture=True)
    assert done.returncode == 0, f"{arguments} in {service} failed"
    return done.stdout


def succeed(*arguments: str) -> None:
    assert docker_compose("--progress", "quiet", *arguments).returncode == 0, f"docker compose {arguments} failed"


def demand(holds: Any, claim: str) -> None:
    def held() -> bool:
        try:
            return bool(holds())
        except httpx.HTTPError:  # what does not answer now is asked again
            return False

    assert wait_until(held, timeout_s=90), f"not within 90 s: {claim}"


def tear_down() -> None:
    docker_compose("--profile", "secure", "--progress", "quiet", "down", "--volumes", "--remove-orphans")


def say(text: str) -> None:
    print(f"e2e: {text} ({time.monotonic() - STARTED:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
