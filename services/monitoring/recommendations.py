"""Recommended revisions as monitoring counts them: which are open, for how long, and what became of the others."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal, NamedTuple

from shared.http.service import Service
from shared.processing import facts
from shared.processing.employment import day_of
from shared.processing.facts import Fact, State
from shared.processing.recent import RecentAnswers

from .states import first_answer

Status = Literal["open", "planned", "announced", "revised", "declined"]
OPEN: tuple[Status, ...] = ("open", "planned", "announced")
_ANSWERS: dict[str, Status] = {"revised": "revised", "revision_declined": "declined", "revision_planned": "planned"}
# What a recommendation is based on, as the event has it.
EVIDENCE = (
    *("ratings", "satisfied", "threshold", "ratings_before", "satisfied_before"),
    *("employers", "places", "vacancies", "demanded_until"),
)


class Recommendation(NamedTuple):
    """A recommended revision.

    Attributes:
        status: announced: the institution names a version that it has not published yet.
        until: the day for which a revision is planned.
        answered_at: when it was declined, or the version was published that it revised to.
        evidence: by the names of `EVIDENCE`.
    """

    programme: str
    institution: str | None
    competency: str
    ground: str
    window: str
    evidence: dict[str, Any]
    recommended_at: str
    status: Status
    answered_at: str | None
    until: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def is_overdue(self, today: date) -> bool:
        """Has the day passed for which a revision was planned?"""
        return self.status == "planned" and (self.until or "") < today.isoformat()

    def days(self, today: date) -> int:
        """For how long it is open, or was."""
        end = today if self.answered_at is None else day_of(self.answered_at[:10])
        return max(0, (end - day_of(self.recommended_at[:10])).days)


def recommendations_of(programme: str, state: State) -> list[Recommendation]:
    """All that was recommended to a programme and not withdrawn."""
    published = facts.last(state, "programme.published")
    owner = facts.organisation(published) if published else None
    found = []
    for slot, recommended in facts.recommended(state).items():
        given = {s: facts.facts(state, f"programme.{t}").get(f"{owner}/{slot}") for t, s in _ANSWERS.items()}
        data = recommended["data"]
        answered_at = first_answer(state, slot)
        status, answer = _status(given, is_answered=answered_at is not None)
        found.append(
            Recommendation(
                programme,
                owner,
                data["competency"],
                facts.ground_of(recommended),
                data["window"],
                {name: data[name] for name in EVIDENCE if data.get(name) is not None},
                recommended["time"],
                status,
                answered_at,
                answer["data"].get("until") if answer and status == "planned" else None,
            )
        )
    return found


def _status(given: dict[Status, Fact | None], *, is_answered: bool) -> tuple[Status, Fact | None]:
    """What the institution said last; of what is answered, by which answer."""
    counting = {status: fact for status, fact in given.items() if not is_answered or status != "planned"}
    newest = facts.newest(*counting.values())
    status: Status = next((status for status, fact in counting.items() if fact and fact is newest), "open")
    return ("announced" if status == "revised" and not is_answered else status), newest


class Programmes(NamedTuple):
    """What programmes' facts tell besides their figures.

    Attributes:
        versions: programme, institution, and when a version was published first.
    """

    recommendations: list[Recommendation]
    versions: list[tuple[str, str, str]]


async def programmes(service: Service) -> Programmes:
    """What is known of all programmes, read anew only when something was said of one."""
    recent: RecentAnswers = service.shared.setdefault("programmes", RecentAnswers(most=2, topic="programme"))
    found, _ = await recent.answer(service.db, "programmes", 0, lambda: _read(service))
    return found


async def _read(service: Service) -> Programmes:
    recommended: list[Recommendation] = []
    versions: list[tuple[str, str, str]] = []
    async for doc in service.db["programmes"].find({}, {"state": 1}, batch_size=500):
        recommended += recommendations_of(doc["_id"], doc["state"])
        versions += [(doc["_id"], *each) for each in _versions(doc["state"])]
    return Programmes(sorted(recommended, key=lambda each: (each.recommended_at, each.programme)), versions)


def _versions(state: State) -> Iterable[tuple[str, str]]:
    first: dict[str, tuple[str, str]] = {}
    for fact in facts.facts(state, "programme.published").values():
        said = facts.organisation(fact), fact["time"]
        version = fact["data"]["version"]
        first[version] = min(first.get(version, said), said, key=lambda each: each[1])
    return first.values()
