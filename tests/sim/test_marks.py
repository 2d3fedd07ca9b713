"""Mid, mark and the averages behind them."""

from __future__ import annotations

import math

import pytest

from sim.kernels import marks
from sim.kernels import state as s
from tests.sim.exchange import Exchange, contract

SUB = s.SUBTICKS


def quoted(bid: int, ask: int, *, rule: int = s.MARK_MID, last: int = 100, **terms: object) -> Exchange:
    exchange = Exchange(2, cash=10**6, mark=rule, contracts=[contract("a", **terms)])
    if bid:
        exchange.rest(0, s.BUY, 1, bid)
    if ask:
        exchange.rest(1, s.SELL, 1, ask)
    exchange.state.quotes["last"][0] = last
    return exchange


def mark(exchange: Exchange) -> int:
    marks.set_marks(exchange.state)
    return int(exchange.state.quotes["mark"][0])


@pytest.mark.parametrize(
    ("bid", "ask", "mid"),
    [
        (99, 102, 100.5),
        (103, 0, 103),  # the last mid of 100 moves up to the bid
        (90, 0, 100),  # and stays where the bid does not push it
        (0, 97, 97),
        (0, 120, 100),
        (0, 0, 100),
    ],
)
def test_the_mid_with_one_side_or_none(bid: int, ask: int, mid: float) -> None:
    assert mark(quoted(bid, ask)) == mid * SUB


def test_the_last_trade() -> None:
    assert mark(quoted(99, 102, rule=s.MARK_LAST, last=97)) == 97 * SUB


def test_a_mark_is_never_below_a_sub_tick() -> None:
    assert mark(quoted(0, 0, rule=s.MARK_LAST, last=0)) == 1


def test_an_average_does_not_compound_from_round_to_round() -> None:
    """Half a step from 100 to 110 is 105 however often the mark is read; the next step starts from there."""
    exchange = quoted(109, 111, rule=s.MARK_EMA)
    assert [mark(exchange) for _ in range(3)] == [105 * SUB] * 3
    marks.close_marks(exchange.state)
    exchange.state.meta[s.M_STEP] += 1
    assert mark(exchange) == 107.5 * SUB


def test_the_index_median_worked_by_hand() -> None:
    exchange = quoted(105, 107, rule=s.MARK_INDEX_MEDIAN, last=103, funding_interval_steps=10)
    quote = exchange.state.quotes[0]
    quote["index"] = 100 * SUB
    quote["basis"] = 4 * SUB
    quote["funding_rate"] = int(0.02 * s.RATE_ONE)
    quote["funding_last"] = -4  # half of the interval is left at step 1
    # carried index 100 x (1 + .02 x .5) = 101; index + basis 100 + (4 + (6 - 4) / 2) = 105; last trade 103
    assert mark(exchange) == 103 * SUB
    quote["last"] = 90
    assert mark(exchange) == 101 * SUB
    quote["last"] = 120
    assert mark(exchange) == 105 * SUB


def test_the_index_median_cuts_the_loop_from_a_single_trade() -> None:
    exchange = quoted(0, 0, rule=s.MARK_INDEX_MEDIAN, last=50)
    assert mark(exchange) == 100 * SUB


def test_returns_and_variances_at_the_end_of_a_step() -> None:
    exchange = quoted(109, 111)
    state = exchange.state
    state.history[:] = math.log(100)
    state.contracts["variance_fast_alpha"] = 0.25
    marks.set_marks(state)
    marks.close_marks(state)
    change = math.log(1.1)
    assert state.history[1, 0] == pytest.approx(math.log(110), rel=1e-15)
    assert state.quotes["variance_fast"][0] == pytest.approx(0.25 * change**2, rel=1e-12)
    assert state.mark_history[1, 0] == state.history[1, 0]
