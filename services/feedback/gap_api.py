"""The gap table over HTTP: as JSON, CSV and XLSX, with what each column says and what makes a row red."""

import asyncio
from dataclasses import astuple, dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response
from pydantic_core import to_json

from shared.http.parameters import query
from shared.http.routing import Router
from shared.http.service import Running
from shared.http.spreadsheets import MOST_ROWS, TABLES, Share, Sheet, one_file, table_file
from shared.pages.chosen import Chosen
from shared.pages.languages import N_, Language, translated
from shared.settings import Settings

from .gap_reads import GapTable, gap_table
from .gap_table import Column, Row, in_order
from .gaps import Rules

router = Router(tags=["gaps"])
SHARES = ("coverage", "share", "lower", "upper")
# Of each column: its heading, and what it says, with its source.
COLUMNS = {
    "programme": (N_("Programme"), ""),
    "title": (N_("Title"), ""),
    "institution": (N_("Institution"), ""),
    "region": (N_("Region"), N_("that of the institution")),
    "competency": (
        N_("Competency"),
        N_("taught by the programme, or rated, missed or demanded though it is not taught"),
    ),
    "programmes": (N_("Programmes"), N_("how many teach it (source: what institutions publish)")),
    "vacancies": (
        N_("Open vacancies"),
        N_("of the region, with a skill that is mapped to the competency (source: job portals)"),
    ),
    "a_year_before": (N_("A year before"), N_("vacancies that were open then, by what is known of them now")),
    "coverage": (N_("Coverage"), N_("share of the region's open vacancies of which a skill is mapped")),
    "places": (N_("Places in reports"), N_("demanded in the region by reports that are in force")),
    "is_certifiable": (N_("Certified in the region"), N_("an institution of the region has a scheme for it")),
    "certified": (N_("People certified"), N_("learners of the programme with a valid certificate")),
    "expected": (N_("To graduate"), N_("learners of programmes that teach it who are to graduate within a year")),
    "hidden": (N_("Hidden"), N_("counts in which a group under five is hidden; a region's are without it")),
    "ratings": (N_("Ratings"), N_("in the newest four quarters that have enough (source: feedback)")),
    "satisfied": (N_("4 and 5"), N_("ratings of 4 or 5 of 5")),
    "share": (N_("Share of 4 and 5"), N_("of these ratings, with the 95 per cent interval (Wilson)")),
    "lower": (N_("At least"), ""),
    "upper": (N_("At most"), ""),
    "quarters": (N_("By quarter"), N_("ratings of 4 and 5 of all, quarter by quarter")),
    "grounds": (N_("Gap"), N_("which rules make the row red, and what the institution has answered")),
}
GROUNDS = {
    "ratings": (
        N_("poorly rated"),
        N_("In the newest quarter with at least {ratings} ratings, fewer than {share} per cent are 4 or 5."),
    ),
    "fall": (
        N_("ratings fell"),
        N_(
            "A sustainability competency's share of 4 and 5 is lower than in the last quarter with enough ratings, by"
            " more than chance: the 95 per cent intervals lie apart."
        ),
    ),
    "wishes": (
        N_("missed by employers"),
        N_("This quarter or the last, at least {employers} employers rated low what the programme does not name."),
    ),
    "demand": (
        N_("demanded, not certified"),
        N_(
            "At least {vacancies} open vacancies of the region, or a report in force of the region or of an enterprise"
            " that trained learners of the programme, demand it, and no institution of the region certifies it."
        ),
    ),
    "lapsed": (
        N_("not demanded"),
        N_(
            "An institution of the region certifies it, and nothing there has demanded it for {days} days, for which"
            " the region's vacancies have been observed."
        ),
    ),
}


def rules_in_words(settings: Settings, language: Language) -> dict[str, str]:
    """What makes a row red, by ground, with the operator's settings put in."""
    rules = Rules.of(settings)
    given = {
        "ratings": rules.least_ratings,
        "share": round(100 * rules.satisfied_share),
        "employers": rules.least_employers,
        "vacancies": rules.least_vacancies,
        "days": rules.undemanded_days,
    }
    return {ground: translated(language, words).format(**given) for ground, (_, words) in GROUNDS.items()}


@dataclass
class Filter:
    """Which rows are wanted, and in which order. It changes no figure: filters leave out rows, nothing else."""

    by: Annotated[Literal["programme", "region"], Query(description="region: each region's competencies")] = "programme"
    programme: Annotated[str | None, Query(max_length=100)] = None
    institution: Annotated[str | None, Query(max_length=100)] = None
    region: Annotated[str | None, Query(max_length=100)] = None
    competency: Annotated[str | None, Query(max_length=100)] = None
    red: Annotated[bool, Query(description="only what a rule makes red")] = False
    sort: Annotated[Column, Query(description="What is unknown comes last.")] = Column.grounds
    descending: bool = True

    def of(self, table: GapTable) -> list[Row]:
        """The rows of a table; not to be changed."""
        return table.once(astuple(self), lambda: self._find(table))

    def _find(self, table: GapTable) -> list[Row]:
        of_programmes = ("programme", "institution") if self.by == "programme" else ()  # a region's rows are of none
        named = (*of_programmes, "region", "competency")
        wanted = {name: value for name in named if (value := getattr(self, name))}
        rows = table.programmes if self.by == "programme" else table.regions
        for name, value in wanted.items():
            rows = [row for row in rows if getattr(row, name) == value]
        if self.red:
            rows = [row for row in rows if row.grounds]
        return in_order(rows, self.sort, descending=self.descending)


Filtered = Annotated[Filter, query(Filter)]


@router.get("/market/gap-table", responses={200: {"content": TABLES}})
async def read_gap_table(  # noqa: PLR0913, PLR0917
    service: Running,
    wanted: Filtered,
    language: Chosen,
    start: Annotated[int, Query(ge=0, le=10_000_000, description="Rows to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> Response:
    """What is demanded, certified and rated, by programme and competency, or by region and competency.

    Null is "not enough data"; `<5` is a small group, hidden. `vacancies` are null where no vacancy of the region is
    known, or no skill is mapped to the competency. CSV and XLSX have all rows of the filter, up to 20,000. No figure is
    a score: sort by the one that matters to you.
    """
    table = await gap_table(service)
    found, least = wanted.of(table), service.settings.suppress_below
    if format != "json":
        async with one_file(service):
            return await _file(found[: MOST_ROWS + 1], format, language, service.settings)
    body = {
        "items": [shown(row, least) for row in found[start : start + limit]],
        "total": len(found),
        "next": start + limit if start + limit < len(found) else None,
        "rules": rules_in_words(service.settings, language),
        "columns": {name: translated(language, words) for name, (_, words) in COLUMNS.items() if words},
        "sources": {portal: vars(source) for portal, source in table.sources.items()},
        "as_of": table.as_of,
    }
    return Response(to_json(body), media_type="application/json")


def shown(row: Row, least: int) -> dict[str, Any]:
    """A row as it is shown: small groups as `<5`."""
    few = f"<{least}"
    return {
        **row._asdict(),
        **{name: few for name in row.hidden if getattr(row, name) is None},
        "quarters": [quarter._asdict() for quarter in row.quarters],
        "grounds": [ground._asdict() for ground in row.grounds],
    }


async def _file(rows: list[Row], format: str, language: Language, settings: Settings) -> Response:
    flat = await asyncio.to_thread(lambda: [_flat(shown(row, settings.suppress_below), language) for row in rows])
    headings = {name: heading for name, (heading, _) in COLUMNS.items()}
    said = [(heading, translated(language, words)) for heading, words in COLUMNS.values()]
    said += [(GROUNDS[ground][0], words) for ground, words in rules_in_words(settings, language).items()]
    about = [{"column": translated(language, name), "says": words} for name, words in said]
    definitions = Sheet(N_("Definitions"), {"column": N_("Column"), "says": N_("What it says")}, about)
    table = Sheet(N_("Gaps"), headings, flat)
    instead = "filter by region or institution"
    return await table_file("gaps", format, language, table, definitions, most=MOST_ROWS, instead=instead)


def _flat(row: dict[str, Any], language: Language) -> dict[str, Any]:
    """A row as cells: shares in per cent, quarters and grounds as text."""
    cells = {name: row[name] for name in COLUMNS}
    shares = {name: None if cells[name] is None else Share(cells[name]) for name in SHARES}
    quarters = ", ".join(f"{q['window']}: {q['satisfied']}/{q['ratings']}" for q in row["quarters"])
    grounds = ", ".join(translated(language, GROUNDS[one["ground"]][0]) for one in row["grounds"])
    hidden = ", ".join(translated(language, COLUMNS[name][0]) for name in row["hidden"])
    return cells | shares | {"quarters": quarters, "grounds": grounds, "hidden": hidden}
