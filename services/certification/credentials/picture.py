"""The badge as a picture: drawn by us, in colours and with a pattern of its own for each institution and competency.

Letters are strokes, so no font is needed, and the same badge is the same picture everywhere.
"""

from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from math import cos, pi, sin

import resvg_py
import segno

SIZE = 512
# Strokes on a grid 4 wide and 6 high; points by two digits, strokes parted by spaces.
_STROKES = {
    "A": "062046 1434", "B": "00063645443303 0030414233", "C": "4130100105163645", "D": "00062644422000",
    "E": "40000646 0333", "F": "400006 0333", "G": "413010010516364543 4323", "H": "0006 4046 0343",
    "I": "1030 2026 1636", "J": "4045361605", "K": "0006 400346", "L": "000646", "M": "0600234046", "N": "06004640",
    "O": "103041453616050110", "P": "06003041423303", "Q": "103041453616050110 2446", "R": "06003041423303 2346",
    "S": "413010010213334445361605", "T": "0040 2026", "U": "000516364540", "V": "002640", "W": "0016233640",
    "X": "0046 4006", "Y": "002340 2326", "Z": "00400646", "Б": "4000063645443303", "Г": "400006",
    "Д": "07064647 062046", "Ж": "0046 4006 2026", "З": "011030413233 23334445361605", "И": "00064046",
    "Й": "01064146 1030", "Л": "062046", "П": "06004046", "У": "0023 4016", "Ф": "2026 103041423313020110",
    "Ц": "00063630 364647", "Ч": "0002133343 4046", "Ш": "00064640 2026", "Щ": "00064640 2026 4647",
    "Ъ": "0010163645443313", "Ы": "000625242303 4046", "Ь": "00063645443303", "Э": "0110304145361605 1343",
    "Ю": "0006 0313 203041453626151120", "Я": "4640100102133343 2306", "0": "103041453616050110", "1": "012026 0646",
    "2": "01103041420646", "3": "011030413233 23334445361605", "4": "300444 3036", "5": "400003334445361605",
    "6": "40100105163645443303", "7": "004016", "8": "103041423313020110 130405163645443313",
    "9": "4313020110304145361606",
}  # fmt: skip
_ALIKE = dict(zip("АВЕЁКМНОРСТХ", "ABEEKMHOPCTX", strict=True))  # Cyrillic on the left


def initials(name: str) -> str:
    """Up to two letters of a name that can be drawn."""
    words = [word for word in name.upper().split() if word[:1].isalnum()]
    drawn = [word[0] for word in words if _ALIKE.get(word[0], word[0]) in _STROKES]
    return "".join(drawn[:2])


def hue(institution: str) -> int:
    """The colour of an institution, in degrees."""
    return sha256(institution.encode()).digest()[0] * 360 // 256


@lru_cache(500)
def svg(institution: str, name: str, competency: str) -> str:
    """The badge of an institution for a competency."""
    of, own = sha256(competency.encode()).digest(), hue(institution)
    petals, turn = 5 + of[0] % 8, of[1] * 360 // 256
    middle = SIZE / 2
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in _scalloped(middle, 236, 226, 4 * petals))
    star = " ".join(f"{x:.1f},{y:.1f}" for x, y in _scalloped(middle, 188, 150 - of[2] % 24, petals, turn))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}">'
        f'<polygon points="{shape}" fill="hsl({own}, 55%, 26%)"/>'
        f'<polygon points="{star}" fill="hsl({own}, 48%, 40%)" stroke="hsl({(own + 40) % 360}, 70%, 72%)"'
        ' stroke-width="6" stroke-linejoin="round"/>'
        f'<circle cx="{middle}" cy="{middle}" r="104" fill="hsl({own}, 60%, 18%)"/>'
        f'<path d="{_letters(initials(name), middle)}" fill="none" stroke="#fff" stroke-width="14"'
        ' stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


def _scalloped(middle: float, outer: float, inner: float, points: int, turn: float = 0) -> list[tuple[float, float]]:
    """The corners of a star."""
    corners = []
    for step in range(2 * points):
        radius, angle = (outer, inner)[step % 2], pi * step / points + turn * pi / 180
        corners.append((middle + radius * sin(angle), middle - radius * cos(angle)))
    return corners


def _letters(text: str, middle: float) -> str:
    unit, gap = (15, 2) if len(text) > 1 else (20, 2)
    width = len(text) * 4 * unit + (len(text) - 1) * gap * unit
    left, top = middle - width / 2, middle - 3 * unit
    path = []
    for place, letter in enumerate(text):
        for stroke in _STROKES[_ALIKE.get(letter, letter)].split():
            points = [
                f"{left + place * (4 + gap) * unit + int(x) * unit:.0f} {top + int(y) * unit:.0f}"
                for x, y in zip(stroke[::2], stroke[1::2], strict=False)
            ]
            path.append("M" + "L".join(points))
    return "".join(path)


@lru_cache(500)
def png(institution: str, name: str, competency: str) -> bytes:
    """The same as a PNG."""
    return bytes(resvg_py.svg_to_bytes(svg_string=svg(institution, name, competency), skip_system_fonts=True))


def data_uri(content: str | bytes) -> str:
    """An SVG, or a PNG, as an address, for a page that may load nothing."""
    if isinstance(content, bytes):
        return f"data:image/png;base64,{b64encode(content).decode()}"
    return f"data:image/svg+xml;base64,{b64encode(content.encode()).decode()}"


def framed(address: str, size: int = SIZE) -> str:
    """A picture at a `data:` address as a square SVG; without an address an empty one."""
    image = f'<image href="{address}" width="{size}" height="{size}"/>' if address else ""
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}">'
    return f"{start}{image}</svg>"


def qr_code(text: str) -> str:
    """A QR code as an SVG."""
    written = BytesIO()
    segno.make(text, error="m", micro=False).save(written, kind="svg", scale=4, border=4, xmldecl=False, svgns=True)
    return written.getvalue().decode()
