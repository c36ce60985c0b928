"""The certification service: schemes and assessments in, certificates out."""

from collections.abc import Sequence

from shared.http.application import serve
from shared.http.routing import Router
from shared.processing import facts
from shared.processing.core import Core
from shared.processing.frameworks import with_frameworks
from shared.processing.mongo import Database, Key

from . import api, badges, collecting, credentials_api, frameworks, verify_api
from .credentials.lists import find, keep_lists, note_erasures
from .schemes import Scheme, Schemes, certify, decide, route, view

AT_ONCE = 2_000


async def read_schemes(db: Database, *_: object) -> Schemes:
    schemes: dict[str, list[Scheme]] = {}
    async for doc in db["schemes"].find().sort("_id"):
        published = facts.last(doc["state"], "scheme.published")
        if published is not None:
            fields = {name: doc[name] for name in Scheme._fields if name in doc}
            fields |= {"id": doc["_id"], "time": published["time"], "methods": tuple(doc["methods"])}
            scheme = Scheme(**fields, sustainable=published.get("sustainable"))
            schemes.setdefault(scheme.competency, []).append(scheme)
    return schemes


class DueCertificates:
    """Finds learners who meet a scheme that was published after their assessments.

    A scheme is looked at once per database, partition and process, and again after a restart: finding nothing is all
    that is remembered, and a certificate is decided by the facts, so looking twice is harmless.
    """

    def __init__(self) -> None:
        self._done: set[tuple[str, Scheme, str]] = set()

    async def due(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        """Up to `AT_ONCE` learners of these partitions who have earned a certificate and do not have it."""
        found: list[tuple[str, Key]] = []
        for competency, schemes in (await read_schemes(db)).items():
            open_labels = {label for label in labels if any((db.name, s, label) not in self._done for s in schemes)}
            unfinished: set[str] = set()
            candidates = db["learners"].find({"partition": {"$in": list(open_labels)}, "assessed": competency})
            async for doc in candidates:
                key = Key("learners", doc["_id"])
                if certify(key, doc["state"], {competency: schemes}):
                    found.append((doc["partition"], key))
                    unfinished.add(doc["partition"])
                    if len(found) >= AT_ONCE:
                        return found  # nothing is known of who comes after
            self._done |= {(db.name, s, label) for s in schemes for label in open_labels - unfinished}
        return found


core = Core(
    name="certification",
    topics=("learner", "scheme", "organisation"),
    indexes={
        "learners": [("partition", "assessed"), ("certificates.id",), ("certificates.institution",)],
        "schemes": [("institution",), ("competency",)],
        "organisations": [],
    },
    route=route,
    tells=("scheme",),
    view=view,
    react=decide,
    context=read_schemes,
    due=DueCertificates().due,
)
core = with_frameworks(core)

parts = (api, badges, frameworks, credentials_api, collecting, verify_api)
router = Router(routes=[route for part in parts for route in part.router.routes])
work, serving = (note_erasures,), (keep_lists,)

if __name__ == "__main__":
    serve(core, router, work=work, serving=serving, find=find)
