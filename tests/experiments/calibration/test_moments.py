"""Moments against known answers, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.tsa.stattools import acf

from experiments.calibration.bars import Bars, from_series, read
from experiments.calibration.moments import FAMILIES, SETS, check, hill, measure, parse
from experiments.data.series import Series
from sim.errors import ConfigError


def _bars(returns: np.ndarray, **more: object) -> Bars:
    return Bars("series", 60.0, 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(returns)])), **more)  # type: ignore[arg-type]


def test_autocorrelations_agree_with_statsmodels() -> None:
    returns = np.random.default_rng(1).standard_t(4, 4000) * 0.01
    found = measure(_bars(returns), parse("acf:1,acf:7,acf_abs:3,acf_sq:2,acf_abs:1-5"))
    absolute = acf(np.abs(returns), nlags=5)
    known = [acf(returns, nlags=7)[1], acf(returns, nlags=7)[7], absolute[3], acf(returns**2, nlags=2)[2],
             absolute[1:6].mean()]  # fmt: skip
    assert found == pytest.approx(known, abs=2e-3)


def test_shape_moments_agree_with_scipy() -> None:
    returns = np.random.default_rng(2).standard_t(5, 3000) * 0.02
    found = measure(_bars(returns), parse("sd,skewness,kurtosis,quantile_kurtosis,mean_abs,kurtosis:5"))
    fives = np.convolve(returns, np.ones(5), mode="valid")
    low, first, third, high = np.quantile(returns, [0.025, 0.25, 0.75, 0.975])
    known = [1e4 * returns.std(ddof=1), stats.skew(returns), stats.kurtosis(returns), (high - low) / (third - first),
             1e4 * np.abs(returns).mean(), stats.kurtosis(fives)]  # fmt: skip
    assert found == pytest.approx(known, rel=1e-9)


def test_hill_index_of_a_pareto_tail() -> None:
    values = np.random.default_rng(3).pareto(3.0, 200_000) + 1.0
    assert hill(values, 5.0) == pytest.approx(3.0, abs=0.1)


def test_leverage_effect_has_the_sign_of_the_data() -> None:
    rng, n = np.random.default_rng(4), 20_000
    noise = rng.standard_normal(n)
    returns = np.empty(n)
    returns[0] = noise[0]
    for t in range(1, n):
        returns[t] = noise[t] * np.exp(-0.2 * np.tanh(returns[t - 1]))
    assert measure(_bars(0.01 * returns), parse("leverage:1"))[0] < -0.1


def test_variance_ratio_of_independent_returns_is_one() -> None:
    returns = np.random.default_rng(5).standard_normal(50_000) * 0.01
    assert measure(_bars(returns), parse("variance_ratio:10"))[0] == pytest.approx(1.0, abs=0.05)


def test_volume_and_spread() -> None:
    rng = np.random.default_rng(6)
    returns = rng.standard_normal(5000) * 0.01
    bars = _bars(returns, volume=1e3 * np.abs(returns), spread=np.full(5000, 0.0004))
    found = measure(bars, parse("volume_volatility,spread,volume_dispersion,zero_share"))
    assert found == pytest.approx([1.0, 4.0, np.sqrt(np.pi / 2 - 1), 0.0], abs=0.02)


def test_returns_over_gaps_are_left_out() -> None:
    returns = np.random.default_rng(7).standard_normal(500) * 0.001
    returns[100] = 0.2
    breaks = np.zeros(500, bool)
    breaks[100] = True
    found = measure(_bars(returns, breaks=breaks), parse("sd,kurtosis,kurtosis:5,acf_abs:1,hill:5"))
    assert found[0] < 12.0
    assert abs(found[1]) < 1.0
    assert np.isfinite(found).all()


def test_every_family_measures_and_sets_name_known_ones() -> None:
    rng = np.random.default_rng(8)
    bars = _bars(rng.standard_normal(800) * 0.01, volume=rng.random(800) + 1, spread=rng.random(800))
    chosen = parse(",".join(FAMILIES))
    check(bars, chosen)
    for names in SETS.values():
        assert len(parse(",".join(names))) == len(names)


@pytest.mark.parametrize(
    "text", ["nothing", "acf:0", "acf:x", "acf_abs:5-2", "sd:1-3", "hill:80", "mean_abs:3", "sd,sd:1"]
)
def test_names_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--moments"):
        parse(text)


def test_a_series_without_what_a_moment_needs_is_refused() -> None:
    bars = _bars(np.random.default_rng(9).standard_normal(100))
    for text in ("spread", "volume_acf:1", "acf_abs:50"):
        with pytest.raises(ConfigError, match="--moments"):
            check(bars, parse(text))


def test_trades_become_bars_with_quiet_minutes_and_a_night() -> None:
    start = pd.Timestamp("2024-05-01T09:30")
    seconds = np.concatenate([np.arange(0, 3600, 20.0), 90_000 + np.arange(0, 3600, 20.0)])
    seconds = seconds[(seconds < 600) | (seconds >= 900)]  # five quiet minutes, then a night
    times, prices = start + pd.to_timedelta(seconds, unit="s"), 100 + np.arange(len(seconds)) / 100
    trades = pd.DataFrame({"time": times, "price": prices, "size": 2.0, "sign": 0})
    bars = from_series(Series("x", "x.csv", "plain", trades=trades))
    assert bars.count == 119
    assert np.isnan(bars.returns).sum() == 1
    assert bars.volume is not None
    assert (bars.volume[9:14] == 0).all()
    assert (bars.returns[9:14] == 0).all()


def test_daily_data_by_dates() -> None:
    bars = read("arch:sp500", column="Close", start="2010-01-01", end="2010-12-31")
    assert (bars.first, bars.last, bars.count, bars.seconds) == ("2010-01-04", "2010-12-31", 251, None)
    with pytest.raises(ConfigError, match="--start"):
        read("arch:sp500", column="Close", start="2050-01-01")
    with pytest.raises(ConfigError, match="--bar"):
        read("arch:sp500", column="Close", bar_seconds=60.0)
