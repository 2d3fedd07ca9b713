from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from experiments.studies import forecasts
from margin.forecast import mean_weight, recursion
from margin.kernels.columns import S_ANCHOR, S_VARIANCE
from sim.errors import ConfigError
from tests.margin import markets

WEIGHTS = {"alpha": 0.05, "gamma": 0.1, "beta": 0.85, "anchor_half_life": "20d"}
DAILY = {"sample_interval": "1d", "update_interval": "1d", "horizon": "5d", "initial_rate": 0.05} | WEIGHTS


@pytest.mark.parametrize("tools", [{}, {"floor": 0.03, "buffer": 0.25, "cap": 0.2, "speed_limit": 0.1}])
@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_kernel_and_python_publish_the_same_units(tools: dict[str, float], seed: int) -> None:
    contracts = markets.table(2, dt_seconds=86_400, steps_per_day=1)
    model = margin.create("dynamic_initial", DAILY | tools)
    state = markets.market(contracts)
    memory = markets.install(state, 0, model, contracts)
    model.install(state, 0, memory)
    marks, rng = contracts.initial_mark, np.random.default_rng(seed)
    for step in range(25):
        marks = np.maximum(np.rint(marks * np.exp(0.01 * rng.standard_t(3, 2))), 16).astype(np.int64)
        state.quotes["mark"] = marks
        markets.publish(state, model, step)
        risk, memory = super(type(model), model).publish(markets.Clock(step, marks), memory)  # type: ignore[misc]
        assert state.rate_initial.tolist() == risk.rate_initial.tolist()
        assert state.rate_maintenance[step % len(state.rate_maintenance)].tolist() == risk.rate_maintenance.tolist()
        for column in (S_VARIANCE, S_ANCHOR):
            assert state.model_state[0, :, column].tolist() == memory["state"][:, column].tolist()


def test_the_mean_over_the_horizon_is_that_of_the_expected_path() -> None:
    persistence, fast, slow = 0.97, 4.0, 1.0
    path = [slow + persistence**k * (fast - slow) for k in range(10)]
    weight = mean_weight(persistence, 10)
    assert weight * fast + (1 - weight) * slow == pytest.approx(np.mean(path), rel=1e-12)


def test_a_fall_counts_for_more_than_a_rise() -> None:
    fallen, risen = (recursion([r], 0.02, 0.1, 0.9, 0.99, 1e-4)[0][-1] for r in (-0.03, 0.03))
    assert fallen - risen == pytest.approx(0.1 * 0.03**2)


def test_without_news_variance_returns_to_its_slow_average() -> None:
    fast, slow = recursion(np.zeros(3), 0.0, 0.0, 0.5, 1.0, 1e-4)
    assert fast.tolist() == pytest.approx([1e-4] * 4)
    assert slow.tolist() == [1e-4] * 4


def test_samples_within_a_longer_step_are_taken_as_alike() -> None:
    """Parameters per ten minutes in a market of hours: six alike squared returns in six recursions, or one in one."""
    hours = markets.table(1, dt_seconds=3600, steps_per_day=24)
    params = margin.create("dynamic_initial", {"initial_rate": 0.02}).init(hours)["params"][0]
    from margin.kernels.columns import P_ALPHA, P_BETA, P_GAMMA

    fast = 1e-6
    for _ in range(6):
        fast = (1 - 0.97) * 1e-6 + (0.04 + 0.06) * 9e-6 + 0.9 * fast
    a, g, b = params[P_ALPHA], params[P_GAMMA], params[P_BETA]
    once = (1 - (a + g / 2 + b)) * 6e-6 + (a + g) * 6 * 9e-6 + b * 6e-6
    assert once == pytest.approx(6 * fast, rel=1e-12)


def test_the_forecast_beats_every_plain_ewma_out_of_sample() -> None:
    """S&P 500, weights of 1999-2003, scored on 2004-2018; the table of docs/regimes/dynamic_initial.md."""
    for horizon in (1, 5):
        result = forecasts.compare(horizon)
        for name in ("EWMA 0.94", "EWMA 0.97", "EWMA 0.99"):
            assert result["differences"][name]["high"] < 0.0, (horizon, name)
    assert forecasts.compare(1)["scores"]["forecast"] == pytest.approx(-8.5044, abs=5e-4)


def test_the_daily_preset_has_the_fitted_weights() -> None:
    found = margin.create("dynamic_initial_daily").params  # type: ignore[attr-defined]
    assert (found.alpha, found.gamma, found.beta) == tuple(forecasts.FITTED[k] for k in ("alpha", "gamma", "beta"))


def test_a_forecast_that_explodes_is_refused() -> None:
    with pytest.raises(ConfigError, match="below 1"):
        margin.create("dynamic_initial", {"beta": 0.98})
