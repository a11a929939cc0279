"""Texts that name something to connect to → Endpoint: host:port, CIDR:port, a URL."""

from ipaddress import ip_network
from urllib.parse import urlsplit

from eventpipeline_operator.api.types import Endpoint

DEFAULT_PORTS = {"http": 80, "https": 443}
LAST_PORT = 65535


def parse_endpoint(text: str) -> Endpoint:
    """host:port or CIDR:port; an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    return Endpoint(host.removeprefix("[").removesuffix("]"), int(port))


def parse_url(url: str) -> Endpoint:
    """Where a URL leads."""
    parts = urlsplit(url)
    return Endpoint(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


def is_possible(endpoint: Endpoint) -> bool:
    """Whether there can be such a port at such addresses."""
    numeric = "/" in endpoint.host or ":" in endpoint.host
    return 0 < endpoint.port <= LAST_PORT and (not numeric or is_network(endpoint.host))


def is_network(text: str) -> bool:
    """Whether a text is an address or a CIDR without bits beyond its mask."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
