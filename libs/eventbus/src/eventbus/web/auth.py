"""Who may call an operation: bearer tokens of an OpenID Connect issuer, roles per operation.

Off unless `AUTH_ISSUER` is set; PyJWT and its cryptography are loaded only then. Neither a token
nor a claim is ever logged, and an answer says no more than a client needs to mend its request.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from eventbus.settings import ServiceSettings, SettingsError
from eventbus.web.problems import Problem

LEEWAY_SECONDS = 30
PUBLIC = "public"
EVERY_OTHER = "*"

Roles = frozenset[str]


class Verifier(Protocol):
    """Tells good tokens from others."""

    def verify(self, token: str) -> Mapping[str, Any]:
        """The claims; raises `InvalidToken`."""
        ...


class InvalidToken(Exception):  # named for what the client sent
    """The token does not count; the text may be told to the client."""


class Guard:
    """Admits a request, or raises the problem to answer with."""

    def __init__(self, verifier: Verifier, demands: Mapping[str, Roles | None], claim: str) -> None:
        self._verifier = verifier
        self._demands = dict(demands)
        self._claim = claim
        self._unused = self._demands.keys() - {EVERY_OTHER}

    def demand(self, operation: str) -> Roles | None:
        """Which roles an operation (`GET /path`) asks for; none: any token; None: not even that."""
        self._unused -= {operation}
        return self._demands.get(operation, self._demands.get(EVERY_OTHER, frozenset()))

    def check_complete(self) -> None:
        """A role for an operation that there is not is a mistake that would leave another open."""
        if self._unused:
            raise SettingsError(f"AUTH_ROLES: there is no {', '.join(sorted(self._unused))}")

    def admit(self, roles: Roles, authorization: str | None) -> None:
        """Return where the header holds a good token with one of the roles."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _refusal(401, "This needs a bearer token.")
        try:
            claims = self._verifier.verify(token.strip())
        except InvalidToken as error:
            raise _refusal(401, str(error), "invalid_token") from None
        if roles and not roles & read_roles(claims, self._claim):
            raise _refusal(403, "The token has none of the roles for this.", "insufficient_scope")


def build_guard(settings: ServiceSettings) -> Guard | None:
    """As the environment says; None where it names no issuer."""
    if not settings.auth_issuer:
        return None
    from eventbus.web.tokens import TokenVerifier  # noqa: PLC0415  # loads PyJWT

    verifier = TokenVerifier(
        settings.auth_issuer, settings.auth_audience, settings.auth_jwks_url, LEEWAY_SECONDS
    )
    return Guard(verifier, read_demands(settings.auth_roles), settings.auth_roles_claim)


def read_demands(text: str) -> dict[str, Roles | None]:
    """`{"POST /path": ["role"], "GET /path": "public", "*": [...]}`."""
    demands: dict[str, Roles | None] = {}
    for operation, roles in json.loads(text or "{}").items():
        if roles == PUBLIC:
            demands[operation] = None
        elif isinstance(roles, list) and all(isinstance(role, str) for role in roles):
            demands[operation] = frozenset(roles)
        else:
            raise SettingsError(f'AUTH_ROLES: {operation} needs a list of roles, or "{PUBLIC}"')
    return demands


def read_roles(claims: Mapping[str, Any], claim: str) -> Roles:
    """A list, or words with spaces between; `a.b` is `b` within `a`, unless a claim is named so."""
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset(found.split())
    return frozenset(str(role) for role in found) if isinstance(found, list) else frozenset()


def _refusal(status: int, detail: str, error: str = "") -> Problem:
    """RFC 6750: without a token nothing but the scheme is told."""
    told = f'Bearer error="{error}", error_description="{detail}"' if error else "Bearer"
    return Problem(status, detail, headers={"WWW-Authenticate": told})
