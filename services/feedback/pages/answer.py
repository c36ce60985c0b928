"""One minute on a phone: who has a one-time link answers one request, without an account and without a script."""

import hmac
from pathlib import Path as File
from secrets import token_urlsafe
from typing import Annotated

from fastapi import Path
from fastapi.responses import HTMLResponse, Response

from services.feedback import links, sheet
from services.feedback.answering import Sheet, by_link, draft_of, keep_draft, mark_of, say, sheets
from services.feedback.requests import today
from shared.contract.events import FeedbackRole
from shared.http.routing import Router
from shared.http.sessions import cookie_of, set_cookie
from shared.http.visits import AnyVisit, Visit
from shared.log.producer import NotPublished
from shared.pages.languages import N_, Text
from shared.pages.pages import static

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
Token = Annotated[str, Path(max_length=200)]
COOKIE, KEPT_S = "praktika_answered", 60 * 86_400
SCRIPT = File(__file__).parent / "answer.js"


class Closed(Exception):
    """There is nothing to answer at this address.

    Attributes:
        status: of the answer.
        title, detail: what to say to a person; nothing about whom or what it was.
    """

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(title)


SAVED = N_("What you typed is saved: you can go on later with the same link.")
NOT_SAVED = N_("It could not be saved: this link was used in too many browsers. Send it, or ask for a new link.")
INVALID = (404, N_("This link does not lead anywhere"), N_("It is mistyped, or another one was sent in its place."))
OVER = (410, N_("The time to answer is over"), N_("Thank you all the same. What was answered before counts."))
WITHDRAWN = (410, N_("This is no longer asked"), N_("You need not do anything."))


@router.get("/a/answer.js")
async def script() -> Response:
    return static(SCRIPT)


@router.get("/a/{token}")
async def answer_page(visit: AnyVisit, token: Token, done: str = "") -> Response:
    try:
        opened = await _open(visit, token)
    except Closed as closed:
        return _closed(visit, closed)
    # A link that was passed on shows nobody what another has typed.
    is_own, draft = _is_own(visit, opened), draft_of(opened, mark_of(_secret(visit)))
    if draft is not None:
        visit.form.values = draft
    elif is_own:
        visit.form.values = sheet.filled(opened.questionnaire, opened.said, opened.kept)
    if done and is_own:
        visit.notice = visit.word(N_("Thank you, your answer has arrived."))
    return _show(visit, opened)


@router.post("/a/{token}")
async def answer(visit: AnyVisit, token: Token) -> Response:
    """Send the answer; with `draft` only keep what was typed."""
    try:
        opened = await _open(visit, token)
    except Closed as closed:
        return _closed(visit, closed)
    form, secret = visit.form, _secret(visit) or token_urlsafe(24)
    if not (form.is_meant or form.is_draft):
        return _show(visit, opened, 403)
    is_kept = await keep_draft(visit.service, opened, form.values, mark_of(secret))
    set_cookie(visit.request, visit.service.settings, COOKIE, secret, KEPT_S, f"/a/{token}")
    if form.is_draft:
        visit.notice = visit.word(SAVED if is_kept else NOT_SAVED)
        return _show(visit, opened)
    return await _send(visit, token, opened, mark_of(secret))


async def _send(visit: Visit, token: str, opened: Sheet, mark: str) -> Response:
    """Publish what was typed; or show it again, with what is wrong."""
    form = visit.form
    if form["version"] and form["version"] != str(opened.questionnaire.version):
        visit.wrong({"": Text(N_("The questions have changed meanwhile: look through them and send them again."))})
        return _show(visit, opened, 409)
    given = sheet.read(form, opened.questionnaire, opened.request, today())
    if given.errors:
        visit.wrong(given.errors)
        return _show(visit, opened, 422)
    try:
        await say(visit.service, opened, given, by_link(opened), mark)
    except NotPublished:
        visit.wrong(
            {"": Text(N_("It could not be sent just now. What you typed is saved: send it again in a minute."))}
        )
        return _show(visit, opened, 503)
    return visit.go(f"/a/{token}?done=1")


async def _open(visit: Visit, token: str) -> Sheet:
    """The sheet that a link leads to.

    Raises:
        Closed: it leads nowhere, or it is too late.
    """
    service = visit.service
    request = await links.request_of(service, token)
    doc = await service.db["requests"].find_one({"_id": request}, {"state.facts": 0}) if request else None
    if doc is None or "erased" in doc["state"] or doc["status"] in ("unknown", "unsolicited"):
        raise Closed(*INVALID)
    (opened,) = await sheets(service, [doc])
    if doc["status"] == "withdrawn" or await _is_suspended(visit, opened):
        raise Closed(*WITHDRAWN)
    if not opened.is_open:
        raise Closed(*OVER)
    return opened


async def _is_suspended(visit: Visit, opened: Sheet) -> bool:
    """Is the organisation suspended in whose name the answer would count?"""
    found = await visit.service.by_id("organisations", [by_link(opened).organisation], {"access": 1})
    return any("suspended" in doc.get("access", {}) for doc in found.values())


def _secret(visit: Visit) -> str:
    """What tells the browser that has typed something here from others that have the link."""
    return cookie_of(visit.request.headers, COOKIE)[:100]


def _is_own(visit: Visit, opened: Sheet) -> bool:
    """Was the answer that there is sent by this browser?"""
    said_by = opened.kept.get("said_by") or ""
    return bool(_secret(visit)) and hmac.compare_digest(mark_of(_secret(visit)), said_by)


def _show(visit: Visit, opened: Sheet, status: int = 200) -> Response:
    request = opened.request
    return visit.show(
        "services/feedback/pages/answer.html",
        status,
        scripts=True,
        once=True,
        version=opened.questionnaire.version,
        title=_title(visit, opened),
        about=about(visit, opened),
        groups=sheet.asked(opened.questionnaire, request, visit.language, names=visit.frameworks.name),
        due=request["due"],
        is_answered=bool(opened.said),
        is_own=_is_own(visit, opened),
    )


TITLES = {
    FeedbackRole.enterprise: N_("How prepared are the people who come to you?"),
    FeedbackRole.learner: N_("How was your practice?"),
    FeedbackRole.graduate: N_("What has become of your training?"),
    FeedbackRole.mentor: N_("How prepared are the people whom you guide?"),
}


def _title(visit: Visit, opened: Sheet) -> str:
    return visit.word(TITLES[FeedbackRole(opened.request["role"])])


def about(visit: Visit, opened: Sheet) -> str:
    """What a request is about, in a line."""
    request, names = opened.request, opened.names
    parts = [names.get(request["programme"], request["programme"])]
    if request.get("enterprise"):
        parts.append(names.get(request["enterprise"], request["enterprise"]))
    if months := request.get("months"):
        parts.append(Text(N_("{months} months after graduation"), {"months": months}).into(visit.language))
    return " · ".join(parts)


def _closed(visit: Visit, closed: Closed) -> Response:
    title, detail = visit.word(closed.title), visit.word(closed.detail)
    return visit.show("services/feedback/pages/closed.html", closed.status, title=title, detail=detail)
