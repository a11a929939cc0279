"""`helm test`: whether an operator leads and the API is served. It reads, and changes nothing."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PAUSE_SECONDS = 1.0

Get = Callable[[str], dict[str, Any]]


class NotYetError(Exception):
    """Something that may still come."""


def build_get(server: str, account: Path) -> Get:
    """Reads one path as the pod's own ServiceAccount."""
    context = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def get(path: str) -> dict[str, Any]:
        token = (account / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        request = urllib.request.Request(server + path, headers=headers)  # noqa: S310 - https
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310
                loaded: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise NotYetError(f"{path}: {error.code} {error.reason}") from error
        except OSError as error:
            raise NotYetError(f"{path}: {error}") from error
        return loaded

    return get


def check_api(get: Get) -> str:
    """The API server knows the resource and its status."""
    served = get("/apis/eventpipeline.dev/v1alpha1")
    names = {each["name"] for each in served.get("resources", ())}
    if not {"eventpipelines", "eventpipelines/status"} <= names:
        raise NotYetError(f"eventpipeline.dev/v1alpha1 has {sorted(names)}")
    return "eventpipeline.dev/v1alpha1 is served"


def check_deployment(get: Get, namespace: str, name: str) -> str:
    """Every replica of the newest version is there and ready."""
    live = get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    wanted, status = live["spec"]["replicas"], live.get("status", {})
    ready = status.get("readyReplicas", 0)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"] or ready < wanted:
        raise NotYetError(f"{ready} of {wanted} replicas are ready")
    return f"{ready} of {wanted} replicas are ready"


def check_lease(get: Get, namespace: str, name: str, now: datetime) -> str:
    """Somebody leads, and has said so within the Lease's time."""
    spec = get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")["spec"]
    holder = spec.get("holderIdentity")
    if not holder or not spec.get("renewTime"):
        raise NotYetError("nobody leads")
    age = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    if age > spec["leaseDurationSeconds"]:
        raise NotYetError(f"{holder} has not renewed the Lease for {age:.0f} s")
    return f"{holder} leads"


def main() -> int:
    """Tries every check until it holds or the time is over; tells each on a line."""
    server = os.environ.get("API_SERVER") or (
        f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    )
    get = build_get(server, Path(os.environ.get("ACCOUNT", ACCOUNT)))
    namespace, name = os.environ["NAMESPACE"], os.environ["NAME"]
    deadline = time.monotonic() + float(os.environ["TIMEOUT_SECONDS"])
    failed = 0
    for check in (
        lambda: check_api(get),
        lambda: check_deployment(get, namespace, name),
        lambda: check_lease(get, namespace, os.environ["LEASE"], datetime.now(UTC)),
    ):
        failed += not told(check, deadline)
    return int(failed > 0)


def told(check: Callable[[], str], deadline: float) -> bool:
    """Whether a check came to hold in time."""
    while True:
        try:
            sys.stdout.write(f"ok: {check()}\n")
        except NotYetError as error:
            if time.monotonic() >= deadline:
                sys.stdout.write(f"failed: {error}\n")
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True


if __name__ == "__main__":
    sys.exit(main())
