"""Runs the whole of Praktika on this machine and leaves it running: `python -m deploy.stack up`.

With KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI set, the services run as processes on those servers; else as
containers where Docker answers and has the images; else everything runs as processes. PRAKTIKA_STACK=compose
or local decides. What was chosen is kept in `.praktika/stack.json`. With SECURE=1 Kafka is
a secured one (`deploy.security`), and stays so until `down --clean`.
"""

import argparse
import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import httpx

from deploy import compose
from deploy.compose import Compose
from deploy.local.processes import ServerError, free_port, is_free
from deploy.local.servers import STATE
from deploy.local.stack import WORKER, Local, runs

CHOICE = STATE / "stack.json"
OPERATOR = STATE / "operator.json"
PORTS = {"partners": 8101, "feedback": 8102, "certification": 8103, "monitoring": 8104}


KAFKA = "kafka-external"  # where organisations reach a secured Kafka
CADDY = {"https": 8443, "http": 8480}  # of containers: the one origin in front, and what redirects there
TOKEN_PATH = "/token"  # noqa: S105 (an address)


@dataclass
class Choice:
    """How the stack runs, kept between commands. The ports outlive `down`: MongoDB's data know theirs."""

    kind: str = ""  # compose, local, or nothing when none was started
    given: list[str] | None = None  # bootstrap servers and URI, when not ours
    ports: dict[str, int] = field(default_factory=dict)
    secured: bool = False

    @classmethod
    def kept(cls) -> "Choice":
        return cls(**json.loads(CHOICE.read_text())) if CHOICE.exists() else cls()

    def keep(self) -> None:
        CHOICE.write_text(json.dumps(asdict(self), indent=1))

    def stack(self) -> Local | Compose:
        if not self.kind:
            raise ServerError("nothing runs: make up")
        if self.kind == "compose":
            ports = {name: self.ports[name] for name in (*PORTS, *CADDY, KAFKA) if name in self.ports}
            return Compose(ports, secured=self.secured)
        return Local(self.ports, (self.given[0], self.given[1]) if self.given else None, secured=self.secured)

    def address(self, service: str = "monitoring") -> str:
        """Where people open a service's pages."""
        if self.kind == "compose":
            return os.environ.get("PRAKTIKA_PUBLIC_URL") or f"https://localhost:{self.ports['https']}"
        return f"http://localhost:{self.ports[service]}"

    def urls(self) -> dict[str, str]:
        """Where each service answers, as environment variables."""
        return {f"PRAKTIKA_{name.upper()}_URL": f"http://127.0.0.1:{self.ports[name]}" for name in PORTS}


def choose(kept: Choice) -> Choice:
    """Decide how to run: as it already does, else as the environment says, else as this machine can."""
    names = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI")
    given = [os.environ[name] for name in names if os.environ.get(name)]
    forced = os.environ.get("PRAKTIKA_STACK") or ("local" if len(given) == 2 else "")
    if forced not in ("", "compose", "local"):
        raise ServerError(f"PRAKTIKA_STACK is {forced!r}, not 'compose' or 'local'")
    kind = forced or kept.kind or usual_kind()
    ours = kept.given if kept.kind else None
    choice = Choice(kind, given if kind == "local" and len(given) == 2 else ours)
    asked = os.environ.get("SECURE", "0") not in ("", "0")
    choice.secured = asked or (kept.secured and not choice.given)
    if choice.secured and choice.given:
        raise ServerError("SECURE=1 is about a Kafka of ours; for a given one see docs/operations.md")
    if kept.kind and choice != replace(kept, ports={}):
        raise ServerError("the stack was started in another way (see `make status`): make down first")
    choice.ports = settle_ports(kind, kept.ports, secured=choice.secured)
    return choice


def usual_kind() -> str:
    return "compose" if compose.is_possible() else "local"


def settle_ports(kind: str, known: dict[str, int], *, secured: bool) -> dict[str, int]:
    """Give what runs the port that it has, everything else its usual one, or a free one if that is taken."""
    names = {**PORTS, WORKER: 8114, "kafka": 0, "mongod": 0} | ({KAFKA: 9094} if secured or kind == "compose" else {})
    names |= CADDY if kind == "compose" else {}
    running = compose.running_services() if kind == "compose" else {name for name in names if runs(name)}
    running |= {KAFKA} if "kafka" in running else set()
    running |= {*CADDY} if "caddy" in running else set()
    ports = {}
    for name, usual in names.items():
        asked = int(os.environ.get(f"PRAKTIKA_{name.upper().replace('-', '_')}_PORT", "0"))
        if name in running or not usual:
            ports[name] = known.get(name) or free_port()
        elif is_free(asked or usual):
            ports[name] = asked or usual
        else:
            ports[name] = free_port()
            print(f"port {asked or usual} is used by another program: {name} takes {ports[name]}")
    return ports


def up() -> None:
    choice = choose(Choice.kept())
    choice.keep()
    print(f"starting ({choice.kind}) ...", flush=True)
    choice.stack().up()
    for name in PORTS:
        print(f"{name:14} http://127.0.0.1:{choice.ports[name]}")
    if choice.secured:
        print(f"{KAFKA:14} 127.0.0.1:{choice.ports[KAFKA]} (TLS; POST /organisations/<id>/kafka-credentials)")
    print(f"\nopen {choice.address()}/")
    print("to sign in as the operator: praktika member invite operator <your e-mail>")


def down(*, clean: bool) -> None:
    choice = Choice.kept()
    if choice.kind:
        choice.stack().down(clean=clean)
        print("stopped: the services" if choice.given else "stopped: the services, Kafka and MongoDB")
    else:
        print("nothing runs")
        if clean and choice.ports:  # of what was stopped before
            replace(choice, kind=os.environ.get("PRAKTIKA_STACK") or usual_kind()).stack().down(clean=True)
    (Choice() if clean else Choice(ports=choice.ports, secured=choice.secured)).keep()
    if clean:
        OPERATOR.unlink(missing_ok=True)
    print("the data were deleted" if clean else "the data stay: make up starts it again with them")


def run(service: str, *module: str) -> str:
    """Run a module with a service's environment and return what it prints."""
    done = Choice.kept().stack().run(service, module, capture=True)
    if done.returncode:
        raise ServerError(f"{' '.join(module)} failed with exit code {done.returncode}")
    return done.stdout


def operator_credential() -> dict[str, str]:
    """The operator's `client_id` and `client_secret`; made once and kept, made anew if refused."""
    if OPERATOR.exists():
        kept: dict[str, str] = json.loads(OPERATOR.read_text())
        if is_accepted(kept):
            return kept
    printed = run("partners", "services.partners.gateway.credentials", "operator")
    made: dict[str, str] = json.loads(printed.splitlines()[-1])
    OPERATOR.unlink(missing_ok=True)
    OPERATOR.touch(mode=0o600)
    OPERATOR.write_text(json.dumps(made))
    return made


def is_accepted(credential: dict[str, str]) -> bool:
    url = Choice.kept().urls()["PRAKTIKA_PARTNERS_URL"] + TOKEN_PATH
    form = {name: credential[name] for name in ("client_id", "client_secret")}
    form["grant_type"] = "client_credentials"
    return httpx.post(url, data=form, timeout=10, trust_env=False).is_success


@contextmanager
def alone() -> Iterator[None]:
    """Let commands that change the stack wait for each other."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    STATE.chmod(0o700)  # data, keys and logs: nobody else on this machine reads them
    with (STATE / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start what does not run; print the addresses")
    stop = commands.add_parser("down", help="stop everything; the data stays")
    stop.add_argument("--clean", action="store_true", help="delete the data, too")
    commands.add_parser("stop", help="stop the services; Kafka and MongoDB go on")
    commands.add_parser("status", help="what runs, and where")
    commands.add_parser("env", help="addresses, as lines for a shell's eval")
    for name, text in (("restart", "stop and start one part"), ("logs", "the last lines of one part's log")):
        commands.add_parser(name, help=text).add_argument("name")
    module = commands.add_parser("run", help="run a module as a service would")
    module.add_argument("service")
    module.add_argument("module", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main(given: argparse.Namespace) -> int:
    if given.command in ("up", "down", "stop", "restart"):
        with alone():
            change(given)
        return 0
    choice = Choice.kept()
    if given.command == "status" and not choice.kind:
        print("nothing runs")
        return 0
    stack = choice.stack()
    if given.command == "status":
        stack.show_status()
    elif given.command == "logs":
        stack.show_log(given.name)
    elif given.command == "env":
        for name, value in {**stack.env, **choice.urls()}.items():
            print(f"export {name}={shlex.quote(value)}")
    else:
        return stack.run(given.service, given.module, capture=False).returncode
    return 0


def change(given: argparse.Namespace) -> None:
    if given.command == "up":
        up()
    elif given.command == "down":
        down(clean=given.clean)
    elif given.command == "stop":
        Choice.kept().stack().stop_services()
    else:
        Choice.kept().stack().restart(given.name)


if __name__ == "__main__":
    try:
        sys.exit(main(parse(sys.argv[1:])))
    except ServerError as error:
        sys.exit(f"praktika: {error}")
