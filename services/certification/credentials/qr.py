"""Reads the QR code in a picture: a screenshot, or a photograph of a certificate on paper.

Strangers' pictures are decoded in a process of its own.
"""

import io
import sys

from shared.files import bounded
from shared.pages.languages import Text

MOST_BYTES = 8_000_000  # a telephone's photograph has 2 to 6 million
MOST_PIXELS, READ_PIXELS = 50_000_000, 2_000  # of the whole; of a side, when it is read
CPU_S = 5
MEMORY_BYTES = 768 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")


class NoCode(Exception):
    """There is no QR code to be read, and why."""


def is_picture(content: bytes) -> bool:
    return content.startswith(_BEGINNINGS)


async def text_in(picture: bytes) -> str:
    """What the QR code in a picture says.

    Raises:
        NoCode: there is none, or more than one.
    """
    if len(picture) > MOST_BYTES:
        raise NoCode(Text("the picture has more than {most} bytes", {"most": MOST_BYTES}))
    ran = await bounded.run(__name__, body=picture, memory_bytes=MEMORY_BYTES, cpu_s=CPU_S)
    if ran.broken == "busy":
        raise NoCode(Text("too many pictures are being read at the moment: try again"))
    if ran.broken or not ran.written:
        raise NoCode(Text("there is no credential in the picture, and no QR code that can be read"))
    return ran.written.decode(errors="replace").strip()


def main() -> None:
    """Write the text of the one QR code in the picture on stdin; end with 1 if there is not one."""
    import zxingcpp  # here, and only in this process
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses from twice as many on
    picture = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=FORMATS).convert("L")
    picture.thumbnail((READ_PIXELS, READ_PIXELS))
    found = {
        code.text
        for code in zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    }
    if len(found) != 1:
        sys.exit(1)
    sys.stdout.buffer.write(found.pop().encode())


if __name__ == "__main__":
    main()
