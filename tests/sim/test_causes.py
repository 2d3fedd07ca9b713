"""The record of causes, by cascades built by hand whose parents are known.

Maintenance is 1/16 of value and a tick of ten lots is worth 100. An account long 10 at 100 with 1000 in cash is in
breach below 96, with 1500 below 90.67, with 1400 below 91.73. Bids stand in steps, and the mark is the last price.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.causes import CLASSES, Causes
from sim.kernels import book, funding, moves
from sim.kernels import state as s
from sim.kernels.values import maintenance_row
from tests.sim.exchange import Exchange, contract

RICH = 10**7
SELLER, BIDDER = 0, 1


class Recorded(Exchange):
    """An exchange that records causes; account 0 sells, account 1 bids, the others are given long positions."""

    def __init__(self, *cash: int, **how: Any) -> None:
        super().__init__(2 + len(cash), **({"mark": s.MARK_LAST} | how))
        for account, amount in enumerate((RICH, RICH, *cash)):
            self.deposit(account, amount)
        for account in range(2, self.traders):
            self.trade(account, SELLER, 10)
        self.state.meta[s.M_RECORD_CAUSES] = 1
        moves.open_tape(self.state)

    def bids(self, *levels: tuple[int, int]) -> None:
        for lots, price in levels:
            self.rest(BIDDER, s.BUY, lots, price)

    def sell(self, lots: int, cause: int = s.CAUSE_NONE, reference: int = 0) -> None:
        book.submit(self.state, 0, s.SELL, 1, lots, SELLER, s.IOC, s.MARKET, 0, 0, cause, reference)

    def read(self) -> None:
        """The first reading of the marks of a step, and its clearing."""
        moves.read_marks(self.state, -1)
        self.clear()
        invariants.check(self.state)

    def causes(self) -> Causes:
        found = Causes(self.state)
        consistent(found)
        return found


def consistent(found: Causes) -> None:
    """What holds of every record: parts and headroom, weights, order in time, the tree."""
    rows = found.rows
    parts = found.price + rows["margin"] + rows["funding"] + rows["own"]
    assert (parts == rows["shortfall"] + found.headroom).all()
    assert (found.headroom >= 0).all() and (rows["shortfall"] > 0).all() and (rows["own"] >= 0).all()
    assert (np.diff(found.reference) > 0).all()
    assert np.allclose(found.weights.sum(axis=1), 1.0, atol=1e-9) and (found.weights >= 0).all()
    parents, children, weights = found.edges(0.0)
    assert (rows["reading"][parents] < rows["reading"][children]).all() and (parents < children).all()
    given = np.bincount(children, weights, len(found))
    assert np.allclose(given, found.weights[:, 0], atol=1e-9)
    for child, parent in enumerate(found.tree):
        assert (parent >= 0) == (CLASSES[found.trigger[child]] == "liquidations")
        if parent >= 0:
            assert parent < child and found.root[child] == found.root[parent]
            assert found.generation[child] == found.generation[parent] + 1
        else:
            assert found.generation[child] == 0 and found.root[child] == child
    # the means, the slow way
    mean = np.zeros(len(found))
    for parent, child, weight in zip(parents, children, weights, strict=True):
        mean[child] += weight * (1 + mean[parent])
    assert np.allclose(mean, found.mean_generation)


def weights_of(found: Causes, place: int) -> dict[str, float]:
    return {name: float(w) for name, w in zip(CLASSES, found.weights[place], strict=True) if w > 0}


@pytest.fixture
def chain() -> Recorded:
    """A sale to 95 brings down A, whose ten lots go at 90, which brings down B and C, who sell at 89."""
    exchange = Recorded(1000, 1500, 1400)
    exchange.bids((1, 95), (10, 90), (40, 89))
    exchange.sell(1)
    exchange.read()
    return exchange


def test_one_sale_and_two_generations(chain: Recorded) -> None:
    found = chain.causes()
    assert list(found.rows["account"][:1]) == [2] and set(found.rows["account"][1:]) == {3, 4}
    # at 100: 1000 - 625; at 95: 500 - 594
    assert (found.rows["shortfall"][0], found.headroom[0], found.price[0]) == (94, 375, 469)
    assert weights_of(found, 0) == {"orders": 1.0}
    for place in (1, 2):
        assert weights_of(found, place) == {"liquidations": 1.0}
        assert (found.parent[place], found.parent_weight[place]) == (0, 1.0)
    assert list(found.generation) == [0, 1, 1] and list(found.mean_generation) == [0, 1, 1]
    assert list(found.root) == [0, 0, 0]
    b = int(np.flatnonzero(found.rows["account"] == 3)[0])
    # at 95: 1000 - 594; at 90: 500 - 563
    assert (found.rows["shortfall"][b], found.headroom[b]) == (63, 406)
    assert (found.rows["lots"] == 10).all() and list(found.rows["notional"]) == [9500, 9000, 9000]


def test_the_worked_example_of_the_docs(chain: Recorded, project_root: Path) -> None:
    page = (project_root / "docs" / "cascade-record.md").read_text(encoding="utf-8")
    found = chain.causes()
    a, b, c = (int(np.flatnonzero(found.rows["account"] == account)[0]) for account in (2, 3, 4))
    rows, readings = found.rows, chain.state.readings

    def line(name: str, *cells: object) -> str:
        return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"

    def mark(place: int, when: str) -> int:
        return int(readings["mark"][rows[when][place]]) // s.SUBTICKS

    assert line("last safe at a mark of", mark(a, "safe"), mark(b, "safe")) in page
    assert line("found at a mark of", mark(a, "reading"), mark(b, "reading")) in page
    assert line("headroom", f"1000 - 625 = {found.headroom[a]:.0f}", f"1000 - 594 = {found.headroom[b]:.0f}") in page
    short = rows["shortfall"]
    assert line("shortfall", f"594 - 500 = {short[a]}", f"563 - 500 = {short[b]}") in page
    assert line("price part", found.price[a], found.price[b]) in page
    assert line("generation", found.generation[a], found.generation[b]) in page
    assert f"with {found.headroom[c]:.0f} of headroom it falls short by {short[c]}" in page
    assert found.weights[:, 0].mean() == pytest.approx(2 / 3)


def test_two_parents_share_by_how_far_they_moved_the_mark() -> None:
    """The first of two equal accounts sells its lots at 94, one tick below 95, the second at 92."""
    exchange = Recorded(1000, 1000, 1300)
    exchange.bids((1, 95), (10, 94), (10, 92), (20, 91))
    exchange.sell(1)
    exchange.read()
    found = exchange.causes()
    assert found.rows["account"][2] == 4
    parents, children, weights = found.edges(0.0)
    assert list(children) == [2, 2]
    assert dict(zip(parents.tolist(), weights.tolist(), strict=True)) == pytest.approx({0: 1 / 3, 1: 2 / 3})
    assert (found.parent[2], found.parent_weight[2]) == (1, pytest.approx(2 / 3))
    # 1300 - 500 - 594 = 206 of 206 + 75: it went under at 93.2, while the second sold
    assert found.tree[2] == 1
    assert list(found.edges(0.5)[0]) == [1]


def test_a_recovery_undoes_the_newest_fall() -> None:
    """Script 100 to 95, orders to 92, a recovery to 94: of the fall of six, five are the script's, one the orders'.

    Liquidations are off until then, so that all three lie between the safe reading and the one of the liquidation.
    """
    exchange = Recorded(1000)
    exchange.state.meta[s.M_LIQUIDATE] = 0
    exchange.bids((1, 95), (1, 92), (40, 90))
    exchange.sell(1, s.CAUSE_SCRIPT, 5)
    exchange.read()
    exchange.next_step()
    exchange.sell(1)
    exchange.read()
    exchange.next_step()
    exchange.rest(BIDDER, s.SELL, 1, 94)
    book.submit(exchange.state, 0, s.BUY, 94, 1, SELLER, s.IOC, 0, 0, 0, s.CAUSE_ADVERSARY, 0)
    exchange.state.meta[s.M_LIQUIDATE] = 1
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == pytest.approx({"script": 5 / 6, "orders": 1 / 6})
    assert CLASSES[found.trigger[0]] == "script"  # in breach below 96


def test_order_in_time_is_kept_within_a_step() -> None:
    """Orders to 97, a script to 92, a recovery to 94, all in one step: three ticks of each are left."""
    exchange = Recorded(1000)
    exchange.bids((1, 97), (1, 92), (40, 90))
    exchange.sell(1)
    exchange.sell(1, s.CAUSE_SCRIPT, 5)
    exchange.rest(BIDDER, s.SELL, 1, 94)
    book.submit(exchange.state, 0, s.BUY, 94, 1, SELLER, s.IOC, 0, 0, 0, s.CAUSE_ADVERSARY, 0)
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == pytest.approx({"orders": 3 / 6, "script": 3 / 6})
    assert CLASSES[found.trigger[0]] == "script"  # in breach below 96


def test_moves_of_one_cause_are_one_row() -> None:
    exchange = Recorded(1000)
    exchange.bids((1, 99), (1, 98), (1, 97), (40, 90))
    for cause in (s.CAUSE_NONE, s.CAUSE_NONE, s.CAUSE_SCRIPT):
        exchange.sell(1, cause)
    tape = exchange.state.moves[: exchange.meta(s.M_MOVES)]
    assert [(int(m["cause"]), int(m["last"])) for m in tape if m["last"]] == [(s.CAUSE_NONE, -2), (s.CAUSE_SCRIPT, -1)]


def test_liquidators_trading_is_told_apart() -> None:
    exchange = Recorded(1000)
    exchange.bids((1, 98), (1, 94), (40, 93))
    exchange.sell(1)
    exchange.sell(1, s.CAUSE_LIQUIDATOR)
    exchange.read()
    assert weights_of(exchange.causes(), 0) == pytest.approx({"orders": 1 / 3, "liquidators": 2 / 3})


def test_a_margin_rise_alone() -> None:
    """Rates double in one step while the mark stands: 2000 at 100 falls under 1/4, not under 1/8."""
    exchange = Recorded(2000)
    exchange.bids((40, 100))
    exchange.read()
    exchange.next_step()
    row = int(maintenance_row(exchange.state))
    exchange.state.rate_maintenance[row, 0] = s.RATE_ONE // 4
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == {"margin": 1.0}
    assert (found.rows["margin"][0], found.headroom[0], found.rows["shortfall"][0]) == (1875, 1375, 500)
    assert int(exchange.state.rate_maintenance[row, 0]) == s.RATE_ONE // 4 and exchange.meta(s.M_ROW_BACK) == 0


def test_funding_alone() -> None:
    """5 % of 10,000 are paid; 1000 were enough for 625 and 500 are not."""
    terms = contract("a", funding_interval_steps=1, funding_interest=0.05, funding_clamp=1.0)
    exchange = Recorded(1000, contracts=[terms])
    exchange.bids((40, 100))
    exchange.read()
    exchange.next_step()
    funding.time_payments(exchange.state)
    assert exchange.wallet(2) == 500
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == {"funding": 1.0}
    assert (found.rows["funding"][0], found.headroom[0], found.rows["shortfall"][0]) == (500, 375, 125)


def test_an_own_trade_alone() -> None:
    """20 lots more at the mark: 1500 were enough for 625, and are not for 1875."""
    exchange = Recorded(1500)
    exchange.bids((60, 100))
    exchange.read()
    exchange.next_step()
    exchange.trade(2, SELLER, 20)
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == {"own": 1.0}
    assert (found.rows["own"][0], found.headroom[0], found.rows["shortfall"][0]) == (375, 0, 375)


def test_a_withdrawal_is_its_own_doing() -> None:
    exchange = Recorded(1500)
    exchange.bids((60, 100))
    exchange.read()
    exchange.next_step()
    exchange.deposit(2, -1000)
    exchange.read()
    assert weights_of(exchange.causes(), 0) == {"own": 1.0}


def test_price_and_funding_and_own_trades_together() -> None:
    terms = contract("a", funding_interval_steps=1, funding_interest=0.01, funding_clamp=1.0)
    exchange = Recorded(1000, contracts=[terms])
    exchange.bids((1, 97), (60, 90))
    exchange.read()
    exchange.next_step()
    funding.time_payments(exchange.state)
    exchange.sell(1)
    exchange.read()
    found = exchange.causes()
    # excess at 100 without funding 375, funding 100, at 97: 600 - 607
    assert (found.rows["funding"][0], found.price[0], found.rows["shortfall"][0]) == (100, 282, 7)
    assert weights_of(found, 0) == pytest.approx({"orders": 282 / 382, "funding": 100 / 382})
    assert CLASSES[found.trigger[0]] == "orders"


def test_the_window_of_a_call_goes_back_to_before_it() -> None:
    """Called at 95 after a sale; at the end of the grace a script has moved the mark to 93."""
    exchange = Recorded(1000, grace=2)
    exchange.bids((1, 95), (1, 93), (60, 92))
    exchange.sell(1)
    exchange.read()
    assert exchange.status(2) == s.CALLED
    exchange.next_step()
    exchange.sell(1, s.CAUSE_SCRIPT)
    exchange.read()
    exchange.next_step()
    exchange.read()
    found = exchange.causes()
    assert len(found) == 1
    assert (found.rows["safe"][0], found.rows["reading"][0]) == (0, 3)
    assert weights_of(found, 0) == pytest.approx({"orders": 5 / 7, "script": 2 / 7})
    assert CLASSES[found.trigger[0]] == "orders"
    assert exchange.state.accounts["safe_reading"][2] == -1


def test_a_met_call_is_forgotten() -> None:
    exchange = Recorded(1000, grace=3)
    exchange.bids((1, 95), (60, 90))
    exchange.sell(1)
    exchange.read()
    exchange.deposit(2, 1000)
    exchange.next_step()
    exchange.read()
    assert exchange.status(2) == s.OPEN and exchange.state.accounts["safe_reading"][2] == -1


def test_a_breach_that_went_unanswered_is_traced_back() -> None:
    """With liquidations off the mark falls; they begin two steps later, and the fall is still the cause."""
    exchange = Recorded(1000)
    exchange.state.meta[s.M_LIQUIDATE] = 0
    exchange.bids((1, 95), (60, 90))
    exchange.sell(1)
    exchange.read()
    for _ in range(2):
        exchange.next_step()
        exchange.read()
    exchange.state.meta[s.M_LIQUIDATE] = 1
    exchange.next_step()
    exchange.read()
    found = exchange.causes()
    assert weights_of(found, 0) == {"orders": 1.0}
    assert found.rows["safe"][0] == 0


def test_orders_of_the_liquidated_that_are_cancelled_move_the_mid() -> None:
    """A's own bid at 93 was the best; without it, and after A's sale, the mid falls from 94.5 to 90."""
    exchange = Recorded(1000, 1500, mark=s.MARK_MID)
    exchange.bids((10, 88), (60, 84))
    exchange.rest(2, s.BUY, 5, 93)
    exchange.rest(SELLER, s.SELL, 5, 96)
    exchange.read()
    found = exchange.causes()
    assert list(found.rows["account"]) == [2, 3]
    assert weights_of(found, 0) == {"quotes": 1.0}
    assert weights_of(found, 1) == {"liquidations": 1.0}


def test_an_anchored_mark_hands_on_what_the_index_did() -> None:
    """Median of the index and two others: the index falls to 94 and carries the mark, whatever the book does."""
    exchange = Recorded(1000, mark=s.MARK_INDEX_MEDIAN)
    exchange.bids((60, 90))
    exchange.rest(SELLER, s.SELL, 5, 98)
    exchange.state.quotes["index"][0] = 94 * 16
    exchange.read()
    found = exchange.causes()
    assert exchange.state.readings["mark"][1] < 96 * 16
    assert weights_of(found, 0)["index"] == pytest.approx(1.0)


def test_off_means_off(chain: Recorded) -> None:
    silent = Exchange(3, mark=s.MARK_LAST)
    for account, cash in enumerate((RICH, RICH, 1000)):
        silent.deposit(account, cash)
    silent.trade(2, SELLER, 10)
    silent.rest(BIDDER, s.BUY, 11, 94)
    book.submit(silent.state, 0, s.SELL, 1, 1, SELLER, s.IOC, s.MARKET, 0, 0, 0, 0)
    moves.read_marks(silent.state, -1)
    silent.clear()
    assert silent.meta(s.M_LIQUIDATIONS) == 1
    for which in (s.M_MOVES, s.M_READINGS, s.M_CAUSES):
        assert silent.meta(which) == 0
        assert chain.meta(which) > 0
    assert (silent.state.accounts["traded"] == -1).all()
    assert len(Causes(silent.state)) == 0


def rounded_up(x: int, rate: int) -> int:
    return -(-x * rate // s.RATE_ONE)


@given(
    st.lists(st.integers(650, 3000), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(1, 12), st.integers(70, 99)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([s.MARK_LAST, s.MARK_MID, s.MARK_EMA]),
    st.integers(0, 2),
)
def test_any_cascade_is_consistent_and_its_price_parts_are_recomputed(
    cash: list[int], levels: list[tuple[int, int]], sales: list[tuple[int, bool, bool]], mark: int, grace: int
) -> None:
    exchange = Recorded(*cash, mark=mark, grace=grace, rounds=4)
    exchange.bids(*levels, (500, 60))
    exchange.rest(SELLER, s.SELL, 50, 101)
    for lots, refill, dearer in sales:
        exchange.sell(lots, s.CAUSE_SCRIPT if dearer else s.CAUSE_NONE)
        exchange.read()
        exchange.next_step()
        if refill:
            exchange.bids((lots, 90))
        if dearer:
            rate = s.RATE_ONE // 8
            exchange.state.rate_maintenance[int(maintenance_row(exchange.state)), 0] = rate
            exchange.state.model_rates[0, 0, 1] = rate
    found = exchange.causes()
    assert len(found) == exchange.meta(s.M_LIQUIDATIONS)
    readings = exchange.state.readings
    for row in found.rows:
        then, now = readings[row["safe"]], readings[row["reading"]]
        values = [int(row["lots"]) * int(reading["mark"]) * 10 // 16 for reading in (then, now)]
        required = [rounded_up(value, int(now["rate"])) for value in values]
        assert row["price"] == (values[0] - required[0]) - (values[1] - required[1])
        assert row["margin"] == required[0] - rounded_up(values[0], int(then["rate"]))
