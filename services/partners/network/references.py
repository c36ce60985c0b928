"""What an event refers to must be there: pure rules from an event and what is known, to what speaks against it.

Whose an entity is, `registry.py` says (`objection`); here is what else must be true before something is let in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from shared.contract import events
from shared.contract.events import Data, Event, Publisher
from shared.processing import annulments, facts, ownership
from shared.processing.frameworks import Frameworks
from shared.processing.mongo import Key

from .registry import OWNED_FIELDS, TOPICS, View, entity, implausible, objection, owned

# What is read of an entity to judge by.
READ: dict[str, tuple[str, ...]] = {
    "organisations": ("kind",),
    "agreements": ("status", "proposed_at", "ended.at", *events.AgreementProposed.model_fields),
    "programmes": ("institution", "joint_partners", "recommendations.recommendation"),
    "activities": ("organiser",),
    "opportunities": ("enterprise", "places"),
    "learners": (
        "institutions",
        "programmes.id",
        *(f"internships.{name}" for name in ("id", "enterprise", "started_at", "status")),
        *(f"employment.{name}" for name in ("id", "recorded_by", "enterprise", "since", "at")),
        *(f"applications.{name}" for name in ("id", "enterprise", "status")),
        "support.id",
        "shared_with",
    ),
    "requests": ("role", "respondent", "institution", "programme"),
}
# What a type does not have is not asked for: pydantic takes long to say so.
_FIELDS = {data: frozenset(data.model_fields) for data in events.DATA.values()}
OF_SCOPES = (events.IndicatorRuleSet, events.IndicatorAcknowledged)
INTERNSHIP = (events.InternshipStarted, events.InternshipCompleted, events.InternshipCancelled)
NEAR_MISSES = 3


class Objection(NamedTuple):
    """What speaks against an event.

    Attributes:
        rule: its name, for programs.
        reference: what is missing, or is not as the rule wants it.
        looked_at: the entities, or whole collections (with the id ""), that could have said otherwise.
    """

    status: int
    rule: str
    reference: str
    field: str
    detail: str
    looked_at: tuple[Key, ...]


Tie = tuple[str, str]  # an enterprise, and a programme of which a learner was placed or works there


@dataclass
class Known:
    """What the registry knows: entities, of the enterprises in question agreements and ties, and certificates.

    Args:
        audience_max: how many others an event may name.
        free_ids: new entities may be named in any way.
        sandbox: the sandbox organisation that this is for; it knows the partners in `EXAMPLES`, too.
    """

    entities: dict[Key, View] = field(default_factory=dict)
    agreements: dict[str, View] = field(default_factory=dict)
    ties: set[Tie] = field(default_factory=set)
    certificates: set[str] = field(default_factory=set)
    sandbox: str | None = None
    free_ids: bool = False
    audience_max: int = 50

    def of(self, collection: str, id: str) -> View:
        known = self.entities.get(Key(collection, id), {})
        if not self.sandbox:
            return known
        examples = EXAMPLES.get(collection, {})
        return {**known, **next((shown for start, shown in examples.items() if id.startswith(start)), {})}

    def agreements_of(self, enterprise: str) -> list[View]:
        example = (
            [{**_EXAMPLE_AGREEMENT, "parties": [self.sandbox, *EXAMPLES["organisations"]]}] if self.sandbox else []
        )
        return [a for a in (*self.agreements.values(), *example) if enterprise in a["parties"]]


# Partners for who tries things out alone, by how their ids begin.
EXAMPLES: dict[str, dict[str, View]] = {
    "organisations": {"sandbox-institution": {"kind": "institution"}, "sandbox-enterprise": {"kind": "enterprise"}},
    "programmes": {"sandbox-programme": {"institution": "sandbox-institution"}},
    "learners": {
        "sandbox-learner": {"institutions": ["sandbox-institution"], "programmes": [{"id": "sandbox-programme"}]}
    },
}
_EXAMPLE_AGREEMENT: View = {
    "id": "sandbox-agreement",
    "status": "signed",
    "programmes": [],
    "valid_from": "1950-01-01",
    "valid_until": None,
}


def competencies(data: Data, frameworks: Frameworks) -> list[tuple[str, str]]:
    """What is wrong with the competencies that *data* names: (field, what)."""
    any_data: Any = data
    named = any_data.competency if "competency" in _FIELDS[type(data)] else None
    found: list[tuple[str, str]] = [("data.competency", named)] if named else []
    if "competencies" in _FIELDS[type(data)]:
        found += [
            (f"data.competencies.{n}", item if isinstance(item, str) else item.competency)
            for n, item in enumerate(any_data.competencies)
        ]
    unknown = [(name, c) for name, c in found if not frameworks.is_known(c)]
    return [(name, f"{c} is not in the framework {c.partition(':')[0]}") for name, c in unknown]


def references(event: Event[Data]) -> Iterator[Key]:
    """The entities that an event is judged by."""
    data: Any = event.data
    if (key := entity(event)) is not None:
        yield key
    if data.topic == "learner":
        yield Key("learners", event.partitionkey)
    if type(data) is events.ApplicationSubmitted and data.opportunity:
        yield Key("opportunities", data.opportunity)
    yield from (Key("organisations", id) for id in _organisations_in(data))
    yield from (Key("programmes", id) for id in _programmes_in(data))


def _organisations_in(data: Any) -> list[str]:
    """Organisations that must be registered. (Where somebody works need not be.)"""
    named = _ORGANISATIONS_IN.get(type(data))
    return named(data) if named else []


_ORGANISATIONS_IN: dict[type[Data], Callable[[Any], list[str]]] = {
    events.AgreementProposed: lambda data: list(data.parties),
    events.ProgrammePublished: lambda data: [partner.organisation for partner in data.joint_partners],
    events.ActivityHeld: lambda data: list(data.organisations),
    events.LearnerShared: lambda data: [data.institution],
    **dict.fromkeys((events.ApplicationSubmitted, *INTERNSHIP), lambda data: [data.enterprise]),
}


def named_in(event: Event[Data]) -> set[str]:
    """Other organisations that an event names, and is therefore sent to."""
    named = _organisations_in(event.data)
    return {*named} - {_sender(event)} if named else set()


def _programmes_in(data: Any) -> list[str]:
    if "programmes" in _FIELDS[type(data)]:
        return list(data.programmes)
    if type(data) in OF_SCOPES:
        return [data.scope_id] if data.scope == "programme" and data.scope_id else []
    return [data.programme] if "programme" in _FIELDS[type(data)] and data.programme else []


def enterprises(published: Iterable[Event[Any]]) -> set[str]:
    """The enterprises whose agreements these events are judged by."""
    return {event.data.enterprise for event in published if event.event_class in INTERNSHIP}


def tie(event: Event[Any]) -> Tie | None:
    """What feedback that nobody asked for is judged by; None: it names no enterprise, or is something else."""
    data = event.data
    if type(data) is not events.FeedbackSubmitted or data.request or not data.programme:
        return None
    host = _sender(event) if _is_host(event) else data.enterprise
    return (host, data.programme) if host else None


def judge(event: Event[Data], known: Known, *, references_too: bool) -> Objection | None:
    """What speaks against an event by what is known; without *references_too* only what is another's."""
    key = owned(event)
    if key in known.entities and (forbidden := objection(event, known.entities[key])):
        status, why = forbidden
        about = "subject" if event.partitionkey == event.subject else "partitionkey"
        return Objection(status, "owner", key.id, about, why, (key,))
    if event.sourcekind == Publisher.operator:
        return None
    for rule in _rules(type(event.data), references_too):
        if found := rule(event, known):
            return found
    return None


@cache
def _rules(of: type[Data], references_too: bool) -> tuple["Rule", ...]:
    """The rules that can have anything against events of a class."""
    last = (
        *((_refusal,) if ownership.has_rule(of) else ()),
        *((_own_name,) if of in NAMED else ()),
        *((_few_named,) if of in _ORGANISATIONS_IN else ()),
    )
    return (*OWN_WORD.get(of, ()), *(RULES.get(of, ()) if references_too else ()), *last)


def _refusal(event: Event[Data], known: Known) -> Objection | None:
    """What the services would refuse by the order of the log, as far as it is known here."""
    key = entity(event)
    held = known.entities.get(key, {}).get("facts") if key else None
    refusal = ownership.refusal(held, facts.from_event(event)) if held else None
    return Objection(403, refusal.rule, key.id, "subject", refusal.reason, (key,)) if key and refusal else None


def _own_name(event: Event[Data], known: Known) -> Objection | None:
    """What is new has an id that begins with its organisation's, so that nobody's number meets another's."""
    key, listed = entity(event), NAMED.get(type(event.data))
    if key is None or listed is None or known.free_ids or known.sandbox:
        return None
    doc = known.entities.get(key, {})
    named = {item["id"] for item in doc.get(listed) or ()} if listed else {key.id} if _is_introduced(doc) else set()
    wrong = ownership.misnamed(event.subject, _sender(event))
    if wrong is None or doc.get("erased") or event.subject in named:
        return None
    return Objection(422, "name", event.subject, "subject", wrong, (key,))


def _is_introduced(doc: View) -> bool:
    return any(doc.get(name) for name in OWNED_FIELDS)


Rule = Callable[[Event[Any], Known], Objection | None]


def _sender(event: Event[Data]) -> str:
    return events.organisation_of(event.source)


def _is_host(event: Event[Data]) -> bool:
    """Does an enterprise speak, or a research centre, which trains and hires like one?"""
    return event.sourcekind in events.HOSTS


def _missing(rule: str, key: Key, about: str, detail: str, *further: Key) -> Objection:
    return Objection(422, rule, key.id, about, detail, (key, *further))


def _subject(event: Event[Any], known: Known) -> Objection | None:
    """What an answer or an end is about has been introduced."""
    key = entity(event)
    if key is None or _is_introduced(known.of(*key)):
        return None
    what = TOPICS[key.collection]
    return _missing(what, key, "subject", f"{key.id} is no {what} that is known")


def _offered(event: Event[Any], known: Known) -> Objection | None:
    """No more places are filled than were offered."""
    key, filled = Key("opportunities", event.subject), event.data.filled
    places = known.of(*key).get("places")
    if places is None or filled <= places:
        return None
    return Objection(422, "places", key.id, "data.filled", f"{filled} of the {places} places of {key.id}", (key,))


def _registered(event: Event[Any], known: Known) -> Objection | None:
    for id in _organisations_in(event.data):
        if "kind" not in known.of("organisations", id):
            key = Key("organisations", id)
            return _missing("organisation", key, "data", f"{id} is no organisation that is registered")
    return None


def _shared_with(event: Event[Any], known: Known) -> Objection | None:
    """Whom a learner is shared with is an institution of the network."""
    id = event.data.institution
    if known.of("organisations", id).get("kind") == events.OrganisationKind.institution:
        return None
    return _missing(
        "organisation", Key("organisations", id), "data.institution", f"{id} is no institution that is registered"
    )


def _programmes(event: Event[Any], known: Known) -> Objection | None:
    for id in _programmes_in(event.data):
        if "institution" not in known.of("programmes", id):
            key = Key("programmes", id)
            return _missing(
                "programme", key, "data", f"{id} is no programme that is known: its institution publishes it"
            )
    return None


def _institutions(programme: View) -> set[str]:
    """Who offers a programme."""
    joint = {p["organisation"] for p in programme.get("joint_partners") or () if p["kind"] == "institution"}
    return {*joint, *([programme["institution"]] if "institution" in programme else [])}


def _offers(event: Event[Any], known: Known) -> Objection | None:
    """Who enrols offers the programme."""
    id = event.data.programme
    if _sender(event) in _institutions(known.of("programmes", id)):
        return None
    detail = f"{id} is not a programme of {_sender(event)}"
    return Objection(403, "programme", id, "data.programme", detail, (Key("programmes", id),))


def _enrolled(event: Event[Any], known: Known) -> Objection | None:
    """The learner is enrolled in the programme."""
    key, programme = Key("learners", event.partitionkey), event.data.programme
    learner = known.of(*key)
    if learner.get("erased") or programme in {p["id"] for p in learner.get("programmes", ())}:
        return None
    detail = f"{key.id} is not enrolled in {programme}: the institution enrols first"
    return _missing("enrolment", key, "partitionkey", detail)


def _own_learner(event: Event[Any], known: Known) -> Objection | None:
    """The learner is enrolled, and who speaks as an institution is the learner's."""
    key = Key("learners", event.partitionkey)
    learner = known.of(*key)
    about = "partitionkey" if event.partitionkey != event.subject else "subject"
    if learner.get("erased"):
        return None
    if not learner.get("institutions"):
        return _missing("learner", key, about, f"{key.id} is no learner that is known: the institution enrols first")
    if _is_host(event) or _sender(event) in learner["institutions"]:
        return None
    return Objection(403, "learner", key.id, about, f"{key.id} belongs to another organisation", (key,))


def _placed(event: Event[Any], known: Known) -> Objection | None:
    """An enterprise speaks of learners whom it has placed or accepted, or who have named it as where they work."""
    key = Key("learners", event.partitionkey)
    learner, enterprise = known.of(*key), _sender(event)
    if not _is_host(event) or learner.get("erased"):
        return None
    took_place = [i for i in learner.get("internships", ()) if i["started_at"] or i["status"] != "cancelled"]
    accepted = [item for item in learner.get("applications", ()) if item["status"] == "accepted"]
    named = {item.get("enterprise") for item in (*took_place, *accepted, *learner.get("employment", ()))}
    if enterprise in named:
        return None
    detail = f"{key.id} was not placed at {enterprise}, has not named it, and has no application that it accepted"
    return Objection(403, "placement", key.id, "partitionkey", detail, (key,))


def _applied(event: Event[Any], known: Known) -> Objection | None:
    """What is decided or withdrawn is an application to the enterprise."""
    key, id = Key("learners", event.partitionkey), event.subject
    learner, enterprise = known.of(*key), getattr(event.data, "enterprise", _sender(event))
    if learner.get("erased") or (id, enterprise) in {
        (item["id"], item["enterprise"]) for item in learner.get("applications", ())
    }:
        return None
    return _missing("application", key, "subject", f"{key.id} has no application {id} to {enterprise}")


def _offer(event: Event[Any], known: Known) -> Objection | None:
    """The offer that is applied for is the enterprise's."""
    id, enterprise = event.data.opportunity, event.data.enterprise
    if id is None or known.of("opportunities", id).get("enterprise") == enterprise:
        return None
    key = Key("opportunities", id)
    return _missing("opportunity", key, "data.opportunity", f"{id} is no opportunity of {enterprise}")


def _recorded(event: Event[Any], known: Known) -> Objection | None:
    """What is ended was recorded by the sender, and begins before it ends."""
    key, id = Key("learners", event.partitionkey), event.subject
    learner = known.of(*key)
    if learner.get("erased"):
        return None
    own = [job for job in learner.get("employment", ()) if (job["id"], job["recorded_by"]) == (id, _sender(event))]
    if not own:
        detail = f"{id} is no record of employment of {key.id} by {_sender(event)}: record it first"
        return _missing("employment", key, "subject", detail)
    began, ended_on = own[0]["since"] or own[0]["at"][:10], event.data.ended_on.isoformat()
    if ended_on >= began:
        return None
    detail = f"{id} ended on {ended_on}, before it began on {began}"
    return Objection(422, "plausible", id, "data.ended_on", detail, (key,))


def _said(event: Event[Any], known: Known) -> Objection | None:
    """What is taken back was said of the entity, and nothing newer has replaced it."""
    key = entity(event)
    doc = known.entities.get(key, {}) if key else {}
    if key is None or known.sandbox or doc.get("erased") or (doc.get("bytes") and not doc.get("facts")):
        return None
    held, one = doc.get("facts", {}), facts.from_event(event)
    is_known = annulments.slot_of(one) in held.get(one.event_class.short_type, {})
    if is_known or annulments.target(held, one):
        return None
    what = one.event_class.short_type.partition(".")[0]
    detail = f"{annulments.whose(one)} has said no {what} event {event.data.event} about {key.id} that still counts"
    return _missing("annulled", key, "data.event", f"{detail}; if a newer one has replaced it, take that back")


def _own_scope(event: Event[Any], known: Known) -> Objection | None:
    """An institution is alerted of itself and of its own programmes."""
    scope, id, sender = event.data.scope, event.data.scope_id, _sender(event)
    if scope == "institution" and id == sender:
        return None
    programmes = _programmes_in(event.data)
    if scope == "programme" and all(known.of("programmes", p).get("institution") == sender for p in programmes):
        return None
    detail = f"must be {sender} itself or a programme of {sender}, not {scope} {id or ''}".rstrip()
    return Objection(
        403, "scope", id or scope, "data.scope_id", detail, tuple(Key("programmes", p) for p in programmes)
    )


def _few_named(event: Event[Any], known: Known) -> Objection | None:
    """What is sent to all that it names is bounded."""
    named = named_in(event)
    if len(named) <= known.audience_max:
        return None
    detail = f"names {len(named)} other organisations; at most {known.audience_max} may be named"
    return Objection(422, "audience", _sender(event), "data", detail, ())


def _at_home(event: Event[Any], _: Known) -> Objection | None:
    """An enterprise speaks of what is at its own place."""
    named = event.data.enterprise
    if not _is_host(event) or named in (None, _sender(event)):
        return None
    return Objection(
        403, "enterprise", named, "data.enterprise", f"must be {_sender(event)}, not {named}: you speak of your own", ()
    )


def _own_employment(event: Event[Any], known: Known) -> Objection | None:
    """An enterprise reports employment at itself; what else a learner does, the institution says."""
    if not _is_host(event) or event.data.status is events.EmploymentStatus.employed:
        return None
    detail = f"must be employed, not {event.data.status}: an enterprise reports only employment at itself"
    return Objection(403, "enterprise", _sender(event), "data.status", detail, ())


def _asked(event: Event[Any], known: Known) -> Objection | None:
    """Feedback answers a request that asks the sender, or the sender has a tie to what is rated."""
    if (id := event.data.request) is None:
        return _tied(event, known) or _once(event, known)
    if known.sandbox and id.startswith("sandbox-request"):
        return None
    key, sender = Key("requests", id), _sender(event)
    request = known.of(*key)
    if "respondent" not in request:
        return _missing("request", key, "data.request", f"{id} is no request that is known")
    if event.data.role != request["role"]:
        return _missing("request", key, "data.role", f"the request asks for the word of the {request['role']}")
    if _is_host(event):
        passes_on = {request["respondent"]} if request["role"] == events.FeedbackRole.enterprise else set()
    else:
        passes_on = {request["institution"]} if request.get("institution") else _institutions_of(request, known)
    if sender in passes_on:
        return None
    return Objection(403, "request", id, "data.request", f"{id} does not ask {sender}", (key,))


def _institutions_of(request: View, known: Known) -> set[str]:
    return _institutions(known.of("programmes", request["programme"]))


def _tied(event: Event[Any], known: Known) -> Objection | None:
    role, programme, is_host = event.data.role, event.data.programme, _is_host(event)
    if is_host is not (role == events.FeedbackRole.enterprise):
        detail = "an enterprise speaks for itself, as enterprise; for learners, graduates and mentors their institution"
        return Objection(403, "role", role, "data.role", detail, ())
    if programme is None:
        detail = "must be named: only an answer to a request may leave it out"
        return Objection(422, "programme", "", "data.programme", detail, ())
    if not is_host and (foreign := _offers(event, known)):
        return foreign
    needed = tie(event)
    if needed is None or needed in known.ties:
        return None
    detail = f"no learner of {programme} was placed at {needed[0]} or works there"
    return Objection(403, "tie", needed[0], "data.programme", detail, (Key("learners", ""),))


def _once(event: Event[Any], known: Known) -> Objection | None:
    """Of what nobody asked for, one counts per sender, programme, role and month: all have one subject."""
    sender, wanted = _sender(event), unasked_subject(event)
    held = known.of("requests", event.subject).get("facts", {}).get("feedback.submitted", {})
    if event.subject == wanted or f"{sender}/{event.subject}" in held:  # from before there was this rule
        return None
    detail = f"must be {wanted}: one per programme, role and month; a newer one corrects it"
    return Objection(422, "once", wanted, "subject", detail, ())


def unasked_subject(event: Event[Any]) -> str:
    """What feedback that nobody asked for is called: `<sender>:<programme>:<role>:<month>`, or a digest of it."""
    data, month = event.data, events.timestamp(event.time)[:7]
    parts = (_sender(event), data.programme, data.role.value, month)
    return subject if len(subject := ":".join(parts)) <= events.LONGEST_ID else events.derived_id("feedback", *parts)


def certificate_in(event: Event[Any]) -> str | None:
    """The single certificate that is recognised, if it is one."""
    return event.data.certificate if event.event_class is events.RecognitionGranted else None


def _certified(event: Event[Any], known: Known) -> Objection | None:
    """A single certificate that is recognised has been issued."""
    id = certificate_in(event)
    if id is None or id in known.certificates or known.sandbox:
        return None
    return Objection(
        422, "certificate", id, "data.certificate", f"{id} is no certificate that was issued", (Key("learners", ""),)
    )


def _recommended(event: Event[Any], known: Known) -> Objection | None:
    key, id = Key("programmes", event.subject), event.data.recommendation
    if id in {r["recommendation"] for r in known.of(*key).get("recommendations", ())}:
        return None
    detail = f"{key.id} has no recommendation {id}"
    return Objection(422, "recommendation", id, "data.recommendation", detail, (key,))


def _named_as_partner(event: Event[Any], known: Known) -> Objection | None:
    key, sender = Key("programmes", event.subject), _sender(event)
    if sender in {partner["organisation"] for partner in known.of(*key).get("joint_partners") or ()}:
        return None
    return Objection(403, "programme", key.id, "subject", f"{key.id} does not name {sender} as a partner", (key,))


def _covered(event: Event[Any], known: Known) -> Objection | None:
    """A signed agreement of the enterprise and the programme's institution covers the programme on the first day."""
    data = event.data
    institutions, day = _institutions(known.of("programmes", data.programme)), _first_day(event, known)
    candidates = [a for a in known.agreements_of(data.enterprise) if institutions & {*a["parties"]}]
    if named := getattr(data, "agreement", None):
        candidates = [a for a in candidates if a["id"] == named]
    gaps = {agreement["id"]: gap_of(agreement, data.programme, day) for agreement in candidates}
    if None in gaps.values():
        return None
    whose = f"{named} is" if named else f"{data.enterprise} and {' or '.join(sorted(institutions))} have"
    near = "; ".join(f"{id} {gap}" for id, gap in sorted(gaps.items())[:NEAR_MISSES])
    detail = f"{whose} no signed agreement that covers {data.programme} on {day}{f' ({near})' if near else ''}"
    reference, about = named or data.enterprise, "data.agreement" if named else "data.enterprise"
    judged_by = Key("agreements", named or ""), Key("programmes", data.programme), Key("learners", event.partitionkey)
    return Objection(422, "agreement", reference, about, detail, judged_by)


def _plausible(event: Event[Any], known: Known) -> Objection | None:
    """Where it is known when an internship began, it ends later, and has no more than 24 hours a day."""
    key = Key("learners", event.partitionkey)
    began = _began(event, known)
    wrong = began and implausible(began, events.timestamp(event.time), event.data.hours)
    if not wrong:
        return None
    about, why = wrong
    detail = f"{event.subject}: {why}; if it began earlier, cancel it and report it under another id"
    return Objection(422, "plausible", event.subject, about, detail, (key,))


def _first_day(event: Event[Any], known: Known) -> str:
    """When the internship began: as was said before, else the day of the event."""
    began = None if isinstance(event.data, events.InternshipStarted) else _began(event, known)
    return began[:10] if began else event.time.date().isoformat()


def _began(event: Event[Any], known: Known) -> str | None:
    """When the internship began, as far as that is known."""
    learner = known.of("learners", event.partitionkey)
    began = [i.get("started_at") for i in learner.get("internships", ()) if i["id"] == event.subject]
    return next((at for at in began if at), None)


def gap_of(agreement: Mapping[str, Any], programme: str, day: str) -> str | None:
    """Why an agreement does not cover a programme on a day; None if it does."""
    if agreement["status"] not in ("signed", "ended"):
        return f"is {agreement['status']}"
    if agreement["programmes"] and programme not in agreement["programmes"]:
        return "covers other programmes"
    if day < agreement["valid_from"]:
        return f"is valid from {agreement['valid_from']}"
    if agreement["valid_until"] and day > agreement["valid_until"]:
        return f"is valid until {agreement['valid_until']}"
    if agreement["status"] == "ended" and day > agreement["ended"]["at"][:10]:
        return f"ended on {agreement['ended']['at'][:10]}"
    return None


_OF_LEARNER = (_own_learner,)
_PLACEMENT = (_programmes, _own_learner, _enrolled, _registered, _covered)
_OF_ENTERPRISE_TOO = (_own_learner, _placed)
RULES: dict[type[Data], tuple[Rule, ...]] = {
    events.AgreementProposed: (_registered, _programmes),
    events.AgreementSigned: (_subject,),
    events.AgreementRefused: (_subject,),
    events.AgreementEnded: (_subject,),
    events.ProgrammePublished: (_registered,),
    events.ProgrammeRevised: (_subject, _recommended),
    events.ProgrammeRevisionDeclined: (_subject, _recommended),
    events.ProgrammeRevisionPlanned: (_subject, _recommended),
    events.ProgrammeJoined: (_subject, _named_as_partner),
    events.ActivityHeld: (_registered,),
    events.LearnerEnrolled: (_programmes, _offers),
    events.LearnerGraduated: (_programmes, _own_learner, _enrolled),
    events.LearnerLeft: (_programmes, _own_learner, _enrolled),
    events.LearnerDescribed: _OF_LEARNER,
    events.LearnerErased: _OF_LEARNER,
    events.SupportRequested: _OF_LEARNER,
    events.SupportClosed: _OF_LEARNER,
    **dict.fromkeys(INTERNSHIP, _PLACEMENT),
    events.InternshipCompleted: (*_PLACEMENT, _plausible),
    events.EmploymentRecorded: _OF_ENTERPRISE_TOO,
    events.EmploymentEnded: (*_OF_ENTERPRISE_TOO, _recorded),
    events.AssessmentRecorded: _OF_ENTERPRISE_TOO,
    events.ApplicationSubmitted: (*_OF_LEARNER, _registered, _offer),
    events.ApplicationWithdrawn: (*_OF_LEARNER, _applied),
    events.ApplicationAccepted: (*_OF_LEARNER, _applied),
    events.ApplicationDeclined: (*_OF_LEARNER, _applied),
    events.OpportunityClosed: (_subject, _offered),
    events.FeedbackSubmitted: (_programmes, _asked),
    events.LearnerShared: (_shared_with,),
    events.RecognitionGranted: (_certified,),
    **dict.fromkeys(annulments.ANNULMENTS, (_said,)),
}
# What introduces something that is named by its subject: where the entity lists it, "" for the entity itself.
NAMED: dict[type[Data], str] = {
    events.LearnerEnrolled: "",
    events.ProgrammePublished: "",
    events.AgreementProposed: "",
    events.ActivityHeld: "",
    events.OpportunityPosted: "",
    events.SupportRequested: "support",
    events.ApplicationSubmitted: "applications",
    **dict.fromkeys(INTERNSHIP, "internships"),
}
# What only the sender's own word may be, whatever is checked besides.
OWN_WORD: dict[type[Data], tuple[Rule, ...]] = {
    **dict.fromkeys(INTERNSHIP, (_at_home,)),
    events.EmploymentRecorded: (_at_home, _own_employment),
    events.FeedbackSubmitted: (_at_home,),
    **dict.fromkeys(OF_SCOPES, (_own_scope,)),
}
