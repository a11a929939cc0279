"""What is measured, one function per group of stages."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from statistics import median

from operatorbench.audit import KubernetesRequests, VaultRequests, count_kubernetes, count_vault
from operatorbench.cluster import Cluster, Name
from operatorbench.drift import cause_drift
from operatorbench.installation import PASSES, Installation, connected, wait_until
from operatorbench.objects import (
    ACCOUNT,
    Json,
    build_full_object,
    build_service_object,
    build_topics_object,
    kv_path,
)
from operatorbench.results import Stage
from operatorbench.usage import Metrics, Usage, cpu_of_all, growth, total

TEAMS = 10
LATE = "late"
DRIFTED = 10
STATUS = "eventpipelines/status"
EVENTS = "events"
PERIODS = 3
QUIET_SECONDS = 5.0
LONGEST = 180.0


async def measure_topics(
    at: Installation, repeats: int, topics: int = 1000
) -> AsyncIterator[Stage]:
    """All topics in one object, then in fifty; each time of `repeats` on its own object names."""
    for name, objects in (("topics-one", 1), ("topics-fifty", 50)):
        stage = Stage(name, f"{topics} topics in {objects} object(s)")
        stage.samples["seconds"] = []
        async with connected(at) as cluster, at.running_operator() as usage:
            for number in range(repeats):
                namespace = f"{name}-{number}"
                await cluster.create_namespaces([namespace])
                manifests = [
                    build_topics_object(at.site, namespace, f"p{n}", topics // objects)
                    for n in range(objects)
                ]
                before = await _begin(at, cluster)
                await _apply(cluster, manifests, stage)
                stage.samples["seconds"].append(_makespan(cluster, _names(manifests)))
                await _end(at, cluster, stage, before, len(manifests))
                await cluster.clear([namespace])
                await asyncio.to_thread(at.delete_topics, namespace)
        stage.figures["seconds"] = round(median(stage.samples["seconds"]), 2)
        _describe_usage(stage, usage)
        yield stage


async def measure_services(at: Installation, count: int = 200) -> AsyncIterator[Stage]:
    """Objects with one service each, scaled to 0."""
    stage = Stage("services", f"{count} objects with a service each")
    manifests = [build_service_object(at.site, "services", f"s{n:03}") for n in range(count)]
    async with connected(at) as cluster:
        await cluster.create_namespaces(["services"])
        async with at.running_operator() as usage:
            before = await _begin(at, cluster)
            await _apply(cluster, manifests, stage)
            names = _names(manifests)
            last = max(cluster.applied_at[name] for name in names)
            ready = max(cluster.ready_at[name] for name in names)
            stage.figures["seconds"] = round(_makespan(cluster, names), 2)
            stage.figures["seconds_after_last_apply"] = round(ready - last, 2)
            await _end(at, cluster, stage, before, count)
        await cluster.clear(["services"])
    _describe_usage(stage, usage)
    yield stage


async def measure_full(at: Installation, count: int = 1000) -> AsyncIterator[Stage]:
    """Full objects: created, at rest, over a restart, and over a restart that finds drift."""
    teams = [f"team-{n}" for n in range(min(TEAMS, count))]
    manifests = [
        build_full_object(at.site, teams[n % len(teams)], f"f{n:04}") for n in range(count)
    ]
    await asyncio.to_thread(_fill_vault, at, teams, _names(manifests))
    async with connected(at) as cluster:
        await cluster.create_namespaces(teams, [ACCOUNT])
        async with at.running_operator() as usage:
            yield await _create(at, cluster, manifests, usage)
            yield await _rest(at, cluster)
        yield await _restart(at, cluster, manifests)
        yield await _drifted(at, cluster, manifests)
        await asyncio.to_thread(at.operator.stop)


async def _create(
    at: Installation, cluster: Cluster, manifests: Sequence[Json], usage: Usage
) -> Stage:
    stage = Stage("full", f"{len(manifests)} full objects created")
    before = await _begin(at, cluster)
    await _apply(cluster, manifests, stage)
    stage.figures["seconds"] = round(_makespan(cluster, _names(manifests)), 2)
    await _end(at, cluster, stage, before, len(manifests))
    _describe_usage(stage, usage)
    return stage


async def _rest(at: Installation, cluster: Cluster) -> Stage:
    stage = Stage("rest", f"at rest for {PERIODS} resync periods of {at.resync_seconds} s")
    await at.wait_written(cluster)
    before = await _begin(at, cluster)
    async with at.sampled() as usage:
        await asyncio.sleep(PERIODS * at.resync_seconds * 1.1)  # the longest that jitter allows
    kubernetes, vault, after = await _take_stock(at, cluster)
    stage.figures["passes"] = total(after, PASSES) - total(before, PASSES)
    _count_writes(stage, kubernetes, vault, growth(before, after, "kafka_calls_total"))
    _describe_usage(stage, usage)
    return stage


async def _restart(at: Installation, cluster: Cluster, manifests: Sequence[Json]) -> Stage:
    """Kill and start; verified means a pass over every object, and each secret read from Vault."""
    stage = Stage("restart", f"killed and started with {len(manifests)} Ready objects")
    started = await _kill_and_start(at)
    wanted = {f"kv/data/{kv_path(*name)}" for name in _names(manifests)}
    vault = VaultRequests()

    async def verified() -> bool:
        vault.add(count_vault(at.vault_log.read()))
        passes = total(await at.metrics(cluster), PASSES)
        return passes >= len(manifests) and wanted <= set(vault.paths_read)

    async with at.sampled() as usage:
        await wait_until(verified, LONGEST)
        stage.figures["seconds"] = round(time.monotonic() - started, 2)
        await asyncio.sleep(QUIET_SECONDS)  # what a late write needs to be seen
    kubernetes, late, after = await _take_stock(at, cluster)
    vault.add(late)
    _count_writes(stage, kubernetes, vault, growth({}, after, "kafka_calls_total"))
    _describe_usage(stage, usage)
    return stage


async def _drifted(at: Installation, cluster: Cluster, manifests: Sequence[Json]) -> Stage:
    """Kill, change things behind the operator's back, start; a new object joins the backlog."""
    stage = Stage("drift", f"{3 * DRIFTED} things changed while the operator was down")
    step = max(1, len(manifests) // DRIFTED)
    names = _names(manifests)[::step][:DRIFTED]
    newcomer = build_full_object(at.site, LATE, "new")
    await cluster.create_namespaces([LATE], [ACCOUNT])
    await asyncio.to_thread(_fill_vault, at, [LATE], _names([newcomer]))
    await asyncio.to_thread(at.operator.stop, kill=True)
    changes = await cause_drift(at, cluster, names)
    started = await _kill_and_start(at)

    async def begun() -> bool:
        found = await at.metrics(cluster)
        stage.figures["new_object_behind"] = total(found, "queue_length")
        return total(found, "queue_length") + total(found, PASSES) > 0

    await wait_until(begun, LONGEST, every=0.02)
    await cluster.apply([newcomer])
    await wait_until(changes.repaired, LONGEST)
    stage.figures["seconds"] = round(time.monotonic() - started, 2)
    await cluster.wait_ready(_names([newcomer]), LONGEST)
    stage.figures["new_object_seconds"] = round(cluster.latencies(_names([newcomer]))[0], 2)
    return stage


async def _kill_and_start(at: Installation) -> float:
    await asyncio.to_thread(at.operator.stop, kill=True)
    at.kubernetes_log.read()
    at.vault_log.read()
    started = time.monotonic()
    at.start_operator()
    return started


async def _begin(at: Installation, cluster: Cluster) -> Metrics:
    """Forget what was asked so far."""
    at.kubernetes_log.read()
    at.vault_log.read()
    return await at.metrics(cluster)


async def _take_stock(
    at: Installation, cluster: Cluster
) -> tuple[KubernetesRequests, VaultRequests, Metrics]:
    """What was asked since it was last forgotten."""
    kubernetes = count_kubernetes(at.kubernetes_log.read())
    return kubernetes, count_vault(at.vault_log.read()), await at.metrics(cluster)


async def _apply(cluster: Cluster, manifests: Sequence[Json], stage: Stage) -> None:
    """Apply all, wait until they are Ready, note how long each took."""
    names = _names(manifests)
    before = cpu_of_all()
    await cluster.apply(manifests)
    await cluster.wait_ready(names, LONGEST)
    used = {name: round(cpu - before.get(name, 0.0), 1) for name, cpu in cpu_of_all().items()}
    stage.counts["CPU seconds"] = used
    latencies = cluster.latencies(names)
    stage.samples.setdefault("apply_to_ready_s", []).extend(latencies)
    for percent in (50, 99):
        value = latencies[min(len(latencies) - 1, len(latencies) * percent // 100)]
        stage.figures[f"p{percent}_s"] = round(value, 3)
    first = min(cluster.applied_at[name] for name in names)
    ready = sorted(cluster.ready_at[name] - first for name in names)
    stage.series["ready"] = [(second, float(n + 1)) for n, second in enumerate(ready)]


async def _end(
    at: Installation, cluster: Cluster, stage: Stage, before: Metrics, objects: int
) -> None:
    """What making the objects Ready took, once nothing is due any more."""
    await at.wait_written(cluster)
    kubernetes, vault, after = await _take_stock(at, cluster)
    stage.counts["Kubernetes writes"] = dict(kubernetes.writes)
    stage.counts["Kubernetes reads"] = dict(kubernetes.reads)
    stage.counts["excepted"] = {**kubernetes.excepted, **vault.excepted}
    stage.counts["Kafka calls"] = growth(before, after, "kafka_calls_total")
    stage.counts["Vault calls"] = growth(before, after, "vault_calls_total")
    stage.figures["writes_per_object"] = round(kubernetes.writes.total() / objects, 2)
    stage.figures["writes_per_child"] = kubernetes.most_but(STATUS, EVENTS)
    stage.figures["status_patches"] = kubernetes.most(STATUS)


def _count_writes(
    stage: Stage, kubernetes: KubernetesRequests, vault: VaultRequests, kafka: dict[str, int]
) -> None:
    """Writes that should not have been, and the excepted ones beside them."""
    kafka_writes = {call: count for call, count in kafka.items() if not call.startswith("describe")}
    stage.counts["Kubernetes writes"] = dict(kubernetes.writes)
    stage.counts["Vault writes"] = dict(vault.writes)
    stage.counts["Kafka writes"] = kafka_writes
    stage.counts["excepted"] = {**kubernetes.excepted, **vault.excepted}
    stage.counts["Kubernetes reads"] = dict(kubernetes.reads)
    stage.counts["Vault reads"] = {"kv": vault.paths_read.total()}
    stage.counts["Kafka reads"] = {c: n for c, n in kafka.items() if c not in kafka_writes}
    stage.figures["writes"] = (
        kubernetes.writes.total() + vault.writes.total() + sum(kafka_writes.values())
    )


def _describe_usage(stage: Stage, usage: Usage) -> None:
    stage.figures["rss_mib"] = round(usage.peak_mib, 1)
    stage.figures["cpu_s"] = round(usage.cpu_seconds, 1)
    stage.series["cores"] = usage.cores
    stage.series["rss_mib"] = usage.rss_mib


def _makespan(cluster: Cluster, names: Sequence[Name]) -> float:
    """From the first apply to the last Ready."""
    first = min(cluster.applied_at[name] for name in names)
    return max(cluster.ready_at[name] for name in names) - first


def _names(manifests: Sequence[Json]) -> list[Name]:
    return [(m["metadata"]["namespace"], m["metadata"]["name"]) for m in manifests]


def _fill_vault(at: Installation, namespaces: Sequence[str], names: Sequence[Name]) -> None:
    """A role for each namespace, and the secret of each object."""
    for namespace in namespaces:
        at.vault.allow(namespace, namespace, ACCOUNT, f"{namespace}/*", ttl="2h")
    for name in names:
        at.vault.write(kv_path(*name), user="ada", password="first")  # noqa: S106 - of the bench
