"""Calls to several Vaults: failures are told apart, and a silent one holds up nobody else."""

import asyncio
import threading
from typing import Any

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from eventpipeline_operator.adapters.vault_calls import POOL, VaultCalls
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Retryable, Unanswered

SILENT = Vault("http://silent:8200", "shop", "shop-vault")
OTHER = Vault("http://other:8200", "shop", "shop-vault")


async def no_authority(namespace: str, name: str) -> str:
    raise AssertionError((namespace, name))


@pytest.fixture
def calls() -> VaultCalls:
    return VaultCalls(no_authority)


async def test_a_vault_that_does_not_answer_holds_up_no_other(calls: VaultCalls) -> None:
    released = threading.Event()
    waiting = [
        asyncio.create_task(calls.run("read", SILENT, released.wait)) for _ in range(2 * POOL)
    ]
    try:
        async with asyncio.timeout(5):
            assert await calls.run("read", OTHER, lambda: "an answer") == "an answer"
    finally:
        released.set()
        await asyncio.gather(*waiting)


def refused() -> Any:
    connection = HTTPConnection("other")
    reason = NewConnectionError(connection, "Connection refused")
    raise requests.ConnectionError(MaxRetryError(HTTPConnectionPool("other"), "/", reason))


def broken_off() -> Any:
    raise requests.ConnectionError("Connection aborted.")


def timed_out() -> Any:
    raise requests.ReadTimeout


async def test_a_call_that_never_reached_vault_did_nothing(calls: VaultCalls) -> None:
    with pytest.raises(Retryable) as failure:
        await calls.run("issue", OTHER, refused)
    assert not isinstance(failure.value, Unanswered)


@pytest.mark.parametrize("call", [broken_off, timed_out])
async def test_a_call_that_got_no_answer_may_have_done_something(
    calls: VaultCalls, call: Any
) -> None:
    with pytest.raises(Unanswered):
        await calls.run("issue", OTHER, call)


async def test_who_may_not_call_any_more_does_not() -> None:
    asked: list[str] = []

    def forbid() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await VaultCalls(no_authority, forbid).run("issue", OTHER, lambda: asked.append("asked"))
    assert asked == []
