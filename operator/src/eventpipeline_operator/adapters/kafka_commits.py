"""Committed offsets of groups, each read through a consumer that never joins its group.

The admin client could be asked too, but librdkafka 2.16 ends the whole process with a segmentation
fault when it is answered that the coordinator has moved or is still loading.
"""

import asyncio
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaException, TopicPartition

from eventpipeline_operator.adapters.kafka_security import Settings
from eventpipeline_operator.adapters.metrics import KAFKA_CALLS

CALL_SECONDS = 8.0
THREADS = 4
KEPT = 32

Place = tuple[str, int]
Key = tuple[str, bytes, str]


class Commits:
    """Consumers by cluster, identity and group; the least recently used closed beyond a limit."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="commits")
        self._consumers: OrderedDict[Key, Consumer] = OrderedDict()
        self._lock = threading.Lock()

    async def read(
        self, servers: str, settings: Settings, group: str, places: Iterable[Place]
    ) -> dict[Place, int] | None:
        """Offsets of those partitions that have one; None when not all could be asked."""
        loop, asked = asyncio.get_running_loop(), list(places)
        return await loop.run_in_executor(
            self._threads, self._read, servers, settings, group, asked
        )

    def close(self) -> None:
        """Keep nothing: no consumer and no thread."""
        self._threads.shutdown()
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()

    def _read(
        self, servers: str, settings: Settings, group: str, places: list[Place]
    ) -> dict[Place, int] | None:
        digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).digest()
        key = (servers, digest, group)
        with self._lock:
            consumer = self._consumers.pop(key, None)
        consumer = consumer or _consumer(servers, settings, group)
        try:
            targets = [TopicPartition(*place) for place in places]
            answers = consumer.committed(targets, timeout=CALL_SECONDS)
        except KafkaException:
            KAFKA_CALLS.labels(call="committed", outcome="failed").inc()
            consumer.close()
            raise
        KAFKA_CALLS.labels(call="committed", outcome="ok").inc()
        self._keep(key, consumer)
        if any(tp.error for tp in answers):
            return None
        return {(tp.topic, tp.partition): tp.offset for tp in answers if tp.offset >= 0}

    def _keep(self, key: Key, consumer: Consumer) -> None:
        with self._lock:
            known = self._consumers.pop(key, None)
            self._consumers[key] = consumer
            spare = [known] if known else []
            while len(self._consumers) > KEPT:
                spare.append(self._consumers.popitem(last=False)[1])
        for each in spare:
            each.close()


def _consumer(servers: str, settings: Mapping[str, str], group: str) -> Consumer:
    return Consumer(
        {
            **settings,
            "bootstrap.servers": servers,
            "group.id": group,
            "client.id": "eventpipeline-operator",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
