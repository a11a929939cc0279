"""Pruning when no watch tells what became of it."""

from typing import Any, cast

import pytest

from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.adapters.kube.facts import Child
from eventpipeline_operator.adapters.kube.resources import Ref
from eventpipeline_operator.adapters.kube.runtime import KubeRuntime
from unit.operator.bodies import build_pipeline


class Deletions:
    """The client's part of it; `gone` says whether objects end at once."""

    def __init__(self, *, gone: bool) -> None:
        self._gone = gone
        self.asked: list[Ref] = []

    async def delete(self, ref: Ref, uid: str) -> bool:
        assert uid == "u"
        self.asked.append(ref)
        return self._gone


@pytest.mark.parametrize(("gone", "times"), [(True, 1), (False, 2)])
async def test_what_is_gone_is_not_deleted_again_and_what_still_ends_is(
    gone: bool,  # noqa: FBT001
    times: int,
) -> None:
    pipeline, cache, client = build_pipeline(), Cache(lambda _: None), Deletions(gone=gone)
    ref = Ref("Service", "team", "shop-old")
    cache.put(Child(ref, "u", "7", b"", pipeline.key, pipeline.uid, "EventPipeline shop"))
    runtime = KubeRuntime(cast("KubeClient", cast("Any", client)), cache)
    await runtime.prune(pipeline, [])
    await runtime.prune(pipeline, [])
    assert client.asked == [ref] * times
