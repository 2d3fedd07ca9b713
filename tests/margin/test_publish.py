from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from margin.kernels.columns import S_VARIANCE
from sim.errors import ConfigError
from sim.kernels import state as layout
from tests.margin import markets

DAILY = {"sample_interval": "1d", "update_interval": "1d", "horizon": "1d", "quantile": 1.0}
EWMA = {"estimator": "ewma", "decay": 0.94, "initial_volatility": 0.01} | DAILY
GARCH = {"alpha": 0.1, "beta": 0.85, "long_run_volatility": 0.01, "initial_volatility": 0.02} | DAILY
OVERLAYS = {
    "stress_weight": 0.25,
    "stress_volatility": 0.03,
    "buffer": 0.25,
    "buffer_rebuild": "5d",
    "floor": 0.009,
    "speed_limit": 0.2,
    "speed_interval": "2d",
    "cap": 0.08,
}
LEVELS = {"buffer": 0.25, "buffer_whole_volatility": 0.009, "buffer_gone_volatility": 0.012}
OVERLAPPING = {"scaling": "overlapping"}
WINDOWED = {"ewma": {"decay": 0.94, "horizon": "5d", "initial_volatility": 0.01}}
REGIMES: dict[str, tuple[str, dict[str, Any]]] = {
    "static": ("static", {"initial": {"a": 0.1, "b": 0.2}, "maintenance": 0.05}),
    "ewma": ("dynamic", EWMA),
    "ewma_averaging": ("dynamic", EWMA | {"initial_samples": 3}),
    "garch": ("dynamic_garch", GARCH),
    "overlays": ("dynamic", EWMA | OVERLAYS),
    "overlays_on_initial": ("dynamic", EWMA | OVERLAYS | {"overlays_on": "initial"}),
    "overlays_on_maintenance": ("dynamic", EWMA | OVERLAYS | {"overlays_on": "maintenance"}),
    "portfolio": ("portfolio", {"extreme_move": 3.0}),
    "buffer_by_level": ("dynamic", EWMA | LEVELS),
    "linear_es": ("dynamic_daily", WINDOWED["ewma"] | {"scaling": "linear", "measure": "es"}),
    "hs": ("hs", {"window": 12, "confidence": 0.9, "initial_volatility": 0.003}),
    "hs_es_short": ("hs", {"window": 11, "confidence": 0.8, "measure": "es", "tails": "short"}),
    "hs_overlapping": ("hs", {"window": 8, "confidence": 0.9, "horizon": "3d", "tails": "long"} | OVERLAPPING),
    "fhs": ("fhs", {"window": 10, "confidence": 0.85, "decay": 0.9, "scaling": "sqrt"}),
    "fhs_overlapping": ("fhs", {"window": 10, "confidence": 0.85, "decay": 0.9, "horizon": "3d"}),
    "fhs_rescaled": ("fhs_rescaled", {"window": 9, "confidence": 0.85, "decay": 0.9, "horizon": "4d"} | OVERLAYS),
    "fhs_rescaled_es": ("fhs_rescaled", {"window": 2, "confidence": 0.85, "decay": 0.9, "measure": "es"}),
}


def drift(marks: np.ndarray, step: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, step])
    return np.maximum(np.rint(marks * np.exp(0.004 * rng.standard_t(3, len(marks)))), 16).astype(np.int64)


@pytest.mark.parametrize("name", REGIMES)
@given(seed=st.integers(0, 10_000), per_day=st.sampled_from([1, 3]))
def test_kernel_and_python_publish_the_same_units(name: str, seed: int, per_day: int) -> None:
    regime, params = REGIMES[name]
    contracts = markets.table(2, dt_seconds=86_400 / per_day, steps_per_day=per_day)
    model = margin.create(regime, params)
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    memory = markets.install(state, 0, model, contracts)
    marks = contracts.initial_mark
    for step in range(30):
        marks = drift(marks, step, seed)
        state.quotes["mark"] = marks
        markets.publish(state, model, step)
        risk, memory = model.publish(markets.Clock(step, marks), memory)
        assert state.rate_initial.tolist() == risk.rate_initial.tolist()
        assert state.model_rates[0, :, 1].tolist() == risk.rate_maintenance.tolist()
        assert np.array_equal(state.model_state[0], memory["state"])
        if "window" in memory:
            assert np.array_equal(state.model_window[0], memory["window"])
        if name == "portfolio":
            grid = markets.risk(state, scenarios=True)
            assert np.array_equal(grid.scenario_pnl, risk.scenario_pnl)
            assert np.array_equal(grid.scenario_weight, risk.scenario_weight)
            assert grid.initial_factor == risk.initial_factor
            assert grid.scenario_pnl.shape[1] == model.scenarios


def rates_along(model: Any, contracts: Any, marks: list[int]) -> np.ndarray:
    """Initial rate of the first contract, as a fraction, by step."""
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    markets.install(state, 0, model, contracts)
    found = []
    for step, mark in enumerate(marks):
        state.quotes["mark"] = mark
        markets.publish(state, model, step)
        found.append(state.rate_initial[0] / layout.RATE_ONE)
    return np.array(found)


def test_ewma_is_the_textbook_recursion_on_marks() -> None:
    contracts = markets.table(1, 86_400, 1)
    marks = [80_000, 80_800, 79_000, 79_000, 85_000, 70_000]
    variance = 0.01**2
    expected = [variance]
    for change in np.diff(np.log(marks)):
        variance = 0.94 * variance + 0.06 * change**2
        expected.append(variance)
    found = rates_along(margin.create("dynamic", EWMA), contracts, marks)
    assert found == pytest.approx(np.sqrt(expected), abs=2e-9)


def test_garch_is_the_textbook_recursion_on_marks() -> None:
    contracts = markets.table(1, 86_400, 1)
    marks = [80_000, 80_800, 79_000, 79_000, 85_000, 70_000]
    variance = 0.02**2
    expected = [variance]
    for change in np.diff(np.log(marks)):
        variance = 0.05 * 0.01**2 + 0.1 * change**2 + 0.85 * variance
        expected.append(variance)
    found = rates_along(margin.create("dynamic_garch", GARCH), contracts, marks)
    assert found == pytest.approx(np.sqrt(expected), abs=2e-9)


def test_an_initial_rate_is_what_is_published_first() -> None:
    found = rates_along(margin.create("dynamic", {"initial_rate": 0.0375}), markets.table(1), [80_000])
    assert found[0] == pytest.approx(0.0375, abs=1e-9)


def test_quantile_and_horizon_scale_the_rate() -> None:
    contracts = markets.table(1, 86_400, 1)
    base = rates_along(margin.create("dynamic", EWMA), contracts, [80_000])[0]
    longer = rates_along(margin.create("dynamic", EWMA | {"horizon": "4d", "quantile": 2.0}), contracts, [80_000])[0]
    assert longer == pytest.approx(4 * base, abs=1e-9)
    # a preset's confidence holds where no quantile is given: 2.3263 is the normal 99 % point
    by_confidence = margin.create("dynamic_daily", {"initial_volatility": 0.01, "horizon": "1d"})
    assert rates_along(by_confidence, contracts, [80_000])[0] == pytest.approx(0.023263479, abs=1e-8)
    with pytest.raises(ConfigError, match="exactly one of confidence, quantile"):
        margin.create("dynamic", EWMA | {"confidence": 0.99})


@pytest.mark.parametrize("estimator", ["ewma", "garch"])
def test_a_finer_step_does_not_change_the_meaning(estimator: str) -> None:
    """The same marks at the sampling times give the same rates at 60, 10 and 5 seconds a step."""
    samples = [80_000, 80_400, 79_600, 80_900, 80_950, 78_000]
    params = {"sample_interval": "10min", "update_interval": "10min", "horizon": "1d", "initial_volatility": 0.03}
    if estimator == "ewma":
        params |= {"half_life": "1h"}
    else:
        params |= {"estimator": "garch", "alpha": 0.1, "beta": 0.8, "long_run_volatility": 0.04}
    found = []
    for dt in (60, 10, 5):
        per_sample = 600 // dt
        # between samples the mark bounces, which must not count
        marks = [
            sample + (200 if i % 2 else -200) * (i > 0) for sample in samples[:-1] for i in range(per_sample)
        ] + samples[-1:]
        path = rates_along(margin.create("dynamic", params), markets.table(1, dt, 86_400 // dt), marks)
        found.append(path[::per_sample])
        assert np.all(np.diff(path.reshape(-1)[:-1].reshape(-1, per_sample), axis=1) == 0)
    assert found[0] == pytest.approx(found[1], abs=1e-9)
    assert found[0] == pytest.approx(found[2], abs=1e-9)


def test_a_step_longer_than_the_sampling_interval_keeps_the_half_life_in_time() -> None:
    """Half-life an hour: after an hour without a move the variance has halved, whatever the step."""
    params = {"half_life": "1h", "initial_volatility": 0.03}
    for dt in (60, 600, 1200, 3600):
        contracts = markets.table(1, dt, 86_400 // dt)
        path = rates_along(margin.create("dynamic", params), contracts, [80_000] * (3600 // dt + 1))
        assert path[-1] / path[0] == pytest.approx(np.sqrt(0.5), rel=1e-6)


def test_decay_per_sample_and_half_life_in_time_are_the_same_rule() -> None:
    contracts = markets.table(1, 300, 78)
    marks = list(80_000 + (np.arange(400) * 7919) % 900)
    by_decay = rates_along(margin.create("dynamic_daily", {"decay": 0.97}), contracts, marks)
    by_time = rates_along(margin.create("dynamic_daily", {"half_life": "22.756573d"}), contracts, marks)
    assert by_decay == pytest.approx(by_time, abs=1e-8)
    # a trading day of 78 steps, whatever the hours in it: rates move at closes only
    assert set(np.flatnonzero(np.diff(by_decay)) + 1) <= {78, 156, 234, 312, 390}


def test_rates_hold_between_updates() -> None:
    contracts = markets.table(1, 60, 1440)
    params = {"sample_interval": "10min", "update_interval": "30min"}
    marks = list(80_000 + (np.arange(121) * 7919) % 900)
    path = rates_along(margin.create("dynamic", params), contracts, marks)
    assert set(np.flatnonzero(np.diff(path)) + 1) == {30, 60, 90, 120}


def test_averaging_start_forgets_a_wrong_guess_soon() -> None:
    contracts = markets.table(1, 86_400, 1)
    rng = np.random.default_rng(7)
    marks = np.rint(80_000 * np.exp(np.cumsum(0.01 * rng.standard_normal(60)))).astype(int).tolist()
    wrong = EWMA | {"decay": 0.99, "initial_volatility": 0.05}
    plain = rates_along(margin.create("dynamic", wrong), contracts, marks)[-1]
    averaging = rates_along(margin.create("dynamic", wrong | {"initial_samples": 1}), contracts, marks)[-1]
    assert abs(averaging - 0.01) < 0.3 * abs(plain - 0.01)


def test_the_scale_of_a_fork_multiplies_what_is_published_and_stays_within_bounds() -> None:
    contracts = markets.table(2)
    model = margin.create("static", {"initial": 0.125, "maintenance": 0.0625})
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    state.model_scale[0] = 1.5
    markets.publish(state, model, 1)
    assert state.model_rates[0, 0].tolist() == [int(0.1875 * layout.RATE_ONE), int(0.09375 * layout.RATE_ONE)]
    state.model_scale[0] = 100.0
    markets.publish(state, model, 2)
    assert state.model_rates[0, 0].tolist() == [layout.RATE_ONE, layout.RATE_ONE]
    state.model_scale[0] = 1e-12
    markets.publish(state, model, 3)
    assert state.model_rates[0, 0].tolist() == [1, 1]


def test_a_shadow_model_publishes_rates_and_leaves_the_grid_alone() -> None:
    contracts = markets.table(2)
    state = markets.market(contracts, publishers=2)
    active, shadow = margin.create("static"), margin.create("portfolio")
    markets.install(state, 0, active, contracts)
    markets.install(state, 1, shadow, contracts)
    markets.publish(state, active, 0)
    shadow.publish_kernel(state, 1)
    assert state.model_rates[1].tolist() == state.model_rates[0].tolist()
    assert not state.scenario_pnl.any()
    assert state.meta[layout.M_SCENARIOS] == 0


@pytest.mark.parametrize("name", ["ewma", "overlays", "portfolio", "fhs"])
def test_publishing_again_at_the_same_step_changes_nothing(name: str) -> None:
    contracts = markets.table(2, 86_400, 1)
    regime, params = REGIMES[name]
    model = margin.create(regime, params)
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    markets.install(state, 0, model, contracts)
    for step in range(5):
        state.quotes["mark"] = contracts.initial_mark + 3000 * step
        markets.publish(state, model, step)
        before = layout.copy_of(state)
        markets.publish(state, model, step)
        for field in ("model_state", "model_window", "model_rates", "scenario_pnl"):
            assert np.array_equal(getattr(before, field), getattr(state, field))


@pytest.mark.parametrize("name", ["ewma", "hs", "fhs_overlapping"])
def test_publication_is_a_function_of_the_state_alone(name: str) -> None:
    contracts = markets.table(2, 86_400, 1)
    regime, params = REGIMES[name]
    model = margin.create(regime, params)
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    markets.install(state, 0, model, contracts)
    for step in range(15):
        state.quotes["mark"] = contracts.initial_mark + 37 * step
        markets.publish(state, model, step)
    twin = layout.copy_of(state)
    for step in range(15, 40):
        for one in (state, twin):
            one.quotes["mark"] = contracts.initial_mark + (step * step) % 300
            markets.publish(one, model, step)
    assert np.array_equal(state.model_state, twin.model_state)
    assert np.array_equal(state.model_window, twin.model_window)
    assert state.model_state[0, 0, S_VARIANCE] > 0.0
