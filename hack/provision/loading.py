"""Brings images into the node: one archive for all that are missing, so shared layers go once."""

import json
import subprocess

from provision.commands import ProvisionError, capture
from provision.docker import image_id
from provision.kindcluster import NODE

# In the node itself, so that it vanishes together with what it speaks of.
RECORD = "/kind/loaded-images.json"


def missing_images(
    wanted: dict[str, str | None], loaded: dict[str, str], present: set[str]
) -> list[str]:
    """Those that the node lacks or has with another content."""
    return [
        name
        for name, identity in wanted.items()
        if loaded.get(name) != identity or qualified(name) not in present
    ]


def qualified(name: str) -> str:
    """As containerd calls it: `traefik:v3` is docker.io/library/traefik:v3."""
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    is_host = "." in first or ":" in first or first == "localhost"
    return name if is_host else f"docker.io/{name}"


def load_images(names: list[str]) -> int:
    """Loads what is missing; answers how many that were."""
    wanted = {name: image_id(name) for name in names}
    present = capture(["docker", "exec", NODE, "ctr", "-n", "k8s.io", "images", "ls", "-q"])
    missing = missing_images(wanted, _read_record(), set(present.split()))
    if missing:
        _import(missing)
        record = _read_record() | {name: str(wanted[name]) for name in missing}
        _write_record(record)
    return len(missing)


def _import(names: list[str]) -> None:
    saving = subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE)
    into = ["docker", "exec", "-i", NODE, "ctr", "-n", "k8s.io", "images", "import", "-"]
    done = subprocess.run(into, stdin=saving.stdout, capture_output=True, text=True, check=False)
    if saving.stdout:
        saving.stdout.close()
    if saving.wait() != 0 or done.returncode != 0:
        raise ProvisionError(f"loading images into the node failed: {done.stderr.strip()[-600:]}")


def _read_record() -> dict[str, str]:
    command = ["docker", "exec", NODE, "cat", RECORD]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {}
    record: dict[str, str] = json.loads(done.stdout)
    return record


def _write_record(record: dict[str, str]) -> None:
    command = ["docker", "exec", "-i", NODE, "tee", RECORD]
    text = json.dumps(record)
    subprocess.run(command, input=text, capture_output=True, text=True, check=True)
