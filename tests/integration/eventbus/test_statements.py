"""Prepared statements against real Postgres."""

from datetime import UTC, datetime

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus.database import Database
from eventbus.statements import Statement

ECHO = Statement("echo", ["text[]"], "SELECT $1")
RAISE = Statement(
    "raise_shelf",
    ["text[]"],
    "UPDATE shelf AS s SET n = n + 1 FROM unnest($1) AS v (name) WHERE s.name = v.name",
)
NOTE = Statement("note_numbers", ["int[]"], "INSERT INTO effect SELECT * FROM unnest($1)")

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def prepared(database: Database) -> int:
    with database.statement() as cursor:
        cursor.execute("SELECT 1 FROM pg_prepared_statements")
        return cursor.rowcount


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | TEXTS))
def test_every_text_arrives_as_it_was(database: Database, texts: list[str | None]) -> None:
    with database.statement() as cursor:
        ECHO.run(cursor, texts)
        assert cursor.fetchone() == (texts,)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", [1, None, -2]),
        ("float8", [0.1, None, 1e300]),
        ("timestamptz", [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None]),
    ],
)
def test_other_types_arrive_as_they_were(
    database: Database, kind: str, values: list[object]
) -> None:
    with database.statement() as cursor:
        Statement(f"echo_{kind}", [f"{kind}[]"], "SELECT $1").run(cursor, values)
        assert cursor.fetchone() == (values,)


def test_a_type_that_has_no_text_form_here_is_refused(database: Database) -> None:
    with database.statement() as cursor, pytest.raises(TypeError, match="bytes"):
        ECHO.run(cursor, [b"raw"])


def test_a_connection_prepares_once(database: Database) -> None:
    for _ in range(3):
        with database.statement() as cursor:
            ECHO.run(cursor, ["x"])
    assert prepared(database) == 1


def test_a_rollback_undoes_the_effect_and_not_the_preparation(database: Database) -> None:
    def fail_after_a_note() -> None:
        with database.transaction() as cursor:
            NOTE.run(cursor, [1])
            cursor.execute("SELECT 1 / 0")

    with pytest.raises(psycopg2.DataError):
        fail_after_a_note()
    with database.transaction() as cursor:
        NOTE.run(cursor, [2])
        cursor.execute("SELECT n FROM effect")
        assert cursor.fetchall() == [(2,)]


def test_rows_are_found_by_key_in_a_small_table_too(database: Database) -> None:
    """A plan is kept: one that reads the whole table would do so when it is large."""
    with database.statement() as cursor:
        cursor.execute("CREATE TABLE shelf (name text PRIMARY KEY, n int)")
        cursor.execute("INSERT INTO shelf SELECT i::text, i FROM generate_series(1, 10) AS i")
        RAISE.run(cursor, ["1", "2"])
        cursor.execute("EXPLAIN EXECUTE raise_shelf ('{1,2}')")
        plan = " ".join(row[0] for row in cursor.fetchall())
    assert "Index Scan using shelf_pkey" in plan
    assert "Seq Scan" not in plan


def test_rows_written_are_counted(database: Database) -> None:
    with database.statement() as cursor:
        NOTE.run(cursor, [1, 2, 3])
        assert cursor.rowcount == 3
