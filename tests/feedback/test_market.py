"""The labour market's rules: what is open, what is demanded, what is suggested, and how files of vacancies are read."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from deploy.local.processes import ROOT
from services.feedback.app import view
from services.feedback.imports import standing
from services.feedback.market import Market
from services.feedback.market_api import rows
from services.feedback.requests import route
from services.feedback.suggestions import Label, Labels, labels_in, suggest
from services.feedback.vacancy_files import (
    SEPARATOR,
    Pages,
    Reading,
    Unfit,
    Unmapped,
    Vacancy,
    _values,
    misread,
    reading,
    rows_in,
)
from services.partners.network.registry import misfits
from shared.contract.events import Data, Event, SkillMapped, VacancyClosed, VacancyObserved, timestamp
from shared.contract.skills import normalised, skill_id
from shared.files.tables import Unreadable
from shared.pages.languages import in_language
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests.making import NOON, after, event

REAL = ROOT.parent / "shared/data"
CSV = REAL / "vacancies/vacancies-ru-2025.csv"
ESCO = REAL / "esco/greenSkillsCollection_en.csv"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
OPERATOR = "operator:operator"
MAPPING = {skill_id("SQL"): "national:data-2", skill_id("Базы данных"): "national:data-2", skill_id("1С"): None}


def observed(*skills: str, day: int = 0, region: str | None = "RU-MOW", id: str = "hh:1", **more: Any) -> Event[Data]:
    data = VacancyObserved(portal="hh", title="Analyst", region=region, skills=[*skills], **more)
    return event(data, id, by=OPERATOR, time=NOON + timedelta(days=day))


def closed(day: int, id: str = "hh:1") -> Event[Data]:
    data = VacancyClosed(closed_on=(NOON + timedelta(days=day)).date())
    return event(data, id, by=OPERATOR, time=NOON + timedelta(days=day))


def shown(*events: Event[Data]) -> dict[str, Any]:
    return view(Key("vacancies", "hh:1"), after(facts.empty(), *events))


def market(*vacancies: dict[str, Any], mapping: dict[str, str | None] | None = None) -> Market:
    found = Market(MAPPING if mapping is None else mapping)
    for vacancy in vacancies:
        if vacancy["open"]:
            found.add(vacancy)
    return found


# skills


@pytest.mark.parametrize(
    "spelling", ["MS-SQL", "ms sql", "«MS  SQL»", "MS_SQL", "ＭＳ SQL", " MS–SQL;", "MS\u00a0SQL", '"MS SQL"']
)
def test_spellings_of_one_skill_have_one_id(spelling: str):
    assert skill_id(spelling) == skill_id("MS SQL")


@pytest.mark.parametrize(
    ("one", "other"), [("C", "C++"), ("C", "C#"), ("1С", "1C"), ("SQL", "MS SQL"), ("отчёт", "счёт")]
)
def test_different_skills_have_different_ids(one: str, other: str):
    assert skill_id(one) != skill_id(other)


@given(st.text(min_size=1, max_size=100))
def test_normalising_again_changes_nothing(skill: str):
    assert normalised(normalised(skill)) == normalised(skill)
    assert view(Key("skills", "x"), facts.empty()) == {}


# what is open


def test_a_vacancy_is_open_until_it_is_closed_and_again_when_it_is_observed_later():
    opened, changed, reopened = observed("SQL"), observed("SQL", "Excel", day=1), observed("SQL", day=9)
    assert shown(opened)["demands"] == [skill_id("SQL")]
    assert shown(opened, changed)["skills"] == ["SQL", "Excel"]
    gone = shown(opened, changed, closed(5))
    assert (gone["open"], gone["demands"], gone["closed_on"]) == (False, [], "2026-03-07")
    assert shown(opened, changed, closed(5), reopened)["open"]
    assert shown(closed(5)) == {"open": False}


STORIES = st.lists(
    st.one_of(
        st.builds(
            lambda skills, day, region: observed(*skills, day=day, region=region),
            st.lists(st.sampled_from(["SQL", "sql", "Базы данных", "1С", "Excel"]), max_size=4),
            st.integers(0, 6),
            st.sampled_from(["RU-MOW", "RU-KEM", None]),
        ),
        st.builds(closed, st.integers(0, 6)),
    ),
    max_size=8,
)


@given(STORIES, st.data())
def test_order_repetition_and_time_of_arrival_do_not_matter(story: list[Event[Data]], data: st.DataObject):
    repeated = data.draw(st.lists(st.sampled_from(story), max_size=5)) if story else []
    again = data.draw(st.permutations([*story, *repeated]))
    once, other = shown(*story), shown(*again)
    assert once == other
    assert market(once).demanded == market(other).demanded


@given(st.lists(STORIES, max_size=5))
def test_demand_is_a_count_of_distinct_open_vacancies(stories: list[list[Event[Data]]]):
    vacancies = [shown(*story) for story in stories]
    found = market(*vacancies)
    for region in ("RU-MOW", "RU-KEM", None):
        wanted = {skill for skill, of in MAPPING.items() if of}
        there = [v for v in vacancies if v["open"] and v["region"] == region]
        assert found.demanded["national:data-2", region] == sum(bool(wanted & {*v["demands"]}) for v in there)
        covered = found.total([region])
        assert (covered.vacancies, covered.mentions) == (len(there), sum(len(v["demands"]) for v in there))
        assert 0 <= covered.mentions_mapped + covered.mentions_none <= covered.mentions
    assert found.total().vacancies == sum(v["open"] for v in vacancies)


def test_two_skills_of_one_competency_count_once():
    found = market(shown(observed("SQL", "sql", "Базы данных")))
    assert found.demanded == {("national:data-2", "RU-MOW"): 1}


def test_coverage_tells_mapped_from_none_of_ours_and_undecided():
    found = market(shown(observed("SQL", "1С", "Excel")), shown(observed("Excel")), shown(observed()))
    covered = found.total().shown()
    assert (covered["vacancies"], covered["with_skills"], covered["mapped"]) == (3, 2, 1)
    assert (covered["mentions"], covered["mentions_mapped"], covered["mentions_none"]) == (4, 1, 1)
    assert (covered["vacancies_share"], covered["mentions_share"]) == (1 / 3, 1 / 4)
    assert market().total().shown()["vacancies_share"] is None


def test_the_most_frequent_skills_come_first_by_their_most_frequent_spelling():
    found = market(*(shown(observed(name)) for name in ("Excel", "excel", "Excel", "SQL")))
    assert [(one.skill, one.vacancies) for one in found.skills] == [("Excel", 3), ("SQL", 1)]


def test_reported_places_stand_beside_the_vacancies():
    found = market(shown(observed("SQL")))
    by_region = rows(found, Counter({("national:data-2", "RU-MOW"): 7, ("national:weld", "RU-KEM"): 3}))
    assert [(row.competency, row.region, row.vacancies, row.places) for row in by_region] == [
        ("national:data-2", "RU-MOW", 1, 7),
        ("national:weld", "RU-KEM", 0, 3),
    ]


def test_the_newest_mapping_counts_and_none_of_ours_is_an_answer():
    def said(competency: str | None, hour: int) -> Event[Data]:
        data = SkillMapped(skill="SQL", competency=competency, decided_by="member-4")
        return event(data, skill_id("SQL"), by=OPERATOR, time=NOON + timedelta(hours=hour))

    key = Key("skills", skill_id("SQL"))
    first, second = said("national:data-2", 0), said(None, 1)
    states: list[State] = [after(facts.empty(), *order) for order in ((first, second), (second, first, first))]
    for state in states:
        assert view(key, state)["status"] == "none"
        assert view(key, state)["competency"] is None
    assert view(key, after(facts.empty(), first))["decided_by"] == "member-4"
    assert route(facts.from_event(first)) == key


def test_what_is_said_of_another_portal_or_skill_than_the_subject_names_does_not_fit():
    assert not misfits(observed("SQL"))
    assert misfits(observed("SQL", id="other:1"))[0][0] == "subject"
    assert misfits(event(SkillMapped(skill="SQL"), skill_id("Excel"), by=OPERATOR))[0][0] == "subject"


# suggestions


LABELS = Labels(
    [
        Label("esco:1", "manage databases"),
        Label("esco:1", "database management", alternative=True),
        Label("greencomp:2.1", "Системное мышление"),
        Label("esco:2", "weld metal"),
        Label("esco:3", "weld plastic"),
    ]
)


@pytest.mark.parametrize(
    ("skill", "competency", "ground"),
    [
        ("Manage-databases", "esco:1", "spelling"),
        ("Database management", "esco:1", "alternative"),
        ("managing database", "esco:1", "stems"),
        ("системного мышления", "greencomp:2.1", "stems"),
        ("welding metals", "esco:2", "stems"),
        ("large databases management", "esco:1", "alike"),
    ],
)
def test_a_competency_is_suggested_by_spelling_alternative_label_or_stems(skill: str, competency: str, ground: str):
    best = suggest(skill, [LABELS])[0]
    assert (best.competency, best.ground) == (competency, ground)


def test_what_resembles_nothing_has_no_suggestion():
    assert suggest("Бухгалтерский учёт", [LABELS]) == []


def test_other_columns_than_esco_gives_are_refused_by_name():
    with pytest.raises(ValueError, match="preferredLabel"):
        list(labels_in(["code,label\n", "1,x\n"]))


@needs_real_data
def test_real_green_skills_are_each_found_by_each_of_their_labels():
    with ESCO.open(newline="") as lines:
        labels = [*labels_in(lines)]
    searched = Labels(labels)
    assert len({label.competency for label in labels}) == 591
    alternative = [label for label in labels if label.alternative]
    assert len(alternative) > 3_000
    missed = [
        label for label in labels if label.competency not in {s.competency for s in suggest(label.text, [searched])}
    ]
    assert not missed


# files


def read(path: Path, how: Reading | None = None) -> list[Vacancy]:
    how = how or reading("hh", {}, {"Москва": "RU-MOW"}, SEPARATOR)
    with path.open("rb") as stream:
        return [how.vacancy(row) for row in rows_in(stream, path.name, how, Pages())]


ITEM = {
    "id": "1",
    "name": "Аналитик",
    "area": {"name": "Москва"},
    "key_skills": [{"name": "SQL"}, {"name": "SQL"}, {"name": " MS\u200b  Excel "}],
    "published_at": "2025-01-31T10:00:00+0300",
    "archived": False,
}
WANTED = Vacancy(
    "hh:1",
    VacancyObserved(
        portal="hh",
        title="Аналитик",
        area="Москва",
        region="RU-MOW",
        skills=["SQL", "MS Excel"],
        published_on=date(2025, 1, 31),
    ),
)
HEAD = "Номер;Вакансия;Город;Ключевые навыки;Дата публикации;Архив\n"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([ITEM]),
        json.dumps({"items": [ITEM], "page": 0, "pages": 1}),
        json.dumps([{"items": [ITEM]}, {"items": []}], indent=1),
        json.dumps(ITEM) + "\n",
        "\ufeff" + json.dumps([ITEM], ensure_ascii=False),
        HEAD + "1;Аналитик;Москва;SQL; \n".replace("SQL; ", '"SQL; MS Excel";31.01.2025;нет'),
        HEAD.replace(";", ",") + '1,Аналитик,москва,"SQL|MS Excel",2025-01-31,\n',
    ],
    ids=["array", "page", "pages", "lines", "with a mark", "semicolons", "commas"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_one_vacancy_is_read_alike_from_each_kind_of_file(content: str, encoding: str, tmp_path: Path):
    file = tmp_path / "vacancies"
    if encoding == "cp1251" and content.lstrip("\ufeff")[0] in "[{":
        pytest.skip("JSON is UTF-8 (RFC 8259)")
    file.write_bytes(content.encode(encoding))
    (vacancy,) = read(file)
    assert vacancy.id == WANTED.id
    assert vacancy.data
    assert WANTED.data
    wanted = WANTED.data if vacancy.data.area == "Москва" else WANTED.data.model_copy(update={"area": "москва"})
    assert vacancy.data == wanted


def test_a_sheet_is_read_with_columns_that_are_mapped(tmp_path: Path):
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (["Ref", "Post", "Wants"], [17, "Welder", "TIG; MIG"]):
        sheet.append(line)
    book.save(tmp_path / "plan.xlsx")
    how = reading("plant", {"Ref": "id", "Post": "title", "Wants": "skills"}, {}, SEPARATOR)
    (vacancy,) = read(tmp_path / "plan.xlsx", how)
    assert vacancy.id == "plant:17"
    assert vacancy.data == VacancyObserved(portal="plant", title="Welder", skills=["TIG", "MIG"])


def test_columns_that_say_nothing_are_asked_for(tmp_path: Path):
    file = tmp_path / "x.csv"
    file.write_text("Ref,Post\n1,Welder\n")
    with pytest.raises(Unmapped, match=r"no column says what id is: map one to it, COLUMN=id.*Ref, Post"):
        read(file)
    file.write_text("id,name,skills\n1,Welder,TIG\n")
    with pytest.raises(Unmapped, match=r"there is no column city to be area\. The columns are: id, name, skills"):
        read(file, reading("hh", {"City": "area"}, {}, SEPARATOR))


def test_what_will_not_do_of_how_a_file_is_to_be_read_is_told_with_what_would_do():
    assert misread("hh", {"Ref": "id"}, {"Москва": "RU-MOW"}) == {}
    wrong = misread("h h", {"Pay": "salary"}, {"Москва": "No Region!"})
    assert wrong["portal"].startswith("take up to 30 Latin letters")
    assert wrong["map"].startswith("there is no field salary; there are id, title")
    assert wrong["region"].startswith("Москва: “No Region!” cannot be a region's id: up to 100 Latin letters")
    assert wrong["region"].endswith("for example RU-KEM")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "id: is missing"),
        ({"id": "1/2"}, "id: "),
        ({"name": ""}, "title: is missing"),
        ({"name": "x" * 501}, "title: must have at most 500"),
        ({"key_skills": ["x" * 101]}, "skills.0: must have at most 100"),
        ({"key_skills": [f"skill {n}" for n in range(101)]}, "skills: must hold at most 100"),
        ({"published_at": "31 January"}, "published: “31 January” is no day"),
    ],
)
def test_a_row_that_is_no_vacancy_says_why(change: dict[str, Any], reason: str, tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{**ITEM, **change}]))
    with pytest.raises(Unfit, match=reason) as refused:
        read(file)
    assert re.search("[а-я]{3}", in_language(refused.value.args[0], "ru")), "and in the reader's language"


def test_an_archived_vacancy_is_closed(tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{**ITEM, "archived": True}]))
    assert read(file) == [Vacancy("hh:1", None)]


@pytest.mark.parametrize("text", ['[{"id":1},', '[{"id":1}] x', '[{"id":1}', '{"id":', '[{"id":1},nonsense]'])
def test_a_file_that_ends_early_is_refused_so_that_nothing_is_closed_by_it(text: str, tmp_path: Path):
    with pytest.raises(Exception, match="is not JSON"):
        list(_values(io.StringIO(text).read))
    file = tmp_path / "cut.json"
    file.write_text(text.replace("1", '1,"name":"x","skills":[]'))
    with pytest.raises(Unreadable, match="is not JSON"):
        read(file)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=3)), st.integers(0, 4)
)
def test_values_come_one_by_one_as_a_parser_reads_them_whole(values: list[Any], indent: int):
    text = json.dumps(values, indent=indent or None)
    assert list(_values(io.StringIO(text).read)) == values


def test_pages_that_are_missing_are_counted():
    pages = Pages()
    for number in (0, 2, 2):
        pages.note({"items": [], "page": number, "pages": 4})
    assert (pages.missing, pages.number) == (2, 4)
    assert Pages().missing == 0
    for number in range(3):  # another search, all of whose pages are there
        pages.note({"items": [], "page": number, "pages": 3, "found": 57})
    assert (pages.missing, pages.number) == (2, 7)


@pytest.mark.parametrize("text", ["[" * 100_000, f"[{'9' * 5_000}]"], ids=["nested", "digits"])
def test_json_that_is_made_to_hurt_is_refused(text: str):
    with pytest.raises(Unreadable):
        list(_values(io.StringIO(text).read))


@pytest.mark.parametrize("said", ["в архиве", "2026-01-01", "maybe"])
def test_what_is_neither_yes_nor_no_is_refused(said: str, tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{**ITEM, "archived": said}]))
    with pytest.raises(Unfit, match="is neither yes nor no"):
        read(file)


# what an import has to say


def doc(*events: Event[Data]) -> dict[str, Any]:
    return {"id": "hh:1", **shown(*events)}


AT = timestamp(NOON + timedelta(days=3))


@pytest.mark.parametrize(
    ("data", "known", "kind"),
    [
        (observed("SQL").data, None, "new"),
        (observed("SQL").data, doc(closed(1)), "new"),
        (observed("SQL").data, doc(observed("SQL")), "unchanged"),
        (observed("SQL", "Excel").data, doc(observed("SQL")), "changed"),
        (observed("SQL").data, doc(observed("SQL"), closed(1)), "changed"),
        (observed("SQL", "Excel").data, doc(observed("SQL", day=4)), "unchanged"),
        (observed("SQL").data, doc(observed("SQL"), closed(4)), "unchanged"),
        (None, doc(observed("SQL")), "closed"),
        (None, doc(observed("SQL"), closed(1)), "unchanged"),
        (None, None, "unchanged"),
    ],
)
def test_only_what_is_different_and_not_older_is_said(data: Any, known: dict[str, Any] | None, kind: str):
    assert standing(Vacancy("hh:1", data), known, AT) == kind


# real vacancies


def direct(skill: str, region: str | None = None) -> int:
    with CSV.open(newline="", encoding="utf-8") as lines:
        return sum(
            skill in [part.strip() for part in row["skills"].split(";")] and region in (None, row["region"])
            for row in csv.DictReader(lines)
        )


def counted(vacancies: Iterable[Vacancy], mapping: dict[str, str | None]) -> Market:
    found = Market(mapping)
    for _, data in vacancies:
        if data is not None:
            found.add(data.model_dump() | {"observed_at": ""})
    return found


@needs_real_data
def test_real_demand_equals_a_direct_count():
    names = ("SQL", "BPMN", "MS Excel", "Аналитическое мышление")
    assert [direct(skill) for skill in names] == [94, 63, 77, 102]
    vacancies = read(CSV)
    found = counted(vacancies, {skill_id(skill): f"national:{number}" for number, skill in enumerate(names)})
    for number, skill in enumerate(names):
        of = {region: n for (competency, region), n in found.demanded.items() if competency == f"national:{number}"}
        assert (sum(of.values()), of["RU-MOW"]) == (direct(skill), direct(skill, "Москва")), skill
    assert found.total().vacancies == 679
    assert found.total().with_skills == 440


@needs_real_data
def test_real_skills_an_hour_covers_most_of_the_demand():
    """Sixty decisions, one a minute, most frequent first."""
    vacancies = read(CSV)
    first = counted(vacancies, {}).skills[:60]
    covered = counted(vacancies, dict.fromkeys((one.id for one in first), "national:x")).total()
    assert covered.mentions_mapped > 0.45 * covered.mentions
    assert covered.mapped > 0.9 * covered.with_skills
