"""The feedback service over HTTP: requests, ratings, demand, recommended revisions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import JSONResponse

from shared.contract.events import OPERATOR, FeedbackRole, FeedbackWithdrawn, Publisher, compose, derived_id
from shared.http.commands import Prefer, accept
from shared.http.lists import Pages, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.processing import mongo

from .effects import Known, cohorts, effects
from .gap_reads import is_counted, read_ratings
from .gaps import NOT_RATED, Rated, Rules, gaps, shown_ratings
from .market_reads import history_of, regions, reports_in_force
from .outcomes import COHORT
from .requests import today

router = Router()
Competency = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,29}:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@router.get("/requests", tags=["requests"])
async def list_requests(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    paging: Pages,
    status: Annotated[
        Literal["open", "overdue", "answered", "expired", "unsolicited", "withdrawn"] | None, Query()
    ] = None,
    programme: str | None = None,
    enterprise: str | None = None,
) -> dict[str, Any]:
    """Requests that concern the caller, by id: an enterprise's own, an institution's by its programmes.

    `open` is not answered and not over; `expired` was not answered until it was due; `overdue` is both after the due
    date; `unsolicited` is feedback that answers no request; `withdrawn` is a request whose internship or graduation
    was cancelled or annulled.
    """
    match: dict[str, Any] = {"status": status, "programme": programme, "enterprise": enterprise}
    if status == "overdue":
        match |= {"status": {"$in": ["open", "expired"]}, "due": {"$lt": today().isoformat()}}
    elif status is None:
        match["status"] = {"$in": ["open", "answered", "expired"]}
    if caller.kind is Publisher.institution:
        own = [
            doc["_id"] async for doc in service.db["programmes"].find({"institution": caller.organisation}, {"_id": 1})
        ]
        match["$and"] = [{"programme": {"$in": own}}]
    elif not caller.is_operator:
        match["respondent"] = caller.organisation
    return await listed(service.db, "requests", match, paging)


@router.get("/requests/{id}", tags=["requests"])
async def read_request(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """One request with its counting answer, for whom it concerns."""
    request = await found(service.db, "requests", id)
    if not caller.is_operator and caller.organisation != request.get("respondent"):
        programme = await service.db["programmes"].find_one({"_id": request.get("programme")}, {"institution": 1})
        if programme is None or programme.get("institution") != caller.organisation:
            raise Problem(404, f"there is no {id} in requests (yet)")
    return request


@router.post("/requests/{id}/withdrawals", tags=["requests"], status_code=202)
async def withdraw_feedback(
    service: Running, caller: Authenticated, id: EntityId, body: FeedbackWithdrawn, prefer: Prefer = None
) -> JSONResponse:
    """Annul a submission, for good, by the `organisation` and `submission` that the request's answers show.

    By the operator. Ratings and indicators are as if it had never been given.
    """
    require(caller, *OPERATOR)
    await service.current("feedback", id)
    request = await found(service.db, "requests", id)
    submitted = {(answer["organisation"], answer["submission"]) for answer in request["answers"]}
    if (body.organisation, body.submission) not in submitted:
        detail = f"{id} has no counting submission {body.submission} of {body.organisation}"
        raise Problem(404, detail, [("submission", detail)])
    event = compose(
        body,
        source=caller.source,
        kind=caller.kind,
        id=derived_id("feedback.withdrawn", id, body.organisation, body.submission),
        subject=id,
        key=id,
        time=datetime.now(UTC),
    )
    return await accept(service, event, prefer, lambda: found(service.db, "requests", id))


@router.get("/programmes/{id}/ratings", tags=["ratings"])
async def programme_ratings(service: Running, id: EntityId) -> dict[str, Any]:
    """A programme's ratings: overall, relevance, and per competency, of quarters that have at least five."""
    total, least = await _ratings(service.db, "programme", id), service.settings.suppress_below
    by_competency = shown_ratings(await read_ratings(service.db, [id]), least)
    competencies = {competency: rated for (_, competency), rated in sorted(by_competency.items())}
    return {
        "programme": id,
        "overall": summary(total, "overall", least),
        "relevance": summary(total, "relevance", least),
        "competencies": {
            c: summary(rated.counts, "rating", least, hidden=rated.hidden) for c, rated in competencies.items()
        },
    }


@router.get("/enterprises/{id}/ratings", tags=["ratings"])
async def enterprise_ratings(service: Running, id: EntityId) -> dict[str, Any]:
    """Ratings in which an enterprise has a part, by who gave them.

    Learners and graduates rate their placement there; what the enterprise and its mentors say is of its interns.
    """
    total, least = await _ratings(service.db, "enterprise", id), service.settings.suppress_below
    return {"enterprise": id, "by": {role: summary(total, role, least) for role in FeedbackRole}}


@router.get("/competencies/{id}/ratings", tags=["ratings"])
async def competency_ratings(service: Running, id: Competency) -> dict[str, Any]:
    """Ratings of a competency over all programmes, of quarters in which a programme has at least five."""
    least = service.settings.suppress_below

    async def read() -> dict[str, Rated]:
        found: dict[str, Rated] = {}
        for (_, competency), rated in shown_ratings(await read_ratings(service.db, None), least).items():
            found[competency] = found.get(competency, NOT_RATED) + rated
        return found

    rated = (await service.recent("competencies' ratings", read)).get(id, NOT_RATED)
    return {"competency": id, "ratings": summary(rated.counts, "rating", least, hidden=rated.hidden)}


@router.get("/programmes/{id}/gaps", tags=["gaps"])
async def programme_gaps(service: Running, id: EntityId) -> dict[str, Any]:
    """Ratings of a programme's competencies by quarter, from five ratings on, and whether they show a gap."""
    known = gaps(await read_ratings(service.db, [id]))
    least, rules = service.settings.suppress_below, Rules.of(service.settings)
    items = [{**g._asdict(), "gap": g.is_open(rules)} for g in known if g.ratings >= least]
    return {"items": items, "next": None}


@router.get("/programmes/{id}/recommendations", tags=["gaps"])
async def programme_recommendations(service: Running, id: EntityId) -> dict[str, Any]:
    """The revisions recommended for a programme, with evidence and answer."""
    programme = await found(service.db, "programmes", id)
    return {"items": programme["recommendations"], "next": None}


@router.get("/programmes/{id}/story", tags=["gaps"])
async def programme_story(service: Running, id: EntityId) -> dict[str, Any]:
    """What became of a programme: its versions, what was recommended, how that was answered, and whether it helped.

    `effects` compares the ratings of a competency, and the employment of graduates half a year after graduation, in up
    to four quarters before a revision with those after it; and open vacancies a year before, then, and a year later.
    """
    return await story(service, id)


async def story(service: Service, id: str) -> dict[str, Any]:
    """See `programme_story`.

    Raises:
        Problem: 404, there is no such programme.
    """
    programme = await found(service.db, "programmes", id)
    recommended = programme["recommendations"]
    return {
        "programme": id,
        "title": programme.get("title"),
        "institution": programme.get("institution"),
        "versions": programme.get("versions", []),
        "recommendations": recommended,
        "effects": effects(recommended, await _known(service, id, programme.get("institution"))),
    }


async def _known(service: Service, programme: str, institution: str | None) -> Known:
    """What the effects of a programme's revisions are seen by."""
    db, least = service.db, service.settings.suppress_below
    of_programme = {"kind": COHORT, "id": programme}
    graduates = await mongo.sums(db, of_programme, ("period",)) if await is_counted(service) else {}
    history, region = await history_of(service), (await regions(db)).get(institution or "")
    return Known(
        gaps(await read_ratings(db, [programme])),
        cohorts(graduates, today(), least),
        lambda competency, day: history.on((competency, region), day) if region else None,
        least,
        today(),
    )


@router.get("/demand", tags=["demand"])
async def list_demand(
    service: Running, paging: Pages, competency: str | None = None, organisation: str | None = None
) -> dict[str, Any]:
    """Reports of demand, by competency and report."""
    return await listed(service.db, "demands", {"competency": competency, "organisation": organisation}, paging)


@router.get("/demand/{competency}", tags=["demand"])
async def competency_demand(service: Running, competency: Competency) -> dict[str, Any]:
    """Places demanded for a competency: the sum of all reports whose horizon is not past."""
    reports = await reports_in_force(service.db, today().isoformat())
    places = [report["places"] for report in reports if report["competency"] == competency]
    return {"competency": competency, "places": sum(places), "reports": len(places)}


def summary(counts: Mapping[str, int], measure: str, least: int, *, hidden: bool = False) -> dict[str, Any]:
    """How often each rating was given, the mean, and the share of 4 and 5; hidden below *least* ratings.

    Args:
        hidden: there are ratings that are not in *counts*, because they are few.
    """
    given = {rating: counts.get(f"{measure}_{rating}", 0) for rating in range(1, 6)}
    n = sum(given.values())
    if n == 0 and not hidden:
        return {"status": "not_enough_data", "n": 0}
    if n < least:
        return {"status": "suppressed", "n": f"<{least}"}
    satisfied = given[4] + given[5]
    mean = sum(rating * count for rating, count in given.items()) / n
    return {"status": "ok", "n": n, "given": given, "mean": mean, "satisfied": satisfied, "share": satisfied / n}


async def _ratings(db: mongo.Database, kind: str, id: str) -> dict[str, int]:
    """All counts about one thing, by measure."""
    return (await mongo.sums(db, {"kind": kind, "id": id}, ())).get((), {})
