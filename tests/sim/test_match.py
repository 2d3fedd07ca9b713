"""Working through a batch: new orders, cancels and replaces, and what they leave in the reserves."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.kernels import book
from sim.kernels import state as s
from tests.sim.exchange import Exchange

RICH = 10**7


def quantity(exchange: Exchange, order: int) -> int:
    slot = book.find(exchange.state, order)
    return int(exchange.state.orders["quantity"][slot]) if slot >= 0 else 0


def open_buy(exchange: Exchange, account: int) -> int:
    return int(exchange.state.positions["open_buy"][account, 0])


def reasons(exchange: Exchange) -> list[int]:
    return [int(e["reason"]) for e in exchange.events(s.EV_REFUSED)]


def trial(seed: int, send: Any) -> Exchange:
    """One resting bid of account 0 (10 at 90) and what ``send`` leaves in the next batch."""
    exchange = Exchange(3, cash=RICH)
    exchange.state.meta[s.M_SEED] = seed
    exchange.order = exchange.rest(0, s.BUY, 10, 90)  # type: ignore[attr-defined]
    send(exchange)
    exchange.batch()
    invariants.check(exchange.state)
    return exchange


def test_what_trades_or_dies_is_released() -> None:
    exchange = Exchange(3, cash=RICH)
    exchange.rest(1, s.SELL, 4, 100)
    exchange.send(0, side=s.BUY, lots=10, price=101)
    exchange.send(2, side=s.BUY, lots=5, price=101, tif=s.IOC)
    exchange.batch()
    invariants.check(exchange.state)
    assert open_buy(exchange, 0) + exchange.lots(0) == 10
    assert open_buy(exchange, 2) == 0


@pytest.mark.parametrize(
    ("tif", "reason"), [(s.POST_ONLY, s.R_POST_ONLY), (s.FOK, s.R_FOK)], ids=["post_only", "fill_or_kill"]
)
def test_what_the_book_cannot_take_is_refused_with_a_reason(tif: int, reason: int) -> None:
    exchange = Exchange(3, cash=RICH)
    exchange.rest(1, s.SELL, 4, 100)
    exchange.send(0, side=s.BUY, lots=5, price=100, tif=tif)
    assert exchange.batch() == [0]
    assert reasons(exchange) == [reason]
    assert open_buy(exchange, 0) == 0
    assert exchange.lots(0) == 0


def test_a_reduce_only_order_never_opens() -> None:
    exchange = Exchange(3, cash=RICH)
    exchange.trade(0, 1, 3)
    exchange.rest(2, s.BUY, 50, 99)
    exchange.send(0, side=s.SELL, lots=10, price=99, flags=s.REDUCE_ONLY)
    exchange.send(0, side=s.SELL, lots=10, price=99, flags=s.REDUCE_ONLY)
    exchange.batch()
    assert exchange.lots(0) == 0
    assert reasons(exchange) == [s.R_REDUCE_ONLY]
    invariants.check(exchange.state)


def test_a_market_order_trades_to_the_band_and_no_further() -> None:
    exchange = Exchange(3, cash=RICH)
    exchange.rest(1, s.SELL, 2, 150)
    exchange.rest(1, s.SELL, 2, 151)
    exchange.send(0, side=s.BUY, lots=4, flags=s.MARKET)
    assert exchange.batch() == [1]
    assert exchange.lots(0) == 2
    assert open_buy(exchange, 0) == 0


def test_a_smaller_size_keeps_its_place() -> None:
    exchange = Exchange(4, cash=RICH)
    first = exchange.rest(0, s.BUY, 10, 90)
    exchange.rest(1, s.BUY, 10, 90)
    exchange.send(0, s.REPLACE, lots=6, price=90, ref=first)
    exchange.batch()
    exchange.next_step()
    exchange.send(2, side=s.SELL, lots=6, price=90)
    exchange.batch()
    assert (exchange.lots(0), exchange.lots(1)) == (6, 0)


@pytest.mark.parametrize(("lots", "price"), [(11, 90), (10, 91)])
def test_another_price_or_a_larger_size_loses_it(lots: int, price: int) -> None:
    exchange = Exchange(4, cash=RICH)
    first = exchange.rest(0, s.BUY, 10, 90)
    exchange.rest(1, s.BUY, 10, price)
    exchange.send(0, s.REPLACE, lots=lots, price=price, ref=first)
    exchange.batch()
    invariants.check(exchange.state)
    exchange.next_step()
    exchange.send(2, side=s.SELL, lots=5, price=price)
    exchange.batch()
    assert (exchange.lots(0), exchange.lots(1)) == (0, 5)
    assert quantity(exchange, first) == lots


def test_what_fills_before_a_replace_arrives_counts_against_it() -> None:
    outcomes = set()
    for seed in range(20):

        def send(exchange: Exchange) -> None:
            exchange.send(1, side=s.SELL, lots=4, price=90)
            exchange.send(0, s.REPLACE, lots=12, price=89, ref=exchange.order)  # type: ignore[attr-defined]

        exchange = trial(seed, send)
        sold_first = exchange.lots(0) == 4
        outcomes.add(sold_first)
        # the seller came first: 8 of the 12 are left; else the bid had moved away and all 12 rest
        assert quantity(exchange, exchange.order) == (8 if sold_first else 12)  # type: ignore[attr-defined]
    assert outcomes == {True, False}


def test_a_replace_below_what_filled_ends_the_order() -> None:
    seen = False
    for seed in range(20):

        def send(exchange: Exchange) -> None:
            exchange.send(1, side=s.SELL, lots=7, price=90)
            exchange.send(0, s.REPLACE, lots=5, price=90, ref=exchange.order)  # type: ignore[attr-defined]

        exchange = trial(seed, send)
        filled = exchange.lots(0)
        assert filled in (5, 7)
        seen = seen or filled == 7
        assert quantity(exchange, exchange.order) == 0  # type: ignore[attr-defined]
    assert seen


@pytest.mark.parametrize("sizes", [(5, 20), (20, 5), (20, 20), (20, 30, 4), (3, 3)])
def test_the_last_of_several_replaces_holds(sizes: tuple[int, ...]) -> None:
    def send(exchange: Exchange) -> None:
        for lots in sizes:
            exchange.send(0, s.REPLACE, lots=lots, price=90, ref=exchange.order)  # type: ignore[attr-defined]

    exchange = trial(1, send)
    assert quantity(exchange, exchange.order) == sizes[-1]  # type: ignore[attr-defined]
    assert open_buy(exchange, 0) == sizes[-1]


def test_a_replace_may_trade_at_its_new_price() -> None:
    exchange = Exchange(3, cash=RICH)
    order = exchange.rest(0, s.BUY, 10, 90)
    exchange.rest(1, s.SELL, 4, 95)
    exchange.send(0, s.REPLACE, lots=10, price=95, ref=order)
    exchange.batch()
    invariants.check(exchange.state)
    assert exchange.lots(0) == 4
    assert quantity(exchange, order) == 6


def test_cancelled_lots_stay_reserved_until_they_are_cancelled() -> None:
    """A cancel frees no margin for the account's next message of the same batch."""
    exchange = Exchange(2, cash=1250)
    order = exchange.rest(0, s.BUY, 10, 100)
    exchange.send(0, s.CANCEL, ref=order)
    exchange.send(0, side=s.BUY, lots=1, price=100)
    assert exchange.batch() == [1, 0]
    exchange.next_step()
    exchange.send(0, side=s.BUY, lots=10, price=100)
    assert exchange.batch() == [1]


def test_only_the_owner_cancels() -> None:
    exchange = Exchange(2, cash=RICH)
    order = exchange.rest(0, s.BUY, 10, 90)
    exchange.send(1, s.CANCEL, ref=order)
    exchange.send(1, s.REPLACE, lots=1, price=90, ref=order)
    assert exchange.batch() == [0, 0]
    assert reasons(exchange) == [s.R_UNKNOWN_ORDER] * 2
    assert quantity(exchange, order) == 10


def test_cancelling_all_releases_all() -> None:
    exchange = Exchange(2, cash=RICH)
    for price in (80, 85, 90):
        exchange.rest(0, s.BUY, 2, price)
    exchange.rest(0, s.SELL, 2, 110)
    exchange.send(0, s.CANCEL_ALL, c=-1)
    exchange.batch()
    invariants.check(exchange.state)
    assert exchange.state.accounts["orders"][0] == 0
    assert open_buy(exchange, 0) == 0


def test_a_replace_of_what_is_gone_is_refused() -> None:
    def send(exchange: Exchange) -> None:
        exchange.send(0, s.CANCEL, ref=exchange.order)  # type: ignore[attr-defined]
        exchange.send(0, s.REPLACE, lots=30, price=90, ref=exchange.order)  # type: ignore[attr-defined]

    exchange = trial(1, send)
    assert reasons(exchange) == [s.R_UNKNOWN_ORDER]
    assert open_buy(exchange, 0) == 0
