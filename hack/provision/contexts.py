"""Docker build contexts as streams: Dockerfile, files and artifacts, without copying them."""

import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from provision.commands import ProvisionError
from provision.docker import BUILT_LABEL

# One fixed time for every file, so that the same content makes the same layer.
FIXED_TIME = 1735689600


def build_image(tag: str, sources: Mapping[str, Path], arguments: Sequence[str], log: Path) -> None:
    """Builds an image from paths placed in the context under the given names."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = ["docker", "build", "--pull=false", "-q", "-t", tag]
    command += ["--label", f"{BUILT_LABEL}=true"]
    for argument in arguments:
        command += ["--build-arg", argument]
    with log.open("ab") as output:
        building = subprocess.Popen(
            [*command, "-"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
        )
        if building.stdin is None:
            raise ProvisionError("docker build takes no input")
        try:
            write_context(sources, building.stdin)
            building.stdin.close()
        except BrokenPipeError:
            pass  # docker build has ended; its log says why
        status = building.wait()
    if status != 0:
        text = log.read_text(errors="replace").splitlines()
        shown = "\n".join("  | " + line for line in text[-25:])
        raise ProvisionError(f"docker build of {tag} failed; the end of {log}:\n{shown}")


def write_context(sources: Mapping[str, Path], stream: IO[bytes]) -> None:
    """One tar stream; everything belongs to root."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, path in sources.items():
            archive.add(path, arcname=name, filter=_normalised)


def _normalised(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = FIXED_TIME
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
