"""Command line: `api`, `migrate`, `consume`, `relay`, `worker`, `dead-letters`, `redrive`."""

import sys
from pathlib import Path

from eventbus.command import Service, main
from eventbus.settings import ServiceSettings

SERVICE = Service(
    settings=ServiceSettings,
    api="loyalty_service.app:build_api",
    loops={
        "consume": "loyalty_service.workers:build_consumer",
        "relay": "loyalty_service.workers:build_relay",
    },
    migrations=Path(__file__).with_name("migrations"),
)

if __name__ == "__main__":
    sys.exit(main(SERVICE))
