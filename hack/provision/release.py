"""Installs what runs in the cluster: platform and operator by Helm, then the shop, and waits."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from provision.cache import BUILD, REPOSITORY, log_file
from provision.commands import ProvisionError, capture, run_logged
from provision.diagnosis import explain_waiting
from provision.kindcluster import CONTEXT, KUBECONFIG, ask_cluster, kubectl
from provision.ours import MEMBERS
from provision.plan import IMAGES_FILE
from provision.steps import CLUSTER, FETCH, Step

EXAMPLE = REPOSITORY / "examples" / "shop.yaml"
PLATFORM = "platform"
OPERATOR = "eventpipeline-system"
SHOP = "shop"
READY_SECONDS = 300


def release_steps() -> list[Step]:
    """In order of need; the two charts do not wait for each other."""
    return [
        Step("chart platform", _install("platform", PLATFORM, _platform_values)),
        Step("chart eventpipeline", _install("eventpipeline", OPERATOR, _operator_values)),
        Step("shop applied", apply_shop, ("chart eventpipeline",), CLUSTER),
        Step("platform ready", wait_for_platform, ("chart platform", "shop applied"), CLUSTER),
        Step("shop ready", wait_for_shop, ("shop applied", "platform ready"), FETCH),
    ]


def helm(*arguments: str | Path) -> list[str | Path]:
    """A helm command line for this cluster and no other."""
    program = BUILD / "bin" / "helm"
    return [program, "--kubeconfig", KUBECONFIG, "--kube-context", CONTEXT, *arguments]


def set_images(text: str, images: Mapping[str, str]) -> str:
    """The manifest with our images called as this checkout calls them."""
    for name, image in images.items():
        text = re.sub(rf"(image: )(\S+/)?eventpipeline/{name}:\S+", rf"\g<1>{image}", text)
    return text


def apply_shop() -> str:
    """The example with this checkout's images; the admission policy may need a moment."""
    if not EXAMPLE.exists():
        raise ProvisionError(f"{EXAMPLE.relative_to(REPOSITORY)} is missing")
    manifest = BUILD / "shop.yaml"
    images = {name: member.image() for name, member in MEMBERS.items()}
    manifest.write_text(set_images(EXAMPLE.read_text(), images))
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=deploy")
    ask_cluster(*apply, "-f", manifest)
    return EXAMPLE.relative_to(REPOSITORY).as_posix()


def wait_for_platform() -> str:
    """Every workload of the platform is rolled out, and Vault's bootstrap is through."""
    kinds = "deployment,statefulset,daemonset"
    listing = ask_cluster("-n", PLATFORM, "get", kinds, "-o", "name").split()
    for name in listing:
        _wait(PLATFORM, "rollout", "status", name, f"--timeout={READY_SECONDS}s")
    jobs = ask_cluster("-n", PLATFORM, "get", "jobs", "-o", "name").split()
    for name in jobs:
        _wait(PLATFORM, "wait", "--for=condition=Complete", name, f"--timeout={READY_SECONDS}s")
    return f"{len(listing)} workloads"


def wait_for_shop() -> str:
    """The operator runs and says that the pipeline is Ready."""
    _wait(OPERATOR, "wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s")
    resource = "eventpipeline/shop"
    limit = f"--timeout={READY_SECONDS}s"
    _wait(SHOP, "wait", "--for=condition=Ready", resource, limit)
    return "Ready"


def remove_releases() -> None:
    """Shop, operator, platform, in this order: the operator cleans up after the shop."""
    if EXAMPLE.exists():
        subprocess.run(
            kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", EXAMPLE), check=False
        )
    for name, namespace in (("eventpipeline", OPERATOR), ("platform", PLATFORM)):
        subprocess.run(helm("uninstall", name, "-n", namespace, "--ignore-not-found"), check=False)


def _wait(namespace: str, *arguments: str) -> None:
    done = subprocess.run(
        kubectl("-n", namespace, *arguments), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ProvisionError(
            f"{' '.join(arguments)} in {namespace}: {done.stderr.strip()}\n"
            + explain_waiting((PLATFORM, OPERATOR, SHOP))
        )


def _install(
    chart: str, namespace: str, values: Callable[[], list[str | Path]]
) -> Callable[[], str]:
    def install() -> str:
        log = log_file(f"helm-{chart}")
        log.unlink(missing_ok=True)
        _free_pending_release(chart, namespace)
        path = REPOSITORY / "charts" / chart
        run_logged(
            helm(
                *("upgrade", "--install", chart, path, "-n", namespace, "--create-namespace"),
                *values(),
            ),
            log,
        )
        return "installed"

    return install


def _free_pending_release(name: str, namespace: str) -> None:
    """An interrupted helm leaves its release locked; its record is what holds the lock."""
    listing = capture(helm("list", "-n", namespace, "--pending", "-o", "json"))
    for release in json.loads(listing or "[]"):
        if release["name"] == name:
            record = f"sh.helm.release.v1.{name}.v{release['revision']}"
            ask_cluster("-n", namespace, "delete", "secret", record, "--ignore-not-found")


def _platform_values() -> list[str | Path]:
    return ["-f", IMAGES_FILE]


def _operator_values() -> list[str | Path]:
    repository, tag = MEMBERS["operator"].image().rsplit(":", 1)
    image = ("--set", f"image.repository={repository}", "--set", f"image.tag={tag}")
    # Whoever tries the demo out, and its tests, see what was changed by hand repaired soon.
    return [*image, "--set", "dashboards.install=true", "--set", "resyncSeconds=30"]
