"""The Finalizers port: ours on an EventPipeline, and nobody else's."""

from eventpipeline_operator.adapters.kube.client import NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import PIPELINE, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES
from eventpipeline_operator.api.names import FINALIZER
from eventpipeline_operator.api.types import EventPipeline


class KubeFinalizers:
    """Reads the list and writes it back whole, unless it changed in between."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def keep(self, pipeline: EventPipeline, *, present: bool) -> None:
        """Add or remove ours; an object that is gone needs none."""
        ref = Ref(PIPELINE.name, *pipeline.key)
        try:
            live = await self._client.get(ref)
            if live is None or live["metadata"]["uid"] != pipeline.uid:
                return
            held: list[str] = live["metadata"].get("finalizers") or []
            late = present and "deletionTimestamp" in live["metadata"]  # none can be added then
            if late or (FINALIZER in held) is present:
                return
            wanted = [*held, FINALIZER] if present else [f for f in held if f != FINALIZER]
            version = live["metadata"]["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version, "finalizers": wanted}}
            await self._client.merge(ref, patch)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return
            raise error.classified(f"finalizer of {pipeline.key}") from error
        OBJECT_WRITES.labels(kind="EventPipelineFinalizer", result="configured").inc()
