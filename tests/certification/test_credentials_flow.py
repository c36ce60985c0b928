"""Credentials of a running service: issued, signed, listed, revoked."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import segno
from httpx import ASGITransport, AsyncClient
from PIL import Image

from services.certification import app
from services.certification.app import core, router
from services.certification.certificates.reads import find_learner
from services.certification.credentials import badge, issuing, keyforms, keys, links, lists, numbers, proofs, status
from services.certification.credentials.baking import as_text, unbake_png, unbake_svg
from shared.contract.events import (
    AssessmentMethod,
    AssessmentRecorded,
    CertificateIssued,
    LearnerErased,
    OrganisationKind,
    OrganisationRegistered,
)
from shared.http.application import create_app
from shared.http.problems import Problem
from shared.http.service import Service
from shared.processing import facts, mongo
from shared.processing.employment import months_later
from shared.processing.facts import DecodedEvent
from shared.processing.runner import Runner
from tests.certification import vc
from tests.certification.test_flow import certified, ending_scheme, exam, publish_scheme
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


async def test_a_credential_says_until_when_it_is_valid_and_is_not_afterwards(stack: Running):
    await stack.publish(ending_scheme("ending"))
    data = AssessmentRecorded(competency="greencomp:2.3", method=AssessmentMethod.exam, score=0.8)
    found = {}
    for learner, days in (("current", 30), ("over", 500)):
        at = datetime.now(UTC) - timedelta(days=days)
        await stack.publish(exam(learner)[0], event(data, f"exam-{learner}", learner, time=at))
        (id,) = await until(lambda learner=learner: certified(stack, learner))
        await stack.applied()
        content = await credential(stack, id)
        found[learner] = await verified(stack, content)
        until_when = json.loads(content)["validUntil"]
        assert until_when == f"{months_later(at.date(), 12).isoformat()}T23:59:59Z"
        jwt = (await credential(stack, id, "credential.jwt")).split(b".")[1]
        assert json.loads(keyforms.unbase64url(jwt.decode()))["exp"] == int(
            datetime.fromisoformat(until_when).timestamp()
        )
    assert (found["current"]["result"], found["over"]["result"]) == ("valid", "invalid")
    assert [c["check"] for c in found["over"]["checks"] if c["result"] == "invalid"] == ["dates"]


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


async def test_a_list_is_answered_from_memory_as_it_is_otherwise(stack: Running):
    usual = await stack.client.get("/issuers/uni/status/1")
    application = create_app(core, router, stack.settings, find=lists.find)
    application.state.service = stack.service
    async with AsyncClient(transport=ASGITransport(application), base_url="http://praktika.test") as client:
        for known in ({}, {"If-None-Match": usual.headers["etag"]}, {"If-None-Match": 'W/"another"'}):
            for path in ("/issuers/uni/status/1", "/issuers/uni/status/1?x=1", "/issuers/nobody/status/1"):
                quick, other = [await each.get(path, headers=known) for each in (client, stack.client)]
                assert (quick.status_code, quick.content, quick.headers) == (
                    other.status_code,
                    other.content,
                    other.headers,
                )


async def test_an_erased_learners_credential_is_revoked_and_forgotten(stack: Running):
    document = json.loads(await credential(stack, await certificate_of(stack, "leaving")))
    before = await lists.note_erased(stack.service, {})
    await stack.publish(event(LearnerErased(), "leaving"))
    await stack.applied()
    assert before["uni"] > 0
    id, home = document["id"].rpartition("/")[2], stack.service.store.home
    await links.revoke(stack.service, id)
    await lists.note_erased(stack.service, before)
    for name in (numbers.SAID, links.REVOKED):
        assert await home[name].find_one({"_id": id}) is None
    kept = await certificate_of(stack, "staying")
    await credential(stack, kept)
    await lists.note_erased(stack.service, before)
    assert await home[numbers.SAID].find_one({"_id": kept})

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
    with pytest.raises(Problem):  # asked by our own verifying, without the route's bounds
        await lists.signed_list(stack.service, "uni", 0)


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
        before = [await credential(stack, id, form) for form in issuing.FORMS]
        assert stack.service.runner is not None
        await stack.service.runner.stop()
        await stack.service.db.client.drop_database(stack.service.db.name)
        await mongo.ensure_indexes(stack.service.db, core.indexes)
        again = Runner(core, stack.settings, mongo.Store(stack.service.db), stack.service.producer, stack.service.log)
        again.start()
        await stack.applied()
        after = [await credential(stack, id, form) for form in issuing.FORMS]
        await again.stop()
    assert after == before


def test_erasures_are_noted_where_the_consumer_runs_and_lists_are_kept_where_they_are_served() -> None:
    assert (app.work, app.serving) == ((lists.note_erasures,), (lists.keep_lists,))


@pytest.mark.parametrize("looked_s", [0.001, 1.0, 2.0, 9.0])
def test_an_erasure_is_noted_within_a_minute_however_long_a_look_takes(looked_s: float):
    assert 2 * (lists._pause(looked_s) + looked_s) + looked_s <= 60


async def test_every_list_is_kept_by_a_process_that_only_answers(stack: Running, monkeypatch: pytest.MonkeyPatch):
    await credential(stack, await certificate_of(stack, "on-a-list"))
    counters = stack.service.store.home[numbers.COUNTERS]
    before = await counters.find_one_and_update({"_id": "uni"}, {"$set": {"next": status.ENTRIES + 1}})
    settings = stack.settings.model_copy(update={"role": "api"})
    application = create_app(core, router, settings, work=app.work, serving=app.serving)
    async with application.router.lifespan_context(application):
        service: Service = application.state.service

        async def kept() -> bool:
            return {("uni", 1, ""), ("uni", 2, "")} <= service.shared.get("status_lists", {}).keys()

        await until(kept)

        async def away(*_: object) -> None:
            raise mongo.DatabaseError("away")

        monkeypatch.setattr(lists, "_revoked", away)
        monkeypatch.setattr(lists, "KEPT_S", 0.0)
        assert json.loads(await lists.signed_list(service, "uni", 2))["id"].endswith("/status/2")
    await counters.replace_one({"_id": "uni"}, before)


async def verified(stack: Running, content: bytes, kind: str = "application/json", **query: str) -> dict[str, Any]:
    answer = await stack.client.post("/verify", content=content, headers={"Content-Type": kind}, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_our_own_credentials_verify_here_in_each_form_until_they_are_revoked(stack: Running):
    id = await certificate_of(stack, "checked")
    kinds = {"credential.json": "application/vc+ld+json", "credential.jwt": "application/vc+jwt"}
    kinds |= {"badge.png": "image/png", "badge.svg": "image/svg+xml", "certificate.pdf": "application/pdf"}
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


def qr_code(*texts: str, kind: str = "PNG") -> bytes:
    """A picture with QR codes beside each other, turned a little, as in a photograph."""
    whole = Image.new("L", (500 * len(texts), 500), 255)
    for number, text in enumerate(texts):
        one = io.BytesIO()
        segno.make(text, micro=False).save(one, kind="png", scale=6)
        whole.paste(Image.open(one).convert("L"), (500 * number + 40, 40))
    content = io.BytesIO()
    whole.rotate(4, fillcolor=255).convert("RGB").save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_the_qr_code_of_a_certificate_leads_to_it(stack: Running, kind: str):
    id = await certificate_of(stack, f"printed-{kind}")
    picture = qr_code(f"{PUBLIC}/certificates/{id}", kind=kind)
    page = await stack.client.post("/verify/file", files={"file": ("a", picture)}, headers=FROM_HERE)
    assert (page.status_code, page.headers["location"]) == (303, f"../certificates/{id}")
    found = await verified(stack, picture, f"image/{kind.lower()}")
    assert (found["result"], [c["check"] for c in found["checks"]]) == ("valid", ["network", "status", "dates"])
    headers = stack.token("uni", "institution") | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=headers)
    assert (await verified(stack, picture, f"image/{kind.lower()}"))["result"] == "invalid"
    unknown = f"{PUBLIC}/certificates/nobodys".encode()
    assert (await verified(stack, unknown, "text/plain"))["result"] == "invalid"


async def test_a_qr_code_that_leads_nowhere_is_said_to(stack: Running):
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    for picture in (
        qr_code("https://127.0.0.1/x"),
        qr_code("one", "two"),
        b"\xff\xd8\xff cut off",
        bomb.getvalue(),
    ):
        page = await stack.client.post("/verify/file", files={"file": ("a", picture)}, headers=FROM_HERE)
        assert (page.status_code, 'id="file-wrong"' in page.text) == (422, True)
        answer = await stack.client.post("/verify", content=picture, headers={"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")
    assert (await verified(stack, qr_code('{"a": 1}'), "image/png"))["result"] == "invalid"  # no credential, but read


@pytest.mark.parametrize(
    "content",
    [b"hello world", b"{", b"{}", b"[]", b"null", b"<svg/>", "привет".encode(), b"\x89PNG\r\n\x1a\n", b"a.b.c"],
)
@pytest.mark.parametrize("given", ["file", "text"])
async def test_the_page_says_of_whatever_it_is_given_that_it_is_no_certificate(
    stack: Running, content: bytes, given: str
):
    sent: dict[str, Any] = {"data": {"text": content.decode(errors="replace")}}
    if given == "file":
        sent = {"files": {"file": ("a", content)}}
    page = await stack.client.post("/verify/file", headers=FROM_HERE, params={"lang": "en"}, **sent)
    if content.startswith(b"\x89PNG") and given == "file":
        assert (page.status_code, 'id="file-wrong"' in page.text) == (422, True)
        return
    assert page.status_code == 200, page.text
    assert "It does not count." in page.text or "It could not be checked completely." in page.text


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
    for form in issuing.FORMS:
        assert f"/{form}" in page.text
        assert (await stack.client.get(f"{path}/{form}")).content == await credential(stack, id, form)
    assert (await stack.client.get(f"{path}x")).status_code == 404
    assert (await stack.client.delete(f"/certificates/{id}/link", headers=headers)).status_code == 204
    assert (await stack.client.get(path)).status_code == 404
    assert (await stack.client.get(f"{path}/badge.png")).status_code == 404


async def said_of(stack: Running, id: str) -> list[DecodedEvent]:
    """What the log says of a certificate's credential, in its order."""
    decoded = [facts.decode(record.value) for record in await stack.read("learner") if record.value]
    return [one for one in decoded if one.event_class is CertificateIssued and one.subject == id]


async def number_of(stack: Running, learner: str) -> int:
    """The number of a learner's credential, issued now."""
    id = await certificate_of(stack, learner)
    await credential(stack, id)
    return int((await said_of(stack, id))[-1].fact["data"]["number"])


async def lose_home(stack: Running) -> None:
    for name in (numbers.SAID, numbers.COUNTERS, numbers.READ, lists.FORGOTTEN):
        await stack.service.store.home[name].drop()


async def forget_that_it_was_issued(stack: Running, id: str) -> None:
    """As in a database that is being rebuilt, and has come as far as the certificate."""
    learners = stack.service.db["learners"]
    doc = await learners.find_one({"certificates.id": id})
    assert doc is not None
    del doc["state"]["facts"]["certificate.issued"]
    await learners.replace_one({"_id": doc["_id"]}, doc)


async def test_nothing_is_numbered_while_the_database_is_being_rebuilt(stack: Running, monkeypatch: pytest.MonkeyPatch):
    id = await certificate_of(stack, "rebuilt")
    await credential(stack, id)
    learner = await find_learner(stack.service.db, id)
    await lose_home(stack)
    await forget_that_it_was_issued(stack, id)

    async def comes_to_the_word(*_: object) -> None:
        await stack.service.db["learners"].replace_one({"_id": learner["_id"]}, learner)

    monkeypatch.setattr(stack.service, "current", comes_to_the_word)
    await credential(stack, id)
    assert len(await said_of(stack, id)) == 1


async def test_the_first_word_about_a_credential_counts_in_any_order(stack: Running, monkeypatch: pytest.MonkeyPatch):
    id = await certificate_of(stack, "twice")
    await credential(stack, id)
    await lose_home(stack)
    await forget_that_it_was_issued(stack, id)

    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr(stack.service, "current", at_once)
    await stack.client.get(f"/certificates/{id}/credential.json", headers=stack.token("uni", "institution"))
    first, second = await said_of(stack, id)
    assert first.fact["data"]["number"] != second.fact["data"]["number"]
    for order in ((first, second), (second, first)):
        state = facts.apply(facts.apply(facts.empty(), order[0]), order[1])
        assert facts.facts(state, "certificate.issued")[id] == first.fact


async def test_a_number_is_never_given_again_though_the_home_was_lost_and_its_learner_erased(stack: Running):
    before = await number_of(stack, "erased")
    await stack.publish(event(LearnerErased(), "erased"))
    await stack.applied()
    await lose_home(stack)
    assert await number_of(stack, "after-the-loss") == before + 1


async def test_numbers_go_on_behind_the_log_when_a_restored_counter_is_older(stack: Running):
    before = await number_of(stack, "newer")
    await stack.service.store.home[numbers.COUNTERS].update_one({"_id": "uni"}, {"$set": {"next": before}})
    stack.service.shared.clear()  # a process that was started
    assert await number_of(stack, "older") == before + 1


async def test_numbers_go_on_behind_what_is_about_to_be_said(stack: Running):
    before = await number_of(stack, "said")
    said = {"institution": "uni", "number": before + 5}
    await stack.service.store.home[numbers.SAID].insert_one({"_id": "about-to-be", "said": said})
    stack.service.shared.clear()
    assert await number_of(stack, "unsaid") == before + 6


async def link_to(stack: Running, id: str) -> str:
    """The path of a new link to a certificate."""
    answer = await stack.client.post(f"/certificates/{id}/link", headers=stack.token("uni", "institution"))
    return str(answer.json()["address"].removeprefix(PUBLIC))


async def test_a_learners_link_ends_after_90_days_and_a_new_one_is_given(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    id = await certificate_of(stack, "late")
    path = await link_to(stack, id)
    now = datetime.now(UTC)
    monkeypatch.setattr(links, "_now", lambda: now + timedelta(days=89))
    assert (await stack.client.get(path)).status_code == 200
    monkeypatch.setattr(links, "_now", lambda: now + timedelta(days=91))
    assert (await stack.client.get(path)).status_code == 404
    assert (await stack.client.get(await link_to(stack, id))).status_code == 200
    certificate, end, signature = path.rsplit(".", 2)
    longer = f"{certificate}.{int(end, 16) + 10**8:x}.{signature}"
    assert [(await stack.client.get(each)).status_code for each in (longer, "/collect/x", "/collect/x.y.z")] == [
        404
    ] * 3


async def test_links_outlive_a_rotation_and_end_when_keys_are_replaced(stack: Running):
    id, file = await certificate_of(stack, "linked"), keys.folder(stack.settings) / keys.FILE
    before, path = file.read_bytes(), await link_to(stack, id)
    try:
        keys.rotate(stack.settings)
        assert (await stack.client.get(path)).status_code == 200
        keys.rotate(stack.settings, withdraw=True)
        assert (await stack.client.get(path)).status_code == 404
        assert (await stack.client.get(await link_to(stack, id))).status_code == 200
    finally:
        file.write_bytes(before)


async def test_no_later_language_address_or_wording_changes_a_credential(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    id = await certificate_of(stack, "worded")
    before = await credential(stack, id)
    changed = {"credential_language": "ru", "public_url": "https://elsewhere.example"}
    assert stack.settings.credential_language != changed["credential_language"]
    monkeypatch.setattr(stack.service, "settings", stack.settings.model_copy(update=changed))
    monkeypatch.setattr(badge, "translated", lambda _, text: f"{text}!")
    assert await credential(stack, id) == before
    other = json.loads(await credential(stack, await certificate_of(stack, "worded-later")))
    assert other["id"].startswith("https://elsewhere.example/")
    assert other["credentialSubject"]["achievement"]["description"].endswith("!")


async def test_a_number_that_could_not_be_said_yet_is_not_taken_for_an_erased_one(stack: Running):
    id, home = await certificate_of(stack, "not-said-yet"), stack.service.store.home
    number = await numbers.draw(stack.service, "uni")
    await home[numbers.SAID].insert_one({"_id": id, "said": {"institution": "uni", "number": number}})
    try:
        await lists.note_erased(stack.service, {"uni": number + 1})
        forgotten = await home[lists.FORGOTTEN].find_one({"_id": "uni"})
        assert forgotten is None or number not in forgotten["numbers"]
    finally:
        await home[numbers.SAID].delete_one({"_id": id})


async def test_a_lost_home_knows_again_whose_learners_were_erased(stack: Running):
    id = await certificate_of(stack, "erased-before")
    document = json.loads(await credential(stack, id))
    await stack.publish(event(LearnerErased(), "erased-before"))
    await stack.applied()
    await lose_home(stack)
    assert not is_set(json.loads(await lists.signed_list(stack.service, "uni", 1)), document)
    await numbers.read_log(stack.service)
    await lists.note_erased(stack.service, await lists.note_erased(stack.service, {}))

    async def is_revoked() -> bool:
        return is_set(await status_list(stack), document)

    await until(is_revoked)
