"""A file's rows as events, without servers: what people have, what they get wrong, and hostile files."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from services.partners.gateway.contract.page import sent
from services.partners.gateway.files.cells import offset_of
from services.partners.gateway.files.mapping import (
    ROWS,
    Mistakes,
    Plan,
    event_of,
    events_of,
    explained,
    fields_of,
    meaning,
    plan,
    suggested,
)
from services.partners.gateway.files.validate import checked
from shared.contract.events import DATA
from shared.files.tables import (
    MOST_ROWS,
    REFUSED,
    Row,
    Table,
    Unreadable,
    report_head,
    report_line,
    report_row,
    table,
)
from shared.http.problems import Problem
from shared.http.spreadsheets import BOM
from shared.settings import Settings

COMPLETED = "praktika.internship.completed.v1"
EMPLOYED = "praktika.employment.recorded.v1"
PUBLISHED = ROWS
TOMSK = timezone(timedelta(hours=7))
HEAD = "subject;learner;time;enterprise;programme;hours;competencies;outcome\n"
GOOD = 'i-1;l-1;02.03.2026;plant;welding;160,5;"national:welding-3; greencomp:3.1";passed\n'


def read(content: str | bytes, **options: Any) -> Table:
    return table(io.BytesIO(content if isinstance(content, bytes) else content.encode()), **options)


def rows(content: str | bytes, **options: Any) -> list[Row]:
    return list(read(content, **options).read())


def sheet(*lines: list[Any], second: bool = False) -> bytes:
    book = Workbook()
    assert book.active is not None
    for line in lines:
        book.active.append(line)
    if second:
        book.create_sheet("other").append(["not", "this"])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def planned(found: Table, type_: str = COMPLETED, **given: Any) -> Plan:
    given = {"constants": {}, "offset": TOMSK} | given
    return plan(found.columns, type_, given.pop("mapped", {}), **given)


def event(content: str | bytes, type_: str = COMPLETED, **given: Any) -> dict[str, Any]:
    """The event of the only row."""
    found = read(content)
    (row,) = found.read()
    return event_of(row, planned(found, type_, **given), "plant")


def wrong(content: str | bytes, type_: str = COMPLETED, **given: Any) -> str:
    with pytest.raises(Mistakes) as raised:
        event(content, type_, **given)
    return str(raised.value)


# reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_spreadsheets_csv_is_read_as_it_comes(encoding: str, delimiter: str, end: str):
    content = end.join([delimiter.join(["Часы", "Программа"]), delimiter.join(["8", '"сварка"']), ""])
    found = read(content.encode(encoding))
    assert (found.columns, found.rows, found.delimiter) == (["Часы", "Программа"], 1, delimiter)
    assert [row.cells for row in found.read()] == [{"Часы": "8", "Программа": "сварка"}]


def test_an_encoding_that_is_named_is_taken():
    assert rows("имя\nда\n".encode("koi8-r"), encoding="koi8-r")[0].cells == {"имя": "да"}
    with pytest.raises(Unreadable, match="not in utf-8"):
        read(b"a\n\xff\n", encoding="utf-8")


def test_rows_are_numbered_as_a_spreadsheet_does_and_empty_ones_are_passed_over():
    content = '\n;\na;b\n"two\nlines";x\n\n;;\nlast;y\n'
    assert [(row.number, row.cells["a"]) for row in rows(content)] == [(4, "two\nlines"), (7, "last")]


def test_a_sheets_values_are_read_as_one_would_type_them():
    day = datetime(2026, 3, 2)  # noqa: DTZ001
    line = [12.0, 0.1, 1e20, True, day, day + timedelta(hours=9.5), day.date(), time(9), " x "]
    content = sheet([f"c{place}" for place in range(len(line))], line, [], ["last"], second=True)
    first, last = rows(content)
    assert list(first.cells.values()) == [
        *("12", "0.1", "1e+20", "true", "2026-03-02", "2026-03-02T09:30:00", "2026-03-02", "09:00:00", "x")
    ]
    assert (last.number, last.cells) == (4, {"c0": "last"})


def test_a_formula_counts_for_what_it_gave_and_is_told_if_it_gave_nothing_yet():
    content = sheet(["a", "b", "c"], ["=1+1", "x", "#N/A"])
    (row,) = rows(content)
    assert row.cells == {"b": "x"}
    assert "never worked out" in row.unfit["a"].text()
    assert "#N/A" in row.unfit["c"].text()
    (row,) = rows(replaced(content, b"<v></v>", b"<v>2</v>"))
    assert row.cells["a"] == "2"


def replaced(content: bytes, old: bytes, new: bytes, part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """An XLSX file with a part changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name)
            if name == part:
                text = text.replace(b"<v />", b"<v></v>")
                assert old in text
                text = text.replace(old, new)
            target.writestr(name, text)
    return stream.getvalue()


def test_lines_of_json_are_rows_or_events():
    lines = [{"hours": 8, "full": True, "n": None, "l": ["a"]}, {"hours": 0.5}, sent(COMPLETED), [], {"new": "x"}]
    content = "\n".join(json.dumps(line) for line in lines) + "\n{\n\n"
    found = read(content)
    first, second, whole, array, new, broken = found.read()
    assert found.columns == ["hours", "full", "l", "event", "new"]
    assert (first.cells, second.cells) == ({"hours": "8", "full": "true", "l": ["a"]}, {"hours": "0.5"})
    assert event_of(whole, None, "plant") == sent(COMPLETED)
    assert [array.unfit[""].code, broken.unfit[""].code, broken.number] == ["object", "json", 6]
    assert new.cells == {"new": "x"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "nothing in the file"),
        (b"\n\n;;\n", "nothing in the file"),
        (b"a;b\n", "nothing below the first row"),
        (b"a;a\n1;2\n", "“a” is there twice"),
        (b'a;b\n"x"y;2\n', "line 2: "),
        (b'a;b\n"x;2\n', "line 2: unexpected end of data"),
        (b"a\n" + b"x" * 2**20, "line 2 is longer"),
        (b'a\n"' + b"x\n" * 100_000 + b'"', "field larger than"),
        (";".join(f"c{n}" for n in range(300)).encode() + b"\n1\n", "more than 200 columns"),
        (b'{"a": 1}\n' * 11, "more than 10 rows"),
        (b"\n" * 2**20 + b"\na\nb", f"more than {MOST_ROWS} rows"),
        (b"\xd0\xcf\x11\xe0 old", "save it as .xlsx"),
        (b"PK\x03\x04 nothing", "no XLSX file"),
        (b"PK", "no XLSX file"),
    ],
)
def test_what_is_no_table_is_told_with_what_to_do(content: bytes, told: str):
    with pytest.raises(Unreadable, match=told):
        read(content, rows=10)


def test_a_zip_bomb_is_not_unpacked():
    bomb = replaced(sheet(["a"], ["b"]), b"<sheetData>", b"<sheetData>" + b" " * 2**20)
    assert len(bomb) < 20_000
    with pytest.raises(Unreadable, match="more than 1 MiB"):
        read(bomb, inflated=2**20)
    # What lies about its size is read no further than that, and found broken.
    size = bomb.replace((2**20 + 11).to_bytes(4, "little"), (11).to_bytes(4, "little"))
    with pytest.raises(Unreadable):
        read(size, inflated=2**20)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'ref="A1:B2"', b'ref="A1:ZZZ9999999"'),
        (b'r="A2"', b'r="A999999999"'),
        (b'<row r="2"', b'<row r="999999999"'),
        (b"<sheetData>", b"<sheetData><row><c t='s'><v>77</v></c></row>"),
        (b"<sheetData>", b"<sheetData><"),
        (b"<v>", b"<v>not a number"),
        (b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet'),
    ],
)
def test_a_hostile_sheet_is_refused_or_read_at_once(old: bytes, new: bytes):
    try:
        found = read(replaced(sheet(["a", "b"], [1, 2]), old, new))
        assert found.rows == 1
    except Unreadable:
        pass


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"{", b"a;b\n", b"\xef\xbb\xbf", b"\xff\xfe"]))
def test_any_bytes_are_a_table_or_told_to_be_none(content: bytes, head: bytes):
    try:
        found = read(head + content, rows=100)
    except Unreadable:
        return
    assert found.rows == len(list(found.read())) > 0
    for _, taken in events_of(found.read(), None, "plant"):
        assert isinstance(taken, dict | Mistakes)


# what columns mean


def test_a_row_becomes_the_event_that_it_says():
    made = event(HEAD + GOOD)
    checked(made, Settings())
    assert made == {
        "specversion": "1.0",
        "id": made["id"],
        "source": "/organisations/plant",
        "type": COMPLETED,
        "subject": "i-1",
        "partitionkey": "l-1",
        "time": "2026-03-02T12:00:00+07:00",
        "data": {
            "enterprise": "plant",
            "programme": "welding",
            "hours": 160.5,
            "competencies": ["national:welding-3", "greencomp:3.1"],
            "outcome": "passed",
        },
    }


@pytest.mark.parametrize("type_", PUBLISHED)
def test_the_example_of_every_type_may_come_as_a_row(type_: str):
    example = sent(type_)
    cells: dict[str, str] = {name: example[name] for name in ("subject", "time")}
    if DATA[type_].key == "learner":
        cells["learner"] = example["partitionkey"]
    for name, value in example.get("data", {}).items():
        if isinstance(value, dict):
            cells |= {f"{name}.{key}": str(part) for key, part in value.items()}
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            cells |= {f"{name}.{key}": "; ".join(str(item[key]) for item in value) for key in value[0]}
        else:
            cells[name] = ";".join(value) if isinstance(value, list) else str(value)
    content = report_line(list(cells), ",") + report_line(list(cells.values()), ",")
    source = example["source"].rpartition("/")[2]
    found = read(content)
    (row,) = found.read()
    made = event_of(row, planned(found, type_, offset=None), source)
    expected = checked(example, Settings())
    assert checked({**made, "id": example["id"]}, Settings()) == expected


@pytest.mark.parametrize("type_", PUBLISHED)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_field_is_explained_in_both_languages(type_: str, language: Any):
    assert all(meaning(type_, name, language) for name in fields_of(type_))


def test_columns_are_understood_by_their_names_in_english_and_russian():
    columns = ["Дата", "Обучающийся", "Subject", "Часы", "Предприятие", "programme", "data.outcome", "Фамилия", "hours"]
    assert suggested(columns, COMPLETED) == {
        "Дата": "time",
        "Обучающийся": "partitionkey",
        "Subject": "subject",
        "Часы": "hours",
        "Предприятие": "enterprise",
        "programme": "programme",
        "data.outcome": "outcome",
    }
    assert suggested(["learner"], "praktika.learner.enrolled.v1") == {"learner": "subject"}


def test_what_is_said_of_a_column_goes_before_its_name():
    content = "hours;real;subject;learner;time;enterprise;programme;outcome;x=y\n1;2;i;l;02.03.2026;e;p;passed;c:1\n"
    made = event(
        content, mapped={"real": "data.hours", "x=y": "competencies", "outcome": ""}, constants={"outcome": "failed"}
    )
    assert (made["data"]["hours"], made["data"]["outcome"], made["data"]["competencies"]) == (2, "failed", ["c:1"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mapped": {"hour": "hours"}}, "there is no column “hour”; is it hours?"),
        ({"mapped": {"hours": "houres"}}, "there is no field houres; is it hours?"),
        ({"mapped": {"hours": ""}}, "no column says what hours is (Hours, to a hundredth: 7.33)"),
        ({"mapped": {"learner": ""}}, "no column says what learner is (The learner's pseudonym"),
        ({"mapped": {"outcome": "hours", "hours": "hours"}}, "hours is to be both"),
        ({"constants": {"hours": "many"}}, "hours: “many” is no number"),
        ({"key": ["number"]}, "there is no column “number”"),
    ],
)
def test_columns_that_make_no_event_are_told_before_any_row(given: dict[str, Any], told: str):
    assert told in wrong(HEAD + GOOD, **given)


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("hours", "many", "hours: “many” is no number"),
        ("hours", "1.200,5", "is no number"),
        ("hours", "inf", "is no number"),
        ("outcome", "gut", "outcome: “gut” is none of passed, failed"),
        ("time", "March", "time: “March” is no time"),
        ("time", "31.02.2026", "is no time"),
        ("time", "2026-03-02 25:00", "is no time"),
    ],
)
def test_a_cell_that_cannot_be_read_is_told_with_its_column(column: str, cell: str, told: str):
    head = HEAD.strip().split(";")
    cells = ["i-1", "l-1", "02.03.2026", "plant", "welding", "8", "", "passed"]
    cells[head.index(column)] = cell
    assert told in wrong(HEAD + ";".join(cells) + "\n")


@pytest.mark.parametrize(
    ("type_", "field", "cell", "value"),
    [
        (EMPLOYED, "full_time", "Да", True),
        (EMPLOYED, "full_time", "ЛОЖЬ", False),
        (EMPLOYED, "full_time", "0", False),
        (EMPLOYED, "full_time", "TRUE", True),
        (EMPLOYED, "since", "1.3.2026", "2026-03-01"),
        (EMPLOYED, "since", "2026-03-01T00:00:00", "2026-03-01"),
        (EMPLOYED, "contract", "Бессрочный", "permanent"),
        (EMPLOYED, "contract", "fixed term", "fixed_term"),
        ("praktika.learner.enrolled.v1", "cohort", "2026-06-01", "2026-06"),
        ("praktika.learner.enrolled.v1", "cohort", "6.2026", "2026-06"),
        ("praktika.opportunity.closed.v1", "filled", "12.0", 12),
        ("praktika.opportunity.closed.v1", "filled", "1\u00a0200", 1200),
        ("praktika.feedback.submitted.v1", "competencies.greencomp:3.1", "4", {"greencomp:3.1": 4}),
    ],
)
def test_cells_are_read_as_people_write_them(type_: str, field: str, cell: str, value: Any):
    needed = {"subject": "s", "learner": "l", "time": "02.03.2026", "status": "employed", "programme": "p"}
    needed |= {"role": "mentor", "overall": "5"}
    known = {
        name: text
        for name, text in needed.items()
        if (name if name != "learner" else "partitionkey") in fields_of(type_)
    }
    cells = {**known, field: cell}
    made = event(report_line(list(cells), ";") + report_line(list(cells.values()), ";"), type_)
    assert made["data"][field.partition(".")[0]] == value


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-03-02", "2026-03-02T12:00:00+07:00"),
        ("02.03.2026 9:05", "2026-03-02T09:05:00+07:00"),
        ("2026-03-02T09:05:07", "2026-03-02T09:05:07+07:00"),
        ("2026-03-02T09:05:07.5Z", "2026-03-02T09:05:07.500000+00:00"),
        ("2026-03-02 09:05 +0300", "2026-03-02T09:05:00+03:00"),
    ],
)
def test_a_time_without_an_offset_is_that_of_the_timezone_and_a_day_is_its_noon(cell: str, moment: str):
    assert event(HEAD + GOOD.replace("02.03.2026", cell))["time"] == moment


def test_a_time_without_an_offset_needs_a_timezone():
    assert "time: “02.03.2026” does not say in which time zone" in wrong(HEAD + GOOD, offset=None)
    assert [offset_of(text).utcoffset(None) for text in ("Z", "+07:00", "-3:30")] == [
        UTC.utcoffset(None),
        timedelta(hours=7),
        -timedelta(hours=3, minutes=30),
    ]
    for text in ("", "7", "+15:00", "+07:60", "Asia/Tomsk"):
        with pytest.raises(ValueError, match="offset"):
            offset_of(text)


def test_parts_of_a_list_stand_beside_each_other():
    head = "subject;time;title;version;level;competencies.competency;competencies.level\n"
    made = event(head + 'w;02.03.2026;Welding;1;4;"a:1; b:2";"3;4"\n', "praktika.programme.published.v1")
    assert made["data"]["competencies"] == [{"competency": "a:1", "level": 3}, {"competency": "b:2", "level": 4}]
    assert "must list equally many" in wrong(
        head + 'w;02.03.2026;W;1;4;"a:1; b:2";3\n', "praktika.programme.published.v1"
    )


# ids


def test_a_row_is_the_same_event_wherever_it_stands_and_however_its_time_is_written():
    (one,) = {event(HEAD + GOOD)["id"], event(HEAD + "\n" + GOOD.replace("02.03.2026", "2026-03-02 12:00"))["id"]}
    assert event(HEAD + GOOD.replace("i-1", "i-2"))["id"] != one
    assert event(HEAD + GOOD.replace("l-1", "l-2"))["id"] != one
    assert event(HEAD + GOOD.replace("02.03", "03.03"))["id"] != one
    assert event(HEAD + GOOD.replace("passed", "failed"))["id"] == one


def test_a_key_of_the_files_own_tells_rows_apart():
    given = {"key": ["number"], "mapped": {"number": ""}}
    content = "number;" + HEAD + "7;" + GOOD
    one = event(content, **given)["id"]
    assert event(content.replace("02.03", "03.03"), **given)["id"] == one
    assert event(content.replace("\n7;", "\n8;"), **given)["id"] != one
    assert "number: is empty" in wrong(content.replace("\n7;", "\n;"), **given)
    assert event("id;" + HEAD + "own-7;" + GOOD)["id"] == "own-7"


def test_two_rows_of_one_key_that_say_different_things_are_told():
    found = read(HEAD + GOOD + GOOD + GOOD.replace("passed", "failed"))
    first, same, other = [taken for _, taken in events_of(found.read(), planned(found), "plant")]
    assert first == same
    assert isinstance(other, Mistakes)
    assert other.status == 409
    assert "the same key as row 2" in str(other)


# mistakes


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_ingress_refusal_is_told_in_the_words_of_the_table(language: Any):
    content = HEAD.replace("hours", "Часы").replace("programme", "prog") + GOOD.replace("160,5", "160,125").replace(
        "welding;", ";"
    )
    found = read(content)
    (row,) = found.read()
    meant = planned(found, mapped={"prog": "programme"}, language=language)
    made = event_of(row, meant, "plant")
    with pytest.raises(Problem) as raised:
        checked(made, Settings())
    programme, hours = explained(raised.value, made, meant)
    assert (programme.column, programme.field, hours.column, hours.field) == ("prog", "programme", "Часы", "hours")
    if language == "en":
        assert programme.detail.startswith("is empty")
        assert str(hours) == "Часы (hours): must have at most two decimals: 7.33 (Hours, to a hundredth: 7.33)"
    else:
        assert programme.detail == "пусто, а поле обязательно"
        assert hours.detail == "должно быть не больше двух знаков после запятой: 7.33"


@pytest.mark.parametrize(
    ("field", "cell", "told"),
    [
        ("competencies.greencomp:3.1", "9", "x (competencies.greencomp:3.1): must be at most 5"),
        ("competencies.3.1", "5", "x (competencies.3.1): must be a framework and its item: greencomp:3.1"),
        ("relevance", "0", "x (relevance): must be at least 1"),
    ],
)
def test_a_mistake_is_told_in_its_column_however_the_field_is_called(field: str, cell: str, told: str):
    found = read(f"subject;time;role;overall;x\ns;02.03.2026;mentor;5;{cell}\n")
    (row,) = found.read()
    meant = planned(found, "praktika.feedback.submitted.v1", mapped={"x": field})
    made = event_of(row, meant, "plant")
    with pytest.raises(Problem) as raised:
        checked(made, Settings())
    assert str(explained(raised.value, made, meant)[0]).startswith(told)


@pytest.mark.parametrize(("language", "told"), [("en", "no such programme"), ("ru", "программа welding неизвестна")])
def test_what_the_registry_says_is_told_in_the_column_that_holds_it(language: Any, told: str):
    found = read(HEAD + GOOD)
    (row,) = found.read()
    meant = planned(found, language=language)
    rule = {"rule": "programme", "reference": "welding"}
    problem = Problem(422, "no such programme", [("data", "no such programme")], more=rule)
    (mistake,) = explained(problem, event_of(row, meant, "plant"), meant)
    assert (mistake.column, mistake.field) == ("programme", "programme")
    assert mistake.detail.startswith(told)


# what goes back


def test_the_report_may_be_mended_and_read_again():
    found = read(HEAD + GOOD.replace("passed", "=HYPERLINK(1)"))
    (row,) = found.read()
    report = BOM + report_head(found) + report_row(found, row, 422, "outcome", "is none of passed, failed")
    assert "'=HYPERLINK(1)" in report
    assert report.splitlines()[0].endswith(";".join(REFUSED))
    again = read(report)
    (mended,) = again.read()
    assert {name: cell for name, cell in mended.cells.items() if name not in REFUSED} == row.cells
    assert mended.cells["refused: row"] == "2"
    assert report_head(again) == report_head(found)
    assert planned(again).columns == planned(found).columns


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_nothing_in_the_report_is_a_formula(cells: list[str]):
    line = report_line(cells, ",")
    (record,) = csv.reader(io.StringIO(line, newline=""))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in record)
