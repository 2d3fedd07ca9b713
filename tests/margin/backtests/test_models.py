from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from margin.backtests.models import RateModel, Setting, calculated, needed_returns, parse_model
from margin.backtests.tails import horizon_losses, liquidation_weights, rolling_tail
from margin.historical import normal_multiple, tail_place
from sim.errors import ConfigError

RETURNS = 0.01 * np.random.default_rng(8).standard_t(4, 700)


@given(
    values=st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=40),
    window=st.integers(2, 12),
    p=st.sampled_from([0.01, 0.05, 0.1, 0.25]),
)
@settings(max_examples=60)
def test_rolling_tail_is_numpys_quantile_and_the_mean_beyond_it(values: list[float], window: int, p: float) -> None:
    series = np.array(values)
    quantiles, means = rolling_tail(series, window, p, "var"), rolling_tail(series, window, p, "es")
    for i in range(len(series)):
        past = series[max(i - window, 0) : i]
        if len(past) < window:
            assert np.isnan(quantiles[i]) and np.isnan(means[i])
            continue
        assert quantiles[i] == pytest.approx(-np.quantile(past, p), abs=1e-12)
        beyond = np.sort(past)[: tail_place(window, p)[0]]
        assert means[i] == pytest.approx(-beyond.mean(), abs=1e-12)
        assert means[i] >= quantiles[i] - 1e-12


def test_rolling_tail_waits_for_a_whole_window() -> None:
    series = np.concatenate([[np.nan, np.nan], np.arange(10.0)])
    assert np.flatnonzero(np.isnan(rolling_tail(series, 4, 0.25, "var"))).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("confidence", [0.95, 0.975, 0.99, 0.995])
def test_multiples_of_the_normal_law(confidence: float) -> None:
    assert normal_multiple(confidence) == pytest.approx(stats.norm.ppf(confidence), abs=1e-9)
    tail = stats.norm.expect(lambda x: x, lb=stats.norm.ppf(confidence), conditional=True)
    assert normal_multiple(confidence, "es") == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("days", [1, 2, 5, 10])
def test_liquidation_in_equal_parts(days: int) -> None:
    effective = (days + 1) * (2 * days + 1) / (6 * days)
    assert np.sum(liquidation_weights(days, linear=True) ** 2) == pytest.approx(effective)
    assert np.sum(liquidation_weights(days, linear=False) ** 2) == days
    assert Setting(days=days, scaling="linear").horizon == pytest.approx(math.sqrt(effective))


def test_horizon_losses_by_hand() -> None:
    sums = horizon_losses(np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5]))
    assert sums[:2].tolist() == [2.0, 4.0] and np.isnan(sums[2])


@pytest.mark.parametrize("measure", ["", "_es"])
def test_the_two_filtered_forms_are_one_over_a_day_and_differ_over_overlapping_days(measure: str) -> None:
    day, days = Setting(), Setting(days=5, scaling="overlapping")
    forms = [parse_model(f"{name}{measure}:0.97/200") for name in ("fhs", "fhs_rescaled")]
    one, other = (calculated(model, RETURNS, day).margin for model in forms)
    assert np.allclose(one, other, rtol=1e-12, equal_nan=True)
    one, other = (calculated(model, RETURNS, days).margin for model in forms)
    assert not np.allclose(one[400:], other[400:], rtol=1e-3)
    # with a volatility that never moves there is nothing to filter
    flat = [
        calculated(RateModel(family, decay=1.0 - 1e-12, window=200), RETURNS, days).margin for family in ("fhs", "hs")
    ]
    assert np.allclose(flat[0][300:], flat[1][300:], rtol=1e-6)


def test_overlapping_returns_by_hand() -> None:
    setting = Setting(confidence=0.9, days=3, scaling="overlapping")
    margin = calculated(RateModel("hs", window=50), RETURNS, setting).margin
    at = 333
    past = [RETURNS[i : i + 3].sum() for i in range(at - 52, at - 2)]
    assert margin[at] == pytest.approx(-np.quantile(past, 0.1))
    assert needed_returns(RateModel("hs", window=50), setting) == 52
    assert np.isnan(margin[51]) and not np.isnan(margin[52])


def test_sides() -> None:
    model = RateModel("hs", window=100)
    long, short, both = (
        calculated(model, RETURNS, Setting(side=side)).margin for side in ("long", "short", "both")  # type: ignore[arg-type]
    )  # fmt: skip
    assert np.array_equal(both[100:], np.maximum(long, short)[100:])
    assert np.allclose(short[100:], calculated(model, -RETURNS, Setting()).margin[100:])


def test_a_flat_rate_comes_from_before_the_window() -> None:
    setting = Setting(first=400)
    rate = calculated(parse_model("flat"), RETURNS, setting).margin
    assert rate[0] == rate[-1] == pytest.approx(2.3263479 * np.sqrt(np.mean(RETURNS[:400] ** 2)))
    assert calculated(parse_model("flat:0.05"), RETURNS, setting).margin[7] == 0.05


@pytest.mark.parametrize(
    "name",
    ["ewma:0.94", "hs:250", "fhs:0.97/500", "fhs_rescaled_es:0.9/100", "garch", "gjr_es", "flat:0.05", "hs:9+cap=0.1"],
)
def test_names_are_read_as_they_are_written(name: str) -> None:
    assert parse_model(name).name == name


@pytest.mark.parametrize(
    "text",
    ["", "what", "ewma:1.5", "ewma:x", "ewma:0.9/0.8", "hs:0.5", "hs:1.0", "hs:10.5", "garch:0.9", "flat:2", "flat_es",
     "ewma:-1", "ewma:nan", "ewma+what", "ewma+cap", "ewma+cap=2", "ewma+floor=0.2+cap=0.1", "ewma+speed+speed=0.1",
     "ewma+buffer+reference_buffer", "ewma+speed=x"],
)  # fmt: skip
def test_bad_names(text: str) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        parse_model(text)
