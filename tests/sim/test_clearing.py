"""Margin calls, liquidations and the default waterfall, by examples worked by hand.

In most of them account 0 is long 10 lots at 100 with 1000 in cash, so that it is bankrupt at 90 (a tick of a lot is
worth 10), and in breach of its maintenance margin of 1/16 of value below 9000 / 93.75 = 96.
"""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.kernels import limits, messages, shortfall
from sim.kernels import state as s
from tests.sim.exchange import FUND, Exchange, contract

RICH = 10**6


def default(bids: list[tuple[int, int]], ask: int, *, cash: int = 1000, extra: int = 0, **how: Any) -> Exchange:
    """Account 0 long 10 at 100 from account 1; account 2 bids (lots, price), account 3 asks one lot; marks re-read."""
    exchange = Exchange(4 + extra, **how)
    exchange.deposit(0, cash)
    for account in range(1, 4 + extra):
        exchange.deposit(account, RICH)
    exchange.trade(0, 1, 10)
    for lots, price in bids:
        exchange.rest(2, s.BUY, lots, price)
    exchange.rest(3, s.SELL, 1, ask)
    exchange.remark()
    return exchange


def fund(exchange: Exchange) -> int:
    return exchange.special(FUND)


def checked(exchange: Exchange) -> Exchange:
    invariants.check(exchange.state)
    meta = exchange.meta
    assert meta(s.M_BAD_DEBT) == meta(s.M_FUND_PAID) + meta(s.M_SOCIALISED) + meta(s.M_UNCOVERED)
    return exchange


# -- how much, and at what price ---------------------------------------------------------------------------------------


def test_a_full_liquidation() -> None:
    """Mark 94: equity 400 against 587.5. All 10 lots go at 93, and 1000 - 700 are left."""
    exchange = default([(20, 93)], 95)
    assert exchange.clear() == 1
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 300, s.OPEN)
    assert exchange.meta(s.M_LIQUIDATIONS) == 1
    assert exchange.meta(s.M_BAD_DEBT) == 0
    fill = exchange.state.fills[exchange.meta(s.M_FILLS) - 1]
    assert (fill["cause"], fill["price"], fill["quantity"], fill["side"]) == (s.CAUSE_LIQUIDATION, 93, 10, s.SELL)
    assert exchange.state.quotes["liquidated"][0] == 10
    checked(exchange)


def test_a_partial_liquidation_restores_the_target() -> None:
    """1.5 x 588 = 882, so a fraction of (882 - 400) / 882 = .546 is closed: 6 lots."""
    exchange = default([(20, 93)], 95, partial=True)
    assert exchange.clear() == 1
    assert (exchange.lots(0), exchange.status(0)) == (4, s.OPEN)
    assert exchange.wallet(0) == 1000 - 6 * 70
    checked(exchange)


def test_the_fee_is_part_of_the_partial_size() -> None:
    """A fee of 1/64 of value, 147 at mark for all: (882 - 400) / (882 - 147) = .656, 7 lots; it goes to the fund."""
    exchange = default([(20, 93)], 95, partial=True, contracts=[contract("a", fee_liquidation=1 / 64)])
    exchange.clear()
    assert exchange.lots(0) == 3
    fee = -(-7 * 930 // 64)
    assert exchange.wallet(0) == 1000 - 7 * 70 - fee
    assert exchange.wallet(fund(exchange)) == fee == exchange.state.accounts["fees"][0]
    checked(exchange)


def test_a_fee_never_makes_a_debt() -> None:
    exchange = default([(20, 90)], 98, contracts=[contract("a", fee_liquidation=1 / 64)])
    exchange.clear()
    assert exchange.wallet(0) == 0
    assert exchange.meta(s.M_BAD_DEBT) == 0
    checked(exchange)


def test_a_short_is_bought_back() -> None:
    exchange = Exchange(4, cash=RICH)
    exchange.deposit(1, 1000 - RICH)
    exchange.trade(0, 1, 10)
    exchange.rest(2, s.SELL, 20, 107)
    exchange.rest(3, s.BUY, 1, 105)
    exchange.remark()
    assert exchange.clear() == 1
    assert (exchange.lots(1), exchange.wallet(1)) == (0, 1000 - 700)
    checked(exchange)


@pytest.mark.parametrize(("mark", "cash"), [(94, 1000), (94.5, 1000), (93.25, 1030), (85, 1000)])
def test_the_bankruptcy_price_leaves_nothing(mark: float, cash: int) -> None:
    """(cost - cash) / (lots x tick value), rounded in the account's favour, whatever the mark."""
    exchange = default([], 200, cash=cash)
    exchange.state.meta[s.M_FORCED_LIMIT] = s.LIMIT_BANKRUPTCY
    exchange.set_mark(mark)
    assert limits.forced_price(exchange.state, 0, -1, 0, s.SELL) == -(-(10_000 - cash) // 100)


def test_the_bankruptcy_price_of_a_short() -> None:
    exchange = Exchange(2, cash=1030, limit=s.LIMIT_BANKRUPTCY)
    exchange.trade(0, 1, 10)
    exchange.set_mark(107)
    assert limits.forced_price(exchange.state, 1, -1, 0, s.BUY) == 110


def test_the_band_limits_forced_orders() -> None:
    exchange = default([(4, 90), (20, 80)], 98, limit=s.LIMIT_BAND, contracts=[contract("a", price_band=1 / 16)])
    assert exchange.meta(s.M_STEP) == 1
    assert limits.forced_price(exchange.state, 0, -1, 0, s.SELL) == 89  # 94 x 15 / 16 = 88.125


def test_orders_of_the_account_are_cancelled_first() -> None:
    exchange = default([(20, 93)], 95)
    exchange.rest(0, s.BUY, 3, 92)
    exchange.rest(0, s.SELL, 3, 140)
    exchange.clear()
    assert exchange.state.accounts["orders"][0] == 0
    checked(exchange)


# -- rounds ------------------------------------------------------------------------------------------------------------


def test_a_liquidation_brings_down_its_counterparty() -> None:
    """The buyer at 93 has 500; the next bid is 80, so the mark falls to 87.5 and it goes bankrupt at 80 in its turn."""
    exchange = Exchange(6, fund=5000)
    for account, cash in enumerate((1000, RICH, 500, RICH, RICH, RICH)):
        exchange.deposit(account, cash)
    exchange.trade(0, 1, 10)
    exchange.rest(2, s.BUY, 10, 93)
    exchange.rest(4, s.BUY, 50, 80)
    exchange.rest(3, s.SELL, 1, 95)
    exchange.remark()
    assert exchange.clear() == 2
    assert (exchange.status(0), exchange.status(2)) == (s.OPEN, s.CLOSED)
    assert exchange.meta(s.M_BAD_DEBT) == 800
    assert exchange.wallet(fund(exchange)) == 4200
    assert exchange.lots(4) == 10
    checked(exchange)


def test_what_is_left_at_the_round_limit_carries_over() -> None:
    exchange = default([(2, 93)], 95, rounds=1)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (8, s.LIQUIDATING)
    exchange.next_step()
    exchange.rest(2, s.BUY, 10, 93)
    exchange.remark()
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (0, s.OPEN)
    assert exchange.meta(s.M_LIQUIDATIONS) == 1
    checked(exchange)


def test_a_carried_over_liquidation_ends_when_the_market_comes_back() -> None:
    exchange = default([], 200)
    exchange.set_mark(94)
    exchange.clear()
    assert (exchange.status(0), exchange.meta(s.M_LIQUIDATING)) == (s.LIQUIDATING, 1)
    exchange.next_step()
    exchange.set_mark(99)
    exchange.clear()
    assert (exchange.status(0), exchange.lots(0), exchange.meta(s.M_LIQUIDATING)) == (s.OPEN, 10, 0)


def test_an_account_that_was_cured_within_the_round_is_left_alone() -> None:
    """Accounts 0 (long) and 4 (short, asking to buy back at 93) are both in breach; the first to go helps the other."""
    outcomes = set()
    for seed in range(12):
        exchange = default([(20, 93)], 95, extra=1)
        exchange.state.meta[s.M_SEED] = seed
        exchange.deposit(4, -RICH + 9)
        exchange.trade(1, 4, 2, 94)
        exchange.deposit(4, 2)
        order = exchange.rest(4, s.BUY, 2, 94)
        assert order >= 0
        exchange.set_mark(94)
        exchange.clear()
        outcomes.add(exchange.meta(s.M_LIQUIDATIONS))
        checked(exchange)
    assert outcomes == {1, 2}


def test_liquidations_can_be_switched_off() -> None:
    exchange = default([(20, 93)], 95)
    exchange.state.meta[s.M_LIQUIDATE] = 0
    assert exchange.clear() == 0
    assert exchange.lots(0) == 10


# -- the waterfall -----------------------------------------------------------------------------------------------------


def test_the_fund_takes_over_what_the_limit_does_not_sell() -> None:
    """4 lots sell at 91, none below 90. 6 lots are left with equity 220 at the mark of 93: the fund pays 5580 - 220."""
    exchange = default([(4, 91), (10, 89)], 97, limit=s.LIMIT_BANKRUPTCY, fund=1000)
    assert exchange.clear() == 1
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 0, s.OPEN)
    assert exchange.lots(fund(exchange)) == 6
    assert exchange.state.positions["cost"][fund(exchange), 0] == 5360
    assert exchange.equity(fund(exchange)) == 1000 + 220
    assert exchange.meta(s.M_BAD_DEBT) == 0
    event = exchange.events(s.EV_TAKEOVER)[0]
    assert (event["a"], event["b"], event["c"]) == (6, 5360, 93 * 16)
    checked(exchange)


def test_the_fund_takes_over_a_bankrupt_account_while_its_equity_lasts() -> None:
    """Mark 85: equity -500. A fund of 600 takes 10 lots worth 8500 for 9000, and is left with 100."""
    exchange = default([(20, 80)], 90, limit=s.LIMIT_BANKRUPTCY, fund=600)
    assert exchange.clear() == 0
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 0, s.CLOSED)
    assert exchange.equity(fund(exchange)) == 100
    assert (exchange.meta(s.M_BAD_DEBT), exchange.meta(s.M_FUND_PAID)) == (500, 500)
    checked(exchange)


def test_beyond_the_fund_the_loss_is_shared_by_winners() -> None:
    """A fund of 300 cannot take 500. 10 lots go at 80: a debt of 1000; 300 from the fund, 700 by profits 1500 : 500."""
    exchange = default([(20, 80)], 90, limit=s.LIMIT_BANKRUPTCY, fund=300)
    exchange.clear()
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 0, s.CLOSED)
    assert exchange.wallet(1) == RICH - 525
    assert exchange.wallet(2) == RICH - 175
    assert exchange.equity(fund(exchange)) == 0
    amounts = [exchange.meta(m) for m in (s.M_BAD_DEBT, s.M_FUND_PAID, s.M_SOCIALISED, s.M_UNCOVERED)]
    assert amounts == [1000, 300, 700, 0]
    checked(exchange)


def test_the_fund_runs_dry_in_the_middle_of_a_round() -> None:
    exchange = default([(40, 80)], 90, extra=1, fund=1500)
    exchange.deposit(4, 1000 - RICH)
    exchange.trade(4, 1, 10)
    assert exchange.clear() == 1
    assert (exchange.status(0), exchange.status(4)) == (s.CLOSED, s.CLOSED)
    assert [int(e["a"]) for e in exchange.events(s.EV_FUND_PAID)] == [1000, 500]
    amounts = [exchange.meta(m) for m in (s.M_BAD_DEBT, s.M_FUND_PAID, s.M_SOCIALISED, s.M_UNCOVERED)]
    assert amounts == [2000, 1500, 500, 0]
    assert exchange.equity(fund(exchange)) == 0
    checked(exchange)


def test_without_winners_the_loss_is_shared_by_equity() -> None:
    exchange = Exchange(4)
    for account, cash in enumerate((3000, 1000, 0, 1)):
        exchange.deposit(account, cash)
    assert shortfall.socialise(exchange.state, 1000) == 0
    # cumulative floors of 1000 x (3000, 4000, 4001) / 4001
    assert [exchange.wallet(a) for a in range(4)] == [3000 - 749, 1000 - 250, 0, 0]
    assert exchange.wallet(fund(exchange)) == 1000
    invariants.check(exchange.state)


def test_what_nobody_can_bear_stays_as_a_debt_of_the_fund() -> None:
    exchange = default([(20, 80)], 90)
    for account in (1, 2, 3):
        exchange.deposit(account, -RICH)
    exchange.deposit(1, -1500)  # the profit at the mark of 85 has been taken out
    exchange.clear()
    # a debt of 1000 against profits of 1500 and 500 is covered, though account 1 has no equity behind its profit
    assert exchange.meta(s.M_SOCIALISED) == 1000
    other = Exchange(2)
    other.deposit(0, 400)
    other.deposit(fund(other), -1000)
    shortfall.make_good(other.state, fund(other), -1, 1000)
    shortfall.settle_losses(other.state)
    assert (other.meta(s.M_SOCIALISED), other.meta(s.M_UNCOVERED), other.wallet(0)) == (400, 600, 0)
    checked(exchange)


def test_several_contracts_are_taken_over_at_no_equity() -> None:
    terms = [contract("a"), contract("b", tick_value=7)]
    exchange = Exchange(3, contracts=terms, limit=s.LIMIT_BANKRUPTCY, fund=10_000)
    exchange.deposit(0, 1500)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 10, 100, 0)
    exchange.trade(1, 0, 9, 100, 1)
    exchange.set_mark(93, 0)
    exchange.set_mark(106, 1)
    left = exchange.equity(0)
    assert 0 < left < 1000
    exchange.clear()
    assert (exchange.lots(0, 0), exchange.lots(0, 1), exchange.wallet(0)) == (0, 0, 0)
    assert exchange.equity(fund(exchange)) == 10_000 + left
    checked(exchange)


def test_a_breach_that_is_new_at_the_round_limit_waits_for_the_book() -> None:
    exchange = Exchange(6, fund=5000, limit=s.LIMIT_BANKRUPTCY, rounds=1)
    for account, cash in enumerate((1000, RICH, 500, RICH, RICH, RICH)):
        exchange.deposit(account, cash)
    exchange.trade(0, 1, 10)
    exchange.rest(2, s.BUY, 10, 93)
    exchange.rest(4, s.BUY, 50, 80)
    exchange.rest(3, s.SELL, 1, 95)
    exchange.remark()
    exchange.clear()
    assert (exchange.lots(2), exchange.status(2), exchange.lots(fund(exchange))) == (10, s.OPEN, 0)
    exchange.next_step()
    exchange.clear()
    # nobody bids 88, at which account 2 has nothing left, so the fund takes over and bears the 50
    assert (exchange.lots(2), exchange.status(2), exchange.lots(fund(exchange))) == (0, s.CLOSED, 10)
    assert exchange.meta(s.M_BAD_DEBT) == 50
    checked(exchange)


def test_the_surplus_may_go_to_the_fund() -> None:
    exchange = default([(20, 93)], 95, surplus=True)
    exchange.clear()
    assert (exchange.wallet(0), exchange.wallet(fund(exchange))) == (0, 300)
    checked(exchange)


# -- bids of liquidators -----------------------------------------------------------------------------------------------

PER_CENT = s.RATE_ONE // 100


def test_standing_bids_come_before_the_book() -> None:
    """1 % below the mark of 94 is 93 1/16: 6 lots for 5583; the other 4 go at 93."""
    exchange = default([(20, 93)], 95)
    messages.push_bid(exchange.state, 3, 0, s.BUY, 6, PER_CENT)
    exchange.clear()
    assert exchange.state.positions["cost"][3, 0] == 5583
    assert (exchange.lots(3), exchange.lots(2), exchange.lots(0)) == (6, 4, 0)
    assert exchange.wallet(0) == 1000 + 5583 + 4 * 930 - 10_000
    checked(exchange)


def test_the_smallest_discount_comes_first_then_the_lower_account() -> None:
    exchange = default([(20, 93)], 95, extra=2)
    for account, discount in ((5, PER_CENT), (3, 2 * PER_CENT), (4, PER_CENT)):
        messages.push_bid(exchange.state, account, 0, s.BUY, 4, discount)
    exchange.clear()
    assert [int(e["reason"]) for e in exchange.events(s.EV_BID_TAKEN)] == [4, 5, 3]
    assert [exchange.lots(a) for a in (4, 5, 3, 2)] == [4, 4, 2, 0]
    checked(exchange)


def test_a_bidder_takes_what_its_margin_carries() -> None:
    """A lot at 930 asks for 117; 300 carry 2."""
    exchange = default([(20, 93)], 95)
    exchange.deposit(3, 300 - RICH)
    messages.push_bid(exchange.state, 3, 0, s.BUY, 6, PER_CENT)
    exchange.clear()
    assert (exchange.lots(3), exchange.lots(2)) == (2, 8)
    checked(exchange)


def test_a_bid_beyond_the_forced_limit_is_not_taken() -> None:
    exchange = default([(20, 91)], 97, limit=s.LIMIT_BANKRUPTCY)
    messages.push_bid(exchange.state, 3, 0, s.BUY, 6, 5 * PER_CENT)
    exchange.clear()
    assert (exchange.lots(3), exchange.lots(2)) == (0, 10)


def test_bids_for_shorts_do_not_take_longs() -> None:
    exchange = default([(20, 93)], 95)
    messages.push_bid(exchange.state, 3, 0, s.SELL, 6, 0)
    exchange.clear()
    assert (exchange.lots(3), exchange.lots(2)) == (0, 10)


# -- isolated ----------------------------------------------------------------------------------------------------------


def isolated(bids: list[tuple[int, int]], ask: int, **how: Any) -> Exchange:
    """6000 in cash, of which 1250 are in the pocket of the 10 lots: bankrupt at 87.5."""
    exchange = default(bids, ask, cash=6000, regime="isolated", **how)
    assert (exchange.pocket(0), exchange.wallet(0)) == (1250, 4750)
    return exchange


def test_an_isolated_liquidation_returns_what_is_left_of_the_pocket() -> None:
    exchange = isolated([(20, 92)], 94)
    exchange.clear()
    assert (exchange.lots(0), exchange.pocket(0), exchange.wallet(0)) == (0, 0, 4750 + 450)
    assert exchange.status(0) == s.OPEN
    checked(exchange)


@pytest.mark.parametrize("limit", [s.LIMIT_NONE, s.LIMIT_BANKRUPTCY])
def test_an_isolated_liquidation_takes_the_pocket_and_nothing_else(limit: int) -> None:
    exchange = isolated([(20, 80)], 90, fund=1000, limit=limit)
    exchange.clear()
    assert (exchange.lots(0), exchange.pocket(0), exchange.wallet(0)) == (0, 0, 4750)
    assert exchange.status(0) == s.OPEN
    # sold at 80 the pocket lacks 750; taken over at the mark of 85 it lacks 250
    assert exchange.meta(s.M_BAD_DEBT) == (750 if limit == s.LIMIT_NONE else 250)
    checked(exchange)


@pytest.mark.parametrize(("bid", "fee"), [(92, 144), (88, 50)])
def test_the_fee_is_paid_by_the_pocket(bid: int, fee: int) -> None:
    """1/64 of the proceeds, at most what the pocket returns: 450 of sales at 92, 50 of sales at 88."""
    exchange = isolated([(20, bid)], 186 - bid, contracts=[contract("a", fee_liquidation=1 / 64)])
    exchange.clear()
    assert exchange.wallet(fund(exchange)) == fee
    assert exchange.wallet(0) == 4750 + 1250 - 100 * (100 - bid) - fee
    checked(exchange)


def test_the_fee_of_bids_is_paid_by_the_pocket() -> None:
    exchange = isolated([], 98, contracts=[contract("a", fee_liquidation=1 / 64)])
    exchange.set_mark(93)
    messages.push_bid(exchange.state, 3, 0, s.BUY, 10, 5 * PER_CENT)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(3)) == (0, 10)
    assert exchange.wallet(0) == 4750 + 1250 - (10_000 - int(exchange.state.positions["cost"][3, 0])) - exchange.wallet(
        fund(exchange)
    )
    assert exchange.wallet(0) >= 4750
    checked(exchange)


def test_only_the_position_in_breach_is_touched() -> None:
    terms = [contract("a"), contract("b")]
    exchange = default([(20, 92)], 94, cash=6000, regime="isolated", contracts=terms)
    exchange.trade(0, 1, 5, 100, 1)
    exchange.rest(0, s.BUY, 1, 50, 0)
    exchange.rest(0, s.BUY, 1, 50, 1)
    exchange.clear()
    assert (exchange.lots(0, 0), exchange.lots(0, 1)) == (0, 5)
    assert exchange.pocket(0, 1) == 625
    assert exchange.state.accounts["orders"][0] == 1
    checked(exchange)


def test_the_surplus_of_an_isolated_liquidation_is_what_the_pocket_returns() -> None:
    exchange = isolated([(20, 92)], 94, surplus=True)
    exchange.clear()
    assert (exchange.wallet(0), exchange.wallet(fund(exchange))) == (4750, 450)
    checked(exchange)


def test_a_closed_account_holds_no_orders() -> None:
    """Its wallet is overdrawn, so the end of its last position closes it; its order in the other contract goes too."""
    terms = [contract("a"), contract("b")]
    exchange = default([(20, 80)], 90, cash=6000, regime="isolated", contracts=terms, fund=10**5)
    exchange.rest(0, s.BUY, 1, 50, 1)
    exchange.deposit(0, -5000)
    exchange.clear()
    assert exchange.status(0) == s.CLOSED
    assert exchange.state.accounts["orders"][0] == 0
    checked(exchange)


# -- debts without a position ------------------------------------------------------------------------------------------


def test_who_closes_below_bankruptcy_himself_is_covered_too() -> None:
    exchange = default([(20, 93)], 95, fund=800)
    exchange.rest(0, s.BUY, 1, 50)
    exchange.trade(2, 0, 10, 85)
    assert exchange.wallet(0) == -500
    exchange.clear()
    assert (exchange.wallet(0), exchange.status(0), exchange.wallet(fund(exchange))) == (0, s.CLOSED, 300)
    assert exchange.state.accounts["orders"][0] == 0
    assert exchange.meta(s.M_BAD_DEBT) == 500
    checked(exchange)


def test_an_isolated_debt_is_covered_and_the_wallet_is_not_asked() -> None:
    exchange = isolated([(20, 93)], 95, fund=800)
    exchange.trade(2, 0, 10, 80)
    assert (exchange.pocket(0), exchange.wallet(0)) == (-750, 4750)
    exchange.clear()
    assert (exchange.pocket(0), exchange.wallet(0), exchange.status(0)) == (0, 4750, s.OPEN)
    assert exchange.meta(s.M_BAD_DEBT) == 750
    checked(exchange)


def test_a_call_ends_with_the_debt() -> None:
    exchange = default([(20, 93)], 95, fund=800, grace=3)
    exchange.clear()
    assert (exchange.status(0), exchange.meta(s.M_CALLED_NOW)) == (s.CALLED, 1)
    exchange.next_step()
    exchange.trade(2, 0, 10, 85)
    exchange.clear()
    assert (exchange.status(0), exchange.meta(s.M_CALLED_NOW)) == (s.CLOSED, 0)
    checked(exchange)


# -- margin calls ------------------------------------------------------------------------------------------------------


def called(outside: int, **how: Any) -> Exchange:
    """Two steps of grace. At the mark of 94 the call is for 1175 - 400."""
    exchange = default([(20, 93)], 95, grace=2, **how)
    exchange.state.accounts["outside"][0] = outside
    assert exchange.clear() == 0
    assert (exchange.status(0), exchange.lots(0)) == (s.CALLED, 10)
    assert (exchange.meta(s.M_CALLS), exchange.meta(s.M_CALL_AMOUNT)) == (1, 775)
    event = exchange.events(s.EV_CALL)[0]
    assert (event["a"], event["b"]) == (775, 3)
    exchange.next_step()
    exchange.clear()
    assert (exchange.status(0), exchange.meta(s.M_CALLS)) == (s.CALLED, 1)
    exchange.next_step()
    return exchange


def test_a_call_is_met_at_the_end_of_the_grace() -> None:
    exchange = called(outside=800)
    exchange.clear()
    assert (exchange.status(0), exchange.lots(0), exchange.equity(0)) == (s.OPEN, 10, 1175)
    assert exchange.state.accounts["outside"][0] == 25
    assert (exchange.meta(s.M_TOPUPS), exchange.meta(s.M_CALLS_MET), exchange.meta(s.M_CALLED_NOW)) == (775, 1, 0)
    checked(exchange)


def test_a_call_that_is_not_met_ends_in_liquidation() -> None:
    exchange = called(outside=100)
    exchange.clear()
    assert (exchange.status(0), exchange.lots(0), exchange.wallet(0)) == (s.OPEN, 0, 400)
    assert (exchange.meta(s.M_CALLS_MET), exchange.meta(s.M_CALLED_NOW)) == (0, 0)
    checked(exchange)


def test_a_call_ends_when_the_price_comes_back() -> None:
    exchange = called(outside=0)
    exchange.set_mark(99)
    exchange.clear()
    assert (exchange.status(0), exchange.lots(0)) == (s.OPEN, 10)
    assert (exchange.meta(s.M_CALLS_MET), exchange.meta(s.M_TOPUPS)) == (1, 0)


def test_there_is_no_grace_without_equity() -> None:
    exchange = default([(20, 89)], 89 + 2, grace=2)
    exchange.set_mark(90)
    exchange.clear()
    assert (exchange.lots(0), exchange.meta(s.M_CALLS)) == (0, 1)
    later = called(outside=0)
    later.set_mark(89)
    later.clear()
    assert later.lots(0) == 0
    checked(later)


def test_who_waits_in_grace_is_not_taken_over() -> None:
    exchange = called(outside=0, limit=s.LIMIT_BANKRUPTCY, fund=10**5)
    assert exchange.lots(fund(exchange)) == 0
    exchange.clear()
    assert exchange.lots(0) == 0
    checked(exchange)


def test_free_cash_in_the_wallet_fills_an_isolated_pocket_without_a_call() -> None:
    """At 93 the pocket holds 550 against 582; the wallet's 300 bring it above, so nobody is called."""
    exchange = isolated([(20, 92)], 94, grace=1)
    exchange.deposit(0, 300 - 4750)
    exchange.state.accounts["outside"][0] = 1000
    exchange.clear()
    assert exchange.status(0) == s.OPEN
    assert (exchange.wallet(0), exchange.pocket(0)) == (0, 1250 + 300)
    assert exchange.state.accounts["outside"][0] == 1000
    assert exchange.state.meta[s.M_CALLS] == 0
    checked(exchange)


def test_an_isolated_call_uses_the_free_wallet_before_cash_outside() -> None:
    """Only 20 are free, which do not reach 582: a call. It restores 2 x 582, so 594 come from outside."""
    exchange = isolated([(20, 92)], 94, grace=1)
    exchange.deposit(0, 20 - 4750)
    exchange.state.accounts["outside"][0] = 1000
    exchange.clear()
    assert exchange.status(0) == s.CALLED
    assert (exchange.wallet(0), exchange.pocket(0)) == (0, 1250 + 20)
    exchange.next_step()
    exchange.clear()
    assert (exchange.status(0), exchange.lots(0)) == (s.OPEN, 10)
    assert (exchange.wallet(0), exchange.pocket(0)) == (0, 1250 + 614)
    assert exchange.state.accounts["outside"][0] == 1000 - 594
    checked(exchange)


def test_what_backs_open_orders_is_not_free() -> None:
    exchange = isolated([(20, 92)], 94, grace=1)
    exchange.deposit(0, 300 - 4750)
    exchange.rest(0, s.BUY, 1, 50)  # reserves an eighth of 930, 117
    exchange.clear()
    assert (exchange.wallet(0), exchange.pocket(0)) == (117, 1250 + 300 - 117)
    checked(exchange)


def test_a_pocket_that_the_top_up_restored_is_not_liquidated() -> None:
    """Both positions are called; the cash goes to one after the other and suffices for both."""
    terms = [contract("a"), contract("b")]
    exchange = Exchange(4, regime="isolated", contracts=terms, grace=1)
    exchange.deposit(0, 2500)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    for c in range(2):
        exchange.trade(0, 1, 10, 100, c)
        exchange.rest(2, s.BUY, 20, 92, c)
        exchange.rest(3, s.SELL, 1, 94, c)
    exchange.remark()
    exchange.state.accounts["outside"][0] = 614 + 40
    exchange.clear()
    exchange.next_step()
    exchange.clear()
    assert sorted((exchange.lots(0, 0), exchange.lots(0, 1))) == [10, 10]
    assert exchange.status(0) == s.OPEN
    checked(exchange)
