"""OpenAPI 3.1 from the declared operations, and a page that shows it without any other server."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import Any

import orjson
import pydantic
from flask import Flask, Response

from eventbus.web.operations import Operation
from eventbus.web.problems import CONTENT_TYPE, ProblemModel

_REF = "#/components/schemas/{model}"
BEARER = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
_ARGUMENT = re.compile(r"<(?:(\w+):)?(\w+)>")


Demand = Callable[[str], frozenset[str] | None]


def name_of(prefix: str, operation: Operation) -> str:
    """An operation as its document and `AUTH_ROLES` call it: `GET /api/v1/order/{order_id}`."""
    return f"{operation.method} {_path(prefix, operation)}"


def serve(
    app: Flask,
    title: str,
    prefix: str,
    operations: Sequence[Operation],
    demand: Demand | None = None,
) -> None:
    """Add `<prefix>/openapi.json` and `<prefix>/docs`."""

    @cache
    def document() -> bytes:
        return orjson.dumps(build(title, prefix, operations, demand))

    @cache
    def page() -> bytes:
        return resources.files("eventbus.web").joinpath("docs.html").read_bytes()

    app.add_url_rule(
        f"{prefix}/openapi.json",
        "openapi",
        lambda: Response(document(), content_type="application/json"),
    )
    app.add_url_rule(
        f"{prefix}/docs", "docs", lambda: Response(page(), content_type="text/html; charset=utf-8")
    )


def build(
    title: str, prefix: str, operations: Sequence[Operation], demand: Demand | None = None
) -> dict[str, Any]:
    """The document; `demand` tells the roles of an operation where tokens are asked for."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in operations:
        roles = demand(name_of(prefix, operation)) if demand else None
        described = _describe(operation, schemas, roles)
        paths.setdefault(_path(prefix, operation), {})[operation.method.lower()] = described
    components = {"schemas": schemas, **({"securitySchemes": BEARER} if demand else {})}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0.0"},
        "paths": paths,
        "components": components,
    }


def _path(prefix: str, operation: Operation) -> str:
    return _ARGUMENT.sub(r"{\2}", prefix + operation.path)


def _describe(
    operation: Operation, schemas: dict[str, Any], roles: frozenset[str] | None
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "parameters": _parameters(operation, schemas),
        "responses": {
            str(operation.status): {
                "description": "Done" if operation.status == 200 else "Accepted",
                "content": {"application/json": {"schema": _schema(operation.answer, schemas)}},
            }
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(operation.body, schemas)}},
        }
    faults = set(operation.problems) | {503}
    if roles is not None:
        described["security"] = [{"bearer": sorted(roles)}]
        faults |= {401, 403} if roles else {401}
    if operation.body is not None:
        faults |= {400, 413, 415}
    if operation.query is not None or operation.headers:
        faults |= {400}
    if "<" in operation.path:
        faults |= {404}
    if operation.query is not None or "<" in operation.path:
        faults |= {414}  # the server's limit for the first line of a request
    for status in sorted(faults):
        described["responses"][str(status)] = {
            "description": "Problem",
            "content": {CONTENT_TYPE: {"schema": _schema(ProblemModel, schemas)}},
        }
    return described


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", _ARGUMENT.sub(r"by \2", operation.path))
    return "_".join([operation.method.lower(), *words])


def _parameters(operation: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for kind, name in _ARGUMENT.findall(operation.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if kind == "uuid":
            schema = {"type": "string", "format": "uuid"}
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if operation.query is not None:
        fields = _inline(operation.query, schemas)
        for name, schema in fields.get("properties", {}).items():
            parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    for name in operation.headers:
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append({"name": name, "in": "header", "required": False, "schema": schema})
    return parameters


def _schema(model: type[pydantic.BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schemas[model.__name__] = _inline(model, schemas)
    return {"$ref": _REF.format(model=model.__name__)}


def _inline(model: type[pydantic.BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    return schema
