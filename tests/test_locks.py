"""What `make lock` writes, and so what every machine and the image install."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEV = PROJECT["optional-dependencies"]["dev"]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-dev.lock", [*PROJECT["dependencies"], *DEV]),
    ],
)
def test_every_dependency_is_pinned_to_an_allowed_version(lock, wanted):
    pins = dict(re.findall(r"^(\S+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))
    for requirement in map(Requirement, wanted):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin, f"{requirement.name} is not in {lock}: make lock"
        assert pin in requirement.specifier, f"{lock} pins {requirement.name} {pin}: make lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_hold_pins_and_hashes_only(lock):
    for line in (ROOT / lock).read_text().splitlines():
        assert re.match(r"[a-z0-9][a-z0-9.-]*==\S+( ;.*)? \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line


def test_development_uses_the_versions_of_the_image():
    image, development = (
        set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-dev.lock")
    )
    assert image <= development
