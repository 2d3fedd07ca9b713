"""The worked example of docs/studies/policies.md, recomputed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.studies.watch import Watch
from sim.kernels import state as s


class ByHand:
    """As much of a market as a watch looks at: one trader, one linear contract, one currency."""

    def __init__(self) -> None:
        self.tick = 0
        self.contracts = ("perp",)
        self.contract_table = SimpleNamespace(inverse=[False], currency=[0])
        meta = np.zeros(s.META_SIZE, np.int64)
        meta[s.M_TRADERS] = 1
        quotes = np.zeros(1, [("mid", "i8"), ("mark", "i8"), ("liquidated", "i8")])
        quotes["mid"] = quotes["mark"] = 5000 * 16
        positions = np.zeros((1, 1), [("lots", "i8"), ("liquidated", "i8")])
        positions["lots"] = 100
        self.state = SimpleNamespace(
            meta=meta,
            quotes=quotes,
            positions=positions,
            accounts=np.zeros(1, [("status", "i8")]),
            booked=np.array([[30_000 - 100 * 5100 * 2]]),
            deposits=np.array([[0]]),
            conversion=np.array([s.RATE_ONE]),
            contracts=np.array([(2,)], [("tick_value", "i8")]),
        )

    def step_watched(self, before_clearing) -> None:
        before_clearing(self)
        self.tick += 1
        value = 60 * 4990 * 2
        self.state.booked += value - value * 5 // 1000
        self.state.positions["lots"] -= 60
        self.state.positions["liquidated"] += 60
        self.state.quotes["liquidated"] += 60
        self.state.quotes["mid"] = 4900 * 16  # what happens to the price afterwards is no cost


def test_cost_of_the_example() -> None:
    market = ByHand()
    watch = Watch(market)
    watch.run(1, 1)
    watch.close()
    assert watch.cost == 4194
    assert watch.forced_value == 600_000
    page = Path(__file__).resolve().parents[2] / "docs" / "studies" / "policies.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"The cost is {watch.cost:,.0f} cents" in text
    assert f"{100 * watch.cost_rate():.2f} % of the {watch.forced_value:,.0f} cents" in text


def test_a_liquidation_that_carries_over_is_valued_at_its_first_mid() -> None:
    market = ByHand()
    watch = Watch(market)
    market.state.accounts["status"] = s.LIQUIDATING
    watch.run(1, 2)
    assert watch.cost == 0  # not over
    market.state.positions["lots"] = 60  # so that 60 are left to be sold, 100 ticks lower than at first
    market.state.booked -= 20 * 5000 * 2  # what the 20 lots that were added cost, at the first mid
    market.state.accounts["status"] = s.OPEN
    watch.run(2, 2)
    assert watch.forced_value == 1_200_000
    assert watch.cost == pytest.approx(2 * 4194)
