"""Reports: chosen figures of one scope, as they are now or as they were kept, and what has become of them since.

Kept reports are no projection of the log: they are in the service's home, whatever is rebuilt, and in back-ups. The
id of one is the beginning of the SHA-256 of its figures, so the same figures are kept once.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import Text
from shared.processing.recent import RecentAnswers

from . import counters
from .answers import Asked, not_offered, worked_out
from .indicators import INDICATORS, Indicator
from .published import recorded, told
from .tables import HEADINGS

COLLECTION = "kept_reports"
MOST_KEPT, MOST_OF_ONE, MOST_BYTES = 10_000, 200, 500_000
MOST_INDICATORS, MOST_ROWS = 24, 60
By = Literal["year", "month"]
Json = dict[str, Any]
# What a report has unless something else is chosen: the first so many of these that are offered for its scope.
HEADLINES = (
    *("employment_rate_12m", "employment_rate_18m", "median_days_to_employment", "relevant_occupation_rate"),
    *("completion_rate", "internship_completion_rate", "workplace_hours_per_learner", "conversion_rate"),
    *("retention_rate", "employer_satisfaction", "certified_graduates_rate", "sustainability_graduates_rate"),
    *("opportunities_filled_rate", "activities_held", "active_partners", "active_agreements"),
    *("recognised_certificates_rate", "competency_gap", "competency_surplus"),
)
HEADLINES_SHOWN = 10


class Wanted(NamedTuple):
    """What a report is of.

    Attributes:
        by: what a row of its tables and a point of its charts is.
    """

    asked: Asked
    by: By
    indicators: list[Indicator]


def offered(asked: Asked) -> list[Indicator]:
    return [indicator for indicator in INDICATORS.values() if asked.scope in indicator.scopes]


def headlines(asked: Asked) -> list[Indicator]:
    """What a report on a scope has unless something else is chosen."""
    known = [id for id in HEADLINES if id in INDICATORS and asked.scope in INDICATORS[id].scopes]
    return [indicator for indicator in offered(asked) if indicator.id in known[:HEADLINES_SHOWN]]


def chosen(ids: Iterable[str], asked: Asked) -> list[Indicator]:
    """The indicators of these ids, in the catalogue's order; of none the headlines.

    Raises:
        Problem: there is no such indicator, it is not offered for the scope, or they are too many.
    """
    wanted = set(ids)
    if unknown := sorted(wanted - INDICATORS.keys()):
        detail = Text("there is no indicator {id}", {"id": unknown[0]})
        raise Problem(422, detail, [("indicators", detail)])
    if len(wanted) > MOST_INDICATORS:
        detail = Text("a report has at most {most} indicators", {"most": MOST_INDICATORS})
        raise Problem(422, detail, [("indicators", detail)])
    found = [indicator for indicator in offered(asked) if indicator.id in wanted]
    if len(found) < len(wanted):
        lacking = INDICATORS[min(wanted - {indicator.id for indicator in found})]
        detail = not_offered(lacking, asked.scope)
        raise Problem(422, detail, [("indicators", detail)])
    return found or headlines(asked)


# figures


async def composed(service: Service, wanted: Wanted) -> Json:
    """The figures of a report as they are now: what is asked for, until when events are in it, and the last audit."""
    recent: RecentAnswers = service.shared.setdefault("reports", RecentAnswers(most=20))
    ids = tuple(indicator.id for indicator in wanted.indicators)
    question = (ids, astuple(wanted.asked), wanted.by, counters.today())
    items, until = await recent.answer(service.db, question, 0, lambda: with_rows(service, wanted))
    audit = await counters.last_audit(service.db)
    asked = wanted.asked
    return {
        "scope": asked.scope,
        "scope_id": asked.scope_id,
        "scope_name": items[0]["scope_name"] if items else asked.scope_id,
        "from": asked.begin,
        "to": asked.end,
        "by": wanted.by,
        "as_of": until,
        "suppressed_below": service.settings.suppress_below,
        "audit": audit
        and {
            "at": audit["at"].isoformat(timespec="seconds"),
            "counters": audit["counters"],
            "differences": audit["differences"],
        },
        "items": [_shortened(item) for item in items],
    }


async def with_rows(service: Service, wanted: Wanted) -> list[Json]:
    """The values as the API says them, each with its title, and its rows by year or by month."""
    by_month = wanted.by == "month"
    answers = await worked_out(service, wanted.indicators, wanted.asked, with_series=True)
    items = [_titled(indicator, answer) for indicator, answer in zip(wanted.indicators, answers, strict=True)]
    if by_month:
        return [{**item, "rows": answer["points"]} for item, answer in zip(items, answers, strict=True)]
    return [
        {**item, "rows": [_year(row, wanted.asked.begin) for row in answer["years"]]}
        for item, answer in zip(items, answers, strict=True)
    ]


def _titled(indicator: Indicator, answer: Json) -> Json:
    said = {name: content for name, content in answer.items() if name not in ("points", "years", "applied_until")}
    return {
        **said,
        "title": indicator.title.in_all(),
        "group": indicator.group.in_all(),
        "by": indicator.by,
        "kind": indicator.kind,
    }


def _year(row: Json, begin: str | None) -> Json:
    """A year, with the first and the last of its months that are asked for and over."""
    said = {name: content for name, content in row.items() if name not in ("months", "change")}
    year = row["period"]
    return {**said, "from": max(begin or "", f"{year}-01"), "to": f"{year}-{row['months']:02d}"}


def _shortened(item: Json) -> Json:
    """With its last rows only."""
    rows = item["rows"]
    return {**item, "rows": rows[-MOST_ROWS:], "rows_left_out": max(0, len(rows) - MOST_ROWS)}


# their digest


def canonical(content: Any) -> str:
    """JSON in the one form of RFC 8785, so that everybody works out the same digest."""
    if isinstance(content, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{canonical(content[name])}" for name in sorted(content)) + "}"
    if isinstance(content, list | tuple):
        return "[" + ",".join(map(canonical, content)) + "]"
    return _number(content) if isinstance(content, float) else json.dumps(content, ensure_ascii=False)


def _number(value: float) -> str:
    """A number as ECMAScript writes it."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if abs(value) >= 1e-6:
        return format(Decimal(repr(value)), "f") if abs(value) < 1e21 else repr(value)
    return re.sub(r"e-0(\d)", r"e-\1", repr(value))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# kept


class Report(NamedTuple):
    """A report that is kept.

    Attributes:
        by: the organisation that keeps it.
    """

    id: str
    sha256: str
    figures: Json
    by: str
    at: datetime

    @classmethod
    def of(cls, doc: Json) -> "Report":
        return cls(doc["_id"], doc["sha256"], json.loads(doc["figures"]), doc["by"], doc["at"].replace(tzinfo=UTC))


async def keep(service: Service, figures: Json, organisation: str) -> tuple[Report, bool]:
    """Keep figures under an address of their own; return the report, and whether it is new.

    Raises:
        Problem: the organisation, or the network, keeps as many as it may.
    """
    text = canonical(figures)
    sha256 = digest(text)
    reports = service.store.home[COLLECTION]
    if known := await reports.find_one({"_id": sha256[:32]}):
        return Report.of(known), False
    if len(text.encode()) > MOST_BYTES:
        detail = Text("a report that is kept has at most {most} bytes: choose fewer indicators", {"most": MOST_BYTES})
        raise Problem(422, detail, [("indicators", detail)])
    if await reports.count_documents({"by": organisation}) >= MOST_OF_ONE:
        given = {"organisation": organisation, "most": MOST_OF_ONE}
        raise Problem(409, Text("{organisation} keeps {most} reports, and may keep no more: remove one", given))
    if await reports.estimated_document_count() >= MOST_KEPT:
        raise Problem(409, Text("{most} reports are kept, and no more can be: remove one", {"most": MOST_KEPT}))
    doc = {"_id": sha256[:32], "sha256": sha256, "figures": text, "by": organisation, "at": datetime.now(UTC)}
    await reports.update_one({"_id": doc["_id"]}, {"$setOnInsert": doc}, upsert=True)
    return Report.of(doc), True


async def find(service: Service, id: str) -> Report:
    doc = await service.store.home[COLLECTION].find_one({"_id": id})
    if doc is None:
        raise Problem(404, Text("there is no report {id}", {"id": id}))
    return Report.of(doc)


async def forget(service: Service, id: str, organisation: str | None) -> None:
    """Remove a report that *organisation* keeps; None: whoever keeps it.

    Raises:
        Problem: there is none, or another keeps it.
    """
    report = await find(service, id)
    if organisation not in (None, report.by):
        raise Problem(403, Text("only {organisation}, which keeps it, may remove it", {"organisation": report.by}))
    await service.store.home[COLLECTION].delete_one({"_id": id})


async def newest(service: Service, organisation: str, most: int) -> list[Report]:
    """The reports that an organisation keeps, the newest first."""
    found = service.store.home[COLLECTION].find({"by": organisation}).sort("at", -1).limit(most)
    return [Report.of(doc) async for doc in found]


# today


async def today(service: Service, figures: Json) -> Json | None:
    """The same figures as they are now, of the indicators that are left; None: there is no such scope any more."""
    asked = Asked(figures["scope"], figures["scope_id"], figures["from"], figures["to"])
    ids = {item["indicator"] for item in figures["items"]}
    wanted = Wanted(asked, figures["by"], [indicator for indicator in offered(asked) if indicator.id in ids])
    try:
        return await composed(service, wanted)
    except Problem as problem:
        if problem.status == 404:
            return None
        raise


SAID = ("value", "status", "numerator", "denominator", "n", "interval_from", "interval_to")


NOTHING_TODAY: Json = {**dict.fromkeys(SAID), "little_changed": False}


def beside(figures: Json, now: Json | None) -> list[Json]:
    """Each figure of today beside one that was kept: by how much it changed, and whether it is defined otherwise.

    Of people nothing is said of today where fewer cases have changed than are shown at all (`little_changed`): beside
    the kept value it would tell of them.
    """
    known = {item["indicator"]: item for item in now["items"]} if now else {}
    return [_beside(item, known.get(item["indicator"]), figures["suppressed_below"]) for item in figures["items"]]


def _beside(item: Json, now: Json | None, least: int) -> Json:
    if now is None:
        return {"indicator": item["indicator"], **NOTHING_TODAY, "change": None, "redefined": None, "rows": []}
    of, kept = INDICATORS[item["indicator"]], {row["period"]: row for row in item["rows"]}
    said = _today(of, item, now, least)
    both = item["value"] is not None and said["value"] is not None
    return {
        "indicator": of.id,
        **said,
        "change": said["value"] - item["value"] if both else None,
        "redefined": any(item[name] != now[name] for name in ("definition", "window", "unit")),
        "rows": [
            {"period": row["period"], **_today(of, kept[row["period"]], row, least)}
            for row in now["rows"]
            if row["period"] in kept
        ],
    }


def _today(of: Indicator, kept: Json, now: Json, least: int) -> Json:
    if not told(of, [recorded("", kept)], recorded("", now), least):
        return NOTHING_TODAY | {"little_changed": True}
    return {name: now[name] for name in SAID} | {"little_changed": False}


# as a table

_NOT_IN_TABLES = ("rows", "rows_left_out", "group", "by", "kind")
_PLACES = {name: place for place, name in enumerate(HEADINGS)}
_ONLY_OF_WHOLE = ("months_left_out", "coverage", "thin", "lower", "upper", "left_out")


def rows_of(figures: Json, now: list[Json] | None = None) -> list[Json]:
    """A row for each value, and one for each of its years or months.

    Args:
        now: what `beside` says, of a report that is kept.
    """
    column = "year" if figures["by"] == "year" else "period"
    rows: list[Json] = []
    for n, item in enumerate(figures["items"]):
        said = {name: content for name, content in item.items() if name not in _NOT_IN_TABLES}
        whole = {"indicator": item["indicator"], "title": item["title"], column: None, **said}
        whole["applied_until"] = figures["as_of"]
        parts = [(whole, now[n] if now else {})]
        current = {row["period"]: row for row in now[n]["rows"]} if now else {}
        for row in item["rows"]:
            own = {column if name == "period" else name: content for name, content in row.items()}
            parts.append(({**whole, **dict.fromkeys(_ONLY_OF_WHOLE), **own}, current.get(row["period"], {})))
        rows += [one | _of_today(then) if now else one for one, then in parts]
    return [dict(sorted(row.items(), key=lambda each: _PLACES.get(each[0], len(_PLACES)))) for row in rows]


def _of_today(then: Json) -> Json:
    return {"value_today": then.get("value"), "n_today": then.get("n")}
