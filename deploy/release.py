"""Builds what is handed out: `make release`. Wheel, SBOM, image and notes of the version in `shared/__init__.py`.

Nothing is fetched but what an image is built from. It may be repeated: the same tree gives the same files.
"""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy import compose
from shared import __version__

ROOT = Path(__file__).parents[1]
DIST, CHANGELOG = ROOT / "dist", ROOT / "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"
BIN = Path(sys.executable).parent


class NotReleased(Exception):
    """Something must be mended first; the text says what."""


def close_section(changelog: str, version: str, day: str) -> str:
    """The changelog with what is unreleased as the section of *version*.

    Raises:
        NotReleased: the version has a section already, and there is something new.
    """
    head, unreleased, rest = changelog.partition(UNRELEASED)
    new, heading, older = rest.partition("\n## ")
    if not new.strip():
        return changelog
    if section_of(changelog, version):
        raise NotReleased(f"{version} is in the changelog already: raise __version__ in shared/__init__.py")
    return f"{head}{unreleased}\n## {version} ({day})\n{new}{heading}{older}"


def section_of(changelog: str, version: str) -> str:
    """What the changelog says of a version; empty: nothing."""
    found = re.search(rf"^## {re.escape(version)} .*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def main() -> None:
    changelog = close_section(CHANGELOG.read_text(), __version__, f"{datetime.now(UTC):%Y-%m-%d}")
    DIST.mkdir(exist_ok=True)
    wheel()
    sbom()
    image()
    notes = DIST / f"praktika-{__version__}-notes.md"
    notes.write_text(section_of(changelog, __version__) + "\n")
    CHANGELOG.write_text(changelog)
    print(f"notes: {notes}")


def wheel() -> None:
    """Build the wheel; its files bear the time of the last commit, so that the same tree gives the same bytes."""
    committed = run("git", "log", "-1", "--format=%ct")
    run(str(BIN / "hatchling"), "build", "-t", "wheel", "-d", str(DIST), SOURCE_DATE_EPOCH=committed.strip())
    print(f"wheel: {DIST / f'praktika-{__version__}-py3-none-any.whl'}")


def sbom() -> None:
    """Write which packages the product runs with, and their hashes (CycloneDX)."""
    path = DIST / f"praktika-{__version__}.cdx.json"
    options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(path))
    run(str(BIN / "cyclonedx-py"), "requirements", "requirements.lock", *options)
    print(f"SBOM: {path}")


def image() -> None:
    if not compose.succeeds("version"):
        print("image: none, no Docker engine answers")
        return
    tag = f"praktika:{__version__}"
    run("docker", "build", "-q", "-t", tag, "-f", "deploy/Dockerfile", ".")
    print(f"image: {tag}")


def run(*command: str, **environment: str) -> str:
    """What a program prints; one that fails ends the release with what it said."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleased(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    try:
        main()
    except NotReleased as error:
        sys.exit(str(error))
