"""What the API says of NetworkPolicies, acted out: may one pod connect to another?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Json = Mapping[str, Any]
SIDES = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@dataclass(frozen=True)
class Pod:
    """A pod, or with no namespace something outside the cluster."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.244.0.7"


class Network:
    """A cluster whose network enforces policies."""

    def __init__(self, manifests: Sequence[Json]) -> None:
        self._policies = [m for m in manifests if m["kind"] == "NetworkPolicy"]

    def allows(self, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
        """Both sides must agree; a pod that no policy chooses agrees to everything."""
        wanted = {"port": port, "protocol": protocol}
        return self._agrees("Egress", source, target, wanted) and self._agrees(
            "Ingress", target, source, wanted
        )

    def _agrees(self, side: str, subject: Pod, other: Pod, port: Json) -> bool:
        specs = [
            p["spec"]
            for p in self._policies
            if p["metadata"]["namespace"] == subject.namespace
            and side in p["spec"]["policyTypes"]
            and _matches(p["spec"]["podSelector"], subject.labels)
        ]
        rules, peers = SIDES[side]
        return not specs or any(
            port in rule["ports"] and any(_is(peer, other, subject) for peer in rule[peers])
            for spec in specs
            for rule in spec.get(rules, ())
        )


def _is(peer: Json, other: Pod, subject: Pod) -> bool:
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], ip_address(other.address)
        excepted = any(address in ip_network(cidr) for cidr in block.get("except", ()))
        return address in ip_network(block["cidr"]) and not excepted
    if "namespaceSelector" in peer:
        own = {"kubernetes.io/metadata.name": other.namespace}
        at_home = _matches(peer["namespaceSelector"], own)
    else:
        at_home = other.namespace == subject.namespace
    return bool(other.namespace) and at_home and _matches(peer.get("podSelector", {}), other.labels)


def _matches(selector: Json, labels: Mapping[str, str]) -> bool:
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )
