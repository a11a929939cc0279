"""An object with addresses of this machine in place of a cluster's, as a table."""

from typing import Any

import pytest
import yaml

from eventpipeline_operator.adapters.local.addresses import Local, find_strangers, localise
from eventpipeline_operator.adapters.local.devfile import Address, Stand, parse_devfile
from servers.local import REPOSITORY

ADDRESSES = {
    Address("kafka.platform.svc", 9092): Stand.KAFKA,
    Address("postgres.platform.svc", 5432): Stand.POSTGRES,
    Address("mail.platform.svc", 1025): Stand.MAIL,
    Address("vault.platform.svc", 8200): Stand.VAULT,
    Address("zipkin.platform.svc", 9411): Stand.OFF,
}
SERVERS = {
    Stand.KAFKA: Address("127.0.0.1", 19092),
    Stand.POSTGRES: Address("127.0.0.1", 15432),
    Stand.MAIL: Address("127.0.0.1", 11025),
}
LOCAL = Local.of(ADDRESSES, SERVERS, 8088)


def localised(**spec: Any) -> Any:
    return localise({"metadata": {"name": "shop"}, "spec": spec}, LOCAL)["spec"]


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("kafka.platform.svc:9092", "127.0.0.1:19092"),
        ("kafka.platform.svc:9092,other:9092", "127.0.0.1:19092,other:9092"),
        ("kafka.platform.svc:90921", "kafka.platform.svc:90921"),
        ("my-kafka.platform.svc:9092", "my-kafka.platform.svc:9092"),
        ("kafka.platform.svc.example:9092", "kafka.platform.svc.example:9092"),
        ("postgresql://{u}:{p}@postgres.platform.svc:5432/orders",
         "postgresql://{u}:{p}@127.0.0.1:15432/orders"),
        ("postgresql://{u}:{p}@postgres.platform.svc/orders",
         "postgresql://{u}:{p}@127.0.0.1:15432/orders"),
        ("postgresql://postgres.platform.svc", "postgresql://127.0.0.1:15432"),
        ("see postgres.platform.svc for more", "see postgres.platform.svc for more"),
        ("http://vault.platform.svc:8200", "http://vault.platform.svc:8200"),
        ("1025", "1025"),
    ],
)  # fmt: skip
def test_addresses_in_texts(text: str, here: str) -> None:
    assert localised(config={"A": text})["config"]["A"] == here


def test_host_and_port_side_by_side() -> None:
    config = {"SMTP_HOST": "mail.platform.svc", "SMTP_PORT": "1025", "LIMIT": "7"}
    here = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "11025", "LIMIT": "7"}
    assert localised(config=config)["config"] == here


def test_a_port_alone_is_only_a_number() -> None:
    assert localised(config={"LIMIT": "1025"})["config"] == {"LIMIT": "1025"}


def test_lists_and_numbers_are_gone_through() -> None:
    services = [{"port": 8080, "args": ["--kafka", "kafka.platform.svc:9092"]}]
    assert localised(services=services)["services"][0] == {
        "port": 8080,
        "args": ["--kafka", "127.0.0.1:19092"],
    }


def test_tracing_goes_where_its_endpoint_is_off() -> None:
    there = {"endpoint": "http://zipkin.platform.svc:9411/api/v2/spans"}
    assert "tracing" not in localised(tracing=there)
    assert localised(tracing={"endpoint": "http://other:9411"})["tracing"]


def test_the_embedded_kafka_wants_no_credentials() -> None:
    client = {"tls": {"caSecret": "ca"}}
    embedded = localised(kafka={"bootstrapServers": "kafka.platform.svc:9092", "client": client})
    assert embedded["kafka"] == {"bootstrapServers": "127.0.0.1:19092"}
    foreign = localised(kafka={"bootstrapServers": "kafka.example:9093", "client": client})
    assert foreign["kafka"]["client"] == client


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("shop.localhost", "shop.localhost:8088"),
        ("shop.example.com", "shop.localhost:8088"),
    ],
)
def test_a_site_is_one_that_resolves_here(host: str, here: str) -> None:
    ingress = {"host": host, "className": "traefik", "tls": {"secretName": "x"}, "retries": 2}
    assert localised(ingress=ingress)["ingress"] == {"host": here}


def test_what_nothing_stands_for_is_found() -> None:
    spec = {"config": {"A": "redis.platform.svc:6379", "B": "http://vault.platform.svc:8200"}}
    found = find_strangers({"spec": spec}, {"vault.platform.svc"})
    assert found == ["redis.platform.svc:6379"]


def test_nothing_of_a_cluster_is_left_of_the_shop() -> None:
    examples = REPOSITORY / "examples"
    devfile = parse_devfile(yaml.safe_load((examples / "dev.yaml").read_text()), examples)
    documents = yaml.safe_load_all((examples / "shop.yaml").read_text())
    shop = next(d for d in documents if d["kind"] == "EventPipeline")
    here = localise(shop, Local.of(devfile.addresses, SERVERS, 8088))
    assert find_strangers(here, {"vault.platform.svc"}) == []
