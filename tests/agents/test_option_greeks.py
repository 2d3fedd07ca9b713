"""Greeks of lots and accounts: derivatives of what positions are worth, counted in lots of what hedges them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.kernels import option_greeks as greeks
from agents.kernels.rows import value_of_lot
from sim.kernels.state import M_STEP, RATE_ONE, SUBTICKS, State
from tests.agents import rig
from tests.agents.test_option_makers import chain, hold


def market(kind: str, *, future: float, volatility: float, step: int, rate: float) -> tuple[State, float]:
    """A market at some price and time, and that price in sub-ticks."""
    state, _ = rig.market([("option_makers", {"count": 1})], table=chain(kind))
    spot = float(round(future * rig.PRICE * SUBTICKS))
    state.meta[M_STEP] = step
    state.quotes["mark"][0] = state.quotes["index"][0] = int(spot)
    state.contracts["volatility"] = volatility
    state.contracts["interest_rate"] = rate
    state.conversion[0] = RATE_ONE
    return state, spot


def worth(state: State, k: int, spot: float) -> float:
    """Value of a lot at a price, minor units."""
    table = greeks.empty_table(state)
    greeks.lot_greeks(state, k, spot, table)
    return float(table[k, greeks.VALUE])


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["linear", "inverse"]),
    k=st.integers(1, 20),
    future=st.floats(0.9, 1.1),
    volatility=st.floats(0.3, 2.0),
    step=st.integers(1, 1000),
    rate=st.floats(0.0, 0.2),
)
def test_greeks_are_the_derivatives_of_value(
    kind: str, k: int, future: float, volatility: float, step: int, rate: float
) -> None:
    state, spot = market(kind, future=future, volatility=volatility, step=step, rate=rate)
    table = greeks.empty_table(state)
    greeks.lot_greeks(state, k, spot, table)
    scale = abs(worth(state, k, spot)) + float(value_of_lot(state, 0)) * 1e-2
    h = 1e-4
    up, here, down = (worth(state, k, spot * np.exp(x)) for x in (h, 0.0, -h))
    assert table[k, greeks.DELTA] == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-4 * scale)
    curvature = (up - 2 * here + down) / h**2
    assert table[k, greeks.GAMMA] == pytest.approx(curvature, rel=2e-3, abs=1e-2 * scale)
    state.contracts["volatility"] = volatility + 1e-5
    above = worth(state, k, spot)
    state.contracts["volatility"] = volatility - 1e-5
    below = worth(state, k, spot)
    assert table[k, greeks.VEGA] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-5 * scale)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["linear", "inverse"]),
    lots=st.lists(st.integers(-50, 50), min_size=20, max_size=20),
    future=st.floats(0.95, 1.05),
)
def test_the_greeks_of_an_account_are_changes_of_its_hedge(kind: str, lots: list[int], future: float) -> None:
    """Delta is the position of the perpetual with the same change of value, gamma is how that position changes."""
    state, spot = market(kind, future=future, volatility=0.7, step=10, rate=0.03)
    hold(state, 0, {0: 13} | {k + 1: n for k, n in enumerate(lots)})

    def read(price: float) -> tuple[float, ...]:
        state.quotes["mark"][0] = round(price)
        return tuple(greeks.account_greeks(state, 0, 0, price, greeks.empty_table(state)))

    delta, gamma, vega, held, discount = read(spot)
    table = greeks.empty_table(state)
    for k in range(1, 21):
        greeks.lot_greeks(state, k, spot, table)
    sums = np.array(lots) @ table[1:, [greeks.DELTA, greeks.VEGA]]
    assert delta == pytest.approx(sums[0] / float(value_of_lot(state, 0)), abs=1e-9)
    assert vega == pytest.approx(sums[1], rel=1e-12, abs=1e-6)
    assert held == 13 and 0.99 < discount <= 1
    up, down = round(spot * 1.001), round(spot * 0.999)
    change = (read(up)[0] - read(down)[0]) / np.log(up / down)
    assert gamma == pytest.approx(change, rel=0.02, abs=0.02 * (1 + sum(map(abs, lots))))


def test_lots_agree_with_the_maps_of_the_market() -> None:
    """The hedge of a lot is the one by which options are seeded and gains are drawn."""
    from experiments import build, scenario
    from sim.deltas import hedge_lots, live_options

    raw = {
        "extends": "calm",
        "market": {"steps": 400, "burn_in": 0},
        "chains": [{"name": "X", "underlying": "perp", "expiry_days": [1, 3], "strikes": 5, "priced_on": "mark"}],
    }
    market = build.market(scenario.parse(raw, name="t", file="t"), 3)
    market.run_until(300)
    state, options = market.state, live_options(market)
    spot, lot = float(greeks.spot_of(state, 0, True)), float(value_of_lot(state, 0))
    table = greeks.empty_table(state)
    for k in options:
        greeks.lot_greeks(state, k, spot, table)
    assert len(options) == 20
    np.testing.assert_allclose(table[options, greeks.DELTA] / lot, hedge_lots(market, 0, options, 1.0)[:, 0], atol=1e-9)
    ticks = table[options, greeks.VALUE] / state.contracts["tick_value"][options]
    marked = state.quotes["index"][options] / SUBTICKS
    np.testing.assert_allclose(ticks[marked > 0.1], marked[marked > 0.1], atol=0.04)
    market.close()
