"""Is it the form of an Open Badges 3.0 credential, or of a Comprehensive Learner Record 2.0 with such ones in it?

The data models as facts: members, how many, of which kind. Source: 1EdTech, Open Badges 3.0 and its data model (2024),
appendix B, and CLR 2.0 (2025), appendix B; W3C, Verifiable Credentials Data Model 2.0.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from shared.pages.languages import Text

# A member: its name, its kind, and ! (needed once), + (needed), ? (once) or * (any number).
_MODEL = {
    "Credential": (
        "id:URI! type:IRI+ issuer:Issuer! validFrom:DateTimeZ! validUntil:DateTimeZ? awardedDate:DateTimeZ?"
        " name:String? description:String? image:Image? credentialSubject:AchievementSubject! endorsement:Endorsement*"
        " endorsementJwt:Jws* evidence:Evidence* proof:Proof* credentialSchema:Typed* credentialStatus:Typed*"
        " refreshService:Typed* termsOfUse:Typed*"
    ),
    "Record": (
        "id:URI! type:IRI+ issuer:Issuer! validFrom:DateTimeZ! validUntil:DateTimeZ? awardedDate:DateTimeZ?"
        " name:String! description:String? image:Image? partial:Boolean? credentialSubject:ClrSubject!"
        " endorsement:Endorsement* endorsementJwt:Jws* evidence:Evidence* proof:Proof* credentialSchema:Typed*"
        " credentialStatus:Typed* refreshService:Typed* termsOfUse:Typed*"
    ),
    "ClrSubject": (
        "id:URI? type:ClrSubject+ identifier:IdentityObject* verifiableCredential:Contained+ achievement:Achievement*"
        " association:Typed*"
    ),
    "Endorsement": (
        "id:URI! type:IRI+ issuer:Issuer! validFrom:DateTimeZ! validUntil:DateTimeZ? awardedDate:DateTimeZ?"
        " name:String! description:String? credentialSubject:EndorsementSubject! proof:Proof*"
    ),
    "EndorsementSubject": "id:URI! type:EndorsementSubject+ endorsementComment:String?",
    "AchievementSubject": (
        "id:URI? type:AchievementSubject+ achievement:Achievement! identifier:IdentityObject* image:Image?"
        " activityStartDate:DateTime? activityEndDate:DateTime? creditsEarned:Number? licenseNumber:String?"
        " narrative:String? result:Result* role:String? source:Profile? term:String?"
    ),
    "Achievement": (
        "id:URI! type:Achievement+ name:String! description:String! criteria:Criteria! achievementType:String?"
        " alignment:Alignment* creator:Profile? creditsAvailable:Number? endorsement:Endorsement* endorsementJwt:Jws*"
        " fieldOfStudy:String? humanCode:String? image:Image? inLanguage:String? otherIdentifier:IdentifierEntry*"
        " related:Related* resultDescription:ResultDescription* specialization:String? tag:String* version:String?"
    ),
    "Alignment": (
        "type:Alignment+ targetName:String! targetUrl:URI! targetCode:String? targetDescription:String?"
        " targetFramework:String? targetType:String?"
    ),
    "Criteria": "id:URI? narrative:String?",
    "Evidence": (
        "id:URI? type:Evidence+ name:String? description:String? narrative:String? genre:String? audience:String?"
    ),
    "IdentifierEntry": "type:IdentifierEntry+ identifier:String! identifierType:String!",
    "IdentityObject": "type:IdentityObject+ hashed:Boolean! identityHash:String! identityType:String! salt:String?",
    "Image": "id:URI! type:Image+ caption:String?",
    "Profile": (
        "id:URI! type:Profile+ name:String? url:URI? phone:String? email:String? description:String? image:Image?"
        " endorsement:Endorsement* endorsementJwt:Jws* otherIdentifier:IdentifierEntry* official:String?"
        " parentOrg:Profile? dateOfBirth:String?"
    ),
    "Related": "id:URI! type:Related+ inLanguage:String? version:String?",
    "Result": (
        "type:Result+ achievedLevel:URI? alignment:Alignment* resultDescription:URI? status:String? value:String?"
    ),
    "ResultDescription": (
        "id:URI! type:ResultDescription+ name:String! resultType:String! alignment:Alignment* allowedValue:String*"
        " requiredLevel:URI? requiredValue:String? rubricCriterionLevel:RubricCriterionLevel*"
        " valueMax:String? valueMin:String?"
    ),
    "RubricCriterionLevel": (
        "id:URI! type:RubricCriterionLevel+ name:String! alignment:Alignment* description:String? level:String?"
        " points:String?"
    ),
    "Typed": "type:IRI+",
    "Proof": "type:IRI!",
}  # fmt: skip
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
RECORD_CONTEXT = re.compile(r"https://purl\.imsglobal\.org/spec/clr/v2p0/context(-2\.0\.\d)*\.json")
CONTEXT = re.compile(r"https://purl\.imsglobal\.org/spec/ob/v3p0/context(-3\.\d\.\d)*\.json")


def moment(value: object) -> datetime:
    """A moment as XML Schema writes it, with an offset; fractions beyond microseconds are cut off.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("no moment")
    at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def _is_moment(value: object) -> bool:
    try:
        moment(value)
    except ValueError:
        return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_KINDS: dict[str, Callable[[object], bool]] = {
    "URI": lambda value: isinstance(value, str) and _URI.fullmatch(value) is not None,
    "IRI": _is_text,
    "String": _is_text,
    "Contained": lambda value: isinstance(value, dict) or (isinstance(value, str) and value.count(".") == 2),
    "Jws": lambda value: isinstance(value, str) and value.count(".") == 2,
    "Boolean": lambda value: isinstance(value, bool),
    "Number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "DateTime": lambda value: isinstance(value, str) and _MOMENT.fullmatch(value) is not None,
    "DateTimeZ": _is_moment,
}


class Member(NamedTuple):
    name: str
    kind: str
    needed: bool
    once: bool


@cache
def _members(of: str) -> list[Member]:
    found = []
    for each in _MODEL[of].split():
        name, _, kind = each[:-1].partition(":")
        found.append(Member(name, kind, each[-1] in "!+", each[-1] in "!?"))
    return found


def values(given: object) -> list[Any]:
    """A member as a list, whether it is one or not; null is as if it were not there."""
    return [each for each in (given if isinstance(given, list) else [given]) if each is not None]


def plain(value: Any) -> Any:
    """*value* with what is alone in an array in place of the array: JSON-LD says the same of both."""
    if isinstance(value, dict):
        return {name: each if name == "@context" else plain(each) for name, each in value.items()}
    if not isinstance(value, list):
        return value
    inside = [plain(each) for each in flat(value)]
    return inside[0] if len(inside) == 1 else inside


def flat(value: object) -> Iterator[Any]:
    """A member's values, as JSON-LD sees them: arrays in arrays are one, and null is nothing."""
    if isinstance(value, list):
        for each in value:
            yield from flat(each)
    elif value is not None:
        yield value


def is_record(document: dict[str, Any]) -> bool:
    """Does it say that it is a Comprehensive Learner Record?"""
    return "ClrCredential" in values(document.get("type"))


def specification(document: dict[str, Any]) -> str:
    """By which it is judged."""
    return "CLR 2.0" if is_record(document) else "Open Badges 3.0"


def mistakes(document: dict[str, Any]) -> Iterator[Text]:
    """What an Open Badges 3.0 credential must not be like, each in words that name the member."""
    types, named = values(document.get("type")), values(document.get("@context"))
    kind = "Endorsement" if "EndorsementCredential" in types else "Record" if is_record(document) else "Credential"
    context = RECORD_CONTEXT if kind == "Record" else CONTEXT
    if named[:1] != ["https://www.w3.org/ns/credentials/v2"]:
        yield Text("@context must begin with https://www.w3.org/ns/credentials/v2")
    elif not (isinstance(second := named[1] if len(named) > 1 else "", str) and context.fullmatch(second)):
        yield Text("the second @context must be that of {specification}", {"specification": specification(document)})
    if "VerifiableCredential" not in types:
        yield Text("type must have VerifiableCredential")
    if kind == "Credential" and not {"OpenBadgeCredential", "AchievementCredential"} & {*map(str, types)}:
        yield Text("type must have OpenBadgeCredential or AchievementCredential")
    yield from _wrong(document, kind, "")
    subject = document.get("credentialSubject")
    if (
        kind != "Endorsement"
        and isinstance(subject, dict)
        and not (subject.get("id") or values(subject.get("identifier")))
    ):
        yield Text("credentialSubject must have an id or an identifier")


def _wrong(node: Any, kind: str, path: str) -> Iterator[Text]:
    if kind in _KINDS:
        if not _KINDS[kind](node):
            yield Text("{member} is no {kind}", {"member": path, "kind": kind})
        return
    if kind == "Issuer":
        if isinstance(node, str):
            yield from _wrong(node, "URI", path)
            return
        kind = "Profile"
    if kind not in _MODEL:  # of a type: it must have that one
        if node != kind:
            yield Text("{member} is no {kind}", {"member": path, "kind": kind})
        return
    if not isinstance(node, dict):
        yield Text("{member} must be an object", {"member": path})
        return
    for member in _members(kind):
        yield from _member(node, member, f"{path}.{member.name}".lstrip("."))


def _member(node: dict[str, Any], member: Member, path: str) -> Iterator[Text]:
    found = values(node.get(member.name))
    if member.needed and not found:
        yield Text("{member} is missing", {"member": path})
    if member.once and len(found) > 1:
        yield Text("{member} must be one", {"member": path})
    if member.name == "type" and member.kind not in _KINDS:
        if found and member.kind not in found:
            yield Text("{member} must have {kind}", {"member": path, "kind": member.kind})
        return
    for number, each in enumerate(found):
        yield from _wrong(each, member.kind, f"{path}.{number}" if len(found) > 1 else path)
