"""Schemes in words: what one asks for, what has changed, and what a learner lacks."""

from typing import Any

from services.certification.credentials.badge import METHODS
from shared.pages.languages import N_, Language, Text, translated
from shared.pages.pages import number
from shared.processing.frameworks import Frameworks

from .reads import scheme_by
from .rules import Scheme, Step

RULE = {
    "competency": N_("Competency"),
    "level": N_("Level (EQF)"),
    "methods": N_("How it is assessed"),
    "enterprise_required": N_("Assessment by an enterprise"),
    "valid_months": N_("Validity"),
}


def per_cent(score: float, language: Language) -> str:
    return number(round(100 * score, 2), language)


def step_in_words(step: Step, scheme: Scheme, language: Language) -> str:
    """The one assessment that is lacking: "portfolio, at least 60 per cent, by an enterprise"."""
    method = step.lack.method
    if method is None:
        return translated(language, N_("an assessment by an enterprise"))
    one_more = N_("{method}: one more assessor, at least {score} per cent")
    plain = N_("{method}, at least {score} per cent")
    by_enterprise = N_("by an enterprise")
    given = {"method": _method(method, language), "score": per_cent(scheme.score(method), language)}
    words = Text(one_more if scheme.count(method) > 1 else plain, given).into(language)
    return f"{words}, {translated(language, by_enterprise)}" if step.by_enterprise else words


def _method(method: str, language: Language) -> str:
    return translated(language, METHODS[method])


def methods_in_words(published: dict[str, Any], language: Language) -> list[str]:
    """Each method of a scheme with what it asks for."""
    rule = scheme_by(published)
    return [_asked(rule, method, language) for method in rule.methods]


def _asked(rule: Scheme, method: str, language: Language) -> str:
    several = N_("{method}, at least {score} per cent; assessors: {n}")
    plain = N_("{method}, at least {score} per cent")
    given = {"method": _method(method, language), "score": per_cent(rule.score(method), language)}
    many = rule.count(method)
    return Text(several if many > 1 else plain, {**given, "n": many}).into(language)


def rule_in_words(published: dict[str, Any], frameworks: Frameworks, language: Language) -> dict[str, list[str]]:
    """What a version of a scheme asks for, by the names in `RULE`."""
    months = published.get("valid_months")
    needed, not_needed = N_("one of the assessments at least"), N_("not needed")
    return {
        "competency": [f"{frameworks.name(published['competency'], language)} · {published['competency']}"],
        "level": [str(published["level"])],
        "methods": methods_in_words(published, language),
        "enterprise_required": [translated(language, needed if published["enterprise_required"] else not_needed)],
        "valid_months": [validity(months, language)],
    }


def validity(months: int | None, language: Language) -> str:
    if not months:
        return translated(language, N_("without an end"))
    return Text(N_("{n}-month term"), {"n": months}).into(language)


def changed(version: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Which parts of the rule, as named in `RULE`, are others than in the version *before*."""
    return [part for part in RULE if _part(version, part) != _part(before, part)]


def _part(published: dict[str, Any], part: str) -> Any:
    if part != "methods":
        return published.get(part)
    rule = scheme_by(published)
    return [(method, rule.score(method), rule.count(method)) for method in rule.methods]
