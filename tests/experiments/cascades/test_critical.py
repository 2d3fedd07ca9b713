from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.cascades.critical import (
    RUNG,
    agreement,
    bisect,
    median_interval,
    of_grid,
    of_thresholds,
    ratio_of_thresholds,
)


@pytest.mark.parametrize("true", [0.21, 0.7, 1.1, 3.0, 7.9])
def test_bisection_finds_where_a_seed_turns(true: float) -> None:
    seen: list[float] = []

    def evaluate(r0: float) -> tuple[bool, float]:
        seen.append(r0)
        return r0 > true, 0.9 * r0

    found = bisect(evaluate, 0.2, 8.0)
    assert found.side == "inside"
    assert found.value == pytest.approx(true, rel=0.011)
    assert found.measured == pytest.approx(0.9 * true, rel=0.025)
    assert found.runs == len(seen)
    assert max(seen) <= 8.0 * (1 + 1e-12)


def test_a_seed_that_turns_back_is_found_where_it_turns_first() -> None:
    found = bisect(lambda r0: (1.0 < r0 < 2.0, r0), 0.2, 8.0)
    assert found.value == pytest.approx(1.0, rel=0.011)
    assert RUNG < 2.0


def test_thresholds_outside_the_bracket_are_said_to_be_outside() -> None:
    above, below = bisect(lambda r0: (r0 > 9, r0), 0.2, 8.0), bisect(lambda r0: (True, r0), 0.2, 8.0)
    assert (above.side, below.side) == ("above", "below")
    assert math.isnan(above.value)
    assert math.isnan(below.value)


def test_the_interval_of_the_median_is_the_binomial_one() -> None:
    found = median_interval(np.arange(1, 31))
    # 30 values: the 10th and 21st cover with probability 1 - 2 P(B <= 9) = 0.957
    assert (found["value"], found["low"], found["high"]) == (15.5, 10.0, 21.0)
    assert found["coverage"] == pytest.approx(1 - 2 * stats.binom.cdf(9, 30, 0.5))
    assert median_interval([1.0, 2.0, 3.0])["low"] is None


def test_the_interval_of_the_median_covers_it() -> None:
    rng = np.random.default_rng(3)
    covered = [
        found["low"] <= math.log(2) <= found["high"]
        for found in (median_interval(rng.exponential(size=40)) for _ in range(400))
    ]
    assert np.mean(covered) >= 0.93


def test_seeds_beyond_the_bracket_count_as_beyond_all_others() -> None:
    found = median_interval([1.0] * 3 + [2.0] * 3 + [math.inf] * 9)
    assert found["value"] is None
    assert found["low"] is not None
    assert found["high"] is None


def thresholds(values: Any) -> list[dict[str, Any]]:
    return [{"value": float(v), "measured": 1.1 * float(v), "side": "inside", "runs": 10} for v in values]


def test_thresholds_of_a_lognormal_give_its_median_mode_and_width() -> None:
    values = 1.4 * np.exp(0.3 * stats.norm.ppf((np.arange(100) + 0.5) / 100))
    found = of_thresholds(thresholds(values))
    assert found["r0"]["low"] < 1.4 < found["r0"]["high"]
    assert found["r0_measured"]["value"] == pytest.approx(1.1 * found["r0"]["value"])
    assert found["steepest"]["value"] == pytest.approx(1.4, rel=0.25)  # symmetric in ln R0: mode is median
    assert found["width"]["low"] < 2 * 1.2816 * 0.3 < found["width"]["high"]
    assert (found["inside"], found["below"], found["above"], found["runs"]) == (100, 0, 0, 1000)


def test_the_steepest_point_is_the_mode_of_a_kernel_estimate() -> None:
    x = np.log(np.random.default_rng(8).gamma(3.0, 0.5, 60))
    at = np.linspace(x.min(), x.max(), 256)
    found = of_thresholds(thresholds(np.exp(x)))["steepest"]["value"]
    assert found == pytest.approx(math.exp(at[np.argmax(stats.gaussian_kde(x)(at))]))


def test_a_logistic_curve_finds_its_own_middle() -> None:
    rng = np.random.default_rng(7)
    targets = np.array([0.4, 0.8, 1.2, 1.8, 2.6])
    chance = 1 / (1 + np.exp(-4.0 * np.log(targets / 1.3)))
    found = of_grid(targets, np.tile(0.8 * targets, (300, 1)), rng.random((300, 5)) < chance)
    assert found is not None
    assert found["r0"]["low"] < 1.3 < found["r0"]["high"]
    assert found["r0_measured"]["value"] == pytest.approx(0.8 * found["r0"]["value"], rel=1e-6)
    assert found["width"]["low"] < 2 * math.log(9) / 4.0 < found["width"]["high"]


def test_a_grid_that_shows_no_rise_has_no_curve() -> None:
    measured = np.ones((5, 2))
    assert of_grid([1.0, 2.0], measured, np.zeros((5, 2), bool)) is None
    assert of_grid([1.0, 2.0], measured, np.ones((5, 2), bool)) is None
    assert of_grid([1.0], measured[:, :1], [[True], [False], [True], [False], [True]]) is None


def test_agreement_and_ratios() -> None:
    large = [[False, True], [False, False]]
    assert agreement([1.0, math.inf], [0.5, 2.0], large) == 1.0
    assert agreement([1.0, 1.0], [0.5, 2.0], large) == 0.75
    rng = np.random.default_rng(1)
    base = rng.lognormal(0, 0.4, 60)
    found = ratio_of_thresholds(np.append(0.8 * base * rng.lognormal(0, 0.05, 60), np.nan), np.append(base, 1.0))
    assert found["ratio"] == pytest.approx(0.8, rel=0.03)
    assert found["low"] < 0.8 < found["high"]
    assert (found["n"], found["dropped"]) == (60, 1)
