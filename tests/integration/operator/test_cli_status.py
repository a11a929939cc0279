"""`eventpipeline status` against a real API server with the operator at work."""

import json
from typing import Any

from servers.command_line import CommandLine
from servers.kubernetes_cluster import Cluster

Json = dict[str, Any]


def test_a_ready_object_is_shown_in_full(ready_shop: Json, command_line: CommandLine) -> None:
    assert ready_shop
    done = command_line.run("status", "shop")
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    for word in ("Ready", "TopicsInSync", "SecretsInSync", "WorkloadsAvailable", "order-consumer"):
        assert word in words
    assert "p@ss/word" not in done.stdout
    listed = command_line.run("status")
    assert "http://shop.localhost" in listed.stdout
    everywhere = command_line.run("status", "--all-namespaces", "--output", "json")
    summaries = {(s["namespace"], s["name"]): s for s in json.loads(everywhere.stdout)}
    assert summaries[ready_shop["metadata"]["namespace"], "shop"]["ready"] == "True"


def test_an_object_that_is_not_there_is_one_sentence(command_line: CommandLine) -> None:
    done = command_line.run("status", "shop")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: there is no EventPipeline shop in namespace test-")
    assert len(done.stderr.splitlines()) == 1


def test_watching_shows_a_change_when_it_comes_and_ctrl_c_is_no_failure(
    shop: Json, cluster: Cluster, command_line: CommandLine
) -> None:
    assert shop
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
    with command_line.on_terminal("status", "shop", "--watch") as terminal:
        terminal.wait_for("MigrationRunning")
        cluster.finish_jobs()
        terminal.wait_for("RollingOut")
        assert terminal.interrupt() == 0
