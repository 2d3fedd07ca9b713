from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from experiments.statistics import (
    plan,
    power_of,
    required_seeds,
    required_seeds_exact,
    required_seeds_for_half_width,
    required_seeds_for_proportion,
    wilson_interval,
)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 20), (0.5, 34), (-0.8, 15), (0.0, 30), (1.2, 10)])
def test_power_is_that_of_statsmodels(effect: float, n: int) -> None:
    assert power_of(effect, n) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-8)


@pytest.mark.parametrize("effect", [0.15, 0.4, 0.9])
def test_required_seeds_are_the_first_that_have_the_power(effect: float) -> None:
    n = required_seeds_exact(effect)
    assert n is not None and power_of(effect, n) >= 0.8 > power_of(effect, n - 1)
    assert abs(n - (required_seeds(effect) or 0)) <= 1  # Guenther's approximation is that good


def test_a_half_width_is_met_at_the_planned_number_and_not_before() -> None:
    for spread, wanted in ((1.0, 0.25), (7.0, 0.5), (0.1, 10.0)):
        n = required_seeds_for_half_width(spread, wanted)
        assert n is not None
        assert stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n) <= wanted
        assert n == 2 or stats.t.ppf(0.975, n - 2) * spread / np.sqrt(n - 1) > wanted


def test_assurance_is_kept_by_simulation() -> None:
    n = required_seeds_for_half_width(1.0, 0.3, assurance=0.8)
    assert n is not None and n > (required_seeds_for_half_width(1.0, 0.3) or 0)
    spreads = np.random.default_rng(1).normal(size=(4000, n)).std(axis=1, ddof=1)
    assert np.mean(stats.t.ppf(0.975, n - 1) * spreads / np.sqrt(n) <= 0.3) == pytest.approx(0.8, abs=0.05)


def test_a_proportion_is_met_at_the_planned_number() -> None:
    n = required_seeds_for_proportion(0.5, 0.1)
    low, high = wilson_interval(n / 2, n)
    assert (high - low) / 2 <= 0.1 + 1e-12
    before = wilson_interval((n - 1) / 2, n - 1)
    assert (before[1] - before[0]) / 2 > 0.1


def test_a_plan_from_a_pilot() -> None:
    pilot = np.random.default_rng(2).normal(0.5, 1.0, 60)
    found = plan(pilot, half_width=0.1, comparisons=3)
    assert found["for_power"] < found["for_power_low"]
    assert found["for_half_width"] < found["for_half_width_assured"]
    assert plan(pilot)["for_power"] < found["for_power"]
    nothing = plan(np.random.default_rng(3).normal(0.0, 1.0, 60))
    assert nothing["for_power_low"] is None
    assert plan([1.0, 1.0])["spread"] is None and plan([])["n"] == 0


def test_what_cannot_be_planned_is_refused_or_none() -> None:
    assert required_seeds_exact(0.0) is None and required_seeds_exact(1e-9, most=1000) is None
    for call in (
        lambda: required_seeds_for_half_width(1.0, 0.0),
        lambda: required_seeds_for_proportion(1.5, 0.1),
        lambda: power_of(0.5, 1),
    ):
        with pytest.raises(ValueError, match="needs"):
            call()
