"""The connected way: a registry holds every image and tool, and a second machine compiles nothing.

The second machine is another checkout with an empty cache and a cluster of its own; it shares the
Docker engine, so what was pushed is removed from it by name before it is pulled.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.local import REPOSITORY, answers, free_port, stop_process
from servers.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """An empty registry on 127.0.0.1."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    port = free_port()
    settings = tmp_path / "registry.yaml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}"}}\n'
    )
    with (tmp_path / "registry.log").open("wb") as log:
        server = subprocess.Popen([program, "serve", settings], stdout=log, stderr=log)
    wait_for("the registry", lambda: answers(port))
    yield f"127.0.0.1:{port}"
    stop_process(server)


@pytest.fixture
def second_machine(tmp_path: Path, registry: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A checkout and the environment of somebody who has nothing but the registry."""
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", REPOSITORY, checkout], check=True)
    (checkout / ".venv").symlink_to(REPOSITORY / ".venv")
    environment = {
        **os.environ,
        "REGISTRY": registry,
        "CLUSTER_NAME": "eventpipeline-connected",
        "EVENTPIPELINE_CACHE": str(tmp_path / "cache"),
        "HTTP_PORT": str(free_port()),
    }
    yield checkout, environment
    subprocess.run([checkout / "hack/cluster", "down"], env=environment, check=True)
    forget_images(registry)


def forget_images(registry: str) -> None:
    """Takes the registry's names out of the Docker engine."""
    listed: list[str] = []
    for pattern in (f"{registry}/*", f"{registry}/*/*"):
        images = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", pattern]
        listed += subprocess.run(images, check=True, capture_output=True, text=True).stdout.split()
    if listed:
        subprocess.run(["docker", "rmi", *listed], check=True, capture_output=True)


def run(program: Path, *arguments: str, environment: dict[str, str]) -> str:
    """What a script of hack/ said; it must succeed."""
    done = subprocess.run(
        [program, *arguments],
        env=environment,
        cwd=program.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_with_a_filled_registry_nothing_is_compiled(
    registry: str, second_machine: Any, cluster: Any
) -> None:
    assert cluster  # its images and tools are what is pushed
    checkout, environment = second_machine
    run(
        REPOSITORY / "hack/images",
        "--push",
        environment={**os.environ, "REGISTRY": registry},
    )
    forget_images(registry)
    said = run(checkout / "hack/deploy", environment=environment)
    assert "built from packages" not in said
    assert f"pulled {registry}/apache/kafka" in said
    assert "shop ready: Ready" in said
