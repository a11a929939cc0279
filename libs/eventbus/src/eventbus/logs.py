"""Structured logs: one JSON object per line on stdout, event name first.

What a customer typed (addresses above all) and secrets have no place in a log line at info level
or above; pass ids instead.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    ordered = {"event": event.pop("event"), "level": event.pop("level"), **event}
    return orjson.dumps(ordered, default=str).decode()


def configure(level: str, **context: str) -> None:
    """Set up structlog, and let the standard library's loggers write the same lines."""
    known = {name: value for name, value in context.items() if value}

    def identify(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.update(known)  # not a contextvar: those do not reach other threads
        return event

    shared: list[structlog.typing.Processor] = [
        identify,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.dict_tracebacks,
    ]
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=_render_foreign)
    )
    logging.basicConfig(handlers=[handler], level=_LEVELS[level], force=True)
    logging.getLogger("alembic").setLevel(max(_LEVELS[level], logging.WARNING))


def _render_foreign(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return _render(logger, name, event)
