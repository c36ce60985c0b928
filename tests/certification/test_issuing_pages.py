"""The catalogue of schemes, and the pages on which institutions publish them, look who is near, and revoke."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from openpyxl import load_workbook

from services.certification.app import core, router
from services.certification.certificates import listing
from services.certification.schemes import reads
from shared.contract.events import (
    AssessmentMethod,
    AssessmentRecorded,
    Data,
    Event,
    LearnerEnrolled,
    OrganisationKind,
    OrganisationRegistered,
    OrganisationSuspended,
    SchemePublished,
    derived_id,
)
from tests.making import event
from tests.pages import ISSUING_PAGES
from tests.people import Visitor, close, signed_in, visitor
from tests.stack import Running, running, until

HOSTILE = "<script>alert(1)</script><img src=x>\"'{{7*7}}"
NOW = datetime.now(UTC)
FUTURES, CRITICAL, SYSTEMS = "greencomp:3.1", "greencomp:2.2", "greencomp:2.1"
KINDS = {"uni": "institution", "college": "institution", "plant": "enterprise", "operator": "operator"}
REGIONS = {"uni": "north", "college": "south", "plant": "north"}


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def scheme(competency: str, *methods: str, **more: Any) -> SchemePublished:
    about = {"competency": competency, "level": 5, "methods": [*methods], "least_score": 0.6}
    return SchemePublished.model_validate({**about, "enterprise_required": False, **more})


def enrolled(learner: str, by: str = "uni") -> Event[Data]:
    return event(LearnerEnrolled(programme=f"{by}:p"), learner, by=f"institution:{by}", time=days_ago(900))


def assessed(
    learner: str, competency: str, method: str, score: float = 0.8, days: float = 5, **more: Any
) -> Event[Data]:
    data = AssessmentRecorded(competency=competency, method=AssessmentMethod(method), score=score, **more)
    id = derived_id(learner, competency, method, str(days), str(more))
    return event(data, id, learner, id=id, time=days_ago(days))


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """uni certifies futures (one exam, for a year), critical (exam and portfolio) and systems; college systems only."""
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as started:
        names = {"uni": f"Uni {HOSTILE}", "college": "College", "plant": "Plant"}
        for id, name in names.items():
            entry = OrganisationRegistered(kind=OrganisationKind(KINDS[id]), name=name, region=REGIONS[id])
            await started.publish(event(entry, id, by="operator:operator", time=days_ago(1_000)))
        three = {"by_method": [{"method": "review_360", "assessors": 3, "least_score": 0.7}]}
        for id, by, days, data in (
            ("futures", "uni", 950, scheme(FUTURES, "exam")),
            ("futures", "uni", 940, scheme(FUTURES, "exam", valid_months=12)),
            ("critical", "uni", 30, scheme(CRITICAL, "exam", "portfolio")),
            ("systems", "uni", 30, scheme(SYSTEMS, "review_360", **three)),
            ("college:systems", "college", 20, scheme(SYSTEMS, "exam", enterprise_required=True)),
        ):
            await started.publish(event(data, id, by=f"institution:{by}", time=days_ago(days)))
        await started.applied()
        told = [enrolled(f"uni:{n}") for n in range(6)] + [enrolled("college:1", "college")]
        told += [assessed(f"uni:{n}", FUTURES, "exam", days=days) for n, days in enumerate((400, 300, 5, 5, 5, 5))]
        told += [assessed("uni:0", CRITICAL, "exam"), assessed("uni:1", CRITICAL, "exam", 0.9)]
        told += [assessed("uni:1", CRITICAL, "portfolio", 0.2), assessed("uni:2", CRITICAL, "portfolio", 0.2)]
        told += [assessed("uni:3", SYSTEMS, "review_360", assessor=f"t-{n}") for n in range(2)]
        told += [assessed("college:1", CRITICAL, "exam")]
        await started.publish(*told)

        async def all_given() -> bool:
            total, _ = await listing.listed(started.service.db, listing.Asked().match("uni"), "certified_at", 0, 1)
            return total >= 6

        async def end_is_said() -> bool:
            return any(b"certificate.expiring" in (record.value or b"") for record in await started.read("learner"))

        await until(all_given)
        await until(end_is_said)  # so that nothing more is said by itself
        await started.applied()
        yield started


@pytest_asyncio.fixture(scope="module")
async def dean(stack: Running) -> AsyncIterator[Visitor]:
    who = await signed_in(stack, "uni", "admin", "institution")
    yield who
    await close(who)


async def read(stack: Running, path: str, by: str = "uni", **query: Any) -> Any:
    answer = await stack.client.get(path, params=query, headers=stack.token(by, KINDS[by]))
    assert answer.status_code == 200, answer.text
    return answer.json()


# the catalogue


async def test_everybody_finds_what_can_be_certified_where(stack: Running):
    async def found(**query: str) -> list[str]:
        items = (await stack.client.get("/schemes", params=query)).json()["items"]
        return [each["id"] for each in items]

    assert {"critical", "futures", "systems", "college:systems"} <= {*await found()}
    assert await found(region="south") == ["college:systems"]
    assert await found(institution="college", region="north") == []
    assert await found(q="системное мышление", competency=SYSTEMS) == ["college:systems", "systems"]
    assert await found(q="college systems") == ["college:systems"]
    first = (await stack.client.get("/schemes", params={"limit": 1})).json()
    assert (len(first["items"]), first["next"], first["items"][0]["region"]) == (1, "college:systems", "south")
    assert await found(after=first["next"], limit="1") == ["critical"]
    who = visitor(stack)
    page = await who.get("/schemes", lang="ru", region="north")
    assert ("Грамотность в вопросах будущего" in page.text, "College" in page.text.split("<tbody>")[1]) == (True, False)
    assert "оценивающих: 3" in page.text
    assert (HOSTILE in page.text, "&lt;script&gt;alert(1)" in page.text, "{{7*7}}" in page.text) == (False, True, True)
    nothing = await who.get("/schemes", q=HOSTILE)
    assert (nothing.status_code, HOSTILE in nothing.text) == (200, False)
    await close(who)


async def test_a_schemes_page_has_its_versions_and_no_exact_number_of_its_certificates(stack: Running):
    whole = (await stack.client.get("/schemes/futures")).json()
    assert [each.get("valid_months") for each in whole["versions"]] == [12, None]
    assert (whole["given_at_least"], whole["since"]) == (5, whole["versions"][0]["since"])
    assert (await stack.client.get("/schemes/critical")).json()["given_at_least"] is None
    who = visitor(stack)
    page = await who.get("/schemes/futures", lang="en")
    assert "at least 5" in page.text
    assert "<del>without an end</del>" in page.text
    assert "<ins>12-month term</ins>" in page.text
    assert "uni:0" not in page.text
    assert "fewer than 5" in (await who.get("/schemes/critical")).text
    assert (await who.get("/schemes/nothing")).status_code == 404
    await close(who)


def test_the_number_of_certificates_is_said_in_steps_so_that_nothing_small_follows_from_two_of_them():
    assert reads.GIVEN[0] == 5
    assert all(later - earlier >= 5 for earlier, later in zip(reads.GIVEN, reads.GIVEN[1:], strict=False))


# who may


@pytest.mark.parametrize("page", sorted(ISSUING_PAGES))
async def test_only_an_institutions_staff_opens_its_pages(stack: Running, page: str):
    method, path = page.split(" ")
    path = path.replace("{format}", "csv?scheme=futures").replace("{id}", "nothing")
    rule = ISSUING_PAGES[page]
    assert rule.roles
    assert rule.kinds
    before = await stack.count("learner", "scheme")
    for organisation, role in (
        ("uni", "admin"),
        ("uni", "staff"),
        ("uni", "mentor"),
        ("plant", "admin"),
        ("plant", "mentor"),
        ("operator", "operator"),
        ("operator", "coordinator"),
    ):
        who = await signed_in(stack, organisation, role, KINDS[organisation])
        answer = await (who.get(path) if method == "GET" else who.post(path))
        allowed = role in rule.roles and KINDS[organisation] in rule.kinds
        assert (answer.status_code != 403) == allowed, f"{role} of {organisation}: {answer.status_code}"
        if method == "POST" and allowed:
            elsewhere = await who.client.post(path, data={"csrf": "wrong", "reason": "x", "sure": "yes"})
            assert elsewhere.status_code in (403, 404)
        await close(who)
    nobody = visitor(stack)
    answer = await (nobody.get(path) if method == "GET" else nobody.post(path, reason="typed"))
    assert answer.status_code == (303 if method == "GET" else 401)
    await close(nobody)
    assert await stack.count("learner", "scheme") == before


async def test_what_is_anothers_is_neither_shown_nor_changed(stack: Running):
    id = (await read(stack, "/certificates"))["items"][0]["id"]
    before = await stack.count("learner", "scheme")
    who = await signed_in(stack, "college", "admin", "institution")
    for path in (
        "/issuing/nearly?scheme=critical",
        "/issuing/nearly.csv?scheme=critical",
        "/issuing/scheme?id=futures",
    ):
        assert (await who.get(path)).status_code == 403, path
    assert (await who.get(f"/issuing/certificates/{id}")).status_code == 404
    assert (await who.post(f"/issuing/certificates/{id}", reason="x", sure="yes")).status_code == 404
    assert (await who.post("/issuing/scheme?id=futures", **TYPED)).status_code == 403
    stolen = await who.post("/issuing/scheme", **TYPED | {"id": "futures"})
    assert stolen.status_code == 422
    assert "belongs to uni" in stolen.text
    for path in ("/issuing", "/issuing/certificates", "/issuing/certificates.csv", "/issuing/nearly"):
        assert "uni:" not in (await who.get(path)).text
    for by in ("college", "plant"):
        answer = await stack.client.get("/schemes/critical/nearly", headers=stack.token(by, KINDS[by]))
        assert answer.status_code == 403
    assert (await read(stack, "/certificates", "plant"))["items"] == []
    assert await stack.count("learner", "scheme") == before
    await close(who)


async def test_a_suspended_institutions_people_see_nothing_any_more(stack: Running):
    entry = OrganisationRegistered(kind=OrganisationKind.institution, name="Banned", region="north")
    who = await signed_in(stack, "banned", "admin", "institution")
    await stack.publish(event(entry, "banned", by="operator:operator", time=days_ago(9)))
    await stack.applied()
    assert (await who.get("/issuing")).status_code == 200
    suspended = OrganisationSuspended(reason="fraud")
    await stack.publish(event(suspended, "banned", by="operator:operator", time=days_ago(1)))
    await stack.applied()
    for path in ("/issuing", "/issuing/scheme", "/issuing/certificates", "/issuing/nearly"):
        assert (await who.get(path)).status_code == 403, path
    assert (await who.post("/issuing/scheme", **TYPED | {"id": "banned:x"})).status_code == 403
    await close(who)


# one step from a certificate


async def test_who_is_one_step_from_a_certificate_is_found_with_what_is_lacking(stack: Running, dean: Visitor):
    found = await read(stack, "/schemes/critical/nearly", lang="en")
    assert [(each["learner"], each["lacking"]) for each in found["items"]] == [
        ("uni:0", "portfolio, at least 60 per cent"),
        ("uni:1", "portfolio, at least 60 per cent"),
    ]
    assert found["next"] is None
    several = (await read(stack, "/schemes/systems/nearly", lang="en"))["items"]
    assert [(each["learner"], each["lacking"]) for each in several] == [
        ("uni:3", "360° review: one more assessor, at least 70 per cent")
    ]
    assert not any(each["by_enterprise"] for each in (*found["items"], *several))
    renewals = (await read(stack, "/schemes/futures/nearly"))["items"]
    assert [each["learner"] for each in renewals] == ["uni:0", "uni:1"], "in the second half of their time, or over"
    assert all(each["renews"] for each in renewals)
    first = await read(stack, "/schemes/critical/nearly", limit=1)
    assert first["next"] == "uni:0"
    assert (await read(stack, "/schemes/critical/nearly", limit=1, after="uni:0"))["items"][0]["learner"] == "uni:1"
    page = await dean.get("/issuing/nearly", scheme="critical", lang="ru")
    assert page.text.count("портфолио, не ниже 60 %") == 2
    assert "college:1" not in page.text
    assert "work/do/assess?learner=uni%3A0&amp;competency=greencomp%3A2.2&amp;method=portfolio" in page.text
    assert "uni:0" not in (await dean.get("/issuing/nearly", scheme="critical", after="uni:0")).text


async def test_the_list_of_who_is_near_is_a_file_too(stack: Running, dean: Visitor):
    token = stack.token("uni", "institution")
    query = {"format": "csv", "lang": "en"}
    text = (await stack.client.get("/schemes/critical/nearly", params=query, headers=token)).text
    rows = [*csv.DictReader(io.StringIO(text.lstrip("\ufeff")))]
    assert [(row["learner"], row["lacking"]) for row in rows][1] == ("uni:1", "portfolio, at least 60 per cent")
    sheet = await dean.client.get("/issuing/nearly.xlsx", params={"scheme": "critical", "lang": "ru"})
    cells = [*load_workbook(io.BytesIO(sheet.content)).active.values]  # type: ignore[union-attr]
    assert cells[0][:2] == ("Обучающийся", "Чего не хватает")
    assert len(cells) == 3


async def test_so_many_learners_are_looked_at_for_one_answer_and_no_more(
    stack: Running, dean: Visitor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reads, "LOOKED_AT", 1)
    seen, after = list[str](), ""
    for _ in range(9):
        part = await read(stack, "/schemes/critical/nearly", after=after)
        seen += [each["learner"] for each in part["items"]]
        if part["next"] is None:
            break
        after = part["next"]
    assert (seen, after) == (["uni:0", "uni:1"], "uni:2")
    typed = TYPED | {"id": "uni:bounded", "competency": CRITICAL}
    assert "1 learners who have been assessed in it who were looked at; there are more" in " ".join(
        (await dean.post("/issuing/scheme?lang=en", **typed)).text.split()
    )


# certificates


async def test_certificates_are_found_by_state_end_and_learner(stack: Running, dean: Visitor):
    async def found(**query: Any) -> list[str]:
        return sorted(each["of"] for each in (await read(stack, "/certificates", **query))["items"])

    everybody = [f"uni:{n}" for n in range(6)]
    assert await found() == everybody
    assert await found(status="expired") == ["uni:0"]
    assert await found(status="valid") == everybody[1:]
    assert await found(ending_within=90) == ["uni:1"]
    assert await found(ending_within=30) == []
    assert await found(search="UNI:4", competency=FUTURES, scheme="futures") == ["uni:4"]
    assert await found(search="u.i") == [], "no pattern"
    unknown = await stack.client.get("/certificates?status=lost", headers=stack.token("uni", "institution"))
    assert unknown.status_code == 422
    (ending,) = (await read(stack, "/certificates", ending_within=90))["items"]
    assert (await found(search=ending["id"])) == ["uni:1"]
    page = await dean.get("/issuing/certificates", status="ending", lang="en")
    assert ("uni:1" in page.text, "uni:2" in page.text) == (True, False)
    home = await dean.get("/issuing", lang="en")
    assert "Certificates that end within 90 days: 1" in home.text
    part = await read(stack, "/certificates", limit=2, status="valid")
    rest = await read(stack, "/certificates", status="valid", after=part["next"])
    assert (len(part["items"]), len(rest["items"])) == (2, 3)
    nothing = await dean.get("/issuing/certificates", search=HOSTILE)
    assert (nothing.status_code, HOSTILE in nothing.text) == (200, False)


async def test_certificates_are_a_file_too_by_the_same_filters(stack: Running, dean: Visitor):
    token = stack.token("uni", "institution")
    query = {"format": "csv", "status": "expired", "lang": "en"}
    text = (await stack.client.get("/certificates", params=query, headers=token)).text
    (row,) = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    assert (row["learner"], row["status"], row["scheme"]) == ("uni:0", "Expired", "futures")
    sheet = await dean.client.get("/issuing/certificates.xlsx", params={"status": "valid", "lang": "ru"})
    assert len([*load_workbook(io.BytesIO(sheet.content)).active.values]) == 6  # type: ignore[union-attr]
    empty = await dean.client.get("/issuing/certificates.csv", params={"search": "nobody"})
    assert empty.text.startswith("\ufeffcertificate,learner,")


async def test_a_certificate_is_revoked_with_a_reason_once_that_is_confirmed(stack: Running):
    await stack.publish(enrolled("uni:revoked"), assessed("uni:revoked", FUTURES, "exam"))

    async def there() -> Any:
        return (await read(stack, "/certificates", search="uni:revoked"))["items"]

    (certificate,) = await until(there)
    who = await signed_in(stack, "uni", "staff", "institution")
    address = f"/issuing/certificates/{certificate['id']}"
    assert "uni:revoked" in (await who.get(address)).text
    empty = await who.post(address, sure="yes")
    assert (empty.status_code, 'id="reason-wrong"' in empty.text) == (422, True)
    unsure = await who.post(address, reason=HOSTILE)
    assert (unsure.status_code, 'id="sure-wrong"' in unsure.text) == (422, True)
    assert HOSTILE not in unsure.text
    assert "&lt;script&gt;alert(1)" in unsure.text, "what was typed is kept"
    for _ in range(2):
        done = await who.post(address, reason="plagiarism", sure="yes")
        assert (done.status_code, done.headers["location"]) == (303, "/issuing/certificates?done=revoked")
    said = [json.loads(record.value or b"") for record in await stack.read("learner")]
    revoked = [each for each in said if each["subject"] == certificate["id"] and "revoked" in each["type"]]
    assert [each["data"]["reason"] for each in revoked] == ["plagiarism"], "twice sent is one event"
    page = await who.get("/issuing/certificates", done="revoked", status="revoked")
    assert ("plagiarism" in page.text, 'class="notice"' in page.text) == (True, True)
    assert "It is revoked already" in (await who.get(address, lang="en")).text
    await close(who)


# publishing a scheme

TYPED: dict[str, Any] = {
    "id": "uni:new",
    "competency": "greencomp:1.1",
    "level": "4",
    "least_score": "62,5",
    "methods": ["exam", "review_360"],
    "assessors:review_360": "3",
    "score:review_360": "70",
    "valid_months": "24",
}


async def published(stack: Running, id: str) -> dict[str, Any]:
    answer = await stack.client.get(f"/schemes/{id}")
    return answer.json() if answer.status_code == 200 else {}


def button(text: str) -> str:
    """What the button that publishes sends."""
    return text.partition('name="checked" value="')[2].partition('"')[0]


async def test_what_follows_from_a_scheme_is_said_before_it_is_published(stack: Running, dean: Visitor):
    learners = [f"uni:at-once-{n}" for n in range(3)]
    await stack.publish(*[enrolled(each) for each in learners])
    await stack.publish(*[assessed(each, "greencomp:1.2", "exam", 0.7 - n / 10) for n, each in enumerate(learners)])
    await stack.applied()
    typed = TYPED | {"id": "uni:at-once", "competency": "greencomp:1.2", "methods": "exam", "least_score": "60"}
    typed = {name: value for name, value in typed.items() if "review_360" not in name}
    ahead = await dean.post("/issuing/scheme?lang=en", **typed)
    assert ahead.status_code == 200
    assert "2 of 3 learners who have been assessed in it" in ahead.text
    assert await published(stack, "uni:at-once") == {}, "it is only said"
    other = await dean.post("/issuing/scheme?lang=en", **typed | {"least_score": "70"}, checked=button(ahead.text))
    assert "1 of 3 learners" in other.text, "what was changed since is looked at anew"
    assert await published(stack, "uni:at-once") == {}
    done = await dean.post("/issuing/scheme", **typed, checked=button(ahead.text))
    assert (done.status_code, done.headers["location"]) == (303, "/issuing?done=published")

    async def certified() -> bool:
        return len((await read(stack, "/certificates", scheme="uni:at-once"))["items"]) == 2

    await until(certified)
    raw = [json.loads(record.value or b"") for record in await stack.read("scheme")]
    (said,) = [each for each in raw if each["subject"] == "uni:at-once"]
    assert dean.member
    assert (said["source"], said["member"]) == ("/organisations/uni", dean.member.id)


async def test_a_scheme_is_published_as_over_http_and_changed_by_a_new_version(stack: Running, dean: Visitor):
    ahead = await dean.post("/issuing/scheme", **TYPED)
    await dean.post("/issuing/scheme", **TYPED, checked=button(ahead.text))
    shown = await published(stack, "uni:new")
    wanted = {
        "competency": "greencomp:1.1",
        "level": 4,
        "methods": ["exam", "review_360"],
        "least_score": 0.625,
        "by_method": [{"method": "review_360", "least_score": 0.7, "assessors": 3}],
        "valid_months": 24,
        "enterprise_required": False,
    }
    assert {name: shown[name] for name in wanted} == wanted
    form = await dean.get("/issuing/scheme", id="uni:new", lang="en")
    for value in ('value="62.5"', 'name="score:review_360" value="70"', 'value="24"', 'value="exam" checked'):
        assert value in form.text
    same = await dean.post("/issuing/scheme?id=uni:new&lang=en", **TYPED)
    assert (same.status_code, "Nothing is different" in same.text) == (422, True)
    newer = TYPED | {"level": "5", "enterprise_required": "yes"}
    ahead = await dean.post("/issuing/scheme?id=uni:new", **newer)
    await dean.post("/issuing/scheme?id=uni:new", **newer, checked=button(ahead.text))
    assert (await published(stack, "uni:new"))["level"] == 5
    assert "uni:new" in (await dean.get("/issuing")).text


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"least_score": "100,5"}, "least_score", "from 0 to 100"),
        ({"least_score": ""}, "least_score", "from 0 to 100"),
        ({"score:review_360": "-1"}, "methods", "from 0 to 100"),
        ({"assessors:review_360": "8"}, "methods", "from 1 to 7"),
        ({"score:portfolio": "50"}, "methods", "portfolio is not ticked"),
        ({"methods": [], "score:review_360": "", "assessors:review_360": ""}, "methods", "Tick one"),
        ({"valid_months": "0"}, "valid_months", "from 1 to 120"),
        ({"valid_months": "²"}, "valid_months", "from 1 to 120"),
        ({"level": ""}, "level", "Choose"),
        ({"competency": ""}, "competency", "needed"),
        ({"competency": "greencomp:9.9"}, "competency", "not in its framework"),
        ({"competency": "nothing of the kind"}, "competency", "No competency has these words"),
        ({"competency": HOSTILE + ":1"}, "competency", "framework:item"),
        ({"competency": "thinking"}, "competency", "Several have these words"),
        ({"id": "два слова"}, "id", "Latin"),
        ({"id": "nan", "least_score": "nan"}, "least_score", "from 0 to 100"),
    ],
)
async def test_a_mistake_stands_beside_its_field_and_what_was_typed_stays(
    stack: Running, dean: Visitor, changes: dict[str, Any], field: str, words: str
):
    before = await stack.count("scheme")
    answer = await dean.post("/issuing/scheme?lang=en", **TYPED | changes)
    assert answer.status_code == 422
    wrong = answer.text.partition(f'id="{field}-wrong">')[2].partition("</p>")[0]
    assert wrong
    assert words in wrong
    assert HOSTILE not in answer.text
    kept = {"level": 'value="4" selected', "valid_months": 'value="24"'}
    assert all(text in answer.text for name, text in kept.items() if name not in changes)
    assert await stack.count("scheme") == before


async def test_a_competency_is_found_by_words_of_its_name(stack: Running, dean: Visitor):
    ahead = await dean.post("/issuing/scheme?lang=ru", **TYPED | {"id": "uni:words", "competency": "критическое мышл"})
    assert (ahead.status_code, "greencomp:2.2" in ahead.text.partition('id="ahead"')[2]) == (200, True)
    several = await dean.post("/issuing/scheme?lang=en", **TYPED | {"id": "uni:words", "competency": "thinking"})
    assert 'name="found" value="greencomp:2.1"' in several.text
    chosen = TYPED | {"id": "uni:words", "competency": "thinking", "found": "greencomp:2.1"}
    ahead = await dean.post("/issuing/scheme?lang=en", **chosen)
    assert "Systems thinking · greencomp:2.1" in ahead.text.partition('id="ahead"')[2]
    stolen = await dean.post("/issuing/scheme?lang=en", **chosen | {"found": "greencomp:1.1"})
    assert stolen.status_code == 422, "only what has the words may be chosen"


async def test_where_ids_are_not_free_a_new_scheme_has_its_institutions_in_front(stack: Running, dean: Visitor):
    stack.settings.free_ids = False
    try:
        answer = await dean.post("/issuing/scheme?lang=en", **TYPED | {"id": "mine"})
    finally:
        stack.settings.free_ids = True
    assert answer.status_code == 422
    assert "uni:mine" in answer.text.partition('id="id-wrong">')[2].partition("</p>")[0]
