"""Pages of people with a region's data behind them, for 20 readers at once, against bare pages of the same size.

One bare page is for everybody; the other one looks up who is signed in, as every page for members has to.
"""

import asyncio
import itertools
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from benchmarks.environment import Environment
from benchmarks.http_load import get, hammer
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import Service, answers, service
from benchmarks.timing import started
from deploy.local.processes import free_port
from services.partners.app import core as partners
from services.partners.people import members
from shared.contract import events as e
from shared.contract.events import Data, Publisher, compose
from shared.http.auth import ensure_keys
from shared.http.sessions import COOKIE
from shared.log.producer import Producer, Record, record_of
from shared.log.topics import ensure_topics
from shared.processing import mongo

NAMESPACE = "bpages"
COLLEGE, PLANT = "north-college", "river-plant"
ORGANISATIONS, PROGRAMMES, LEARNERS, AGREEMENTS, OFFERS = 200, 500, 5_000, 100, 200
READERS, SECONDS = 20, 3
BARE, SIGNED_IN = "bare page", "bare page behind a sign-in"
PASSWORD = "pebble orchard seven lanterns"  # noqa: S105
# Whose pages: role and organisation; nobody: signed out.
PAGES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", ""): ("/network/programmes", "/network/organisations", "/join", "/sign-in"),
    ("admin", COLLEGE): (
        *("/work", "/work/learners", "/work/learners/north-college:7", "/work/placements", "/work/programmes"),
        *("/work/agreements", "/work/do/publish", "/work/do/enrol", "/uploads", "/work/rejections", "/members"),
        "/work/integration",
    ),
    ("mentor", PLANT): ("/work", "/work/confirm", "/work/do/complete"),
    ("operator", "operator"): ("/work", "/work/organisations", "/work/do/register"),
}


class Page(NamedTuple):
    """A page as somebody opens it first.

    Attributes:
        size: bytes of the page itself; `first_view`: with style and scripts.
    """

    who: str
    path: str
    cookie: str
    size: int
    first_view: int
    requests: int


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    settings = at.settings(NAMESPACE)
    await at.client.drop_database(f"{NAMESPACE}_partners")
    await ensure_topics(settings)
    await mongo.ensure_indexes(at.client[f"{NAMESPACE}_partners"], partners.indexes)
    ensure_keys(settings)
    producer = Producer(settings)
    records = _region()
    await producer.publish(records)
    await producer.close()
    # What is measured are pages, not how many one address may ask for.
    free = {"PRAKTIKA_STRANGERS_PER_S": "1000000", "PRAKTIKA_STRANGERS_BURST": "1000000"}
    rows = list[dict[str, Any]]()
    async with service(at, NAMESPACE, "partners", "all", **free) as ours, bare_pages(at, NAMESPACE) as port:
        while await ours.metric("praktika_events_applied_total") < len(records):
            ours.process.check()
            await asyncio.sleep(0.2)
        pages = [await _looked_at(ours, who, path, cookie) for who, path, cookie in await _visits(at, ours)]
        for number, page in itertools.product(range(min(3, plan.rounds)), pages):
            about = {"round": number, **page._asdict(), "cookie": ""}
            for system, of, path in (
                (page.path, ours.port, page.path),
                (BARE, port, f"/page/{page.size}"),
                (SIGNED_IN, port, f"/signed-in/{page.size}"),
            ):
                asked = get(path, f"Cookie: {COOKIE}={page.cookie}\r\n" if system != BARE else "")
                done = await hammer(of, itertools.repeat(asked), READERS, SECONDS, 200)
                rows.append(
                    {**about, "system": system, "p95_ms": 1000 * percentile(done.seconds, 95), "per_s": done.per_s}
                )
            own, plain, signed_in = (row["p95_ms"] for row in rows[-3:])
            ratios = f"{own / plain:.1f} of the bare page, {own / signed_in:.1f} behind a sign-in"
            print(f"  {page.who:10} {page.path:35} {own:7.1f} ms, {ratios}", flush=True)
    return rows


@asynccontextmanager
async def bare_pages(at: Environment, namespace: str) -> AsyncIterator[int]:
    """The port of an application with bare pages."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.bare_page.app", str(port)]
    async with started("bare-page", command, at.env(namespace)) as process:
        await answers(process, port, "/health/ready")
        yield port


def _region() -> list[Record]:
    """What a region's registry has heard of."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def said(data: Data, id: str, by: str, kind: Publisher, key: str = "") -> Record:
        source = f"/organisations/{by}"
        return record_of(
            compose(data, source=source, kind=kind, id=str(uuid4()), subject=id, key=key or id, time=start)
        )

    kinds = [e.OrganisationKind.institution, e.OrganisationKind.enterprise]
    ids = [COLLEGE, PLANT, *(f"organisation-{number}" for number in range(2, ORGANISATIONS))]
    found = [
        said(
            e.OrganisationRegistered(kind=kinds[number % 2], name=f"Organisation {number}", region="north"),
            id,
            "operator",
            Publisher.operator,
        )
        for number, id in enumerate(ids)
    ]
    skills = [e.ProgrammeCompetency(competency="greencomp:3.1", level=4)]
    for number in range(PROGRAMMES):
        programme = e.ProgrammePublished(title=f"Programme {number}", version="1", level=4, competencies=skills)
        found.append(said(programme, f"{COLLEGE}:p{number}", COLLEGE, Publisher.institution))
    for number in range(AGREEMENTS):
        terms = e.AgreementProposed(parties=[COLLEGE, PLANT], scope=f"Practice {number}", valid_from=start.date())
        found.append(said(terms, f"{COLLEGE}:a{number}", COLLEGE, Publisher.institution))
    for number in range(OFFERS):
        offer = e.OpportunityPosted(kind=e.OpportunityKind.internship, title=f"Offer {number}", places=2)
        found.append(said(offer, f"{PLANT}:o{number}", PLANT, Publisher.enterprise))
    for number in range(LEARNERS):
        learner, programme = f"{COLLEGE}:{number}", f"{COLLEGE}:p{number % PROGRAMMES}"
        found.append(said(e.LearnerEnrolled(programme=programme), learner, COLLEGE, Publisher.institution))
        placed = e.InternshipStarted(programme=programme, enterprise=PLANT)
        found.append(said(placed, f"{COLLEGE}:i{number}", COLLEGE, Publisher.institution, learner))
    return found


async def _visits(at: Environment, ours: Service) -> list[tuple[str, str, str]]:
    """Who opens which page, with which cookie: (role, path, cookie)."""
    home, found = at.client[f"{NAMESPACE}_partners"], list[tuple[str, str, str]]()
    for (role, organisation), paths in PAGES.items():
        cookie = ""
        if role:
            who = members.checked(organisation, f"{uuid4().hex}@{organisation}.example", role, role)
            token = await members.invite(home, "bench", who)
            async with _browser(ours) as browser:
                form = {"token": token, "name": role, "password": PASSWORD}
                answer = await browser.post("/invitation", params={"token": token}, data=form)
                cookie = answer.cookies[COOKIE]
        found += [(role, path, cookie) for path in paths]
    return found


def _browser(ours: Service) -> httpx.AsyncClient:
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{ours.port}", headers=headers, trust_env=False, timeout=30)


async def _looked_at(ours: Service, who: str, path: str, cookie: str) -> Page:
    """A page, with what a browser asks for besides."""
    async with _browser(ours) as browser:
        answer = await browser.get(path, cookies={COOKIE: cookie} if cookie else None)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        further = re.findall(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"', answer.text)
        sizes = [len((await browser.get(str(answer.url.join(each)))).content) for each in further]
    return Page(who or "nobody", path, cookie, len(answer.content), len(answer.content) + sum(sizes), 1 + len(sizes))


def report(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for who, path in _pages(rows):
        own, bare, signed_in = (_p95(rows, who, path, system) for system in (path, BARE, SIGNED_IN))
        one = next(row for row in rows if (row["who"], row["path"]) == (who, path))
        sizes = (f"{one['size'] / 1000:.1f}", f"{one['first_view'] / 1000:.1f}", str(one["requests"]))
        behind = (f"{signed_in:.0f}", f"{own / signed_in:.1f}") if who != "nobody" else ("", "")
        lines.append([f"`{path}`", who, f"{own:.0f}", f"{bare:.0f}", f"{own / bare:.1f}", *behind, *sizes])
    heads = (
        "page",
        "who",
        "p95 ms",
        "bare page",
        "ratio",
        "behind a sign-in",
        "ratio",
        "kB",
        "first view, kB",
        "requests",
    )
    return table(heads, lines)


def _pages(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["who"], row["path"]) for row in rows))


def _p95(rows: list[dict[str, Any]], who: str, path: str, system: str) -> float:
    return median(row["p95_ms"] for row in rows if (row["who"], row["path"], row["system"]) == (who, path, system))


def worst(rows: list[dict[str, Any]], over: str) -> float:
    """The largest ratio of a page to a bare one; *over* SIGNED_IN only of those for members."""
    pages = [page for page in _pages(rows) if over == BARE or page[0] != "nobody"]
    return max(_p95(rows, *page, page[1]) / _p95(rows, *page, over) for page in pages)


def heaviest(rows: list[dict[str, Any]]) -> float:
    """Bytes of the heaviest page in all, in thousands."""
    return max(row["first_view"] for row in rows) / 1000
