"""Packages of npm that the demo and tests run, installed at first use."""

import fcntl
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from .servers import STATE

WITHIN_S = 180


class NoNode(Exception):
    """The packages cannot be had here, and why."""


def installed(source: Path) -> Path:
    """A folder with what *source* has, and `node_modules` as its lock says.

    Raises:
        NoNode: there is no Node, or npm does not get the packages.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NoNode("there is no Node here")
    wanted = [path for path in sorted(source.iterdir()) if path.is_file()]
    digest = sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:12]
    folder = STATE / "node" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for path in wanted:
                shutil.copy(path, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
            try:
                subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=WITHIN_S)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise NoNode(f"npm did not get the packages: {(error.stderr or b'').decode()[-300:]}") from None
            (folder / "done").touch()
    return folder
