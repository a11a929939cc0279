import asyncio
from collections.abc import Awaitable, Callable

from eventbench.load import Load, LoadResult, Plan
from eventbench.mix import order_mix

ANSWER = b'HTTP/1.1 202 ACCEPTED\r\nContent-Length: 17\r\n\r\n{"orderID": "o1"}'
REFUSAL = b"HTTP/1.1 503 NO\r\nContent-Length: 0\r\n\r\n"

Respond = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


async def run_against(respond: Respond, **plan: float | None) -> LoadResult:
    """A server of one process that answers request after request as `respond` says."""
    mix = order_mix("localhost", 1, 1.0)
    length = len(mix.request(0))
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        try:
            while await reader.readexactly(length):
                served += 1
                await respond(served, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    shares = {"connections": 1, "seconds": 0.5, **plan}
    async with server:
        return await Load(Plan(address="127.0.0.1", port=port, **shares), mix).run()  # type: ignore[arg-type]


async def answer_at_once(_: int, writer: asyncio.StreamWriter) -> None:
    writer.write(ANSWER)


async def test_the_open_loop_sends_at_the_rate_asked_for() -> None:
    result = await run_against(answer_at_once, rate=200.0, connections=4)
    assert 98 <= result.sent <= 101
    assert result.ok == result.sent


async def test_a_stall_is_charged_to_every_request_that_had_to_wait_for_it() -> None:
    async def stall_once(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 10:
            await asyncio.sleep(0.3)
        writer.write(ANSWER)

    result = await run_against(stall_once, rate=200.0)
    # One slow answer, but sixty requests were due in these 300 ms and left late.
    assert result.histogram.percentile(60) > 50
    assert result.histogram.max_ms >= 300


async def test_the_closed_loop_stops_at_the_count() -> None:
    result = await run_against(answer_at_once, count=25, seconds=30.0)
    assert (result.sent, result.ok) == (25, 25)


async def test_ids_of_accepted_orders_are_kept() -> None:
    result = await run_against(answer_at_once, count=3)
    assert result.identifiers == [b"o1"] * 3


async def test_a_refusal_is_neither_good_nor_unknown() -> None:
    async def refuse(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSAL)

    result = await run_against(refuse, count=5)
    assert (result.ok, result.unknown, result.statuses[503]) == (0, 0, 5)


async def test_a_request_whose_connection_breaks_is_unknown_and_the_load_goes_on() -> None:
    async def break_first(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.close()
        else:
            writer.write(ANSWER)

    result = await run_against(break_first, count=5)
    assert (result.unknown, result.ok) == (1, 4)


async def test_an_answer_that_never_comes_is_given_up() -> None:
    async def keep_silent(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"")

    result = await run_against(keep_silent, count=1, seconds=0.1, timeout=0.2)
    assert (result.unknown, result.ok) == (1, 0)


async def test_requests_that_found_no_connection_count_with_the_time_they_waited() -> None:
    async def keep_silent(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"")

    result = await run_against(keep_silent, rate=100.0, seconds=0.2, timeout=0.1)
    assert result.unsent > 10
    assert result.histogram.max_ms > 100
