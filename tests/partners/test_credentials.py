"""Who has a credential gets a token, shown secrets are stored as hashes, suspended organisations get none."""

import json
import os
import subprocess
import sys
import zlib
from typing import Any

import httpx
import pytest

from services.partners.gateway.login_limits import LoginLimits
from shared.contract.events import Publisher
from shared.http.auth import Caller, Signer, Verifier
from tests.partners.conftest import as_, enrolled
from tests.stack import Running, until

GRANT = {"grant_type": "client_credentials"}


async def credential(stack: Running, organisation: str) -> dict[str, Any]:
    response = await stack.client.post(f"/organisations/{organisation}/credentials", headers=as_("operator", stack))
    assert response.status_code == 201, response.text
    return response.json()


async def test_token_proves_the_organisation_to_every_service(partners: Running):
    made = await credential(partners, "plant")
    response = await partners.client.post("/token", data=GRANT, auth=(made["client_id"], made["client_secret"]))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    answer = response.json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    caller = Verifier(partners.settings).caller(f"Bearer {answer['access_token']}")
    assert (caller.organisation, caller.kind) == ("plant", "enterprise")


async def test_credential_may_be_given_in_the_form(partners: Running):
    made = await credential(partners, "plant")
    form = GRANT | {name: made[name] for name in ("client_id", "client_secret")}
    assert (await partners.client.post("/token", data=form)).status_code == 200


async def test_stored_credential_does_not_hold_the_secret(partners: Running):
    made = await credential(partners, "uni")
    stored = await partners.service.db["credentials"].find_one({"_id": made["credential"]})
    assert made["client_secret"] not in json.dumps(stored)
    listed = await partners.client.get("/organisations/uni/credentials", headers=as_("operator", partners))
    (entry,) = [item for item in listed.json()["items"] if item["credential"] == made["credential"]]
    assert entry.keys() == {"credential", "created_at", "name", "scope", "expires_at", "last_used_at"}


async def test_withdrawn_credential_gives_no_token_and_the_other_still_does(partners: Running):
    old, new = await credential(partners, "plant"), await credential(partners, "plant")
    url = f"/organisations/plant/credentials/{old['credential']}"
    assert (await partners.client.delete(url, headers=as_("operator", partners))).status_code == 204
    assert (await partners.client.delete(url, headers=as_("operator", partners))).status_code == 404
    refused = await partners.client.post("/token", data=GRANT, auth=("plant", old["client_secret"]))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert (await partners.client.post("/token", data=GRANT, auth=("plant", new["client_secret"]))).status_code == 200


async def test_suspended_organisation_gets_no_token(partners: Running):
    made, operator = await credential(partners, "college"), as_("operator", partners)
    auth = ("college", made["client_secret"])
    await partners.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)
    refused = await partners.client.post("/token", data=GRANT, auth=auth)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert "closed" in refused.json()["error_description"]
    await partners.client.post("/organisations/college/reinstatement", headers=operator)
    assert (await partners.client.post("/token", data=GRANT, auth=auth)).status_code == 200


async def test_an_eleventh_credential_is_not_made_until_one_is_withdrawn(partners: Running):
    url, operator = "/organisations/works/credentials", as_("operator", partners)
    made = [await credential(partners, "works") for _ in range(10)]
    assert (await partners.client.post(url, headers=operator)).status_code == 409
    await partners.client.delete(f"{url}/{made[0]['credential']}", headers=operator)
    await credential(partners, "works")


async def ask(stack: Running, client: str, secret: str, address: str) -> httpx.Response:
    """Ask for a token from an address of the sender's own."""
    transport = httpx.ASGITransport(stack.app, client=(address, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://praktika.test") as own:
        return await own.post("/token", data=GRANT, auth=(client, secret))


@pytest.fixture
def slow_refill(partners: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that do not come back while a test goes on."""
    attempts = LoginLimits(partners.settings.token_failures, per_min=0.6)
    monkeypatch.setattr(partners.app.state, "attempts", attempts, raising=False)


@pytest.mark.usefixtures("slow_refill")
async def test_wrong_secrets_are_limited_and_lock_nobody_out(partners: Running):
    proved, fresh = await credential(partners, "plant"), await credential(partners, "plant")
    here, there, nearby = "203.0.113.7", "203.0.113.8", "2001:db8::1"
    assert (await ask(partners, "plant", proved["client_secret"], here)).status_code == 200
    most = partners.settings.token_failures
    answers = [await ask(partners, "plant", f"guess-{n}", here) for n in range(most + 3)]
    assert [answer.status_code for answer in answers[:most]] == [401] * most
    limited = answers[-1]
    assert (limited.status_code, limited.json()["error"]) == (429, "too_many_attempts")
    assert 1 <= int(limited.headers["Retry-After"]) <= 100
    # Who has proved a secret goes on from the same address, everybody else from every other one.
    assert (await ask(partners, "plant", proved["client_secret"], here)).status_code == 200
    assert (await ask(partners, "plant", fresh["client_secret"], here)).status_code == 429
    assert (await ask(partners, "plant", fresh["client_secret"], there)).status_code == 200
    assert (await ask(partners, "plant", fresh["client_secret"], here)).status_code == 200
    assert (await ask(partners, "uni", "guess", here)).status_code == 401
    for number in range(most):
        assert (await ask(partners, "plant", "guess", f"2001:db8::{number:x}")).status_code == 401
    assert (await ask(partners, "plant", "guess", nearby)).status_code == 429


@pytest.mark.usefixtures("slow_refill")
async def test_a_withdrawn_credential_that_was_right_before_is_refused_and_counts(partners: Running):
    made = await credential(partners, "plant")
    assert (await ask(partners, "plant", made["client_secret"], "203.0.113.9")).status_code == 200
    url = f"/organisations/plant/credentials/{made['credential']}"
    await partners.client.delete(url, headers=as_("operator", partners))
    codes = [(await ask(partners, "plant", made["client_secret"], "203.0.113.9")).status_code for _ in range(22)]
    assert codes == [401] * 20 + [429] * 2


def test_many_client_ids_from_one_address_are_limited_in_bounded_memory():
    attempts = LoginLimits(burst=2, per_min=0.001)
    for number in range(50_000):
        attempts.failed(f"client-{number}", "x", f"10.0.{number % 60_000 // 250}.{number % 250}")
    assert max(len(attempts._of_client._left), len(attempts._of_address._left)) <= 10_000
    for number in range(20):
        assert not attempts.wait_s(f"client-{number}", "x", "192.0.2.1")
        attempts.failed(f"client-{number}", "x", "192.0.2.1")
    assert attempts.wait_s("another", "x", "192.0.2.1")
    assert not attempts.wait_s("another", "x", "192.0.2.2")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "error"),
    [
        (b"grant_type=client_credentials", FORM, 401, "invalid_client"),
        (b"grant_type=client_credentials&client_id=uni&client_secret=guess", FORM, 401, "invalid_client"),
        (b"grant_type=client_credentials&client_id=nobody&client_secret=guess", FORM, 401, "invalid_client"),
        (b"grant_type=client_credentials", FORM | {"Authorization": "Basic %%%"}, 401, "invalid_client"),
        (b"grant_type=client_credentials", FORM | {"Authorization": "Basic //8="}, 401, "invalid_client"),
        (b"grant_type=client_credentials", FORM | {"Authorization": "Bearer dW5pOng="}, 401, "invalid_client"),
        (
            b"grant_type=client_credentials&client_secret=x",
            FORM | {"Authorization": "Basic dTp4"},
            400,
            "invalid_request",
        ),
        (b"grant_type=client_credentials&client_id=a&client_id=b", FORM, 400, "invalid_request"),
        (b"grant_type=password&username=a&password=b", FORM, 400, "unsupported_grant_type"),
        (b"client_id=uni", FORM, 400, "invalid_request"),
        (b"\xff", FORM, 400, "invalid_request"),
        (b"a=1&" * 60_000, FORM, 400, "invalid_request"),
        (b'{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}, 400, "invalid_request"),
    ],
)
async def test_bad_token_request_is_answered_by_rfc_6749(
    partners: Running, content: bytes, headers: dict[str, str], status: int, error: str
):
    response = await partners.client.post("/token", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


async def test_only_the_operator_gives_credentials(partners: Running):
    for request in (
        partners.client.post("/organisations/uni/credentials", headers=as_("uni", partners)),
        partners.client.get("/organisations/uni/credentials", headers=as_("uni", partners)),
        partners.client.delete("/organisations/uni/credentials/x", headers=as_("uni", partners)),
    ):
        assert (await request).status_code == 403


async def test_unregistered_organisation_gets_no_credential(partners: Running):
    for organisation in ("nobody", "operator"):
        url = f"/organisations/{organisation}/credentials"
        assert (await partners.client.post(url, headers=as_("operator", partners))).status_code == 404


async def test_operators_credential_is_one_line_of_json_and_needs_no_kafka(partners: Running):
    settings = partners.settings
    environment = os.environ | {
        "MONGODB_URI": settings.mongodb_uri,
        "PRAKTIKA_NAMESPACE": settings.namespace,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    command = [sys.executable, "-m", "services.partners.gateway.credentials", "operator"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: ASYNC221
    made = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    response = await partners.client.post(
        "/token", data=GRANT, auth=httpx.BasicAuth(made["client_id"], made["client_secret"])
    )
    token = {"Authorization": f"Bearer {response.json()['access_token']}"}
    assert (await partners.client.get("/organisations/uni/credentials", headers=token)).status_code == 200


async def made_with(partners: Running, organisation: str, **limits: Any) -> dict[str, str]:
    path = f"/organisations/{organisation}/credentials"
    answer = await partners.client.post(path, json=limits, headers=as_("operator", partners))
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def token_of(partners: Running, made: dict[str, str]) -> Any:
    form = {"grant_type": "client_credentials"} | {k: made[k] for k in ("client_id", "client_secret")}
    return await partners.client.post("/token", data=form)


async def test_a_secret_is_known_by_its_beginning_and_checked_by_its_end(partners: Running):
    secret = (await made_with(partners, "plant"))["client_secret"]
    random, _, sum_ = secret.removeprefix("praktika_").rpartition("_")
    assert secret.startswith("praktika_")
    assert sum_ == f"{zlib.crc32(random.encode()):08x}"


async def test_a_credential_that_may_only_send_or_read_does_nothing_else(partners: Running):
    learners, send = "/learners", {"Content-Type": "application/cloudevents+json"}
    for scope, may_read, may_send in (("send", 403, 202), ("read", 200, 403)):
        given = (await token_of(partners, await made_with(partners, "uni", scope=scope))).json()["access_token"]
        headers = {"Authorization": f"Bearer {given}"}
        assert (await partners.client.get(learners, headers=headers)).status_code == may_read
        sent = await partners.client.post("/events", json=enrolled(), headers=headers | send)
        assert sent.status_code == may_send, sent.text


async def test_an_expired_credential_gives_no_token_and_its_use_is_shown(partners: Running):
    made = await made_with(partners, "college", expires_in_days=1, name="HR system")
    assert (await token_of(partners, made)).status_code == 200
    credentials = partners.service.store.home["credentials"]
    past = {"$set": {"expires_at": "2026-01-01T00:00:00+00:00"}}
    await credentials.update_one({"_id": made["credential"]}, past)
    refused = await token_of(partners, made)
    assert (refused.status_code, "expired" in refused.json()["error_description"]) == (401, True)
    path = "/organisations/college/credentials"
    listed = (await partners.client.get(path, headers=as_("operator", partners))).json()["items"]
    (shown,) = [item for item in listed if item["credential"] == made["credential"]]
    assert shown["name"] == "HR system"
    assert shown["last_used_at"].endswith(":00:00+00:00")


async def test_the_trail_says_who_did_what_and_keeps_nothing_of_what_was_sent(partners: Running):
    made = await made_with(partners, "college", name="trail")
    path = f"/organisations/college/credentials/{made['credential']}"
    anna = Caller("operator", Publisher.operator, name="anna")
    headers = {"Authorization": f"Bearer {Signer(partners.settings).token(anna)}"}
    assert (await partners.client.delete(path, headers=headers)).status_code == 204
    await partners.client.get("/learners/somebody", headers=as_("plant", partners))
    await token_of(partners, made)

    async def entries() -> list[dict[str, Any]]:
        found = [json.loads(record.value or b"") for record in await partners.read("audit")]
        wanted = {("operator/anna", 204), ("plant", 404), ("college", 401)}
        return found if wanted <= {(e["actor"], e["outcome"]) for e in found} else []

    found = await until(entries)
    (deleted,) = [e for e in found if e["actor"] == "operator/anna"]
    assert deleted["action"] == "DELETE /organisations/{id}/credentials/{credential}"
    assert deleted["subject"] == f"college/{made['credential']}"
    assert [e["subject"] for e in found if e["actor"] == "plant" and "learners" in e["action"]] == ["somebody"]
    assert made["client_secret"] not in json.dumps(found)
