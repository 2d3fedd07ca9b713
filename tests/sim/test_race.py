"""Liquidators race at the policy's discount: who joins, who comes first, who pays. By examples worked by hand.

Account 0 is long 10 lots at 100 with 1000 in cash; at a mark of 94 it has 400 against a maintenance of 588. One lot is
worth 940, and a bonus of 1/16 is 58.75 a lot: it is sold for 881.25.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim import invariants
from sim.kernels import bids, messages
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim.exchange import FEES, FUND, Exchange, contract

RICH = 10**6
ONE = s.RATE_ONE
SIXTEENTH = ONE // 16
POLICY = replace(POLICIES["full"], outlet="liquidators", bonus=1 / 16)


def default(extra: int = 2, *, mark: float = 94, policy: Any = POLICY, **how: Any) -> Exchange:
    """Account 0 in breach, account 1 its counterparty; accounts 2 and on are liquidators."""
    exchange = Exchange(2 + extra, policy=policy, **how)
    exchange.deposit(0, 1000)
    for account in range(1, 2 + extra):
        exchange.deposit(account, RICH)
    exchange.trade(0, 1, 10)
    exchange.set_mark(mark)
    return exchange


def offer(exchange: Exchange, account: int, lots: int = 10, discount: int = 0, side: int = s.BUY, **costs: int) -> None:
    messages.push_bid(exchange.state, account, 0, side, lots, discount, **costs)


def fees(exchange: Exchange) -> int:
    return exchange.wallet(exchange.special(FEES))


def test_the_position_goes_at_the_policys_discount_whatever_is_asked() -> None:
    exchange = default()
    offer(exchange, 2, discount=SIXTEENTH // 4)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(2)) == (0, 10)
    # 94 - 94 / 16 = 88.125 -> 8812.5, rounded down
    assert exchange.state.positions["cost"][2, 0] == 8812
    assert exchange.wallet(0) == 1000 + 8812 - 10_000 + 188  # bankrupt by 188, which is shared
    invariants.check(exchange.state)


def test_nobody_else_buys() -> None:
    """Without liquidators the account keeps its position, though the book would take it."""
    exchange = default()
    exchange.rest(2, s.BUY, 20, 94)
    exchange.rest(3, s.SELL, 1, 95)
    exchange.set_mark(94)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (10, s.LIQUIDATING)


def test_a_short_is_taken_over_above_the_mark() -> None:
    exchange = default(mark=100)
    exchange.deposit(1, 1000 - RICH)
    exchange.set_mark(106)
    offer(exchange, 2, side=s.SELL)
    exchange.clear()
    # account 1 is short 10: 106 + 106 / 16 = 112.625 -> 11262.5, rounded down
    assert (exchange.lots(1), exchange.lots(2)) == (0, -10)
    assert exchange.state.positions["cost"][2, 0] == -11_262
    invariants.check(exchange.state)


@pytest.mark.parametrize(
    ("discount", "joins"), [(SIXTEENTH, True), (SIXTEENTH + 1, False), (0, True)], ids=["equal", "above", "none"]
)
def test_who_asks_for_more_than_the_bonus_stays_away(discount: int, joins: bool) -> None:
    exchange = default()
    offer(exchange, 2, discount=discount)
    exchange.clear()
    assert exchange.lots(2) == (10 if joins else 0)


@pytest.mark.parametrize(
    ("costs", "joins"),
    [
        ({"gas": 587}, True),  # 9400 / 16 = 587.5
        ({"gas": 588}, False),
        ({"gas": 500, "fee": 87}, True),
        ({"gas": 500, "fee": 88}, False),
        ({"gas": 500, "least": 87}, True),
        ({"gas": 500, "least": 88}, False),
        ({"gas": 187, "share": ONE // 2, "fee": 1000, "least": 200}, True),
        ({"gas": 187, "share": ONE // 2, "fee": 1000, "least": 201}, False),
    ],
)
def test_a_liquidator_joins_iff_its_costs_leave_a_profit(costs: dict[str, int], joins: bool) -> None:
    exchange = default()
    offer(exchange, 2, **costs)
    exchange.clear()
    assert exchange.lots(2) == (10 if joins else 0)
    paid = 0
    if joins:
        paid = costs["gas"] + (200 if "share" in costs else costs.get("fee", 0))
    assert (fees(exchange), int(exchange.state.accounts["fees"][2])) == (paid, paid)
    invariants.check(exchange.state)


def test_the_fee_is_a_share_of_the_profit_up_to_a_cap() -> None:
    for cap, paid in ((1000, 145), (100, 100)):
        exchange = default()
        offer(exchange, 2, gas=7, share=ONE // 4, fee=cap)  # (587 - 7) / 4
        exchange.clear()
        assert fees(exchange) == 7 + paid


def test_the_higher_fee_comes_first_and_losers_pay_for_the_attempt() -> None:
    exchange = default(3)
    offer(exchange, 2, fee=3, gas=20, revert=10)
    offer(exchange, 3, fee=5, gas=20, revert=10)
    offer(exchange, 4, fee=4, gas=20, revert=11)
    exchange.clear()
    assert [exchange.lots(a) for a in (2, 3, 4)] == [0, 10, 0]
    assert fees(exchange) == 25 + 10 + 11
    assert exchange.wallet(2) == RICH - 10
    invariants.check(exchange.state)


def test_what_the_first_leaves_is_for_the_next() -> None:
    exchange = default(3)
    offer(exchange, 2, lots=4, fee=3)
    offer(exchange, 3, lots=5, fee=9)
    offer(exchange, 4, lots=6, fee=1)
    exchange.clear()
    assert [exchange.lots(a) for a in (2, 3, 4)] == [4, 5, 1]
    assert [int(e["reason"]) for e in exchange.events(s.EV_BID_TAKEN)] == [3, 2, 4]


def test_a_remainder_that_does_not_pay_is_left_and_its_race_is_lost() -> None:
    """One lot brings 58: not worth a gas of 60, though ten were."""
    exchange = default(2)
    offer(exchange, 2, lots=9, fee=3)
    offer(exchange, 3, lots=10, fee=1, gas=60, revert=30)
    exchange.clear()
    assert (exchange.lots(2), exchange.lots(3), exchange.lots(0)) == (9, 0, 1)
    assert fees(exchange) == 3 + 30
    invariants.check(exchange.state)


def test_ties_are_drawn_by_account_and_liquidator() -> None:
    """The winner does not depend on the place in the buffer; over seeds everybody wins now and then."""
    winners = []
    for seed in range(30):
        for order in ((2, 3, 4), (4, 2, 3)):
            exchange = default(3)
            exchange.state.meta[s.M_SEED] = seed
            for account in order:
                offer(exchange, account)
            exchange.clear()
            winners.append([a for a in (2, 3, 4) if exchange.lots(a)])
    assert winners[::2] == winners[1::2]
    assert {w[0] for w in winners} == {2, 3, 4}


def test_latency_lets_the_fast_go_first_and_the_slow_come_later() -> None:
    exchange = default(2)
    offer(exchange, 2, lots=4)
    offer(exchange, 3, latency=2, fee=50)
    exchange.clear()
    assert (exchange.lots(2), exchange.lots(3), exchange.lots(0)) == (4, 0, 6)
    for step in range(2):
        exchange.next_step()
        exchange.set_mark(94)
        offer(exchange, 3, latency=2)
        exchange.clear()
        assert exchange.lots(3) == (0 if step == 0 else 6)
    invariants.check(exchange.state)


def test_a_liquidator_takes_what_it_can_carry_after_its_costs() -> None:
    """A lot at 881 asks for 111: 300 carry 2; 210 would carry 1, which does not earn a gas of 90."""
    for gas, lots in ((0, 2), (90, 0), (50, 2), (100, 0)):
        exchange = default(1, rounds=1)
        exchange.deposit(2, 300 - RICH)
        offer(exchange, 2, gas=gas)
        exchange.clear()
        assert exchange.lots(2) == lots
        invariants.check(exchange.state)


def test_the_protocols_share_of_the_bonus_goes_to_the_fund() -> None:
    """The account gets 88.125 a tick and lot, the liquidator pays 94 - 3/4 x 5.875, in sub-ticks 89 5/8: 8962."""
    exchange = default(1, policy=replace(POLICY, protocol_share=0.25), fund=1000)
    offer(exchange, 2)
    exchange.clear()
    assert exchange.state.positions["cost"][2, 0] == 8962
    assert exchange.wallet(exchange.special(FUND)) == 1000 + 8962 - 8812 - 188
    invariants.check(exchange.state)


def test_the_bonus_grows_as_health_falls() -> None:
    """Mark 94: equity 400 / 588 = .680; bonus .01 + .1 x .320; mark 90: equity 0; mark 80: capped."""
    policy = replace(POLICY, bonus=0.01, bonus_slope=0.1, bonus_most=0.15)
    expected = {94: 0.01 + 0.1 * (1 - 400 / 588), 96.5: 0.01, 90: 0.11, 80: 0.15}
    for mark, bonus in expected.items():
        exchange = default(1, mark=mark, policy=policy)
        got = bids.bonus_of(exchange.state, 0, -1, exchange.evaluate) / ONE
        assert got == pytest.approx(bonus, abs=1e-9)


def test_isolated_liquidators_pay_out_of_their_wallets() -> None:
    exchange = default(2, regime="isolated", mark=92)
    for account in (2, 3):
        exchange.deposit(account, 2000 - RICH)
        offer(exchange, account, gas=40, fee=9, revert=21)
    exchange.clear()
    invariants.check(exchange.state)
    assert sorted((exchange.lots(2), exchange.lots(3)))[1] > 0
    assert fees(exchange) > 49


def test_costs_matter_where_bids_compete_by_discount_too() -> None:
    """Outlet bids_then_book: an offer that does not earn its gas is passed over; a slow one waits."""
    exchange = default(3, policy=POLICIES["full"])
    exchange.rest(1, s.BUY, 20, 93)
    offer(exchange, 2, lots=3, discount=ONE // 100, gas=29)  # 3 lots at 1 %: 28.2
    offer(exchange, 3, lots=4, discount=ONE // 100, gas=20, fee=5)
    offer(exchange, 4, lots=4, discount=0, latency=1)
    exchange.set_mark(94)
    exchange.clear()
    assert [exchange.lots(a) for a in (2, 3, 4)] == [0, 4, 0]
    assert fees(exchange) == 25
    invariants.check(exchange.state)


def slow_race(offers: list[dict[str, int]], lots: int, value: int, gain: int, keys: list[int]) -> list[int]:
    """The race in plain Python for offers of rich liquidators: lots taken by each."""

    def left(o: dict[str, int], part: int) -> int:
        return (part * value * (gain - o["discount"]) >> 32) - o["gas"]

    racing = []
    for i, o in enumerate(offers):
        part = min(o["lots"], lots)
        profit = left(o, part)
        fee = min(o["fee"], max(profit, 0) * o["share"] >> 32) if o["share"] else o["fee"]
        if o["discount"] <= gain and profit - fee >= o["least"]:
            racing.append((-fee, keys[i], i))
    taken = [0] * len(offers)
    for fee, _, i in sorted(racing):
        part = min(offers[i]["lots"], lots)
        if part > 0 and left(offers[i], part) + fee >= offers[i]["least"]:
            taken[i], lots = part, lots - part
    return taken


@pytest.mark.parametrize("seed", range(40))
def test_the_race_against_plain_python(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    exchange = default(5)
    exchange.state.meta[s.M_SEED] = seed
    offers = [
        {"lots": int(rng.integers(1, 8)), "discount": int(rng.integers(0, ONE // 14)),
         "fee": int(rng.integers(0, 40)), "gas": int(rng.integers(0, 60)), "least": int(rng.integers(0, 30)),
         "share": int(rng.choice([0, ONE // 3])), "revert": int(rng.integers(0, 20))}
        for _ in range(5)
    ]  # fmt: skip
    keys = [int(bids.race_key(exchange.state, 0, 2 + i)) for i in range(5)]
    for i, given in enumerate(offers):
        offer(exchange, 2 + i, **given)
    gain = int(exchange.state.policy[s.LP_BONUS])
    expected = slow_race(offers, 10, 940, gain, keys)
    exchange.state.accounts["last_liquidation"][0] = 1
    mark = 94 * 16
    price = mark - (mark * gain >> 32)
    bids.race(exchange.state, 0, -1, 0, 10, price, price, gain, exchange.evaluate)
    assert [exchange.lots(2 + i) for i in range(5)] == expected
    invariants.check(exchange.state)


def test_every_contract_has_its_race_and_its_gas() -> None:
    exchange = Exchange(4, contracts=[contract("a"), contract("b")], policy=POLICY, cash=RICH)
    exchange.deposit(0, 2000 - RICH)
    for c in (0, 1):
        exchange.trade(0, 1, 10, 100, c)
        exchange.set_mark(95, c)
        messages.push_bid(exchange.state, 2, c, s.BUY, 10, 0, 5, 10)
    exchange.clear()
    assert (exchange.lots(0, 0), exchange.lots(0, 1)) == (0, 0)
    assert fees(exchange) == 30
    invariants.check(exchange.state)
