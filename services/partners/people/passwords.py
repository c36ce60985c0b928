"""Passwords: Argon2id hashes, and which passwords are too easy to guess."""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.pages.languages import Text

from .members import Wrong

SHORTEST, LONGEST = 12, 200
LOOKED_AT = 60  # characters that are looked at for patterns; what is longer takes long
EASY = 10**8  # guesses: a password is refused if it falls within so many
# OWASP's setting with the least memory; several people sign in at once, in a process that has 512 MiB.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE = asyncio.Semaphore(2)
_NOBODYS = _HASHER.hash("nobody's")


def demand_hard(password: str, *known: str) -> None:
    """Refuse a password that is short or easy to guess.

    Args:
        known: what others know of the person: name, address, organisation.
    Raises:
        Wrong: it does not do; the text says why.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Wrong(password=Text("must have {least} to {most} characters", {"least": SHORTEST, "most": LONGEST}))
    from zxcvbn import zxcvbn  # half a megabyte of words, only for this

    if zxcvbn(password[:LOOKED_AT], user_inputs=[*known, "praktika", "практика"])["guesses"] < EASY:
        raise Wrong(password=Text("is easy to guess: take some words that nobody would put together"))


async def hashed(password: str) -> str:
    async with _AT_ONCE:
        return await asyncio.to_thread(_HASHER.hash, _normal(password))


async def is_right(password: str, hash: str | None) -> bool:
    """Is it the password? Takes as long where there is none."""
    async with _AT_ONCE:
        try:
            return await asyncio.to_thread(_HASHER.verify, hash or _NOBODYS, _normal(password)) and hash is not None
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    """The same characters, however a keyboard makes them (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password[:LONGEST])
