from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from experiments import build, scenario
from experiments.studies.pairing import Pairing, differing_arrays, measure, variance_reduction


def test_variance_reduction_of_known_correlation() -> None:
    rng = np.random.default_rng(3)
    common = rng.standard_normal(4000)
    a, b = common + 0.5 * rng.standard_normal(4000), common + 0.5 * rng.standard_normal(4000)
    # (1.25 + 1.25) / (0.25 + 0.25)
    found = variance_reduction(a, b, resamples=300)
    assert found["value"] == pytest.approx(5.0, rel=0.1)
    assert found["low"] < 5.0 < found["high"]
    independent = variance_reduction(rng.standard_normal(4000), rng.standard_normal(4000), resamples=300)
    assert independent["value"] == pytest.approx(1.0, abs=0.1)


def test_equal_pairs_have_no_finite_reduction() -> None:
    found = variance_reduction(np.arange(5.0), np.arange(5.0))
    assert math.isinf(found["value"])
    assert found["equal"] == 5
    assert math.isnan(variance_reduction(np.ones(2), np.ones(2))["value"])


def test_states_before_the_fork_are_equal_to_the_bit(small: Path) -> None:
    loaded = scenario.load(small)
    result = measure(Pairing(loaded, (1.0,), (0, 1)))
    (one,) = result["pairing"]
    assert one["differing"] == 0
    assert one["repeated"]


def test_a_byte_that_differs_is_seen(small: Path) -> None:
    loaded = scenario.load(small)
    market = build.market(loaded, 0)
    market.advance(60)
    twin = market.fork(liquidations=False)
    assert differing_arrays(market, twin) == 0
    twin.state.quotes["mid"] += 1
    assert differing_arrays(market, twin) == 1
