"""Which tokens count, and that their issuer is asked for keys seldom."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.errors import Unavailable
from eventbus.web.auth import InvalidToken
from eventbus.web.keys import FRESH_SECONDS, PAUSE_SECONDS, RETRY_SECONDS, KeySet, UnknownKey
from eventbus.web.tokens import TokenVerifier
from servers.issuer import AUDIENCE, ISSUER, SigningKey

RSA, EC, ED = SigningKey("rsa"), SigningKey("ec", "ES256"), SigningKey("ed", "EdDSA")
OTHER = SigningKey("rsa")
SHARED = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"s" * 32).decode()}
PUBLISHED = orjson.dumps({"keys": [SHARED, RSA.public, EC.public, ED.public]})


class Source:
    """What the issuer answers, at a time that the test sets."""

    def __init__(self, document: bytes = PUBLISHED) -> None:
        self.document: bytes | Exception = document
        self.asked = 0
        self.now = 1000.0

    def fetch(self, _url: str) -> bytes:
        self.asked += 1
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    def build(self) -> KeySet:
        return KeySet("http://issuer/jwks", self.fetch, lambda: self.now)


@pytest.fixture
def source() -> Source:
    return Source()


VERIFIER = TokenVerifier(ISSUER, AUDIENCE, Source().build())


def encode(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def sign_by_hand(header: object, key: bytes) -> str:
    """What a library would refuse to make."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, "roles": ["admin"]}
    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_good_token_counts(key: SigningKey) -> None:
    assert VERIFIER.verify(key.sign(sub="ada"))["sub"] == "ada"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (lambda: RSA.sign(exp=int(time.time()) - 60), "expired"),
        (lambda: RSA.sign(exp=None), "not valid"),
        (lambda: RSA.sign(aud="bank"), "another audience"),
        (lambda: RSA.sign(aud=None), "not valid"),
        (lambda: RSA.sign(iss="https://login.test/realms/bank"), "not valid"),
        (lambda: RSA.sign(iss=None), "not valid"),
        (lambda: RSA.sign(nbf=int(time.time()) + 60), "not valid"),
        (OTHER.sign, "not valid"),
        (lambda: RSA.sign({"kid": "nobody"}), "not valid"),
        (lambda: RSA.sign({"crit": ["exp"]}), "not valid"),
        (lambda: "not.a.token", "not valid"),
        (lambda: "", "not valid"),
        (lambda: "é.é.é", "not valid"),
        (lambda: RSA.sign(pad="x" * 20_000), "too long"),
    ],
)
def test_any_other_does_not(token: Callable[[], str], words: str) -> None:
    with pytest.raises(InvalidToken, match=words):
        VERIFIER.verify(token())


def public_halves() -> list[bytes]:
    """What a forger knows: any of it might be taken for a shared secret."""
    return [b"", PUBLISHED, b"s" * 32, *(orjson.dumps(key.public) for key in (RSA, EC, ED))]


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed", "shared", "", None])
@pytest.mark.parametrize("secret", public_halves())
def test_no_token_chooses_how_it_is_checked(kid: str | None, secret: bytes) -> None:
    for algorithm in ("HS256", "none", "None", "RS256", ""):
        header = {"alg": algorithm, "typ": "JWT", **({} if kid is None else {"kid": kid})}
        forged = sign_by_hand(header, secret)
        for token in (forged, forged.rpartition(".")[0] + "."):
            with pytest.raises(InvalidToken):
                VERIFIER.verify(token)


@given(st.data())
def test_a_token_of_which_anything_was_changed_does_not_count(data: st.DataObject) -> None:
    parts = [bytearray(_decode(part)) for part in RSA.sign(roles=["clerk"]).split(".")]
    part = parts[data.draw(st.integers(0, 2))]
    at = data.draw(st.integers(0, len(part) - 1))
    part[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidToken):
        VERIFIER.verify(".".join(encode(bytes(part)) for part in parts))


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_keys_are_fetched_once(source: Source) -> None:
    keys = source.build()
    for name in ("rsa", "ec", "rsa"):
        keys.find(name)
    assert source.asked == 1


def test_unknown_keys_cost_one_look_in_a_while(source: Source) -> None:
    keys = source.build()
    keys.find("rsa")
    for number in range(100):
        with pytest.raises(UnknownKey):
            keys.find(f"made-up-{number}")
    assert source.asked == 1
    source.now += PAUSE_SECONDS
    for number in range(100):
        with pytest.raises(UnknownKey):
            keys.find(f"made-up-{number}")
    assert source.asked == 2


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(source: Source) -> None:
    keys = source.build()
    keys.find("rsa")
    source.document = orjson.dumps({"keys": [EC.public]})
    source.now += FRESH_SECONDS + 1
    with pytest.raises(UnknownKey):
        keys.find("rsa")
    assert keys.find("").algorithms == {"ES256"}  # the only one there is


def test_an_issuer_that_is_away_changes_nothing_for_known_keys(source: Source) -> None:
    keys = source.build()
    keys.find("rsa")
    source.document = OSError("connection refused")
    source.now += 10 * FRESH_SECONDS
    assert keys.find("rsa").algorithms >= {"RS256"}
    assert source.asked == 2


@pytest.mark.parametrize(
    "document", [OSError("away"), b"", b"<html>", b"[]", b"{}", b'{"keys": [1]}', b'{"keys": []}']
)
def test_without_any_key_the_service_is_unavailable_and_recovers(
    source: Source, document: Any
) -> None:
    source.document = document
    keys = source.build()
    for _ in range(10):
        with pytest.raises(Unavailable):
            keys.find("rsa")
    assert source.asked == 1
    source.document = PUBLISHED
    source.now += RETRY_SECONDS
    assert keys.find("rsa")


def test_keys_of_no_use_do_not_keep_others_from_being_used() -> None:
    broken = {"kty": "RSA", "kid": "broken", "n": "?", "e": "?"}
    encrypting = {**RSA.public, "kid": "encrypting", "use": "enc"}
    wrong = {**RSA.public, "kid": "wrong", "alg": "HS256"}
    listed = [broken, encrypting, wrong, {**RSA.public, "alg": "PS256"}, SHARED]
    keys = Source(orjson.dumps({"keys": listed})).build()
    assert keys.find("rsa").algorithms == {"PS256"}
    for name in ("broken", "encrypting", "wrong", "shared"):
        with pytest.raises(UnknownKey):
            keys.find(name)
