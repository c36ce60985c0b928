"""A webhook is sent its organisation's feed, signed, until it has it; and nothing makes us call our own network."""

import asyncio
import base64
import hashlib
import hmac
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.local.processes import ROOT
from services.partners.gateway.egress import deliveries, webhooks
from services.partners.gateway.egress.webhooks import FAILURES, WEBHOOKS, signature
from shared.http import addresses
from shared.http.addresses import NotAllowed, call, client, is_public, parsed
from tests.partners.conftest import as_, enrolled, publish
from tests.partners.receiver import Receiver, receiving
from tests.stack import Running, until


async def make(stack: Running, receiver: Receiver, organisation: str = "uni", **more: Any) -> dict[str, Any]:
    body = {"url": receiver.url} | more
    answer = await stack.client.post("/webhooks", json=body, headers=as_(organisation, stack))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def remove(stack: Running, made: dict[str, Any], organisation: str = "uni") -> None:
    answer = await stack.client.delete(f"/webhooks/{made['id']}", headers=as_(organisation, stack))
    assert answer.status_code == 204


async def arrived(receiver: Receiver, *events: dict[str, Any], times: int = 1) -> None:
    async def all_there() -> bool:
        return all(len(receiver.of(event["id"])) >= times for event in events)

    await until(all_there)


async def failures(stack: Running, made: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await stack.client.get(f"/webhooks/{made['id']}/failures", headers=as_("uni", stack))
    return answer.json()["items"]


def documented() -> Any:
    """The check that docs/feed.md gives to receivers."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs/feed.md").read_text(), re.DOTALL)
    assert found
    defined: dict[str, Any] = {}
    exec(found[1], defined)  # noqa: S102
    return defined["is_ours"]


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As Standard Webhooks tells a receiver to do it."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(text, expected) for version, text in given)


# what is sent


async def test_an_event_is_delivered_once_signed_and_as_it_is(connected: Running):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        events = [enrolled() for _ in range(10)]
        await publish(connected, "uni", *events)
        await arrived(receiver, *events)

        async def each_once() -> bool:  # of the feed, which may itself have an event twice
            shown = await connected.client.get(f"/webhooks/{made['id']}", headers=as_("uni", connected))
            return int(shown.json()["cursor"]) - int(made["cursor"]) == len(receiver.posts)

        await until(each_once)
        (asked,) = [request for request in receiver.requests if request.method == "OPTIONS"]
        assert (asked.headers["webhook-request-origin"], asked.headers["webhook-request-rate"]) == (
            "praktika.test",
            "600",
        )
        post = receiver.of(events[0]["id"])[0]
        assert post.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert post.headers["webhook-request-origin"] == "praktika.test"
        assert post.event["data"] == events[0]["data"]
        assert verified(made["secret"], post.headers, post.body)
        assert not verified(made["secret"], post.headers, post.body + b" ")
        assert documented()(made["secret"], post.headers, post.body)
        assert not documented()(made["secret"], post.headers, post.body + b" ")
        await remove(connected, made)


async def test_a_webhook_that_begins_after_a_cursor_is_sent_what_there_was(connected: Running):
    event = enrolled()
    await publish(connected, "uni", event)
    async with receiving() as receiver:
        made = await make(connected, receiver, after=0)
        await arrived(receiver, event)
        assert receiver.posts[0].event["type"] == "praktika.organisation.registered.v1"
        await remove(connected, made)
        wrong = {"url": receiver.url, "after": 99_999}
        answer = await connected.client.post("/webhooks", json=wrong, headers=as_("uni", connected))
        assert answer.status_code == 410


def test_the_signature_is_that_of_standard_webhooks():
    # Made with the package `standardwebhooks` 1.1.0.
    secret, id, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    assert signature(secret, id, 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_new_secret_is_used_beside_the_former_for_a_day(connected: Running):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        renewed = await connected.client.post(f"/webhooks/{made['id']}/secret", headers=as_("uni", connected))
        assert (renewed.status_code, renewed.headers["cache-control"]) == (201, "no-store")
        event = enrolled()
        await publish(connected, "uni", event)
        await arrived(receiver, event)
        post = receiver.of(event["id"])[0]
        assert len(post.headers["webhook-signature"].split(" ")) == 2
        for secret in (made["secret"], renewed.json()["secret"]):
            assert verified(secret, post.headers, post.body)
        hooks = connected.service.store.home[WEBHOOKS]
        await hooks.update_one({"_id": made["id"]}, {"$set": {"secrets.1.until": 0}})
        event = enrolled()
        await publish(connected, "uni", event)
        await arrived(receiver, event)
        post = receiver.of(event["id"])[0]
        assert verified(renewed.json()["secret"], post.headers, post.body)
        assert not verified(made["secret"], post.headers, post.body)
        await remove(connected, made)


# what fails


async def test_what_fails_is_tried_again_and_holds_nothing_up(connected: Running):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        bad, good = enrolled(), enrolled()
        receiver.status[bad["id"]] = 500
        await publish(connected, "uni", bad)
        await arrived(receiver, bad)
        await publish(connected, "uni", good)
        await arrived(receiver, good)
        (failed,) = await until(lambda: failures(connected, made))
        assert (failed["event"]["id"], failed["reason"]) == (bad["id"], "answered 500")
        assert failed["next_at"] is not None
        before = len(receiver.of(bad["id"]))
        receiver.status.clear()
        await until(lambda: _none_failed(connected, made))
        assert len(receiver.of(bad["id"])) > before
        ids = {post.headers["webhook-id"] for post in receiver.of(bad["id"])}
        assert len(ids) == 1
        await remove(connected, made)


async def _none_failed(stack: Running, made: dict[str, Any]) -> bool:
    return not await failures(stack, made)


async def test_what_was_given_up_is_listed_and_delivered_when_asked_for(
    connected: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliveries, "TRIED_S", -1)
    async with receiving() as receiver:
        made = await make(connected, receiver)
        event = enrolled()
        receiver.status[event["id"]] = 400
        await publish(connected, "uni", event)
        (failed,) = await until(lambda: failures(connected, made))
        assert (failed["next_at"], failed["attempts"]) == (None, 1)
        receiver.status.clear()
        path = f"/webhooks/{made['id']}/failures/{failed['id']}/redelivery"
        assert (await connected.client.post(path, headers=as_("college", connected))).status_code == 404
        assert (await connected.client.post(path, headers=as_("uni", connected))).status_code == 202
        await arrived(receiver, event, times=2)
        await until(lambda: _none_failed(connected, made))
        assert (await connected.client.post(path, headers=as_("uni", connected))).status_code == 404
        await remove(connected, made)


async def test_an_address_that_is_gone_is_sent_nothing_more(connected: Running):
    async with receiving(usual=410) as receiver:
        made = await make(connected, receiver)
        await publish(connected, "uni", enrolled())

        async def is_gone() -> bool:
            shown = (await connected.client.get(f"/webhooks/{made['id']}", headers=as_("uni", connected))).json()
            return (shown["status"], shown["reason"]) == ("gone", "answered 410")

        await until(is_gone)
        number = len(receiver.posts)
        async with receiving() as other:
            second = await make(connected, other)
            event = enrolled()
            await publish(connected, "uni", event)
            await arrived(other, event)
            await remove(connected, second)
        assert len(receiver.posts) == number == 1
        await remove(connected, made)


async def test_who_asks_for_time_gets_it_and_then_the_same_event(connected: Running):
    async with receiving(usual=429, headers={"Retry-After": "1"}) as receiver:
        made = await make(connected, receiver)
        event, following = enrolled(), enrolled()
        await publish(connected, "uni", event)
        await arrived(receiver, event)
        receiver.usual = 204
        await publish(connected, "uni", following)
        await arrived(receiver, event, times=2)
        await arrived(receiver, following)
        assert [len(receiver.of(e["id"])) for e in (event, following)] == [2, 1]
        assert [post.event["id"] for post in receiver.posts][-1] == following["id"]
        assert not await failures(connected, made)
        await remove(connected, made)


async def test_a_redirect_is_not_followed(connected: Running):
    async with receiving() as elsewhere, receiving(usual=302, headers={"Location": elsewhere.url}) as receiver:
        made = await make(connected, receiver)
        await publish(connected, "uni", enrolled())
        (failed,) = await until(lambda: failures(connected, made))
        assert failed["reason"] == "answered 302"
        assert not elsewhere.requests
        await remove(connected, made)


async def test_a_suspended_organisation_is_sent_nothing_until_it_is_reinstated(connected: Running):
    operator = as_("operator", connected)
    async with receiving() as receiver:
        made = await make(connected, receiver, "college")
        await connected.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)
        await connected.client.post("/organisations/college/reinstatement", headers=operator)

        async def has_both() -> bool:
            types = [post.event["type"].split(".")[2] for post in receiver.posts]
            return types == ["suspended", "reinstated"]

        await until(has_both)
        await remove(connected, made, "college")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("7", 7), ("-7", 0), ("99999999", 3600), ("soon", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("٧", 0)],
)
def test_retry_after_is_understood_and_bounded(text: str, seconds: float):
    assert deliveries._retry_after_s(text) == seconds


def test_pauses_grow_to_a_bound():
    pauses = [deliveries._pause(5, failures, 300) for failures in (1, 2, 3, 4, 100, 10_000)]
    assert all(low <= pause <= 2 * low for pause, low in zip(pauses, (2.5, 5, 10, 20, 150, 150), strict=True))


# who may do what


async def test_a_stranger_sees_and_changes_nothing(connected: Running):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        client, stranger = connected.client, as_("plant", connected)
        assert (await client.get("/webhooks", headers=stranger)).json() == {"items": []}
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/secret"),
            ("GET", "/failures"),
            ("POST", "/failures/0/redelivery"),
        ):
            url = f"/webhooks/{made['id']}{path}"
            assert (await client.request(method, url, headers=stranger)).status_code == 404
            assert (await client.request(method, url)).status_code == 401
            if path:  # the operator may look, and delete
                assert (await client.request(method, url, headers=as_("operator", connected))).status_code == 403
        await remove(connected, made)


async def test_secrets_are_shown_once(connected: Running):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        client, headers = connected.client, as_("uni", connected)
        for path in ("/webhooks", f"/webhooks/{made['id']}"):
            assert "whsec_" not in (await client.get(path, headers=headers)).text
        await remove(connected, made)
        assert not (await client.get("/webhooks", headers=headers)).json()["items"]
        assert not await connected.service.store.home[FAILURES].count_documents({"webhook": made["id"]})


async def test_an_organisation_has_a_bounded_number_of_webhooks(connected: Running):
    async with receiving() as receiver:
        made = [await make(connected, receiver, "works") for _ in range(5)]
        sixth = await connected.client.post("/webhooks", json={"url": receiver.url}, headers=as_("works", connected))
        assert sixth.status_code == 409
        for each in made:
            await remove(connected, each, "works")


# where a webhook may be


@pytest.mark.parametrize(
    "agreed",
    [
        {},
        {"WebHook-Allowed-Rate": "*"},
        {"WebHook-Allowed-Origin": "other.example", "WebHook-Allowed-Rate": "*"},
        {"WebHook-Allowed-Origin": "*"},
        {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "0"},
        {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "many"},
    ],
)
async def test_an_address_that_does_not_agree_is_not_called(connected: Running, agreed: dict[str, str]):
    async with receiving(agreed=agreed) as receiver:
        answer = await connected.client.post("/webhooks", json={"url": receiver.url}, headers=as_("uni", connected))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")
        assert not receiver.posts


async def test_the_rate_that_was_agreed_is_kept(connected: Running):
    async with receiving(agreed={"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "120"}) as receiver:
        made = await make(connected, receiver)
        assert made["rate"] == 120
        events = [enrolled() for _ in range(3)]
        started = asyncio.get_running_loop().time()
        await publish(connected, "uni", *events)
        await arrived(receiver, *events)
        assert asyncio.get_running_loop().time() - started >= 1
        await remove(connected, made)


INTERNAL = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://0/",
    "https://[::]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
]
UNFIT = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "https://user:secret@example.com/",
    "https://example.com/#part",
    "https:///nowhere",
    "https://example.com:99999/",
    "https://0177.0.0.1/",
    "https://name-that-does-not-exist.invalid/",
    "example.com",
    "",
    "https://[::1",
]


@pytest.mark.parametrize("url", INTERNAL + UNFIT)
async def test_what_is_inside_or_no_https_address_is_refused(
    connected: Running, monkeypatch: pytest.MonkeyPatch, url: str
):
    monkeypatch.setattr(connected.service.settings, "webhooks_inside", False)
    answer = await connected.client.post("/webhooks", json={"url": url}, headers=as_("uni", connected))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")
    if url in INTERNAL:
        assert answer.json()["errors"][0]["detail"] == "has a host that is not in the public internet"


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_the_public_internet_is_allowed(address: str):
    assert is_public(address)


async def test_an_address_is_checked_at_each_delivery(connected: Running, monkeypatch: pytest.MonkeyPatch):
    async with receiving() as receiver:
        made = await make(connected, receiver)
        monkeypatch.setattr(webhooks, "parsed", lambda text, inside: parsed(text, inside=True))  # http it must be
        monkeypatch.setattr(connected.service.settings, "webhooks_inside", False)
        event = enrolled()
        await publish(connected, "uni", event)
        (failed,) = await until(lambda: failures(connected, made))
        assert failed["reason"] == "the address has a host that is not in the public internet"
        assert not receiver.posts
        monkeypatch.undo()
        await arrived(receiver, event)
        await remove(connected, made)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let names resolve to these addresses, one after the other; returns the list of what was asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_is_resolved_once_and_the_checked_address_is_called(monkeypatch: pytest.MonkeyPatch):
    async with receiving() as receiver, client() as http:
        asked = resolving(monkeypatch, "127.0.0.1", "192.0.2.1")
        url = parsed(f"http://hook.example:{receiver.port}/events?access_token=t", inside=True)
        answer = await call(http, "OPTIONS", url, headers={}, content=b"", inside=True)
    assert (answer.status, [name for name in asked if name == "hook.example"]) == (200, ["hook.example"])
    assert receiver.requests[0].headers["host"] == f"hook.example:{receiver.port}"
    assert receiver.requests[0].path == "/events?access_token=t"


async def test_a_name_that_has_also_an_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch):
    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(NotAllowed, match="public internet"):
        await addresses.resolved(parsed("https://hook.example/", inside=False), inside=False)


async def test_the_certificate_must_be_of_the_name_that_was_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    server, trusted = certificate(tmp_path, "hook.example")
    monkeypatch.setattr(addresses, "_trusted", lambda: trusted)
    resolving(monkeypatch, "127.0.0.1")
    async with receiving(server) as receiver, client() as http:
        url = parsed(f"https://hook.example:{receiver.port}/events", inside=True)
        assert (await call(http, "OPTIONS", url, headers={}, content=b"", inside=True)).status == 200
    async with receiving(server) as receiver, client() as http:
        url = parsed(f"https://other.example:{receiver.port}/events", inside=True)
        with pytest.raises(httpx.ConnectError, match=r"not valid for 'other\.example'"):
            await call(http, "OPTIONS", url, headers={}, content=b"", inside=True)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for *name*, and a client's that trusts it."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + made.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=made.public_bytes(Encoding.PEM).decode())


async def test_one_process_serves_a_webhook_until_its_lease_ends(connected: Running):
    home = connected.service.store.home.client[connected.settings.namespace + "_leases"]
    hook = {"_id": "a", "status": "active", "lease": {"by": "other", "until": datetime.now(UTC).timestamp() + 60}}
    await home[WEBHOOKS].insert_one(hook)
    try:
        assert await deliveries._claim(home, "me", {}) is None
        await home[WEBHOOKS].update_one({"_id": "a"}, {"$set": {"lease.until": 0}})
        claims = await asyncio.gather(*(deliveries._claim(home, f"process-{n}", {}) for n in range(5)))
        assert [claimed["_id"] for claimed in claims if claimed] == ["a"]
    finally:
        await home.client.drop_database(home.name)


async def test_an_address_that_fails_for_long_is_disabled_and_goes_on_when_activated(
    connected: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connected.service.settings, "webhook_disabled_after_s", 1)
    operator = as_("operator", connected)
    async with receiving(usual=500) as receiver:
        made = await make(connected, receiver)
        await publish(connected, "uni", enrolled())

        async def shown() -> dict[str, Any]:
            found: dict[str, Any] = (await connected.client.get(f"/webhooks/{made['id']}", headers=operator)).json()
            return found

        async def is_disabled() -> bool:
            return (await shown())["status"] == "disabled"

        await until(is_disabled)
        assert ((await shown())["reason"], bool((await shown())["failing_since"])) == ("answered 500", True)
        receiver.usual = 204
        answer = await connected.client.post(f"/webhooks/{made['id']}/activation", headers=as_("uni", connected))
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
        last = enrolled()
        await publish(connected, "uni", last)
        await arrived(receiver, last)
        listed = (await connected.client.get("/webhooks?organisation=uni", headers=operator)).json()["items"]
        assert made["id"] in [hook["id"] for hook in listed]
        assert (await connected.client.delete(f"/webhooks/{made['id']}", headers=operator)).status_code == 204


async def test_more_webhooks_than_are_served_at_once_take_turns(connected: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connected.service.settings, "webhooks_served", 1)  # by each of two
    monkeypatch.setattr(deliveries, "TURN_S", 0.3)
    async with receiving() as receiver:
        made = [await make(connected, receiver) for _ in range(5)]
        event = enrolled()
        await publish(connected, "uni", event)
        await arrived(receiver, event, times=5)
        for each in made:
            await remove(connected, each)


async def test_the_webhooks_go_with_the_credential_if_that_is_asked_for(connected: Running):
    operator = as_("operator", connected)
    async with receiving() as receiver:
        await make(connected, receiver, "works")
        credentials = "/organisations/works/credentials"
        credential = (await connected.client.post(credentials, headers=operator)).json()["credential"]
        gone = await connected.client.delete(f"{credentials}/{credential}?webhooks=true", headers=operator)
        assert gone.status_code == 204
        left = await connected.client.get("/webhooks", headers=as_("works", connected))
        assert left.json() == {"items": []}
