"""What users of the shop see of a runtime: one suite for the kind cluster and local processes."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import requests

from servers.waiting import wait_for

Change = Callable[[dict[str, Any]], None]
CUSTOMER = "ada@example.com"
ORDERS = "shop.shop.orders"
RETENTION = "retention.ms"
MAIL_LOGIN = "kv/shop"
DECIDED_SECONDS = 90.0
# A runtime finds what was changed behind its back when it looks again, in a cluster after two
# minutes; then it rolls what is concerned.
NOTICED_SECONDS = 240.0
REPLACED_SECONDS = 150.0


class Runtime(ABC):
    """Something that runs examples/shop.yaml, as its users and its surroundings reach it."""

    @abstractmethod
    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        """One request at the shop's HTTP entry."""

    @abstractmethod
    def subjects(self, order: str) -> list[str]:
        """Of the caught mails about an order."""

    @abstractmethod
    def setting(self, topic: str, key: str) -> str:
        """What Kafka says of a topic."""

    @abstractmethod
    def change_setting(self, topic: str, key: str, value: str) -> None:
        """Change a topic in Kafka itself; whoever asks from now on is told so."""

    @abstractmethod
    def read_secret(self, path: str) -> dict[str, str]:
        """The values of a kv secret in Vault itself."""

    @abstractmethod
    def write_secret(self, path: str, values: dict[str, str]) -> None:
        """Make these its values."""

    @abstractmethod
    def edit(self, change: Change) -> None:
        """Have the object changed by a function of its spec, as its owner does."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the object as it is now says so."""

    @abstractmethod
    def processes(self, workload: str) -> set[str]:
        """Those of a service or worker that are ready, each with a name that no other ever has."""

    @abstractmethod
    def runs(self, process: str) -> bool:
        """Whether there still is such a process, ready or not."""

    @abstractmethod
    def kill(self, process: str) -> None:
        """As the kernel does for want of memory: at once."""

    def add_stock(self, product: str, quantity: int) -> None:
        body = {"product": product, "quantity": quantity}
        self.call("POST", "/api/v1/stock/add", body).raise_for_status()

    def stock_of(self, product: str) -> int:
        answer = self.call("GET", f"/api/v1/stock/{product}")
        quantity: int = answer.json()["data"]["quantity"]
        return quantity

    def place(self, product: str, quantity: int) -> str:
        body = {"product": product, "quantity": quantity, "customerEmail": CUSTOMER}
        answer = self.call("POST", "/api/v1/order", body)
        assert answer.status_code == 202, answer.text
        order: str = answer.json()["data"]["orderID"]
        return order

    def wait_for_order(self, order: str, status: str) -> None:
        """Until the order is in that state."""

        def reached() -> bool:
            found: str = self.call("GET", f"/api/v1/order/{order}").json()["data"]["status"]
            return found == status

        wait_for(f"order {order} {status}", reached, seconds=DECIDED_SECONDS)

    def wait_for_mails(self, order: str) -> list[str]:
        """The subjects, as soon as there are any."""
        return wait_for(
            f"a mail about {order}", partial(self.subjects, order), seconds=DECIDED_SECONDS
        )


@dataclass(frozen=True)
class Before:
    """What was there before something was changed behind the runtime's back."""

    login: dict[str, str]
    sender: set[str]
    relay: set[str]


class RuntimeContract:
    """Subclasses provide the fixture `runtime`: the shop, ready, for all of these tests."""

    @pytest.fixture
    def product(self, runtime: Runtime) -> str:
        """Nobody else orders it; ten pieces are there."""
        name = f"book-{secrets.token_hex(4)}"
        runtime.add_stock(name, 10)
        return name

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, runtime: Runtime) -> Before:
        """A topic and a secret, changed at the same time: one look of the runtime finds both."""
        login = runtime.read_secret(MAIL_LOGIN)
        found = Before(login, runtime.processes("email-sender"), runtime.processes("order-relay"))
        runtime.change_setting(ORDERS, RETENTION, "3600000")
        runtime.write_secret(MAIL_LOGIN, login | {"EMAIL_PASSWORD": secrets.token_hex(8)})
        return found

    def test_an_order_ends_in_a_mail(self, runtime: Runtime, product: str) -> None:
        order = runtime.place(product, 3)
        runtime.wait_for_order(order, "CONFIRMED")
        assert runtime.wait_for_mails(order) == ["Order Created"]
        assert runtime.stock_of(product) == 7

    def test_an_order_beyond_the_stock_is_refused_and_takes_nothing(
        self, runtime: Runtime, product: str
    ) -> None:
        order = runtime.place(product, 11)
        runtime.wait_for_order(order, "REJECTED")
        assert runtime.wait_for_mails(order) == ["Order Rejected"]
        assert runtime.stock_of(product) == 10

    def test_a_killed_process_is_started_anew(self, runtime: Runtime, product: str) -> None:
        (killed,) = runtime.processes("stock-consumer")
        runtime.kill(killed)
        wait_for(
            "another process",
            lambda: runtime.processes("stock-consumer") - {killed},
            seconds=REPLACED_SECONDS,
        )
        runtime.wait_for_order(runtime.place(product, 1), "CONFIRMED")

    def test_a_drifted_topic_is_repaired(self, runtime: Runtime, before: Before) -> None:
        assert before
        wait_for(
            "the retention as declared",
            lambda: runtime.setting(ORDERS, RETENTION) == "-1",
            seconds=NOTICED_SECONDS,
        )

    def test_a_rotated_secret_replaces_the_processes_that_use_it_alone(
        self, runtime: Runtime, before: Before
    ) -> None:
        wait_for(
            "another sender",
            lambda: runtime.processes("email-sender") - before.sender,
            seconds=NOTICED_SECONDS,
        )
        wait_for(
            "the end of the first",
            lambda: not any(map(runtime.runs, before.sender)),
            seconds=REPLACED_SECONDS,
        )
        assert runtime.processes("order-relay") == before.relay
        wait_for("readiness", runtime.is_ready, seconds=REPLACED_SECONDS)
        runtime.write_secret(MAIL_LOGIN, before.login)  # a mail server may know no other

    def test_a_removed_worker_is_gone_and_the_rest_left_alone(self, runtime: Runtime) -> None:
        def add(spec: dict[str, Any]) -> None:
            spec["services"][0]["workers"].append({"name": "second", "args": ["sweep"]})

        def remove(spec: dict[str, Any]) -> None:
            spec["services"][0]["workers"].pop()

        rest = runtime.processes("order")
        runtime.edit(add)
        (added,) = wait_for(
            "the worker", lambda: runtime.processes("order-second"), seconds=REPLACED_SECONDS
        )
        runtime.edit(remove)
        wait_for("its end", lambda: not runtime.runs(added), seconds=REPLACED_SECONDS)
        assert runtime.processes("order") == rest
