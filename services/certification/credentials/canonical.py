"""JSON-LD to canonical N-Quads (RDFC-1.0), and what a signature over them would leave out.

A processor of JSON-LD passes over what it cannot make a statement of: a property that no context defines, an address
that is relative, a keyword it does not know. A signature says nothing of these, so they are found and named here.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pyoxigraph

from shared.pages.languages import Text

from . import contexts
from .contexts import V2, UnknownContext

MOST_DEPTH = 60
MOST_VALUES = 50_000
MOST_CONTEXTS = 300
_NOWHERE = "https://undefined.invalid/#"  # what no context defines gets an address there
_BASE = "https://relative.invalid/"
_VALUE_OBJECT = {"@value", "@language", "@direction", "@type"}
_ANYWHERE = {"@protected", "id", "type", "name", "description", "image"}
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")

Document = dict[str, Any]


class Unreadable(Exception):
    """It cannot be made statements of; the text says why."""


class Canonical(NamedTuple):
    """The statements of a document, and what of the document is in none of them.

    Attributes:
        quads: canonical N-Quads.
        unsigned: what a signature over them does not cover, each in words.
    """

    quads: bytes
    unsigned: list[Text]


def canonical(document: Document) -> Canonical:
    """The canonical form of a JSON-LD document.

    Raises:
        UnknownContext: it has a context that is not in the bundle.
        Unreadable: it is no JSON-LD, or has too much of something.
    """
    unsigned = list(dict.fromkeys(_unspoken(document)))
    placed = _placed(document, [MOST_CONTEXTS])
    dataset = _dataset(placed)
    unsigned += _left_out(placed, len(dataset))
    dataset.canonicalize(pyoxigraph.CanonicalizationAlgorithm.RDFC_1_0)
    return Canonical("".join(sorted(f"{quad} .\n" for quad in dataset)).encode(), unsigned)


def _dataset(placed: Document, base: str | None = None, *, lenient: bool = False) -> pyoxigraph.Dataset:
    try:
        text = json.dumps(placed, ensure_ascii=False).encode()
        quads = pyoxigraph.parse(text, pyoxigraph.RdfFormat.JSON_LD, base_iri=base, lenient=lenient)
        return pyoxigraph.Dataset(quads)
    except (SyntaxError, ValueError) as error:
        raise Unreadable(Text("it is no JSON-LD: {why}", {"why": str(error)[:300]})) from None


_FOUND = re.compile(rf"<(?:{re.escape(_NOWHERE)}|{re.escape(_BASE)})([^>]*)>")


def _left_out(placed: Document, statements: int) -> list[Text]:
    """What is in none of the statements of a document, of which there are so many.

    It is read once more so that nothing is left out: what no context defines gets an address, by which it is found, and
    what is no address stays, so that there are more statements.
    """
    own = placed.get("@context", [])
    widened = {**placed, "@context": [{"@vocab": _NOWHERE}, *(own if isinstance(own, list) else [own])]}
    all_of_it = _dataset(widened, _BASE, lenient=True)
    names = {name for quad in all_of_it for name in _FOUND.findall(str(quad))}
    if not names and len(all_of_it) != statements:
        return [Text("an address in it is none")]
    return [Text("{name} is defined by no context", {"name": repr(name[:100])}) for name in sorted(names)[:20]]


def _placed(value: Any, left: list[int]) -> Any:
    """*value* with the contexts themselves in place of their addresses.

    Args:
        left: how many contexts may still be placed.
    """
    if isinstance(value, list):
        return [_placed(each, left) for each in value]
    if not isinstance(value, dict):
        return value
    placed = {key: _placed(each, left) for key, each in value.items() if key != "@context"}
    if "@context" in value:
        given = value["@context"]
        placed["@context"] = [_context(each, left) for each in (given if isinstance(given, list) else [given])]
    return placed


def _context(given: object, left: list[int]) -> Any:
    if not isinstance(given, str):
        raise UnknownContext("a context that is written into the document itself")
    left[0] -= 1
    if left[0] < 0:
        raise Unreadable(Text("it has more than {most} contexts", {"most": MOST_CONTEXTS}))
    return contexts.content(given)


def _unspoken(document: Document) -> Iterator[Text]:
    """What RDF has no statement for, or what hides a member from those who read the JSON; bounds, on the way.

    A member may be named by its IRI, or stand in another object with the same id: the signature would be the same, and
    whoever looks for `credentialStatus` by its name would not find it.
    """
    own_id, values = document.get("id"), 0
    todo: list[tuple[Any, int]] = [(document, 1)]
    while todo:
        value, depth = todo.pop()
        values += 1
        if depth > MOST_DEPTH or values > MOST_VALUES:
            about = {"depth": MOST_DEPTH, "most": MOST_VALUES}
            raise Unreadable(Text("it is nested deeper than {depth}, or has more than {most} values", about))
        if isinstance(value, list):
            todo += [(each, depth + 1) for each in value]
        elif isinstance(value, dict):
            if value is not document and own_id is not None and value.get("id") == own_id:
                yield from (
                    Text("{name} of the credential stands in a second place", {"name": repr(key)})
                    for key in value.keys() & _of_credential()
                )
            yield from _spelling(value)
            todo += [(each, depth + 1) for key, each in value.items() if key != "@context"]


@cache
def _of_credential() -> frozenset[str]:
    """The members that say something of a whole credential."""
    scoped = contexts.content(V2)["VerifiableCredential"]["@context"]
    return frozenset({*scoped, "awardedDate"}) - _ANYWHERE


def _spelling(node: Document) -> Iterator[Text]:
    for key in node:
        if key == "@context":
            continue
        if key.startswith("@") and not ("@value" in node and key in _VALUE_OBJECT):
            yield Text("{name} is no property", {"name": repr(key[:100])})
        elif ":" in key or not key:
            yield Text("{name} is no property's name", {"name": repr(key[:100])})
    language = node.get("@language")
    if (
        "@value" in node
        and language is not None
        and not (isinstance(language, str) and _LANGUAGE_TAG.fullmatch(language))
    ):
        yield Text("{name} is no language", {"name": "'@language'"})
