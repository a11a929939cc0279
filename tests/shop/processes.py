"""The shop as real processes: three services with the environment that the operator gives them."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import requests
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from servers.local import REPOSITORY, free_port
from servers.waiting import wait_for

SOURCES = [REPOSITORY / "libs/eventbus/src"] + [
    REPOSITORY / f"services/{name}/src" for name in ("order", "stock", "email")
]
TOPICS = ("orders", "stock-commands", "stock-events")
PRODUCES = {"order": ("orders", "stock-commands"), "stock": ("stock-events",), "email": ()}
CONSUMES = {
    "order": ("stock-events", "orders"),
    "stock": ("stock-commands",),
    "email": ("orders",),
}


@dataclass
class Shop:
    """Starts, stops and kills processes by name, for example `order-relay`."""

    namespace: str
    bootstrap_servers: str
    databases: dict[str, str]
    smtp_port: int
    logs: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in self.databases}
        self.metrics_ports: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def topic(self, name: str) -> str:
        return f"{self.namespace}.shop.{name}"

    def dead_letters(self, service: str, topic: str = "") -> str:
        return f"{self.topic(topic or CONSUMES[service][0])}.{service}.dlq"

    def prepare(self) -> None:
        """Create the topics and migrate the databases."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        names = [self.topic(name) for name in TOPICS]
        names += [self.dead_letters(service, t) for service in CONSUMES for t in CONSUMES[service]]
        for future in admin.create_topics([NewTopic(name, 6, 1) for name in names]).values():
            future.result()
        for service in self.databases:
            self.run(service, "migrate")

    def run(self, service: str, *arguments: str) -> None:
        """Run a command to its end."""
        subprocess.run(
            self._command(service, *arguments), env=self._environment(service), check=True
        )

    def start(self, service: str, *arguments: str) -> None:
        """Start a process; its log is a file of its name."""
        name = "-".join((service, *arguments))
        environment = self._environment(service)
        if arguments == ("api",):
            environment["PORT"] = str(self.ports[service])
        else:
            self.metrics_ports[name] = free_port()
            environment |= {"WORKER": "-".join(arguments)}
            environment["METRICS_PORT"] = str(self.metrics_ports[name])
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(service, *arguments), env=environment, stdout=log, stderr=log
            )

    def start_all(self) -> None:
        """Every process of the shop, as examples/shop.yaml has them."""
        for service in self.databases:
            self.start(service, "api")
        self.start("order", "relay", "sweep")
        self.start("order", "consume", "stats")
        self.start("stock", "relay")
        self.start("stock", "consume")
        self.start("email", "consume", "relay")
        self.start("email", "send")
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        addresses = {name: self.metrics_ports.get(name) for name in self.processes}
        for name, port in addresses.items():
            address = port or self.ports[name.removesuffix("-api")]
            wait_for(f"{name} ({self.logs}/{name}.log)", partial(_is_ready, address), seconds=60)

    def kill(self, name: str) -> None:
        """As a power cut would; a crashed process is started anew by `restart`."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def restart(self, name: str) -> None:
        service, *arguments = name.split("-")
        self.start(service, *arguments)

    def stop(self, name: str) -> int:
        """Politely; answers the exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def stop_all(self) -> dict[str, int]:
        """Every process; answers the exit codes."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self.processes.clear()
        return codes

    def url(self, service: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[service]}/api/v1/{service}{path}"

    def add_stock(self, product: str, quantity: int) -> None:
        body = {"product": product, "quantity": quantity}
        requests.post(self.url("stock", "/add"), json=body, timeout=10).raise_for_status()

    def stock_of(self, product: str) -> int:
        answer = requests.get(self.url("stock", f"/{product}"), timeout=10)
        quantity: int = answer.json()["data"]["quantity"]
        return quantity

    def place(self, product: str, quantity: int, customer: str) -> str:
        body = {"product": product, "quantity": quantity, "customerEmail": customer}
        answer = requests.post(self.url("order"), json=body, timeout=10)
        assert answer.status_code == 202, answer.text
        order_id: str = answer.json()["data"]["orderID"]
        return order_id

    def order(self, order_id: str) -> dict[str, str]:
        answer = requests.get(self.url("order", f"/{order_id}"), timeout=10)
        data: dict[str, str] = answer.json()["data"]
        return data

    def wait_for_status(self, order_id: str, status: str, seconds: float = 30) -> dict[str, str]:
        wait_for(
            f"order {order_id} {status}",
            lambda: self.order(order_id)["status"] == status,
            seconds=seconds,
        )
        return self.order(order_id)

    def counted(self, product: str) -> dict[str, tuple[int, int]]:
        """Orders and pieces of the last hours, by the state that they came into."""
        query: dict[str, str | int] = {"product": product, "window": 7_200}
        answer = requests.get(self.url("order", "/stats"), query, timeout=10)
        sums: dict[str, tuple[int, int]] = {}
        for each in answer.json()["data"]["windows"]:
            orders, quantity = sums.get(each["status"], (0, 0))
            sums[each["status"]] = orders + each["orders"], quantity + each["quantity"]
        return sums

    def _command(self, service: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", f"{service}_service", *arguments]

    def _environment(self, service: str) -> dict[str, str]:
        consumed = CONSUMES[service]
        group = f"{self.namespace}.shop.{service}.consumer"
        topics = {*PRODUCES[service], *consumed}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, SOURCES)),
            "PYTHONUNBUFFERED": "1",
            "PIPELINE": "shop",
            "SERVICE": service,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "DATABASE_URL": self.databases[service],
            "CONSUMER_GROUP": group,
            **{f"DLQ_{_variable(name)}": self.dead_letters(service, name) for name in consumed},
            **{f"TOPIC_{_variable(name)}": self.topic(name) for name in topics},
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp_port),
            "MAIL_FROM": "shop@example.com",
            "DRAIN_SECONDS": "0",
            **self.settings,
        }


def _variable(topic: str) -> str:
    return topic.upper().replace("-", "_")


def _is_ready(port: int) -> bool:
    return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
