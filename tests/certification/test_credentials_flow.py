"""Credentials of a running service: issued, signed, listed, revoked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.certification import app
from services.certification.app import core, router
from services.certification.credentials import keyforms, keys, lists, proofs, status
from services.certification.credentials.baking import unbake_png, unbake_svg
from shared.contract.events import LearnerErased, OrganisationKind, OrganisationRegistered
from shared.processing import mongo
from shared.processing.runner import Runner
from tests.certification.test_flow import certified, exam, publish_scheme
from tests.making import event
from tests.stack import Running, running, until

PUBLIC = "https://praktika.example"


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="North <College>", region="north")
        await started.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(started, "futures")
        yield started


async def certificate_of(stack: Running, learner: str) -> str:
    await stack.publish(*exam(learner))
    (id,) = await until(lambda: certified(stack, learner))
    await stack.applied()
    return str(id)


async def credential(stack: Running, id: str, form: str = "credential.json") -> bytes:
    answer = await stack.client.get(f"/certificates/{id}/{form}", headers=stack.token("uni", "institution"))
    assert answer.status_code == 200, answer.text
    return answer.content


async def status_list(stack: Running) -> dict[str, object]:
    answer = await stack.client.get("/issuers/uni/status/1")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def is_set(of_list: dict, document: dict) -> bool:
    bits = status.decoded(of_list["credentialSubject"]["encodedList"])
    return bool(status.bits_at(bits, int(document["credentialStatus"]["statusListIndex"])))


async def test_a_credential_is_issued_once_and_is_the_same_for_all_who_ask_at_the_same_time(stack: Running):
    id = await certificate_of(stack, "one")
    found = await asyncio.gather(*(credential(stack, id) for _ in range(8)))
    assert len(set(found)) == 1
    document = json.loads(found[0])
    assert document["id"] == f"{PUBLIC}/certificates/{id}"
    assert document["issuer"] == {
        "id": "did:web:praktika.example:issuers:uni",
        "type": ["Profile"],
        "name": "North <College>",
    }
    assert "one" not in found[0].decode().replace("one or", "")
    issued = [
        e for r in await stack.read("learner") if (e := json.loads(r.value))["type"] == "praktika.certificate.issued.v1"
    ]
    assert {json.dumps(e, sort_keys=True) for e in issued if e["subject"] == id} == {
        json.dumps(issued[-1], sort_keys=True)
    }


async def test_its_proof_is_right_by_the_key_that_the_issuers_did_names(stack: Running):
    document = json.loads(await credential(stack, await certificate_of(stack, "proven")))
    did = (await stack.client.get("/issuers/uni/did.json")).json()
    method = next(m for m in did["verificationMethod"] if m["id"] == document["proof"]["verificationMethod"])
    assert method["id"] in did["assertionMethod"]
    found, (proven,) = proofs.examine(document)
    assert not found.unsigned
    signature = keyforms.unmultibase(document["proof"]["proofValue"])
    assert keyforms.verifies(keyforms.key_of(method), signature, proven.data)


async def test_the_pictures_have_the_same_credential_in_them(stack: Running):
    id = await certificate_of(stack, "pictured")
    plain = (await credential(stack, id)).decode()
    assert unbake_png(await credential(stack, id, "badge.png")) == plain
    assert unbake_svg(await credential(stack, id, "badge.svg")) == plain


async def test_a_revoked_credential_is_set_on_its_list_and_others_are_not(stack: Running):
    revoked, kept = [json.loads(await credential(stack, await certificate_of(stack, each))) for each in ("bad", "good")]
    assert not is_set(await status_list(stack), revoked)
    id = revoked["id"].rpartition("/")[2]
    headers = stack.token("uni", "institution") | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=headers)

    async def is_revoked() -> bool:
        return is_set(await status_list(stack), revoked)

    await until(is_revoked)
    of_list = await status_list(stack)
    assert not is_set(of_list, kept)
    assert of_list["id"] == revoked["credentialStatus"]["statusListCredential"]
    assert of_list["issuer"] == revoked["issuer"]["id"]
    assert not proofs.examine(of_list)[0].unsigned


async def test_a_list_has_an_etag_and_is_not_sent_again(stack: Running):
    first = await stack.client.get("/issuers/uni/status/1")
    again = await stack.client.get("/issuers/uni/status/1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_an_erased_learners_credential_is_revoked_and_forgotten(stack: Running):
    document = json.loads(await credential(stack, await certificate_of(stack, "leaving")))
    before = await lists.note_erased(stack.service, {})
    await stack.publish(event(LearnerErased(), "leaving"))
    await stack.applied()
    assert before["uni"] > 0
    await lists.note_erased(stack.service, before)

    async def is_revoked() -> bool:
        return is_set(await status_list(stack), document)

    await until(is_revoked)


async def test_lists_and_keys_are_served_while_the_database_is_away(stack: Running, monkeypatch: pytest.MonkeyPatch):
    before, did = await status_list(stack), (await stack.client.get("/issuers/uni/did.json")).json()

    async def away(*_: object) -> None:
        raise mongo.DatabaseError("away")

    monkeypatch.setattr(lists, "_revoked", away)
    monkeypatch.setattr(lists, "KEPT_S", 0.0)
    monkeypatch.setattr(stack.service, "by_id", away)
    assert await status_list(stack) == before
    assert (await stack.client.get("/issuers/uni/did.json")).json() == did


async def test_only_the_institution_and_the_operator_have_a_certificates_credential(stack: Running):
    id = await certificate_of(stack, "private")
    address = f"/certificates/{id}/credential.json"
    assert (await stack.client.get(address)).status_code == 401
    assert (await stack.client.get(address, headers=stack.token("other", "institution"))).status_code == 403
    assert (await stack.client.get(address, headers=stack.token("operator", "operator"))).status_code == 200
    nothing = await stack.client.get("/certificates/nothing/credential.json", headers=stack.token("uni", "institution"))
    assert nothing.status_code == 404
    assert (await stack.client.get("/issuers/nobody/did.json")).status_code == 404
    assert (await stack.client.get("/issuers/nobody/status/1")).status_code == 404
    assert (await stack.client.get("/issuers/uni/status/2")).status_code == 404


async def test_after_a_rotation_new_credentials_have_a_new_key_and_old_ones_are_as_they_were(stack: Running):
    id = await certificate_of(stack, "before")
    old = await credential(stack, id)
    new_key = keys.rotate(stack.settings)
    try:
        assert await credential(stack, id) == old
        did = (await stack.client.get("/issuers/uni/did.json")).json()
        assert f"{did['id']}#{new_key}" in did["assertionMethod"]
        assert json.loads(old)["proof"]["verificationMethod"] in did["assertionMethod"]
    finally:
        (keys.folder(stack.settings) / keys.FILE).touch()


async def test_a_new_database_gives_the_same_credentials(kafka: str, mongodb: str, tmp_path: Path):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        await publish_scheme(stack, "futures")
        id = await certificate_of(stack, "lasting")
        before = [await credential(stack, id, form) for form in ("credential.json", "credential.jwt", "badge.png")]
        assert stack.service.runner is not None
        await stack.service.runner.stop()
        await stack.service.db.client.drop_database(stack.service.db.name)
        await mongo.ensure_indexes(stack.service.db, core.indexes)
        again = Runner(core, stack.settings, mongo.Store(stack.service.db), stack.service.producer)
        again.start()
        await stack.applied()
        after = [await credential(stack, id, form) for form in ("credential.json", "credential.jwt", "badge.png")]
        await again.stop()
    assert after == before


def test_the_service_keeps_its_lists() -> None:
    assert app.work == (lists.keep_lists,)
