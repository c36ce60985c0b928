"""Writes docs/indicators.md, which explains every indicator in English and Russian: part of `make contract`."""

from pathlib import Path

from services.monitoring.figures import figures
from services.monitoring.indicators import CATALOGUE, Indicator
from shared.pages.languages import LANGUAGES, Language

PATH = Path(__file__).parents[1] / "docs/indicators.md"
# The words of the document itself; in a language that they are not in, they are English.
HEADINGS: dict[Language, tuple[str, ...]] = {
    "en": ("Indicators", "What is counted", "A month is", "Example", "Source", "Offered for"),
    "ru": ("Показатели", "Что считается", "Месяц — это", "Пример", "Источник", "Для чего"),
}
OF: dict[Language, str] = {"en": "{0:g} of {1:g}: {2}", "ru": "{0:g} из {1:g}: {2}"}
MEDIAN: dict[Language, str] = {
    "en": "one in the first, one in the third and two in the ninth week: {0:g} days",
    "ru": "один на первой, один на третьей и двое на девятой неделе: {0:g} дня",
}
RATERS: dict[Language, str] = {
    "en": "one with 5 and 4, one with 3 and 4: {0:g} of {1:g}",
    "ru": "у одного 5 и 4, у другого 3 и 4: {0:g} из {1:g}",
}
INTRO = """<!-- Written by `make contract` from services/monitoring/indicators.py: do not edit. -->

Every value comes with `n`, the cases counted; fewer than five of people are hidden, with what would tell them
([figures.md](figures.md)), and "not enough data" is never zero. Where a rate leaves somebody out, the answer says whom
(`left_out`), and between what it would lie if everybody was known (`lower`, `upper`). The same from a running service:
`GET /indicators` of monitoring.
"""


def document() -> str:
    """The whole text: each indicator in each language, by groups."""
    return INTRO + "\n".join(_in(language) for language in LANGUAGES)


def _in(language: Language) -> str:
    title, *headings = HEADINGS.get(language, HEADINGS["en"])
    lines = [f"\n# {title}"]
    groups = {indicator.group.message: indicator.group for indicator in CATALOGUE}
    for group in groups.values():
        lines.append(f"\n## {group.into(language)}")
        for one in (indicator for indicator in CATALOGUE if indicator.group == group):
            said = (one.formula.into(language), one.window.into(language), _example(one, language), one.source)
            rows = zip(headings, (*said, ", ".join(one.scopes)), strict=True)
            lines.append(f"\n**{one.title.into(language)}** (`{one.id}`)\n")
            lines += [f"- {heading}: {words}" for heading, words in rows]
    return "\n".join(lines) + "\n"


def _example(one: Indicator, language: Language) -> str:
    """A value worked out by the same code that works out the real ones, from a few cases."""
    if one.kind == "median":
        found = figures(one, {f"{one.histogram}/w000": 1, f"{one.histogram}/w002": 1, f"{one.histogram}/w008": 2})
        return MEDIAN.get(language, MEDIAN["en"]).format(found.value)
    if one.kind == "satisfied":
        given = {"one/answers": 2, "one/rating": 9, "two/answers": 2, "two/rating": 7}
        found = figures(one, {f"{one.histogram}/{name}": n for name, n in given.items()})
        return RATERS.get(language, RATERS["en"]).format(found.numerator, found.denominator)
    counted = dict.fromkeys(one.evidence or (), 1)
    is_apart = not {*one.numerator} & {*one.denominator}  # the denominator counts the numerator's cases as its own
    if one.denominator:
        other = next(measure for measure in one.denominator if measure not in one.numerator)
        counted[other] = 16 if is_apart else 4
    counted[one.numerator[0]] = 12 if one.divisor == 1 else 2_560
    found = figures(one, counted)
    if one.kind == "sum":
        return f"{found.value:g}"
    value = f"{found.value:.0%}" if one.unit == "share" else f"{found.value:g}"
    return OF.get(language, OF["en"]).format(found.numerator, found.denominator, value)


if __name__ == "__main__":
    PATH.write_text(document())
