"""Everything running, from the POST to the mail that the SMTP server accepted."""

import time
from collections.abc import Iterator

from eventbench import ledger
from eventbench.driving import Order, drive
from eventbench.observing import Observer
from eventbench.recording import count_answers, record_finished, record_load
from eventbench.results import Stage
from eventbench.scenarios.effort import PRODUCTS, STOCK, Effort
from eventbench.stack import Shop, Stack

_LADDER = (100, 200, 400, 800, 1200, 1600, 2000, 2500)
_KEPT_UP = 0.95
_SETTLE_SECONDS = 120.0


def measure_sustained(stack: Stack, effort: Effort) -> Iterator[Stage]:
    """A fixed rate on a warm broker: a Zipf mix over many products, then all orders for one."""
    warmup = effort.broker_warmup
    yield _run_everything(
        stack,
        Stage("sustained-zipf", f"Everything at {effort.rate:g}/s, {PRODUCTS} products, Zipf"),
        Order(rate=effort.rate, seconds=warmup + effort.seconds, warmup=warmup),
    )
    yield _run_everything(
        stack,
        Stage("sustained-hot", f"Everything at {effort.rate:g}/s, one hot product"),
        Order(rate=effort.rate, seconds=warmup + effort.hot_seconds, warmup=warmup, products=1),
    )


def measure_ladder(stack: Stack, effort: Effort) -> Iterator[Stage]:
    """One rate after the other until the mails no longer keep up with the orders."""
    for rate in _LADDER:
        stage = _run_everything(
            stack,
            Stage(f"ladder-{rate}", f"Everything at {rate}/s"),
            Order(rate=rate, seconds=effort.ladder_seconds, warmup=min(2, effort.warmup)),
        )
        yield stage
        if stage.figures["kept_up"] < _KEPT_UP:
            return


def measure_drain(stack: Stack, effort: Effort) -> Iterator[Stage]:
    """A backlog stored with the workers stopped, then carried to the last mail."""
    stage = Stage("drain", f"Backlog of {effort.backlog} orders: start of the workers to last mail")
    with stack.shop() as shop:
        shop.start(["order.api", "stock.api", "email.api"])
        _add_stock(shop, PRODUCTS)
        order = Order(connections=16, count=effort.backlog, seconds=600)
        driven = drive(shop.url("order"), order, shop.directory)
        count_answers(stage, driven)
        with Observer(shop) as observer:
            began = time.time()
            shop.start()
            stage.figures["workers_ready_s"] = round(time.time() - began, 2)
            ledger.wait_until_settled(shop, len(driven.identifiers), 600)
        record_finished(shop, stage, driven, observer, STOCK, 0)
        _describe_drain(shop, stage, began)
    yield stage


def _run_everything(stack: Stack, stage: Stage, order: Order) -> Stage:
    with stack.shop() as shop:
        shop.start()
        _add_stock(shop, order.products)
        with Observer(shop) as observer:
            driven = drive(shop.url("order"), order, shop.directory)
            loaded_at = time.time()
            ledger.wait_until_settled(
                shop, len(driven.identifiers), _SETTLE_SECONDS + order.seconds
            )
        stage.figures["settled_after_s"] = round(time.time() - loaded_at, 2)
        record_load(stage, driven)
        record_finished(shop, stage, driven, observer, STOCK, order.warmup)
    in_time = sum(
        count for second, count in stage.series["mailed_per_s"] if second <= order.seconds
    )
    stage.figures["kept_up"] = round(in_time / max(1, stage.counts.sent), 3)
    return stage


def _describe_drain(shop: Shop, stage: Stage, began: float) -> None:
    lines = shop.sinks.record.read_text().splitlines()
    if not lines:
        return
    first, last = (float(lines[index].split("\t", 1)[0]) for index in (0, -1))
    stage.figures["mails_per_s"] = round(len(lines) / (last - began), 1)
    stage.figures["mails_per_s_from_first"] = round(len(lines) / max(1e-3, last - first), 1)
    stage.figures["first_mail_s"] = round(first - began, 2)
    stage.figures["drained_s"] = round(last - began, 2)


def _add_stock(shop: Shop, products: int) -> None:
    """Put every product into stock, and see that the API says so."""
    nothing = Order(connections=1, seconds=0, products=products, add_stock=STOCK)
    drive(shop.url("stock"), nothing, shop.directory)
