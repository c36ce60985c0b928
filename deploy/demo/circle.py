"""One learner through the whole circle, each step a real request, with the service that reacted to it."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from .network import Json, Network, event, until

INSTITUTE, PLANT, REGION = "demo-institute", "demo-plant", "demo-region"
PROGRAMME, LEARNER, INTERNSHIP = "demo-institute:mechatronics", "demo-institute:1", "demo-plant:1"
AGREEMENT, COMPETENCY = "demo-institute:1", "greencomp:3.1"
_numbers = count(1)


def step(what: str, type_: str, reaction: str) -> None:
    """Print a step: what happens, the event's type (none: nothing is sent), and what a service makes of it."""
    print(f"  {next(_numbers):>2}. {what:<42} {type_ and f'praktika.{type_}.v1':<42} {reaction}")


async def walk(network: Network) -> None:
    """Take the learner from the first agreement to the first job; safe to repeat."""
    await form_the_cluster(network)
    await _count_agreements(network)
    await _learn(network)
    await _give_feedback(network)
    await _certify(network)
    await _recognise(network)
    await _hire(network)


async def form_the_cluster(network: Network) -> None:
    """Register the institute and the plant; they sign an agreement, and the institute offers a programme."""
    for id, kind, name in (
        (INSTITUTE, "institution", "Demo Institute of Technology"),
        (PLANT, "enterprise", "Demo Machine Plant"),
    ):
        body = {"kind": kind, "name": name, "region": REGION}
        shown = await network.ask("partners", "PUT", f"/organisations/{id}", body, wait=True)
        step(f"{name} joins", "organisation.registered", f"partners: {shown['status']}")
    agreement = {"parties": [INSTITUTE, PLANT], "scope": "internships", "valid_from": "2025-01-01"}
    shown = await network.ask("partners", "PUT", f"/agreements/{AGREEMENT}", agreement, by=INSTITUTE, wait=True)
    step("the institute proposes an agreement", "agreement.proposed", f"partners: {shown['status']}")
    shown = await network.ask("partners", "POST", f"/agreements/{AGREEMENT}/signature", by=PLANT, wait=True)
    step("the plant signs", "agreement.signed", f"partners: {shown['status']}")
    programme = {
        "title": "Mechatronics",
        "version": "2025",
        "level": 6,
        "competencies": [{"competency": COMPETENCY, "level": 6}],
        "hours_theory": 1800,
        "hours_workplace": 600,
        "joint_partners": [{"organisation": PLANT, "kind": "enterprise"}],
    }
    shown = await network.ask("partners", "PUT", f"/programmes/{PROGRAMME}", programme, by=INSTITUTE, wait=True)
    step("the institute offers a programme", "programme.published", f"partners: version {shown['version']}")


async def _count_agreements(network: Network) -> None:
    async def counted() -> Any:
        answer = await network.ask("monitoring", "GET", "/indicators/active_agreements", by=None)
        return answer["value"]

    step(
        "monitoring counts the agreement",
        "agreement.signed",
        f"monitoring: {await until(counted, 'active agreement')} active agreement(s)",
    )


async def _learn(network: Network) -> None:
    about = {"enterprise": PLANT, "programme": PROGRAMME}
    completed = {**about, "hours": 240, "competencies": [COMPETENCY], "outcome": "passed"}
    for type_, by, subject, day, data, what in (
        ("learner.enrolled", INSTITUTE, LEARNER, "2025-02-01", {"programme": PROGRAMME}, "a learner enrols"),
        ("internship.started", PLANT, INTERNSHIP, "2025-02-10", about, "an internship starts"),
        ("internship.completed", PLANT, INTERNSHIP, "2025-03-28", completed, "the internship is completed"),
    ):
        await network.send(by, [_said(type_, by, subject, day, data)])
        shown = await _seen_by_partners(network, type_)
        step(what, type_, f"partners: {shown}")


async def _seen_by_partners(network: Network, type_: str) -> str:
    async def seen() -> str | None:
        learners = await network.ask("partners", "GET", "/learners?limit=1000", by=INSTITUTE)
        mine = [learner for learner in learners["items"] if learner["id"] == LEARNER]
        if mine and type_ == "learner.enrolled":
            return "enrolled"
        states = [i["status"] for learner in mine for i in learner["internships"] if i["id"] == INTERNSHIP]
        # On a repeated run the internship is completed from the beginning.
        reached = {"internship.started": {"started", "completed"}, "internship.completed": {"completed"}}
        return states[0] if states and states[0] in reached.get(type_, set()) else None

    found: str = await until(seen, f"{type_} in partners")
    return found


async def _give_feedback(network: Network) -> None:
    async def raised() -> list[Json]:
        listed = await network.ask("feedback", "GET", f"/requests?programme={PROGRAMME}&limit=1000", by=INSTITUTE)
        mine = [request for request in listed["items"] if request["internship"] == INTERNSHIP]
        return mine if len(mine) == 2 else []

    requests = await until(raised, "feedback requests")
    due = requests[0]["due"]
    step("feedback asks the plant and the learner", "feedback.requested", f"feedback: due {due}")
    for request in requests:
        by = PLANT if request["role"] == "enterprise" else INSTITUTE
        answer = {"request": request["id"], "role": request["role"], "overall": 5, "competencies": {COMPETENCY: 4}}
        subject = f"demo-answer-{request['role']}"
        said = event("feedback.submitted", by, subject, "2025-04-02T09:00:00Z", answer, partitionkey=request["id"])
        await network.send(by, [said])

    async def answered() -> bool:
        return all(request["status"] == "answered" for request in await raised())

    await until(answered, "answered request")
    step("plant and learner answer", "feedback.submitted", "feedback: both requests answered")


async def open_question(network: Network) -> str:
    """The one-time link of a learner who has not answered yet; another learner's internship asks for it."""
    about = {"enterprise": PLANT, "programme": PROGRAMME}
    completed = {**about, "hours": 120, "competencies": [COMPETENCY], "outcome": "passed"}
    learner, internship = f"{LEARNER}-next", f"{INTERNSHIP}-next"
    today = datetime.now(UTC).date().isoformat()
    for type_, by, subject, day, data in (
        ("learner.enrolled", INSTITUTE, learner, "2025-02-01", {"programme": PROGRAMME}),
        ("internship.completed", PLANT, internship, today, completed),
    ):
        said = event(type_, by, subject, f"{day}T00:00:00Z", data, id=f"{subject}-{type_}-{day}", partitionkey=learner)
        await network.send(by, [said])

    async def asked() -> str | None:
        listed = await network.ask("feedback", "GET", f"/invitations?programme={PROGRAMME}", by=INSTITUTE)
        return next((item["link"] for item in listed["items"] if item["learner"] == learner), None)

    link: str = await until(asked, "link to answer by")
    return link


async def _certify(network: Network) -> None:
    scheme = {
        "competency": COMPETENCY,
        "level": 6,
        "methods": ["exam", "workplace_demonstration"],
        "least_score": 0.6,
        "enterprise_required": True,
    }
    await network.ask("certification", "PUT", "/schemes/demo-institute:futures", scheme, by=INSTITUTE, wait=True)
    step("the institute publishes a scheme", "scheme.published", "certification: in force")
    for by, method, score in ((INSTITUTE, "exam", 0.8), (PLANT, "workplace_demonstration", 0.9)):
        data = {"competency": COMPETENCY, "method": method, "score": score}
        await network.send(by, [_said("assessment.recorded", by, f"demo-{method}", "2025-05-05", data)])
        step(f"{method.replace('_', ' ')}: {score}", "assessment.recorded", "certification: noted")

    async def certified() -> list[Json]:
        listed = await network.ask("certification", "GET", f"/certificates?competency={COMPETENCY}", by=INSTITUTE)
        return [certificate for certificate in listed["items"] if certificate["of"] == LEARNER]

    (certificate,) = await until(certified, "certificate")
    step("certification issues the certificate", "competency.certified", f"certification: {certificate['address']}")
    address = f"/certificates/{certificate['id']}/credential.json"
    credential = await network.ask("certification", "GET", address, by=INSTITUTE)
    verdict = await network.ask("certification", "POST", "/verify", credential, by=None)
    step(
        "anybody checks its credential", "certificate.issued", f"certification: {verdict['result']}, {credential['id']}"
    )


async def _recognise(network: Network) -> None:
    data = {"competency": COMPETENCY, "since": "2025-05-06"}
    said = event(
        "recognition.granted", PLANT, "demo-recognition", "2025-05-06T09:00:00Z", data, partitionkey=COMPETENCY
    )
    await network.send(PLANT, [said])

    async def recognised() -> list[Json]:
        listed = await network.ask("certification", "GET", f"/recognitions?competency={COMPETENCY}", by=None)
        return [each for each in listed["items"] if each["enterprise"] == PLANT]

    await until(recognised, "recognition")
    step("the plant recognises the certificate", "recognition.granted", "certification: an endorsement, signed")


async def link_to_collect(network: Network) -> str:
    """The link by which the learner takes the certificate."""
    listed = await network.ask("certification", "GET", f"/certificates?competency={COMPETENCY}", by=INSTITUTE)
    id = next(certificate["id"] for certificate in listed["items"] if certificate["of"] == LEARNER)
    made = await network.ask("certification", "POST", f"/certificates/{id}/link", by=INSTITUTE)
    return str(made["address"])


async def _hire(network: Network) -> None:
    data = {
        "status": "employed",
        "since": "2025-07-01",
        "contract": "permanent",
        "full_time": True,
        "enterprise": PLANT,
    }
    await network.send(PLANT, [_said("employment.recorded", PLANT, "demo-job-1", "2025-07-01", data)])

    async def hired() -> list[Json]:
        learner = await network.ask("partners", "GET", f"/learners/{LEARNER}", by=INSTITUTE)
        return [job for job in learner["employment"] if job.get("enterprise") == PLANT]

    jobs = await until(hired, "job")
    step("the plant hires the learner", "employment.recorded", f"partners: {jobs[0]['status']}")


def _said(type_: str, by: str, subject: str, day: str, data: Json) -> Json:
    return event(type_, by, subject, f"{day}T09:00:00Z", data, partitionkey=LEARNER)
