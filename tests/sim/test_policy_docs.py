"""The worked examples of the page on liquidation, computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim import invariants
from sim.kernels import auctions, messages
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim.exchange import FUND, Exchange
from tests.sim.test_hedging import spread

RICH = 10**7
CASH = {"aave": 1170, "compound": 1170, "drift": 1160}
CHANGED: dict[str, dict[str, Any]] = {
    "hyperliquid": {"step_above": 50.0},
    "synthetix": {"flow_lots_per_second": 0.1},
}


def example(name: str) -> tuple[Exchange, int, int]:
    """The account of the page before and after the first action: exchange, equity and maintenance before."""
    rule = replace(POLICIES[name], **CHANGED.get(name, {}))
    limit = {"bankruptcy": s.LIMIT_BANKRUPTCY, "fillable": s.LIMIT_FILLABLE}.get((*rule.limits, "")[0], s.LIMIT_NONE)
    if name == "hedge_first":
        exchange = spread(10, -2, 450, rounds=1)
    else:
        exchange = Exchange(4, policy=rule, limit=limit, fund=1000, rounds=1, dt=10.0)
        exchange.deposit(0, CASH.get(name, 1000))
        for account in (1, 2, 3):
            exchange.deposit(account, RICH)
        exchange.trade(0, 1, 10)
        exchange.rest(2, s.BUY, 20, 93)
        exchange.rest(2, s.SELL, 1, 95)
        exchange.remark()
        if rule.outlet == "liquidators":
            messages.push_bid(exchange.state, 3, 0, s.BUY, 100, 0)
    own, required = exchange.equity(0), int(exchange.evaluate(exchange.state, 0, -1, s.MAINTENANCE))
    exchange.clear()
    invariants.check(exchange.state)
    return exchange, own, required


def row(name: str) -> str:
    """The line of the table."""
    exchange, own, required = example(name)
    fills = [
        f
        for f in exchange.state.fills[: exchange.meta(s.M_FILLS)]
        if f["cause"] in (s.CAUSE_LIQUIDATION, s.CAUSE_HEDGE)
    ]
    taken = exchange.events(s.EV_BID_TAKEN)
    if fills:
        where = f"{sum(int(f['quantity']) for f in fills)} to the book at {fills[-1]['price']}"
    elif taken:
        where = f"{int(taken[0]['a'])} to a liquidator at {taken[0]['b'] / 16:g}"
    elif exchange.lots(exchange.special(FUND)):
        where = f"{exchange.lots(exchange.special(FUND))} to the fund"
    elif name == "maker_clip":
        where = f"auction of {exchange.lots(0)} opens at {auctions.clip_price(exchange.state, 0, 1) / 16:.1f}"
    else:
        value = exchange.state.auctions[0]["price"]
        where = f"auction of all, worth {value}, opens at {round(value * POLICIES[name].auction_start)}"
    held = " and ".join(str(exchange.lots(0, c)) for c in range(len(exchange.state.quotes)) if exchange.lots(0, c))
    return f"| `{name}` | {own} of {required} | {where} | {held or 'none'} | {exchange.equity(0)} |"


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_worked_example_of(name: str, project_root: Path) -> None:
    assert row(name) in (project_root / "docs" / "liquidation.md").read_text(encoding="utf-8")
