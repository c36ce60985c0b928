"""Surveys made elsewhere: which column answers what, and the command that imports them, repeated without doubling."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.feedback import app as feedback
from services.feedback.questionnaires import default
from services.feedback.surveys import Unmapped, answers, columns
from services.partners import app as partners
from services.partners.gateway.credentials import issue
from shared.contract.events import FeedbackRole, FollowupOpened, LearnerEnrolled, LearnerGraduated, ProgrammePublished
from shared.contract.events import Publisher as Kind
from tests.making import event
from tests.operator.conftest import Praktika
from tests.stack import Running, on_a_socket, running, until

GRADUATE = default(FeedbackRole.graduate)
# As Google Forms names columns: by the question's words, with the time in front.
GOOGLE = [
    *("Отметка времени", "Псевдоним", "Чем вы заняты сейчас?", "Как вы оцениваете программу?"),
    *("Насколько она полезна для того, чем вы заняты?", "Как вы нашли работу?"),
    "Что стоит улучшить? Пожалуйста, без имён.",
]
# As LimeSurvey does: by code and words.
LIME = [
    "id",
    "token",
    "overall. How was the programme?",
    "relevance. How useful is it for what you do now?",
    "found-by",
]


def test_exports_are_understood_as_they_are():
    whose, of = columns(GOOGLE, GRADUATE, {})
    assert (whose, {name: each.name for name, each in of.items()}) == (
        "Псевдоним",
        {
            "Чем вы заняты сейчас?": "employment.status",
            "Как вы оцениваете программу?": "overall",
            "Насколько она полезна для того, чем вы заняты?": "relevance",
            "Как вы нашли работу?": "found-by",
            "Что стоит улучшить? Пожалуйста, без имён.": "text",
        },
    )
    cells = dict(
        zip(GOOGLE, ["1.12.2026", "l1", "ищу работу", "4", "5 — лучше всего", "через практику", "Так."], strict=True)
    )
    assert answers(cells, of) == {
        **{"employment": {"status": "seeking"}, "overall": 4, "relevance": 5, "found-by": "practice"},
        "text": "Так.",
    }
    whose, of = columns(LIME, GRADUATE, {})
    assert (whose, [each.name for each in of.values()]) == ("token", ["overall", "relevance", "found-by"])


def test_what_is_not_understood_is_asked_for():
    with pytest.raises(Unmapped, match="--learner COLUMN"):
        columns(["overall"], GRADUATE, {})
    with pytest.raises(Unmapped, match="--map COLUMN=overall"):
        columns(["token", "Rate it"], GRADUATE, {})
    with pytest.raises(Unmapped, match="no column 'Mark'"):
        columns(["token"], GRADUATE, {"Mark": "overall"})
    with pytest.raises(Unmapped, match="overall is answered by the columns overall and Mark"):
        columns(["token", "overall", "Mark"], GRADUATE, {"Mark": "overall"})
    with pytest.raises(Unmapped, match="no question 'mood'"):
        columns(["token", "Mark"], GRADUATE, {"Mark": "mood"})
    _, of = columns(["who", "Mark", "Since"], GRADUATE, {"Mark": "overall", "Since": "employment.since"}, "who")
    assert answers({"who": "l1", "Mark": "3.0", "Since": "5.2.2026"}, of) == {
        **{"overall": 3, "employment": {"since": "2026-02-05"}}
    }


@pytest_asyncio.fixture(scope="module")
async def place(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, Praktika]]:
    keys, name = tmp_path_factory.mktemp("keys"), f"s{uuid4().hex[:12]}"
    about: dict[str, Any] = {"kafka": kafka, "mongodb": mongodb, "keys_dir": keys, "namespace": name}
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(partners.core, partners.router, **about))
        two = await stack.enter_async_context(running(feedback.core, feedback.router, **about))
        urls = [await stack.enter_async_context(on_a_socket(each)) for each in (one, two)]
        made = await issue(one.service.store.home, "uni", Kind.institution)
        secret = {"PRAKTIKA_CLIENT_ID": made["client_id"], "PRAKTIKA_CLIENT_SECRET": made["client_secret"]}
        yield two, Praktika(one.settings, PRAKTIKA_PARTNERS_URL=urls[0], PRAKTIKA_FEEDBACK_URL=urls[1], **secret)


async def test_a_survey_is_imported_once_however_often_it_is(place: tuple[Running, Praktika], tmp_path: Path):
    stack, praktika = place
    await stack.publish(event(ProgrammePublished(title="W", version="1", level=4), "welding"))
    due = datetime.now(UTC).date() + timedelta(days=20)
    for n in range(3):
        opened = FollowupOpened(programme="welding", months=6, institution="uni", due=due)
        graduated = LearnerGraduated(programme="welding", graduated_on=date(2026, 1, 10))
        await stack.publish(
            event(LearnerEnrolled(programme="welding"), f"l{n}"),
            event(graduated, f"l{n}"),
            event(opened, str(uuid4()), f"l{n}", by="service:feedback"),
        )

    async def asked() -> bool:
        return await stack.service.db["requests"].count_documents({"role": "graduate"}) == 3

    await until(asked)
    file = tmp_path / "answers.csv"
    rows = ["token,overall. How was the programme?,found-by,text", "l0,4,through practice,Well.", "l1,5,by myself,"]
    remark = tmp_path / "remark.csv"
    remark.write_text("token,overall,Remarks\nl0,4,So\n")
    file.write_text("\n".join([*rows, "l2,9,,", "l77,4,,", "l0,1,,"]))
    done = await praktika("survey", "import", str(file), "--role", "graduate", "--json")
    assert (done.code, {name: done.json[name] for name in ("read", "answered", "not_asked", "refused")}) == (
        1,
        {"read": 5, "answered": 2, "not_asked": 1, "refused": 2},
    ), done.err
    assert done.json["problems"] == [
        "row 4: overall: choose 1 to 5",
        "row 5: nobody of this pseudonym was asked",
        "row 6: this learner stands in an earlier row, too: which counts?",
    ]
    on_log = await stack.count("feedback")
    again = await praktika("survey", "import", str(file), "--role", "graduate", "--json")
    assert (again.json["answered"], again.json["unchanged"], await stack.count("feedback")) == (0, 2, on_log)
    doc = await stack.service.db["requests"].find_one({"learner": "l0"}) or {}
    assert doc["answers"][0]["ratings"]["choices"] == {"found-by": ["practice"]}
    left_out = await praktika("survey", "import", str(remark), "--role", "graduate")
    assert "left out: Remarks" in left_out.err
    wrong = await praktika("survey", "import", str(file), "--role", "graduate", "--map", "mood=overall")
    assert (wrong.code, "there is no column 'mood'" in wrong.err) == (2, True)
    assert (await praktika("survey", "import", "nothing.csv", "--role", "graduate")).code == 2
