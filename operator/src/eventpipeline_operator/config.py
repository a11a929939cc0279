"""The operator's settings: one table of variables, every error reported at once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class ConfigError(ValueError):
    """Every complaint about the environment in one message."""


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        msg = "must be true or false"
        raise ValueError(msg)
    return text.lower() == "true"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = "must be at least 1"
        raise ValueError(msg)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _grants(text: str) -> dict[str, tuple[str, ...]]:
    return {namespace: tuple(prefixes) for namespace, prefixes in json.loads(text).items()}


def _admins(text: str) -> dict[str, Any]:
    admins: dict[str, Any] = dict(json.loads(text).items())
    for servers, given in admins.items():
        if not given.get("namespaces"):
            msg = f"{servers}: namespaces must say whose topics this identity may touch"
            raise ValueError(msg)
    return admins


def _variable(name: str, read: Callable[[str], Any], default: str) -> Any:
    return field(metadata={"variable": name, "read": read, "default": default})


@dataclass(frozen=True)
class Config:
    """What the installer decides; each field names its variable, reader and default."""

    namespace: str = _variable("OPERATOR_NAMESPACE", str, "eventpipeline-system")
    identity: str = _variable("POD_NAME", str, "eventpipeline-operator")
    log_level: str = _variable("LOG_LEVEL", str.lower, "info")
    port: int = _variable("METRICS_PORT", _positive, "8080")
    concurrency: int = _variable("CONCURRENCY", _positive, "64")
    resync_seconds: int = _variable("RESYNC_SECONDS", _positive, "120")
    stuck_seconds: int = _variable("STUCK_SECONDS", _positive, "300")
    leader_election: bool = _variable("LEADER_ELECTION", _boolean, "true")
    watch_namespaces: tuple[str, ...] = _variable("WATCH_NAMESPACES", _names, "")
    traefik_class: str = _variable("TRAEFIK_CLASS", str, "")
    kafka_admins: Mapping[str, Any] = _variable("KAFKA_ADMINS", _admins, "{}")
    topic_grants: Mapping[str, tuple[str, ...]] = _variable("TOPIC_GRANTS", _grants, "{}")
    external_grants: Mapping[str, tuple[str, ...]] = _variable("EXTERNAL_GRANTS", _grants, "{}")

    deletion_max_records: int = _variable("DELETION_MAX_RECORDS", _count, "1000")

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Config":
        """Read all variables; ConfigError lists everything that is wrong."""
        values, complaints = {}, []
        for item in fields(cls):
            name = item.metadata["variable"]
            text = environment.get(name, item.metadata["default"])
            try:
                values[item.name] = item.metadata["read"](text)
            except (ValueError, AttributeError) as error:
                complaints.append(f"{name}={text!r}: {error}")
        if complaints:
            raise ConfigError("; ".join(complaints))
        return cls(**values)
