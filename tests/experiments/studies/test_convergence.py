from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import scenario
from experiments.studies.convergence import (
    Rounds,
    measure,
    multiplier_change,
    quote_measures,
    quotes,
    quotes_units,
    ratio_of_samples,
)


def test_many_rounds_are_enough_and_one_is_not_the_same(small: Path) -> None:
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    result = measure(Rounds(loaded, (0, 1), target=2.0, limits=(1, 100, 200)))
    by = {one["limit"]: one for one in result["limits"]}
    assert by[200]["multiplier_change"]["value"] == 0.0
    assert by[100]["fall_change"]["mean"] == 0.0
    assert by[1]["liquidated_change"]["mean"] != 0.0


def test_multipliers_share_their_denominator() -> None:
    off = np.array([1.0, 2.0, 3.0])
    found = multiplier_change(2 * off, 1.5 * off, off, resamples=100)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.5, 0.5, 0.5))


def test_ratio_of_independent_samples() -> None:
    rng = np.random.default_rng(7)
    found = ratio_of_samples(rng.normal(2, 0.2, 400), rng.normal(1, 0.1, 400))
    assert found["low"] < 2.0 < found["high"]
    assert found["high"] - found["low"] < 0.1
    assert np.isnan(ratio_of_samples([1.0], [1.0, 2.0])["value"])


def test_quotes_do_not_depend_on_how_often_they_are_recorded() -> None:
    rng = np.random.default_rng(8)
    log = np.cumsum(rng.normal(0, 1e-4, 60_001))
    mid, step = 100 * np.exp(log), np.arange(60_001)
    every = quote_measures(step, mid, mid * 0.999, mid * 1.001, [60, 600, 3600])
    some = quote_measures(step[::60], mid[::60], mid[::60] * 0.999, mid[::60] * 1.001, [60, 600, 3600])
    assert every["volatility_10"] == pytest.approx(some["volatility_10"])
    assert every["volatility_10"] == pytest.approx(np.sqrt(600), rel=0.15)  # 1 bp per root of a step
    assert every["spread"] == pytest.approx(20.0)


def test_a_finer_step_covers_the_same_time(small: Path) -> None:
    text = small.read_text().replace('name = "small"', 'name = "small"\nunit_seconds = 60', 1)
    small.write_text(text)
    coarse, fine = (scenario.load(small, [f"market.dt_seconds={dt}"]) for dt in (60, 10))
    assert fine.steps == 6 * coarse.steps
    (unit,) = quotes_units(fine, (0,), "10s")
    (found,) = quotes(unit.task).runs
    assert found["arm"] == "10s"
    assert found["spread"] > 0
