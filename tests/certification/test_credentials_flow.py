"""Credentials of a running service: issued, signed, listed, revoked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.certification import app
from services.certification.app import core, router
from services.certification.credentials import keyforms, keys, lists, proofs, status
from services.certification.credentials.baking import as_text, unbake_png, unbake_svg
from shared.contract.events import LearnerErased, OrganisationKind, OrganisationRegistered
from shared.processing import mongo
from shared.processing.runner import Runner
from tests.certification import vc
from tests.certification.test_flow import certified, exam, publish_scheme
from tests.making import event
from tests.stack import Running, running, until

PUBLIC = "https://praktika.example"
FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


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


async def verified(stack: Running, content: bytes, kind: str = "application/json", **query: str) -> dict[str, Any]:
    answer = await stack.client.post("/verify", content=content, headers={"Content-Type": kind}, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_our_own_credentials_verify_here_in_each_form_until_they_are_revoked(stack: Running):
    id = await certificate_of(stack, "checked")
    kinds = {"credential.json": "application/vc+ld+json", "credential.jwt": "application/vc+jwt"}
    kinds |= {"badge.png": "image/png", "badge.svg": "image/svg+xml"}
    file = {"file": ("badge.json", await credential(stack, id))}
    page = await stack.client.post("/verify/file", files=file, headers=FROM_HERE, params={"lang": "en"})
    assert "It is real and valid." in page.text
    for form, kind in kinds.items():
        found = await verified(stack, await credential(stack, id, form), kind, recipient="checked")
        assert found["result"] == "valid", found
    assert {each["check"]: each["result"] for each in found["checks"]} == dict.fromkeys(
        ("form", "properties", "proof", "issuer", "status", "dates", "recipient", "network"), "valid"
    )
    assert (await verified(stack, await credential(stack, id), recipient="another"))["result"] == "invalid"
    headers = stack.token("uni", "institution") | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=headers)

    async def is_invalid() -> bool:
        found = await verified(stack, await credential(stack, id))
        return [c["check"] for c in found["checks"] if c["result"] == "invalid"] == ["status"]

    await until(is_invalid)


async def test_after_keys_were_replaced_what_they_signed_no_longer_counts_and_is_signed_anew(
    kafka: str, mongodb: str, tmp_path: Path
):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, public_url=PUBLIC) as stack:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="U", region="north")
        await stack.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(stack, "futures")
        id = await certificate_of(stack, "old")
        old = await credential(stack, id)
        keys.rotate(stack.settings, withdraw=True)
        assert (await verified(stack, old))["result"] == "invalid"
        new = await credential(stack, id)
        assert (await verified(stack, new))["result"] == "valid"
    assert json.loads(new) | {"proof": None} == json.loads(old) | {"proof": None}


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "file:///etc/passwd",
    ],
)
async def test_an_address_inside_is_not_asked_and_the_form_says_so(stack: Running, address: str):
    page = await stack.client.post("/verify/file", data={"address": address}, headers=FROM_HERE)
    assert page.status_code == 422
    assert 'id="address-wrong"' in page.text
    issuer = {"id": "did:web:127.0.0.1%3A1", "type": ["Profile"]}
    inside = vc.signed(vc.badge(issuer=issuer), method="did:web:127.0.0.1%3A1#k")
    assert (await verified(stack, as_text(inside).encode()))["result"] == "unknown"


async def test_the_page_takes_a_file_or_text_and_escapes_whatever_it_shows(stack: Running):
    hostile = vc.signed(vc.badge(name="<script>alert(1)</script>"))
    hostile["credentialSubject"]["achievement"]["name"] = '"><img src=x onerror=alert(1)>'
    hostile["<b>"] = "x"
    for sent in ({"files": {"file": ("a.json", as_text(hostile).encode())}}, {"data": {"text": as_text(hostile)}}):
        page = await stack.client.post("/verify/file", headers=FROM_HERE, **sent)
        assert page.status_code == 200
        assert not any(found in page.text for found in ("<script", "<img src=x", "<b>"))
    text = {"text": as_text(vc.signed(vc.badge()))}
    good = await stack.client.post("/verify/file", data=text, headers=FROM_HERE, params={"lang": "ru"})
    assert "Сертификат подлинный и действует" not in good.text  # for nobody vouches for this issuer
    assert good.text.count(vc.did_of(vc.KEY)) >= 2  # with the result, and beside the name that it gives itself
    for sent in ({"text": ""}, {"text": "{}", "address": "https://a.example"}):
        assert (await stack.client.post("/verify/file", data=sent, headers=FROM_HERE)).status_code == 422


async def test_what_is_no_credential_is_told_from_what_cannot_be_sent(stack: Running):
    assert (await verified(stack, b"{"))["result"] == "invalid"
    empty = await stack.client.post("/verify", content=b" ", headers={"Content-Type": "application/json"})
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (422, "body")
    assert (await stack.client.post("/verify", content=b"x")).status_code == 415
    large = await stack.client.post("/verify", content=b"x" * 1_000_001, headers={"Content-Type": "text/plain"})
    assert large.status_code == 413


async def test_a_learner_collects_with_a_link_until_it_is_revoked(stack: Running):
    id = await certificate_of(stack, "collecting")
    headers = stack.token("uni", "institution")
    address = (await stack.client.post(f"/certificates/{id}/link", headers=headers)).json()["address"]
    path = address.removeprefix(PUBLIC)
    page = await stack.client.get(path, params={"lang": "ru"})
    assert (page.status_code, "North &lt;College&gt;" in page.text, "collecting" in page.text) == (200, True, False)
    assert (await stack.client.get(f"{path}/badge.png")).content == await credential(stack, id, "badge.png")
    assert (await stack.client.get(f"{path}x")).status_code == 404
    assert (await stack.client.delete(f"/certificates/{id}/link", headers=headers)).status_code == 204
    assert (await stack.client.get(path)).status_code == 404
    assert (await stack.client.get(f"{path}/badge.png")).status_code == 404
