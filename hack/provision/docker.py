"""The Docker engine: found, or installed and started; and the few things asked of it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from provision.cache import cache_root
from provision.commands import ProvisionError, capture, succeeds, tail
from provision.console import CONSOLE
from provision.machine import (
    CAP_SYS_RESOURCE,
    cgroup_version,
    has_systemd,
    install_packages,
    is_root,
    lacks_capability,
)

BUILT_LABEL = "dev.eventpipeline.built"
WRAPPER = Path("/usr/local/sbin/runc-without-sys-resource")
SETTINGS = Path("/etc/docker/daemon.json")
START_SECONDS = 90

# Strips the capability from what runc is told, because asking for it fails where the machine
# itself can never have it.
WRAPPER_SOURCE = """#!{python} -I
import json, os, sys

GONE = "CAP_SYS_RESOURCE"


def strip(path, *keys):
    with open(path) as file:
        document = json.load(file)
    holder = document
    for key in keys:
        holder = holder.get(key) or {{}}
    for kind, names in holder.items():
        holder[kind] = [name for name in names or [] if name != GONE]
    with open(path, "w") as file:
        json.dump(document, file)


arguments = sys.argv[1:]
for position, argument in enumerate(arguments):
    name, _, value = argument.partition("=")
    value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
    if name in ("--bundle", "-b"):
        strip(os.path.join(value, "config.json"), "process", "capabilities")
    elif name in ("--process", "-p"):
        strip(value, "capabilities")
os.execv("{runc}", ["runc", *arguments])
"""


def ensure_engine() -> str:
    """A Docker engine that answers."""
    if engine_answers():
        return f"found, version {_version()}"
    if not is_root():
        raise ProvisionError(
            "no Docker engine answers: start yours, or run this as root to have Debian's installed"
        )
    installed = _find_daemon() is None
    if installed:
        install_packages(("docker.io",), "the Docker engine")
    _allow_missing_capability()
    _start_daemon()
    return f"{'installed and started' if installed else 'started'}, version {_version()}"


def image_id(name: str) -> str | None:
    """The id of a local image, if it is there."""
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def image_label(name: str, label: str) -> str:
    """The value of an image's label, empty if it has none."""
    template = '{{index .Config.Labels "' + label + '"}}'
    return capture(["docker", "image", "inspect", "--format", template, name]).strip()


def tag_image(name: str, alias: str) -> None:
    """A second name for an image."""
    capture(["docker", "tag", name, alias])


def remove_built_images() -> int:
    """Removes the images that were built here, known by their label."""
    listing = capture(["docker", "images", "-q", "--filter", f"label={BUILT_LABEL}=true"])
    ids = sorted(set(listing.split()))
    if ids:
        subprocess.run(["docker", "rmi", "-f", *ids], capture_output=True, check=False)
    return len(ids)


def engine_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    return succeeds(["docker", "info"], timeout=20)


def _version() -> str:
    return capture(["docker", "version", "--format", "{{.Server.Version}}"]).strip()


def _find_daemon() -> str | None:
    return shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/usr/local/bin")


def _allow_missing_capability() -> None:
    if not lacks_capability(CAP_SYS_RESOURCE):
        return
    settings = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
    runc = shutil.which("runc") or "/usr/sbin/runc"
    python = shutil.which("python3", path="/usr/bin:/bin") or shutil.which("python3")
    source = WRAPPER_SOURCE.format(python=python, runc=runc)
    name = WRAPPER.name
    if settings.get("default-runtime") == name and WRAPPER.exists():
        if WRAPPER.read_text() == source:
            return
    elif settings.get("default-runtime"):
        return
    CONSOLE.say(
        f"! this machine: CAP_SYS_RESOURCE can never be had here, so {SETTINGS} gets a default "
        f"runtime that does without: {WRAPPER}"
    )
    WRAPPER.parent.mkdir(parents=True, exist_ok=True)
    WRAPPER.write_text(source)
    WRAPPER.chmod(0o755)
    settings.setdefault("runtimes", {})[name] = {"path": str(WRAPPER)}
    settings["default-runtime"] = name
    SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    SETTINGS.write_text(json.dumps(settings, indent=2) + "\n")


def _start_daemon() -> None:
    CONSOLE.say("! this machine: starting the Docker engine")
    log = cache_root() / "logs" / "dockerd.log"
    daemon: subprocess.Popen[bytes] | None = None
    if has_systemd():
        capture(["systemctl", "start", "docker"])
    else:
        _mount_cgroups()
        daemon = _spawn_daemon(log)
    deadline = time.monotonic() + START_SECONDS
    while not engine_answers():
        if time.monotonic() > deadline:
            raise ProvisionError(
                f"the Docker engine did not answer within {START_SECONDS} s; the end of {log}:\n"
                + tail(log, 15)
            )
        time.sleep(0.5)
        if daemon is not None and daemon.poll() is not None:
            # It refuses to start beside one that is still about to end.
            daemon = _spawn_daemon(log)


def _spawn_daemon(log: Path) -> subprocess.Popen[bytes]:
    _remove_stale_pid_files()
    log.parent.mkdir(parents=True, exist_ok=True)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    with log.open("ab") as output:
        return subprocess.Popen(
            [_find_daemon() or "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": path},
            cwd="/",
            start_new_session=True,
        )


def _remove_stale_pid_files() -> None:
    for file in (Path("/run/docker.pid"), Path("/run/docker/containerd/containerd.pid")):
        try:
            pid = int(file.read_text())
            command = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            command = ""
        if command not in ("dockerd", "containerd"):
            file.unlink(missing_ok=True)


def _mount_cgroups() -> None:
    root = Path("/sys/fs/cgroup")
    if cgroup_version() == 2 or any(root.iterdir() if root.exists() else ()):
        return
    CONSOLE.say(f"! this machine: mounting the control groups at {root}")
    capture(["mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", root])
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, _, _, enabled = line.split()
        if enabled == "1":
            (root / controller).mkdir()
            succeeds(["mount", "-t", "cgroup", "-o", controller, controller, root / controller])
