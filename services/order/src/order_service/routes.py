"""HTTP → use cases: the operations of /api/v1/order."""

import re
import threading
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson

from eventbus.clock import Clock
from eventbus.envelope import timestamp
from eventbus.outbox import Doorbell
from eventbus.web.api import Api
from eventbus.web.operations import Answer, Operation
from eventbus.web.problems import Problem
from order_service import handlers, messages
from order_service.adapters.postgres import PostgresOrders
from order_service.domain import NotCancellable
from order_service.messages import show

PREFIX = "/api/v1/order"
POLL_SECONDS = 0.2
MAX_WAITING = 2  # readers of the feed who may hold a thread each

_KEY = re.compile(r"[!-~]{1,255}")


class OrderRoutes:
    """The operations, bound to what they need."""

    def __init__(self, orders: PostgresOrders, bell: Doorbell, clock: Clock) -> None:
        self._orders = orders
        self._bell = bell
        self._clock = clock
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._stop = threading.Event()

    def register(self, api: Api) -> None:
        """Declare every operation."""
        m = messages
        api.add(
            Operation(
                "POST",
                "",
                "Place an order",
                m.OrderAnswer,
                status=202,
                body=m.PlaceOrder,
                headers=["Idempotency-Key"],
                problems=[422],
            ),
            self.place,
        )
        api.add(Operation("GET", "", "List orders", m.OrdersAnswer, query=m.OrderQuery), self.page)
        api.add(
            Operation(
                "GET", "/events", "Read what was published", m.EventsAnswer, query=m.FeedQuery
            ),
            self.feed,
        )
        api.add(Operation("GET", "/<uuid:order_id>", "One order", m.OrderAnswer), self.get)
        api.add(
            Operation("GET", "/<uuid:order_id>/events", "An order's events", m.EventsAnswer),
            self.events,
        )
        api.add(
            Operation(
                "POST", "/<uuid:order_id>/cancel", "Cancel an order", m.OrderAnswer, problems=[409]
            ),
            self.cancel,
        )

    def place(
        self, body: messages.PlaceOrder, idempotency_key: str | None, traceparent: str | None
    ) -> Answer:
        """202: stored and announced; stock decides."""
        if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
            raise Problem(400, "Idempotency-Key: 1 to 255 visible ASCII characters.")
        try:
            order = handlers.place_order(
                body, idempotency_key, self._orders, self._clock, traceparent
            )
        except handlers.KeyReused:
            raise Problem(422, "The Idempotency-Key belongs to a different order.") from None
        self._bell.ring()
        return Answer(
            show(order), "Order received.", 202, headers={"Location": f"{PREFIX}/{order.id}"}
        )

    def page(self, query: messages.OrderQuery) -> Answer:
        """Newest first."""
        orders = self._orders.page(query)
        headers = {}
        if len(orders) == query.limit:
            following = query.model_dump(exclude_none=True, exclude={"after"}, mode="json")
            link = f"{PREFIX}?{urlencode({**following, 'after': orders[-1].id})}"
            headers["Link"] = f'<{link}>; rel="next"'
        return Answer([show(order) for order in orders], headers=headers)

    def get(self, order_id: UUID) -> Answer:
        """One order as it stands."""
        order = self._orders.get(str(order_id))
        if order is None:
            raise Problem(404, "There is no such order.")
        return Answer(show(order))

    def events(self, order_id: UUID) -> Answer:
        """What was published about one order."""
        found = self._orders.events_of(str(order_id))
        if not found and self._orders.get(str(order_id)) is None:
            raise Problem(404, "There is no such order.")
        return Answer([_logged(row) for row in found])

    def feed(self, query: messages.FeedQuery) -> Answer:
        """What was published after a position; waits for news if asked to and if not crowded."""
        found = self._orders.events_after(query.after, query.limit)
        if not found and query.wait and self._waiting.acquire(blocking=False):
            try:
                found = self._wait_for_news(query)
            finally:
                self._waiting.release()
        position = found[-1][0] if found else query.after
        following = urlencode({"after": position, "limit": query.limit})
        headers = {"Link": f'<{PREFIX}/events?{following}>; rel="next"'}
        return Answer([_logged(row) for row in found], headers=headers)

    def _wait_for_news(self, query: messages.FeedQuery) -> list[tuple[Any, ...]]:
        until = self._clock.monotonic() + query.wait
        while self._clock.monotonic() < until and not self._clock.wait(self._stop, POLL_SECONDS):
            found = self._orders.events_after(query.after, query.limit)
            if found:
                return found
        return []

    def cancel(self, order_id: UUID, traceparent: str | None) -> Answer:
        """Cancel, unless the order was refused or is cancelled."""
        try:
            order = handlers.cancel_order(str(order_id), self._orders, traceparent)
        except handlers.OrderNotFound:
            raise Problem(404, "There is no such order.") from None
        except NotCancellable as error:
            raise Problem(409, f"It cannot be cancelled: {error}.") from None
        self._bell.ring()
        return Answer(show(order), "Order cancelled.")

    def close(self) -> None:
        """Send waiting readers home."""
        self._stop.set()


def _logged(row: tuple[Any, ...]) -> dict[str, Any]:
    position, event_id, kind, created_at, data = row
    return {
        "position": position,
        "id": event_id,
        "type": kind,
        "time": timestamp(created_at),
        "data": orjson.Fragment(data),
    }
