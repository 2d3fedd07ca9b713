"""Outcomes of paths against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.gamma.path import autocorrelation, outcomes, returns


def test_a_steady_rise() -> None:
    mids = 100.0 * np.exp(0.001 * np.arange(61))
    found = outcomes(mids, 60.0)
    assert found["drawdown_mid"] == 0.0
    assert found["run_up"] == pytest.approx(np.exp(0.06) - 1.0)
    assert found["move"] == pytest.approx(np.exp(0.06) - 1.0)
    # six ten-minute returns of 1 % in an hour: 24 x 6 of them in a day
    assert found["realised_volatility"] == pytest.approx(0.01 * 12.0)


def test_a_fall_and_its_recovery() -> None:
    mids = np.array([100.0, 110.0, 99.0, 120.0, 108.0])
    found = outcomes(mids, 600.0)
    assert found["drawdown_mid"] == pytest.approx(0.1)
    assert found["run_up"] == pytest.approx(120.0 / 99.0 - 1.0)


def test_a_path_too_short_for_returns() -> None:
    found = outcomes([100.0, 101.0], 60.0)
    assert np.isnan(found["realised_volatility"]) and np.isnan(found["momentum"])
    assert found["move"] == pytest.approx(0.01)


def test_returns_of_steps_longer_than_the_sample() -> None:
    assert returns(np.arange(5.0), 0.4).tolist() == [1.0] * 4


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.4])
def test_autocorrelation_of_a_known_process(phi: float) -> None:
    rng = np.random.default_rng(3)
    x = np.zeros(40_000)
    for t, shock in enumerate(rng.standard_normal(len(x))):
        x[t] = phi * x[t - 1] + shock
    assert autocorrelation(x) == pytest.approx(phi, abs=0.02)


def test_nothing_moves() -> None:
    assert np.isnan(autocorrelation(np.zeros(10)))
