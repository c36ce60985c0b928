"""What a page shows of a service's OpenAPI document, for `apidocs.html`."""

from itertools import groupby
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")


def sections(document: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The document's operations by tag, in the order of their paths."""
    operations = [
        _operation(path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    operations.sort(key=lambda each: (each["tag"], each["path"], METHODS.index(each["method"])))
    return [(tag, list(alike)) for tag, alike in groupby(operations, key=lambda each: str(each["tag"]))]


def _operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    description = operation.get("description") or operation.get("summary") or ""
    parameters = [{"schema": {}, "description": "", **each} for each in operation.get("parameters", ())]
    return {
        "tag": (operation.get("tags") or ["other"])[0],
        "path": path,
        "method": method,
        "security": bool(operation.get("security")),
        "first_line": description.partition("\n")[0],
        "description": operation.get("description") or "",
        "parameters": [{**each, "schema": {"description": "", **each["schema"]}} for each in parameters],
        "bodies": list(operation.get("requestBody", {}).get("content", {})),
        "responses": {status: {"description": "", **answer} for status, answer in operation["responses"].items()},
    }
