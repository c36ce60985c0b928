"""What a certificate says as an Open Badges 3.0 credential: a pure function of facts, addresses and one key."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

from shared.contract.events import AssessmentMethod
from shared.pages.languages import N_, Language, translated
from shared.processing.frameworks import Frameworks, Names, said

from . import contexts
from .canonical import Document
from .keys import Keyring
from .status import entry

METHODS: dict[str, str] = {
    AssessmentMethod.exam: N_("exam"),
    AssessmentMethod.test: N_("test"),
    AssessmentMethod.portfolio: N_("portfolio"),
    AssessmentMethod.workplace_demonstration: N_("workplace demonstration"),
    AssessmentMethod.simulation: N_("simulation"),
    AssessmentMethod.project_defence: N_("project defence"),
    AssessmentMethod.review_360: N_("360° review"),
}


class Assessed(NamedTuple):
    """An assessment that a certificate rests on, as it was when the credential was issued."""

    method: str
    assessor: str
    name: str
    day: str


class Wording(NamedTuple):
    """What a credential says in words, and where; kept with it, so that no setting or catalogue changes it later.

    Attributes:
        public: the address of certification, without a slash at its end.
        evidence: of each assessment, how its method is called, and a sentence.
    """

    language: Language
    public: str
    description: str
    criteria: str
    level: str
    evidence: tuple[tuple[str, str], ...]


class Certificate(NamedTuple):
    """The facts that a credential is made of.

    Attributes:
        earned_at: as `events.timestamp`.
        name: of the institution, as it was when the credential was issued.
        number: of the credential among those of its institution.
        title, framework: how the competency and its framework were called then, by language.
        target: where the framework has the competency.
        wording: None in credentials of before it was kept.
        valid_until: the last day, in ISO 8601.
        did: the institution's own, by which it issued; empty: that under the network's address.
    """

    id: str
    learner: str
    institution: str
    name: str
    competency: str
    level: int
    scheme: str
    earned_at: str
    evidence: tuple[Assessed, ...]
    number: int
    title: Names
    framework: Names | None = None
    target: str | None = None
    wording: Wording | None = None
    valid_until: str | None = None
    did: str = ""


class Holder(NamedTuple):
    """Who has a copy of a credential, as far as the copy says: it is empty unless the holder adds it."""

    name: str = ""
    did: str = ""


NOBODY = Holder()


def did_of(public: str, institution: str) -> str:
    """The did:web of an institution under the network's address."""
    return f"did:web:{public.partition('://')[2].replace(':', '%3A')}:issuers:{quoted(institution)}"


def quoted(id: str) -> str:
    return quote(id, safe="~")


def issuer_of(did: str, public: str) -> str | None:
    """The institution that a did:web of this network is of; None: it is another's."""
    known = did_of(public, "")
    return did.removeprefix(known).replace("%3A", ":") if did.startswith(known) else None


def moment(timestamp: str) -> str:
    """A moment as credentials have it: in UTC, to the second."""
    return datetime.fromisoformat(timestamp).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def worded(  # noqa: PLR0913
    public: str, language: Language, *, title: Names, level: int, institution: str, evidence: Sequence[Assessed]
) -> Wording:
    """What a credential says in the words of now."""

    def word(text: str) -> str:
        return translated(language, text)

    def method(each: Assessed) -> str:
        return word(METHODS[each.method])

    about = {"name": said(title, language), "level": level, "institution": institution}
    about["methods"] = " + ".join(dict.fromkeys(map(method, evidence)))
    description = N_("The competency “{name}”, level {level} of the European Qualifications Framework.")
    criteria, assessed = (
        N_("Assessed by: {methods}. The scheme is {institution}'s."),
        N_("Assessed by {organisation} on {day}."),
    )
    return Wording(
        language,
        public,
        word(description).format(**about),
        word(criteria).format(**about),
        word(N_("Level (EQF)")),
        tuple((method(each), word(assessed).format(organisation=each.name, day=each.day)) for each in evidence),
    )


class Achieved(NamedTuple):
    """What credentials by a scheme are of; its fields are as those of `Certificate`."""

    scheme: str
    competency: str
    title: Names
    framework: Names | None
    target: str | None


def achievement_id(public: str, scheme: str) -> str:
    return f"{public}/schemes/{quoted(scheme)}"


def certificate_id(public: str, certificate: str) -> str:
    return f"{public}/certificates/{quoted(certificate)}"


def achievement(of: Achieved, words: Wording, issuer: Document) -> Document:
    """What everybody who meets a scheme has achieved."""
    id, language = achievement_id(words.public, of.scheme), words.language
    return {
        "id": id,
        "type": ["Achievement"],
        "achievementType": "Competency",
        "name": said(of.title, language),
        "description": words.description,
        "humanCode": of.competency,
        "inLanguage": language,
        "criteria": {"narrative": words.criteria},
        "creator": issuer,
        **_alignment(of, language),
        "resultDescription": [
            {
                "id": f"{id}#level",
                "type": ["ResultDescription"],
                "name": words.level,
                "resultType": "PerformanceLevel",
                "allowedValue": [str(level) for level in range(1, 9)],
            }
        ],
    }


def profile(did: str, name: str) -> Document:
    """An issuer, as credentials name it."""
    return {"id": did, "type": ["Profile"], "name": name}


def credential(of: Certificate, public: str, ring: Keyring, language: Language) -> Document:
    """The credential without a proof: the same arguments give the same one.

    Args:
        public, language: of credentials that do not have their own.
    """
    words = of.wording or worded(
        public, language, title=of.title, level=of.level, institution=of.name, evidence=of.evidence
    )
    public, language = words.public, words.language
    issuer = profile(of.did or did_of(public, of.institution), of.name)
    achieved = achievement(Achieved(of.scheme, of.competency, of.title, of.framework, of.target), words, issuer)
    level_id = achieved["resultDescription"][0]["id"]
    return {
        "@context": [contexts.V2, contexts.OB],
        "id": certificate_id(public, of.id),
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": issuer,
        "validFrom": moment(of.earned_at),
        **({"validUntil": f"{of.valid_until}T23:59:59Z"} if of.valid_until else {}),
        "awardedDate": moment(of.earned_at),
        "name": achieved["name"],
        "credentialSubject": {
            "type": ["AchievementSubject"],
            "identifier": [identifier(of, ring)],
            "achievement": achieved,
            "result": [{"type": ["Result"], "resultDescription": level_id, "value": str(of.level)}],
        },
        "evidence": [
            {"type": ["Evidence"], "name": called, "narrative": narrative, "genre": str(each.method)}
            for each, (called, narrative) in zip(of.evidence, words.evidence, strict=True)
        ],
        "credentialStatus": entry(public, quoted(of.institution), of.number, ring, of.institution, of.did),
    }


def for_holder(document: Document, holder: Holder) -> Document:
    """The same credential with what its holder adds: a DID as who it is about, and a name, which is not hashed."""
    subject = document["credentialSubject"]
    if holder.did:
        subject = {"id": holder.did, **subject}
    if holder.name:
        named = {"type": "IdentityObject", "hashed": False, "identityHash": holder.name, "identityType": "name"}
        subject = {**subject, "identifier": [*subject["identifier"], named]}
    return {**document, "credentialSubject": subject}


def identifier(of: Certificate, ring: Keyring) -> dict[str, Any]:
    """The learner, without a name: whoever has the pseudonym can tell that it is this one."""
    salt = ring.keyed("salt", of.id).hex()[:32]
    return {
        "type": "IdentityObject",
        "hashed": True,
        "identityHash": identity_hash(of.learner, salt),
        "identityType": "identifier",
        "salt": salt,
    }


def identity_hash(identity: str, salt: str) -> str:
    return f"sha256${sha256((identity + salt).encode()).hexdigest()}"


def _alignment(of: Achieved, language: Language) -> dict[str, Any]:
    """Where the framework itself has the competency; of frameworks without addresses nothing."""
    if of.target is None:
        return {}
    target = {"targetName": said(of.title, language), "targetUrl": of.target}
    target |= {"targetCode": of.competency.partition(":")[2], "targetType": "ceasn:Competency"}
    if of.framework:
        target["targetFramework"] = said(of.framework, language)
    return {"alignment": [{"type": ["Alignment"], **target}]}


def named(competency: str, known: Frameworks) -> tuple[Names, Names | None, str | None]:
    """How a competency and its framework are called now, and where that has it."""
    item, framework = known.item(competency), known.of(competency)
    title = dict(item.name) if item else {"en": competency}
    return title, dict(framework.in_force["name"]) if framework else None, _target(competency, known)


def _target(competency: str, known: Frameworks) -> str | None:
    """The address of a competency in its framework, or of the framework; None: there is none."""
    item, framework = known.item(competency), known.of(competency)
    origin = str(framework.in_force.get("origin", "")) if framework else ""
    found = (item.uri if item else None) or (f"https://doi.org/{origin[4:]}" if origin.startswith("doi:") else origin)
    return found if re.fullmatch(r"https?://\S{1,490}", found) else None
