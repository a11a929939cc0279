import pytest

from eventbench.load import Plan
from eventbench.load_command import build_parser as build_load_parser
from eventbench.load_command import plan_of, split_plan
from eventbench.scenarios import NAMES
from eventbench.services import build_parser, effort_of, scenarios_of


def test_the_host_header_is_that_of_the_url_unless_given() -> None:
    parser = build_load_parser()
    plan, host = plan_of(parser.parse_args(["--url", "http://127.0.0.1:8088"]))
    assert (plan.address, plan.port, host) == ("127.0.0.1", 8088, "127.0.0.1:8088")
    _, host = plan_of(parser.parse_args(["--url", "http://127.0.0.1:8088", "--host", "shop.test"]))
    assert host == "shop.test"


def test_several_processes_share_rate_and_connections() -> None:
    whole = Plan(address="127.0.0.1", port=1, connections=16, rate=1000.0)
    shares = split_plan(whole, 4)
    assert [share.rate for share in shares] == [250.0] * 4
    assert sum(share.connections for share in shares) == 16


def test_scenarios_run_in_their_order_whatever_order_they_are_asked_in() -> None:
    assert scenarios_of("drain,direct") == ["direct", "drain"]
    assert scenarios_of(None) == list(NAMES)


def test_an_unknown_scenario_is_named_in_the_refusal() -> None:
    with pytest.raises(SystemExit, match="dirct"):
        scenarios_of("dirct")


def test_the_full_effort_is_five_minutes_and_can_be_changed() -> None:
    parser = build_parser()
    assert effort_of(parser.parse_args(["--full"])).seconds == 300
    changed = effort_of(parser.parse_args(["--full", "--seconds", "30"]))
    assert (changed.seconds, changed.rate) == (30, 800)
