"""What is demanded, certified and taught, and the sustainability competencies of programmes: rules, API and pages.

| holders of        | welding (east) | casting (east) | machining (east) | history (west) | in all |
| ----------------- | -------------- | -------------- | ---------------- | -------------- | ------ |
| greencomp:3.1     | 12             | 3              | 20               |                | 35     |
| greencomp:1.1     | 6              |                |                  |                | 6      |
| greencomp:2.1     |                |                |                  | 7 (not taught) | 7      |
| national:cnc      | 2              |                |                  |                | 2      |
"""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from playwright.async_api import Browser, expect

from services.monitoring.app import core, router
from services.monitoring.competencies import Competencies, GapFilters, GapOrder, Holders, hidden
from services.monitoring.states import view
from services.monitoring.sustainability import foremost
from shared.contract import events as e
from shared.contract.events import Data, Event
from shared.processing import facts
from shared.processing.mongo import Key
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import after, event, examples
from tests.stack import Running, on_a_socket, running

from .counting import at, graduated

OPERATOR = "operator:region"
HOSTILE = "<img src=x onerror=alert(1)>"
LEAST = 5
PROGRAMMES = {
    "welding": ("uni", ["greencomp:1.1", "greencomp:3.1", "national:cnc"]),
    "casting": ("uni", ["greencomp:3.1"]),
    "machining": ("uni", ["greencomp:3.1"]),
    "nursing": ("college", ["national:waste"]),
    "history": ("college", []),
    "music": ("college", []),
}
HELD = {
    ("welding", "greencomp:3.1"): 12,
    ("casting", "greencomp:3.1"): 3,
    ("machining", "greencomp:3.1"): 20,
    ("welding", "greencomp:1.1"): 6,
    ("history", "greencomp:2.1"): 7,
    ("welding", "national:cnc"): 2,
    ("history", "esco:other"): 4,  # hidden beside it
}


def published(programme: str, competencies: list[str], version: str, on: str) -> Event[Data]:
    named = [e.ProgrammeCompetency(competency=one, level=4) for one in competencies]
    data = e.ProgrammePublished(title=programme.title(), version=version, level=4, competencies=named)
    return event(data, programme, by=f"institution:{PROGRAMMES[programme][0]}", time=at(on))


def certified(programme: str, competency: str, n: int) -> Event[Data]:
    data = e.CompetencyCertified(
        competency=competency,
        level=4,
        scheme="s",
        institution=PROGRAMMES[programme][0],
        evidence=["uni/exam"],
        address="/certificates/c",
    )
    subject = f"{programme}-{n}-{competency.replace(':', '-')}"
    return event(data, subject, f"{programme}-{n}", by="service:certification", time=at("2025-01-10"))


def demanded(competency: str, places: int, by: str, of: str | None = None) -> Event[Data]:
    data = e.DemandReported(competency=competency, places=places, horizon=date(2099, 1, 1), research="plan", of=of)
    subject = f"plan-{competency.replace(':', '-')}"
    return event(data, subject, competency, by=by, time=datetime.now(UTC))


def organisation(id: str, kind: e.OrganisationKind, name: str, region: str) -> Event[Data]:
    return event(e.OrganisationRegistered(kind=kind, name=name, region=region), id, by=OPERATOR, time=at("2023-01-01"))


def item(id: str, name: str, russian: str, *, is_sustainable: bool = False) -> Event[Data]:
    data = e.FrameworkItemDefined(
        framework="national",
        version="1",
        name={"en": name, "ru": russian},
        sustainability=True if is_sustainable else None,
    )
    return event(data, f"national:{id}", "national", by=OPERATOR, time=at("2023-01-01"))


def everything() -> list[Event[Data]]:
    said = [
        organisation("uni", e.OrganisationKind.institution, "University", "east"),
        organisation("college", e.OrganisationKind.institution, "College", "west"),
        organisation("plant", e.OrganisationKind.enterprise, HOSTILE, "west"),
        organisation("mine", e.OrganisationKind.enterprise, "Northern mine", "east"),
        item("cnc", "Machining, level 5", "Станки с ЧПУ, уровень 5"),
        item("safety", "Safety in mines", "Безопасность в шахтах"),
        item("waste", "Industrial waste", "Промышленные отходы", is_sustainable=True),
        event(
            e.FrameworkPublished(version="1", name={"en": "National standards", "ru": "Профстандарты"}, items=3),
            "national",
            by=OPERATOR,
            time=at("2023-01-02"),
        ),
        published("welding", ["greencomp:4.3"], "1", "2023-02-01"),
        *(published(id, taught, "2", "2024-02-01") for id, (_, taught) in PROGRAMMES.items()),
        demanded("national:safety", 60, "enterprise:mine"),
        demanded("national:safety", 10, "enterprise:plant"),
        demanded("national:cnc", 25, OPERATOR, of="east"),
        demanded("greencomp:3.1", 50, "enterprise:plant"),
        demanded("greencomp:1.1", 2, "enterprise:mine"),
    ]
    people = {(id, n) for (id, _), held in HELD.items() for n in range(held)} | {("welding", n) for n in range(20)}
    said += [
        event(e.LearnerEnrolled(programme=id), f"{id}-{n}", by=f"institution:{PROGRAMMES[id][0]}")
        for id, n in sorted(people)
    ]
    said += [certified(id, competency, n) for (id, competency), held in HELD.items() for n in range(held)]
    said += [graduated(f"{id}-{n}", "2024-06-20", id) for id, n in sorted(people) if id in ("welding", "casting")]
    return said


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        await one.publish(*everything())
        await one.applied()
        yield one


async def ask(stack: Running, path: str, **params: Any) -> dict[str, Any]:
    answer = await stack.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# rules


def test_a_programme_teaches_what_its_newest_version_names():
    versions = [published("welding", taught, str(n), f"2024-0{n}-01") for n, taught in ((1, ["a:1"]), (2, ["b:2"]))]
    for order in (versions, versions[::-1]):
        assert view(Key("programmes", "welding"), after(facts.empty(), *order))["competencies"] == ["b:2"]


def held_of(programmes: dict[str, int], regions: dict[str, str]) -> Holders:
    """Holders of one competency in the programmes, their regions, and in all."""
    of: dict[Any, int] = defaultdict(int)
    for id, held in programmes.items():
        for scope in (("programme", id), ("region", regions[id]), ("network", "")):
            of[*scope, "x"] += held
    return {key: held for key, held in of.items() if held}


@settings(max_examples=examples(300))
@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=5), min_size=1, max_size=4))
def test_no_few_follow_from_what_is_shown_of_programmes_regions_and_the_network(network: list[list[int]]):
    programmes = {f"{r}{p}": held for r, some in enumerate(network) for p, held in enumerate(some)}
    regions = {id: id[0] for id in programmes}
    holders = held_of(programmes, regions)
    few = hidden(holders, regions, LEAST)
    assert all(of in few for of, held in holders.items() if held < LEAST)

    def together(scope: str, region: str | None = None) -> int:
        """How many people those are who are hidden, in a region or in all."""
        return sum(
            held
            for (kind, id, _), held in holders.items()
            if kind == scope and region in (None, id[0]) and (kind, id, "x") in few
        )

    def does_not_tell(people: int) -> bool:
        return people == 0 or people >= LEAST

    if ("network", "", "x") not in few:
        assert does_not_tell(together("region"))
        assert does_not_tell(together("programme"))
    for (kind, region, _), held in holders.items():
        if kind == "region" and (kind, region, "x") not in few:
            assert does_not_tell(together("programme", region))
        elif kind == "region" and held:
            assert together("programme", region) > 0  # else the region would be the sum of what is shown


def row(competency: str, lack: int | None, places: int, holders: Any) -> dict[str, Any]:
    return {"competency": competency, "lack_at_least": lack, "places": places, "holders": holders, "taught": 0}


def test_the_smallest_other_competency_is_hidden_beside_one_of_few():
    """The holders of all together are told by competency_gap of the network."""
    holders: dict[Any, int] = {("network", "", id): n for id, n in (("a", 3), ("b", 10), ("c", 20))}
    assert hidden(holders, {}, 5) == {("network", "", "a"), ("network", "", "b")}


def test_what_is_hidden_stands_where_at_least_it_belongs():
    rows = [row("a:1", 3, 9, 6), row("b:1", 56, 60, "<5"), row("b:2", None, 70, None), row("c:1", 8, 8, 0)]
    ids = {
        str(order): [each["competency"] for each in GapFilters(order=order).of(rows)]
        for order in (GapOrder.lack, GapOrder.holders)
    }
    assert ids == {"lack": ["b:1", "c:1", "a:1", "b:2"], "holders": ["c:1", "a:1", "b:2", "b:1"]}
    assert [each["competency"] for each in GapFilters(framework="b").of(rows)] == ["b:1", "b:2"]
    assert [each["competency"] for each in GapFilters(uncertified=True).of(rows)] == ["c:1"]


def test_what_is_built_in_is_shown_and_of_other_frameworks_what_most_programmes_teach():
    greencomp, others = [f"greencomp:{n}" for n in range(12)], [f"esco:{n:02}" for n in range(60)]
    taught = {id: frozenset(map(str, range(n % 30))) for n, id in enumerate(others)}
    known = Competencies({}, taught, {}, frozenset(), {})
    shown = foremost([*greencomp, *others], known)
    assert shown == [*greencomp, *(id for n, id in enumerate(others) if n % 30 >= 16)]


# the API


async def test_what_is_demanded_stands_beside_who_is_certified_who_teaches_it_and_who_asks(stack: Running):
    items = (await ask(stack, "/gaps", order="lack", lang="ru"))["items"]
    told = [(i["competency"], i["places"], i["holders"], i["taught"], i["lack"], i["lack_at_least"]) for i in items]
    assert told == [
        ("national:safety", 70, 0, 0, 70, 70),
        ("national:cnc", 25, "<5", 1, None, 21),
        ("greencomp:3.1", 50, 35, 3, 15, 15),
        ("greencomp:1.1", 2, 6, 1, 0, 0),
    ]
    assert items[0]["name"] == "Безопасность в шахтах"
    assert items[0]["demanded_by"] == [
        {"id": "mine", "name": "Northern mine", "places": 60},
        {"id": "plant", "name": HOSTILE, "places": 10},
    ]
    assert items[1]["demanded_by"] == [{"id": "east", "name": "east", "places": 25}]
    nobody = await ask(stack, "/gaps", uncertified=True, framework="national")
    assert [i["competency"] for i in nobody["items"]] == ["national:safety"]
    east = await ask(stack, "/gaps", scope="region", scope_id="east")
    assert {i["competency"]: (i["places"], i["holders"]) for i in east["items"]} == {
        "greencomp:1.1": (2, 6),
        "national:cnc": (25, None),
        "national:safety": (60, 0),
    }
    offered = (await ask(stack, "/scopes/competency", lang="en"))["items"]
    assert {"id": "national:safety", "name": "Safety in mines"} in offered
    text = (await stack.client.get("/gaps", params={"format": "csv", "order": "lack"})).text
    first = next(csv.DictReader(io.StringIO(text)))
    assert (first["demanded_by"], first["taught"]) == (f"Northern mine: 60; {HOSTILE}: 10", "0")
    for wrong in ({"order": "worst"}, {"uncertified": "perhaps"}, {"frame": "esco"}):
        assert (await stack.client.get("/gaps", params=wrong)).status_code == 422


async def test_the_heat_map_is_a_list_without_what_would_tell_few(stack: Running):
    items = (await ask(stack, "/sustainability/programmes", lang="ru"))["items"]
    told = {(i["scope_id"], i["competency"]): (i["is_taught"], i["holders"]) for i in items}
    assert told == {
        ("welding", "greencomp:1.1"): (True, 6),
        ("welding", "greencomp:3.1"): (True, None),  # it would tell casting's three: the region has 35
        ("casting", "greencomp:3.1"): (True, None),
        ("machining", "greencomp:3.1"): (True, 20),
        ("nursing", "national:waste"): (True, 0),
        ("history", "greencomp:2.1"): (False, 7),
    }
    names = {i["competency"]: i["name"] for i in items}
    assert names["national:waste"] == "Промышленные отходы"
    west = (await ask(stack, "/sustainability/programmes", region="west", framework="greencomp"))["items"]
    assert {i["scope_id"] for i in west} == {"history"}
    of_programme = await ask(stack, "/gaps", scope="programme", scope_id="welding")
    assert {i["competency"]: i["holders"] for i in of_programme["items"]}["greencomp:1.1"] == 6
    answer = await stack.client.get("/sustainability/programmes", params={"format": "xlsx", "lang": "ru"})
    sheet = load_workbook(io.BytesIO(answer.content)).worksheets[0]
    assert "Есть в последней версии программы" in [cell.value for cell in sheet[1]]
    assert sheet.max_row == len(items) + 1


# pages


async def test_the_pages_show_what_the_api_says_within_their_budget(stack: Running):
    html = {"Accept": "text/html"}
    for path, texts in (
        ("/competencies?lang=en", ("Safety in mines", "≥&nbsp;21", "Northern mine&nbsp;<b>60</b>", "no programme")),
        ("/competencies?lang=ru&uncertified=1", ("Безопасность в шахтах", "только те")),
        ("/competencies?region=west&lang=en", ("Safety in mines",)),
        ("/sustainability?lang=en", ("Industrial waste", "(7)", "○", "65.2", "15 of 23")),
        ("/sustainability?region=west&lang=en", ("History", "Programmes that neither")),
        ("/sustainability?institution=uni&framework=greencomp&lang=ru", ("Грамотность в вопросах будущего", "скрыто")),
        ("/figures/competency_gap?scope=competency&scope_id=national:safety&lang=en", ("Safety in mines", ">70<")),
    ):
        answer = await stack.client.get(path, headers=html)
        assert answer.status_code == 200, path
        assert all(text in answer.text for text in texts), path
        assert HOSTILE not in answer.text
        assert len(gzip.compress(answer.content)) < 30_000
    only = (await stack.client.get("/competencies?uncertified=1&lang=en", headers=html)).text
    assert "Safety in mines" in only
    assert "Machining, level 5" not in only
    for path, status in (
        ("/competencies?region=nowhere", 404),
        ("/competencies?regio=east", 422),
        ("/competencies?page=0", 422),
        ("/sustainability?institution=nowhere", 404),
        ("/figures/competency_gap?scope=competency&scope_id=national:nothing", 404),
    ):
        answer = await stack.client.get(path, headers=html)
        assert (answer.status_code, "<h1" in answer.text) == (status, True), path


@within(240)
@pytest.mark.parametrize(
    ("locale", "size", "scheme"),
    [("ru", PHONE, "light"), ("en", DESK, "dark")],
    ids=["ru-phone-without-javascript", "en-desk-dark"],
)
async def test_what_nobody_certifies_and_teaches_is_found_on_the_pages(
    browser: Browser, stack: Running, locale: str, size: Any, scheme: Any
):
    async with on_a_socket(stack) as url:
        is_desk = size is DESK
        page, said = await visited(
            browser,
            f"{url}/competencies",
            locale=locale,
            viewport=size,
            color_scheme=scheme,
            java_script_enabled=is_desk,
        )
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        rows = page.locator(".ranked tbody tr")
        assert await rows.count() == 4
        if is_desk:
            await accessible(page)
        await shot(page, f"competencies-{locale}-{size['width']}")
        await page.locator("input[name=uncertified]").check()
        await page.locator("main form button").click()
        await expect(rows).to_have_count(1)
        assert "uncertified=1" in page.url
        await rows.first.locator("th a").click()
        await expect(page.locator(".big")).to_have_text("70")
        await page.goto(f"{url}/sustainability")
        cells = page.locator(".heat").first
        await expect(cells).to_contain_text("(7)")
        if is_desk:
            await accessible(page)
        await shot(page, f"sustainability-{locale}-{size['width']}")
        await page.locator("#institution").select_option("college")
        requests.clear()
        await page.locator("main form button").click()
        await expect(cells.locator("tbody").nth(1).locator("tr")).to_have_count(3)
        assert len(requests) <= 5
        assert said == []
        await page.context.close()


@within(120)
async def test_on_a_phone_the_heat_map_scrolls_by_itself_and_the_programmes_stay_in_view(
    browser: Browser, stack: Running
):
    async with on_a_socket(stack) as url:
        page, _ = await visited(browser, f"{url}/sustainability", locale="ru", viewport=PHONE)
        await accessible(page)
        script = """() => {
          const heat = document.querySelector(".heat"), name = heat.querySelector("tbody th[scope=row]");
          const before = name.getBoundingClientRect().left;
          heat.scrollLeft = 200;
          return [heat.scrollLeft, name.getBoundingClientRect().left - before];
        }"""
        scrolled, moved = await page.evaluate(script)
        assert scrolled > 100
        assert abs(moved) <= 1
        await page.context.close()
