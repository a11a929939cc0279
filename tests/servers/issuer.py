"""An OpenID Connect issuer as far as an API needs one: keys behind HTTP, tokens signed by them."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Json = dict[str, Any]
AUDIENCE = "shop"
ISSUER = "https://login.test/realms/shop"


class SigningKey:
    """A private key, and its public half as a JWKS has it."""

    def __init__(self, name: str, algorithm: str = "RS256") -> None:
        self.name = name
        self.algorithm = algorithm
        self.private: Any
        match algorithm:
            case "ES256":
                self.private = ec.generate_private_key(ec.SECP256R1())
                public = ECAlgorithm.to_jwk(self.private.public_key())
            case "EdDSA":
                self.private = ed25519.Ed25519PrivateKey.generate()
                public = OKPAlgorithm.to_jwk(self.private.public_key())
            case _:
                self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                public = RSAAlgorithm.to_jwk(self.private.public_key())
        self.public: Json = {**json.loads(public), "kid": name, "use": "sig"}

    def sign(self, headers: Json | None = None, **claims: Any) -> str:
        """A token that counts for five minutes, but for what is said otherwise (None: left out)."""
        known = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, **claims}
        told = {name: value for name, value in known.items() if value is not None}
        return jwt.encode(told, self.private, self.algorithm, {"kid": self.name, **(headers or {})})


class Issuer:
    """Serves the keys that it has now, and counts who asks."""

    def __init__(self) -> None:
        self.key = SigningKey("first")
        self.published = [self.key.public]
        self.requests = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # its base names it so
                issuer.requests += 1
                body = json.dumps({"keys": issuer.published}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is published no longer."""
        self.key = SigningKey(f"key-{len(self.published)}-{time.monotonic_ns()}")
        self.published = [self.key.public]

    def stop(self) -> None:
        """Be away."""
        self._server.shutdown()
        self._server.server_close()
