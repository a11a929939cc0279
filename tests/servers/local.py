"""What the local servers of the tests share: free ports, artifacts, an end that is sure."""

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody else listens there meanwhile."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield


def answers(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def find_artifact(name: str) -> Path | str:
    """The directory of a built artifact, or the sentence that says how to get it."""
    found = subprocess.run(
        [REPOSITORY / "hack" / "artifact", "--if-built", name],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        return Path(found.stdout.strip())
    return found.stderr.strip() or f"hack/artifact {name} builds it"


def stop_process(server: subprocess.Popen[bytes], *, seconds: float = 10.0) -> None:
    """Ends a server that the test started: politely first, then for certain."""
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(seconds)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """One that root's servers, which run as somebody else, can get to: pytest closes its own."""
    with tempfile.TemporaryDirectory(prefix="eventpipeline-") as name:
        Path(name).chmod(0o711)
        yield Path(name)
