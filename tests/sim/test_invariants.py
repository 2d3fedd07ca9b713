"""A leak of one unit stops the run and says where."""

from __future__ import annotations

import pytest

from sim import invariants
from sim.errors import InvariantError, KernelError
from sim.kernels import book
from sim.kernels import state as s
from sim.liquidation import POLICIES
from sim.market import Market
from tests.sim import markets
from tests.sim.exchange import Exchange, contract

AT = 70


@pytest.fixture
def running() -> Market:
    market = markets.market()
    market.advance(AT)
    market.check()
    return market


def stopped(market: Market) -> InvariantError:
    market.step()
    with pytest.raises(InvariantError) as caught:
        market.check()
    assert f"step {caught.value.step}" in str(caught.value)
    assert caught.value.step == AT + 1
    return caught.value


def holder(market: Market) -> int:
    traders = int(market.state.meta[s.M_TRADERS])
    return int(abs(market.state.positions["lots"][:traders, 0]).argmax())


@pytest.mark.parametrize("leak", [1, -1])
def test_one_unit_of_cash(running: Market, leak: int) -> None:
    account = 31
    running.state.wallets[account, 0] += leak
    error = stopped(running)
    assert error.account == account
    assert abs(error.found - error.expected) == 1
    assert f"account {account}" in str(error)


def test_one_unit_of_cost(running: Market) -> None:
    account = holder(running)
    running.state.positions["cost"][account, 0] += 1
    assert stopped(running).account == account


@pytest.mark.parametrize("leak", [1, -1])
def test_one_lot_of_a_position(running: Market, leak: int) -> None:
    account = holder(running)
    running.state.positions["lots"][account, 0] += leak
    error = stopped(running)
    assert error.account == account
    assert abs(error.found - error.expected) == 1


def test_one_order_of_a_closed_account(running: Market) -> None:
    live = running.state.orders[running.state.orders["side"] != 0]
    account = int(live["account"][live["expiry"] > AT + 5][0])
    running.state.accounts["status"][account] = s.CLOSED
    error = stopped(running)
    assert error.account == account
    assert "closed" in error.invariant


def test_a_reserve_that_does_not_rest(running: Market) -> None:
    running.state.positions["open_buy"][30, 0] += 1
    assert stopped(running).account == 30


def test_a_unit_moved_between_accounts_is_seen_though_the_sum_is_right(running: Market) -> None:
    running.state.wallets[30, 0] += 1
    running.state.wallets[31, 0] -= 1
    assert stopped(running).account == 30


def test_volume_that_the_ledger_does_not_know(running: Market) -> None:
    running.state.meta[s.M_FLOW] += 1
    assert "volume" in stopped(running).invariant


def test_open_interest(running: Market) -> None:
    running.state.quotes["open_interest"][0] += 1
    assert stopped(running).contract == 0


def test_deposits(running: Market) -> None:
    running.state.net_deposits[0] += 1
    assert "deposits" in stopped(running).invariant


def test_a_position_in_the_wrong_bucket(running: Market) -> None:
    traders = int(running.state.meta[s.M_TRADERS])
    account = int((running.state.positions["bucket"][:traders, 0] >= 0).argmax())
    running.state.positions["bucket"][account, 0] += 1
    with pytest.raises(InvariantError) as caught:
        running.check()
    assert caught.value.account == account


def test_an_error_inside_a_kernel_stops_the_run(running: Market) -> None:
    book.submit(running.state, 0, s.BUY, 10**6, 1, 0, s.GTC, 0, 0, 0, 0, 0)
    with pytest.raises(KernelError, match=r"step 71.*1000000"):
        running.advance(5)


def test_a_whole_run_holds_every_invariant() -> None:
    market = markets.market(forced_limit="bankruptcy", policy=POLICIES["partial"], grace_steps=2)
    for _ in range(markets.CRASH + 60):
        market.step()
        invariants.check(market.state)
    assert market.state.meta[s.M_CALLS] > 0
    assert market.state.meta[s.M_LIQUIDATIONS] > 0


def test_an_account_that_neither_index_nor_list_serves() -> None:
    exchange = Exchange(2, contracts=[contract("a"), contract("b")])
    for c in range(2):
        exchange.trade(0, 1, 3, 100, c)
    invariants.check(exchange.state)
    exchange.state.multi_where[0] = -1
    with pytest.raises(InvariantError, match="account 0"):
        invariants.check(exchange.state)
