"""Workload record → how its processes are started on this machine. Pure.

What a container would be told is told in the same variables; what only a cluster has is replaced
by what there is here: a port, the files of a secret where they lie, addresses of other services.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from eventpipeline_operator.adapters.local.devfile import Program
from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import EventPipeline, Key, Probes
from eventpipeline_operator.desired.records import SecretReference, WorkloadRecord

SECRETS_ROOT = "/var/run/secrets/eventpipeline"
INHERITED = frozenset({
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE",
})  # fmt: skip

Addresses = Mapping[str, str]


@dataclass(frozen=True)
class Delivered:
    """A delivered secret as files of this machine."""

    reference: SecretReference
    directory: Path
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Launch:
    """Everything that starts a process, but what each has for itself: its name and its port."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    env: Mapping[str, str] = field(repr=False)
    secrets: frozenset[str]
    port_variable: str | None
    declared_port: int | None
    probes: Probes
    drain_seconds: int
    revision: str

    def environment(self, pod: str, port: int | None) -> dict[str, str]:
        """The variables of one process."""
        own = {self.port_variable: str(port)} if self.port_variable and port else {}
        return {**self.env, "POD_NAME": pod, **own}

    def probe_port(self, port: int | None) -> int | None:
        """Where to ask: the port that was chosen, unless the probes name quite another."""
        if self.probes.port in (None, self.declared_port):
            return port
        return self.probes.port


def build_launch(
    key: Key,
    record: WorkloadRecord,
    program: Program,
    delivered: tuple[Delivered, ...],
    stamp: str,
    addresses: Addresses,
) -> Launch:
    """How a workload is started; its revision changes exactly when that does, or its code."""
    here = {f"{SECRETS_ROOT}/{d.reference.entry}": str(d.directory) for d in delivered}
    public = {
        **program.environment,
        **{k: _here(addresses.get(v, v), here) for k, v in record.env.items()},
    }
    command = record.command or program.command
    launch = Launch(
        name=record.name,
        argv=tuple(_here(part, here) for part in (*command, *record.args)),
        directory=program.directory,
        env=public,
        secrets=frozenset(secret_name(key, d.reference) for d in delivered),
        port_variable="PORT" if record.port else "METRICS_PORT" if record.metrics_port else None,
        declared_port=record.port or record.metrics_port,
        probes=record.probes,
        drain_seconds=record.drain_seconds,
        revision="",
    )
    confidential = {name: d.values[name] for d in delivered for name in d.reference.env}
    return replace(launch, env={**public, **confidential}, revision=_revision(launch, stamp))


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process has from its machine, as a container has from its image."""
    return {name: value for name, value in environ.items() if name in INHERITED}


def service_addresses(pipeline: EventPipeline, address_of: Callable[[str], str]) -> dict[str, str]:
    """What callers are told in a cluster → where the service is reached here."""
    return {
        f"http://{names.service_host(pipeline.key, service.name)}:{service.port}": address_of(
            service.name
        )
        for service in pipeline.services
        if service.port
    }


def secret_name(key: Key, reference: SecretReference) -> str:
    """Name of a delivered secret: a new value is a new name."""
    return names.object_name(key, reference.entry, reference.revision)


def stamp_code(program: Program) -> str:
    """What the files of a program's code look like: changes when one of them is written."""
    digest = hashlib.sha256()
    for root in program.watch:
        for path, state in sorted(_files(root)):
            digest.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\n".encode())
    return digest.hexdigest()[:12]


def _files(root: Path) -> list[tuple[str, os.stat_result]]:
    if root.is_file():
        return [(str(root), root.stat())]
    found = []
    for directory, children, files in os.walk(root):
        children[:] = [c for c in children if not c.startswith((".", "__pycache__"))]
        for name in files:
            path = Path(directory, name)
            if not name.startswith(".") and path.exists():
                found.append((str(path), path.stat()))
    return found


def _here(text: str, moved: Mapping[str, str]) -> str:
    for path, local in moved.items():
        text = text.replace(path, local)
    return text


def _revision(launch: Launch, stamp: str) -> str:
    """Secrets count by their names, which change with their values."""
    parts = [
        list(launch.argv), str(launch.directory), dict(launch.env), sorted(launch.secrets),
        launch.port_variable, launch.drain_seconds, repr(launch.probes), stamp,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]
