"""The language of an answer: what its reader has chosen, or their browser asks for."""

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from .languages import LANGUAGES, Language

COOKIE = "praktika_language"  # the language that was chosen last
_TAG = re.compile(rf"\b({'|'.join(LANGUAGES)})\b[^,;]*(?:;\s*q=([\d.]{{1,5}}))?")


def preferred(accept_language: str) -> Language:
    """The language wanted most (RFC 9110, section 12.5.4); English only if no other is wanted as much."""
    wanted: dict[Language, float] = dict.fromkeys(LANGUAGES, 0.0)
    for tag, quality in _TAG.findall(accept_language.lower()):
        wanted[tag] = max(wanted[tag], float(quality) if re.fullmatch(r"\d(\.\d*)?", quality) else 1.0)
    most = max(wanted, key=lambda language: (wanted[language], language != "en"))
    return most if wanted[most] else "en"


def language_of(request: Request) -> Language:
    """The language of an answer: of the address, else chosen last, else the browser's."""
    wanted = (request.query_params.get("lang"), request.cookies.get(COOKIE))
    chosen = next((each for want in wanted for each in LANGUAGES if each == want), None)
    return chosen or preferred(request.headers.get("accept-language", ""))


# A coroutine, though it waits for nothing: FastAPI runs plain functions in threads.
async def _chosen(
    request: Request,
    lang: Annotated[
        Language | None, Query(description="Else what was chosen last, or Accept-Language prefers.")
    ] = None,
    accept_language: Annotated[str, Header()] = "",
) -> Language:
    return language_of(request)


Chosen = Annotated[Language, Depends(_chosen)]
