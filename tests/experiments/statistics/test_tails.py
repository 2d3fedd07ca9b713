from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import (
    exceedance,
    exceedance_difference,
    expected_shortfall,
    extreme,
    quantile,
    tail_difference,
    tail_differences,
    tail_summary,
)
from experiments.statistics.tails import swap_test


def test_the_interval_of_the_median_is_the_textbook_one() -> None:
    # n = 20: the sixth to the fifteenth value, level 95.86 % (David and Nagaraja, section 7.1)
    found = quantile(np.arange(1.0, 21.0), 0.5)
    assert (found["low"], found["high"]) == (6.0, 15.0)
    assert found["coverage"] == pytest.approx(stats.binom(20, 0.5).cdf(14) - stats.binom(20, 0.5).cdf(5))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [5, 37, 120, 400])
def test_a_quantile_s_interval_holds_at_its_level_by_the_binomial(n: int, p: float) -> None:
    found = quantile(np.arange(1.0, n + 1.0), p)
    count = stats.binom(n, p)
    below = 0.0 if found["low"] is None else count.cdf(found["low"] - 1)
    above = 0.0 if found["high"] is None else count.sf(found["high"] - 1)
    assert below <= 0.025 and above <= 0.025
    if found["low"] is not None:  # one value further in would break it
        assert count.cdf(found["low"]) > 0.025
    if found["high"] is not None:
        assert count.sf(found["high"] - 2) > 0.025


def test_a_far_quantile_of_few_seeds_is_not_bounded() -> None:
    assert quantile(np.arange(20.0), 0.99)["high"] is None


def test_shortfall_is_the_mean_of_the_worst() -> None:
    sample = np.arange(1.0, 101.0)
    assert expected_shortfall(sample, 0.9, resamples=99)["value"] == pytest.approx(95.5)
    assert expected_shortfall(sample, 0.9, side="lower", resamples=99)["value"] == pytest.approx(5.5)
    # a share of 2.5 values: the third worst counts by half
    assert expected_shortfall(np.arange(1.0, 26.0), 0.9)["value"] == pytest.approx((25 + 24 + 23 / 2) / 2.5)
    assert expected_shortfall(np.arange(1.0, 26.0), 0.9)["method"] == "none"


def test_shortfall_of_a_normal_sample_is_the_closed_form() -> None:
    sample = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    known = stats.norm.pdf(stats.norm.ppf(0.95)) / 0.05
    assert expected_shortfall(sample, 0.95, resamples=50)["value"] == pytest.approx(known, abs=2e-2)


def test_exceedances_and_their_paired_difference() -> None:
    assert exceedance([1.0, 2.0, 3.0, 4.0], 2.5)["count"] == 2
    a, b = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0.0]), np.zeros(10)
    found = exceedance_difference(a, b, 0.5)
    assert found["value"] == 0.4 and found["p"] == pytest.approx(0.125) and (found["only"], found["only_baseline"]) == (
        4, 0)  # fmt: skip
    assert exceedance_difference(a, a, 0.5)["p"] == 1.0


def test_the_mean_extreme_is_that_of_all_subsets() -> None:
    sample = np.random.default_rng(0).normal(size=9)
    known = np.mean([max(part) for part in combinations(sample, 3)])
    assert extreme(sample, of=3, resamples=99)["mean_extreme"]["value"] == pytest.approx(known)
    low = np.mean([min(part) for part in combinations(sample, 3)])
    assert extreme(sample, of=3, side="lower", resamples=99)["mean_extreme"]["value"] == pytest.approx(low)
    assert extreme(sample, resamples=99)["next_exceeds"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="from 1 to 9"):
        extreme(sample, of=10)


def test_a_shift_is_found_in_every_tail_and_nothing_in_copies() -> None:
    rng = np.random.default_rng(4)
    base = rng.exponential(size=200)
    found = tail_difference(base + 0.5, base, probabilities=(0.9,), thresholds=(1.0,), resamples=499)
    for kind, at in (("quantiles", "0.9"), ("shortfalls", "0.9"), ("exceedances", "1")):
        assert found[kind][at]["low"] <= found[kind][at]["value"] <= found[kind][at]["high"]
        assert found[kind][at]["p"] < 0.01
    assert found["quantiles"]["0.9"]["value"] == pytest.approx(0.5)
    same = tail_difference(base, base, probabilities=(0.9,), resamples=99)
    assert same["quantiles"]["0.9"] == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "n": 200}
    with pytest.raises(ValueError, match="one value per seed"):
        tail_difference(base, base[:-1])


def test_swaps_of_the_mean_agree_with_flips_of_signs() -> None:
    rng = np.random.default_rng(6)
    pairs = np.stack([rng.normal(0.4, 1.0, 30), rng.normal(size=30)])
    from experiments.statistics import sign_flip_test

    found = swap_test(pairs, lambda x, axis=-1: np.mean(x, axis=axis))
    assert found == pytest.approx(sign_flip_test(pairs[0] - pairs[1]), abs=0.01)


def test_tails_of_regimes_are_corrected_together() -> None:
    rng = np.random.default_rng(7)
    base = {"loss": rng.exponential(size=120)}
    values = {"static": base, "same": base, "worse": {"loss": base["loss"] + 1.0}}
    found = tail_differences(values, "static", ["loss", "absent"], probabilities=(0.9,), resamples=199)
    worse = found["differences"]["worse"]["loss"]["quantiles"]["0.9"]
    assert worse["p_holm"] >= worse["p"] and set(found["measures"]["loss"]) == set(values)
    assert found["differences"]["same"]["loss"]["shortfalls"]["0.9"]["p_holm"] == 1.0


def test_a_summary_of_nothing_is_none() -> None:
    found = tail_summary([np.nan], thresholds=(1.0,))
    assert found["quantiles"]["0.9"]["value"] is None and found["worst"]["value"] is None


@pytest.mark.parametrize("call", [lambda: quantile([1.0], 1.0), lambda: exceedance([1.0], 0.0, side="left")])
def test_bad_settings_are_refused(call: object) -> None:
    with pytest.raises(ValueError, match=r"probability|side"):
        call()  # type: ignore[operator]


@pytest.mark.study
def test_tail_intervals_hold_as_often_as_they_say() -> None:
    rng, n, rounds = np.random.default_rng(2), 250, 400
    q, es = -np.log(0.1), 1.0 - np.log(0.1)  # of the exponential distribution
    held = dict.fromkeys(("quantile", "shortfall", "exceedance", "difference", "difference of shortfalls"), 0)
    for _ in range(rounds):
        common = rng.exponential(size=n)
        a, b = 1.5 * common * rng.lognormal(0.0, 0.2, n), common * rng.lognormal(0.0, 0.2, n)
        x = rng.exponential(size=n)
        tails = (quantile(x, 0.9), expected_shortfall(x, 0.9, resamples=499), exceedance(x, q))
        for name, found, true in zip(held, tails, (q, es, 0.1), strict=False):
            held[name] += found["low"] <= true <= found["high"]
        found = tail_difference(a, b, probabilities=(0.9,), resamples=499)
        big = rng_free_quantile()
        held["difference"] += found["quantiles"]["0.9"]["low"] <= 0.5 * big[0] <= found["quantiles"]["0.9"]["high"]
        ends = found["shortfalls"]["0.9"]
        held["difference of shortfalls"] += ends["low"] <= 0.5 * big[1] <= ends["high"]
    assert held["quantile"] / rounds > 0.92 and held["exceedance"] / rounds > 0.92, held
    assert held["shortfall"] / rounds > 0.88 and held["difference"] / rounds > 0.88, held
    assert held["difference of shortfalls"] / rounds > 0.87, held


def rng_free_quantile() -> tuple[float, float]:
    """90 % quantile and shortfall of exponential times lognormal(0, .2), by a large fixed grid."""
    if not _KNOWN:
        e = -np.log(1.0 - (np.arange(4000) + 0.5) / 4000)
        w = np.exp(0.2 * stats.norm.ppf((np.arange(1000) + 0.5) / 1000))
        product = np.sort(np.outer(e, w).ravel())
        at = int(0.9 * product.size)
        _KNOWN.extend([float(product[at]), float(product[at:].mean())])
    return _KNOWN[0], _KNOWN[1]


_KNOWN: list[float] = []
