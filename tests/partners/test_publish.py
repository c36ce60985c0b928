"""praktika publish: from a clerk's file to events on Kafka."""

import asyncio
import csv
import io
import json
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from deploy.demo import graduates
from deploy.local.processes import ROOT
from services.partners.app import core, router
from services.partners.gateway.files import publish
from services.partners.gateway.files.mapping import Mistakes
from services.partners.gateway.files.publish import Away, Ingress, Journal
from shared.contract import events
from shared.files.tables import Row, Table, table
from shared.operator.console import Failed
from shared.settings import Settings
from tests.operator.conftest import Done, Praktika
from tests.partners.conftest import practise, register, secret_of
from tests.stack import Running, on_a_socket, running

HEAD = "Стажировка;Обучающийся;Дата;Предприятие;Программа;Часы;Результат\n"
OPTIONS = ["--type", "praktika.internship.completed.v1", "--map", "Стажировка=subject", "--timezone", "+07:00"]
Publish = Callable[..., Awaitable[Done]]


def line(number: int, **changes: str) -> str:
    cells = {"id": f"i-{number}", "learner": f"l-{number}", "day": "02.03.2026", "who": "plant", "what": "welding"}
    return ";".join({**cells, "hours": "160,5", "outcome": "пройдена", **changes}.values()) + "\n"


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def beside(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


@pytest_asyncio.fixture(scope="module")
async def published(partners: Running) -> AsyncIterator[Publish]:
    """Runs the command as plant, against the service."""
    await practise(partners)
    secret = await secret_of("plant", partners)
    praktika = Praktika(partners.settings, PRAKTIKA_CLIENT_ID="plant", PRAKTIKA_CLIENT_SECRET=secret)
    async with on_a_socket(partners) as url:

        async def run(file: Path, *options: str, **env: str) -> Done:
            return await praktika("publish", str(file), "--url", url, *options, **env)

        yield run


async def internships(partners: Running) -> dict[str, Any]:
    """The internships on the log by id, as their newest event says."""
    records = [json.loads(record.value or b"") for record in await partners.read("learner")]
    return {event["subject"]: event for event in records if event["type"] == "praktika.internship.completed.v1"}


async def test_a_clerks_file_is_published_and_a_repeat_changes_nothing(
    partners: Running, published: Publish, tmp_path: Path
):
    content = HEAD + line(1) + line(2, outcome="не пройдена")
    file = written(tmp_path / "практика.csv", content, "cp1251")
    done = await published(file, *OPTIONS)
    assert (done.code, done.out) == (0, ""), done.err
    assert "2 of 2 rows accepted" in done.err
    assert "read as cp1251" in done.err
    assert beside(file) == []
    known = await internships(partners)
    assert known["i-2"]["data"] == {
        "enterprise": "plant",
        "programme": "welding",
        "hours": 160.5,
        "competencies": [],
        "outcome": "failed",
    }
    assert known["i-1"]["source"] == "/organisations/plant"
    assert (await published(file, *OPTIONS)).code == 0
    ids = [json.loads(r.value or b"")["id"] for r in await partners.read("learner") if b'"i-1"' in (r.value or b"")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_refused_rows_are_told_reported_and_taken_once_they_are_mended(
    partners: Running, published: Publish, tmp_path: Path
):
    content = HEAD + line(11) + line(12, hours="viel") + line(13, hours="160,125") + line(14, who="") + line(15, day="")
    file = written(tmp_path / "hires.csv", content)
    done = await published(file, *OPTIONS)
    assert done.code == 1
    assert done.out.splitlines() == [
        "row 3: Часы (hours): “viel” is no number",
        "row 4: Часы (hours): must have at most two decimals: 7.33 (Hours, to a hundredth: 7.33)",
        "row 5: Предприятие (enterprise): is empty, and it is needed (As registered by the operator)",
        "row 6: Дата (time): is empty, and it is needed (When it happened)",
    ]
    assert "1 of 5 rows accepted; 4 refused, see" in done.err
    assert beside(file) == ["hires.csv.refused.csv"]
    report = tmp_path / "hires.csv.refused.csv"
    text = report.read_text("utf-8-sig")
    assert [row["refused: row"] for row in csv.DictReader(io.StringIO(text), delimiter=";")] == ["3", "4", "5", "6"]
    mended = text.replace(";viel;", ";160;").replace("160,125", "160").replace(";;welding", ";plant;welding")
    again = written(tmp_path / "mended.csv", mended.replace("l-15;;", "l-15;2026-03-03;"))
    done = await published(again, *OPTIONS)
    assert (done.code, beside(again)) == (0, ["hires.csv", "hires.csv.refused.csv"]), done.out
    assert {"i-11", "i-12", "i-13", "i-14", "i-15"} <= (await internships(partners)).keys()
    written(file, HEAD + line(11))
    assert (await published(file, *OPTIONS)).code == 0
    assert not report.exists()


async def test_what_the_registry_does_not_know_is_told_in_its_column(published: Publish, tmp_path: Path):
    file = written(tmp_path / "a.csv", HEAD + line(61) + line(62).replace("welding", "wleding"))
    done = await published(file, *OPTIONS)
    assert done.code == 1
    assert done.out.startswith("row 3: Программа (programme): ")


async def test_a_changed_row_of_the_same_key_is_a_conflict(published: Publish, tmp_path: Path):
    file = written(tmp_path / "a.csv", HEAD + line(21))
    assert (await published(file, *OPTIONS)).code == 0
    written(file, HEAD + line(21, hours="8"))
    done = await published(file, *OPTIONS, "--json")
    assert done.code == 1
    (problem,) = done.json["problems"]
    assert (problem["row"], problem["status"]) == (2, 409)
    assert "give it a later time" in problem["detail"]
    written(file, HEAD + line(21, hours="8", day="02.03.2026 15:00"))
    assert (await published(file, *OPTIONS)).code == 0


async def test_a_dry_run_asks_nobody_and_publishes_nothing(partners: Running, published: Publish, tmp_path: Path):
    file = written(tmp_path / "a.csv", HEAD + line(31) + line(32, hours="-1"))
    before = await partners.count("learner", "rejected")
    done = await published(
        file, *OPTIONS, "--dry-run", "--json", "--url", "http://127.0.0.1:9", PRAKTIKA_CLIENT_SECRET=""
    )
    assert (done.code, done.json["accepted"], done.json["refused"], done.json["dry_run"]) == (1, 1, 1, True)
    assert done.json["report"].endswith("a.csv.refused.csv")
    assert await partners.count("learner", "rejected") == before
    assert beside(file) == ["a.csv.refused.csv"]


async def test_lines_that_are_events_need_no_type(partners: Running, published: Publish, tmp_path: Path):
    rows = [
        {"Стажировка": "i-41", "learner": "l-41", "time": "2026-03-02", "enterprise": "plant", "programme": "welding"}
    ]
    file = written(tmp_path / "rows.jsonl", json.dumps({**rows[0], "hours": 8, "outcome": "passed"}) + "\n")
    assert (await published(file, *OPTIONS)).code == 0
    event = (await internships(partners))["i-41"]
    sent = {name: value for name, value in event.items() if name != "sourcekind"} | {"id": "own-1", "subject": "i-42"}
    file = written(
        tmp_path / "events.jsonl", f"{json.dumps(sent)}\n{json.dumps({**sent, 'source': '/organisations/works'})}\n"
    )
    done = await published(file)
    assert done.code == 1
    assert done.out.startswith("row 2: source: must be /organisations/plant (")
    assert "i-42" in await internships(partners)


async def test_what_is_asked_wrongly_is_told_before_anything_is_sent(published: Publish, tmp_path: Path):
    file = written(tmp_path / "a.csv", HEAD + line(51))
    for options, env, code, told in (
        ([], {}, 2, "name the type of the events"),
        (["--type", "praktika.internship.complete.v1"], {}, 2, "is it praktika.internship.completed.v1?"),
        (["--type", "praktika.competency.certified.v1"], {}, 2, "that you could publish"),
        (OPTIONS[:2], {}, 2, "no column says what subject is (Id of the internship)"),
        ([*OPTIONS, "--map", "Stunden=hours"], {}, 2, "there is no column “Stunden”"),
        ([*OPTIONS, "--map", "Часы"], {}, 2, "COLUMN=FIELD"),
        ([*OPTIONS, "--timezone", "Asia/Tomsk"], {}, 2, "no offset from UTC"),
        ([*OPTIONS, "--encoding", "ebcdic"], {}, 2, "must be one of"),
        ([*OPTIONS, "--encoding", "utf-16"], {}, 1, "utf-16"),
        ([*OPTIONS, "--url", "http://127.0.0.1:9"], {}, 3, "does not answer"),
        ([*OPTIONS, "--url", "nowhere"], {}, 3, "does not answer"),
        (OPTIONS, {"PRAKTIKA_CLIENT_ID": ""}, 2, "PRAKTIKA_CLIENT_ID"),
        (OPTIONS, {"PRAKTIKA_CLIENT_SECRET": ""}, 2, "PRAKTIKA_CLIENT_SECRET"),
        (OPTIONS, {"PRAKTIKA_CLIENT_SECRET": "hunter2"}, 1, "no token for plant: client_id or client_secret is wrong"),
    ):
        done = await published(file, *options, **env)
        assert (done.code, done.out) == (code, ""), done
        assert told in done.err
        assert "hunter2" not in done.err
    assert (await published(tmp_path / "missing.csv", *OPTIONS)).code == 2


GUIDE = (ROOT / "docs" / "publish.md").read_text()


async def test_what_the_guide_tells_to_type_does_what_it_shows(published: Publish, tmp_path: Path):
    found = re.search(r"```csv\n(.*?)```.*?\n(praktika publish .*?)```.*?```\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    content, typed, shown = found.groups()
    _, _, name, *options = shlex.split(typed.replace("\\\n", " "))
    file = written(tmp_path / name, content)
    done = await published(file, *options, PRAKTIKA_CLIENT_ID="river-plant")
    assert (done.code, sorted((done.out + done.err.replace(f"{tmp_path}/", "")).splitlines())) == (
        1,
        sorted(shown.splitlines()),
    )
    mended = (
        (content.replace("много", "8").replace(", ток", "").replace("river-plant", "plant"))
        .replace("north-college:welding", "welding")
        .replace("north-college:", "l-")
    )
    options.remove("--dry-run")
    assert (await published(written(file, mended), *options)).code == 0


def real_files(known: list[graduates.Row]) -> dict[str, list[dict[str, Any]]]:
    """Real graduates as a university's office has them: programmes, enrolments, and what the survey found."""
    programmes = [
        {"subject": e["subject"], "time": "2011-09-01", **e["data"]} for e in graduates.programme_events(known)
    ]
    enrolled = [
        {
            "Student": f"uns-{row['row']}",
            "time": f"01.09.{int(row['annee']) - 1}",
            "programme": graduates.programme_of(row),
            "cohort": f"06.{row['annee']}",
        }
        for row in known
    ]
    asked = [
        {
            "subject": f"uns-{row['row']}-30m",
            "Student": f"uns-{row['row']}",
            "time": f"01.12.{int(row['annee']) + 2}",
            **dict.fromkeys(("status", "contract", "full_time"), ""),
            **graduates.employment(row, "30"),
        }
        for row in known
    ]
    return {"programme.published": programmes, "learner.enrolled": enrolled, "employment.recorded": asked}


async def test_real_graduates_come_as_files(partners: Running, published: Publish, tmp_path: Path):
    await register(partners, graduates.UNIVERSITY, "institution")
    secret = await secret_of(graduates.UNIVERSITY, partners)
    env = {"PRAKTIKA_CLIENT_ID": graduates.UNIVERSITY, "PRAKTIKA_CLIENT_SECRET": secret}
    known = [row for row in graduates.rows() if row["situationProN30"]][:1_200]
    for type_, rows in real_files(known).items():
        with (tmp_path / f"{type_}.csv").open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
        options = ["--type", f"praktika.{type_}.v1", "--timezone", "+01:00", "--json"]
        options += [] if type_ == "programme.published" else ["--map", "Student=learner"]
        done = await published(tmp_path / f"{type_}.csv", *options, **env)
        assert (done.code, done.json["accepted"]) == (0, len(rows)), done.json["problems"][:3]
    records = [events.parse(record.value or b"") for record in await partners.read("learner")]
    found = {
        e.subject: e.data.model_dump(mode="json", exclude_none=True) for e in records if e.subject.endswith("-30m")
    }
    assert found == {f"uns-{row['row']}-30m": graduates.employment(row, "30") for row in known}


# going on


async def test_stopped_half_way_it_goes_on_where_it_was(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
):
    content = HEAD + "".join(line(n, hours="-1" if n == 3 else "8") for n in range(1, 1_501))
    file = written(tmp_path / "a.csv", content)
    keys = tmp_path_factory.mktemp("keys")
    slow = {"quota_events_per_s": 300, "quota_burst_events": 500}
    async with (
        running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys, **slow) as stack,
        on_a_socket(stack) as url,
    ):
        await register(stack, "uni", "institution")
        await register(stack, "plant", "enterprise")
        await practise(stack)
        secret = await secret_of("plant", stack)
        praktika = Praktika(stack.settings, PRAKTIKA_CLIENT_ID="plant", PRAKTIKA_CLIENT_SECRET=secret)

        async def begun() -> None:
            while not (tmp_path / "a.csv.praktika.json").exists():
                await asyncio.sleep(0.02)

        command = ["publish", str(file), "--url", url, *OPTIONS]
        stopped = await praktika.interrupted(*command, when=begun)
        assert stopped.code == 130, stopped.err
        assert "it goes on where it was" in stopped.err
        kept = json.loads((tmp_path / "a.csv.praktika.json").read_bytes())
        assert kept["rows"] in (500, 1_000)
        done = await praktika(*command, "--json")
        assert f"behind the first {kept['rows']} rows" in done.err
        assert (done.code, done.json["accepted"], done.json["refused"]) == (1, 1_499, 1)
        assert beside(file) == ["a.csv.refused.csv"]
        assert "i-3;" in (tmp_path / "a.csv.refused.csv").read_text()
        assert len(await internships(stack)) == 1_499
        # What was under way when it stopped may have come twice; each row is one event all the same.
        assert await stack.count("learner") <= 1_501 + 1_499 + 500


def small() -> Table:
    return table(io.BytesIO(b"a\n1\n2\n3\n"))


def test_what_is_kept_of_another_file_or_spoilt_is_not_used(tmp_path: Path):
    file = written(tmp_path / "a.csv", "")
    refused = [(Row(3, {"a": "2"}, {}), Mistakes([]))]
    Journal(file, "one", dry_run=False).add(small(), 2, refused)
    assert Journal(file, "one", dry_run=False).rows == 2
    assert Journal(file, "two", dry_run=False).rows == 0
    Journal(file, "one", dry_run=False).add(small(), 2, refused)
    for spoilt in ("", "{", "[]", '{"digest": "one"}', '{"digest": "one", "rows": 2, "report_bytes": 10000000}'):
        written(tmp_path / "a.csv.praktika.json", spoilt)
        assert Journal(file, "one", dry_run=False).rows == 0


# a server that has its troubles


def ingress(answers: list[Any]) -> tuple[Ingress, list[httpx.Request]]:
    """Asks a server that gives these answers, one after the other, behind the first token."""
    seen: list[httpx.Request] = []
    token = httpx.Response(200, json={"access_token": "t", "expires_in": 900})
    left = iter([token, *answers])

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = next(left)
        if isinstance(given, Exception):
            raise given
        response: httpx.Response = given
        return response

    client = httpx.AsyncClient(base_url="http://praktika.test/in", transport=httpx.MockTransport(answer))
    return Ingress(client, Settings(client_id="plant", client_secret=SecretStr("secret"))), seen


def batch(*statuses: int) -> httpx.Response:
    items = [{"id": "x", "status": s, **({} if s == 202 else {"problem": {"detail": "no"}})} for s in statuses]
    return httpx.Response(202, json={"items": items})


async def test_who_is_told_to_wait_waits_and_who_is_cut_off_tries_again():
    busy = [httpx.Response(s, headers={"Retry-After": "0"}) for s in (429, 503)]
    asked, seen = ingress([*busy, httpx.ReadError("cut off"), batch(202, 409)])
    outcomes = await asked.judge([{"id": "1"}, {"id": "2"}])
    assert [problem and problem.status for problem in outcomes] == [None, 409]
    assert len({request.content for request in seen[1:]}) == 1
    assert {str(request.url) for request in seen} == {"http://praktika.test/in/token", "http://praktika.test/in/events"}


async def test_a_token_that_ended_is_renewed():
    asked, seen = ingress([httpx.Response(401), httpx.Response(200, json={"access_token": "u"}), batch(202)])
    assert await asked.judge([{"id": "1"}]) == [None]
    assert [request.headers.get("authorization") for request in seen] == [None, "Bearer t", None, "Bearer u"]


async def test_what_is_too_much_at_once_is_sent_in_parts():
    too_large = httpx.Response(413, json={"detail": "the batch has 2 events; at most 1 are accepted"})
    asked, _ = ingress([too_large, batch(202), too_large])
    first, second = await asked.judge([{"id": "1"}, {"id": "2"}])
    assert first is None
    assert second
    assert second.status == 413


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publish, "PATIENCE_S", 0)
    asked, _ = ingress([httpx.ConnectError("gone")])
    with pytest.raises(Away, match="ConnectError"):
        await asked.judge([{"id": "1"}])


@pytest.mark.parametrize(
    "answer", [httpx.Response(403, json={"detail": "suspended"}), httpx.Response(200, text="<html>")]
)
async def test_what_is_no_answer_to_a_batch_ends_it(answer: httpx.Response):
    asked, _ = ingress([answer])
    with pytest.raises(Failed, match=f"answers {answer.status_code}"):
        await asked.judge([{"id": "1"}])
