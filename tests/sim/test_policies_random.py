"""Every policy under every limit: random accounts, books and crashes; nothing is lost, nothing is sold twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.contracts import Contract
from sim.kernels import clearing, messages
from sim.kernels import state as s
from sim.kernels.marks import set_marks
from sim.liquidation import POLICIES
from sim.waterfall import Waterfall
from tests.sim.exchange import STREAMS, Exchange, contract

TRADERS, BIDDERS = 8, (6, 7)
CASES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(sorted(POLICIES)),
        "limit": st.sampled_from([s.LIMIT_NONE, s.LIMIT_BANKRUPTCY, s.LIMIT_BAND, s.LIMIT_FILLABLE]),
        "surplus": st.booleans(),
        "fund": st.sampled_from([0, 500, 50_000]),
        "dt": st.sampled_from([1.0, 20.0, 60.0]),
        "rounds": st.sampled_from([2, 50]),
        "layers": st.sampled_from([("fund", "socialise"), ("fund", "adl"), ("fund", "adl", "socialise")]),
        "mark": st.sampled_from([s.MARK_MID, s.MARK_LAST]),
        "grace": st.sampled_from([0, 0, 1]),
    }
)


def terms(kind: str, count: int) -> list[Contract]:
    fees = [{"fee_liquidation": 0.01, "fee_taker": 0.001}, {"fee_liquidation": 0.0}][:count]
    if kind == "inverse":
        coin = {"kind": "inverse_perpetual", "currency": "BTC", "tick_value": 10**5, "underlying": "BTC"}
        return [contract("ab"[c], **coin, **fees[c]) for c in range(count)]
    return [contract("ab"[c], tick_value=(10, 7)[c], underlying="x", **fees[c]) for c in range(count)]


def exchange_of(case: dict[str, Any], regime: str, kind: str, count: int, rng: np.random.Generator) -> Exchange:
    rule = replace(POLICIES[case["name"]], limits=(), step_above=float(rng.choice([0.0, 100.0])))
    how = {key: value for key, value in case.items() if key not in ("name", "layers")}
    exchange = Exchange(
        TRADERS, regime=regime, contracts=terms(kind, count), policy=rule,
        waterfall=Waterfall(layers=case["layers"]), **how,
    )  # fmt: skip
    for account in range(TRADERS):
        exchange.deposit(account, int(rng.integers(1_000, 30_000)))
        exchange.state.accounts["outside"][account] = int(rng.integers(0, 3_000))
    return exchange


def disturb(exchange: Exchange, rng: np.random.Generator) -> None:
    """Orders, trades, standing offers, then a jump of the marks."""
    state, contracts = exchange.state, len(exchange.state.quotes)
    alive = [a for a in range(TRADERS) if exchange.status(a) in (s.OPEN, s.CALLED)]
    for _ in range(12):
        if len(alive) > 1:
            account, c, side = int(rng.choice(alive)), int(rng.integers(contracts)), int(rng.choice([s.BUY, s.SELL]))
            exchange.rest(account, side, int(rng.integers(1, 15)), int(rng.integers(40, 160)), c)
    for _ in range(4):
        if len(alive) > 1:
            buyer, seller = (int(a) for a in rng.choice(alive, 2, replace=False))
            exchange.trade(
                buyer, seller, int(rng.integers(1, 40)), int(rng.integers(70, 130)), int(rng.integers(contracts))
            )
    for bidder in BIDDERS:
        if bidder in alive:
            for c in range(contracts):
                for side in (s.BUY, s.SELL):
                    messages.push_bid(state, bidder, c, side, 5, int(rng.integers(0, s.RATE_ONE // 5)))
    for c in range(contracts):
        state.quotes["mark"][c] = int(rng.integers(50 * s.SUBTICKS, 150 * s.SUBTICKS))


def clear(exchange: Exchange, hedged: bool) -> None:
    """Clear round by round, and look after each at what the accounts that were in liquidation before it hold."""
    state, evaluate = exchange.state, exchange.evaluate
    clearing.begin_clearing(state, evaluate)
    rounds, moved = 0, 1
    resort = [False] * int(state.meta[s.M_ROUNDS_MAX]) + [True] * bool(clearing.has_last_resort(state))
    for last in resort:
        if moved == 0 and not last:
            continue
        before = state.positions["lots"].copy()
        resting = (state.positions["open_buy"] + state.positions["open_sell"]).copy()
        failing = [a for a in range(TRADERS) if exchange.status(a) == s.LIQUIDATING and a not in BIDDERS]
        state.meta[s.M_ROUND] = rounds
        moved = int(clearing.clear_round(state, evaluate, STREAMS[1], last))
        set_marks(state)
        rounds += 1
        invariants.check(state)
        for account in failing:
            for c, (was, now) in enumerate(zip(before[account], state.positions["lots"][account], strict=True)):
                if not hedged and resting[account, c] == 0:  # orders of a sound isolated position may trade
                    assert abs(now) <= abs(was)
                    assert now * was >= 0
        assert moved >= 0
    clearing.end_clearing(state, evaluate)


@pytest.mark.parametrize(
    ("regime", "kind", "contracts"),
    [("static", "linear", 1), ("static", "linear", 2), ("isolated", "linear", 2), ("portfolio", "linear", 2),
     ("static", "inverse", 2), ("isolated", "inverse", 1)],
)  # fmt: skip
@given(case=CASES, seed=st.integers(0, 10**6))
def test_no_policy_loses_or_makes_anything(
    regime: str, kind: str, contracts: int, case: dict[str, Any], seed: int
) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    exchange = exchange_of(case, regime, kind, contracts, rng)
    for _ in range(4):
        disturb(exchange, rng)
        clear(exchange, POLICIES[case["name"]].hedge_first)
        invariants.check(exchange.state)
        for event in exchange.events(s.EV_LIQUIDATION):
            assert 0 <= event["b"] <= abs(event["a"])
        for account in range(TRADERS):
            if exchange.status(account) == s.OPEN:
                row = exchange.state.accounts[account]
                assert (row["wait_until"], row["rounds"]) == (0, 0)
        exchange.next_step()


@given(
    cash=st.integers(620, 1180), lots=st.integers(10, 400), long=st.booleans(), target=st.floats(1.0, 3.0),
    fee=st.sampled_from([0.0, 1 / 64]), kind=st.sampled_from(["linear", "inverse"]),
)  # fmt: skip
def test_the_target_ratio_is_reached_when_the_book_allows(
    cash: int, lots: int, long: bool, target: float, fee: float, kind: str
) -> None:
    """The book takes everything at the mark, which is the last price and stays where it is."""
    mark = 94 if long else 106
    size = {"linear": {}, "inverse": {"kind": "inverse_perpetual", "currency": "BTC", "tick_value": 10**5}}[kind]
    exchange = Exchange(
        4, mark=s.MARK_LAST, policy=replace(POLICIES["partial"], target_ratio=target),
        contracts=[contract("a", **{"tick_value": 10, "fee_liquidation": fee} | size)],
    )  # fmt: skip
    exchange.deposit(0, cash * lots // 10)  # about a tenth of the value at 100
    for account in (1, 2, 3):
        exchange.deposit(account, 10**9)
    exchange.trade(*((0, 1) if long else (1, 0)), lots)
    exchange.rest(2, s.BUY if long else s.SELL, 10_000, mark)
    exchange.state.quotes["last"][0] = mark
    exchange.state.quotes["mark"][0] = mark * s.SUBTICKS
    if not clearing.in_breach(exchange.state, 0, -1, exchange.evaluate):
        return
    exchange.clear()
    invariants.check(exchange.state)
    required = int(exchange.evaluate(exchange.state, 0, -1, s.MAINTENANCE))
    assert exchange.lots(0) == 0 or exchange.equity(0) >= target * required - 4 - target
