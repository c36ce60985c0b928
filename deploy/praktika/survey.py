"""praktika survey import: answers of a survey that was made elsewhere, as the institution that made it."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from services.feedback.questionnaires import questionnaire_of
from services.feedback.surveys import Answered, Unmapped, answers, columns
from services.partners.gateway.files.publish import AGAIN, Away, pairs
from shared.contract.events import FeedbackRole
from shared.files.tables import Row, Table, Unreadable, table
from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Json, Misused, progress, say, show, show_json
from shared.settings import Settings

from .over_http import OverHttp, connected

app = application("Surveys: import answers of a survey that was made elsewhere.")
SHOWN = 20  # refused rows
COUNTED = ("read", "answered", "unchanged", "not_asked", "refused")
Requests = dict[str, dict[int | None, list[str]]]  # by learner and months after graduation


@app.callback()
def main() -> None:
    """Surveys: import answers of a survey that was made elsewhere."""


@app.command("import", epilog=EXIT_CODES)
def import_(  # noqa: PLR0913, PLR0917
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX, as LimeSurvey or Google Forms export it.")],
    role: Annotated[FeedbackRole, typer.Option(help="As whom people answered.")],
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=QUESTION",
            help="Which question a column answers, by its name in the questionnaire; nothing behind = leaves it out. "
            "Columns that are called as the question is need none.",
        ),
    ] = None,
    learner: Annotated[str | None, typer.Option(metavar="COLUMN", help="Where the learner's pseudonym is.")] = None,
    months: Annotated[
        int | None, typer.Option(help="Which window was asked about; else the last one that the learner was asked in.")
    ] = None,
    json: Json = False,
) -> None:
    """Import answers: each row answers the request that its learner was sent. Repeating is harmless.

    PRAKTIKA_PARTNERS_URL and PRAKTIKA_FEEDBACK_URL say where the network is, PRAKTIKA_CLIENT_ID and
    PRAKTIKA_CLIENT_SECRET as which institution.
    """

    mapped = pairs(map, last=True)

    async def work(settings: Settings) -> int:
        if not (settings.client_id and settings.client_secret.get_secret_value()):
            raise Misused("set PRAKTIKA_CLIENT_ID and PRAKTIKA_CLIENT_SECRET to a credential of the institution")
        try:
            with file.open("rb") as stream:
                found = table(stream)
                async with connected(settings) as (ingress, feedback):
                    counts, problems = await _import(OverHttp(ingress, feedback), found, role, mapped, learner, months)
        except OSError as error:
            raise Misused(f"{file} cannot be read: {error.strerror}") from None
        except Unreadable as error:
            raise Misused(f"{file}: {error}") from None
        except Unmapped as error:
            raise Misused(str(error)) from None
        except Away as error:
            say(f"{error}\nThen: {AGAIN}.")
            return console.NO_ANSWER
        _report(counts, problems, as_json=json)
        return console.DIFFERENT if counts["refused"] else console.OK

    console.run(work, AGAIN)


async def _import(  # noqa: PLR0913, PLR0917
    network: OverHttp, found: Table, role: FeedbackRole, given: dict[str, str], learner: str | None, months: int | None
) -> tuple[Counter[str], list[str]]:
    questionnaire = questionnaire_of(role, await network.get(f"questionnaires/{role}"))
    whose, of = columns(found.columns, questionnaire, given, learner)
    requests = await _requests(network, role)
    left_out = [column for column in found.columns if column not in {whose, *of}]
    counts, problems, seen = Counter[str](), list[str](), set[str]()
    with progress("rows", found.rows) as advance:
        for row in found.read():
            counts["read"] += 1
            pseudonym = str(row.cells.get(whose, "")).strip()
            if pseudonym in seen:
                status, why = "refused", "this learner stands in an earlier row, too: which counts?"
            else:
                status, why = await _answer(network, pseudonym, row, of, requests, months)
            seen.add(pseudonym)
            counts[status] += 1
            if why:
                problems.append(f"row {row.number}: {why}")
            advance(1)
    if left_out:
        say(f"columns that answer no question are left out: {', '.join(left_out)} (--map COLUMN=QUESTION)")
    return counts, problems


async def _requests(network: OverHttp, role: str) -> Requests:
    """The requests that learners were sent, answered or not."""
    found: Requests = {}
    for status in ("open", "answered", "expired"):
        async for item in network.everything("invitations", status=status, limit=1_000):
            if item["role"] == role:
                found.setdefault(item["learner"], {}).setdefault(item["months"], []).append(item["request"])
    return found


async def _answer(  # noqa: PLR0913, PLR0917
    network: OverHttp, pseudonym: str, row: Row, of: dict[str, Answered], requests: Requests, months: int | None
) -> tuple[str, str]:
    """What became of a row: how it counts, and why if something is wrong."""
    if not pseudonym:
        return "refused", "the pseudonym is missing"
    sent = requests.get(pseudonym, {})
    meant = sent.get(months, []) if months is not None else sent[max(sent, key=lambda m: m or 0)] if sent else []
    if not meant:
        return "not_asked", "nobody of this pseudonym was asked"
    if len(meant) > 1:
        return (
            "refused",
            "this learner was asked more than once: answer each by its link, or POST /requests/<id>/answers",
        )
    answer = await network.ask("POST", f"requests/{meant[0]}/answers", body={"answers": answers(row.cells, of)})
    body: dict[str, Any] = answer.json()
    if answer.is_success:
        return body["status"], ""
    errors = "; ".join(f"{error['field']}: {error['detail']}" for error in body.get("errors", ()))
    return "refused", errors or str(body.get("detail"))


def _report(counts: Counter[str], problems: list[str], *, as_json: bool) -> None:
    shown = {name: counts[name] for name in COUNTED}
    if as_json:
        show_json({**shown, "problems": problems})
        return
    for problem in problems[:SHOWN]:
        show(problem)
    if len(problems) > SHOWN:
        show("…")
    show(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in shown.items()))
