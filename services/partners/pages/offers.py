"""What can be done about a thing, by whom: pure rules from the thing as it is shown and the member, to forms."""

from typing import Any, NamedTuple

from shared.contract.events import HOSTS, Publisher
from shared.http.auth import Member

from .actions import ACTIONS
from .lists import Doc


class Offer(NamedTuple):
    """A form that can be opened from a thing's page, with what it is given."""

    action: str
    given: dict[str, str]


def offers(name: str, item: Doc, member: Member) -> list[Offer]:
    """The forms that a member may open about an item of the list *name*."""
    rule = _RULES.get(name)
    found = rule(item, member) if rule else []
    return [offer for offer in found if ACTIONS[offer.action].is_open_to(member)]


def _of_organisation(item: Doc, _: Member) -> list[Offer]:
    given = {"subject": item["id"]}
    return [Offer("edit", given), Offer("reinstate" if item["status"] == "suspended" else "suspend", given)]


def answer_of(agreement: Doc, organisation: str) -> str | None:
    """What a party has answered so far."""
    return next((a["answer"] for a in agreement["answers"] if a["party"] == organisation), None)


def _of_agreement(item: Doc, member: Member) -> list[Offer]:
    if member.organisation not in item["parties"]:
        return []
    given = {"subject": item["id"]}
    if item["status"] == "signed":
        return [Offer("end", given)]
    if item["status"] == "ended":
        return []
    mine = answer_of(item, member.organisation)
    return [Offer("sign", given)] * (mine != "signed") + [Offer("refuse", given)] * (mine != "refused")


def _of_programme(item: Doc, member: Member) -> list[Offer]:
    given = {"subject": item["id"]}
    if item["institution"] == member.organisation:
        return [Offer("publish", given)]
    partners = {partner["organisation"] for partner in item["joint_partners"]}
    may_join = member.organisation in partners and member.organisation not in item["joined"]
    return [Offer("join", given)] * may_join


def recommendation_offers(programme: Doc, recommendation: Doc, member: Member) -> list[Offer]:
    """How an institution may answer a recommended revision, as long as that is open or only planned."""
    if programme["institution"] != member.organisation or recommendation["status"] not in ("open", "planned"):
        return []
    given = {"subject": programme["id"], "recommendation": recommendation["recommendation"]}
    wanted = [Offer(action, given) for action in ("revise", "plan", "decline")]
    return [offer for offer in wanted if ACTIONS[offer.action].is_open_to(member)]


def _of_learner(item: Doc, member: Member) -> list[Offer]:
    if member.kind is not Publisher.institution:
        return [Offer("erase", {"subject": item["id"]})] if member.is_operator else []
    about = {"learner": item["id"]}
    running = [p["id"] for p in item.get("programmes", []) if p["status"] == "enrolled"]
    one = {"programme": running[0]} if len(running) == 1 else {}
    found = [Offer("start", about | one)] if running else []
    for programme in running:
        found += [Offer(action, {"subject": item["id"], "programme": programme}) for action in ("graduate", "leave")]
    found += [Offer(action, about) for action in ("assess", "status", "apply", "support")]
    found += [
        Offer("status_end", {**about, "subject": job["id"]})
        for job in item.get("employment", [])
        if job["recorded_by"] == member.organisation and not job["ended_on"]
    ]
    found += [
        Offer("support_end", {**about, "subject": case["id"]})
        for case in item.get("support", [])
        if case["status"] == "open"
    ]
    return [*found, *(Offer(action, {"subject": item["id"]}) for action in ("describe", "share", "erase"))]


def _of_placement(item: Doc, member: Member) -> list[Offer]:
    given = {"subject": item["id"], "learner": item["of"], "enterprise": item["enterprise"]}
    given["programme"] = item["programme"]
    assess = Offer("assess", {"learner": item["of"]})
    if item["status"] == "started":
        return [Offer("complete", given), assess, Offer("cancel", given)]
    about = {"learner": item["of"], "enterprise": item["enterprise"]}
    hired = [Offer("status", about)] if item["status"] == "completed" and member.kind in HOSTS else []
    return [*hired, assess]


def _of_application(item: Doc, member: Member) -> list[Offer]:
    if item["status"] != "submitted" or item["enterprise"] != member.organisation:
        return []
    given = {"subject": item["id"], "learner": item["of"]}
    return [Offer("accept", given), Offer("turn_down", given)]


def _of_request(item: Doc, _: Member) -> list[Offer]:
    if item["status"] != "open":
        return []
    named = {name: item.get(name) for name in ("role", "programme", "internship", "enterprise")}
    return [Offer("answer", {"request": item["id"], **{name: value for name, value in named.items() if value}})]


def _of_opportunity(item: Doc, member: Member) -> list[Offer]:
    mine = item["enterprise"] == member.organisation and item["status"] == "open"
    return [Offer("close", {"subject": item["id"]})] * mine


_RULES: dict[str, Any] = {
    "organisations": _of_organisation,
    "agreements": _of_agreement,
    "programmes": _of_programme,
    "learners": _of_learner,
    "placements": _of_placement,
    "applications": _of_application,
    "requests": _of_request,
    "opportunities": _of_opportunity,
}
