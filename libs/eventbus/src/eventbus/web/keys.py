"""The public keys of an issuer (JWKS): fetched when needed, and again when a token names a new one.

A key that nobody knows costs a look at most every few seconds, however many tokens name it; an
issuer that is away changes nothing for keys that are known. Loaded only where tokens are asked for.
"""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jwt
import orjson

from eventbus.errors import Unavailable

FETCH_SECONDS = 3.0
FRESH_SECONDS = 600.0  # how long a key that the issuer has withdrawn may still count
PAUSE_SECONDS = 10.0
RETRY_SECONDS = 1.0
MOST_BYTES = 1 << 20

_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})


class UnknownKey(Exception):  # named for what the token has
    """The issuer has no such key."""


@dataclass(frozen=True)
class Key:
    """A public key, and the algorithms that may be used with it: never one that a token chooses."""

    material: Any
    algorithms: frozenset[str]


def fetch(url: str) -> bytes:
    """The document as it is now."""
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - settings look
        content: bytes = answer.read(MOST_BYTES)
        return content


class KeySet:
    """The keys by their ids; safe to use from many threads."""

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, Key] = {}
        self._fetched = self._tried = float("-inf")

    def find(self, name: str) -> Key:
        """The key of that id; an unnamed one where there is only one."""
        if self._keys and self._clock() - self._fetched > FRESH_SECONDS:
            self._refresh(wait=False)
        key = self._get(name)
        if key is None:
            self._refresh(wait=True)
            key = self._get(name)
        if key is not None:
            return key
        if not self._keys:
            raise Unavailable(f"the keys at {self._url} cannot be had")
        raise UnknownKey

    def _get(self, name: str) -> Key | None:
        if not name and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name)

    def _refresh(self, *, wait: bool) -> None:
        if not self._lock.acquire(timeout=FETCH_SECONDS if wait else 0):
            return
        try:
            pause = PAUSE_SECONDS if self._keys else RETRY_SECONDS
            if self._clock() - self._tried < pause:
                return
            self._tried = self._clock()
            self._keys = _read(self._fetch(self._url))
            self._fetched = self._clock()
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return  # away, or no JWKS: those that are known still count
        finally:
            self._lock.release()


def _read(document: bytes) -> dict[str, Key]:
    """Keys that cannot be used do not keep others from being used."""
    found: dict[str, Key] = {}
    for entry in orjson.loads(document)["keys"]:
        algorithms = _algorithms(entry)
        if algorithms and entry.get("use", "sig") == "sig":
            with suppress(jwt.PyJWTError, LookupError):
                found[str(entry.get("kid", ""))] = Key(jwt.PyJWK(entry).key, algorithms)
    return found


def _algorithms(entry: Mapping[str, Any]) -> frozenset[str]:
    """Of public keys alone: a shared secret would let every service sign as the issuer."""
    match entry.get("kty"):
        case "RSA":
            able = _RSA
        case "EC":
            able = frozenset(filter(None, [_BY_CURVE.get(entry.get("crv", ""))]))
        case "OKP":
            able = frozenset({"EdDSA"})
        case _:
            able = frozenset()
    return able & {entry["alg"]} if "alg" in entry else able
