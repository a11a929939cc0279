"""The user's side: applies objects and watches them become Ready, with the time of each."""

import asyncio
import json
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp

from operatorbench.objects import Json
from servers.kubernetes import TOKEN, KubernetesServer

PIPELINES = "/apis/eventpipeline.dev/v1alpha1"
CHILDREN = (
    "/apis/apps/v1/{}/deployments",
    "/apis/apps/v1/{}/replicasets",
    "/api/v1/{}/services",
    "/api/v1/{}/configmaps",
    "/api/v1/{}/secrets",
    "/api/v1/{}/serviceaccounts",
    "/apis/policy/v1/{}/poddisruptionbudgets",
)
APPLIERS = 8
WATCH_SECONDS = 0.1

Name = tuple[str, str]


class Cluster:
    """An administrator's connection, and when each object was applied and Ready."""

    def __init__(self, server: KubernetesServer) -> None:
        self._url = server.url
        context = ssl.create_default_context(cafile=str(server.authority))
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=APPLIERS + 8),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        self.applied_at: dict[Name, float] = {}
        self.ready_at: dict[Name, float] = {}
        self.statuses: dict[Name, Json] = {}
        self._changed = asyncio.Event()

    async def request(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> Json:
        """One request, again while the server says later; what else is no 2xx ends the run."""
        while True:
            async with self.session.request(
                method, self._url + path, data=json.dumps(body) if body is not None else None,
                headers={"Content-Type": kind},
            ) as answer:  # fmt: skip
                content: Json = await answer.json()
                if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                    await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
                    continue
                if answer.status >= 300:
                    raise RuntimeError(f"{method} {path}: {content.get('message')}")
                return content

    async def apply(self, objects: Sequence[Json]) -> None:
        """Server-side apply of all, a few at a time; the clock of each starts before it leaves."""
        waiting = iter(objects)

        async def work() -> None:
            for manifest in waiting:
                meta = manifest["metadata"]
                name = (meta["namespace"], meta["name"])
                path = f"{PIPELINES}/namespaces/{name[0]}/eventpipelines/{name[1]}"
                self.applied_at[name] = time.monotonic()
                await self.request(
                    "PATCH", f"{path}?fieldManager=bench&force=true", manifest,
                    "application/apply-patch+yaml",
                )  # fmt: skip

        async with asyncio.TaskGroup() as group:
            for _ in range(min(APPLIERS, len(objects))):
                group.create_task(work())

    async def follow(self) -> None:
        """Watch all EventPipelines until cancelled.

        The server refuses a watch while it fills the cache of a kind that is new (429) and ends it
        when its window has moved on (410): it is listed and begun anew then.
        """
        while True:
            listed = await self.request("GET", f"{PIPELINES}/eventpipelines")
            for live in listed["items"]:
                self._take_in(live)
            await self._watch(listed["metadata"]["resourceVersion"])
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch(self, version: str) -> None:
        url = f"{self._url}{PIPELINES}/eventpipelines?watch=true&resourceVersion={version}"
        async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            if answer.status != HTTPStatus.OK:
                return
            pending = b""
            async for chunk in answer.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    self._take_in(event["object"])

    def _take_in(self, live: Json) -> None:
        meta, status = live["metadata"], live.get("status") or {}
        name = (meta["namespace"], meta["name"])
        self.statuses[name] = status
        if name not in self.ready_at and _ready(meta, status):
            self.ready_at[name] = time.monotonic()
            self._changed.set()

    async def wait_ready(self, names: Iterable[Name], seconds: float) -> None:
        """Wait until all are Ready; says which are not after `seconds`."""
        missing = set(names)
        try:
            async with asyncio.timeout(seconds):
                while missing := {name for name in missing if name not in self.ready_at}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            some = {
                name: self.statuses.get(name, {}).get("conditions") for name in sorted(missing)[:3]
            }
            raise RuntimeError(f"{len(missing)} not Ready after {seconds} s: {some}") from None

    def latencies(self, names: Iterable[Name]) -> list[float]:
        """Seconds from apply to Ready, sorted."""
        return sorted(self.ready_at[name] - self.applied_at[name] for name in names)

    async def create_namespaces(self, names: Iterable[str], accounts: Sequence[str] = ()) -> None:
        """Namespaces with ServiceAccounts."""
        for name in names:
            body: Mapping[str, Any] = {"metadata": {"name": name}}
            await self.request("POST", "/api/v1/namespaces", body)
            for account in accounts:
                path = f"/api/v1/namespaces/{name}/serviceaccounts"
                await self.request("POST", path, {"metadata": {"name": account}})

    async def clear(self, namespaces: Iterable[str]) -> None:
        """Remove all objects and their children: nobody collects garbage here."""
        for namespace in namespaces:
            scope = f"namespaces/{namespace}"
            await self.request("DELETE", f"{PIPELINES}/{scope}/eventpipelines")
            for path in CHILDREN:
                await self.request("DELETE", path.format(scope))

    async def close(self) -> None:
        """End all connections."""
        await self.session.close()


def _ready(meta: Json, status: Json) -> bool:
    return status.get("observedGeneration") == meta["generation"] and any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
    )
