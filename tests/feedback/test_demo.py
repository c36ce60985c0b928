"""The demo's loop on real servers: from vacancies to the effect of a revision."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from deploy.demo import circle, independent, loop
from deploy.demo.network import Network
from services.certification import app as certification
from services.feedback import app as feedback
from services.partners import app as partners
from services.partners.gateway.credentials import issue_to_operator
from tests.packages import packages
from tests.stack import on_a_socket, running


@pytest_asyncio.fixture
async def network(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Network]:
    about: dict[str, Any] = {
        "kafka": kafka,
        "mongodb": mongodb,
        "keys_dir": tmp_path,
        "namespace": f"l{uuid4().hex[:12]}",
    }
    async with AsyncExitStack() as stack:
        apps = {"PARTNERS": partners, "FEEDBACK": feedback, "CERTIFICATION": certification}
        services = {
            name: await stack.enter_async_context(running(app.core, app.router, **about)) for name, app in apps.items()
        }
        urls = {
            f"PRAKTIKA_{name}_URL": await stack.enter_async_context(on_a_socket(one)) for name, one in services.items()
        }
        network = Network(
            urls, credentials={"operator": await issue_to_operator(services["PARTNERS"].settings, "anna")}
        )
        yield network
        await network.close()


async def test_the_demo_goes_from_vacancies_to_a_better_programme_and_may_be_repeated(
    network: Network, capsys: pytest.CaptureFixture[str]
):
    await circle.form_the_cluster(network)
    await loop.walk(network)
    first = capsys.readouterr().out
    assert "103 new, 0 known" in first
    for said in ("13 demand demo:sql", "13 vacancies, nobody certifies it", "in 2025Q2 are too few"):
        assert said in first
    assert "14 of 32 → 27 of 32 give 4 or 5: better" in first

    await loop.walk(network)
    again = capsys.readouterr().out
    assert "0 new, 103 known" in again
    assert "14 of 32 → 27 of 32 give 4 or 5: better" in again


async def test_the_demos_credential_is_checked_by_a_verifier_of_others(
    network: Network, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    packages()
    await circle.form_the_cluster(network)
    await circle._learn(network)
    await circle._certify(network)
    await circle._recognise(network)
    assert "/collect/" in await circle.link_to_collect(network)
    await independent.check(network)
    said = capsys.readouterr().out
    assert "an endorsement, signed" in said
    assert "finds the learner's credential valid" in said
    assert "its public page: http" in said
    monkeypatch.setenv("PATH", "/nowhere")
    await independent.check(network)
    assert "was not checked by a verifier of others: there is no Node here" in capsys.readouterr().out
