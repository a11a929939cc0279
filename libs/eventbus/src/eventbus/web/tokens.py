"""JSON Web Tokens of one issuer for one audience. Loaded only where tokens are asked for."""

from collections.abc import Mapping
from typing import Any

import jwt

from eventbus.web.auth import InvalidToken
from eventbus.web.keys import KeySet, UnknownKey

REQUIRED = ["exp", "iss", "aud"]
MOST_CHARACTERS = 16 * 1024


class TokenVerifier:
    """Checks signature, issuer, audience and times; the algorithm is the key's, not the token's."""

    def __init__(self, issuer: str, audience: str, keys: KeySet | str, leeway: float = 0.0) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = KeySet(keys) if isinstance(keys, str) else keys
        self._leeway = leeway

    def verify(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that counts."""
        try:
            return self._decode(token)
        except jwt.ExpiredSignatureError:
            raise InvalidToken("The token has expired.") from None
        except jwt.InvalidAudienceError:
            raise InvalidToken("The token is for another audience.") from None
        except (jwt.PyJWTError, UnknownKey, ValueError, TypeError):
            raise InvalidToken("The token is not valid.") from None

    def _decode(self, token: str) -> Mapping[str, Any]:
        if len(token) > MOST_CHARACTERS:
            raise InvalidToken("The token is too long.")
        header = jwt.get_unverified_header(token)
        key = self._keys.find(str(header.get("kid", "")))
        claims: dict[str, Any] = jwt.decode(
            token,
            key.material,
            algorithms=sorted(key.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"require": REQUIRED},
        )
        return claims
