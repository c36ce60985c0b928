"""What is behind a figure: who counts, who is left out and why, how sure it is, as of when, and how it changed."""

from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, Response

from services.monitoring import counters
from services.monitoring.api import Asked, OfIndicator, Question, worked_out
from services.monitoring.indicators import Indicator
from services.monitoring.tables import REASONS, WORDS
from shared.http.routing import Router
from shared.http.visits import AnyVisit, Visit
from shared.processing.recent import applied

from .charts import HEIGHT, LEFT, RIGHT, WIDTH, chart
from .parts import BELOW, LISTS, above, address, last_audit

router = Router(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/figures/{indicator_id}")
async def figure_page(visit: AnyVisit, indicator: OfIndicator, asked: Question) -> Response:
    service, registry = visit.service, await counters.registry(visit.service.db)
    (item,) = await worked_out(service, [indicator], asked, with_series=True)
    until = (await applied(service.db)).until
    window = {name: value for name, value in (("from", asked.begin), ("to", asked.end)) if value}
    scope = {"scope": asked.scope, "scope_id": asked.scope_id} if asked.scope_id else {}
    of_api = urlencode(scope | window)
    return visit.show(
        "services/monitoring/pages/figure.html",
        of=indicator,
        item=item,
        asked=asked,
        name=_name(visit, item),
        kind=visit.word(WORDS[asked.scope]),
        above=[
            (words, address(*at, f"figures/{indicator.id}", window))
            for words, at in above(visit, registry, asked)
            if at[0] in indicator.scopes
        ],
        below=_below(visit, indicator, asked, window),
        reasons={reason: visit.word(words) for reason, words in REASONS.items()},
        chart=chart(item["points"], is_share=indicator.unit == "share"),
        drawn={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
        of_api=of_api,
        until=until,
        audit=await last_audit(service.db),
        least=service.settings.suppress_below,
    )


def _name(visit: Visit, item: dict[str, Any]) -> str:
    """What the scope is called."""
    if item["scope"] == "competency":
        return visit.frameworks.name(item["scope_id"], visit.language)
    return str(item["scope_name"] or visit.word(WORDS["network"]))


def _below(visit: Visit, of: Indicator, asked: Asked, window: dict[str, str]) -> list[tuple[str, str]]:
    """Ranked lists of what is within this scope: words and address."""
    within: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope_id else {}
    return [
        (visit.word(LISTS[scope]), f"ranking?{urlencode({'indicator': of.id, 'scope': scope, **within, **window})}")
        for scope in BELOW.get(asked.scope, ())
        if scope in of.scopes
    ]
