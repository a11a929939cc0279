"""Stock's decisions."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stock_service.domain import Command, Decisions, Reservation, State, decide


def reserve(order: str, quantity: int = 1, product: str = "book") -> Command:
    return Command(release=False, order_id=order, product=product, quantity=quantity)


def release(order: str, quantity: int = 1, product: str = "book") -> Command:
    return Command(release=True, order_id=order, product=product, quantity=quantity)


def types(decisions: Decisions) -> list[str]:
    return [reply.type for reply in decisions.replies]


def test_pieces_are_reserved_while_there_are_any() -> None:
    decisions = decide([reserve("a", 2), reserve("b", 2), reserve("c", 1)], {"book": 3}, {})
    assert types(decisions) == ["StockReserved", "StockRejected", "StockReserved"]
    assert decisions.stock == {"book": 0}
    assert decisions.reservations["b"].reason == "out of stock"


def test_a_product_that_nobody_added_is_refused() -> None:
    decisions = decide([reserve("a")], {}, {})
    assert decisions.reservations["a"].reason == "unknown product"
    assert decisions.stock == {}


def test_asking_again_repeats_the_decision_and_changes_nothing() -> None:
    known = {"a": Reservation("a", "book", 1, State.RESERVED)}
    decisions = decide([reserve("a"), reserve("a")], {"book": 0}, known)
    assert types(decisions) == ["StockReserved", "StockReserved"]
    assert decisions.stock == {}
    assert decisions.reservations == {}


def test_a_refusal_stands_even_if_stock_came_meanwhile() -> None:
    known = {"a": Reservation("a", "book", 1, State.REFUSED, "out of stock")}
    assert types(decide([reserve("a")], {"book": 10}, known)) == ["StockRejected"]


def test_a_release_gives_back_once() -> None:
    known = {"a": Reservation("a", "book", 4, State.RESERVED)}
    decisions = decide([release("a", 4), release("a", 4)], {"book": 1}, known)
    assert decisions.stock == {"book": 5}
    assert types(decisions) == ["StockReleased", "StockReleased"]


def test_a_release_that_overtakes_its_reserve_is_remembered() -> None:
    decisions = decide([release("a"), reserve("a")], {"book": 5}, {})
    assert types(decisions) == ["StockReleased", "StockRejected"]
    assert decisions.stock == {}
    assert decisions.reservations["a"].state is State.RELEASED


def test_releasing_a_refused_order_gives_nothing_back() -> None:
    known = {"a": Reservation("a", "book", 4, State.REFUSED, "out of stock")}
    assert decide([release("a", 4)], {"book": 1}, known).stock == {}


commands = st.lists(
    st.builds(
        Command,
        release=st.booleans(),
        order_id=st.sampled_from("abcdef"),
        product=st.just("book"),
        quantity=st.integers(1, 5),
    )
)


@given(commands, st.integers(0, 10), st.integers(0, 40))
def test_stock_adds_up_and_is_never_negative_however_batches_are_cut(
    sequence: list[Command], initial: int, cut: int
) -> None:
    stock, reservations = {"book": initial}, dict[str, Reservation]()
    for batch in (sequence[:cut], sequence[cut:]):
        decisions = decide(batch, stock, reservations)
        stock |= decisions.stock
        reservations |= decisions.reservations
        assert all(quantity >= 0 for quantity in decisions.stock.values())
    reserved = sum(r.quantity for r in reservations.values() if r.state is State.RESERVED)
    assert stock["book"] + reserved == initial


@given(commands, st.integers(0, 10), st.integers(0, 40))
def test_how_a_sequence_is_cut_into_batches_changes_no_decision(
    sequence: list[Command], initial: int, cut: int
) -> None:
    whole = types(decide(sequence, {"book": initial}, {}))
    first = decide(sequence[:cut], {"book": initial}, {})
    second = decide(sequence[cut:], {"book": initial, **first.stock}, first.reservations)
    assert types(first) + types(second) == whole


@given(commands)
def test_every_command_is_answered(sequence: list[Command]) -> None:
    replies = decide(sequence, {"book": 3}, {}).replies
    asked = Counter(command.order_id for command in sequence)
    assert Counter(reply.reservation.order_id for reply in replies) == asked
