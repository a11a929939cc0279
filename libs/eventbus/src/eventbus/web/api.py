"""Declares a service's HTTP operations once: for Flask, for validation and for OpenAPI.

The hot path is kept short on purpose: the body goes from bytes to a model in one step, answers are
serialised once, and nothing is logged unless something is wrong.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import psycopg2
import pydantic
import structlog
from flask import Flask, Response, request
from flask.sessions import NullSession, SessionInterface
from prometheus_client import Counter, Histogram
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from eventbus.envelope import timestamp
from eventbus.errors import Unavailable
from eventbus.tracing import Tracing
from eventbus.web import openapi
from eventbus.web.auth import Guard
from eventbus.web.operations import Answer, Operation
from eventbus.web.problems import Problem, from_validation, to_response

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024

REQUESTS = Counter("http_requests_total", "Answers given", ["method", "route", "status"])
SECONDS = Histogram(
    "http_request_seconds",
    "Time to answer",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


View = Callable[..., Answer]


class _Rendered(Response):
    """An answer that is final: one body of known length, headers that nothing recomputes."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.response


class _NoSession(SessionInterface):
    """Clients are known by what they send, never by a cookie: the session is always the same."""

    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, _app: Flask, _request: Any) -> NullSession:
        return self._none

    def save_session(self, _app: Flask, _session: Any, _response: Response) -> None:
        """Nothing is kept."""


class _Request(Request):
    """A request outside of Flask's context."""

    max_content_length = MAX_BODY_BYTES


class _Application(Flask):
    """Flask, with a short way for operations whose path has no variable.

    Flask's contexts, signals and routing are half of what an order costs; none of them is used by
    an operation, which gets all that it needs as arguments.
    """

    def __init__(self, title: str) -> None:
        super().__init__(title, static_folder=None)
        self.direct: dict[tuple[str, str], Callable[[Request], Response]] = {}

    def wsgi_app(self, environ: Any, start_response: Any) -> Any:
        respond = self.direct.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if respond is None:
            return super().wsgi_app(environ, start_response)
        return respond(_Request(environ))(environ, start_response)


class Api:
    """A Flask application in which every operation is declared."""

    def __init__(
        self, title: str, prefix: str, tracing: Tracing, guard: Guard | None = None
    ) -> None:
        self.flask = _Application(title)
        self.flask.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
        self.flask.session_interface = _NoSession()
        self.operations: list[Operation] = []
        self._title = title
        self._prefix = prefix
        self._tracing = tracing
        self._guard = guard
        self.flask.register_error_handler(Exception, lambda error: _fault(error, request))
        openapi.serve(self.flask, title, prefix, self.operations, guard.demand if guard else None)

    def add(self, operation: Operation, view: View) -> None:
        """Serve an operation.

        `view` gets path arguments, `body`, `query` and the declared headers by name, and
        `traceparent` unless it only reads.
        """
        self.operations.append(operation)
        route = self._prefix + operation.path
        respond = self._wrap(operation, route, view)
        self.flask.add_url_rule(
            route,
            endpoint=f"{operation.method} {route}",
            view_func=lambda **arguments: respond(request, **arguments),
            methods=[operation.method],
        )
        if "<" not in route:
            self.flask.direct[operation.method, route] = respond

    def complete(self) -> Flask:
        """The application, once every operation is declared."""
        if self._guard:
            self._guard.check_complete()
        return self.flask

    def _wrap(self, operation: Operation, route: str, view: View) -> Callable[..., Response]:
        observe = SECONDS.labels(operation.method, route).observe
        counters: dict[int, Any] = {}
        name = f"{operation.method} {route}"
        admit = self._admission(operation)
        headers = {header.lower().replace("-", "_"): header for header in operation.headers}

        def respond(asked: Request, **arguments: Any) -> Response:
            started = time.perf_counter()
            with self._tracing.span(name, "server", asked.headers.get("traceparent")) as trace:
                try:
                    if admit is not None:
                        admit(asked.headers.get("Authorization"))
                    if operation.query is not None:
                        arguments["query"] = _read_query(asked, operation.query)
                    if operation.body is not None:
                        arguments["body"] = _read_body(asked, operation.body)
                    for argument, header in headers.items():
                        arguments[argument] = asked.headers.get(header)
                    if operation.method != "GET":
                        arguments["traceparent"] = trace
                    response = _render(view(**arguments))
                except Exception as error:  # noqa: BLE001  # every fault becomes a problem
                    response = _fault(error, asked)
            status = response.status_code
            counter = counters.get(status)
            if counter is None:
                counter = counters[status] = REQUESTS.labels(operation.method, route, str(status))
            counter.inc()
            observe(time.perf_counter() - started)
            return response

        return respond

    def _admission(self, operation: Operation) -> Callable[[str | None], None] | None:
        """What asks for a token before anything of the request is read; None for the public."""
        if self._guard is None:
            return None
        roles = self._guard.demand(openapi.name_of(self._prefix, operation))
        return None if roles is None else partial(self._guard.admit, roles)


def _read_body(asked: Request, model: type[pydantic.BaseModel]) -> pydantic.BaseModel:
    kind = asked.mimetype
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "The body must be JSON: send Content-Type: application/json.")
    try:
        return model.model_validate_json(asked.get_data(cache=False))
    except pydantic.ValidationError as error:
        raise from_validation(error) from None


def _read_query(asked: Request, model: type[pydantic.BaseModel]) -> pydantic.BaseModel:
    try:
        return model.model_validate(asked.args.to_dict())
    except pydantic.ValidationError as error:
        raise from_validation(error) from None


def _render(answer: Answer) -> Response:
    body: dict[str, Any] = {}
    if answer.data is not None:
        body["data"] = answer.data
    if answer.message is not None:
        body["message"] = answer.message
    body["timestamp"] = timestamp(datetime.now(UTC))
    body["status"] = answer.status
    content = orjson.dumps(body)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
        *answer.headers.items(),
    ]
    return _Rendered([content], answer.status, headers)


def _fault(error: Exception, asked: Request) -> Response:
    return to_response(_to_problem(error, asked), asked.path)


def _to_problem(error: Exception, asked: Request) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        headers = {k: v for k, v in error.get_headers() if k.lower() in ("allow", "retry-after")}
        return Problem(error.code or 500, error.description or error.name, headers=headers)
    if isinstance(error, Unavailable | psycopg2.OperationalError | psycopg2.InterfaceError):
        log.warning("http.unavailable", path=asked.path, cause=str(error).strip())
        return Problem(503, "A backing service does not answer.", headers={"Retry-After": "1"})
    log.error("http.failed", path=asked.path, exc_info=error)
    return Problem(500, "The fault is ours and has been recorded.")
