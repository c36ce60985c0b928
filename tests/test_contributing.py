"""The recipes of CONTRIBUTING.md are walked in a copy of the tree: what each says is enough, and is there."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.processes import ROOT

END = "\x00"  # an addition at a file's end


@dataclass(frozen=True)
class Walk:
    """What somebody does who follows a recipe.

    Attributes:
        added: by path: what a piece of text is put after (`END`: the file; of a new file there is nothing else).
        tests: files of tests, and `proof`, Python after `ASKED`, that fail if it was not enough.
    """

    added: dict[str, list[tuple[str, str]]]
    tests: tuple[str, ...] = ()
    proof: str = ""


ASKED = """
import asyncio, httpx
from services.monitoring import app
from shared.http.application import create_app
from shared.settings import Settings

async def get(path, **headers):
    transport = httpx.ASGITransport(create_app(app.core, app.router, Settings(role="api")))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path, headers={"Accept": "text/html", **headers})
"""
WALKS = {
    "An event": Walk(
        {
            "shared/contract/events.py": [
                (
                    '    """An activity was entered by mistake."""\n',
                    '\n\nclass ActivityPostponed(Data, topic="activity", by=PARTNERS):\n'
                    '    """An activity was put off."""\n\n    until: Day\n',
                )
            ],
            "shared/processing/ownership.py": [
                (
                    "_RULES: dict[EventClass, Rule] = {\n",
                    '    events.ActivityPostponed: _of_who_introduced("activity.held"),\n',
                )
            ],
            "services/partners/gateway/egress/audience.py": [
                ("RULES: dict[EventClass, tuple[Rule, ...]] = {\n", "    events.ActivityPostponed: (),\n")
            ],
            "services/partners/gateway/contract/examples.py": [
                (
                    "\n_ALL = (\n",
                    '    _by(PLANT, "open-day", events.ActivityPostponed(until=date(2026, 10, 1))),\n',
                )
            ],
            "tests/shared/test_contract.py": [("WITHOUT_FIGURE = {\n", '    "activity.postponed",\n')],
        },
        tests=("tests/shared/test_contract.py", "tests/partners/test_contract.py", "tests/partners/test_audience.py"),
    ),
    "An indicator": Walk(
        {
            "services/monitoring/states.py": [
                (
                    '    stocks = {"programmes": 1}\n',
                    '    stocks |= {"programmes_short": 1} if version["level"] < 4 else {}\n',
                )
            ],
            "services/monitoring/indicators.py": [
                (
                    "\nCATALOGUE: tuple[Indicator, ...] = (\n",
                    "    Indicator(\n"
                    '        id="short_programmes",\n'
                    "        group=COOPERATION,\n"
                    '        title=Text("Short programmes"),\n'
                    '        formula=Text("programmes below level 4"),\n'
                    '        unit="programmes",\n'
                    '        kind="sum",\n'
                    '        numerator=("programmes_short",),\n'
                    '        cases=("programmes_short",),\n'
                    "        scopes=GRADUATES,\n"
                    '        by="stock",\n'
                    "        personal=False,\n"
                    "    ),\n",
                )
            ],
            "tests/monitoring/test_indicators.py": [
                (
                    END,
                    "\n\ndef test_short_programmes_are_those_below_level_4() -> None:\n"
                    "    def of(level: int) -> Event[Data]:\n"
                    '        said = ProgrammePublished(title="x", version="1", level=level)\n'
                    '        return event(said, of="institution:college", subject=f"programme-{level}")\n\n'
                    '    assert measured("short_programmes", of(3), of(4)).value == 1\n',
                ),
                ('        "active_partners",\n', '        "short_programmes",\n'),
            ],
        },
        tests=("tests/monitoring/test_indicators.py",),
    ),
    "A page": Walk(
        {
            "services/monitoring/api.py": [
                (
                    "from shared.pages.languages import Language, Text\n",
                    "from shared.pages.pages import page\n",
                ),
                (
                    END,
                    '\n\n@router.get("/thanks", tags=["dashboard"])\n'
                    "async def thanks(request: Request, language: Chosen) -> Response:\n"
                    '    """Who made it."""\n'
                    '    return page(request, "services/monitoring/pages/thanks.html", language)\n',
                ),
            ],
            "services/monitoring/pages/thanks.html": [
                (
                    END,
                    '{% extends "shared/pages/layout.html" %}\n'
                    '{% block title %}{{ _("Thanks to all") }}{% endblock %}\n'
                    "{% block kind %}thanks{% endblock %}\n"
                    '{% block main %}<h1>{{ _("Thanks to all") }}</h1>{% endblock %}\n',
                )
            ],
            "shared/pages/praktika.css": [(END, ".thanks h1 { color: var(--accent); }\n")],
            "tests/test_routes.py": [("    # of all services\n", '    "GET /thanks": PUBLIC,\n')],
        },
        tests=("tests/shared/test_pages.py",),
        proof="answer = asyncio.run(get('/thanks?lang=ru'))\n"
        "assert answer.status_code == 200 and 'Thanks to all по-другому' in answer.text, answer.text\n",
    ),
    "A language": Walk(
        {
            "shared/pages/languages.py": [
                ('Language = Literal["en", "ru"', ', "de"'),
                ('NAMES: dict[Language, str] = {"en": "English", ', '"de": "Deutsch", '),
            ],
            "shared/pages/locale/de.po": [
                (
                    END,
                    'msgid ""\nmsgstr ""\n"Project-Id-Version: Praktika\\n"\n"Language: de\\n"\n'
                    '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n',
                )
            ],
        },
        tests=("tests/shared/test_pages.py", "tests/shared/test_contract.py"),
        proof="answer = asyncio.run(get('/nothing', **{'Accept-Language': 'de-AT, en;q=0.8'}))\n"
        "assert answer.headers['content-language'] == 'de' and 'anders' in answer.text, answer.text\n",
    ),
}
OTHER_WORDS = {"ru": "по-другому", "de": "anders"}


def recipe(name: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return text.partition(f"**{name}.**")[2].partition("\n\n")[0]


def paths_in(text: str) -> set[str]:
    """The files that a text names, as patterns: what is in angle brackets stands for any."""
    named = re.findall(r"`((?:shared|services|tests|docs|deploy)/[\w./*<>]+)`", text)
    return {re.sub(r"<\w+>", "*", path) for path in named}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree as it is, without what is not of it, and what is compiled of it."""
    ours = shutil.ignore_patterns(".*", "dist")
    for name in ("shared", "services", "deploy", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ours)
    for name in ("pyproject.toml", "CONTRIBUTING.md", "CHANGELOG.md", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def follow(copy: Path) -> None:
    for path, pieces in ((path, pieces) for walk in WALKS.values() for path, pieces in walk.added.items()):
        for after, piece in pieces:
            text = (copy / path).read_text() if (copy / path).exists() else ""
            assert after == END or text.count(after) == 1, f"{path}: where is {after!r}?"
            (copy / path).write_text(text + piece if after == END else text.replace(after, after + piece))
    run(copy, "-m", "deploy.messages")
    for language, words in OTHER_WORDS.items():
        translate(copy / f"shared/pages/locale/{language}.po", words)
    run(copy, "-m", "deploy.messages")  # as it breaks lines
    run(copy, "-m", "deploy.contract")


def translate(catalogue: Path, words: str) -> None:
    """Give every text that has no translation one: itself and a few words more."""
    if not catalogue.exists():
        return

    def translated(found: re.Match[str]) -> str:
        inner = "".join(re.findall(r'"(.*)"', found[1]))
        return f'{found[0].rstrip()[:-2]}"{inner} {words}"\n'

    head, blank, rest = catalogue.read_text().partition("\n\n")
    said = re.sub(r'msgid ((?:".*"\n)+)msgstr ""\n(?!")', translated, f"{rest}\n")
    catalogue.write_text(head + blank + said)


def run(copy: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("name", WALKS)
def test_a_recipe_names_every_file_that_changes(name: str):
    for path in WALKS[name].added:
        assert any(Path(path).match(named) for named in paths_in(recipe(name))), path


@pytest.mark.slow
def test_who_follows_the_recipes_gets_there(copy: Path):
    """All in one tree, because each start of the tests takes seconds."""
    follow(copy)
    tests = dict.fromkeys(path for walk in WALKS.values() for path in walk.tests)
    run(copy, "-m", "pytest", "-q", "--quick", "-p", "no:cacheprovider", *tests)
    run(copy, "-c", ASKED + "".join(walk.proof for walk in WALKS.values()))


def test_every_file_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(paths_in(text)) > 10
    for path in paths_in(text):
        assert list(ROOT.glob(path)), path
