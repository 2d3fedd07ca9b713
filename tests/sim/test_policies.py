"""Liquidation policies, by examples worked by hand.

Mostly account 0 is long 10 lots at 100 with 1000 in cash (a tick of a lot is worth 10), and the mark is 94: equity 400
against a maintenance of 1/16 of 9400, 588.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin import forced_limits
from sim import invariants
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.kernels import clearing, limits, messages, pace
from sim.kernels import state as s
from sim.liquidation import (
    POLICIES,
    LiquidationPolicy,
    actions_per_step,
    flow_cap,
    parameters,
    policy,
    policy_problems,
    synthetix_flow,
)
from sim.policy_parameters import PolicyParameters
from sim.waterfall import Waterfall
from tests.sim.exchange import FUND, Exchange, contract

RICH = 10**9


def long_10(
    bids: list[tuple[int, int]], ask: int = 95, *, cash: int = 1000, lots: int = 10, extra: int = 0, **how: Any
) -> Exchange:
    """Account 0 long at 100 from account 1; account 2 bids (lots, price), account 3 asks one lot; marks re-read."""
    exchange = Exchange(4 + extra, **how)
    exchange.deposit(0, cash)
    for account in range(1, 4 + extra):
        exchange.deposit(account, RICH)
    exchange.trade(0, 1, lots)
    for quantity, price in bids:
        exchange.rest(2, s.BUY, quantity, price)
    exchange.rest(3, s.SELL, 1, ask)
    exchange.remark()
    return exchange


def fund(exchange: Exchange) -> int:
    return exchange.special(FUND)


def sold(exchange: Exchange) -> list[tuple[int, int]]:
    """Forced orders of this step: round, lots ordered (signed)."""
    return [
        (int(e["reason"]), int(e["a"])) for e in exchange.events(s.EV_LIQUIDATION) if e["step"] == step_of(exchange)
    ]


def step_of(exchange: Exchange) -> int:
    return exchange.meta(s.M_STEP)


def onwards(exchange: Exchange, mark: int | None = None) -> None:
    """The next step; with ``mark`` account 2 bids a tick below it for whatever comes."""
    exchange.next_step()
    if mark is not None:
        exchange.send(3, s.CANCEL_ALL)
        exchange.send(2, s.CANCEL_ALL)
        exchange.batch()
        exchange.rest(2, s.BUY, 10**6, mark - 1)
        exchange.rest(3, s.SELL, 1, mark + 1)
        exchange.remark()


# -- Hyperliquid (T7) --------------------------------------------------------------------------------------------------

LARGE = [contract("a", max_lots=10**7)]


def large(lots: int = 20_000, cash: int = 2_000_000, dt: float = 10.0, **how: Any) -> Exchange:
    """20,000 lots are worth 188,000 at 94; equity 8,000 against 11,750, of which two thirds are 7,833."""
    how = {"policy": POLICIES["hyperliquid"], "contracts": LARGE, "fund": RICH} | how
    return long_10([(10**6, 93)], cash=cash, lots=lots, dt=dt, **how)


def test_t7_a_large_position_goes_in_two_steps() -> None:
    exchange = large()
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (16_000, s.LIQUIDATING)
    assert sold(exchange) == [(0, -4_000)]
    for _ in range(2):  # ten and twenty seconds later: the account is left alone, and rounds do not spin
        onwards(exchange)
        assert exchange.clear() == 0
        assert (exchange.lots(0), sold(exchange)) == (16_000, [])
    onwards(exchange)
    assert exchange.clear() == 1
    assert sold(exchange) == [(0, -16_000)]
    assert (exchange.lots(0), exchange.status(0)) == (0, s.OPEN)
    assert exchange.wallet(0) == 2_000_000 - 20_000 * 70
    assert exchange.meta(s.M_LIQUIDATIONS) == 1
    invariants.check(exchange.state)


def test_t7_a_step_of_a_minute_holds_both() -> None:
    exchange = large(dt=60.0)
    assert exchange.clear() == 2
    assert sold(exchange) == [(0, -4_000), (1, -16_000)]
    assert exchange.lots(0) == 0


def test_t7_a_small_position_goes_whole_at_once() -> None:
    exchange = large(lots=10_000, cash=1_000_000)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (0, s.OPEN)


def test_t7_what_is_whole_is_decided_position_by_position() -> None:
    terms = [contract("a", max_lots=10**7), contract("b", max_lots=10**7)]
    exchange = large(contracts=terms, cash=2_200_000)
    exchange.trade(0, 1, 1_000, 100, 1)
    exchange.rest(2, s.BUY, 5_000, 93, 1)
    exchange.rest(3, s.SELL, 1, 95, 1)
    exchange.remark()
    exchange.clear()
    assert (exchange.lots(0, 0), exchange.lots(0, 1)) == (16_000, 0)


def test_t7_below_two_thirds_of_maintenance_the_whole_account_goes_at_once() -> None:
    """At 93 the 16,000 lots left need 930,000; 760,000 - 160,000 = 600,000 are under two thirds of it, 620,000."""
    exchange = large()
    exchange.clear()
    onwards(exchange, 93)
    exchange.clear()
    assert sold(exchange) == []
    assert (exchange.lots(0), exchange.wallet(0)) == (0, 0)
    assert exchange.lots(fund(exchange)) == 16_000
    assert exchange.wallet(fund(exchange)) + int(exchange.state.positions["cost"][fund(exchange), 0]) > 0
    assert exchange.equity(fund(exchange)) == RICH + 600_000  # the maintenance is not returned
    invariants.check(exchange.state)


def test_t7_the_vault_takes_it_only_below_two_thirds() -> None:
    """Equity x 3 against maintenance x 2, to the unit: 783,334 of 1,175,000 stays on the market, 783,333 does not."""
    for cash, taken in ((1_983_334, False), (1_983_333, True)):
        exchange = large(cash=cash)
        exchange.clear()
        assert (exchange.lots(fund(exchange)) > 0) == taken


def test_t7_a_backstop_that_cannot_carry_it_leaves_it_to_the_market() -> None:
    exchange = large(cash=1_100_000, fund=0)  # 100,000 below zero
    exchange.clear()
    assert exchange.lots(fund(exchange)) == 0
    assert sold(exchange) == [(0, -4_000)]


def test_t7_an_account_that_recovers_within_the_cooldown_is_free_again() -> None:
    exchange = large()
    exchange.clear()
    onwards(exchange, 97)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (16_000, s.OPEN)
    row = exchange.state.accounts[0]
    assert (row["reference"], row["wait_until"], row["rounds"]) == (-1, 0, 0)


def test_t7_isolated_positions_have_a_cooldown_each() -> None:
    terms = [contract("a", max_lots=10**7), contract("b", max_lots=10**7)]
    exchange = Exchange(4, regime="isolated", contracts=terms, policy=POLICIES["hyperliquid"], dt=10.0, fund=RICH)
    exchange.deposit(0, 10_000_000)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    for c, lots in ((0, 20_000), (1, 500)):
        exchange.trade(0, 1, lots, 100, c)
        exchange.rest(2, s.BUY, 10**5, 92, c)
        exchange.rest(3, s.SELL, 1, 94, c)
    exchange.remark()
    exchange.clear()
    assert (exchange.lots(0, 0), exchange.lots(0, 1)) == (16_000, 0)
    for left in (16_000, 16_000, 0):
        onwards(exchange)
        exchange.clear()
        assert exchange.lots(0, 0) == left
    assert int(exchange.state.positions["wait_until"][0, 0]) == 0
    invariants.check(exchange.state)


# -- other paces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cooldown", "dt", "expected"), [
    (0, 60, 1), (1, 60, 60), (30, 60, 2), (25, 60, 2), (60, 60, 1), (90, 60, 1), (0.1, 60, 600), (0.001, 3600, 1000),
])  # fmt: skip
def test_actions_of_a_step(cooldown: float, dt: float, expected: int) -> None:
    assert actions_per_step(cooldown, dt) == expected


def test_deribit_acts_once_a_second_until_maintenance_is_met() -> None:
    """Equity 400 against 588: 188 / 588 = .32, 4 lots at 93 cost 40; 360 against 352.5 left."""
    exchange = long_10([(100, 93)], policy=POLICIES["deribit"], dt=1.0)
    assert exchange.clear() == 1
    assert (exchange.lots(0), exchange.status(0)) == (6, s.OPEN)


def test_deribit_goes_on_a_second_later_where_the_book_was_thin() -> None:
    exchange = long_10([(1, 93), (1, 92), (50, 91)], policy=POLICIES["deribit"], dt=1.0)
    lots = [10]
    for _ in range(5):
        rounds = exchange.clear()
        assert rounds <= 1
        lots.append(exchange.lots(0))
        if exchange.status(0) == s.OPEN:
            break
        onwards(exchange)
        exchange.remark()
    assert lots == sorted(lots, reverse=True)
    assert exchange.meta(s.M_LIQUIDATIONS) == 1
    invariants.check(exchange.state)


def test_deribit_acts_sixty_times_in_a_step_of_a_minute() -> None:
    exchange = long_10([(1, 93)] * 1, policy=POLICIES["deribit"])
    assert int(exchange.state.policy[s.LP_ACTIONS]) == 60
    assert pace.is_ready(exchange.state, 0, -1)
    for n in range(60):
        assert pace.is_ready(exchange.state, 0, -1), n
        pace.note_action(exchange.state, 0, -1)
    assert not pace.is_ready(exchange.state, 0, -1)
    exchange.next_step()
    assert pace.is_ready(exchange.state, 0, -1)


def test_a_cooldown_starts_only_when_something_was_closed() -> None:
    exchange = long_10([], 200, policy=POLICIES["hyperliquid"], dt=10.0)
    exchange.set_mark(94)
    exchange.clear()
    assert exchange.lots(0) == 10
    assert pace.is_ready(exchange.state, 0, -1)


def test_the_flow_cap_of_a_window() -> None:
    """Two lots a second over a window of three steps of a second: six at once, then as the window moves on."""
    rule = replace(POLICIES["synthetix"], flow_lots_per_second=2.0, flow_window_seconds=3.0)
    exchange = long_10([(100, 93)], cash=1700, lots=20, policy=rule, dt=1.0)
    left = [20]
    for _ in range(8):
        exchange.clear()
        left.append(exchange.lots(0))
        exchange.next_step()
        exchange.remark()
    assert left == [20, 14, 14, 14, 8, 8, 8, 2, 2]
    invariants.check(exchange.state)


def test_the_flow_cap_is_shared_by_all_accounts_of_a_contract() -> None:
    rule = replace(POLICIES["synthetix"], flow_lots_per_second=0.2, flow_window_seconds=0.0)  # 12 in a minute
    exchange = long_10([(100, 93)], policy=rule, extra=1)
    exchange.deposit(4, 1000 - RICH)
    exchange.trade(4, 1, 10)
    exchange.clear()
    assert exchange.lots(0) + exchange.lots(4) == 8
    assert exchange.clear() == 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 7), st.integers(1, 12))
def test_no_window_sees_more_than_the_cap(wanted: list[int], window: int, cap: int) -> None:
    exchange = Exchange(1)
    exchange.state.policy[s.LP_FLOW], exchange.state.policy[s.LP_FLOW_WINDOW] = cap, window
    given_: list[int] = []
    for lots in wanted:
        allowed = min(lots, int(pace.flow_room(exchange.state, 0)))
        assert allowed == min(lots, cap - sum(given_[-window + 1 :] if window > 1 else []))
        pace.note_flow(exchange.state, 0, allowed)
        given_.append(allowed)
        exchange.state.meta[s.M_STEP] += 1


def test_synthetix_states_its_cap_by_fees_and_skew_scale() -> None:
    assert synthetix_flow(0.0002, 0.0008, 100_000, 1.5) == pytest.approx(150)
    assert flow_cap(replace(POLICIES["synthetix"], flow_lots_per_second=150.0), 1.0) == (4_500, 30)
    assert flow_cap(replace(POLICIES["synthetix"], flow_lots_per_second=150.0), 60.0) == (9_000, 1)
    assert flow_cap(POLICIES["full"], 60.0) == (0, 1)


def test_who_is_held_up_by_the_cap_does_not_come_to_the_last_resort_while_it_has_equity() -> None:
    rule = replace(POLICIES["synthetix"], flow_lots_per_second=0.05, flow_window_seconds=0.0)
    exchange = long_10([(100, 93)], policy=rule, limit=s.LIMIT_BANKRUPTCY, fund=10**6)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(fund(exchange))) == (7, 0)
    onwards(exchange)
    exchange.send(2, s.CANCEL_ALL)
    exchange.batch()
    exchange.set_mark(84)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(fund(exchange))) == (0, 7)
    invariants.check(exchange.state)


# -- close factors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cash", "first"), [(1176, 5), (1159, 5), (1158, 10), (1000, 10)])
def test_half_is_closed_above_the_close_health(cash: int, first: int) -> None:
    """Maintenance 588 at 94: equity 576 and 559 are above .95 of it (558.6), 558 and 400 are not."""
    rule = replace(POLICIES["aave"], outlet="book")
    exchange = long_10([(100, 93)], cash=cash, policy=rule, rounds=1)
    exchange.clear()
    assert sold(exchange) == [(0, -first)]


def test_t15_close_factor_of_a_margin_account() -> None:
    """Health is equity over maintenance: .96 x 588 closes a half, .94 x 588 all."""
    for health, lots in ((0.96, 5), (0.94, 10)):
        exchange = long_10([], 200, cash=600 + round(health * 588), policy=replace(POLICIES["aave"], protocol_share=0))
        exchange.set_mark(94)
        messages.push_bid(exchange.state, 2, 0, s.BUY, 100, 0)
        exchange.state.meta[s.M_ROUNDS_MAX] = 1
        exchange.clear()
        assert (10 - exchange.lots(0), exchange.lots(2)) == (lots, lots)


def test_liquidators_alone_take_over_at_the_bonus() -> None:
    """No bid of the book is hit; a liquidator takes half at 94 x .95, then the rest."""
    rule = replace(POLICIES["aave"], protocol_share=0.0)
    exchange = long_10([(100, 93)], cash=1170, policy=rule, rounds=1)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (10, s.LIQUIDATING)
    onwards(exchange)
    messages.push_bid(exchange.state, 3, 0, s.BUY, 100, 0)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(3)) == (5, 5)
    assert int(exchange.state.positions["cost"][3, 0]) == pytest.approx(5 * 940 * 0.95, abs=1)
    invariants.check(exchange.state)


def test_liquidators_nobody_of_whom_comes_leave_the_loss_to_the_waterfall() -> None:
    exchange = long_10([], 200, policy=POLICIES["aave"], fund=10**5)
    exchange.set_mark(91)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(fund(exchange))) == (10, 0)
    exchange.set_mark(89)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (0, s.CLOSED)
    assert (exchange.lots(fund(exchange)), exchange.meta(s.M_BAD_DEBT)) == (10, 100)
    invariants.check(exchange.state)


def test_drift_closes_a_quarter_at_a_time() -> None:
    """Equity 560 of 588. 3 lots at 93: 530 of 412; done. With 515 (.876): 485 of 412."""
    exchange = long_10([(100, 93)], cash=1160, policy=POLICIES["drift"])
    exchange.clear()
    assert (sold(exchange), exchange.lots(0)) == ([(0, -3)], 7)
    deep = long_10([(100, 93)], cash=1068, policy=POLICIES["drift"])  # 468 is under four fifths of 588
    deep.clear()
    assert sold(deep) == [(0, -10)]


# -- limits ------------------------------------------------------------------------------------------------------------


def fillable_of(exchange: Exchange, side: int, part: int, own: int, required: int) -> int:
    rating = limits.bankruptcy_rating(exchange.state, own, required)
    return int(limits.fillable_limit(exchange.state, 0, 0, side, rating, part))


def test_t6_fillable_price() -> None:
    """Long 1 at 50,000, collateral 1,000, maintenance 1,500: 49,250; the short mirror 50,750; bankruptcy 49,000."""
    assert forced_limits.fillable_price(1, 50_000, 1_500, 1_000, 1_500) == 49_250
    assert forced_limits.fillable_price(-1, 50_000, 1_500, 1_000, 1_500) == 50_750
    assert forced_limits.bankruptcy_price(1, 50_000, 1_500, 1_000, 1_500) == 49_000
    assert forced_limits.bankruptcy_price(-1, 50_000, 1_500, 1_000, 1_500) == 51_000


def test_t6_fillable_price_of_the_exchange() -> None:
    """The same in the exchange: maintenance 3 %, and 1,000 left at a mark of 50,000."""
    terms = contract("btc", tick_value=1, initial_price=50_000, max_price=1 << 20, fee_liquidation=0.0)
    for limit, below, above in ((s.LIMIT_FILLABLE, 49_250, 50_750), (s.LIMIT_BANKRUPTCY, 49_000, 51_000)):
        exchange = Exchange(
            2, contracts=[terms], cash=1_000, limit=limit, policy=POLICIES["dydx" if limit == 3 else "full"]
        )
        exchange.state.rate_maintenance[:] = round(0.03 * s.RATE_ONE)
        exchange.trade(0, 1, 1, 50_000)
        for account, side, expected in ((0, s.SELL, below), (1, s.BUY, above)):
            required = int(exchange.evaluate(exchange.state, account, -1, s.MAINTENANCE))
            assert required in (1_500, 1_501)
            rating = limits.bankruptcy_rating(exchange.state, 1_000, 1_500)
            found = limits.order_limit(exchange.state, account, -1, 0, side, rating, 1_500)
            assert found == expected


@given(
    st.integers(100, 3_000), st.integers(1, 500), st.booleans(), st.integers(-20_000, 20_000), st.integers(1, 40_000),
    st.floats(0.1, 3), st.floats(0, 3),
)  # fmt: skip
def test_the_fillable_kernel_is_the_formula_to_a_tick(
    mark: int, lots: int, long: bool, own: int, part: int, slope: float, spread: float
) -> None:
    rule = replace(POLICIES["dydx"], bankruptcy_adjustment=slope, spread_to_maintenance=spread)
    exchange = Exchange(2, policy=rule, limit=s.LIMIT_FILLABLE, contracts=[contract("a", max_price=1 << 20)])
    exchange.trade(0, 1, lots) if long else exchange.trade(1, 0, lots)
    exchange.set_mark(mark)
    required = part + 7
    exact = forced_limits.fillable_price(lots if long else -lots, mark * 10, part, own, required, slope, spread) / 10
    found = fillable_of(exchange, s.SELL if long else s.BUY, part, own, required)
    assert found == pytest.approx(min(max(exact, 1), 1 << 20), abs=1.01 + 0.3 / lots)


def test_a_fillable_price_of_an_inverse_contract() -> None:
    """Worth V coins at mark P, a loss of a is a price of P / (1 + a / V) for a long, P / (1 - a / V) for a short."""
    terms = Contract(
        "coin", kind="inverse_perpetual", currency="BTC", tick_value=10**9, initial_price=1000, max_price=1 << 16
    )
    exchange = Exchange(2, contracts=[terms], policy=POLICIES["dydx"], limit=s.LIMIT_FILLABLE, cash=10**8)
    exchange.trade(0, 1, 100, 1000)
    value = 100 * 10**6
    for account, side, sign in ((0, s.SELL, 1), (1, s.BUY, -1)):
        rating = limits.bankruptcy_rating(exchange.state, 0, 10)
        found = int(limits.fillable_limit(exchange.state, account, 0, side, rating, value // 30))
        assert found == pytest.approx(1000 / (1 + sign * 1.5 / 30), abs=1)


def test_dydx_waits_for_who_pays_its_price_and_falls_to_the_waterfall_without_equity() -> None:
    """Equity 400 of 588: rating .32, so 1.5 x .32 x 588 = 282 over 10 lots: 94 - 2.8 = 91.2; a bid at 91 is too low."""
    exchange = long_10([(100, 91)], 97, policy=POLICIES["dydx"], limit=s.LIMIT_FILLABLE, fund=10**5)
    exchange.clear()
    assert [int(e["c"]) for e in exchange.events(s.EV_LIQUIDATION)] == [92]
    assert (exchange.lots(0), exchange.status(0)) == (10, s.LIQUIDATING)
    onwards(exchange)
    exchange.rest(3, s.BUY, 100, 92)
    exchange.rest(3, s.SELL, 1, 96)
    exchange.remark()
    exchange.clear()
    assert (exchange.lots(0), exchange.wallet(0)) == (0, 200)
    bare = long_10([], 200, policy=POLICIES["dydx"], limit=s.LIMIT_FILLABLE, fund=10**5)
    bare.set_mark(89)
    bare.clear()
    assert (bare.lots(0), bare.lots(fund(bare))) == (0, 10)
    invariants.check(bare.state)


# -- backstop ----------------------------------------------------------------------------------------------------------


def test_the_backstop_takes_the_account_at_its_bankruptcy_price() -> None:
    exchange = long_10([(100, 93)], policy=POLICIES["backstop"], fund=1000)
    exchange.clear()
    assert (exchange.lots(0), exchange.wallet(0), exchange.lots(fund(exchange))) == (0, 0, 10)
    assert exchange.equity(fund(exchange)) == 1000 + 400
    invariants.check(exchange.state)


def test_compound_returns_what_the_penalty_leaves() -> None:
    """9400 at mark, 5 % of it 470; of an equity of 570 the account keeps 100."""
    exchange = long_10([(100, 93)], cash=1170, policy=POLICIES["compound"], fund=1000)
    exchange.clear()
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 100, s.OPEN)
    assert exchange.equity(fund(exchange)) == 1000 + 470
    invariants.check(exchange.state)


@pytest.mark.parametrize("surplus", [False, True])
def test_compound_with_isolated_pockets(surplus: bool) -> None:
    """The pocket of 1250 is worth 550 at 93; the penalty is 465."""
    exchange = long_10([], 200, cash=6000, regime="isolated", policy=POLICIES["compound"], fund=1000, surplus=surplus)
    exchange.set_mark(93)
    exchange.clear()
    assert (exchange.lots(0), exchange.pocket(0)) == (0, 0)
    assert exchange.wallet(0) == 4750 + (0 if surplus else 85)
    assert exchange.equity(fund(exchange)) == 1000 + (550 if surplus else 465)
    invariants.check(exchange.state)


def test_a_backstop_without_means_goes_to_the_last_resort() -> None:
    exchange = long_10([(100, 80)], 98, policy=POLICIES["backstop"], fund=50)
    exchange.clear()
    assert (exchange.lots(0), exchange.status(0)) == (0, s.CLOSED)
    assert exchange.lots(fund(exchange)) == 0
    assert exchange.meta(s.M_BAD_DEBT) == 1000
    invariants.check(exchange.state)


# -- what a policy may be ----------------------------------------------------------------------------------------------


def test_every_policy_is_valid_and_says_what_it_is() -> None:
    for name, rule in POLICIES.items():
        limit = rule.limits[0] if rule.limits else "none"
        assert policy_problems(rule, 1.0, limit, ("fund", "socialise")) == [], name
        assert rule.summary, name
        assert rule.source, name


def test_the_validated_parameters_are_those_of_the_policy() -> None:
    fields = PolicyParameters.model_fields
    assert tuple(fields) == parameters()
    plain = LiquidationPolicy()
    assert {key: field.default for key, field in fields.items()} == {key: getattr(plain, key) for key in fields}
    assert PolicyParameters(bonus=0.1).model_dump() == {"bonus": 0.1}


FUND_FIRST = ("fund", "socialise")
BAD: list[tuple[dict[str, Any], str, tuple[str, ...], str]] = [
    ({"target_ratio": 0.99}, "none", FUND_FIRST, "policy.target_ratio = 0.99; allowed: a number of at least 1"),
    ({"bonus": -0.01}, "none", FUND_FIRST, "policy.bonus = -0.01; allowed: a number of at least 0"),
    ({"step_fraction": 0.0}, "none", FUND_FIRST, "policy.step_fraction = 0.0; allowed: a number above 0"),
    ({"step_fraction": 1.01}, "none", FUND_FIRST, "policy.step_fraction = 1.01; allowed: a number of at most 1"),
    ({"close_fraction": float("nan")}, "none", FUND_FIRST, "policy.close_fraction = nan"),
    ({"cooldown_seconds": -1}, "none", FUND_FIRST, "policy.cooldown_seconds = -1"),
    ({"size": "half"}, "none", FUND_FIRST, "policy.size = 'half'; allowed: full, target, step, close_factor"),
    ({"hedge_first": 1}, "none", FUND_FIRST, "policy.hedge_first = 1; allowed: true or false"),
    ({"backstop_ratio": 0.5}, "none", ("adl",), "policy.backstop_ratio = 0.5; allowed: 0, or a fund or vault"),
    ({"outlet": "backstop"}, "none", ("adl",), "policy.outlet = 'backstop'; allowed: another outlet, or"),
    ({"outlet": "auction"}, "none", FUND_FIRST, "policy.auction = 'none'; allowed: clip or share"),
    ({"auction": "clip"}, "none", FUND_FIRST, "policy.auction = 'clip'; allowed: none with the outlet bids_then_book"),
    ({"limits": ("fillable",)}, "band", FUND_FIRST, "forced_limit = 'band'; allowed: fillable"),
    ({"bonus": 0.2, "bonus_most": 0.1}, "none", FUND_FIRST, "policy.bonus = 0.2; allowed: at most bonus_most"),
    (
        {"flow_lots_per_second": 0.5}, "none", FUND_FIRST,
        "policy.flow_lots_per_second = 0.5; allowed: at least one lot within its window",
    ),
    (
        {"flow_lots_per_second": 5, "flow_window_seconds": 63.0}, "none", FUND_FIRST,
        "policy.flow_window_seconds = 63.0; allowed: at most 62 steps of 1 s",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "limit", "layers", "expected"), BAD)
def test_bad_parameters_get_one_clear_line(
    changes: dict[str, Any], limit: str, layers: tuple[str, ...], expected: str
) -> None:
    found = [str(problem) for problem in policy_problems(replace(POLICIES["full"], **changes), 1.0, limit, layers)]
    assert len(found) == 1
    assert found[0].startswith("clearing." + expected)


def test_a_market_refuses_a_policy_that_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"clearing\.policy\.target_ratio"):
        Exchange(2, policy=replace(POLICIES["partial"], target_ratio=0.5))
    with pytest.raises(ConfigError, match="last resort"):
        Exchange(2, waterfall=Waterfall(layers=("fund",)))
    with pytest.raises(ConfigError, match="each layer once"):
        Exchange(2, waterfall=Waterfall(layers=("fund", "fund", "adl")))


def test_policies_are_named_and_changed() -> None:
    assert policy("drift", {"close_fraction": 0.1}) == replace(POLICIES["drift"], close_fraction=0.1)
    with pytest.raises(ConfigError, match='did you mean "drift"'):
        policy("drft")
    with pytest.raises(ConfigError, match='did you mean "bonus"'):
        policy("drift", {"bonsu": 1})
    with pytest.raises(ConfigError, match=r"clearing\.policy\.summary"):
        policy("drift", {"summary": "x"})


@pytest.mark.parametrize(("name", "limit", "expected"), [
    ("full", s.LIMIT_NONE, False), ("full", s.LIMIT_BAND, True), ("drift", s.LIMIT_NONE, False),
    ("aave", s.LIMIT_NONE, True), ("backstop", s.LIMIT_NONE, True), ("maker_clip", s.LIMIT_NONE, True),
])  # fmt: skip
def test_a_last_resort_follows_where_something_may_be_left(name: str, limit: int, expected: bool) -> None:
    assert clearing.has_last_resort(Exchange(2, policy=POLICIES[name], limit=limit).state) == expected
