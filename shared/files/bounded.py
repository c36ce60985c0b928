"""Runs a module of ours on what strangers sent, in a process of its own with bounds.

The process takes its code from where this file is, and nothing from the folder that somebody happens to be in (`-P`).
"""

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CODE = """import resource, runpy, sys
root, module, memory, cpu_s = (sys.argv.pop(1) for _ in range(4))
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s)))
sys.path.insert(0, root)
runpy.run_module(module, run_name="__main__")"""


class Ran(NamedTuple):
    """What a process has written to stdout, and its exit code, as `subprocess` has it."""

    written: bytes
    code: int
    timed_out: bool


async def run(module: str, *arguments: str, body: bytes, memory_bytes: int, cpu_s: int) -> Ran:
    """Run a module with *body* as stdin; it is ended after three times *cpu_s* at the latest."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-P", "-c", CODE, str(ROOT), module, str(memory_bytes), str(cpu_s), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    written, timed_out = b"", False
    try:
        async with asyncio.timeout(3 * cpu_s):  # beside others it has not the whole machine
            written, _ = await process.communicate(body)
    except TimeoutError:
        timed_out = True
    finally:
        if process.returncode is None:
            process.kill()
        code = await process.wait()
    return Ran(written, code, timed_out)
