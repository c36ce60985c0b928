"""What can be certified where, and how: the catalogue of schemes and the page of each, for everybody."""

from itertools import pairwise
from typing import Any

from fastapi.responses import Response

from shared.http.visits import Visit
from shared.pages.paging import pager

from .reads import GIVEN, Doc, Wanted, fitting
from .words import RULE, changed, methods_in_words, rule_in_words, validity

FOLDER = "services/certification/schemes/"
SHOWN = 50


def show_list(visit: Visit, schemes: list[Doc], wanted: Wanted, number: int) -> Response:
    """A page of the catalogue, by the competencies' names."""
    items = [(_name(visit, each), each) for each in fitting(schemes, wanted, visit.frameworks)]
    items.sort(key=lambda item: (item[0].casefold(), item[1]["institution_name"], item[1]["level"], item[1]["id"]))
    part = pager(number, SHOWN, len(items), **wanted._asdict())
    visit.form.values = {name: [value] for name, value in wanted._asdict().items()}
    institutions = {each["institution"]: each["institution_name"] for each in schemes}
    return visit.show(
        FOLDER + "catalogue.html",
        items=[
            {**each, "name": name, "asked": methods_in_words(each, visit.language), "valid": _valid(visit, each)}
            for name, each in part.of(items)
        ],
        part=part,
        wanted=wanted,
        competency=visit.frameworks.name(wanted.competency, visit.language),
        institutions=sorted(institutions.items(), key=lambda each: each[1].casefold()),
        regions=[(region, region) for region in sorted({each["region"] for each in schemes if each["region"]})],
        is_filtered=any(wanted),
    )


def _name(visit: Visit, scheme: Doc) -> str:
    return visit.frameworks.name(scheme["competency"], visit.language)


def _valid(visit: Visit, scheme: Doc) -> str:
    return validity(scheme.get("valid_months"), visit.language)


def show_one(visit: Visit, scheme: Doc) -> Response:
    """A scheme's page, with its versions and what changed from each to the next."""
    told = scheme["versions"]
    rules = [rule_in_words(version, visit.frameworks, visit.language) for version in told]
    changes = [changed(newer, older) for newer, older in pairwise(told)]
    return visit.show(
        FOLDER + "scheme.html",
        scheme=scheme,
        name=_name(visit, scheme),
        words={part: visit.word(text) for part, text in RULE.items()},
        rule=rules[0],
        versions=[_version(version, rules, n, changes) for n, version in enumerate(told)],
        least=GIVEN[0],
    )


def _version(version: Doc, rules: list[dict[str, list[str]]], n: int, changes: list[list[str]]) -> dict[str, Any]:
    """A version as it is shown: since when, and each part that became another, as (part, what was, what is)."""
    if n == len(changes):
        return {"since": version["since"], "changes": None}
    before, now = rules[n + 1], rules[n]
    return {"since": version["since"], "changes": [(part, before[part], now[part]) for part in changes[n]]}
