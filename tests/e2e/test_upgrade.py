"""The operator's chart goes to a next version and back, by the commands of the page, under orders.

Nothing has been released yet, so the next version is made here: this checkout's chart with a grown
API and a value more, and its image under another tag.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import KUBECONFIG, KUBECTL, REPOSITORY, Cluster, Site
from e2e.outcome import (
    assert_each_order_was_handled_once,
    assert_each_order_was_mailed_once,
    wait_until_settled,
)
from e2e.traffic import Traffic
from provision.kindcluster import NODE
from provision.loading import qualified
from servers.waiting import wait_for

PAGE = REPOSITORY / "docs" / "how-to" / "upgrade.md"
CHART = REPOSITORY / "charts" / "eventpipeline"
SYSTEM = "eventpipeline-system"
OPERATOR = "eventpipeline-operator"
CRD = "eventpipelines.eventpipeline.dev"
NEXT = "next"
RATE = 5
# Everything that the operator makes for a pipeline.
KINDS = (
    "eventpipelines,deployments,services,ingresses,jobs,secrets,configmaps,serviceaccounts,"
    "poddisruptionbudgets,networkpolicies"
)

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class State:
    """What the cluster has at one moment."""

    shop: dict[str, tuple[str, str]]
    pods: dict[str, int]
    fields: set[str]
    image: str


@dataclass(frozen=True)
class Journey:
    """There and back: the cluster before, between and after, what was said, and who ordered."""

    before: State
    between: State
    after: State
    said: list[str]
    traffic: Traffic


def observe(cluster: Cluster) -> State:
    """Versions of all that is the shop's, restarts of its pods, the API's fields, the image."""
    objects = json.loads(cluster.run("-n", "shop", "get", KINDS, "-o", "json"))["items"]
    pods = json.loads(cluster.run("-n", "shop", "get", "pods", "-o", "json"))["items"]
    (version,) = cluster.get("crd", CRD, "default")["spec"]["versions"]
    operator = cluster.get("deployment", OPERATOR, SYSTEM)["spec"]["template"]["spec"]
    return State(
        {
            f"{each['kind']}/{each['metadata']['name']}": (
                each["metadata"]["uid"],
                each["metadata"]["resourceVersion"],
            )
            for each in objects
        },
        {
            pod["metadata"]["name"]: sum(c["restartCount"] for c in statuses)
            for pod in pods
            if (statuses := pod["status"].get("containerStatuses"))
            and "deletionTimestamp" not in pod["metadata"]
        },
        set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]),
        operator["containers"][0]["image"],
    )


def wait_until_compared(cluster: Cluster, image: str) -> None:
    """A replica with this image leads, and has looked at every object."""

    def compared() -> bool:
        leader = cluster.get("lease", OPERATOR, SYSTEM)["spec"]["holderIdentity"]
        pod = cluster.get("pod", leader, SYSTEM)
        if not pod or pod["spec"]["containers"][0]["image"] != image:
            return False
        path = f"/api/v1/namespaces/{SYSTEM}/pods/{leader}:8080/proxy/metrics"
        text = cluster.run("get", "--raw", path)

        def read(name: str) -> float:
            return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)))

        passes = read("eventpipeline_reconcile_duration_seconds_count")
        return passes >= read("eventpipeline_objects") > 0 == read("eventpipeline_queue_length")

    wait_for(f"a leader of {image} that has compared everything", compared, seconds=90, interval=1)


def wait_until_at_rest(cluster: Cluster) -> None:
    """Until what a rotation before this has left is gone: a Secret stays while a pod has it."""

    def rests() -> bool:
        listed = json.loads(cluster.run("-n", "shop", "get", "secrets", "-o", "json"))["items"]
        names = {each["metadata"]["name"] for each in listed}
        status = cluster.get("eventpipeline", "shop", "shop")["status"]
        delivered = {each["secretName"] for each in status["secrets"]}
        return {name for name in names if name.startswith("shop-")} == delivered

    wait_for("the Secrets of the shop to be those it delivers", rests, seconds=120, interval=1)


def make_next_chart(directory: Path) -> Path:
    """The chart as a later release might be: a field in the API, a value that has no precursor."""
    chart = shutil.copytree(CHART, directory / "eventpipeline")
    edits = {
        "Chart.yaml": (r"(?m)^version: .*$", "version: 99.0.0"),
        "values.yaml": (r"\Z", "later:\n  word: spoken\n"),
        "values.schema.json": (r'"properties": \{\n', r'\g<0>    "later": {"type": "object"},\n'),
        "templates/deployment.yaml": (
            r"( +)- name: LOG_LEVEL\n",
            r"\1- name: LATER\n\1  value: {{ .Values.later.word }}\n\g<0>",
        ),
        f"templates/crd-{CRD}.yaml": (
            r"( +)suspend:\n",
            r"\1later:\n\1  description: Of a later release.\n\1  type: string\n\g<0>",
        ),
    }
    for name, (pattern, replacement) in edits.items():
        file = chart / name
        text, count = re.subn(pattern, replacement, file.read_text(), count=1)
        assert count == 1, name
        file.write_text(text)
    return Path(chart)


def read_commands(chart: Path) -> tuple[str, str]:
    """The page's way there and its way back, for this chart and its tag."""
    section = PAGE.read_text().split("## The operator\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    there, back = (block for block in blocks if block.startswith("helm "))
    assert "charts/eventpipeline " in there
    assert "image.tag=NEW" in there
    named = there.replace("charts/eventpipeline ", f"{chart} ")
    return named.replace("image.tag=NEW", f"image.tag={NEXT}"), back


def run(commands: str) -> str:
    """What the commands say; they must all succeed."""
    environment = {
        **os.environ,
        "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(KUBECONFIG),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def next_image(cluster: Cluster) -> Iterator[str]:
    """The operator's image under one more name in the node; at the end the release is as before."""
    image = observe(cluster).image
    revision = json.loads(run(f"helm status eventpipeline -n {SYSTEM} -o json"))["version"]
    other = f"{image.rpartition(':')[0]}:{NEXT}"
    ctr = ("docker", "exec", NODE, "ctr", "-n", "k8s.io", "images")
    subprocess.run([*ctr, "tag", "--force", qualified(image), qualified(other)], check=True)
    yield other
    if observe(cluster).image != image:
        run(f"helm rollback eventpipeline {revision} -n {SYSTEM} --wait")
    subprocess.run([*ctr, "rm", qualified(other)], check=True)


@pytest.fixture(scope="module")
def journey(
    cluster: Cluster, next_image: str, shop: Site, tmp_path_factory: pytest.TempPathFactory
) -> Journey:
    there, back = read_commands(make_next_chart(tmp_path_factory.mktemp("next")))
    cluster.run("-n", "shop", "wait", "--for=condition=Ready", "eventpipeline/shop")
    wait_until_at_rest(cluster)
    before = observe(cluster)
    traffic = Traffic(shop.host, shop.address, f"e2e-upgrade-{os.getpid()}", RATE)
    with traffic:
        wait_for("customers who order", lambda: len(traffic.orders) > RATE)
        said = [run(there)]
        wait_until_compared(cluster, next_image)
        between = observe(cluster)
        said.append(run(back))
        wait_until_compared(cluster, before.image)
        after, so_far = observe(cluster), len(traffic.orders)
        wait_for("customers who go on", lambda: len(traffic.orders) > so_far + RATE)
    return Journey(before, between, after, said, traffic)


def test_the_upgrade_brings_the_operator_and_a_grown_api(journey: Journey, next_image: str) -> None:
    assert journey.between.image == next_image
    assert journey.between.fields - journey.before.fields == {"later"}


def test_the_rollback_brings_back_what_was(journey: Journey) -> None:
    assert journey.after.image == journey.before.image
    assert journey.after.fields == journey.before.fields


@pytest.mark.parametrize("moment", ["between", "after"])
def test_no_pod_of_the_shop_rolls(journey: Journey, moment: str) -> None:
    assert getattr(journey, moment).pods == journey.before.pods


@pytest.mark.parametrize("moment", ["between", "after"])
def test_nothing_of_the_shop_is_written(journey: Journey, moment: str) -> None:
    now: dict[str, Any] = getattr(journey, moment).shop
    changed = {name for name in now.keys() | journey.before.shop.keys()
               if now.get(name) != journey.before.shop.get(name)}  # fmt: skip
    assert changed == set()


def test_the_releases_own_test_passes_there_and_back(journey: Journey) -> None:
    phases = [re.findall(r"^Phase: +(\S+)", text, re.MULTILINE) for text in journey.said]
    assert [set(each) for each in phases] == [{"Succeeded"}, {"Succeeded"}]


def test_the_shop_is_ready_and_every_order_was_handled_once(
    journey: Journey, cluster: Cluster, shop: Site, mails: Site
) -> None:
    assert journey.traffic.failures == []
    assert cluster.condition("eventpipeline", "shop", "shop", "Ready")["status"] == "True"
    wait_until_settled(journey.traffic, shop)
    assert_each_order_was_handled_once(journey.traffic, shop)
    assert_each_order_was_mailed_once(journey.traffic, mails)
