"""What is read of the database for the labour market: open vacancies, mapped skills, reports, names of competencies."""

import asyncio
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shared.http.service import Service
from shared.observability import logs
from shared.pages.languages import LANGUAGES
from shared.processing.frameworks import Frameworks
from shared.processing.frameworks import labels as labels_of
from shared.processing.mongo import Database
from shared.processing.recent import RecentAnswers

from .market import History, Market
from .suggestions import Label, Labels, labels_in

log = logs.get(__name__)
MOST_DAYS = 3  # markets of the past that are kept: each has all skills of the vacancies that were open
MOST_ITEMS = 60  # of a framework, to be offered as a whole
BUILT_IN = Frameworks()
OPERATOR = "operator"  # who reports demand as the operator, and is no organisation
_COUNTED = {"_id": 0, "portal": 1, "region": 1, "skills": 1, "observed_at": 1}
_IN_HISTORY = {"_id": 0, "region": 1, "skills": 1, "since": 1, "observed_at": 1, "open": 1, "closed_on": 1}


class Applied(NamedTuple):
    """The market, and until when (ISO 8601) every event is in it."""

    market: Market
    as_of: str | None


class Histories:
    """What vacancies have demanded over time: read again once something is said about demand, and not all the time."""

    def __init__(self) -> None:
        self._recent = RecentAnswers(topic="demand", rest=20)

    async def of(self, db: Database) -> History:
        """The history, which may be behind while vacancies come in. Do not change it."""
        return (await self._recent.answer(db, "history", 0, lambda: read_history(db)))[0]

    async def are_current(self, db: Database) -> bool:
        return await self._recent.is_current(db, "history")


async def history_of(service: Service) -> History:
    """The history of demand, as all requests of a process have it. Do not change it."""
    histories: Histories = service.shared.setdefault("histories", Histories())
    return await histories.of(service.db)


async def read_history(db: Database) -> History:
    """What all vacancies have demanded over time."""
    history = History(await mapping(db))
    async for vacancy in db["vacancies"].find({"since": {"$exists": True}}, _IN_HISTORY, batch_size=2_000):
        history.add(vacancy)
    return history


class Known(NamedTuple):
    """The competencies that the network names, what suggestions are looked for in, and names by the file of labels."""

    competencies: list[str]
    labels: Sequence[Labels]
    names: Mapping[str, str]
    frameworks: Frameworks

    def name(self, competency: str, language: str) -> str:
        """A competency's name: by its framework, else by the file; its id where none is known."""
        found = self.frameworks.name(competency, language)
        return found if found != competency else self.names.get(competency, competency)


async def market_of(service: Service, on: str | None = None) -> Applied:
    """The market today, or on a day (YYYY-MM-DD) by what is known now of each vacancy. Do not change it."""
    markets: _Markets = service.shared.setdefault("markets", _Markets())
    return await markets.of(service.db, on)


class _Markets:
    """The market of now and of the last days that were asked for, each until something is said about demand.

    Strangers may ask for any day, so of days one is worked out at a time, and few are kept; today's waits for none.
    """

    def __init__(self) -> None:
        self._today, self._days = RecentAnswers(topic="demand"), RecentAnswers(MOST_DAYS, topic="demand")
        self._one_day_at_a_time = asyncio.Lock()

    async def of(self, db: Database, on: str | None) -> Applied:
        if on is None:
            return Applied(*await self._today.answer(db, on, 0, lambda: _read(db, on)))
        async with self._one_day_at_a_time:
            return Applied(*await self._days.answer(db, on, 0, lambda: _read(db, on)))


async def _read(db: Database, on: str | None) -> Market:
    market = Market(await mapping(db))
    async for vacancy in db["vacancies"].find(offered(on), _COUNTED, batch_size=2_000):
        market.add(vacancy)
    return market


def offered(on: str | None) -> dict[str, Any]:
    """What matches the vacancies that are open now, or were on a day."""
    if on is None:
        return {"open": True}
    return {"since": {"$lte": on}, "$or": [{"open": True}, {"closed_on": {"$gt": on}}]}


async def regions_of_areas(db: Database, portal: str) -> dict[str, str]:
    """The region that each area of a portal's vacancies was given last."""
    stages: list[dict[str, Any]] = [
        {"$match": {"portal": portal, "region": {"$gt": ""}, "area": {"$gt": ""}}},
        {"$group": {"_id": {"area": "$area", "region": "$region"}, "at": {"$max": "$observed_at"}}},
        {"$sort": {"at": 1, "_id": 1}},
    ]
    return {doc["_id"]["area"]: doc["_id"]["region"] async for doc in db["vacancies"].aggregate(stages)}


async def mapping(db: Database) -> dict[str, str | None]:
    """The competency of each skill that somebody has decided about; None: none of ours."""
    found = db["skills"].find({"status": {"$exists": True}}, {"competency": 1})
    return {doc["_id"]: doc["competency"] async for doc in found}


async def reports_in_force(db: Database, day: str) -> list[dict[str, Any]]:
    """The reports of demand whose horizon is not past; of several on one demand the newest."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    async for doc in db["demands"].find({"horizon": {"$gte": day}}, {"state": 0}).sort("reported_at"):
        newest[doc["competency"], doc.get("of") or doc["_id"]] = doc
    return [*newest.values()]


async def regions(db: Database) -> dict[str, str]:
    """The region of each organisation that has one."""
    found = db["organisations"].find({}, {"region": 1})
    return {doc["_id"]: doc["region"] async for doc in found if doc.get("region")}


async def places(db: Database, day: str) -> Counter[tuple[str, str | None]]:
    """Places that reports demand, by competency and region: of whose demand it is."""
    regions_, found = await regions(db), Counter[tuple[str, str | None]]()
    for report in await reports_in_force(db, day):
        found[report["competency"], region_of(whose(report), regions_)] += report["places"]
    return found


def whose(report: Mapping[str, Any]) -> str:
    """Whose demand it is: an organisation's, or a region's."""
    of: str = report.get("of") or report["organisation"]
    return of


def region_of(whose: str, regions: Mapping[str, str]) -> str | None:
    """The region of a demand; None: the operator's own report names none."""
    return regions.get(whose) or (None if whose == OPERATOR else whose)


async def known(service: Service) -> Known:
    """The competencies of small frameworks, programmes, schemes and the mapping.

    Labels are of these, of all frameworks and of the file.
    """
    frameworks = await service.frameworks()
    question = "competencies", frameworks.reading
    return await service.recent(question, lambda: _read_known(service, frameworks))


async def _read_known(service: Service, frameworks: Frameworks) -> Known:
    db, own = service.db, frameworks.offered(MOST_ITEMS)
    decided = [doc async for doc in db["skills"].find({"status": "mapped"}, {"competency": 1, "skill": 1})]
    named = {doc["competency"] for doc in decided}
    async for doc in db["programmes"].find({"competencies": {"$exists": True}}, {"competencies": 1}):
        named.update(doc["competencies"])
    async for doc in db["schemes"].find({"competency": {"$exists": True}}, {"competency": 1}):
        named.add(doc["competency"])
    further = sorted(named.difference(own))
    imported = await _of_frameworks(service, frameworks)
    labels = [Label(id, frameworks.name(id, language)) for id in BUILT_IN.offered(0) for language in LANGUAGES]
    labels += [Label(id, id.partition(":")[2]) for id in further if frameworks.item(id) is None]
    labels += [Label(doc["competency"], doc["skill"], alternative=True) for doc in decided]
    of_file = await _of_file(service)
    searched = [each for each in (of_file, imported, Labels(labels)) if each]
    return Known([*own, *further], searched, of_file.names if of_file else {}, frameworks)


async def _of_frameworks(service: Service, frameworks: Frameworks) -> Labels | None:
    """The labels of all imported items, prepared once for as long as the frameworks stay the same."""
    if not frameworks.imported:
        return None
    kept = service.shared.get("framework labels")
    if kept is None or kept[0] is not frameworks:
        found = await labels_of(service.db, frameworks)
        prepared = await asyncio.to_thread(lambda: Labels(Label(*one) for one in found))
        kept = service.shared["framework labels"] = frameworks, prepared
    labels: Labels = kept[1]
    return labels


async def _of_file(service: Service) -> Labels | None:
    """The labels of the file that the settings name, read once; without them there are fewer suggestions."""
    path = service.settings.market_labels
    if path is not None and "market labels" not in service.shared:
        service.shared["market labels"] = await asyncio.to_thread(_read_labels, path)
    labels: Labels | None = service.shared.get("market labels")
    return labels


def _read_labels(path: Path) -> Labels | None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return Labels(labels_in(lines))
    except (OSError, ValueError, csv.Error) as error:
        log.warning("market_labels_unreadable", path=str(path), reason=str(error)[:300])
        return None
