"""The measurements, in the order in which they run."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from eventbench.results import Stage
from eventbench.scenarios import direct, ingress, whole
from eventbench.scenarios.effort import Effort
from eventbench.stack import Stack

Scenario = Callable[[Stack, Effort], Iterator[Stage]]

LOCAL: Mapping[str, Scenario] = MappingProxyType(
    {
        "start": direct.measure_start,
        "direct": direct.measure_direct,
        "sustained": whole.measure_sustained,
        "ladder": whole.measure_ladder,
        "drain": whole.measure_drain,
    }
)
INGRESS = "ingress"
NAMES = (*LOCAL, INGRESS)

__all__ = ["INGRESS", "LOCAL", "NAMES", "Effort", "ingress"]
