"""Passkeys (WebAuthn): what the browser is asked, and whether its answer proves who is there.

The library is imported where it is used: that takes an eighth of the time in which partners starts.
"""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from shared.http.auth import Signer, Verifier
from shared.pages.languages import Text
from shared.processing import mongo
from shared.settings import Settings

from .members import MEMBERS, Person, Wrong
from .sessions import spend

MOST = 10  # passkeys of one member
NEW, KNOWN = "passkey-new", "passkey-known"  # what a challenge is for
REFUSED = Text("the passkey was not accepted; try again")


class Question(NamedTuple):
    """What a page asks the browser.

    Attributes:
        options: for `navigator.credentials`.
        challenge: a keepsake with the challenge, which comes back in the form.
    """

    options: dict[str, Any]
    challenge: str


def _site(settings: Settings) -> tuple[str, str]:
    """The relying party's id and origin."""
    origin = settings.public("partners")
    return urlsplit(origin).hostname or "", origin


def _asked(settings: Settings, purpose: str, options: Any) -> Question:
    from webauthn.helpers import bytes_to_base64url, options_to_json_dict

    challenge = bytes_to_base64url(options.challenge)
    return Question(options_to_json_dict(options), Signer(settings).keepsake(purpose, {"challenge": challenge}))


def registration(settings: Settings, user: str, email: str, name: str, held: list[Person]) -> Question:
    """Ask for a new passkey.

    Args:
        user: an opaque id; a passkey made for the same one replaces the earlier on a device.
        held: the member's passkeys: a device that has one makes no second.
    """
    from webauthn import generate_registration_options
    from webauthn.helpers import base64url_to_bytes, structs

    needed = structs.AuthenticatorSelectionCriteria(
        resident_key=structs.ResidentKeyRequirement.REQUIRED,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return _asked(
        settings,
        NEW,
        generate_registration_options(
            rp_id=_site(settings)[0],
            rp_name="Praktika",
            user_id=user.encode(),
            user_name=email,
            user_display_name=name,
            exclude_credentials=[
                structs.PublicKeyCredentialDescriptor(id=base64url_to_bytes(key["id"])) for key in held
            ],
            authenticator_selection=needed,
        ),
    )


def authentication(settings: Settings) -> Question:
    """Ask who is there."""
    from webauthn import generate_authentication_options
    from webauthn.helpers.structs import UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=_site(settings)[0], user_verification=UserVerificationRequirement.REQUIRED
    )
    return _asked(settings, KNOWN, options)


async def _challenge(home: mongo.Database, verifier: Verifier, purpose: str, kept: str) -> bytes:
    """The challenge that was asked; it counts once."""
    from webauthn.helpers import base64url_to_bytes

    asked = verifier.keepsake(purpose, kept)
    if asked is None or not await spend(home, asked["jti"]):
        raise Wrong(passkey=Text("that took too long; try again"))
    return base64url_to_bytes(asked["challenge"])


async def new_passkey(home: mongo.Database, settings: Settings, verifier: Verifier, kept: str, answer: str) -> Person:
    """The passkey that a browser has made.

    Raises:
        Wrong: it is none, or not for us.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    rp_id, origin = _site(settings)
    challenge = await _challenge(home, verifier, NEW, kept)
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise Wrong(passkey=REFUSED) from None
    id = bytes_to_base64url(verified.credential_id)
    if await home[MEMBERS].find_one({"passkeys.id": id}, {"_id": 1}):
        raise Wrong(passkey=Text("this passkey is known already"))
    return {
        "id": id,
        "public_key": bytes_to_base64url(verified.credential_public_key),
        "count": verified.sign_count,
        "made_at": datetime.now(UTC),
        "used_at": None,
    }


async def member_by_passkey(
    home: mongo.Database, settings: Settings, verifier: Verifier, kept: str, answer: str
) -> Person:
    """The member whose passkey answered.

    Raises:
        Wrong: nobody's, or not for us.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import WebAuthnException

    rp_id, origin = _site(settings)
    challenge = await _challenge(home, verifier, KNOWN, kept)
    try:
        id = str(json.loads(answer)["id"])
        person = await home[MEMBERS].find_one({"passkeys.id": id})
        if person is None:
            raise Wrong(passkey=Text("this passkey belongs to no member here (any more)"))
        key = next(each for each in person["passkeys"] if each["id"] == id)
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=base64url_to_bytes(key["public_key"]),
            credential_current_sign_count=key["count"],
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise Wrong(passkey=REFUSED) from None
    used = {"passkeys.$.count": verified.new_sign_count, "passkeys.$.used_at": datetime.now(UTC)}
    await home[MEMBERS].update_one({"_id": person["_id"], "passkeys.id": id}, {"$set": used})
    return person
