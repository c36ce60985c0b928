"""What is behind a figure: who counts, who is left out and why, how sure it is, as of when, and how it changed."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, Response

from services.monitoring import counters, splits
from services.monitoring.api import AUDITS, Asked, OfIndicator, Question, split_up, worked_out, yearly
from services.monitoring.counters import Registry
from services.monitoring.indicators import Indicator, Scope
from services.monitoring.tables import GROUPS, REASONS, WORDS
from shared.http.routing import Router
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_
from shared.processing.recent import applied

from .charts import HEIGHT, LEFT, RIGHT, WIDTH, chart

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
BELOW: dict[Scope, tuple[Scope, ...]] = {
    "network": ("region", "institution", "programme", "sector", "enterprise", "competency"),
    "region": ("institution", "programme", "enterprise"),
    "institution": ("programme",),
}
LISTS: dict[Scope, str] = {
    "region": N_("by region"),
    "institution": N_("by institution"),
    "programme": N_("by programme"),
    "sector": N_("by sector"),
    "enterprise": N_("by enterprise"),
    "competency": N_("by competency"),
}


@router.get("/figures/{indicator_id}")
async def figure_page(visit: AnyVisit, indicator: OfIndicator, asked: Question) -> Response:
    service, registry = visit.service, await counters.registry(visit.service.db)
    (item,) = await worked_out(service, [indicator], asked, with_series=True)
    until, audit = (await applied(service.db)).until, await service.db[AUDITS].find_one({"_id": "last"})
    window = {name: value for name, value in (("from", asked.begin), ("to", asked.end)) if value}
    scope = {"scope": asked.scope, "scope_id": asked.scope_id} if asked.scope_id else {}
    of_api = urlencode(scope | window)
    return visit.show(
        "services/monitoring/pages/figure.html",
        of=indicator,
        item=item,
        asked=asked,
        name=item["scope_name"] or visit.word(WORDS["network"]),
        kind=visit.word(WORDS[asked.scope]),
        above=_above(visit, indicator, registry, asked, window),
        below=_below(visit, indicator, asked, window),
        reasons={reason: visit.word(words) for reason, words in REASONS.items()},
        years=await yearly(service, indicator, asked),
        groups=await _groups(visit, indicator, asked),
        chart=chart(item["points"], is_share=indicator.unit == "share"),
        drawn={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
        of_api=of_api,
        until=until,
        audit=audit and {**audit, "at": datetime.fromtimestamp(audit["at_ms"] / 1000, UTC)},
        least=service.settings.suppress_below,
    )


async def _groups(visit: Visit, of: Indicator, asked: Asked) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """The groups of each split that somebody is said to belong to: words and value of each group."""
    if not of.splits or asked.scope not in splits.SCOPES or asked.begin or asked.end:
        return []
    found, _ = await split_up(visit.service, of)
    items = {split: groups.items(asked.scope, asked.scope_id) for split, groups in found.items()}
    return [
        (visit.word(WORDS[split]), [(visit.word(GROUPS[item["learners"]]), item) for item in rows])
        for split, rows in items.items()
        if any(item["n"] != 0 for item in rows if item["learners"] != splits.NOT_DESCRIBED)
    ]


def _above(
    visit: Visit, of: Indicator, registry: Registry, asked: Asked, window: dict[str, str]
) -> list[tuple[str, str]]:
    """The scopes that this one is a part of, the widest first: name and address of the same figure."""
    found: list[tuple[Scope, str | None]] = [("network", None)] if asked.scope != "network" else []
    programme = registry.programmes.get(asked.scope_id or "", {}) if asked.scope == "programme" else {}
    organisation = programme.get(
        "institution", asked.scope_id if asked.scope in ("institution", "enterprise") else None
    )
    entry = registry.organisations.get(organisation or "", {})
    found += [("region", entry["region"])] if entry.get("region") else []
    found += [("institution", organisation)] if programme.get("institution") else []
    return [
        (
            registry.name(scope, id) or visit.word(WORDS[scope]),
            f"figures/{of.id}?{urlencode({'scope': scope, **({'scope_id': id} if id else {}), **window})}",
        )
        for scope, id in found
        if scope in of.scopes
    ]


def _below(visit: Visit, of: Indicator, asked: Asked, window: dict[str, str]) -> list[tuple[str, str]]:
    """Ranked lists of what is within this scope: words and address."""
    within: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope_id else {}
    return [
        (visit.word(LISTS[scope]), f"ranking?{urlencode({'indicator': of.id, 'scope': scope, **within, **window})}")
        for scope in BELOW.get(asked.scope, ())
        if scope in of.scopes
    ]
