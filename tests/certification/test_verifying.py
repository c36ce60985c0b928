"""What verifying says of credentials: real ones, changed ones, and those that nobody can tell."""

import json
from typing import Any

import pytest

from services.certification.credentials import jwts, keyforms, status
from services.certification.credentials.badge import identity_hash
from services.certification.credentials.baking import PNG, as_text, bake_png, bake_svg
from services.certification.credentials.checks import Wrong
from services.certification.credentials.picture import png, svg
from services.certification.credentials.verifying import did_web_address
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
@pytest.mark.parametrize("form", forgeries())
async def test_nobody_speaks_for_another_by_saying_so(form: str, as_jwt: bool):
    method, there = forgeries()[form]
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
    def endorsement(key: Any, **changes: Any) -> dict[str, Any]:
        return {
            "@context": badge()["@context"],
            "id": "https://works.example/endorsements/1",
            "type": ["VerifiableCredential", "EndorsementCredential"],
            "issuer": {"id": did_of(key), "type": ["Profile"], "name": "Works"},
            "validFrom": "2026-06-01T00:00:00Z",
            "name": "Recognised",
            "credentialSubject": {"id": badge()["id"], "type": ["EndorsementSubject"], "endorsementComment": "Good."},
        } | changes

    good = signed(badge(endorsement=[signed(endorsement(OTHER), OTHER)]))
    verdict = await checked(good)
    assert (verdict.result, results(verdict)["endorsement"]) == ("valid", "valid"), verdict
    forged = signed(badge(endorsement=[signed(endorsement(OTHER), OTHER) | {"name": "More"}]))
    assert results(await checked(forged))["endorsement"] == "invalid"
    as_jwt = jwts.signed(endorsement(OTHER), OTHER, method_of(OTHER))
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
