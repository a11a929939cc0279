"""`eventpipeline explain` reads what the operator has written about a real object."""

import json
from typing import Any

from servers.command_line import CommandLine
from servers.kubernetes_cluster import Cluster
from servers.waiting import wait_for

Json = dict[str, Any]
PLANTED = "p@ss/word"


def test_a_change_is_explained_from_cause_to_result(
    ready_shop: Json, cluster: Cluster, command_line: CommandLine
) -> None:
    ready_shop["spec"]["services"][1]["image"] = "page:2"
    cluster.apply(ready_shop)

    def story() -> Json | None:
        done = command_line.run("explain", "shop", "--output", "json", "--generation", "2")
        assert done.returncode == 0, done.stderr
        told: Json = json.loads(done.stdout)
        return told if told["generations"][0]["calls"] else None

    told = wait_for("the second generation in the journal", story)
    assert told
    (entry,) = told["generations"]
    assert entry["differences"] == ["spec.services[page].image page:1 → page:2"]
    assert "Deployment shop-page" in {call["object"] for call in entry["calls"]}

    text = command_line.run("explain", "shop").stdout
    assert text.index("generation 1") < text.index("generation 2") < text.index("now: Ready=")
    assert PLANTED not in text


def test_an_object_without_a_journal_says_where_to_look(
    ready_shop: Json, command_line: CommandLine
) -> None:
    assert ready_shop
    done = command_line.run("explain", "shop", "--operator-namespace", "default")
    assert done.returncode == 1
    assert "--operator-namespace" in done.stderr
