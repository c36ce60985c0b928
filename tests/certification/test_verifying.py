"""What verifying says of credentials: real ones, changed ones, and those that nobody can tell."""

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.processes import ROOT
from services.certification.credentials import checks, contexts, examining, form, jwts, keyforms, status
from services.certification.credentials.badge import identity_hash
from services.certification.credentials.baking import PNG, as_text, bake_png, bake_svg
from services.certification.credentials.checks import Wrong
from services.certification.credentials.picture import png, svg
from services.certification.credentials.verifying import did_web_address
from shared.files import bounded
from shared.pages.languages import Text
from tests.certification.vc import KEY, OTHER, World, badge, checked, did_of, method_of, results, signed

LIST = "https://college.example/status/1"
ENTRY = {
    "id": f"{LIST}#7",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "7",
    "statusListCredential": LIST,
}


def status_list(*indexes: int, key: Any = KEY, purpose: Any = "revocation", **changes: Any) -> bytes:
    document = status.credential(LIST, did_of(key), indexes, "2026-06-01T00:00:00Z") | changes
    document["credentialSubject"]["statusPurpose"] = purpose
    return as_text(signed(document, key)).encode()


async def test_a_right_credential_is_valid_in_every_form():
    document = signed(badge())
    jwt = jwts.signed(badge(), KEY, method_of(KEY))
    for content in (
        document,
        jwt.encode(),
        bake_png(png("i", "I", "c"), as_text(document)),
        bake_png(png("i", "I", "c"), jwt),
        bake_svg(svg("i", "I", "c"), as_text(document)).encode(),
        bake_svg(svg("i", "I", "c"), jwt).encode(),
        b"\xef\xbb\xbf" + as_text(document).encode(),
    ):
        verdict = await checked(content)
        assert verdict.result == "valid", verdict.checks
        assert {*results(verdict)} == {"form", "properties", "proof", "issuer", "status", "dates"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("credentialSubject", "achievement", "name"), "Хирургия"),
        (("credentialSubject", "id"), "did:example:other"),
        (("validFrom",), "2026-05-01T00:00:00Z"),
        (("issuer", "name"), "Another"),
        (("awardedDate",), "2026-06-01T00:00:00Z"),
        (("type",), ["VerifiableCredential", "OpenBadgeCredential", "EndorsementCredential"]),
    ],
)
async def test_a_changed_or_added_member_is_noticed(path: tuple[str, ...], value: Any):
    document = signed(badge())
    at: Any = document
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    verdict = await checked(document)
    assert (verdict.result, results(verdict)["proof"]) == ("invalid", "invalid")


@pytest.mark.parametrize(
    "added",
    [
        {"grade": "A"},
        {"@index": "x"},
        {"https://example.org/grade": "A"},
        {"credentialSchema": {"id": "schema.json", "type": "x"}},
        {"credentialSchema": {"id": "https://a.example/s", "type": "Unheard"}},
    ],
)
async def test_what_the_signature_does_not_cover_is_named(added: dict[str, Any]):
    document = signed(badge()) | added
    verdict = await checked(document)
    assert (verdict.result, results(verdict)["properties"]) == ("invalid", "invalid")
    assert any(
        next(iter(added)) in c.reason or "schema.json" in c.reason or "Unheard" in c.reason for c in verdict.checks
    )


async def test_a_status_that_is_hidden_under_another_name_is_found():
    """The statements stay the same, so the signature is right; only who reads JSON would not see the status."""
    document = signed(badge(credentialStatus=ENTRY))
    status_entry = document.pop("credentialStatus")
    by_iri = document | {"https://www.w3.org/2018/credentials#credentialStatus": status_entry}
    elsewhere = document | {
        "evidence": {
            "id": document["id"],
            "type": ["VerifiableCredential", "OpenBadgeCredential", "Evidence"],
            "credentialStatus": status_entry,
        }
    }
    own_context = document | {
        "@context": [*document["@context"], {"x": "https://www.w3.org/2018/credentials#credentialStatus"}],
        "x": status_entry,
    }
    for hidden in (by_iri, elsewhere, own_context):
        assert results(await checked(hidden))["properties"] != "valid"


async def test_who_signed_must_be_who_is_said_to_have_issued():
    document = signed(badge(issuer={"id": did_of(OTHER), "type": ["Profile"]}), KEY)
    verdict = await checked(document)
    assert (results(verdict)["proof"], results(verdict)["issuer"], verdict.result) == ("valid", "invalid", "invalid")
    web = signed(badge(issuer={"id": "https://college.example", "type": ["Profile"]}), KEY)
    assert results(await checked(web))["issuer"] == "unknown"


async def test_a_did_web_is_looked_up_and_unknown_while_it_does_not_answer():
    did = "did:web:college.example:issuers:1"
    method = {
        "id": f"{did}#k",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": method_of(KEY).partition("#")[2],
    }
    published = {"id": did, "verificationMethod": [method], "assertionMethod": [f"{did}#k"]}
    document = signed(badge(issuer={"id": did, "type": ["Profile"]}), KEY, f"{did}#k")
    world = World()
    assert results(await checked(document, world))["proof"] == "unknown"
    assert (await checked(document)).result == "unknown"
    address = "https://college.example/issuers/1/did.json"
    assert world.asked == [address]
    for changes, wanted in (
        ({}, "valid"),
        ({"assertionMethod": []}, "invalid"),
        ({"verificationMethod": []}, "invalid"),
        ({"id": "did:web:evil.example"}, "invalid"),
        ({"verificationMethod": [method | {"revoked": "2026-05-01T00:00:00Z"}]}, "invalid"),
        ({"verificationMethod": [method | {"expires": "2026-06-15T00:00:00Z"}]}, "valid"),
        ({"verificationMethod": [method | {"controller": did_of(OTHER)}]}, "invalid"),
    ):
        world.at[address] = json.dumps(published | changes).encode()
        assert (await checked(document, world)).result == wanted, changes


def test_offline_it_is_said_what_is_not_decided_and_where_it_can_be(tmp_path: Path):
    did = "did:web:college.example:issuers:1"
    genuine = signed(badge(issuer={"id": did, "type": ["Profile"]}), KEY, f"{did}#k")
    own = signed(badge()) | {"name": "Other"}
    for name, document in (("genuine", genuine), ("changed", genuine | {"name": "Other"}), ("own", own)):
        (tmp_path / name).write_text(json.dumps(document))
    command = [sys.executable, "-m", "deploy.praktika", "verify", "genuine", "changed", "own"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    of_genuine, of_changed, of_own = re.split(r"^(?=\w+: )", done.stdout, flags=re.MULTILINE)[1:]
    for shown in (of_genuine, of_changed):
        assert "form: valid" in shown
        assert (
            "proof: unknown. The signature could not be checked, so it may have been changed: https://college" in shown
        )
        assert "Not decided here: proof, issuer. For these use the page /verify, or POST /verify" in shown
    assert "proof: invalid. The signature is not right" in of_own
    assert "Not decided here" not in of_own, "a did:key brings its key along"


def test_a_reason_within_a_reason_is_told_in_the_readers_language_from_the_other_process_too():
    inner = Text("its statusSize is none")
    outer = Text("The status list cannot be used: {why}", {"why": inner})
    told = examining._text(json.loads(json.dumps(examining._told(outer))))
    assert isinstance(told, Text)
    assert inner.into("ru") in told.into("ru")


VICTIM = "did:web:region.example:issuers:north-college"
VICTIMS = "https://region.example/issuers/north-college/did.json"
EVIL = "https://evil.example/keys"


def key_material(key: Any) -> str:
    return method_of(key).partition("#")[2]


def did_json(did: str, key: Any, **changes: Any) -> dict[str, Any]:
    method = {"id": f"{did}#k", "type": "Multikey", "controller": did, "publicKeyMultibase": key_material(key)}
    return {"id": did, "verificationMethod": [method], "assertionMethod": [f"{did}#k"]} | changes


def forgeries() -> dict[str, tuple[str, dict[str, Any]]]:
    """By form: a forger's verification method, and what is at his addresses."""
    bare = {"type": "Multikey", "publicKeyMultibase": key_material(OTHER)}
    named = did_json(EVIL, OTHER)
    named["verificationMethod"][0]["controller"] = VICTIM
    did, of_did = "did:web:evil.example", "https://evil.example/.well-known/did.json"
    return {
        "a whole document of the victim's": (f"{EVIL}#k", {EVIL: did_json(VICTIM, OTHER)}),
        "a method of the victim's": (f"{EVIL}#k", {EVIL: named}),
        "a bare key": (EVIL, {EVIL: bare | {"id": EVIL, "controller": VICTIM}}),
        "a bare key without its address": (EVIL, {EVIL: bare | {"controller": VICTIM}}),
        "a bare key with the victim's": (EVIL, {EVIL: bare | {"id": VICTIM}}),
        "a JWK": (EVIL, {EVIL: keyforms.jwk(OTHER.public_key()) | {"controller": VICTIM}}),
        "a did:web that is a key": (did, {of_did: bare | {"id": did, "controller": VICTIM}}),
    }


@pytest.mark.parametrize("as_jwt", [False, True])
@pytest.mark.parametrize("how", forgeries())
async def test_nobody_speaks_for_another_by_saying_so(how: str, as_jwt: bool):
    method, there = forgeries()[how]
    there[VICTIMS] = did_json(VICTIM, KEY)
    world = World(**{address: json.dumps(each).encode() for address, each in there.items()})
    document = badge(issuer={"id": VICTIM, "type": ["Profile"]})
    content = jwts.signed(document, OTHER, method).encode() if as_jwt else signed(document, OTHER, method)
    verdict = await checked(content, world)
    assert verdict.result == "invalid", verdict
    assert results(verdict)["issuer"] != "valid"
    # Nor is a list believed that is signed so.
    bare = status.credential(LIST, VICTIM, [], "2026-06-01T00:00:00Z") | {"issuer": {"id": VICTIM}}
    of_list = jwts.signed(bare, OTHER, method) if as_jwt else as_text(signed(bare, OTHER, method))
    world.at[LIST] = of_list.encode()
    victims = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}, credentialStatus=ENTRY), KEY, f"{VICTIM}#k")
    found = results(await checked(victims, world))
    assert (found["proof"], found["issuer"], found["status"]) == ("valid", "valid", "unknown")


async def test_a_key_elsewhere_speaks_for_whom_lists_it():
    key = {"id": EVIL, "type": "Multikey", "controller": VICTIM, "publicKeyMultibase": key_material(OTHER)}
    document = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}), OTHER, EVIL)
    world = World(**{EVIL: json.dumps(key).encode()})
    assert (await checked(document, world)).result == "unknown"  # what the issuer says cannot be looked up
    for listed, wanted in (([EVIL], "valid"), ([], "invalid"), ([key], "invalid")):
        world.at[VICTIMS] = json.dumps({"id": VICTIM, "assertionMethod": listed}).encode()
        assert (await checked(document, world)).result == wanted


@pytest.mark.parametrize(
    ("did", "address"),
    [
        ("did:web:a.example", "https://a.example/.well-known/did.json"),
        ("did:web:a.example%3A8443:x:y", "https://a.example:8443/x/y/did.json"),
    ],
)
def test_where_a_did_web_is(did: str, address: str):
    assert did_web_address(did) == address


@pytest.mark.parametrize("did", ["did:web:", "did:web:a.example:..:x", "did:web:a.example%2Fx", "did:web:a:b%2Fc"])
def test_a_did_web_leads_nowhere_else(did: str):
    with pytest.raises(Wrong):
        did_web_address(did)


async def test_a_status_list_says_revoked_suspended_or_nothing():
    document = signed(badge(credentialStatus=ENTRY))
    suspension = signed(badge(credentialStatus=ENTRY | {"statusPurpose": "suspension", "statusListIndex": 7}))
    for content, found, wanted in (
        (document, status_list(), "valid"),
        (document, status_list(8), "valid"),
        (document, status_list(7), "invalid"),
        (document, status_list(7, purpose=["revocation", "suspension"]), "invalid"),
        (suspension, status_list(7, purpose="suspension"), "invalid"),
        (document, status_list(7, purpose="suspension"), "unknown"),
        (document, status_list(7, key=OTHER), "unknown"),
        (document, status_list(7, validUntil="2026-06-02T00:00:00Z"), "unknown"),
        (document, status_list().replace(b"2026-06-01", b"2026-06-02"), "unknown"),
        (document, b"<html>", "unknown"),
        (document, b'{"credentialSubject": 1}', "unknown"),
    ):
        verdict = await checked(content, World() if found is None else World(**{LIST: found}))
        assert (verdict.result, results(verdict)["status"]) == (wanted, wanted), found
    assert (await checked(document, World())).result == "unknown"
    unheard = jwts.signed(badge(credentialStatus=ENTRY | {"type": "Unheard"}), KEY, method_of(KEY))
    assert (await checked(unheard.encode(), World())).result == "unknown"


async def test_each_of_several_proofs_has_its_own_result():
    document = badge()
    first, second = signed(document), signed(document, OTHER)
    both = document | {"proof": [first["proof"], second["proof"]]}
    verdict = await checked(both)
    assert [c.result for c in verdict.checks if c.check == "proof"] == ["valid", "valid"]
    strange = both | {"proof": [first["proof"], first["proof"] | {"cryptosuite": "unheard-of-2099"}]}
    assert (await checked(strange)).result == "unknown"
    wrong = both | {"proof": [first["proof"], second["proof"] | {"proofValue": first["proof"]["proofValue"]}]}
    assert (await checked(wrong)).result == "invalid"
    for none in (None, [], {}):
        assert (await checked(document | {"proof": none})).result == "invalid"
    purpose = document | {"proof": first["proof"] | {"proofPurpose": "authentication"}}
    assert (await checked(purpose)).result == "invalid"


async def test_types_and_proofs_may_be_written_as_one_or_many_and_nulls_are_nothing():
    document = signed(badge(type=["VerifiableCredential", "AchievementCredential"]))
    assert (await checked(document | {"proof": [document["proof"]]})).result == "valid"
    subject = document["credentialSubject"]
    one = document | {
        "credentialSubject": subject | {"type": "AchievementSubject"},
        "description": None,
        "evidence": [],
    }
    assert (await checked(one)).result == "valid"


async def test_dates_say_when_it_is_valid():
    for changes, wanted in (
        ({"validUntil": "2026-06-30T23:59:59.123456789Z"}, "invalid"),
        ({"validUntil": "2026-07-01T05:00:00+07:00"}, "invalid"),
        ({"validUntil": "2026-07-01T05:00:00-07:00"}, "valid"),
        ({"validFrom": "2026-08-01T00:00:00Z"}, "invalid"),
        ({"validFrom": "2026-06-01T00:00:00.5+03:00"}, "valid"),
    ):
        assert (await checked(signed(badge(**changes)))).result == wanted, changes
    assert results(await checked(signed(badge(validFrom="2026-06-01T00:00:00"))))["form"] == "invalid"


async def test_a_jwt_that_says_otherwise_or_has_no_real_signature_is_refused():
    right = jwts.signed(badge(), KEY, method_of(KEY))
    head, payload, signature = right.split(".")

    def part(text: str, **changes: Any) -> str:
        return jwts.base64url(json.dumps(json.loads(jwts.unbase64url(text)) | changes).encode())

    for forged in (
        f"{head}.{part(payload, iss='did:example:x')}.{signature}",
        f"{part(head, alg='none')}.{payload}.",
        f"{part(head, alg='ES256')}.{payload}.{signature}",
        f"{head}.{part(payload, name='x')}.{signature}",
        f"{head}.{payload}.{signature[:-2]}AA",
        f"{head}.{payload}",
        f"{part(head, kid=method_of(OTHER))}.{payload}.{signature}",
    ):
        assert (await checked(forged.encode())).result == "invalid", forged
    assert (await checked(f"{part(head, alg='ES999')}.{payload}.{signature}".encode())).result == "unknown"


async def test_an_endorsement_is_checked_like_the_credential():
    good = signed(badge(endorsement=[signed(endorsement(badge()["id"]), OTHER)]))
    verdict = await checked(good)
    assert (verdict.result, results(verdict)["endorsement"]) == ("valid", "valid"), verdict
    forged = signed(badge(endorsement=[signed(endorsement(badge()["id"]), OTHER) | {"name": "More"}]))
    assert results(await checked(forged))["endorsement"] == "invalid"
    as_jwt = jwts.signed(endorsement(badge()["id"]), OTHER, method_of(OTHER))
    in_jwt = jwts.signed(badge(endorsementJwt=[as_jwt]), KEY, method_of(KEY))
    assert results(await checked(in_jwt.encode()))["endorsement"] == "valid"


async def test_a_recipient_is_known_by_the_salted_hash():
    identity = {
        "type": "IdentityObject",
        "hashed": True,
        "identityHash": identity_hash("a@b.example", "pepper"),
        "identityType": "emailAddress",
        "salt": "pepper",
    }
    subject = badge()["credentialSubject"] | {"identifier": [identity]}
    document = signed(badge(credentialSubject=subject))
    assert results(await checked(document, recipient="a@b.example"))["recipient"] == "valid"
    assert results(await checked(document, recipient="did:example:learner"))["recipient"] == "valid"
    assert (await checked(document, recipient="c@b.example")).result == "invalid"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b"<svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><svg>&b;</svg>',
        PNG,
        PNG + b"\x00\x00\x00\x01",
        png("i", "I", "c"),
        b"a.b.c",
        b"a" * 1_000_001,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"x": "\\ud800"}',
        b'{"x": ' + b"9" * 5_000 + b"}",
        b'{"x": NaN}',
    ],
)
async def test_what_is_no_credential_is_invalid_with_a_reason(content: bytes):
    verdict = await checked(content)
    assert verdict.result == "invalid"
    assert all(check.reason for check in verdict.checks)


@pytest.mark.parametrize("member", ["@context", "id", "type", "issuer", "validFrom", "credentialSubject", "proof"])
@pytest.mark.parametrize("value", [None, 1, True, "x", [], {}, [1], [{}], [[["x"]]], {"id": 1}, {"id": {"id": []}}])
async def test_whatever_stands_in_a_member_there_is_an_answer(member: str, value: Any):
    assert (await checked(signed(badge()) | {member: value})).result != "valid"


HOSTED = {
    "@context": "https://w3id.org/openbadges/v2",
    "id": "https://college.example/assertions/1",
    "type": "Assertion",
    "recipient": {"type": "email", "hashed": False, "identity": "a@b.example"},
    "badge": "https://college.example/badges/1",
    "verification": {"type": "HostedBadge"},
    "issuedOn": "2020-06-01T00:00:00Z",
}


ISSUER = {"id": "https://college.example/issuer", "type": "Issuer", "name": "College"}
BADGE_CLASS = {"id": HOSTED["badge"], "type": "BadgeClass", "issuer": ISSUER}


def hosted(*documents: dict[str, Any]) -> World:
    return World(**{str(each["id"]): json.dumps(each).encode() for each in documents})


async def test_an_open_badge_2_is_what_its_address_says():
    def at(**changes: Any) -> World:
        return hosted(HOSTED | changes, BADGE_CLASS, ISSUER)

    assert (await checked(HOSTED, at(), recipient="a@b.example")).result == "valid"
    assert (await checked(HOSTED, at(revoked=True))).result == "invalid"
    assert (await checked(HOSTED, at(issuedOn="2021-06-01T00:00:00Z"))).result == "invalid"
    assert (await checked(HOSTED)).result == "unknown"
    assert (await checked(HOSTED, at(), recipient="c@b.example")).result == "invalid"
    assert (await checked(HOSTED | {"id": "https://evil.example/1"}, at())).result != "valid"
    gone = at()
    gone.gone.add(str(HOSTED["id"]))
    verdict = await checked(HOSTED, gone)
    assert (verdict.result, results(verdict)["status"]) == ("invalid", "invalid")


async def test_who_issued_an_open_badge_2_its_own_address_says():
    evil = HOSTED | {"id": "https://evil.example/1", "badge": "https://evil.example/badge"}
    evils = BADGE_CLASS | {"id": "https://evil.example/badge"}
    mine = ISSUER | {"verification": {"allowedOrigins": ["evil.example"]}}
    at_mine = mine | {"id": "https://evil.example/issuer"}
    for given, there in (
        (evil, [evils | {"issuer": mine}, ISSUER]),
        (evil, [evils | {"issuer": at_mine["id"]}, at_mine | {"id": ISSUER["id"], "at": at_mine["id"]}]),
        (evil | {"badge": BADGE_CLASS}, [ISSUER]),
        (evil | {"badge": evils | {"issuer": mine}}, [ISSUER]),
    ):
        world = hosted(given, *there)
        world.at |= {str(each["at"]): json.dumps(each).encode() for each in there if "at" in each}
        verdict = await checked(given, world)
        assert (verdict.result, results(verdict)["issuer"]) == ("invalid", "invalid"), given
    allowed = hosted(evil, evils, mine)
    assert (await checked(evil, allowed)).result == "valid"  # for the issuer's own address says so


async def test_an_address_that_leads_to_another_host_is_not_the_issuers():
    elsewhere = hosted(BADGE_CLASS, ISSUER)
    elsewhere.at["https://evil.example/1"] = json.dumps(HOSTED).encode()
    elsewhere.moved[str(HOSTED["id"])] = "https://evil.example/1"
    assert (await checked(HOSTED, elsewhere)).result == "unknown"
    issuer = "https://college.example/go?to=evil"
    redirected = World(**{EVIL: json.dumps(did_json(issuer, OTHER)).encode()})
    redirected.moved[issuer] = EVIL
    document = signed(badge(issuer={"id": issuer, "type": ["Profile"]}), OTHER, f"{issuer}#k")
    assert (await checked(document, redirected)).result == "unknown"
    redirected.at[issuer] = redirected.at[EVIL]
    del redirected.moved[issuer]
    assert (await checked(document, redirected)).result == "valid"


def endorsement(of: str, key: Any = OTHER, **changes: Any) -> dict[str, Any]:
    return {
        "@context": badge()["@context"],
        "id": "https://works.example/endorsements/1",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": {"id": did_of(key), "type": ["Profile"], "name": "Works"},
        "validFrom": "2026-06-01T00:00:00Z",
        "name": "Recognised",
        "credentialSubject": {"id": of, "type": ["EndorsementSubject"], "endorsementComment": "Good."},
    } | changes


ACHIEVEMENT = "https://college.example/achievements/welding"


def with_achievement(*endorsements: Any, array: bool = False) -> dict[str, Any]:
    """A credential whose achievement is endorsed; with all that may be one written as an array of one."""
    subject = badge()["credentialSubject"]
    achievement = subject["achievement"] | {"endorsement": list(endorsements)}
    said = subject | {"achievement": [achievement] if array else achievement}
    return badge(credentialSubject=[said] if array else said)


def in_jwt(document: dict[str, Any]) -> bytes:
    return jwts.signed(document, KEY, method_of(KEY)).encode()


def of_endorsements(verdict: Any) -> list[str]:
    return [check.result for check in verdict.checks if check.check == "endorsement"]


@pytest.mark.parametrize("as_jwt", [False, True])
async def test_an_endorsement_of_something_else_does_not_count(as_jwt: bool):
    def given(of: str) -> bytes:
        made = endorsement(of)
        if as_jwt:
            return in_jwt(badge(endorsementJwt=[jwts.signed(made, OTHER, method_of(OTHER))]))
        return as_text(signed(badge(endorsement=[signed(made, OTHER)]))).encode()

    for of, wanted in ((badge()["id"], "valid"), ("https://other.example/credentials/1", "invalid")):
        assert of_endorsements(await checked(given(of))) == [wanted]
    achievements = with_achievement(signed(endorsement(ACHIEVEMENT), OTHER), signed(endorsement(badge()["id"]), OTHER))
    assert of_endorsements(await checked(signed(achievements))) == ["valid", "invalid"]


@pytest.mark.parametrize("array", [False, True])
async def test_no_endorsement_is_passed_over(array: bool):
    tampered = signed(endorsement(ACHIEVEMENT), OTHER) | {"name": "More"}
    document = with_achievement(tampered, array=array)
    assert of_endorsements(await checked(signed(document))) == ["invalid"]
    plain = with_achievement(tampered)
    assert of_endorsements(await checked(in_jwt(plain))) == ["invalid"]
    nested = badge(endorsement=[[tampered]])
    assert of_endorsements(await checked(signed(nested))) == ["invalid"]


async def test_what_is_alone_in_an_array_is_what_it_is_without():
    document = with_achievement(array=True)
    verdict = await checked(signed(document), recipient="did:example:learner")
    assert (verdict.result, results(verdict)["recipient"]) == ("valid", "valid")
    proof = signed(badge())
    proof["proof"]["type"] = ["DataIntegrityProof"]
    assert (await checked(proof)).result == "valid"


async def test_endorsements_inform_and_do_not_decide():
    for one, wanted in (
        (endorsement(badge()["id"], validUntil="2026-06-02T00:00:00Z"), "invalid"),
        (endorsement(badge()["id"], credentialStatus=ENTRY), "unknown"),
        (endorsement(badge()["id"]), "valid"),
    ):
        verdict = await checked(signed(badge(endorsement=[signed(one, OTHER)])))
        assert (verdict.result, of_endorsements(verdict)) == ("valid", [wanted])


async def test_nothing_is_cut_off_silently():
    entries = [ENTRY | {"id": f"{LIST}#{n}", "statusListIndex": str(n)} for n in range(12)]
    verdict = await checked(signed(badge(credentialStatus=entries)), World(**{LIST: status_list(11)}))
    of_status = [check.result for check in verdict.checks if check.check == "status"]
    assert (verdict.result, of_status) == ("unknown", ["valid"] * 10 + ["unknown"])
    many = [jwts.signed(endorsement(badge()["id"]), OTHER, method_of(OTHER))] * 22
    found = of_endorsements(await checked(in_jwt(badge(endorsementJwt=many))))
    assert found == ["valid"] * 20 + ["unknown"]


async def test_a_list_must_be_long_of_its_type_and_the_one_that_was_named():
    document = signed(badge(credentialStatus=ENTRY))
    few = status.credential(LIST, did_of(KEY), [], "2026-06-01T00:00:00Z")
    few["credentialSubject"]["encodedList"] = "u" + jwts.base64url(gzip.compress(bytes(status.ENTRIES // 8 - 1)))
    for found in (
        as_text(signed(few)).encode(),
        status_list(id="https://college.example/status/2"),
        status_list(type=["VerifiableCredential"]),
    ):
        verdict = await checked(document, World(**{LIST: found}))
        assert (verdict.result, results(verdict)["status"]) == ("unknown", "unknown"), found[:300]
    # Of two bits each, the list that is long enough for one has half as many entries.
    wide = signed(badge(credentialStatus=ENTRY | {"statusSize": 2}))
    assert results(await checked(wide, World(**{LIST: status_list()})))["status"] == "unknown"


async def test_a_jwt_that_demands_what_is_not_known_is_refused():
    head, payload, _ = jwts.signed(badge(), KEY, method_of(KEY)).split(".")
    for demanded in (["exp"], ["b64"], [], None):
        header = json.loads(jwts.unbase64url(head)) | {"crit": demanded}
        text = f"{jwts.base64url(json.dumps(header).encode())}.{payload}"
        content = f"{text}.{jwts.base64url(KEY.sign(text.encode()))}".encode()
        assert results(await checked(content))["proof"] == "invalid"


async def test_a_recipient_is_known_by_an_md5_hash_too():
    hashed = "md5$" + md5(b"a@b.examplepepper", usedforsecurity=False).hexdigest()
    identity = {"type": "IdentityObject", "hashed": True, "identityHash": hashed, "identityType": "emailAddress"}
    subject = badge()["credentialSubject"] | {"identifier": [identity | {"salt": "pepper"}]}
    document = signed(badge(credentialSubject=subject))
    assert results(await checked(document, recipient="a@b.example"))["recipient"] == "valid"
    assert results(await checked(document, recipient="c@b.example"))["recipient"] == "invalid"


@pytest.mark.parametrize(
    "content",
    [
        b'{"proof":[' + b"1," * 490_000 + b"1]}",
        b'{"proof":[' + b"1," * 100 + b"1]}",
        b'{"endorsement":[' + b"{}," * 300_000 + b"{}]}",
        b'{"a":[' + b"[[]]," * 30_000 + b"0]}",
    ],
)
async def test_what_is_too_much_is_refused_as_soon_as_it_is_read(content: bytes):
    verdict = await checked(content)
    assert (verdict.result, [check.check for check in verdict.checks]) == ("invalid", ["form"])


async def test_mistakes_are_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch):
    found = 0

    def mistakes(document: dict[str, Any]) -> Iterator[Text]:
        nonlocal found
        while found < 1_000:
            found += 1
            yield Text("one more")

    monkeypatch.setattr(form, "mistakes", mistakes)
    assert results(await checked(signed(badge())))["form"] == "invalid"
    assert found == 10


async def test_a_document_is_read_once_for_all_proofs_and_others_have_their_turn(monkeypatch: pytest.MonkeyPatch):
    read = checks.read_json
    lengths: list[int] = []
    monkeypatch.setattr(checks, "read_json", lambda data: lengths.append(len(data)) or read(data))
    document = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}), KEY, f"{VICTIM}#k")
    many = document | {"proof": [document["proof"]] * 60}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    published = json.dumps(did_json(VICTIM, KEY) | {"x": "a" * 900_000}).encode()
    verdict = await checked(many, World(**{VICTIMS: published}))
    beside.cancel()
    assert verdict.result == "valid"
    assert len(lengths) == 1
    assert turns >= 60


async def test_nobody_is_asked_for_what_nobody_has_signed_and_nobody_twice():
    endorsed = signed(endorsement(badge()["id"], credentialStatus=ENTRY), OTHER)
    unsigned = badge(credentialStatus=ENTRY, endorsement=[endorsed])
    for content in (unsigned, signed(unsigned) | {"name": "changed"}):
        world = World()
        verdict = await checked(content, world)
        assert (verdict.result, results(verdict)["status"], world.asked) == ("invalid", "unknown", [])
    document = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}), KEY, f"{VICTIM}#k")
    away = World()
    await checked(document | {"proof": [document["proof"]] * 5}, away)
    assert away.asked == [VICTIMS]


async def test_when_there_is_no_time_left_the_answer_is_unknown():
    class Silent(World):
        async def fetch(self, address: str) -> Any:
            self.asked.append(address)
            await asyncio.sleep(60)

    document = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}), KEY, f"{VICTIM}#k")
    elsewhere = signed(badge(), KEY, "did:web:other.example#k")
    both = document | {"proof": [document["proof"], elsewhere["proof"]]}
    began = monotonic()
    verdict = await checked(both, Silent(), until=monotonic() + 0.5)
    assert (verdict.result, results(verdict)["proof"]) == ("unknown", "unknown")
    assert monotonic() - began < 30


async def test_a_network_vouches_only_for_who_has_signed():
    async def known(id: str) -> str:
        return "North College"

    public = {"public": "https://region.example", "known": known}
    world = World(**{VICTIMS: json.dumps(did_json(VICTIM, KEY)).encode()})
    right = signed(badge(issuer={"id": VICTIM, "type": ["Profile"]}), KEY, f"{VICTIM}#k")
    assert results(await checked(right, world, **public))["network"] == "valid"
    for wrong in (signed(right | {"proof": None}, OTHER), right | {"proof": None}):
        assert results(await checked(wrong, world, **public))["network"] == "unknown"


async def test_the_process_for_strangers_documents_runs_no_code_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("services", "json", "pyoxigraph"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path)
    (found,) = await examining.examined([signed(badge())])
    assert (found.trouble, [proven.trouble for proven in found.proofs]) == ("", [""])
    assert not (tmp_path / "ran").exists()


async def test_what_too_many_wait_for_is_not_begun(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded, "MOST_WAITING", 0)
    (found,) = await examining.examined([badge()])
    assert (found.trouble, found.wrong) == ("too much is being checked at the moment: try again", False)


async def test_a_process_that_fails_is_not_said_to_take_long(monkeypatch: pytest.MonkeyPatch):
    for code, said in (("raise SystemExit(3)", "code 3"), ("import os; os.abort()", "memory"), ("1/0", "code 1")):
        monkeypatch.setattr(bounded, "CODE", code)
        (found,) = await examining.examined([badge()])
        assert said in found.trouble
        assert not found.wrong
    monkeypatch.setattr(bounded, "CODE", "import os; os.kill(os.getpid(), 9)")
    assert "more than 10 s" in (await examining.examined([badge()]))[0].trouble


async def test_reasons_are_told_in_the_readers_language_from_the_other_process_too():
    (found,) = await examining.examined([signed(badge()) | {"proof": {"proofValue": "z", "type": "x"}}])
    assert isinstance(found.proofs[0].trouble, Text)
    verdict = await checked(b"x.y")
    assert verdict.checks[0].reason.into("ru") == "Его не прочитать: в JWT должно быть три части через точку"
    missing = await checked(signed(badge(validFrom=None, name=7)))
    (of_form,) = (check.reason for check in missing.checks if check.check == "form")
    assert str(of_form).endswith("validFrom is missing; name is no String")
    assert of_form.into("ru").endswith("нет validFrom; name — не String")
    (found,) = await examining.examined([badge() | {"grade": "A"}])
    assert [reason.into("ru") for reason in found.unsigned] == ["'grade' не определено ни одним контекстом"]


# records (CLR 2.0)


def record(*contained: Any, key: Ed25519PrivateKey = KEY, **changes: Any) -> dict[str, Any]:
    made = {
        "@context": [contexts.V2, contexts.CLR, contexts.OB],
        "id": "urn:uuid:8a4c0a0e-0000-4000-8000-000000000000",
        "type": ["VerifiableCredential", "ClrCredential"],
        "issuer": {"id": did_of(key), "type": ["Profile"]},
        "validFrom": "2026-06-01T00:00:00Z",
        "name": "All of them",
        "credentialSubject": {"id": "did:example:l", "type": ["ClrSubject"], "verifiableCredential": [*contained]},
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


OF_OTHERS = signed(badge(OTHER, id="https://college.example/credentials/2"), OTHER)


async def test_each_credential_in_a_record_is_checked_by_itself():
    ours = signed(badge())
    assert results(await checked(signed(record(ours, OF_OTHERS))))["credential"] == "valid"
    tampered = ours | {"name": "Surgery"}
    late = signed(badge(validUntil="2026-06-02T00:00:00Z"))
    unsaid = signed(badge(credentialStatus=ENTRY))
    for inside, result in ((tampered, "invalid"), (late, "invalid"), (badge(), "invalid"), (unsaid, "unknown")):
        verdict = await checked(signed(record(OF_OTHERS, inside)))
        found = [check.result for check in verdict.checks if check.check == "credential"]
        assert (verdict.result, found) == (result, ["valid", result])


async def test_credentials_in_a_record_may_be_jwts():
    good = jwts.signed(badge(), KEY, method_of(KEY))
    verdicts = [await checked(signed(record(each))) for each in (good, f"{good[:-6]}AAAAAA", "a.b.c")]
    assert [verdict.result for verdict in verdicts] == ["valid", "invalid", "invalid"]


async def test_a_record_that_nobody_signed_is_not_looked_into():
    world = World()
    unsaid = signed(badge(credentialStatus=ENTRY))
    verdict = await checked(record(unsaid), world)
    assert (verdict.result, world.asked) == ("invalid", [])


async def test_a_record_in_a_record_and_too_many_in_one_are_unknown():
    ours = signed(badge())
    assert results(await checked(signed(record(signed(record(ours, id="urn:x:inner"))))))["credential"] == "unknown"
    many = signed(record(*[ours] * (checks.MOST_CONTAINED + 1)))
    verdict = await checked(many)
    assert (verdict.result, verdict.checks[-1].result) == ("unknown", "unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        record(),
        record(7),
        record(OF_OTHERS, name=None),
        record(OF_OTHERS, **{"@context": [contexts.V2, contexts.OB, contexts.CLR]}),
        record(OF_OTHERS, credentialSubject={"type": ["ClrSubject"], "verifiableCredential": [OF_OTHERS]}),
        record(OF_OTHERS, credentialSubject=badge()["credentialSubject"]),
    ],
)
async def test_a_record_has_the_form_of_the_specification(wrong: dict[str, Any]):
    found = (await checked(wrong)).checks[0]
    assert (found.check, found.result) == ("form", "invalid")
    assert "CLR 2.0" in found.reason


async def test_a_record_may_have_achievements_and_associations_and_all_of_it_is_signed():
    made = record(OF_OTHERS)
    subject = made["credentialSubject"] | {
        "achievement": [badge()["credentialSubject"]["achievement"]],
        "association": [
            {
                "type": "Association",
                "associationType": "isParentOf",
                "sourceId": "urn:uuid:a7467ef6-56cb-11ec-bf63-0242ac130002",
                "targetId": "urn:uuid:dd887f0a-56cb-11ec-bf63-0242ac130002",
            }
        ],
    }
    verdict = await checked(signed(made | {"credentialSubject": subject, "partial": True}))
    assert results(verdict) | {"form": "valid", "properties": "valid", "proof": "valid"} == results(verdict)


async def test_1edtechs_own_signed_record_is_valid_and_no_changed_one_is():
    given = (Path(__file__).parent / "data/clr-simple.json").read_text()
    signed_by = json.loads(given)
    (inner,) = signed_by["credentialSubject"]["verifiableCredential"]
    world = World()
    for method in (signed_by["proof"][0]["verificationMethod"], inner["proof"][0]["verificationMethod"]):
        issuer, _, key = method.partition("#")
        about = {"id": method, "type": "Multikey", "controller": issuer, "publicKeyMultibase": key}
        profile = {"id": issuer, "verificationMethod": [about], "assertionMethod": [method]}
        world.at[issuer] = as_text(profile).encode()
    assert {check.result for check in (await checked(given.encode(), world)).checks} == {"valid"}
    for old, new in (("Teamwork", "Surgery"), ("Sample", "Real"), ("isParentOf", "isChildOf")):
        assert (await checked(given.replace(old, new).encode(), world)).result == "invalid"
