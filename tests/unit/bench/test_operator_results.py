import json
from pathlib import Path

import pytest

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.validation import validate
from operatorbench.__main__ import scenarios_of
from operatorbench.objects import (
    Json,
    Site,
    build_full_object,
    build_service_object,
    build_topics_object,
)
from operatorbench.results import FORMAT, Stage, broken_bounds, summarize, write_results

SITE = Site("127.0.0.1:9092", "http://127.0.0.1:8200")


def test_a_headline_is_the_worst_of_its_stages_and_null_where_none_ran() -> None:
    one = Stage("topics-one", "", figures={"rss_mib": 90.0, "seconds": 2.5})
    fifty = Stage("topics-fifty", "", figures={"rss_mib": 110.0, "seconds": 4.0})
    summary = summarize([one, fifty])
    assert summary["rss_mib"] == 110.0
    assert (summary["topics_1000_seconds"], summary["topics_1000_fifty_seconds"]) == (2.5, 4.0)
    assert summary["writes_at_rest"] is None


def test_a_single_write_at_rest_breaks_the_bound() -> None:
    quiet = summarize([Stage("rest", "", figures={"writes": 0})])
    assert broken_bounds(quiet) == []
    (words,) = broken_bounds(summarize([Stage("rest", "", figures={"writes": 1})]))
    assert "writes_at_rest is 1" in words


def test_the_file_carries_headlines_and_raw_samples(tmp_path: Path) -> None:
    stage = Stage("topics-one", "", figures={"seconds": 2.5}, samples={"seconds": [2.4, 2.5]})
    write_results(tmp_path / "operator.json", {"commit": "abc"}, [stage])
    content = json.loads((tmp_path / "operator.json").read_text())
    assert content["format"] == FORMAT
    assert content["topics_1000_seconds"] == 2.5
    assert content["stages"][0]["samples"] == {"seconds": [2.4, 2.5]}


@pytest.mark.parametrize(
    "body",
    [
        build_topics_object(SITE, "team", "a", 10),
        build_service_object(SITE, "team", "a"),
        build_full_object(SITE, "team", "a"),
    ],
)
def test_the_objects_are_valid(body: Json) -> None:
    body["metadata"] |= {"uid": "u", "generation": 1}
    assert validate(parse(body)) == []


def test_an_unknown_scenario_is_named_in_the_refusal() -> None:
    assert scenarios_of("full,topics") == ["topics", "full"]
    with pytest.raises(SystemExit, match="fulll"):
        scenarios_of("fulll")
