"""Pages for print and pictures, set by Typst from templates of ours.

What they say is given as data, so no name can be markup; fonts are Typst's own, so they look the same everywhere.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from . import bounded

Format = Literal["pdf", "png"]
PIXELS_PER_INCH = 144


class NotSet(Exception):
    """It was not made: `busy`, too many wait already; else it took too much time or memory."""


def typeset(template: Path, facts: dict[str, Any], format: Format = "pdf") -> bytes:
    """A template with *facts*, as a PDF or its only page as a PNG; the same arguments give the same bytes."""
    import typst  # megabytes of memory, where most is set in a process of its own

    def compiled(standards: list[Any]) -> bytes:
        made: bytes = typst.compile(
            template,
            root=template.parent,
            ignore_system_fonts=True,
            format=format,
            ppi=PIXELS_PER_INCH,
            sys_inputs={"facts": json.dumps(facts, ensure_ascii=False)},
            pdf_standards=standards,
            timestamp=0,
        )
        return made

    if format == "png":
        return compiled([])
    try:
        return compiled(["a-3a", "ua-1"])  # for archives and for screen readers
    except typst.TypstError:
        return compiled([])  # they forbid signs that the font does not have


async def typeset_bounded(template: Path, facts: dict[str, Any], format: Format = "pdf") -> bytes:
    """The same in a process with bounds, for what strangers ask for.

    Raises:
        NotSet: too many wait already, or it took too long.
    """
    body = json.dumps({"template": str(template), "facts": facts, "format": format})
    ran = await bounded.run(__name__, body=body.encode())
    if ran.broken:
        raise NotSet(ran.broken)
    return ran.written


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.stdout.buffer.write(typeset(Path(asked["template"]), asked["facts"], asked["format"]))
