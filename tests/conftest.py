"""The servers that tests run against, see tests/servers.py."""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import hypothesis
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from deploy.screenshots import CHROMIUM
from shared.http.auth import ensure_keys
from shared.settings import settings
from tests import servers as test_servers
from tests.network import network, tell
from tests.servers import Servers
from tests.stack import Running

# How long an example takes is no claim of ours.
hypothesis.settings.register_profile(
    "ours", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("ours"), max_examples=10)
hypothesis.settings.load_profile("ours")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        hypothesis.settings.load_profile("quick")
    os.environ.setdefault("PRAKTIKA_KEYS_DIR", tempfile.mkdtemp())  # of services inside the test's process
    ensure_keys(settings())
    # A run ended by SIGTERM finalises its fixtures like one ended by Ctrl-C, and leaves no server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that start no Kafka, MongoDB or process")


STARTED = {"kafka", "mongodb", "servers", "own_servers", "broker", "processes", "stack", "slow"}


# Files that take longest: they begin first, so that no process works alone at the end. Those with stacks of their own
# stand between those without, because four stacks at once are too much for two cores.
LONGEST = (
    *("test_examples", "test_fuzz", "test_trouble", "test_contributing", "test_faults", "test_rebuild", "test_history"),
    *("test_observability", "test_journeys", "test_backup", "test_sign_in", "test_secure_kafka", "test_reading"),
    *("test_outages", "test_system_pages", "test_away", "test_runner", "test_watchdog", "test_deduplication"),
    *("test_status", "test_market_flow", "test_readme", "test_sign_in_browser", "test_hostile", "test_answering"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest first; if asked to be quick, leave out what needs a server (by its fixtures) or is `slow`."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if config.getoption("--quick"):
        slow = [item for item in items if STARTED & {*item.fixturenames, *item.keywords}]  # type: ignore[attr-defined]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_collection_finish() -> None:
    """Leave what collecting has made, which stays, out of each later search for garbage."""
    gc.collect()
    gc.freeze()


LONGEST_S = 600  # a test, with what its fixtures start; the whole of them takes minutes


def _stuck(*_: object) -> None:
    """Show where every task of every loop waits, and end the run: what waits may swallow anything else."""
    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]
        task.print_stack(file=sys.stderr)
    raise KeyboardInterrupt(f"a test took longer than {LONGEST_S} s; where its tasks waited is on stderr")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    signal.signal(signal.SIGALRM, _stuck)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S, 30)  # and again, if somebody swallows it
    faulthandler.dump_traceback_later(2 * LONGEST_S, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


SHARED = "PRAKTIKA_TEST_SHARED_SERVERS"  # those that one run started for all its processes, with a space between


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say on which servers the tests run; where they run in several processes, start them once for all."""
    config, given = session.config, test_servers.given()
    if hasattr(config, "workerinput"):
        return
    # Not pytest_report_header: -q hides that.
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line(f"servers: {'given, ' + ' and '.join(given) if given else test_servers.kind()}")
    if getattr(config.option, "numprocesses", None) and not given and not config.getoption("--quick"):
        started = ExitStack()
        config.add_cleanup(started.close)
        both = started.enter_context(test_servers.running())
        os.environ[SHARED] = f"{both.kafka.address} {both.mongodb.address}"


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[str, str]]:
    """The Kafka (bootstrap servers) and the MongoDB (URI) that all tests share: never stop these, see `own_servers`."""
    if given := test_servers.given():
        yield given
    elif SHARED in os.environ:
        kafka, mongodb = os.environ[SHARED].split(" ")
        yield kafka, mongodb
    else:
        with test_servers.running() as both:
            yield both.kafka.address, both.mongodb.address


@pytest.fixture(scope="session")
def kafka(servers: tuple[str, str]) -> str:
    """Bootstrap servers."""
    return servers[0]


@pytest.fixture(scope="session")
def mongodb(servers: tuple[str, str]) -> str:
    """URI of a replica set with a primary."""
    return servers[1]


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """A Kafka and a MongoDB for one test alone, to be killed and restarted.

    `with tests.servers.running() as servers:` gives the same to a fixture with a wider scope.
    """
    with test_servers.running() as both:
        yield both


@pytest_asyncio.fixture(scope="module")
async def services(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Running]]:
    """All four services in one network, by name."""
    async with network(kafka, mongodb, tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def names(services: dict[str, Running]) -> dict[str, str]:
    """What was told to them: the ids by what they are of, see `tests.network.tell`."""
    return await tell(services)


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    async with async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        yield started
        await started.close()
