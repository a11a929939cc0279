"""What this machine is, and the Debian packages that a step must put on it (always announced)."""

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from provision.cache import log_file
from provision.commands import ProvisionError, run_logged
from provision.console import CONSOLE

CAP_SYS_RESOURCE = 24
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_apt = threading.Lock()
_lists_updated = False


def is_root() -> bool:
    """Whether this process may change the machine."""
    return os.geteuid() == 0


def lacks_capability(bit: int, status: str | None = None) -> bool:
    """Whether no process here can ever have this capability (the bounding set says so)."""
    text = Path("/proc/self/status").read_text() if status is None else status
    for line in text.splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) >> bit & 1
    return False


def cgroup_version() -> int:
    """2 with the unified hierarchy, else 1."""
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def has_systemd() -> bool:
    """Whether systemd runs the machine."""
    return Path("/run/systemd/system").is_dir()


def trust_environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The machine's certificate authorities, for the clients that would bring their own.

    Whatever the machine's owner has set stays.
    """
    if not CERTIFICATES.exists():
        return {}
    names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {name: str(CERTIFICATES) for name in names if name not in given}


def install_packages(packages: tuple[str, ...], reason: str) -> None:
    """Installs Debian packages on the machine, saying so first."""
    global _lists_updated  # noqa: PLW0603 - the package lists are the machine's, one per run
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ProvisionError(f"{reason}: install {names} (or what your system calls it)")
    if not is_root():
        raise ProvisionError(f"{reason}: run `sudo apt-get install {names}` and try again")
    with _apt:
        CONSOLE.say(f"! this machine: apt-get install {names} ({reason})")
        log = log_file("apt")
        # Slim roots leave it out, and Java's installation fails over it.
        Path("/usr/share/man/man1").mkdir(parents=True, exist_ok=True)
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        # A package manager is never cut off; one that was, by whatever means, is mended first.
        run_logged(["dpkg", "--configure", "-a"], log, env=quiet, stoppable=False)
        if not _lists_updated:
            run_logged(["apt-get", "update", "-q"], log, env=quiet, stoppable=False)
            _lists_updated = True
        wait = "DPkg::Lock::Timeout=600"
        options = ["-q", "-y", "--no-install-recommends", "-o", wait]
        run_logged(["apt-get", "install", *options, *packages], log, env=quiet, stoppable=False)


def need_program(program: str, package: str, reason: str) -> str:
    """The path of a program, installed first if it is missing."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        install_packages((package,), reason)
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise ProvisionError(f"{package} is installed, but {program} is not on PATH")
    return path
