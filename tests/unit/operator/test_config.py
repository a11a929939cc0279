"""Settings from the environment."""

import pytest

from eventpipeline_operator.config import Config, ConfigError


def test_an_empty_environment_gives_the_defaults() -> None:
    config = Config.from_env({})
    assert config.concurrency == 64
    assert config.watch_namespaces == ()
    assert config.leader_election is True


def test_every_variable_is_read() -> None:
    config = Config.from_env(
        {
            "WATCH_NAMESPACES": "a, b",
            "TOPIC_GRANTS": '{"a": ["market."]}',
            "DELETION_MAX_RECORDS": "0",
            "EXTERNAL_GRANTS": '{"b": ["prices."]}',
            "LEADER_ELECTION": "false",
            "CONCURRENCY": "3",
        }
    )
    assert config.watch_namespaces == ("a", "b")
    assert config.topic_grants == {"a": ("market.",)}
    assert config.deletion_max_records == 0
    assert config.external_grants == {"b": ("prices.",)}
    assert config.leader_election is False
    assert config.concurrency == 3


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        Config.from_env({"CONCURRENCY": "none", "LEADER_ELECTION": "maybe", "TOPIC_GRANTS": "[1]"})
    for name in ("CONCURRENCY", "LEADER_ELECTION", "TOPIC_GRANTS"):
        assert name in str(raised.value)
