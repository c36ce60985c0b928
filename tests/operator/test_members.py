"""praktika member: invitations and members, without a running partners."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from services.partners.app import core, router
from services.partners.people.members import INVITATIONS, JOURNAL, MEMBERS
from tests.operator.conftest import Praktika
from tests.people import PASSWORD, in_session, person, visitor
from tests.stack import Running, running


@pytest_asyncio.fixture(scope="module")
async def partners(kafka: str, mongodb: str, tmp_path_factory) -> AsyncIterator[tuple[Running, Praktika]]:  # type: ignore[no-untyped-def]
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as one:
        entry = {"kind": "enterprise", "name": "River Plant", "region": "north"}
        headers = {**one.token("operator", "operator"), "Prefer": "wait=20"}
        assert (await one.client.put("/organisations/river-plant", json=entry, headers=headers)).is_success
        yield one, Praktika(one.settings, PRAKTIKA_PUBLIC_URL="https://praktika.example")


async def test_the_first_operator_and_an_admin_are_invited(partners: tuple[Running, Praktika]):
    stack, praktika = partners
    for organisation, role in (("operator", "operator"), ("river-plant", "admin")):
        done = await praktika("member", "invite", organisation, f"anna@{organisation}.example", "--name", "Anna")
        assert done.code == 0, done.err
        assert "hand it to anna@" in done.err
        link = re.fullmatch(r"https://praktika\.example(/invitation\?token=[\w-]+)\n", done.out)
        assert link
        anna = visitor(stack)
        assert (await anna.post(link[1], name="Anna", password=PASSWORD)).status_code == 303
        assert anna.member
        assert (anna.member.organisation, anna.member.role) == (organisation, role)
    listed = (await praktika("member", "list", "river-plant", "--json")).json["members"]
    assert [(one["email"], one["role"]) for one in listed] == [("anna@river-plant.example", "admin")]
    assert "anna@operator.example" in (await praktika("member", "list")).out


async def test_what_cannot_be_is_said(partners: tuple[Running, Praktika]):
    _, praktika = partners
    for organisation, email, role, words in (
        ("nowhere", "a@b.example", "admin", "nowhere is not registered (yet)"),
        ("river-plant", "a.example", "admin", "email: is no e-mail address"),
        ("river-plant", "a@b.example", "operator", "role: choose one"),
    ):
        done = await praktika("member", "invite", organisation, email, "--role", role)
        assert (done.code, words in done.err) == (2, True), done.err
    assert "nobody@b.example is no member" in (await praktika("member", "link", "nobody@b.example")).err


async def test_a_member_gets_a_new_link_and_is_removed(partners: tuple[Running, Praktika]):
    stack, praktika = partners
    who = await person(stack, "river-plant", "mentor", "Petr")
    browser = await in_session(stack, who, "enterprise")
    home = stack.service.store.home
    made = (await praktika("member", "link", who["email"], "--json")).json
    assert await home[JOURNAL].find_one({"about": who["email"]})
    assert (made["sent"], "/invitation?token=" in made["link"]) == (False, True)
    done = await praktika("member", "remove", who["email"])
    assert (done.code, f"{who['email']} is no member any more" in done.err) == (0, True)
    assert (await browser.get("/account")).status_code == 303
    for collection in (JOURNAL, MEMBERS, INVITATIONS):
        assert not [doc async for doc in home[collection].find() if who["email"] in str(doc)]
    path = made["link"].partition("praktika.example")[2]
    assert (await visitor(stack).post(path, name="Petr", password=PASSWORD)).status_code == 410
