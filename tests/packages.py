"""What tests need of npm (tests/node/package.json), installed at first use."""

import shutil
from pathlib import Path

import pytest

from deploy.local import node

HERE = Path(__file__).parent / "node"


def packages() -> Path:
    """The folder that has `node_modules` and our scripts; skips a test where there is no Node."""
    if shutil.which("npm") is None:
        pytest.skip("there is no Node here")
    return node.installed(HERE)
