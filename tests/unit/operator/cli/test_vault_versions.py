"""Of Vault only metadata of kv secrets is asked for: this Vault refuses everything else."""

from collections.abc import Mapping
from typing import Any

import hvac
import pytest
import requests
from hvac.exceptions import Forbidden, InvalidPath

from eventpipeline_operator.api.types import Dynamic, Kv, Secret
from eventpipeline_operator.cli.vault_versions import newest_versions, open_vault
from eventpipeline_operator.errors import Retryable

METADATA = {"current_version": 5, "versions": {"4": {}, "5": {}}}


def read(mount: str, path: str) -> Mapping[str, Any]:
    assert (mount, path) in (("kv", "shop"), ("kv", "gone"), ("kv", "denied"))
    if path == "gone":
        raise InvalidPath
    if path == "denied":
        raise Forbidden(["permission denied"])
    return METADATA


async def test_the_newest_version_is_told_and_dynamic_paths_are_never_read() -> None:
    entries = [
        Secret("db", Dynamic("database/creds/order")),
        Secret("mail", Kv("kv", "shop")),
        Secret("pinned", Kv("kv", "shop", version=4)),
    ]
    assert await newest_versions(read, entries) == ({"mail": "5"}, [])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Kv("kv", "gone"), "Vault has no secret kv/gone"),
        (Kv("kv", "denied"), "Vault refuses kv/metadata/denied"),
        (Kv("kv", "shop", version=7), "there is no 7"),
    ],
)
async def test_what_is_not_there_or_denied_is_a_problem(source: Kv, words: str) -> None:
    versions, problems = await newest_versions(read, [Secret("mail", source)])
    assert not versions
    assert words in problems[0]


async def test_a_vault_that_is_away_is_an_error() -> None:
    def away(mount: str, path: str) -> Mapping[str, Any]:
        raise requests.ConnectionError(mount, path)

    with pytest.raises(Retryable, match="--vault-address"):
        await newest_versions(away, [Secret("mail", Kv("kv", "shop"))])


def test_the_reader_asks_with_get_under_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def request(_: object, method: str, url: str, **__: object) -> Mapping[str, Any]:
        asked.append((method, url))
        return {"data": METADATA}

    monkeypatch.setattr(hvac.adapters.JSONAdapter, "request", request)
    assert open_vault("http://vault", "token", None, None)("kv", "shop") == METADATA
    assert asked == [("get", "/v1/kv/metadata/shop")]
