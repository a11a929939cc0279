"""The file that says what Vault holds on this machine: text → kv secrets and database roles. Pure.

    kv:
      kv/shop: {EMAIL_USERNAME: shop, EMAIL_PASSWORD: anything}
    dynamic:
      database/creds/order: {database: orders}                      # uses the tables
      database/creds/order-owner: {database: orders, owner: true}   # may change them
      database/creds/report: {database: orders, ttl: 10m, create: ['CREATE ROLE "{{name}}" …']}

Statements are written as for Vault's database engine. No message repeats a value of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TTL = "1h"
MAX_TTL = "24h"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
RENEW = ("ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'",)
# A revoked user loses its sessions too, and what it may have made goes to whoever revokes.
REVOKE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
    'REASSIGN OWNED BY "{{name}}" TO CURRENT_USER',
    'DROP OWNED BY "{{name}}"',
    'DROP ROLE "{{name}}"',
)


class ContentsInvalid(ValueError):
    """The file is not what it should be; the message says where."""


@dataclass(frozen=True)
class DatabaseRole:
    """How users of a path are made, prolonged and removed."""

    database: str
    create: tuple[str, ...]
    renew: tuple[str, ...] = RENEW
    revoke: tuple[str, ...] = REVOKE
    ttl: float = 3600.0
    max_ttl: float = 86400.0


@dataclass(frozen=True)
class Contents:
    """The whole file: kv values by mount/path, roles by path."""

    kv: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    roles: Mapping[str, DatabaseRole] = field(default_factory=dict)


def parse_contents(text: str) -> Contents:
    """Read the file."""
    try:
        found = yaml.safe_load(text) or {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # Not chained: the parser's own words quote the line.
        raise ContentsInvalid(f"line {line} is not YAML") from None
    except yaml.YAMLError:
        raise ContentsInvalid("it is not YAML") from None
    whole = _mapping("the file", found)
    if unknown := set(whole) - {"kv", "dynamic"}:
        raise ContentsInvalid(f"{', '.join(sorted(map(str, unknown)))} is neither kv nor dynamic")
    kv = _mapping("kv", whole.get("kv") or {})
    dynamic = _mapping("dynamic", whole.get("dynamic") or {})
    return Contents(
        {path: _mapping(f"kv.{path}", values) for path, values in kv.items()},
        {path: _role(f"dynamic.{path}", raw) for path, raw in dynamic.items()},
    )


def default_statements(database: str, *, owner: bool) -> tuple[str, ...]:
    """A member of DATABASE_app, or one whose every session is DATABASE_owner.

    What a migration makes then belongs to the role that stays.
    """
    if not owner:
        return (f'{CREATE} IN ROLE "{database}_app"',)
    return (
        f'{CREATE} IN ROLE "{database}_owner"',
        f'ALTER ROLE "{{{{name}}}}" IN DATABASE "{database}" SET role TO "{database}_owner"',
    )


def fill_in(statement: str, values: Mapping[str, str]) -> str:
    """Put values in the place of {{names}}."""
    return re.sub(r"\{\{(\w+)\}\}", lambda m: values.get(m.group(1), m.group(0)), statement)


def _role(where: str, raw: object) -> DatabaseRole:
    given = _mapping(where, raw)
    known = {"database", "owner", "create", "renew", "revoke", "ttl", "maxTtl"}
    if unknown := set(given) - known:
        raise ContentsInvalid(f"{where} has {', '.join(sorted(map(str, unknown)))}, which is none "
                              f"of {', '.join(sorted(known))}")  # fmt: skip
    database = given.get("database")
    if not isinstance(database, str) or not NAME.fullmatch(database):
        raise ContentsInvalid(f"{where}.database must be the name of a database")
    owner = default_statements(database, owner=bool(given.get("owner")))
    return DatabaseRole(
        database,
        create=_statements(f"{where}.create", given.get("create"), owner),
        renew=_statements(f"{where}.renew", given.get("renew"), RENEW),
        revoke=_statements(f"{where}.revoke", given.get("revoke"), REVOKE),
        ttl=_seconds(f"{where}.ttl", given.get("ttl", TTL)),
        max_ttl=_seconds(f"{where}.maxTtl", given.get("maxTtl", MAX_TTL)),
    )


def _mapping(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ContentsInvalid(f"{where} must be a mapping of names")
    return value


def _statements(where: str, value: object, default: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(statement, str) for statement in value):
        raise ContentsInvalid(f"{where} must be a list of SQL statements")
    return tuple(value)


def _seconds(where: str, value: object) -> float:
    found = re.fullmatch(r"(\d+)([smhd]?)", str(value))
    if not found or int(found.group(1)) == 0:
        raise ContentsInvalid(f"{where} must be a time such as 90s, 10m or 1h")
    return float(int(found.group(1)) * UNITS[found.group(2) or "s"])
