from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import (
    effect_sizes,
    rank_biserial,
    sign_flip_test,
    standardised,
    superiority,
    variance_reduction,
    wilson_interval,
)
from experiments.statistics.effects import hedges_correction
from experiments.statistics.settings import GENERATOR_SEED


def test_the_correction_is_near_hedges_rule_of_thumb() -> None:
    for degrees in (9, 30, 200):
        assert hedges_correction(degrees) == pytest.approx(1.0 - 3.0 / (4.0 * degrees - 1.0), rel=1e-3)


@pytest.mark.parametrize("shift", [-4.0, -0.4, 0.0, 0.3, 2.0])
def test_the_ends_put_the_statistic_at_the_tails(shift: float) -> None:
    sample = np.random.default_rng(3).normal(shift, 1.0, 25)
    found = standardised(sample)
    t = stats.ttest_1samp(sample, 0.0).statistic
    assert stats.nct.cdf(t, 24, found["low"] * 5.0) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(t, 24, found["high"] * 5.0) == pytest.approx(0.025, abs=1e-6)
    mirrored = standardised(-sample)
    assert (mirrored["low"], mirrored["high"]) == pytest.approx((-found["high"], -found["low"]))


def test_an_enormous_effect_has_a_finite_interval() -> None:
    found = standardised(1e6 + np.random.default_rng(1).normal(size=30))
    assert 0.0 < found["low"] < found["value"] < found["high"]


def test_two_or_three_seeds_with_a_large_statistic_have_an_interval() -> None:
    for sample in ([17.0, 17.5], [1.0, 1.1, 1.2], [-30.0, -30.5, -29.0], [20.0, 20.1, 21.0, 20.4]):
        found = standardised(sample)
        assert found["low"] < found["high"], sample


def test_rank_biserial_is_wilcoxons_statistic_rescaled() -> None:
    sample = np.random.default_rng(5).normal(0.4, 1.0, 40)
    positive = stats.wilcoxon(sample, alternative="greater").statistic  # sum of ranks of positive differences
    total = 40 * 41 / 2
    found = rank_biserial(np.append(sample, [0.0, 0.0]), resamples=999)
    assert found["value"] == pytest.approx(2.0 * positive / total - 1.0)
    assert found["n"] == 40 and found["low"] < found["value"] < found["high"]


def test_where_all_agree_the_interval_does_not_collapse() -> None:
    found = rank_biserial(np.arange(1.0, 21.0))
    assert found["value"] == 1.0 and found["low"] < 0.9 and found["high"] == 1.0
    above = superiority(np.ones(20))
    assert above["value"] == 1.0 and above["low"] == pytest.approx(stats.binomtest(20, 20).proportion_ci(
        method="wilson").low)  # fmt: skip


def test_wilson_is_the_library_s() -> None:
    for k, n in ((0, 7), (3, 12), (50, 50)):
        known = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert wilson_interval(k, n) == pytest.approx((known.low, known.high), abs=1e-12)


def test_ties_count_as_half() -> None:
    assert superiority([1.0, 0.0, 0.0, -1.0])["value"] == 0.5


def test_variance_reduction_holds_the_known_one() -> None:
    rng = np.random.default_rng(8)
    common = rng.normal(size=300)
    a, b = common + 0.25 * rng.normal(size=300), common + 0.25 * rng.normal(size=300)
    found = variance_reduction(a, b, resamples=999)
    assert found["low"] < 2 * 1.0625 / 0.125 < found["high"]
    assert variance_reduction([1.0, 2.0], [0.0, 1.0])["value"] is None
    with pytest.raises(ValueError, match="shapes"):
        variance_reduction([1.0, 2.0], [1.0])


def test_nothing_to_compare_is_none_never_nan() -> None:
    for found in effect_sizes([1.0], [1.0]).values():
        assert found["low"] is None or found["n"] == 1
    assert standardised([2.0, 2.0])["value"] is None and rank_biserial([0.0, 0.0])["value"] is None


@pytest.mark.parametrize("n", [2, 5, 12, 14, 40])
def test_sign_flips_are_those_of_the_library(n: int) -> None:
    for sample in (np.random.default_rng(n).normal(0.3, 1.0, n), np.arange(1.0, n + 1.0) - n / 3):
        kept = sample[sample != 0.0]
        known = stats.permutation_test(
            (kept,), np.mean, permutation_type="samples", n_resamples=999, rng=np.random.default_rng(GENERATOR_SEED),
            vectorized=True, batch=2_000_000 // len(kept),
        ).pvalue  # fmt: skip
        assert sign_flip_test(sample, resamples=999) == pytest.approx(min(known, 1.0), rel=1e-11)


@pytest.mark.study
def test_intervals_of_effect_sizes_hold_as_often_as_they_say() -> None:
    rng, true = np.random.default_rng(0), 0.5
    beat = float(stats.norm.cdf(true))
    # the population's rank-biserial: 2 P(d1 + d2 > 0) - 1 of two independent differences
    ranks = 2.0 * float(stats.norm.cdf(true * np.sqrt(2.0))) - 1.0
    held = np.zeros(3)
    for _ in range(2000):
        sample = rng.normal(true, 1.0, 40)
        ends = (standardised(sample), superiority(sample), rank_biserial(sample, resamples=499))
        held += [e["low"] <= x <= e["high"] for e, x in zip(ends, (true, beat, ranks), strict=True)]
    assert np.all((held / 2000 > 0.93) & (held / 2000 < 0.985)), held / 2000  # the rank-biserial one is a bit wide


@pytest.mark.study
def test_the_interval_of_the_variance_reduction_holds() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(500):
        common = rng.normal(size=60)
        a, b = common + 0.4 * rng.normal(size=60), common + 0.4 * rng.normal(size=60)
        found = variance_reduction(a, b, resamples=999)
        held += found["low"] <= 2 * 1.16 / 0.32 <= found["high"]
    assert held / 500 > 0.90, held / 500
