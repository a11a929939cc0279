"""Command line of the order service."""

import sys
from pathlib import Path

from eventbus.command import Service, main
from order_service.config import OrderSettings

SERVICE = Service(
    settings=OrderSettings,
    api="order_service.app:build_api",
    loops={
        "relay": "order_service.bootstrap:build_relay",
        "consume": "order_service.bootstrap:build_consumer",
        "sweep": "order_service.bootstrap:build_sweeper",
        "stats": "order_service.bootstrap:build_statistics",
    },
    tasks={"stats-rebuild": "order_service.rebuild:build_rebuild"},
    migrations=Path(__file__).with_name("migrations"),
)

if __name__ == "__main__":
    sys.exit(main(SERVICE))
