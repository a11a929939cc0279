"""Keeps the cache true: list, then watch, for ever, one loop per kind (and namespace).

kopf delivers the EventPipelines themselves; their children are watched here, because of each only
a few facts are kept (facts.py) and because no pass may start before all of them are known.
"""

import asyncio
import random

import aiohttp
import structlog

from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.client import GONE, NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.facts import summarise
from eventpipeline_operator.adapters.kube.resources import OPTIONAL, WATCHED, Json, Kind, Ref
from eventpipeline_operator.api.labels import SELECTOR

log = structlog.get_logger()

WATCH_SECONDS = "290"
PAUSE_LIMIT = 30.0


class Watcher:
    """All watches on children."""

    def __init__(
        self,
        client: KubeClient,
        cache: Cache,
        namespaces: tuple[str, ...] = (),
        optional: tuple[Kind, ...] = (),
    ) -> None:
        self._client = client
        self._cache = cache
        scopes: tuple[str | None, ...] = namespaces or (None,)
        self._targets = [(kind, scope) for kind in (*WATCHED, *optional) for scope in scopes]
        self._pending = {(kind.name, scope) for kind, scope in self._targets}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind, scope in self._targets:
                group.create_task(self._follow(kind, scope))

    async def _follow(self, kind: Kind, scope: str | None) -> None:
        version, failures = "", 0
        while True:
            try:
                if not version:
                    version = await self._list(kind, scope)
                version = await self._watch(kind, scope, version)
                failures = 0
            except ApiError as error:
                failures += 1
                if error.status == GONE:
                    version = ""
                if error.status == NOT_FOUND and kind in OPTIONAL:
                    self._settle(kind, scope)
                log.warning("watch interrupted", kind=kind.name, error=str(error))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                failures += 1
                log.info("watch broke off", kind=kind.name, error=repr(error))
            except Exception:  # the one broad handler of this loop: log, then start anew
                failures, version = failures + 1, ""
                log.exception("watch failed", kind=kind.name)
            if failures:
                pause = min(PAUSE_LIMIT, 0.5 * 2.0 ** min(failures, 8))
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _list(self, kind: Kind, scope: str | None) -> str:
        seen: set[Ref] = set()
        version = ""
        async for page in self._client.pages(kind.path(scope), [("labelSelector", SELECTOR)]):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                child = summarise(item, kind.name)
                seen.add(child.ref)
                self._cache.put(child)
        self._cache.retain(kind.name, scope, seen, version)
        self._settle(kind, scope)
        return version

    def _settle(self, kind: Kind, scope: str | None) -> None:
        """All there is of a kind is known, be it that there is no such kind."""
        self._pending.discard((kind.name, scope))
        if not self._pending:
            self.synced.set()

    async def _watch(self, kind: Kind, scope: str | None, version: str) -> str:
        query = [
            ("labelSelector", SELECTOR),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
        ]
        async for event in self._client.watch(kind.path(scope), query):
            version = self._take_in(kind, event)
        return version

    def _take_in(self, kind: Kind, event: Json) -> str:
        live = event["object"]
        if event["type"] == "ERROR":
            raise ApiError(live.get("code", 500), live.get("reason", ""), live.get("message", ""))
        meta = live["metadata"]
        version: str = meta["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return version
        if event["type"] != "DELETED":
            ref = Ref(kind.name, meta["namespace"], meta["name"])
            if self._cache.has_seen(ref, meta["uid"], version):  # the echo of our own write
                return version
        child = summarise(live, kind.name)
        if event["type"] == "DELETED":
            self._cache.discard(child.ref, child.uid)
        else:
            self._cache.put(child)
        return version
