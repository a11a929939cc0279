"""Tokens for a Vault without a cluster: who they speak for, and how long."""

import base64
import json

from eventpipeline_operator.adapters.local.backing.token_reviewer import (
    LIFE_SECONDS,
    TokenReviewer,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_token_speaks_for_its_account_until_it_ends() -> None:
    clock = Clock()
    reviewer = TokenReviewer(clock)
    token = await reviewer.token("shop", "shop-vault", ("vault",))
    status = reviewer.review(token)
    assert status["authenticated"]
    assert status["user"]["username"] == "system:serviceaccount:shop:shop-vault"
    assert status["audiences"] == ["vault"]
    clock.now += LIFE_SECONDS
    assert not reviewer.review(token)["authenticated"]


async def test_a_token_that_differs_in_what_cannot_be_guessed_speaks_for_nobody() -> None:
    reviewer = TokenReviewer(Clock())
    head, claims, _ = (await reviewer.token("shop", "shop-vault", ("vault",))).split(".")
    _, _, other = (await reviewer.token("shop", "other", ("vault",))).split(".")
    assert not reviewer.review(f"{head}.{claims}.{other}")["authenticated"]


async def test_claims_are_those_of_a_cluster() -> None:
    token = await TokenReviewer(Clock()).token("shop", "shop-vault", ("vault",))
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "shop-vault"
    assert claims["exp"] - claims["iat"] == LIFE_SECONDS
