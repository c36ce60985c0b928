"""Answers as tables: CSV for programs, XLSX for people."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.http.spreadsheets import Share
from shared.pages.languages import N_, Language, translated

from .indicators import INDICATORS, SMALL_GROUPS

Row = Mapping[str, Any]
# What a column's heading says, by its name; the other columns explain an indicator, and stand on the second sheet.
HEADINGS = {
    "title": N_("Indicator"),
    "id": N_("Identifier"),
    "name": N_("Name"),
    "group": N_("Group"),
    "indicator": N_("Indicator's identifier"),
    "scope": N_("Of what"),
    "scope_id": N_("Of which (identifier)"),
    "scope_name": N_("Of which"),
    "institution": N_("Institution"),
    "region": N_("Region"),
    "year": N_("Year"),
    "period": N_("Month or year"),
    "months": N_("Months that are over"),
    "split": N_("Split"),
    "learners": N_("Learners"),
    "splits": N_("Split into groups"),
    "competency": N_("Competency"),
    "reports": N_("Reports of demand"),
    "demanded_by": N_("Who demands it"),
    "is_taught": N_("Taught by the newest version"),
    "holders": N_("Holders of a certificate"),
    "taught": N_("Programmes that teach it"),
    "lack": N_("Places without a holder"),
    "lack_at_least": N_("Places without a holder, at least"),
    "surplus": N_("Holders without a place"),
    "from": N_("From"),
    "to": N_("To"),
    "filtered": N_("Filtered by"),
    "value": N_("Value"),
    "unit": N_("Unit"),
    "status": N_("Is there a value?"),
    "numerator": N_("Numerator"),
    "denominator": N_("Denominator"),
    "n": N_("Cases counted"),
    "change": N_("Change from the year before"),
    "places": N_("Places demanded"),
    "months_left_out": N_("Months left out"),
    "coverage": N_("Share that is known"),
    "thin": N_("Too little is known"),
    "lower": N_("At least"),
    "upper": N_("At most"),
    "interval_from": N_("Interval of 95 per cent, from"),
    "interval_to": N_("Interval of 95 per cent, to"),
    "against_network": N_("Beside the network"),
    "by": N_("What a month means"),
    "scopes": N_("Offered for"),
    "value_today": N_("Value today"),
    "n_today": N_("Cases counted today"),
    "suppressed_below": N_("Hidden below"),
}
WORDS = {
    "ok": N_("yes"),
    "suppressed": N_("hidden: protects a small group"),
    "not_enough_data": N_("not enough data"),
    "share": N_("share"),
    "days": N_("days"),
    "hours": N_("hours"),
    "person-hours": N_("person-hours"),
    "people": N_("people"),
    "hours per learner": N_("h per learner"),
    "places": N_("places"),
    "organisations": N_("organisations"),
    "agreements": N_("agreements"),
    "activities": N_("activities"),
    "per graduate": N_("per graduate"),
    "cohort": N_("month of graduation"),
    "period": N_("month of the event"),
    "stock": N_("end of the month"),
    "below": N_("clearly below"),
    "above": N_("clearly above"),
    "network": N_("Whole network"),
    "region": N_("Region"),
    "institution": N_("Institution"),
    "programme": N_("Programme"),
    "sector": N_("Sector"),
    "enterprise": N_("Enterprise"),
    "competency": N_("Competency"),
    "sex": N_("by sex"),
    "disability": N_("by disability"),
    "rural": N_("by rural or urban home"),
    "first_in_family": N_("by the parents' education"),
}
# Groups of learners.
GROUPS = {
    "female": N_("women"),
    "male": N_("men"),
    "with_disability": N_("with a disability"),
    "without_disability": N_("without a disability"),
    "rural": N_("from rural areas"),
    "not_rural": N_("not from rural areas"),
    "first_in_family": N_("first in the family to study"),
    "not_first_in_family": N_("not the first in the family to study"),
    "not_described": N_("not known"),
}
# Why somebody is left out of a value.
REASONS = {
    "unknown": N_("nothing is known of them"),
    "studying": N_("studying"),
    "military_service": N_("military service"),
    "parental_leave": N_("parental leave"),
    "illness": N_("illness"),
    "other": N_("other"),
    "other_reasons": N_("other reasons"),
    "employed_at_graduation": N_("in work already"),
    "employed_at_certificate": N_("in work already"),
}
TRANSLATED = ("status", "unit", "by", "scope", "scopes", "split", "splits", "against_network")
SHARES = (
    "value",
    "lower",
    "upper",
    "interval_from",
    "interval_to",
    "change",
    "value_today",
)  # where the unit is a share


def xlsx_of(
    rows: list[dict[str, Any]], language: Language, address: str, more: Sequence[tuple[str, str]] = ()
) -> bytes:
    """*rows* as a workbook: a sheet of typed cells under one row of headings, and one that explains them.

    Args:
        address: where the same can be asked for again.
        more: what else the second sheet says: a marked text, and what it says.
    """
    from shared.http.workbooks import workbook  # megabytes of memory, for few requests

    about = [
        {"what": translated(language, what), "says": says}
        for what, says in (
            (N_("Events applied until"), next((row["applied_until"] for row in rows if "applied_until" in row), None)),
            (N_("Made at"), datetime.now(UTC).isoformat(timespec="seconds")),
            (N_("Address"), address),
            *more,
            (N_("Small groups"), SMALL_GROUPS.into(language)),
        )
    ]
    for row in {row["indicator"]: row for row in rows if "indicator" in row}.values():
        says = f"{row['definition'][language]} ({row['window'][language]}; {translated(language, row['source'])})"
        about.append({"what": _title(row, language), "says": says})
    columns = {"what": N_("What"), "says": N_("Explanation")}
    return workbook(
        (translated(language, "Figures"), [_shown(row, language) for row in rows], _in(language, HEADINGS)),
        (translated(language, N_("Definitions")), about, _in(language, columns)),
    )


def _shown(row: Row, language: Language) -> dict[str, Any]:
    """A row in one language, without what the second sheet says."""
    shown: dict[str, Any] = {}
    if "indicator" in row:
        shown["title"] = _title(row, language)
    for name, content in row.items():
        if name not in HEADINGS or name in shown:
            continue
        if name == "learners":
            shown[name] = translated(language, GROUPS[content])
        elif name in TRANSLATED:
            words = content if isinstance(content, list) else [content]
            shown[name] = ", ".join(translated(language, WORDS[word]) for word in words if word)
        elif isinstance(content, dict):
            shown[name] = content[language]
        else:
            is_share = name == "coverage" or (name in SHARES and row["unit"] == "share")
            shown[name] = Share(content) if is_share and content is not None else content
    return shown


def _title(row: Row, language: Language) -> str:
    """What an indicator is called: in a report that is kept, as it was."""
    return str(row["title"][language]) if "title" in row else INDICATORS[row["indicator"]].title.into(language)


def _in(language: Language, headings: Mapping[str, str]) -> dict[str, str]:
    return {name: translated(language, words) for name, words in headings.items()}


def file_name(path: str, scope_id: str | None, kind: str) -> str:
    """A name for a download: what was asked for, and today."""
    asked = "-".join([*path.strip("/").removeprefix("indicators/").split("/"), *([scope_id] if scope_id else [])])
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', asked)}-{datetime.now(UTC):%Y-%m-%d}.{kind}"
