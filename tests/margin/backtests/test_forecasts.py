from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.backtest import load_prices
from margin.backtests.forecasts import (
    GarchFit,
    diebold_mariano,
    ewma_variance,
    fit_garch,
    garch_variance,
    horizon_variance,
    qlike,
    qlike_losses,
    refitted_garch_variance,
)
from sim.errors import ConfigError

NOISE = 0.01 * np.random.default_rng(3).standard_normal(900)


def sp500() -> np.ndarray:
    return load_prices("arch:sp500", "adj close").returns


def test_t20_garch_of_the_sp500() -> None:
    fit = fit_garch(sp500())
    assert (fit.omega * 1e4, fit.alpha, fit.beta) == pytest.approx((0.0172, 0.0981, 0.8892), rel=0.01)
    assert fit.gamma == 0.0


def test_forecasts_use_earlier_returns_alone() -> None:
    """Changing a return changes no forecast up to and including its own."""
    changed = NOISE.copy()
    changed[600:] *= 5.0
    gjr = GarchFit(1e-6, 0.02, 0.1, 0.9)
    for forecast in (
        lambda r: ewma_variance(r, 0.97),
        lambda r: garch_variance(r, gjr),
        lambda r: refitted_garch_variance(r, 500, 50)[0],
    ):
        before, after = forecast(NOISE), forecast(changed)
        assert np.array_equal(before[:601], after[:601])
        assert not np.array_equal(before[601:], after[601:])


def test_ewma_is_seeded_with_the_mean_of_250_squares() -> None:
    variance = ewma_variance(NOISE, 0.94)
    start = np.mean(NOISE[:250] ** 2)
    assert variance[0] == start
    assert variance[2] == pytest.approx(0.94 * (0.94 * start + 0.06 * NOISE[0] ** 2) + 0.06 * NOISE[1] ** 2)


def test_gjr_reacts_to_losses_more_than_to_gains() -> None:
    fit = GarchFit(0.0, 0.05, 0.1, 0.9)
    loss, gain = NOISE.copy(), NOISE.copy()
    loss[700], gain[700] = -0.05, 0.05
    assert garch_variance(loss, fit)[701] - garch_variance(gain, fit)[701] == pytest.approx(0.1 * 0.05**2)


def test_an_asymmetric_fit_finds_the_leverage_effect() -> None:
    fit = fit_garch(sp500(), asymmetric=True)
    assert fit.gamma > 0.1
    assert fit.persistence == pytest.approx(fit.alpha + fit.gamma / 2 + fit.beta)


def test_qlike_out_of_sample_on_the_sp500() -> None:
    """From 2004, parameters from before: the asymmetric forecast is the best of the five, a slow EWMA the worst."""
    series = load_prices("arch:sp500", "adj close")
    returns, first = series.returns, sum(day < "2004-01-01" for day in series.dates[1:])
    realised = returns[first:] ** 2
    score = {decay: qlike(ewma_variance(returns, decay)[first:], realised) for decay in (0.94, 0.97, 0.99)}
    score["garch"] = qlike(refitted_garch_variance(returns, first, 0)[0][first:], realised)
    score["gjr"] = qlike(refitted_garch_variance(returns, first, 0, asymmetric=True)[0][first:], realised)
    assert sorted(score, key=lambda name: score[name]) == ["gjr", 0.94, 0.97, "garch", 0.99]


@given(scale=st.floats(0.2, 5.0))
def test_qlike_is_smallest_at_the_truth(scale: float) -> None:
    realised = NOISE**2
    truth = np.full(len(NOISE), np.mean(realised))
    assert qlike(truth, realised) <= qlike(scale * truth, realised) + 1e-12


@pytest.mark.parametrize(
    ("forecast", "realised"),
    [([1.0], [1.0, 2.0]), ([], []), ([0.0], [1.0]), ([-1.0], [1.0]), ([np.nan], [1.0]), ([1.0], [-1.0])],
)
def test_bad_scores(forecast: list[float], realised: list[float]) -> None:
    with pytest.raises(ConfigError, match="qlike"):
        qlike(forecast, realised)


def test_diebold_mariano() -> None:
    rng = np.random.default_rng(5)
    losses = rng.standard_normal(2000)
    same = diebold_mariano(losses, losses + 0.02 * rng.standard_normal(2000))
    worse = diebold_mariano(losses + 0.1 + 0.2 * rng.standard_normal(2000), losses)
    assert same.p_value > 0.01
    assert worse.mean > 0.0 and worse.p_value < 1e-6
    assert np.isnan(diebold_mariano(losses, losses).statistic)
    # without autocovariances it is the t test of the mean difference
    gap = rng.standard_normal(50)
    plain = diebold_mariano(gap, np.zeros(50), lags=0)
    assert plain.statistic == pytest.approx(gap.mean() / np.sqrt(gap.var() / 50))


def test_variance_over_a_horizon() -> None:
    fit = GarchFit(1e-6, 0.1, 0.0, 0.8)
    expected, variance = 0.0, 4e-5
    for _ in range(7):
        expected += variance
        variance = fit.omega + fit.persistence * variance
    assert horizon_variance(4e-5, 7, fit) == pytest.approx(expected)
    assert horizon_variance(4e-5, 7) == pytest.approx(28e-5)
    assert qlike_losses([1.0], [2.0]).tolist() == [2.0]


@pytest.mark.parametrize("returns", [NOISE[:249], np.append(NOISE, np.nan), np.zeros((300, 2))])
def test_returns_that_cannot_be_used(returns: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="at least 250 finite returns"):
        ewma_variance(returns, 0.97)


def test_a_series_that_never_moves_has_no_garch() -> None:
    with pytest.raises(ConfigError, match="returns that move"):
        fit_garch(np.zeros(300))
