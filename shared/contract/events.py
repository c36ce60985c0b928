"""The contract: every event that Praktika knows, and nothing else.

An event is a CloudEvent 1.0 in JSON. Its type is `praktika.<subject>.<past participle>.v1` and follows from the
class name (`InternshipCompleted`); its class says on which topic it lives, who may publish it and under which key.
"""

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID, uuid5

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaValidator, to_json

from shared.contract.text import Message
from shared.contract.wording import wording

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
LONGEST_ID = 100
_ID = r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}"
COMPETENCY = r"^[a-z][a-z0-9-]{0,29}:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
FRAMEWORK = r"^[a-z][a-z0-9-]{0,29}$"
_OCCUPATION = r"^(isco:[0-9]{1,4}|esco:[0-9]{1,4}(\.[0-9]{1,3}){0,6})$"
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+$"
_MONTH = r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$"
_QUARTER = r"^\d{4}Q[1-4]$"
_ADDRESS = r"^/certificates/"
DID_WEB = r"^did:web:[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(%3A[0-9]{1,5})?(:[A-Za-z0-9._~-]{1,100}){0,9}$"
_ID_IS = "1-100 Latin letters, digits and . _ : ~ - of which the first is a letter or a digit."
Id = Annotated[str, StringConstraints(pattern=f"^{_ID}$"), Field(description=_ID_IS)]
LearnerId = Annotated[Id, Field(description="Pseudonym given by the learner's institution; never a name.")]
OrganisationId = Annotated[Id, Field(description="As registered by the operator.")]
CompetencyId = Annotated[
    str,
    StringConstraints(pattern=COMPETENCY),
    Field(description="<framework>:<item>, for example greencomp:3.1"),
]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, pattern=_TEXT),
    Field(description="1-500 characters without control characters; no personal data."),
]
Did = Annotated[
    str,
    StringConstraints(max_length=500, pattern=DID_WEB),
    Field(description="The DID of a domain: did:web:north-college.example."),
]
Words = Annotated[
    dict[Literal["en", "ru"], Text],
    Field(min_length=1, description="In each language; a missing one is shown in another."),
]
Month = Annotated[str, StringConstraints(pattern=_MONTH), Field(description="YYYY-MM")]
Day = Annotated[date, Field(ge=date(1950, 1, 1), le=date(2199, 12, 31))]
Level = Annotated[int, Field(ge=1, le=8, description="Level of the European Qualifications Framework.")]
Rating = Annotated[int, Field(ge=1, le=5, description="1 (worst) to 5 (best); 4 and 5 count as satisfied.")]
Hours = Annotated[
    float,
    Field(ge=0, le=10_000, multiple_of=0.01),
    WithJsonSchema(  # a multipleOf of 0.01 is refused by validators that divide binary fractions
        {
            "type": "number",
            "minimum": 0,
            "maximum": 10_000,
            "x-decimals": 2,
            "description": "Hours, to a hundredth: 7.33.",
        }
    ),
]
Occupation = Annotated[
    str,
    StringConstraints(pattern=_OCCUPATION),
    Field(description="Occupation by ISCO-08 or ESCO: isco:7212. The first digit is the major group."),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_TEXT)]
Evidence = Annotated[
    str, StringConstraints(pattern=f"^{_ID}/{_ID}$"), Field(description="<organisation>/<its assessment>")
]
EventId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
Source = Annotated[str, StringConstraints(pattern=f"^/(organisations|services)/{_ID}$")]


class OrganisationKind(StrEnum):
    institution = "institution"
    enterprise = "enterprise"
    research_centre = "research_centre"


class Publisher(StrEnum):
    """Who an event may come from; stamped on it by the ingress as `sourcekind`, from the credential."""

    operator = "operator"
    institution = "institution"
    enterprise = "enterprise"
    research_centre = "research_centre"
    service = "service"


OPERATOR = (Publisher.operator,)
INSTITUTION = (Publisher.institution,)
HOSTS = (Publisher.enterprise, Publisher.research_centre)  # where people are trained and hired
SERVICE = (Publisher.service,)
PARTNERS = (Publisher.institution, Publisher.enterprise, Publisher.research_centre)
INSTITUTION_OR_OPERATOR = (Publisher.institution, Publisher.operator)
PARTNERS_OR_OPERATOR = (*PARTNERS, Publisher.operator)


class Data(BaseModel):
    """What an event says. `key` is what its order is kept by: its subject, a learner, or a field of the data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: ClassVar[str]
    by: ClassVar[tuple[Publisher, ...]]
    key: ClassVar[str]
    short_type: ClassVar[str]

    def __init_subclass__(cls, topic: str, by: tuple[Publisher, ...], key: str = "subject") -> None:
        subject, *verb = re.findall(r"[A-Z][a-z]+", cls.__name__)
        cls.topic, cls.by, cls.key = topic, by, key
        cls.short_type = f"{subject}.{'_'.join(verb)}".lower()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Annulled(BaseModel):
    """An event was a mistake. It counts nowhere, and neither does what it replaced; only a later one does again."""

    event: EventId = Field(description="The id of the event that is taken back.")
    organisation: OrganisationId | None = Field(None, description="Whose event; only the operator names it.")
    reason: Text


# organisation


class OrganisationRegistered(Data, topic="organisation", by=OPERATOR):
    """The operator admitted an organisation, or changed its entry."""

    kind: OrganisationKind
    name: Text
    region: Id
    sector: Id | None = Field(None, description="Code of the economic sector, for example NACE C25.")
    sandbox: Literal[True] | None = Field(
        None, description="It tries things out: its events are answered like any others and reach no indicator."
    )


class OrganisationSuspended(Data, topic="organisation", by=OPERATOR):
    """The organisation may not publish until it is reinstated."""

    reason: Text


class OrganisationReinstated(Data, topic="organisation", by=OPERATOR):
    """A suspended organisation may publish again."""


class CredentialWithdrawn(Data, topic="organisation", by=OPERATOR, key="organisation"):
    """A credential of the organisation is withdrawn: tokens that it was given for count no more."""

    organisation: OrganisationId
    credential: Id


class IssuerDeclared(Data, topic="organisation", by=SERVICE):
    """The organisation issues credentials by a DID of its own domain from now on; left out: by the network's again.

    Published by the certification service in the organisation's name, because it has looked what is at the domain.
    """

    did: Did | None = None
    own_key: Literal[True] | None = Field(
        None, description="It signs endorsements itself, with a key of its own; left out: Praktika does, in its name."
    )


# agreement


class AgreementProposed(Data, topic="agreement", by=PARTNERS):
    """A party proposes an agreement and thereby signs it; it is in force once every other party has signed."""

    parties: list[OrganisationId] = Field(min_length=2, max_length=50)
    scope: Text
    programmes: list[Id] = Field([], max_length=200, description="Programmes covered; none: all of the parties.")
    valid_from: Day
    valid_until: Day | None = None


class AgreementSigned(Data, topic="agreement", by=PARTNERS):
    """The publishing party signed."""


class AgreementRefused(Data, topic="agreement", by=PARTNERS):
    """The publishing party refused."""

    reason: Text


class AgreementEnded(Data, topic="agreement", by=PARTNERS):
    """The publishing party ended the agreement, from the event's time on."""

    reason: Text


# programme


class ProgrammeCompetency(_Part):
    competency: CompetencyId
    level: Level


class JointPartner(_Part):
    organisation: OrganisationId
    kind: OrganisationKind


class ProgrammePublished(Data, topic="programme", by=INSTITUTION):
    """A programme, or a new version of it, is offered."""

    title: Text
    version: Id
    level: Level
    competencies: list[ProgrammeCompetency] = Field([], max_length=200)
    hours_theory: Hours | None = None
    hours_workplace: Hours | None = None
    joint_partners: list[JointPartner] = Field([], max_length=50)


class ProgrammeRevisionRecommended(Data, topic="programme", by=SERVICE):
    """Feedback shows a gap: too few ratings of a competency are 4 or 5."""

    recommendation: Id
    competency: CompetencyId
    window: str = Field(pattern=_QUARTER, description="Calendar quarter (UTC) of the ratings.")
    ratings: int = Field(ge=1, description="n: ratings of the competency in the window.")
    satisfied: int = Field(ge=0, description="How many of them are 4 or 5.")
    threshold: float = Field(ge=0, le=1, description="Share of 4 and 5 below which a revision is recommended.")


class GapGround(StrEnum):
    wishes = "wishes"
    demand = "demand"
    fall = "fall"


class ProgrammeGapFound(Data, topic="programme", by=SERVICE):
    """A programme lacks what employers wish or demand, or its learners fell back in a sustainability competency.

    It is answered like a recommended revision: revised, declined or planned.
    """

    recommendation: Id = Field(description="What an answer names.")
    competency: CompetencyId
    window: str = Field(pattern=_QUARTER, description="Calendar quarter (UTC) of the ratings, or when it was found.")
    ground: GapGround
    employers: int | None = Field(
        None, ge=1, description="wishes: how many of them rated a competency below 4 that the programme does not name."
    )
    places: int | None = Field(
        None, ge=1, description="demand: places demanded, while no institution of the region has a scheme for it."
    )
    vacancies: int | None = Field(
        None, ge=1, description="demand: open vacancies of the region, while none of its institutions has a scheme."
    )
    ratings: int | None = Field(None, ge=1, description="fall: ratings in the window.")
    satisfied: int | None = Field(None, ge=0, description="fall: how many of them are 4 or 5.")
    ratings_before: int | None = Field(None, ge=1, description="fall: ratings in the window before.")
    satisfied_before: int | None = Field(None, ge=0, description="fall: how many of those are 4 or 5.")


class ProgrammeDemandLapsed(Data, topic="programme", by=SERVICE):
    """A competency of a programme is certified in its region, and nothing has demanded it there for long.

    It is answered like a recommended revision: revised, declined or planned.
    """

    recommendation: Id = Field(description="What an answer names.")
    competency: CompetencyId
    window: str = Field(pattern=_QUARTER, description="Calendar quarter (UTC) in which it was found.")
    demanded_until: Day | None = Field(
        None, description="The last day on which a vacancy or a report demanded it; none: never, as far as is known."
    )
    observed_since: Day = Field(description="The first day of which the region's vacancies are known.")


class ProgrammeRevisionWithdrawn(Data, topic="programme", by=OPERATOR):
    """The operator withdrew a recommendation, for good: the feedback that called for it did not hold."""

    recommendation: Id
    reason: Text


class ProgrammeRevised(Data, topic="programme", by=INSTITUTION):
    """The institution answered a recommendation with a new version."""

    recommendation: Id
    version: Id


class ProgrammeRevisionDeclined(Data, topic="programme", by=INSTITUTION):
    """The institution answered a recommendation with a reason not to revise."""

    recommendation: Id
    reason: Text


class ProgrammeRevisionPlanned(Data, topic="programme", by=INSTITUTION):
    """The institution will answer a recommendation with a new version, and says until when."""

    recommendation: Id
    until: Day


class ProgrammeJoined(Data, topic="programme", by=PARTNERS):
    """A joint partner that the programme names confirms that it takes part."""


class ProgrammeAnnulled(_Annulled, Data, topic="programme", by=PARTNERS_OR_OPERATOR):
    """A version, an answer to a recommendation, or a joint partner's confirmation was entered by mistake."""


# activity


class ActivityKind(StrEnum):
    workshop = "workshop"
    master_class = "master_class"
    guest_lecture = "guest_lecture"
    project_assignment = "project_assignment"
    joint_research = "joint_research"
    teacher_upskilling = "teacher_upskilling"


Participants = Annotated[int, Field(ge=0, le=100_000)]


class ActivityHeld(Data, topic="activity", by=PARTNERS):
    """The publishing organisation held an activity, alone or with others."""

    kind: ActivityKind
    organisations: list[OrganisationId] = Field([], max_length=50, description="Who took part besides the organiser.")
    hours: Hours
    participants: Participants
    participants_of: dict[OrganisationId, Participants] = Field(
        {}, max_length=50, description="How many came from which organisation, where that is known."
    )
    competencies: list[CompetencyId] = Field([], max_length=200)


class ActivityAnnulled(_Annulled, Data, topic="activity", by=PARTNERS_OR_OPERATOR):
    """An activity was entered by mistake."""


# learner: everything about one learner, keyed by the learner


class LearnerEnrolled(Data, topic="learner", by=INSTITUTION):
    """A learner began a programme."""

    programme: Id
    cohort: Month | None = Field(None, description="Month in which graduation is expected.")


class LearnerGraduated(Data, topic="learner", by=INSTITUTION):
    """A learner finished a programme; the month is the cohort."""

    programme: Id
    graduated_on: Day


class LearnerLeft(Data, topic="learner", by=INSTITUTION):
    """A learner left a programme without finishing it. Who returns is enrolled again."""

    programme: Id
    left_on: Day


class Sex(StrEnum):
    female = "female"
    male = "male"


class LearnerDescribed(Data, topic="learner", by=INSTITUTION):
    """Groups that a learner belongs to, for figures on equity. The newest description counts, as a whole.

    Each field may be left out: that is not known or not said. A description without any takes back the earlier ones.
    """

    sex: Sex | None = None
    disability: bool | None = Field(None, description="Has the learner a disability, as the country's law defines it?")
    rural: bool | None = Field(None, description="Is the learner's home in a rural area?")
    first_in_family: bool | None = Field(None, description="Has neither parent completed education at this level?")


class LearnerAnnulled(_Annulled, Data, topic="learner", by=INSTITUTION_OR_OPERATOR):
    """An enrolment, graduation, leaving, description or consent was entered by mistake."""


class FollowupOpened(Data, topic="learner", by=SERVICE, key="learner"):
    """So many months have passed since a graduation: the graduate is asked, and the employer if one is known."""

    programme: Id
    months: int = Field(ge=1, le=120)
    institution: OrganisationId = Field(description="Who told the graduation, and passes the graduate's answer on.")
    enterprise: OrganisationId | None = Field(None, description="Where the graduate works, as far as was known then.")
    due: Day


class LearnerShared(Data, topic="learner", by=INSTITUTION):
    """An institution of the learner consents to another one that may enrol the learner, too."""

    institution: OrganisationId


class LearnerErased(Data, topic="learner", by=INSTITUTION_OR_OPERATOR):
    """Forget the learner everywhere, for good; nothing before or after this brings the learner back.

    It takes effect once every institution that enrolled the learner has said so, or the operator.
    """

    reason: Text | None = Field(None, description="Why the operator erases; an institution may leave it out.")


class InternshipStarted(Data, topic="learner", by=PARTNERS, key="learner"):
    """A learner began an internship at an enterprise."""

    enterprise: OrganisationId
    programme: Id
    agreement: Id | None = None


class InternshipOutcome(StrEnum):
    passed = "passed"
    failed = "failed"


class InternshipCompleted(Data, topic="learner", by=PARTNERS, key="learner"):
    """An internship ended as planned; the enterprise's word on the outcome is its validation."""

    enterprise: OrganisationId
    programme: Id
    hours: Hours
    competencies: list[CompetencyId] = Field([], max_length=200, description="Competencies practised.")
    outcome: InternshipOutcome


class InternshipCancelled(Data, topic="learner", by=PARTNERS, key="learner"):
    """An internship did not take place or was broken off."""

    enterprise: OrganisationId
    programme: Id
    reason: Text


class InternshipAnnulled(_Annulled, Data, topic="learner", by=PARTNERS_OR_OPERATOR, key="learner"):
    """An internship, or its end, was entered by mistake."""


class EmploymentStatus(StrEnum):
    employed = "employed"
    self_employed = "self_employed"
    studying = "studying"
    seeking = "seeking"
    other = "other"


class Contract(StrEnum):
    permanent = "permanent"
    fixed_term = "fixed_term"
    agency = "agency"
    apprenticeship = "apprenticeship"
    other = "other"


class Basis(StrEnum):
    register = "register"
    employer = "employer"
    survey = "survey"


class EmploymentDetail(StrEnum):
    military_service = "military_service"
    parental_leave = "parental_leave"
    illness = "illness"


class PayBand(StrEnum):
    low = "low"
    lower_middle = "lower_middle"
    upper_middle = "upper_middle"
    high = "high"


class EmploymentRecorded(Data, topic="learner", by=(*PARTNERS, Publisher.service), key="learner"):
    """What a learner was doing at the event's time. What is left out is unknown, never zero.

    What a graduate answers by a one-time link is published by the feedback service in the institution's name.
    """

    status: EmploymentStatus
    since: Day | None = Field(None, description="First day of this status, if known.")
    basis: Basis | None = Field(
        None,
        description="Where it is known from. What a register or the employer says holds until it is ended, what a "
        "survey says for 6 months. Left out: an enterprise speaks as employer, an institution of a survey.",
    )
    contract: Contract | None = Field(None, description="Permanent includes civil servants; only if employed.")
    full_time: bool | None = None
    related_to_field: bool | None = Field(None, description="Does the work match the field of study?")
    enterprise: OrganisationId | None = None
    hours_per_week: float | None = Field(
        None, ge=0, le=168, description="Usual hours a week: of two jobs, the one with more is the main job."
    )
    occupation: Occupation | None = None
    pay_band: PayBand | None = Field(
        None,
        description="Of the region's median pay: low is under two thirds of it, lower_middle up to it, upper_middle "
        "up to one and a half times, high above that.",
    )
    detail: EmploymentDetail | None = Field(None, description="What the status `other` is, if it is one of these.")
    study_level: Level | None = Field(
        None, description="Level of the European Qualifications Framework of what is studied."
    )


class EmploymentEnded(Data, topic="learner", by=PARTNERS, key="learner"):
    """A job or another status ended; the subject is the record of employment that it ends, of the same publisher."""

    ended_on: Day = Field(description="Its last day.")


class EmploymentAnnulled(_Annulled, Data, topic="learner", by=PARTNERS_OR_OPERATOR, key="learner"):
    """A record of employment, or its end, was entered by mistake."""


class ApplicationSubmitted(Data, topic="learner", by=INSTITUTION, key="learner"):
    """A learner or graduate applies for work or practice; the institution passes it on. The subject is the application.

    Papers and names take other ways. Once the enterprise has accepted, it may report that it hired the applicant.
    """

    enterprise: OrganisationId
    opportunity: Id | None = Field(None, description="The offer that it answers.")


class ApplicationWithdrawn(Data, topic="learner", by=INSTITUTION, key="learner"):
    """The applicant no longer wants it, or it was entered by mistake."""

    enterprise: OrganisationId


class ApplicationAccepted(Data, topic="learner", by=HOSTS, key="learner"):
    """The enterprise takes the applicant."""


class ApplicationDeclined(Data, topic="learner", by=HOSTS, key="learner"):
    """The enterprise does not take the applicant."""


class SupportNeed(StrEnum):
    job = "job"
    internship = "internship"
    training = "training"
    counselling = "counselling"
    other = "other"


class SupportRequested(Data, topic="learner", by=INSTITUTION, key="learner"):
    """A support case on the way to a job was opened."""

    need: SupportNeed


class SupportOutcome(StrEnum):
    hired = "hired"
    internship = "internship"
    training = "training"
    withdrawn = "withdrawn"
    other = "other"


class SupportClosed(Data, topic="learner", by=INSTITUTION, key="learner"):
    """A support case was closed."""

    outcome: SupportOutcome


class SupportAnnulled(_Annulled, Data, topic="learner", by=INSTITUTION_OR_OPERATOR, key="learner"):
    """A support case, or its end, was entered by mistake."""


class AssessmentMethod(StrEnum):
    exam = "exam"
    test = "test"
    portfolio = "portfolio"
    workplace_demonstration = "workplace_demonstration"
    simulation = "simulation"
    project_defence = "project_defence"
    review_360 = "review_360"


class AssessmentRecorded(Data, topic="learner", by=PARTNERS, key="learner"):
    """A competency of a learner was assessed by the publishing organisation."""

    competency: CompetencyId
    method: AssessmentMethod
    score: float = Field(ge=0, le=1, description="0 (nothing) to 1 (everything).")
    assessor: Id | None = Field(
        None, description="A code for the person who assessed, where a scheme asks for several; never a name."
    )


class AssessmentAnnulled(_Annulled, Data, topic="learner", by=PARTNERS_OR_OPERATOR, key="learner"):
    """An assessment was entered by mistake; a certificate that needs it is revoked."""


class CompetencyCertified(Data, topic="learner", by=SERVICE, key="learner"):
    """A learner met a scheme; the subject is the certificate."""

    competency: CompetencyId
    level: Level
    scheme: Id
    institution: OrganisationId = Field(description="Who issued the scheme.")
    evidence: list[Evidence] = Field(min_length=1, max_length=50, description="The assessments that met the scheme.")
    address: str = Field(pattern=_ADDRESS, max_length=200, description="Path of the public page.")
    valid_until: Day | None = Field(None, description="The last day on which it is valid; left out: for good.")


class CertificateExpiring(Data, topic="learner", by=SERVICE, key="learner"):
    """A certificate is soon no longer valid, and has not been renewed: a new assessment renews it."""

    competency: CompetencyId
    scheme: Id
    institution: OrganisationId
    valid_until: Day


class CompetencyRevoked(Data, topic="learner", by=SERVICE, key="learner"):
    """A certificate is no longer valid; the subject is the certificate."""

    reason: Text


IssuedText = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=_TEXT)]


class IssuedEvidence(_Part):
    method: AssessmentMethod
    assessor: OrganisationId
    name: Text
    day: Day
    method_title: IssuedText | None = Field(None, description="How the method is called in the credential.")
    narrative: IssuedText | None = Field(None, description="What the credential says about the assessment.")


class CertificateIssued(Data, topic="learner", by=SERVICE, key="learner"):
    """A certificate got its credential: what is said in it besides the certificate, for good. The first word counts."""

    # Its time is when the number was drawn. Earlier versions said no language, address and texts: these are as set now.

    institution: OrganisationId
    name: Text = Field(description="How the institution was called when it was issued.")
    number: int = Field(ge=0, le=2**40, description="Of the credential among those of its institution, from 0.")
    evidence: list[IssuedEvidence] = Field(max_length=50, description="The assessments, as they were then.")
    title: Words = Field(description="How the competency was called.")
    framework_title: Words | None = Field(None, description="How its framework was called.")
    target: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s]+$")] | None = Field(
        None, description="Where the framework has the competency."
    )
    language: Literal["en", "ru"] | None = Field(None, description="In which the credential is.")
    public: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s]+$")] | None = Field(
        None, description="The address of certification, with which those in the credential begin."
    )
    description: IssuedText | None = Field(None, description="How the credential describes the competency.")
    criteria: IssuedText | None = Field(None, description="What the credential says about how it was assessed.")
    level_title: IssuedText | None = Field(None, description="How the credential calls the level.")
    issuer: Did | None = Field(None, description="The institution's own DID that issued it; left out: the network's.")


class CertificateCollected(Data, topic="learner", by=SERVICE, key="learner"):
    """The learner took the credential of a certificate by the institution's link. The first time counts."""


class CertificateHidden(Data, topic="learner", by=SERVICE, key="learner"):
    """The learner no longer shows a certificate in public; its credential stays as valid as it was."""


class CertificateShown(Data, topic="learner", by=SERVICE, key="learner"):
    """The learner shows a certificate in public again, as it is while nothing was said."""


class LearnerErasureRequested(Data, topic="learner", by=SERVICE):
    """The learner asks an institution to be erased; whether and when is the institution's deed (`learner.erased`)."""

    institution: OrganisationId = Field(description="By whose link the learner asks.")


# opportunity


class OpportunityKind(StrEnum):
    internship = "internship"
    vacancy = "vacancy"


class OpportunityPosted(Data, topic="opportunity", by=HOSTS):
    """An enterprise or research centre offers places."""

    kind: OpportunityKind
    title: Text
    places: int = Field(ge=1, le=100_000)
    competencies: list[CompetencyId] = Field([], max_length=200)
    closes_on: Day | None = None


class OpportunityClosed(Data, topic="opportunity", by=HOSTS):
    """The places are no longer offered."""

    filled: int = Field(ge=0, le=100_000, description="How many places were filled.")


# feedback


class FeedbackRole(StrEnum):
    enterprise = "enterprise"
    learner = "learner"
    graduate = "graduate"
    mentor = "mentor"


class FeedbackRequested(Data, topic="feedback", by=SERVICE):
    """Someone is asked, after an internship or some months after graduation; the subject is the request."""

    role: FeedbackRole
    respondent: Id = Field(description="An organisation, or the learner's pseudonym.")
    learner: LearnerId
    institution: OrganisationId | None = Field(
        None, description="Who enrolled the learner in the programme: it passes the learner's answer on."
    )
    internship: Id | None = None
    enterprise: OrganisationId | None = None
    programme: Id
    competencies: list[CompetencyId] = Field([], max_length=200)
    due: Day
    months: int | None = Field(None, ge=1, le=120, description="After graduation; left out: after an internship.")


class FeedbackReminded(Data, topic="feedback", by=SERVICE):
    """Who was asked has not answered yet; the subject is the request."""

    role: FeedbackRole
    respondent: Id = Field(description="An organisation, or the learner's pseudonym.")
    learner: LearnerId
    programme: Id
    number: int = Field(ge=1, le=9, description="1 is the first reminder.")
    due: Day


class FeedbackExpired(Data, topic="feedback", by=SERVICE):
    """Nobody answered until the request was due: its one-time link is closed. The subject is the request."""

    role: FeedbackRole
    respondent: Id = Field(description="An organisation, or the learner's pseudonym.")
    learner: LearnerId
    programme: Id


class FeedbackSubmitted(Data, topic="feedback", by=(*PARTNERS, Publisher.service), key="request"):
    """Feedback was given; a later one of the same request and role corrects the earlier.

    What is answered by a one-time link is published by the feedback service, in the name of the institution that
    passes it on.
    """

    request: Id | None = Field(None, description="The request that this answers.")
    role: FeedbackRole
    programme: Id | None = None
    internship: Id | None = None
    enterprise: OrganisationId | None = None
    overall: Rating
    relevance: Rating | None = Field(None, description="How relevant the training was for the work.")
    competencies: dict[CompetencyId, Rating] = Field({}, max_length=200)
    questionnaire: int | None = Field(None, ge=1, description="Version of the role's questionnaire that was answered.")
    choices: dict[Id, Annotated[list[Id], Field(max_length=30)]] | None = Field(
        None, max_length=50, description="What was chosen, by question; both as the questionnaire names them."
    )
    numbers: dict[Id, float] | None = Field(None, max_length=50, description="Numbers, by question.")


class QuestionKind(StrEnum):
    overall = "overall"
    relevance = "relevance"
    competencies = "competencies"
    choice = "choice"
    choices = "choices"
    number = "number"
    employment = "employment"
    text = "text"


class QuestionChoice(_Part):
    id: Id
    words: Words


class Question(_Part):
    """A question.

    `overall` and `relevance` are rated 1 to 5; `competencies` asks for a rating of each competency that was practised,
    or that the programme names; `employment` asks what a graduate is doing; what is written under `text` stays in the
    feedback service.
    """

    id: Id
    kind: QuestionKind
    words: Words
    required: bool = False
    choices: list[QuestionChoice] = Field([], max_length=30, description="choice, choices: what may be chosen.")
    least: float | None = Field(None, ge=-1e9, le=1e9, description="number: the least that is taken.")
    most: float | None = Field(None, ge=-1e9, le=1e9, description="number: the most that is taken.")


class QuestionnairePublished(Data, topic="feedback", by=OPERATOR):
    """What those are asked who answer in a role, which is the subject; the version that was published last is used."""

    version: int = Field(ge=1, le=10_000)
    questions: list[Question] = Field(min_length=1, max_length=30)


class FeedbackWithdrawn(Data, topic="feedback", by=OPERATOR):
    """The operator annulled a submission, for good; the subject is its request, or the submission itself."""

    organisation: OrganisationId = Field(description="Who submitted it.")
    submission: Id = Field(description="The subject of what was submitted.")
    reason: Text


class FeedbackCancelled(Data, topic="feedback", by=SERVICE):
    """A request is withdrawn with its answers: what it asks about did not take place, or was entered by mistake."""

    role: FeedbackRole
    respondent: Id = Field(description="An organisation, or the learner's pseudonym.")
    learner: LearnerId
    programme: Id


class FeedbackErased(Data, topic="feedback", by=SERVICE):
    """The learner of this request was erased: forget the request and its answers."""


# demand, recognition, scheme, indicator


class DemandReported(Data, topic="demand", by=PARTNERS_OR_OPERATOR, key="competency"):
    """Labour-market research: so many places for a competency until the horizon. The subject is the report."""

    competency: CompetencyId
    places: int = Field(ge=0, le=10_000_000)
    horizon: Day = Field(description="Last day that the demand is meant for.")
    research: Text = Field(description="Where the figure comes from.")
    of: Id | None = Field(
        None,
        description="Whose demand it is: an enterprise or a region, by id. Of several reports on one demand whose "
        "times overlap the newest counts. Left out: the publisher's own, each report apart.",
    )


class DemandAnnulled(_Annulled, Data, topic="demand", by=PARTNERS_OR_OPERATOR, key="competency"):
    """A report was entered by mistake."""

    competency: CompetencyId


# the labour market: vacancies of job portals, and what their skills mean here

Skill = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=_TEXT),
    Field(description="A skill as a vacancy writes it: 1-100 characters without control characters."),
]


class VacancyObserved(Data, topic="demand", by=OPERATOR):
    """A portal offers a vacancy, or offers it again or changed. The subject is <portal>:<its id there>."""

    portal: Id = Field(description="Name of the portal, as the operator calls it: hh.")
    title: Text
    area: Text | None = Field(None, description="Where the vacancy is, as the portal writes it.")
    region: Id | None = Field(None, description="The network's region; left out: none is known for the area.")
    skills: list[Skill] = Field([], max_length=100, description="As the portal writes them.")
    published_on: Day | None = None
    enterprise: OrganisationId | None = Field(None, description="The network's member that offers it, if it is one.")


class VacancyClosed(Data, topic="demand", by=OPERATOR):
    """A portal no longer offers a vacancy: it is no demand any more, unless it is observed later."""

    closed_on: Day


class SkillMapped(Data, topic="demand", by=OPERATOR):
    """A person decided which competency a skill of vacancies is. The subject is `skill:` and a hash of its spelling."""

    skill: Skill
    competency: CompetencyId | None = Field(None, description="Left out: it is none of the network's competencies.")
    decided_by: Id | None = Field(None, description="Opaque id of the person who decided; never a name.")


class RecognitionGranted(Data, topic="recognition", by=HOSTS, key="competency"):
    """The publishing enterprise recognises a competency's certificates, or one of them."""

    competency: CompetencyId
    certificate: Id | None = None
    since: Day


class RecognitionWithdrawn(Data, topic="recognition", by=HOSTS, key="competency"):
    """The publishing enterprise no longer recognises it."""

    competency: CompetencyId
    certificate: Id | None = None
    reason: Text


class SchemeMethod(_Part):
    method: AssessmentMethod
    least_score: float | None = Field(None, ge=0, le=1, description="Instead of the scheme's.")
    assessors: int | None = Field(
        None, ge=2, le=7, description="How many have to assess, each with at least the score needed."
    )


class SchemePublished(Data, topic="scheme", by=SERVICE):
    """The rule by which an institution certifies its learners in a competency; a newer one replaces it.

    Published by the certification service in the institution's name, because it knows whose a scheme is.
    """

    competency: CompetencyId
    level: Level
    methods: list[AssessmentMethod] = Field(min_length=1, max_length=7, description="Each is needed.")
    least_score: float = Field(ge=0, le=1)
    enterprise_required: bool = Field(description="Must one of the assessments come from an enterprise?")
    by_method: list[SchemeMethod] | None = Field(
        None, max_length=7, description="What is asked for of some methods besides."
    )
    valid_months: int | None = Field(
        None, ge=1, le=120, description="How long a certificate is valid, until a new assessment renews it."
    )


# framework


FrameworkId = Annotated[
    str,
    StringConstraints(pattern=FRAMEWORK),
    Field(description="What the ids of its competencies begin with: esco. Small letters, digits and hyphens."),
]


class FrameworkItemDefined(Data, topic="framework", by=OPERATOR, key="framework"):
    """A version of a competency framework has this item; the subject is the competency.

    It holds once the version is published. Items share the framework's key, so they are read before that.
    """

    framework: FrameworkId
    version: Id
    name: Words
    alternative: dict[Literal["en", "ru"], Annotated[list[Label], Field(max_length=200)]] = Field(
        {}, description="Alternative labels: what else it is called."
    )
    area: Words | None = Field(None, description="What groups it, in each language.")
    broader: list[CompetencyId] = Field([], max_length=50, description="The items that it is a part of.")
    uri: Annotated[str, StringConstraints(max_length=500, pattern=_PRINTABLE)] | None = None
    sustainability: Literal[True] | None = Field(
        None, description="The item is a sustainability competency; left out: only if the whole framework is one."
    )


class FrameworkPublished(Data, topic="framework", by=OPERATOR):
    """A version of a competency framework is in force, from now on; its items were defined before."""

    version: Id
    name: Words
    items: int = Field(ge=1, le=1_000_000, description="How many items the version has.")
    origin: Text | None = Field(None, description="Where it comes from: who issued it, or its address.")
    licence: Text | None = None
    sustainability: Literal[True] | None = Field(None, description="Each item is a sustainability competency.")
    closed: Literal[True] | None = Field(None, description="A competency of it that it does not have is refused.")


class AlertWhen(StrEnum):
    below = "below"
    above = "above"
    falls = "falls"


class IndicatorRuleSet(Data, topic="indicator", by=INSTITUTION_OR_OPERATOR):
    """Somebody wants to be alerted when an indicator crosses a threshold, or falls; the subject is the rule.

    The operator sets rules for all, an institution for itself and its own programmes. Of one rule the newest word
    counts. Windows are whole years of cohorts, and quarters of everything else.
    """

    indicator: Id
    scope: Id = Field(description="network, region, institution, programme, sector, enterprise or competency.")
    scope_id: Id | None = Field(None, description="Left out: each region, institution, programme …")
    when: AlertWhen = Field(
        description="falls: a share is lower than in the window before, and the two 95 % intervals lie apart."
    )
    threshold: float = Field(ge=-1e9, le=1e9, description="The value that is crossed; falls: the least difference.")
    least_n: int = Field(30, ge=1, description="With fewer cases in a window there is no alert.")


class IndicatorRuleRemoved(Data, topic="indicator", by=INSTITUTION_OR_OPERATOR):
    """The rule alerts no more."""


class IndicatorAlerted(Data, topic="indicator", by=SERVICE):
    """An indicator crossed the threshold of a rule, which is the subject; once per window."""

    indicator: Id
    scope: Id
    scope_id: Id = Field(description="network, if the scope is the network.")
    value: float
    threshold: float = Field(description="As the rule sets it.")
    window: Id = Field(description="A year of cohorts, or a calendar quarter (UTC).")
    n: int = Field(ge=0)
    when: AlertWhen | None = None
    before: float | None = Field(None, description="falls: the value in the window before.")
    n_before: int | None = Field(None, ge=0)
    organisation: OrganisationId | None = Field(None, description="Whose rule it is; left out: the operator's.")


class IndicatorAcknowledged(Data, topic="indicator", by=INSTITUTION_OR_OPERATOR):
    """The operator, or the institution that an alert is about, has taken note of it; the subject is the rule."""

    indicator: Id
    scope: Id
    scope_id: Id
    window: Id = Field(description="As the alert has it.")


# refusal


class EventRefused(Data, topic="refusal", by=SERVICE, key="organisation"):
    """An accepted event is not applied: the rule was decided by what stands before it on the log."""

    organisation: OrganisationId = Field(description="Who published the event.")
    event: EventId = Field(description="The id of the event that is not applied.")
    type: Annotated[str, StringConstraints(max_length=100, pattern=_PRINTABLE)] = Field(description="Its type.")
    rule: Id = Field(description="Name of the rule, for programs.")
    reason: Text


# the envelope

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
D_co = TypeVar("D_co", bound=Data, covariant=True)
EventClass = type[Data]


class Event(BaseModel, Generic[D_co]):
    """A CloudEvent 1.0.

    Extensions: `partitionkey` (the Kafka key), `sourcekind` (who speaks), `sandbox`, `member`, `sustainable`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    specversion: Literal["1.0"]
    id: EventId = Field(
        description="Given by the publisher, unique with the source; the same event keeps it when it is sent again."
    )
    source: Source = Field(description="/organisations/<id> of the publisher; services: /services/<name>.")
    type: str
    subject: Id = Field(description="The entity that the event is about.")
    time: AwareDatetime = Field(
        ge=EARLIEST,
        le=LATEST,
        description="When it happened (RFC 3339, with offset).",
    )
    partitionkey: Id = Field(description="What the order of events is kept by.")
    sourcekind: Publisher = Field(description="Kind of the publisher; set by the ingress.")
    datacontenttype: Literal["application/json"] = "application/json"
    sandbox: Literal[True] | None = Field(
        None, description="From an organisation that tries things out; set by the ingress, on the topic `sandbox` only."
    )
    member: Id | None = Field(
        None, description="Opaque id of the person who acted on a page for the source; set by partners, never a name."
    )
    sustainable: Annotated[str, StringConstraints(max_length=20_000, pattern=_PRINTABLE)] | None = Field(
        None,
        description="Which of the competencies that it names count as sustainability besides GreenComp's, parted by "
        "blanks, by the frameworks in force when it was accepted; set by Praktika.",
    )
    dataschema: Annotated[str, StringConstraints(max_length=500, pattern=_PRINTABLE)] | None = Field(
        None, description="Follows from the type: leave it out, or end it with /schemas/<type>/data.json."
    )
    traceparent: Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)] | None = None
    tracestate: Annotated[str, StringConstraints(max_length=600, pattern=_PRINTABLE)] | None = None
    data: D_co

    @property
    def event_class(self) -> EventClass:
        """What kind of thing is said."""
        return type(self.data)

    @property
    def topic(self) -> str:
        """Where it belongs."""
        return SANDBOX if self.sandbox else self.data.topic


SANDBOX = "sandbox"  # the topic of all that sandbox organisations say; only partners reads it
DATA: dict[str, type[Data]] = {f"praktika.{data.short_type}.v1": data for data in Data.__subclasses__()}
TOPICS: tuple[str, ...] = tuple(dict.fromkeys(data.topic for data in DATA.values()))


@cache
def model_of(type_: str) -> type[Event[Data]]:
    """The events of a type, made when the first one comes: of all types they take megabytes, and a part of the start.

    (`Event[data]` would be built before, and takes as long again.)
    """
    data = DATA[type_]
    own: dict[str, Any] = {"type": (Literal[type_], ...), "data": (data, ...)}
    return create_model(data.__name__, __base__=Event, __doc__=data.__doc__, **own)


_SAID = re.compile(rb'"type":\s*"(praktika\.[a-z0-9_.]+)"')
_TYPED = SchemaValidator(  # finds the type, and nothing else
    {"type": "tagged-union", "choices": {type_: {"type": "any"} for type_ in DATA}, "discriminator": "type"}
)


def _built(raw: bytes, extra: Literal["ignore", "forbid"]) -> Event[Data]:
    said = _SAID.search(raw)
    if said and (type_ := said[1].decode()) in DATA:
        try:
            return model_of(type_).model_validate_json(raw, strict=True, extra=extra)
        except ValidationError:
            pass  # its type may be another, and this a part of what its data say
    type_ = _TYPED.validate_json(raw, strict=True)["type"]
    return model_of(type_).model_validate_json(raw, strict=True, extra=extra)


class ContractError(ValueError):
    """An event does not fit the contract.

    Attributes:
        errors: (field, what is wrong with it), at least one; the field is a dotted path, empty for the whole.
    """

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{field}: {detail}" if field else detail for field, detail in errors))


def key_of(event: Event[Data]) -> str:
    """The key that *event* must be published under."""
    rule = event.data.key
    if rule == "learner":
        return event.partitionkey
    return (None if rule == "subject" else getattr(event.data, rule)) or event.subject


def dataschema_of(type_: str) -> str:
    """Where partners serves the JSON Schema of a type's data: the path in the address that `dataschema` may give."""
    return f"/schemas/{type_}/data.json"


def parse(raw: bytes, *, tolerant: bool = False) -> Event[Data]:
    """Read one event from JSON.

    Args:
        tolerant: ignore unknown fields (a newer producer's) and a foreign `dataschema`; the ingress does not.
    Raises:
        ContractError: what does not fit, by field.
    """
    try:
        event = _built(raw, "ignore" if tolerant else "forbid")
    except ValidationError as error:
        raise ContractError([_readable(e) for e in error.errors(include_url=False)]) from None
    if event.partitionkey != key_of(event):
        raise ContractError([("partitionkey", f"must be {key_of(event)}")])
    own_schema = dataschema_of(event.type)
    if event.dataschema and not event.dataschema.endswith(own_schema) and not tolerant:
        raise ContractError([("dataschema", f"must end with {own_schema}, or be left out")])
    return event


def _plain(schema: Any) -> Any:
    """The core schema that accepts what *schema* accepts and ignores unknown fields, but builds no models.

    Models become dicts in which an absent value is absent; enums, times and days are texts.
    """
    match schema:
        case {"type": "model", "schema": fields}:
            return _plain(fields)
        case {"type": "model-fields", "fields": fields}:
            plain = {name: {"type": "typed-dict-field", **_plain_field(f["schema"])} for name, f in fields.items()}
            return {"type": "typed-dict", "fields": plain, "extra_behavior": "ignore"}
        case {"type": "enum", "members": members}:
            return {"type": "literal", "expected": [member.value for member in members]}
        case {"type": "datetime" | "date" as kind}:
            return {"type": "str", "pattern": _TIME} if kind == "datetime" else _day_between(schema["ge"], schema["le"])
        case {"type": _}:
            inner = ("schema", "items_schema", "keys_schema", "values_schema")
            kept = {name: value for name, value in schema.items() if name not in ("serialization", "metadata")}
            return {name: _plain(value) if name in inner else value for name, value in kept.items()}
    return schema


def _plain_field(schema: Any) -> Any:
    optional = schema["type"] == "default"
    if optional and schema.get("default") is None:
        schema = schema["schema"]
        schema = schema["schema"] if schema["type"] == "nullable" else schema  # a null, which is rare, says nothing
    return {"schema": _plain(schema), "required": not optional}


def _day_between(first: date, last: date) -> Any:
    """The core schema of a day as text: there are few, and each comes again and again."""

    @lru_cache(100_000)
    def check(day: str) -> str:
        if not first <= date.fromisoformat(day) <= last:
            raise ValueError
        return day

    text = {"type": "str", "pattern": _DAY}
    return {"type": "function-after", "schema": text, "function": {"type": "no-info", "function": check}}


_DAY = r"^\d{4}-\d\d-\d\d$"
_TIME = (
    r"^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"  # as `serialise`
)
_ENVELOPE = _plain(model_of(next(iter(DATA))).__pydantic_core_schema__)
_ENVELOPE["fields"]["type"]["schema"] = {"type": "literal", "expected": [*DATA]}
_ENVELOPE["fields"]["data"]["schema"] = {"type": "dict"}
_PLAIN = SchemaValidator(_ENVELOPE)


@cache
def _plain_data(type_: str) -> SchemaValidator:
    return SchemaValidator(_plain(DATA[type_].__pydantic_core_schema__))


def timestamp(time: datetime) -> str:
    """UTC text of fixed width, so that text order is time order."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat(timespec="microseconds")


_EARLIEST, _LATEST = timestamp(EARLIEST), timestamp(LATEST)
_is_day = lru_cache(100_000)(date.fromisoformat)


def _timestamp(time: str) -> str:
    if len(time) == 20:  # whole seconds and Z, as they are written as a rule
        _is_day(time[:10])
        return time[:19] + ".000000+00:00"
    return timestamp(datetime.fromisoformat(time))  # ten times as fast as the validator's time zones


def parse_plain(raw: bytes) -> dict[str, Any] | None:
    """Read one event as `parse(raw, tolerant=True)` does, but as plain values; None: only `parse` can tell.

    Most events of a log are read only to keep what they say. This is more than twice as fast. `time` is as
    `timestamp` gives it.
    """
    try:
        plain: dict[str, Any] = _PLAIN.validate_json(raw, strict=True)
        plain["data"] = _plain_data(plain["type"]).validate_python(plain["data"], strict=True)
        time = plain["time"] = _timestamp(plain["time"])
    except (ValueError, OverflowError):  # in the year 1 or 9999 of its zone, and no year of UTC
        return None
    if not _EARLIEST <= time <= _LATEST:
        return None
    rule = DATA[plain["type"]].key
    if rule != "learner" and plain["partitionkey"] != (plain["data"].get(rule) or plain["subject"]):
        return None
    return plain


# What a text must be, by its pattern: for who must mend it.
KINDS_OF_TEXT = {
    f"^{_ID}$": "must be 1 to 100 Latin letters, digits and . _ : ~ - with a letter or a digit first: group-17g11-05. "
    "Write other letters in Latin; for a person's name or number take a pseudonym (praktika pseudonymise)",
    COMPETENCY: "must be a framework and its item: greencomp:3.1",
    FRAMEWORK: "must be 1 to 30 small Latin letters, digits and hyphens with a letter first: esco",
    _OCCUPATION: "must be an occupation of ISCO-08 or ESCO: isco:7212",
    _TEXT: "must be text without control characters",
    _PRINTABLE: "must be text without control characters",
    _MONTH: "must be a month: 2026-06",
    f"^{_ID}/{_ID}$": "must be an organisation and its assessment: north-college/exam-17",
    f"^/(organisations|services)/{_ID}$": "must be /organisations/ and your id: /organisations/north-college",
    _QUARTER: "must be a calendar quarter: 2026Q2",
    _ADDRESS: "must begin with /certificates/",
    r"^https?://[^\s]+$": "must begin with https:// or http://",
    DID_WEB: "must be the DID of a domain: did:web:north-college.example",
}


def wording_of(error: Any) -> Message:
    """What one of pydantic's errors says in the words of the contract."""
    return wording(error, KINDS_OF_TEXT)


def _readable(error: Any) -> tuple[str, str]:
    path = [str(part) for part in error["loc"]]
    if error["type"].startswith("union_tag"):
        path = ["type"]
    return ".".join(path)[:200], wording_of(error)


def serialise(event: Event[Data]) -> bytes:
    """The bytes of *event* on the wire: structured-mode JSON, nothing that is absent."""
    return to_json(event, exclude_none=True)


_NAMESPACE = UUID("7d0f2f2e-4f0b-5d3c-9c1a-6b1f0c1f8b52")


def derived_id(*parts: str) -> str:
    """A uuid5 of what makes a derived event unique, so that deciding it twice makes a duplicate."""
    return str(uuid5(_NAMESPACE, "\x1f".join(parts)))


def compose(  # noqa: PLR0913
    data: Data,
    *,
    source: str,
    kind: Publisher,
    id: str,
    subject: str,
    key: str,
    time: datetime,
    member: str | None = None,
) -> Event[Data]:
    """The event that says *data*."""
    type_ = f"praktika.{data.short_type}.v1"
    return model_of(type_)(
        specversion="1.0",
        id=id,
        source=source,
        type=type_,
        subject=subject,
        time=time,
        partitionkey=key,
        sourcekind=kind,
        member=member,
        data=data,
    )


def derive(  # noqa: PLR0913
    service: str, data: Data, *, id: str, subject: str, key: str, time: datetime, sustainable: str | None = None
) -> Event[Data]:
    """An event that *service* concludes from others; same arguments, same bytes."""
    source, kind = f"/services/{service}", Publisher.service
    event = compose(data, source=source, kind=kind, id=id, subject=subject, key=key, time=time)
    return event.model_copy(update={"sustainable": sustainable}) if sustainable else event


def organisation_of(source: str) -> str:
    """The id in `/organisations/<id>` (or the name in `/services/<name>`)."""
    return source.rpartition("/")[2]


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of each event type, as read at the ingress."""
    return {
        type_: {"$schema": GenerateJsonSchema.schema_dialect, **model_of(type_).model_json_schema()} for type_ in DATA
    }


def data_schema(type_: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of what events of a type say: what `dataschema` names."""
    return {"$schema": GenerateJsonSchema.schema_dialect, **DATA[type_].model_json_schema()}


# What a figure on sustainability is counted of. On these events it is stamped which competencies count.
SUSTAINABILITY_COUNTED = (ProgrammePublished, ActivityHeld, AssessmentRecorded, SchemePublished, CompetencyCertified)


def competencies_of(data: Data) -> list[str]:
    """The competencies that *data* names, in order."""
    said: Any = data
    fields = type(data).model_fields
    single = said.competency if "competency" in fields else None
    several = said.competencies if "competencies" in fields else ()
    return [*([single] if single else []), *(one if isinstance(one, str) else one.competency for one in several)]


SUSTAINABILITY_FRAMEWORKS = frozenset({"greencomp"})


def is_sustainability(competency: str, sustainable: str | None = None) -> bool:
    """Does the competency count as sustainability: one of GreenComp (JRC 2022), or by an event's `sustainable`?"""
    return competency.partition(":")[0] in SUSTAINABILITY_FRAMEWORKS or competency in (sustainable or "").split()
