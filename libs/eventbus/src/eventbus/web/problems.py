"""Faults as RFC 9457 problem documents.

`message`, `timestamp` and `status` are kept as extension members, so that a client which reads the
answers' common fields finds them in a fault too.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
import pydantic
from flask import Response

from eventbus.envelope import timestamp

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):  # named for what the client gets
    """Raised by an operation to answer with a fault."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def to_response(problem: Problem, instance: str) -> Response:
    """The problem document."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "message": problem.detail,
        "timestamp": timestamp(datetime.now(UTC)),
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return Response(
        orjson.dumps(body), problem.status, headers=problem.headers, content_type=CONTENT_TYPE
    )


def from_validation(error: pydantic.ValidationError) -> Problem:
    """Which member is wrong and why, without class names and without repeating the input."""
    errors = [
        {"pointer": "/" + "/".join(map(str, fault["loc"])), "detail": fault["msg"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    if any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False)):
        return Problem(400, "The body is not valid JSON.")
    first = errors[0]
    return Problem(400, f"{first['pointer']}: {first['detail']}", errors=errors)


class ProblemModel(pydantic.BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    message: str
    timestamp: str
    errors: list[dict[str, str]] | None = None
