"""What the search through logs finds, and what it lets pass."""

import base64
import json
from typing import Any

import pytest

from shop.confidential import find_confidential, values_of


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"event": "x", "cause": "ada@example.com is no customer"}', "a mail address"),
        ("RCPT TO:<Ada.L+x@mail.example.co.uk>", "a mail address"),
        (
            "postgresql://ada:se%2Fcret@postgres.platform.svc:5432/orders",
            "a password in an address",
        ),
        ("token hvs.CAESIJ0123456789abcdefghij given", "a token of Vault"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl", "a JSON Web Token"),
        ("Authorization: bearer 0123456789abcdef", "a bearer token"),
        ('{"event": "x", "value": "correct horse"}', "the value of a Secret"),
    ],
)
def test_what_is_confidential_is_found_and_not_repeated(line: str, kind: str) -> None:
    findings = find_confidential(["fine", line], ["correct horse"])
    assert any(finding.startswith("line 2") and finding.endswith(kind) for finding in findings)
    assert not any(part in " ".join(findings) for part in ("ada", "Ada", "horse", "hvs.C", "eyJ"))


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "worker.started", "loops": ["relay"], "level": "info"}',
        "http://zipkin.platform.svc:9411/api/v2/spans",
        "[thrd:sasl_plaintext://kafka:9092/bootstrap]: failed",
        "2026-11-25T22:18:52Z shop/shop shop-order-db-0a1b2c",
        '{"event": "x", "level": "debug", "to": "ada@example.com"}',
        "short is no secret: abc",
    ],
)
def test_what_is_not_passes(line: str) -> None:
    assert find_confidential([line], ["abc", ""]) == []


def test_mail_servers_may_name_whom_they_write_to() -> None:
    assert find_confidential(["saving mail to ada@example.com"], addresses=False) == []


def build_secret(**values: Any) -> dict[str, Any]:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return {"data": {k: base64.b64encode(t.encode()).decode() for k, t in texts.items()}}


def test_of_a_secret_whole_values_and_what_is_within_are_looked_for() -> None:
    address = "postgresql://v-user:se%2Fcret@postgres:5432/orders"
    record = {"id": "login-1", "token": "hvs.abc", "term": {"until": "2026"}}
    found = values_of(build_secret(DATABASE_URL=address, session=record, username="shopkeeper"))
    assert found == {address, "se%2Fcret", "se/cret", "hvs.abc"}


def test_releases_of_helm_and_what_is_public_are_not() -> None:
    assert values_of({"type": "helm.sh/release.v1", **build_secret(release="x" * 20)}) == set()
    assert values_of(build_secret(**{"ca.crt": "-----BEGIN"}, EMAIL_USERNAME="shopkeeper")) == set()
    assert values_of({"type": "Opaque"}) == set()
