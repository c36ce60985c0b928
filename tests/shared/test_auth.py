"""Tokens: who signed them, for whom, until when."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from shared.auth import Caller, Signer, Unauthorised, Verifier, ensure_keys, private_dir
from shared.core import Core
from shared.events import Publisher
from shared.settings import Settings
from shared.web import Authenticated, create_app

PLANT = Caller("plant", Publisher.enterprise)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(keys_dir=tmp_path, role="api")
    ensure_keys(settings)
    return settings


def test_a_token_proves_its_organisation(settings: Settings):
    token = Signer(settings).token(PLANT)
    assert Verifier(settings).caller(f"Bearer {token}") == PLANT
    assert Verifier(settings).caller(f"bearer {token}") == PLANT


def test_the_keys_are_made_once_and_the_private_one_is_nobody_elses(settings: Settings):
    key = private_dir(settings) / "token.key"
    before = key.read_bytes()
    assert not ensure_keys(settings)
    assert key.read_bytes() == before
    assert key.stat().st_mode & 0o077 == 0
    (public,) = json.loads((settings.keys_dir / "token.jwks").read_text())["keys"]
    assert "d" not in public


def changed(settings: Settings, **claims: object) -> str:
    """A rightly signed token with other claims."""
    key = jwt.decode(Signer(settings).token(PLANT), options={"verify_signature": False})
    signer = Signer(settings)
    return jwt.encode({**key, **claims}, signer._key, algorithm="EdDSA", headers={"kid": signer._kid})


def test_expired_foreign_and_forged_tokens_prove_nothing(settings: Settings, tmp_path: Path):
    elsewhere = Settings(keys_dir=tmp_path / "elsewhere")
    ensure_keys(elsewhere)
    good = Signer(settings).token(PLANT)
    head, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = json.loads((settings.keys_dir / "token.jwks").read_text())["keys"][0]["x"]
    forged = {
        "expired": changed(settings, exp=1),
        "other audience": changed(settings, aud="elsewhere"),
        "other issuer": changed(settings, iss="elsewhere"),
        "unknown kind": changed(settings, kind="god"),
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
    headers = {"Authorization": f"Bearer {Signer(settings).token(PLANT)}"}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://praktika.test") as client,
    ):
        answers = await asyncio.gather(*(client.get("/me", headers=headers) for _ in range(50)))
    assert {answer.json() for answer in answers} == {"plant"}


def test_a_verifier_may_be_used_by_many_threads(settings: Settings):
    token, verifier = Signer(settings).token(PLANT), Verifier(settings)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(verifier.caller, [f"Bearer {token}"] * 200)) == {PLANT}
