"""AsyncAPI 3 and JSON Schema from the models that services publish and read; nothing runs here.

`hack/gen-contracts` writes the documents, and asks `breaches` whether a change would leave a reader
of the published events behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic

from eventbus.envelope import DATA_VERSION

Contracts = Mapping[str, Mapping[str, type[pydantic.BaseModel]]]  # topic → type → data

_REF = "#/components/schemas/{model}"
_ATTRIBUTES = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"type": "string", "description": "The same on every repetition of this event"},
    "ce_source": {"type": "string", "description": "/<pipeline>/<service>"},
    "ce_type": {"type": "string"},
    "ce_subject": {"type": "string"},
    "ce_time": {"type": "string", "format": "date-time"},
    "ce_dataversion": {"const": str(DATA_VERSION)},
    "ce_correlationid": {"type": "string"},
    "content-type": {"const": "application/json"},
    "traceparent": {"type": "string"},
}
_REQUIRED = ["ce_id", "ce_source", "ce_type"]
_REMARKS = ("title", "description", "examples", "default")


@dataclass(frozen=True)
class Participant:
    """One service: what it publishes, and what it reads of what is published."""

    name: str
    publishes: Contracts = field(default_factory=dict)
    consumes: Contracts = field(default_factory=dict)


def build(title: str, participants: Sequence[Participant]) -> dict[str, Any]:
    """One document for all services of a pipeline."""
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for participant in participants:
        for topic, types in participant.publishes.items():
            channel = channels.setdefault(topic, _channel(topic))
            for kind, model in types.items():
                messages[kind] = _message(kind, model, schemas)
                channel["messages"][kind] = {"$ref": f"#/components/messages/{kind}"}
        for action, contracts in (
            ("send", participant.publishes),
            ("receive", participant.consumes),
        ):
            for topic, types in contracts.items():
                name = f"{participant.name}-{action}-{topic}"
                operations[name] = _operation(action, topic, types)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": f"{DATA_VERSION}.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def event_schema(kind: str, model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """The data of one type of event, as a schema that stands alone."""
    schema = model.model_json_schema(mode="serialization")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema, "title": kind}


def breaches(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What a reader of the old schema would miss in data of the new one; members may be added."""
    found = []
    for name, member in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            found.append(f"{name} is gone")
        elif _plain(member, old) != _plain(new["properties"][name], new):
            found.append(f"{name} is something else")
        elif name in old.get("required", ()) and name not in new.get("required", ()):
            found.append(f"{name} may be missing")
    return found


def _plain(node: Any, document: Mapping[str, Any]) -> Any:
    """A schema without remarks, and with what it refers to in its place."""
    if isinstance(node, list):
        return [_plain(item, document) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        return _plain(document["$defs"][node["$ref"].rpartition("/")[2]], document)
    return {key: _plain(value, document) for key, value in node.items() if key not in _REMARKS}


def _channel(topic: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": f"In Kafka `<namespace>.<pipeline>.{topic}`, told as "
        f"`TOPIC_{topic.upper().replace('-', '_')}`",
        "messages": {},
    }


def _message(kind: str, model: type[pydantic.BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization", ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {
        "name": kind,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": _REQUIRED,
            "properties": {**_ATTRIBUTES, "ce_type": {"const": kind}},
        },
        "payload": {"$ref": _REF.format(model=model.__name__)},
    }


def _operation(
    action: str, topic: str, types: Mapping[str, type[pydantic.BaseModel]]
) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{kind}"} for kind in types],
    }
