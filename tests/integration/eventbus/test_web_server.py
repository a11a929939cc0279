"""The API server as clients see it: a real process, real sockets, answers byte by byte."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from servers.local import answers, free_port, stop_process
from servers.waiting import wait_for

_PROGRAM = """
import time
from eventbus.settings import ServiceSettings
from eventbus.web.server import Served, serve

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("a defect")
    body = environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

import os
serve(ServiceSettings.from_env(os.environ), lambda: Served(application, lambda: None))
"""
THREADS = 4


class Server:
    """One API server with two processes."""

    def __init__(self, drain_seconds: float = 0.5) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env=os.environ
            | {
                "PORT": str(self.port),
                "DATABASE_URL": "postgresql://nobody@127.0.0.1/none",
                "HTTP_THREADS": str(THREADS),
                "DRAIN_SECONDS": str(drain_seconds),
            },
        )
        wait_for("the server to listen", lambda: answers(self.port))

    def connect(self) -> http.client.HTTPConnection:
        """A client's connection, kept alive."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def send(self, text: bytes) -> socket.socket:
        """A connection on which something was sent."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sendall(text)
        return client

    def end(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    stop_process(started.process)


def ask(connection: http.client.HTTPConnection, path: str) -> http.client.HTTPResponse:
    """A request whose answer is read whole."""
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.read() == path.encode()
    return answer


def read_until(client: socket.socket, end: bytes) -> bytes:
    """What arrives up to and with `end`."""
    received = b""
    while end not in received:
        chunk = client.recv(4096)
        assert chunk, f"closed after {received!r}"
        received += chunk
    return received


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    with closing(server.connect()) as client:
        for number in range(50):
            answer = ask(client, f"/{number}")
            assert answer.headers["Connection"] == "keep-alive"


def test_requests_that_come_together_are_answered_in_order(server: Server) -> None:
    one = b"GET /%d HTTP/1.1\r\nHost: shop\r\n\r\n"
    with closing(server.send(one % 1 + one % 2 + one % 3)) as client:
        received = read_until(client, b"/3")
    assert received.count(b"200 OK") == 3
    assert received.index(b"\r\n\r\n/1") < received.index(b"\r\n\r\n/2")


def test_a_request_may_arrive_in_pieces(server: Server) -> None:
    with closing(server.send(b"GET /pie")) as client:
        client.sendall(b"ces HTTP/1.1\r\nHost: sh")
        client.sendall(b"op\r\n\r\n")
        assert b"200 OK" in read_until(client, b"/pieces")


def test_idle_connections_hold_no_thread(server: Server) -> None:
    idle = [server.connect() for _ in range(8 * THREADS)]
    for client in idle:
        ask(client, "/first")
    with closing(server.connect()) as another:
        ask(another, "/another")
    for client in idle:
        ask(client, "/again")
        client.close()


def test_more_clients_than_threads_are_all_served(server: Server) -> None:
    served: list[int] = []

    def client() -> None:
        with closing(server.connect()) as connection:
            served.append(ask(connection, "/slow").status)

    threads = [threading.Thread(target=client) for _ in range(4 * THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == [200] * 4 * THREADS


def test_a_body_that_nobody_read_does_not_become_a_request(server: Server) -> None:
    body = b"GET /smuggled HTTP/1.1\r\n\r\n"
    head = b"POST /first HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(body)
    with closing(server.send(head + body + b"GET /second HTTP/1.1\r\nHost: s\r\n\r\n")) as client:
        received = read_until(client, b"/second")
    assert received.count(b"200 OK") == 2
    assert b"/smuggled" not in received


def test_a_defect_costs_its_own_request_alone(server: Server) -> None:
    with closing(server.send(b"GET /broken HTTP/1.1\r\nHost: shop\r\n\r\n")) as client:
        received = read_until(client, b"\r\n\r\n")
    assert b"500 Internal Server Error" in received
    assert b"a defect" not in received
    with closing(server.connect()) as client:
        ask(client, "/next")


def test_nonsense_is_refused(server: Server) -> None:
    with closing(server.send(b"\x16\x03\x01 nonsense\r\n\r\n")) as client:
        assert b"400 Bad Request" in read_until(client, b"\r\n\r\n")


def test_a_client_that_goes_in_the_middle_harms_nobody(server: Server) -> None:
    for _ in range(4 * THREADS):
        server.send(b"POST /left HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nhal").close()
    with closing(server.connect()) as client:
        ask(client, "/here")


def test_a_server_that_ends_asks_its_clients_to_go_and_finishes_their_requests() -> None:
    server = Server(drain_seconds=1.0)
    try:
        with closing(server.connect()) as busy, closing(server.connect()) as resting:
            ask(resting, "/before")
            busy.request("GET", "/slow")
            server.end()
            answer = busy.getresponse()
            assert answer.read() == b"/slow"
            assert ask(resting, "/during").headers["Connection"] == "close"
        assert server.process.wait(15) == 0
    finally:
        stop_process(server.process)


def test_connections_spread_over_the_processes(server: Server) -> None:
    wait_for("both processes", lambda: len(_children(server.process.pid)) == 2)
    clients = [server.connect() for _ in range(40)]
    for client in clients:
        ask(client, "/")
    shares = sorted(_sockets(pid) for pid in _children(server.process.pid))
    for client in clients:
        client.close()
    assert shares[0] >= 10, f"one process has {shares} connections"


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
        return [int(child) for child in file.read().split()]


def _sockets(pid: int) -> int:
    links = (os.path.join(f"/proc/{pid}/fd", name) for name in os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH118, PTH208
    return sum(os.readlink(link).startswith("socket:") for link in links) - 1  # noqa: PTH115
