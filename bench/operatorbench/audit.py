"""Counts what the operator asked for, from the logs of those whom it asked. Pure but for reading.

The operator's own metrics are not trusted for this: the API server and Vault write down every
request that they get.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# Allowed at rest, each counted.
EXCEPTED = {"leases": "lease", "serviceaccounts/token": "token_request"}
# Where a renewed token or lease is written down.
JOURNALS = "eventpipeline-journal-"
VAULT_RECORDS = "eventpipeline-vault-"
VAULT_WRITES = frozenset({"create", "update", "patch", "delete"})
VAULT_EXCEPTED = {"login": "login", "auth/token/renew-self": "token_renewal"} | {
    "sys/leases/renew": "lease_renewal"
}


class LogTail:
    """The lines that a log has got since they were last asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[str]:
        """New lines, whole ones only."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        return text.decode().splitlines()


@dataclass
class KubernetesRequests:
    """Requests of the operator to the API server."""

    writes: Counter[str] = field(default_factory=Counter)
    excepted: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    written: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def most(self, *resources: str) -> int:
        """The most writes that one object of these kinds got."""
        return max((n for (kind, _, _), n in self.written.items() if kind in resources), default=0)

    def most_but(self, *resources: str) -> int:
        """The most writes that one object of all other kinds got."""
        found = (n for (kind, _, _), n in self.written.items() if kind not in resources)
        return max(found, default=0)


def count_kubernetes(lines: Iterable[str]) -> KubernetesRequests:
    """Count all attempts, also those that failed."""
    counted = KubernetesRequests()
    for line in lines:
        event = json.loads(line)
        about = event.get("objectRef") or {}
        name, namespace = about.get("name", ""), about.get("namespace", "")
        kind = about.get("resource", "")
        kind += f"/{about['subresource']}" if about.get("subresource") else ""
        if event["verb"] not in WRITES:
            counted.reads[f"{event['verb']} {kind}"] += 1
        elif kind in EXCEPTED:
            counted.excepted[EXCEPTED[kind]] += 1
        elif name.startswith(VAULT_RECORDS):
            counted.excepted["vault_record"] += 1
        else:
            counted.writes[f"{event['verb']} {kind}"] += 1
            if not name.startswith(JOURNALS):  # many objects share one
                counted.written[kind, namespace, name] += 1
    return counted


@dataclass
class VaultRequests:
    """Requests of the operator to Vault."""

    writes: Counter[str] = field(default_factory=Counter)
    excepted: Counter[str] = field(default_factory=Counter)
    paths_read: Counter[str] = field(default_factory=Counter)

    def add(self, later: "VaultRequests") -> None:
        """Take in what came later."""
        self.writes.update(later.writes)
        self.excepted.update(later.excepted)
        self.paths_read.update(later.paths_read)


def count_vault(lines: Iterable[str]) -> VaultRequests:
    """Count everything but what root asked."""
    counted = VaultRequests()
    for path, operation in _vault_requests(lines):
        name = "login" if path.endswith("/login") else path
        if operation not in VAULT_WRITES:
            counted.paths_read[path] += 1
        elif name in VAULT_EXCEPTED:
            counted.excepted[VAULT_EXCEPTED[name]] += 1
        else:
            counted.writes[f"{operation} {path}"] += 1
    return counted


def _vault_requests(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        entry = json.loads(line)
        if entry["type"] != "response" or entry.get("auth", {}).get("display_name") == "root":
            continue
        if "root" in (entry.get("auth", {}).get("token_policies") or ()):
            continue
        yield entry["request"]["path"], entry["request"]["operation"]
