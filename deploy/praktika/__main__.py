"""praktika: the operator's command. It puts together what all services share and what each of them brings."""

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from shared import __version__
from shared.operator.command import EXIT_CODES
from shared.operator.command import application as command_with_subcommands

ROOT = Path(__file__).resolve().parents[2]
CHOICE = ROOT / ".praktika/stack.json"  # written by deploy.stack, which the image does not have
OPERATOR = ROOT / ".praktika/operator.json"
FILES = "services.partners.gateway.files"


HELP = """Run the network: see what it does, holds, has refused, and prove it.

The servers are those of `make up`, or what KAFKA_BOOTSTRAP_SERVERS, MONGODB_URI and PRAKTIKA_NAMESPACE name.

"""
# Each subcommand: its module, what it is called there, and what the list of all says of it. What is not asked for is
# not imported: that takes seconds.
COMMANDS = {
    "status": ("deploy.praktika.status", "command", "What runs, how far it is, and what waits for you."),
    "organisations": ("deploy.praktika.organisations", "app", "List, register, suspend, reinstate organisations."),
    "credentials": ("deploy.praktika.organisations", "credentials", "List, make, rotate, withdraw credentials."),
    "operator": ("deploy.praktika.operator", "command", "Make a credential for a person who operates the network."),
    "member": ("services.partners.people.command", "app", "The people who sign in: invite, list, remove, new link."),
    "rejections": ("services.partners.gateway.egress.rejections_command", "command", "What the ingress has refused."),
    "dead-letters": ("deploy.praktika.dead_letters", "app", "What services could not process: look, replay, discard."),
    "trail": ("deploy.praktika.trail", "command", "Who did what, from where, and how it ended."),
    "audit": ("services.monitoring.audit", "command", "Prove the indicators: recompute and compare all counters."),
    "rebuild": ("deploy.praktika.rebuild", "command", "Build a service's database anew from the log, and compare."),
    "history": ("deploy.praktika.history", "app", "The whole log as one file: export, import."),
    "backup": ("deploy.praktika.backup", "backup", "Put all that cannot be worked out again into one folder."),
    "restore": ("deploy.praktika.backup", "restore", "Put a backup back, into an empty network."),
    "validate": (f"{FILES}.validate", "command", "Check events offline, as the ingress would."),
    "verify": ("services.certification.verification.command", "command", "Is the file of a certificate real? Offline."),
    "publish": (f"{FILES}.publish", "command", "Publish a file's rows as events."),
    "demand": ("deploy.praktika.demand", "app", "The labour market: import vacancies of job portals."),
    "frameworks": ("deploy.praktika.frameworks", "app", "Competency frameworks: list, import ESCO or your own."),
    "survey": ("deploy.praktika.survey", "app", "Import answers of a survey that was made elsewhere."),
    "pseudonymise": (f"{FILES}.pseudonymise", "command", "Turn real names or numbers into pseudonyms, offline."),
}
ALONE = ("validate", "publish", "pseudonymise", "verify")  # need no servers of the network's own
AS_OPERATOR = ("organisations", "credentials", "demand", "frameworks")


def find_stack(arguments: Sequence[str]) -> None:
    """Where no servers are named, use those of the stack that `make up` started, or let a container do the work."""
    wanted = next(iter(arguments), "")
    if wanted not in COMMANDS or wanted in ALONE or "--help" in arguments or "_PRAKTIKA_COMPLETE" in os.environ:
        return
    is_operator = os.environ.get("PRAKTIKA_CLIENT_ID") == "operator" and "PRAKTIKA_CLIENT_SECRET" in os.environ
    if wanted in AS_OPERATOR and OPERATOR.exists() and not is_operator:
        kept = json.loads(OPERATOR.read_text())
        os.environ |= {"PRAKTIKA_CLIENT_ID": kept["client_id"], "PRAKTIKA_CLIENT_SECRET": kept["client_secret"]}
    named = {"KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "PRAKTIKA_PARTNERS_URL", "PRAKTIKA_FEEDBACK_URL"}
    if named & os.environ.keys() or not CHOICE.exists():
        return
    from deploy.stack import Choice

    choice = Choice.kept()
    if choice.kind == "local" or wanted in AS_OPERATOR:
        os.environ.update({**(choice.stack().env if choice.kind == "local" else {}), **choice.urls()})
    elif choice.kind == "compose":
        # Files are read and written in the present folder, as the present user.
        here = ["--volume", f"{Path.cwd()}:/here", "--workdir", "/here", "--user", f"{os.getuid()}:{os.getgid()}"]
        terminal = [] if sys.stdin.isatty() and sys.stdout.isatty() else ["-T"]
        compose = ["docker", "compose", "--project-directory", str(ROOT), "run", "--rm", *terminal, *here, "praktika"]
        os.execvp(compose[0], [*compose, *arguments])  # noqa: S606


def print_version(wanted: bool) -> None:
    if wanted:
        print(f"praktika {__version__}")
        raise typer.Exit


def global_options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """What holds for every subcommand."""


def application(wanted: Sequence[str] = tuple(COMMANDS)) -> typer.Typer:
    """The command with its subcommands, of which only those that are *wanted* can do anything."""
    app = command_with_subcommands(HELP + EXIT_CODES, completion=True)
    app.callback()(global_options)
    for name, (module, attribute, about) in COMMANDS.items():
        found = getattr(import_module(module), attribute) if name in wanted else global_options
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, short_help=about)
        else:
            app.command(name, short_help=about, epilog=EXIT_CODES)(found)
    return app


def typed() -> list[str]:
    """What was typed so far: the arguments, or behind `praktika` what a shell asks to complete."""
    return os.environ.get("COMP_WORDS", "").split()[1:] if "_PRAKTIKA_COMPLETE" in os.environ else sys.argv[1:]


def main() -> None:
    arguments = typed()
    find_stack(arguments)
    app = application(arguments[:1])
    if arguments[:1] and arguments[0] in COMMANDS:
        from shared.observability import logs

        logs.configure("praktika", "CRITICAL")  # what goes wrong, the command says itself
    app(prog_name="praktika")


if __name__ == "__main__":
    main()
