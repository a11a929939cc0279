"""What Vault's Kubernetes login needs of a cluster: ServiceAccount tokens, and somebody to ask.

Tokens are made here for whichever account the object names and told apart by their random last
part; Vault asks over HTTP on 127.0.0.1 whether one is good, as it would ask an API server.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
LIFE_SECONDS = 600


@dataclass(frozen=True)
class Account:
    """Who a token speaks for, and to whom."""

    namespace: str
    name: str
    audiences: tuple[str, ...]

    @property
    def username(self) -> str:
        """As Kubernetes writes it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def uid(self) -> str:
        """The same for the same account."""
        return f"local-{self.namespace}-{self.name}"


class TokenReviewer:
    """Makes tokens and vouches for them until they end."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, tuple[Account, float]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where Vault asks."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes([web.post(PATH, self._review)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self.port = choose_port()
        await web.TCPSite(self._runner, HOST, self.port).start()

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def token(self, namespace: str, account: str, audiences: tuple[str, ...]) -> str:
        """A token of an account; every account exists here."""
        now = self._clock()
        self._known = {t: known for t, known in self._known.items() if known[1] > now}
        who = Account(namespace, account, audiences)
        made = build_token(who, now)
        self._known[made] = (who, now + LIFE_SECONDS)
        return made

    def review(self, token: str) -> dict[str, Any]:
        """The status of a TokenReview."""
        who, ends = self._known.get(token, (None, 0.0))
        if who is None or ends <= self._clock():
            return {"authenticated": False, "error": "not a token of this machine"}
        user = {"username": who.username, "uid": who.uid, "groups": ["system:serviceaccounts"]}
        return {"authenticated": True, "user": user, "audiences": list(who.audiences)}

    async def _review(self, request: web.Request) -> web.Response:
        asked: Mapping[str, Any] = await request.json()
        token = str(asked.get("spec", {}).get("token"))
        whole = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "status": self.review(token),
        }
        return web.json_response(whole, status=201)


def build_token(who: Account, now: float) -> str:
    """Claims as in a cluster's tokens; instead of a signature, what nobody can guess."""
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": who.username,
        "aud": list(who.audiences),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + LIFE_SECONDS,
        "kubernetes.io": {
            "namespace": who.namespace,
            "serviceaccount": {"name": who.name, "uid": who.uid},
        },
    }
    parts = (json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims))
    return ".".join([*(_encode(part.encode()) for part in parts), _encode(secrets.token_bytes(32))])


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
