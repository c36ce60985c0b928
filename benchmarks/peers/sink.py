"""Writing a batch with PyMongo, for the frameworks that are not asynchronous: state decides, no table of seen ids."""

import os

from pymongo import MongoClient, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.write_concern import WriteConcern

from benchmarks.peers import learners


class Database:
    """The learners and the counters. A repeated event changes no learner, so it changes no counter."""

    def __init__(self) -> None:
        self._client = MongoClient(os.environ["MONGODB_URI"], w="majority")
        self._db = self._client[os.environ["BENCH_DATABASE"]]

    def write(self, events: list[learners.Event]) -> None:
        """All that a batch changes, or nothing of it."""

        def transaction(session: ClientSession) -> None:
            ids = list({event.partitionkey for event in events})
            known = {doc["_id"]: doc for doc in self._db["learners"].find({"_id": {"$in": ids}}, session=session)}
            changed, counters = learners.fold(known, events)
            replaced = [ReplaceOne({"_id": learner["_id"]}, learner, upsert=True) for learner in changed]
            self._db["learners"].bulk_write(replaced, ordered=False, session=session)
            added = [
                UpdateOne(
                    {"_id": counter["_id"]},
                    {
                        "$inc": counter["add"],
                        "$setOnInsert": {"programme": counter["programme"], "month": counter["month"]},
                    },
                    upsert=True,
                )
                for counter in counters
            ]
            if added:
                self._db["counters"].bulk_write(added, ordered=False, session=session)

        with self._client.start_session() as session:
            session.with_transaction(transaction, write_concern=WriteConcern("majority"))
