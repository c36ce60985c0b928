"""`make demo`: shows a running network on one learner, a programme and 16,031 real graduates, and checks every number.

Exits 0 only if every indicator equals a direct count over the file and the audit is clean. Running it again sends the
same events and changes no number.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

from tqdm import tqdm

from deploy.local.processes import ServerError
from deploy.stack import Choice, operator_credential, run

from . import circle, graduates, independent, loop
from .count import INDICATORS, Counts, count
from .network import DemoError, Json, Network, until

BATCH = 500
AT_ONCE = 3
LEAST = 5  # smaller groups are not shown, nor that all of fewer than twice as many are alike


async def send_graduates(network: Network) -> float:
    """Send all events and wait until monitoring has applied them; return the events per second of the whole way."""
    body = {"kind": "institution", "name": "Université Nice Sophia Antipolis", "region": "provence-alpes-cote-d-azur"}
    await network.ask("partners", "PUT", f"/organisations/{graduates.UNIVERSITY}", body, wait=True)
    people = graduates.rows()
    programmes, batches = list(graduates.programme_events(people)), graduates.batches(people, BATCH)
    number = len(programmes) + sum(map(len, batches))
    started = time.monotonic()
    await network.send(graduates.UNIVERSITY, programmes)
    with tqdm(total=number, initial=len(programmes), unit=" events", desc="  sending", disable=None) as bar:
        free = asyncio.Semaphore(AT_ONCE)

        async def send(batch: list[Json]) -> None:
            async with free:
                await network.send(graduates.UNIVERSITY, batch)
                bar.update(len(batch))

        await asyncio.gather(*map(send, batches))
    sent = datetime.now(UTC)
    sending_s = time.monotonic() - started

    async def applied() -> bool:
        value = await network.ask("monitoring", "GET", "/indicators/employment_rate", by=None)
        return bool(value["applied_until"]) and datetime.fromisoformat(value["applied_until"]) >= sent

    await until(applied, "sign that monitoring has applied everything", 600)
    took_s = time.monotonic() - started
    print(f"  {number:,} events accepted in {sending_s:.1f} s, all of them in the indicators after {took_s:.1f} s")
    return number / took_s


async def compare(network: Network) -> tuple[int, int, int]:
    """Print the network's values beside the direct count.

    Returns:
        How many indicators are equal, how many programmes are equal in all of them, and how many programmes there are.
    """
    network_counts, programme_counts = count(graduates.FILE)
    print(f"\n  {'indicator':<22} {'Praktika':>26} {'counted in the file':>26}")
    equal, unequal_programmes = 0, set()
    for indicator in INDICATORS:
        shown = await network.ask("monitoring", "GET", f"/indicators/{indicator}", by=None)
        numerator, denominator = network_counts[indicator]
        same = (shown["numerator"], shown["denominator"]) == (numerator, denominator)
        equal += same
        ours = (
            f"{shown['numerator']}/{shown['denominator']} = {shown['value']:.4f}" if shown["value"] else shown["status"]
        )
        theirs = f"{numerator}/{denominator} = {numerator / denominator:.4f}"
        print(f"  {indicator:<22} {ours:>26} {theirs:>26}  {'equal' if same else 'NOT EQUAL'}")
        path = f"/indicators/{indicator}/comparison?scope=programme"
        listed = await network.ask("monitoring", "GET", path, by=None)
        by_programme = {value["scope_id"]: value for value in listed["items"]}
        unequal_programmes |= {
            code
            for code, counts in programme_counts.items()
            if not is_equal(by_programme.get(f"{graduates.UNIVERSITY}:{code or graduates.NO_CODE}"), counts, indicator)
        }
    for code in sorted(unequal_programmes):
        print(f"  NOT EQUAL: programme {code or graduates.NO_CODE}")
    return equal, len(programme_counts) - len(unequal_programmes), len(programme_counts)


def is_equal(shown: Json | None, counts: Counts, indicator: str) -> bool:
    """Does a programme's value say what was counted, or that there is nothing, or too little, to show?"""
    numerator, denominator = counts[indicator]
    if denominator == 0:
        return shown is None or shown["status"] == "not_enough_data"
    if shown is None:
        return False
    if denominator < LEAST or (denominator < 2 * LEAST and numerator in (0, denominator)):
        return bool(shown["status"] == "suppressed" and shown["value"] is None)
    return (shown["numerator"], shown["denominator"]) == (numerator, denominator)


PEOPLE = (
    ("operator", "operator", "the network's operator"),
    ("operator", "coordinator", "a coordinator, who only reads"),
    (circle.INSTITUTE, "admin", "the institute's admin"),
    (circle.INSTITUTE, "staff", "the institute's staff"),
    (circle.PLANT, "admin", "the plant's admin"),
    (circle.PLANT, "mentor", "a mentor at the plant"),
)


def invitation(organisation: str, role: str) -> str:
    """A one-time link for somebody of the demo, in place of an earlier one; of who has used it, a new one."""
    email = f"{role}@{organisation}.example"
    listed = json.loads(run("partners", "deploy.praktika", "member", "list", organisation, "--json"))["members"]
    is_known = email in [member["email"] for member in listed]
    wanted = ["link", email] if is_known else ["invite", organisation, email, "--name", role.title(), "--role", role]
    made = json.loads(run("partners", "deploy.praktika", "member", *wanted, "--json"))
    return str(made["link"])


async def demonstrate() -> bool:
    urls = Choice.kept().urls()
    network = Network(urls, credentials={"operator": operator_credential()})
    try:
        print("\nOne learner through the whole circle:\n")
        await circle.walk(network)
        print("\nFrom vacancies to a better programme (103 vacancies of Kazan, 2025, MIT):\n")
        await loop.walk(network)
        print("\nReal graduates (Université Nice Sophia Antipolis, MIT):\n")
        rate = await send_graduates(network)
        equal, programmes, of = await compare(network)
        print(f"\n  {run('monitoring', 'deploy.praktika', 'audit').strip()}")
        await independent.check(network)
        figures = Choice.kept().address()
        print(f"\n  overview: {figures}/  who has the lowest, who the highest: {figures}/ranking")
        market = Choice.kept().address("feedback")
        print(f"  labour market: {market}/market  gaps: {market}/market/gaps")
        print(f"  what became of the programme: {market}/stories/{loop.PROGRAMME}")
        print("\n  Be one of these people: each link works once, within seven days (make demo makes new ones).\n")
        for organisation, role, who in PEOPLE:
            print(f"  {who:<34} {invitation(organisation, role)}")
        print(f"  {'a learner who is asked, on a phone':<34} {await circle.open_question(network)}")
        print(f"  {'a learner who takes a certificate':<34} {await circle.link_to_collect(network)}")
        print(f"  {rate:,.0f} events/s from the ingress to the indicator")
        print(f"\nequal: {equal} indicators, {programmes} of {of} programmes")
        return equal == len(INDICATORS) and programmes == of
    finally:
        await network.close()


def main() -> int:
    try:
        return 0 if asyncio.run(demonstrate()) else 1
    except (DemoError, ServerError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
