"""What is wrong is said in the contract's words: none of the validator's own is shown to who must mend it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.partners.gateway.contract.examples import EXAMPLES
from shared.contract.events import DATA, ContractError, parse
from shared.pages.languages import in_language

OWN_WORDS = (
    "Input should",
    "String should",
    "Value error",
    "Extra inputs",
    "Field required",
    "should match pattern",
    "must be as ^",
)
COMPLETED = "praktika.internship.completed.v1"


def event(type_: str = COMPLETED) -> dict[str, Any]:
    made: dict[str, Any] = EXAMPLES[type_].model_dump(mode="json", exclude_none=True)
    return made


def wrong(item: Any) -> dict[str, str]:
    with pytest.raises(ContractError) as raised:
        parse(json.dumps(item).encode())
    return dict(raised.value.errors)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("enterprise", "17Г11-05", "“Г” is no Latin letter; must be 1 to 100 Latin letters"),
        ("enterprise", "{0f8fad5b-d9cb-469f-a165-70867728950e}", "leave out the braces; must be 1 to 100 Latin"),
        ("enterprise", "river plant", "has a space; must be 1 to 100 Latin"),
        ("enterprise", "", "must be 1 to 100 Latin"),
        ("enterprise", 7, 'must be a text in quotation marks: "welding"'),
        ("hours", "160,5", "must be a number: 7.5"),
        ("hours", -1, "must be at least 0"),
        ("hours", 10_001, "must be at most 10000"),
        ("hours", 7.125, "must have at most two decimals: 7.33"),
        ("competencies", "greencomp:3.1", 'must be a list: ["first", "second"]'),
        ("competencies", ["c:1"] * 201, "must hold at most 200"),
        ("outcome", "good", "must be 'passed' or 'failed'"),
        ("outcome", ..., "is missing, and it is needed"),
        ("houres", 1, "is no field that is known here"),
    ],
)
def test_a_mistake_is_told_with_an_example(field: str, value: Any, told: str):
    item = event()
    item["data"][field] = value
    if value is ...:
        del item["data"][field]
    (detail,) = wrong(item).values()
    assert detail.startswith(told)
    assert re.search("[а-я]{3}", in_language(detail, "ru")), "and in the reader's language"


@pytest.mark.parametrize("hours", [7.33, 7.2, 7.1, 0.01, 9_999.99, 160.5, 8])
def test_hundredths_of_an_hour_are_taken(hours: float):
    item = event()
    item["data"]["hours"] = hours
    taken: Any = parse(json.dumps(item).encode()).data
    assert taken.hours == hours


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    st.text(max_size=600),
    st.lists(st.text(), max_size=3),
    st.dictionaries(st.text(), st.integers(), max_size=3),
)


@given(st.data(), st.sampled_from(sorted(DATA)), VALUES)
def test_no_word_of_the_validator_is_shown_whatever_is_sent(data: st.DataObject, type_: str, value: Any):
    item = event(type_)
    place = item["data"] if item["data"] and data.draw(st.booleans()) else item
    place[data.draw(st.sampled_from(sorted(place)))] = value
    for detail in details(item):
        assert not [own for own in OWN_WORDS if own in detail]
        assert len(detail) <= 500


def details(item: Any) -> list[str]:
    try:
        parse(json.dumps(item).encode())
    except ContractError as error:
        return [detail for _, detail in error.errors]
    return []
