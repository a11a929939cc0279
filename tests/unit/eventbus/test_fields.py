"""What contracts accept as a number, a line of text, an address."""

from datetime import UTC, datetime

import pydantic
import pytest

from eventbus.fields import Line, Moment, WholeNumber


class Counted(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    count: WholeNumber


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("3.0", 3), ("-0.0", 0), ("1e3", 1_000)])
def test_a_whole_number_is_one_however_json_writes_it(text: str, count: int) -> None:
    assert Counted.model_validate_json(f'{{"count": {text}}}').count == count


@pytest.mark.parametrize("text", ["1.5", '"3"', "true", "null", "[3]"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Counted.model_validate_json(f'{{"count": {text}}}')


class Named(pydantic.BaseModel):
    name: Line


@pytest.mark.parametrize(
    ("text", "name"), [("book", "book"), (" a book ", "a book"), ("\u3000é\xa0", "é")]
)
def test_the_spaces_around_a_line_are_not_part_of_it(text: str, name: str) -> None:
    assert Named(name=text).name == name


@pytest.mark.parametrize("text", ["", " ", "\xa0\u3000", "\x85", "a\0b", "book\n", "x" * 201])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Named(name=text)


class Dated(pydantic.BaseModel):
    at: Moment


@pytest.mark.parametrize(
    "text", ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00.000+00:00", "2026-01-01t13:00:00+01:00"]
)
def test_a_moment_is_one_in_whatever_zone_it_is_told(text: str) -> None:
    at = Dated.model_validate({"at": text}).at
    assert at == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0.5", "1767268800", "2026-01-01", "2026-01-01T12:00:00", "now"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Dated.model_validate({"at": text})
