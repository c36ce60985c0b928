"""Canonicalises strangers' documents in a process of its own: a few kilobytes may take minutes (RDFC-1.0, section 7.1).

`python -m services.certification.credentials.examining` reads a list of documents in JSON from stdin and writes what it
found of each.
"""

import asyncio
import json
import resource
import sys
from typing import Any, NamedTuple

from .canonical import Document, Unreadable
from .contexts import UnknownContext
from .proofs import Proven, examine

CPU_S = 10
MEMORY_BYTES = 384 * 2**20
AT_ONCE = 2


class Examined(NamedTuple):
    """What was found of a document.

    Attributes:
        unsigned: what a signature over it does not cover.
        proofs: what each of its proofs signs.
        trouble: why nothing can be told.
        wrong: it is no document at all; else it is only beyond what is known here.
    """

    unsigned: list[str]
    proofs: list[Proven]
    trouble: str = ""
    wrong: bool = False


_free = asyncio.Semaphore(AT_ONCE)


async def examined(documents: list[Document]) -> list[Examined]:
    """What is found of each, in bounded time."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "services.certification.credentials.examining"]
    async with _free:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(3 * CPU_S):  # beside others it has not the whole machine
                written, _ = await process.communicate(json.dumps(documents).encode())
        except TimeoutError:
            written = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    lines = [json.loads(line) for line in written.split(b"\n")[:-1]]
    heavy = Examined([], [], f"it takes more than {CPU_S} s to make statements of it")
    return [_read(line) for line in lines] + [heavy] * (len(documents) - len(lines))


def _read(line: dict[str, Any]) -> Examined:
    proofs = [Proven(bytes.fromhex(data), trouble, wrong) for data, trouble, wrong in line["proofs"]]
    return Examined(line["unsigned"], proofs, line["trouble"], line["wrong"])


def examined_here(document: Document) -> Examined:
    """What is found of a document, in this process."""
    try:
        found, proofs = examine(document)
    except UnknownContext as error:
        return Examined([], [], f"it has a context that is not known here: {error}"[:400])
    except Unreadable as error:
        return Examined([], [], str(error), wrong=True)
    return Examined(found.unsigned, proofs)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    for document in json.load(sys.stdin.buffer):
        found = examined_here(document)
        proofs = [(proven.data.hex(), proven.trouble, proven.wrong) for proven in found.proofs]
        sys.stdout.write(json.dumps({**found._asdict(), "proofs": proofs}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
