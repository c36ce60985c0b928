"""The JSON-LD contexts that are known here; none is ever fetched.

Data of the specifications, unchanged: `contexts/NOTICE.md` says whose, and under which licence.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "contexts"
V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
EXTENSIONS = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"
CLR = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v2"
FILES = {
    V2: "credentials-v2.json",
    OB: "ob-3.0.3.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.2.json": "ob-3.0.2.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.1.json": "ob-3.0.1.json",
    EXTENSIONS: "ob-extensions.json",
    CLR: "clr-2.0.1.json",
    DATA_INTEGRITY: "data-integrity-v2.json",
    "https://w3id.org/security/multikey/v1": "multikey-v1.json",
}


class UnknownContext(Exception):
    """A context that is not in the bundle; the argument names it."""


@cache
def content(address: str) -> Any:
    """What the context at *address* defines.

    Raises:
        UnknownContext: it is not in the bundle.
    """
    if address not in FILES:
        raise UnknownContext(address)
    found = json.loads((FOLDER / FILES[address]).read_bytes())["@context"]
    if address == CLR:
        # Of a node with several types pyoxigraph 0.5 takes the context of one only, and VerifiableCredential has one.
        found["partial"] = found["ClrCredential"]["@context"]["partial"]
    return found
