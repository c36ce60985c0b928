"""What a request is refused with: problem+json (RFC 9457), and how exceptions become it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.contract.events import wording_of
from shared.log.producer import NotPublished
from shared.observability import logs
from shared.pages.chosen import language_of
from shared.pages.languages import N_, Text
from shared.pages.pages import page
from shared.processing import mongo
from shared.settings import Settings

FORM, WITH_FILE = "application/x-www-form-urlencoded", "multipart/form-data"
log = logs.get(__name__)


class Problem(Exception):
    """An answer by RFC 9457.

    Attributes:
        errors: (field, what is wrong with it), for the one who must mend it.
        more: further members of the answer, for programs.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self.status, self.detail, self.headers, self.more = status, detail, headers, more
        self.errors = list(errors or ())
        super().__init__(detail)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Problem":
        """The problem that another answer's body, or what was kept of one, says."""
        errors = [(str(error.get("field", "")), str(error.get("detail", ""))) for error in body.get("errors", ())]
        more = {name: value for name, value in body.items() if name not in PROBLEM["properties"]}
        return cls(int(body["status"]), str(body.get("detail", "refused")), errors, more=more)

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"field": field, "detail": detail} for field, detail in self.errors]
        return body | (self.more or {})

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers, media_type="application/problem+json")


class SignInNeeded(Exception):
    """Nobody is signed in (any more), and the page is not for everybody.

    Attributes:
        typed: the form that was sent, as it came.
    """

    def __init__(self, typed: str = "") -> None:
        self.typed = typed
        super().__init__()


def answer(request: Request, problem: Problem) -> Response:
    """problem+json for programs; a page for a browser that asks for one, or sends a form."""
    is_form = request.headers.get("content-type", "").startswith((FORM, WITH_FILE))
    if "text/html" not in request.headers.get("accept", "") or not (request.method == "GET" or is_form):
        return problem.response()
    template = "shared/pages/problem.html"
    shown = page(request, template, language_of(request), status=problem.status, problem=problem)
    shown.headers.update(problem.headers or {})
    return shown


def ask_to_sign_in(request: Request, needed: SignInNeeded) -> Response:
    """Send a browser to the sign-in; a form that it sent comes along, so that nothing typed is lost."""
    settings: Settings = request.app.state.settings
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"{settings.public('partners')}/sign-in"
    if request.method == "GET":
        return RedirectResponse(f"{address}?next={quote(here, safe='')}", 303)
    template = "shared/pages/sign_in_needed.html"
    return page(request, template, language_of(request), status=401, address=address, next=here, typed=needed.typed)


TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail"), TEXT),
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {"field": TEXT, "detail": TEXT}}},
    },
}
PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {"application/problem+json": {"schema": PROBLEM_REF}},
    }
    for status, description in (("4XX", "What to mend (RFC 9457)."), ("5XX", "What is wrong here (RFC 9457)."))
}


_PHRASES = (N_("Not Found"), N_("Method Not Allowed"))  # Starlette's own refusals


def _field(error: Mapping[str, Any]) -> str:
    """Where a request is wrong; of what is no JSON the location is only a character."""
    if error["type"] == "json_invalid":
        return "body"
    return ".".join(str(part) for part in error["loc"][1:])[:200]


def handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return answer(request, error)

    @app.exception_handler(SignInNeeded)
    async def sign_in_needed(request: Request, error: SignInNeeded) -> Response:
        return ask_to_sign_in(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [(_field(e), wording_of(e)) for e in error.errors()[:50]]
        return answer(request, Problem(422, Text("the request does not fit"), errors))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = Text(error.detail) if error.detail in _PHRASES else error.detail
        return answer(request, Problem(error.status_code, detail, headers=dict(error.headers or {})))

    @app.exception_handler(ClientDisconnect)
    async def ended(request: Request, error: ClientDisconnect) -> Response:
        return answer(request, Problem(400, Text("the body ended early, or took too long")))

    @app.exception_handler(NotPublished)
    @app.exception_handler(mongo.DatabaseError)
    async def unavailable(request: Request, error: Exception) -> Response:
        log.warning("unavailable", reason=repr(error)[:300])
        detail = Text("Kafka or MongoDB does not answer; what you sent may or may not have been taken: send it again")
        return answer(request, Problem(503, detail, headers={"Retry-After": "5"}))

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        return answer(request, Problem(500, Text("this is a defect of ours; it has been logged")))
