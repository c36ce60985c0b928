"""Credentials attached to PDFs: taken out in a process with bounds, as a PDF may be made to take for ever."""

import sys
from io import BytesIO

from shared.files import bounded
from shared.pages.languages import Text

from .baking import MOST_BYTES, NotBaked

PDF = b"%PDF-"
NAME = "credential.json"


async def credential_in(pdf: bytes) -> bytes:
    """The credential that is attached to a PDF under the name that we give it.

    Raises:
        NotBaked: there is none.
    """
    ran = await bounded.run(__name__, body=pdf)
    if ran.broken:
        raise NotBaked(Text("the PDF cannot be read"))
    count, _, credential = ran.written.partition(b"\n")
    if count == b"0":
        raise NotBaked(Text("there is no credential attached to this PDF"))
    if count != b"1":
        raise NotBaked(Text("there is more than one credential attached to this PDF"))
    return credential


def main() -> None:
    """Write how many files of the name there are, and what is in the only one."""
    from pypdf import PdfReader  # megabytes of memory, in this process only

    found = PdfReader(BytesIO(sys.stdin.buffer.read())).attachments.get(NAME, [])
    only = found[0] if len(found) == 1 else b""
    if len(only) > MOST_BYTES:
        sys.exit("it is too large")
    sys.stdout.buffer.write(f"{len(found)}\n".encode() + only)


if __name__ == "__main__":
    main()
