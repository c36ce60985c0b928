"""What an enterprise has said of recognising a competency: pure rules from its facts."""

from typing import Any

from shared.contract.events import RecognitionGranted, RecognitionWithdrawn
from shared.processing import facts
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Key

RECOGNITION_FACTS = (RecognitionGranted, RecognitionWithdrawn)


def key_of(event: DecodedEvent) -> Key:
    """One state for each competency and enterprise."""
    return Key("recognitions", f"{event.partitionkey}/{event.publisher}")


def view(key: Key, state: State) -> dict[str, Any]:
    """What was granted, of the competency as a whole (`certificate` is None) or of one certificate; the newest word.

    A recognition that is granted again after it was withdrawn is the same one again.
    """
    competency, _, enterprise = key.id.partition("/")
    withdrawn = _newest(state, RecognitionWithdrawn.short_type)
    granted = [
        {
            "certificate": certificate or None,
            "since": fact["data"]["since"],
            "granted_at": fact["time"],
            "in_force": facts.newest(fact, withdrawn.get(certificate)) is fact,
        }
        for certificate, fact in sorted(_newest(state, RecognitionGranted.short_type).items())
    ]
    in_force = any(each["in_force"] for each in granted)
    return {"competency": competency, "enterprise": enterprise, "granted": granted, "in_force": in_force}


def _newest(state: State, kind: str) -> dict[str, Fact]:
    """The newest word of a kind by certificate; the empty one is the competency as a whole."""
    found: dict[str, Fact] = {}
    for fact in facts.facts(state, kind).values():
        certificate = fact["data"].get("certificate", "")
        found[certificate] = facts.newest(found.get(certificate), fact) or fact
    return found
