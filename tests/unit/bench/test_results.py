from pathlib import Path

import pytest

from eventbench.results import Counts, ProcessUse, Stage, read_results, summarize, write_results
from eventbench.table import render_comparison, render_stage, render_stages


def direct(rps: float) -> Stage:
    return Stage("post-direct", "POST direct", {"rps": rps}, Counts(accepted=10))


def test_the_headlines_that_others_rely_on_are_all_there() -> None:
    assert {
        "post_direct_rps",
        "post_direct_p99_ms",
        "post_ingress_rps",
        "drain_mails_per_s",
        "rss_mib",
        "lost",
        "doubled",
    } <= set(summarize([]))


def test_a_stage_that_did_not_run_leaves_its_headline_empty() -> None:
    headline = summarize([direct(2500.0)])
    assert headline["post_direct_rps"] == 2500.0
    assert headline["drain_mails_per_s"] is None


def test_losses_and_doubles_are_added_up_over_all_stages() -> None:
    stages = [direct(1.0), Stage("drain", "drain", counts=Counts(lost=2, doubled=3))]
    headline = summarize([*stages, Stage("start", "start", counts=Counts(lost=1))])
    assert (headline["lost"], headline["doubled"]) == (3, 3)


def test_a_written_result_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "services.json"
    write_results(path, {"commit": "abc"}, [direct(2500.0)])
    stored = read_results(path)
    assert stored["post_direct_rps"] == 2500.0
    assert stored["stages"][0]["counts"]["accepted"] == 10


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "services.json"
    path.write_text('{"format": "something-else/7"}')
    with pytest.raises(ValueError, match="something-else/7"):
        read_results(path)


def test_two_results_are_shown_side_by_side_with_their_change(tmp_path: Path) -> None:
    sides = []
    for name, rps in (("before", 2000.0), ("after", 2500.0)):
        write_results(tmp_path / name, {}, [direct(rps)])
        sides.append(read_results(tmp_path / name))
    lines = render_comparison(sides[0], sides[1], ["before", "after"]).splitlines()
    assert lines[0].split() == ["figure", "before", "after", "change"]
    assert ["post_direct_rps", "2000", "2500", "+25.0%"] in [line.split() for line in lines]
    assert ["post-direct.rps", "2000", "2500", "+25.0%"] in [line.split() for line in lines]


def test_losses_stand_beside_each_figure() -> None:
    stage = direct(2500.0)
    stage.counts.lose(2, "outcomes never mailed")
    stage.processes.append(ProcessUse("order.api", 3, 1.5, 600.0, 90.0))
    assert "lost 2" in render_stage(stage)
    assert "lost 2: outcomes never mailed" in render_stage(stage)
    assert render_stages([stage]).splitlines()[1].split()[-2:] == ["2", "0"]
