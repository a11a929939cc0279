"""Placing, settling, cancelling: the order's rules without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from fakes.eventbus import outbox_row
from fakes.time import FakeClock
from order_service.config import OrderSettings
from order_service.domain import NotCancellable, Order, Status, Verdict, cancel, first_verdicts
from order_service.handlers import (
    KeyReused,
    OrderNotFound,
    cancel_order,
    place_order,
    sweep,
)
from order_service.messages import OrderModel, PlaceOrder, announce, show
from order_service.relay import expand, reserve_command

ORDER = Order("id-1", "book", 3, "ada@example.com", datetime(2026, 1, 1, tzinfo=UTC))
COMMAND = PlaceOrder(product="book", quantity=3, customerEmail="ada@example.com")


class FakeOrders:
    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.keys: dict[str, Order] = {}
        self.interference: list[Order] = []

    def place(self, order: Order, key: str | None, _traceparent: str | None) -> bool:
        if key in self.keys:
            return False
        self.orders[order.id] = order
        if key:
            self.keys[key] = order
        return True

    def by_key(self, key: str) -> Order | None:
        return self.keys.get(key)

    def get(self, order_id: str) -> Order | None:
        return self.orders.get(order_id)

    def replace(self, order: Order, _traceparent: str | None) -> bool:
        if self.interference:
            self.orders[order.id] = self.interference.pop()
        if self.orders[order.id].version != order.version - 1:
            return False
        self.orders[order.id] = order
        return True


def place(orders: FakeOrders, key: str | None = None, command: PlaceOrder = COMMAND) -> Order:
    return place_order(command, key, orders, FakeClock(), None)


def test_a_new_order_waits() -> None:
    order = place(FakeOrders())
    assert (order.status, order.version, order.reason) == (Status.PENDING, 1, None)


def test_one_key_is_one_order() -> None:
    orders = FakeOrders()
    assert place(orders, "key").id == place(orders, "key").id
    assert len(orders.orders) == 1


def test_without_keys_equal_orders_are_two() -> None:
    orders = FakeOrders()
    assert place(orders).id != place(orders).id


def test_a_key_belongs_to_what_it_was_used_for() -> None:
    orders = FakeOrders()
    place(orders, "key")
    with pytest.raises(KeyReused):
        place(orders, "key", COMMAND.model_copy(update={"quantity": 4}))


@pytest.mark.parametrize("status", [Status.PENDING, Status.CONFIRMED])
def test_what_is_not_over_can_be_cancelled(status: Status) -> None:
    cancelled = cancel(replace(ORDER, status=status), "why")
    assert (cancelled.status, cancelled.reason, cancelled.version) == ("CANCELLED", "why", 2)


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED])
def test_what_is_over_cannot(status: Status) -> None:
    with pytest.raises(NotCancellable, match=status):
        cancel(replace(ORDER, status=status), "why")


def test_a_decision_that_comes_in_between_is_cancelled_too() -> None:
    orders = FakeOrders()
    order = place(orders)
    orders.interference = [replace(order, status=Status.CONFIRMED, version=2)]
    assert cancel_order(order.id, orders, None).version == 3


def test_what_is_not_there_cannot_be_cancelled() -> None:
    with pytest.raises(OrderNotFound):
        cancel_order("nobody", FakeOrders(), None)


def test_the_first_verdict_counts() -> None:
    verdicts = [
        Verdict("a", Status.CONFIRMED, None, None),
        Verdict("a", Status.REJECTED, "late", None),
        Verdict("b", Status.REJECTED, "x", None),
    ]
    assert [(v.order_id, v.status) for v in first_verdicts(verdicts)] == [
        ("a", "CONFIRMED"),
        ("b", "REJECTED"),
    ]


def test_the_shown_order_is_what_is_documented() -> None:
    assert OrderModel.model_validate(show(ORDER)).model_dump(mode="json") == show(ORDER)


def test_each_version_is_told_under_an_id_of_its_own() -> None:
    assert announce(ORDER, None).event_id == "id-1:1"
    confirmed = announce(replace(ORDER, status=Status.CONFIRMED, version=2), "trace")
    assert (confirmed.type, confirmed.event_id) == ("OrderConfirmed", "id-1:2")
    assert (confirmed.topic, confirmed.key, confirmed.traceparent) == ("orders", "id-1", "trace")


def _row(order: Order) -> Any:
    event = announce(order, None)
    return outbox_row(type=event.type, event_id=event.event_id, data=event.data, key=event.key)


def test_a_placed_order_is_an_event_and_a_command_without_address() -> None:
    event, command = expand(_row(ORDER))
    assert event.type == "OrderPlaced"
    assert (command.topic, command.key, command.type) == ("stock-commands", "book", "ReserveStock")
    assert orjson.loads(command.data or "") == {"orderID": "id-1", "product": "book", "quantity": 3}


def test_a_cancelled_order_releases() -> None:
    assert [row.type for row in expand(_row(cancel(ORDER, "why")))] == [
        "OrderCancelled",
        "ReleaseStock",
    ]


def test_a_confirmed_order_is_an_event_alone() -> None:
    assert len(expand(_row(replace(ORDER, status=Status.CONFIRMED)))) == 1


def test_a_reminder_is_the_first_command_again() -> None:
    _, command = expand(_row(ORDER))
    again = reserve_command(ORDER)
    assert (again.event_id, again.key, again.data) == (command.event_id, command.key, command.data)


def test_a_sweep_cancels_before_it_reminds() -> None:
    class Waiting:
        calls: list[tuple[str, timedelta]] = []  # noqa: RUF012 — one test, one list

        def expire(self, older_than: timedelta, _reason: str, _limit: int) -> int:
            self.calls.append(("expire", older_than))
            return 1

        def remind(self, older_than: timedelta, _limit: int) -> int:
            self.calls.append(("remind", older_than))
            return 2

    waiting = Waiting()
    assert sweep(waiting, timedelta(seconds=5), timedelta(hours=1)) == (1, 2)
    assert waiting.calls == [("expire", timedelta(hours=1)), ("remind", timedelta(seconds=5))]


def test_settings_say_when_to_sweep() -> None:
    environ = {"DATABASE_URL": "x", "SWEEP_REMIND_SECONDS": "7"}
    assert OrderSettings.from_env(environ).remind_seconds == 7


@pytest.mark.parametrize(
    "address",
    ["a@b.co", "ada.lovelace+x@mail.example.com", "o'neil@example.com", "a@xn--bcher-kva.example"],
)
def test_usual_addresses_are_taken(address: str) -> None:
    assert PlaceOrder(product="p", quantity=1, customerEmail=address).customerEmail == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nope",
        "a@b",
        "a@@b.co",
        "a b@c.co",
        "a@-b.co",
        "a@b..co",
        "<a@b.co>",
        "a@b.co\n",
        "ä@b.co",
    ],
)
def test_odd_addresses_are_not(address: str) -> None:
    with pytest.raises(ValidationError):
        PlaceOrder(product="p", quantity=1, customerEmail=address)
