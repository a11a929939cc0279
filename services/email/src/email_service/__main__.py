"""Command line of the email service."""

import sys
from pathlib import Path

from email_service.config import EmailSettings
from eventbus.command import Service, main

SERVICE = Service(
    settings=EmailSettings,
    api="email_service.app:build_api",
    loops={
        "consume": "email_service.bootstrap:build_consumer",
        "send": "email_service.bootstrap:build_sender",
        "relay": "email_service.bootstrap:build_relay",
    },
    migrations=Path(__file__).with_name("migrations"),
)

if __name__ == "__main__":
    sys.exit(main(SERVICE))
