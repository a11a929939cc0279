"""Live objects → facts, and pods' troubles → sentences."""

from typing import Any

import pytest

from eventpipeline_operator.adapters.kube.facts import pod_problem, summarise, used_names
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key

Json = dict[str, Any]


def waiting(reason: str, message: str = "no") -> Json:
    return {
        "containerStatuses": [
            {
                "name": "main",
                "image": "shop:1",
                "ready": False,
                "state": {"waiting": {"reason": reason, "message": message}},
                "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
            }
        ]
    }


UNSCHEDULABLE = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu.",
        }
    ]
}


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (waiting("ErrImagePull"), Reason.IMAGE_PULL_FAILED, "image shop:1 cannot be pulled"),
        (waiting("ImagePullBackOff"), Reason.IMAGE_PULL_FAILED, "imagePullSecrets"),
        (waiting("InvalidImageName"), Reason.IMAGE_PULL_FAILED, "check its name"),
        (waiting("CrashLoopBackOff"), Reason.CONTAINER_CRASHING, "exit code 3"),
        (waiting("CreateContainerConfigError"), Reason.CONTAINER_CONFIG_ERROR, "cannot start"),
        (UNSCHEDULABLE, Reason.POD_UNSCHEDULABLE, "Insufficient cpu"),
    ],
)
def test_a_pods_trouble_is_named_with_the_way_out(status: Json, reason: str, words: str) -> None:
    problem = pod_problem("shop-order-abc", status)
    assert problem
    assert problem.reason == reason
    assert "shop-order-abc" in problem.message
    assert words in problem.message


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}}]},
        waiting("ContainerCreating") | {"conditions": []},
    ],
)
def test_a_pod_that_starts_or_runs_has_no_trouble(status: Json) -> None:
    for container in status.get("containerStatuses", []):
        container.pop("lastState", None)
    assert pod_problem("p", status) is None


def test_a_container_that_just_ended_badly_is_told_before_the_back_off() -> None:
    state = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {"containerStatuses": [{"name": "main", "image": "i", "ready": False, "state": state}]}
    problem = pod_problem("p", status)
    assert problem
    assert problem.reason == Reason.CONTAINER_CRASHING


def test_a_pod_uses_what_it_names() -> None:
    spec = {
        "containers": [
            {
                "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}],
            }
        ],
        "initContainers": [
            {"env": [{"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "k"}}}]}
        ],
        "volumes": [
            {"name": "v", "secret": {"secretName": "e"}},
            {"name": "w", "configMap": {"name": "f"}},
            {"name": "t", "emptyDir": {}},
        ],
    }
    assert used_names(spec) == frozenset("abcdef")


def build_live(kind: str, **parts: Any) -> Json:
    return {
        "kind": kind,
        "metadata": {
            "name": "shop-order",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 2,
            "labels": {"eventpipeline.dev/pipeline": "shop", "eventpipeline.dev/workload": "order"},
            "ownerReferences": [
                {"kind": "EventPipeline", "name": "shop", "uid": "o", "controller": True}
            ],
        },
        **parts,
    }


def build_deployment(**status: Any) -> Json:
    return build_live("Deployment", spec={"replicas": 2, "template": {"spec": {}}}, status=status)


def test_a_deployment_is_current_once_its_controller_has_seen_it() -> None:
    seen = summarise(build_deployment(observedGeneration=2, replicas=2), "Deployment").rollout
    stale = summarise(build_deployment(observedGeneration=1, replicas=2), "Deployment").rollout
    assert seen
    assert stale
    assert (seen.current, stale.current) == (True, False)


def test_a_deployment_whose_pods_are_refused_says_why() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    child = summarise(build_deployment(conditions=[condition]), "Deployment")
    assert child.problem
    assert child.problem.reason == Reason.PODS_REFUSED
    assert "exceeded quota" in child.problem.message


def build_job(*conditions: str) -> Json:
    found = [{"type": c, "status": "True", "reason": "R", "message": "m"} for c in conditions]
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    spec = {"template": {"spec": {"volumes": volumes}}}
    return build_live("Job", spec=spec, status={"conditions": found})


def test_a_job_tells_whether_it_succeeded_or_failed() -> None:
    assert summarise(build_job("Complete"), "Job").succeeded
    failed = summarise(build_job("Failed"), "Job")
    assert failed.failed
    assert failed.problem
    assert "kubectl logs job/shop-order" in failed.problem.message


def test_a_finished_job_holds_no_secret() -> None:
    assert summarise(build_job(), "Job").uses == frozenset({"s"})
    assert summarise(build_job("Complete"), "Job").uses == frozenset()


def test_owner_and_pipeline_are_known() -> None:
    child = summarise(build_deployment(), "Deployment")
    assert child.pipeline == Key("team", "shop")
    assert (child.owner, child.owner_uid) == ("EventPipeline shop", "o")


def test_a_count_that_does_not_matter_wakes_nobody() -> None:
    before = summarise(build_deployment(observedGeneration=2, readyReplicas=1), "Deployment")
    after = summarise(build_deployment(observedGeneration=3, readyReplicas=2), "Deployment")
    assert before.essence == after.essence
