"""The operator's command on a network of the test's own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from deploy.local.processes import ROOT
from deploy.praktika.__main__ import application
from shared.settings import Settings
from shared.settings import settings as read_settings


@dataclass
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Praktika:
    """Runs `praktika` with one network's settings."""

    def __init__(self, settings: Settings, **env: str) -> None:
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "MONGODB_URI": settings.mongodb_uri,
            "PRAKTIKA_NAMESPACE": settings.namespace,
            "PRAKTIKA_KEYS_DIR": str(settings.keys_dir),
            **env,
        }

    async def __call__(self, *arguments: str, **env: str) -> Done:
        """Run to the end, in a thread of this process: starting one takes seconds.

        Args:
            env: further environment variables.
        """
        # The services of the test log in this process, too, onto the same standard output.
        with patch.dict(os.environ, {**self.env, **env}), capture_logs():
            read_settings.cache_clear()
            try:
                result = await asyncio.to_thread(CliRunner().invoke, application(), arguments)
            finally:
                read_settings.cache_clear()
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    async def interrupted(
        self, *arguments: str, when: Callable[[], Awaitable[Any]], by: signal.Signals = signal.SIGINT
    ) -> Done:
        """Run as a process and press Ctrl-C (or send it another signal) when *when* returns."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.praktika", *arguments),
            cwd=ROOT,
            env={**os.environ, **self.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # who looks at it is not to come too late
        ended, ready = asyncio.create_task(process.communicate()), asyncio.ensure_future(when())
        await asyncio.wait([ended, ready], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            process.send_signal(by)
            ready.result()
        out, err = await ended
        return Done(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def unanswering() -> dict[str, str]:
    """Addresses at which nobody answers."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "MONGODB_URI": "mongodb://praktika:hunter2@127.0.0.1:9/?directConnection=true",
    }
