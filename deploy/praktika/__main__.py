"""praktika: the operator's command. It puts together what all services share and what each of them brings."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[2]
CHOICE = ROOT / ".praktika/stack.json"  # written by deploy.stack, which the image does not have


HELP = """Run the network: see what it does, holds, has refused, and prove it.

The servers are those of `make up`, or what KAFKA_BOOTSTRAP_SERVERS, MONGODB_URI and PRAKTIKA_NAMESPACE name.

"""


def find_stack() -> None:
    """Where no servers are named, use those of the stack that `make up` started, or let a container do the work."""
    if sys.argv[1:2] in (["validate"], ["publish"], ["pseudonymise"], ["--version"]):
        return  # need no servers of the network's own
    if {"KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"} & os.environ.keys() or not CHOICE.exists():
        return
    from deploy.stack import Choice  # noqa: PLC0415

    choice = Choice.kept()
    if choice.kind == "local":
        os.environ.update({**choice.stack().env, **choice.urls()})
    if choice.kind == "compose":
        # Files are read and written in the present folder, as the present user.
        here = ["--volume", f"{Path.cwd()}:/here", "--workdir", "/here", "--user", f"{os.getuid()}:{os.getgid()}"]
        terminal = [] if sys.stdin.isatty() and sys.stdout.isatty() else ["-T"]
        compose = ["docker", "compose", "--project-directory", str(ROOT), "run", "--rm", *terminal, *here, "praktika"]
        os.execvp(compose[0], [*compose, *sys.argv[1:]])  # noqa: S606


def print_version(wanted: bool) -> None:
    if wanted:
        from shared.observability import metrics  # noqa: PLC0415

        print(f"praktika {metrics.VERSION}")
        raise typer.Exit


def global_options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """What holds for every subcommand."""


def application() -> typer.Typer:
    """The command with all its subcommands."""
    # Not at the top: they read the environment, and take a while.
    from deploy.praktika import backup, dead_letters, history, operator, rebuild, status, trail  # noqa: PLC0415
    from services.monitoring import audit  # noqa: PLC0415
    from services.partners.gateway.egress import rejections_command  # noqa: PLC0415
    from services.partners.gateway.files import pseudonymise, publish, validate  # noqa: PLC0415
    from shared.operator import console  # noqa: PLC0415

    app = console.application(HELP + console.EXIT_CODES)
    app.callback()(global_options)
    app.command("status", epilog=console.EXIT_CODES)(status.command)
    app.add_typer(dead_letters.app, name="dead-letters")
    app.command("rejections", epilog=console.EXIT_CODES)(rejections_command.command)
    app.command("operator", epilog=console.EXIT_CODES)(operator.command)
    app.command("trail", epilog=console.EXIT_CODES)(trail.command)
    app.command("publish", epilog=console.EXIT_CODES)(publish.command)
    app.command("pseudonymise", epilog=console.EXIT_CODES)(pseudonymise.command)
    app.command("validate", epilog=console.EXIT_CODES)(validate.command)
    app.add_typer(history.app, name="history")
    app.command("backup", epilog=console.EXIT_CODES)(backup.backup)
    app.command("restore", epilog=console.EXIT_CODES)(backup.restore)
    app.command("audit", epilog=console.EXIT_CODES)(audit.command)
    app.command("rebuild", epilog=console.EXIT_CODES)(rebuild.command)
    return app


def main() -> None:
    find_stack()
    app = application()
    from shared.observability import logs  # noqa: PLC0415

    logs.configure("praktika", "CRITICAL")  # what goes wrong, the command says itself
    app(prog_name="praktika")


if __name__ == "__main__":
    main()
