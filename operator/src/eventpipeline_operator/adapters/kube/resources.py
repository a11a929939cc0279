"""The kinds that the operator writes or watches, and their addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventpipeline_operator.api import names

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A resource type."""

    name: str
    api_version: str
    plural: str

    @property
    def root(self) -> str:
        """Address of the API group and version."""
        prefix = "/apis/" if "/" in self.api_version else "/api/"
        return prefix + self.api_version

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Address of the collection or of one object."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.root}{scope}/{self.plural}" + (f"/{name}" if name else "")


CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
SECRET = Kind("Secret", "v1", "secrets")
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts")
SERVICE = Kind("Service", "v1", "services")
POD = Kind("Pod", "v1", "pods")
EVENT = Kind("Event", "v1", "events")
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
JOB = Kind("Job", "batch/v1", "jobs")
INGRESS = Kind("Ingress", "networking.k8s.io/v1", "ingresses")
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
BUDGET = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
# Of a controller's own API, which need not be installed.
MIDDLEWARE = Kind("Middleware", "traefik.io/v1alpha1", "middlewares")
LEASE = Kind("Lease", "coordination.k8s.io/v1", "leases")
PIPELINE = Kind(names.KIND, names.API_VERSION, names.PLURAL)

OWNED = (
    CONFIG_MAP, SECRET, SERVICE_ACCOUNT, SERVICE, DEPLOYMENT, JOB, INGRESS, BUDGET, NETWORK_POLICY,
)  # fmt: skip
OPTIONAL = (MIDDLEWARE,)
WATCHED = (*OWNED, POD)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in (*WATCHED, *OPTIONAL, PIPELINE, LEASE)}


class Ref(NamedTuple):
    """Identity of one object."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Ref":
        """The identity of a manifest or of a live object."""
        meta = manifest["metadata"]
        return cls(manifest["kind"], meta["namespace"], meta["name"])

    @property
    def path(self) -> str:
        """Address of the object."""
        return BY_NAME[self.kind].path(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
