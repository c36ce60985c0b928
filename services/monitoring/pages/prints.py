"""A report in words, the same on its page and in its PDF; and charts as pictures that stand by themselves."""

import textwrap
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

from services.monitoring.reports import Json
from services.monitoring.tables import REASONS, WORDS
from shared.files.typesetting import NotSet, typeset_bounded
from shared.http.problems import Problem
from shared.pages.languages import N_, Language, Text, translated
from shared.pages.pages import day, environment, moment, number, render

from .charts import DRAWN, Chart, chart

PRINT = Path(__file__).with_name("print")
STYLE = (
    ".title{fill:#17211d;font-size:18px;font-weight:600}.about{fill:#17211d;font-size:14px}.notes{font-size:12px}"
    ".grid{stroke:#d9e0dc}.axis,.notes{fill:#53615b}.line{fill:none;stroke:#0b6b50;stroke-width:2}"
    ".interval{stroke:#0b6b50;stroke-width:4;opacity:.4}.at{fill:#0b6b50}"
)
PERIODS = {
    ("cohort", "year"): N_("Year of graduation"),
    ("cohort", "month"): N_("Month of graduation"),
    ("period", "year"): N_("Year"),
    ("period", "month"): N_("Month"),
    ("stock", "year"): N_("At the end of"),
    ("stock", "month"): N_("At the end of"),
}


class Row(NamedTuple):
    """A year or a month of a table; *today* and *change* of a report that is kept."""

    period: str
    value: str
    interval: str
    made: str
    today: str = ""
    change: str = ""


class Section(NamedTuple):
    """What a report says of one indicator, in one language.

    Attributes:
        whole: its value, as a row.
        left_out: who, and how many.
        notes: what is hidden or left out, and how much is known.
        period: what a row of the table is.
        is_empty: nothing is known, in no year or month.
        redefined: it is worked out in another way today.
    """

    id: str
    unit: str
    kind: str
    title: str
    whole: Row
    left_out: list[str]
    notes: list[str]
    period: str
    rows: list[Row]
    chart: Chart | None
    digits: int
    definition: str
    window: str
    source: str
    is_empty: bool
    redefined: bool


def sections(figures: Json, language: Language, now: Sequence[Json] = ()) -> list[Section]:
    """A report's figures in words.

    Args:
        now: what `reports.beside` says, of a report that is kept.
    """
    beside = {then["indicator"]: then for then in now}
    return [_section(item, figures, language, beside.get(item["indicator"])) for item in figures["items"]]


def _section(item: Json, figures: Json, language: Language, now: Json | None) -> Section:
    of = {"unit": item["unit"], "kind": item["kind"]}
    current = {row["period"]: row for row in now["rows"]} if now else {}
    rows = [
        _row(of, row, period_of(row, item["by"]), language, current.get(row["period"], {}) if now else None)
        for row in item["rows"]
    ]
    whole, drawn = _row(of, item, "", language, now), chart_of(item["rows"], item["unit"])
    return Section(
        item["indicator"],
        item["unit"],
        item["kind"],
        item["title"][language],
        whole,
        left_out(item, language),
        _notes(item, language),
        translated(language, PERIODS[item["by"], figures["by"]]),
        rows,
        drawn if drawn and len(drawn.marks) > 1 else None,
        4 if figures["by"] == "year" else 7,
        item["definition"][language],
        item["window"][language],
        translated(language, item["source"]),
        all(said["status"] == "not_enough_data" for said in (item, *item["rows"])),
        bool(now and now["redefined"]),
    )


def chart_of(rows: Sequence[Mapping[str, Any]], unit: str) -> Chart | None:
    """The chart of months, or of years, each at its begin."""
    return chart([{**row, "period": f"{row['period']}-01"[:7]} for row in rows], is_share=unit == "share")


def period_of(row: Json, by: str) -> str:
    """A row's year or month; of a year that is not whole, its months."""
    year = row["period"]
    if "to" not in row or (row["to"].endswith("-12") and (by == "stock" or row["from"].endswith("-01"))):
        return str(year)
    return str(row["to"]) if by == "stock" else f"{row['from']} – {row['to']}"


def _row(of: Json, said: Json, period: str, language: Language, now: Json | None) -> Row:
    """A value, and what became of it: *now* is None of a report that is not kept, and empty if there is none today."""
    made = _part(language, "made", said) if said["status"] == "ok" else ""
    row = Row(period, _value(of, said, language), _part(language, "interval", of, said), made)
    if now is None:
        return row
    if now.get("little_changed"):
        return row._replace(today=translated(language, N_("little changed")))
    return row._replace(today=_value(of, now, language), change=_change(of, said, now, language))


def _part(language: Language, macro: str, *given: Any) -> str:
    """What a macro of parts.html writes, as plain text."""
    found = environment(language).get_template("services/monitoring/pages/parts.html").module
    return unescape(str(getattr(found, macro)(*given)))


def _value(of: Json, said: Json, language: Language) -> str:
    if said.get("status") == "ok":
        return _part(language, "value", of, said["value"])
    return translated(language, N_("hidden")) if said.get("status") == "suppressed" else "–"


def _change(of: Json, said: Json, now: Json, language: Language) -> str:
    """By how much a value has changed, with its sign; empty: it cannot be told."""
    before, after = said["value"], now.get("value")
    if before is None or after is None:
        return ""
    is_share = of["unit"] == "share"
    by = round(100 * (after - before) if is_share else after - before, 1)
    if by == 0:
        return translated(language, N_("unchanged"))
    written = f"{'+' if by > 0 else '−'}{number(abs(by), language, 1)}"
    return translated(language, N_("{change} percentage points")).format(change=written) if is_share else written


def left_out(item: Json, language: Language) -> list[str]:
    """Who is left out of a value and how many, in words."""
    few = translated(language, N_("few"))
    return [
        f"{translated(language, REASONS[each['reason']])}: {few if each['n'] is None else number(each['n'], language)}"
        for each in item["left_out"] or ()
    ]


def _notes(item: Json, language: Language) -> list[str]:
    def percent(share: float) -> str:
        return number(100 * share, language, 1)

    hidden = sum(row["status"] == "suppressed" for row in item["rows"])
    notes: list[Text | None] = [
        Text("The value is hidden: it is of few people, or of months beside them that would give them away.")
        if item["status"] == "suppressed"
        else None,
        Text("Known of {share} per cent of those it is about.", {"share": percent(item["coverage"])})
        if item["coverage"] is not None and item["coverage"] < 1
        else None,
        Text("That is too little to go by.") if item["thin"] else None,
        Text(
            "If everybody was known, it would lie between {low} and {high} per cent.",
            {"low": percent(item["lower"]), "high": percent(item["upper"])},
        )
        if item["lower"] is not None and item["coverage"] < 1
        else None,
        Text("Months left out of the value, because they are of few: {n}.", {"n": item["months_left_out"]})
        if item["months_left_out"]
        else None,
        Text("Hidden in the table, because they are of few: {n}.", {"n": hidden}) if hidden else None,
        Text("Earlier rows that are not in this report: {n}.", {"n": item["rows_left_out"]})
        if item["rows_left_out"]
        else None,
    ]
    return [note.into(language) for note in notes if note]


# the whole report


def cover(figures: Json, name: str, language: Language) -> dict[str, str]:
    """What a report is of: name, kind, months, until when events are in it, and the last audit."""
    begin, end, audit = figures["from"], figures["to"], figures["audit"]
    audited = Text("none yet")
    if audit:
        given = {
            "at": moment(audit["at"], language),
            "n": number(audit["counters"], language),
            "wrong": number(audit["differences"], language),
        }
        audited = Text("{at}: {n} counters worked out anew from the facts, of which {wrong} differed", given)
    return {
        "name": name,
        "kind": translated(language, WORDS[figures["scope"]]) if figures["scope_id"] else "",
        "months": f"{begin or '…'} – {end or '…'}" if begin or end else translated(language, N_("all months")),
        "as_of": moment(figures["as_of"], language) if figures["as_of"] else translated(language, N_("nothing yet")),
        "audit": audited.into(language),
        "few": Text(
            "Figures of fewer than {n} people are hidden, and so is what would tell them by subtraction.",
            {"n": figures["suppressed_below"]},
        ).into(language),
    }


WORDS_OF_PRINT = {
    "report": N_("Indicator report"),
    "period": N_("Period"),
    "as_of": N_("As of"),
    "address": N_("Address"),
    "digest": N_("SHA-256 of the figures"),
    "kept": N_("Kept under this address. The page shows these figures again, and today's beside them."),
    "not_kept": N_("Not kept: under this address are the figures of the day on which it is opened."),
    "headlines": N_("Headline figures"),
    "indicator": N_("Indicator"),
    "value": N_("Value"),
    "interval": N_("95 per cent interval"),
    "made": N_("Made of"),
    "left_out": N_("Left out"),
    "definition": N_("Definition"),
    "months": N_("Months"),
    "source": N_("Source"),
    "chart": N_("Chart"),
    "in_per_cent": N_("In per cent."),
    "how": N_("How to read it"),
    "interval_says": N_(
        "The interval says how far a value may be off because it has few cases; it says nothing of who is left out."
    ),
    "dash": N_("A dash means that nobody is counted; it never means zero."),
    "audit": N_("Last audit"),
    "empty": N_("Without enough data"),
    "little": N_(
        "“Little changed”: so few cases have changed that today's value, beside the kept one, would tell of them."
    ),
    "page": N_("Page"),
}


async def pdf(figures: Json, name: str, language: Language, address: str, sha256: str = "") -> bytes:
    """The report for print.

    Args:
        sha256: of a report that is kept.
    """
    words = {key: translated(language, text) for key, text in WORDS_OF_PRINT.items()}
    shown = [
        {
            **each._asdict(),
            "whole": each.whole._asdict(),
            "rows": [row._asdict() for row in each.rows],
            "chart": _plot(each, language),
        }
        for each in sections(figures, language)
    ]
    facts = {
        "language": language,
        "words": words,
        **cover(figures, name, language),
        "day": [int(part) for part in (figures["as_of"] or "1970-01-01")[:10].split("-")],
        "address": address,
        "sha256": sha256,
        "sections": shown,
    }
    return await _set("report.typ", facts)


async def _set(template: str, facts: Json, format: Any = "pdf") -> bytes:
    try:
        return await typeset_bounded(PRINT / template, facts, format)
    except NotSet:
        detail = Text("too many documents are being made just now, or this one takes too long: ask again")
        raise Problem(503, detail, headers={"Retry-After": "5"}) from None


# pictures


def _plot(of: Section, language: Language) -> str | None:
    """A section's chart as an SVG, without words around it."""
    return _svg(language, of=of, chart=of.chart, digits=of.digits, title=[], about=[], notes=[]) if of.chart else None


def picture(answer: Json, name: str, language: Language, address: str, until: str | None) -> str:
    """A value over time as an SVG that stands by itself: what it is of, as of when, its source and its address.

    Args:
        answer: of the API, with its title and its rows.
    """
    drawn = chart_of(answer["rows"], answer["unit"])
    notes = [N_("In per cent.")] if answer["unit"] == "share" else []
    notes += [N_("Bars: 95 per cent interval.")] if drawn and any(mark.low is not None for mark in drawn.marks) else []
    notes += [N_("A gap in the line: nothing is known here, or it is hidden.")]
    source = f"{translated(language, N_('Source'))}: Praktika ({translated(language, answer['source'])})"
    as_of = f"{translated(language, N_('As of'))} {day(until[:10], language)}" if until else ""
    return _svg(
        language,
        of={"unit": answer["unit"], "kind": answer["kind"]},
        chart=drawn,
        digits=len(answer["rows"][0]["period"]) if answer["rows"] else 7,
        title=textwrap.wrap(answer["title"][language], 62, max_lines=3, placeholder=" …"),
        about=textwrap.wrap(name, 90, max_lines=2, placeholder=" …"),
        notes=[
            *textwrap.wrap(" ".join(translated(language, each) for each in notes), 105),
            *textwrap.wrap(" · ".join(filter(None, (source, as_of))), 105),
            *textwrap.wrap(address, 105, max_lines=3, placeholder=" …"),
        ],
    )


def _svg(language: Language, **context: Any) -> str:
    drawn = render("services/monitoring/pages/chart.html", language, drawn=DRAWN, style=STYLE, **context)
    return drawn.replace("&nbsp;", "\u00a0").strip()  # XML does not know the name


async def pixels(svg: str) -> bytes:
    """An SVG of ours as a PNG."""
    return await _set("picture.typ", {"svg": svg}, "png")
