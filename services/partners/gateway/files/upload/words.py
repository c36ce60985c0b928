"""The words of the upload page, for the page and its script; `{0}` is filled in by the script."""

from shared.pages.languages import LANGUAGES, N_, Language, translated

WORDS = {
    "page": N_("Upload events"),
    "title": N_("Upload a file of events"),
    "lead": N_(
        "A row of a table (CSV, Excel, JSON lines) becomes an event. "
        "The same file may be sent again at any time: what was accepted is not counted twice."
    ),
    "contract": N_("All events and their rules"),
    "login": N_("1. Log in"),
    "client_id": N_("Organisation (client_id)"),
    "client_secret": N_("Secret (client_secret)"),
    "enter": N_("Log in"),
    "memory": N_("The secret is exchanged for a pass of 15 minutes, which is kept in this page only."),
    "as": N_("Logged in:"),
    "leave": N_("Log out"),
    "expired": N_("The pass has ended: log in again, then go on where you were."),
    "wrong": N_("client_id or client_secret is wrong."),
    "file_step": N_("2. File"),
    "type": N_("What the rows are about"),
    "choose": N_("choose …"),
    "template": N_("Download a table to fill in (Excel)"),
    "remembered": N_("Chosen as last time."),
    "file": N_("File"),
    "timezone": N_("Time zone"),
    "timezone_hint": N_("Offset from UTC of times that name none. A day without a time counts as noon there."),
    "encoding": N_("Encoding"),
    "encoding_auto": N_("recognise"),
    "look": N_("Show the columns"),
    "columns_step": N_("3. Columns"),
    "column": N_("Column"),
    "example": N_("First row"),
    "field": N_("Field of the event"),
    "unused": N_("— not used —"),
    "needed": N_("* must be given"),
    "read_as": N_("{0}: {1} rows."),
    "encoded": N_("Read as {0}; if letters look wrong, choose another encoding above."),
    "whole": N_("Each line is an event already; there is nothing to choose."),
    "missing": N_("No column says this"),
    "missing_hint": N_("Choose a column above, or give one value for all rows."),
    "key": N_("What tells rows apart"),
    "key_hint": N_(
        "As a rule subject, learner and time: leave all empty. If your file has numbers of its own, mark their column."
    ),
    "check": N_("Check"),
    "publish": N_("Publish"),
    "progress": N_("Progress"),
    "checking": N_("Checking"),
    "checked": N_("Checked: nothing has been published yet"),
    "publishing": N_("Publishing"),
    "published": N_("Published"),
    "would": N_("{0} of {1} rows would be accepted, {2} refused."),
    "done": N_("{0} of {1} rows accepted, {2} refused."),
    "report": N_("Download the refused rows (CSV)"),
    "mend": N_("Mend these rows and upload them; the others need nothing more."),
    "later": N_("Mend these rows in your file, or publish the others now and these later."),
    "row": N_("Row"),
    "reason": N_("What to mend"),
    "more": N_("… and {0} more; all are in the download."),
    "file_name": N_("refused"),
    "away": N_("The server does not answer. Nothing is lost: try again."),
    "broken": N_("The answer broke off. Send the file again: what was accepted is not counted twice."),
    "wait": N_("Too much was sent at once: try again in {0} s."),
    "too_large": N_("The file is too large: split it, or use the command praktika publish."),
}


def words() -> dict[Language, dict[str, str]]:
    """All words in all languages: the page changes its language without losing what was chosen on it."""
    return {language: {key: translated(language, text) for key, text in WORDS.items()} for language in LANGUAGES}
