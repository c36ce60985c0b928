"""A thousand requests that nobody would send, made from the OpenAPI documents of all services.

No request breaks a service, and each answer is one that the document names. The same requests each time; more and other
ones by `FUZZ_CASES` (for each operation, 10 as a rule) and `FUZZ_SEED`.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from deploy.contract import documents
from shared.contract.events import TOPICS, ContractError, parse
from shared.log.topics import SERVICES
from tests.network import as_
from tests.stack import Running

CASES = int(os.environ.get("FUZZ_CASES", "10"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
LEFT_OUT = {"GET /feed/stream": "it does not end", "POST /webhooks": "it asks the address that it is given"}
CALLERS = ("operator", "uni", "plant", None)
# Ids of what there is, so that requests get further than "there is no such".
KNOWN = {
    "/organisations": ["lab", "works"],
    "/agreements": ["a-1"],
    "/programmes": ["welding"],
    "/opportunities": ["job-1"],
    "/schemes": ["futures"],
    "/enterprises": ["plant"],
    "/frameworks": ["greencomp"],
    "/competencies": ["greencomp:3.1"],
    "/demand": ["greencomp:3.1"],
    "/indicators": ["employment_rate", "median_days_to_employment", "active_partners"],
    "/schemas": ["praktika.learner.enrolled.v1"],
}


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # the services in the other thread do
@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_breaks_a_service_and_every_answer_is_documented(
    services: dict[str, Running], names: dict[str, str], service: str
):
    stack, loop = services[service], asyncio.get_running_loop()
    known = {**KNOWN, "/learners": [names["learner"]], "/requests": [names["request"]]}
    known |= {"/certificates": [names["certificate"]]}

    def call(request: dict[str, Any]) -> httpx.Response:
        """Send from the thread that makes requests up to the loop that serves them; again, if that is what it says."""
        for _ in range(5):
            answer = asyncio.run_coroutine_threadsafe(stack.client.request(**request), loop).result(120)
            if answer.status_code != 503 or "retry-after" not in answer.headers:
                break
        return answer

    counted = await asyncio.to_thread(fuzz, stack, known, call)
    print(f"{service}: {counted.total()} cases, {dict(sorted(counted.items()))}")
    assert counted.total() >= 0.5 * CASES
    assert any(status < 300 for status in counted)
    assert any(400 <= status < 500 for status in counted)


@pytest.mark.slow
def test_an_answer_that_is_not_documented_is_found():
    schema = schemathesis.openapi.from_dict(json.loads(documents()["openapi/feedback.json"]))
    (operation,) = [found.ok() for found in schema.get_all_operations() if found.ok().path == "/demand"]
    case, request = operation.Case(), httpx.Request("GET", "http://praktika.test/demand")

    def check(status: int, **content: Any) -> None:
        answer = httpx.Response(status, request=request, **content)
        answer.elapsed = timedelta()
        case.validate_response(answer, checks=CHECKS)

    check(200, json={"items": []})
    for status, content in (
        (500, {"json": {}}),
        (302, {"json": {}}),
        (200, {"text": "{}"}),
        (200, {"json": []}),
        (400, {"json": {"type": "about:blank"}}),
    ):
        with pytest.raises(FailureGroup):
            check(status, **content)


async def test_nothing_on_the_log_does_not_validate(services: dict[str, Running], names: dict[str, str]):
    wrong = []
    for topic in TOPICS:
        for record in await services["partners"].read(topic):
            try:
                parse(record.value)
            except ContractError as error:
                wrong.append((topic, record.value, error.errors))
    assert not wrong


def fuzz(stack: Running, known: dict[str, list[str]], call: Callable[[dict[str, Any]], httpx.Response]) -> Counter[int]:
    """Try every operation; count the answers by status."""
    counted: Counter[int] = Counter()
    for found in schemathesis.openapi.from_dict(stack.app.openapi()).get_all_operations():
        operation = found.ok()
        if operation.label in LEFT_OUT:
            continue
        try_out(operation, known.get("/" + operation.path.split("/")[1], []), stack, call, counted)
    return counted


def try_out(operation: Any, ids: list[str], stack: Running, call: Any, counted: Counter[int]) -> None:
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @seed(SEED)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(modes), caller=st.sampled_from(CALLERS), id=st.sampled_from([None, *ids]), wait=st.booleans())
    def tried(case: Any, caller: str | None, id: str | None, wait: bool) -> None:
        name = next(iter(case.path_parameters or {}), None)
        if id is not None and name is not None:
            case.path_parameters[name] = id
        if "wait" in (case.query or {}):  # of a long poll
            case.query["wait"] = 0
        request = case.as_transport_kwargs(base_url="http://praktika.test")
        headers = dict(request["headers"]) | (as_(stack, caller, 1 if wait else 0) if caller else {})
        request["headers"] = {name: value.encode("latin-1", "replace") for name, value in headers.items()}
        request.pop("cookies", None)
        if isinstance(request.get("data"), (bytes, str)):
            request["content"] = request.pop("data")
        try:
            response = call(request)
        except httpx.InvalidURL:  # the client sends no query of more than 64 KB
            return
        counted[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    tried()
