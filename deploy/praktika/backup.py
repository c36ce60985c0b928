"""praktika backup, praktika restore: all that a network is, in one folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import from_json

from services.certification.credentials import keys as credential_keys
from shared.http.auth import private_dir
from shared.operator import console
from shared.operator.console import Failed, Json, Misused, say, show_json
from shared.processing import mongo
from shared.settings import Settings

from . import history

HISTORY, HOME, PUBLIC, PRIVATE = "history.jsonl.gz", "home.jsonl", "keys", "keys-private"
CREDENTIALS = "keys-credentials"
# What is not in the log, by service.
KEPT = {
    "partners": ("credentials", "webhooks", "webhook_failures", "members", "invitations", "people_journal"),
    "feedback": ("answers", "links"),
    "certification": ("badge_pictures", "collect_links", "issued_numbers", "issued_counters", "own_endorsements"),
    "monitoring": ("alert_notes", "kept_reports", "published_figures", "published_definitions", "published_days"),
}
AFTER_THE_LOG = ("certification",)  # else its counters would not know of numbers that the log has
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="On a disk that nobody else reads: it holds secrets.")]


def backup(folder: Folder, json: Json = False) -> None:
    """Copy the log, credentials, members, webhooks, what was written with answers, and keys, while the network goes on.

    The folder must be new or empty; it can be read by its owner only. How with containers: docs/operations.md.
    """

    async def work(settings: Settings) -> int:
        if not private_dir(settings).is_dir():
            raise Failed(f"there are no keys in {private_dir(settings)}; with containers see docs/operations.md")
        _demand_empty(folder)
        _copy(settings.keys_dir, folder / PUBLIC)
        _copy(private_dir(settings), folder / PRIVATE)
        if credential_keys.folder(settings).is_dir():
            _copy(credential_keys.folder(settings), folder / CREDENTIALS)
        lines = await _dumped(settings, KEPT.keys() - set(AFTER_THE_LOG))
        records = await history.export_to(settings, str(folder / HISTORY))
        lines += await _dumped(settings, AFTER_THE_LOG)
        _write(folder / HOME, lines)
        _tell(json, records, len(lines), f"are in {folder}")
        return console.OK

    console.run(work, "delete the folder and repeat the command")


def restore(folder: Folder, json: Json = False) -> None:
    """Restore a backup into an empty network that is set up, its services stopped (`make up`, `make stop`).

    Stopped or failed, it is repeated and goes on where it was. The services, started again, rebuild their databases.
    """

    async def work(settings: Settings) -> int:
        lines = _demand_backup(folder)
        done = await history.import_from(settings, str(folder / HISTORY))
        documents = await _restored(settings, lines)
        _copy(folder / PUBLIC, settings.keys_dir)
        _copy(folder / PRIVATE, private_dir(settings))
        if (folder / CREDENTIALS).is_dir():  # backups of before there were credentials have none
            _copy(folder / CREDENTIALS, credential_keys.folder(settings))
        _tell(json, done.written + done.there, documents, f"are restored from {folder}: start the services")
        return console.OK

    console.run(work, "repeat the command; it goes on where it was")


def _tell(json: bool, records: int, documents: int, what: str) -> None:
    if json:
        show_json({"records": records, "documents": documents})
    else:
        say(f"{records} records, {documents} documents and the keys {what}")


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a folder as they are, none of folders in it."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file():
            shutil.copy2(file, target / file.name)


async def _dumped(settings: Settings, services: Iterable[str]) -> list[str]:
    client = mongo.connect(settings)
    try:
        found = [await mongo.dumped(mongo.database(client, settings, name), KEPT[name]) for name in sorted(services)]
        return [line for lines in found for line in lines]
    finally:
        client.close()


async def _restored(settings: Settings, lines: list[str]) -> int:
    client = mongo.connect(settings)
    try:
        done = 0
        for name, kept in KEPT.items():
            own = [line for line in lines if from_json(line)["collection"] in kept]
            done += await mongo.restored(mongo.database(client, settings, name), own)
        return done
    finally:
        client.close()


def _write(file: Path, lines: list[str]) -> None:
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in lines))


def _demand_empty(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Misused(f"{folder} is not empty")
    folder.chmod(0o700)


def _demand_backup(folder: Path) -> list[str]:
    """The lines of what services kept, if the folder has all of a backup."""
    if missing := [name for name in (HISTORY, HOME, PUBLIC, PRIVATE) if not (folder / name).exists()]:
        raise Misused(f"{folder} is no backup: {', '.join(missing)} is missing")
    return (folder / HOME).read_text().splitlines()
