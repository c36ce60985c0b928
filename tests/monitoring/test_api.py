"""Monitoring's pages on real Kafka and MongoDB."""

import asyncio
import csv
import io
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from openpyxl import load_workbook

from services.monitoring import counters
from services.monitoring.app import core, router
from shared.contract.events import (
    CompetencyCertified,
    DemandReported,
    Event,
    FeedbackSubmitted,
    LearnerDescribed,
    LearnerEnrolled,
    LearnerErased,
    OrganisationRegistered,
    ProgrammePublished,
    RecognitionGranted,
    RecognitionWithdrawn,
    VacancyObserved,
)
from shared.processing import mongo
from shared.processing.recent import RecentAnswers
from shared.settings import Settings
from tests.making import event
from tests.stack import Running, running, until

from .counting import at, graduated, interned, status

OPERATOR = "operator:region"


def registered(organisation: str, kind: str, region: str, name: str, sector: str | None = None) -> Event[Any]:
    return event(OrganisationRegistered(kind=kind, name=name, region=region, sector=sector), organisation, by=OPERATOR)


def published(programme: str, institution: str, title: str = "Welding") -> Event[Any]:
    data = ProgrammePublished(title=title, version="1", level=4, hours_theory=1, hours_workplace=1)
    return event(data, programme, by=f"institution:{institution}", time=at("2023-01-10"))


def cohort(programme: str, employed: int, seeking: int, on: str = "2024-06-01") -> list[Event[Any]]:
    """Graduates of one programme, their status seen 18 months later, one and a half months of work for each."""
    seen = (date.fromisoformat(on) + timedelta(days=548)).isoformat()
    statuses = ["employed"] * employed + ["seeking"] * seeking
    people = [(f"{programme}-{on}-{n}", what) for n, what in enumerate(statuses)]
    at_plant = {"enterprise": "plant"} if programme == "casting" else {}
    said = [status(learner, what, seen, **(at_plant if what == "employed" else {})) for learner, what in people]
    return [*(graduated(learner, on, programme) for learner, _ in people), *said]


def certificate(n: int, competency: str, institution: str = "uni") -> Event[Any]:
    data = CompetencyCertified(
        competency=competency,
        level=4,
        scheme="s",
        institution=institution,
        evidence=[f"{institution}/exam"],
        address=f"/certificates/c{n}",
    )
    return event(data, f"c{n}", f"holder-{n}", by="service:certification", time=at("2025-01-10"))


def recognised(competency: str, organisation: str, withdrawn: bool = False) -> list[Event[Any]]:
    by = f"enterprise:{organisation}"
    granted = RecognitionGranted(competency=competency, since=date(2025, 1, 1))
    said = [event(granted, f"{organisation}-{competency.partition(':')[2]}", competency, by=by)]
    if withdrawn:
        data = RecognitionWithdrawn(competency=competency, reason="changed")
        said.append(event(data, said[0].subject, competency, by=by, time=datetime(2026, 4, 1, tzinfo=UTC)))
    return said


def described(learner: str, sex: str) -> Event[Any]:
    return event(LearnerDescribed(sex=sex), learner, time=at("2024-01-10"))


def rated(programme: str, relevant: int, other: int) -> list[Event[Any]]:
    """What graduates of a programme say of the relevance of their training."""
    return [
        event(
            FeedbackSubmitted(role="graduate", programme=programme, overall=3, relevance=5 if n < relevant else 2),
            f"{programme}-answer-{n}",
            by="institution:uni",
        )
        for n in range(relevant + other)
    ]


def everything() -> list[Event[Any]]:
    return [
        *cohort("welding", 6, 2),
        *cohort("welding", 3, 1, "2025-01-01"),
        *cohort("casting", 5, 5),
        *cohort("unregistered", 9, 1),
        *cohort("brazing", 6, 0, "2024-05-01"),
        *cohort("brazing", 0, 1, "2024-06-01"),
        *cohort("brazing", 7, 2, "2024-07-01"),
        # In months in which others have few, there are some here, too.
        *cohort("filing", 2, 2, "2024-05-01"),
        *cohort("filing", 2, 2, "2024-06-01"),
        *cohort("filing", 6, 6, "2025-01-01"),
        *(interned(f"welding-2024-06-01-{n}", enterprise="plant", hours=100) for n in range(6)),
        *(certificate(n, "greencomp:3.1") for n in range(10)),
        *(certificate(n, "esco:cnc") for n in range(10, 14)),
        *(certificate(n, "esco:milling") for n in range(14, 20)),
        *recognised("greencomp:3.1", "plant"),
        *recognised("esco:cnc", "plant", withdrawn=True),
        *(
            event(
                FeedbackSubmitted(role="enterprise", overall=3 + min(n, 2)), f"answer-{n}", by=f"enterprise:plant.{n}"
            )
            for n in range(5)
        ),
        *(described(f"casting-2024-06-01-{n}", "female" if n % 2 else "male") for n in range(10)),
        *(described(f"welding-2024-06-01-{n}", "female") for n in range(4)),
        *(described(f"unregistered-2024-06-01-{n}", "female") for n in range(4, 10)),
        *(
            event(
                VacancyObserved(portal="hh", title="x", region="west"), f"hh:{n}", by=OPERATOR, time=datetime.now(UTC)
            )
            for n in range(12)
        ),
        *rated("welding", 1, 1),
        *rated("casting", 5, 3),
        *rated("unregistered", 7, 5),
        published("welding", "uni"),
        published("casting", "college", '=HYPERLINK("http://a.test")'),
        # Registered last: what came before counts for their regions all the same.
        registered("uni", "institution", "east", "University"),
        registered("college", "institution", "west", "College"),
        registered("plant", "enterprise", "east", "<b>Plant</b>", "C25"),
    ]


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        events = everything()
        await one.publish(*events, *events[::3])
        await one.applied()
        yield one


async def ask(stack: Running, path: str, **params: Any) -> dict[str, Any]:
    answer = await stack.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def fraction(stack: Running, indicator: str, **params: Any) -> tuple[Any, Any]:
    value = await ask(stack, f"/indicators/{indicator}", **params)
    return value["numerator"], value["denominator"]


async def test_the_network_counts_unregistered_programmes_too(stack: Running) -> None:
    assert await fraction(stack, "employment_rate") == (46, 68)


@pytest.mark.parametrize(
    ("scope", "scope_id", "numbers"),
    [
        ("programme", "welding", (9, 12)),
        ("programme", "unregistered", (9, 10)),
        ("institution", "uni", (9, 12)),
        ("region", "west", (5, 10)),
    ],
)
async def test_a_scope_is_the_sum_of_its_programmes(
    stack: Running, scope: str, scope_id: str, numbers: tuple[int, int]
) -> None:
    assert await fraction(stack, "employment_rate", scope=scope, scope_id=scope_id) == numbers


async def test_a_sector_is_the_sum_of_its_enterprises(stack: Running) -> None:
    for scope, scope_id in (("sector", "C25"), ("enterprise", "plant"), ("network", None), ("region", "east")):
        params = {"scope": scope} | ({"scope_id": scope_id} if scope_id else {})
        value = await ask(stack, "/indicators/workplace_hours_per_learner", **params)
        assert (value["numerator"], value["denominator"], value["value"]) == (600, 6, 100)


async def test_a_value_carries_its_proof(stack: Running) -> None:
    value = await ask(stack, "/indicators/employment_rate_18m", scope="programme", scope_id="casting")
    assert value["value"] == 0.5
    assert (value["indicator"], value["scope"], value["scope_id"]) == ("employment_rate_18m", "programme", "casting")
    assert (value["scope_name"], value["status"], value["n"]) == ('=HYPERLINK("http://a.test")', "ok", 10)
    assert (value["unit"], value["source"], value["from"]) == ("share", "EQAVET 5", None)
    assert value["definition"]["ru"]
    assert value["window"]["en"].endswith("cohorts whose 18 months have passed")


async def test_applied_until_follows_the_clock_when_nothing_is_left_to_apply(stack: Running) -> None:
    asked_at = datetime.now(UTC)

    async def caught_up() -> bool:
        value = await ask(stack, "/indicators/active_partners")
        return bool(value["applied_until"]) and datetime.fromisoformat(value["applied_until"]) >= asked_at

    await until(caught_up)


async def test_months_bound_the_cohorts(stack: Running) -> None:
    assert await fraction(stack, "employment_rate", scope="programme", scope_id="casting", to="2024-06") == (5, 10)
    value = await ask(stack, "/indicators/employment_rate", scope="programme", scope_id="casting", to="2024-05")
    assert (value["status"], value["n"], value["months_left_out"]) == ("not_enough_data", 0, 0)


async def test_windows_leave_out_a_small_cohort_and_the_next_smallest(stack: Running) -> None:
    asked = {"scope": "programme", "scope_id": "brazing"}
    whole = await ask(stack, "/indicators/employment_rate", **asked)
    assert (whole["numerator"], whole["n"], whole["months_left_out"]) == (13, 16, 0)
    june = await ask(stack, "/indicators/employment_rate", **asked, to="2024-06")
    assert (june["status"], june["value"], june["numerator"], june["n"]) == ("suppressed", None, None, None)
    assert june["months_left_out"] == 2
    july = await ask(stack, "/indicators/employment_rate", **asked, to="2024-07")
    assert (july["numerator"], july["n"], july["months_left_out"]) == (7, 9, 2)


async def test_a_comparison_of_windows_leaves_out_the_same(stack: Running) -> None:
    for months, expected in (({}, (13, 0)), ({"to": "2024-07"}, (7, 2)), ({"to": "2024-06"}, (None, 2))):
        compared = await ask(stack, "/indicators/employment_rate/comparison", scope="programme", **months)
        values = {v["scope_id"]: (v["numerator"], v["months_left_out"]) for v in compared["items"]}
        assert values["brazing"] == expected
        assert values["casting"] == (5, 0)
        for programme, said in values.items():  # what is hidden of one is the same as of all beside each other
            one = await ask(stack, "/indicators/employment_rate", scope="programme", scope_id=programme, **months)
            assert (one["numerator"], one["months_left_out"]) == said


async def test_the_network_less_its_other_programmes_and_regions_tells_nothing_of_two_graduates(stack: Running) -> None:
    network = await ask(stack, "/indicators/training_relevance")
    assert (network["numerator"], network["n"]) == (13, 22)
    for scope, told in (("programme", {"unregistered": 12}), ("institution", {}), ("region", {})):
        compared = await ask(stack, "/indicators/training_relevance/comparison", scope=scope)
        assert {each["scope_id"]: each["n"] for each in compared["items"] if each["status"] == "ok"} == told
    for programme, n in (("welding", "<5"), ("casting", None)):  # of casting there are eight
        asked = {"scope": "programme", "scope_id": programme}
        value = await ask(stack, "/indicators/training_relevance", **asked)
        assert (value["status"], value["numerator"], value["n"]) == ("suppressed", None, n)
        series = await ask(stack, "/indicators/training_relevance/series", **asked)
        assert {point["status"] for point in series["points"]} == {"suppressed"}


async def test_who_is_left_out_is_told_of_the_whole_and_of_no_window(stack: Running) -> None:
    asked = {"scope": "programme", "scope_id": "brazing"}
    whole = await ask(stack, "/indicators/employment_rate", **asked)
    assert (whole["coverage"], whole["thin"], whole["lower"], whole["upper"]) == (1, False, 13 / 16, 13 / 16)
    window = await ask(stack, "/indicators/employment_rate", **asked, to="2024-07")
    assert {window[name] for name in ("coverage", "thin", "lower", "upper", "left_out")} == {None}


async def test_graduates_are_at_work_in_their_employers_sector_and_region(stack: Running) -> None:
    for scope, scope_id in (("enterprise", "plant"), ("sector", "C25"), ("region", "east")):
        assert (await ask(stack, "/indicators/graduates_at_work", scope=scope, scope_id=scope_id))["value"] == 5
    of_network, of_college, of_uni = [
        await fraction(stack, "employed_in_region_rate", **scope)
        for scope in ({}, *({"scope": "institution", "scope_id": id} for id in ("college", "uni")))
    ]
    assert (of_network, of_college, of_uni) == ((None, None), (None, None), (0, 0))  # none of five, which is hidden


async def test_vacancies_are_those_of_the_region(stack: Running) -> None:
    assert (await fraction(stack, "vacancies_per_graduate"))[0] == 12
    compared = await ask(stack, "/indicators/vacancies_per_graduate/comparison", scope="region")
    assert {item["scope_id"]: item["numerator"] for item in compared["items"]} == {"east": 0, "west": 12}
    assert (await fraction(stack, "vacancies_per_graduate", scope="region", scope_id="west"))[0] == 12


async def test_a_value_is_split_into_groups_where_each_is_large_enough(stack: Running) -> None:
    async def groups(**scope: str) -> list[tuple[Any, ...]]:
        answer = await ask(stack, "/indicators/employment_rate_18m", split="sex", **scope)
        return [(one["learners"], one["numerator"], one["denominator"]) for one in answer["items"]]

    of_all = [("female", 11, 15), ("male", 3, 5), ("not_described", 23, 32)]
    assert await groups() == of_all
    of_college = [("female", 2, 5), ("male", 3, 5), ("not_described", 0, 0)]
    assert await groups(scope="region", scope_id="west") == of_college
    assert await groups(scope="institution", scope_id="college") == of_college
    hidden = [(group, None, None) for group, *_ in of_all]
    assert await groups(scope="region", scope_id="east") == hidden
    assert await groups(scope="institution", scope_id="uni") == hidden
    path = "/indicators/employment_rate_18m?split=sex&lang=ru&format="
    table = list(csv.DictReader(io.StringIO((await stack.client.get(f"{path}csv")).text)))
    assert [(row["split"], row["learners"], row["n"]) for row in table] == [
        ("sex", one[0], str(one[2])) for one in of_all
    ]
    figures = load_workbook(io.BytesIO((await stack.client.get(f"{path}xlsx")).content)).worksheets[0]
    column = [cell.value for cell in figures[1]].index("Обучающиеся")
    assert [row[column].value for row in figures.iter_rows(min_row=2)] == ["женщины", "мужчины", "неизвестно"]
    page = await stack.client.get("/figures/employment_rate_18m", params={"lang": "en"})
    assert "11 of 15" in page.text
    assert "11 of 15" not in (await stack.client.get("/figures/employment_rate_18m?to=2024-06&lang=en")).text


async def test_years_are_told_with_the_change_from_the_year_before(stack: Running) -> None:
    path = "/indicators/employment_rate/series"
    answer = await ask(stack, path, scope="programme", scope_id="casting", step="year")
    told = {one["period"]: (one["numerator"], one["n"], one["change"]) for one in answer["points"]}
    assert told == {"2024": (5, 10, None)}
    workbook = await stack.client.get(f"{path}?step=year&format=xlsx")
    assert workbook.status_code == 200


async def test_nobody_in_the_window_is_not_enough_data(stack: Running) -> None:
    value = await ask(stack, "/indicators/employment_rate", to="2020-01")
    assert (value["status"], value["value"], value["n"]) == ("not_enough_data", None, 0)


async def test_small_cohorts_are_hidden_in_a_series(stack: Running) -> None:
    for path, params in (("/indicators/employment_rate/series", {}), ("/indicators/employment_rate", {"series": True})):
        answer = await ask(stack, path, scope="programme", scope_id="brazing", **params)
        points = [(point["period"], point["status"], point["numerator"]) for point in answer["points"]]
        assert points == [("2024-05", "suppressed", None), ("2024-06", "suppressed", None), ("2024-07", "ok", 7)]


async def test_recognised_certificates_are_those_of_competencies_recognised_in_the_month(stack: Running) -> None:
    assert await fraction(stack, "recognised_certificates_rate") == (10, 20)
    window = {"from": "2026-03", "to": "2026-04"}
    series = await ask(stack, "/indicators/recognised_certificates_rate/series", **window)
    # In April one enterprise withdrew what four certificates need: few enough to hide how it was before.
    assert [(p["period"], p["numerator"]) for p in series["points"]] == [("2026-03", None), ("2026-04", 10)]
    compared = await ask(stack, "/indicators/recognised_certificates_rate/comparison", scope="competency")
    assert [(v["scope_id"], v["value"] or v["status"]) for v in compared["items"]] == [
        ("esco:cnc", "suppressed"),
        ("esco:milling", "suppressed"),  # none of six; and the network's less the others' would tell that of four
        ("greencomp:3.1", 1),
    ]


async def test_a_comparison_shows_every_programme_and_institution_with_its_name(stack: Running) -> None:
    compared = await ask(stack, "/indicators/employment_rate/comparison", scope="programme")
    found = {value["scope_id"]: (value["numerator"], value["denominator"]) for value in compared["items"]}
    assert found.pop("filing") == (10, 20)
    assert found == {"welding": (9, 12), "casting": (5, 10), "brazing": (13, 16), "unregistered": (9, 10)}
    compared = await ask(stack, "/indicators/employment_rate/comparison", scope="institution")
    found = {value["scope_name"]: value["value"] for value in compared["items"]}
    assert found == {"University": 0.75, "College": 0.5}


async def test_answers_about_no_programme_count_in_the_network_and_in_no_programme(stack: Running) -> None:
    assert await fraction(stack, "employer_satisfaction") == (4, 5)
    compared = await ask(stack, "/indicators/employer_satisfaction/comparison", scope="programme")
    assert {value["status"] for value in compared["items"]} == {"not_enough_data"}
    assert [value["scope_id"] for value in compared["items"]] == ["casting", "welding"]


async def test_values_are_those_that_are_asked_for_one_by_one(stack: Running) -> None:
    for params in ({}, {"scope": "programme", "scope_id": "welding"}, {"scope": "enterprise", "scope_id": "plant"}):
        together = (await ask(stack, "/values", **params))["items"]
        alone = [await ask(stack, f"/indicators/{value['indicator']}", **params) for value in together]
        for value in (*together, *alone):
            del value["applied_until"]
        assert together == alone


async def test_an_erased_learner_leaves_every_value(stack: Running) -> None:
    gone = [graduated("gone", programme="forging"), status("gone", "employed")]
    await stack.publish(*gone)
    await stack.applied()
    before = await fraction(stack, "status_response_rate")
    await stack.publish(event(LearnerErased(), "gone"), *gone)
    await stack.applied()
    assert await fraction(stack, "status_response_rate") == (before[0] - 1, before[1] - 1)


async def test_scopes_to_choose_from_have_names(stack: Running) -> None:
    programmes = (await ask(stack, "/scopes/programme"))["items"]
    assert {"id": "welding", "name": "Welding"} in programmes
    assert {"id": "unregistered", "name": "unregistered"} in programmes
    enterprises = (await ask(stack, "/scopes/enterprise"))["items"]
    assert enterprises[0] == {"id": "plant", "name": "<b>Plant</b>"}
    assert [item["id"] for item in enterprises[1:]] == [f"plant.{n}" for n in range(5)]
    assert [item["id"] for item in (await ask(stack, "/scopes/region"))["items"]] == ["east", "west"]


@pytest.mark.parametrize(
    ("path", "status_code", "field"),
    [
        ("/indicators/happiness", 404, None),
        ("/indicators/employment_rate?scope=galaxy", 422, "scope"),
        ("/indicators/employment_rate?scope=enterprise&scope_id=plant", 422, "scope"),
        ("/indicators/employment_rate?scope=programme", 422, "scope_id"),
        ("/indicators/employment_rate?scope=programme&scope_id=nowhere", 404, None),
        ("/indicators/employment_rate?from=2024-13", 422, "from"),
        ("/indicators/employment_rate?to=June", 422, "to"),
        ("/indicators/employment_rate?from=2024-07&to=2024-06", 422, "to"),
        ("/indicators/employment_rate?format=pdf", 422, "format"),
        ("/indicators/employment_rate?split=sex", 422, "split"),
        ("/indicators/employment_rate_18m?split=age", 422, "split"),
        ("/indicators/employment_rate_18m?split=sex&scope=programme&scope_id=welding", 422, "scope"),
        ("/indicators/employment_rate_18m?split=sex&to=2024-06", 422, "to"),
        ("/indicators/employment_rate/comparison?scope=competency", 422, "scope"),
        ("/scopes/galaxy", 422, "scope"),
        ("/live.js/../app.py", 404, None),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    stack: Running, path: str, status_code: int, field: str | None
) -> None:
    answer = await stack.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status_code, "application/problem+json")
    assert field in [None, *(error["field"] for error in answer.json().get("errors", []))]


async def test_csv_says_the_same_and_no_cell_is_a_formula(stack: Running) -> None:
    by_header = await stack.client.get(
        "/indicators/employment_rate/comparison?scope=programme", headers={"Accept": "text/csv"}
    )
    by_parameter = await stack.client.get("/indicators/employment_rate/comparison?scope=programme&format=csv")
    assert by_header.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(by_header.text)))
    assert by_parameter.text.count("\n") == by_header.text.count("\n") == 6
    assert {row["scope_id"]: float(row["value"]) for row in rows} == {
        "brazing": 0.8125,
        "casting": 0.5,
        "filing": 0.5,
        "unregistered": 0.9,
        "welding": 0.75,
    }
    assert rows[1]["scope_name"] == '\'=HYPERLINK("http://a.test")'
    assert rows[1]["definition_ru"]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


async def test_csv_begins_with_a_byte_order_mark_where_it_is_asked_for(stack: Running) -> None:
    path = "/indicators/employment_rate/comparison?scope=programme&format=csv"
    plain, marked = [await stack.client.get(path + more) for more in ("", "&bom=true")]
    assert marked.content == b"\xef\xbb\xbf" + plain.content
    named = f'attachment; filename="employment_rate-comparison-{datetime.now(UTC):%Y-%m-%d}.csv"'
    assert plain.headers["content-disposition"] == named


async def test_a_comparison_is_worked_out_once_for_all_who_ask(stack: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    read, times = counters.read, Counter[str]()

    async def counted(*arguments: Any, **options: Any) -> Any:
        times["read"] += 1
        return await read(*arguments, **options)

    monkeypatch.setattr(counters, "read", counted)
    path = "/indicators/unemployment_rate/comparison?scope=institution"
    answers = await asyncio.gather(*(stack.client.get(path) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert times["read"] == 4  # all of them, and the network beside them; and of both what is hidden


TABLES = [
    "/indicators",
    "/values",
    "/indicators/employment_rate/series",
    "/scopes/region",
    "/indicators/employment_rate",
]


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("path", TABLES)
async def test_everything_is_there_as_a_workbook_that_explains_itself(stack: Running, path: str, lang: str) -> None:
    answer = await stack.client.get(path, params={"format": "xlsx", "lang": lang})
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    figures, definitions = load_workbook(io.BytesIO(answer.content)).worksheets
    assert figures.freeze_panes == "A2"
    assert figures.max_row > 1
    assert all(cell.value and cell.font.bold for cell in figures[1])
    explained = dict(definitions.iter_rows(min_row=2, values_only=True))
    assert f"{stack.client.base_url}{path}?format=xlsx&lang={lang}" in explained.values()
    if path.endswith("series"):
        assert {"en": "Employment rate", "ru": "Доля занятых"}[lang] in explained


async def test_cells_of_a_workbook_have_types_and_none_is_a_formula(stack: Running) -> None:
    answer = await stack.client.get("/indicators/employment_rate/comparison?scope=programme&format=xlsx&lang=en")
    figures = load_workbook(io.BytesIO(answer.content)).worksheets[0]
    head, *rows = figures.iter_rows()
    column = {cell.value: place for place, cell in enumerate(head)}
    values = {row[column["Of which (identifier)"]].value: row[column["Value"]] for row in rows}
    assert {id: cell.value for id, cell in values.items()} == {
        "brazing": 0.8125,
        "casting": 0.5,
        "filing": 0.5,
        "unregistered": 0.9,
        "welding": 0.75,
    }
    assert {cell.number_format for cell in values.values()} == {"0.0%"}
    assert {cell.data_type for row in rows for cell in row} <= {"n", "s", "inlineStr"}
    assert '=HYPERLINK("http://a.test")' in [row[column["Of which"]].value for row in rows]


@pytest.mark.parametrize("path", ["/indicators", "/values", "/indicators/employment_rate/series", "/scopes/region"])
async def test_everything_is_there_as_csv(stack: Running, path: str) -> None:
    answer = await stack.client.get(path, params={"format": "csv"})
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) > 1


async def test_the_first_page_needs_nothing_from_elsewhere(stack: Running) -> None:
    page = await stack.client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("live.js", "static/praktika.css"):
        assert path in page.text
        assert (await stack.client.get(f"/{path}")).status_code == 200
    assert not re.search(r"(src|action|stylesheet\" href)=\"http", page.text)


async def test_every_indicator_is_in_the_catalogue(stack: Running) -> None:
    items = (await ask(stack, "/indicators"))["items"]
    values = (await ask(stack, "/values"))["items"]
    assert [item["indicator"] for item in items] == [value["indicator"] for value in values]


# answers that are shared


class Work:
    """Counts how often it is done; what it tells is how often that was."""

    times = 0

    async def __call__(self) -> list[dict[str, Any]]:
        self.times += 1
        times = self.times
        await asyncio.sleep(0.01)
        return [{"times": times}]


@pytest.fixture
async def positions(mongodb: str) -> AsyncIterator[mongo.Database]:
    """A database with one partition applied up to its fifth record, until one second after the epoch."""
    settings = Settings(mongodb_uri=mongodb, namespace=f"t{uuid4().hex[:12]}")
    client = mongo.connect(settings)
    db = mongo.database(client, settings, "monitoring")
    await db[mongo.POSITIONS].insert_one({"_id": "learner-0", "next": 5, "time_ms": 1_000})
    yield db
    await client.drop_database(db.name)
    client.close()


async def move(db: mongo.Database, **fields: int) -> None:
    await db[mongo.POSITIONS].update_one({"_id": "learner-0"}, {"$set": fields})


async def test_an_answer_is_worked_out_once_for_all_who_ask_at_once(positions: mongo.Database) -> None:
    recent, work = RecentAnswers(), Work()
    answers = await asyncio.gather(*(recent.answer(positions, "question", 0, work) for _ in range(20)))
    assert [items for items, _ in answers] == [[{"times": 1}]] * 20


async def test_an_answer_is_worked_out_anew_when_an_event_has_been_applied(positions: mongo.Database) -> None:
    recent, work = RecentAnswers(), Work()
    assert await recent.answer(positions, "question", 0, work) == ([{"times": 1}], "1970-01-01T00:00:01.000+00:00")
    await move(positions, complete_ms=2_000)  # nothing is left to apply: the same answer holds for longer
    assert await recent.answer(positions, "question", 0, work) == ([{"times": 1}], "1970-01-01T00:00:02.000+00:00")
    await move(positions, next=6, time_ms=3_000)
    assert await recent.answer(positions, "question", 0, work) == ([{"times": 2}], "1970-01-01T00:00:03.000+00:00")


async def test_an_answer_that_is_reused_while_events_go_on_claims_only_what_it_contains(
    positions: mongo.Database,
) -> None:
    recent, work = RecentAnswers(), Work()
    first = await recent.answer(positions, "question", 60, work)
    await move(positions, next=6, time_ms=3_000)
    assert await recent.answer(positions, "question", 60, work) == first


async def test_what_could_not_be_worked_out_is_asked_again(positions: mongo.Database) -> None:
    async def fail() -> list[dict[str, Any]]:
        raise mongo.DatabaseError

    recent, work = RecentAnswers(), Work()
    with pytest.raises(mongo.DatabaseError):
        await recent.answer(positions, "question", 60, fail)
    assert (await recent.answer(positions, "question", 60, work))[0] == [{"times": 1}]


async def test_an_answer_that_took_long_rests_and_a_crowd_waits_for_one(positions: mongo.Database) -> None:
    class Slow(Work):
        async def __call__(self) -> Any:
            await asyncio.sleep(0.2)
            return await super().__call__()

    recent, work = RecentAnswers(rest=1_000), Slow()

    async def ask_() -> None:
        await move(positions, next=work.times + 6)
        await recent.answer(positions, "question", 0, work)

    await asyncio.gather(*(ask_() for _ in range(5)))
    await move(positions, next=100)
    await recent.answer(positions, "question", 0, work)
    assert work.times == 1
    assert not await recent.is_current(positions, "question")
    recent, work = RecentAnswers(rest=1_000, at_once_s=60), Slow()
    for moved in (101, 102):
        await move(positions, next=moved)
        await recent.answer(positions, "question", 0, work)
    assert work.times == 2  # it does not take that long


async def test_only_what_is_said_on_its_topic_makes_an_answer_old(positions: mongo.Database) -> None:
    recent, work = RecentAnswers(topic="demand"), Work()
    for offset in (6, 7):
        await move(positions, next=offset)
        await recent.answer(positions, "question", 0, work)
    assert work.times == 1
    await positions[mongo.POSITIONS].insert_one({"_id": "demand-0", "next": 1, "time_ms": 1_000})
    assert not await recent.is_current(positions, "question")
    await recent.answer(positions, "question", 0, work)
    assert work.times == 2


async def test_only_so_many_answers_are_kept(positions: mongo.Database) -> None:
    recent, work = RecentAnswers(most=2), Work()
    for question in ("one", "two", "three", "three", "one"):
        await recent.answer(positions, question, 0, work)
    assert work.times == 4


async def test_demand_stands_beside_the_holders_of_a_region_and_of_a_programme(stack: Running) -> None:
    def demand(competency: str, places: int, by: str, of: str | None = None) -> Event[Any]:
        data = DemandReported(competency=competency, places=places, horizon=date(2099, 1, 1), research="plan", of=of)
        return event(data, f"plan-{by.partition(':')[2]}", competency, by=by, time=datetime.now(UTC))

    enrolled = [event(LearnerEnrolled(programme="welding"), f"holder-{n}") for n in range(5)]
    demanded = [demand("greencomp:3.1", 10, "enterprise:plant"), demand("esco:cnc", 4, OPERATOR, of="west")]
    await stack.publish(*enrolled, *demanded)
    await stack.applied()
    green = {"competency": "greencomp:3.1", "places": 10, "reports": 1, "holders": 10, "lack": 0, "surplus": 0}
    cnc = {"competency": "esco:cnc", "places": 4, "reports": 1, "holders": 0, "lack": 4, "surplus": 0}
    hidden = {**cnc, "holders": "<5", "lack": None, "surplus": None, "status": "suppressed"}
    of_programme = green | {"holders": 5, "lack": 5}
    for scope, rows in (
        ({}, [hidden, green]),
        ({"scope": "region", "scope_id": "east"}, [green]),
        ({"scope": "region", "scope_id": "west"}, [cnc]),
        ({"scope": "programme", "scope_id": "welding"}, [of_programme]),
    ):
        answer = await ask(stack, "/gaps", **scope)
        assert [{**row, **wanted} for row, wanted in zip(answer["items"], rows, strict=True)] == answer["items"]
    text = (await stack.client.get("/gaps", params={"format": "csv"})).text
    assert next(csv.DictReader(io.StringIO(text)))["competency"] == "esco:cnc"
    book = load_workbook(io.BytesIO((await stack.client.get("/gaps", params={"format": "xlsx"})).content))
    assert "Places demanded" in [cell.value for cell in book.worksheets[0][1]]
    assert (await stack.client.get("/gaps", params={"scope": "region", "scope_id": "nowhere"})).status_code == 404
    # Two hold one of the west: who has the east's could subtract them from the network's.
    await stack.publish(*(certificate(n, "greencomp:3.1", "college") for n in (20, 21)))
    await stack.applied()

    async def is_hidden() -> bool:
        (east,) = (await ask(stack, "/gaps", scope="region", scope_id="east"))["items"]
        return (east["status"], east["holders"], east["lack"], east["surplus"]) == ("suppressed", None, None, None)

    await until(is_hidden)
