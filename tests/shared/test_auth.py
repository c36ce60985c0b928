"""Tokens: who signed them, for whom, until when."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from shared.contract.events import Publisher
from shared.http import auth
from shared.http.application import create_app
from shared.http.auth import Caller, Signer, Unauthorised, Verifier, ensure_keys, private_dir, rotate_keys
from shared.http.service import Authenticated
from shared.processing.core import Core
from shared.settings import Settings

PLANT = Caller("plant", Publisher.enterprise)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(keys_dir=tmp_path, role="api")
    ensure_keys(settings)
    return settings


def who(verifier: Verifier, token: str, scheme: str = "Bearer") -> Caller:
    return verifier.caller(f"{scheme} {token}")


def test_a_token_proves_its_organisation(settings: Settings):
    token = Signer(settings).token(PLANT)
    assert who(Verifier(settings), token) == PLANT
    assert who(Verifier(settings), token, "bearer") == PLANT


def test_the_keys_are_made_once_and_the_private_one_is_nobody_elses(settings: Settings):
    key = private_dir(settings) / "token.key"
    before = key.read_bytes()
    assert not ensure_keys(settings)
    assert key.read_bytes() == before
    assert key.stat().st_mode & 0o077 == 0
    (public,) = json.loads((settings.keys_dir / "token.jwks").read_text())["keys"]
    assert "d" not in public


def changed(settings: Settings, **claims: object) -> str:
    """A rightly signed token with other claims; `...` leaves one out."""
    usual = jwt.decode(Signer(settings).token(PLANT), options={"verify_signature": False})
    signer, wanted = Signer(settings), {name: value for name, value in {**usual, **claims}.items() if value is not ...}
    return jwt.encode(wanted, signer._key, algorithm="EdDSA", headers={"kid": signer._kid})


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _public(settings: Settings) -> dict[str, str]:
    key: dict[str, str] = json.loads((settings.keys_dir / "token.jwks").read_text())["keys"][0]
    return key


def test_expired_foreign_and_forged_tokens_prove_nothing(settings: Settings, tmp_path: Path):
    elsewhere = Settings(keys_dir=tmp_path / "elsewhere")
    ensure_keys(elsewhere)
    good = Signer(settings).token(PLANT)
    head, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = _public(settings)["x"]
    forged = {
        "expired": changed(settings, exp=1),
        "other audience": changed(settings, aud="elsewhere"),
        "other issuer": changed(settings, iss="elsewhere"),
        "unknown kind": changed(settings, kind="god"),
        "16 minutes": changed(settings, exp=claims["iat"] + 961),
        "no end": changed(settings, exp=...),
        "no audience": changed(settings, aud=...),
        "no beginning": changed(settings, iat=...),
        "no organisation": changed(settings, sub=...),
        "no key named": jwt.encode(claims, Signer(settings)._key, algorithm="EdDSA"),
        "an own key in the header": jwt.encode(
            claims, Signer(elsewhere)._key, algorithm="EdDSA", headers={"jwk": _public(elsewhere), "kid": "own"}
        ),
        "another address of keys": jwt.encode(
            claims, Signer(settings)._key, algorithm="EdDSA", headers={"jku": "http://evil.example", "kid": "a\x00"}
        ),
        "deep nesting": f"{b64(b'[' * 60_000)}.{payload}.{signature}",
        "a little deep nesting": f"{b64(b'[' * 2_900)}.{payload}.{signature}",
        "other key": Signer(elsewhere).token(PLANT),
        "no algorithm": jwt.encode(claims, None, algorithm="none"),
        "public key as secret": jwt.encode(claims, public, algorithm="HS256", headers={"kid": public[:16]}),
        "no signature": f"{head}.{payload}.",
        "other payload": f"{head}.{payload[:-2]}xx.{signature}",
        "nothing": "",
        "noise": "a.b.c",
    }
    headers = [f"Bearer {token}" for token in forged.values()]
    for header in (*headers, None, "", good, f"Basic {good}"):
        with pytest.raises(Unauthorised):
            Verifier(settings).caller(header)


async def test_the_first_requests_of_a_new_process_are_all_recognised(settings: Settings):
    router = APIRouter()

    @router.get("/me")
    async def me(caller: Authenticated) -> str:
        return caller.organisation

    app: FastAPI = create_app(Core("partners", (), {}, lambda _: None), router, settings)
    operator = Caller("operator", Publisher.operator)  # of others is looked up whether they are suspended
    headers = {"Authorization": f"Bearer {Signer(settings).token(operator)}"}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://praktika.test") as client,
    ):
        answers = await asyncio.gather(*(client.get("/me", headers=headers) for _ in range(50)))
    assert {answer.json() for answer in answers} == {"operator"}


def test_a_verifier_may_be_used_by_many_threads(settings: Settings):
    token, verifier = Signer(settings).token(PLANT), Verifier(settings)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: who(verifier, token), range(200))) == {PLANT}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifiers look again at once."""
    monkeypatch.setattr(auth, "LOOK_EVERY_S", 0.0)


def proves(verifier: Verifier, token: str) -> bool:
    try:
        return who(verifier, token) == PLANT
    except Unauthorised:
        return False


@pytest.mark.usefixtures("hurried")
def test_a_new_key_signs_while_tokens_of_the_old_one_are_valid(settings: Settings):
    verifier, old = Verifier(settings), Signer(settings).token(PLANT)
    assert proves(verifier, old)
    kid = rotate_keys(settings)
    new = Signer(settings).token(PLANT)
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    assert proves(verifier, old)
    assert proves(verifier, new)
    assert not ensure_keys(settings), "the set-up job keeps what there is"
    rotate_keys(settings)
    assert proves(verifier, old)
    assert proves(verifier, new)
    keys = {key["kid"]: key for key in json.loads((settings.keys_dir / "token.jwks").read_text())["keys"]}
    assert len(keys) == 3
    ended = {**keys[kid], "exp": 1}
    path = settings.keys_dir / "token.jwks"
    kept = [ended, *(key for key in keys.values() if key["kid"] != kid)]
    auth._write(path, json.dumps({"keys": kept}).encode(), 0o644)
    assert not proves(verifier, new)
    assert proves(verifier, old)
    ensure_keys(settings)
    assert kid not in path.read_text()


@pytest.mark.usefixtures("hurried")
def test_the_new_public_key_is_out_before_anything_is_signed_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    before = Signer(settings)._kid

    def meanwhile(_: float) -> None:
        assert Signer(settings)._kid == before
        assert len(json.loads((settings.keys_dir / "token.jwks").read_text())["keys"]) == 2

    monkeypatch.setattr("shared.http.auth.time.sleep", meanwhile)
    assert rotate_keys(settings) == Signer(settings)._kid != before


@pytest.mark.usefixtures("hurried")
def test_a_key_that_is_known_to_others_ends_at_once(settings: Settings):
    verifier, old = Verifier(settings), Signer(settings).token(PLANT)
    assert proves(verifier, old)
    rotate_keys(settings)
    rotate_keys(settings, at_once=True)
    assert not proves(verifier, old)
    assert proves(verifier, Signer(settings).token(PLANT))
    assert private_dir(settings).joinpath("token.key").stat().st_mode & 0o077 == 0


def test_a_running_verifier_sees_a_new_key_within_a_second(settings: Settings):
    verifier = Verifier(settings)
    assert proves(verifier, Signer(settings).token(PLANT))
    rotate_keys(settings)
    assert proves(verifier, Signer(settings).token(PLANT))
