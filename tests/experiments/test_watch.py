from __future__ import annotations

import numpy as np
import pytest

from experiments import build, scenario
from experiments.studies.watch import Watch, cash, drawdown, half_recovery, worth_at_mid
from sim.kernels import state as s

LEVERED = ["margin.params.initial=0.02", "margin.params.maintenance=0.01"]


def test_drawdown_is_from_the_high_before() -> None:
    falls, rows = drawdown(np.array([[90.0, 5.0], [100.0, 5.0], [80.0, 6.0], [120.0, 3.0], [110.0, 4.0]]))
    assert falls == pytest.approx([0.2, 0.5])
    assert list(rows) == [2, 3]


@pytest.mark.parametrize(
    ("prices", "window", "horizon", "expected"),
    [
        ([100, 90, 94, 95, 99], 1, 3, (2, False)),
        ([100, 90, 94, 94.9, 94], 1, 3, (3, True)),  # not halved: the whole horizon
        ([100, 90, 80, 91], 1, 1, (1, True)),  # the low is looked for in the window only
        ([100, 110, 120, 130], 2, 1, (0, False)),  # nothing fell
        ([100, 120, 100, 110, 130], 2, 2, (1, False)),  # half of the fall from the high, not from the start
        ([50, 100, 60, 70, 80], 2, 2, (2, False)),
    ],
)
def test_half_recovery(prices: list[float], window: int, horizon: int, expected: tuple[int, bool]) -> None:
    assert half_recovery(np.array(prices, float), window, horizon) == expected


def test_profits_at_the_mid_make_zero(small) -> None:
    market = build.market(scenario.load(small, LEVERED), 3)
    market.advance(260)
    worth = worth_at_mid(market)
    assert abs(worth.sum()) < 1e-3
    assert np.abs(worth).sum() > 0
    mid = int(market.state.quotes["mid"][0])
    lots = market.state.positions["lots"][:, 0]
    by_hand = [int(cash(market)[a, 0]) + int(lots[a]) * mid * 2 / 16 for a in range(len(worth))]
    assert worth == pytest.approx(by_hand)


def _forced_events(market, first: int) -> np.ndarray:
    events = market.state.events[first : int(market.state.meta[s.M_EVENTS])]
    return events[events["kind"] == s.EV_LIQUIDATION]


def test_cost_is_what_the_fills_and_fees_say(small) -> None:
    """One contract, book only, mark mid: cost per account is slippage of its forced fills plus its fees."""
    market = build.market(scenario.load(small, [*LEVERED, "record.trades=true"]), 1)
    market.advance(199)
    watch = Watch(market)
    debt_before = int(market.state.meta[s.M_BAD_DEBT])
    first = int(market.state.meta[s.M_FILLS])
    deals, fees = 0.0, 0.0
    price: dict[int, float] = {}
    open_before: set[int] = set()
    lots_forced = 0
    while market.tick < 260:
        mids: list[float] = []
        before = market.state.accounts["fees"].copy()
        market.step_watched(
            lambda m, mids=mids: (watch._before_clearing(m), mids.append(float(m.state.quotes["mid"][0])))[0]
        )
        watch._after_step()
        fills = market.state.fills[first : int(market.state.meta[s.M_FILLS])]
        first = int(market.state.meta[s.M_FILLS])
        forced = fills[fills["cause"] == s.CAUSE_LIQUIDATION]
        for account in set(forced["taker"].tolist()):
            if account not in open_before:
                price[account] = mids[0]
            fees += float(market.state.accounts["fees"][account] - before[account])
        for fill in forced:
            away = price[int(fill["taker"])] - 16.0 * fill["price"]
            deals += -fill["side"] * away * fill["quantity"] * 2 / 16
            lots_forced += int(fill["quantity"])
        open_before = set(np.flatnonzero(market.state.accounts["status"] == s.LIQUIDATING).tolist())
    watch.close()
    assert lots_forced == watch.liquidated[-1] > 0
    covered = float(market.state.meta[s.M_BAD_DEBT] - debt_before)
    assert watch.cost == pytest.approx(deals + fees - covered, abs=1e-6)
    assert 0 < watch.cost_rate() < 0.1


def test_watching_changes_nothing(small) -> None:
    loaded = scenario.load(small, LEVERED)
    plain, watched = build.market(loaded, 2), build.market(loaded, 2)
    plain.advance(300)
    watch = Watch(watched)
    watch.run(300, 300, check=True)
    assert plain.results_hash() == watched.results_hash()
    assert len(watch.mid) == 301
    assert len(watch.mark) == 301
    assert watch.liquidated[-1] == int(watched.state.quotes["liquidated"].sum())


def test_nothing_forced_has_no_cost(small) -> None:
    watch = Watch(build.market(scenario.load(small), 0))
    watch.run(20, 20)
    watch.close()
    assert watch.cost == 0.0
    assert np.isnan(watch.cost_rate())
