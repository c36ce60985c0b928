"""The glossary names what is there."""

import importlib
import re
from operator import attrgetter

from deploy.local.processes import ROOT


def test_every_identifier_of_the_glossary_exists():
    named = re.findall(r"`((?:shared|services)\.[\w.]+)`", (ROOT / "docs/glossary.md").read_text())
    assert len(named) > 30
    for name in named:
        parts = name.split(".")
        last = next(n for n in range(len(parts), 0, -1) if (ROOT / "/".join(parts[:n])).with_suffix(".py").exists())
        attrgetter(".".join(parts[last:]))(importlib.import_module(".".join(parts[:last])))


def test_every_term_of_the_glossary_is_explained_in_a_line():
    lines = [line for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line.startswith("| ")]
    assert all(line.count("|") == 4 and len(line) < 200 for line in lines)
