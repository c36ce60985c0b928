"""What became of a programme: versions, what was recommended, how it was answered, and whether it helped."""

from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse, Response

from services.feedback.api import story
from services.feedback.gaps import Rules
from services.feedback.requests import today
from shared.http.routing import Router
from shared.http.service import EntityId
from shared.http.visits import AnyVisit
from shared.pages.languages import N_
from shared.pages.recommendations import GROUNDS, OVERDUE

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
STATUS = {
    "open": N_("not answered yet"),
    "revised": N_("taken up in version"),
    "declined": N_("declined"),
    "planned": N_("planned until"),
}
VERDICTS = {
    "better": N_("Better than before."),
    "worse": N_("Worse than before."),
    "no_clear_difference": N_("No clear difference: the intervals overlap."),
    "too_early": N_("Too early: there is too little since to compare."),
    "not_enough_data": N_("There was too little before to compare."),
}


@router.get("/stories/{id}")
async def story_page(visit: AnyVisit, id: EntityId) -> Response:
    told, rules = await story(visit.service, id), Rules.of(visit.service.settings)
    ids = [told["institution"] or "-"]
    found = await visit.service.by_id("organisations", ids, {"name": 1})
    changed = {one for each in told["versions"] for one in (*each.get("added", ()), *each.get("removed", ()))}
    competencies = changed | {one["competency"] for one in told["recommendations"]}
    return visit.show(
        "services/feedback/pages/story.html",
        story=told,
        id=id,
        institution=next((doc["name"] for doc in found.values() if doc.get("name")), told["institution"]),
        names={each: visit.frameworks.name(each, visit.language) for each in competencies},
        grounds={ground: visit.word(words) for ground, words in GROUNDS.items()},
        statuses={status: visit.word(words) for status, words in STATUS.items()},
        overdue=visit.word(OVERDUE),
        verdicts={verdict: visit.word(words) for verdict, words in VERDICTS.items()},
        effects={one["recommendation"]: one for one in told["effects"]},
        threshold=round(100 * rules.satisfied_share),
        least=rules.least_ratings,
        today=today().isoformat(),
        zone=ZoneInfo(visit.service.settings.time_zone),
    )
