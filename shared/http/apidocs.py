"""A page that shows what a service answers over HTTP: its OpenAPI document for people, without any script."""

from html import escape
from itertools import groupby
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")
_STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2430;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid #d5dbe3}
details{border:1px solid #d5dbe3;border-radius:.4rem;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}code{font-size:.95em}.method{font-weight:600;text-transform:uppercase}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0}
pre{white-space:pre-wrap;margin:.5rem 0}.locked{color:#56606e}a{color:#0b4f9c}
"""


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document. Everything in it is escaped."""
    operations = [
        ((operation.get("tags") or ["other"])[0], path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    operations.sort(key=lambda one: (one[0], one[1], METHODS.index(one[2])))
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(_operation(*one[1:]) for one in group)}"
        for tag, group in groupby(operations, key=lambda one: one[0])
    )
    title = escape(document["info"]["title"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}: HTTP API</title><style>{_STYLE}</style><main><h1>{title}: HTTP API</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). What needs a token is marked: get one '
        f"from <code>POST /token</code> of partners.</p>{sections}</main></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    needs_token = ' <span class="locked">needs a token</span>' if operation.get("security") else ""
    first, *_ = (operation.get("description") or operation.get("summary") or "").split("\n")
    description = escape(operation.get("description") or "")
    parameters = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer.get('description', ''))}"
        for status, answer in operation.get("responses", {}).items()
    )
    body = ", ".join(f"<code>{escape(kind)}</code>" for kind in operation.get("requestBody", {}).get("content", {}))
    return (
        f'<details><summary><span class="method">{method}</span> <code>{escape(path)}</code>{needs_token}<br>'
        f"{escape(first)}</summary><pre>{description}</pre>"
        + (f"<table><tr><th>Parameter<th>In<th>{parameters}</table>" if parameters else "")
        + (f"<p>Body: {body}</p>" if body else "")
        + f"<table><tr><th>Status<th>{answers}</table></details>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    name, where = escape(parameter["name"]), escape(parameter["in"])
    needed = " (needed)" if parameter.get("required") else ""
    description = escape(parameter.get("description") or parameter.get("schema", {}).get("description") or "")
    return f"<tr><td><code>{name}</code>{needed}<td>{where}<td>{description}"
