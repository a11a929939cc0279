import io
import threading

import pytest

from provision.commands import ProvisionError
from provision.console import Console, format_seconds
from provision.steps import COMPILE, FETCH, Runner, Step, StepFailedError, order_steps


def nothing() -> str:
    return "done"


def runner(stream: io.StringIO | None = None) -> Runner:
    return Runner(Console(stream or io.StringIO()))


def test_needs_come_first_and_otherwise_the_given_order_holds() -> None:
    steps = [Step("c", nothing, ("b",)), Step("a", nothing), Step("b", nothing, ("a",))]
    assert [step.name for step in order_steps(steps)] == ["a", "b", "c"]


def test_a_circle_is_named() -> None:
    with pytest.raises(ProvisionError, match=r"a \(needs b\), b \(needs a\)"):
        order_steps([Step("a", nothing, ("b",)), Step("b", nothing, ("a",))])


def test_a_step_runs_after_what_it_needs() -> None:
    ran: list[str] = []

    def record(name: str) -> str:
        ran.append(name)
        return "done"

    runner().run(
        [
            Step("late", lambda: record("late"), ("early",), COMPILE),
            Step("early", lambda: record("early"), lane=FETCH),
        ]
    )
    assert ran == ["early", "late"]


def test_a_download_overlaps_with_compiling() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> str:
        meeting.wait()
        return "met"

    runner().run([Step("compile", meet, lane=COMPILE), Step("download", meet, lane=FETCH)])


def test_compilations_do_not_overlap() -> None:
    busy = threading.Lock()

    def work() -> str:
        assert busy.acquire(blocking=False)
        busy.release()
        return "done"

    runner().run([Step(str(number), work, lane=COMPILE) for number in range(5)])


def test_after_a_failure_nothing_more_begins() -> None:
    def fail() -> str:
        raise ProvisionError("the reason")

    later = Step("later", lambda: pytest.fail("began"), lane=COMPILE)
    with pytest.raises(StepFailedError, match="first: the reason"):
        runner().run([Step("first", fail, lane=COMPILE), later])


def test_each_step_says_which_way_it_took() -> None:
    stream = io.StringIO()
    runner(stream).run([Step("kind", lambda: "cached")])
    assert "✓ kind: cached (" in stream.getvalue()


def test_a_long_step_shows_that_it_lives() -> None:
    stream = io.StringIO()
    console = Console(stream, quiet_period=0.01)
    said = threading.Event()

    def detail() -> str:
        said.set()
        return "package 7"

    slow = Step("kubernetes", lambda: str(said.wait(10)), detail=detail)
    Runner(console).run([slow])
    console.close()
    assert "… kubernetes (" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.21, "4.2 s"), (37.4, "37 s"), (185.0, "3 min 05 s")]
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
