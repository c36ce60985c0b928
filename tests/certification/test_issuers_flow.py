"""A DID of an organisation's own domain: declared, taken once the document is there, and issued by."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.certification.app import core, router
from services.certification.credentials import contexts, endorsing, keyforms, keys, lists, proofs
from services.certification.credentials.checks import Found
from services.certification.verification import api as verification_api
from shared.contract.events import LearnerErased, OrganisationKind
from shared.processing import mongo
from shared.processing.runner import Runner
from tests.certification import vc
from tests.certification.test_credentials_flow import certificate_of, credential, is_set, verified
from tests.certification.test_flow import publish_scheme
from tests.certification.test_recognition_flow import PUBLIC, got, grant, path, registered, withdraw
from tests.certification.vc import OTHER, World
from tests.making import event
from tests.stack import Running, running, until

COLLEGE, WORKS, MILL = "did:web:college.example", "did:web:works.example%3A8443:badges", "did:web:mill.example"
AT = {COLLEGE: "https://college.example/.well-known/did.json", WORKS: "https://works.example:8443/badges/did.json"}
AT[MILL] = "https://mill.example/.well-known/did.json"


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        college = registered("uni", "North College", OrganisationKind.institution)
        await started.publish(college, registered("plant", "Works"), registered("mill", "Mill"), grant("plant"))
        await publish_scheme(started, "futures")
        await started.applied()
        yield started


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The internet, as far as it matters here."""
    found = World()

    async def fetch(_: httpx.AsyncClient, address: str, *, inside: bool) -> Found:
        return await found.fetch(address)

    monkeypatch.setattr(verification_api, "_fetch", fetch)
    return found


async def host(stack: Running, world: World, organisation: str, did: str) -> dict[str, Any]:
    """Put the document that we give out where the DID leads."""
    document: dict[str, Any] = await got(stack, f"/issuers/{organisation}/did.json", params={"did": did})
    world.at[AT[did]] = json.dumps(document).encode()
    return document


async def declare(stack: Running, organisation: str, did: str | None, kind: str = "institution", **more: Any) -> Any:
    headers = stack.token(organisation, kind) | {"Prefer": "wait=30"}
    body = {"did": did} | more
    return await stack.client.put(f"/issuers/{organisation}/did", json=body, headers=headers)


def why(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == "did"
    return str(error["detail"])


async def test_credentials_are_issued_by_the_institutions_domain_from_then_on(stack: Running, world: World):
    id = await certificate_of(stack, "before")
    before = await credential(stack, id)
    assert "does not answer" in why(await declare(stack, "uni", COLLEGE))
    document = await host(stack, world, "uni", COLLEGE)
    assert document["id"] == COLLEGE
    declared = await declare(stack, "uni", COLLEGE)
    assert declared.json()["issues_by"] == COLLEGE, declared.text
    new_id = await certificate_of(stack, "after")
    new = json.loads(await credential(stack, new_id))
    assert new["issuer"]["id"] == new["credentialSubject"]["achievement"]["creator"]["id"] == COLLEGE
    assert new["proof"]["verificationMethod"].startswith(f"{COLLEGE}#")
    assert await credential(stack, id) == before
    for form, kind in (("credential.json", "application/vc"), ("credential.jwt", "application/vc+jwt")):
        found = await verified(stack, await credential(stack, new_id, form), kind)
        assert found["result"] == "valid", found
        assert "North College, an organisation of this network" in str(found["checks"])
    headers = stack.token("uni", "institution") | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{new_id}/revocation", json={"reason": "x"}, headers=headers)

    async def is_revoked() -> bool:  # a list may be a second old
        of_list = await got(stack, path(new["credentialStatus"]["statusListCredential"]))
        assert of_list["issuer"] == COLLEGE
        return is_set(of_list, new)

    await until(is_revoked)
    found = await verified(stack, json.dumps(new).encode())
    assert [c["check"] for c in found["checks"] if c["result"] == "invalid"] == ["status"], found

    back = await declare(stack, "uni", None)
    assert back.json() == {
        "id": "uni",
        "issues_by": "did:web:praktika.example:issuers:uni",
        "did": None,
        "own_key": False,
        "dids": [COLLEGE],
    }
    assert json.loads(await credential(stack, new_id)) == new
    assert is_set(await got(stack, path(new["credentialStatus"]["statusListCredential"])), new)
    for other in ("/issuers/uni/status/1/did:web:other.example", "/issuers/nobody/status/1/did:web:college.example"):
        assert (await stack.client.get(other)).status_code == 404


async def test_what_is_declared_is_the_same_after_a_rebuild(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory, world: World
):
    folder = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as stack:
        await stack.publish(registered("uni", "North College", OrganisationKind.institution))
        await publish_scheme(stack, "futures")
        await host(stack, world, "uni", COLLEGE)
        assert (await declare(stack, "uni", COLLEGE)).status_code == 200
        id = await certificate_of(stack, "lasting")
        before = await credential(stack, id)
        assert stack.service.runner is not None
        await stack.service.runner.stop()
        await stack.service.db.client.drop_database(stack.service.db.name)
        await mongo.ensure_indexes(stack.service.db, core.indexes, core.generation)
        again = Runner(core, stack.settings, mongo.Store(stack.service.db), stack.service.producer, stack.service.log)
        again.start()
        await stack.applied()
        assert await credential(stack, id) == before
        assert (await verified(stack, before))["result"] == "valid"
        await again.stop()


async def test_endorsements_are_issued_by_the_enterprises_domain(stack: Running, world: World):
    await host(stack, world, "plant", WORKS)
    assert (await declare(stack, "plant", WORKS, "enterprise")).status_code == 200
    address = "/endorsements/plant/greencomp:3.1/schemes/futures"
    document = await got(stack, address)
    assert document["issuer"]["id"] == WORKS
    found = await verified(stack, json.dumps(document).encode())
    assert found["result"] == "valid", found
    await stack.publish(withdraw("plant"))
    await stack.applied()
    revocations = await got(stack, path(document["credentialStatus"]["id"]))
    assert (revocations["id"], revocations["issuer"]) == (document["credentialStatus"]["id"], WORKS)
    assert (await verified(stack, json.dumps(document).encode()))["result"] == "invalid"
    assert (await stack.client.get("/issuers/plant/revocations/did:web:other.example")).status_code == 404


async def test_a_domain_that_does_not_have_our_keys_is_refused_and_nothing_changes(stack: Running, world: World):
    document = await host(stack, world, "mill", COLLEGE)

    async def tried(**changes: Any) -> str:
        world.at[AT[COLLEGE]] = json.dumps(document | changes).encode()
        return why(await declare(stack, "mill", COLLEGE, "enterprise"))

    first, second = document["verificationMethod"]
    assert "about another issuer" in await tried(id="did:web:other.example")
    assert "does not have the key" in await tried(verificationMethod=[first])
    assert "not (any more) one to assert" in await tried(assertionMethod=[])
    swapped = first | {"publicKeyMultibase": second["publicKeyMultibase"]}
    assert "another one there" in await tried(verificationMethod=[swapped, second])
    assert "no JWK" in await tried(verificationMethod=[{"id": first["id"], "publicKeyJwk": {}}, second])
    world.at[AT[COLLEGE]] = b"<html>"
    assert "no JSON object" in why(await declare(stack, "mill", COLLEGE, "enterprise"))
    for wrong in ("college.example", "did:key:z6Mk", "did:web:a/b", "did:web:", "did:web:КОЛЛЕДЖ"):
        assert "must be the DID of a domain" in why(await declare(stack, "mill", wrong, "enterprise"))
    own = "did:web:praktika.example:issuers:uni"
    assert "network's address" in why(await declare(stack, "mill", own, "enterprise"))
    assert (await got(stack, "/issuers/mill/did"))["issues_by"] == "did:web:praktika.example:issuers:mill"


async def test_a_domain_is_of_one_organisation_and_declared_by_itself(stack: Running, world: World):
    await host(stack, world, "uni", COLLEGE)
    assert (await declare(stack, "uni", COLLEGE)).status_code == 200
    await host(stack, world, "mill", COLLEGE)
    assert "another organisation's" in why(await declare(stack, "mill", COLLEGE, "enterprise"))
    stranger = stack.token("mill", "enterprise")
    answer = await stack.client.put("/issuers/uni/did", json={"did": None}, headers=stranger)
    assert answer.status_code == 403
    assert (await stack.client.put("/issuers/uni/did", json={"did": None})).status_code == 401
    assert (await stack.client.get("/issuers/nobody/did")).status_code == 404
    assert (await declare(stack, "uni", None)).status_code == 200


async def test_after_a_rotation_the_document_has_to_be_there_anew(stack: Running, world: World):
    await host(stack, world, "uni", COLLEGE)
    keys.rotate(stack.settings)
    assert "does not have the key" in why(await declare(stack, "uni", COLLEGE))
    await host(stack, world, "uni", COLLEGE)
    assert (await declare(stack, "uni", COLLEGE)).status_code == 200
    assert (await declare(stack, "uni", None)).status_code == 200


ADDRESS = "/endorsements/mill/greencomp:2.1/schemes/systems"


def own_document(key: Any = OTHER, alias: str = "did:web:praktika.example:issuers:mill") -> bytes:
    """The DID document of an enterprise with a key of its own."""
    method = {"id": f"{MILL}#1", "type": "Multikey", "controller": MILL}
    method["publicKeyMultibase"] = keyforms.multikey(key.public_key())
    content = {"id": MILL, "verificationMethod": [method], "assertionMethod": [f"{MILL}#1"], "alsoKnownAs": [alias]}
    return json.dumps(content).encode()


def own(of: str = f"{PUBLIC}/schemes/systems", issuer: str = MILL, key: Any = OTHER, **changes: Any) -> Any:
    """An endorsement that the enterprise has signed itself."""
    content = {
        "@context": [contexts.V2, contexts.OB],
        "id": "https://mill.example/endorsements/1",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": {"id": issuer, "type": ["Profile"], "name": "Mill"},
        "validFrom": "2026-06-01T00:00:00Z",
        "name": "We take it for good",
        "credentialSubject": {"id": of, "type": ["EndorsementSubject"]},
    } | changes
    method = f"{MILL}#1" if issuer == MILL else vc.method_of(key)
    return proofs.signed(content, key, method, "2026-06-01T00:00:00Z")


async def test_an_enterprise_signs_its_endorsements_itself_with_a_key_of_its_own(stack: Running, world: World):
    headers = stack.token("mill", "enterprise")
    put = "/recognitions/greencomp:2.1/endorsement"
    await publish_scheme(stack, "systems", competency="greencomp:2.1")
    await stack.publish(grant("mill", "greencomp:2.1"))
    await stack.applied()
    ours = await got(stack, ADDRESS)
    assert (await stack.client.put(put, json=own(), headers=headers)).status_code == 409
    world.at[AT[MILL]] = own_document(alias="did:web:praktika.example:issuers:plant")
    assert "alsoKnownAs" in why(await declare(stack, "mill", MILL, "enterprise", own_key=True))
    assert "is missing" in why(await declare(stack, "mill", None, "enterprise", own_key=True))
    world.at[AT[MILL]] = own_document()
    assert (await declare(stack, "mill", MILL, "enterprise", own_key=True)).status_code == 200
    assert (await got(stack, ADDRESS)) == ours, "until it has signed one itself, we do in its name"
    for wrong, field in (
        (own() | {"name": "More"}, "proof"),
        (own(issuer=vc.did_of(OTHER)), "issuer"),
        (own(of="https://college.example/schemes/systems"), "credentialSubject.id"),
        (own(of=f"{PUBLIC}/schemes/%73ystems"), "credentialSubject.id"),
        (own(validUntil="2026-07-01T00:00:00Z"), "dates"),
        (vc.signed(vc.badge()), "type"),
        ("x", "form"),
    ):
        answer = await stack.client.put(put, json=wrong, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    for of in ("schemes/futures", "certificates/nothing"):
        assert (await stack.client.put(put, json=own(of=f"{PUBLIC}/{of}"), headers=headers)).status_code == 404
    large = await stack.client.put(put, content=b" " * 70_000, headers=headers)
    assert large.status_code == 413
    answer = await stack.client.put(put, json=own(), headers=headers)
    assert answer.json() == {"address": f"{PUBLIC}{ADDRESS}".replace("p:2", "p%3A2")}
    assert await got(stack, ADDRESS) == own()
    assert (await got(stack, "/schemes/systems/achievement.json"))["endorsement"] == [own()]
    found = await verified(stack, json.dumps(await got(stack, ADDRESS)).encode())
    assert found["result"] == "valid", found
    assert "Mill, an organisation of this network" in str(found["checks"])
    assert (await stack.client.get(ADDRESS, params={"format": "jwt"})).status_code == 404
    assert (await stack.client.delete(put, headers=headers)).status_code == 204
    assert await got(stack, ADDRESS) == ours
    await stack.client.put(put, json=own(), headers=headers)
    assert (await declare(stack, "mill", None, "enterprise")).status_code == 200
    assert await got(stack, ADDRESS) == ours
    institution = stack.token("uni", "institution")
    assert (await stack.client.put(put, json=own(), headers=institution)).status_code == 403


async def test_what_was_signed_for_an_erased_learners_certificate_is_forgotten(stack: Running, world: World):
    id = await certificate_of(stack, "leaving")
    await credential(stack, id)
    await stack.publish(grant("mill", certificate=id))
    world.at[AT[MILL]] = own_document()
    assert (await declare(stack, "mill", MILL, "enterprise", own_key=True)).status_code == 200
    headers = stack.token("mill", "enterprise")
    signed = own(of=f"{PUBLIC}/certificates/{id}")
    answer = await stack.client.put("/recognitions/greencomp:3.1/endorsement", json=signed, headers=headers)
    assert answer.status_code == 200, answer.text
    assert signed in await got(stack, f"/certificates/{id}/endorsements")
    kept = stack.service.store.home[endorsing.OWN]
    await lists.note_erased(stack.service, {})
    assert await kept.find_one({"certificate": id})
    await stack.publish(event(LearnerErased(), "leaving"))
    await stack.applied()
    await lists.note_erased(stack.service, {})
    assert not await kept.find_one({"certificate": id})
    of_one = endorsing.named("certificates", id)
    assert (await stack.client.get(f"/endorsements/mill/greencomp:3.1/certificates/{of_one}")).status_code == 404
    assert (await declare(stack, "mill", None, "enterprise")).status_code == 200
