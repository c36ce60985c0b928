"""The certificate as a PDF for print, with the credential attached.

The page is set by Typst from `print/certificate.typ`. What it says is given as data, so no name can be markup.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from shared.files.typesetting import typeset
from shared.pages.languages import LANGUAGES, N_, Language, translated
from shared.pages.pages import day
from shared.processing.frameworks import Names, said

from . import badge, picture
from .canonical import Document

_PAGE = Path(__file__).with_name("print") / "certificate.typ"
WORDS = {
    "attached": N_("The signed credential"),
    "badge": N_("The badge"),
    "certificate": N_("Certificate"),
    "certifies": N_("This is to certify that"),
    "holder": N_("name of the holder"),
    "competent": N_("has proved the competency"),
    "level": N_("Level of the European Qualifications Framework"),
    "assessed": N_("Assessed by"),
    "day": N_("Certified on"),
    "until": N_("Valid until"),
    "scheme": N_("Scheme"),
    "signature": N_("signature and seal"),
    "verify": N_(
        "The code leads to a page that says whether it still counts. "
        "The signed credential is attached to this PDF: check the file at {address}"
    ),
    "qr": N_("QR code of this address"),
}


def pdf(of: badge.Certificate, document: Document, drawn: str, text: str) -> bytes:
    """The certificate on a page, in both languages; the same arguments give the same bytes.

    Args:
        document: its credential.
        drawn: the badge, as an SVG.
        text: the credential with its proof.
    """
    return typeset(_PAGE, _facts(of, document, text) | {"badge": drawn})


def _facts(of: badge.Certificate, document: Document, text: str) -> dict[str, Any]:
    address: str = document["id"]
    public = address.removesuffix(f"certificates/{address.rpartition('/')[2]}")
    first: Language = document["credentialSubject"]["achievement"]["inLanguage"]
    earned, named = datetime.fromisoformat(of.earned_at), document["credentialSubject"]["identifier"]
    return {
        "languages": sorted(LANGUAGES, key=lambda language: language != first),
        "words": {
            name: _translated(word, address=f"{public}verify".partition("://")[2]) for name, word in WORDS.items()
        },
        "hue": picture.hue(of.institution),
        "day": [earned.year, earned.month, earned.day],
        "institution": of.name,
        "title": _in_both(of.title),
        "competency": of.competency,
        "framework": _in_both(of.framework) if of.framework else None,
        "level": of.level,
        "scheme": of.scheme,
        "holder": next((each["identityHash"] for each in named if each["identityType"] == "name"), None),
        "ends": f"{date.fromisoformat(of.valid_until):%d.%m.%Y}" if of.valid_until else None,
        "earned": {language: day(of.earned_at[:10], language) for language in LANGUAGES},
        "evidence": [
            {
                "name": each.name,
                "method": _translated(badge.METHODS[each.method]),
                "day": f"{date.fromisoformat(each.day):%d.%m.%Y}",
            }
            for each in of.evidence
        ],
        "place": address.rpartition("/")[0] + "/",
        "id": address.rpartition("/")[2],
        "qr": picture.qr_code(address),
        "credential": text,
    }


def _in_both(names: Names) -> dict[Language, str]:
    return {language: said(names, language) for language in LANGUAGES}


def _translated(word: str, **given: str) -> dict[Language, str]:
    return {language: translated(language, word).format(**given) for language in LANGUAGES}
