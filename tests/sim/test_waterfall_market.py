"""Whole markets under waterfalls with a vault and auto-deleveraging: same bytes by every way, every invariant held."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.kernels import state as s
from sim.market import Market
from sim.waterfall import Waterfall
from tests.sim import markets

VAULT = ("vault", "backstop", {"capital_lots": 300.0})
RULE = Waterfall(layers=("vault", "fund", "adl"), ranking="hyperliquid", vault="backstop")


def market(rule: Waterfall = RULE, **how: object) -> Market:
    populations = [*markets.POPULATIONS[:4], VAULT]
    return markets.market(
        populations=populations, waterfall=rule, forced_limit="bankruptcy", fund_initial=0, max_rounds=2, **how
    )


def test_a_vault_takes_over_and_unwinds() -> None:
    run = market()
    for _ in range(markets.STEPS):
        run.step()
        run.check()
    taken = int(run.state.meta[s.M_BACKSTOP_LOTS])
    assert taken > 0
    vault = int(run.state.waterfall[s.W_VAULT])
    assert run.populations[4].first == vault
    assert abs(int(run.state.positions["lots"][vault, 0])) < taken
    fused = market()
    fused.advance(markets.STEPS)
    assert fused.results_hash() == run.results_hash()


@pytest.mark.parametrize("ranking", ["bitmex", "water_filling"])
def test_markets_deleverage_and_fork_into_other_waterfalls(ranking: str) -> None:
    rule = Waterfall(layers=("adl",), ranking=ranking, adl_price="previous_mark")
    run = market(rule)
    run.advance(markets.CRASH)
    arm = run.fork(clearing=replace(run.clearing, waterfall=RULE))
    vault = int(arm.state.waterfall[s.W_VAULT])
    assert (int(run.state.waterfall[s.W_VAULT]), int(run.state.accounts["exempt"][vault])) == (-1, 0)
    assert int(arm.state.accounts["exempt"][vault]) == 1
    for one in (run, arm):
        one.advance(markets.STEPS - markets.CRASH)
        one.check()
    assert int(run.state.meta[s.M_ADL_LOTS]) > 0
    assert int(run.state.meta[s.M_BACKSTOP_LOTS]) == 0 < int(arm.state.meta[s.M_BACKSTOP_LOTS])
