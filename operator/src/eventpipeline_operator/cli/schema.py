"""What the API server would default and refuse, from the schema that it publishes. Pure.

Rules in CEL and of the admission policy are not evaluated here: api/validation.py has the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

ROOT = "dev.eventpipeline.v1alpha1.EventPipeline"
ADDRESS = "/openapi/v3/apis/eventpipeline.dev/v1alpha1"
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def spec_schema(document: Mapping[str, Any]) -> Schema:
    """The schema of spec, of a published OpenAPI document."""
    schema: Schema = document["components"]["schemas"][ROOT]["properties"]["spec"]
    return schema


def with_defaults(schema: Schema, value: Any) -> Any:
    """The value as the API server would store it."""
    if isinstance(value, Mapping):
        properties: Mapping[str, Schema] = schema.get("properties", {})
        filled = {
            name: each["default"]
            for name, each in properties.items()
            if "default" in each and name not in value
        }
        more = schema.get("additionalProperties")
        rest = more if isinstance(more, Mapping) else {}
        return {
            k: with_defaults(properties.get(k, rest), v) for k, v in {**filled, **value}.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [with_defaults(schema.get("items", {}), item) for item in value]
    return value


def complain(schema: Schema, value: Any, path: str = "spec") -> Iterator[str]:
    """Every way in which the value is not as the schema wants it, each with its field."""
    if schema.get("x-kubernetes-int-or-string") and isinstance(value, int | str):
        return
    wrong = _type_complaint(schema, value)
    if wrong:
        yield f"{path}: {wrong}"
    elif isinstance(value, dict):
        yield from _object_complaints(schema, value, path)
    elif isinstance(value, list):
        yield from _list_complaints(schema, value, path)
    else:
        yield from (f"{path}: {words}" for words in _scalar_complaints(schema, value))


def _type_complaint(schema: Schema, value: Any) -> str | None:
    wanted = schema.get("type")
    if wanted is None or (value is None and schema.get("nullable")):
        return None
    fits = isinstance(value, TYPES[wanted]) and (not isinstance(value, bool) or wanted == "boolean")
    return None if fits else f"must be of type {wanted}"


def _object_complaints(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    more = schema.get("additionalProperties")
    anything = schema.get("x-kubernetes-preserve-unknown-fields") or more is True
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name} is needed"
    for name, each in value.items():
        if name in properties:
            yield from complain(properties[name], each, f"{path}.{name}")
        elif isinstance(more, Mapping):
            yield from complain(more, each, f"{path}.{name}")
        elif not anything and properties:
            known = ", ".join(sorted(properties))
            yield f"{path}.{name}: there is no such field; there are {known}"
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{path}: at most {schema['maxProperties']} entries"


def _list_complaints(schema: Schema, value: list[Any], path: str) -> Iterator[str]:
    for index, item in enumerate(value):
        name = item.get("name", index) if isinstance(item, Mapping) else index
        yield from complain(schema.get("items", {}), item, f"{path}[{name}]")
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{path}: at most {schema['maxItems']} entries"
    if len(value) < schema.get("minItems", 0):
        yield f"{path}: at least {schema['minItems']} entries"


def _scalar_complaints(schema: Schema, value: Any) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"must be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            yield f"{value!r} does not match {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"must be {_bounds(schema, 'minLength', 'maxLength')} characters long"
    elif isinstance(value, int | float) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"must be {_bounds(schema, 'minimum', 'maximum')}"


def _bounds(schema: Schema, least: str, most: str) -> str:
    words = [f"at least {schema[least]}"] if least in schema else []
    words += [f"at most {schema[most]}"] if most in schema else []
    return " and ".join(words)
