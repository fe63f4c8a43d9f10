"""Numbers as people read them."""

import math

import pytest

from imitax.stats import units


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (7, "7"),
        (950, "950"),
        (999.4, "999"),
        (999.6, "1.0 k"),
        (1000, "1.0 k"),
        (5120, "5.1 k"),
        (9949, "9.9 k"),
        (9951, "10 k"),
        (104_600, "105 k"),
        (999_499, "999 k"),
        (999_500, "1.0 M"),
        (1_234_567, "1.2 M"),
        (2.5e9, "2.5 G"),
        (3e12, "3.0 T"),
        (4e15, "4000 T"),
        (-1500, "-1.5 k"),
        (math.nan, "?"),
        (math.inf, "?"),
    ],
)
def test_counts(number, text):
    assert units.count(number) == text


@pytest.mark.parametrize(
    "number, text",
    [(0, "0 B"), (512, "512 B"), (4_500_000, "4.5 MB"), (999_600, "1.0 MB"), (24e9, "24 GB")],
)
def test_sizes(number, text):
    assert units.size(number) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (4.25, "4.2 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (7199, "2 h"),
        (86399, "24 h"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text


def test_cells_of_an_evaluation():
    returns = {"mean": -80.0, "std": 1.25, "interval": [-81.0, -79.0]}
    assert units.evaluation_cells(returns, -0.001) == ["-80.0 ± 1.2", "[-81.0, -79.0]", "0.00"]
    assert (
        units.evaluation_cells(returns, None)[2]
        == units.evaluation_cells(returns, math.nan)[2]
        == ""
    )
