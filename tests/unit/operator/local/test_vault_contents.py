"""The file that stands for Vault: what it may say, and what is said about mistakes in it."""

import pytest

from eventpipeline_operator.adapters.local.backing.vault_contents import (
    ContentsInvalid,
    fill_in,
    parse_contents,
)

SHOP = """
kv:
  kv/shop: {USER: ada, PASSWORD: "p@ss"}
dynamic:
  database/creds/order: {database: orders}
  database/creds/order-owner: {database: orders, owner: true, ttl: 90s, maxTtl: 2h}
  database/creds/report: {database: orders, create: ['CREATE ROLE "{{name}}"']}
"""


def test_secrets_and_roles_are_read() -> None:
    contents = parse_contents(SHOP)
    assert contents.kv == {"kv/shop": {"USER": "ada", "PASSWORD": "p@ss"}}
    user, owner, report = contents.roles.values()
    assert user.create[0].endswith('IN ROLE "orders_app"')
    assert owner.create[1].endswith('SET role TO "orders_owner"')
    assert (owner.ttl, owner.max_ttl) == (90, 7200)
    assert (user.ttl, user.max_ttl) == (3600, 86400)
    assert report.create == ('CREATE ROLE "{{name}}"',)


def test_an_empty_file_holds_nothing() -> None:
    assert parse_contents("# nothing yet\n").kv == {}


def test_values_are_not_in_the_representation() -> None:
    assert "p@ss" not in repr(parse_contents(SHOP))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kv:\n  kv/shop: {PASSWORD: 'p@ss}\n", "line [23] is not YAML"),
        ("kv: [p@ss]", "kv must be a mapping"),
        ("kv: {kv/shop: p@ss}", "kv.kv/shop must be a mapping"),
        ("secrets: {}", "secrets is neither kv nor dynamic"),
        ("dynamic: {a/b: {}}", "dynamic.a/b.database must be the name of a database"),
        ("dynamic: {a/b: {database: 'x; DROP'}}", "must be the name of a database"),
        ("dynamic: {a/b: {database: x, tll: 1h}}", "has tll, which is none of"),
        ("dynamic: {a/b: {database: x, ttl: soon}}", "dynamic.a/b.ttl must be a time"),
        ("dynamic: {a/b: {database: x, ttl: 0}}", "dynamic.a/b.ttl must be a time"),
        ("dynamic: {a/b: {database: x, create: DROP}}", "create must be a list of SQL"),
    ],
)
def test_a_mistake_is_located_without_repeating_a_value(text: str, complaint: str) -> None:
    with pytest.raises(ContentsInvalid, match=complaint) as raised:
        parse_contents(text)
    assert "p@ss" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_only_what_is_known_is_filled_in() -> None:
    assert fill_in("{{name}} {{other}}", {"name": "ada"}) == "ada {{other}}"
