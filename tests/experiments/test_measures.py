"""Measures against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import build, scenario
from experiments.measures import Clock, Moment, incidence, leveraged_lots, liquidatable_lots, moment, outcomes
from experiments.scenario import Scenario

COUNTERS = (
    "calls", "calls_met", "call_amount", "liquidations", "bad_debt", "fund_equity", "fund_paid", "socialised",
    "refusals", "initial_requirement", "maintenance_requirement", "equity", "notional", "called_now",
)  # fmt: skip


def table(mark: list[float], value: list[float] | None = None, first: int = 1, **columns: list[float]) -> pd.DataFrame:
    n = len(mark)
    fixed = {
        "step": np.arange(first, first + n), "contract": "one", "mark": mark, "mid": mark, "value": value or mark,
        "bid": np.array(mark) - 0.5, "ask": np.array(mark) + 0.5, "volume": np.arange(n) * 10,
        "open_interest": np.full(n, 100), "liquidated": np.zeros(n, int), "rate_initial": np.full(n, 0.04),
    }  # fmt: skip
    zeros = {name: np.zeros(n, np.int64) for name in COUNTERS}
    return pd.DataFrame(fixed | zeros | {name: np.array(values) for name, values in columns.items()})


CLOCK = Clock(60.0, 1440)


def test_drawdown_is_the_largest_fall_from_an_earlier_high() -> None:
    found = outcomes(table([100.0, 110.0, 99.0, 105.0, 104.0], value=[100.0] * 5), CLOCK, start=1, end=5)
    assert found["drawdown"] == pytest.approx(0.1)
    assert found["drawdown_excess"] == pytest.approx(0.1)
    after = outcomes(table([100.0, 110.0, 99.0, 105.0, 104.0]), CLOCK, start=3, end=5)
    assert after["drawdown"] == pytest.approx(1 / 105)


def test_counters_count_within_the_window() -> None:
    steps = table([100.0] * 5, calls=[1, 2, 4, 7, 11], liquidated=[0, 5, 5, 20, 40], fund_equity=[10, 10, 8, 6, 3])
    whole = outcomes(steps, CLOCK, start=0, end=5)
    assert whole["margin_calls"] == 11  # from nothing, the first step included
    assert whole["liquidated_lots"] == 40
    part = outcomes(steps, CLOCK, start=2, end=4)
    assert part["margin_calls"] == 5
    assert part["liquidated_lots"] == 15
    assert part["fund_change"] == -4
    assert part["volume"] == 20


def test_a_window_may_begin_between_recorded_steps() -> None:
    steps = table([100.0] * 5, calls=[1, 2, 4, 7, 11]).iloc[[1, 3]]  # steps 2 and 4 are recorded
    assert outcomes(steps, CLOCK, start=3, end=5)["margin_calls"] == 5


def test_volatility_of_ten_minute_returns_is_annualised() -> None:
    rng = np.random.default_rng(1)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, 4000)))
    found = outcomes(table(list(price), value=[100.0] * 4000), CLOCK, start=1, end=4000)
    tens = np.diff(np.log(price[9::10]))
    assert found["volatility"] == pytest.approx(np.std(tens, ddof=1) * np.sqrt(365 * 144), rel=1e-9)
    assert found["volatility_excess"] == pytest.approx(found["volatility"])
    assert Clock(300.0, 78).days_per_year == 252


def test_tracking_is_the_correlation_of_daily_returns() -> None:
    rng = np.random.default_rng(2)
    value = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 300)))
    clock = Clock(3600.0, 10)
    assert outcomes(table(list(value)), clock, start=1, end=300)["tracking_correlation"] == pytest.approx(1.0)
    against = outcomes(table(list(1e4 / value), value=list(value)), clock, start=1, end=300)
    assert against["tracking_correlation"] == pytest.approx(-1.0)
    assert np.isnan(outcomes(table([100.0] * 50), clock, start=1, end=50)["tracking_correlation"])


def test_shares_refer_to_the_event() -> None:
    steps = table([100.0] * 3, liquidated=[0, 10, 30], bad_debt=[0, 0, 50])
    accounts = pd.DataFrame()
    event = Moment(1, accounts, np.array([60]), 10_000.0, np.array([20]), np.array([10]), 40.0)
    found = outcomes(steps, CLOCK, start=1, end=3, at_event=event)
    assert found["liquidated_share"] == 0.5
    assert found["liquidated_leveraged_share"] == 0.75
    assert found["bad_debt_bp"] == 50.0
    assert found["r0_event"] == 0.5
    assert outcomes(steps, CLOCK, start=1, end=3)["liquidated_share"] == 0.3  # of the peak


def test_incidence_is_what_changed_since_the_event() -> None:
    def accounts(pnl: list[int], equity: list[int], liquidated: list[int]) -> pd.DataFrame:
        rows = {"population": ["a", "a", "b", "fund"], "deposits": [100] * 4}
        return pd.DataFrame({"account": range(4), **rows, "pnl": pnl, "equity": equity, "liquidated": liquidated})

    before = accounts([5, 0, 0, 0], [105, 100, 100, 100], [1, 0, 0, 0])
    after = accounts([-95, 40, 30, 25], [0, 140, 130, 125], [21, 0, 0, 0])
    found = incidence(after, before, ["a", "b"], 40.0)
    assert found["a"] == {"pnl": -60.0, "liquidated": 20.0, "share": 0.5, "bankrupt": 1.0}
    assert found["b"] == {"pnl": 30.0, "liquidated": 0.0, "share": 0.0, "bankrupt": 0.0}
    assert incidence(after, None, ["a"], 0.0)["a"]["pnl"] == -55.0


@pytest.fixture
def loaded(small: Path) -> Scenario:
    return scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])


@pytest.mark.parametrize("regime", ["static", "portfolio"])
def test_r0_counts_the_longs_that_a_fall_makes_liquidatable(loaded: Scenario, regime: str) -> None:
    market = build.market(loaded, 1, regime)
    market.advance(200)
    state, tick_value = market.state, loaded.contracts[0].tick_value
    expected = 0
    for account in range(100):
        lots = int(state.positions["lots"][account, 0])
        if lots <= 0 or state.accounts["status"][account] == 3:
            continue
        value = lots * int(state.quotes["mark"][0]) * tick_value / 16
        equity, maintenance = market.equity(account), market.maintenance_margin(account)
        if equity >= maintenance and equity - 0.05 * value < 0.95 * maintenance:
            expected += lots
    assert expected > 0
    assert liquidatable_lots(market).tolist() == [expected]
    taken = moment(market)
    assert taken.r0 == pytest.approx(expected / int(market.view.depth_bid[0]))
    assert 0 < leveraged_lots(market) <= 2 * taken.open_interest.sum()
    assert liquidatable_lots(market, 0.0).tolist() == [0]
    market.close()


def test_isolated_pockets_are_counted_position_by_position(small: Path) -> None:
    loaded = scenario.load(small, ["market.steps=210", "margin.params.initial=0.06", "margin.params.maintenance=0.03"])
    market = build.market(loaded, 1, "isolated")
    market.advance(150)
    state, tick_value = market.state, loaded.contracts[0].tick_value
    expected = 0
    for position in state.positions[:100, 0]:
        value = int(position["lots"]) * int(state.quotes["mark"][0]) * tick_value / 16
        equity = position["pocket"] + value - position["cost"]
        if position["lots"] > 0 and equity >= 0.03 * value and equity - 0.05 * value < 0.0285 * value:
            expected += int(position["lots"])
    assert expected > 0
    assert liquidatable_lots(market).tolist() == [expected]
    market.close()
