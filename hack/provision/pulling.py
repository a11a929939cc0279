"""Which way an image comes: found, pulled if a registry answers, otherwise to be built."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field

from provision.backing import NODE, BackingImage
from provision.docker import image_id

ANSWER_SECONDS = 20.0


def registry_prefix() -> str:
    """REGISTRY, without a slash at its end."""
    return os.environ.get("REGISTRY", "").rstrip("/")


def prefixed(name: str, prefix: str | None = None) -> str:
    """An image's name in REGISTRY, or unchanged without one."""
    registry = registry_prefix() if prefix is None else prefix
    return f"{registry}/{name}" if registry else name


def host_of(name: str) -> str:
    """The registry that an image name speaks of."""
    first = name.split("/", maxsplit=1)[0]
    is_host = "/" in name and ("." in first or ":" in first or first == "localhost")
    return first if is_host else "docker.io"


def remote_names(image: BackingImage, prefix: str) -> tuple[str, ...]:
    """What to ask a registry for, best first.

    A registry of one's own may hold the node that was built here, which no upstream has.
    """
    names = (image.built_name(), image.upstream) if image.name == NODE else (image.upstream,)
    return tuple(f"{prefix}/{name}" for name in names) if prefix else (image.upstream,)


@dataclass
class Outcome:
    """How a pull ended."""

    pulled: bool
    reason: str


@dataclass
class Puller:
    """Pulls images; a registry that once did not answer is not asked again."""

    silent: dict[str, str] = field(default_factory=dict)

    def pull(self, name: str) -> Outcome:
        """Tries; the reason says why not, in a few words."""
        host = host_of(name)
        if host in self.silent:
            return Outcome(pulled=False, reason=self.silent[host])
        answered, status, said = _run_pull(name)
        if status == 0:
            return Outcome(pulled=True, reason=f"{host} has it")
        if not answered:
            self.silent[host] = f"{host} does not answer ({_shorten(said)})"
            return Outcome(pulled=False, reason=self.silent[host])
        return Outcome(pulled=False, reason=f"{host} does not have it ({_shorten(said)})")


def _run_pull(name: str) -> tuple[bool, int, str]:
    """Whether the registry answered, docker's exit status, and the last thing said."""
    process = subprocess.Popen(
        ["docker", "pull", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []

    def read() -> None:
        lines.extend(line.strip() for line in process.stdout or ())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + ANSWER_SECONDS
    # docker says "Pulling from" once the registry has sent the manifest; from then on it may take
    # as long as it takes.
    while process.poll() is None and not _answered(lines):
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return False, 1, f"nothing within {ANSWER_SECONDS:.0f} s"
        time.sleep(0.05)
    status = process.wait()
    reader.join(timeout=5)
    said = lines[-1] if lines else ""
    return _answered(lines) or _knows_no_such_image(said), status, said


def _answered(lines: list[str]) -> bool:
    return any("Pulling from" in line for line in lines)


def _knows_no_such_image(said: str) -> bool:
    return any(text in said for text in ("manifest", "not found", "access denied", "unauthorized"))


def _shorten(said: str) -> str:
    text = said.removeprefix("Error response from daemon: ")
    return text if len(text) <= 70 else text[:30] + " … " + text[-38:]


def find_local(image: BackingImage) -> str | None:
    """The name under which the image is here already, if it is."""
    prefix = registry_prefix()
    names = remote_names(image, prefix) if image.upstream else ()
    # Without REGISTRY what was built here is as good as what was pulled.
    candidates = names if prefix else (*names, image.built_name())
    return next((name for name in candidates if image_id(name) is not None), None)
