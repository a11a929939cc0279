from eventbench.ledger import OrderFate
from eventbench.results import Stage
from eventbench.timelines import describe_orders, latency_series, rate_series


def test_each_second_counts_what_fell_into_it() -> None:
    assert rate_series([100.1, 100.9, 102.0], 100.0) == [(0.0, 2.0), (2.0, 1.0)]


def test_a_latency_belongs_to_the_second_in_which_it_began() -> None:
    series = latency_series([(100.5, 103.5)], 100.0)
    assert [second for second, _ in series["p99"]] == [0.0]
    assert abs(series["p99"][0][1] - 3000) < 30


def test_the_warm_up_is_in_the_series_and_not_in_the_percentiles() -> None:
    stage = Stage("s", "s")
    orders = {
        "slow": OrderFate("CONFIRMED", 100.0, 109.0, 110.0),
        "quick": OrderFate("CONFIRMED", 105.0, 105.1, 105.2),
    }
    describe_orders(stage, orders, started_at=100.0, warmup=2.0)
    assert abs(stage.figures["confirmed_p99_ms"] - 100) < 1
    assert abs(stage.figures["mailed_p99_ms"] - 200) < 2
    assert stage.series["confirmed_per_s"] == [(5.0, 1.0), (9.0, 1.0)]


def test_an_order_that_waits_has_no_latency_yet() -> None:
    stage = Stage("s", "s")
    describe_orders(stage, {"a": OrderFate("PENDING", 1.0, 1.0)}, started_at=1.0, warmup=0.0)
    assert stage.figures["confirmed_p99_ms"] == 0
