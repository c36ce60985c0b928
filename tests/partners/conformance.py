"""The public conformance cases of CloudEvents, as their files have them (their YAML is a small part of YAML)."""

import re
from textwrap import dedent
from typing import Any, NamedTuple

from deploy.local.processes import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "cloudevents-conformance"


class Message(NamedTuple):
    """An HTTP request of the feature file, and what is in it."""

    headers: dict[str, str]
    body: str
    attributes: dict[str, str]
    data: str


def http_messages() -> list[Message]:
    """Every scenario of the HTTP binding, once for each of its examples."""
    text = (FOLDER / "features" / "http-protocol-binding.feature").read_text()
    messages = []
    for outline in text.split("Scenario Outline:")[1:]:
        for content_type in re.findall(r"^    \| (application/.*?) +\|$", outline, re.MULTILINE):
            scenario = outline.replace("<contentType>", content_type)
            request, data = map(dedent, re.findall(r'"""\n(.*?)\n *"""', scenario, re.DOTALL))
            head, _, body = request.partition("\n\n")
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
            rows = re.findall(r"^ +\| +(\w+) \| (\S.*?) *\|$", scenario, re.MULTILINE)
            messages.append(Message(headers, body, {k: v for k, v in rows if k != "key"}, data))
    return messages


class Case(NamedTuple):
    """An event of the YAML files; without a mode it is meant for each."""

    mode: str | None
    attributes: dict[str, str]
    data: str


def events(path: str) -> list[Case]:
    cases = []
    for document in (FOLDER / "yaml" / path).read_text().split("---\n"):
        parsed = _block(document)
        attributes = parsed["ContextAttributes"]
        # A literal block ends with a line break, which no attribute may hold.
        extensions = {name: value.strip() for name, value in attributes.pop("Extensions", {}).items()}
        cases.append(Case(parsed.get("Mode"), attributes | extensions, parsed["Data"]))
    return cases


def _block(text: str) -> dict[str, Any]:
    """A mapping of texts, literal blocks and mappings."""
    found: dict[str, Any] = {}
    for name, value, indented in re.findall(r"^(\w+) ?: ?(.*)\n((?: .*\n?)*)", text, re.MULTILINE):
        inner = dedent(indented)
        found[name] = inner if value == "|" else value.strip('"') if value else _block(inner)
    return found
