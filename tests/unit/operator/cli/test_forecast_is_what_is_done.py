"""The forecast goes the operator's way: whatever the step applies is foreseen, and nothing else."""

from collections.abc import Iterable

from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.adapters.kube.resources import Ref
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.changes import Sight, System
from eventpipeline_operator.cli.forecast import forecast
from eventpipeline_operator.cli.forecast_users import NEW, foresee_logins
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.reconcile.ports import Record
from eventpipeline_operator.reconcile.scaling import Scaler
from eventpipeline_operator.reconcile.workloads import reconcile_workloads
from unit.operator.bodies import build_body, build_pipeline, build_spec
from unit.operator.fakes import World


async def test_what_is_foreseen_of_a_new_object_is_what_the_step_applies() -> None:
    spec = build_spec()
    spec["services"][0]["workers"][1]["scale"] = {"max": 3}
    spec["networkPolicy"] = {"enabled": True}
    spec["kafka"]["users"] = {}
    pipeline, world = build_pipeline(spec, uid=""), World()
    delivered = {
        s.name: SecretReference(s.name, NEW, "", tuple(s.env), tuple(s.files))
        for s in pipeline.secrets
    }
    delivered |= foresee_logins(pipeline)
    for _ in range(2):  # the first pass begins migrations
        scaler = Scaler(world.lags, world.runtime)
        await reconcile_workloads(pipeline, world.runtime, scaler, delivered, "traefik")
    applied = refs(pipeline, world.runtime.applied.values())

    found = forecast(build_body(spec), Sight(topics={}, traefik_class="traefik"))
    foreseen = {c.subject for c in found.changes if c.system is System.KUBERNETES}
    assert {s for s in foreseen if not s.startswith("Secret ")} == applied
    assert not found.problems


def refs(pipeline: EventPipeline, records: Iterable[Record]) -> set[str]:
    return {str(Ref.of(m)) for record in records for m in render(pipeline, record)}
