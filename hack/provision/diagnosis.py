"""When a wait ends badly: which pods are not ready, their last log lines, events and claims."""

import json
import subprocess
from typing import Any

from provision.kindcluster import kubectl

LOG_LINES = 12
MOST_PODS = 4


def explain_waiting(namespaces: tuple[str, ...]) -> str:
    """A report over the pods that keep these namespaces from being ready."""
    parts: list[str] = []
    for namespace in namespaces:
        pods = unready_pods(_ask("-n", namespace, "get", "pods", "-o", "json"))
        parts.extend(_explain_pod(namespace, pod) for pod in pods[:MOST_PODS])
    shop = _ask("get", "eventpipelines", "-A", "-o", "json")
    parts.extend(pipeline_messages(shop))
    return "\n".join(parts) or "  every pod is ready"


def unready_pods(listing: str) -> list[str]:
    """Names of pods that are neither finished nor ready."""
    pods: list[dict[str, Any]] = json.loads(listing or '{"items": []}')["items"]
    return [pod["metadata"]["name"] for pod in pods if not _is_fine(pod.get("status", {}))]


def pipeline_messages(listing: str) -> list[str]:
    """What each EventPipeline says in the conditions that are not True."""
    items: list[dict[str, Any]] = json.loads(listing or '{"items": []}')["items"]
    return [
        f"  {item['metadata']['namespace']}/{item['metadata']['name']} {condition['type']}="
        f"{condition['status']} {condition.get('reason', '')}: {condition.get('message', '')}"
        for item in items
        for condition in item.get("status", {}).get("conditions", [])
        if (condition["status"] != "True") != (condition["type"] in ("Reconciling", "Stalled"))
    ]


def _is_fine(status: dict[str, Any]) -> bool:
    if status.get("phase") == "Succeeded":
        return True
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return conditions.get("Ready") == "True"


def _explain_pod(namespace: str, pod: str) -> str:
    lines = [f"  pod {namespace}/{pod} is not ready"]
    logs = _ask("-n", namespace, "logs", pod, "--all-containers", f"--tail={LOG_LINES}")
    lines += [f"    log   | {line}" for line in logs.splitlines()[-LOG_LINES:]]
    selector = f"involvedObject.name={pod}"
    template = '{range .items[*]}{.reason}: {.message}{"\\n"}{end}'
    events = _ask(
        *("-n", namespace, "get", "events", "--field-selector", selector),
        *("--sort-by=.lastTimestamp", "-o", f"jsonpath={template}"),
    )
    lines += [f"    event | {line}" for line in events.splitlines()[-6:]]
    lines += [f"    claim | {line}" for line in _claims(namespace, pod)]
    return "\n".join(lines)


def _claims(namespace: str, pod: str) -> list[str]:
    """The pod's claims and how far each came: an unbound one keeps it from its node."""
    used = "jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}"
    names = _ask("-n", namespace, "get", "pod", pod, "-o", used).split()
    state = "jsonpath={.metadata.name}: {.status.phase}, class {.spec.storageClassName}"
    return [_ask("-n", namespace, "get", "pvc", name, "-o", state) for name in names]


def _ask(*arguments: str) -> str:
    done = subprocess.run(
        kubectl("--request-timeout=10s", *arguments), capture_output=True, text=True, check=False
    )
    return done.stdout
