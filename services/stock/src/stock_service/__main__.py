"""Command line of the stock service."""

import sys
from pathlib import Path

from eventbus.command import Service, main
from stock_service.config import StockSettings

SERVICE = Service(
    settings=StockSettings,
    api="stock_service.app:build_api",
    loops={
        "relay": "stock_service.bootstrap:build_relay",
        "consume": "stock_service.bootstrap:build_consumer",
    },
    migrations=Path(__file__).with_name("migrations"),
)

if __name__ == "__main__":
    sys.exit(main(SERVICE))
