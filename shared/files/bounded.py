"""Runs our code on what strangers sent, in a process with bounds: a few kilobytes may take minutes, or gigabytes.

The process takes its code from where this file is, and nothing from the folder that somebody happens to be in (`-P`).
"""

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import asyncio

CPU_S = 10
MEMORY_BYTES = 384 * 2**20
AT_ONCE, MOST_WAITING = 2, 20  # of one module
ROOT = Path(__file__).parents[2]
CODE = """import resource, runpy, sys
root, module, memory, cpu_s = (sys.argv.pop(1) for _ in range(4))
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s)))
sys.path.insert(0, root)
runpy.run_module(module, run_name="__main__")"""
_OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)
_free: "dict[str, asyncio.Semaphore]" = {}  # by module: pictures do not hold up documents
_waiting: Counter[str] = Counter()


class Ran(NamedTuple):
    """What a process wrote to stdout, and whether it came to its end.

    Attributes:
        broken: why it did not; `busy`: too many wait already, so it was not begun.
        code: how it ended, as `subprocess` has it.
    """

    written: bytes
    broken: Literal["time", "memory", "failed", "busy"] | None
    code: int


async def run(
    module: str, *arguments: str, body: bytes, memory_bytes: int | None = None, cpu_s: int | None = None
) -> Ran:
    """Run a module with *body* as stdin; it is ended after three times *cpu_s* at the latest."""
    import asyncio  # only here: what runs in the process is imported with this module, and does without

    pipe, seconds = asyncio.subprocess.PIPE, cpu_s or CPU_S
    bounds = (str(memory_bytes or MEMORY_BYTES), str(seconds))
    written, timed_out = b"", False
    if _waiting[module] >= MOST_WAITING:
        return Ran(b"", "busy", 1)
    _waiting[module] += 1
    try:
        await (free := _free.setdefault(module, asyncio.Semaphore(AT_ONCE))).acquire()
    finally:
        _waiting[module] -= 1
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", CODE, str(ROOT), module, *bounds, *arguments),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(3 * seconds):  # beside others it has not the whole machine
                written, _ = await process.communicate(body)
        except TimeoutError:
            timed_out = True
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
    finally:
        free.release()
    if timed_out or code in _OUT_OF_TIME:
        return Ran(written, "time", code)
    return Ran(written, "memory" if code == -signal.SIGABRT else "failed" if code else None, code)
