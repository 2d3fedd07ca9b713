from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experiments.statistics import (
    detectable_difference,
    holm,
    incidence_summary,
    mean_interval,
    paired_difference,
    paired_summary,
    placebo_difference,
    ratio_of_means,
    required_seeds,
    sign_flip_test,
    verdict,
)
from tests.experiments.synthetic import values


@pytest.mark.parametrize("shape", ["normal", "exponential"])
def test_intervals_cover_the_mean_about_as_often_as_they_say(shape: str) -> None:
    rng = np.random.default_rng(11)
    draw = {"normal": lambda: rng.normal(2.0, 3.0, 40), "exponential": lambda: rng.exponential(2.0, 40)}[shape]
    covered = []
    for _ in range(300):
        found = mean_interval(draw(), resamples=999)
        covered.append(found["low"] <= 2.0 <= found["high"])
    # 95 % nominal; small skewed samples lose a few points, chance 2.5 standard errors of 1.3 points
    assert 0.89 <= np.mean(covered) <= 0.985


def test_the_interval_is_about_the_textbook_one_for_a_normal_sample() -> None:
    sample = np.random.default_rng(2).normal(0.0, 1.0, 400)
    found = mean_interval(sample)
    half = 1.96 * sample.std(ddof=1) / 20.0
    assert found["method"] == "bca"
    assert found["low"] == pytest.approx(sample.mean() - half, abs=0.15 * half)
    assert found["high"] == pytest.approx(sample.mean() + half, abs=0.15 * half)


@pytest.mark.parametrize("n", [8, 20])
def test_the_sign_flip_test_keeps_its_level(n: int) -> None:
    rng = np.random.default_rng(5)
    p = np.array([sign_flip_test(rng.standard_t(3, n), resamples=999) for _ in range(600)])
    assert 0.025 <= np.mean(p <= 0.05) <= 0.075
    assert 0.44 <= np.mean(p <= 0.5) <= 0.56


def test_the_sign_flip_test_has_the_power_it_is_planned_for() -> None:
    rng = np.random.default_rng(6)
    n = required_seeds(0.5)
    assert n == 34
    found = np.mean([sign_flip_test(rng.normal(0.5, 1.0, n), resamples=999) <= 0.05 for _ in range(300)])
    assert 0.73 <= found <= 0.87
    assert detectable_difference(1.0, n) == pytest.approx(0.5, abs=0.01)


def test_the_sign_flip_test_is_exact_for_few_seeds() -> None:
    assert sign_flip_test([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.0 / 32.0)
    # every assignment of signs gives a sum at least as far from zero as 1 + 2 - 3
    assert sign_flip_test([1.0, 2.0, -3.0]) == 1.0
    assert sign_flip_test([0.0] * 50 + [1.0, 2.0, 3.0]) == pytest.approx(0.25)


def test_degenerate_samples_give_none_and_never_nan() -> None:
    zero = mean_interval(np.zeros(9))
    assert (zero["mean"], zero["low"], zero["high"], zero["method"]) == (0.0, 0.0, 0.0, "constant")
    one = mean_interval([4.0])
    assert (one["mean"], one["low"], one["high"], one["n"], one["method"]) == (4.0, None, None, 1, "none")
    assert mean_interval([np.nan, np.inf])["mean"] is None
    assert sign_flip_test(np.zeros(5)) == 1.0
    assert sign_flip_test([1.0]) is None
    constant = paired_difference(np.full(6, 3.0), np.full(6, 1.0))
    assert constant["mean"] == constant["low"] == constant["high"] == 2.0
    assert constant["effect"] is None
    assert constant["variance_reduction"] is None
    assert constant["p"] == pytest.approx(2.0 / 64.0)


def test_pairs_with_a_missing_value_are_dropped_and_counted() -> None:
    found = paired_difference([1.0, np.nan, 3.0, 5.0], [0.0, 1.0, np.inf, 2.0])
    assert (found["n"], found["dropped"], found["mean"]) == (2, 2, 2.0)
    with pytest.raises(ValueError, match="one value per seed"):
        paired_difference([1.0, 2.0], [1.0])


def test_variance_reduction_is_that_of_correlated_pairs() -> None:
    rng = np.random.default_rng(9)
    world = rng.normal(0.0, 3.0, 600)
    a, b = world + rng.normal(0.0, 1.0, 600), world + rng.normal(0.0, 1.0, 600)
    # (2 * (9 + 1)) / 2
    assert paired_difference(a, b, resamples=99)["variance_reduction"] == pytest.approx(10.0, rel=0.15)


def test_holm_is_the_published_example_and_ignores_what_was_not_tested() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02, "e": None})
    assert holm({"a": None}) == {"a": None}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    with mock.patch("gc.collect"):  # the library collects all garbage of the process at every call
        expected = multipletests(values, method="holm")[1]
    assert list(holm(dict(enumerate(values))).values()) == pytest.approx(expected.tolist(), rel=1e-9)


def test_correction_is_over_regimes_and_measures_of_a_family() -> None:
    sample = values(20)
    found = paired_summary(sample, "static", families={"spread_bp": "price"})
    differences = found["differences"]
    counted = {by[name]["comparisons"] for by in differences.values() for name in ("drawdown", "spread_bp")}
    assert counted == {9}
    for by in differences.values():
        for name, entry in by.items():
            if entry["family"] == "event":
                assert entry["p"] is None
                assert entry["p_holm"] is None
            else:
                assert entry["p_holm"] >= entry["p"], name


def test_a_summary_says_what_was_put_in() -> None:
    sample = values(30)
    found = paired_summary(sample, "static", sample["static"])
    assert found["placebo"] == dict.fromkeys(sample["static"], 0.0)
    assert found["differences"]["dynamic"]["drawdown"]["verdict"] == "different"
    assert found["differences"]["dynamic"]["drawdown"]["mean"] == pytest.approx(0.014, abs=0.003)
    assert found["differences"]["portfolio"]["bad_debt"]["verdict"] == "identical"
    assert "static" not in found["differences"]
    json.dumps(found, allow_nan=False)


def test_a_summary_is_reproducible_and_does_not_depend_on_other_measures() -> None:
    sample = values(12)
    whole = paired_summary(sample, "static")
    assert whole == paired_summary(sample, "static")
    alone = paired_summary({r: {"drawdown": by["drawdown"]} for r, by in sample.items()}, "static")
    for regime in ("dynamic", "portfolio", "isolated"):
        for key in ("mean", "low", "high", "p"):
            assert alone["differences"][regime]["drawdown"][key] == whole["differences"][regime]["drawdown"][key]


def test_one_seed_is_summarised_without_intervals_or_tests() -> None:
    found = paired_summary(values(1), "static")
    entry = found["differences"]["dynamic"]["drawdown"]
    assert entry["low"] is None
    assert entry["p"] is None
    assert entry["verdict"] == "untested"
    json.dumps(found, allow_nan=False)


def test_bad_input_is_named() -> None:
    with pytest.raises(KeyError, match="baseline 'none' is not among the regimes: a"):
        paired_summary({"a": {"x": [1.0]}}, "none")
    with pytest.raises(ValueError, match="measure 'x' of regime 'b'"):
        paired_summary({"a": {"x": [1.0, 2.0]}, "b": {"x": [1.0]}}, "a")


def test_verdicts() -> None:
    def entry(low: float | None, high: float | None, p: float | None, p_holm: float | None) -> str:
        mean = None if low is None or high is None else (low + high) / 2.0
        return verdict({"mean": mean, "low": low, "high": high, "p": p, "p_holm": p_holm, "n": 9})

    assert entry(0.1, 0.4, 0.001, 0.01) == "different"
    assert entry(0.1, 0.4, 0.02, 0.2) == "suggestive"
    assert entry(-0.1, 0.4, 0.001, 0.01) == "suggestive"
    assert entry(-0.1, 0.4, 0.3, 1.0) == "none"
    assert entry(0.0, 0.0, 1.0, 1.0) == "identical"
    assert entry(None, None, None, None) == "untested"


def test_a_placebo_is_zero_only_when_every_seed_is_equal() -> None:
    assert placebo_difference([1.0, np.nan], [1.0, np.nan]) == 0.0
    assert placebo_difference([1.0, 2.0], [1.0, 2.5]) == 0.5
    assert placebo_difference([1.0, np.nan], [1.0, 2.0]) is None
    assert placebo_difference([1.0], [1.0, 2.0]) is None


def test_a_ratio_of_means_covers_the_ratio() -> None:
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(200):
        b = rng.gamma(9.0, 1.0, 40)
        found = ratio_of_means(1.5 * b + rng.normal(0.0, 1.0, 40), b, resamples=999)
        covered.append(found["low"] <= 1.5 <= found["high"])
    assert 0.89 <= np.mean(covered) <= 0.99


def test_a_ratio_is_not_bounded_where_its_denominator_may_be_zero() -> None:
    assert ratio_of_means([1.0, 2.0], [0.0, 0.0])["ratio"] is None
    loose = ratio_of_means([1.0, 2.0, 3.0, 1.0], [-1.0, 2.0, -0.5, 1.0])
    assert loose["ratio"] is not None
    assert loose["low"] is None
    assert ratio_of_means([3.0], [2.0]) == {"ratio": 1.5, "low": None, "high": None, "n": 1, "method": "none"}
    same = ratio_of_means([3.0, 3.0], [2.0, 2.0])
    assert (same["low"], same["high"], same["method"]) == (1.5, 1.5, "constant")


def test_incidence_is_summarised_by_population() -> None:
    found = incidence_summary({"static": {"makers": {"pnl": [1.0, 3.0]}}})
    assert found["static"]["makers"]["pnl"]["mean"] == 2.0


@given(
    hnp.arrays(np.float64, st.integers(0, 12), elements=st.floats(-1e9, 1e9, allow_subnormal=False) | st.just(np.nan)),
)
def test_any_pair_of_samples_gives_valid_json_and_ordered_numbers(sample: np.ndarray) -> None:
    other = np.roll(sample, 1)
    found = paired_difference(sample, other, resamples=99)
    json.dumps(found, allow_nan=False)
    if found["low"] is not None:
        assert found["low"] <= found["high"]
    if found["p"] is not None:
        assert 0.0 < found["p"] <= 1.0
