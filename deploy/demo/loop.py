"""The whole loop: vacancies show a gap, an institution revises its programme, and later ratings show if that helped.

The vacancies are real (data/vacancies-kazan-2025.csv, MIT, data/LICENSE.vacancies); the programme, its interns and
their answers are made up. An effect takes months, so the past is told: each event carries the time of what it says.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Collection
from pathlib import Path

from shared.contract.skills import skill_id

from .circle import INSTITUTE, PLANT, REGION, step
from .network import DemoError, Json, Network, event, until

VACANCIES = Path(__file__).parent / "data" / "vacancies-kazan-2025.csv"
PROGRAMME, COMPETENCY = "demo-institute:business-analytics", "demo:sql"
SKILLS = {
    **dict.fromkeys(("SQL", "MS SQL", "MS SQL Server", "PostgreSQL"), COMPETENCY),
    "Аналитическое мышление": "greencomp:2.2",
    "MS Excel": None,  # none of the network's competencies
}
INTERNS = 8  # of each group; the plant and the intern rate the competency, so there are twice as many ratings
# How many ratings of a group are 4, by the day on which its internships end; before and after the revision.
BEFORE = {"2025-02-14": 10, "2025-05-16": 4}
REVISED = "2025-08-11"
AFTER = {"2025-11-14": 13, "2026-02-13": 14}
GAP = "2025Q2"


async def walk(network: Network) -> None:
    """Go from vacancies to a better programme; safe to repeat."""
    await _name(network)
    await _demand(network)
    await _publish(network, "2024", "2025-01-15")
    await _ask(network, BEFORE)
    await _show_gap(network)
    await _answer(network, await _recommended(network))
    await _ask(network, AFTER)
    await _show_effect(network)


async def _name(network: Network) -> None:
    """Publish a framework of one item, so that the competency has a name wherever it is shown."""
    item = {"id": COMPETENCY, "name": {"en": "Querying databases (SQL)", "ru": "Запросы к базам данных (SQL)"}}
    framework = {
        "version": "1",
        "name": {"en": "The demo's competencies", "ru": "Компетенции демонстрации"},
        "items": 1,
    }
    await network.ask("certification", "POST", "/frameworks/import/demo/1", [item])
    await network.ask("certification", "PUT", "/frameworks/demo", framework, wait=True)
    step("the operator imports a framework", "framework.published", "all services: it has a name")


async def _demand(network: Network) -> None:
    counts = await _import(network)
    of = f"{counts['new'] + counts['changed']} new, {counts['unchanged']} known"
    step("vacancies of Kazan are imported", "vacancy.observed", f"feedback: {of}")
    for skill, competency in SKILLS.items():
        body = {"skill": skill, "competency": competency}
        await network.ask("feedback", "PUT", f"/market/skills/{skill_id(skill)}", body, wait=True)
    demand = await network.ask("feedback", "GET", f"/market/demand?competency={COMPETENCY}&region={REGION}", by=None)
    (row,) = demand["items"]
    step(
        "the operator maps skills to competencies", "skill.mapped", f"feedback: {row['vacancies']} demand {COMPETENCY}"
    )


async def _import(network: Network) -> Json:
    """What `praktika demand import` says of the file."""
    operator = {
        f"PRAKTIKA_{name.upper()}": network.credentials["operator"][name] for name in ("client_id", "client_secret")
    }
    options = ("--portal", "demo", "--region", f"Казань={REGION}", "--on", "2025-06-01T12:00:00Z", "--json")
    command = (sys.executable, "-m", "deploy.praktika", "demand", "import", str(VACANCIES), *options)
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | network.urls | operator, stdout=PIPE, stderr=PIPE
    )
    out, said = await process.communicate()
    if process.returncode:
        raise DemoError(f"praktika demand import: {said.decode()}{out.decode()}")
    counts: Json = json.loads(out)
    return counts


async def _publish(network: Network, version: str, day: str) -> None:
    competencies = [{"competency": id, "level": 6} for id in (COMPETENCY, "greencomp:2.2")]
    data = {"title": "Business analytics", "version": version, "level": 6, "competencies": competencies}
    id = f"{PROGRAMME}-{version}"
    await network.send(INSTITUTE, [event("programme.published", INSTITUTE, PROGRAMME, f"{day}T09:00:00Z", data, id=id)])
    step(f"the institute teaches it, version {version}", "programme.published", f"told as of {day}")


async def _ask(network: Network, groups: dict[str, int]) -> None:
    """Let groups of interns complete; feedback asks the plant and each intern, and they answer."""
    for day, satisfied in groups.items():
        interns = {f"{PLANT}:analytics-{day}-{n}": f"{INSTITUTE}:analytics-{day}-{n}" for n in range(INTERNS)}
        about = {"programme": PROGRAMME, "enterprise": PLANT}
        done = {**about, "hours": 160, "competencies": [COMPETENCY], "outcome": "passed"}
        for type_, by, data in (
            ("learner.enrolled", INSTITUTE, {"programme": PROGRAMME}),
            ("internship.completed", PLANT, done),
        ):
            subjects = interns if by == PLANT else {learner: learner for learner in interns.values()}
            said = [event(type_, by, id, f"{day}T09:00:00Z", data, partitionkey=of) for id, of in subjects.items()]
            await network.send(by, said)
        await _rate(network, await _requests(network, interns), day, satisfied)
        rated = f"{satisfied} of {2 * INTERNS} ratings are 4 or 5"
        step(f"plant and interns answer, {day}", "feedback.submitted", f"feedback: {rated}")


async def _requests(network: Network, internships: Collection[str]) -> list[Json]:
    async def raised() -> list[Json]:
        listed = await network.ask("feedback", "GET", f"/requests?programme={PROGRAMME}&limit=1000", by=INSTITUTE)
        mine = [request for request in listed["items"] if request["internship"] in internships]
        return mine if len(mine) == 2 * len(internships) else []

    found: list[Json] = await until(raised, "feedback requests")
    return sorted(found, key=lambda request: (request["internship"], request["role"]))


async def _rate(network: Network, requests: list[Json], day: str, satisfied: int) -> None:
    """Answer requests: those who are satisfied give a 4, others a 2."""
    answers: dict[str, list[Json]] = {PLANT: [], INSTITUTE: []}
    for request, grade in zip(requests, [4] * satisfied + [2] * (len(requests) - satisfied), strict=True):
        by = PLANT if request["role"] == "enterprise" else INSTITUTE
        data = {
            "request": request["id"],
            "role": request["role"],
            "overall": grade,
            "competencies": {COMPETENCY: grade},
        }
        subject = f"{by}:{request['internship'].partition(':')[2]}-answer"
        answers[by].append(
            event("feedback.submitted", by, subject, f"{day}T17:00:00Z", data, partitionkey=request["id"])
        )
    for by, events in answers.items():
        await network.send(by, events)


async def _show_gap(network: Network) -> None:
    async def red() -> Json | None:
        path = f"/market/gap-table?programme={PROGRAMME}&competency={COMPETENCY}&red=true"
        found = await network.ask("feedback", "GET", path, by=None)
        return next((row for row in found["items"] if row["vacancies"] and row["ratings"]), None)

    row = await until(red, "red row in the gap table")
    step("the gap table shows the gap", "", f"feedback: {row['vacancies']} vacancies, nobody certifies it")


async def _recommended(network: Network) -> str:
    """The recommendation for the quarter in which too few were satisfied."""

    async def made() -> Json | None:
        listed = await network.ask("partners", "GET", f"/programmes/{PROGRAMME}", by=None)
        return next((one for one in listed["recommendations"] if one["window"] == GAP), None)

    # As partners has it: there the institution answers.
    found = await until(made, "recommended revision")
    evidence = f"{found['satisfied']} of {found['ratings']} in {GAP} are too few"
    step("feedback recommends a revision", "programme.revision_recommended", f"partners: {evidence}")
    return str(found["recommendation"])


async def _answer(network: Network, recommendation: str) -> None:
    await _publish(network, "2025", REVISED)
    data = {"recommendation": recommendation, "version": "2025"}
    said = event(
        "programme.revised", INSTITUTE, PROGRAMME, f"{REVISED}T10:00:00Z", data, id=f"{recommendation}-revised"
    )
    await network.send(INSTITUTE, [said])

    async def answered() -> Json | None:
        listed = await network.ask("feedback", "GET", f"/programmes/{PROGRAMME}/recommendations", by=None)
        mine = (one for one in listed["items"] if one["id"] == recommendation)
        return next((one for one in mine if one["status"] == "revised"), None)

    found = await until(answered, "answered recommendation")
    step("the institute answers it", "programme.revised", f"feedback: revised in version {found['answer']['version']}")


async def _show_effect(network: Network) -> None:
    async def compared() -> Json | None:
        story = await network.ask("feedback", "GET", f"/programmes/{PROGRAMME}/story", by=None)
        mine = (one for one in story["effects"] if one["competency"] == COMPETENCY)
        return next((one for one in mine if one["after"]["ratings"] == len(AFTER) * 2 * INTERNS), None)

    effect = await until(compared, "effect of the revision")
    shares = " → ".join(f"{effect[side]['satisfied']} of {effect[side]['ratings']}" for side in ("before", "after"))
    step("did it help?", "", f"feedback: {shares} give 4 or 5: {effect['verdict'].replace('_', ' ')}")
