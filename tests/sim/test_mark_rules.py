"""Mark rules against their published definitions, written slowly, on random streams of quotes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import venue
from sim.config import MARK_RULES, ClearingConfig, MarketConfig
from sim.errors import ConfigError
from sim.kernels import marks
from sim.kernels import state as s
from sim.marks import RULES, Marking
from tests.sim.exchange import Exchange, contract

SUB = s.SUBTICKS
DT = 60.0
WINDOW = 5
BASIS_WINDOW = 4
INTERVAL = 6
RING = 8
STEPS = 14
MARKING = Marking(basis_window_seconds=BASIS_WINDOW * DT, index_limit=0.05, index_premium=0.01)
CLEARING = ClearingConfig(mark_ema_half_life_seconds=120.0, mark_window_seconds=WINDOW * DT, marking=MARKING)

# bid, ask (0: the side is empty), last, index, perpetuals elsewhere (0: none)
QUOTES = st.tuples(
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1]),
    st.integers(60, 140),
    st.integers(1, 12),
    st.integers(50, 150),
    st.integers(80 * SUB, 120 * SUB),
)
STREAMS = st.lists(
    st.tuples(st.lists(QUOTES, min_size=1, max_size=3), st.sampled_from([0.0, 90.5, 101.0625, 110.0])),
    min_size=1,
    max_size=STEPS,
)


class Slow:
    """Everything that has been seen, and the rules as sentences over it."""

    def __init__(self) -> None:
        self.mids: list[int] = []
        self.indexes: list[int] = []
        self.medians: list[tuple[int, int]] = []  # step, median of bid, ask and last where both sides are there
        self.step = 1

    def read(self, bid: int, ask: int, last: int, index: int, perpetual: float, mid: int) -> None:
        self.bid, self.ask, self.last, self.index, self.perpetual, self.mid = bid, ask, last, index, perpetual, mid

    def close(self) -> None:
        self.mids.append(self.mid)
        self.indexes.append(self.index)
        if self.bid and self.ask:
            self.medians.append((self.step, median([self.bid, self.ask, self.last]) * SUB))
        self.step += 1

    def ema(self) -> float:
        """Half of the distance is left after the half-life, two steps; the average starts at the first price."""
        level, alpha = 100.0 * SUB, 1 - 0.5 ** (1 / 2)
        for mid in [*self.mids, self.mid]:
            level += alpha * (mid - level)
        return level

    def twap(self) -> float:
        window = [*self.mids, self.mid][-WINDOW:]
        return float(Fraction(sum(window), len(window)))

    def index_median(self) -> float:
        rate = 0.01  # of one interval
        left = INTERVAL - self.step % INTERVAL
        basis = [m - i for m, i in zip([*self.mids, self.mid], [*self.indexes, self.index], strict=True)]
        average = Fraction(sum(basis[-BASIS_WINDOW:]), len(basis[-BASIS_WINDOW:]))
        return median([self.index * (1 + rate * left / INTERVAL), self.index + float(average), self.last * SUB])

    @staticmethod
    def average(samples: list[tuple[int, float]], now: int, seconds: float) -> float:
        """Each sample weighs the time since the one before it, discounted by its age."""
        top = bottom = 0.0
        before = 0
        for step, sample in samples:
            weight = (step - before) * math.exp(-(now - step) * DT / seconds)
            top, bottom, before = top + weight * sample, bottom + weight, step
        return top / bottom

    def premium(self, seconds: float) -> float:
        basis = [m - i for m, i in zip([*self.mids, self.mid], [*self.indexes, self.index], strict=True)]
        return self.average(list(enumerate(map(float, basis), 1)), self.step, seconds)

    def hyperliquid(self) -> float:
        inputs = [self.index + self.premium(150.0)]
        samples = [(step, float(value)) for step, value in self.medians]
        if self.bid and self.ask:
            inputs.append(median([self.bid, self.ask, self.last]) * SUB)
            samples.append((self.step, inputs[-1]))
        if self.perpetual:
            inputs.append(self.perpetual * SUB)
        if len(inputs) == 2 and samples:
            inputs.append(self.average(samples, self.step, 30.0))
        return median(inputs)

    def deribit(self) -> float:
        fair = self.index * 1.01
        mark = self.index + self.premium(30.0)
        return min(max(mark, fair - 0.05 * self.index), fair + 0.05 * self.index)


def exchange(rule: str) -> Exchange:
    e = Exchange(
        2, mark=MARK_RULES[rule], contracts=[contract("a", funding_interval_steps=INTERVAL)], steps=STEPS,
        oracle_columns=s.OP_SOURCE,
    )  # fmt: skip
    market: Any = SimpleNamespace(state=e.state, config=MarketConfig(steps=8), contract_table=e.table)
    venue.put_marking(market, replace(CLEARING, mark=rule))
    e.state.quotes["funding_rate"][0] = round(0.01 * s.RATE_ONE)
    e.state.meta[s.M_HISTORY] = RING  # so that the rings go round
    return e


def quote(e: Exchange, reading: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Put a reading into the quotes; returns bid, ask, last, index."""
    has_bid, has_ask, bid, spread, last, index = reading
    row = e.state.quotes[0]
    row["bid"], row["ask"] = bid if has_bid else s.NO_PRICE, bid + spread if has_ask else s.NO_PRICE
    row["last"], row["index"] = last, index
    return bid * has_bid, (bid + spread) * has_ask, last, index


def run(rule: str, stream: Any, check: Callable[[int, float], None]) -> None:
    e, slow = exchange(rule), Slow()
    for readings, perpetual in stream:
        e.state.oracle_path[slow.step, 0, s.OP_PERP] = perpetual
        e.state.quotes["funding_last"][0] = slow.step // INTERVAL * INTERVAL
        for reading in readings:  # the book before and after each round of the step
            bid, ask, last, index = quote(e, reading)
            before = int(e.state.quotes["mark"][0])
            marks.set_marks(e.state)
            assert e.state.mark_before[0] == before
            slow.read(bid, ask, last, index, perpetual, int(e.state.quotes["mid"][0]))
            check(int(e.state.quotes["mark"][0]), getattr(slow, rule)())
        marks.close_marks(e.state)
        slow.close()
        e.state.meta[s.M_STEP] += 1


@pytest.mark.parametrize("rule", ["ema", "twap", "index_median", "hyperliquid", "deribit"])
@settings(max_examples=40)
@given(stream=STREAMS)
def test_a_rule_is_its_definition(rule: str, stream: Any) -> None:
    def check(mark: int, expected: float) -> None:
        # to the nearest sub-tick; a mean of two inputs rounds twice
        assert abs(mark - expected) <= (1.0 if rule == "hyperliquid" else 0.5 + 1e-9)

    run(rule, stream, check)


@pytest.mark.parametrize("rule", [*RULES])
@settings(max_examples=20)
@given(stream=STREAMS)
def test_rounds_within_a_step_never_compound(rule: str, stream: Any) -> None:
    """The marks after a step are the same whether its book was read once or in many rounds of the same books."""
    patient, busy = exchange(rule), exchange(rule)
    for e in (patient, busy):
        e.state.oracle_path[1 : len(stream) + 1, 0, s.OP_PERP] = [perpetual for _, perpetual in stream]
    for readings, _ in stream:
        last = readings[-1]
        for reading in [*readings, *readings, last, last]:
            quote(busy, (1, 1, *reading[2:]))
            marks.set_marks(busy.state)
        quote(patient, (1, 1, *last[2:]))
        marks.set_marks(patient.state)
        assert patient.state.quotes["mark"][0] == busy.state.quotes["mark"][0]
        for e in (patient, busy):
            marks.close_marks(e.state)
            e.state.meta[s.M_STEP] += 1
        assert patient.state.quotes["ema"][0] == busy.state.quotes["ema"][0]


def test_the_index_alone() -> None:
    e = exchange("index")
    quote(e, (1, 1, 50, 2, 50, 103 * SUB + 5))
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][0] == 103 * SUB + 5


def test_a_mark_is_a_price_that_the_contract_can_have() -> None:
    e = exchange("index")
    quote(e, (1, 1, 50, 2, 50, 1 << 40))
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][0] == 4000 * SUB


def test_a_moving_average_of_the_basis_is_chosen_by_its_window() -> None:
    """Without a window the average is exponential, as it was before there was one."""
    e = exchange("index_median")
    e.state.marking[0, s.MK_BASIS_WINDOW] = 0
    quote(e, (1, 1, 105, 2, 150, 100 * SUB))
    marks.set_marks(e.state)
    alpha = 1 - 0.5 ** (1 / 2)
    assert e.state.quotes["mark"][0] == 100 * SUB + round(alpha * 6 * SUB)


def test_averages_are_kept_when_the_rule_or_its_parameters_change() -> None:
    """A fork to another mark finds the averages of the steps before it, whatever rule was in force then."""
    first, second = exchange("mid"), exchange("hyperliquid")
    for e in (first, second):
        for bid in (90, 95, 99, 104, 101):
            quote(e, (1, 1, bid, 2, 100, 100 * SUB))
            marks.set_marks(e.state)
            marks.close_marks(e.state)
            e.state.meta[s.M_STEP] += 1
    for rule in ("hyperliquid", "deribit", "twap", "index_median"):
        found = []
        for e in (first, second):
            market: Any = SimpleNamespace(state=e.state, config=MarketConfig(steps=8), contract_table=e.table)
            venue.put_marking(market, replace(CLEARING, mark=rule))
            e.state.meta[s.M_MARK_RULE] = MARK_RULES[rule]
            marks.set_marks(e.state)
            found.append(int(e.state.quotes["mark"][0]))
        assert found[0] == found[1]


def test_a_window_may_be_changed_between_two_steps() -> None:
    e = exchange("twap")
    for bid in (90, 94, 98, 102):
        quote(e, (1, 1, bid, 2, 100, 100 * SUB))
        marks.set_marks(e.state)
        marks.close_marks(e.state)
        e.state.meta[s.M_STEP] += 1
    quote(e, (1, 1, 106, 2, 100, 100 * SUB))
    for window, mean in ((2, 105), (3, (99 + 103 + 107) / 3), (5, 99)):
        e.state.marking[0, s.MK_WINDOW] = window
        marks.set_marks(e.state)
        assert e.state.quotes["mark"][0] == math.floor(mean * SUB + 0.5)


@pytest.mark.parametrize("rule", ["index", "index_median", "deribit"])
def test_a_stale_oracle_hands_the_mark_to_the_book(rule: str) -> None:
    e = exchange(rule)
    quote(e, (1, 1, 79, 2, 100, 100 * SUB))
    e.state.oracle[0, s.OR_STALE] = 1
    marks.set_marks(e.state)
    held = int(e.state.quotes["mark"][0])
    e.state.oracle[0, s.OR_STALE_POLICY] = s.STALE_MID
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][0] == 80 * SUB != held


def test_a_stale_oracle_is_no_input_of_the_hyperliquid_mark() -> None:
    e = exchange("hyperliquid")
    e.state.oracle[0, s.OR_STALE], e.state.oracle[0, s.OR_STALE_POLICY] = 1, s.STALE_MID
    quote(e, (1, 1, 79, 2, 100, 100 * SUB))
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][0] == 81 * SUB  # bid 79, ask 81, last 100
    quote(e, (0, 0, 79, 2, 100, 100 * SUB))
    marks.set_marks(e.state)
    assert e.state.quotes["mark"][0] == e.state.quotes["mid"][0]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"mark": "twap", "mark_window_seconds": 1e6}, "clearing.mark_window_seconds"),
        ({"mark": "index_median", "marking": Marking(basis_window_seconds=1e6)}, "clearing.marking.basis_window_"),
        ({"mark": "deribit", "marking": Marking(index_limit=1.0)}, "clearing.marking.index_limit"),
    ],
)
def test_windows_and_limits_that_do_not_fit_are_refused(changes: dict[str, Any], key: str) -> None:
    e = exchange("mid")
    market: Any = SimpleNamespace(state=e.state, config=MarketConfig(steps=8), contract_table=e.table)
    with pytest.raises(ConfigError) as caught:
        venue.put_marking(market, replace(CLEARING, **changes))
    assert str(caught.value).startswith(key)


def test_a_long_window_of_another_rule_is_no_error() -> None:
    e = exchange("mid")
    market: Any = SimpleNamespace(state=e.state, config=MarketConfig(steps=8), contract_table=e.table)
    venue.put_marking(market, replace(CLEARING, mark_window_seconds=1e6))


def test_every_rule_has_a_description() -> None:
    assert set(RULES) == set(MARK_RULES)
