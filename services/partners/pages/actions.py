"""What members say on pages: each action is a form that becomes one event of the contract.

A new form is one entry here. Its fields, their rules and their words are the contract's.
"""

from typing import NamedTuple

from shared.contract.events import DATA, HOSTS, Data, Publisher
from shared.http.auth import Member, Role
from shared.http.visits import STAFF
from shared.pages.languages import N_

MENTORS = (*STAFF, Role.mentor)


class Action(NamedTuple):
    """A form.

    Attributes:
        event: the type of what it becomes, without `praktika.` and the version.
        at: the list that it belongs to, and where it leads back to.
        fields: in their order; those that the page which leads here has given are only shown.
        is_new: it introduces something, whose id is proposed.
        by: kinds of organisations, if not all that may publish the type.
        is_grave: it takes something away, and looks like it.
        sure: what must be ticked, for what cannot be undone.
    """

    title: str
    button: str
    event: str
    at: str
    fields: tuple[str, ...] = ()
    is_new: bool = False
    roles: tuple[Role, ...] = STAFF
    by: tuple[Publisher, ...] = ()
    hint: str = ""
    is_grave: bool = False
    sure: str = ""

    @property
    def full_type(self) -> str:
        return f"praktika.{self.event}.v1"

    @property
    def data(self) -> type[Data]:
        return DATA[self.full_type]

    def is_open_to(self, member: Member) -> bool:
        return member.role in self.roles and member.kind in (self.by or self.data.by)


ACTIONS: dict[str, Action] = {
    # the operator
    "register": Action(
        N_("Register an organisation"),
        N_("Register"),
        "organisation.registered",
        "organisations",
        ("subject", "kind", "name", "region", "sector", "sandbox"),
        hint=N_("Afterwards invite its first admin on its page."),
    ),
    "edit": Action(
        N_("Change the entry"),
        N_("Change"),
        "organisation.registered",
        "organisations",
        ("kind", "name", "region", "sector", "sandbox"),
    ),
    "suspend": Action(
        N_("Suspend"),
        N_("Suspend"),
        "organisation.suspended",
        "organisations",
        ("reason",),
        is_grave=True,
        hint=N_("Nobody of it can sign in, no system of it can send, until it is reinstated. It reads the reason."),
    ),
    "reinstate": Action(N_("Reinstate"), N_("Reinstate"), "organisation.reinstated", "organisations"),
    # agreements
    "propose": Action(
        N_("Propose an agreement"),
        N_("Propose and sign"),
        "agreement.proposed",
        "agreements",
        ("parties", "scope", "programmes", "valid_from", "valid_until"),
        is_new=True,
        hint=N_("You sign by proposing; it is in force once all others have signed, too."),
    ),
    "sign": Action(N_("Sign the agreement"), N_("Sign"), "agreement.signed", "agreements"),
    "refuse": Action(
        N_("Refuse the agreement"), N_("Refuse"), "agreement.refused", "agreements", ("reason",), is_grave=True
    ),
    "end": Action(
        N_("End the agreement"),
        N_("End it"),
        "agreement.ended",
        "agreements",
        ("reason",),
        is_grave=True,
        hint=N_("It ends for all parties, today."),
    ),
    # programmes
    "publish": Action(
        N_("Publish a programme"),
        N_("Publish"),
        "programme.published",
        "programmes",
        (
            *("subject", "title", "version", "level", "hours_theory", "hours_workplace"),
            *("competencies.competency", "joint_partners.organisation"),
        ),
        is_new=True,
    ),
    "revise": Action(
        N_("Taken up: which version"),
        N_("Send the answer"),
        "programme.revised",
        "programmes",
        ("recommendation", "version"),
        hint=N_("Publish the new version first, then name it here."),
    ),
    "plan": Action(
        N_("It will be taken up"),
        N_("Send the answer"),
        "programme.revision_planned",
        "programmes",
        ("recommendation", "until"),
    ),
    "decline": Action(
        N_("It is not taken up"),
        N_("Send the answer"),
        "programme.revision_declined",
        "programmes",
        ("recommendation", "reason"),
    ),
    "join": Action(N_("Confirm that we take part"), N_("Confirm"), "programme.joined", "programmes"),
    # learners
    "enrol": Action(
        N_("Enrol a learner"),
        N_("Enrol"),
        "learner.enrolled",
        "learners",
        ("subject", "programme", "cohort", "time"),
        is_new=True,
        hint=N_("Give a pseudonym, never a name or a number of the person's own. Many at once: upload a file."),
    ),
    "graduate": Action(
        N_("Record a graduation"), N_("Record"), "learner.graduated", "learners", ("programme", "graduated_on")
    ),
    "leave": Action(
        N_("Record that the learner left"), N_("Record"), "learner.left", "learners", ("programme", "left_on")
    ),
    "describe": Action(
        N_("Say which groups a learner belongs to"),
        N_("Record"),
        "learner.described",
        "learners",
        ("sex", "disability", "rural", "first_in_family"),
        hint=N_(
            "For figures on equity, which hide groups of under five. Nobody else is told, not even other institutions "
            "of the learner. What you leave out is unknown; leave out everything to take back what you have said."
        ),
    ),
    "share": Action(
        N_("Share with another institution"),
        N_("Share"),
        "learner.shared",
        "learners",
        ("institution",),
        hint=N_("It may then enrol this learner, too."),
    ),
    "erase": Action(
        N_("Erase the learner"),
        N_("Erase for good"),
        "learner.erased",
        "learners",
        ("reason",),
        is_grave=True,
        hint=N_(
            "All that is known of the learner goes, in all services and all figures, once every institution of the "
            "learner has asked for it. Nothing brings it back."
        ),
        sure=N_("Yes, erase this learner everywhere and for good"),
    ),
    "assess": Action(
        N_("Record an assessment"),
        N_("Record"),
        "assessment.recorded",
        "learners",
        ("partitionkey", "competency", "method", "score", "assessor", "time"),
        is_new=True,
        roles=MENTORS,
        hint=N_("A certificate follows by itself once its scheme is met. Many at once: upload a file."),
    ),
    "status": Action(
        N_("Record what a graduate does"),
        N_("Record"),
        "employment.recorded",
        "learners",
        (
            *("partitionkey", "status", "since", "enterprise", "contract", "full_time", "related_to_field"),
            *("hours_per_week", "occupation", "pay_band", "basis", "detail", "study_level", "time"),
        ),
        is_new=True,
        hint=N_("What you do not know you leave out: it then counts as unknown, never as no."),
    ),
    "status_end": Action(
        N_("Record the end of a job"), N_("Record"), "employment.ended", "learners", ("partitionkey", "ended_on")
    ),
    "apply": Action(
        N_("Pass on an application"),
        N_("Pass on"),
        "application.submitted",
        "learners",
        ("partitionkey", "enterprise", "opportunity", "time"),
        is_new=True,
    ),
    "support": Action(
        N_("Open a support case"), N_("Open"), "support.requested", "learners", ("partitionkey", "need"), is_new=True
    ),
    "support_end": Action(
        N_("Close a support case"), N_("Close"), "support.closed", "learners", ("partitionkey", "outcome")
    ),
    # placements
    "start": Action(
        N_("Start a placement"),
        N_("Start"),
        "internship.started",
        "placements",
        ("partitionkey", "programme", "enterprise", "agreement", "time"),
        is_new=True,
        roles=MENTORS,
    ),
    "complete": Action(
        N_("Confirm a completed placement"),
        N_("Confirm"),
        "internship.completed",
        "placements",
        ("partitionkey", "programme", "enterprise", "time", "hours", "outcome", "competencies"),
        roles=MENTORS,
    ),
    "cancel": Action(
        N_("Cancel a placement"),
        N_("Cancel it"),
        "internship.cancelled",
        "placements",
        ("partitionkey", "programme", "enterprise", "reason"),
        roles=MENTORS,
        is_grave=True,
    ),
    # feedback
    "answer": Action(
        N_("Give feedback"),
        N_("Send"),
        "feedback.submitted",
        "requests",
        ("request", "role", "programme", "internship", "enterprise", "overall", "relevance", "competencies.*"),
        is_new=True,
        roles=MENTORS,
        hint=N_("1 is the worst, 5 the best. What you cannot judge you leave out."),
    ),
    # activities
    "hold": Action(
        N_("Record an activity"),
        N_("Record"),
        "activity.held",
        "activities",
        ("kind", "time", "hours", "participants", "organisations", "competencies"),
        is_new=True,
    ),
    # what enterprises offer, need and recognise
    "offer": Action(
        N_("Post an opportunity"),
        N_("Post"),
        "opportunity.posted",
        "opportunities",
        ("kind", "title", "places", "competencies", "closes_on"),
        is_new=True,
    ),
    "close": Action(N_("Close the opportunity"), N_("Close"), "opportunity.closed", "opportunities", ("filled",)),
    "accept": Action(
        N_("Accept the application"), N_("Accept"), "application.accepted", "applications", ("partitionkey",)
    ),
    "turn_down": Action(
        N_("Decline the application"), N_("Decline"), "application.declined", "applications", ("partitionkey",)
    ),
    "demand": Action(
        N_("Report demand"),
        N_("Report"),
        "demand.reported",
        "work",
        ("competency", "places", "horizon", "research"),
        is_new=True,
        by=(*HOSTS, Publisher.operator),
        hint=N_("How many people with a competency you will need, until when, and how you know."),
    ),
    "recognise": Action(
        N_("Recognise a competency"),
        N_("Recognise"),
        "recognition.granted",
        "work",
        ("competency", "since"),
        is_new=True,
        hint=N_("You say that you take certificates in it for good when you hire."),
    ),
}


def new_actions(member: Member, at: str) -> list[tuple[str, Action]]:
    """The actions of a list that begin something new, if the member may."""
    return [(n, a) for n, a in ACTIONS.items() if a.at == at and (a.is_new or n == "register") and a.is_open_to(member)]
