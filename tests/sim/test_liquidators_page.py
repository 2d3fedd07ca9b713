"""The worked examples of ``docs/liquidators.md``, recomputed by the exchange."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sim.kernels import auctions, bids, messages, share_auctions
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim.exchange import FUND, Exchange

PAGE = Path(__file__).resolve().parents[2] / "docs" / "liquidators.md"
RICH = 10**6
ONE = s.RATE_ONE


def table(title: str) -> list[list[float]]:
    """Numbers of the first table under a heading, row by row."""
    section = PAGE.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if re.match(r"\|\s*[-\d]", line)]
    rows = [row for row in rows if not set("".join(row)) <= set("- ")]
    assert rows
    return [[float(cell.replace(",", "").replace("%", "")) for cell in row] for row in rows]


def example(mark: float, policy: str, **changes: object) -> Exchange:
    """Account 0 long 10 lots at 100 with 1000 in cash; accounts 2 and 3 are liquidators."""
    exchange = Exchange(4, policy=replace(POLICIES[policy], **changes), fund=10_000)
    exchange.deposit(0, 1000)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    exchange.trade(0, 1, 10)
    exchange.set_mark(mark)
    return exchange


def test_the_bonus() -> None:
    for mark, equity, maintenance, bonus, price, net in table("The discount of the venue"):
        exchange = example(mark, "aave", size="full", bonus=0.02, bonus_slope=0.1, bonus_most=0.1, protocol_share=0.1)
        assert exchange.equity(0) == equity
        assert exchange.evaluate(exchange.state, 0, -1, s.MAINTENANCE) == maintenance
        assert bids.bonus_of(exchange.state, 0, -1, exchange.evaluate) / ONE * 100 == pytest.approx(bonus, abs=0.005)
        messages.push_bid(exchange.state, 2, 0, s.BUY, 10, 0)
        exchange.clear()
        assert int(exchange.events(s.EV_BID_TAKEN)[0]["c"]) == price
        assert exchange.state.positions["cost"][2, 0] == net


def test_the_falling_price() -> None:
    exchange = example(94, "maker_clip")
    exchange.clear()
    for minute, long, short in table("A price that falls (`clip`)"):
        exchange.state.meta[s.M_STEP] = 1 + int(minute)
        assert auctions.clip_price(exchange.state, 0, 1) / 16 == pytest.approx(long, abs=0.07)
        assert auctions.clip_price(exchange.state, 0, -1) / 16 == pytest.approx(short, abs=0.07)


def test_the_share() -> None:
    exchange = example(94, "derive_auction")
    exchange.clear()
    for minute, factor, cash, gain, most in table("A share of the account (`share`)"):
        exchange.state.meta[s.M_STEP] = 1 + int(minute)
        assert share_auctions.discount_factor(exchange.state, int(minute)) / ONE == pytest.approx(factor, abs=5e-4)
        offered = share_auctions.terms(exchange.state, 0, -1, 0, exchange.evaluate)
        assert (int(offered[0]), int(offered[1])) == (gain, cash)
        assert offered[2] / ONE == pytest.approx(most, abs=5e-4)


def test_the_insolvent_leg() -> None:
    for minute, payment in table("An insolvent account"):
        exchange = example(85, "derive_auction")
        exchange.clear()
        exchange.state.meta[s.M_STEP] += int(minute) - 1
        exchange.next_step()
        exchange.set_mark(85)
        messages.push_bid(exchange.state, 2, 0, s.BUY, 10, 0)
        exchange.clear()
        assert exchange.wallet(exchange.special(FUND)) == 10_000 - payment
        assert exchange.equity(2) == RICH - 500 + payment
