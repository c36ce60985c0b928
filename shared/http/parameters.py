"""Query parameters that a route does not know are refused: what is misspelt would change nothing, and say nothing."""

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from shared.http.problems import Problem
from shared.pages.languages import Text


async def known_parameters(request: Request) -> None:
    """Dependency of every route.

    Raises:
        Problem: 422, a parameter that the route does not know, with the one that may have been meant.
    """
    if not request.scope["query_string"]:
        return
    known = tuple(_names(request.scope["route"].dependant))
    errors = [(name[:100], _hint(name, known)) for name in request.query_params if name not in known]
    if errors:
        raise Problem(422, Text("the request does not fit"), errors[:10])


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (each.alias or name for name, each in kind.model_fields.items())
        else:
            yield field.alias
    for further in dependant.dependencies:
        yield from _names(further)


def _hint(name: str, known: tuple[str, ...]) -> Text:
    similar = difflib.get_close_matches(name[:100], known, n=1)
    if similar:
        return Text("there is no such parameter; is it {similar}?", {"similar": similar[0]})
    if known:
        return Text("there is no such parameter; there are {known}", {"known": ", ".join(known)})
    return Text("there are no parameters here")


def query(of: type[Any]) -> Any:
    """The dependency that reads the fields of a dataclass from the query.

    FastAPI would run the class itself in a thread, as all that is no coroutine.
    """

    async def read(**given: Any) -> Any:
        return of(**given)

    read.__signature__ = inspect.signature(of)  # type: ignore[attr-defined]
    return Depends(read)
