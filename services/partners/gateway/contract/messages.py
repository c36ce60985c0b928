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
    "recognition": N_("Id of the recognition"),
    "indicator": N_("Id of the alert rule"),
    "questionnaire": N_("Role of those who answer"),
}

# What is wrong with a file or a row of it, and what to do, filled in by position.
MISTAKES = {
    "old_excel": N_("this is a file of an old Excel, or locked by a password: save it as .xlsx without one"),
    "xlsx": N_("this is no XLSX file that can be read ({}): save it anew, or as CSV"),
    "bomb": N_("unpacked, the file has more than {} MiB: save only the table, or save it as CSV"),
    "heavy": N_("reading this XLSX file takes more than {} s or {} MiB: save it anew with less in it, or as CSV"),
    "rows": N_("there are more than {} rows: split the file"),
    "columns": N_("there are more than {} columns"),
    "nothing": N_("there is nothing in the file"),
    "no_rows": N_("there is nothing below the first row, which should hold the headings"),
    "heading_twice": N_("row {} should hold the headings, and “{}” is there twice: rename one"),
    "long_line": N_("line {} is longer than {} characters"),
    "encoding": N_("the text is not in {}: choose the encoding"),
    "csv": N_('line {}: {}; a quotation mark within a cell is doubled: "the ""North"" plant"'),
    "more_cells": N_("has more cells than there are headings"),
    "long_cell": N_("is longer than {} characters"),
    "spreadsheet_error": N_("holds the spreadsheet's error {}: mend it there"),
    "formula": N_("holds a formula that was never worked out: open the file in a spreadsheet and save it"),
    "json": N_("is not JSON: {}"),
    "object": N_("is no JSON object"),
    "no_type": N_("name the type of the events"),
    "type": N_("there is no type {} that you could publish{}"),
    "no_column": N_("there is no column “{}”{}"),
    "no_field": N_("there is no field {}{}"),
    "field_twice": N_("{} is to be both “{}” and “{}”"),
    "field_missing": N_("no column says what {} is{}: map one to it, or set it for all rows"),
    "is_it": N_("; is it {}?"),
    "key_empty": N_("is empty, and it is part of the row's key"),
    "key_twice": N_(
        "has the same key as row {}, and says something else: give the two different times, or another key"
    ),
    "choice": N_("“{}” is none of {}"),
    "integer": N_("“{}” is no whole number"),
    "number": N_("“{}” is no number"),
    "boolean": N_("“{}” is neither yes nor no"),
    "day": N_("“{}” is no day: 2026-03-02 or 02.03.2026"),
    "month": N_("“{}” is no month: 2026-06 or 06.2026"),
    "time": N_("“{}” is no time: 2026-03-02 09:00, 02.03.2026, or 2026-03-02T09:00:00+07:00"),
    "offset": N_("“{}” does not say in which time zone it is: give the offset from UTC, for example +07:00"),
    "no_offset": N_("“{}” is no offset from UTC: +07:00"),
    "one_value": N_("must be one value"),
    "lists": N_("{} must list equally many, parted by ;"),
    "missing": N_("is empty, and it is needed"),
    "rule": N_("{}"),
    "reused": N_(
        "this row was sent before with other content. A correction is a new event: give it a later time, or another key"
    ),
    "future": N_("{} (a day without a time counts as noon)"),
}

# Fields that mean something of their own in these models; all others mean the same wherever they stand.
OWN_FIELDS = (
    "OrganisationRegistered.sandbox",
    "ProgrammeRevisionRecommended.window",
    "ProgrammeRevisionRecommended.threshold",
    "ProgrammeGapFound.window",
    "InternshipCompleted.competencies",
    "EmploymentRecorded.since",
    "EmploymentRecorded.detail",
    "FeedbackSubmitted.competencies",
    "IndicatorAlerted.scope",
    "IndicatorAlerted.scope_id",
    "IndicatorAlerted.threshold",
    "IndicatorAlerted.window",
    "IndicatorAlerted.n_before",
    "IndicatorRuleSet.scope",
    "IndicatorRuleSet.scope_id",
    "IndicatorRuleSet.threshold",
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
