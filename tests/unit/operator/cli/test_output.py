from datetime import UTC, datetime

import pytest

from eventpipeline_operator.cli.output import describe_age, format_output, render_table

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_columns_are_as_wide_as_they_need_and_the_last_one_is_wrapped() -> None:
    table = render_table(["NAME", "MESSAGE"], [["a", "one two three four five six"]], 26)
    assert table.splitlines() == [
        "NAME  MESSAGE",
        "a     one two three four",
        "      five six",
    ]


@pytest.mark.parametrize(
    ("since", "age"),
    [
        ("2026-01-02T11:59:18Z", "42s"),
        ("2026-01-02T11:00:00Z", "60m"),
        ("2026-01-02T00:00:00Z", "12h"),
        ("2025-12-02T12:00:00Z", "31d"),
        ("2026-01-02T13:00:00Z", "0s"),
        ("", ""),
    ],
)
def test_an_age_has_one_unit(since: str, age: str) -> None:
    assert describe_age(since, NOW) == age


def test_programs_get_the_document_and_people_the_text() -> None:
    document = {"a": ["ü"]}
    assert format_output("json", document, str) == '{\n  "a": [\n    "ü"\n  ]\n}'
    assert format_output("yaml", document, str) == "a:\n- ü"
    assert format_output("text", document, lambda: "for people") == "for people"
