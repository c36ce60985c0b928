"""What tests need of npm (tests/node/package.json), installed at first use."""

import fcntl
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.local.servers import STATE

HERE = Path(__file__).parent / "node"


def packages() -> Path:
    """The folder that has `node_modules` and our scripts; skips a test where there is no Node."""
    if shutil.which("npm") is None:
        pytest.skip("there is no Node here")
    wanted = [path for path in sorted(HERE.iterdir()) if path.is_file()]
    digest = sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:12]
    folder = STATE / "node" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for path in wanted:
                shutil.copy(path, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)
            (folder / "done").touch()
    return folder
