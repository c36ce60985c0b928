"""Publishes completed internships to Praktika over HTTP: python publish.py TIME LEARNER..."""

import json
import os
import random
import sys
import time
from hashlib import sha256
from typing import Any

import httpx

ATTEMPTS = 8
Json = dict[str, Any]


def completed(organisation: str, at: str, learner: str) -> Json:
    """Say that a learner completed an internship.

    The id follows from the enterprise's own record, so sending it again changes nothing; a digest, which names nobody.

    Args:
        at: RFC 3339 with offset, from the record and not from the clock: it is part of what is said.
    """
    record = sha256(f"{organisation} {learner}".encode()).hexdigest()[:16]
    return {
        "specversion": "1.0",
        "id": f"{record}-completed",
        "source": f"/organisations/{organisation}",
        "type": "praktika.internship.completed.v1",
        "subject": f"{organisation}:{record}",
        "partitionkey": learner,
        "time": at,
        "data": {
            "enterprise": organisation,
            "programme": "north-college:welding",
            "hours": 160.5,
            "competencies": ["greencomp:3.1"],
            "outcome": "passed",
        },
    }


class NotSent(Exception):
    """There was no token, or no answer; the events may be sent again."""


class Praktika:
    """Praktika's ingress, as one organisation."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self._credential = (client_id, client_secret)
        self._token, self._token_ends = "", 0.0

    def publish(self, events: list[Json]) -> list[Json]:
        """Send one event or a batch of up to 1,000; give the answer to each: id, status, and event or problem.

        Raises:
            NotSent
        """
        kind, content = ("", events[0]) if len(events) == 1 else ("-batch", events)
        body = json.dumps(content, ensure_ascii=False).encode()
        answer = self._send_events(kind, body)
        if answer.status_code == 401:
            self._token_ends = 0.0
            answer = self._send_events(kind, body)
        is_json = "json" in answer.headers.get("Content-Type", "")
        said: Json = answer.json() if is_json else {"title": answer.text[:200]}
        if "items" in said:
            return list(said["items"])
        if answer.is_success:
            return [said | {"status": answer.status_code}]
        return [{"id": event["id"], "status": answer.status_code, "problem": said} for event in events]

    def _send_events(self, kind: str, body: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._bearer()}", "Content-Type": f"application/cloudevents{kind}+json"}
        return self._send("/events", content=body, headers=headers)

    def _bearer(self) -> str:
        """A token with a minute left at least."""
        if time.monotonic() > self._token_ends - 60:
            answer = self._send("/token", data={"grant_type": "client_credentials"}, auth=self._credential)
            if answer.is_error:
                raise NotSent(f"no token: {answer.status_code} {answer.text}")
            given = answer.json()
            self._token, self._token_ends = given["access_token"], time.monotonic() + given["expires_in"]
        return self._token

    def _send(self, path: str, **request: Any) -> httpx.Response:
        """Send the same until it is answered with something else than "not now"."""
        problem = ""
        for attempt in range(ATTEMPTS):
            pause_s = random.uniform(0.5, 1) * min(30, 2**attempt)  # noqa: S311 (no secret)
            try:
                answer = self._http.post(path, **request)
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if answer.status_code != 429 and answer.status_code < 500:
                    return answer
                problem = f"{answer.status_code} {answer.text[:200]}"
                if (asked := answer.headers.get("Retry-After", "")).isdigit():
                    pause_s += int(asked)
            if attempt < ATTEMPTS - 1:
                time.sleep(pause_s)
        raise NotSent(f"gave up after {ATTEMPTS} attempts, may be repeated: {problem}")


def main() -> int:
    if len(sys.argv) < 3:
        print("usage: publish.py TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)", file=sys.stderr)
        return 2
    organisation = os.environ["PRAKTIKA_CLIENT_ID"]
    praktika = Praktika(os.environ["PRAKTIKA_URL"], organisation, os.environ["PRAKTIKA_CLIENT_SECRET"])
    try:
        answers = praktika.publish([completed(organisation, sys.argv[1], learner) for learner in sys.argv[2:]])
    except NotSent as error:
        sys.exit(str(error))
    for answer in answers:
        if "problem" not in answer:
            print(f"{answer['id']}: accepted, {answer['event']}")
            continue
        problem = answer["problem"]
        print(f"{answer['id']}: refused, {answer['status']} {problem.get('detail') or problem.get('title')}")
        for error in problem.get("errors", []):
            print(f"  {error['field']}: {error['detail']}")
    return int(any("problem" in answer for answer in answers))


if __name__ == "__main__":
    sys.exit(main())
