"""Schemes, read from the database: the rules, what can be certified where, and who is near a certificate."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.contract.events import timestamp
from shared.http.lists import public
from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import LANGUAGES
from shared.processing import facts
from shared.processing.frameworks import Frameworks
from shared.processing.mongo import Database, Key

from .rules import Scheme, Schemes, Step, asked_by_method, certify, one_step

Doc = dict[str, Any]
GIVEN = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # how many certificates a scheme gave, said as "at least"
_PUBLISHED = {"institution": {"$exists": True}}
LOOKED_AT = 10_000  # learners, for one answer: 3 s, in batches that let others have their turn
BATCH = 250


async def read_versions(db: Database) -> dict[str, list[Scheme]]:
    """Of each scheme by id its versions, the newest first."""
    return {doc["_id"]: versions_of(doc) async for doc in db["schemes"].find(_PUBLISHED).sort("_id")}


def in_force(versions: Mapping[str, list[Scheme]]) -> Schemes:
    """The newest version of each scheme, by competency."""
    schemes: dict[str, list[Scheme]] = {}
    for scheme, *_ in versions.values():
        schemes.setdefault(scheme.competency, []).append(scheme)
    return schemes


def versions_of(doc: Doc) -> list[Scheme]:
    """The rules that a document of `schemes` holds, the newest first."""
    return [
        scheme_by(fact["data"], doc["_id"], doc["institution"], fact["time"], fact.get("sustainable"))
        for fact in sorted(facts.facts(doc["state"], "scheme.published").values(), key=facts.age, reverse=True)
    ]


def scheme_of(doc: Doc) -> Scheme:
    """The rule that is in force of a scheme's document."""
    return versions_of(doc)[0]


def scheme_by(
    published: Mapping[str, Any], id: str = "", institution: str = "", time: str = "", sustainable: str | None = None
) -> Scheme:
    """The rule that the data of a `scheme.published` say."""
    fields = {name: value for name, value in published.items() if name in Scheme._fields}
    fields |= {"methods": tuple(published["methods"]), **asked_by_method(published.get("by_method") or [])}
    fields |= {"id": id, "institution": institution, "time": time, "sustainable": sustainable}
    return Scheme(**fields)


# what can be certified where


async def catalogue(service: Service) -> list[Doc]:
    """All schemes by id, with the name and the region of their institutions; not to be changed."""
    return await service.recent(("catalogue",), lambda: _catalogue(service.db))


async def _catalogue(db: Database) -> list[Doc]:
    docs = await db["schemes"].find(_PUBLISHED, {"state": 0}).sort("_id").to_list(None)
    return await with_institutions(db, docs)


async def with_institutions(db: Database, docs: list[Doc]) -> list[Doc]:
    """Schemes as everybody may see them, with the name and the region of their institutions."""
    ids = list({doc["institution"] for doc in docs})
    found = db["organisations"].find({"_id": {"$in": ids}}, {"name": 1, "region": 1})
    entries = {entry["_id"]: entry async for entry in found}
    return [{**public(doc), **_of_entry(doc["institution"], entries)} for doc in docs]


def _of_entry(institution: str, entries: Mapping[str, Doc]) -> Doc:
    entry = entries.get(institution, {})
    return {"institution_name": entry.get("name", institution), "region": entry.get("region")}


async def find_scheme(db: Database, id: str) -> Doc:
    """The document of a scheme, with its state.

    Raises:
        Problem: 404, there is none.
    """
    doc = await db["schemes"].find_one({"_id": id, **_PUBLISHED})
    if doc is None:
        raise Problem(404, f"there is no {id} in schemes (yet)")
    return doc


class Wanted(NamedTuple):
    """Which schemes are asked for: by words of the competency or the institution, and by these."""

    q: str = ""
    competency: str = ""
    institution: str = ""
    region: str = ""


def fitting(schemes: list[Doc], wanted: Wanted, frameworks: Frameworks) -> list[Doc]:
    """The schemes that are asked for, in their order."""
    words = wanted.q.casefold().split()
    named = {name: value for name, value in wanted._asdict().items() if value and name != "q"}
    return [
        each
        for each in schemes
        if all(each[name] == value for name, value in named.items()) and _has(each, words, frameworks)
    ]


def _has(scheme: Doc, words: list[str], frameworks: Frameworks) -> bool:
    """Are all these words (in small letters) in what the competency or the institution is called?"""
    if not words:
        return True
    names = [frameworks.name(scheme["competency"], language) for language in LANGUAGES]
    called = [scheme["competency"], *names, scheme["institution"], scheme["institution_name"]]
    text = " ".join(called).casefold()
    return all(word in text for word in words)


async def given_at_least(db: Database, scheme: str) -> int | None:
    """How many certificates a scheme gave, as the greatest of `GIVEN` that it reached; None: fewer.

    No exact number: with those of others, which are public, small groups could be worked out from it.
    """
    number = await db["learners"].count_documents({"certificates.scheme": scheme}, limit=GIVEN[-1])
    return max((least for least in GIVEN if least <= number), default=None)


# who is near a certificate


async def _assessed(db: Database, scheme: Scheme, after: str = "") -> AsyncIterator[Doc]:
    """Learners of the scheme's institution who were assessed in its competency, by id, `LOOKED_AT` at most."""
    match: Doc = {"assessed": scheme.competency, "institutions": scheme.institution, "_id": {"$gt": after}}
    found = db["learners"].find(match, {"state": 1}, batch_size=BATCH)
    async for doc in found.sort("_id").limit(LOOKED_AT):
        yield doc


class Near(NamedTuple):
    """Who is one step from a certificate, by id, and after whom to go on; None: that is all."""

    items: list[tuple[str, Step]]
    next_after: str | None


async def near(db: Database, scheme: Scheme, after: str, limit: int) -> Near:
    """Up to *limit* learners behind the id *after*, of the next `LOOKED_AT` who were assessed."""
    now, items, looked_at, last = timestamp(datetime.now(UTC)), list[tuple[str, Step]](), 0, after
    async for doc in _assessed(db, scheme, after):
        if step := one_step(doc["_id"], doc["state"], scheme, now):
            if len(items) == limit:
                return Near(items, items[-1][0])
            items.append((doc["_id"], step))
        looked_at, last = looked_at + 1, doc["_id"]
    return Near(items, last if looked_at == LOOKED_AT else None)


class Consequences(NamedTuple):
    """What a scheme would do at once: how many would be certified, of how many who were looked at; are these all?"""

    certified: int
    looked_at: int
    is_all: bool


async def consequences_of(db: Database, scheme: Scheme) -> Consequences:
    """What would follow from publishing *scheme*."""
    certified = looked_at = 0
    async for doc in _assessed(db, scheme):
        looked_at += 1
        certified += bool(certify(Key("learners", doc["_id"]), doc["state"], {scheme.competency: [scheme]}))
    return Consequences(certified, looked_at, looked_at < LOOKED_AT)
