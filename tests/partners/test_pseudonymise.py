"""Real numbers and names become pseudonyms on the institution's own computer."""

from pathlib import Path

import pytest
from openpyxl import Workbook
from typer.testing import CliRunner, Result

from deploy.praktika.__main__ import application
from services.partners.gateway.files.pseudonymise import pseudonym

NAMES = "Студент;Программа\nИванова Анна;north-college:welding\nПетров Пётр;north-college:welding\nиванова  АННА;x\n"


def run(file: Path, **more: str) -> Result:
    options = {"column": "Студент", "organisation": "north-college", "secret": str(file.parent / "key"), **more}
    return CliRunner().invoke(
        application(), ["pseudonymise", str(file), *(f"--{name}={value}" for name, value in options.items())]
    )


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8-sig").splitlines()


def test_the_same_learner_has_the_same_pseudonym_and_the_names_stay(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text(NAMES, encoding="cp1251")
    assert run(file).exit_code == 0
    published, who = lines(tmp_path / "a.csv.pseudonyms.csv"), lines(tmp_path / "a.csv.pseudonyms.table.csv")
    assert published[0] == "Студент;Программа"
    first, second, again = (line.split(";")[0] for line in published[1:])
    assert first == again != second
    assert first.startswith("north-college:")
    assert who == ["Студент;pseudonym", f"Иванова Анна;{first}", f"Петров Пётр;{second}", f"иванова  АННА;{first}"]
    assert "Иванова" not in "".join(published)
    assert {oct((tmp_path / name).stat().st_mode)[-3:] for name in ("key", "a.csv.pseudonyms.table.csv")} == {"600"}
    before = published
    assert run(file).exit_code == 0
    assert lines(tmp_path / "a.csv.pseudonyms.csv") == before


def test_another_secret_gives_other_pseudonyms(tmp_path: Path):
    assert pseudonym("17", "uni", bytes(32)) != pseudonym("17", "uni", bytes(31) + b"1")
    assert pseudonym("17", "uni", bytes(32)) == pseudonym(" 17 ", "uni", bytes(32))


def test_a_spreadsheet_is_read_too(tmp_path: Path):
    book = Workbook()
    for row in (["Студент", "Часы"], ["0017", 160]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert run(tmp_path / "a.xlsx").exit_code == 0
    (_, row) = lines(tmp_path / "a.xlsx.pseudonyms.csv")
    assert row.endswith("160")
    assert not row.startswith("0017")


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (NAMES, {"column": "Номер"}, "there is no column Номер; there are: Студент, Программа"),
        ("Студент;Программа\n;x\n", {}, "row 2: Студент is empty or no text; nothing was written"),
        (NAMES, {"secret": "/dev/null"}, "too short for a secret"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path: Path, content: str, options: dict[str, str], told: str):
    file = tmp_path / "a.csv"
    file.write_text(content)
    done = run(file, **options)
    assert done.exit_code in (1, 2)
    assert told in done.stderr
    assert not list(tmp_path.glob("*.pseudonyms.*"))
