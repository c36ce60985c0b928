"""What changed since a day, and what that means: the network, a region or an institution, and what is within it."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters, published
from services.monitoring.alert_reads import Filters as AlertFilters
from services.monitoring.alert_reads import Status as AlertStatus
from services.monitoring.alert_reads import all_alerts
from services.monitoring.answers import Asked, worked_out_recently
from services.monitoring.changes import VERDICTS, WHAT, Change, changes, in_order, row, value_in
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS, Scope
from services.monitoring.published import Figure, Redefined, recorded
from services.monitoring.ranking import Filters
from services.monitoring.recommendations import programmes
from services.monitoring.tables import HEADINGS, WORDS
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Service
from shared.http.spreadsheets import Share, Sheet, table_file
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_, Language, Text, translated
from shared.pages.paging import pager

from .parts import ALL, PAGE_AND_TABLES, Text100, address, for_people, options, scope_name

router = Router(tags=["changes"])
SHOWN_ROWS, AT_ONCE = 25, 1_000
BACK_DAYS = 30
SCOPES: tuple[Scope, ...] = ("region", "institution", "programme", "sector", "enterprise", "competency")
BELOW: dict[Scope, tuple[Scope, ...]] = {
    "network": ("region", "institution"),
    "region": ("institution",),
    "institution": ("programme",),
}
# What was said in the period, by kind.
FACTS = {
    "versions": N_("New programmes and versions"),
    "recommended": N_("Revisions recommended"),
    "answered": N_("Recommendations answered"),
    "alerts": N_("Alerts"),
}


class Fields(BaseModel):
    """What is asked for, as the address has it: what is left open is empty."""

    since: Text100 = Field("", description="A day (2026-11-01); 30 days ago if left out.")
    scope: Text100 = Field("", description="What of that within is listed; regions and institutions if left out.")
    region: Text100 = ""
    institution: Text100 = ""
    indicator: Text100 = ""
    page: int = Field(1, ge=1, le=100_000, description="Of `within`: of the page for people 25 rows, of JSON 1,000.")
    format: Literal["json", "csv", "xlsx"] | None = None


class Asking(NamedTuple):
    """What is asked for, read.

    Attributes:
        about: what the first list is of.
        below: what the second list is of.
    """

    since: str
    about: Asked
    below: tuple[Scope, ...]
    filters: Filters
    indicator: str | None


class Found(NamedTuple):
    """What changed.

    Attributes:
        since: the day that is compared with; None: nothing has been recorded yet.
        unchanged: how many figures there are of what the first list is of, that did not change.
    """

    days: published.Days
    since: str | None
    own: list[Change]
    within: list[Change]
    unchanged: int
    redefined: list[Redefined]
    facts: dict[str, int]


@router.get("/changes", response_model=None, responses=PAGE_AND_TABLES)
async def what_changed(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    """What changed since a day: a page for browsers, JSON for programs.

    `items` are of the network, or the region or institution that is named, up to now; `within` are of what is part of
    it, as recorded last: figures are recorded once a day. One about people is recorded again only when at least as
    many cases have changed as are shown at all, so no difference tells of one of them. `verdict` says whether a change
    is more than chance, `means` says it in words.
    """
    asking, wrong = _read(fields)
    is_page = for_people(visit, fields.format)
    if wrong and not is_page:
        raise Problem(422, Text("the request does not fit"), [*wrong.items()])
    registry = await counters.registry(visit.service.db)
    found = await _find(visit.service, registry, asking)
    if is_page:
        return _page(visit, fields, asking, found, registry, wrong)
    names = _names(visit, registry, [*found.own, *found.within])
    own, within = ([row(each, names[each.scope, each.scope_id]) for each in some] for some in (found.own, found.within))
    if fields.format in ("csv", "xlsx"):
        flat = [_flat(each, visit.language) for each in (*own, *within)]
        headings = {**HEADINGS, **_HEADINGS}
        sheet = Sheet(N_("Changes"), {name: headings[name] for name in _COLUMNS}, flat)
        instead = "filter by region, institution or indicator"
        return await table_file(f"changes-{asking.since}", fields.format, visit.language, sheet, instead=instead)
    begin = (fields.page - 1) * AT_ONCE
    body = {
        "since": found.since,
        "recorded_from": found.days.first,
        "recorded_until": found.days.last,
        "scope": asking.about.scope,
        "scope_id": asking.about.scope_id,
        "items": own,
        "unchanged": found.unchanged,
        "within": within[begin : begin + AT_ONCE],
        "total": len(within),
        "redefined": [each._asdict() for each in found.redefined],
        "facts": found.facts,
    }
    return JSONResponse(body, headers={"Vary": "Accept, Accept-Language", "Cache-Control": "no-cache"})


def _read(fields: Fields) -> tuple[Asking, dict[str, Text]]:
    """What is asked for; what does not do is left open, and said."""
    wrong: dict[str, Text] = {}
    day = _day(fields.since)
    if day is None:
        wrong["since"] = Text("This is no day that has passed: 2026-06-15.")
    if fields.indicator and fields.indicator not in INDICATORS:
        wrong["indicator"] = Text("There is no such indicator.")
    if fields.scope and fields.scope not in SCOPES:
        wrong["scope"] = Text("This is none of the lists that there are.")
    about = Asked()
    for scope in ("region", "institution"):
        if id := getattr(fields, scope):
            about = Asked(scope, id)
    chosen = tuple(scope for scope in SCOPES if scope == fields.scope) or BELOW[about.scope]
    filters = Filters(fields.region or None, fields.institution or None)
    indicator = fields.indicator if fields.indicator in INDICATORS else None
    since = day or counters.today() - timedelta(days=BACK_DAYS)
    return Asking(since.isoformat(), about, chosen, filters, indicator), wrong


def _day(typed: str) -> date | None:
    """The day that is asked for; None: it is none, or is to come."""
    today = counters.today()
    try:
        day = date.fromisoformat(typed) if typed else today - timedelta(days=BACK_DAYS)
    except ValueError:
        return None
    return day if day <= today else None


async def _find(service: Service, registry: Registry, asking: Asking) -> Found:
    """Compare with the last record on or before the day; with the first of all, if that came later."""
    home, least = service.store.home, service.settings.suppress_below
    days = await published.days(home)
    if days.first is None:
        return Found(days, None, [], [], 0, [], await _facts(service, registry, asking, asking.since))
    since = max(asking.since, days.first)
    redefined = await published.redefined(home, since)
    ids = {each.indicator for each in redefined}
    own = await _own(service, asking, since)
    changed = in_order(changes(own, ids, least))
    return Found(
        days,
        since,
        changed,
        in_order(changes(await _within(service, registry, asking, since), ids, least)),
        len(own) - len(changed),
        [each for each in redefined if asking.indicator in (None, each.indicator) and each.indicator in INDICATORS],
        await _facts(service, registry, asking, since),
    )


async def _own(service: Service, asking: Asking, since: str) -> list[Figure]:
    """The figures of what is asked about, as they are now."""
    about = asking.about
    some = [of for of in INDICATORS.values() if about.scope in of.scopes and asking.indicator in (None, of.id)]
    known = await published.histories(service.store.home, some, about.scope, about.scope_id)
    items, _ = await worked_out_recently(service, some, about)
    return [
        Figure(
            item["indicator"],
            about.scope,
            about.scope_id,
            published.on(known.get(item["indicator"], []), since),
            recorded("", item),
        )
        for item in items
    ]


async def _within(service: Service, registry: Registry, asking: Asking, since: str) -> list[Figure]:
    """The figures of what is within that were recorded anew."""
    match: dict[str, Any] = {"scope": {"$in": list(asking.below)}}
    if asking.indicator:
        match["indicator"] = asking.indicator
    home = service.store.home
    found = await service.coalesced(("since", since, str(match)), lambda: published.since(home, since, **match))
    listed: list[Figure] = []
    for scope in asking.below:
        items = [{"scope_id": each.scope_id, "figure": each} for each in found if each.scope == scope]
        listed += [one["figure"] for one in asking.filters.of(items, scope, registry)]
    return listed


async def _facts(service: Service, registry: Registry, asking: Asking, since: str) -> dict[str, int]:
    """How much was said after a day, of what is asked about."""
    about, known = asking.about, await programmes(service)

    def is_meant(institution: str | None) -> bool:
        entry = registry.organisations.get(institution or "", {})
        return about.scope_id in (None, institution if about.scope == "institution" else entry.get("region"))

    def is_since(moment: str | None) -> bool:
        return moment is not None and moment[:10] > since

    meant = [each for each in known.recommendations if is_meant(each.institution)]
    of = {about.scope: about.scope_id} if about.scope_id else {}
    alerts = AlertFilters(AlertStatus.all, **of).of(await all_alerts(service))
    return {
        "versions": sum(is_meant(institution) and is_since(at) for _, institution, at in known.versions),
        "recommended": sum(is_since(each.recommended_at) for each in meant),
        "answered": sum(is_since(each.answered_at) for each in meant),
        "alerts": sum(is_since(alert["alerted_at"]) for alert in alerts),
    }


def _names(visit: Visit, registry: Registry, found: Sequence[Change]) -> dict[tuple[Scope, str | None], str]:
    return {
        (each.scope, each.scope_id): scope_name(
            visit, each.scope, each.scope_id, registry.name(each.scope, each.scope_id)
        )
        for each in found
    }


# files

_HEADINGS = {
    "change": N_("What happened"),
    "verdict": N_("Is it more than chance?"),
    "before": N_("Value before"),
    "before_status": N_("Was there a value?"),
    "before_numerator": N_("Numerator before"),
    "before_denominator": N_("Denominator before"),
    "before_n": N_("Cases counted before"),
    "before_since": N_("Value before, as recorded on"),
    "more_cases": N_("Cases more"),
    "difference": N_("Difference"),
    "difference_from": N_("Interval of the difference, from"),
    "difference_to": N_("Interval of the difference, to"),
    "means": N_("What it means"),
}
_COLUMNS = (
    *("title", "indicator", "scope", "scope_id", "scope_name", "unit", "change", "verdict", "means"),
    *("before", "value", "difference", "difference_from", "difference_to", "before_n", "n", "more_cases"),
    *("before_status", "status", "before_numerator", "before_denominator", "numerator", "denominator", "before_since"),
)
_VALUES = ("before", "value", "difference", "difference_from", "difference_to")
_IN_WORDS: dict[str, str] = {**WORDS, **WHAT, **VERDICTS}


def _flat(item: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """A change as cells, in one language."""
    cells: dict[str, Any] = {}
    for name in _COLUMNS:
        content = item[name]
        if isinstance(content, dict):
            content = content[language]
        elif name in ("scope", "unit", "change", "verdict", "status", "before_status") and content:
            content = translated(language, _IN_WORDS[content])
        elif name in _VALUES and item["unit"] == "share" and content is not None:
            content = Share(content)
        cells[name] = content
    return cells


# the page


def _page(  # noqa: PLR0913, PLR0917
    visit: Visit, fields: Fields, asking: Asking, found: Found, registry: Registry, wrong: dict[str, Text]
) -> Response:
    chosen = fields.model_dump(exclude={"page", "format"}) | {"since": fields.since or asking.since}
    visit.form.values = {name: [value] for name, value in chosen.items()}
    visit.wrong(wrong)
    kept = {name: value for name, value in chosen.items() if value and name not in wrong}
    part = pager(fields.page, SHOWN_ROWS, len(found.within), **kept)
    within = part.of(found.within)
    about = asking.about
    return visit.show(
        "services/monitoring/pages/changes.html",
        422 if wrong else 200,
        found=found,
        own=[_shown(each, visit.language) for each in found.own],
        within=[_shown(each, visit.language) for each in within],
        names=_names(visit, registry, within),
        about=about,
        name=registry.name(about.scope, about.scope_id) or visit.word(WORDS["network"]),
        asked_since=asking.since,
        part=part,
        words={name: visit.word(words) for name, words in _IN_WORDS.items()},
        scopes=[("", visit.word(N_("the next level below"))), *((scope, visit.word(WORDS[scope])) for scope in SCOPES)],
        regions=options(visit, registry, "region"),
        institutions=options(visit, registry, "institution"),
        indicators=[("", visit.word(ALL)), *((of.id, of.title.into(visit.language)) for of in INDICATORS.values())],
        facts=[(name, visit.word(words), found.facts[name]) for name, words in FACTS.items() if found.facts[name]],
        titles={of.id: of.title.into(visit.language) for of in INDICATORS.values()},
        files=f"changes?{urlencode(kept)}",
        least=visit.service.settings.suppress_below,
    )


def _shown(change: Change, language: Language) -> dict[str, Any]:
    """A change as a row of the page."""
    values = {
        name: value_in(change.of, said.value, language)
        for name, said in (("before", change.before), ("now", change.now))
    }
    means = row(change, None)["means"][language]
    at = address(change.scope, change.scope_id, f"figures/{change.of.id}")
    return {"change": change, "address": at, "means": means, **values}
