"""The AsyncAPI 3 document: what is on which topic, who may publish it, and how it is sent."""

import json
from typing import Any

from shared import __version__
from shared.contract import events
from shared.contract.events import DATA, TOPICS, Data, Publisher
from shared.log.producer import STRUCTURED
from shared.log.topics import PARTITIONS

from .examples import EXAMPLES

ABOUT = """Every event of Praktika. Organisations publish through the ingress: `POST /events` of partners, with a token,
in the structured, binary or batch mode of CloudEvents. Its OpenAPI document has the details.
To a secured Kafka they write the same, structured or binary, to a topic of their own, `ingress.<organisation>`.

The sender leaves out `sourcekind` and `sustainable`, which the ingress stamps, and may leave out `partitionkey` but for
events about a learner, and `dataschema`, which is the partners' address followed by `/schemas/<type>/data.json`.

The topics are the source of truth, kept for good. Delivery is at least once: an event that comes again (same `source`
and `id`) changes nothing. Order holds per key. Ignore fields that you do not know: additions stay in v1, and what would
break a reader is a new type (`.v2`).

The first part of a topic's name is the network's, `praktika` unless its operator has chosen another."""


def _key(data: type[Data]) -> str:
    """By what the order of events of a type is kept, in words."""
    if data.key == "subject":
        return "The event's `subject`."
    if data.key == "learner":
        return "The learner's pseudonym (`partitionkey`)."
    optional = not data.model_fields[data.key].is_required()
    return f"`data.{data.key}`{', else the `subject`' if optional else ''}."


def document() -> dict[str, Any]:
    schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Praktika", "version": __version__, "description": ABOUT},
        "defaultContentType": STRUCTURED,
        "servers": {
            "log": _server("kafka", "127.0.0.1:9092", "Apache Kafka: the log."),
            "partners": _server("http", "127.0.0.1:8101", "The partners service: the ingress."),
        },
        "channels": {
            "ingress": _ingress(),
            "ingress.kafka": _own("ingress", "What an organisation writes; only it may.", _SENT),
            "egress": _own(
                "egress", "What concerns an organisation, its own events among it; only it may read.", [*DATA]
            ),
            **{topic: _channel(topic) for topic in TOPICS},
        },
        "operations": {
            "publish": {
                "action": "receive",
                "channel": _ref("channels", "ingress"),
                "summary": "An organisation publishes; 202 once Kafka has acknowledged.",
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            },
            "write": {
                "action": "receive",
                "channel": _ref("channels", "ingress.kafka"),
                "summary": "An organisation writes to its own topic; what is refused is among its rejections.",
            },
            "egress.read": {
                "action": "send",
                "channel": _ref("channels", "egress"),
                "summary": "An organisation reads what concerns it; the same as `GET /feed`.",
            },
            **{
                f"{topic}.read": {
                    "action": "send",
                    "channel": _ref("channels", topic),
                    "summary": f"Everything on the topic {topic}, from the first event on.",
                }
                for topic in TOPICS
            },
        },
        "components": {"messages": {type_: _message(type_) for type_ in DATA}, "schemas": schemas},
    }


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": f"#/{'/'.join(path)}"}


def _server(protocol: str, host: str, description: str) -> dict[str, Any]:
    variable = {"default": host, "description": "Where `make up` starts it; your network's operator tells you yours."}
    return {"host": "{host}", "protocol": protocol, "description": description, "variables": {"host": variable}}


_SENT = [type_ for type_, data in DATA.items() if data.by != events.SERVICE]


def _own(way: str, description: str, types: list[str]) -> dict[str, Any]:
    """A topic that each organisation has of its own."""
    named = "Its id, in which what Kafka does not allow in a name is `_` and two hexadecimal digits."
    return {
        "address": f"praktika.{way}.{{organisation}}",
        "description": description,
        "servers": [_ref("servers", "log")],
        "parameters": {"organisation": {"description": named}},
        "messages": {type_: _ref("components", "messages", type_) for type_ in types},
    }


def _ingress() -> dict[str, Any]:
    return {
        "address": "/events",
        "description": "What organisations and the operator may publish.",
        "servers": [_ref("servers", "partners")],
        "messages": {type_: _ref("components", "messages", type_) for type_ in _SENT},
    }


def _channel(topic: str) -> dict[str, Any]:
    types = [type_ for type_, data in DATA.items() if data.topic == topic]
    partitions = PARTITIONS.get(topic, 3)
    return {
        "address": f"praktika.{topic}",
        "description": f"{partitions} partitions as set up, chosen by murmur2 of the key as Kafka's clients do.",
        "servers": [_ref("servers", "log")],
        "messages": {type_: _ref("components", "messages", type_) for type_ in types},
        "bindings": {
            "kafka": {
                "partitions": partitions,
                "topicConfiguration": {"retention.ms": -1, "retention.bytes": -1},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(type_: str) -> dict[str, Any]:
    data, example = DATA[type_], EXAMPLES[type_]
    headers = {"content-type": STRUCTURED}
    key = {"type": "string", "description": _key(data)}
    return {
        "name": type_,
        "title": data.__name__,
        "summary": (data.__doc__ or "").partition("\n")[0],
        "description": f"Published by: {_publishers(data)}. Key: {_key(data)}",
        "contentType": STRUCTURED,
        "headers": {
            "type": "object",
            "required": ["content-type"],
            "properties": {"content-type": {"type": "string", "pattern": r"^application/cloudevents\+json"}},
        },
        "payload": _ref("components", "schemas", type_),
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
        "examples": [{"headers": headers, "payload": example.model_dump(mode="json", exclude_none=True)}],
        "x-published-by": [kind.value for kind in data.by],
    }


def _publishers(data: type[Data]) -> str:
    return ", ".join("Praktika's services" if kind is Publisher.service else kind.value for kind in data.by)


def _schemas() -> dict[str, Any]:
    """The schemas of all types; what they share stands beside them, because a reference counts from the document."""
    shared: dict[str, Any] = {}
    types = json.loads(json.dumps(events.schemas()).replace("#/$defs/", "#/components/schemas/"))
    for schema in types.values():
        del schema["$schema"]  # AsyncAPI's own dialect, of which this is a part
        shared |= schema.pop("$defs")
    return {**dict(sorted(shared.items())), **types}
