"""The StatusWriter port: the status subresource and Events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from eventpipeline_operator.adapters.kube.client import NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import EVENT, PIPELINE, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES, PROBLEMS
from eventpipeline_operator.api import names
from eventpipeline_operator.api.conditions import Condition, Status
from eventpipeline_operator.api.types import EventPipeline

log = structlog.get_logger()

NOTE_LIMIT = 1024
INVALID = 422
REJECTED = "the server rejected our request"


class KubeStatus:
    """Writes statuses and events."""

    def __init__(self, client: KubeClient, instance: str) -> None:
        self._client = client
        self._instance = instance

    async def write_status(self, pipeline: EventPipeline, status: Mapping[str, Any]) -> None:
        """Replace the status; an object that is gone needs none."""
        ref = Ref(PIPELINE.name, *pipeline.key)
        try:
            await self._client.patch_status(ref, pipeline.uid, status)
        except ApiError as error:
            # A patch whose test of the uid fails: the object was replaced by another.
            replaced = error.status == INVALID and error.message.startswith(REJECTED)
            if error.status == NOT_FOUND or replaced:
                return
            raise error.classified(f"status of {pipeline.key}") from error
        OBJECT_WRITES.labels(kind="EventPipelineStatus", result="configured").inc()

    async def emit_event(self, pipeline: EventPipeline, condition: Condition) -> None:
        """Tell of a changed condition; an event that cannot be written is only logged."""
        if condition.status is not Status.TRUE:
            PROBLEMS.labels(type=condition.type, reason=condition.reason).inc()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{pipeline.key.name}.",
                "namespace": pipeline.key.namespace,
            },
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": pipeline.key.namespace,
                "name": pipeline.key.name,
                "uid": pipeline.uid,
            },
            "type": "Warning" if condition.alarming else "Normal",
            "reason": str(condition.reason),
            "message": f"{condition.type}: {condition.message}"[:NOTE_LIMIT],
            "source": {"component": names.FIELD_MANAGER},
            "reportingComponent": f"{names.GROUP}/operator",
            "reportingInstance": self._instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._client.create(EVENT, pipeline.key.namespace, body)
        except ApiError as error:
            log.info("event not written", error=str(error))
            return
        OBJECT_WRITES.labels(kind="Event", result="created").inc()
