"""Sign-in through an OpenID Connect provider: code flow with PKCE, members found by their verified address."""

from functools import cache
from typing import Any

from fastapi import Request

from shared.http.auth import Role, Signer
from shared.http.service import Service
from shared.http.sessions import cookie_of, set_cookie
from shared.observability import logs
from shared.pages.languages import Text
from shared.settings import Settings

from .members import MEMBERS, Invited, Person, Wrong, add
from .sessions import spend

log = logs.get(__name__)
COOKIE = "praktika_oidc"
PURPOSE = "oidc"
CALLBACK = "/sign-in/oidc/callback"


@cache
def _provider(issuer: str, client_id: str, secret: str) -> Any:
    from authlib.integrations.starlette_client import OAuth  # only where it is used

    return OAuth().register(
        "provider",
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=client_id,
        client_secret=secret or None,
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "timeout": 10},
    )


def provider(settings: Settings) -> Any:
    """The client of the provider that the settings name."""
    return _provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret.get_secret_value())


async def address_of_provider(request: Request, service: Service, back: str) -> str:
    """Where to send the browser; what belongs to its return is kept there, signed.

    Raises:
        Wrong: the provider does not answer.
    """
    settings = service.settings
    request.scope["session"] = {}
    try:
        answer = await provider(settings).authorize_redirect(request, settings.public("partners") + CALLBACK)
    except Exception as error:  # whatever a foreign server and the library make of it
        log.warning("oidc_away", reason=repr(error)[:300])
        raise Wrong(
            _=Text("{name} does not answer; try again, or sign in here", {"name": settings.oidc_name})
        ) from None
    kept = Signer(settings).keepsake(PURPOSE, {"session": request.scope["session"], "next": back})
    set_cookie(request, settings, COOKIE, kept, 600, CALLBACK)
    return str(answer.headers["location"])


async def returned(request: Request, service: Service) -> tuple[Person, str]:
    """The member whom the provider vouches for, and where that person wanted to go.

    Raises:
        Wrong: nobody, nobody who is a member, or not what was asked for.
    """
    settings, home = service.settings, service.store.home
    kept = service.verifier.keepsake(PURPOSE, cookie_of(request.headers, COOKIE))
    set_cookie(request, settings, COOKIE, "", 0, CALLBACK)
    if kept is None or not await spend(home, kept["jti"]):
        raise Wrong(_=Text("that took too long; try again"))
    request.scope["session"] = kept["session"]
    try:
        token = await provider(settings).authorize_access_token(request)
        claims = dict(token["userinfo"])
    except Exception as error:  # whatever a foreign server and the library make of it
        log.warning("oidc_refused", reason=repr(error)[:300])
        raise Wrong(_=Text("{name} did not sign you in", {"name": settings.oidc_name})) from None
    email = str(claims.get("email", ""))
    if not email or claims.get("email_verified") is not True:
        raise Wrong(_=Text("{name} does not vouch for your e-mail address", {"name": settings.oidc_name}))
    person = await home[MEMBERS].find_one({"address": email.casefold()}) or await _provisioned(service, email, claims)
    return person, str(kept["next"])


async def _provisioned(service: Service, email: str, claims: dict[str, Any]) -> Person:
    """A new member, if the address' domain stands for an organisation."""
    home = service.store.home
    organisation = service.settings.oidc_provision.get(email.rpartition("@")[2].casefold())
    if organisation is None:
        raise Wrong(_=Text("{email} belongs to no member; your organisation's admin can invite you", {"email": email}))
    name = " ".join(str(claims.get("name") or email.partition("@")[0]).split())[:100]
    return await add(home, Invited(organisation, email, name, Role.staff), "provisioned", {})
