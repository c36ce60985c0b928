"""What `make release` hands out: a wheel that runs by itself, an SBOM, and a section of the changelog."""

import json
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import release
from deploy.local.processes import ROOT
from deploy.release import NotReleased, close_section, section_of
from shared import __version__

pytestmark = pytest.mark.slow
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.0.9 (2026-01-01)\n\n- Old.\n"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(release, "DIST", folder)
        release.wheel()
        release.sbom()
    return folder


def test_the_wheel_holds_every_file_that_is_needed_and_runs_from_any_folder(dist: Path, tmp_path: Path):
    (wheel,) = dist.glob("*.whl")
    assert f"-{__version__}-" in wheel.name
    tracked = release.run("git", "ls-files", "shared", "services")
    with zipfile.ZipFile(wheel) as archive:
        assert set(tracked.split()) <= set(archive.namelist())
        archive.extractall(tmp_path)
    script = "import sys; sys.argv = ['praktika', *sys.argv[1:]]; from deploy.praktika.__main__ import main; main()"
    for arguments, told in ((["--version"], f"praktika {__version__}"), (["validate", "--help"], "Check events")):
        assert told in release.run(sys.executable, "-P", "-c", script, *arguments, PYTHONPATH=str(tmp_path))
    (entry_points,) = tmp_path.glob("*.dist-info/entry_points.txt")
    assert "praktika = deploy.praktika.__main__:main" in entry_points.read_text()


def test_the_sbom_lists_what_the_lock_does(dist: Path):
    (path,) = dist.glob("*.cdx.json")
    document = json.loads(path.read_text())
    assert document["bomFormat"] == "CycloneDX"
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines if not line.startswith(" ")}
    assert {component["name"] for component in document["components"]} == locked


def test_what_is_unreleased_becomes_the_versions_section_once():
    released = close_section(CHANGELOG, "0.1.0", "2026-11-28")
    assert section_of(released, "0.1.0") == "- New."
    assert section_of(released, "0.0.9") == "- Old."
    assert close_section(released, "0.1.0", "2026-11-29") == released
    again = released.replace("## Unreleased\n", "## Unreleased\n\n- Newer.\n")
    with pytest.raises(NotReleased, match="raise __version__"):
        close_section(again, "0.1.0", "2026-11-29")
