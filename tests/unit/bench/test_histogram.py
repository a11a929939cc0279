import random

from eventbench.histogram import Histogram, histogram_of


def test_percentiles_are_within_one_percent_of_the_exact_ones() -> None:
    chooser = random.Random(5)  # noqa: S311
    durations = sorted(chooser.lognormvariate(-5, 1.5) for _ in range(20_000))
    measured = histogram_of(durations)
    for percent in (1.0, 50.0, 90.0, 99.0, 99.9):
        exact = durations[max(0, int(len(durations) * percent / 100) - 1)] * 1000
        assert abs(measured.percentile(percent) - exact) <= 0.01 * exact + 0.002


def test_the_maximum_is_exact() -> None:
    assert histogram_of([0.001, 1.234567]).max_ms == 1234.567


def test_no_percentile_lies_above_the_maximum() -> None:
    assert histogram_of([0.123456] * 10).percentile(99.9) == 123.456


def test_an_empty_histogram_has_percentiles_of_zero() -> None:
    assert set(Histogram().summary().values()) == {0.0}


def test_merging_is_like_counting_everything_in_one() -> None:
    left, right = histogram_of([0.001, 0.01]), histogram_of([0.1, 1.0])
    left.merge(right)
    assert left.to_json() == histogram_of([0.001, 0.01, 0.1, 1.0]).to_json()
    assert left.summary() == histogram_of([0.001, 0.01, 0.1, 1.0]).summary()


def test_what_was_written_reads_back_with_the_same_buckets() -> None:
    written = histogram_of([0.000_05, 0.000_3, 0.004, 0.7, 12.0]).to_json()
    assert Histogram.from_json(written).to_json() == written
