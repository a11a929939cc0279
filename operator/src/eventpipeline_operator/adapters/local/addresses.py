"""An object as it is meant for a cluster → the same with addresses of this machine. Pure."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eventpipeline_operator.adapters.local.devfile import Address, Stand

Json = dict[str, Any]
CLUSTER_HOST = re.compile(r"(?P<host>[a-z0-9.-]+\.svc(?:\.cluster\.local)?)(?![\w.-])(?::\d+)?")


@dataclass(frozen=True)
class Local:
    """What the addresses of an object become: a place here, or nothing."""

    places: Mapping[Address, Address]
    off: frozenset[Address]
    entry_port: int
    embedded_kafka: frozenset[Address] = frozenset()

    @classmethod
    def of(
        cls, addresses: Mapping[Address, Stand], servers: Mapping[Stand, Address], entry_port: int
    ) -> "Local":
        """From what dev.yaml says and where the servers listen."""
        return cls(
            places={a: servers[stand] for a, stand in addresses.items() if stand in servers},
            off=frozenset(a for a, stand in addresses.items() if stand is Stand.OFF),
            entry_port=entry_port,
            embedded_kafka=frozenset(a for a, s in addresses.items() if s is Stand.KAFKA),
        )


def localise(body: Mapping[str, Any], local: Local) -> Json:
    """The object with every known address replaced, and without what only a cluster can do."""
    spec = dict(body["spec"])
    endpoint = str((spec.get("tracing") or {}).get("endpoint", ""))
    if any(_names(endpoint, address) for address in local.off):
        del spec["tracing"]
    kafka = spec.get("kafka") or {}
    left_out = {"users"}  # what one machine's programs may do, nobody guards
    if any(_names(str(kafka.get("bootstrapServers")), a) for a in local.embedded_kafka):
        left_out |= {"client"}
    if kafka:
        spec["kafka"] = {k: v for k, v in kafka.items() if k not in left_out}
    if spec.get("ingress"):
        spec["ingress"] = {"host": f"{_site(spec['ingress'], body)}:{local.entry_port}"}
    here = _replaced(spec, local)
    if spec.get("vault"):  # its leases are known by this address, wherever it listens
        here["vault"] = spec["vault"]
    return {**body, "spec": here}


def find_strangers(body: Mapping[str, Any], known: Collection[str] = ()) -> list[str]:
    """Addresses of a cluster that are left in an object, but for known hosts: nothing answers."""
    hits = (hit for text in _texts(body["spec"]) for hit in CLUSTER_HOST.finditer(text))
    return sorted({hit.group() for hit in hits if hit.group("host") not in known})


def _site(ingress: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A host that resolves to this machine in every browser."""
    host = str(ingress.get("host") or "localhost")
    local = host == "localhost" or host.endswith(".localhost")
    return host if local else f"{body['metadata']['name']}.localhost"


def _replaced(value: Any, local: Local) -> Any:
    match value:
        case str():
            return _in_text(value, local)
        case list():
            return [_replaced(item, local) for item in value]
        case dict():
            apart = dict(_side_by_side(value, local))
            return {k: apart.get(k) or _replaced(v, local) for k, v in value.items()}
        case _:
            return value


def _side_by_side(mapping: Mapping[str, Any], local: Local) -> Iterator[tuple[str, str]]:
    """Host and port as two values of one mapping, as many settings have them."""
    for key, host in mapping.items():
        for address, place in local.places.items():
            ports = [k for k, v in mapping.items() if str(v) == str(address.port)]
            if host == address.host and ports:
                yield key, place.host
                yield from ((port, str(place.port)) for port in ports)


def _in_text(text: str, local: Local) -> str:
    for address, place in local.places.items():
        text = _pattern(address).sub(_to(place), text)
    return text


def _to(place: Address) -> Callable[[re.Match[str]], str]:
    return lambda _: f"{place.host}:{place.port}"


def _pattern(address: Address) -> re.Pattern[str]:
    """host:port, or a host that ends the authority of a URL and leaves the port unsaid."""
    host = re.escape(address.host)
    return re.compile(rf"(?<![\w.-]){host}:{address.port}(?!\d)|(?<=[/@]){host}(?=[/?]|$)")


def _names(text: str, address: Address) -> bool:
    return bool(_pattern(address).search(text))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
