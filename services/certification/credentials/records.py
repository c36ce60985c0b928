"""All of a learner's credentials of an institution as one: a Comprehensive Learner Record 2.0, signed by it."""

from collections.abc import Sequence

from shared.contract.events import derived_id
from shared.pages.languages import N_, Language, translated

from . import badge, contexts, issuing
from .badge import Holder
from .baking import as_text
from .issuing import Issued

FORMS = {"record.json": "application/vc+ld+json", "record.jwt": "application/vc+jwt"}


def record(all_issued: Sequence[Issued], holder: Holder, language: Language) -> Issued:
    """The record, to be signed as a credential is: the same credentials and holder give the same one.

    Each credential in it is whole, with its own proof and status; the record has no status of its own.
    """
    ordered = sorted(all_issued, key=lambda issued: (issued.of.earned_at, issued.of.id))
    newest = ordered[-1]
    held = [issued._replace(document=badge.for_holder(issued.document, holder)) for issued in ordered]
    name = translated(language, N_("Certificates of {institution}"))
    document = {
        "@context": [contexts.V2, contexts.CLR, contexts.OB],
        "id": f"urn:uuid:{derived_id('record', *(issued.of.id for issued in ordered))}",
        "type": ["VerifiableCredential", "ClrCredential"],
        "issuer": newest.document["issuer"],
        "validFrom": badge.moment(newest.of.earned_at),
        "name": name.format(institution=newest.document["issuer"]["name"]),
        "credentialSubject": {
            "type": ["ClrSubject"],
            "identifier": [badge.identifier(newest.of, newest.ring)],
            "verifiableCredential": [issuing.signed(each) for each in held],
        },
    }
    return newest._replace(document=badge.for_holder(document, holder))


def in_form(of: Issued, form: str, algorithm: str) -> bytes:
    """A record in one of `FORMS`."""
    if form == "record.jwt":
        return issuing.signed_jwt(of, algorithm).encode()
    return as_text(issuing.signed(of)).encode()
