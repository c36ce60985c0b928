"""Credentials inside pictures: baked into PNG and SVG, and taken out again (Open Badges 3.0, section 5.3; 2.x too)."""

import json
import zlib
from binascii import crc32
from collections.abc import Iterator
from struct import pack, unpack_from
from xml.sax.saxutils import quoteattr

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from shared.pages.languages import Text

PNG = b"\x89PNG\r\n\x1a\n"
KEYWORD, OLD_KEYWORD = b"openbadgecredential", b"openbadges"
NAMESPACE, OLD_NAMESPACE = "https://purl.imsglobal.org/ob/v3p0", "http://openbadges.org"
MOST_BYTES = 1_000_000  # of what is taken out


class NotBaked(Exception):
    """There is no credential in the picture, and why."""


def bake_png(picture: bytes, content: str) -> bytes:
    """A PNG with a credential (JSON or a compact JWT) in it, in place of any that it had."""
    text = KEYWORD + b"\0\0\0\0\0" + content.encode()
    kept = [chunk for kind, chunk in _chunks(picture) if not _is_credential(kind, chunk)]
    head, rest = kept[0], kept[1:]
    return PNG + head + _chunk(b"iTXt", text) + b"".join(rest)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk.

    Raises:
        NotBaked: it is no PNG.
    """
    if not picture.startswith(PNG):
        raise NotBaked(Text("it is no PNG"))
    at = len(PNG)
    while at < len(picture):
        if at + 12 > len(picture):
            raise NotBaked(Text("the PNG is cut off"))
        (length,) = unpack_from(">I", picture, at)
        end = at + 12 + length
        if end > len(picture):
            raise NotBaked(Text("the PNG is cut off"))
        yield picture[at + 4 : at + 8], picture[at:end]
        at = end


def _is_credential(kind: bytes, chunk: bytes) -> bool:
    return kind in (b"iTXt", b"tEXt") and chunk[8:].partition(b"\0")[0] in (KEYWORD, OLD_KEYWORD)


def has_credential(picture: bytes) -> bool:
    """Is there one in it, if it is a PNG?"""
    try:
        return any(_is_credential(kind, chunk) for kind, chunk in _chunks(picture))
    except NotBaked:
        return False


def unbake_png(picture: bytes) -> str:
    """The credential in a PNG, from compressed or plain iTXt, or (2.x) tEXt.

    Raises:
        NotBaked: there is none.
    """
    found = [(kind, chunk[8:-4]) for kind, chunk in _chunks(picture) if _is_credential(kind, chunk)]
    if not found:
        raise NotBaked(Text("there is no credential in this PNG"))
    if len(found) > 1:
        raise NotBaked(Text("there is more than one credential in this PNG"))
    kind, data = found[0]
    rest = data.partition(b"\0")[2]
    try:
        if kind == b"iTXt":
            compressed, text = rest[0], rest[2:].split(b"\0", 2)[2]
            rest = _inflated(text) if compressed else text
        return rest.decode()
    except (IndexError, UnicodeDecodeError, zlib.error):
        raise NotBaked(Text("the credential in this PNG cannot be read")) from None


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    text = inflating.decompress(data, MOST_BYTES)
    if inflating.unconsumed_tail or not inflating.eof:
        raise NotBaked(Text("the credential in this PNG is too large, or cut off"))
    return text


def bake_svg(picture: str, content: str) -> str:
    """One of our SVGs with a credential in it: JSON as an element's text, a JWT as its attribute."""
    if content.startswith("{"):
        inside = f"><![CDATA[{content.replace(']]>', ']]]]><![CDATA[>')}]]></openbadges:credential>"
    else:
        inside = f" verify={quoteattr(content)}/>"
    head, end, rest = picture.partition(">")
    element = f'<openbadges:credential xmlns:openbadges="{NAMESPACE}"{inside}'
    return f"{head}{end}{element}{rest}"


def unbake_svg(picture: bytes) -> str:
    """The credential in an SVG.

    Raises:
        NotBaked: there is none, or it is no SVG.
    """
    try:
        root = fromstring(picture, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise NotBaked(Text("it is no SVG that could be read")) from None
    names = (f"{{{NAMESPACE}}}credential", f"{{{NAMESPACE}}}assertion", f"{{{OLD_NAMESPACE}}}assertion")
    found = [element for name in names for element in root.iter(name)]
    if not found:
        raise NotBaked(Text("there is no credential in this SVG"))
    if len(found) > 1:
        raise NotBaked(Text("there is more than one credential in this SVG"))
    text = (found[0].text or "").strip() or found[0].get("verify", "").strip()
    if not text:
        raise NotBaked(Text("the credential in this SVG is empty"))
    return text


def as_text(document: object) -> str:
    """A credential as it is baked and sent: compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
