"""The one origin: the Caddyfile sends each route of each service to it."""

import re
from itertools import groupby

import pytest

from deploy.local.processes import ROOT
from shared.log.topics import SERVICES
from tests.test_routes import ROUTES

CADDYFILE = (ROOT / "deploy/caddy/Caddyfile").read_text()
MATCHERS = {
    name: re.findall(r"/\S*", " ".join(re.findall(r"^\t\tpath (.*)", block, re.MULTILINE)))
    for name, block in re.findall(r"^\t@(\w+) {\n(.*?)^\t}", CADDYFILE, re.MULTILINE | re.DOTALL)
}
SERVED = {
    path: {service for service, _ in found}
    for path, found in groupby(
        sorted(((service, route.split(" ")[1]) for service, route in ROUTES), key=lambda each: each[1]),
        key=lambda each: each[1],
    )
}
COMMON = {path for path, services in SERVED.items() if services == {*SERVICES}}
OWN = {path: services for path, services in SERVED.items() if path not in COMMON}


def claimed_by(path: str) -> set[str]:
    """The services to which the Caddyfile sends a path; what it does not name goes to partners."""
    return {name for name, globs in MATCHERS.items() if any(matches(glob, path) for glob in globs)} or {"partners"}


def matches(glob: str, path: str) -> bool:
    """Caddy's: a star at the end is for anything, one in between for a part without slashes."""
    pattern = re.escape(glob.removesuffix("*")).replace(r"\*", "[^/]*") + (".*" if glob.endswith("*") else "")
    return re.fullmatch(pattern, path) is not None


@pytest.mark.parametrize("path", OWN)
def test_a_route_of_one_service_is_reached_at_the_origin(path: str):
    assert claimed_by(re.sub(r"{\w+}", "x", path)) == OWN[path], "name it in deploy/caddy/Caddyfile"


def test_what_all_services_have_is_partners_but_for_the_overview():
    assert {path: claimed_by(path) for path in COMMON} == {
        path: {"monitoring" if path == "/" else "partners"} for path in COMMON
    }


@pytest.mark.parametrize("service", SERVICES)
def test_below_its_name_each_service_is_whole_but_for_its_metrics(service: str):
    assert claimed_by(f"/{service}/docs") == {service}
    handled = re.search(
        rf"uri strip_prefix /{service}\n\t\trespond /metrics 404\n\t\treverse_proxy {service}:", CADDYFILE
    )
    assert handled
    assert not any(path.startswith(f"/{service}/") for path in SERVED)
