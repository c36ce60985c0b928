"""The gap table: by functions alone, as an attacker would read it, and on real Kafka, MongoDB and Chromium."""

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from playwright.async_api import Browser, expect

from services.feedback import gap_api
from services.feedback.app import core, router
from services.feedback.gap_api import Filter
from services.feedback.gap_reads import GapTable
from services.feedback.gap_table import Column, Ground, Offer, Quarter, Table, in_order
from services.feedback.gaps import DemandToday, Finding, Gap, Programme, ReportedDemand, Rules, by_ratings, unmet
from services.feedback.market import History
from shared.contract.events import (
    CompetencyCertified,
    DemandReported,
    FeedbackSubmitted,
    LearnerEnrolled,
    OrganisationRegistered,
    ProgrammeCompetency,
    ProgrammePublished,
    SchemePublished,
    SkillMapped,
    VacancyObserved,
)
from shared.contract.skills import skill_id
from shared.processing.mongo import ABOUT
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.making import NOON, event
from tests.stack import Running, on_a_socket, running, until

TIG, LASER, GREEN, CAD = "welding:tig", "welding:laser", "greencomp:3.1", "drawing:cad"
TODAY = NOON.date()  # 2026-03-02
LEAST = 5


def offer(id: str, *competencies: str, region: str = "east", expected: int | None = 12, **answers: str) -> Offer:
    return Offer(id, id.title(), f"{region}-college", region, frozenset(competencies), expected, answers)


def market(
    vacancies: Iterable[tuple[str, int]] = (),
    *reported: ReportedDemand,
    certified: Iterable[Any] = (),
    day: date = TODAY,
) -> DemandToday:
    """Open vacancies of east: a competency, and how many days ago one was first observed that demands it."""
    history = History({skill_id(c): c for c in (TIG, LASER, GREEN)})
    for competency, ago in vacancies:
        since = (TODAY - timedelta(days=ago)).isoformat()
        about = {"since": since, "observed_at": f"{since}T09:00:00+00:00", "open": True, "closed_on": None}
        history.add({"region": "east", "skills": [competency], **about})
    return DemandToday([*reported], {}, history, {*certified}, day)


def table(
    offers: list[Offer],
    ratings: Iterable[Gap] = (),
    certified: dict[tuple[str, str], int] | None = None,
    findings: Iterable[Finding] = (),
    of: DemandToday | None = None,
    *,
    rules: Rules | None = None,
) -> GapTable:
    known: dict[str, list[Finding]] = {}
    for finding in findings:
        known.setdefault(finding.programme, []).append(finding)
    made = Table(offers, ratings, certified or {}, known, of or market(), {"east": 0.4}, rules or Rules(), LEAST)
    rows = [*made.rows()]
    return GapTable(rows, [*made.regions(rows)], [], {}, None, {})


def test_a_row_has_each_figure_beside_the_others_and_says_what_is_not_known():
    ratings = [Gap("welding", TIG, f"2025Q{n}", *counts) for n, counts in ((1, (9, 9)), (2, (6, 3)), (3, (4, 4)))]
    demanded = market(
        [(TIG, 500), (TIG, 3)], ReportedDemand(TIG, "east", "plant", 7), ReportedDemand(TIG, "west", "mill", 70)
    )
    (row,) = table([offer("welding", TIG)], ratings, {("welding", TIG): 6}, of=demanded).programmes
    assert (row.vacancies, row.a_year_before, row.coverage, row.places) == (2, 1, 0.4, 7)
    assert (row.is_certifiable, row.certified, row.expected) == (False, 6, 12)
    assert row.quarters == (Quarter("2025Q1", 9, 9), Quarter("2025Q2", 3, 6))
    assert (row.ratings, row.satisfied, row.share) == (15, 12, 0.8)
    assert [round(end or 0, 4) for end in (row.lower, row.upper)] == [0.5481, 0.9295]  # Wilson, 12 of 15
    (bare,) = table([offer("far", TIG, region="north", expected=None)]).programmes
    (unmapped,) = table([offer("drawing", CAD)], of=demanded).programmes
    assert (unmapped.vacancies, unmapped.coverage) == (None, 0.4), "no skill is mapped to it: not zero"
    (lately,) = table([offer("welding", TIG)], of=market([(TIG, 300)])).programmes
    assert (lately.vacancies, lately.a_year_before) == (1, None), "nobody looked a year ago"
    assert bare.vacancies is bare.a_year_before is bare.coverage is bare.ratings is bare.share is bare.expected is None
    assert (bare.certified, bare.places, bare.grounds) == (0, 0, ())


def test_a_row_is_red_for_what_is_so_now_and_says_what_was_answered():
    old, new = Gap("welding", TIG, "2025Q1", 9, 1), Gap("welding", TIG, "2025Q4", 9, 9)
    red = by_ratings([old], Rules())
    (answered,) = table([offer("welding", TIG, **{red[0].id: "declined"})], [old], findings=red).programmes
    assert [(one.ground, one.answer) for one in answered.grounds] == [("ratings", "declined")]
    (better,) = table([offer("welding", TIG)], [old, new], findings=red).programmes
    assert better.grounds == ()
    demanded = market([(TIG, 1)] * 5)
    found = unmet([Programme("welding", "east", frozenset({TIG}), frozenset())], demanded, Rules())
    (row,) = table([offer("welding", TIG)], findings=found, of=demanded).programmes
    assert [one.ground for one in row.grounds] == ["demand"]
    wished = [Finding("welding", LASER, window, "wishes", {"employers": 3}) for window in ("2025Q4", "2025Q3")]
    rows = table([offer("welding", TIG)], findings=wished).programmes
    assert [(row.competency, row.programmes, len(row.grounds)) for row in rows] == [(LASER, 0, 1), (TIG, 1, 0)]
    (row,) = table([offer("welding", TIG)], findings=wished[1:]).programmes
    assert row.competency == TIG, "what is long ago leaves no row behind"
    taken_back = offer("welding", TIG, **{wished[0].id: "withdrawn"})
    assert [row.competency for row in table([taken_back], findings=wished).programmes] == [TIG]
    strict = Rules(least_ratings=10)
    two = [Gap("welding", TIG, "2025Q3", 12, 2), Gap("welding", TIG, "2025Q4", 6, 6)]
    (row,) = table([offer("welding", TIG)], two, findings=by_ratings(two, strict), rules=strict).programmes
    assert row.grounds == (Ground("ratings", ""),), "the newest quarter with ten"


@pytest.mark.parametrize(
    ("day", "last"),
    [
        *((date(2026, 3, 31), "2025Q4"), (date(2026, 4, 1), "2026Q1"), (date(2026, 6, 15), "2026Q1")),
        *((date(2026, 9, 30), "2026Q2"), (date(2026, 12, 31), "2026Q3"), (date(2028, 3, 31), "2027Q4")),
    ],
)
def test_what_employers_miss_shows_for_the_quarter_and_the_next_one(day: date, last: str):
    missed = [Finding("welding", LASER, last, "wishes", {"employers": 3})]
    rows = table([offer("welding", TIG)], findings=missed, of=market(day=day)).programmes
    assert [len(row.grounds) for row in rows] == [1, 0]


def test_a_region_has_what_its_programmes_show_together_and_what_nobody_teaches():
    offers = [offer("one", TIG), offer("two", TIG, expected=None), offer("three", TIG, region="west", expected=8)]
    ratings = [Gap(name, TIG, "2025Q4", n, n - 1) for name, n in (("one", 6), ("two", 8), ("three", 5))]
    certified = {("one", TIG): 7, ("two", TIG): 3, ("three", TIG): 9}
    found = table(offers, ratings, certified, of=market([(LASER, 1)], ReportedDemand(GREEN, "west", "mill", 4))).regions
    assert [(row.region, row.competency) for row in found] == [
        ("east", LASER),
        ("east", TIG),
        ("west", GREEN),
        ("west", TIG),
    ]
    laser, tig, green, _ = found
    assert (tig.certified, tig.hidden, tig.expected, tig.programmes) == (7, ("certified",), 12, 2)
    assert (tig.ratings, tig.satisfied, tig.quarters) == (14, 12, (Quarter("2025Q4", 12, 14),))
    assert (laser.programmes, laser.vacancies, laser.certified, laser.ratings) == (0, 1, None, None)
    nothing = table([offer("one", TIG), offer("two", TIG, GREEN, expected=3)], certified={("two", TIG): 3}).regions
    assert [(row.competency, row.certified, row.hidden, row.expected) for row in nothing] == [
        (GREEN, 0, ("expected",), None),
        (TIG, None, ("certified", "expected"), 12),
    ]
    assert (green.places, green.vacancies) == (4, None)


COLUMNS = st.sampled_from(Column)
FEW = st.integers(1, LEAST - 1)
OFFERS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three", "four"]), st.sampled_from(["east", "west"])),
    unique_by=lambda pair: pair[0],
    max_size=4,
)
FILTERS = st.builds(
    Filter,
    by=st.sampled_from(["programme", "region"]),
    region=st.sampled_from([None, "east", "west"]),
    competency=st.sampled_from([None, TIG]),
    programme=st.sampled_from([None, "one"]),
    red=st.booleans(),
    sort=COLUMNS,
    descending=st.booleans(),
)


@given(OFFERS, st.data(), st.lists(FILTERS, min_size=1, max_size=4))
def test_attack_no_filter_order_or_sum_tells_how_many_are_in_a_hidden_group(
    programmes: list[tuple[str, str]], data: st.DataObject, filters: list[Filter]
):
    """Two networks that differ only in groups of one to four, whatever these are: every answer is the same."""

    def network() -> GapTable:
        offers = [offer(id, TIG, GREEN, region=region) for id, region in programmes]
        hidden = {(id, c): data.draw(FEW) for id, _ in programmes for c in (TIG,)}
        rated = [Gap(id, GREEN, "2025Q3", n := data.draw(FEW), data.draw(st.integers(0, n))) for id, _ in programmes]
        return table(offers, [*shown, *rated], {**large, **hidden})

    large = {(id, GREEN): data.draw(st.integers(LEAST, 40)) for id, _ in programmes}
    shown = [Gap(id, GREEN, "2025Q4", 9, data.draw(st.integers(0, 9))) for id, _ in programmes]
    one, other = network(), network()
    for wanted in filters:
        assert wanted.of(one) == wanted.of(other)


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9)), max_size=8), COLUMNS, st.booleans())
def test_rows_are_sorted_by_any_column_and_what_is_unknown_is_last(
    drawn: list[tuple[int, int | None]],
    column: Column,
    descending: bool,
):
    (blank,) = table([offer("welding", TIG)]).programmes
    rows = [blank._replace(title=f"T{n}", vacancies=count, share=count) for n, count in drawn]
    found = in_order(rows, column, descending=descending)
    assert Counter(found) == Counter(rows)
    if column in (Column.vacancies, Column.share):
        values = [row.vacancies for row in found]
        known = [value for value in values if value is not None]
        assert values == sorted(known, reverse=descending) + [None] * (len(values) - len(known))


# on real servers


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        await tell(one)
        yield one


async def tell(stack: Running) -> None:
    """A college with three programmes in a region where TIG is demanded, certified by nobody, and rated low.

    GREEN is certified and demanded by nobody.
    """
    operator, now = "operator:operator", datetime.now(UTC)
    for id, kind in (("college", "institution"), ("plant", "enterprise")):
        data = OrganisationRegistered(kind=kind, name=id.title(), region="east")
        await stack.publish(event(data, id, by=operator))
    for programme, taught in (("welding", [TIG, GREEN]), ("painting", [LASER]), ("drawing", [CAD])):
        parts = [ProgrammeCompetency(competency=competency, level=4) for competency in taught]
        data = ProgrammePublished(title=programme.title(), version="1", level=4, competencies=parts)
        await stack.publish(event(data, programme, by="institution:college"))
    for skill, competency in (("TIG", TIG), ("Laser", LASER), ("Green", GREEN)):
        data = SkillMapped(skill=skill, competency=competency)
        await stack.publish(event(data, skill_id(skill), by=operator))
    for number in range(6):
        skills = ["TIG", "Laser"] if number < 2 else ["TIG"]
        seen = VacancyObserved(
            portal="hh", title="Welder", region="east", skills=skills, published_on=date(2024, 1, 1 + number)
        )
        await stack.publish(event(seen, f"hh:{number}", by=operator, time=now - timedelta(days=500)))
    scheme = SchemePublished(competency=GREEN, level=4, methods=["exam"], least_score=0.5, enterprise_required=False)
    await stack.publish(event(scheme, "college:green", by="institution:college"))
    report = DemandReported(competency=LASER, places=12, horizon=date(2099, 1, 1), research="plan")
    await stack.publish(event(report, "plan", LASER, by="enterprise:plant"))
    soon = (now + timedelta(days=150)).strftime("%Y-%m")
    for number in range(9):
        learner = f"college:{number}"
        await stack.publish(event(LearnerEnrolled(programme="welding", cohort=soon), learner, by="institution:college"))
        certified = CompetencyCertified(
            competency=GREEN if number < 6 else TIG,
            level=4,
            scheme="college:green",
            institution="college",
            evidence=["college/e1"],
            address=f"/certificates/c{number}",
        )
        await stack.publish(event(certified, f"c{number}", learner, by="service:certification"))
        answer = FeedbackSubmitted(
            role="learner", programme="welding", overall=4, competencies={TIG: 5 if number < 3 else 2}
        )
        await stack.publish(event(answer, f"s{number}", by="institution:college", time=now))
    await stack.applied()


async def asked(stack: Running, **wanted: Any) -> dict[str, Any]:
    answer = await stack.client.get("/market/gap-table", params=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_table_is_one_answer_with_its_rules_columns_and_sources(stack: Running):
    async def recommended() -> Any:
        found = await asked(stack, competency=TIG)
        (tig,) = found["items"]  # until the tick nothing is recommended, and it is not known until when all is applied
        return found["as_of"] and [one["answer"] for one in tig["grounds"]] == ["open", "open"]

    await until(recommended)
    found = await asked(stack, programme="welding", sort="competency", descending=False)
    green, tig = found["items"]
    assert (tig["vacancies"], tig["a_year_before"], tig["places"], tig["certified"]) == (6, 6, 0, "<5")
    assert (tig["coverage"], tig["is_certifiable"], tig["expected"]) == (1.0, False, 9)
    assert {one["ground"] for one in tig["grounds"]} == {"ratings", "demand"}
    assert (tig["ratings"], tig["satisfied"], len(tig["quarters"])) == (9, 3, 1)
    assert (green["certified"], green["vacancies"], green["is_certifiable"], green["ratings"]) == (6, 0, True, None)
    assert (found["total"], found["next"], [*found["sources"]]) == (2, None, ["hh"])
    assert "fewer than 60 per cent are 4 or 5" in found["rules"]["ratings"]
    assert found["columns"]["places"]
    assert found["as_of"]
    east = await asked(stack, by="region", region="east", sort="vacancies", limit=1)
    assert (east["items"][0]["competency"], east["total"], east["next"]) == (TIG, 4, 1)
    red = await asked(stack, red=True)
    assert {(row["programme"], row["competency"]) for row in red["items"]} == {
        ("welding", TIG),
        ("welding", GREEN),
        ("painting", LASER),
    }
    assert [(one["ground"], one["answer"]) for one in green["grounds"]] == [("lapsed", "open")]


async def test_the_table_as_a_file_has_all_rows_typed_cells_and_definitions(stack: Running):
    text = (await stack.client.get("/market/gap-table", params={"format": "csv", "sort": "competency"})).text
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["competency"] for row in rows] == [TIG, LASER, GREEN, CAD]
    russian = {"Accept-Language": "ru"}
    answer = await stack.client.get("/market/gap-table", params={"format": "xlsx"}, headers=russian)
    book = load_workbook(io.BytesIO(answer.content))
    head, *cells = book.worksheets[0].iter_rows()
    named = {cell.value: number for number, cell in enumerate(head)}
    assert {row[named["Открытые вакансии"]].value for row in cells} == {None, 0, 2, 6}
    assert "0.0%" in {row[named["Охват"]].number_format for row in cells}
    said = {row[0].value: row[1].value for row in book.worksheets[1].iter_rows()}
    assert "60 процентов" in str(said["низкие оценки"])


async def test_a_file_is_bounded_and_says_what_to_do(stack: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gap_api, "MOST_ROWS", 3)
    answer = await stack.client.get("/market/gap-table", params={"format": "xlsx"})
    assert (answer.status_code, "filter by region" in answer.json()["detail"]) == (422, True)
    answer = await stack.client.get("/market/gap-table", params={"format": "xlsx", "programme": "welding"})
    assert answer.status_code == 200


async def test_a_database_of_an_earlier_version_does_not_know_who_is_certified(stack: Running):
    about = {"_id": "generation"}
    await stack.service.db[ABOUT].replace_one(about, {"number": stack.service.core.generation - 1})
    try:
        stack.service.shared.pop("gap table")
        green, tig = (await asked(stack, programme="welding", sort="competency", descending=False))["items"]
        assert [green["certified"], green["expected"], tig["certified"], tig["expected"]] == [None] * 4
        assert green["hidden"] == tig["hidden"] == []
    finally:
        await stack.service.db[ABOUT].replace_one(about, {"number": stack.service.core.generation})
        stack.service.shared.pop("gap table")


@pytest.mark.parametrize("wanted", [{"sort": "score"}, {"by": "sector"}, {"limit": 0}, {"scop": "x"}, {"red": "very"}])
async def test_what_the_table_does_not_know_is_refused(stack: Running, wanted: dict[str, Any]):
    answer = await stack.client.get("/market/gap-table", params=wanted)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(wanted)))


@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)])
@within(120)
async def test_the_table_is_read_sorted_and_filtered_without_javascript(
    stack: Running, browser: Browser, language: str, size: Any
):
    async with on_a_socket(stack) as url:
        looks = await browser.new_context(viewport=size, locale=language)
        plain = await browser.new_context(viewport=size, locale=language, java_script_enabled=False)
        page = await plain.new_page()
        await page.goto(f"{url}/market/gaps")
        await expect(page.locator("tbody tr")).to_have_count(4)
        await expect(page.locator("tbody tr.red")).to_have_count(3)
        await page.locator("input[name=red]").check()
        await page.locator("form[role=search] button").click()
        await expect(page.locator("tbody tr")).to_have_count(3)
        if size is DESK:
            await page.locator("thead a", has_text="Open vacancies").click()
            await expect(page.locator("th[aria-sort=descending]")).to_have_text("Open vacancies ↓")
        await page.locator("nav.tabs a").last.click()
        await expect(page.locator("tbody th").first).to_have_text("east")
        for path in ("market/gaps", "market/gaps?by=region", "stories/welding", "market/gaps?region=nowhere"):
            seen = await looks.new_page()
            await seen.goto(f"{url}/{path}")
            await accessible(seen)
            await shot(seen, f"{path.replace('/', '-').replace('?', '-')}-{language}")
            await seen.close()
        await looks.close()
        await plain.close()
