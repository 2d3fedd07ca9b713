from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin.backtests.coverage import (
    accepted_exceedances,
    conditional_coverage,
    independence,
    kupiec,
    traffic_light,
    worst_window,
)
from sim.errors import ConfigError


def test_t20_kupiec_of_20_in_252_at_5_percent() -> None:
    test = kupiec(20, 252, 0.05)
    assert test.statistic == pytest.approx(3.9126, abs=5e-5)
    assert test.p_value == pytest.approx(0.0479, abs=1e-4)
    assert not test.accepted


@pytest.mark.parametrize(("n", "low", "high"), [(255, 1, 6), (510, 2, 10), (1000, 5, 16)])
def test_t20_accepted_exceedances_at_1_percent(n: int, low: int, high: int) -> None:
    assert accepted_exceedances(n, 0.01) == (low, high)


@settings(max_examples=25)
@given(n=st.integers(1, 80), p=st.floats(0.001, 0.5))
def test_accepted_exceedances_are_those_that_the_test_accepts(n: int, p: float) -> None:
    low, high = accepted_exceedances(n, p)
    accepted = [x for x in range(n + 1) if kupiec(x, n, p).statistic <= 3.841458820694124]
    assert (low, high) == (accepted[0], accepted[-1])


def test_t20_traffic_light_of_250_days() -> None:
    assert [traffic_light(x).zone for x in range(12)] == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2
    assert traffic_light(4).cumulative == pytest.approx(0.8922, abs=5e-5)
    assert traffic_light(9).cumulative == pytest.approx(0.9997, abs=5e-5)


def test_no_exceedances_and_nothing_else() -> None:
    assert kupiec(0, 255, 0.01).statistic == pytest.approx(-2 * 255 * math.log(0.99))
    assert kupiec(7, 7, 0.01).statistic == pytest.approx(-2 * 7 * math.log(0.01))
    for hits in (np.zeros(50, bool), np.ones(50, bool), np.zeros(1, bool)):
        assert independence(hits).statistic == pytest.approx(0.0, abs=1e-9)


def test_independence_by_hand() -> None:
    hits = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0], bool)
    # transitions: 00 four times, 01 twice, 10 twice, 11 once
    equal = 6 * math.log(6 / 9) + 3 * math.log(3 / 9)
    markov = 4 * math.log(4 / 6) + 2 * math.log(2 / 6) + 2 * math.log(2 / 3) + math.log(1 / 3)
    assert independence(hits).statistic == pytest.approx(-2 * (equal - markov))
    joint = conditional_coverage(hits, 0.1)
    assert joint.statistic == pytest.approx(independence(hits).statistic + kupiec(3, 10, 0.1).statistic)
    assert joint.degrees == 2


def test_clustered_exceedances_are_not_independent() -> None:
    clustered, spread = np.zeros(1000, bool), np.zeros(1000, bool)
    clustered[500:510] = True
    spread[50::100] = True
    assert not independence(clustered).accepted
    assert independence(spread).accepted
    assert kupiec(int(clustered.sum()), 1000, 0.01).statistic == kupiec(int(spread.sum()), 1000, 0.01).statistic


def test_the_tests_reject_a_true_model_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    series = rng.random((400, 1000)) < 0.05
    rejected = [not kupiec(int(hits.sum()), 1000, 0.05).accepted for hits in series]
    apart = [not independence(hits).accepted for hits in series]
    assert 0.02 < np.mean(rejected) < 0.09
    assert 0.02 < np.mean(apart) < 0.11


@given(hits=st.lists(st.booleans(), min_size=1, max_size=60), window=st.integers(1, 70))
def test_worst_window(hits: list[bool], window: int) -> None:
    width = min(window, len(hits))
    counts = [sum(hits[i : i + width]) for i in range(len(hits) - width + 1)]
    most, last = worst_window(hits, window)
    assert most == max(counts)
    assert counts[last - width + 1] == most


@pytest.mark.parametrize(("x", "n", "p"), [(1, 10, 0.0), (1, 10, 1.0), (11, 10, 0.1), (-1, 10, 0.1), (0, 0, 0.1)])
def test_bad_input(x: int, n: int, p: float) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        kupiec(x, n, p)
