"""Lag → replicas: enough to work it off within drainSeconds, never more than have work.

What one replica can do is measured while there is more work than it can do at once; before that,
fewer replicas are tried as long as nothing waits. Up goes at once and as far as needed; down goes
one replica at a time, after a calm of several drain times. What is not known changes nothing.
"""

import math
from dataclasses import dataclass, replace

from eventpipeline_operator.api.offsets import GroupOffsets
from eventpipeline_operator.api.types import Scale

CALM_DRAINS = 4
TOLERANCE = 0.1
ARRIVAL_WEIGHT = 0.5
CAPACITY_WEIGHT = 0.3


@dataclass(frozen=True)
class Scaling:
    """What is decided about one worker, and what that rests upon; rates are records a second."""

    replicas: int
    partitions: int | None = None
    offsets: GroupOffsets | None = None
    seen_at: float = 0.0
    running: int = 0
    arrival: float | None = None
    capacity: float | None = None
    calm_since: float | None = None


@dataclass(frozen=True)
class _Flow:
    """What happened between two sights."""

    seconds: float
    arrived: int
    done: int
    busy: int

    @property
    def idle(self) -> bool:
        return self.busy == 0


def hold(scale: Scale, scaling: Scaling) -> Scaling:
    """Nothing is known: the same number, within the bounds."""
    replicas = _bounded(scale, scaling.partitions, scaling.replicas)
    return replace(scaling, replicas=replicas, offsets=None, calm_since=None)


def evaluate_scaling(
    scale: Scale, before: Scaling, offsets: GroupOffsets | None, running: int, now: float
) -> Scaling:
    """The next decision, given where the group stands and how many replicas run."""
    if offsets is None or not offsets.partitions:
        return hold(scale, before)
    before = replace(before, partitions=len(offsets.partitions))
    if before.replicas == 0 and offsets.lag:
        return hold(scale, replace(before, replicas=1))
    if not offsets.committed:
        return hold(scale, before)
    seen = replace(before, offsets=offsets, seen_at=now, running=running)
    if before.offsets is None or now <= before.seen_at:
        return replace(seen, replicas=_bounded(scale, seen.partitions, seen.replicas))
    flow = _flow(before.offsets, offsets, now - before.seen_at)
    seen = replace(
        seen,
        arrival=_blend(before.arrival, flow.arrived / flow.seconds, ARRIVAL_WEIGHT),
        capacity=_capacity(before, flow, offsets, running),
    )
    return _decided(scale, seen, flow, now)


def _decided(scale: Scale, seen: Scaling, flow: _Flow, now: float) -> Scaling:
    current = _bounded(scale, seen.partitions, seen.replicas)
    wanted = _upwards(scale, seen, flow, current)
    if wanted > current:
        replicas = _bounded(scale, seen.partitions, wanted)
        return replace(seen, replicas=replicas, calm_since=None)
    if not _fewer_would_do(scale, seen, flow, current):
        return replace(seen, replicas=current, calm_since=None)
    since = now if seen.calm_since is None else seen.calm_since
    calm = replace(seen, replicas=current, calm_since=since)
    if now - since < CALM_DRAINS * scale.drain_seconds:
        return calm
    replicas = _bounded(scale, seen.partitions, current - 1)
    # The next step down waits for one drain time more, not for the whole calm again.
    return replace(calm, replicas=replicas, calm_since=since + scale.drain_seconds)


def _upwards(scale: Scale, seen: Scaling, flow: _Flow, current: int) -> int:
    if not seen.capacity:
        return current
    needed = _needed(scale, seen, flow, seen.capacity)
    if needed <= current * (1 + TOLERANCE):
        return current
    # A replica that gets no partition with work helps nobody.
    return min(math.ceil(needed), max(current, flow.busy))


def _fewer_would_do(scale: Scale, seen: Scaling, flow: _Flow, current: int) -> bool:
    fewer = current - 1
    if fewer < 1:
        return flow.idle
    if seen.capacity:
        return _needed(scale, seen, flow, seen.capacity) <= fewer * (1 - TOLERANCE)
    return _backlog(seen, flow) == 0


def _needed(scale: Scale, seen: Scaling, flow: _Flow, capacity: float) -> float:
    """Replicas that keep up and work the backlog off in time."""
    return ((seen.arrival or 0.0) + _backlog(seen, flow) / scale.drain_seconds) / capacity


def _backlog(seen: Scaling, flow: _Flow) -> float:
    """What waits longer than one look: the rest is on its way through, or not committed yet."""
    lag = seen.offsets.lag if seen.offsets else 0
    return max(0.0, lag - (seen.arrival or 0.0) * flow.seconds)


def _flow(before: GroupOffsets, after: GroupOffsets, seconds: float) -> _Flow:
    arrived = done = busy = 0
    for partition, now in after.partitions.items():
        was = before.partitions.get(partition, now)
        came = max(0, now.end - was.end)
        arrived += came
        busy += bool(came or now.lag)
        if now.committed is not None:
            done += max(0, now.committed - max(was.position, was.start))
    return _Flow(seconds, arrived, done, busy)


def _capacity(before: Scaling, flow: _Flow, after: GroupOffsets, running: int) -> float | None:
    """What one replica does when it has enough to do; anything less is a lower bound."""
    steady = running == before.running == before.replicas and running > 0
    if not steady or flow.done == 0:
        return before.capacity
    lagging = sum(1 for p in after.partitions.values() if p.lag)
    one = flow.done / flow.seconds / max(1, min(running, lagging))
    was_lagging = before.offsets is not None and before.offsets.lag >= flow.done
    if was_lagging and after.lag >= flow.done:
        return _blend(before.capacity, one, CAPACITY_WEIGHT)
    everyone = flow.done / flow.seconds / running
    return max(before.capacity, everyone) if before.capacity else None


def _bounded(scale: Scale, partitions: int | None, replicas: int) -> int:
    ceiling = scale.max if partitions is None else min(scale.max, partitions)
    return min(max(replicas, scale.min), ceiling)


def _blend(before: float | None, now: float, weight: float) -> float:
    return now if before is None else before + weight * (now - before)
