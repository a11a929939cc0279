"""HTTP → use cases: the operations of /api/v1/stock."""

from typing import Any
from urllib.parse import urlencode

from eventbus.web.api import Api
from eventbus.web.operations import Answer, Envelope, Operation
from eventbus.web.problems import Problem
from stock_service import messages
from stock_service.caching import Level, Stock

PREFIX = "/api/v1/stock"
UNKNOWN = "There is no such product."


class StockRoutes:
    """The operations, bound to what they need."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def register(self, api: Api) -> None:
        """Declare every operation."""
        m = messages
        api.add(Operation("GET", "", "List stock", m.StocksAnswer, query=m.StockQuery), self.page)
        api.add(
            Operation("POST", "/add", "Add pieces of a product", Envelope, body=m.StockChange),
            self.add,
        )
        api.add(
            Operation(
                "POST",
                "/reduce",
                "Take pieces of a product away",
                Envelope,
                body=m.StockChange,
                problems=[404],
            ),
            self.reduce,
        )
        api.add(Operation("GET", "/<product>", "One product", m.StockAnswer), self.get)

    def page(self, query: messages.StockQuery) -> Answer:
        """By name."""
        levels = self._stock.page(query.after, query.limit)
        headers = {}
        if len(levels) == query.limit:
            following = urlencode({"limit": query.limit, "after": levels[-1].product})
            headers["Link"] = f'<{PREFIX}?{following}>; rel="next"'
        return Answer([_show(level) for level in levels], headers=headers)

    def add(self, body: messages.StockChange, traceparent: str | None) -> Answer:  # noqa: ARG002
        """Creates the product if it is not known."""
        self._stock.add(body.product, body.quantity)
        return Answer(message="Stock added.")

    def reduce(self, body: messages.StockChange, traceparent: str | None) -> Answer:  # noqa: ARG002
        """Never below zero."""
        left = self._stock.reduce(body.product, body.quantity)
        if left is not None:
            return Answer(message=f"Stock is reduced. The remaining quantity: {left.quantity}")
        if self._stock.get(body.product) is None:
            raise Problem(404, UNKNOWN)
        raise Problem(400, "Out of stock!")

    def get(self, product: str) -> Answer:
        """What is left."""
        level = self._stock.get(product) if "\0" not in product else None
        if level is None:
            raise Problem(404, UNKNOWN)
        return Answer(_show(level))


def _show(level: Level) -> dict[str, Any]:
    return {"stockID": level.stock_id, "product": level.product, "quantity": level.quantity}
