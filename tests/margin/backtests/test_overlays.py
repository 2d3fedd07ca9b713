from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin as regimes
from margin.backtests.forecasts import ewma_variance
from margin.backtests.overlays import apply_tools, parse_tools
from margin.procyclicality import level_buffered
from sim.kernels.state import RATE_ONE
from tests.margin import markets

RETURNS = 0.01 * np.random.default_rng(2).standard_t(4, 900)
MARGIN = 2.3263 * np.sqrt(ewma_variance(RETURNS, 0.94))
LOOKBACK = 300


def applied(*tools: str, margin: np.ndarray = MARGIN) -> np.ndarray:
    return apply_tools(margin, parse_tools(tools), RETURNS, 2.3263, LOOKBACK)


@pytest.mark.parametrize("tool", ["stress", "buffer", "reference_buffer", "floor", "speed", "cap=0.03"])
def test_tools_look_back_only(tool: str) -> None:
    later = MARGIN.copy()
    later[601:] *= 3.0
    assert np.array_equal(applied(tool)[:601], applied(tool, margin=later)[:601], equal_nan=True)


def test_definitions_by_hand() -> None:
    at = 700
    past, m = MARGIN[at - LOOKBACK : at], MARGIN[at]
    assert applied("stress")[at] == pytest.approx(0.75 * m + 0.25 * past.max())
    middle, high = np.quantile(past, 0.5), np.quantile(past, 0.95)
    assert applied("buffer")[at] == pytest.approx(m * (1 + 0.25 * np.clip((high - m) / (high - middle), 0, 1)))
    floor = 2.3263 * np.sqrt(np.mean(RETURNS[at - LOOKBACK : at] ** 2))
    assert applied("floor")[at] == pytest.approx(max(m, floor))
    assert applied("stress=0.3/0.02")[at] == pytest.approx(0.7 * m + 0.3 * 2.3263 * 0.02)
    assert applied("cap=0.01")[at] == min(m, 0.01)


def test_the_order_does_not_depend_on_the_spelling() -> None:
    assert np.array_equal(
        applied("cap=0.03", "speed", "stress"), applied("stress", "speed", "cap=0.03"), equal_nan=True
    )


@given(limit=st.floats(0.001, 0.5))
@settings(max_examples=20)
def test_a_speed_limit_holds_every_day(limit: float) -> None:
    limited = applied(f"speed={limit}")
    assert np.all(limited[1:] <= limited[:-1] * (1.0 + limit) * (1 + 1e-12))
    assert np.all(limited <= MARGIN)


@given(rate=st.floats(0.0, 1.0), low=st.floats(0.0, 0.5), gap=st.floats(0.0, 0.5), buffer=st.floats(0.0, 1.0))
def test_a_buffer_by_level_is_whole_released_and_gone(rate: float, low: float, gap: float, buffer: float) -> None:
    found = float(level_buffered(np.array(rate), np.array(low), np.array(low + gap), buffer))
    assert rate <= found <= rate * (1 + buffer) * (1 + 1e-12)
    if rate < low:
        assert found == pytest.approx(rate * (1 + buffer))
    if rate >= low + gap:
        assert found == rate


OVERLAYS = {
    "stress=0.25/0.02": {"stress_weight": 0.25, "stress_volatility": 0.02},
    "reference_buffer=0.25/20": {"buffer": 0.25, "buffer_rebuild": "20d"},
    "floor=0.03": {"floor": 0.03},
    "speed=0.05": {"speed_limit": 0.05},
    "cap=0.03": {"cap": 0.03},
}


@pytest.mark.parametrize("tool", [*OVERLAYS, "all"])
def test_the_market_publishes_what_the_backtest_computes(tool: str) -> None:
    """The same tools with references given as numbers, on the same returns: equal to the grid of rates and prices."""
    count = 120
    tools = list(OVERLAYS) if tool == "all" else [tool]
    params = {key: value for name in tools for key, value in OVERLAYS[name].items()}
    model = regimes.create(
        "ewma", params | {"decay": 0.94, "horizon": "1d", "initial_volatility": 0.01, "confidence": 0.99}
    )
    contracts = markets.table(1, 86_400, 1)
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    marks = np.rint(8e8 * np.exp(np.concatenate([[0.0], np.cumsum(RETURNS[:count])])))
    published = []
    for step, mark in enumerate(marks):
        state.quotes["mark"] = int(mark)
        markets.publish(state, model, step)
        published.append(state.model_rates[0, 0, 0] / RATE_ONE)
    variance = [0.01**2]
    for change in RETURNS[:count]:
        variance.append(0.94 * variance[-1] + 0.06 * change**2)
    rate = 2.3263478740408408 * np.sqrt(variance)
    expected = apply_tools(rate, parse_tools(tools), RETURNS[: count + 1], 2.3263478740408408, LOOKBACK)
    assert published == pytest.approx(expected, rel=1e-6)
