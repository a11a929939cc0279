"""Settings from the environment: one table of variables per process, every error at once.

A settings class is a frozen dataclass whose fields are made by `variable`. `from_env` reads the
mapping once, at the composition root; nothing else in a service looks at `os.environ`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self


class SettingsError(Exception):
    """The environment cannot be used; the message lists every variable that is wrong."""


def variable(
    name: str, parse: Callable[[str], object] = str, *, default: Any = MISSING, secret: bool = False
) -> Any:
    """Declare one variable: its name, how its text is read, and whether it may be shown."""
    return field(default=default, repr=not secret, metadata={"env": name, "parse": parse})


def between(low: float, high: float) -> Callable[[str], float]:
    """Parse a number that must lie in a range."""

    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return number

    return parse


def one_of(*allowed: str) -> Callable[[str], str]:
    """Parse one word out of a fixed set."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return parse


def web_address(text: str) -> str:
    """Parse an address of HTTP."""
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


def json_object(text: str) -> str:
    """Check that a text is a JSON object; who reads it knows what its members mean."""
    if not isinstance(json.loads(text), dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - as every parser of a variable
    return text


def tcp_port(text: str) -> int:
    """Parse a TCP port."""
    return int(between(1, 65535)(text))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every settings class."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read all variables; raises `SettingsError` naming each that is missing or malformed."""
        values: dict[str, Any] = {}
        errors: list[str] = []
        for item in fields(cls):
            _read(item, environ, values, errors)
        if errors:
            raise SettingsError("; ".join(errors))
        return cls(**values)


def _read(
    item: Field[Any], environ: Mapping[str, str], values: dict[str, Any], errors: list[str]
) -> None:
    name = item.metadata["env"]
    text = environ.get(name, "")
    if not text:
        if item.default is MISSING:
            errors.append(f"{name} is not set")
        return
    try:
        values[item.name] = item.metadata["parse"](text)
    except ValueError as error:
        # The text itself stays out of the message when it may be a secret.
        shown = f" ({text!r})" if item.repr else ""
        errors.append(f"{name}{shown}: {error}")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(Settings):
    """What the operator tells every process of a service."""

    pipeline: str = variable("PIPELINE", default="local")
    service: str = variable("SERVICE", default="service")
    worker: str = variable("WORKER", default="")
    log_level: str = variable(
        "LOG_LEVEL", one_of("debug", "info", "warning", "error"), default="info"
    )
    port: int = variable("PORT", tcp_port, default=8080)
    metrics_port: int = variable("METRICS_PORT", tcp_port, default=0)
    database_url: str = variable("DATABASE_URL", secret=True)
    threads: int = variable("HTTP_THREADS", lambda text: int(between(1, 64)(text)), default=8)
    processes: int = variable("HTTP_PROCESSES", lambda text: int(between(1, 32)(text)), default=2)
    drain_seconds: float = variable("DRAIN_SECONDS", between(0, 60), default=5.0)
    traces_exporter: str = variable(
        "OTEL_TRACES_EXPORTER", one_of("zipkin", "otlp", "none"), default="none"
    )
    zipkin_endpoint: str = variable("OTEL_EXPORTER_ZIPKIN_ENDPOINT", default="")
    traces_ratio: float = variable("OTEL_TRACES_SAMPLER_ARG", between(0, 1), default=1.0)

    auth_issuer: str = variable("AUTH_ISSUER", default="")
    auth_jwks_url: str = variable("AUTH_JWKS_URL", web_address, default="")
    auth_audience: str = variable("AUTH_AUDIENCE", default="")
    auth_roles: str = variable("AUTH_ROLES", json_object, default="")
    auth_roles_claim: str = variable("AUTH_ROLES_CLAIM", default="roles")

    def __post_init__(self) -> None:
        """Half a protection is refused: it would look like a whole one."""
        given = [self.auth_issuer, self.auth_jwks_url, self.auth_audience]
        if any([*given, self.auth_roles]) and not all(given):
            raise SettingsError("AUTH_ISSUER, AUTH_JWKS_URL and AUTH_AUDIENCE need each other")

    @property
    def source(self) -> str:
        """The CloudEvents source of what this service publishes."""
        return f"/{self.pipeline}/{self.service}"
