"""The one client that writes to Kubernetes: server-side apply, reads, deletes, plain JSON.

Works on dictionaries rather than on the client's models, which cost more memory and time than
the operator's whole work.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from eventpipeline_operator.adapters.kube.resources import Json, Kind, Ref
from eventpipeline_operator.api.names import FIELD_MANAGER
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled, Waiting

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
PAGE = "500"
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=90)
TEXT_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10)
BUSY_TRIES, BUSY_SECONDS = 4, 5.0
NOT_FOUND, CONFLICT, GONE, TOO_MANY, FORBIDDEN = 404, 409, 410, 429, 403


class ApiError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    def classified(self, subject: str) -> ReconcileError:
        """The fate of this failure."""
        said = f"{subject}: {self.message}"
        if self.status in (CONFLICT, TOO_MANY) or self.status >= 500:
            return Retryable(Reason.KUBERNETES_UNAVAILABLE, said)
        if "being terminated" in self.message or self.status == NOT_FOUND:
            return Waiting(Reason.PROGRESSING, said)
        way_out = "correct the part of spec that it comes from, or have it allowed"
        return Stalled(Reason.OBJECT_REFUSED, f"{said}: {way_out}")


class KubeClient:
    """Requests against the API server; `may_write` raises when this operator may change nothing."""

    def __init__(
        self,
        api: ApiClient,
        may_write: Callable[[], None] = lambda: None,
        manager: str = FIELD_MANAGER,
    ) -> None:
        self._api = api
        self.may_write = may_write
        self._manager = manager

    async def apply(self, manifest: Mapping[str, Any]) -> Json:
        """Server-side apply; the answer is the live object."""
        query = [("fieldManager", self._manager), ("force", "true")]
        return await self._json("PATCH", Ref.of(manifest).path, query, manifest, APPLY)

    async def get(self, ref: Ref) -> Json | None:
        """Read one object; None when it is not there."""
        try:
            return await self._json("GET", ref.path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def read(self, address: str) -> Json:
        """A document that the API server publishes about itself."""
        return await self._json("GET", address)

    async def create(self, kind: Kind, namespace: str, body: Json, subpath: str = "") -> Json:
        """Create an object (or a subresource of one)."""
        query = [("fieldManager", self._manager)]
        return await self._json("POST", kind.path(namespace) + subpath, query, body)

    async def replace(self, ref: Ref, body: Json) -> Json:
        """Replace an object; fails when it changed since it was read."""
        return await self._json("PUT", ref.path, [("fieldManager", self._manager)], body)

    async def merge(self, ref: Ref, patch: Json) -> Json:
        """Change parts of an object; None removes a key."""
        query = [("fieldManager", self._manager)]
        return await self._json("PATCH", ref.path, query, patch, MERGE_PATCH)

    async def delete(self, ref: Ref, uid: str) -> bool:
        """Delete exactly this object, its dependents in the background; whether it is gone now."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            answer = await self._json("DELETE", ref.path, [], body)
        except ApiError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise
            return True
        return bool(answer["kind"] == "Status")  # else the object, which still ends

    async def patch_status(self, ref: Ref, uid: str, status: Mapping[str, Any]) -> None:
        """Replace the status of the object with this uid."""
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        query = [("fieldManager", self._manager)]
        await self._json("PATCH", ref.path + "/status", query, patch, JSON_PATCH)

    async def pages(self, path: str, query: list[tuple[str, str]]) -> AsyncIterator[Json]:
        """A list, page by page."""
        more: list[tuple[str, str]] = []
        while True:
            page = await self._json("GET", path, [*query, ("limit", PAGE), *more])
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            more = [("continue", token)]

    async def watch(self, path: str, query: list[tuple[str, str]]) -> AsyncIterator[Json]:
        """Events of a watch until the server ends it."""
        async for line in self._stream(path, [*query, ("watch", "true")], WATCH_TIMEOUT):
            yield json.loads(line)

    async def lines(self, path: str, query: list[tuple[str, str]]) -> AsyncIterator[str]:
        """Lines of a text, for as long as it grows."""
        async for line in self._stream(path, query, TEXT_TIMEOUT):
            yield line.decode(errors="replace").rstrip("\n")

    async def _stream(
        self,
        path: str,
        query: list[tuple[str, str]],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, not ours
    ) -> AsyncIterator[bytes]:
        response = await self._send("GET", path, query, None, None, timeout)
        try:
            if response.status != 200:
                raise _failure(response.status, await response.read())
            async for line in response.content:
                yield line
        finally:
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        for left in reversed(range(BUSY_TRIES)):
            response = await self._send(
                method, path, query or [], body, content_type, REQUEST_TIMEOUT
            )
            try:
                data = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ApiError(503, "Unreachable", repr(error)) from error
            pause = _pause_asked_for(response)
            if pause is None or not left:
                break
            await asyncio.sleep(pause)
        if response.status >= 300:
            raise _failure(response.status, data)
        answer: Json = json.loads(data)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: object,
        content_type: str | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, not ours
    ) -> aiohttp.ClientResponse:
        if method != "GET":
            self.may_write()
        headers = {"Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        _, url, headers, *_ = await self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=query,
            header_params=headers,
            auth_settings=["BearerToken"],
        )
        try:  # our bodies are plain JSON: the client need not copy them value by value
            answer = await self._api.call_api(
                method, url, headers, body=body, _request_timeout=timeout
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(503, "Unreachable", repr(error)) from error
        response: aiohttp.ClientResponse = answer.response
        return response


def _pause_asked_for(response: aiohttp.ClientResponse) -> float | None:
    """A server with too much to do has not begun with the request, and says when to repeat it."""
    said = response.headers.get("Retry-After", "")
    if response.status != TOO_MANY or not said.isdigit():
        return None
    return min(float(said), BUSY_SECONDS)


def _failure(status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except ValueError:
        return ApiError(status, "", data[:200].decode(errors="replace"))
