from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.procyclicality.measures import (
    band,
    call_share,
    coverage,
    cross_correlation,
    lead_lag,
    peak_lag,
    reaction,
    realised_volatility,
)


def test_reaction_of_a_series_whose_figures_are_known() -> None:
    found = reaction([0.02, 0.02, 0.03, 0.06, 0.04], {"1d": 1, "2d": 2, "9d": 9})
    assert found["mean_margin"] == pytest.approx(0.034)
    assert found["peak_to_trough"] == pytest.approx(3.0)
    assert found["rise_1d"] == pytest.approx(1.0)
    assert found["rise_2d"] == pytest.approx(2.0)
    assert found["unit_call_2d"] == pytest.approx(0.04)
    assert math.isnan(found["rise_9d"])
    assert found["margin_volatility"] == pytest.approx(np.std(np.diff(np.log([2, 2, 3, 6, 4])), ddof=1))


def test_losses_are_counted_over_periods_that_do_not_overlap() -> None:
    price = np.log([100.0, 99.0, 95.0, 96.0, 90.0, 91.0, 92.0])
    margin = np.full(7, 0.055)
    found = coverage(margin, price, 2)
    assert found["periods"] == 3
    assert found["exceedance_rate"] == 0.0  # 5 % and 5.26 % are covered
    found = coverage(margin - 0.004, price, 2)
    assert found["exceedance_rate"] == pytest.approx(1 / 3)
    assert found["uncovered_loss"] == pytest.approx((5 / 95 - 0.051) / 3)
    assert math.isnan(coverage(margin, price, 7)["exceedance_rate"])


def test_a_margin_covers_as_often_as_it_says() -> None:
    from scipy import stats

    rng = np.random.default_rng(7)
    price = np.concatenate([[0.0], np.cumsum(0.01 * rng.standard_normal(40_000))])
    found = coverage(np.full(len(price), -math.expm1(-0.01 * 2.3263)), price, 1)
    assert stats.binomtest(round(found["exceedance_rate"] * 40_000), 40_000, 0.01).pvalue > 0.001


def test_realised_volatility_is_that_of_the_window() -> None:
    found = realised_volatility([0.0, 0.1, 0.0, 0.2, 0.2], 2)
    assert np.isnan(found[:2]).all()
    assert found[2:] == pytest.approx([0.1, math.sqrt((0.01 + 0.04) / 2), math.sqrt(0.04 / 2)])


def test_a_series_that_follows_by_three_is_found_to_follow_by_three() -> None:
    rng = np.random.default_rng(1)
    y = rng.standard_normal(2000)
    x = np.concatenate([np.full(3, np.nan), 0.6 * y[:-3]]) + 0.8 * rng.standard_normal(2000)
    lags = range(-6, 7)
    found = cross_correlation(x, y, list(lags))
    assert peak_lag(list(lags), found) == 3.0
    assert found[9] == pytest.approx(0.6, abs=0.05)
    assert abs(found[3]) < 0.1
    assert np.isnan(cross_correlation(np.ones(50), y[:50], [0])).all()


def test_margin_with_volatility_and_with_price() -> None:
    rng = np.random.default_rng(2)
    log_sigma = np.convolve(rng.standard_normal(3000), np.ones(40) / 20, mode="same")
    returns = 0.01 * np.exp(log_sigma) * rng.standard_normal(3000)
    price = np.concatenate([[0.0], np.cumsum(returns)])
    spread = realised_volatility(price, 10)
    margin = np.full(3001, 0.05)
    margin[14:] = 2.0 * spread[10:-4]  # four samples late
    found = lead_lag(margin, price, 10, 12)
    assert peak_lag(found["lags"], found["volatility"]) == 4.0
    assert found["volatility"][16] == pytest.approx(1.0, abs=0.05)
    still = lead_lag(np.full(3001, 0.05) * (1 + 1e-4 * np.sin(np.arange(3001))), price, 10)
    assert np.isnan(still["volatility"]).all()
    assert np.isnan(still["price"]).all()
    falls = lead_lag(0.05 * np.exp(-np.concatenate([[0.0], np.cumsum(returns)])), price, 10)
    assert falls["price"][len(falls["lags"]) // 2] == pytest.approx(-1.0)


def test_calls_are_shares_of_what_there_was_when_they_began() -> None:
    assert call_share([0.0, 10.0, 30.0, 30.0], [100.0, 80.0, 40.0, 1.0], 1) == pytest.approx(20 / 80)
    assert call_share([0.02, 0.03, 0.02], [50.0, 50.0, 50.0], 1, held=[1000.0, 0.0, 0.0]) == pytest.approx(0.2)
    assert call_share([0.02, 0.02], [0.0, 0.0], 1, held=[1000.0, 0.0]) == 0.0
    assert math.isnan(call_share([0.02, 0.03], [0.0, 0.0], 1, held=[1000.0, 0.0]))
    assert math.isnan(call_share([0.0, 1.0], [1.0, 1.0], 2))


def test_a_band_is_students_interval_of_each_point() -> None:
    from scipy import stats

    table = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, 1.0], [4.0, 5.0, np.nan]])
    found = band(table)
    expected = stats.ttest_1samp(table[:, 0], 0.0).confidence_interval(0.95)
    assert [found[key][0] for key in ("low", "high")] == pytest.approx([expected.low, expected.high])
    assert [found[key][1] for key in ("mean", "low", "high")] == [5.0, 5.0, 5.0]
    assert [found[key][2] for key in ("mean", "low", "high")] == [1.0, None, None]
