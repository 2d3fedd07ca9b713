"""Liquidators: capital, latency, costs, stop-loss, and three ways of getting rid of what they took over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
from agents.kernels import liquidators as kernels
from sim.errors import ConfigError
from sim.kernels import ledger
from sim.kernels import state as s
from tests.agents import rig


def made(**params: Any) -> tuple[s.State, agents.columns.Population]:
    state, (population,) = rig.market([("liquidators", {"period": 1} | params)])
    return state, population


def offers(state: s.State) -> np.ndarray:
    return np.asarray(state.bids)[: int(state.meta[s.M_BIDS])]


def lot_value(state: s.State) -> int:
    return rig.PRICE * int(state.contracts["tick_value"][0])


def test_offers_without_costs_are_as_before() -> None:
    state, population = made(count=3)
    rig.decide(state, population)
    rows = offers(state)
    assert len(rows) == 6
    for name in ("fee", "gas", "latency", "share", "least", "revert"):
        assert (rows[name] == 0).all()


def test_costs_are_stated_in_lots_and_offered_in_money() -> None:
    state, population = made(
        count=1, gas_lots=0.02, revert_share=0.25, fee_share=0.5, fee_most_lots=0.1, least_profit_lots=0.01
    )
    rig.decide(state, population)
    row, value = offers(state)[0], lot_value(state)
    assert (row["gas"], row["revert"], row["fee"], row["least"]) == (
        int(0.02 * value), int(0.005 * value), int(0.1 * value), int(0.01 * value),
    )  # fmt: skip
    assert row["share"] == s.RATE_ONE // 2


def test_latencies_are_drawn_evenly_and_stay() -> None:
    state, population = made(count=4000, latency_steps=2, latency_most=5)
    drawn = population.column(state, "latency")
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5]
    assert (abs(counts - 1000) < 120).all()
    rig.decide(state, population)
    np.testing.assert_array_equal(offers(state)["latency"][::2], drawn)
    assert (made(count=5, latency_steps=3)[1].column(made(count=5, latency_steps=3)[0], "latency") == 3).all()


def test_the_stop_loss_ends_all_offers_for_good() -> None:
    state, population = made(count=2, stop_loss=0.2)
    capital = int(state.wallets[0, 0])
    rig.decide(state, population)
    assert len(offers(state)) == 4
    ledger.deposit_in(state, 0, 0, capital)  # a peak of twice the capital
    rig.decide(state, population)
    ledger.deposit_in(state, 0, 0, -capital // 2)  # a quarter below it
    rig.decide(state, population)
    assert set(offers(state)["account"].tolist()) == {1}
    ledger.deposit_in(state, 0, 0, capital)
    rig.decide(state, population)
    assert set(offers(state)["account"].tolist()) == {1}
    assert population.column(state, "stopped").tolist() == [1, 0]


@pytest.mark.parametrize("lots", [12, -12])
def test_three_ways_to_unwind(lots: int) -> None:
    side = -1 if lots > 0 else 1
    for way in ("book", "hold", "patient"):
        state, population = made(count=1, period=3, unwind=way, unwind_lots=5, patience=0.01)
        state.positions["lots"][0, 0], state.positions["cost"][0, 0] = lots, lots * lot_value(state)
        sent = [m for step in range(1, 4) for m in rig.decide(state, population, step)]
        if way == "hold":
            assert sent == []
            continue
        ((_, _, kind, sent_side, tif, flags, price, quantity, expiry, _, cause, _),) = sent
        assert (kind, sent_side, flags, quantity, cause) == (s.NEW, side, s.REDUCE_ONLY, 5, s.CAUSE_LIQUIDATOR)
        woken = next(step for step in range(1, 4) if rig.decide(state, population, step))
        if way == "book":
            assert (tif, expiry) == (s.IOC, 0)
            assert side * (price - rig.PRICE) > 0  # accepts a price beyond the mark
        else:
            assert (tif, expiry) == (s.GTC, woken + 3)  # gone when its successor comes
            assert side * (price - rig.PRICE) == -rig.PRICE // 100  # asks for a better one than the mark


def test_capital_and_inventory_bound_offers() -> None:
    state, population = made(count=1, capital_lots=20.0, leverage=2.0, inventory_lots=30, bid_lots=100)
    rig.decide(state, population)
    assert offers(state)["lots"].tolist() == [30, 30]
    state.positions["lots"][0, 0], state.positions["cost"][0, 0] = 25, 25 * lot_value(state)
    rig.decide(state, population)
    assert offers(state)["lots"].tolist() == [5, 55]
    ledger.deposit_in(state, 0, 0, -int(state.wallets[0, 0]))
    rig.decide(state, population)
    assert offers(state)["lots"].tolist() == [25]  # only what would bring it back


@pytest.mark.parametrize(
    "params", [{"latency_steps": 4, "latency_most": 3}, {"unwind": "dump"}, {"stop_loss": 0.0}, {"gas_lots": -1.0}]
)
def test_parameters_are_checked(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        agents.create("liquidators", "x", params, rig.market_info())
    assert len(caught.value.problems) == 1


def test_names_of_parameters_and_constants_agree() -> None:
    for name, place in (("gas", kernels.GAS), ("stop_loss", kernels.STOP_LOSS), ("patience", kernels.PATIENCE)):
        assert kernels.PARAMS[place] == name
