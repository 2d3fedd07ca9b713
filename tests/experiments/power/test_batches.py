"""Power, nulls and planning against what is known of simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from experiments.power import batches
from experiments.power.batches import assess, flip_p, share, t_power
from experiments.statistics import sign_flip_test


@pytest.mark.parametrize(("effect", "n"), [(0.1, 20), (0.5, 34), (-0.8, 10), (1.2, 5), (0.0, 12)])
def test_analytic_power_is_that_of_statsmodels(effect: float, n: int) -> None:
    assert t_power(effect, n) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=2e-4)


def test_analytic_power_is_finite_where_effects_are_large() -> None:
    assert t_power(3.0, 60) == pytest.approx(1.0)
    assert t_power(1.0, 1) is None


def test_the_sign_flip_test_is_the_report_s() -> None:
    d = np.random.default_rng(1).normal(0.3, 1.0, 40)
    assert flip_p(d)[0] == pytest.approx(sign_flip_test(d), abs=0.01)
    signs = np.array([np.ones(40), -np.ones(40), np.where(np.arange(40) % 2, 1.0, -1.0)])
    p = flip_p(d, signs)
    assert p[0] == p[1]
    assert p[2] == pytest.approx(sign_flip_test(d * signs[2]), abs=0.02)
    assert flip_p(np.zeros(9))[0] == 1.0
    assert np.isnan(flip_p([1.0])[0])
    assert flip_p([0.0, 0.0, 0.0, 2.0])[0] == 1.0


def test_shares_have_exact_intervals() -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = share(18, 20)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(18, 20, method="beta"))


def _values(effect: float, n: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    return {"static": {"drawdown": base}, "dynamic": {"drawdown": base + effect + rng.normal(size=n)}}


def test_a_known_effect_is_detected_as_often_as_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SWAPS", 40)
    values = _values(0.5, 408)
    values["dynamic"]["drawdown"][7] = np.nan
    found = assess(values, values["static"], baseline="static", outcomes=["drawdown"], pairs=34, sizes=(8, 16, 34))
    entry = found["effects"]["dynamic"]["drawdown"]
    assert found["batches"] == 12
    assert entry["detected"]["low"] <= 0.81 <= entry["detected"]["high"]
    assert entry["analytic"] == pytest.approx(0.81, abs=0.12)
    assert entry["required_n"] == pytest.approx(34, abs=9)
    assert entry["needed"] in (34, None)
    assert entry["wrong_sign"] == 0
    for point in entry["curve"]:
        assert point["low"] - 0.05 <= point["analytic"] <= point["high"] + 0.05
    nulls = found["nulls"]
    assert nulls["placebo"] == {"flagged": 0, "batches": 12}
    assert nulls["swapped"]["tests"]["dynamic"]["drawdown"]["low"] <= 0.05
    assert nulls["swapped"]["families"]["price"]["low"] <= 0.05
    assert nulls["other_seeds"]["drawdown"]["low"] <= 0.05


def test_a_placebo_that_differs_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SWAPS", 5)
    values = _values(0.0, 40)
    again = {"drawdown": values["static"]["drawdown"].copy()}
    again["drawdown"][25] += 1e-9
    found = assess(values, again, baseline="static", outcomes=["drawdown"], pairs=10)
    assert found["nulls"]["placebo"] == {"flagged": 1, "batches": 4}


@pytest.mark.study
def test_true_nulls_are_flagged_at_their_level() -> None:
    skewed = np.random.default_rng(3).lognormal(0.0, 1.5, (2, 6000))
    values = {"static": {"drawdown": skewed[0]}, "dynamic": {"drawdown": skewed[1]}}
    found = assess(values, None, baseline="static", outcomes=["drawdown"], pairs=30)
    entry = found["effects"]["dynamic"]["drawdown"]["uncorrected"]
    assert entry["low"] <= 0.05
    swapped = found["nulls"]["swapped"]["tests"]["dynamic"]["drawdown"]
    assert swapped["mean"] == pytest.approx(0.05, abs=0.01)
