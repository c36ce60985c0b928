"""The first page: what stands out in the network, or in a part of it, and all figures beside the network's."""

from dataclasses import astuple
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from services.monitoring import counters
from services.monitoring.alert_reads import Filters as AlertFilters
from services.monitoring.alert_reads import all_alerts
from services.monitoring.answers import REST, Asked, Question, compared, find_scope, gaps_of, worked_out_recently
from services.monitoring.comparing import Change, Peers, changed, peers
from services.monitoring.competencies import GapFilters, GapOrder, competencies_of
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS, Indicator, Scope
from services.monitoring.ranking import Filters, Order, against, in_order
from services.monitoring.recommendations import programmes
from services.monitoring.tables import WORDS
from shared.http.routing import MicrocachedRoute, Router
from shared.http.sessions import signed_in
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_
from shared.pages.pages import static
from shared.processing.recent import RecentAnswers

from .charts import Chart, bar, chart
from .parts import BELOW, LISTS, LIVE, above, address, name_of, of_api, scope_name

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
_OF_STUDIES = (
    *("employment_rate_18m", "workplace_hours_per_learner", "feedback_response_rate", "sustainability_graduates_rate"),
    *("employment_rate_12m", "employment_rate", "median_days_to_employment", "completion_rate"),
)
_OF_EMPLOYERS = (
    *("workplace_hours_per_learner", "conversion_rate", "retention_rate", "feedback_response_rate"),
    *("internship_completion_rate", "training_relevance", "employer_satisfaction"),
)
# What stands out: the first that have a value.
HEADLINES: dict[Scope, tuple[str, ...]] = {
    **dict.fromkeys(("network", "region", "institution", "programme"), _OF_STUDIES),
    **dict.fromkeys(("sector", "enterprise"), _OF_EMPLOYERS),
    "competency": ("competency_gap", "competency_surplus", "recognised_certificates_rate"),
}
SHOWN_HEADS = 4
AGAINST = {"below": N_("clearly below the network"), "above": N_("clearly above the network")}
SHOWN_PARTS, SHOWN_LACKS, SHOWN_FOUND = 10, 3, 50


class Row(NamedTuple):
    """An indicator of the scope beside the network's.

    Attributes:
        years: the chart of its years; None: nothing of them is shown.
    """

    of: Indicator
    item: dict[str, Any]
    network: dict[str, Any] | None
    against: str | None
    change: Change | None
    years: Chart | None


@router.get("/")
async def overview_page(visit: AnyVisit, asked: Question) -> Response:
    """Of whom is signed in the own organisation; of everybody else the whole network."""
    db = visit.service.db
    registry = await counters.registry(db)
    asked = _own(visit, registry) or asked
    if asked.scope != "network" and asked.scope_id is None:
        return visit.go(f"{visit.service.settings.public('monitoring')}/find?{urlencode({'kind': asked.scope})}")
    about = await find_scope(visit.service, asked)
    rows, until = await _rows(visit, asked)
    heads = _heads(asked.scope, rows)
    parts = [await _part(visit, registry, asked, kind) for kind in BELOW.get(asked.scope, ())]
    return visit.show(
        "services/monitoring/pages/overview.html",
        scripts=True,
        asked=asked,
        name=name_of(visit, about.scope()),
        kind=visit.word(WORDS[asked.scope]),
        above=[(words, address(*at)) for words, at in above(visit, registry, asked)],
        heads=[(row, await _peers(visit, registry, asked, row.of)) for row in heads],
        groups=_groups(visit, rows),
        against={side: visit.word(words) for side, words in AGAINST.items()},
        alerts=await _alerts(visit, asked),
        recommended=await _recommended(visit, registry, asked),
        story=f"stories/{asked.scope_id}" if asked.scope == "programme" else None,
        lacks=await _lacks(visit, asked),
        thin=[row.of for row in rows if row.item["thin"] and row.item["status"] == "ok"],
        hidden=sum(row.item["status"] == "suppressed" for row in rows),
        parts=parts,
        of_api=of_api(asked),
        until=min(filter(None, (until, *(part["until"] for part in parts))), default=None),  # of what rests longest
        audit=await counters.last_audit(db),
        least=visit.service.settings.suppress_below,
    )


def _own(visit: Visit, registry: Registry) -> Asked | None:
    """What belongs to whom is signed in, unless something else is asked for."""
    member = signed_in(visit.request)
    if member is None or "scope" in visit.request.query_params:
        return None
    id = member.caller.organisation
    kind = registry.organisations.get(id, {}).get("kind")
    return Asked(kind, id) if kind in ("institution", "enterprise") else None


async def _rows(visit: Visit, asked: Asked) -> tuple[list[Row], str | None]:
    offered = [of for of in INDICATORS.values() if asked.scope in of.scopes]
    items, until = await worked_out_recently(visit.service, offered, asked)
    network = dict.fromkeys((of.id for of in offered), None)
    if asked.scope != "network":
        whole, since = await worked_out_recently(visit.service, offered, Asked(begin=asked.begin, end=asked.end))
        until = min(filter(None, (until, since)), default=None)
        network = {item["indicator"]: item for item in whole}
    return [_row(of, item, network[of.id]) for of, item in zip(offered, items, strict=True)], until


def _row(of: Indicator, item: dict[str, Any], network: dict[str, Any] | None) -> Row:
    beside = against(of, item, network) if network else None
    drawn = chart(item["years"], is_share=of.unit == "share", zoomed=True)
    return Row(of, item, network, beside, changed(of, item["years"]), drawn)


def _heads(scope: Scope, rows: list[Row]) -> list[Row]:
    by_id = {row.of.id: row for row in rows}
    wanted = [by_id[id] for id in HEADLINES[scope]]
    return sorted(wanted, key=lambda row: row.item["status"] != "ok")[:SHOWN_HEADS]


def _groups(visit: Visit, rows: list[Row]) -> list[tuple[str, list[Row], list[Row]]]:
    """By group: what can be said or is hidden, and what has no data."""
    groups: dict[str, tuple[list[Row], list[Row]]] = {}
    for row in rows:
        group = groups.setdefault(row.of.group.into(visit.language), ([], []))
        group[row.item["status"] == "not_enough_data"].append(row)
    return [(words, *group) for words, group in groups.items()]


async def _peers(visit: Visit, registry: Registry, asked: Asked, of: Indicator) -> Peers | None:
    """The middle of those that are alike: of programmes those of the same level."""
    if asked.scope_id is None:
        return None
    level = registry.programmes.get(asked.scope_id, {}).get("level") if asked.scope == "programme" else None
    own_id, question = asked.scope_id, (of.id, astuple(asked), level)

    async def work() -> Peers | None:
        items, _, _ = await compared(visit.service, of, Asked(asked.scope, None, asked.begin, asked.end))
        return peers(Filters(level=level).of(items, asked.scope, registry), own_id)

    recent: RecentAnswers = visit.service.shared.setdefault("peers", RecentAnswers(most=200, rest=REST))
    found, _ = await recent.answer(visit.service.db, question, 1, work)
    return found


async def _alerts(visit: Visit, asked: Asked) -> tuple[int, str] | None:
    """How many alerts are open, and where they are listed; None: none, or it is no scope of that list."""
    if asked.scope not in ("network", "region", "institution"):
        return None
    of: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope_id else {}
    number = len(AlertFilters(**of).of(await all_alerts(visit.service)))
    return (number, f"alerts?{urlencode(of)}") if number else None


async def _recommended(visit: Visit, registry: Registry, asked: Asked) -> tuple[int, int, str] | None:
    """How many recommendations are open, how many of them overdue, and where they are listed; None: none is."""
    own = [one for one in (await programmes(visit.service)).recommendations if one.is_open]
    if asked.scope == "programme":
        own = [one for one in own if one.programme == asked.scope_id]
    elif asked.scope in ("region", "institution"):
        scope: Scope = asked.scope
        own = [one for one in own if registry.scope_of(one.programme, "programme", scope) == asked.scope_id]
    elif asked.scope != "network":
        return None
    of: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope in ("region", "institution") else {}
    overdue = sum(one.is_overdue(counters.today()) for one in own)
    return (len(own), overdue, f"recommendations?{urlencode(of)}") if own else None


async def _lacks(visit: Visit, asked: Asked) -> list[dict[str, Any]]:
    """The competencies that lack most people, in the network, a region, or for a programme."""
    if asked.scope not in ("network", "region", "programme"):
        return []
    found = await gaps_of(visit.service, asked, GapFilters(order=GapOrder.lack), visit.language)
    return [row for row in found.rows if row["lack"]][:SHOWN_LACKS]


async def _part(visit: Visit, registry: Registry, asked: Asked, kind: Scope) -> dict[str, Any]:
    """What lies within the scope, lowest first by the first figure that it has."""
    of = next(INDICATORS[id] for id in HEADLINES[kind] if kind in INDICATORS[id].scopes)
    within: dict[str, Any] = {asked.scope: asked.scope_id} if asked.scope_id else {}
    items, network, until = await compared(visit.service, of, Asked(kind, None, asked.begin, asked.end))
    found = Filters(**within).of(items, kind, registry)
    ranked = in_order(found, Order.lowest)[:SHOWN_PARTS]
    greatest = 1.0 if of.unit == "share" else max((item["value"] or 0 for item in found), default=0)
    return {
        "of": of,
        "kind": kind,
        "until": until,
        "words": visit.word(LISTS[kind]),
        "rows": [
            (item, scope_name(visit, kind, item["scope_id"], item["scope_name"]), bar(item, greatest))
            for item in ranked
        ],
        "network": bar(network, greatest),
        "more": len(found) - len(ranked),
        "list": f"ranking?{urlencode({'indicator': of.id, 'scope': kind, **within})}",
    }


@router.get("/find")
async def find_page(
    visit: AnyVisit,
    q: Annotated[str, Query(max_length=100)] = "",
    kind: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Institutions, programmes, enterprises, regions, sectors and competencies by a part of their name."""
    visit.form.values = {"q": [q], "kind": [kind]}
    found = [
        one for one in await _all(visit) if kind in ("", one[0]) and q.casefold() in f"{one[2]} {one[1]}".casefold()
    ]
    found.sort(key=lambda one: (not one[2].casefold().startswith(q.casefold()), one[2].casefold()))
    kinds = [(scope, visit.word(WORDS[scope])) for scope in LISTS]
    return visit.show(
        "services/monitoring/pages/find.html",
        found=[(visit.word(WORDS[scope]), name, id, address(scope, id)) for scope, id, name in found[:SHOWN_FOUND]],
        more=max(0, len(found) - SHOWN_FOUND),
        kinds=[("", visit.word(N_("everything"))), *kinds],
    )


async def _all(visit: Visit) -> list[tuple[Scope, str, str]]:
    """All that can be looked at: scope, id, name; as it was a second ago."""
    recent: RecentAnswers = visit.service.shared.setdefault("findable", RecentAnswers(most=4, rest=REST))
    found, _ = await recent.answer(visit.service.db, visit.language, 1, lambda: _read_all(visit))
    return found


async def _read_all(visit: Visit) -> list[tuple[Scope, str, str]]:
    registry = await counters.registry(visit.service.db)
    of_registry: tuple[Scope, ...] = ("region", "institution", "programme", "sector", "enterprise")
    named = [(scope, id, registry.name(scope, id) or id) for scope in of_registry for id in registry.ids(scope)]
    known, _ = await competencies_of(visit.service)
    competencies = {*known.demanded, *(await counters.counted_ids(visit.service.db, "competency"))}
    return [*named, *(("competency", id, visit.frameworks.name(id, visit.language)) for id in competencies)]


@router.get("/live.js")
async def live_script() -> Response:
    return static(LIVE)
