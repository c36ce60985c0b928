"""A stranger's picture made harmless: only its pixels are kept, drawn in a process with bounds.

What scripts, handlers and styles it has, nobody ever sees. It is refused if it would not look as it was meant to: if it
refers to something outside of itself, or has what is not drawn here, letters for example.
"""

import json
import re
import sys
from base64 import b64encode
from collections.abc import Iterator
from struct import unpack_from
from xml.etree.ElementTree import Element

import resvg_py
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring, tostring

from shared.files import bounded
from shared.pages.languages import Text

from .baking import PNG
from .picture import SIZE, framed

MOST_BYTES = 200_000  # of what is sent
MOST_KEPT = 150_000  # of the pixels; a picture that would have more is drawn smaller
SIZES = (SIZE, 384, 256)
MOST_DEPTH, MOST_ELEMENTS, MOST_SIDE = 50, 10_000, 4_096
_SVG = "{http://www.w3.org/2000/svg}"
_DRAWN = {
    *("svg", "g", "defs", "symbol", "use", "switch", "image", "style", "title", "desc", "metadata"),
    *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "marker", "clipPath", "mask", "pattern"),
    *("linearGradient", "radialGradient", "stop", "filter"),
}
_INSIDE = re.compile(r"#|data:image/(png|jpeg);base64,")
_OUTSIDE = re.compile(r"""@import|url\(\s*['"]?\s*(?!['"#\s])""", re.IGNORECASE)


class NotDrawn(Exception):
    """It is no picture that could be used, and why."""


async def drawn(content: bytes) -> bytes:
    """A picture, SVG or PNG, as a square PNG.

    Raises:
        NotDrawn: it is none, or too much.
    """
    if len(content) > MOST_BYTES:
        raise NotDrawn(Text("it has more than {most} kB", {"most": MOST_BYTES // 1000}))
    ran = await bounded.run(__name__, body=content)
    if ran.broken:
        raise NotDrawn(Text("it takes more time or memory than there is to draw it"))
    wrong, _, png = ran.written.partition(b"\n")
    if wrong:
        raise NotDrawn(Text(*json.loads(wrong)))
    return png


def main() -> None:
    """Write what is wrong with a picture, a line, and its pixels."""
    wrong, png = "", b""
    try:
        png = _drawn_here(sys.stdin.buffer.read())
    except NotDrawn as error:
        why: Text = error.args[0]
        wrong = json.dumps([why.message, dict(why.given)])
    sys.stdout.buffer.write(f"{wrong}\n".encode() + png)


def _drawn_here(content: bytes) -> bytes:
    address = _png(content) if content.startswith(PNG) else _svg(content)
    for size in SIZES:
        png = _rendered(framed(address, size))
        if png == _rendered(framed("", size)):
            raise NotDrawn(Text("there is nothing to be seen on it"))
        if len(png) <= MOST_KEPT:
            return png
    raise NotDrawn(Text("it has too many details"))


def _rendered(svg: str) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))


def _png(content: bytes) -> str:
    if len(content) < 33 or max(unpack_from(">II", content, 16)) > MOST_SIDE:
        raise NotDrawn(Text("a PNG has {most} pixels a side at most", {"most": MOST_SIDE}))
    return f"data:image/png;base64,{b64encode(content).decode()}"


def _svg(content: bytes) -> str:
    """The address of an SVG as one parser has read it, so that another does not read something else."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise NotDrawn(Text("it is no PNG, and no SVG that could be read")) from None
    if root.tag != f"{_SVG}svg":
        raise NotDrawn(Text("it is no PNG, and no SVG that could be read"))
    for number, (element, depth) in enumerate(_all_of(root)):
        if depth > MOST_DEPTH or number > MOST_ELEMENTS:
            raise NotDrawn(Text("it has too many details"))
        _check(element)
    return f"data:image/svg+xml;base64,{b64encode(tostring(root)).decode()}"


def _all_of(root: Element) -> Iterator[tuple[Element, int]]:
    todo = [(root, 1)]
    while todo:
        element, depth = todo.pop()
        yield element, depth
        todo += [(child, depth + 1) for child in element]


def _check(element: Element) -> None:
    """Refuse what is not drawn, and what is outside; elements of other vocabularies are notes of editors."""
    tag = str(element.tag)
    name = tag.removeprefix(_SVG)
    if tag.startswith(_SVG) and name not in _DRAWN and not name.startswith("fe"):
        raise NotDrawn(Text("it has {name}, which is not drawn here: turn it into paths", {"name": name[:50]}))
    addresses = [value.strip() for key, value in element.items() if key.rpartition("}")[2] in ("href", "src")]
    styles = [*(value for _, value in element.items()), *([element.text or ""] if name == "style" else [])]
    if any(value and not _INSIDE.match(value) for value in addresses) or any(map(_OUTSIDE.search, styles)):
        raise NotDrawn(Text("it refers to something outside of it"))


if __name__ == "__main__":
    main()
