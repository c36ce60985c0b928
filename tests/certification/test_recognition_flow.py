"""Recognition on real Kafka and MongoDB: listed, endorsed, withdrawn, counted."""

import asyncio
import csv
import io
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.certification.app import core, router
from services.certification.credentials import contexts, proofs
from services.certification.credentials.baking import as_text
from services.certification.recognition import api, rules
from shared.contract.events import (
    Data,
    Event,
    LearnerErased,
    LearnerGraduated,
    OrganisationKind,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    RecognitionGranted,
    RecognitionWithdrawn,
)
from shared.processing import facts, mongo
from shared.processing.mongo import Key
from shared.processing.runner import Runner
from tests.certification.test_credentials_flow import certificate_of, verified
from tests.certification.test_flow import certified, exam, publish_scheme
from tests.making import NOON, after, event
from tests.packages import packages
from tests.pages import RECOGNITION_PAGES
from tests.people import close, signed_in, visitor
from tests.stack import Running, running, until

PUBLIC = "https://praktika.example"
FUTURES, SYSTEMS, CRITICAL, PROBLEM = (f"greencomp:{item}" for item in ("3.1", "2.1", "2.2", "2.3"))
SINCE = date(2026, 2, 1)
BROWSER = {"Accept": "text/html", "Accept-Language": "en"}
OPERATOR = {"by": "operator:operator"}


def registered(id: str, name: str, kind: OrganisationKind = OrganisationKind.enterprise) -> Event[Data]:
    return event(OrganisationRegistered(kind=kind, name=name, region="north"), id, **OPERATOR)


def grant(enterprise: str, competency: str = FUTURES, certificate: str | None = None, **given: Any) -> Event[Data]:
    data = RecognitionGranted(competency=competency, certificate=certificate, since=given.pop("since", SINCE))
    return event(data, f"{enterprise}-{certificate}", competency, by=f"enterprise:{enterprise}", **given)


def withdraw(enterprise: str, competency: str = FUTURES, certificate: str | None = None, hours: int = 1) -> Event[Data]:
    data = RecognitionWithdrawn(competency=competency, certificate=certificate, reason="The foreman, Mr X, was cross.")
    time, by = NOON + timedelta(hours=hours), f"enterprise:{enterprise}"
    return event(data, f"{enterprise}-{certificate}", competency, by=by, time=time)


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=folder, public_url=PUBLIC) as started:
        await started.publish(
            registered("uni", "North <College>", OrganisationKind.institution),
            *(registered(id, f"Works “{id}” <&>") for id in ("plant", "mill", "banned", "lab")),
        )
        for name, competency in (("futures", FUTURES), ("systems", SYSTEMS), ("critical", CRITICAL)):
            await publish_scheme(started, name, competency=competency)
        await started.publish(grant("plant"))
        await started.applied()
        yield started


def path(address: str) -> str:
    assert address.startswith(PUBLIC)
    return address.removeprefix(PUBLIC)


async def got(stack: Running, address: str, **asked: Any) -> Any:
    answer = await stack.client.get(address, **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(stack: Running, **filters: str) -> list[tuple[str, str, str]]:
    found = (await got(stack, "/recognitions", params=filters))["items"]
    return [(one["competency"], one["enterprise"], one["since"]) for one in found]


ENDORSEMENT = f"/endorsements/plant/{FUTURES}/schemes/futures"


async def test_a_recognition_is_an_endorsement_of_each_achievement_signed_with_the_enterprises_key(stack: Running):
    document = await got(stack, ENDORSEMENT)
    assert (document["id"], document["validFrom"]) == (
        f"{PUBLIC}{ENDORSEMENT}".replace(":3", "%3A3"),
        "2026-02-01T00:00:00Z",
    )
    assert document["issuer"] == {
        "id": "did:web:praktika.example:issuers:plant",
        "type": ["Profile"],
        "name": "Works “plant” <&>",
    }
    assert document["credentialSubject"]["id"] == f"{PUBLIC}/schemes/futures"
    assert not proofs.examine(document)[0].unsigned
    jwt = await stack.client.get(ENDORSEMENT, params={"format": "jwt"})
    for content, kind in ((as_text(document).encode(), "application/json"), (jwt.content, "application/vc+jwt")):
        found = await verified(stack, content, kind)
        assert found["result"] == "valid", found
        assert {each["check"]: each["result"] for each in found["checks"]} == dict.fromkeys(
            ("form", "properties", "proof", "issuer", "status", "dates", "network"), "valid"
        )
    for enterprise, competency, of, id, why in (
        ("mill", FUTURES, "schemes", "futures", 404),
        ("plant", SYSTEMS, "schemes", "futures", 404),
        ("plant", FUTURES, "schemes", "nothing", 404),
        ("plant", FUTURES, "certificates", "nothing", 404),
        ("plant", FUTURES, "people", "futures", 422),
    ):
        answer = await stack.client.get(f"/endorsements/{enterprise}/{competency}/{of}/{id}")
        assert answer.status_code == why, answer.text


async def test_independent_node_accepts_our_endorsement_and_refuses_a_tampered_one(stack: Running):
    good, did = await got(stack, ENDORSEMENT), await got(stack, "/issuers/plant/did.json")
    bad = good | {"credentialSubject": good["credentialSubject"] | {"id": f"{PUBLIC}/schemes/another"}}
    there = {did["id"]: did, contexts.EXTENSIONS: {"@context": contexts.content(contexts.EXTENSIONS)}}
    asked = [{"credential": each, "documents": there} for each in (good, bad)]
    ours, tampered = await asyncio.to_thread(_by_node, asked)
    assert (ours, tampered is True) == (True, False)


def _by_node(asked: list[Any]) -> Any:
    command: dict[str, Any] = {"input": json.dumps(asked), "cwd": packages(), "timeout": 120}
    return json.loads(
        subprocess.run(["node", "verify.mjs"], capture_output=True, text=True, check=True, **command).stdout
    )


async def test_it_is_attached_to_the_achievement_and_to_certificates_and_credentials_stay_as_they_were(stack: Running):
    id = await certificate_of(stack, "endorsed")
    headers = stack.token("uni", "institution")
    before = (await stack.client.get(f"/certificates/{id}/credential.json", headers=headers)).content
    await stack.publish(grant("mill", certificate=id), grant("lab", certificate="of-nobody"))
    await stack.applied()
    assert (await stack.client.get(f"/certificates/{id}/credential.json", headers=headers)).content == before
    endorsements = await got(stack, f"/certificates/{id}/endorsements")
    assert [(one["issuer"]["id"].rpartition(":")[2], one["credentialSubject"]["id"]) for one in endorsements] == [
        ("mill", f"{PUBLIC}/certificates/{id}"),
        ("plant", f"{PUBLIC}/schemes/futures"),
    ]
    assert [(await verified(stack, as_text(one).encode()))["result"] for one in endorsements] == ["valid", "valid"]
    achievement = await got(stack, "/schemes/futures/achievement.json")
    assert [one["issuer"]["id"].rpartition(":")[2] for one in achievement["endorsement"]] == ["plant"]
    credential = json.loads(before)["credentialSubject"]["achievement"]
    assert {name: achievement[name] for name in credential} == credential
    shown = (await got(stack, f"/certificates/{id}"))["recognised_by"]
    assert [(one["enterprise"], one["since"]) for one in shown] == [("mill", "2026-02-01"), ("plant", "2026-02-01")]
    for one in shown:
        assert (await got(stack, path(one["endorsement"])))["issuer"]["name"] == one["name"]
    page = await stack.client.get(f"/certificates/{id}", headers=BROWSER)
    assert "Works “mill” &lt;&amp;&gt;" in page.text
    of_one = path(shown[0]["endorsement"])
    assert (id in of_one, id in (await stack.client.get("/recognitions")).text) == (False, False)
    await stack.publish(withdraw("mill", certificate=id))
    await stack.applied()
    assert id not in (await stack.client.get("/issuers/mill/revocations")).text
    assert (await verified(stack, as_text(endorsements[0]).encode()))["result"] == "invalid"
    await stack.publish(grant("mill", certificate=id, time=NOON + timedelta(hours=2)))
    await stack.applied()
    assert (await got(stack, of_one)) | {"proof": None, "awardedDate": None} == endorsements[0] | {
        "proof": None,
        "awardedDate": None,
    }
    await stack.publish(event(LearnerErased(), "endorsed"))
    await stack.applied()
    assert (await stack.client.get(of_one)).status_code == 404


async def test_a_withdrawn_recognition_is_revoked_and_shown_nowhere_until_it_is_granted_again(stack: Running):
    id = await certificate_of(stack, "withdrawn")
    address = f"/endorsements/lab/{FUTURES}/schemes/futures"
    await stack.publish(grant("lab"))
    await stack.applied()
    document = await got(stack, address)
    await stack.publish(withdraw("lab"))
    await stack.applied()
    found = await verified(stack, as_text(document).encode())
    assert [c["check"] for c in found["checks"] if c["result"] == "invalid"] == ["status"], found
    revocations = await stack.client.get("/issuers/lab/revocations")
    assert document["credentialStatus"]["id"] == revocations.json()["id"]
    assert [one["id"] for one in revocations.json()["revokedCredential"]] == [document["id"]]
    assert "foreman" not in revocations.text, "why is free text of the enterprise's"
    assert (await stack.client.get(address)).status_code == 410
    assert not await listed(stack, enterprise="lab")
    assert "lab" not in [one["enterprise"] for one in (await got(stack, f"/certificates/{id}"))["recognised_by"]]
    await stack.publish(grant("lab", time=NOON + timedelta(hours=2)))
    await stack.applied()
    assert (await verified(stack, as_text(document).encode()))["result"] == "valid"
    assert await listed(stack, enterprise="lab") == [(FUTURES, "lab", "2026-02-01")]


async def test_the_word_of_a_suspended_or_unknown_enterprise_does_not_count(stack: Running):
    await stack.publish(grant("banned"), grant("stranger"))
    await stack.applied()
    assert not await listed(stack, enterprise="stranger")
    address = f"/endorsements/banned/{FUTURES}/schemes/futures"
    document = as_text(await got(stack, address)).encode()
    suspended = event(OrganisationSuspended(reason="fraud"), "banned", **OPERATOR)
    await stack.publish(suspended)
    await stack.applied()
    assert (await verified(stack, document))["result"] == "invalid"
    assert (await stack.client.get(address)).status_code == 410
    assert not await listed(stack, enterprise="banned")
    later = {"time": suspended.time + timedelta(seconds=1), **OPERATOR}
    await stack.publish(event(OrganisationReinstated(), "banned", **later))
    await stack.applied()
    assert (await verified(stack, document))["result"] == "valid"


async def test_what_begins_later_is_listed_and_does_not_count_yet(stack: Running):
    await stack.publish(grant("mill", CRITICAL, since=date(2190, 1, 1)))
    await stack.applied()
    assert await listed(stack, competency=CRITICAL) == [(CRITICAL, "mill", "2190-01-01")]
    assert (await got(stack, "/schemes/critical/achievement.json"))["endorsement"] == []
    document = await got(stack, f"/endorsements/mill/{CRITICAL}/schemes/critical")
    assert (await verified(stack, as_text(document).encode()))["result"] == "invalid"


async def test_a_rebuild_gives_the_same_endorsements(kafka: str, mongodb: str, tmp_path: Path):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, public_url=PUBLIC) as stack:
        await publish_scheme(stack, "futures")
        await stack.publish(registered("plant", "P"), registered("mill", "M"), grant("plant"), grant("mill"))
        await stack.publish(withdraw("mill"))
        await stack.applied()

        async def seen() -> list[Any]:
            parts = ("/recognitions", "/schemes/futures/achievement.json", "/issuers/mill/revocations")
            jwt = await stack.client.get(ENDORSEMENT, params={"format": "jwt"})
            return [jwt.text, *[await got(stack, part) for part in parts]]

        before = await seen()
        assert before[3]["revokedCredential"]
        assert stack.service.runner is not None
        await stack.service.runner.stop()
        await stack.service.db.client.drop_database(stack.service.db.name)
        await mongo.ensure_indexes(stack.service.db, core.indexes, core.generation)
        again = Runner(core, stack.settings, mongo.Store(stack.service.db), stack.service.producer, stack.service.log)
        again.start()
        await stack.applied()
        assert await seen() == before
        await again.stop()


async def test_an_earlier_database_has_recognitions_at_once_and_graduates_after_a_rebuild(
    kafka: str, mongodb: str, tmp_path: Path
):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        await stack.service.db[mongo.ABOUT].delete_one({"_id": "generation"})
        await stack.publish(registered("plant", "P"), grant("plant"))
        await stack.applied()
        assert await listed(stack)
        answer = await stack.client.get("/recognitions/graduates", headers=stack.token("plant", "enterprise"))
        assert (answer.status_code, "rebuilt" in answer.json()["detail"]) == (503, True)


async def test_the_list_is_filtered_paged_and_there_as_a_file(stack: Running):
    await stack.publish(*(grant(id, PROBLEM) for id in ("plant", "mill", "lab")))
    await stack.applied()
    whole = await got(stack, "/recognitions", params={"competency": PROBLEM})
    assert [one["enterprise"] for one in whole["items"]] == ["lab", "mill", "plant"]
    assert whole["items"][0]["competency_name"]["ru"]
    pages, after_ = [], ""
    while after_ is not None:
        asked = {"competency": PROBLEM, "limit": "2"} | ({"after": after_} if after_ else {})
        part = await got(stack, "/recognitions", params=asked)
        pages.append([one["enterprise"] for one in part["items"]])
        after_ = part["next"]
    assert pages == [["lab", "mill"], ["plant"]]
    assert {one[1] for one in await listed(stack, q="works “MILL")} == {"mill"}
    assert {one[0] for one in await listed(stack, q="критическое")} <= {CRITICAL}
    assert (await stack.client.get("/recognitions", params={"enterprize": "x"})).status_code == 422
    file = await stack.client.get("/recognitions", params={"format": "csv", "competency": PROBLEM, "lang": "ru"})
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert [row["enterprise"] for row in rows] == ["lab", "mill", "plant"]
    sheet = await stack.client.get("/recognitions", params={"format": "xlsx"})
    assert sheet.content[:2] == b"PK"
    for language, words in (("en", "Who recognises certificates"), ("ru", "Кто признаёт сертификаты")):
        page = await stack.client.get("/recognitions", params={"lang": language}, headers=BROWSER)
        assert words in page.text
        assert "Works “plant” &lt;&amp;&gt;" in page.text
    nothing = await stack.client.get("/recognitions", params={"q": "<script>"}, headers=BROWSER)
    assert (nothing.status_code, "<script>" in nothing.text) == (200, False)


async def test_an_enterprise_sees_how_many_graduates_have_what_it_recognises_and_never_few(stack: Running):
    await stack.publish(grant("mill", SYSTEMS))
    other = {"by": "institution:poly"}
    people = {"uni": [f"u-{n}" for n in range(6)], "poly": [f"p-{n}" for n in range(2)]}
    await publish_scheme(stack, "systems", competency=SYSTEMS)
    headers = stack.token("poly", "institution") | {"Prefer": "wait=30"}
    scheme = {"competency": SYSTEMS, "level": 4, "methods": ["exam"], "least_score": 0.1, "enterprise_required": False}
    assert (await stack.client.put("/schemes/poly-systems", json=scheme, headers=headers)).status_code == 200
    graduated = LearnerGraduated(programme="p", graduated_on=date(2026, 2, 1))
    for learner in (*people["uni"], "still-learning"):
        await stack.publish(*exam(learner, SYSTEMS))
    for learner in people["poly"]:
        await stack.publish(
            *[event(each.data, each.subject, each.partitionkey, **other) for each in exam(learner, SYSTEMS)]
        )
        await stack.publish(event(graduated, learner, **other))
    await stack.publish(*(event(graduated, learner) for learner in people["uni"]))
    everybody = [*people["uni"], *people["poly"], "still-learning"]

    async def all_certified() -> bool:
        return len(await certified(stack, *everybody)) == len(everybody)

    await until(all_certified)
    await stack.applied()

    async def counted() -> Any:
        found = await got(stack, "/recognitions/graduates", headers=stack.token("mill", "enterprise"))
        (one,) = [each for each in found["items"] if each["competency"] == SYSTEMS]
        return one["graduates"], {each["institution"]: each["graduates"] for each in one["institutions"]}

    # Two of one institution are hidden, and six of the other, because eight less six would be these two.
    assert await counted() == (8, {"poly": None, "uni": None})
    await stack.publish(event(LearnerErased(), "p-0", **other), event(LearnerErased(), "p-1", **other))
    await stack.applied()
    assert await counted() == (6, {"uni": 6})
    await stack.publish(event(LearnerErased(), "u-0"), event(LearnerErased(), "u-1"))
    await stack.applied()
    assert await counted() == (None, {"uni": None})
    assert (await stack.client.get("/recognitions/graduates")).status_code == 401
    institution = stack.token("uni", "institution")
    assert (await got(stack, "/recognitions/graduates", headers=institution))["items"] == []


@pytest.mark.parametrize("page", sorted(RECOGNITION_PAGES))
async def test_only_an_enterprises_people_see_its_graduates(stack: Running, page: str):
    for organisation, role, kind, is_open in (
        ("mill", "admin", "enterprise", True),
        ("mill", "mentor", "enterprise", True),
        ("lab", "staff", "research_centre", True),
        ("operator", "operator", "operator", False),
        ("uni", "admin", "institution", False),
    ):
        who = await signed_in(stack, organisation, role, kind)
        answer = await who.get(page.split(" ")[1])
        assert (answer.status_code == 200) == is_open, f"{role}: {answer.status_code}"
        await close(who)
    nobody = visitor(stack)
    assert (await nobody.get(page.split(" ")[1])).status_code == 303
    await close(nobody)


SAID = st.builds(
    lambda granted, certificate, hour, id: (
        grant("plant", certificate=certificate, time=NOON + timedelta(hours=hour), id=id)
        if granted
        else withdraw("plant", certificate=certificate, hours=hour)
    ),
    st.booleans(),
    st.sampled_from([None, "c-1", "c-2"]),
    st.integers(0, 4),
    st.sampled_from("abcd"),
)


@given(st.lists(SAID, max_size=8), st.randoms())
def test_any_order_and_repetition_of_words_gives_the_same_view(said: list[Event[Data]], random: Any):
    shuffled = [*said, *random.sample(said, min(3, len(said)))]
    random.shuffle(shuffled)
    key = Key("recognitions", f"{FUTURES}/plant")
    assert rules.view(key, after(facts.empty(), *said)) == rules.view(key, after(facts.empty(), *shuffled))


def test_the_sum_is_hidden_where_all_are_few():
    assert api._counted({"a": 2, "b": 2}, {"a": "A", "b": "B"}, 5)["graduates"] is None
    assert api._counted({}, {}, 5) == {"graduates": 0, "institutions": []}
