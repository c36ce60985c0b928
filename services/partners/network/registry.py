"""The registry's rules: which entity an event belongs to, and what is shown of it."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from shared.contract import events
from shared.contract.events import Data, Event, EventClass
from shared.contract.skills import skill_id
from shared.http.access import access
from shared.pages.languages import Text
from shared.processing import facts, frameworks
from shared.processing.annulments import ANNULMENTS
from shared.processing.facts import DecodedEvent, Fact, State, age, newest
from shared.processing.mongo import Key
from shared.processing.ownership import is_asked, is_withdrawn, misnamed

OPERATOR = "operator"  # an identity without an entry in the registry: no event is about it
COLLECTIONS = {
    "organisation": "organisations",
    "agreement": "agreements",
    "programme": "programmes",
    "activity": "activities",
    "learner": "learners",
    "opportunity": "opportunities",
    "feedback": "requests",
}
TOPICS = {collection: topic for topic, collection in COLLECTIONS.items()}

# Whose an entity is: the field that names the owner, or owners.
_OWNERS = {
    "agreements": "parties",
    "programmes": "institution",
    "activities": "organiser",
    "opportunities": "enterprise",
    "learners": "institutions",
}
# What enterprises say of a learner is theirs; this only the learner's institutions say.
_OF_INSTITUTIONS = (
    events.LearnerEnrolled,
    events.LearnerGraduated,
    events.LearnerLeft,
    events.LearnerDescribed,
    events.LearnerShared,
    events.LearnerErased,
    events.SupportRequested,
    events.SupportClosed,
)
# What partners say of a programme that is not theirs.
OF_PARTNERS = (events.ProgrammeJoined, events.ProgrammeAnnulled)
OWNED_FIELDS = tuple(_OWNERS.values())

View = dict[str, Any]


SANDBOX = "sandbox_"  # begins the collections of what sandbox organisations say


OF_CREDENTIALS = (
    *(events.CertificateIssued, events.CertificateExpiring, events.IssuerDeclared),
    *(events.CertificateCollected, events.CertificateHidden, events.CertificateShown),
)
WITHOUT_USE = (events.QuestionnairePublished, events.FollowupOpened, *OF_CREDENTIALS)
# By class, because each event is asked several times.
_COLLECTION_OF: dict[EventClass, str] = {
    data: COLLECTIONS[data.topic]
    for data in events.DATA.values()
    if data.topic in COLLECTIONS and data not in WITHOUT_USE
}
_OWNED: frozenset[EventClass] = frozenset(
    data
    for data, collection in _COLLECTION_OF.items()
    if collection in _OWNERS and data not in OF_PARTNERS and (collection != "learners" or data in _OF_INSTITUTIONS)
)


def route(event: DecodedEvent) -> Key | None:
    """The document that an event belongs to."""
    key = entity(event)
    return Key(SANDBOX + key.collection, key.id) if key and event.topic == events.SANDBOX else key


def entity(event: Event[Data] | DecodedEvent) -> Key | None:
    """The entity that an event is about."""
    collection = _COLLECTION_OF.get(event.event_class)
    if collection is None or (collection == "organisations" and event.partitionkey == OPERATOR):
        return None
    return Key(collection, event.partitionkey)


def view(key: Key, state: State) -> View:
    """What is shown of an entity and searched by; nothing of its own data before the event that introduces it."""
    return _VIEWS[key.collection.removeprefix(SANDBOX)](state)


def is_said(shown: View, data: Data) -> bool:
    """Is *data* what an entity already shows?"""
    return all(shown.get(field) == value for field, value in data.model_dump(mode="json").items())


Misfits = list[tuple[str, str]]  # field, and what is wrong with it


def misfits(event: Event[Data]) -> Misfits:
    """What is wrong with an event that its schema cannot say."""
    if event.data.topic == "organisation" and event.subject == OPERATOR:
        return [("subject", f"{OPERATOR} is no organisation of the registry")]
    rule = _MISFITS.get(type(event.data))
    return rule(event, event.data, events.organisation_of(event.source)) if rule else []


def _of_a_proposal(_: Event[Data], data: events.AgreementProposed, sender: str) -> Misfits:
    if sender not in data.parties:
        return [("data.parties", f"must name you ({sender}): only a party proposes")]
    return [("data.parties", "names an organisation twice")] if len(set(data.parties)) < len(data.parties) else []


def _of_a_withdrawal(event: Event[Data], data: events.CredentialWithdrawn, _: str) -> Misfits:
    is_it = event.subject == data.credential
    return [] if is_it else [("subject", f"must be the credential ({data.credential})")]


def _of_an_erasure(event: Event[Data], data: events.LearnerErased, _: str) -> Misfits:
    is_said = data.reason or event.sourcekind != events.Publisher.operator
    return [] if is_said else [("data.reason", "must say why: you are no institution of the learner")]


def _of_a_status(_: Event[Data], data: events.EmploymentRecorded, __: str) -> Misfits:
    found: Misfits = []
    if data.detail and data.status is not events.EmploymentStatus.other:
        found.append(("data.detail", f"says what the status other is; the status is {data.status}"))
    if data.study_level and data.status is not events.EmploymentStatus.studying:
        found.append(("data.study_level", f"is of who is studying; the status is {data.status}"))
    return found


def _of_an_activity(_: Event[Data], data: events.ActivityHeld, sender: str) -> Misfits:
    if strangers := sorted(data.participants_of.keys() - {sender, *data.organisations}):
        return [("data.participants_of", f"names {strangers[0]}, which took no part: it is not in organisations")]
    counted = sum(data.participants_of.values())
    is_more = counted > data.participants
    return [("data.participants_of", f"counts {counted} of {data.participants} participants")] if is_more else []


def _of_a_vacancy(event: Event[Data], data: events.VacancyObserved, _: str) -> Misfits:
    is_of_portal = event.subject.startswith(f"{data.portal}:")
    return [] if is_of_portal else [("subject", f"must be the portal and the id there: {data.portal}:{event.subject}")]


def _of_a_rule(event: Event[Data], _: Data, sender: str) -> Misfits:
    wrong = misnamed(event.subject, sender) if event.sourcekind == events.Publisher.institution else None
    return [("subject", wrong)] if wrong else []


def _of_a_framework(event: Event[Data], _: Data, __: str) -> Misfits:
    wrong = frameworks.misfit(event)
    return [wrong] if wrong else []


def _of_a_mapping(event: Event[Data], data: events.SkillMapped, _: str) -> Misfits:
    id = skill_id(data.skill)
    return [] if event.subject == id else [("subject", f"must be the id of this skill: {id}")]


def _of_an_annulment(_: Event[Data], data: Any, sender: str) -> Misfits:
    if sender == OPERATOR:
        return [] if data.organisation else [("data.organisation", "must say whose event is taken back")]
    own = data.organisation in (None, sender)
    return [] if own else [("data.organisation", f"must be {sender} or left out: you take back your own events")]


_MISFITS: dict[type[Data], Callable[[Event[Data], Any, str], Misfits]] = {
    events.AgreementProposed: _of_a_proposal,
    events.CredentialWithdrawn: _of_a_withdrawal,
    events.LearnerErased: _of_an_erasure,
    events.EmploymentRecorded: _of_a_status,
    events.ActivityHeld: _of_an_activity,
    events.VacancyObserved: _of_a_vacancy,
    events.SkillMapped: _of_a_mapping,
    events.FrameworkItemDefined: _of_a_framework,
    events.FrameworkPublished: _of_a_framework,
    events.IndicatorRuleSet: _of_a_rule,
    events.IndicatorRuleRemoved: _of_a_rule,
    **dict.fromkeys(ANNULMENTS, _of_an_annulment),
}


def owned(event: Event[Data]) -> Key | None:
    """The entity of which nobody but its owners may say this; None if there is no such rule."""
    return entity(event) if event.event_class in _OWNED else None


def foreign(key: Key, known: View, organisation: str) -> Text | None:
    """Why an entity is not *organisation*'s to speak of; of whom it is, unless it is a learner."""
    owners = known.get(_OWNERS[key.collection]) or []
    owners = [owners] if isinstance(owners, str) else owners
    if not owners or organisation in (OPERATOR, *owners):
        return None
    if key.collection == "learners":
        return Text("{id} belongs to another organisation", {"id": key.id})
    return Text("{id} belongs to {owners}", {"id": key.id, "owners": ", ".join(owners)})


def settled(id: str, agreement: View) -> Text | None:
    """Why an agreement cannot be proposed anew."""
    if agreement.get("status") in ("signed", "ended"):
        return Text("{id} is signed by all or has ended, and stays as it is; propose another agreement", {"id": id})
    return None


def objection(event: Event[Data], known: View) -> tuple[int, str] | None:
    """Why what is known of an entity forbids the event: a status code and the reason.

    A repeated or older proposal changes nothing and is let through, so that a sender may send all again.
    """
    key = owned(event)
    if key is None:
        return None
    is_shared = event.event_class is events.LearnerEnrolled and known.get("shared_with")
    if not is_shared and (why := foreign(key, known, events.organisation_of(event.source))):
        return 403, why
    if event.event_class is events.AgreementProposed and (why := settled(key.id, known)):
        time, proposed_at = events.timestamp(event.time), known["proposed_at"]
        if time > proposed_at or (time == proposed_at and not is_said(known, event.data)):
            return 409, why
    return None


def _fields(model: type[Data], fact: Fact) -> View:
    """The data of a fact with every field of its model: what is absent is null."""
    return {field: fact["data"].get(field) for field in model.model_fields}


def _is_of(fact: Fact | None, short_type: str, state: State) -> bool:
    return fact is not None and fact in facts.facts(state, short_type).values()


def _organisation(state: State) -> View:
    """`since` is when the status began; a first registration is known to its month, of which the newest is kept."""
    registered = facts.last(state, "organisation.registered")
    change = facts.last(state, "organisation.suspended", "organisation.reinstated")
    shown = (_fields(events.OrganisationRegistered, registered) if registered else {}) | access(state)
    if change is not None and _is_of(change, "organisation.suspended", state):
        return {**shown, "status": "suspended", "since": change["time"], "reason": change["data"]["reason"]}
    first = min((fact["time"] for fact in facts.facts(state, "organisation.registered").values()), default=None)
    return {**shown, "status": "registered", "since": change["time"] if change else first}


def _agreement(state: State) -> View:
    """Only parties' words count, and only those not older than the newest proposal: they are about its content."""
    proposed = facts.last(state, "agreement.proposed")
    if proposed is None or facts.organisation(proposed) not in proposed["data"]["parties"]:
        return {}
    parties, proposer = proposed["data"]["parties"], facts.organisation(proposed)
    answers: dict[str, View] = {}
    for party in parties:
        given = [facts.facts(state, f"agreement.{verb}").get(party) for verb in ("signed", "refused")]
        counting = newest(
            proposed if party == proposer else None,
            *(fact for fact in given if fact and fact["time"] >= proposed["time"]),
        )
        if counting is not None:
            refused = _is_of(counting, "agreement.refused", state)
            reason = {"reason": counting["data"]["reason"]} if refused else {}
            answers[party] = {"answer": "refused" if refused else "signed", "at": counting["time"], **reason}
    shown = {**_fields(events.AgreementProposed, proposed), "proposer": proposer, "proposed_at": proposed["time"]}
    shown["answers"] = [{"party": party, **answer} for party, answer in sorted(answers.items())]
    ends = facts.facts(state, "agreement.ended")
    ended = newest(*(ends[party] for party in parties if party in ends and ends[party]["time"] >= proposed["time"]))
    if ended is not None:
        shown["ended"] = {"by": facts.organisation(ended), "at": ended["time"], "reason": ended["data"]["reason"]}
    return {**shown, "status": _agreement_status(set(parties), answers, ended)}


def _agreement_status(parties: set[str], answers: dict[str, View], ended: Fact | None) -> str:
    if ended is not None:
        return "ended"
    if any(answer["answer"] == "refused" for answer in answers.values()):
        return "refused"
    return "signed" if parties == answers.keys() else "proposed"


def _programme(state: State) -> View:
    """The newest version; an answer to a recommendation counts if it is the institution's."""
    published = facts.last(state, "programme.published")
    if published is None:
        return {}
    recommended = facts.recommended(state).values()
    return {
        **_fields(events.ProgrammePublished, published),
        "institution": facts.organisation(published),
        "published_at": published["time"],
        "joined": sorted(facts.facts(state, "programme.joined")),
        "recommendations": [_recommendation(fact, published, state) for fact in sorted(recommended, key=age)],
    }


_ANSWERS = {
    "programme.revised": "revised",
    "programme.revision_declined": "declined",
    "programme.revision_planned": "planned",
}


_RECOMMENDED: dict[str, type[Data]] = {
    "ratings": events.ProgrammeRevisionRecommended,
    "lapsed": events.ProgrammeDemandLapsed,
}


def _recommendation(recommended: Fact, published: Fact, state: State) -> View:
    slot = f"{facts.organisation(published)}/{recommended['data']['recommendation']}"
    answer = newest(*_of(state, slot, *_ANSWERS))
    ground = facts.ground_of(recommended)
    shown = {"ground": ground, **_fields(_RECOMMENDED.get(ground, events.ProgrammeGapFound), recommended)}
    shown |= {"recommended_at": recommended["time"], "status": "open"}
    if answer is not None:
        status = next(status for type_, status in _ANSWERS.items() if _is_of(answer, type_, state))
        answer_fields = {field: value for field, value in answer["data"].items() if field != "recommendation"}
        shown |= {"status": status, "answered_at": answer["time"], **answer_fields}
    return shown


def annulled(state: State) -> list[View]:
    """The events of an entity that were taken back, each with whom it concerned."""
    return [
        {"event": fact["data"]["event"], "concerned": fact["void"]["concerned"]}
        for by in ANNULMENTS
        for _, fact in sorted(facts.facts(state, by.short_type).items())
        if "void" in fact
    ]


def _activity(state: State) -> View:
    held = facts.last(state, "activity.held")
    if held is None:
        return {"annulled": annulled(state)}
    organiser = facts.organisation(held)
    organisations = sorted({organiser, *held["data"]["organisations"]})
    own = {"organiser": organiser, "organisations": organisations, "held_at": held["time"]}
    return _fields(events.ActivityHeld, held) | own


def _opportunity(state: State) -> View:
    """Open until the enterprise that posted it closes it."""
    posted = facts.last(state, "opportunity.posted")
    if posted is None:
        return {}
    shown = _fields(events.OpportunityPosted, posted)
    shown |= {"enterprise": facts.organisation(posted), "posted_at": posted["time"], "status": "open"}
    closed = facts.last(state, "opportunity.closed")
    if closed and closed["source"] == posted["source"] and newest(posted, closed) is closed:
        shown |= {"status": "closed", "closed_at": closed["time"], "filled": closed["data"]["filled"]}
    return shown


def _learner(state: State) -> View:
    """`institutions`, those that enrolled the learner, read the whole entry; other `readers` their own part of it."""
    if "erased" in state:
        return {}
    institutions = sorted({*map(facts.organisation, facts.facts(state, "learner.enrolled").values())})
    whole = [OPERATOR, *institutions]
    jobs = sorted(facts.facts(state, "employment.recorded").items(), key=lambda item: age(item[1]), reverse=True)
    ends = facts.facts(state, "employment.ended")
    shown = {
        "programmes": [_studies(id, state) for id in _ids(state, *_STUDIES)],
        "internships": [i for id in _ids(state, *_INTERNSHIP) for i in _internships(id, state, whole)],
        "employment": [_job(slot, fact, ends.get(slot), whole) for slot, fact in jobs],
        "applications": [_application(id, fact, state, whole) for id, fact in _applications(state)],
        "support": [_support(id, state) for id in _ids(state, "support.requested", "support.closed")],
    }
    readers = {reader for field in _IN_PARTS for item in shown[field] for reader in item["readers"]}
    shared_with = sorted({fact["data"]["institution"] for fact in facts.facts(state, "learner.shared").values()})
    asked = sorted(map(facts.organisation, facts.facts(state, "learner.erased").values()))
    own: View = {"institutions": institutions, "shared_with": shared_with, "erasure_asked_by": asked}
    wanted = facts.facts(state, "learner.erasure_requested")
    own["erasure_wanted"] = [{"of": of, "at": wanted[of]["time"]} for of in sorted(wanted) if of not in asked]
    own |= {"annulled": annulled(state), "certificates": sorted(facts.facts(state, "competency.certified"))}
    return {**shown, **own, "readers": sorted({*whole, *readers})}


def _request(state: State) -> View:
    """Who is asked for what, and whether the respondent has answered."""
    asked = facts.last(state, "feedback.requested")
    if asked is None:
        return {}
    shown = _fields(events.FeedbackRequested, asked)
    if is_withdrawn(asked, facts.last(state, "feedback.cancelled")):
        return shown | {"status": "cancelled"}
    submitted = facts.standing(state, "feedback.submitted", "feedback.withdrawn").values()
    if any(is_asked(fact, asked["data"]) for fact in submitted):
        return shown | {"status": "answered"}
    expired = facts.last(state, "feedback.expired")
    is_over = expired is not None and expired["time"] > asked["time"]
    return shown | {"status": "expired" if is_over else "open"}


_IN_PARTS = ("internships", "employment", "applications")
_WHOLE = ("id", "programmes", "support", "institutions", "shared_with", "erasure_asked_by")


def part(learner: View, reader: str) -> View:
    """What *reader* may see of a learner's entry: an institution of the learner all, others what concerns them."""
    whole = reader == OPERATOR or reader in learner["institutions"]
    shown = {field: learner.get(field, []) for field in _WHOLE}
    own = {field: [unread(i) for i in learner.get(field, ()) if reader in i["readers"]] for field in _IN_PARTS}
    return {**(shown if whole else {"id": learner["id"]}), **own}


def unread(item: View) -> View:
    """An internship, a job or an application without the list of who may read it."""
    return {field: value for field, value in item.items() if field != "readers"}


def _concerned(fact: Fact) -> set[str]:
    """Who said it and the enterprise that it names."""
    return {facts.organisation(fact), fact["data"].get("enterprise") or facts.organisation(fact)}


def _job(slot: str, fact: Fact, ended: Fact | None, whole: list[str]) -> View:
    id, readers = slot.rpartition("/")[2], sorted({*whole, *_concerned(fact)})
    shown = _fields(events.EmploymentRecorded, fact) | {"ended_on": ended["data"]["ended_on"] if ended else None}
    return {"id": id, **shown, "at": fact["time"], "recorded_by": facts.organisation(fact), "readers": readers}


_INTERNSHIP = ("internship.started", "internship.completed", "internship.cancelled")


def _ids(state: State, *short_types: str) -> Iterable[str]:
    return sorted({slot for short_type in short_types for slot in facts.facts(state, short_type)})


def _of(state: State, slot: str, *short_types: str) -> tuple[Fact | None, ...]:
    return tuple(facts.facts(state, short_type).get(slot) for short_type in short_types)


_STUDIES = ("learner.enrolled", "learner.graduated", "learner.left")


def _studies(programme: str, state: State) -> View:
    """Who graduated has not left; who was enrolled again after leaving is enrolled."""
    enrolled, graduated, left = _of(state, programme, *_STUDIES)
    has_left = left is not None and graduated is None and newest(enrolled, left) is left
    return {
        "id": programme,
        "status": "graduated" if graduated else "left" if has_left else "enrolled",
        "enrolled_at": enrolled["time"] if enrolled else None,
        "cohort": enrolled["data"].get("cohort") if enrolled else None,
        "graduated_on": graduated["data"]["graduated_on"] if graduated else None,
        "left_on": left["data"]["left_on"] if left and has_left else None,
    }


def _internships(id: str, state: State, whole: list[str]) -> list[View]:
    """An internship as it is, and beside it as those see it whom only some of what was said of it concerns."""
    reported = _of(state, id, *_INTERNSHIP)
    views = [_internship(id, *reported)]
    readers = [list(whole)]
    for reader in sorted({r for fact in reported if fact for r in _concerned(fact)}.difference(whole)):
        own = _internship(id, *(fact if fact and reader in _concerned(fact) else None for fact in reported))
        if own not in views:
            views.append(own)
            readers.append([])
        readers[views.index(own)].append(reader)
    return [{**view, "readers": allowed} for view, allowed in zip(views, readers, strict=True)]


def implausible(started_at: str, ended_at: str, hours: float) -> tuple[str, str] | None:
    """Which field says what cannot have been (by days in UTC), and why: ended before it began, over 24 hours a day."""
    began, ended = started_at[:10], ended_at[:10]
    days = (date.fromisoformat(ended) - date.fromisoformat(began)).days + 1
    if days < 1:
        return "time", f"ended on {ended}, before it began on {began}"
    if hours > 24 * days:
        return "data.hours", f"{hours:g} hours are more than 24 a day from {began} to {ended} ({24 * days} in all)"
    return None


def _internship(id: str, started: Fact | None, completed: Fact | None, cancelled: Fact | None) -> View:
    """An internship that was completed or cancelled does not start again; of the two the newer counts."""
    ended = newest(completed, cancelled)
    # One of the three there is, or the internship would not be known.
    counting: Any = ended or started
    shown = {
        "id": id,
        "status": "started" if ended is None else "completed" if ended is completed else "cancelled",
        "enterprise": counting["data"]["enterprise"],
        "programme": counting["data"]["programme"],
        "agreement": started["data"].get("agreement") if started else None,
        "started_at": started["time"] if started else None,
        "ended_at": ended["time"] if ended else None,
    }
    own = {field: value for field, value in counting["data"].items() if ended and field not in shown}
    wrong = implausible(started["time"], ended["time"], own["hours"]) if started and ended and "hours" in own else None
    return {**shown, **own, "implausible": wrong and wrong[1]}


def _applications(state: State) -> Iterable[tuple[str, Fact]]:
    return sorted(facts.facts(state, "application.submitted").items())


def _application(id: str, submitted: Fact, state: State, whole: list[str]) -> View:
    """Of what the institution and the enterprise said of it the newest counts."""
    enterprise = submitted["data"]["enterprise"]
    withdrawn = facts.facts(state, "application.withdrawn").get(id)
    accepted, declined = _of(state, f"{enterprise}/{id}", "application.accepted", "application.declined")
    last = newest(submitted, withdrawn, accepted, declined)
    states = {"withdrawn": withdrawn, "accepted": accepted, "declined": declined}
    return {
        "id": id,
        "enterprise": enterprise,
        "opportunity": submitted["data"].get("opportunity"),
        "submitted_at": submitted["time"],
        "status": next((status for status, fact in states.items() if fact is not None and fact is last), "submitted"),
        "decided_at": last["time"] if last and last is not submitted else None,
        "readers": sorted({*whole, enterprise}),
    }


def _support(id: str, state: State) -> View:
    requested, closed = _of(state, id, "support.requested", "support.closed")
    return {
        "id": id,
        "status": "closed" if closed else "open",
        "need": requested["data"]["need"] if requested else None,
        "requested_at": requested["time"] if requested else None,
        "outcome": closed["data"]["outcome"] if closed else None,
        "closed_at": closed["time"] if closed else None,
    }


_VIEWS = {
    "organisations": _organisation,
    "agreements": _agreement,
    "programmes": _programme,
    "activities": _activity,
    "learners": _learner,
    "opportunities": _opportunity,
    "requests": _request,
}
