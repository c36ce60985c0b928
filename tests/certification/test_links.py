"""Learners' links as their institution has them: by HTTP, as CSV and XLSX, and on a page."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import load_workbook

from services.certification.app import core, router
from shared.contract.events import (
    LearnerErased,
    OrganisationKind,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
)
from tests.certification.test_collecting import UNI, collected, send
from tests.certification.test_credentials_flow import PUBLIC, certificate_of, link_to, publish_scheme
from tests.feedback.test_answering import member
from tests.making import NOON, event
from tests.pages import LINK_PAGES
from tests.people import close, visitor
from tests.stack import Running, running, until


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        for id, kind in (("uni", OrganisationKind.institution), ("plant", OrganisationKind.enterprise)):
            named = OrganisationRegistered(kind=kind, name=f"The {id}", region="north")
            await started.publish(event(named, id, by="operator:operator"))
        await publish_scheme(started, "futures")
        yield started


async def listed(stack: Running, **query: Any) -> list[dict[str, Any]]:
    answer = await stack.client.get("/certificates/links", params=query, headers=stack.token(**UNI))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_list_has_a_link_for_each_and_says_who_has_collected(stack: Running):
    one, two, bad = [await certificate_of(stack, f"list-{name}") for name in ("one", "two", "bad")]
    headers = stack.token(**UNI) | {"Prefer": "wait=30"}
    await stack.client.post(f"/certificates/{bad}/revocation", json={"reason": "x"}, headers=headers)
    by_id = {item["certificate"]: item for item in await listed(stack)}
    said = {"certificate": one, "learner": "list-one", "competency": "greencomp:3.1", "state": "open"}
    said |= {"name_en": "Futures literacy"}
    assert by_id[one] | said == by_id[one]
    assert (by_id[bad]["state"], by_id[bad]["link"], by_id[bad]["until"]) == ("revoked", None, None)
    path = by_id[one]["link"].removeprefix(PUBLIC)
    assert (await stack.client.get(f"{path}/badge.png")).status_code == 200
    await until(lambda: collected(stack, "list-one"))
    for state, expected in (("open", two), ("collected", one), ("revoked", bad)):
        found = {item["certificate"] for item in await listed(stack, state=state)}
        assert found & {one, two, bad} == {expected}, state
    learners = [item async for item in pages(stack)]
    assert [item["certificate"] for item in learners] == sorted(by_id)


async def pages(stack: Running) -> AsyncIterator[dict[str, Any]]:
    """The whole list, two at a time."""
    after = ""
    while after is not None:
        query = {"limit": 2} | ({"after": after} if after else {})
        answer = (await stack.client.get("/certificates/links", params=query, headers=stack.token(**UNI))).json()
        for item in answer["items"]:
            yield item
        after = answer["next"]


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_files_have_the_same_in_csv_and_xlsx(stack: Running, language: str):
    id = await certificate_of(stack, f"file-{language}")
    (row,) = [item for item in await listed(stack) if item["certificate"] == id]
    headers = stack.token(**UNI) | {"Accept-Language": language}
    answer = await stack.client.get("/certificates/links?format=csv", headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    (found,) = [r for r in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))) if r["certificate"] == id]
    same = ("learner", "competency", "name_ru", "certified_on", "state")
    assert [found[name] for name in same] == [row[name] for name in same]
    assert (await stack.client.get(found["link"].removeprefix(PUBLIC))).status_code == 200
    answer = await stack.client.get("/certificates/links?format=xlsx", headers=headers)
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    heading, *rows = [[cell.value for cell in line] for line in sheet.iter_rows()]
    assert heading[1] == {"en": "Learner", "ru": "Обучающийся"}[language]
    (found_row,) = [line for line in rows if line[0] == id]
    assert found_row[1:4] == [row["learner"], row["competency"], row["name_en"]]
    assert found_row[6] == {"en": "not collected yet", "ru": "ещё не получены"}[language]


async def test_an_empty_file_has_its_headings(stack: Running):
    headers = stack.token("college", "institution")
    answer = await stack.client.get("/certificates/links?format=csv", headers=headers)
    assert answer.content.decode("utf-8-sig").startswith("certificate,learner,competency,")
    assert (await stack.client.get("/certificates/links?format=xlsx", headers=headers)).status_code == 200


async def test_links_are_their_institutions_alone(stack: Running):
    id = await certificate_of(stack, "own")
    for organisation, kind, status in (
        ("operator", "operator", 403),
        ("plant", "enterprise", 200),
        ("college", "institution", 200),
    ):
        answer = await stack.client.get("/certificates/links", headers=stack.token(organisation, kind))
        assert answer.status_code == status, organisation
        assert id not in answer.text
    assert (await stack.client.get("/certificates/links")).status_code == 401


async def test_a_suspended_institution_makes_no_links(stack: Running):
    id, operator = await certificate_of(stack, "of-suspended"), "operator:operator"
    headers = stack.token("uni", "institution")
    await stack.publish(event(OrganisationSuspended(reason="x"), "uni", by=operator))
    await stack.applied()
    for ask in (stack.client.post, stack.client.delete):
        assert (await ask(f"/certificates/{id}/link", headers=headers)).status_code == 403
    await stack.publish(event(OrganisationReinstated(), "uni", by=operator, time=NOON + timedelta(minutes=1)))
    await stack.applied()
    assert (await stack.client.post(f"/certificates/{id}/link", headers=headers)).status_code == 200


async def test_the_page_has_the_links_and_the_wishes_to_be_erased(stack: Running):
    id = await certificate_of(stack, "paged")
    path, staff = await link_to(stack, id), member(stack, "uni", "institution", "staff")
    page = await staff.get("/links")
    assert page.status_code == 200
    assert (page.headers["cache-control"], f"{PUBLIC}/collect/{id}." in page.text) == ("no-store", True)
    assert "ask to be erased" not in page.text
    await send(stack, f"{path}/erasure")
    page = await staff.get("/links", lang="ru")
    assert "work/do/erase?subject=paged" in page.text
    assert "Просят удалить данные" in page.text
    await staff.get("/links", lang="en")
    made = await staff.post("/links", certificate=id)
    assert (made.status_code, "There is a new link" in made.text) == (200, True)
    assert (await stack.client.get(path)).status_code == 404
    for format in ("csv", "xlsx"):
        assert (await staff.get(f"/links/links.{format}", state="open")).status_code == 200
    assert id in (await staff.get("/links/links.csv", state="open")).text
    await stack.publish(event(LearnerErased(), "paged"))
    await stack.applied()
    assert "paged" not in (await staff.get("/links")).text
    await close(staff)


async def test_the_page_comes_in_parts(stack: Running):
    for number in range(52):
        await certificate_of(stack, f"many-{number:02}")
    staff = member(stack, "uni", "institution", "staff")
    first, second = (await staff.get("/links")).text, (await staff.get("/links", page="2")).text
    assert first.count('class="copy"') == 50
    assert second.count('class="copy"') >= 2
    assert (await staff.get("/links", page="99")).status_code == 200
    await close(staff)


@pytest.mark.parametrize("page", sorted(LINK_PAGES))
async def test_page_rights_of_links(stack: Running, page: str):
    rule, (method, path) = LINK_PAGES[page], page.replace("{format}", "csv").split(" ")
    assert rule.roles is not None
    id = await certificate_of(stack, "right")
    nobody = visitor(stack)
    answer = await nobody.client.request(method, path, data={"certificate": id} if method == "POST" else None)
    assert answer.status_code == (303 if method == "GET" else 401)
    await close(nobody)
    for organisation, kind, role in (
        *(("uni", "institution", role) for role in ("admin", "staff", "mentor")),
        *(("plant", "enterprise", role) for role in ("admin", "staff", "mentor")),
        *(("operator", "operator", role) for role in ("operator", "coordinator")),
    ):
        who = member(stack, organisation, kind, role)
        may = role in rule.roles and kind == "institution"
        answer = await (who.get(path) if method == "GET" else who.post(path, certificate=id))
        assert answer.status_code == (200 if may else 403), (organisation, role)
        if method == "POST":
            forged = await who.client.post(path, data={"csrf": "x", "certificate": id})
            assert forged.status_code == 403, role
        await close(who)
    stranger = member(stack, "college", "institution", "admin")
    answer = await (stranger.get(path) if method == "GET" else stranger.post(path, certificate=id))
    assert (answer.status_code, id in answer.text) == (404 if method == "POST" else 200, False)
    await close(stranger)
