"""The template language of secrets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.desired.templates import TemplateError, render

VALUES = {"USER": "ada", "PASSWORD": "p@ss/w{o}rd", "dotted.key-1": "x"}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{USER}", "ada"),
        ("{USER}:{PASSWORD}", "ada:p@ss/w{o}rd"),
        ("{PASSWORD|urlencode}", "p%40ss%2Fw%7Bo%7Drd"),
        ('{{"user": "{USER}"}}', '{"user": "ada"}'),
        ("{{USER}}", "{USER}"),
        ("{{{USER}}}", "{ada}"),
        ("{dotted.key-1}", "x"),
    ],
)
def test_a_template_is_filled_in(template: str, wanted: str) -> None:
    assert render(template, VALUES) == wanted


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{MISSING}", "no key 'MISSING' in Vault; there are: PASSWORD, USER"),
        ("{USER|upper}", "unknown filter 'upper': there is only urlencode"),
        ("{USER", "a single '{'"),
        ("USER}", "a single '}'"),
        ("{}", "a single '{'"),
    ],
)
def test_a_mistake_is_named_without_any_value(template: str, words: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(words)) as raised:
        render(template, {"USER": "ada", "PASSWORD": "secret"})
    assert "secret" not in str(raised.value)


@given(st.text())
def test_doubled_braces_give_any_text_back(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text())
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    assert render("<{KEY}>", {"KEY": value}) == f"<{value}>"
