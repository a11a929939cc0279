"""SQL of hot paths: a connection parses and plans it once, then runs it by name.

psycopg2 knows no server-side preparation of its own, so PREPARE and EXECUTE are statements here.
Columns of rows go in as one array each and come apart by `unnest`; an array is written as a single
literal, which costs the parser one token instead of one for each element (ADR 27).
"""

from collections.abc import MutableMapping, Sequence
from datetime import datetime
from weakref import WeakKeyDictionary

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

# The names of what each connection has prepared.
_prepared: MutableMapping[Connection, set[str]] = WeakKeyDictionary()


class Statement:
    """One statement under a name of its own; its parameters are `$1`, `$2` and so on."""

    def __init__(self, name: str, types: Sequence[str], sql: str) -> None:
        self._name = name
        self._prepare = f"PREPARE {name} ({', '.join(types)}) AS {sql}"
        self._execute = f"EXECUTE {name} ({', '.join(['%s'] * len(types))})"

    def run(self, cursor: Cursor, *values: object) -> None:
        """Execute with one value a parameter, a list for an array; the cursor has the result."""
        known = _prepared.setdefault(cursor.connection, set())
        if self._name not in known:
            cursor.execute(self._prepare)
            known.add(self._name)
        cursor.execute(
            self._execute, [array(value) if isinstance(value, list) else value for value in values]
        )


def array(values: Sequence[object]) -> str:
    """One dimension of strings, numbers, moments or nothing in Postgres's text form (its §8.15)."""
    if not values:
        return "{}"
    try:
        joined = '","'.join(values)  # type: ignore[arg-type]  # refuses what is no string
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return '{"' + joined + '"}'
    except TypeError:
        pass
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    if isinstance(value, int | float):
        return str(value)
    raise TypeError(f"no element of a Postgres array: {type(value).__name__}")
