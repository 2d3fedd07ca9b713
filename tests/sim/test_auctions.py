"""Dutch auctions: prices by time, resets, keepers, shares of an account. By examples worked by hand.

Account 0 is long 10 lots at 100; a lot is worth 10 a tick. At a mark of 94 the maintenance is 588 (1/16 of 9400). A
step is a minute.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sim import invariants
from sim.kernels import auctions, messages, share_auctions
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim.exchange import FEES, FUND, Exchange, contract

RICH = 10**6
ONE = s.RATE_ONE
CLIP = replace(
    POLICIES["full"], outlet="auction", auction="clip", auction_start=1.2, auction_step_seconds=120.0, auction_cut=0.95,
    auction_tail_seconds=1200.0, auction_cusp=0.6,
)  # fmt: skip
LINE = replace(CLIP, auction_step_seconds=0.0)
SHARE = replace(
    POLICIES["full"], outlet="auction", auction="share", auction_start=0.95, auction_fast_end=0.7, auction_fee=0.0,
    auction_fast_seconds=900.0, auction_slow_seconds=43_200.0, auction_buffer=0.15, auction_insolvent_seconds=3600.0,
)  # fmt: skip


def default(policy: Any, *, mark: float = 94, cash: int = 1000, extra: int = 2, **how: Any) -> Exchange:
    exchange = Exchange(2 + extra, policy=policy, **how)
    exchange.deposit(0, cash)
    for account in range(1, 2 + extra):
        exchange.deposit(account, RICH)
    exchange.trade(0, 1, 10)
    exchange.set_mark(mark)
    return exchange


def offer(exchange: Exchange, account: int, lots: int = 10, discount: int = 0, side: int = s.BUY, **costs: int) -> None:
    messages.push_bid(exchange.state, account, costs.pop("c", 0), side, lots, discount, **costs)


def wait(exchange: Exchange, steps: int, marks: tuple[float, ...] = (94,)) -> None:
    """Some steps in which nobody offers anything, but the clearing runs."""
    for _ in range(steps):
        exchange.next_step()
        for c, mark in enumerate(marks):
            exchange.set_mark(mark, c)
        exchange.clear()
        invariants.check(exchange.state)


def turn(exchange: Exchange, marks: tuple[float, ...] = (94,)) -> None:
    """The beginning of the next step."""
    exchange.next_step()
    for c, mark in enumerate(marks):
        exchange.set_mark(mark, c)


def reasons(exchange: Exchange) -> list[int]:
    return [int(e["reason"]) for e in exchange.events(s.EV_AUCTION)]


# -- clip --------------------------------------------------------------------------------------------------------------


def test_the_price_is_cut_every_so_often() -> None:
    """1.2 x 94 = 112.8; after 2 min 95 % of it, after 4 min 90.25 %."""
    exchange = default(CLIP)
    exchange.clear()
    for elapsed, price in ((0, 112.8), (1, 112.8), (2, 107.16), (3, 107.16), (4, 101.802), (9, 112.8 * 0.95**4)):
        exchange.state.meta[s.M_STEP] = 1 + elapsed
        assert auctions.clip_price(exchange.state, 0, 1) / 16 == pytest.approx(price, abs=0.1)
        assert auctions.clip_price(exchange.state, 0, -1) / 16 == pytest.approx(2 * 94 - price, abs=0.1)


def test_the_price_may_fall_on_a_straight_line() -> None:
    exchange = default(LINE)
    exchange.clear()
    for elapsed, price in ((0, 112.8), (1, 112.8 * 19 / 20), (10, 56.4), (20, 1 / 16)):
        exchange.state.meta[s.M_STEP] = 1 + elapsed
        assert auctions.clip_price(exchange.state, 0, 1) / 16 == pytest.approx(price, abs=0.1)


def test_a_liquidator_takes_when_the_price_has_fallen_to_what_it_asks() -> None:
    """A liquidator that asks for 8 % waits for a price of 86.48: 112.8 x .95 ** 6 = 82.9 after 12 min."""
    exchange = default(CLIP)
    taken = []
    for step in range(15):
        offer(exchange, 2, discount=ONE * 8 // 100)
        exchange.clear()
        invariants.check(exchange.state)
        taken.append(exchange.lots(2))
        if step == 0:
            assert (exchange.meta(s.M_AUCTIONS), int(exchange.state.accounts["auction"][0])) == (1, 0)
        turn(exchange)
    assert taken.index(10) == 12
    assert exchange.meta(s.M_AUCTIONS) == 0
    assert reasons(exchange) == [0, 2, 3]
    price = int(exchange.events(s.EV_BID_TAKEN)[0]["b"])
    assert price / 16 == pytest.approx(112.8 * 0.95**6, abs=0.1)


def test_nobody_pays_more_than_the_mark() -> None:
    exchange = default(CLIP)
    for _ in range(4):
        offer(exchange, 2)
        exchange.clear()
        turn(exchange)
    assert exchange.lots(2) == 0


@pytest.mark.parametrize("fee", [0, 9])
def test_takers_take_a_part_and_the_auction_ends_above_maintenance(fee: int) -> None:
    """Mark 95: E = 500; at 112.8 x .95 ** 4 = 91.88 a lot costs 31.2. After two lots 437 against 475: it goes on.

    After eight lots 250 against 119: the account is safe, and who comes second has come for nothing.
    """
    exchange = default(CLIP)
    exchange.clear()
    exchange.state.meta[s.M_STEP] += 7
    turn(exchange, (95,))
    offer(exchange, 2, lots=2, fee=5, revert=3)
    offer(exchange, 3, lots=8, fee=fee, revert=3)
    exchange.clear()
    assert (exchange.lots(2), exchange.lots(3), exchange.lots(0)) == ((2, 8, 0) if fee == 0 else (0, 8, 2))
    assert exchange.wallet(exchange.special(FEES)) == (5 if fee == 0 else 9 + 3)
    assert (exchange.status(0), exchange.meta(s.M_AUCTIONS)) == (s.OPEN, 0)
    invariants.check(exchange.state)


def test_with_a_target_no_more_is_sold_than_restores_it() -> None:
    """Mark 95: E = 500, M = 594; at 112.8 x .95 ** 4 = 91.88 a lot costs 31.2: x = 94 / (594 - 312), 4 lots."""
    exchange = default(replace(CLIP, size="target", target_ratio=1.0))
    exchange.clear()
    exchange.state.meta[s.M_STEP] += 8
    exchange.next_step()
    exchange.set_mark(95)
    offer(exchange, 2)
    exchange.clear()
    assert exchange.lots(2) == 4
    assert exchange.status(0) == s.OPEN
    assert exchange.meta(s.M_AUCTIONS) == 0
    invariants.check(exchange.state)


def test_a_short_is_bought_back_at_a_price_that_rises() -> None:
    exchange = default(CLIP, mark=100)
    exchange.deposit(1, 1000 - RICH)
    exchange.set_mark(106)
    prices = []
    for _ in range(16):
        offer(exchange, 2, side=s.SELL)
        exchange.clear()
        prices += [int(e["b"]) / 16 for e in exchange.events(s.EV_BID_TAKEN)]
        invariants.check(exchange.state)
        if prices:
            break
        turn(exchange, (106,))
    # 212 - 127.2 x .95 ** n rises above 106 at n = 4
    assert prices == [pytest.approx(212 - 127.2 * 0.95**4, abs=0.1)]
    assert (exchange.lots(1), exchange.lots(2)) == (0, -10)


@pytest.mark.parametrize(("policy", "steps"), [(CLIP, 20), (LINE, 9), (replace(LINE, auction_cusp=0.0), 21)])
def test_an_auction_is_reset_beyond_its_tail_or_below_its_cusp(policy: Any, steps: int) -> None:
    """.95 ** 10 = .599 after 20 min; on the line 1 - 9/20 = .55; without a cusp after the tail of 20 min."""
    exchange = default(policy)
    exchange.clear()
    wait(exchange, steps - 1)
    assert reasons(exchange) == [0]
    wait(exchange, 1, (93,))
    assert reasons(exchange) == [0, 1]
    assert exchange.state.auctions[0]["price"] == 93 * 16
    assert exchange.state.auctions[0]["start"] == exchange.meta(s.M_STEP)


def test_the_keeper_is_paid_by_the_fund_for_start_and_reset() -> None:
    """Tip 3 money units (100 minor units each) and 1 % of 9400."""
    exchange = default(replace(CLIP, auction_tip=3.0, auction_chip=0.01), fund=500)
    offer(exchange, 2, gas=11)
    offer(exchange, 3, latency=1)
    exchange.clear()
    reward = 300 + (9400 * int(exchange.state.policy[s.LP_AUCTION_CHIP]) >> 32)
    assert reward in (393, 394)
    assert exchange.wallet(2) == RICH + reward - 11
    assert exchange.wallet(exchange.special(FUND)) == 500 - reward
    assert exchange.wallet(exchange.special(FEES)) == 11
    assert exchange.wallet(3) == RICH
    invariants.check(exchange.state)


def test_no_keeper_no_reward_and_a_poor_fund_pays_what_it_has() -> None:
    policy = replace(CLIP, auction_tip=3.0)
    exchange = default(policy, fund=500)
    exchange.clear()
    assert exchange.wallet(exchange.special(FUND)) == 500
    exchange = default(policy, fund=50)
    offer(exchange, 2)
    exchange.clear()
    assert (exchange.wallet(exchange.special(FUND)), exchange.wallet(2)) == (0, RICH + 50)
    exchange = default(policy, fund=50)
    offer(exchange, 2, gas=51)
    exchange.clear()
    assert exchange.wallet(exchange.special(FUND)) == 50


def test_an_account_with_two_contracts_sells_the_larger_first() -> None:
    exchange = Exchange(4, policy=CLIP, contracts=[contract("a"), contract("b")], cash=RICH)
    exchange.deposit(0, 1700 - RICH)
    exchange.trade(0, 1, 10, 100, 0)
    exchange.trade(1, 0, 12, 100, 1)
    bought = []
    for _ in range(40):
        turn(exchange, (94, 106))
        offer(exchange, 2, lots=20)
        offer(exchange, 2, lots=20, side=s.SELL, c=1)
        exchange.clear()
        invariants.check(exchange.state)
        bought += [int(e["contract"]) for e in exchange.events(s.EV_BID_TAKEN)][len(bought) :]
        if exchange.status(0) == s.OPEN and bought:
            break
    assert bought[0] == 1
    assert exchange.meta(s.M_AUCTIONS) == 0


def test_an_auction_ends_when_the_market_comes_back() -> None:
    exchange = default(CLIP)
    exchange.clear()
    assert exchange.meta(s.M_AUCTIONS) == 1
    wait(exchange, 1, (99,))
    assert exchange.meta(s.M_AUCTIONS) == 0
    assert reasons(exchange) == [0, 3]
    assert exchange.state.accounts["auction"][0] == -1


def test_auctions_of_several_accounts_live_side_by_side() -> None:
    """More than there were rows for; closing one moves the last into its place."""
    exchange = Exchange(42, policy=CLIP)
    for account in range(42):
        exchange.deposit(account, 1000 if account < 40 else RICH)
    for account in range(40):
        exchange.trade(account, 40, 10)
    exchange.set_mark(94)
    exchange.clear()
    assert exchange.meta(s.M_AUCTIONS) == 40
    exchange.deposit(7, RICH)
    exchange.deposit(39, RICH)
    wait(exchange, 1)
    assert exchange.meta(s.M_AUCTIONS) == 38
    rows = exchange.state.auctions[:38]
    assert sorted(int(a) for a in rows["account"]) == [a for a in range(39) if a != 7]
    for i, row in enumerate(rows):
        assert exchange.state.accounts["auction"][int(row["account"])] == i


def test_the_last_resort_closes_an_auction() -> None:
    exchange = default(CLIP)
    exchange.clear()
    assert auctions.auction(exchange.state, 0, -1, True, exchange.evaluate) == 0
    assert exchange.meta(s.M_AUCTIONS) == 0


def test_an_insolvent_account_goes_down_the_waterfall_after_one_run() -> None:
    """Mark 85: equity -500. Nobody wants it for 20 min; then the fund takes over."""
    exchange = default(CLIP, mark=85, fund=5000)
    exchange.clear()
    wait(exchange, 18, (85,))
    assert exchange.lots(0) == 10
    wait(exchange, 2, (85,))
    assert (exchange.lots(0), exchange.status(0)) == (0, s.CLOSED)
    assert exchange.lots(exchange.special(FUND)) == 10
    assert exchange.meta(s.M_AUCTIONS) == 0


# -- share -------------------------------------------------------------------------------------------------------------


def test_the_factor_falls_fast_then_slowly() -> None:
    exchange = default(SHARE)
    for minutes, d in ((0, 0.95), (3, 0.90), (15, 0.70), (15 + 360, 0.35), (15 + 720, 0.0), (2000, 0.0)):
        assert share_auctions.discount_factor(exchange.state, minutes) / ONE == pytest.approx(d, abs=1e-8)


def test_the_largest_share_restores_the_buffered_margin() -> None:
    """E = 400, M = 588, BM = 400 - 676.2 = -276.2; d = .9 after 3 min: f = 276.2 / (276.2 + 360) = .434 -> 5 lots."""
    exchange = default(SHARE)
    exchange.clear()
    wait(exchange, 2)
    turn(exchange)
    gain, cash, most = share_auctions.terms(exchange.state, 0, -1, 0, exchange.evaluate)
    assert (gain, cash) == (40, 360)
    assert most / ONE == pytest.approx(276.2 / (276.2 + 360), abs=2e-3)
    offer(exchange, 2)
    exchange.clear()
    assert exchange.lots(2) == 5
    # 5 lots at mark 4700 less 40 x 4700 / 9400
    assert exchange.state.positions["cost"][2, 0] == 4700 - 20
    assert exchange.equity(0) == 400 - 20
    assert exchange.equity(2) == RICH + 20
    assert exchange.status(0) == s.OPEN
    assert reasons(exchange) == [0, 2, 3]
    invariants.check(exchange.state)


def test_cash_of_earlier_bids_is_not_for_sale() -> None:
    """A first bidder takes one lot; R = 36 after it, and the terms are those of the formula with R."""
    exchange = default(SHARE)
    exchange.clear()
    wait(exchange, 2)
    turn(exchange)
    offer(exchange, 2, lots=1)
    exchange.clear()
    assert exchange.lots(2) == 1
    paid = int(exchange.state.auctions[0]["paid"])
    assert paid == 36  # 360 x 940 / 9400
    gain, cash, most = share_auctions.terms(exchange.state, 0, -1, 0, exchange.evaluate)
    own, required, d = exchange.equity(0), 529, 0.9
    assert (own, required) == (396, exchange.evaluate(exchange.state, 0, -1, s.MAINTENANCE))
    bm = own - 1.15 * required
    assert most / ONE == pytest.approx(bm / (bm - own * d - paid * (1 - d)), abs=3e-3)
    assert cash == pytest.approx((own - paid) * d, abs=1)
    assert gain == own - paid - cash


def test_the_bidder_pays_the_fee_on_top_to_the_fund() -> None:
    """d = .7 after 15 min: cash 279, gain 121, fee 28 (10 % of the cash); f = 276.2 / 555.2 = .4975, 5 lots."""
    exchange = default(replace(SHARE, auction_fee=0.1))
    exchange.clear()
    wait(exchange, 14)
    turn(exchange)
    offer(exchange, 2)
    exchange.clear()
    assert exchange.lots(2) == 5
    assert exchange.wallet(exchange.special(FUND)) == 14
    assert exchange.equity(2) == RICH + 60 - 14
    assert exchange.equity(0) == 400 - 60
    invariants.check(exchange.state)


def test_nobody_bids_before_the_discount_pays_the_fee_and_what_is_asked() -> None:
    """The fee of 10 % asks for 1 - d > d / 10; a discount of 1 % on 9400 for another 94: at d = .727."""
    exchange = default(replace(SHARE, auction_fee=0.1))
    taken = []
    for _ in range(20):
        offer(exchange, 2, discount=ONE // 100)
        exchange.clear()
        invariants.check(exchange.state)
        taken.append(exchange.lots(2))
        turn(exchange)
    first = next(i for i, lots in enumerate(taken) if lots)
    d = 0.95 - 0.25 * first / 15
    before = 0.95 - 0.25 * (first - 1) / 15
    assert 400 * (1 - d) - 40 * d >= 94 - 2
    assert 400 * (1 - before) - 40 * before <= 94 + 2


@pytest.mark.parametrize("minutes", [0, 15, 30, 60, 75])
def test_the_taker_of_an_insolvent_account_is_paid(minutes: int) -> None:
    """Mark 85: E = -500, M = 532: the payment grows from 500 to 1032 in an hour; the fund bears it."""
    exchange = default(SHARE, mark=85, fund=10_000)
    exchange.clear()
    state = exchange.state
    state.meta[s.M_STEP] += minutes - 1
    turn(exchange, (85,))
    offer(exchange, 2)
    before = exchange.equity(2)
    exchange.clear()
    growth = 532 * min(minutes, 60) // 60
    assert (exchange.lots(0), exchange.lots(2), exchange.status(0)) == (0, 10, s.CLOSED)
    assert exchange.equity(2) - before == growth
    assert exchange.wallet(exchange.special(FUND)) == 10_000 - 500 - growth
    assert exchange.meta(s.M_BAD_DEBT) == 500 + growth
    invariants.check(state)


def test_an_auction_turns_insolvent_and_its_clock_starts_anew() -> None:
    exchange = default(SHARE)
    exchange.clear()
    wait(exchange, 5)
    wait(exchange, 1, (85,))
    assert reasons(exchange) == [0, 1]
    assert exchange.state.auctions[0]["start"] == exchange.meta(s.M_STEP)
    wait(exchange, 1, (94,))
    assert reasons(exchange) == [0, 1, 1]


def test_a_payment_beyond_the_fund_is_shared() -> None:
    exchange = default(SHARE, mark=85, fund=100)
    exchange.clear()
    exchange.state.meta[s.M_STEP] += 29
    turn(exchange, (85,))
    offer(exchange, 2)
    exchange.clear()
    assert exchange.meta(s.M_FUND_PAID) == 100
    assert exchange.meta(s.M_SOCIALISED) == 500 + 266 - 100
    invariants.check(exchange.state)


def test_the_whole_account_goes_in_proportion() -> None:
    """Two legs: a bidder without an offer for both is not in the race; one with both takes the same share of each."""
    exchange = Exchange(5, policy=SHARE, contracts=[contract("a"), contract("b", tick_value=20)], cash=RICH)
    exchange.deposit(0, 2200 - RICH)
    exchange.trade(0, 1, 10, 100, 0)
    exchange.trade(1, 0, 6, 100, 1)
    exchange.clear()
    for _ in range(4):
        turn(exchange, (94, 105))
        exchange.clear()
    turn(exchange, (94, 105))
    assert exchange.equity(0) == 2200 - 600 - 600
    offer(exchange, 2, lots=10, fee=50)
    offer(exchange, 3, lots=10)
    offer(exchange, 3, lots=6, side=s.SELL, c=1)
    exchange.clear()
    assert exchange.lots(2) == 0
    fraction = exchange.lots(3, 0) / 10
    assert 0 < fraction < 1
    assert abs(-exchange.lots(3, 1) / 6 - fraction) < 0.2
    invariants.check(exchange.state)


def test_a_bidder_takes_the_share_that_its_margin_carries() -> None:
    """A lot asks for 118: 300 carry 2."""
    exchange = default(SHARE, rounds=1)
    exchange.clear()
    wait(exchange, 9)
    turn(exchange)
    exchange.deposit(2, 300 - RICH)
    offer(exchange, 2)
    exchange.clear()
    assert exchange.lots(2) == 2
    assert exchange.meta(s.M_AUCTIONS) == 1
    invariants.check(exchange.state)


def test_higher_fees_come_first_in_a_share_auction_and_losers_pay() -> None:
    exchange = default(SHARE, extra=3)
    exchange.clear()
    wait(exchange, 12)
    turn(exchange)
    offer(exchange, 2, fee=1, gas=4, revert=2)
    offer(exchange, 3, fee=5, gas=4, revert=2)
    offer(exchange, 4, fee=3, gas=4, revert=2)
    exchange.clear()
    assert [exchange.lots(a) > 0 for a in (2, 3, 4)] == [False, True, False]
    assert exchange.wallet(exchange.special(FEES)) == 9 + 2 + 2
    invariants.check(exchange.state)
