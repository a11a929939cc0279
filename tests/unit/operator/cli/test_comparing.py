import pytest

from eventpipeline_operator.cli.comparing import Difference, compare
from eventpipeline_operator.policies.redaction import HIDDEN


def test_leaves_are_told_with_their_path() -> None:
    before = {"a": {"b": 1, "c": [1]}, "same": True}
    after = {"a": {"b": 2}, "same": True, "new": {"x": "y"}}
    assert compare(before, after, "spec") == (
        Difference("spec.a.b", "1", "2"),
        Difference("spec.a.c", "[1]", None),
        Difference("spec.new.x", None, "y"),
    )


def test_items_of_a_list_are_known_by_name_and_their_order_is_nothing() -> None:
    before = [{"name": "a", "v": 1}, {"name": "b", "v": 2}]
    after = [{"name": "b", "v": 3}, {"name": "a", "v": 1}]
    assert compare(before, after, "env") == (Difference("env[b].v", "2", "3"),)


def test_the_same_quantity_in_another_form_is_no_difference() -> None:
    before = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    after = {"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}}
    assert not compare(before, after)
    assert compare({"args": ["1"]}, {"args": ["1000m"]})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"config": {"SMTP_PASSWORD": "hunter2"}}, {"config": {"SMTP_PASSWORD": "hunter3"}}),
        ({"env": [{"name": "API_KEY", "value": "hunter2"}]}, {"env": [{"name": "API_KEY"}]}),
        ({"args": ["--password=hunter2"]}, {"args": []}),
        ({"data": {"URL": "https://ada:hunter2@db/x"}}, {"data": {}}),
    ],
)
def test_what_looks_like_a_secret_is_hidden(before: object, after: object) -> None:
    (difference,) = compare(before, after)
    assert "hunter" not in repr(difference)
    assert HIDDEN in repr(difference)


def test_fields_that_only_name_secrets_are_shown() -> None:
    assert compare({"secrets": ["a"], "caSecret": "x"}, {"secrets": ["b"], "caSecret": "y"}) == (
        Difference("secrets", '["a"]', '["b"]'),
        Difference("caSecret", "x", "y"),
    )
