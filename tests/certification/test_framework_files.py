"""Files of frameworks: ESCO's own, tables of one's own, and what will not do."""

import io
from typing import Any

import pytest

from services.certification.frameworks.files import Items, Unfit, misnamed
from shared.files.tables import Table, Unreadable, table
from shared.pages.languages import in_language
from tests.feedback.test_market import ESCO, needs_real_data

PILLAR = "conceptType,conceptUri,broaderType,broaderUri\n"
SKILL = "http://data.europa.eu/esco/skill/"


def read(text: str | bytes) -> Table:
    return table(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def taken(text: str, framework: str = "own", **more: Any) -> Items:
    items = Items(framework)
    items.take(read(text), "own.csv", **more)
    return items


@needs_real_data
def test_real_green_skills_are_591_items_with_all_their_labels():
    items = Items("esco")
    with ESCO.open("rb") as stream:
        items.take(table(stream), ESCO.name)
    assert (items.read, len(items.of), items.number_refused, items.is_esco) == (591, 591, 0, True)
    assert sum(len(item["alternative"]["en"]) for item in items.of.values()) == 3_673
    pump = items.of["esco:00735755-adc6-4ea0-b034-b8caff339c9f"]
    assert pump["name"] == {"en": "install heat pump"}
    assert "heat pump installing" in pump["alternative"]["en"]
    assert pump["uri"].endswith("/skill/00735755-adc6-4ea0-b034-b8caff339c9f")
    assert all(parent.startswith("esco:") for item in items.of.values() for parent in item["broader"])
    assert "sustainability" not in pump, "that is for the operator to say"
    with ESCO.open("rb") as stream:
        items.mark(table(stream), ESCO.name)
    assert all(item["sustainability"] for item in items.of.values())


def test_a_table_of_ones_own_has_both_languages_and_what_counts():
    items = taken(
        "id;name_en;name_ru;area_en;broader;alternative_ru;sustainability\n"
        "W1;Welding;Сварка;Metal;;сварщик|газосварка;\n"
        "own:W2;TIG welding;;Metal;W1;;да\n"
    )
    assert items.of == {
        "own:W1": {
            "name": {"en": "Welding", "ru": "Сварка"},
            "area": {"en": "Metal"},
            "alternative": {"ru": ["сварщик", "газосварка"]},
        },
        "own:W2": {
            "name": {"en": "TIG welding"},
            "area": {"en": "Metal"},
            "broader": ["own:W1"],
            "sustainability": True,
        },
    }


def test_another_language_relations_and_marks_are_added_to_what_is_there():
    items = taken(f"conceptUri,preferredLabel,status\n{SKILL}a,alpha,released\n{SKILL}b,beta,released\n", "esco")
    items.name(read(f"conceptUri,preferredLabel,altLabels\n{SKILL}a,альфа,первая | один\n{SKILL}z,зет,\n"), "ru", "ru")
    items.relate(read(f"{PILLAR}S,{SKILL}a,S,{SKILL}b\nS,{SKILL}a,S,{SKILL}S1.2\n"), "pillar")
    items.mark(read(f"conceptUri,preferredLabel\n{SKILL}b,beta\n"), "green")
    assert items.of["esco:a"] == {
        "name": {"en": "alpha", "ru": "альфа"},
        "alternative": {"ru": ["первая", "один"]},
        "broader": ["esco:b", "esco:S1.2"],
        "uri": f"{SKILL}a",
    }
    assert items.of["esco:b"] == {"name": {"en": "beta"}, "uri": f"{SKILL}b", "sustainability": True}
    assert (items.read, items.foreign) == (2, 1)


def test_a_further_file_adds_items_and_adds_to_those_that_are_there():
    items = taken("id,name_en\nA1,One\nA2,Two\n")
    items.take(read("id,name_ru,broader\nA1,Один,A3\nA3,Три,\n"), "more.csv")
    assert items.of["own:A1"] == {"name": {"en": "One", "ru": "Один"}, "broader": ["own:A3"]}
    assert (list(items.of), items.repeated) == (["own:A1", "own:A2", "own:A3"], 0)


def test_what_esco_no_longer_releases_is_left_out():
    items = taken(f"conceptUri,preferredLabel,status\n{SKILL}a,alpha,obsolete\n{SKILL}b,beta,released\n", "esco")
    assert (list(items.of), items.left_out) == (["esco:b"], 1)


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        (",name,", "id", "is empty"),
        ("A1,,", "name", "is empty"),
        ("esco:A1,name,", "id", "must be an item of the framework: own:A1"),
        ("Я1,name,", "id", "must be up to 64 Latin letters"),
        ("A/1,name,", "id", "must be up to 64 Latin letters"),
        (f"{'a' * 65},name,", "id", "must be up to 64 Latin letters"),
        ("A1,name,maybe", "sustainability", "“maybe” is neither yes nor no"),
        (f"A1,{'n' * 501},", "name", "500"),
        ("A1,na\x00me,", "name", "control characters"),
        ("A1,name,yes,extra", "", "more cells"),
        ("A0,another,", "id", "row 2 says something else of it"),
    ],
)
def test_a_row_that_is_no_item_is_refused_by_row_and_column(row: str, column: str, why: str):
    items = taken(f"id,name,sustainability\nA0,zero,\n{row}\nA9,nine,\n")
    (refused,) = items.refused
    assert (refused.row, refused.column, [*items.of]) == (3, column, ["own:A0", "own:A9"])
    assert why in in_language(refused.why, "en")
    assert in_language(refused.why, "ru") != in_language(refused.why, "en")


def test_an_item_that_is_a_part_of_what_is_in_no_file_is_refused_with_the_id():
    items = taken("id,name,broader\nA0,zero,\nA1,one,A0|A7\nA2,two,A0\n")
    items.demand_broader()
    (refused,) = items.refused
    assert (refused.row, refused.column, [*items.of]) == (3, "broader", ["own:A0", "own:A2"])
    assert (in_language(refused.why, "en"), in_language(refused.why, "ru")) == (
        "own:A7 is not in the file",
        "own:A7 нет в файле",
    )
    collection = taken(f"conceptUri,preferredLabel,broaderConceptUri\n{SKILL}a,alpha,{SKILL}S1.2\n", "esco")
    collection.demand_broader()
    assert (collection.number_refused, [*collection.of]) == (0, ["esco:a"]), "ESCO's collections leave groups out"


@pytest.mark.parametrize(
    ("framework", "version", "fields"),
    [
        ("My FW", "1", ["framework"]),
        ("own", "1 of 2", ["version"]),
        ("greencomp", "", ["version", "framework"]),
        ("own", "1", []),
    ],
)
def test_the_names_of_a_framework_and_its_version_are_judged_before_any_row(
    framework: str, version: str, fields: list[str]
):
    assert [*misnamed(framework, version)] == fields


def test_the_same_row_twice_is_one_item():
    items = taken("id,name\nA0,zero\nA0,zero\n")
    assert (len(items.of), items.repeated, items.number_refused) == (1, 1, 0)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"name\nwithout an id\n", "id: there is no such column"),
        (b"id\nA1\n", "name: there is no such column"),
        (b"", "there is nothing"),
        (b"PK\x03\x04 no workbook", "no XLSX file"),
        (b"id,id\nA1,x\n", "is there twice"),
        (b'id,name\n"A1', "line 2"),
        (b"{" * 10_000, "id: there is no such column"),
    ],
)
def test_a_hostile_file_is_refused_as_a_whole(content: bytes, why: str):
    with pytest.raises((Unfit, Unreadable)) as wrong:
        Items("own").take(read(content), "x")
    assert why in str(wrong.value)


def test_labels_beyond_the_contract_are_refused_with_their_column():
    many = " | ".join(f"label {number}" for number in range(201))
    items = taken(f"id,name,altLabels\nA1,name,{many}\nA2,name,{'x' * 201}\n")
    assert [(one.row, one.column) for one in items.refused] == [(2, "altLabels"), (3, "altLabels")]
