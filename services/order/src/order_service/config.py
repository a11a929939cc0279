"""Settings of the order service."""

from dataclasses import dataclass

from eventbus.settings import ServiceSettings, between, variable


@dataclass(frozen=True, kw_only=True)
class OrderSettings(ServiceSettings):
    """What only the order service asks for."""

    sweep_seconds: float = variable("SWEEP_INTERVAL_SECONDS", between(0.05, 3_600), default=10.0)
    remind_seconds: float = variable("SWEEP_REMIND_SECONDS", between(0.1, 86_400), default=120.0)
    cancel_seconds: float = variable("SWEEP_CANCEL_SECONDS", between(0.1, 604_800), default=3_600.0)
    lateness_seconds: float = variable("STATS_LATENESS_SECONDS", between(0, 604_800), default=60.0)
