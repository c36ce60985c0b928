"""Pages for people: Jinja templates in one layout, with one style sheet, in the language that is asked for."""

import json
import re
from datetime import UTC, date, datetime, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from starlette.responses import Response

from shared.pages.chosen import COOKIE as LANGUAGE_COOKIE
from shared.pages.languages import NAMES, Language, catalogue, in_language, translated
from shared.settings import Settings

ROOT = Path(__file__).parents[2]  # a template's name is its path in the repository
STYLE = Path(__file__).parent / "praktika.css"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
SCRIPT_POLICY = f"{POLICY}; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'"
SERVICES = ("partners", "feedback", "certification", "monitoring")


class _CompiledTexts(Extension):
    """Translates `_("…")` when a template is compiled: there is one environment for each language.

    Jinja itself would look each text up anew for each page. What has something filled in is left to it.
    """

    _TEXT = re.compile(r'\b_\("([^"\\]*)"\)')

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return self._TEXT.sub(lambda found: f"({json.dumps(self._translated(found[1]))}|safe)", source)

    def _translated(self, text: str) -> str:
        language: Language = self.environment.language  # type: ignore[attr-defined]
        return translated(language, text) % {}  # "%%" is one, as in the texts that have something filled in


@cache
def environment(language: Language) -> Environment:
    """Jinja's environment for a language: everything is escaped, and what is not given is an error."""
    found = Environment(
        loader=FileSystemLoader(ROOT),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", _CompiledTexts],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.language = language  # type: ignore[attr-defined]
    found.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    found.filters["day"] = lambda value: day(value, language)
    found.filters["short_day"] = lambda value, zone: short_day(value, language, zone)
    found.filters["moment"] = lambda value: moment(value, language)
    found.filters["number"] = lambda value, digits=None: number(value, language, digits)
    found.filters["said"] = lambda text: in_language(text, language)
    return found


@lru_cache(10_000)
def day(value: str | date, language: Language) -> str:
    """A day in words: 15 June 2026, 15 июня 2026 г."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return format_date(moment, "long", locale={"en": "en_GB"}.get(language, language))


@lru_cache(10_000)
def short_day(value: str, language: Language, zone: tzinfo = UTC) -> str:
    """A day for lists: 15 Jun 2026, 15 июн. 2026 г.; of a moment the day that it is in *zone*."""
    at = datetime.fromisoformat(value)
    at = at.astimezone(zone) if at.tzinfo else at
    return format_date(at, "medium", locale={"en": "en_GB"}.get(language, language))


@lru_cache(10_000)
def moment(value: str | datetime, language: Language) -> str:
    """A moment in figures, in UTC: 15/06/2026, 09:30 UTC."""
    at = (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)
    return f"{format_datetime(at, 'short', tzinfo=UTC, locale={'en': 'en_GB'}.get(language, language))} UTC"


@lru_cache(10_000)
def number(value: float, language: Language, digits: int | None = None) -> str:
    """A number as it is written: 1,800.5 or 1 800,5; with so many digits behind the point, or as many as it has."""
    pattern = None if digits is None else f"#,##0.{'0' * digits}"
    return str(format_decimal(value, pattern, locale={"en": "en_GB"}.get(language, language)))


def render(template: str, language: Language, **context: Any) -> str:
    return environment(language).get_template(template).render(language=language, **context)


def page(
    request: Request,
    template: str,
    language: Language,
    *,
    status: int = 200,
    scripts: bool = False,
    **context: Any,
) -> HTMLResponse:
    """The answer to a browser.

    Args:
        template: by its path in the repository; it extends `shared/pages/layout.html`.
        scripts: the page has scripts of its own; else none may run.
    """
    state, me = request.app.state, getattr(request.state, "member", None)
    settings: Settings = state.settings

    def to(name: str, path: str) -> str:
        """The address of a page: within the same service the way there, so that a proxy may serve it below any path."""
        own = name == state.name and not settings.public_url
        return root(request) + path if own else f"{settings.public(name)}/{path}"

    here = state.name, request.url.path.strip("/")
    given = {"me": me, "to": to, "here": here, "root": root(request), "languages": _languages(request, language)}
    text = render(template, language, **{**given, **context})
    # Browsers hold what a form is answered with against it, too: after a sign-in that may be another service.
    forms = " ".join(dict.fromkeys(settings.public(name) for name in SERVICES))
    headers = {
        "Content-Security-Policy": f"{SCRIPT_POLICY if scripts else POLICY}; form-action 'self' {forms}",
        "Content-Language": language,
        "Cache-Control": "private, no-cache" if me else "no-cache",
        "Vary": "Accept, Accept-Language, Cookie",
    }
    answer = HTMLResponse(text, status, headers)
    if request.query_params.get("lang") == language != request.cookies.get(LANGUAGE_COOKIE):
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86_400, httponly=True, samesite="lax")
    return answer


def root(request: Request) -> str:
    """The way from a page to the root of its service, so that a proxy may serve it below any path."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return "../" * (path.count(b"/") - 1) or "./"


def _languages(request: Request, chosen: Language) -> list[dict[str, Any]]:
    """This page in each language."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return [
        {"code": code, "name": name, "href": "?" + urlencode([*others, ("lang", code)]), "chosen": code == chosen}
        for code, name in NAMES.items()
    ]


def static(path: Path) -> Response:
    """A style sheet or a script. It comes with the program, and stays the same while that runs."""
    headers = {"Cache-Control": "public, no-cache", "Content-Security-Policy": POLICY}
    return Response(_content(path), media_type=MEDIA_TYPES[path.suffix], headers=headers)


_content = cache(Path.read_bytes)
