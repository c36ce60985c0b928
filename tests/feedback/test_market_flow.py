"""The labour market on real servers: a file becomes demand, an hour of mapping, and pages for both."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.feedback import app as feedback
from services.feedback.market_reads import MOST_DAYS
from services.partners import app as partners
from services.partners.gateway.credentials import issue_to_operator
from shared.contract.skills import skill_id
from shared.http.sessions import COOKIE
from shared.pages.chosen import COOKIE as LANGUAGE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.feedback.test_market import CSV, ESCO, ITEM, REAL, direct, needs_real_data
from tests.operator.conftest import Done, Praktika
from tests.pages import MARKET_PAGES
from tests.people import Visitor, close, signed_in, visitor
from tests.stack import Running, on_a_socket, running, until

SQL = skill_id("SQL")
OLD, NEW, LAST = "2026-01-10T09:00", "2026-02-10T09:00", "2026-03-10T09:00"


@dataclass
class Place:
    """Partners and feedback of one network, and the operator's command on it."""

    partners: Running
    feedback: Running
    url: str
    praktika: Praktika

    async def imported(self, file: Path, *options: str, portal: str = "hh") -> Done:
        return await self.praktika("demand", "import", str(file), "--portal", portal, *options)

    async def counts(self, file: Path, *options: str, portal: str = "hh") -> dict[str, Any]:
        done = await self.imported(file, "--json", *options, portal=portal)
        assert done.code in (0, 1), done.err
        found: dict[str, Any] = done.json
        return found

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        operator = self.feedback.token("operator", "operator")
        answer = await self.feedback.client.get(path, params=params, headers=operator)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def map(self, skill: str, competency: str | None, changes: dict[str, Any] | None = None) -> Any:
        headers = self.feedback.token("operator", "operator") | {"Prefer": "wait=20"}
        body = {"skill": skill, "competency": competency} | (changes or {})
        return await self.feedback.client.put(f"/market/skills/{skill_id(skill)}", json=body, headers=headers)

    async def vacancies(self, competency: str, region: str) -> int:
        found = await self.get("/market/demand", competency=competency, region=region)
        return sum(row["vacancies"] for row in found["items"])


@pytest_asyncio.fixture(scope="module")
async def place(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    keys, name = tmp_path_factory.mktemp("keys"), f"m{uuid4().hex[:12]}"
    about: dict[str, Any] = {"kafka": kafka, "mongodb": mongodb, "keys_dir": keys, "namespace": name}
    labels = ESCO if REAL.is_dir() else None
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(partners.core, partners.router, **about))
        two = await stack.enter_async_context(running(feedback.core, feedback.router, market_labels=labels, **about))
        urls = [await stack.enter_async_context(on_a_socket(each)) for each in (one, two)]
        made = await issue_to_operator(one.settings, "anna")
        secret = {"PRAKTIKA_CLIENT_ID": made["client_id"], "PRAKTIKA_CLIENT_SECRET": made["client_secret"]}
        env = {"PRAKTIKA_PARTNERS_URL": urls[0], "PRAKTIKA_FEEDBACK_URL": urls[1]}
        yield Place(one, two, urls[1], Praktika(one.settings, **env, **secret))


def item(number: int, *skills: str, **changes: Any) -> dict[str, Any]:
    return {**ITEM, "id": str(number), "key_skills": [{"name": name} for name in skills], **changes}


def written(folder: Path, *items: dict[str, Any], name: str = "hh.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(items))
    return file


# the command


async def test_the_same_file_again_changes_nothing_and_a_newer_one_what_is_different(place: Place, tmp_path: Path):
    first = written(tmp_path, item(1, "Welding"), item(2, "Welding", "Turning"), item(3), item(2, "Welding"))
    done = await place.counts(first, "--on", OLD, portal="one")
    assert {name: done[name] for name in ("read", "new", "changed", "closed", "repeated", "refused")} == {
        **{"read": 4, "new": 3, "changed": 0, "closed": 0},
        **{"repeated": 1, "refused": 0},
    }
    on_log = await place.partners.count("demand")
    again = await place.counts(first, "--on", OLD, portal="one")
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 3)
    later = await place.counts(first, "--on", NEW, portal="one")
    assert (later["new"], later["changed"], later["unchanged"]) == (0, 0, 3)
    assert await place.partners.count("demand") == on_log, "what is not different is not said"

    second = written(tmp_path, item(1, "TIG"), item(2, archived=True), item(4, "Welding"), name="second.json")
    done = await place.counts(second, "--on", NEW, portal="one")
    assert (done["new"], done["changed"], done["closed"], done["unchanged"]) == (1, 1, 1, 0)
    old = await place.counts(first, "--on", OLD, portal="one")
    assert (old["new"], old["changed"], old["closed"]) == (0, 0, 0), "an older file takes nothing back"
    reopened = await place.counts(first, "--on", LAST, portal="one")
    assert (reopened["new"], reopened["changed"]) == (0, 2)
    found = await place.get("/market/vacancies", portal="one", open=True)
    assert [doc["id"] for doc in found["items"]] == ["one:1", "one:2", "one:3", "one:4"]


async def test_what_a_complete_file_does_not_have_is_closed_unless_something_is_missing(place: Place, tmp_path: Path):
    all_ = written(tmp_path, *(item(n, "Welding") for n in range(5)))
    assert (await place.counts(all_, "--on", OLD, portal="two"))["new"] == 5
    page = tmp_path / "page.json"
    page.write_text(json.dumps({"items": [item(1, "Welding")], "page": 0, "pages": 2}))
    done = await place.imported(page, "--on", NEW, "--complete", portal="two")
    assert (done.code, "1 of 2 pages are missing" in done.err) == (1, True)
    fewer = written(tmp_path, item(0, "Welding"), item(1, "x" * 101), item(2, "Welding"), name="fewer.json")
    done = await place.imported(fewer, "--on", NEW, "--complete", "--json", portal="two")
    assert (done.code, done.json["closed"], done.json["refused"]) == (1, 2, 1)
    assert done.json["problems"][0]["place"] == "fewer.json, item 2"
    found = await place.get("/market/vacancies", portal="two", open=True)
    assert [doc["id"] for doc in found["items"]] == ["two:0", "two:1", "two:2"], "a refused row is there, nevertheless"
    nameless = written(tmp_path, item(0), {"id": "", "name": "x"}, name="nameless.json")
    done = await place.imported(nameless, "--on", LAST, "--complete", portal="two")
    assert "rows that do not say which vacancy they are: 1" in done.err
    assert (await place.get("/market/vacancies", portal="two", open=True))["items"][1:]


async def test_another_word_of_the_same_time_is_refused_and_one_of_a_later_time_counts(place: Place, tmp_path: Path):
    file = written(tmp_path, item(1, "Welding"))
    assert (await place.counts(file, "--on", OLD, portal="eight"))["new"] == 1
    other = ("--region", "Москва=RU-KEM")
    area = written(tmp_path, item(1, "Welding", area={"name": "Москва"}), name="area.json")
    done = await place.imported(area, "--on", OLD, *other, portal="eight")
    assert (done.code, "give a later one (--on)" in done.out) == (1, True)
    assert (await place.counts(area, "--on", NEW, *other, portal="eight"))["changed"] == 1
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    done = await place.imported(empty, "--on", LAST, "--complete", portal="eight")
    assert (done.code, "there are no vacancies in the files" in done.err) == (1, True)
    assert (await place.get("/market/vacancies", portal="eight", open=True))["items"]


async def test_what_cannot_be_done_is_said_with_what_to_do(place: Place, tmp_path: Path):
    file = tmp_path / "x.csv"
    file.write_text("Ref;Post;Wants\n1;Welder;\n")
    done = await place.imported(file)
    assert (done.code, "COLUMN=id" in done.err) == (2, True), done.err
    mapped = ("--map", "Ref=id", "--map", "Post=title")
    done = await place.imported(file, *mapped, portal="three")
    assert (done.code, "COLUMN=skills" in done.err) == (2, True), "else known skills would be taken back"
    assert (await place.imported(file, *mapped, "--map", "Wants=skills", portal="three")).code == 0
    assert (await place.imported(file, "--region", "Москва=", portal="three")).code == 2
    assert (await place.imported(tmp_path / "none.csv")).code == 2
    assert (await place.imported(file, portal="h h")).code == 2
    file.write_text("[{")
    done = await place.imported(file)
    assert (done.code, "x.csv: is not JSON" in done.err) == (1, True), done.err
    future = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    done = await place.imported(written(tmp_path, item(1)), "--on", future, portal="three")
    assert (done.code, "--on" in done.err) == (2, True)


@needs_real_data
async def test_real_vacancies_are_the_demand_that_a_direct_count_gives(place: Place):
    options = ("--region", "Москва=RU-MOW", "--region", "Екатеринбург=RU-SVE", "--on", OLD)
    assert (await place.counts(CSV, *options, portal="real"))["new"] == 679
    for skill, competency in (("SQL", "national:sql"), ("BPMN", "national:bpmn")):
        assert (await place.map(skill, competency)).status_code == 200
    for skill, competency in (("SQL", "national:sql"), ("BPMN", "national:bpmn")):
        assert await place.vacancies(competency, "RU-MOW") == direct(skill, "Москва") > 40
        assert await place.vacancies(competency, "RU-SVE") == direct(skill, "Екатеринбург")
    again = await place.counts(CSV, *options, portal="real")
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 679)
    assert await place.vacancies("national:sql", "RU-MOW") == direct("SQL", "Москва")
    covered = (await place.get("/market/demand", region="RU-MOW"))["coverage"]
    assert covered["vacancies"] == 403
    assert 0 < covered["vacancies_share"] < 1
    evidence = await place.get("/market/vacancies", competency="national:sql", region="RU-MOW", limit=1000)
    assert len(evidence["items"]) == direct("SQL", "Москва")
    gaps = (await place.get("/market/gap-table", by="region", region="RU-MOW"))["items"]
    assert {row["competency"]: row["vacancies"] for row in gaps} == {
        "national:sql": direct("SQL", "Москва"),
        "national:bpmn": direct("BPMN", "Москва"),
    }


async def test_the_region_of_an_area_is_remembered_and_areas_without_one_are_named(place: Place, tmp_path: Path):
    file = written(tmp_path, item(1, "Smelting"), item(2, "Smelting", area={"name": "Юрга"}))
    first = await place.imported(file, "--on", OLD, "--region", "москва=RU-ONE", portal="ten")
    assert "Юрга (1)" in first.err
    later = written(tmp_path, item(1, "Smelting"), item(3, "Smelting"), item(2, "Smelting", area={"name": "Юрга"}))
    second = await place.counts(later, "--on", NEW, "--region", "Юрга=RU-KEM", portal="ten")
    assert (second["areas"], second["new"], second["changed"], second["unchanged"]) == ({}, 1, 1, 1)
    await place.map("Smelting", "national:smelt")
    assert await place.vacancies("national:smelt", "RU-ONE") == 2


# the mapping


async def test_a_skill_is_mapped_by_the_operator_and_by_nobody_else(place: Place, tmp_path: Path):
    await place.counts(written(tmp_path, item(1, "Milling"), item(2, "milling")), "--on", OLD, portal="four")
    for wrong, field in (
        ({"competency": "greencomp:9.9"}, "competency"),
        ({"competency": "welding"}, "competency"),
        ({"skill": "Turning"}, "skill"),
        ({"skill": ""}, "skill"),
    ):
        answer = await place.map("Milling", "national:mill", wrong)
        assert answer.status_code == 422, answer.text
        assert field in answer.json()["errors"][0]["field"]
    plant = place.feedback.token("plant", "enterprise")
    body = {"skill": "Milling", "competency": None}
    path = f"/market/skills/{skill_id('milling')}"
    assert (await place.feedback.client.put(path, json=body, headers=plant)).status_code == 403
    shown = (await place.map("Milling", "national:mill")).json()
    assert (shown["competency"], shown["status"]) == ("national:mill", "mapped")
    on_log = await place.feedback.count("demand")
    assert (await place.map("milling", "national:mill")).status_code == 200
    assert await place.feedback.count("demand") == on_log, "what is decided already is not said again"
    listed = await place.get("/market/skills", status="mapped", q="MILL")
    assert [(one["id"], one["vacancies"]) for one in listed["items"]] == [(skill_id("milling"), 2)]
    assert (await place.map("Milling", None)).json()["status"] == "none"
    assert not (await place.get("/market/skills", status="mapped", q="mill"))["items"]


async def test_skills_are_listed_page_by_page_each_once(place: Place, tmp_path: Path):
    many = [item(n, *(f"paged {k}" for k in range(n % 7))) for n in range(30)]
    await place.counts(written(tmp_path, *many), "--on", OLD, portal="five")
    found, after = list[str](), dict[str, str]()
    while True:
        page = await place.get("/market/skills", q="paged", limit=2, **after)
        found += [one["skill"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == [f"paged {k}" for k in range(6)], "most frequent first"
    answer = await place.feedback.client.get(
        "/market/skills", params={"after": "x"}, headers=place.feedback.token("operator", "operator")
    )
    assert answer.status_code == 422


# the pages


@pytest.mark.parametrize("page", sorted(MARKET_PAGES))
async def test_only_the_operator_opens_the_table_of_skills(place: Place, page: str):
    method, path = page.split(" ")
    for organisation, role, kind, is_open in (
        ("operator", "operator", "operator", True),
        ("operator", "coordinator", "operator", False),
        ("uni", "admin", "institution", False),
        ("plant", "staff", "enterprise", False),
    ):
        who = await signed_in(place.feedback, organisation, role, kind)
        who.client.cookies.set(LANGUAGE, "ru")
        answer = await (who.get(path) if method == "GET" else who.post(path))
        assert (answer.status_code == 403) != is_open, f"{role}: {answer.status_code}"
        await close(who)
    nobody = visitor(place.feedback)
    answer = await (nobody.get(path) if method == "GET" else nobody.post(path, q="typed"))
    assert answer.status_code == (303 if method == "GET" else 401)
    await close(nobody)


@pytest_asyncio.fixture
async def operator(place: Place) -> AsyncIterator[Visitor]:
    one = await signed_in(place.feedback, "operator", "operator", "operator")
    yield one
    await close(one)


def chosen(**skills: str) -> dict[str, Any]:
    """The form with a choice for each skill."""
    form: dict[str, Any] = {"skill": [skill_id(name) for name in skills]}
    for name, choice in skills.items():
        value, _, other = choice.partition("=")
        form |= {f"as:{skill_id(name)}": value, f"text:{skill_id(name)}": name, f"other:{skill_id(name)}": other}
    return form


async def test_what_is_right_is_mapped_and_what_is_wrong_stays_with_what_was_typed(
    place: Place, operator: Visitor, tmp_path: Path
):
    await place.counts(written(tmp_path, item(1, "Forging", "Casting", "Rolling")), "--on", OLD, portal="six")
    on_log = await place.feedback.count("demand")
    answer = await operator.post(
        "/market/mapping?q=ing", **chosen(Forging="other=national:forge", Casting="other=no competency", Rolling="")
    )
    assert answer.status_code == 422
    assert "no competency" in answer.text, "what was typed stays"
    assert f'id="other:{skill_id("Casting")}-wrong"' in answer.text
    assert await place.feedback.count("demand") == on_log + 1
    mapped = (await place.get("/market/skills", status="mapped", q="forging"))["items"]
    assert mapped[0]["competency"] == "national:forge"
    assert mapped[0]["decided_by"] == (operator.member.id if operator.member else "")
    empty = await operator.post("/market/mapping", **chosen(Casting=""))
    assert (empty.status_code, "at least one skill" in empty.text) == (422, True)
    forged = await operator.post("/market/mapping", csrf="x", **chosen(Casting="none"))
    assert forged.status_code == 403
    changed = await operator.post("/market/mapping?status=mapped", **chosen(Forging="none"))
    assert changed.status_code == 200
    assert await place.feedback.count("demand") == on_log + 2


async def test_the_public_page_shows_every_figure_with_its_coverage(place: Place, tmp_path: Path):
    await place.counts(
        written(tmp_path, item(1, "Grinding"), item(2, "Sanding")), "--region", "Москва=grinders", portal="seven"
    )
    await place.map("Grinding", "national:grind")
    nobody = visitor(place.feedback)
    page = await nobody.get("/market", region="grinders", lang="en")
    assert page.status_code == 200
    (row,) = re.findall(r"<tr><th scope=\"row\">national:grind.*?</tr>", page.text, re.DOTALL)
    assert "50 % of vacancies" in re.sub(r"\s+", " ", row)
    assert "seven" in page.text
    wrong = await nobody.get("/market", on="31.12.2026x", lang="ru")
    assert (wrong.status_code, "31.12.2026x" in wrong.text) == (422, True)
    on_a_day = await place.get("/market/demand", region="grinders", on="2025-01-30")
    assert not on_a_day["items"], "it was published the day after"
    assert (await place.get("/market/demand", region="grinders", on="2025-01-31"))["items"][0]["vacancies"] == 1
    await close(nobody)


@within(180)
@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_an_operator_maps_skills_in_a_browser_without_javascript(
    place: Place, browser: Browser, tmp_path: Path, language: str, size: dict[str, Any]
):
    name = f"develop energy saving concepts {language}"
    many = [item(n, name, "Системное мышление" if language == "ru" else "Systems thinking") for n in range(3)]
    await place.counts(written(tmp_path, *many), "--region", f"Москва=browser-{language}", portal=f"b-{language}")
    who = await signed_in(place.feedback, "operator", "operator", "operator")
    looks = await browser.new_context(viewport=size, locale=language)  # type: ignore[arg-type]
    acts = await browser.new_context(viewport=size, locale=language, java_script_enabled=False)  # type: ignore[arg-type]
    for context in (looks, acts):
        await context.add_cookies([{"name": COOKIE, "value": who.client.cookies[COOKIE], "url": place.url}])
    page = await acts.new_page()
    await page.goto(f"{place.url}/market/mapping?q={'систем' if language == 'ru' else 'systems'}")
    skill = "Системное мышление" if language == "ru" else "Systems thinking"
    row = page.locator(f'li:has(strong:text-is("{skill}"))')
    await row.locator('input[value="greencomp:2.1"]').check()
    await page.locator("main form[method=post] button.primary").click()
    await expect(page.locator(".notice")).to_contain_text("1")
    await page.goto(f"{place.url}/market/mapping?q=concepts%20{language}")
    await page.locator('input[type=radio][value="other"]').check()
    await page.locator("input[list=competencies]").fill("energy")
    await page.locator("main form[method=post] button.primary").click()
    await expect(page.locator(".wrong")).not_to_be_empty()
    await expect(page.locator("input[list=competencies]")).to_have_value("energy")
    for path in (
        "/market",
        f"/market/mapping?q=concepts%20{language}",
        "/market/mapping?status=mapped",
        "/market/import",
    ):
        seen = await looks.new_page()
        await seen.goto(place.url + path)
        await expect(seen.locator("h1")).not_to_be_empty()
        await accessible(seen)
        await shot(seen, f"{path.strip('/').replace('/', '-').partition('?')[0]}-{language}")
        await seen.close()
    public = await looks.new_page()
    await public.goto(f"{place.url}/market?region=browser-{language}")
    await expect(public.locator("table")).to_contain_text(
        "Системное мышление" if language == "ru" else "Systems thinking"
    )
    await looks.close()
    await acts.close()
    await close(who)


async def test_the_operator_imports_a_file_on_a_page_and_what_is_wrong_stands_beside_its_field(
    place: Place, operator: Visitor
):
    async def send(content: bytes, name: str = "plan.csv", **form: str) -> Any:
        data = {"csrf": operator.member.csrf if operator.member else "", "portal": "eight", **form}
        return await operator.client.post("/market/import", data=data, files={"file": (name, content)})

    rows = "Ref;Вакансия;Город;Навыки\n1;Сварщик;Москва;Сварка на странице\n;Токарь;Москва;\n".encode()
    unmapped = await send(rows, columns="Ref=number")
    assert (unmapped.status_code, 'id="columns-wrong"' in unmapped.text) == (422, True)
    assert "Ref=number" in unmapped.text, "what was typed stays"
    for form, field in (
        ({"portal": "h h"}, "portal"),
        ({"regions": "Москва"}, "regions"),
        ({"regions": "Москва=No Region!"}, "regions"),
        ({"columns": "Ref=number"}, "columns"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2099-01-01T00:00"}, "at"),
    ):
        answer = await send(rows, **{"columns": "Ref=id", **form})
        assert (answer.status_code, f'id="{field}-wrong"' in answer.text) == (422, True), answer.text
    assert 'id="file-wrong"' in (await send(b"")).text
    assert 'id="file-wrong"' in (await send(b"PK\x03\x04 no zip")).text
    on_log = await place.feedback.count("demand")
    about = {"columns": "Ref=id", "regions": "Москва=RU-PAGE"}
    done = await send(rows, **about)
    assert done.status_code == 200, done.text
    assert "plan.csv, row 3" in done.text
    assert await place.feedback.count("demand") == on_log + 1
    await send(rows, **about)
    assert await place.feedback.count("demand") == on_log + 1, "again changes nothing"
    operator.client.cookies.set(LANGUAGE, "ru")
    refused = await send(f"Ref;Вакансия;Навыки\n1;{'x' * 501};Сварка\n".encode(), columns="Ref=id")
    operator.client.cookies.delete(LANGUAGE)
    said = "<strong>plan.csv, строка 2</strong>: title: число знаков должно быть не больше 500"
    assert said in refused.text, "the contract's words, too, are in the reader's language"
    await place.map("Сварка на странице", "national:weld")
    assert await place.vacancies("national:weld", "RU-PAGE") == 1
    warned = await send(rows, **about, complete="yes")
    assert 'class="wrong"' in warned.text, "a row that names no vacancy: nothing is closed"
    other = json.dumps([item(2, "x")]).encode()
    await send(other, "hh.json", complete="yes")
    assert await place.vacancies("national:weld", "RU-PAGE") == 0


async def test_any_day_may_be_asked_for_and_few_are_kept(place: Place):
    for day in range(1, 12):
        assert (await place.feedback.client.get("/market/demand", params={"on": f"2026-01-{day:02}"})).is_success
    assert len(place.feedback.service.shared["markets"]._days._kept) <= MOST_DAYS
    now = await place.get("/market/demand")
    assert now == await place.get("/market/demand") | {"as_of": now["as_of"]}


async def test_an_import_that_is_stopped_goes_on_when_it_is_repeated(place: Place, tmp_path: Path):
    many = written(tmp_path, *(item(number, "Stopped") for number in range(4_000)))
    before = await place.partners.count("demand")

    async def begun() -> bool:
        return await place.partners.count("demand") > before

    stopped = await place.praktika.interrupted(
        *("demand", "import", str(many), "--portal", "nine", "--on", OLD), when=lambda: until(begun)
    )
    assert (stopped.code, "nothing is lost" in stopped.err) == (130, True), stopped.err
    assert (await place.counts(many, "--on", OLD, portal="nine"))["refused"] == 0
    (listed,) = (await place.get("/market/skills", q="stopped"))["items"]
    assert listed["vacancies"] == 4_000
    again = await place.counts(many, "--on", OLD, portal="nine")
    assert (again["new"], again["unchanged"]) == (0, 4_000)
