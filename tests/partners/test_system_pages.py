"""The pages about data and systems: credentials, webhooks, what was refused, files, several placements, the network."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from httpx import Response

from services.partners.gateway.egress.hooks import WEBHOOKS
from services.partners.gateway.files import jobs
from services.partners.gateway.files.jobs import FILES, UPLOADS
from services.partners.people.members import JOURNAL
from shared.contract.events import LearnerErased, LearnerErasureRequested
from shared.http.problems import FORM
from tests.making import event
from tests.network import STRUCTURED, cloudevent
from tests.partners.conftest import as_, practise, settled
from tests.partners.receiver import receiving
from tests.people import Visitor, close, looked_at, signed_in, visitor
from tests.stack import Running, until

DEMAND = "praktika.demand.reported.v1"


@pytest_asyncio.fixture(scope="module")
async def admin(connected: Running) -> AsyncIterator[Visitor]:
    """The admin of plant."""
    made = await signed_in(connected, "plant", "admin", "enterprise", "Pavel")
    yield made
    await close(made)


@pytest_asyncio.fixture(scope="module")
async def operator(connected: Running) -> AsyncIterator[Visitor]:
    made = await signed_in(connected, "operator", "operator", "operator", "Olga")
    yield made
    await close(made)


def value_of(page: Response, id: str) -> str:
    """What a field to be copied has."""
    found = re.search(rf'id="{id}"[^>]*value="([^"]*)"', page.text)
    assert found, page.text
    return unescape(found[1])


async def token_status(stack: Running, organisation: str, secret: str) -> int:
    form = {"grant_type": "client_credentials", "client_id": organisation, "client_secret": secret}
    return (await stack.client.post("/token", data=form)).status_code


async def test_an_admin_makes_a_credential_that_is_shown_once_and_withdraws_it(connected: Running, admin: Visitor):
    wrong = await admin.post("/work/integration/credentials", name="x", scope="everything", days="")
    assert wrong.status_code == 422
    made = await admin.post("/work/integration/credentials", name="ERP <b>", scope="send", days="90")
    assert made.status_code == 200
    secret = value_of(made, "client-secret")
    assert await token_status(connected, "plant", secret) == 200
    page = await admin.get("/work/integration")
    assert "ERP &lt;b&gt;" in page.text
    assert secret not in page.text
    (id,) = re.findall(r'name="withdraw" value="([^"]+)"', page.text)
    stranger = await signed_in(connected, "works", "admin", "enterprise")
    assert (await stranger.post("/work/integration/credentials", withdraw=id)).status_code == 404
    assert (await admin.post("/work/integration/credentials", withdraw=id)).status_code == 303
    assert await token_status(connected, "plant", secret) == 401
    assert (await admin.post("/work/integration/credentials", withdraw=id)).status_code == 404
    home = connected.service.store.home
    assert [doc["what"] async for doc in home[JOURNAL].find({"detail": id})] == [
        "credential_made",
        "credential_withdrawn",
    ]
    withdrawn = [
        json.loads(r.value or b"") for r in await connected.read("organisation") if id.encode() in (r.value or b"")
    ]
    assert [(each["source"], each["member"]) for each in withdrawn] == [
        ("/organisations/operator", admin.member.id if admin.member else "")
    ]
    await close(stranger)


async def test_the_operator_makes_one_for_an_organisation_and_none_for_itself(connected: Running, operator: Visitor):
    made = await operator.post("/work/integration/credentials?organisation=works", name="", scope="", days="")
    assert await token_status(connected, "works", value_of(made, "client-secret")) == 200
    assert "Make a credential" not in (await operator.get("/work/integration")).text
    assert (await operator.post("/work/integration/credentials", name="", scope="", days="")).status_code == 404
    assert (await operator.get("/work/integration?organisation=nobody")).status_code == 404


async def test_a_webhook_is_made_tried_mended_and_deleted(connected: Running, admin: Visitor):
    wrong = await admin.get("/work/integration", lang="ru")
    wrong = await admin.post("/work/integration/webhooks?lang=ru", url="ftp://plant.example/")
    assert wrong.status_code == 422
    assert "должен начинаться с https://" in wrong.text
    assert 'value="ftp://plant.example/"' in wrong.text, "nothing typed is lost"
    async with receiving() as receiver:
        made = await admin.post("/work/integration/webhooks", url=receiver.url)
        assert made.status_code == 200, made.text
        secret = value_of(made, "hook-secret")
        (path,) = set(re.findall(r'href="(?:\.\./)*(work/integration/webhooks/[^"]+)"', made.text))
        trial = await admin.post(f"/{path}?lang=en", do="test")
        assert "The trial was delivered:" in trial.text
        assert [post.event["type"] for post in receiver.posts] == ["praktika.webhook.tested.v1"]
        renewed = await admin.post(f"/{path}", do="secret")
        assert value_of(renewed, "hook-secret") != secret
        assert renewed.headers["cache-control"] == "no-store"
        await admin.post(f"/{path}", do="secret")  # once more, by mistake: what the receiver has still signs
        await admin.post(f"/{path}", do="test")
        assert len(receiver.posts[-1].headers["webhook-signature"].split()) == 3
    trial = await admin.post(f"/{path}", do="test")
    assert "The trial was not delivered:" in trial.text
    assert "Everything was delivered so far." in trial.text, "a trial is not tried again"
    home, id = connected.service.store.home, path.rpartition("/")[2]
    await home[WEBHOOKS].update_one({"_id": id}, {"$set": {"status": "disabled", "reason": "failed"}})
    assert "Webhooks that ended" in (await admin.get("/work")).text
    assert (await admin.post(f"/{path}", do="redeliver", failure="1")).status_code == 409
    assert (await admin.post(f"/{path}", do="activate")).status_code == 422, "its address does not answer"
    assert (await admin.post(f"/{path}", do="delete")).status_code == 303
    assert (await admin.get(f"/{path}")).status_code == 404


async def test_what_failed_is_delivered_again_from_the_page(connected: Running, admin: Visitor):
    async with receiving() as receiver:
        made = await admin.post("/work/integration/webhooks", url=receiver.url)
        path = re.findall(r'href="(?:\.\./)*(work/integration/webhooks/[^"]+)"', made.text)[-1]
        id = path.rpartition("/")[2]
        failure = {"webhook": id, "cursor": 0, "event": "x", "attempts": 9, "reason": "answered 500", "next_at": None}
        await connected.service.store.home["webhook_failures"].insert_one({**failure, "first_at": 1, "last_at": 2})
        page = await admin.get(f"/{path}")
        assert ("answered 500" in page.text, "given up" in page.text) == (True, True)
        assert (await admin.post(f"/{path}", do="redeliver", failure="-1")).status_code == 422
        assert (await admin.post(f"/{path}", do="redeliver", failure="0")).status_code == 200
        kept = await connected.service.store.home["webhook_failures"].find_one({"webhook": id})
        assert kept is None or kept["next_at"] is not None
        await admin.post(f"/{path}", do="delete")


async def refuse(stack: Running, organisation: str, event: Any) -> None:
    answer = await stack.client.post(
        "/events", content=json.dumps(event), headers=as_(organisation, stack) | STRUCTURED
    )
    assert answer.status_code == 422, answer.text


async def test_what_was_refused_is_mended_in_place_and_sent_again(connected: Running, admin: Visitor):
    bad = cloudevent("plant", "demand.reported", "plant:d1", {"competency": "greencomp:3.1", "places": "many"})
    await refuse(connected, "plant", bad)
    await settled(connected)
    assert "Refused, to be mended" in (await admin.get("/work", lang="en")).text
    page = await admin.get("/work/rejections")
    (position,) = set(re.findall(r"work/rejections/(rejected-\d+-\d+)", page.text))
    page = await admin.get(f"/work/rejections/{position}", lang="ru")
    assert "целое число" in page.text, "what is wrong is said in the language that was asked for"
    typed = re.search(r"<textarea[^>]*>\n(.*)</textarea>", page.text, re.DOTALL)
    assert typed
    mended = json.loads(unescape(typed[1]))
    assert mended == bad
    for text, words in (("", "is empty"), ("{", "JSON"), (json.dumps(mended), "places")):
        again = await admin.post(f"/work/rejections/{position}?lang=en", text=text)
        assert again.status_code == 422
        assert words in again.text
        assert unescape(again.text).count(text) or not text, "nothing typed is lost"
    mended["data"] |= {"places": 7, "horizon": "2027-06-30", "research": "survey"}
    done = await admin.post(f"/work/rejections/{position}", text=json.dumps(mended))
    assert done.status_code == 303, done.text
    assert (await admin.get("/work/rejections", done="1")).text.count("sent again and accepted") == 1
    assert "<textarea" not in (await admin.get(f"/work/rejections/{position}")).text, "once is enough"
    stranger = await signed_in(connected, "works", "staff", "enterprise")
    assert (await stranger.get(f"/work/rejections/{position}")).status_code == 404
    assert (await stranger.post(f"/work/rejections/{position}", text=json.dumps(mended))).status_code == 404
    assert "Refused, to be mended" not in (await admin.get("/work")).text, "tries that failed are no further rejections"
    await refuse(connected, "plant", bad | {"id": "another"})
    await settled(connected)
    assert "Refused, to be mended" in (await admin.get("/work")).text
    assert (await admin.post("/work/rejections")).status_code == 303
    assert "Refused, to be mended" not in (await admin.get("/work")).text
    await close(stranger)


async def test_what_was_refused_and_is_no_event_is_shown_as_it_came(connected: Running):
    who = await signed_in(connected, "works", "staff", "enterprise")
    headers = as_("works", connected)
    bodies = {b'{"<script>alert(1)</script>": ': STRUCTURED, b"\xff\xfe\x00": STRUCTURED, b"[1,": STRUCTURED}
    for body, kind in bodies.items():
        assert (await connected.client.post("/events", content=body, headers=headers | kind)).status_code in (400, 422)
    binary = {"Content-Type": "application/json", "ce-id": "x", "ce-type": DEMAND, "ce-specversion": "1.0"}
    await connected.client.post("/events", content=b'{"places": 1}', headers=headers | binary)
    await connected.client.post("/events", content=b'{"places": ', headers=headers | binary)
    await connected.client.post("/events", content=b"x" * 200_000, headers=headers | STRUCTURED)
    await settled(connected)
    listed = await who.get("/work/rejections")
    positions = re.findall(r"work/rejections/(rejected-\d+-\d+)", listed.text)
    assert len(positions) == 6
    pages = [unescape((await who.get(f"/work/rejections/{position}")).text) for position in positions]
    assert any('"type": "' + DEMAND in page and '"places": 1' in page for page in pages), "attributes come along"
    assert any("not all is kept" in page for page in pages)
    assert any('"data": "{\\"places\\": "' in page for page in pages), "what is no JSON is there to be mended"
    first = positions[0]
    assert (await who.post(f"/work/rejections/{first}", do="aside")).status_code == 303
    assert "nothing more to do" in (await who.get("/work/rejections")).text
    await close(who)


# files


async def send_file(who: Visitor, content: bytes, name: str = "demand.csv", **form: str) -> Response:
    assert who.member
    data = {"csrf": who.member.csrf, "type": DEMAND, "timezone": "+07:00", "encoding": "", **form}
    return looked_at(await who.client.post("/uploads", data=data, files={"file": (name, content)}))


async def worked_on(who: Visitor, path: str, *states: str) -> dict[str, Any]:
    """Wait until an upload is in one of these states."""

    async def there() -> dict[str, Any]:
        found: dict[str, Any] = (await who.get(f"{path}/progress")).json()
        return found if found["state"] in states else {}

    return await until(there, 30)


ROWS = b"""subject;competency;places;horizon;time;research
plant:f1;greencomp:3.1;4;2027-06-30;2026-03-02;survey
plant:f2;greencomp:3.1;x;2027-06-30;2026-03-02;survey
"""


CHOSEN = {f"map:{n}": name for n, name in enumerate(ROWS.decode().splitlines()[0].split(";"))}


async def test_a_file_is_uploaded_checked_and_published_without_a_script(connected: Running, admin: Visitor):
    sent = await send_file(admin, ROWS)
    assert sent.status_code == 303, sent.text
    path = sent.headers["location"]
    page = await admin.get(path, lang="en")
    chosen = dict(re.findall(r'<select name="(map:\d)".*?<option value="(\w+)" selected', page.text, re.DOTALL))
    assert chosen == {
        "map:0": "subject",
        "map:1": "competency",
        "map:2": "places",
        "map:3": "horizon",
        "map:4": "time",
        "map:5": "research",
    }
    wrong = await admin.post(path, **{**chosen, "map:3": "places", "do": "check"})
    assert wrong.status_code == 422
    assert 'class="wrong"' in wrong.text
    before = await connected.count("demand")
    answer = await admin.post(path, **chosen, timezone="+07:00", do="check")
    assert answer.status_code == 303, re.findall(r"(?s)<p class=.(?:wrong|trouble).*?</p>", answer.text)
    checked = await worked_on(admin, path, "checked")
    assert (checked["accepted"], checked["refused"]) == (1, 1)
    assert await connected.count("demand") == before
    page = await admin.get(path)
    assert "“x” is no whole number" in unescape(page.text)
    assert 'value="publish"' in page.text
    await admin.post(path, **chosen, timezone="+07:00", do="publish")
    await worked_on(admin, path, "published")
    assert await connected.count("demand") == before + 1
    report = await admin.get(f"{path}/refused.csv")
    assert report.content.decode("utf-8-sig").splitlines()[1].startswith("plant:f2;greencomp:3.1;x;")
    assert "attachment" in report.headers["content-disposition"]
    listed = await admin.get("/uploads")
    assert "demand.csv" in listed.text
    # Once more, mended: it is known what the columns mean, and what was accepted is not counted twice.
    again = (await send_file(admin, ROWS.replace(b";x;", b";5;"))).headers["location"]
    page = await admin.get(again)
    await admin.post(
        again,
        **dict(re.findall(r'<select name="(map:\d)".*?<option value="(\w+)" selected', page.text, re.DOTALL)),
        do="publish",
    )
    done = await worked_on(admin, again, "published")
    assert (done["accepted"], done["refused"]) == (2, 0)
    assert await connected.count("demand") == before + 3, "the first row is the same event, on the log once more"
    said = [json.loads(r.value or b"") for r in await connected.read("demand") if b"plant:f1" in (r.value or b"")]
    assert len({each["id"] for each in said}) == 1
    assert {each["member"] for each in said} == {admin.member.id if admin.member else ""}
    stranger = await signed_in(connected, "works", "admin", "enterprise")
    for at in (path, f"{path}/progress", f"{path}/refused.csv"):
        assert (await stranger.get(at)).status_code == 404
    assert (await admin.post(path, do="forget")).status_code == 303
    assert (await admin.get(path)).status_code == 404
    await close(stranger)


async def test_what_was_interrupted_goes_on(connected: Running, admin: Visitor):
    """The process that worked on it is gone: another takes it up."""
    path = (await send_file(admin, ROWS, "interrupted.csv")).headers["location"]
    home, id = connected.service.store.home, path.rpartition("/")[2]
    gone = {
        "state": "running",
        "dry_run": False,
        "language": "ru",
        "alive_at": datetime.now(UTC) - timedelta(minutes=5),
    }
    await home[UPLOADS].update_one({"_id": id}, {"$set": gone})
    assert (await worked_on(admin, path, "published"))["accepted"] == 1


async def test_who_uploads_at_once_sees_the_same_list_and_no_more_than_so_many_files_are_kept(connected: Running):
    staff = await signed_in(connected, "college", "staff", "institution")
    rows = b"subject;competency;places;horizon;time;research"
    for number in range(20):
        assert (await send_file(staff, rows + b"\n1;2;3;4;5;6", f"{number}.csv")).status_code == 303
    more = await send_file(staff, rows + b"\n1;2;3;4;5;6", "more.csv")
    assert (more.status_code, "20 files are kept already" in more.text) == (422, True)
    pages = await asyncio.gather(*(staff.get("/uploads") for _ in range(10)))
    assert [page.text.count(".csv</a>") for page in pages] == [20] * 10
    await close(staff)


async def test_a_large_form_of_nobody_costs_nothing(connected: Running):
    nobody = visitor(connected)
    answer = await nobody.client.post("/uploads", content=b"a&" * 2_000_000, headers={"Content-Type": FORM})
    assert answer.status_code == 401
    assert len(answer.content) < 10_000
    await close(nobody)


async def test_a_file_that_is_not_kept_any_more_is_said_to_be_gone(connected: Running, admin: Visitor):
    path = (await send_file(admin, ROWS, "old.csv")).headers["location"]
    await connected.service.store.home[FILES].delete_one({"_id": path.rpartition("/")[2]})
    assert "not kept any more" in (await admin.get(path, lang="en")).text
    await admin.post(
        path,
        **CHOSEN,
        do="check",
    )
    await worked_on(admin, path, "failed")
    assert "файл больше не хранится" in (await admin.get(path, lang="ru")).text


@pytest.mark.parametrize(
    ("content", "form", "status"),
    [
        (b"", {}, 422),
        (b"\xd0\xcf\x11\xe0 old", {}, 422),
        (b"PK\x03\x04 no zip", {}, 422),
        (b"subject\n1", {"type": "praktika.programme.revision_recommended.v1"}, 422),
        (b"subject\n1", {"type": ""}, 422),
        (b"subject\n1", {"encoding": "ebcdic"}, 422),
        (b"subject\n1", {"timezone": "Moscow"}, 422),
        (b"x" * (8 * 2**20 + 1), {}, 413),
    ],
)
async def test_a_file_that_is_none_is_refused_with_words(
    connected: Running, admin: Visitor, content: bytes, form: dict[str, str], status: int
):
    before = await connected.service.store.home[UPLOADS].count_documents({})
    answer = await send_file(admin, content, '"><script>.csv', **form)
    assert answer.status_code == status, answer.text
    assert await connected.service.store.home[UPLOADS].count_documents({}) == before
    assert status == 413 or 'class="wrong"' in answer.text


async def test_a_file_from_another_site_is_not_taken(connected: Running, admin: Visitor):
    assert (await send_file(admin, ROWS, csrf="forged")).status_code == 403
    site = {"Sec-Fetch-Site": "cross-site"}
    data = {"csrf": admin.member.csrf if admin.member else "", "type": DEMAND}
    answer = await admin.client.post("/uploads", data=data, files={"file": ("x.csv", ROWS)}, headers=site)
    assert answer.status_code == 403
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await admin.client.post("/uploads", content=b"--y\r\n\r\n", headers=broken)).status_code in (400, 403)


async def test_an_upload_is_one_workers_and_given_up_after_some(connected: Running, admin: Visitor):
    """Of a worker that stood still and is overtaken nothing is noted any more."""
    home, path = connected.service.store.home, (await send_file(admin, ROWS, "taken.csv")).headers["location"]
    id = path.rpartition("/")[2]
    waits = {"state": "waiting", "dry_run": True, "language": "en", "alive_at": datetime.now(UTC), "attempts": 0}

    async def taken() -> jobs.Job | None:
        """Be quicker than the service's own workers, sooner or later."""
        await home[UPLOADS].update_one({"_id": id, **jobs.IDLE}, {"$set": waits})
        job = await jobs._next(home)
        return job if job and job["_id"] == id else None

    one = await until(taken)
    await home[UPLOADS].update_one({"_id": id}, {"$set": {"by": "another"}})
    await jobs._note(home, one, state="failed", problem="x")
    kept = await home[UPLOADS].find_one({"_id": id})
    assert kept
    assert (kept["state"], kept["problem"]) == ("running", None)
    await home[UPLOADS].update_one(
        {"_id": id}, {"$set": {"alive_at": datetime.now(UTC) - timedelta(hours=1), "attempts": 3}}
    )
    await worked_on(admin, path, "failed")
    assert "could not be worked through" in (await admin.get(path, lang="en")).text


# several placements


async def test_several_placements_are_confirmed_at_once(connected: Running):
    await practise(connected)
    mentor = await signed_in(connected, "plant", "mentor", "enterprise")
    ids = [f"plant:{uuid4().hex[:6]}" for _ in range(3)]
    for number, id in enumerate(ids):
        sent = cloudevent(
            "uni", "internship.started", id, {"programme": "welding", "enterprise": "plant"}, partitionkey=f"l-{number}"
        )
        answer = await connected.client.post("/events", json=sent, headers=as_("uni", connected) | STRUCTURED)
        assert answer.status_code == 202, answer.text
    await connected.applied()
    page = await mentor.get("/work/confirm")
    assert [id in page.text for id in ids] == [True] * 3
    assert (await mentor.post("/work/confirm", hours="80")).status_code == 422, "none is marked"
    before = await connected.count("learner")
    wrong = await mentor.post(
        "/work/confirm", placement=ids, hours="80", outcome="passed", **{f"hours:{ids[1]}": "viel"}
    )
    assert wrong.status_code == 422
    assert f'value="{ids[1]}" checked' in wrong.text
    assert 'value="viel"' in wrong.text
    assert "Confirmed: 2" in wrong.text
    assert (ids[0] in wrong.text, ids[1] in wrong.text) == (False, True)
    done = await mentor.post("/work/confirm", placement=ids, outcome="passed", **{f"hours:{ids[1]}": "40,5"})
    assert done.status_code == 200, done.text
    assert await connected.count("learner") == before + 3
    said = [json.loads(record.value or b"") for record in await connected.read("learner")]
    completed = {
        event["subject"]: event["data"]["hours"]
        for event in said
        if event["subject"] in ids and "hours" in event["data"]
    }
    assert completed == {ids[0]: 80, ids[1]: 40.5, ids[2]: 80}
    others = await signed_in(connected, "works", "mentor", "enterprise")
    page = await others.get("/work/confirm")
    assert not any(id in page.text for id in ids)
    await others.post("/work/confirm", placement=ids, hours="1", outcome="passed")
    assert await connected.count("learner") == before + 3, "what is another's is not even found"
    await close(mentor, others)


async def test_home_counts_all_that_waits_and_shows_the_oldest_five(connected: Running):
    if not await connected.service.db["agreements"].find_one({"_id": "practice"}):
        await practise(connected)
    staff = await signed_in(connected, "uni", "staff", "institution")
    for number in range(6):
        placed = {"programme": "welding", "enterprise": "plant"}
        at = f"2026-0{6 - number}-01T09:00:00+00:00"
        sent = cloudevent(
            "uni", "internship.started", f"uni:h{number}", placed, partitionkey=f"l-{20 + number}", time=at
        )
        answer = await connected.client.post("/events", json=sent, headers=as_("uni", connected) | STRUCTURED)
        assert answer.status_code == 202, answer.text
    await connected.applied()
    page = (await staff.get("/work", lang="en")).text
    total = re.search(r"In all: (\d+)", (await staff.get("/work/placements", status="started")).text)
    assert total
    assert f"Placements that run</a>: {total[1]}" in page
    assert re.findall(r"work/placements/([^\"?]+)\"", page) == [f"uni:h{number}" for number in (5, 4, 3, 2, 1)]
    await close(staff)


async def test_home_says_who_asks_to_be_erased_until_the_institution_has_done_its_part(connected: Running):
    staff, other = [await signed_in(connected, of, "staff", "institution") for of in ("uni", "college")]
    enrolled = cloudevent("uni", "learner.enrolled", "uni:leaving", {"programme": "welding"})
    answer = await connected.client.post("/events", json=enrolled, headers=as_("uni", connected) | STRUCTURED)
    assert answer.status_code == 202, answer.text
    asked = LearnerErasureRequested(institution="uni")
    await connected.publish(event(asked, "uni:leaving", by="service:certification", time=datetime.now(UTC)))
    await connected.applied()
    page = (await staff.get("/work", lang="en")).text
    assert "Learners who ask to be erased</a>: 1" in page
    assert ("work/do/erase?subject=uni%3Aleaving" in page, "/links" in page) == (True, True)
    assert "uni:leaving" not in (await other.get("/work")).text
    await connected.publish(event(LearnerErased(), "uni:leaving", time=datetime.now(UTC)))
    await connected.applied()
    assert "ask to be erased" not in (await staff.get("/work")).text
    await close(staff, other)


# the network


async def test_an_organisations_entry_is_changed_and_what_cannot_be_is_told_in_the_readers_language(
    connected: Running, operator: Visitor
):
    page = await operator.get("/work/do/edit", subject="works", lang="en")
    assert 'name="name" type="text" maxlength="500" autocomplete="off"\n value="Works"' in page.text, (
        "it begins as it is"
    )
    answer = await operator.post("/work/do/edit?subject=works", kind="enterprise", name="New Works", region="RU-KEM")
    assert answer.status_code == 303, answer.text
    assert "New Works" in (await operator.get("/work/organisations/works")).text, "what was changed is shown at once"
    alike = {"subject": "WORKS", "kind": "enterprise", "name": "x", "region": "x"}
    for language, words in (("en", "there is works already"), ("ru", "уже есть works")):
        refused = await operator.post(f"/work/do/register?lang={language}", **alike)
        assert (refused.status_code, words in refused.text) == (422, True), refused.text
    told = await connected.client.put(
        "/organisations/WORKS",
        json={"kind": "enterprise", "name": "x", "region": "x"},
        headers=as_("operator", connected),
    )
    assert told.json()["errors"] == [{"field": "id", "detail": "there is works already"}]


async def test_the_operator_reads_in_plain_words_how_the_network_is(connected: Running, operator: Visitor):
    await refuse(connected, "college", cloudevent("college", "programme.published", "x", {"title": "x"}))
    await settled(connected)
    page = await operator.get("/work/health", lang="en")
    assert page.status_code == 200
    text = " ".join(re.sub(r"<[^>]+>", " ", unescape(page.text)).split())
    assert "nobody does it: no process is running" in text, "the other services do not run here"
    assert "College 1" in text, text
    coordinator = await signed_in(connected, "operator", "coordinator", "operator")
    assert (await coordinator.get("/work/health", lang="ru")).status_code == 200
    await close(coordinator)
