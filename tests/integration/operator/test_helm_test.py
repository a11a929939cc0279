"""`helm test` against a real API server: its own rights suffice, and it sees what is the matter."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from servers.kubernetes import OPERATOR_CHART, OPERATOR_NAMESPACE, KubernetesServer, render_chart
from servers.kubernetes_operator import OperatorProcess

Json = dict[str, Any]
NAME = "eventpipeline-operator"


@pytest.fixture(scope="module")
def release(kubernetes: KubernetesServer) -> Json:
    """The test's account and its rights, and a Deployment whose replicas are ready."""
    rendered = render_chart(with_tests=True)
    needed = [
        m
        for m in rendered
        if m["metadata"]["name"] == f"{NAME}-test" and m["kind"] not in ("Pod", "ConfigMap")
    ]
    (deployment,) = (m for m in rendered if m["kind"] == "Deployment")
    apply = ("apply", "--server-side", "-f", "-")
    done = kubernetes.kubectl(*apply, stdin=[*needed, deployment])
    assert done.returncode == 0, done.stderr
    tell_ready(kubernetes, 2)
    return deployment


def tell_ready(kubernetes: KubernetesServer, replicas: int) -> None:
    """What the Deployment's controller would write."""
    status = f'{{"status":{{"observedGeneration":1,"replicas":2,"readyReplicas":{replicas}}}}}'
    done = kubernetes.kubectl(
        "-n", OPERATOR_NAMESPACE, "patch", "deployment", NAME,
        "--subresource=status", "--type=merge", "-p", status,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def account(kubernetes: KubernetesServer, release: Json, tmp_path: Path) -> Path:
    """What a pod of the test's ServiceAccount would find mounted."""
    assert release
    token = kubernetes.kubectl("-n", OPERATOR_NAMESPACE, "create", "token", f"{NAME}-test")
    assert token.returncode == 0, token.stderr
    (tmp_path / "token").write_text(token.stdout)
    (tmp_path / "ca.crt").write_bytes(kubernetes.authority.read_bytes())
    return tmp_path


def run(kubernetes: KubernetesServer, account: Path, **variables: str) -> tuple[int, list[str]]:
    """The pod's command, once."""
    environment = {
        "PATH": os.environ["PATH"],
        "API_SERVER": kubernetes.url,
        "ACCOUNT": str(account),
        "NAMESPACE": OPERATOR_NAMESPACE,
        "NAME": NAME,
        "LEASE": NAME,
        "TIMEOUT_SECONDS": "0",
        **variables,
    }
    script = OPERATOR_CHART / "files" / "test_release.py"
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def test_a_release_that_works_passes(
    kubernetes: KubernetesServer, account: Path, operator: OperatorProcess
) -> None:
    assert operator
    code, told = run(kubernetes, account, TIMEOUT_SECONDS="30")
    assert (code, told) == (
        0,
        [
            "ok: eventpipeline.dev/v1alpha1 is served",
            "ok: 2 of 2 replicas are ready",
            "ok: first leads",
        ],
    )


def test_what_is_not_so_is_told_and_the_rest_too(
    kubernetes: KubernetesServer, account: Path, operator: OperatorProcess
) -> None:
    assert operator
    tell_ready(kubernetes, 1)
    code, told = run(kubernetes, account)
    tell_ready(kubernetes, 2)
    assert code == 1
    assert told[1] == "failed: 1 of 2 replicas are ready"
    assert told[2].startswith("ok: ")


def test_it_may_not_look_elsewhere(kubernetes: KubernetesServer, account: Path) -> None:
    code, told = run(kubernetes, account, LEASE="another", NAME="another")
    assert code == 1
    assert told[1].endswith("403 Forbidden")
    assert told[2].endswith("403 Forbidden")
