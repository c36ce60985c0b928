"""What is behind a figure: who counts, who is left out and why, how sure it is, as of when, and how it changed."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, Response

from services.monitoring import counters, published, splits
from services.monitoring.answers import Asked, Question, split_up, worked_out_recently
from services.monitoring.api import OfIndicator
from services.monitoring.indicators import Indicator
from services.monitoring.published import Recorded, differs, recorded, told
from services.monitoring.tables import GROUPS, REASONS, WORDS
from shared.http.routing import MicrocachedRoute, Router
from shared.http.service import Service
from shared.http.visits import AnyVisit, Visit

from .charts import DRAWN, chart
from .parts import BELOW, LISTS, above, address, months_of, name_of, of_api

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_RECORDED = 12


@router.get("/figures/{indicator_id}")
async def figure_page(visit: AnyVisit, indicator: OfIndicator, asked: Question) -> Response:
    service, registry = visit.service, await counters.registry(visit.service.db)
    (item,), until = await worked_out_recently(service, [indicator], asked)
    window = months_of(asked)
    return visit.show(
        "services/monitoring/pages/figure.html",
        of=indicator,
        item=item,
        asked=asked,
        name=name_of(visit, item),
        kind=visit.word(WORDS[asked.scope]),
        source=visit.word(indicator.source),
        above=[
            (words, address(*at, f"figures/{indicator.id}", window))
            for words, at in above(visit, registry, asked)
            if at[0] in indicator.scopes
        ],
        below=_below(visit, indicator, asked, window),
        reasons={reason: visit.word(words) for reason, words in REASONS.items()},
        groups=await _groups(visit, indicator, asked),
        chart=chart(item["points"], is_share=indicator.unit == "share"),
        drawn=DRAWN,
        of_api=of_api(asked),
        public=service.settings.public("monitoring"),
        until=until,
        history=await _history(service, indicator, asked, item),
        audit=await counters.last_audit(service.db),
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


class History(NamedTuple):
    """What was shown of a figure before, the newest first.

    Attributes:
        recorded: each with whether it may be told beside what is shown now.
        is_current: it is still as it was recorded last.
        begins: the first day on which figures were recorded.
    """

    recorded: list[tuple[Recorded, bool]]
    is_current: bool
    begins: str


async def _history(service: Service, of: Indicator, asked: Asked, item: dict[str, Any]) -> History | None:
    """None: nothing is recorded yet, or months are asked for, of which nothing is."""
    home = service.store.home
    begins = (await published.days(home)).first
    if begins is None or asked.begin or asked.end:
        return None
    kept, now = (await published.histories(home, [of], asked.scope, asked.scope_id)).get(of.id, []), recorded("", item)
    may_be_told = told(of, kept, now, service.settings.suppress_below)
    newest = [(each, each in may_be_told) for each in kept[: -SHOWN_RECORDED - 1 : -1]]
    return History(newest, bool(kept) and not differs(kept[-1], now), begins)


def _below(visit: Visit, of: Indicator, asked: Asked, window: dict[str, str]) -> list[tuple[str, str]]:
    """Ranked lists of what is within this scope: words and address."""
    within: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope_id else {}
    return [
        (visit.word(LISTS[scope]), f"ranking?{urlencode({'indicator': of.id, 'scope': scope, **within, **window})}")
        for scope in BELOW.get(asked.scope, ())
        if scope in of.scopes
    ]
