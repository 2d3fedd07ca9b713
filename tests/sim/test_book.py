"""Rules of the order book, one at a time."""

import numpy as np
import pytest

from sim.book import OrderBook, OrderRefusedError
from sim.kernels import book, orders
from sim.kernels.ladder import LEVELS_MAX
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATION,
    EV_EXPIRED,
    EV_STP,
    FOK,
    GTC,
    IOC,
    M_EVENTS,
    M_FILLS,
    M_LEDGER,
    M_RECORD_REFUSALS,
    M_STATUS,
    M_STEP,
    M_STP,
    MARKET,
    NO_PRICE,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    ST_LADDER,
    ST_OK,
    STP_CANCEL_BOTH,
    STP_CANCEL_INCOMING,
    STP_CANCEL_RESTING,
    STP_OFF,
    allocate,
)
from tests.sim.paired_book import check_structure


def alone(*, contracts=1, **sizes):
    state = allocate(traders=8, contracts=contracts, steps=1, **sizes)
    state.meta[M_LEDGER] = 0
    state.contracts["max_price"] = 2**31 - 2
    return state


def with_ledger(*, contracts=1):
    state = alone(contracts=contracts)
    state.meta[M_LEDGER] = 1
    state.contracts["tick_value"] = 1
    return state


def send(state, side, price, lots, account=0, *, contract=0, tif=GTC, flags=0, expiry=0, loss=0, cause=0, ref=0):
    return int(book.submit(state, contract, side, price, lots, account, tif, flags, expiry, loss, cause, ref))


def fills(state):
    rows = state.fills[: state.meta[M_FILLS]]
    return [(int(f["maker"]), int(f["taker"]), int(f["price"]), int(f["quantity"])) for f in rows]


def lots_of(state, order):
    slot = book.find(state, order)
    return int(state.orders["quantity"][slot]) if slot >= 0 else 0


# ---------------------------------------------------------------------------------------------------------------------
# Matching


def test_better_price_first_then_first_in_time():
    state = alone()
    send(state, SELL, 102, 5, 1)
    send(state, SELL, 101, 5, 2)
    send(state, SELL, 101, 5, 3)
    assert send(state, BUY, 102, 12, 4) == book.NOTHING_RESTS
    assert fills(state) == [(2, 4, 101, 5), (3, 4, 101, 5), (1, 4, 102, 2)]


def test_the_maker_sets_the_price_and_the_rest_stands():
    state = alone()
    send(state, BUY, 100, 5, 1)
    order = send(state, SELL, 97, 8, 2)
    assert fills(state) == [(1, 2, 100, 5)]
    assert lots_of(state, order) == 3
    quote = state.quotes[0]
    assert (quote["bid"], quote["ask"], quote["last"], quote["volume"]) == (NO_PRICE, 97, 100, 5)


def test_a_fill_names_both_orders_cause_and_step():
    state = alone()
    state.meta[M_STEP] = 9
    maker = send(state, SELL, 100, 5, 1)
    taker = send(state, BUY, 100, 8, 2, cause=CAUSE_LIQUIDATION, ref=77)
    fill = state.fills[0]
    assert (fill["maker_order"], fill["taker_order"], fill["step"], fill["side"]) == (maker, taker, 9, BUY)
    assert (fill["cause"], fill["cause_ref"]) == (CAUSE_LIQUIDATION, 77)


def test_immediate_or_cancel_and_market_never_rest():
    state = alone()
    send(state, SELL, 100, 5, 1)
    assert send(state, BUY, 100, 8, 2, tif=IOC) == book.NOTHING_RESTS
    send(state, SELL, 100, 5, 1)
    assert send(state, BUY, 150, 8, 2, flags=MARKET) == book.NOTHING_RESTS
    assert send(state, BUY, 99, 8, 2, tif=IOC) == book.NOTHING_RESTS
    assert [fill[3] for fill in fills(state)] == [5, 5]
    check_structure(state)


def test_fill_or_kill_takes_all_or_nothing():
    state = alone()
    send(state, SELL, 100, 5, 1)
    send(state, SELL, 101, 5, 1)
    assert send(state, BUY, 101, 11, 2, tif=FOK) == book.NOT_FILLABLE
    assert send(state, BUY, 100, 6, 2, tif=FOK) == book.NOT_FILLABLE
    assert send(state, BUY, 99, 1, 2, tif=FOK) == book.NOT_FILLABLE
    assert fills(state) == []
    assert send(state, BUY, 101, 10, 2, tif=FOK) == book.NOTHING_RESTS
    assert [fill[3] for fill in fills(state)] == [5, 5]


@pytest.mark.parametrize(
    ("mode", "most"), [(STP_CANCEL_RESTING, 9), (STP_CANCEL_INCOMING, 4), (STP_CANCEL_BOTH, 4), (STP_OFF, 12)]
)
def test_fill_or_kill_knows_what_self_trade_prevention_leaves(mode, most):
    def ready():
        state = alone()
        state.meta[M_STP] = mode
        for account, lots in ((1, 4), (2, 3), (1, 5)):
            send(state, SELL, 100, lots, account)
        return state

    assert send(ready(), BUY, 100, most + 1, 2, tif=FOK) == book.NOT_FILLABLE
    state = ready()
    assert send(state, BUY, 100, most, 2, tif=FOK) == book.NOTHING_RESTS
    assert sum(fill[3] for fill in fills(state)) == most


def test_post_only_is_refused_if_it_would_cross():
    state = alone()
    send(state, SELL, 100, 5, 1)
    assert send(state, BUY, 100, 5, 2, tif=POST_ONLY) == book.WOULD_CROSS
    assert send(state, BUY, 99, 5, 2, tif=POST_ONLY) >= 0
    assert send(state, SELL, 99, 5, 1, tif=POST_ONLY) == book.WOULD_CROSS
    assert fills(state) == []


# ---------------------------------------------------------------------------------------------------------------------
# Self-trade prevention


@pytest.mark.parametrize(
    ("mode", "traded", "resting_left", "incoming_left"),
    [
        (STP_CANCEL_RESTING, [(1, 2, 100, 4), (3, 2, 100, 5)], 0, 2),
        (STP_CANCEL_INCOMING, [(1, 2, 100, 4)], 3, 0),
        (STP_CANCEL_BOTH, [(1, 2, 100, 4)], 0, 0),
        (STP_OFF, [(1, 2, 100, 4), (2, 2, 100, 3), (3, 2, 100, 4)], 0, 0),
    ],
)
def test_self_trade_prevention(mode, traded, resting_left, incoming_left):
    state = alone()
    state.meta[M_STP] = mode
    send(state, SELL, 100, 4, 1)
    own = send(state, SELL, 100, 3, 2)
    send(state, SELL, 100, 5, 3)
    order = send(state, BUY, 100, 11, 2)
    assert fills(state) == traded
    assert lots_of(state, own) == resting_left
    assert (lots_of(state, order) if order >= 0 else 0) == incoming_left
    if mode != STP_OFF:
        event = state.events[state.meta[M_EVENTS] - 1]
        assert (event["kind"], event["account"], event["reason"], event["a"], event["b"]) == (EV_STP, 2, mode, own, 3)
    check_structure(state)


# ---------------------------------------------------------------------------------------------------------------------
# Ids


def test_an_id_never_means_another_order():
    state = alone()
    seen = set()
    for _ in range(1000):
        order = send(state, BUY, 100, 1)
        assert order > 0
        assert order not in seen
        assert order & 0xFFFFFFFF == 0  # the same slot every time
        assert all(book.find(state, old) < 0 for old in list(seen)[-5:])
        seen.add(order)
        assert book.cancel(state, order) == 1
        assert book.cancel(state, order) == -1


def test_an_order_that_traded_away_is_unknown():
    state = alone()
    first = send(state, SELL, 100, 1, 1)
    send(state, BUY, 100, 1, 2)
    second = send(state, SELL, 100, 1, 1)
    assert book.cancel(state, first) == -1
    assert book.replace(state, first, 101, 5, 0) == book.UNKNOWN_ORDER
    assert lots_of(state, second) == 1


@pytest.mark.parametrize("order", [0, -1, -(2**63), 2**63 - 1, 1, 1 << 32, (1 << 32) | 0xFFFFFFFF, 1 << 62])
def test_any_number_may_be_asked_for(order):
    state = alone()
    send(state, BUY, 100, 1)
    send(state, BUY, 100, 1)
    if order != 1 << 32:  # which is the first order's
        assert book.find(state, order) == -1
        assert book.cancel(state, order) == -1


def test_a_slot_whose_generations_are_used_up_is_retired():
    state = alone(pool=4)
    state.orders["generation"][0] = 2**31 - 1
    last = send(state, BUY, 100, 1)
    assert last == ((2**31 - 1) << 32)
    assert book.find(state, last) == 0
    book.cancel(state, last)
    assert book.find(state, last) == -1
    later = [send(state, BUY, 100, 1) for _ in range(20)]
    assert all(order & 0xFFFFFFFF != 0 for order in later)
    assert len(set(later)) == 20


# ---------------------------------------------------------------------------------------------------------------------
# Replace


def replaced(price, lots):
    """Three orders at one price; the second is replaced; in what turn do they trade?"""
    state = alone()
    made = [send(state, SELL, 100, 5, account) for account in (1, 2, 3)]
    assert book.replace(state, made[1], price, lots, 0) == made[1]
    check_structure(state)
    send(state, BUY, 100, 5 + 5 + lots, 4)
    return [(maker, quantity) for maker, _, _, quantity in fills(state)]


def test_replace_keeps_the_place_iff_only_the_size_falls():
    assert replaced(100, 3) == [(1, 5), (2, 3), (3, 5)]
    assert replaced(100, 5) == [(1, 5), (2, 5), (3, 5)]
    assert replaced(100, 6) == [(1, 5), (3, 5), (2, 6)]
    assert replaced(99, 5) == [(2, 5), (1, 5), (3, 5)]
    assert replaced(101, 5) == [(1, 5), (3, 5)]


def test_replace_may_trade_and_keeps_its_id_on_the_tape():
    state = alone()
    send(state, SELL, 100, 5, 1)
    order = send(state, BUY, 98, 2, 2, cause=CAUSE_LIQUIDATION, ref=5, expiry=40)
    assert book.replace(state, order, 100, 8, 7) == order
    fill = state.fills[0]
    assert (fill["taker_order"], fill["quantity"], fill["price"], fill["taker"]) == (order, 5, 100, 2)
    assert (fill["cause"], fill["cause_ref"]) == (CAUSE_LIQUIDATION, 5)
    row = state.orders[book.find(state, order)]
    assert (row["price"], row["quantity"], row["loss"], row["expiry"]) == (100, 3, 7, 40)
    check_structure(state)
    send(state, SELL, 110, 1, 1)
    assert book.replace(state, order, 110, 1, 7) == book.NOTHING_RESTS
    assert book.find(state, order) == -1
    check_structure(state)


def test_replace_out_of_range_changes_nothing():
    state = alone()
    order = send(state, BUY, 98, 2)
    for price, lots in ((0, 1), (2**31, 1), (98, 0), (98, -3)):
        assert book.replace(state, order, price, lots, 0) == book.INVALID
        assert state.meta[M_STATUS] == ST_LADDER
    row = state.orders[book.find(state, order)]
    assert (row["price"], row["quantity"]) == (98, 2)


# ---------------------------------------------------------------------------------------------------------------------
# Cancel, expiry


def test_cancel_all_takes_one_contract_or_all():
    state = alone(contracts=2)
    for contract in (0, 1):
        for account in (1, 2):
            send(state, BUY, 100, 3 + contract, account, contract=contract)
            send(state, BUY, 90, 3 + contract, account, contract=contract)
    assert book.cancel_all(state, 1, 1) == 8
    assert book.cancel_all(state, 1, -1) == 6
    assert book.cancel_all(state, 1, -1) == 0
    assert state.accounts["orders"][2] == 4
    check_structure(state)


def test_orders_expire_on_their_step_whatever_the_lap():
    state = alone(calendar=8)
    state.meta[M_RECORD_REFUSALS] = 1
    made = {expiry: send(state, BUY, 100, 1, expiry=expiry) for expiry in (3, 11, 19, 12, 0)}
    for step in range(1, 25):
        state.meta[M_STEP] = step
        gone = book.expire(state, step)
        assert gone == (step in made)
        for expiry, order in made.items():
            assert (book.find(state, order) >= 0) == (expiry == 0 or expiry > step)
        check_structure(state)
    written = state.events[: state.meta[M_EVENTS]]
    assert set(written["kind"]) == {EV_EXPIRED}
    assert written["a"].tolist() == [made[3], made[11], made[12], made[19]]


def test_an_order_that_is_gone_already_does_not_rest():
    state = alone()
    state.meta[M_STEP] = 10
    assert send(state, BUY, 100, 1, expiry=10) == book.NOTHING_RESTS
    assert send(state, BUY, 100, 1, expiry=11) >= 0


# ---------------------------------------------------------------------------------------------------------------------
# Reduce-only and reserves


def test_a_resting_reduce_only_order_is_cut_to_the_position():
    state = with_ledger()
    send(state, BUY, 100, 6, 1)
    send(state, SELL, 100, 6, 2)  # 1 is long 6
    order = send(state, SELL, 105, 6, 1, flags=REDUCE_ONLY)
    send(state, BUY, 101, 2, 3)
    send(state, SELL, 101, 2, 1)  # 1 is long 4 now, its order is for 6
    assert send(state, BUY, 105, 5, 4) > 0
    assert fills(state)[-1] == (1, 4, 105, 4)
    assert book.find(state, order) == -1
    assert state.positions["lots"][1, 0] == 0
    check_structure(state)


def test_what_is_over_is_cancelled_at_the_fill():
    state = with_ledger()
    send(state, BUY, 100, 6, 1)
    send(state, SELL, 100, 6, 2)
    order = send(state, SELL, 105, 6, 1, flags=REDUCE_ONLY, loss=3)
    state.positions["open_sell"][1, 0], state.positions["loss_sell"][1, 0] = 6, 18
    send(state, BUY, 101, 2, 3)
    send(state, SELL, 101, 2, 1)
    send(state, BUY, 105, 1, 4)
    assert lots_of(state, order) == 3
    assert (state.positions["open_sell"][1, 0], state.positions["loss_sell"][1, 0]) == (3, 9)
    check_structure(state)


def test_an_incoming_reduce_only_order_is_cut_too():
    state = with_ledger()
    assert send(state, BUY, 100, 6, 1, flags=REDUCE_ONLY) == book.NOTHING_RESTS
    send(state, BUY, 100, 6, 1)
    send(state, SELL, 100, 6, 2)
    assert lots_of(state, send(state, BUY, 90, 9, 2, flags=REDUCE_ONLY)) == 6


def test_fill_or_kill_counts_reduce_only_orders_with_what_they_can_reduce():
    def ready():
        state = with_ledger()
        send(state, BUY, 100, 6, 1)
        send(state, SELL, 100, 6, 2)
        send(state, SELL, 105, 4, 1, flags=REDUCE_ONLY)
        send(state, SELL, 106, 1, 1)
        send(state, SELL, 107, 4, 1, flags=REDUCE_ONLY)  # 6 - 4 - 1: one lot of it can trade
        return state

    assert send(ready(), BUY, 107, 7, 3, tif=FOK) == book.NOT_FILLABLE
    state = ready()
    assert send(state, BUY, 107, 6, 3, tif=FOK) == book.NOTHING_RESTS
    assert state.positions["lots"][1, 0] == 0
    assert state.positions["lots"][3, 0] == 6


def test_fill_or_kill_knows_that_trading_with_others_moves_the_own_position():
    state = with_ledger()
    state.meta[M_STP] = STP_OFF
    send(state, SELL, 100, 5, 2)
    send(state, BUY, 100, 5, 3)
    send(state, SELL, 105, 5, 3, flags=REDUCE_ONLY)
    send(state, BUY, 99, 3, 4)
    send(state, SELL, 99, 3, 3)  # 3 is long 2 now
    send(state, SELL, 104, 4, 2)
    # 4 lots from the other make it long 6, which all 5 of its own order may then reduce
    assert send(state, BUY, 105, 9, 3, tif=FOK) == book.NOTHING_RESTS
    assert fills(state)[-2:] == [(2, 3, 104, 4), (3, 3, 105, 5)]
    assert state.positions["lots"][3, 0] == 6


# ---------------------------------------------------------------------------------------------------------------------
# Pool, tape, ladder


def test_pool_and_tape_grow_and_keep_everything():
    state = alone(pool=2, tape=2)
    made = [send(state, SELL, 100 + k, 1, 1) for k in range(100)]
    assert [lots_of(state, order) for order in made] == [1] * 100
    send(state, BUY, 300, 100, 2)
    assert [fill[2] for fill in fills(state)] == list(range(100, 200))
    check_structure(state)


def test_prices_wander_round_the_ring_without_growth():
    state = alone(window=4096)
    for price in range(1, 60_000, 37):
        bid, ask = send(state, BUY, price, 1, 1), send(state, SELL, price + 3000, 1, 2)
        check_quote = (state.quotes["bid"][0], state.quotes["ask"][0])
        assert check_quote == (price, price + 3000)
        book.cancel(state, bid)
        book.cancel(state, ask)
    assert state.levels.shape[1] == 4096


def test_the_search_for_the_next_price_wraps():
    state = alone(window=4096)
    prices = [4096 * 7 + offset for offset in (-3000, -70, -64, -1, 0, 1, 63, 64, 900)]
    for price in prices:
        send(state, BUY, price, 1, 1)
    found, tick = [], int(state.quotes["bid"][0])
    while tick != NO_PRICE:
        found.append(tick)
        tick = int(book.next_bid_below(state, 0, tick))
    assert found == prices[::-1]
    assert book.next_ask_above(state, 0, 1) == NO_PRICE


def test_a_price_far_off_doubles_the_ladder_of_every_contract():
    state = alone(contracts=2, window=4096)
    for price in (5000, 4000, 8000):
        send(state, BUY, price, price, 1, contract=1)
    send(state, BUY, 10, 1, 1)
    far = send(state, SELL, 40_000, 1, 2)
    assert state.levels.shape == (2, 65_536)
    check_structure(state)
    assert [int(book.depth_at(state, 1, price)) for price in (4000, 5000, 8000)] == [4000, 5000, 8000]
    book.cancel(state, far)
    assert state.quotes["ask"][0] == NO_PRICE


@pytest.mark.parametrize(("span", "window"), [(4095, 4096), (4096, 8192), (8191, 8192), (8192, 16_384)])
def test_the_ladder_grows_exactly_when_two_prices_would_share_a_level(span, window):
    state = alone(window=4096)
    send(state, BUY, 5000, 1, 1)
    send(state, SELL, 5000 + span, 1, 2)
    assert state.levels.shape[1] == window
    check_structure(state)
    assert (state.quotes["bid"][0], state.quotes["ask"][0]) == (5000, 5000 + span)


def test_bounds_tighten_before_the_ladder_grows():
    state = alone(window=4096)
    far = send(state, BUY, 10, 1)
    send(state, BUY, 4000, 1)
    book.cancel(state, far)
    send(state, SELL, 7000, 1, 1)  # 7000 - 10 is more than the window, 7000 - 4000 is not
    assert state.levels.shape[1] == 4096
    check_structure(state)


def test_a_price_out_of_reach_is_refused_and_noted():
    state = alone(window=4096)
    send(state, BUY, 1, 1)
    assert send(state, SELL, LEVELS_MAX + 1, 1, 1) == book.INVALID
    assert state.meta[M_STATUS] == ST_LADDER
    assert state.levels.shape[1] == 4096
    check_structure(state)


@pytest.mark.parametrize(
    "order",
    [
        {"price": 0},
        {"price": -5},
        {"price": 2**31},
        {"lots": 0},
        {"lots": -1},
        {"side": 0},
        {"side": 2},
        {"account": -1},
        {"account": 12},
        {"contract": 1},
        {"contract": -1},
    ],
)
def test_orders_out_of_range_are_refused_and_noted(order):
    state = alone()
    assert state.meta[M_STATUS] == ST_OK
    assert send(state, **{"side": BUY, "price": 100, "lots": 1, **order}) == book.INVALID
    assert state.meta[M_STATUS] == ST_LADDER
    check_structure(state)


def test_books_of_one_market_do_not_touch():
    state = alone(contracts=3)
    send(state, SELL, 100, 5, 1, contract=0)
    send(state, BUY, 100, 5, 2, contract=1)
    assert fills(state) == []
    send(state, BUY, 100, 5, 2, contract=0)
    assert state.quotes["volume"].tolist() == [5, 0, 0]
    assert state.fills[0]["contract"] == 0


# ---------------------------------------------------------------------------------------------------------------------
# Questions


def test_depth_levels_and_cost():
    state = alone()
    for price, lots in ((100, 5), (101, 6), (105, 7)):
        send(state, SELL, price, lots, 1)
    for price, lots in ((98, 2), (90, 3)):
        send(state, BUY, price, lots, 2)
    assert book.depth_within(state, 0, 90, 101) == 16
    assert book.depth_within(state, 0, 91, 97) == 0
    assert book.depth_within(state, 0, -(10**12), 10**12) == 23
    assert [int(book.depth_at(state, 0, p)) for p in (100, 99, 0, 100 + 8192)] == [5, 0, 0, 0]
    assert book.cost_to_fill(state, 0, BUY, 12) == 5 * 100 + 6 * 101 + 105
    assert book.cost_to_fill(state, 0, SELL, 5) == 2 * 98 + 3 * 90
    assert book.cost_to_fill(state, 0, SELL, 6) == NO_PRICE
    assert tuple(book.sweep(state, 0, SELL, 6)) == (5, 466, 90)
    prices, lots = np.zeros(2, np.int64), np.zeros(2, np.int64)
    assert book.levels_of(state, 0, SELL, prices, lots, 2) == 2
    assert (prices.tolist(), lots.tolist()) == ([100, 101], [5, 6])
    slots = np.zeros(1, np.int64)
    assert book.orders_at(state, 0, 100, slots) == 1
    assert book.order_id(state, int(slots[0])) == orders.order_id(state, int(slots[0]))


def test_an_empty_book_answers():
    state = alone()
    assert book.depth_within(state, 0, 1, 10**9) == 0
    assert book.cost_to_fill(state, 0, BUY, 1) == NO_PRICE
    assert book.best_price(state, 0, BUY) == book.best_price(state, 0, SELL) == NO_PRICE
    assert book.next_bid_below(state, 0, 100) == book.next_ask_above(state, 0, 100) == NO_PRICE


# ---------------------------------------------------------------------------------------------------------------------
# The object


def test_order_book_object():
    market = OrderBook(max_price=1000, accounts=4)
    first = market.limit("sell", 101, 5, account=1)
    second = market.limit("sell", 102, 5, account=2, expiry=3)
    market.limit("buy", 99, 4, account=3)
    assert (market.best_bid, market.best_ask, len(market), market.last) == (99, 101, 3, None)
    assert market.cost_to_fill("buy", 10) == pytest.approx(101.5)
    assert market.cost_to_fill("buy", 11) is None
    assert market.fok("buy", 102, 11) == 0
    assert market.ioc("buy", 101, 3) == 3
    assert market.last == 101
    assert market.replace(first, 103, 6) == first
    assert [row.tolist() for row in market.l2(5)["asks"]] == [(102, 5), (103, 6)]
    assert [int(row["order"]) for row in market.l3()][1:] == [second, first]
    assert market.advance_to(3) == 1
    assert market.depth(100, 110) == 6
    assert market.market("buy", 10, account=3) == 6
    assert market.cancel(first) is None
    assert market.cancel_all(3) == 4
    assert market.volume == 9
    assert market.trades_frame()["quantity"].tolist() == [3, 6]
    assert market.limit("buy", 99, 1) is not None


def test_order_book_object_refuses_in_words():
    market = OrderBook(max_price=1000, accounts=4)
    market.limit("sell", 101, 5, account=1)
    for wrong, words in (
        (lambda: market.limit("buy", 0, 1), "price = 0"),
        (lambda: market.limit("buy", 1001, 1), "1 .. 1000"),
        (lambda: market.limit("buy", 5, 0), "quantity = 0"),
        (lambda: market.limit("buy", 5, 1, account=4), "account = 4; allowed: 0 .. 3"),
        (lambda: market.limit("hold", 5, 1), "'buy', 'sell'"),
        (lambda: market.limit("buy", 5, 1, expiry=-1), "expiry = -1"),
        (lambda: market.post_only("buy", 101, 1), "would cross"),
        (lambda: market.replace(12345, 5, 1), "no live order"),
        (lambda: OrderBook.of(market._state, 0).limit("buy", 5, 1), "through the market"),
    ):
        with pytest.raises(OrderRefusedError, match=words):
            wrong()
    with pytest.raises(ValueError, match="cancel_resting, cancel_incoming"):
        OrderBook(self_trade_prevention="maybe")
    assert len(OrderBook.of(market._state, 0)) == len(market) == 1
