"""Works on what strangers send in a process of its own, with bounds: a few kilobytes may take minutes, or gigabytes.

The process takes its code from where this file is, and nothing from the folder that somebody happens to be in (`-P`).
"""

import asyncio
import resource
import signal
import sys
from pathlib import Path
from typing import Literal, NamedTuple

CPU_S = 10
MEMORY_BYTES = 384 * 2**20
AT_ONCE = 2
ROOT = Path(__file__).parents[3]
_OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)
_free = asyncio.Semaphore(AT_ONCE)


class Done(NamedTuple):
    """What a process wrote, and whether it came to its end.

    Attributes:
        broken: why it did not.
        code: how the process ended.
    """

    written: bytes
    broken: Literal["time", "memory", "failed"] | None
    code: int | None


def code_of(package: str, module: str) -> str:
    """The code that runs a module's `main`."""
    start = f"import sys; sys.path.insert(0, sys.argv[1]); from {package}.bounded import set_bounds; set_bounds(); "
    return f"{start}from {package}.{module} import main; main()"


async def run(code: str, given: bytes) -> Done:
    """What the code writes to stdout, of what it is given on stdin."""
    pipe, timed_out = asyncio.subprocess.PIPE, False
    async with _free:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", code, str(ROOT)),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        try:
            async with asyncio.timeout(3 * CPU_S):  # beside others it has not the whole machine
                written, _ = await process.communicate(given)
        except TimeoutError:
            written, timed_out = b"", True
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    ended = process.returncode
    if timed_out or ended in _OUT_OF_TIME:
        return Done(written, "time", ended)
    if ended == -signal.SIGABRT:
        return Done(written, "memory", ended)
    return Done(written, "failed" if ended else None, ended)


def set_bounds() -> None:
    """Let this process have so much of a processor and of memory, and no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
