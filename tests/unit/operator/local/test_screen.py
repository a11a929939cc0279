"""What is shown: lines of what changed, or a picture that fits the terminal."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from eventpipeline_operator.adapters.local.screen import LineScreen, Picture, open_screen
from eventpipeline_operator.adapters.local.view import Kind, Mood, Row, Site, View, describe_changes

ENTERS, LEAVES = "\x1b[?1049h", "\x1b[?1049l"
PROCESS = Row(
    Kind.PROCESS, "order-0", "starting", Mood.BUSY, {"pid": "7", "port": "4711", "problem": ""}
)
VIEW = View(
    sites=(Site("shop/shop", ready=False, reason="RollingOut", message="order"),), rows=(PROCESS,)
)


def test_a_change_of_state_is_a_line() -> None:
    ready = replace(VIEW, rows=(replace(PROCESS, state="ready"),))
    assert list(describe_changes(VIEW, ready)) == ["process order-0: ready (pid 7, port 4711)"]


def test_a_change_of_details_alone_is_none() -> None:
    other = replace(VIEW, rows=(replace(PROCESS, details={"pid": "8"}),))
    assert list(describe_changes(VIEW, other)) == []


def test_what_goes_and_what_goes_wrong_is_told_once() -> None:
    broken = replace(VIEW, rows=(), errors=("no such program",))
    assert list(describe_changes(VIEW, broken)) == [
        "process order-0: gone",
        "error: no such program",
    ]
    assert list(describe_changes(broken, broken)) == []


def test_a_server_that_turns_out_to_be_a_stand_in_is_not_told_to_be_gone() -> None:
    wanted = View(rows=(Row(Kind.SERVER, "vault", "looked for", Mood.BUSY),))
    found = View(rows=(Row(Kind.SERVER, "vault (stand-in)", "ready", Mood.GOOD),))
    assert list(describe_changes(wanted, found)) == ["server vault (stand-in): ready"]


def test_a_pipeline_that_is_ready_tells_where_it_is() -> None:
    site = Site("shop/shop", ready=True, reason="Succeeded", url="http://shop.localhost:8088")
    ready = replace(VIEW, sites=(site,))
    assert list(describe_changes(VIEW, ready)) == ["shop/shop: ready, http://shop.localhost:8088"]


def test_lines_carry_the_time_since_the_start() -> None:
    output, times = io.StringIO(), iter([100.0, 112.34, 112.34])
    screen = LineScreen(output, lambda: next(times))
    screen.show(VIEW)
    assert output.getvalue().splitlines() == [
        "[  12.3 s] process order-0: starting (pid 7, port 4711)",
        "[  12.3 s] shop/shop: RollingOut: order",
    ]


@pytest.mark.parametrize(("width", "height"), [(200, 50), (100, 50), (100, 24), (80, 16)])
def test_a_picture_fits_and_tells_what_is_wrong(width: int, height: int) -> None:
    rows = [replace(PROCESS, name=f"p-{n}", state="ready", mood=Mood.GOOD) for n in range(9)]
    rows += [Row(Kind.SECRET, f"s-{n}", "delivered") for n in range(7)]
    rows += [Row(Kind.TOPIC, f"t-{n}", "exists") for n in range(6)]
    view = View(VIEW.sites, (PROCESS, *rows), errors=("process order-0 crashes",))
    output = io.StringIO()
    console = Console(file=output, width=width, height=height)
    console.print(Picture(view, ["POSTed"], 12.0))
    shown = output.getvalue()
    assert len(shown.splitlines()) <= height
    for words in (
        "shop/shop",
        "RollingOut",
        "9/10",
        "order-0",
        "process order-0 crashes",
        "POSTed",
    ):
        assert words in shown


def test_a_terminal_is_drawn_on_and_given_back() -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    read: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(leader, read))
    reader.start()
    with os.fdopen(follower, "w") as output:
        screen = open_screen(output)
        screen.show(VIEW)
        screen.say("POSTed")
        screen.close()
    reader.join(10)
    drawn, _, after = b"".join(read).decode().partition(LEAVES)
    assert ENTERS in drawn
    assert "order-0" in drawn
    assert "POSTed" in after


def _drain(leader: int, read: list[bytes]) -> None:
    """Until the other end is closed, which a terminal tells as an error."""
    with contextlib.suppress(OSError):
        while part := os.read(leader, 4096):
            read.append(part)
    os.close(leader)
