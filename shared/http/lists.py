"""Entities as they are shown: one, or a page of a list."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from shared.http.parameters import query
from shared.http.problems import Problem
from shared.pages.languages import Text
from shared.processing import mongo


@dataclass
class Paging:
    """Which part of a list is wanted: up to `limit` items after the id `after`."""

    after: Annotated[str | None, Query(max_length=200)] = None
    limit: Annotated[int, Query(ge=1, le=1000)] = 100


Pages = Annotated[Paging, query(Paging)]


def public(doc: dict[str, Any]) -> dict[str, Any]:
    """An entity as it is shown: its id and its view."""
    return {"id": doc["_id"], **{k: v for k, v in doc.items() if k not in ("_id", "state", "partition", "access")}}


async def listed(db: mongo.Database, collection: str, match: dict[str, Any], paging: Paging) -> dict[str, Any]:
    """A page of a collection; `next` is the `after` of the following page."""
    wanted = {field: value for field, value in match.items() if value is not None}
    items, next_after = await mongo.page(db, collection, wanted, paging.after, paging.limit)
    return {"items": [public(doc) for doc in items], "next": next_after}


async def found(db: mongo.Database, collection: str, id: str) -> dict[str, Any]:
    """One entity as it is shown, or 404."""
    doc = await db[collection].find_one({"_id": id, "state.erased": {"$exists": False}})
    if doc is None:
        raise Problem(404, Text("there is no {id} in {collection} (yet)", {"id": id, "collection": collection}))
    return public(doc)
