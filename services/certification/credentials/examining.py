"""Canonicalises strangers' documents in a process of its own: a few kilobytes may take minutes (RDFC-1.0, section 7.1).

The process reads a list of documents in JSON from stdin and writes what it found of each.
"""

import json
import sys
from typing import Any, NamedTuple

from shared.files import bounded
from shared.pages.languages import Text

from .canonical import Document, Unreadable
from .contexts import UnknownContext
from .proofs import Proven, examine


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


_OUT_OF_MEMORY = Text("it takes more memory than there is to make statements of it")


async def examined(documents: list[Document]) -> list[Examined]:
    """What is found of each, in bounded time."""
    ran = await bounded.run(__name__, body=json.dumps(documents).encode())
    found = [_read(json.loads(line)) for line in ran.written.split(b"\n")[:-1]]
    why = {
        "time": Text("it takes more than {most} s to make statements of it", {"most": bounded.CPU_S}),
        "memory": _OUT_OF_MEMORY,
        "busy": Text("too much is being checked at the moment: try again"),
    }.get(ran.broken or "", Text("making statements of it failed here (code {code})", {"code": ran.code}))
    return found + [Examined([], [], why)] * (len(documents) - len(found))


def _written(found: Examined) -> dict[str, Any]:
    proofs = [(proven.data.hex(), _told(proven.trouble), proven.wrong) for proven in found.proofs]
    return {
        **found._asdict(),
        "proofs": proofs,
        "trouble": _told(found.trouble),
        "unsigned": [*map(_told, found.unsigned)],
    }


def _told(trouble: str) -> Any:
    """A text in such a form that it can still be said in any language on the other side; so are those within it."""
    if not isinstance(trouble, Text):
        return trouble
    return [
        trouble.message,
        {name: _told(each) if isinstance(each, str) else each for name, each in trouble.given.items()},
    ]


def _read(line: dict[str, Any]) -> Examined:
    proofs = [Proven(bytes.fromhex(data), _text(trouble), wrong) for data, trouble, wrong in line["proofs"]]
    return Examined([*map(_text, line["unsigned"])], proofs, _text(line["trouble"]), line["wrong"])


def _text(told: Any) -> str:
    if not isinstance(told, list):
        return str(told)
    message, given = told
    return Text(message, {name: _text(each) if isinstance(each, list) else each for name, each in given.items()})


def examined_here(document: Document) -> Examined:
    """What is found of a document, in this process."""
    try:
        found, proofs = examine(document)
    except UnknownContext as error:
        why = Text("it has a context that is not known here: {context}", {"context": str(error)[:300]})
        return Examined([], [], why)
    except Unreadable as error:
        return Examined([], [], error.args[0], wrong=True)
    except MemoryError:
        return Examined([], [], _OUT_OF_MEMORY)
    return Examined([*found.unsigned], proofs)


def main() -> None:
    for document in json.load(sys.stdin.buffer):
        found = examined_here(document)
        sys.stdout.write(json.dumps(_written(found)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
