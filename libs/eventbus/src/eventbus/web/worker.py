"""A gunicorn worker whose threads take turns at one epoll.

gunicorn's own threaded worker hands each request from a poller to a thread and the connection
back: with the interpreter's lock that is a dozen changes of thread for each request, more work
than the request. Here every thread waits for the next ready connection itself (leader and
followers: Schmidt et al., "Leader/Followers", 2000), serves it and puts it back; under load it
finds the next one without sleeping. Parsing, WSGI and the master's care stay gunicorn's.
"""

import os
import select
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gunicorn import http, util
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.base import Worker

STALLED_SECONDS = 10  # a client that neither sends nor takes a byte for so long has gone
LINGER_SECONDS = 2.0  # for a client that is told to go while it sends
MAX_UNREAD_BYTES = 64 * 1024
_CHECK_SECONDS = 1.0
_YIELD_SECONDS = 0.000_1
_LONGEST_YIELD_SECONDS = 0.002
_ONCE = select.EPOLLIN | select.EPOLLONESHOT
_TIMEOUT = struct.pack("ll", STALLED_SECONDS, 0)


class Connection:
    """One client; in the hands of at most one thread."""

    def __init__(self, sock: socket.socket, cfg: Any, client: Any, server: Any) -> None:
        sock.setblocking(True)
        # The kernel's time-outs: Python's own need a poll before each call.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEOUT)
        self.sock = sock
        self.client = client
        self.server = server
        self.parser = http.get_parser(cfg, sock, client)
        self.rests_since = time.monotonic()

    def finish(self, request: Any) -> bool:
        """Take what the application left of a body; False if that is too much."""
        unread = 0
        while chunk := request.body.read(8_192):
            unread += len(chunk)
            if unread > MAX_UNREAD_BYTES:
                return False
        self.parser.mesg = None  # the parser need not do the same, with a time-out set and reset
        return True

    def has_read_ahead(self) -> bool:
        """Whether the next request came together with the last: then epoll knows nothing of it."""
        return bool(self.parser.unreader.buf.getvalue())


class _Outgoing:
    """Head and body in one segment."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self._parts.append(data)

    def flush(self) -> None:
        self._sock.sendall(b"".join(self._parts))


class FollowingWorker(Worker):  # type: ignore[misc]  # untyped
    """Serves until it is told to go, its parent is gone or a thread of its fails."""

    draining = False  # every answer asks its client to go

    def init_process(self) -> None:
        """After the fork: what the threads share."""
        self._epoll = select.epoll()
        self._end_read, self._end_write = os.pipe()
        self._open: set[Connection] = set()
        self._resting: dict[int, Connection] = {}  # whoever pops a connection has it
        self._stirred = threading.Event()
        self._ended = False
        self._listeners = {listener.fileno(): listener for listener in self.sockets}
        super().init_process()

    def run(self) -> None:
        """The main thread's part: tell the master, close what rests too long, end."""
        self._epoll.register(self._end_read, select.EPOLLIN)
        for number, listener in self._listeners.items():
            listener.setblocking(False)
            self._epoll.register(number, _ONCE)
        pool = ThreadPoolExecutor(self.cfg.threads, "http")
        threads = [pool.submit(self._serve) for _ in range(self.cfg.threads)]
        while self.alive and self.ppid == os.getppid() and not any(t.done() for t in threads):
            self.notify()
            self._stirred.wait(_CHECK_SECONDS)
            self._close_resting(time.monotonic() - self.cfg.keepalive)
        self._drain()
        self._ended = True
        os.write(self._end_write, b"\0")  # never read, so every thread sees it
        pool.shutdown(wait=False)
        for thread in threads:
            if thread.done() and (error := thread.exception()) is not None:
                raise error

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Serve what is there, accept nothing more."""
        super().handle_exit(sig, frame)
        self._stirred.set()

    def _drain(self) -> None:
        """Let clients finish what they have begun to send, but not for ever."""
        self.alive = False
        for number in self._listeners:
            self._epoll.modify(number, 0)
        until = time.monotonic() + self.cfg.graceful_timeout
        while self._open and (now := time.monotonic()) < until:
            self.notify()
            self._close_resting(now - LINGER_SECONDS)
            time.sleep(0.05)

    def _close_resting(self, since: float) -> None:
        for number, conn in list(self._resting.items()):
            if conn.rests_since <= since and self._resting.pop(number, None) is not None:
                self._close(conn)

    # --- threads ---

    def _serve(self) -> None:
        while not self._ended:
            for number, _ in self._epoll.poll(None, 1):
                if number in self._listeners:
                    self._accept(self._listeners[number])
                elif (conn := self._resting.pop(number, None)) is not None:
                    self._serve_one(conn)

    def _accept(self, listener: Any) -> None:
        if self.cfg.workers > 1:  # the process with the fewest clients comes first
            time.sleep(min(len(self._open) * _YIELD_SECONDS, _LONGEST_YIELD_SECONDS))
        with suppress(BlockingIOError, ConnectionAbortedError):
            sock, client = listener.accept()
            conn = Connection(sock, self.cfg, client, listener.getsockname())
            self._open.add(conn)
            self._rest(conn, self._epoll.register)
            if len(self._open) > self.cfg.worker_connections:
                self._make_room()
        if self.alive:
            self._epoll.modify(listener.fileno(), _ONCE)

    def _make_room(self) -> None:
        """Close what has rested longest: its client connects anew when it has something to say."""
        with suppress(StopIteration, KeyError):
            self._close(self._resting.pop(next(iter(self._resting))))

    def _serve_one(self, conn: Connection) -> None:
        keep = self._answer(conn)
        while keep and conn.has_read_ahead():
            keep = self._answer(conn)
        if keep:
            self._rest(conn, self._epoll.modify)
        else:
            util.close_graceful(conn.sock, LINGER_SECONDS)
            self._open.discard(conn)

    def _rest(self, conn: Connection, watch: Any) -> None:
        conn.rests_since = time.monotonic()
        number = conn.sock.fileno()
        self._resting[number] = conn
        watch(number, _ONCE)

    def _close(self, conn: Connection) -> None:
        self._open.discard(conn)
        util.close(conn.sock)

    def _answer(self, conn: Connection) -> bool:
        """One request; answers whether the connection is fit for another."""
        request = None
        try:
            request = next(conn.parser)
            return self._respond(request, conn)
        except (StopIteration, NoMoreData, OSError) as error:
            self.log.debug("The client is gone: %s", error)  # there is nobody to tell
        except Exception as error:  # noqa: BLE001  # gunicorn tells whose fault it is
            self.handle_error(request, conn.sock, conn.client, error)
        return False

    def _respond(self, request: Any, conn: Connection) -> bool:
        response, environ = wsgi.create(request, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        if self.draining or not self.alive:
            response.force_close()
        outgoing = response.sock = _Outgoing(conn.sock)
        chunks = self.wsgi(environ, response.start_response)
        try:
            for chunk in chunks:
                response.write(chunk)
            response.close()
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        outgoing.flush()
        return not response.should_close() and conn.finish(request)
