"""Competency frameworks on real servers: imported once, known to all four services, and what counts from then on."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from httpx import Response
from playwright.async_api import Browser

from services.feedback import market_reads
from services.feedback.suggestions import suggest
from services.partners.gateway.credentials import issue_to_operator
from shared.http.sessions import COOKIE
from shared.pages.chosen import COOKIE as LANGUAGE
from shared.processing import mongo
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.feedback.test_market import ESCO, needs_real_data
from tests.network import KINDS, STRUCTURED, as_, cloudevent, network
from tests.operator.conftest import Praktika
from tests.pages import FRAMEWORK_PAGES
from tests.people import close, signed_in, visitor
from tests.stack import Running, on_a_socket, until

PUMP = "esco:00735755-adc6-4ea0-b034-b8caff339c9f"
FOOD = "esco:001d46db-035e-4b92-83a3-ed8771e0c123"
SERVICES = ("partners", "feedback", "certification", "monitoring")


@dataclass
class Place:
    """A network of all four services, and the operator's command on it."""

    services: dict[str, Running]
    praktika: Praktika
    url: str

    @property
    def certification(self) -> Running:
        return self.services["certification"]

    async def imported(self, file: Path, framework: str, version: str, *options: str) -> Any:
        about = ("--framework", framework, "--version", version, "--json")
        done = await self.praktika("frameworks", "import", str(file), *about, *options)
        assert done.out, done.err
        return {"code": done.code, **done.json}

    async def read(self, id: str, **params: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.certification.client.get(f"/frameworks/{id}", params=params)).json()
        return found

    async def on_log(self) -> int:
        return await self.certification.count("framework")

    async def in_force(self, id: str, version: str) -> None:
        """Wait until all services know a version."""

        async def known() -> bool:
            found = [await stack.service.frameworks() for stack in self.services.values()]
            return all(id in each.imported and each.imported[id].in_force["version"] == version for each in found)

        await until(known, 30)

    async def say(self, by: str, *args: Any, **more: Any) -> Response:
        partners = self.services["partners"]
        headers = as_(partners, by) | STRUCTURED
        return await partners.client.post("/events", json=cloudevent(by, *args, **more), headers=headers)

    async def counted(self, kind: str, id: str, measure: str) -> int:
        """What monitoring counts of something, once it has taken in everything."""
        await self.services["monitoring"].applied()
        sums = await mongo.sums(self.services["monitoring"].service.db, {"kind": kind, "id": id}, ("id",))
        return sums.get((id,), {}).get(measure, 0)


@pytest_asyncio.fixture(scope="module")
async def place(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(network(kafka, mongodb, tmp_path_factory.mktemp("keys")))
        partners, certification = services["partners"], services["certification"]
        urls = [await stack.enter_async_context(on_a_socket(one)) for one in (partners, certification)]
        made = await issue_to_operator(partners.settings, "anna")
        env = {"PRAKTIKA_PARTNERS_URL": urls[0], "PRAKTIKA_CERTIFICATION_URL": urls[1]}
        secret = {"PRAKTIKA_CLIENT_ID": made["client_id"], "PRAKTIKA_CLIENT_SECRET": made["client_secret"]}
        for id in ("uni", "plant"):
            entry = {"kind": KINDS[id], "name": id.title(), "region": "RU-KEM"}
            answer = await partners.client.put(f"/organisations/{id}", json=entry, headers=as_(partners, "operator"))
            assert answer.is_success, answer.text
        yield Place(services, Praktika(partners.settings, **env, **secret), urls[1])


def written(folder: Path, *rows: str, name: str = "own.csv") -> Path:
    file = folder / name
    file.write_text("id,name_en,name_ru,area,broader,alternative,sustainability\n" + "\n".join(rows))
    return file


@needs_real_data
async def test_real_green_skills_of_esco_are_imported_once_and_known_to_all_four_services(place: Place, tmp_path: Path):
    russian = tmp_path / "ru.csv"
    russian.write_text(f"id,name,altLabels\n{PUMP},монтировать тепловой насос,установка теплового насоса\n")
    done = await place.imported(ESCO, "esco", "1.2.0", "--ru", str(russian), "--green", str(ESCO))
    assert (done["code"], done["read"], done["new"], done["refused"], done["in_force"]) == (0, 591, 591, 0, True)
    assert await place.on_log() == 592
    again = await place.imported(ESCO, "esco", "1.2.0", "--ru", str(russian), "--green", str(ESCO))
    assert (again["code"], again["new"], again["changed"], again["unchanged"]) == (0, 0, 0, 591)
    assert await place.on_log() == 592, "what is known is not said again"
    await place.in_force("esco", "1.2.0")
    for stack in place.services.values():
        known = await stack.service.frameworks()
        assert known.name(PUMP, "ru") == "монтировать тепловой насос"
        assert known.name(FOOD, "ru") == "train staff to reduce food waste", "there is no Russian name"
        assert known.counts(FOOD)
    shown = await place.read("esco", q="food waste", limit=1)
    assert (shown["items"], shown["sustainability"], shown["total"] > 1) == (591, 591, True)
    (first,) = shown["competencies"]
    assert first["since"] == shown["published_at"]
    assert (await place.read("esco", q="food waste", after=shown["next"]))["total"] == shown["total"]
    labels = (await market_reads.known(place.services["feedback"].service)).labels
    for written_as in ("heat pump installing", "установка теплового насоса"):
        best = suggest(written_as, labels)[0]
        assert (best.competency, best.ground) == (PUMP, "alternative")
    listed = await place.praktika("frameworks", "list")
    assert "1.2.0" in listed.out


async def certified(place: Place, learner: str, competency: str, exam: str) -> None:
    about = {"partitionkey": learner}
    for type_, subject, data in (
        ("learner.enrolled", learner, {"programme": "green"}),
        ("assessment.recorded", exam, {"competency": competency, "method": "exam", "score": 0.9}),
        ("learner.graduated", learner, {"programme": "green", "graduated_on": "2026-06-01"}),
    ):
        assert (await place.say("uni", type_, subject, data, **about)).status_code == 202
    certification = place.certification

    async def has_it() -> bool:
        doc = await certification.service.db["learners"].find_one({"_id": learner}, {"certificates": 1})
        return bool(doc and doc.get("certificates"))

    await until(has_it, 30)


async def test_an_item_counts_from_the_import_on_and_what_was_before_stays(place: Place, tmp_path: Path):
    partners, certification = place.services["partners"], place.certification
    programme = {"title": "Green", "version": "1", "level": 4, "competencies": [{"competency": "green:g1", "level": 4}]}
    scheme = {
        "competency": "green:g1",
        "level": 4,
        "methods": ["exam"],
        "least_score": 0.5,
        "enterprise_required": False,
    }
    lesson = {"kind": "teacher_upskilling", "hours": 2, "participants": 3, "competencies": ["green:g1", "green:g2"]}

    async def published(version: str) -> None:
        body = programme | {"version": version}
        answer = await partners.client.put("/programmes/green", json=body, headers=as_(partners, "uni"))
        assert answer.is_success, answer.text

    await published("1")
    answer = await certification.client.put("/schemes/green", json=scheme, headers=as_(certification, "uni"))
    assert answer.is_success, answer.text
    assert (await place.say("uni", "activity.held", "lesson-1", lesson)).status_code == 202
    await certified(place, "green-1", "green:g1", "exam-1")
    before = ("programme", "green", "programmes_sustainability"), ("organisation", "uni", "upskilling_activities")
    graduates = "programme", "green", "graduates_certified_sustainability"
    assert [await place.counted(*each) for each in (*before, graduates)] == [0, 0, 0]

    file = written(tmp_path, "g1,Sorting,Сортировка,,,,yes", "g2,Reading,Чтение,,,,")
    assert (await place.imported(file, "green", "1"))["in_force"]
    await place.in_force("green", "1")
    assert [await place.counted(*each) for each in (*before, graduates)] == [0, 0, 0], "the past stays"
    lesson_2 = cloudevent("uni", "activity.held", "lesson-2", lesson)
    headers = as_(partners, "uni") | STRUCTURED
    for _ in range(2):
        sent = await partners.client.post("/events", json=lesson_2, headers=headers)
        assert sent.status_code == 202, "the same event again"
    await published("2")
    await certified(place, "green-2", "green:g1", "exam-2")
    await until(lambda: place.counted(*graduates), 30)
    assert [await place.counted(*each) for each in (*before, graduates)] == [1, 1, 1]
    stamps = {}
    for topic in ("activity", "learner", "programme"):
        for record in await partners.read(topic):
            said = json.loads(record.value or b"")
            stamps[said["subject"], said["type"].split(".")[2], said["data"].get("version")] = said.get("sustainable")
    assert stamps["lesson-1", "held", None] is None
    assert stamps["lesson-2", "held", None] == "green:g1", "each event carries what counted when it was accepted"
    assert (stamps["green", "published", "1"], stamps["green", "published", "2"]) == (None, "green:g1")

    claimed = await place.say("uni", "activity.held", "lesson-3", lesson, sustainable="green:g2")
    assert claimed.status_code == 403
    assert claimed.json()["errors"][0]["field"] == "sustainable"


async def test_a_version_in_force_keeps_what_it_has_and_a_new_one_leaves_what_it_had_readable(
    place: Place, tmp_path: Path
):
    rows = ["p1,One,Один,,,,", "p2,Two,Два,,p1,,yes"]
    assert (await place.imported(written(tmp_path, *rows), "parts", "1", "--closed"))["in_force"]
    on_log = await place.on_log()
    mended = await place.imported(written(tmp_path, "p1,One and a half,Один,,,,", rows[1]), "parts", "1", "--closed")
    assert (mended["changed"], mended["unchanged"], await place.on_log()) == (1, 1, on_log + 1), "a name is mended"
    for other in (["p1,One,Один,,,,yes", rows[1]], [*rows, "p3,Three,,,,,"]):
        refused = await place.imported(written(tmp_path, *other), "parts", "1", "--closed")
        assert (refused["code"], refused["in_force"], refused["refused"]) == (1, True, 1), "it is, as it was"
        assert "another version" in refused["problems"][0]["why"]
    arguments = ("frameworks", "import", str(written(tmp_path, *rows, "p3,Three,,,,,")), "--framework", "parts")
    assert "parts 1 is in force as it was" in (await place.praktika(*arguments, "--version", "1")).err
    fewer = await place.praktika(
        *("frameworks", "import", str(written(tmp_path, rows[0])), "--framework", "parts", "--version", "1")
    )
    assert (fewer.code, "another version" in fewer.err) == (1, True)
    alone = await place.imported(written(tmp_path, rows[1]), "parts", "2", "--closed")
    assert (alone["refused"], alone["problems"][0]["why"]) == (1, "parts:p1 is not in the file")
    assert (await place.imported(written(tmp_path, "p2,Two,Два,,,,yes"), "parts", "2", "--closed"))["in_force"]
    await place.in_force("parts", "2")
    assert [one["id"] for one in (await place.read("parts"))["competencies"]] == ["parts:p2"]
    former = await place.read("parts", former=True, q="один")
    assert [(one["id"], one["in_force"], one["version"]) for one in former["competencies"]] == [
        ("parts:p1", False, "1")
    ]
    lesson = {"kind": "workshop", "hours": 1, "participants": 1}
    for item, status in (("p1", 202), ("p2", 202), ("p9", 422)):
        held = await place.say("uni", "activity.held", f"on-{item}", lesson | {"competencies": [f"parts:{item}"]})
        assert held.status_code == status, held.text


async def test_a_new_version_is_called_as_the_one_before_unless_it_is_said_otherwise(place: Place, tmp_path: Path):
    file = written(tmp_path, "k1,One,,,,,")
    about = ("--name", "Kept", "--name-ru", "Остаётся", "--origin", "us", "--licence", "CC0")
    assert (await place.imported(file, "kept", "1", *about))["in_force"]
    await place.in_force("kept", "1")
    on_log = await place.on_log()
    assert (await place.imported(file, "kept", "1"))["in_force"], "the same again"
    assert await place.on_log() == on_log
    expected = {"name": {"en": "Kept", "ru": "Остаётся"}, "source": "us", "licence": "CC0"}
    for version, given, now in (("2", (), {}), ("3", ("--name", "Other"), {"name": {"en": "Other", "ru": "Остаётся"}})):
        assert (await place.imported(file, "kept", version, *given))["in_force"]
        await place.in_force("kept", version)
        shown = await place.read("kept")
        assert {name: shown[name] for name in expected} == expected | now
    who = await signed_in(place.certification, "operator", "operator", "operator")
    assert who.member
    form = {"csrf": who.member.csrf, "framework": "kept", "version": "4", "licence": "CC BY"}
    done = await who.client.post("/frameworks/import", data=form, files={"file": ("own.csv", file.read_bytes())})
    assert done.status_code == 200, done.text
    await place.in_force("kept", "4")
    shown = await place.read("kept")
    assert (shown["name"], shown["source"], shown["licence"]) == ({"en": "Other", "ru": "Остаётся"}, "us", "CC BY")
    await close(who)


async def test_an_id_that_cannot_be_one_is_refused_once_before_anything_is_read(place: Place):
    arguments = ("frameworks", "import", "nowhere.csv", "--framework", "My FW", "--version", "1")
    refused = await place.praktika(*arguments)
    assert refused.code == 2
    said = " ".join(refused.err.replace("│", " ").split())
    assert "--framework My FW: has a space; must be 1 to 30 small Latin letters" in said


async def test_what_will_not_do_is_said_by_row_and_column_and_nothing_is_imported(place: Place, tmp_path: Path):
    on_log = await place.on_log()
    file = written(tmp_path, "a1,One,,,,,", "a 2,Two,,,,,", "a3,,,,,,", "a4,Four,,,,,perhaps")
    done = await place.imported(file, "wrong", "1")
    assert (done["code"], done["read"], done["refused"], done["in_force"]) == (1, 4, 3, False)
    assert [(one["row"], one["column"]) for one in done["problems"]] == [
        (3, "id"),
        (4, "name_en"),
        (5, "sustainability"),
    ]
    assert await place.on_log() == on_log
    left_out = await place.imported(file, "wrong", "1", "--leave-out")
    assert (left_out["code"], left_out["new"], left_out["in_force"]) == (1, 1, True)
    headers = as_(place.certification, "operator")
    for id, body, status in (
        ("greencomp", [{"id": "greencomp:9.9", "name": {"en": "x"}}], 409),
        ("Wrong", [], 422),
        ("api", {"id": "x"}, 422),
        ("api", [{"id": f"api:{n}", "name": {"en": "x"}} for n in range(1_001)], 413),
        ("api", [{"id": "esco:1", "name": {"en": "x"}}, {"id": 7}, {"id": "api:1", "name": {"en": "x"}, "z": 1}], 200),
    ):
        answer = await place.certification.client.post(f"/frameworks/import/{id}/1", json=body, headers=headers)
        assert answer.status_code == status, answer.text
    assert [one["errors"][0]["field"] for one in answer.json()["refused"]] == ["id", "name", "z"]
    early = {"version": "1", "name": {"en": "x"}, "items": 3}
    answer = await place.certification.client.put("/frameworks/api", json=early, headers=headers)
    assert (answer.status_code, "there are 0 items, and 3 are announced" in answer.text) == (409, True)
    for arguments in (("nowhere.csv",), (str(tmp_path),)):
        missing = await place.praktika("frameworks", "import", *arguments, "--framework", "x", "--version", "1")
        assert missing.code == 2, missing.err


async def test_an_import_that_is_killed_is_finished_by_the_next_without_doubling(place: Place, tmp_path: Path):
    many = written(tmp_path, *(f"m{number},Name {number},,,,," for number in range(2_200)), name="many.csv")
    before = await place.on_log()

    async def begun() -> bool:
        return await place.on_log() > before

    arguments = ("frameworks", "import", str(many), "--framework", "many", "--version", "1")
    killed = await place.praktika.interrupted(*arguments, when=lambda: until(begun), by=signal.SIGKILL)
    assert killed.code == -signal.SIGKILL
    part = await place.on_log() - before
    assert 0 < part < 2_200
    assert (await place.certification.client.get("/frameworks/many")).status_code == 404, "it is not in force"
    done = await place.imported(many, "many", "1")
    assert (done["new"] + done["unchanged"], done["in_force"]) == (2_200, True)
    assert await place.on_log() - before == 2_201
    await place.in_force("many", "1")
    assert "many:m1" not in (await place.services["partners"].service.frameworks()).offered(60)


async def test_a_member_finds_a_competency_of_a_large_framework_by_words(place: Place, tmp_path: Path):
    rows = [f"l{number},Lathe work {number},Токарное дело {number},,,," for number in range(70)]
    assert (await place.imported(written(tmp_path, *rows), "lathe", "1"))["in_force"]
    await place.in_force("lathe", "1")
    who = await signed_in(place.services["partners"], "uni", "admin", "institution")
    empty = await who.get("/work/do/hold")
    assert "lathe:" not in empty.text, "a large framework is searched and not listed"
    held = await who.post("/work/do/hold", competencies=["токарное 7", "lathe:l9"], draft="1", lang="ru")
    assert held.status_code == 200
    assert 'value="lathe:l7"' in held.text
    assert 'value="lathe:l9" checked' in held.text
    programme = await who.post("/work/do/publish", other="lathe 7", draft="1")
    assert 'name="level:lathe:l7"' in programme.text
    assert programme.text.count('name="level:lathe:') <= 10
    await close(who)


@pytest.mark.parametrize("page", sorted(FRAMEWORK_PAGES))
async def test_only_the_operator_opens_the_import(place: Place, page: str):
    method, path = page.split(" ")
    for organisation, role, kind, is_open in (
        ("operator", "operator", "operator", True),
        ("operator", "coordinator", "operator", False),
        ("uni", "admin", "institution", False),
    ):
        who = await signed_in(place.certification, organisation, role, kind)
        who.client.cookies.set(LANGUAGE, "ru")
        answer = await (who.get(path) if method == "GET" else who.post(path))
        assert (answer.status_code == 403) != is_open, f"{role}: {answer.status_code}"
        await close(who)
    nobody = visitor(place.certification)
    answer = await (nobody.get(path) if method == "GET" else nobody.post(path, version="1"))
    assert answer.status_code == (303 if method == "GET" else 401)
    await close(nobody)


async def test_the_operator_imports_a_file_on_a_page(place: Place, tmp_path: Path):
    who = await signed_in(place.certification, "operator", "operator", "operator")
    member = who.member
    assert member

    async def send(content: bytes, **form: str) -> Response:
        given = {"csrf": member.csrf, "framework": "paged", "version": "1", "name_ru": "Своя рамка", **form}
        files = {"file": ("own.csv", content)}
        return await who.client.post("/frameworks/import", data=given, files=files)

    wrong = await send(b"id,name_en\na 1,One\n")
    assert (wrong.status_code, "2, id" in wrong.text) == (200, True)
    for content, form in ((b"", {}), (b"x\ny\n", {}), (b"id,name_en\nA1,One\n", {"framework": "greencomp"})):
        assert (await send(content, **form)).status_code == 422
    done = await send(b"id,name_en\nA1,One\n", closed="yes")
    assert (done.status_code, "frameworks/paged" in done.text) == (200, True)
    await place.in_force("paged", "1")
    who.client.cookies.set(LANGUAGE, "ru")
    more = await send(b"id,name_en\nA1,One\nA2,Two\n", closed="yes")
    assert (more.status_code, "Ничего не введено в действие" in more.text) == (200, True)
    assert "<strong>3, id</strong>: версия 1 опубликована: новая компетенция" in more.text, (
        "beside its row, in the reader's language"
    )
    shown = await place.read("paged")
    assert (shown["name"], shown["closed"], shown["items"]) == ({"ru": "Своя рамка"}, True, 1)
    await close(who)


@within(180)
@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_people_find_competencies_in_a_browser_without_javascript(
    place: Place, browser: Browser, language: str, size: dict[str, Any]
):
    context = {"viewport": size, "locale": language, "reduced_motion": "reduce"}
    who = await signed_in(place.certification, "operator", "operator", "operator")
    page, said = await visited(browser, f"{place.url}/frameworks?lang={language}", **context)
    await accessible(page)
    await shot(page, f"frameworks-{language}")
    for id, query in (("greencomp", ""), ("esco", "&q=energy"), ("parts", "&former=1")):
        await page.goto(f"{place.url}/frameworks/{id}?lang={language}{query}")
        await accessible(page)
        await shot(page, f"framework-{id}-{language}")
    await page.context.add_cookies([{"name": COOKIE, "value": who.client.cookies[COOKIE], "url": place.url}])
    await page.goto(f"{place.url}/frameworks/import?lang={language}")
    await accessible(page)
    await shot(page, f"framework-import-{language}")
    assert not said
    await page.context.close()
    await close(who)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_rebuild_gives_the_same_database(place: Place, service: str):
    await place.services[service].applied()
    done = await place.praktika("rebuild", service, "--json")
    assert (done.code, done.json["different"], done.json["missing"]) == (0, 0, []), done.out + done.err
    assert done.json["entities"] > 2_200
