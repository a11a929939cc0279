"""Where the copies of a topic's partitions are to be: Kafka changes their number by hand only.

The words are those of `kafka-reassign-partitions.sh` (Kafka's documentation, "Increasing
replication factor").
"""

import json
from collections import Counter
from collections.abc import Sequence

LONGEST = 3000  # characters: a condition has room for 4,096

Replicas = Sequence[Sequence[int]]


def plan_reassignment(replicas: Replicas, factor: int, brokers: Sequence[int]) -> list[list[int]]:
    """Brokers by partition, `factor` of them each, at most as many as there are brokers.

    Copies stay where they are, the preferred leader first; a new one goes to the broker that has
    the fewest of this topic.
    """
    load = Counter(broker for copies in replicas for broker in copies)
    wanted = []
    for copies in replicas:
        kept = list(copies[:factor])
        while len(kept) < factor:
            broker = min((b for b in brokers if b not in kept), key=lambda b: (load[b], b))
            load[broker] += 1
            kept.append(broker)
        wanted.append(kept)
    return wanted


def describe_reassignment(
    topic: str, replicas: Replicas, factor: int, brokers: Sequence[int]
) -> str:
    """What a person is to do about another number of copies than declared, as an imperative."""
    if brokers and factor > len(brokers):
        return f"add brokers: the cluster has {len(brokers)}"
    tool = "kafka-reassign-partitions.sh"
    partitions = [
        {"topic": topic, "partition": number, "replicas": copies}
        for number, copies in enumerate(plan_reassignment(replicas, factor, brokers))
    ] if brokers else []  # fmt: skip
    content = json.dumps({"version": 1, "partitions": partitions}, separators=(",", ":"))
    if not partitions or len(content) > LONGEST:
        return f"reassign its partitions with {tool}"
    return f"run {tool} --execute --reassignment-json-file FILE, with FILE holding {content}"
