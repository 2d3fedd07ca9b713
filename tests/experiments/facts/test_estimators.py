"""Estimators on series whose truth is known, and against statsmodels and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal, stats
from statsmodels.tsa.stattools import acf

from experiments.facts import estimators as est
from tests.experiments.facts.truth import fractional_noise, prices, split_signs


def test_returns_do_not_overlap_and_do_not_cross_sessions() -> None:
    mid = np.exp(np.arange(10.0) ** 2)
    assert est.returns(mid, 3) == pytest.approx([9.0, 27.0, 45.0])
    assert est.returns(mid, 3, offset=1) == pytest.approx([15.0, 33.0])
    both = est.returns(mid, 2, session=[0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert both[:2] == pytest.approx([4.0, 12.0])
    assert math.isnan(both[2])
    assert both[3:] == pytest.approx([24.0, 32.0])
    over = est.overlapping_returns(mid, 2, session=[0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert np.flatnonzero(np.isnan(over)).tolist() == [3, 4]


def test_a_missing_price_costs_its_returns_only() -> None:
    found = est.returns([1.0, 2.0, math.nan, 4.0, 8.0, -1.0, 2.0])
    assert np.isnan(found).tolist() == [False, True, True, False, True, True]


def test_autocorrelation_is_that_of_statsmodels() -> None:
    x = np.random.default_rng(0).normal(size=500).cumsum()
    assert est.autocorrelation(x, 20) == pytest.approx(acf(x, nlags=20, adjusted=True)[1:])


def test_autocorrelation_of_an_autoregression() -> None:
    x = signal.lfilter([1.0], [1.0, -0.6], np.random.default_rng(1).normal(size=200_000))
    assert est.autocorrelation(x, [1, 2, 3]) == pytest.approx([0.6, 0.36, 0.216], abs=0.01)
    x[::7] = math.nan
    assert est.autocorrelation(x, [1, 2, 3]) == pytest.approx([0.6, 0.36, 0.216], abs=0.015)


def test_autocorrelation_of_too_little_is_unknown() -> None:
    assert np.isnan(est.autocorrelation(np.arange(20.0), [1])).all()
    assert np.isnan(est.autocorrelation(np.ones(100), [1])).all()
    assert np.isnan(est.autocorrelation(np.random.default_rng(2).normal(size=100), [90, 100, 500])).all()


@pytest.mark.parametrize("exponent", [0.2, 0.5, 0.8])
def test_power_decay_of_an_exact_law(exponent: float) -> None:
    lags = np.arange(1, 1001)
    fit = est.power_decay(lags, 0.4 * lags**-exponent)
    assert fit.exponent == pytest.approx(exponent, abs=0.01)
    assert fit.scale == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize("hurst", [0.7, 0.8])
def test_power_decay_of_fractional_noise(hurst: float) -> None:
    # falls as lag**(2 H - 2); taking off the sample's own mean steepens it the more, the longer the memory
    lags = np.arange(1, 300)
    runs = [est.autocorrelation(fractional_noise(2**15, hurst, seed), lags) for seed in range(6)]
    fit = est.power_decay(lags, np.mean(runs, axis=0), noise=2.0**-7.5)
    assert fit.exponent == pytest.approx(2 - 2 * hurst, abs=0.1)


def test_power_decay_of_split_orders() -> None:
    # Lillo, Mike and Farmer (2005): lengths of exponent 1.5 give a decay of 0.5
    lags = np.arange(1, 500)
    fit = est.power_decay(lags, est.autocorrelation(split_signs(150_000, 1.5, 10, 3), lags), noise=150_000**-0.5)
    assert fit.exponent == pytest.approx(0.5, abs=0.15)


def test_no_power_law_where_correlation_is_gone_within_a_decade() -> None:
    x = signal.lfilter([1.0], [1.0, -0.5], np.random.default_rng(4).normal(size=20_000))
    lags = np.arange(1, 500)
    assert math.isnan(est.power_decay(lags, est.autocorrelation(x, lags), noise=20_000**-0.5).exponent)
    assert math.isnan(est.power_decay([1, 2], [0.5, 0.4]).exponent)


def test_hill_of_a_pareto_tail_is_exact_and_its_error_right() -> None:
    found = [est.hill(np.random.default_rng(s).pareto(3.0, 4000) + 1.0, 0.05) for s in range(200)]
    alpha = np.array([tail.alpha for tail in found])
    assert alpha.mean() == pytest.approx(3.0, abs=0.05)
    assert alpha.std() == pytest.approx(np.mean([tail.se for tail in found]), rel=0.15)


@pytest.mark.parametrize(("degrees", "low", "high"), [(3, 2.4, 2.8), (4, 2.9, 3.4), (None, 5.6, 6.3)])
def test_hill_at_five_per_cent_has_the_bias_that_the_page_states(degrees: int | None, low: float, high: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=100_000) if degrees is None else rng.standard_t(degrees, 100_000)
    assert low < est.hill(x, 0.05).alpha < high


def test_hill_needs_twenty_observations_in_the_tail() -> None:
    x = np.random.default_rng(6).standard_t(3, 399)
    assert math.isnan(est.hill(x, 0.05).alpha)
    assert not math.isnan(est.hill(np.append(x, 0.1), 0.05).alpha)
    assert math.isnan(est.hill(np.zeros(1000), 0.05).alpha)


def test_hill_plot_is_hill_at_each_share() -> None:
    x = np.random.default_rng(7).standard_t(3, 5000)
    plot = est.hill_plot(x, [0.001, 0.02, 0.05])
    assert math.isnan(plot.alpha[0])
    assert plot.alpha[1:] == pytest.approx([est.hill(x, 0.02).alpha, est.hill(x, 0.05).alpha])


def test_maximum_likelihood_finds_where_a_pareto_tail_begins() -> None:
    rng = np.random.default_rng(8)
    body, tail = rng.uniform(0.0, 2.0, 9000), 2.0 * (rng.pareto(2.5, 1000) + 1.0)
    fit = est.tail_ml(np.concatenate((body, tail)))
    assert fit.alpha == pytest.approx(2.5, abs=0.3)
    assert fit.threshold == pytest.approx(2.0, rel=0.25)
    assert fit.share == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.1, 0.3, 0.6])
def test_generalised_pareto_of_its_own_law(shape: float) -> None:
    x = stats.genpareto.rvs(shape, scale=2.0, size=40_000, random_state=9)
    fit = est.tail_gpd(x, 0.2)
    assert fit.shape == pytest.approx(shape, abs=4 * fit.se)
    assert fit.distance < 0.02


@pytest.mark.parametrize("degrees", [3, 5, 30])
def test_generalised_pareto_has_the_likelihood_of_scipy(degrees: int) -> None:
    x = np.random.default_rng(10).standard_t(degrees, 8000)
    fit = est.tail_gpd(x, 0.1)
    excess = np.sort(np.abs(x))[-800:] - fit.threshold
    shape, _, scale = stats.genpareto.fit(excess, floc=0.0)
    ours, theirs = (stats.genpareto.logpdf(excess, *p).sum() for p in ((fit.shape, 0, fit.scale), (shape, 0, scale)))
    assert ours >= theirs - 1e-3
    assert fit.shape == pytest.approx(shape, abs=2e-3)


def test_tails_of_too_little_are_unknown() -> None:
    assert math.isnan(est.tail_ml(np.arange(100.0)).alpha)
    assert math.isnan(est.tail_gpd(np.arange(100.0)).shape)
    assert math.isnan(est.tail_gpd(np.ones(1000)).shape)
    assert np.isnan(est.hill_plot([])[1]).all()


def test_kurtosis_of_independent_returns_falls_as_one_over_the_horizon() -> None:
    # Laplace: excess kurtosis 3 at one step, 3 / k over k independent steps
    mid = prices(np.random.default_rng(11).laplace(size=400_000) * 1e-4)
    assert est.kurtosis_by_horizon(mid, [1, 3, 10]) == pytest.approx([3.0, 1.0, 0.3], abs=0.15)
    assert np.isnan(est.kurtosis_by_horizon(mid[:500], [10])).all()


def test_signature_of_a_random_walk_is_flat_and_bounce_raises_its_short_end() -> None:
    rng = np.random.default_rng(12)
    mid = prices(1e-3 * rng.normal(size=200_000))
    assert est.volatility_signature(mid, [1, 10, 60]) == pytest.approx([1e-3] * 3, rel=0.03)
    # Roll (1984): bounce of half-spread c adds 2 c**2 to the variance of every return, and correlation -c**2
    trades = mid * np.exp(5e-4 * rng.choice([-1.0, 1.0], len(mid)))
    expected = [math.sqrt(1e-6 + 2 * 25e-8 / k) for k in (1, 10, 60)]
    assert est.volatility_signature(trades, [1, 10, 60]) == pytest.approx(expected, rel=0.03)
    assert est.autocorrelation(est.returns(trades), [1])[0] == pytest.approx(-25e-8 / 1.5e-6, abs=0.01)


def test_leverage_effect_has_the_sign_of_its_cause() -> None:
    rng = np.random.default_rng(13)
    z = rng.normal(size=100_000)
    plain = est.leverage_effect(z, [1, 5])
    assert plain == pytest.approx([0.0, 0.0], abs=0.05)
    r = np.empty_like(z)
    r[0] = z[0]
    for t in range(1, len(z)):
        r[t] = z[t] * math.exp(-0.2 * np.clip(r[t - 1], -3, 3))  # a fall raises the next volatility
    # r(t) is e**{-a r(t-1)} z: E[r r'**2] / E[r**2]**2 is about -2 a
    assert est.leverage_effect(r, [1])[0] == pytest.approx(-0.4, abs=0.12)
    assert est.leverage_correlation(r, 1) < -0.1
    assert abs(est.leverage_correlation(z)) < 0.01


def test_volume_volatility_pairs_a_return_with_its_own_volume() -> None:
    rng = np.random.default_rng(14)
    volume = rng.gamma(2.0, 50.0, 20_001)
    returns = np.sqrt(volume[1:]) * 1e-4 * rng.choice([-1.0, 1.0], 20_000)
    mid = prices(returns)
    assert est.volume_volatility(mid, volume) > 0.95
    assert abs(est.volume_volatility(mid, np.roll(volume, 1))) < 0.05
    moved, traded = est.moves_and_volumes(mid, volume, 10)
    assert len(moved) == len(traded) == 2000
    assert traded[3] == pytest.approx(volume[31:41].sum())
    assert moved[3] == pytest.approx(abs(returns[30:40].sum()))


# the rescaled range is pulled towards the middle, as is known of it
_DFA = {0.3: 0.04, 0.5: 0.03, 0.7: 0.03, 0.9: 0.04}
_RS = {0.3: 0.08, 0.5: 0.03, 0.7: 0.05, 0.9: 0.15}


@pytest.mark.parametrize(("method", "truth"), [*(("dfa", h) for h in _DFA), *(("rs", h) for h in _RS)])
def test_hurst_of_fractional_noise(method: str, truth: float) -> None:
    allowed = (_DFA if method == "dfa" else _RS)[truth]
    found = [est.hurst(fractional_noise(2**13, truth, seed), method).exponent for seed in range(8)]
    assert np.mean(found) == pytest.approx(truth, abs=allowed)


def test_hurst_does_not_mistake_heavy_tails_for_memory() -> None:
    found = [est.hurst(np.random.default_rng(seed).standard_t(3, 2**13)).exponent for seed in range(8)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_hurst_refuses_an_unknown_method_and_does_not_guess() -> None:
    with pytest.raises(ValueError, match="not dfa or rs"):
        est.hurst(np.zeros(10), "wavelet")
    assert math.isnan(est.hurst(np.random.default_rng(0).normal(size=300)).exponent)
    assert math.isnan(est.hurst(np.ones(10_000)).exponent)
