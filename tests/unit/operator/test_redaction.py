"""Texts → texts without what could be a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.policies.differences import LIMIT, describe_differences
from eventpipeline_operator.policies.redaction import redact


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://ada:p@ss/w@db/orders", "postgresql://[redacted]@db/orders"),
        ("http://vault:8200 does not answer", "http://vault:8200 does not answer"),
        ("password=abc is wrong", "password=[redacted] is wrong"),
        ('{"client_secret": "abc"}', '{"client_secret": [redacted]}'),
        ("X-Vault-Token: hvs.CAES", "X-Vault-Token: [redacted]"),
        ("Authorization: Bearer eyJhbGciOi.x.y", "Authorization: Bearer [redacted]"),
        ("SaslPassword = 'a b'", "SaslPassword = [redacted]"),
        ("spec.secrets[db].env changed", "spec.secrets[db].env changed"),
        ("Secret shop-db-1a2b created", "Secret shop-db-1a2b created"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, kept: str) -> None:
    assert redact(text) == kept


@given(value=st.text(min_size=4), before=st.text(), after=st.text())
def test_a_known_value_goes_wherever_it_stands(value: str, before: str, after: str) -> None:
    assert value not in redact(f"{before}{value}{after}", [value]).replace("[redacted]", "\0")


def test_longer_values_go_before_their_parts() -> None:
    assert redact("abcd1234", ["abcd", "abcd1234"]) == "[redacted]"


def test_values_are_told_of_harmless_fields_alone() -> None:
    before = {"suspend": False, "config": {"A": "x"}, "services": [{"name": "a", "replicas": 1}]}
    after = {"suspend": True, "config": {"A": "y"}, "services": [{"name": "a", "replicas": 2}]}
    assert describe_differences(before, after) == (
        "spec.config.A changed",
        "spec.services[a].replicas 1 → 2",
        "spec.suspend False → True",
    )


def test_many_differences_are_counted() -> None:
    found = describe_differences({}, {"config": {str(n): "x" for n in range(50)}})
    assert found == ("spec.config added",)
    found = describe_differences({"config": {}}, {"config": {str(n): "x" for n in range(50)}})
    assert len(found) == LIMIT + 1
    assert found[-1] == "and 30 more"
