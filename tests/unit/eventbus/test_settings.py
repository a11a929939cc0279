"""Environment → settings."""

from dataclasses import dataclass

import pytest

from eventbus.config import KafkaConfig, topic_names
from eventbus.settings import ServiceSettings, Settings, SettingsError, between, one_of, variable


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    name: str = variable("NAME")
    ratio: float = variable("RATIO", between(0, 1), default=1.0)
    mode: str = variable("MODE", one_of("fast", "safe"), default="safe")
    password: str = variable("PASSWORD", secret=True, default="")
    pin: int = variable("PIN", int, secret=True, default=0)


def test_values_are_read_and_defaults_kept() -> None:
    read = Example.from_env({"NAME": "x", "RATIO": "0.5"})
    assert (read.name, read.ratio, read.mode) == ("x", 0.5, "safe")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Example.from_env({"RATIO": "2", "MODE": "odd"})
    message = str(caught.value)
    assert "NAME is not set" in message
    assert "RATIO ('2'): must be between 0 and 1" in message
    assert "MODE ('odd'): must be one of fast, safe" in message


def test_secrets_are_neither_shown_nor_quoted_in_faults() -> None:
    assert "hunter2" not in repr(Example.from_env({"NAME": "x", "PASSWORD": "hunter2"}))
    with pytest.raises(SettingsError) as caught:
        Example.from_env({"NAME": "x", "PIN": "hunter2"})
    assert "PIN" in str(caught.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    with pytest.raises(SettingsError, match="NAME is not set"):
        Example.from_env({"NAME": ""})


def test_a_service_reads_what_the_operator_tells_it() -> None:
    environ = {
        "PIPELINE": "shop",
        "SERVICE": "order",
        "DATABASE_URL": "postgresql://u:hunter2@h/orders",
        "PORT": "8081",
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    settings = ServiceSettings.from_env(environ)
    assert settings.source == "/shop/order"
    assert (settings.port, settings.metrics_port, settings.traces_ratio) == (8081, 0, 0.1)
    assert "hunter2" not in repr(settings)


def test_kafka_security_reaches_every_client_and_no_repr() -> None:
    config = KafkaConfig.from_env(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_PASSWORD": "hunter2",
        }
    )
    for options in (config.admin(), config.producer(), config.consumer("g")):
        assert options["security.protocol"] == "SASL_SSL"
        assert options["sasl.password"] == "hunter2"
    assert "hunter2" not in repr(config)


def test_kafka_without_brokers_is_refused() -> None:
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS"):
        KafkaConfig.from_env({})


def test_producers_are_idempotent_and_consumers_do_not_commit_unasked() -> None:
    config = KafkaConfig("k:9092")
    assert config.producer()["enable.idempotence"] is True
    assert config.producer()["acks"] == "all"
    assert config.consumer("g")["enable.auto.offset.store"] is False


def test_topics_are_found_by_their_variables() -> None:
    environ = {"TOPIC_STOCK_EVENTS": "shop.stock-events", "DLQ_STOCK_EVENTS": "x.dlq", "OTHER": "y"}
    assert topic_names(environ) == {"stock-events": "shop.stock-events"}
    assert topic_names(environ, "DLQ_") == {"stock-events": "x.dlq"}
