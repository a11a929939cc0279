"""The foreign service of docs/write-a-service.md, built, told and run as that page says.

It is installed from wheels, as its image is, and has the environment that the operator would make
of its pipeline.yaml; the shop that it listens to is the real one.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from servers.local import REPOSITORY, free_port, stop_process
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.processes import Shop

LOYALTY = REPOSITORY / "examples" / "loyalty"
# The operator delivers the secret; here its only variable is set by hand.
DELIVERED = {"db": SecretReference("db", "1", "1", env=("DATABASE_URL",))}
UV = Path(sys.executable).with_name("uv")


class Steps(dict[str, float]):
    """How many seconds each step of the page took this machine."""

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self[step] = round(time.monotonic() - began, 1)


@dataclass
class Team:
    """What the loyalty team has: its object, its installed code, its database."""

    pipeline: EventPipeline
    installed: Path
    database: str
    logs: Path
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, told: dict[str, str]) -> dict[str, str]:
        """What the operator tells, and what only this machine knows."""
        ports = {"PORT": str(self.port), "METRICS_PORT": str(self.metrics_port)}
        return {
            **told,
            **{name: port for name, port in ports.items() if name in told},
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.installed),
            "DATABASE_URL": self.database,
            "DRAIN_SECONDS": "0",
        }

    def migrate(self) -> None:
        record = build_migration(self.pipeline, self.pipeline.services[0], DELIVERED)
        assert record is not None
        command = [sys.executable, "-m", "loyalty_service", *record.workload.args]
        environment = self.environment(dict(record.workload.env))
        subprocess.run(command, env=environment, check=True)

    def start(self, worker: str | None) -> None:
        """The API (no worker's name) or a worker, until it is ready."""
        workloads = build_workloads(self.pipeline, self.pipeline.services[0], DELIVERED)
        (record,) = (each for each in workloads if each.worker == worker)
        name = worker or "api"
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "loyalty_service", *record.args],
                env=self.environment(dict(record.env)),
                stdout=log,
                stderr=log,
            )
        address = self.metrics_port if worker else self.port
        wait_for(f"{name} ({self.logs})", partial(self._get, address, "/readyz"))

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        stop_process(process, seconds=30)
        assert process.returncode == 0

    def balance(self, customer: str) -> dict[str, Any]:
        answer = self._get(self.port, f"/api/v1/loyalty/{customer}")
        data: dict[str, Any] = answer.json().get("data", {})
        return data

    @staticmethod
    def _get(port: int, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def installed(steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both wheels, built and laid out as the Dockerfile does it."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("app")
    build = f"{UV} build --quiet --wheel --no-build-isolation --out-dir {wheels}".split()
    install = f"{UV} pip install --quiet --no-index --no-deps --target {target}".split()
    with steps.timed("wheels"):
        for project in (REPOSITORY / "libs" / "eventbus", LOYALTY):
            subprocess.run([*build, project], check=True)
        subprocess.run([*install, *wheels.glob("*.whl")], check=True)
    return target


@pytest.fixture(scope="module")
def team(
    shop: Shop,
    postgres: PostgresServer,
    installed: Path,
    steps: Steps,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Team]:
    body = yaml.safe_load((LOYALTY / "pipeline.yaml").read_text())
    body["metadata"] |= {"uid": "loyalty", "generation": 1, "namespace": shop.namespace}
    body["spec"]["kafka"]["bootstrapServers"] = shop.bootstrap_servers
    body["spec"]["topics"][0]["external"]["topicName"] = shop.topic("orders")
    pipeline = parse(body)
    team = Team(
        pipeline, installed, postgres.create_database("loyalty"), tmp_path_factory.mktemp("loyalty")
    )
    admin = AdminClient({"bootstrap.servers": shop.bootstrap_servers})
    wanted = [t for t in build_topics(pipeline) if not t.external]
    for future in admin.create_topics([NewTopic(t.name, t.partitions, 1) for t in wanted]).values():
        future.result()
    with steps.timed("migration"):
        team.migrate()
    with steps.timed("start"):
        team.start(None)
        team.start("worker")
    yield team
    for name in list(team.running):
        team.stop(name)


def test_a_confirmed_order_is_worth_points(
    shop: Shop,
    team: Team,
    steps: Steps,
    product: str,
    customer: str,
    record_property: Callable[[str, object], None],
) -> None:
    shop.add_stock(product, 3)
    with steps.timed("order to points"):
        shop.place(product, 3, customer)
        balance = wait_for("the points", lambda: team.balance(customer))
    assert balance == {"customer": customer, "points": 30, "orders": 1}
    record_property("seconds", steps)
    sys.stdout.write(f"seconds of the page's steps: {steps}\n")


def test_a_rejected_order_is_worth_nothing(
    shop: Shop, team: Team, product: str, customer: str
) -> None:
    shop.add_stock(product, 1)
    shop.wait_for_status(shop.place(product, 2, customer), "REJECTED")
    shop.wait_for_status(shop.place(product, 1, customer), "CONFIRMED")
    balance = wait_for("the points", lambda: team.balance(customer))
    assert (balance["points"], balance["orders"]) == (10, 1)


def test_reading_everything_again_from_the_first_record_changes_nothing(
    shop: Shop, team: Team, product: str, customer: str
) -> None:
    shop.add_stock(product, 2)
    for _ in range(2):
        shop.place(product, 1, customer)
    wait_for("the points", lambda: team.balance(customer).get("orders") == 2)
    before, told = everything(team), published(team, shop)
    team.stop("worker")
    ends = positions(team)
    move_to_zero(team)
    team.start("worker")
    wait_for("every record to be read again", lambda: positions(team) == ends)
    assert everything(team) == before
    assert published(team, shop) == told
    assert len(told) == len(set(told)) == len(before)


def query(team: Team, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(team.database)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    connection.close()
    return rows


def everything(team: Team) -> list[tuple[Any, ...]]:
    return query(team, "SELECT order_id, customer, points, granted_at FROM points ORDER BY 1")


def positions(team: Team) -> list[tuple[Any, ...]]:
    return query(team, "SELECT partition, next_offset FROM consumer_offset ORDER BY 1")


def move_to_zero(team: Team) -> None:
    query(team, "UPDATE consumer_offset SET next_offset = 0 RETURNING partition")


def published(team: Team, shop: Shop) -> list[str]:
    """The id of every event that the team has told, as soon as its outbox is empty."""
    wait_for("an empty outbox", lambda: query(team, "SELECT count(*) FROM outbox") == [(0,)])
    options = {"bootstrap.servers": shop.bootstrap_servers, "group.id": "nobody"}
    consumer = Consumer({**options, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    (topic,) = (t for t in build_topics(team.pipeline) if t.entry == "loyalty-events")
    consumer.assign([TopicPartition(topic.name, n, 0) for n in range(topic.partitions)])
    ids, ended = [], 0
    while ended < topic.partitions:
        record = consumer.poll(10)
        assert record is not None
        if record.error():
            ended += 1  # of this partition
        else:
            headers: Any = record.headers()
            ids.append(dict(headers)["ce_id"].decode())
    consumer.close()
    return sorted(ids)
