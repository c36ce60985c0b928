"""The language of an answer: what its reader has chosen, or their browser asks for."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from .languages import COOKIE, LANGUAGES, Language, preferred


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
