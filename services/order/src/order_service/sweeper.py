"""Looks after orders that wait: asks stock again, and cancels what nobody will decide."""

import threading
from datetime import timedelta

import structlog

from eventbus.clock import Clock, SystemClock
from eventbus.database import is_outage
from eventbus.runtime import Heartbeat
from order_service.config import OrderSettings
from order_service.handlers import WaitingOrders, sweep

log = structlog.get_logger(__name__)


class Sweeper:
    """One loop; several may run, they skip each other's rows."""

    def __init__(
        self, orders: WaitingOrders, settings: OrderSettings, clock: Clock | None = None
    ) -> None:
        self._orders = orders
        self._interval = settings.sweep_seconds
        self._remind_after = timedelta(seconds=settings.remind_seconds)
        self._cancel_after = timedelta(seconds=settings.cancel_seconds)
        self._clock = clock or SystemClock()

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        """Sweep every few seconds until told to stop."""
        while not stop.is_set():
            heartbeat.beat()
            try:
                expired, reminded = sweep(self._orders, self._remind_after, self._cancel_after)
                heartbeat.ready = True
                if expired or reminded:
                    log.warning("sweeper.found", expired=expired, reminded=reminded)
            except Exception as error:
                if not is_outage(error):
                    raise
                heartbeat.ready = False
                log.warning("sweeper.delayed", cause=str(error).strip())
            self._clock.wait(stop, self._interval)
