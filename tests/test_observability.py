"""What the operator sees is true: metrics, alerts, dashboard and documentation name the same things, which exist."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.core import TyperGroup

from deploy.local.processes import PLAIN, ROOT, Server, free_port, is_ok
from deploy.local.stack import WORKER
from deploy.praktika.__main__ import application
from deploy.stack import PORTS
from shared.log.producer import Producer, Record
from shared.settings import Settings
from tests.processes import ALL, Processes
from tests.servers import Servers
from tests.stack import until

FILES = ROOT / "deploy/observability"
RULES, CONFIG, LOCAL = ((FILES / name).read_text() for name in ("alerts.yml", "prometheus.yml", "prometheus.local.yml"))
DASHBOARD: dict[str, Any] = json.loads((FILES / "grafana/dashboards/praktika.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
ALERTS = re.split(r"\n +- alert: ", RULES)[1:]
METRIC = re.compile(r"\b(?:praktika|process)_[a-z_]+\b")

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
has_compose = (
    bool(shutil.which("docker"))
    and not subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode
)
needs_compose = pytest.mark.skipif(not has_compose, reason="docker compose is not installed")


# the files among each other


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.partition("\n")[0])
def test_an_alert_says_how_bad_it_is_what_happened_and_where_the_remedy_stands(alert: str):
    name = alert.partition("\n")[0]
    assert re.search(r"severity: (critical|warning)\b", alert)
    assert re.search(r'summary: ".+"\n +description: ".+"', alert)
    assert f"runbook: docs/operations.md#{name.lower()}\n" in alert + "\n"
    assert f"\n### {name}\n" in OPERATIONS


def test_no_alert_is_explained_that_does_not_exist():
    named = set(re.findall(r"\bPraktika[A-Z]\w+", OPERATIONS))
    assert named == {alert.partition("\n")[0] for alert in ALERTS}


def test_every_alert_is_tested():
    assert {alert.partition("\n")[0] for alert in ALERTS} <= set(
        re.findall(r'alertname="(\w+)"', (FILES / "alerts.test.yml").read_text())
    )


@pytest.mark.parametrize("command", sorted(set(re.findall(r"(?<![\w/])praktika ((?:-?[a-z]+)+)", OPERATIONS))))
def test_the_documentation_names_commands_that_exist(command: str):
    known = typer.main.get_command(application())
    assert isinstance(known, TyperGroup)
    assert command in known.commands


def test_the_documentation_names_subcommands_and_options_that_exist():
    known = typer.main.get_command(application())
    assert isinstance(known, TyperGroup)
    for command, words in re.findall(r"(?<![\w/])praktika ((?:-?[a-z]+)+) ([^`\n#]*)", OPERATIONS):
        found = known.commands.get(command)
        if isinstance(found, TyperGroup):
            found = found.commands[words.split()[0]]
        if found is not None:
            options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"--[a-z-]+", words)) <= options


def test_both_configurations_scrape_every_service_and_the_workers():
    for name, port in PORTS.items():
        assert f'targets: ["{name}:{port}"], labels: {{ service: {name} }}' in CONFIG
        assert f'targets: ["127.0.0.1:{port}"], labels: {{ service: {name} }}' in LOCAL
    assert f"names: [{WORKER}]" in CONFIG
    jobs = [re.findall(r"job_name: (\S+)", text) for text in (CONFIG, LOCAL)]
    assert jobs[0] == jobs[1]


def test_panels_have_their_own_place_and_number():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert not taken & cells, panel["title"]
        assert x + w <= 24
        taken |= cells


def test_the_dashboard_asks_the_chosen_prometheus_and_uses_no_unknown_variable():
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
    assert {name for query in QUERIES for name in re.findall(r"\$(\w+)", query)} <= variables | {"__rate_interval"}


@needs_promtool
@pytest.mark.parametrize("config", ["prometheus.yml", "prometheus.local.yml"])
def test_the_configuration_is_valid(config: str):
    promtool("check", "config", config)


@pytest.mark.slow
@needs_promtool
def test_alerts_fire_when_they_should_and_not_otherwise():
    promtool("test", "rules", "alerts.test.yml")


@needs_promtool
def test_the_dashboards_queries_are_promql(tmp_path: Path):
    spelt = [query.replace("$__rate_interval", "1m").replace("$service", ".*") for query in QUERIES]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(spelt)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "queries.yml"))


@needs_compose
def test_the_compose_profile_runs_the_images_that_the_environment_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRAFANA_IMAGE", "mirror.example/grafana:1")
    command = ["docker", "compose", "--profile", "observability", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services["grafana"]["image"] == "mirror.example/grafana:1"
    for name in ("prometheus", "grafana"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert {port["host_ip"] for port in services[name]["ports"]} == {"127.0.0.1"}


def promtool(*arguments: str, given: str | None = None) -> None:
    command = ["promtool", *arguments]
    done = subprocess.run(command, cwd=FILES, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# a network that has accepted, refused, applied, failed and been audited


@pytest.fixture(scope="module")
def processes(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    env = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": "observed"}
    with Processes(ALL, tmp_path_factory.mktemp("observed"), **env) as started:
        yield started


UNI = {"kind": "institution", "name": "University", "region": "north"}
ENROLLED = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/organisations/uni",
    "type": "praktika.learner.enrolled.v1",
    "subject": "learner-17",
    "partitionkey": "learner-17",
    "time": "2026-03-02T12:00:00Z",
    "data": {"programme": "welding"},
}


@pytest.fixture(scope="module")
async def busy(processes: Processes) -> AsyncIterator[Processes]:
    network = processes.network()
    try:
        await network.ask("partners", "PUT", "/organisations/uni", UNI, wait=True)
        welding = {"title": "Welding", "version": "1", "level": 4}
        network.credentials["uni"] = await network.ask("partners", "POST", "/organisations/uni/credentials")
        await network.ask("partners", "PUT", "/programmes/welding", welding, by="uni", wait=True)
        await ask_right_and_wrong(processes["partners"], f"Bearer {await network._token('uni')}")
        await publish_past_the_ingress(processes.env, Record("learner", "learner-17", b"no event"))
        await until(lambda: all_dead(processes), 60)
        audit = processes.run("services.monitoring.audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
        await until(lambda: is_audited(processes), 60)
        yield processes
    finally:
        await network.close()


async def ask_right_and_wrong(partners: Server, authorization: str) -> None:
    batch = [ENROLLED, {**ENROLLED, "time": "never"}, {**ENROLLED, "source": "/organisations/other"}]
    async with httpx.AsyncClient(base_url=partners.address, trust_env=False, timeout=30) as http:
        known = {"Authorization": authorization}
        as_batch = known | {"Content-Type": "application/cloudevents-batch+json"}
        for headers, content, status in ((as_batch, json.dumps(batch), 207), (known, "{}", 415), ({}, "{}", 401)):
            assert (await http.post("/events", content=content, headers=headers)).status_code == status
        for path in ("/learners/learner-17", "/learners/learner-18", "/nothing/here", "/.git/config"):
            await http.get(path, headers=known)
        await http.request("BREW", "/organisations/uni")


async def publish_past_the_ingress(env: dict[str, str], record: Record) -> None:
    kafka, namespace = env["KAFKA_BOOTSTRAP_SERVERS"], env["PRAKTIKA_NAMESPACE"]
    producer = Producer(Settings(kafka_bootstrap_servers=kafka, namespace=namespace))
    await producer.publish([record])
    await producer.close()


async def all_dead(processes: Processes) -> bool:
    """Whether every service that consumes learners has met the record that is no event."""
    names = ("partners", "feedback", "certification", WORKER)
    return all([(await sampled(processes[name])).get("praktika_dead_letters_total", 0) == 1 for name in names])


async def is_audited(processes: Processes) -> bool:
    return (await sampled(processes["monitoring"]))["praktika_audit_timestamp_seconds"] > 0


async def read(service: Server) -> str:
    answer = await asyncio.to_thread(PLAIN.get, f"{service.address}/metrics", timeout=30)
    assert answer.status_code == 200
    return answer.text


async def sampled(service: Server) -> dict[str, float]:
    """The sum of each metric's samples."""
    sums: dict[str, float] = {}
    for name, value in samples(await read(service)):
        sums[name.partition("{")[0]] = sums.get(name.partition("{")[0], 0) + value
    return sums


def samples(text: str) -> list[tuple[str, float]]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return [(name, float(value)) for name, _, value in lines]


async def test_every_metric_that_rules_and_dashboard_name_is_there(busy: Processes):
    there = {name for service in ALL for name in await sampled(busy[service])}
    named = {name for text in (RULES, *QUERIES) for name in METRIC.findall(text)}
    assert len(named) > 25
    assert named <= there


async def test_every_label_that_the_dashboard_names_is_there(busy: Processes):
    text = "".join([await read(busy[service]) for service in ALL])
    there = set(re.findall(r'[{,]([a-z_]+)="', text)) | {"service", "instance"}  # these two are the scraper's
    assert {
        label
        for panel in PANELS
        for t in panel["targets"]
        for label in re.findall(r"{{(\w+)}}", t.get("legendFormat", ""))
    } <= there
    assert {
        label for query in QUERIES for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(", ")
    } <= there


async def test_the_ingress_counts_what_it_accepts_and_why_it_refuses(busy: Processes):
    text = await read(busy["partners"])
    counted = dict(samples(text))
    assert counted['praktika_ingress_accepted_total{topic="learner"}'] == 1
    refused = {
        reason: counted[f'praktika_ingress_refused_total{{reason="{reason}"}}']
        for reason in ("contract", "forbidden", "media_type")
    }
    assert refused == {"contract": 1, "forbidden": 1, "media_type": 1}
    assert counted["praktika_ingress_bytes_total"] > 500
    assert counted["praktika_unauthorised_total"] >= 1


async def test_what_a_caller_chooses_freely_is_no_label(busy: Processes):
    text = await read(busy["partners"])
    requests = [name for name, _ in samples(text) if name.startswith("praktika_http_requests_total{")]
    assert any('method="GET",route="/learners/{id}",status="404"' in name for name in requests)
    assert any('method="GET",route="none",status="404"' in name for name in requests)
    assert any('method="other",route="/organisations/{id}",status="405"' in name for name in requests)
    assert not [name for name in requests if re.search(r"learner-1|nothing|BREW|\.git", name)]


async def test_a_service_shows_its_dead_letters_and_that_it_is_ready(busy: Processes):
    async def shown() -> bool:
        counted = dict(samples(await read(busy["feedback"])))
        dead = counted.get('praktika_dead_letter_records{topic="dead-letter.feedback"}')
        return bool(dead) and counted["praktika_ready"] == 1

    await until(shown, 60)


async def test_the_last_audits_result_is_shown(busy: Processes):
    assert (await sampled(busy["monitoring"]))["praktika_audit_differences"] == 0


@needs_promtool
@pytest.mark.parametrize("service", ALL)
async def test_the_metrics_are_named_as_prometheus_advises(busy: Processes, service: str):
    ours = [line for line in (await read(busy[service])).splitlines() if re.match(r"(# \w+ )?praktika_", line)]
    promtool("check", "metrics", given="\n".join(ours) + "\n")


@needs_prometheus
async def test_prometheus_reaches_everything_and_a_dead_letter_becomes_an_alert(busy: Processes, tmp_path: Path):
    port = free_port()
    with_ports = LOCAL.replace("15s", "1s").replace("127.0.0.1:9090", f"127.0.0.1:{port}")
    for name, usual in {**PORTS, WORKER: 8114}.items():
        with_ports = with_ports.replace(f"127.0.0.1:{usual}", busy[name].address.removeprefix("http://"))
    (tmp_path / "prometheus.yml").write_text(with_ports)
    (tmp_path / "alerts.yml").write_text(RULES)
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    address = f"http://127.0.0.1:{port}"
    prometheus = Server("prometheus", address, command, tmp_path, partial(is_ok, f"{address}/-/ready"))
    await asyncio.to_thread(prometheus.start)
    try:
        await until(lambda: are_up(address), 60)
        told = await until(lambda: firing(address, "PraktikaDeadLetters", "feedback"), 60)
        assert told["annotations"]["summary"] == "feedback could not process 1 records"
        groups = (await ask(address, "rules"))["groups"]
        assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    finally:
        prometheus.stop()


async def ask(address: str, about: str) -> Any:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return (await http.get(f"{address}/api/v1/{about}")).json()["data"]


async def are_up(address: str) -> bool:
    targets = (await ask(address, "targets"))["activeTargets"]
    return len(targets) == 6 and all(target["health"] == "up" for target in targets)


async def firing(address: str, name: str, service: str) -> dict[str, Any] | None:
    wanted = {"alertname": name, "service": service}
    alerts = [alert for alert in (await ask(address, "alerts"))["alerts"] if alert["state"] == "firing"]
    return next((alert for alert in alerts if wanted.items() <= alert["labels"].items()), None)


# without Kafka and MongoDB


async def test_metrics_are_answered_while_kafka_and_mongodb_are_away(own_servers: Servers, tmp_path: Path):
    env = {"KAFKA_BOOTSTRAP_SERVERS": own_servers.kafka.address, "MONGODB_URI": own_servers.mongodb.address}
    with Processes(("feedback",), tmp_path, **env) as processes:

        async def shows(ready: int) -> bool:
            counted = await sampled(processes["feedback"])
            return counted["praktika_ready"] == ready and "praktika_dead_letter_records" in counted

        await until(lambda: shows(1), 60)
        for server in own_servers:
            await asyncio.to_thread(server.kill)
        await until(lambda: shows(0), 60)
