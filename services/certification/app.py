"""The certification service: schemes and assessments in, certificates out."""

from collections.abc import Collection, Sequence

from shared.http.application import serve
from shared.http.routing import Router
from shared.processing.core import Core
from shared.processing.facts import DecodedEvent
from shared.processing.frameworks import with_frameworks
from shared.processing.mongo import Database, Key

from .certificates import api as certificates_api
from .certificates import credentials_api
from .credentials.lists import find, keep_lists, note_erasures
from .frameworks import api as frameworks_api
from .issuers import badges, documents, endorsements, own_did
from .learners import collecting, links_api, wallet_api
from .pages import issuing, publish
from .recognition import api as recognition_api
from .schemes import api as schemes_api
from .schemes.reads import in_force, read_versions
from .schemes.rules import Context, Scheme, certify, decide, route, view
from .validity import today
from .verification import api as verification_api

AT_ONCE = 2_000


async def read_context(db: Database, _: Collection[Key], events: Sequence[DecodedEvent]) -> Context:
    versions = await read_versions(db)
    return Context(in_force(versions), None if events else today(), versions)


class DueCertificates:
    """Finds learners who meet a scheme that was published after their assessments, and whose certificate ends soon.

    A scheme is looked at once per database, partition and process, and again after a restart: finding nothing is all
    that is remembered, and a certificate is decided by the facts, so looking twice is harmless.
    """

    def __init__(self) -> None:
        self._done: set[tuple[str, Scheme, str]] = set()

    async def due(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        """Up to `AT_ONCE` learners of these partitions who have earned a certificate and do not have it."""
        found: list[tuple[str, Key]] = []
        for competency, schemes in in_force(await read_versions(db)).items():
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
        return found or await _ending(db, labels)


async def _ending(db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
    """Learners a certificate of whom ends soon, which is yet to be said."""
    day = today().isoformat()
    soon = {"ending": {"$elemMatch": {"remind": {"$lte": day}, "valid_until": {"$gte": day}}}}
    found = db["learners"].find({**soon, "partition": {"$in": list(labels)}}, {"partition": 1}).limit(AT_ONCE)
    return [(doc["partition"], Key("learners", doc["_id"])) async for doc in found]


core = Core(
    name="certification",
    topics=("learner", "scheme", "organisation", "recognition"),
    indexes={
        "learners": [
            ("partition", "assessed"),
            ("certificates.id",),
            ("certificates.institution", "certificates.number"),
            ("certificates.competency",),
            ("certificates.scheme",),
            ("assessed", "_id"),
            ("ending.remind",),
            ("erasure_requested.institution",),
        ],
        "recognitions": [("competency",), ("enterprise",)],
        "schemes": [("institution",), ("competency",)],
        "organisations": [("did",)],
    },
    route=route,
    generation=2,  # graduations, a scheme's versions and an institution's region are kept
    tells=("scheme",),
    view=view,
    react=decide,
    context=read_context,
    due=DueCertificates().due,
)
core = with_frameworks(core)

pages = (badges, frameworks_api, issuing, publish)
of_credentials = (documents, credentials_api, own_did, collecting, wallet_api, verification_api)
parts = (links_api, certificates_api, schemes_api, recognition_api, endorsements, *of_credentials, *pages)
router = Router(routes=[route for part in parts for route in part.router.routes])
work, serving = (note_erasures,), (keep_lists,)

if __name__ == "__main__":
    serve(core, router, work=work, serving=serving, find=find)
