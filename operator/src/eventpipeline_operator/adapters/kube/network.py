"""Traffic record → the spec of its NetworkPolicy. Pure.

A NetworkPolicy knows pods and addresses, no host names, and counts the port on which a pod listens.
So the name of a Service stands for all pods of its namespace at that port, and a host outside the
cluster for every address at that port, except the link-local ones, where clouds serve credentials.
"""

from collections.abc import Sequence
from ipaddress import ip_network

from eventpipeline_operator.adapters.kube.resources import Json
from eventpipeline_operator.api import labels
from eventpipeline_operator.api.endpoints import is_network
from eventpipeline_operator.api.types import Key, Peer
from eventpipeline_operator.desired.records import TrafficRecord

NAMESPACE_NAME = "kubernetes.io/metadata.name"
DNS_PORT = 53
SERVICE_SUFFIXES: tuple[list[str], ...] = ([], ["cluster", "local"])
EVERYWHERE: tuple[Json, ...] = (
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
)


def build_policy(key: Key, record: TrafficRecord) -> Json:
    """Everything that is not named is refused, in both directions."""
    policy: Json = {
        "podSelector": {"matchLabels": labels.selector_labels(key, record.workload)},
        "policyTypes": ["Ingress", "Egress"],
    }
    sources = [*_workloads(key, record.callers), *map(_peer, record.admitted)]
    if record.port and sources:
        policy["ingress"] = [{"from": sources, "ports": [_port(record.port)]}]
    egress = _egress(key, record)
    if egress:
        policy["egress"] = egress
    return policy


def _egress(key: Key, record: TrafficRecord) -> list[Json]:
    rules = []
    if record.dns:
        ports = [_port(DNS_PORT, "UDP"), _port(DNS_PORT)]
        rules.append({"to": list(map(_peer, record.dns)), "ports": ports})
    rules += [
        {"to": _workloads(key, [callee]), "ports": [_port(port)]} for callee, port in record.calls
    ]
    rules += [
        {"to": _destination(key, endpoint.host), "ports": [_port(endpoint.port)]}
        for endpoint in record.endpoints
    ]
    return rules


def _workloads(key: Key, workloads: Sequence[str]) -> list[Json]:
    """Pods of the same pipeline."""
    if not workloads:
        return []
    selector = {
        "matchLabels": {labels.PIPELINE: key.name},
        "matchExpressions": [{"key": labels.WORKLOAD, "operator": "In", "values": list(workloads)}],
    }
    return [{"podSelector": selector}]


def _destination(key: Key, host: str) -> list[Json]:
    if is_network(host):
        return [{"ipBlock": {"cidr": str(ip_network(host))}}]
    namespace = _namespace_of(key, host)
    return [_peer(Peer(namespace))] if namespace else [dict(block) for block in EVERYWHERE]


def _namespace_of(key: Key, host: str) -> str | None:
    """The namespace of a Service by its name; None for a host outside the cluster."""
    parts = host.rstrip(".").split(".")
    if len(parts) == 1:
        return key.namespace
    at = parts.index("svc") if "svc" in parts else 0
    return parts[at - 1] if at > 1 and parts[at + 1 :] in SERVICE_SUFFIXES else None


def _peer(peer: Peer) -> Json:
    if peer.cidr:
        return {"ipBlock": {"cidr": peer.cidr}}
    selectors: Json = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: peer.namespace}}}
    if peer.pod_labels:
        selectors["podSelector"] = {"matchLabels": dict(peer.pod_labels)}
    return selectors


def _port(port: int, protocol: str = "TCP") -> Json:
    return {"port": port, "protocol": protocol}
