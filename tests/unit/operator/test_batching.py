"""The batcher's rules: one call for many, each name once, bounded, nobody pays for another."""

import asyncio
from collections.abc import Mapping

import pytest

from eventpipeline_operator.adapters.batching import Batcher


class Server:
    """Answers each wish with itself; `gate` holds calls up, `failures` fail calls in turn."""

    def __init__(self, *failures: Exception | None) -> None:
        self.calls: list[dict[str, str]] = []
        self.running = 0
        self.overlaps = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()
        self._failures = list(failures)

    async def __call__(self, wishes: Mapping[str, str]) -> dict[str, str]:
        self.calls.append(dict(wishes))
        self.overlaps += self.running
        self.running += 1
        self.called.set()
        await self.gate.wait()
        self.running -= 1
        failure = self._failures.pop(0) if self._failures else None
        if failure:
            raise failure
        return {name: wish for name, wish in wishes.items() if wish != "unknown"}

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.calls) < times:
                self.called.clear()
                await self.called.wait()


def wishes(*names: str) -> dict[str, str]:
    return {name: name.upper() for name in names}


async def test_wishes_of_one_moment_become_one_call_and_each_caller_gets_its_share() -> None:
    server = Server()
    batcher = Batcher(server)
    shares = await asyncio.gather(*(batcher.ask(wishes(f"a{n}", f"b{n}")) for n in range(50)))
    assert len(server.calls) == 1
    assert shares == [wishes(f"a{n}", f"b{n}") for n in range(50)]


async def test_what_is_asked_during_a_call_goes_into_the_next_which_waits_for_it() -> None:
    server = Server()
    server.gate.clear()
    batcher = Batcher(server)
    first = asyncio.create_task(batcher.ask(wishes("a")))
    await server.until_called(1)
    later = [asyncio.create_task(batcher.ask(wishes(name))) for name in "bcd"]
    server.gate.set()
    await asyncio.gather(first, *later)
    assert server.calls == [wishes("a"), wishes("b", "c", "d")]
    assert server.overlaps == 0


async def test_the_same_wish_of_two_callers_is_in_the_call_once() -> None:
    server = Server()
    batcher = Batcher(server)
    found = await asyncio.gather(batcher.ask(wishes("a")), batcher.ask(wishes("a", "b")))
    assert server.calls == [wishes("a", "b")]
    assert list(found) == [wishes("a"), wishes("a", "b")]


async def test_another_wish_for_a_name_waits_for_a_later_call() -> None:
    server = Server()
    batcher = Batcher(server)
    found = await asyncio.gather(batcher.ask({"a": "one"}), batcher.ask({"a": "two"}))
    assert server.calls == [{"a": "one"}, {"a": "two"}]
    assert list(found) == [{"a": "one"}, {"a": "two"}]


async def test_a_call_never_has_more_names_than_its_limit() -> None:
    server = Server()
    batcher = Batcher(server, limit=4)
    many = wishes(*(f"n{number}" for number in range(10)))
    assert await batcher.ask(many) == many
    assert [len(call) for call in server.calls] == [4, 4, 2]


async def test_who_finds_the_queue_full_waits_and_is_served() -> None:
    server = Server()
    server.gate.clear()
    batcher = Batcher(server, limit=1, waiting=2)
    callers = [asyncio.create_task(batcher.ask(wishes(f"n{number}"))) for number in range(20)]
    await server.until_called(1)
    assert not any(caller.done() for caller in callers)
    server.gate.set()
    assert await asyncio.gather(*callers) == [wishes(f"n{number}") for number in range(20)]
    assert len(server.calls) == 20


async def test_a_call_that_fails_fails_its_callers_and_nobody_else() -> None:
    server = Server(RuntimeError("away"))
    server.gate.clear()
    batcher = Batcher(server)
    first = [asyncio.create_task(batcher.ask(wishes(name))) for name in "ab"]
    await server.until_called(1)
    later = asyncio.create_task(batcher.ask(wishes("c")))
    server.gate.set()
    for caller in first:
        with pytest.raises(RuntimeError, match="away"):
            await caller
    assert await later == wishes("c")


async def test_a_caller_that_gives_up_does_not_end_the_others_call() -> None:
    server = Server()
    server.gate.clear()
    batcher = Batcher(server)
    impatient = asyncio.create_task(batcher.ask(wishes("a")))
    patient = asyncio.create_task(batcher.ask(wishes("b")))
    await server.until_called(1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    server.gate.set()
    assert await patient == wishes("b")


async def test_one_who_gives_up_while_waiting_for_room_leaves_it_to_others() -> None:
    server = Server()
    server.gate.clear()
    batcher = Batcher(server, limit=1, waiting=1)
    callers = [asyncio.create_task(batcher.ask(wishes(name))) for name in "abcd"]
    await server.until_called(1)
    callers[2].cancel()
    server.gate.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert [found[0], found[1], found[3]] == [wishes("a"), wishes("b"), wishes("d")]


async def test_names_without_an_answer_are_left_out() -> None:
    batcher = Batcher(Server())
    assert await batcher.ask({"a": "unknown", "b": "B"}) == wishes("b")
    assert await batcher.ask({}) == {}


async def test_a_call_that_gathers_waits_while_more_is_wished_for() -> None:
    server = Server()
    batcher = Batcher(server, gather=0.1)
    asked = [asyncio.create_task(batcher.ask(wishes("a")))]
    for name in "bcd":
        await asyncio.sleep(0.02)
        asked.append(asyncio.create_task(batcher.ask(wishes(name))))
    await asyncio.gather(*asked)
    assert server.calls == [wishes(*"abcd")]


async def test_a_full_call_gathers_no_longer() -> None:
    server = Server()
    batcher = Batcher(server, limit=2, gather=60)
    async with asyncio.timeout(5):
        assert await batcher.ask(wishes("a", "b")) == wishes("a", "b")
