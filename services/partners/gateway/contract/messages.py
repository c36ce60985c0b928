"""The contract's and the files' words, in English; other languages are in `shared/pages/locale`."""

from shared.pages.languages import N_

# Who publishes, by kind.
PUBLISHERS = {
    "operator": N_("the operator"),
    "institution": N_("institutions"),
    "enterprise": N_("enterprises"),
    "research_centre": N_("research centres"),
    "service": N_("Praktika's own services"),
}

# What a schema asks for, filled in by position.
PHRASES = {
    "optional": N_("may be left out"),
    "const": N_("always {}"),
    "choice": N_("one of:"),
    "boolean": N_("true or false"),
    "integer": N_("whole number"),
    "number": N_("number"),
    "string": N_("text"),
    "between": N_("from {} to {}"),
    "least": N_("at least {}"),
    "decimals": N_("at most two decimals: 7.33"),
    "length": N_("up to {} characters"),
    "list": N_("a list of up to {}"),
    "list_from": N_("a list of {} to {}"),
    "pairs": N_("up to {} pairs"),
    "each": N_("each:"),
    "key": N_("name:"),
    "entry": N_("value:"),
    "object": N_("an object"),
    "date": N_("a day from 1950 to 2199: 2026-06-15"),
    "date-time": N_("a moment: 2026-06-15T09:00:00+07:00"),
    "pattern": N_("by the pattern {}"),
}

# The models' own kinds of text, by name; the models describe them.
TEXT_KINDS = ("Id", "CompetencyId", "Text", "Month", "Evidence", "Occupation")

# Whose id an event's subject is, by the first part of its type.
SUBJECTS = {
    "organisation": N_("Id of the organisation"),
    "credential": N_("Id of the credential"),
    "issuer": N_("Id of the organisation"),
    "agreement": N_("Id of the agreement"),
    "programme": N_("Id of the programme"),
    "activity": N_("Id of the activity"),
    "learner": N_("Id of the learner (a pseudonym)"),
    "internship": N_("Id of the internship"),
    "employment": N_("Id of the record of employment"),
    "application": N_("Id of the application"),
    "support": N_("Id of the support case"),
    "assessment": N_("Id of the assessment"),
    "opportunity": N_("Id of the offer"),
    "feedback": N_("Id of the answer"),
    "demand": N_("Id of the report"),
    "vacancy": N_("The portal and the vacancy's id there: hh:90017"),
    "skill": N_("Id of the skill"),
    "recognition": N_("Id of the recognition"),
    "framework": N_("Id of the framework, or of its competency"),
    "indicator": N_("Id of the alert rule"),
    "questionnaire": N_("Role of those who answer"),
}

# Fields that mean something of their own in these models; all others mean the same wherever they stand.
OWN_FIELDS = (
    "OrganisationRegistered.sandbox",
    "ProgrammeRevisionRecommended.window",
    "ProgrammeRevisionRecommended.threshold",
    "ProgrammeGapFound.window",
    "ProgrammeDemandLapsed.window",
    "InternshipCompleted.competencies",
    "AssessmentRecorded.assessor",
    "SchemeMethod.least_score",
    "EmploymentRecorded.since",
    "EmploymentRecorded.detail",
    "FeedbackSubmitted.competencies",
    "IndicatorAlerted.scope",
    "IndicatorAlerted.scope_id",
    "IndicatorAlerted.threshold",
    "IndicatorAlerted.window",
    "IndicatorAlerted.n_before",
    "IndicatorAlerted.organisation",
    "IndicatorAcknowledged.scope",
    "IndicatorAcknowledged.scope_id",
    "IndicatorAcknowledged.window",
    "IndicatorRuleSet.scope",
    "IndicatorRuleSet.scope_id",
    "IndicatorRuleSet.threshold",
    "FrameworkItemDefined.area",
    "FrameworkPublished.sustainability",
    "LearnerShared.institution",
    "LearnerErased.reason",
    "FeedbackRequested.institution",
    "FeedbackWithdrawn.organisation",
    "EventRefused.organisation",
    "EventRefused.event",
    "EventRefused.type",
)

# What the registry may say against an event (its rules' names).
REGISTRY_RULES = (
    "owner",
    "organisation",
    "programme",
    "enrolment",
    "learner",
    "placement",
    "enterprise",
    "recommendation",
    "opportunity",
    "agreement",
    "plausible",
    "employment",
    "application",
    "annulled",
    "places",
    "certificate",
    "scope",
)

# What the ingress says of an event that it refuses; fields have words of their own.
REFUSALS = (
    N_("the event does not fit the contract"),
    N_("the event does not fit the registry"),
    N_("the event has not happened yet"),
    N_("the event hides something"),
    N_("the type is not in the contract"),
    N_("the id was used for another event"),
    N_("the sender is another"),
    N_("the sender is unknown"),
    N_("there is no such attribute"),
    N_("the key does not fit the event"),
    N_("this is not JSON"),
    N_("this is not gzip"),
    N_("this is no CloudEvent"),
    N_("this is no batch"),
    N_("this content type is not understood"),
    N_("this content coding is not understood"),
    N_("this is no extension attribute of CloudEvents"),
    N_("the data is not JSON"),
    N_("the body ended early"),
    N_("records cannot be read"),
)
