"""Programs that outlive whoever starts them and are found again by a pid file."""

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05
# Without certificates of authorities: to read them takes longer than to ask. For addresses of this machine.
PLAIN = httpx.Client(timeout=2, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
_given: set[int] = set()  # nobody may listen yet on a port that was given


class ServerError(Exception):
    """A server ended, or did not answer in time; the message shows the end of its log."""


def is_ok(address: str) -> bool:
    """Does this address of plain HTTP answer that all is well?"""
    try:
        return PLAIN.get(address).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Pick a port of 127.0.0.1 that nobody listens on.

    Below Linux's range for outgoing connections (32768 and up): there a client that retries while its
    server is down can be given the server's port, and the server could not come back.
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000)  # noqa: S311 (no secret)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise ServerError("no free port between 20000 and 32000")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(check: Callable[[], bool], timeout_s: float) -> bool:
    """Poll *check* until it holds; False when it still does not after *timeout_s*."""
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def start_mark(pid: int) -> str | None:
    """What tells the process *pid* from a later one with the same number; None when it has ended.

    Source: proc(5), fields 3 (state) and 22 (start time since boot) of /proc/PID/stat.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else f"{boot} {fields[18]}"


@dataclass
class Server:
    """One program with its pid file and log in *folder*, restartable on the same port and data.

    `answers` says whether it serves; `prepare` runs before each start.
    """

    name: str
    address: str
    command: Sequence[str | Path]
    folder: Path
    answers: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The running process; None when there is none, whatever a stale pid file says."""
        if self._child:
            self._child.poll()  # reaps it if it has ended
        try:
            known = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        pid: int = known["pid"]
        return pid if known["mark"] and start_mark(pid) == known["mark"] else None

    def start(self, *, wait: bool = True) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self.pid is None:
            self.prepare()
            self._spawn()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers; `ServerError` when it ends or takes too long."""
        if not wait_until(lambda: self.pid is None or self.answers(), self.timeout_s):
            raise ServerError(f"{self.name} did not answer within {self.timeout_s:.0f} s\n{self._tail()}")
        if self.pid is None:
            raise ServerError(f"{self.name} ended\n{self._tail()}")

    def stop(self, grace_s: float = 30) -> None:
        """Ask it to end (SIGTERM), and end it by force after *grace_s*."""
        if not self._signal(signal.SIGTERM, grace_s):
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        self._signal(signal.SIGKILL, 10)

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def _spawn(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._child:
            self._child.wait()  # it may have ended after `pid` looked for that
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        known = {"pid": self._child.pid, "mark": start_mark(self._child.pid)}
        part = self._pid_file.with_suffix(".part")
        part.write_text(json.dumps(known))
        part.replace(self._pid_file)

    def _signal(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send a signal and wait for the end; True when it has ended."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)
        if not wait_until(lambda: self.pid is None, timeout_s):
            return False
        self._pid_file.unlink(missing_ok=True)
        if self._child:
            self._child.wait()
            self._child = None
        return True

    def _tail(self, characters: int = 3_000) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- end of {self.log}\n{text[-characters:]}"
