"""What people send with a form: read, and known to come from a page of ours in the sender's own session."""

import hmac
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from shared.http.problems import FORM, WITH_FILE, Problem
from shared.http.sessions import signed_in

MOST_FIELDS = 2_000
MOST_PLAIN = 1_200_000  # bytes, percent-encoded: taking them apart holds up everybody
TOKEN = "csrf"  # noqa: S105 (a field's name)
DRAFT = "draft"  # the field that says: show what was typed, do nothing


class Upload(NamedTuple):
    """A file that came with a form; its name is the sender's word."""

    name: str
    content: bytes


@dataclass
class Form:
    """What was typed, and what is wrong with it.

    Attributes:
        values: by field, in order.
        errors: words by field; under the name "" what is wrong with the whole.
        is_meant: it comes from a page of ours in this session, and is to be carried out. Else it is only shown again.
        is_draft: that is what its sender wants.
        file: what came along.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    is_meant: bool = True
    is_draft: bool = False
    file: Upload | None = None

    def __getitem__(self, name: str) -> str:
        """The first value of a field, without spaces around it; empty if it was left out."""
        return self.raw(name).strip()

    def all(self, name: str) -> list[str]:
        return [value for each in self.values.get(name, ()) if (value := each.strip())]

    def raw(self, name: str) -> str:
        """A field as it was typed, spaces and all."""
        return (self.values.get(name) or [""])[0]

    def add_error(self, name: str, words: str) -> None:
        """Say one more thing that is wrong with a field."""
        self.errors[name] = "; ".join(filter(None, (self.errors.get(name), words)))

    @classmethod
    def filled(cls, **values: str) -> "Form":
        """A form before anybody has typed."""
        return cls({name: [value] for name, value in values.items()})


async def read_form(request: Request) -> Form:
    """The form that a request sends.

    Raises:
        Problem: 415 or 422, it is none.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (FORM, WITH_FILE):
        raise Problem(415, f"a form comes as {FORM}, with a file as {WITH_FILE}")
    pairs, file = await (_with_file(request) if content_type == WITH_FILE else _plain(request))
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    member = signed_in(request)
    token = values.pop(TOKEN, [""])[0]
    is_draft = values.pop(DRAFT, None) is not None
    proves = member is None or hmac.compare_digest(token.encode(), member.csrf.encode())
    is_ours = proves and _is_from_here(request)
    return Form(values, is_meant=is_ours and not is_draft, is_draft=is_ours and is_draft, file=file)


async def _plain(request: Request) -> tuple[list[tuple[str, str]], None]:
    if len(content := await request.body()) > MOST_PLAIN:
        raise Problem(413, f"a form without a file has {MOST_PLAIN} bytes at most")
    try:
        body = content.decode()
        return parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"), None
    except ValueError:
        raise Problem(422, f"this is no form of {MOST_FIELDS} fields at most, in UTF-8") from None


async def _with_file(request: Request) -> tuple[list[tuple[str, str]], Upload | None]:
    """The fields of a form, and the one file that comes with it; how large all of it may be, the path says."""
    pairs, file = [], None
    async with request.form(max_files=1, max_fields=MOST_FIELDS) as found:
        for name, value in found.multi_items():
            if isinstance(value, str):
                pairs.append((name, value))
            elif value.filename:
                file = Upload(value.filename, await value.read())
    return pairs, file


def _is_from_here(request: Request) -> bool:
    """Did a page of this origin send it, by what browsers say of every form (and pages cannot change)?"""
    if site := request.headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "-")
