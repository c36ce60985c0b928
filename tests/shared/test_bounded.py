"""Processes with bounds, in which what strangers sent is read."""

import subprocess
import sys

import pytest

from deploy.local.processes import ROOT

SOURCES = (path for part in ("services", "shared") for path in (ROOT / part).rglob("*.py"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in SOURCES
    if "bounded.run(" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_what_runs_for_each_stranger_imports_nothing_that_takes_long(module: str):
    script = (
        f"import sys, {module}\n"
        "print(*sorted({'asyncio', 'fastapi', 'pydantic', 'pydantic_settings', 'aiokafka', 'motor'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
