"""A certificate for 127.0.0.1 that signs itself."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files: what clients trust, and key and chain for the server."""

    authority: Path
    both: Path


def write_certificate(directory: Path) -> Certificate:
    """Makes one with openssl, good for two days."""
    key, authority, both = (directory / name for name in ("key.pem", "ca.crt", "both.pem"))
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=kafka", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", key, "-out", authority,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + authority.read_text())
    return Certificate(authority, both)
