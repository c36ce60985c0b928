"""What a learner does by the link: a file with a name in it, all certificates as one, the public page, erasure."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import Response

from services.certification.app import core, router
from services.certification.credentials import holders, issuing, jwts, keyforms
from services.certification.credentials.baking import unbake_png, unbake_svg
from services.certification.credentials.checks import read_json
from services.certification.learners import choices
from services.certification.schemes.rules import erasures_requested, is_hidden
from services.certification.verification.api import about
from shared.contract.events import (
    AssessmentMethod,
    AssessmentRecorded,
    CertificateHidden,
    CertificateShown,
    Data,
    LearnerEnrolled,
    LearnerErased,
    LearnerErasureRequested,
    LearnerShared,
    OrganisationKind,
    OrganisationRegistered,
)
from shared.processing import facts
from tests.certification.test_credentials_flow import (
    FROM_HERE,
    PUBLIC,
    certificate_of,
    credential,
    is_set,
    link_to,
    publish_scheme,
    status_list,
)
from tests.certification.test_flow import certified, ending_scheme
from tests.certification.vc import KEY, OTHER, did_of
from tests.making import NOON, after, event
from tests.stack import Running, running, until

NAME, DID = "Мария “Тест” О'Нил 🔧", did_of(KEY)
UNI = {"organisation": "uni", "kind": "institution"}


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="North <College>", region="north")
        await started.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(started, "futures")
        yield started


async def send(stack: Running, path: str, form: dict[str, str] | None = None, **headers: str) -> Response:
    """Send a form of the learner's page; one of a button alone has no fields."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await stack.client.post(path, data=form or None, headers=FROM_HERE | kind | headers)


async def copied(stack: Running, path: str, form: str, name: str = NAME, did: str = DID) -> bytes:
    answer = await send(stack, f"{path}/copy", {"name": name, "did": did, "form": form})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


async def said(stack: Running, learner: str, type: str) -> list[dict[str, Any]]:
    found = [json.loads(record.value) for record in await stack.read("learner") if record.key == learner.encode()]
    return [each for each in found if each["type"] == f"praktika.{type}.v1"]


async def verdict(stack: Running, content: bytes, media_type: str, recipient: str = "") -> dict[str, Any]:
    headers = {"Content-Type": media_type}
    query = {"recipient": recipient} if recipient else {}
    answer = await stack.client.post("/verify", params=query, content=content, headers=headers)
    return dict(answer.json())


# copies


async def test_a_copy_has_the_name_and_the_did_in_each_form_and_is_the_same_each_time(stack: Running):
    id = await certificate_of(stack, "named")
    path, plain = await link_to(stack, id), json.loads(await credential(stack, id))
    assert issuing.FORMS
    for form, media_type in issuing.FORMS.items():
        content = await copied(stack, path, form)
        assert content == await copied(stack, path, form)
        assert (await verdict(stack, content, media_type, DID))["result"] == "valid", form
        assert (await verdict(stack, content, media_type, DID))["result"] == "valid", form
        assert (await verdict(stack, content, media_type, did_of(OTHER)))["result"] == "invalid", form
    copy = json.loads(await copied(stack, path, "credential.json"))
    assert unbake_png(await copied(stack, path, "badge.png")) == unbake_svg(await copied(stack, path, "badge.svg"))
    assert json.loads(unbake_png(await copied(stack, path, "badge.png"))) == copy
    subject = copy["credentialSubject"]
    assert subject.pop("id") == DID
    assert subject["identifier"].pop() == {
        **{"type": "IdentityObject", "hashed": False, "identityHash": NAME, "identityType": "name"}
    }
    assert copy.pop("proof")["proofValue"] != plain.pop("proof")["proofValue"]
    assert copy == plain, "all else is as it was: the number, the status, the id"
    assert json.loads(await credential(stack, id))["credentialSubject"] == plain["credentialSubject"]


async def test_who_checks_a_copy_sees_the_name_in_it(stack: Running):
    path = await link_to(stack, await certificate_of(stack, "shown"))
    for form, media_type in (("badge.png", "image/png"), ("record.jwt", "text/plain")):
        content = await copied(stack, path, form, "<b>Named</b> Person")
        page = await stack.client.post("/verify/file", files={"file": (form, content, media_type)}, headers=FROM_HERE)
        assert (page.status_code, "&lt;b&gt;Named&lt;/b&gt; Person" in page.text) == (200, True), form
        assert "It is real and valid." in page.text
        assert "the institution has not checked it" in page.text
    for identity in ({"hashed": False, "identityType": "name"}, {"hashed": True, "identityHash": "x"}, 7):
        assert about({"credentialSubject": [{"identifier": [identity]}]})["holder"] == ""


async def test_who_types_anothers_code_as_a_name_is_not_that_one(stack: Running):
    path = await link_to(stack, await certificate_of(stack, "mallory"))
    content = await copied(stack, path, "credential.json", "alice", did="")
    for recipient, result in (("alice", "invalid"), ("mallory", "valid")):
        found = await verdict(stack, content, "application/json", recipient)
        (check,) = (each for each in found["checks"] if each["check"] == "recipient")
        assert (check["result"], found["result"]) == (result, result)


async def test_a_record_has_no_certificate_that_has_ended(stack: Running):
    await stack.publish(ending_scheme("ended"))
    path = await link_to(stack, await certificate_of(stack, "partly"))
    data = AssessmentRecorded(competency="greencomp:2.3", method=AssessmentMethod.exam, score=0.9)
    await stack.publish(event(data, "long-ago", "partly", time=datetime.now(UTC) - timedelta(days=500)))

    async def both() -> bool:
        return len(await certified(stack, "partly")) == 2

    await until(both)
    await stack.applied()
    record = json.loads(await copied(stack, path, "record.json"))
    assert len(record["credentialSubject"]["verifiableCredential"]) == 1
    assert (await verdict(stack, json.dumps(record).encode(), "application/json"))["result"] == "valid"


async def test_a_name_alone_and_a_did_alone_will_do(stack: Running):
    path = await link_to(stack, await certificate_of(stack, "half-named"))
    by_name = json.loads(await copied(stack, path, "credential.json", did=""))["credentialSubject"]
    by_did = json.loads(await copied(stack, path, "credential.json", name=""))["credentialSubject"]
    assert ("id" in by_name, len(by_name["identifier"])) == (False, 2)
    assert (by_did["id"], len(by_did["identifier"])) == (DID, 1)


async def test_nothing_of_a_copy_is_kept(stack: Running, capfd: pytest.CaptureFixture[str]):
    name, did = "Unheard-of Name 4711", did_of(OTHER)
    path = await link_to(stack, await certificate_of(stack, "secret"))
    await copied(stack, path, "record.json", name, did)
    await copied(stack, path, "badge.png", name, did)
    await send(stack, f"{path}/copy", {"name": name, "did": "did:nothing:x", "form": "badge.png"})
    await until(lambda: collected(stack, "secret"))

    async def noted() -> list[str]:
        found = [str(record.value) for record in await stack.read("audit")]
        return found if any("POST /collect/{token}/copy" in text for text in found) else []

    texts: list[str] = await until(noted)
    texts += [str(record.value) for record in await stack.read("learner")]
    for db in (stack.service.db, stack.service.store.home):
        texts += [str(each) async for each in everything(db)]
    texts += capfd.readouterr()
    assert any("secret" in text for text in texts)
    assert not [text for text in texts if "Unheard" in text or did in text]
    assert not [text for text in texts if path.rpartition("/")[2] in text], "nor the link"


async def everything(db: Any) -> AsyncIterator[Any]:
    for name in await db.list_collection_names():
        async for doc in db[name].find():
            yield doc


async def collected(stack: Running, learner: str) -> bool:
    doc = await stack.service.db["learners"].find_one({"_id": learner})
    return bool(doc and facts.facts(doc["state"], "certificate.collected"))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "x" * 201, "200 characters"),
        ("name", "a\u202eb", "hidden characters"),
        ("name", "a\u200bb", "hidden characters"),
        ("name", "a\u00adb", "hidden characters"),
        ("name", "a\nb", "line breaks"),
        ("did", "did:example:x", "no DID that can be used here"),
        ("did", "did:key:zzz", "no DID that can be used here"),
        ("did", "did:jwk:e30", "no DID that can be used here"),
        ("did", "did:web:", "no DID that can be used here"),
        ("did", "did:web:x%", "no DID that can be used here"),
        ("did", "did:web:a/b", "no DID that can be used here"),
        ("did", "did:key:" + "z" * 2_000, "no DID that can be used here"),
        ("form", "badge.exe", "Choose a file"),
    ],
)
async def test_what_cannot_go_into_a_credential_is_said_beside_its_field(
    stack: Running, field: str, value: str, words: str
):
    path = await link_to(stack, await certificate_of(stack, "mistyped"))
    given = {"name": "Typed Name", "did": "", "form": "badge.png"} | {field: value}
    answer = await send(stack, f"{path}/copy", given)
    assert (answer.status_code, answer.headers["cache-control"]) == (422, "no-store")
    assert words in answer.text.partition(f'id="{field}-wrong"')[2].partition("</p>")[0]
    assert field == "name" or 'value="Typed Name"' in answer.text, "nothing typed is lost"


@pytest.mark.parametrize("did", [did_of(KEY), "did:web:learner.example:u:1", holders.did_of(OTHER.public_key())])
def test_dids_of_three_methods_are_taken(did: str):
    assert holders.is_did(did)


def test_a_did_with_a_private_key_is_refused():
    private = {**keyforms.jwk(KEY.public_key()), "d": keyforms.base64url(KEY.private_bytes_raw())}
    assert not holders.is_did(f"did:jwk:{keyforms.base64url(json.dumps(private).encode())}")


async def test_a_form_of_another_site_makes_no_copy_and_says_nothing(stack: Running):
    id = await certificate_of(stack, "crossed")
    path = await link_to(stack, id)
    given = {"name": NAME, "form": "badge.png", "show": "no"}
    for what in ("copy", "public", "wallet"):
        answer = await send(stack, f"{path}/{what}", given, **{"Sec-Fetch-Site": "cross-site"})
        assert (answer.status_code, answer.headers["content-type"][:9]) == (403, "text/html"), what
    await send(stack, f"{path}/erasure", given, **{"Sec-Fetch-Site": "cross-site"})
    await stack.applied()
    for type in ("certificate.hidden", "certificate.collected", "learner.erasure_requested"):
        assert not await said(stack, "crossed", type)


async def test_a_link_that_leads_nowhere_does_nothing(stack: Running):
    for what in ("copy", "wallet", "public", "erasure"):
        assert (await send(stack, f"/collect/x.y.z/{what}", {"show": "no"})).status_code == 404
    assert (await stack.client.get("/collect/x.y.z/erasure")).status_code == 404
    again = await stack.client.get("/collect/x.y.z/wallet")
    assert (again.status_code, again.headers["location"]) == (303, "../x.y.z")


async def test_collecting_is_said_once(stack: Running):
    id = await certificate_of(stack, "once")
    path = await link_to(stack, id)
    assert (await stack.client.get(path)).status_code == 200
    await credential(stack, id)
    await stack.applied()
    assert not await said(stack, "once", "certificate.collected"), "looking at it is not taking it"
    for _ in range(2):
        assert (await stack.client.get(f"{path}/badge.png")).status_code == 200
        await until(lambda: collected(stack, "once"))
    (told,) = await said(stack, "once", "certificate.collected")
    assert (told["subject"], told["data"]) == (id, {})


# all as one


async def two_certificates(stack: Running, learner: str) -> list[str]:
    first = await certificate_of(stack, learner)
    await publish_scheme(stack, "systems", competency="greencomp:1.1")
    passed = AssessmentRecorded(competency="greencomp:1.1", method=AssessmentMethod.exam, score=0.9)
    await stack.publish(event(passed, f"{learner}-2", learner, time=NOON + timedelta(days=1)))

    async def second() -> list[str]:
        return [id for id in await certified(stack, learner) if id != first]

    (other,) = await until(second)
    await stack.applied()
    return [first, other]


async def test_all_valid_certificates_come_as_one_record(stack: Running):
    ids = await two_certificates(stack, "both")
    path = await link_to(stack, ids[0])
    page = await stack.client.get(path, headers=FROM_HERE)
    assert "record.json" in page.text
    content = (await stack.client.get(f"{path}/record.json")).content
    assert content == (await stack.client.get(f"{path}/record.json")).content
    record = json.loads(content)
    assert record["type"] == ["VerifiableCredential", "ClrCredential"]
    inside = record["credentialSubject"]["verifiableCredential"]
    assert inside == [json.loads(await credential(stack, id)) for id in ids], "each as it is by itself"
    found = await verdict(stack, content, "application/json", "both")
    assert [check["result"] for check in found["checks"] if check["check"] == "credential"] == ["valid", "valid"]
    assert found["result"] == "valid"
    as_jwt = (await stack.client.get(f"{path}/record.jwt")).content
    assert (await verdict(stack, as_jwt, "application/jwt"))["result"] == "valid"
    claims = jwts.parsed(as_jwt.decode(), read_json).claims
    assert claims["credentialSubject"] == record["credentialSubject"]
    held = json.loads(await copied(stack, path, "record.json"))
    subjects = [
        held["credentialSubject"],
        *(c["credentialSubject"] for c in held["credentialSubject"]["verifiableCredential"]),
    ]
    assert {subject["id"] for subject in subjects} == {DID}
    assert (await verdict(stack, json.dumps(held).encode(), "application/json", DID))["result"] == "valid"
    changed = json.loads(content)
    changed["credentialSubject"]["verifiableCredential"].pop()
    assert (await verdict(stack, json.dumps(changed).encode(), "application/json"))["result"] == "invalid"


async def test_a_record_is_invalid_once_a_certificate_in_it_is_revoked_and_has_it_no_more(stack: Running):
    first, second = await two_certificates(stack, "revoked-one")
    path = await link_to(stack, first)
    content = (await stack.client.get(f"{path}/record.json")).content
    headers = stack.token(**UNI) | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{second}/revocation", json={"reason": "x"}, headers=headers)

    async def is_invalid() -> bool:
        return bool((await verdict(stack, content, "application/json"))["result"] == "invalid")

    await until(is_invalid)
    left = json.loads((await stack.client.get(f"{path}/record.json")).content)
    (inside,) = left["credentialSubject"]["verifiableCredential"]
    assert inside["id"].endswith(first)


async def test_a_credential_cannot_be_put_into_a_record_of_somebody_else(stack: Running):
    ids = await two_certificates(stack, "moved")
    record = json.loads((await stack.client.get(f"{await link_to(stack, ids[0])}/record.json")).content)
    forged = json.loads(json.dumps(record["credentialSubject"]["verifiableCredential"][0]))
    forged["name"] = "Surgery"
    record["credentialSubject"]["verifiableCredential"][0] = forged
    found = await verdict(stack, json.dumps(record).encode(), "application/json")
    assert found["result"] == "invalid"


# in public


async def switched(stack: Running, path: str, *, on: bool) -> None:
    answer = await send(stack, f"{path}/public", {"show": "yes" if on else "no"})
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].endswith("?done=shown" if on else "?done=hidden")


async def test_the_public_address_can_be_switched_off_and_on_again(stack: Running):
    id = await certificate_of(stack, "shy")
    path, address = await link_to(stack, id), f"/certificates/{id}"
    shown = (await stack.client.get(address)).json()
    await switched(stack, path, on=False)
    refused = await stack.client.get(address)
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    page = await stack.client.get(address, headers={"Accept": "text/html"})
    assert (page.status_code, "This certificate is not shown in public" in page.text) == (403, True)
    assert not [word for word in ("North", "greencomp", "futures") if word in page.text + refused.text]
    assert (await stack.client.get(f"{address}/endorsements")).status_code == 403
    recorded = await verdict(stack, f"{PUBLIC}{address}".encode(), "text/plain")
    assert [(c["check"], c["result"]) for c in recorded["checks"]] == [("network", "valid"), ("status", "unknown")]
    found = await stack.client.get("/certificates/check", params={"number": id})
    assert (found.status_code, found.headers["location"]) == (303, f"./{id}")
    assert "switched off" in (await stack.client.get(path, headers=FROM_HERE)).text
    for who in ({"organisation": "operator", "kind": "operator"}, UNI):
        assert (await stack.client.get(address, headers=stack.token(**who))).json() == shown
    for header in (stack.token("other", "institution"), {"Authorization": "Bearer x"}):
        assert (await stack.client.get(address, headers=header)).status_code == 403
    listed = (await stack.client.get("/certificates?limit=1000", headers=stack.token(**UNI))).json()["items"]
    assert [item["hidden"] for item in listed if item["id"] == id] == [True]
    file = (await stack.client.get(f"{path}/badge.png")).content
    assert (await verdict(stack, file, "image/png"))["result"] == "valid"
    document = json.loads(await credential(stack, id))
    assert not is_set(await status_list(stack), document)
    await switched(stack, path, on=True)
    assert (await stack.client.get(address)).json() == shown


async def test_who_has_a_link_cannot_fill_the_log_with_it(stack: Running):
    path = await link_to(stack, await certificate_of(stack, "restless"))
    for number in range(11):
        answer = await send(stack, f"{path}/public", {"show": "no" if number % 2 == 0 else "yes"})
    assert answer.headers["location"].endswith("?done=later")
    assert "Try again in a minute" in (await stack.client.get(f"{path}?done=later&lang=en")).text
    words = [*await said(stack, "restless", "certificate.hidden"), *await said(stack, "restless", "certificate.shown")]
    assert len(words) == 10


async def test_switching_twice_says_it_once(stack: Running):
    id = await certificate_of(stack, "twice")
    path = await link_to(stack, id)
    await switched(stack, path, on=True)
    for _ in range(2):
        await switched(stack, path, on=False)
    assert len(await said(stack, "twice", "certificate.hidden")) == 1
    assert not await said(stack, "twice", "certificate.shown")


def test_the_newest_word_counts_in_whatever_order_they_come():
    by = "service:certification"

    def word(data: Data, hours: int) -> Any:
        return event(data, "c", "l", by=by, time=NOON + timedelta(hours=hours))

    hidden, shown, again = word(CertificateHidden(), 1), word(CertificateShown(), 2), word(CertificateHidden(), 3)
    for events in ((hidden, shown), (shown, hidden), (shown, hidden, shown, hidden)):
        assert not is_hidden(after(facts.empty(), *events), "c")
    for events in ((hidden, shown, again), (again, shown, hidden), (shown, again, again, hidden)):
        assert is_hidden(after(facts.empty(), *events), "c")
    assert not is_hidden(facts.empty(), "c")


async def test_a_clock_that_runs_behind_does_not_keep_a_certificate_hidden(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    id = await certificate_of(stack, "clocks")
    path = await link_to(stack, id)
    await switched(stack, path, on=False)

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(minutes=5)

    monkeypatch.setattr(choices, "datetime", Behind)
    await switched(stack, path, on=True)
    assert (await stack.client.get(f"/certificates/{id}")).status_code == 200


# erasure


async def test_a_learner_asks_to_be_erased_after_a_question(stack: Running):
    id = await certificate_of(stack, "asking")
    path = await link_to(stack, id)
    question = await stack.client.get(f"{path}/erasure", headers=FROM_HERE)
    assert "North &lt;College&gt; is told that you want to be erased" in question.text
    assert not await said(stack, "asking", "learner.erasure_requested")
    for _ in range(2):
        answer = await send(stack, f"{path}/erasure")
        assert (answer.status_code, answer.headers["location"].endswith("?done=asked")) == (303, True)
    (told,) = await said(stack, "asking", "learner.erasure_requested")
    assert (told["subject"], told["partitionkey"], told["data"]) == ("asking", "asking", {"institution": "uni"})
    page = await stack.client.get(f"{path}?done=asked", headers=FROM_HERE)
    assert "Your institution was told" in page.text
    assert "you asked North &lt;College&gt; to be erased" in page.text
    doc = await stack.service.db["learners"].find_one({"_id": "asking"})
    assert [each["institution"] for each in doc["erasure_requested"]] == ["uni"]
    assert (await stack.client.get(f"/certificates/{id}")).status_code == 200, "asking erases nothing"
    await stack.publish(event(LearnerErased(), "asking"))
    await stack.applied()
    assert (await stack.client.get(path)).status_code == 404


def test_a_request_for_erasure_ends_with_the_institutions_part():
    asked = [LearnerErasureRequested(institution=of) for of in ("uni", "college")]
    uni, college = [event(LearnerEnrolled(programme=of), "l", by=f"institution:{of}") for of in ("uni", "college")]
    enrolled = (uni, event(LearnerShared(institution="college"), "l"), college)
    state = after(facts.empty(), *enrolled, *(event(each, "l", by="service:certification") for each in asked))
    assert [each["institution"] for each in erasures_requested(state)] == ["college", "uni"]
    assert [each["institution"] for each in erasures_requested(after(state, event(LearnerErased(), "l")))] == [
        "college"
    ]
