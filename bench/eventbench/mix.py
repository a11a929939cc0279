"""What is ordered: a Zipf mix over many products, or one hot product, as ready request bytes."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

_PICKS = 1 << 16
_CUSTOMERS = 97  # prime, so that customers and products do not walk in step

ORDERS = "/api/v1/order"
STOCK = "/api/v1/stock"
STOCK_ADD = f"{STOCK}/add"


@dataclass(frozen=True)
class Mix:
    """Request bytes, and the endless order in which they are sent."""

    requests: Sequence[bytes]
    picks: Sequence[int]

    def request(self, number: int) -> bytes:
        """The bytes of the n-th request."""
        return self.requests[self.picks[number % len(self.picks)]]


def product_name(number: int) -> str:
    """The n-th product; names are as long as real ones."""
    return f"bench-product-{number:06d}"


def zipf_picks(products: int, exponent: float, seed: int) -> list[int]:
    """Product numbers, the k-th as often as 1/k^exponent; an exponent of 0 is uniform."""
    weights = [1 / (rank**exponent) for rank in range(1, products + 1)]
    chooser = random.Random(seed)  # repeatable, not secret
    return chooser.choices(
        range(products), cum_weights=list(itertools.accumulate(weights)), k=_PICKS
    )


def order_mix(host: str, products: int, exponent: float, seed: int = 1) -> Mix:
    """POSTs of one piece each."""
    requests = [
        post_bytes(
            host,
            ORDERS,
            {
                "product": product_name(number),
                "quantity": 1,
                "customerEmail": f"customer-{number % _CUSTOMERS}@example.com",
            },
        )
        for number in range(products)
    ]
    return Mix(requests, zipf_picks(products, exponent, seed))


def stock_mix(host: str, products: int, quantity: int) -> Mix:
    """POSTs that put every product into stock once."""
    requests = [
        post_bytes(host, STOCK_ADD, {"product": product_name(number), "quantity": quantity})
        for number in range(products)
    ]
    return Mix(requests, range(products))


def level_mix(host: str, products: int) -> Mix:
    """GETs of what is left of a product, by Zipf's law."""
    requests = [
        f"GET {STOCK}/{product_name(number)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for number in range(products)
    ]
    return Mix(requests, zipf_picks(products, 1.0, seed=1))


def lookup_mix(host: str, identifiers: Sequence[str]) -> Mix:
    """GETs of orders, one after the other."""
    requests = [
        f"GET {ORDERS}/{identifier} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for identifier in identifiers
    ]
    return Mix(requests, range(len(requests)))


def post_bytes(host: str, path: str, body: dict[str, object]) -> bytes:
    """One POST with keep-alive, as it goes over the wire."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: eventbench\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
