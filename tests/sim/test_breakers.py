"""Circuit breakers one by one: worked by hand on a bare exchange, and against slow definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from sim import invariants, venue
from sim.breakers import Breakers
from sim.config import ClearingConfig, MarketConfig
from sim.errors import ConfigError
from sim.kernels import breakers, marks, realmath, step
from sim.kernels import state as s
from sim.kernels.record import depth_near
from tests.sim.exchange import PRICE, STREAMS, Exchange, contract

SUB = s.SUBTICKS
HALT = Breakers(halt_move=0.05, halt_window_seconds=300, halt_seconds=180)  # 5 % in five steps stops three
RICH = 10**9


def exchange_with(rule: Breakers, traders: int = 4, **how: Any) -> Exchange:
    """An exchange whose marks of the past are all at the first price."""
    exchange = Exchange(traders, breakers=rule, **how)
    exchange.state.mark_history[:] = realmath.ln(float(PRICE))
    return exchange


def close(exchange: Exchange) -> None:
    """End the step: its mark goes into the ring."""
    now = exchange.meta(s.M_STEP) % exchange.meta(s.M_HISTORY)
    for c in range(len(exchange.state.quotes)):
        exchange.state.mark_history[now, c] = realmath.ln(exchange.state.quotes["mark"][c] / SUB)


def read(exchange: Exchange, ticks: float, c: int = 0) -> bool:
    """A new mark, read; True when the contract is halted after it."""
    exchange.set_mark(ticks, c)
    step.note_marks(exchange.state)
    breakers.check_halts(exchange.state)
    return bool(breakers.halted(exchange.state, c))


def refusals(exchange: Exchange) -> list[int]:
    return [int(event["reason"]) for event in exchange.events(s.EV_REFUSED)]


# -- halts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "stops"), [(95, True), (95.0625, False), (105, True), (104.9375, False), (1, True), (100, False)]
)
def test_a_move_of_the_stated_fraction_halts_either_way(mark: float, stops: bool) -> None:
    assert read(exchange_with(HALT), mark) == stops


@given(past=st.integers(2, 10**7), units=st.integers(1, 999))
def test_the_limit_is_met_exactly(past: int, units: int) -> None:
    """The fraction is stored in units of 2**-32; moves are judged as by the fraction that was meant."""
    move = Fraction(units, 1000)
    needed = int(breakers.move_needed(np.int64(past), np.int64(round(float(move) * s.RATE_ONE))))
    assert needed == max(math.ceil(move * past), 1)


@given(ticks=st.integers(1, 2**31 - 1))
def test_marks_come_back_exactly_from_their_logarithms(ticks: int) -> None:
    exchange = exchange_with(HALT)
    exchange.state.mark_history[3, 0] = realmath.ln(ticks / SUB)
    assert breakers.past_mark(exchange.state, 0, np.int64(3)) == ticks


@given(
    path=st.lists(st.integers(80 * SUB, 120 * SUB), min_size=1, max_size=25), window=st.integers(1, 8),
    pause=st.integers(1, 6), move=st.sampled_from([0.02, 0.05, 0.1, 0.25]),
)  # fmt: skip
def test_halts_agree_with_their_definition(path: list[int], window: int, pause: int, move: float) -> None:
    """A step of the path at a time, against the rule in words, with marks as plain numbers."""
    rule = Breakers(halt_move=move, halt_window_seconds=60 * window, halt_seconds=60 * pause)
    exchange = exchange_with(rule)
    past = {0: PRICE * SUB}
    until = 0
    for t, mark in enumerate(path, start=1):
        if t > 1:
            exchange.next_step()
        if t >= until:
            window_marks = [past[k] for k in past if max(t - window, until - 1, 0) <= k < t]
            share = Fraction(str(move))
            if any(abs(mark - old) >= share * old for old in window_marks):
                until = t + pause + 1
        assert read(exchange, mark / SUB) == (t < until)
        assert exchange.meta(s.M_HALTED) == (t < until)
        close(exchange)
        past[t] = mark


def test_what_a_halted_contract_takes_and_what_not() -> None:
    terms = [contract("a"), contract("b")]
    exchange = exchange_with(HALT, contracts=terms, cash=RICH)
    order = exchange.rest(0, s.BUY, 5, 90)
    assert read(exchange, 94)
    assert not breakers.halted(exchange.state, 1)
    exchange.next_step()
    exchange.send(1, s.NEW, s.SELL, 3, 90)  # would trade
    exchange.send(0, s.REPLACE, lots=9, price=91, ref=order)
    exchange.send(2, s.NEW, s.BUY, 1, 99, c=1)
    exchange.send(0, s.CANCEL, ref=order)
    assert exchange.batch() == [0, 0, 1, 1]
    assert refusals(exchange) == [s.R_HALTED, s.R_HALTED]
    assert exchange.meta(s.M_FILLS) == 0
    exchange.send(3, s.NEW, s.BUY, 1, 93)
    exchange.send(3, s.CANCEL_ALL)
    assert exchange.batch() == [0, 1]
    invariants.check(exchange.state)


def test_a_halt_lasts_its_time_and_does_not_halt_again_by_the_same_move() -> None:
    """Stopped in step 1 for three steps: 2, 3 and 4 are lost, trading goes on in step 5 in the continuous book."""
    exchange = exchange_with(HALT, cash=RICH)
    assert read(exchange, 94)
    close(exchange)
    (event,) = exchange.events(s.EV_HALT)
    assert [int(event[name]) for name in ("contract", "a", "c")] == [0, 5, 94 * SUB]
    assert int(event["b"]) == math.floor(-0.06 * s.RATE_ONE)
    for now in (2, 3, 4):
        exchange.next_step()
        exchange.send(1, s.NEW, s.BUY, 1, 94)
        assert exchange.batch() == [0]
        assert read(exchange, 94), now
        close(exchange)
    exchange.next_step()
    exchange.send(1, s.NEW, s.BUY, 1, 94)
    exchange.send(2, s.NEW, s.SELL, 1, 94)
    assert exchange.batch() == [1, 1]
    assert exchange.meta(s.M_FILLS) == 1
    assert not read(exchange, 94)
    assert exchange.meta(s.M_HALTED) == 0
    close(exchange)
    exchange.next_step()
    assert read(exchange, 89)  # 5.3 % below the mark at which trading resumed


@pytest.mark.parametrize("grace", [0, 2])
def test_there_are_no_forced_orders_in_a_halt_and_calls_go_on(grace: int) -> None:
    """Account 0 is long 8 lots at 100 with 600 minor units: under maintenance below 92.5 / (1 - 1/16) = 98.7."""
    exchange = exchange_with(HALT, grace=grace)
    exchange.deposit(0, 600)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 8)
    exchange.rest(1, s.BUY, 50, 93)
    for now in range(4):
        if now:
            exchange.next_step()
        assert read(exchange, 95)
        assert exchange.clear() == 0
        assert exchange.lots(0) == 8
        assert exchange.meta(s.M_LIQUIDATIONS) == 0
        close(exchange)
    assert exchange.status(0) == (s.CALLED if grace else s.OPEN)
    assert exchange.meta(s.M_CALLS) == (1 if grace else 0)
    exchange.next_step()
    assert not read(exchange, 95)
    exchange.clear()
    assert exchange.lots(0) == 0
    invariants.check(exchange.state)


def test_only_the_halted_leg_of_an_account_waits() -> None:
    exchange = exchange_with(HALT, contracts=[contract("a"), contract("b")])
    exchange.deposit(0, 1_200)
    exchange.deposit(1, RICH)
    for c in range(2):
        exchange.trade(0, 1, 5, c=c)
        exchange.rest(1, s.BUY, 50, 70, c)
    exchange.set_mark(96, 1)
    assert read(exchange, 80)
    exchange.clear()
    assert [exchange.lots(0, c) for c in range(2)] == [5, 0]
    assert exchange.status(0) == s.LIQUIDATING
    invariants.check(exchange.state)


def test_a_halt_stops_a_cascade_between_its_rounds() -> None:
    """Each liquidation pushes the last price under the next account; the halt at 5 % leaves the others for later."""

    def fall(rule: Breakers) -> tuple[Exchange, list[int]]:
        exchange = exchange_with(rule, 6, mark=s.MARK_LAST)
        exchange.deposit(5, RICH)
        for account in range(5):
            # breach below 99.5, 97.5, 95.5 ...
            exchange.deposit(account, 10 * math.floor(1000 - (99.5 - 2 * account) * 10 * 15 / 16))
            exchange.trade(account, 5, 10)
        for price in range(97, 60, -2):
            exchange.rest(5, s.BUY, 10, price)
        exchange.state.quotes["last"][0] = 98
        exchange.remark()
        exchange.clear()
        invariants.check(exchange.state)
        return exchange, [exchange.lots(account) for account in range(5)]

    assert fall(Breakers())[1] == [0] * 5
    halted, left = fall(HALT)
    assert left == [0, 0, 10, 10, 10]
    assert halted.state.quotes["last"][0] == 95
    assert halted.meta(s.M_HALTED) == 1


# -- bands -------------------------------------------------------------------------------------------------------------


def test_the_band_stands_around_the_mark_at_the_start_of_the_window() -> None:
    """2 % around 100 while the mark is at 96 already: sells down to 98 and buys up to 102."""
    exchange = exchange_with(Breakers(band=0.02, halt_window_seconds=300), cash=RICH)
    exchange.set_mark(96)
    for side, price in ((s.SELL, 97), (s.SELL, 98), (s.BUY, 103), (s.BUY, 102), (s.BUY, 50)):
        exchange.send(0 if side == s.BUY else 1, s.NEW, side, 1, price)
    assert exchange.batch() == [0, 1, 0, 1, 1]
    assert set(refusals(exchange)) == {s.R_BAND}
    close(exchange)
    for _ in range(5):  # the window moves on: after five steps the reference is 96
        exchange.next_step()
        close(exchange)
    exchange.next_step()
    exchange.send(1, s.NEW, s.SELL, 1, 95)
    exchange.send(1, s.NEW, s.SELL, 1, 93)
    assert exchange.batch() == [1, 0]


def test_the_band_limits_market_orders_and_forced_orders() -> None:
    exchange = exchange_with(Breakers(band=0.02))
    exchange.deposit(0, 500)
    exchange.deposit(1, RICH)
    exchange.deposit(2, RICH)
    exchange.trade(0, 1, 8)
    exchange.rest(1, s.BUY, 3, 98)
    exchange.rest(1, s.BUY, 50, 97)
    exchange.set_mark(95)
    exchange.clear()
    assert exchange.lots(0) == 5  # the other five wait
    assert exchange.status(0) == s.LIQUIDATING
    exchange.send(2, s.NEW, s.SELL, 4, flags=s.MARKET)
    assert exchange.batch() == [1]
    assert exchange.lots(2) == 0
    invariants.check(exchange.state)


# -- throttle ----------------------------------------------------------------------------------------------------------


def test_the_throttle_spreads_forced_lots_over_steps() -> None:
    """A quarter of 40 lots within 5 %, of the 30 left a quarter, ...: ten, seven and, of the 23 left, three."""
    exchange = exchange_with(Breakers(throttle=0.25))
    exchange.deposit(0, 300)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 20)
    exchange.rest(1, s.BUY, 40, 99)
    exchange.rest(1, s.BUY, 1000, 90)  # further than 5 %
    exchange.rest(1, s.SELL, 40, 101)
    exchange.set_mark(98)
    held = []
    for _ in range(3):
        exchange.clear()
        held.append(exchange.lots(0))
        exchange.next_step()
        invariants.check(exchange.state)
    assert held == [10, 3, 0]
    assert exchange.meta(s.M_LIQUIDATIONS) == 1  # one that carries over


def test_each_side_has_its_own_room() -> None:
    exchange = exchange_with(Breakers(throttle=0.5), 4)
    exchange.deposit(3, RICH)
    exchange.rest(3, s.BUY, 10, 99)
    exchange.rest(3, s.SELL, 6, 101)
    breakers.measure_room(exchange.state)
    asked = [int(breakers.throttled(exchange.state, 0, side, np.int64(9))) for side in (s.SELL, s.BUY)]
    assert asked == [5, 3]
    breakers.count_forced(exchange.state, 0, s.SELL, np.int64(4))
    asked = [int(breakers.throttled(exchange.state, 0, side, np.int64(9))) for side in (s.SELL, s.BUY)]
    assert asked == [1, 3]


@pytest.mark.parametrize("limit", [s.LIMIT_BANKRUPTCY, s.LIMIT_BAND])
def test_what_is_held_back_does_not_go_down_the_waterfall(limit: int) -> None:
    """With a forced limit the fund takes over in the same step what cannot be sold; the throttle alone is no such."""
    exchange = exchange_with(Breakers(throttle=0.1), limit=limit, fund=RICH)
    exchange.deposit(0, 500)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 20)
    exchange.rest(1, s.BUY, 50, 99)
    exchange.rest(1, s.SELL, 50, 101)
    exchange.set_mark(99)
    exchange.clear()
    assert exchange.lots(0) == 15
    assert exchange.events(s.EV_TAKEOVER) == []
    exchange.next_step()
    exchange.state.mark_history[:] = realmath.ln(float(PRICE))
    exchange.set_mark(99)
    exchange.clear()
    assert exchange.lots(0) == 11
    invariants.check(exchange.state)


@given(
    seed=st.integers(0, 10**6), throttle=st.sampled_from([0.05, 0.3, 1.0]), halt=st.sampled_from([0.0, 0.05, 0.2]),
    band=st.sampled_from([0.0, 0.1]), limit=st.sampled_from([s.LIMIT_NONE, s.LIMIT_BANKRUPTCY]),
    grace=st.sampled_from([0, 1]), regime=st.sampled_from(["static", "isolated", "portfolio"]),
)  # fmt: skip
def test_breakers_conserve_everything_and_keep_their_word(
    seed: int, throttle: float, halt: float, band: float, limit: int, grace: int, regime: str
) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    rule = Breakers(throttle=throttle, halt_move=halt, halt_window_seconds=120, halt_seconds=60, band=band)
    terms = [contract("a", fee_liquidation=0.01), contract("b", tick_value=7)]
    exchange = exchange_with(rule, 8, contracts=terms, regime=regime, limit=limit, grace=grace, fund=20_000)
    state = exchange.state
    for meta in (s.M_RECORD_EVERY, s.M_DEPTH_EVERY, s.M_TOTALS_EVERY):
        state.meta[meta] = 1
    for account in range(8):
        exchange.deposit(account, int(rng.integers(1_000, 20_000)))
    for _ in range(4):
        alive = [a for a in range(8) if exchange.status(a) in (s.OPEN, s.CALLED)]
        for _ in range(8 if len(alive) > 1 else 0):
            buyer, seller = (int(a) for a in rng.choice(alive, 2, replace=False))
            c = int(rng.integers(2))
            exchange.trade(buyer, seller, int(rng.integers(1, 20)), int(rng.integers(90, 110)), c)
            if not breakers.halted(state, c):
                exchange.rest(buyer, s.BUY, int(rng.integers(1, 30)), int(rng.integers(80, 100)), c)
                exchange.rest(seller, s.SELL, int(rng.integers(1, 30)), int(rng.integers(101, 120)), c)
        for c in range(2):
            exchange.set_mark(float(rng.integers(80, 121)), c)
        stopped = [bool(breakers.halted(state, c)) for c in range(2)]
        room = {(c, side): int(depth_near(state, c, -side) * throttle) for c in range(2) for side in (s.BUY, s.SELL)}
        first = exchange.meta(s.M_FILLS)
        step.clear_and_record(state, exchange.evaluate, STREAMS)
        invariants.check(state)
        forced = state.fills[first : exchange.meta(s.M_FILLS)]
        for (c, side), most in room.items():
            mine = forced[(forced["contract"] == c) & (forced["side"] == side) & (forced["cause"] == 1)]
            assert int(mine["quantity"].sum()) <= most
            assert not (stopped[c] and len(mine))
        exchange.next_step()


# -- margin multiplier -------------------------------------------------------------------------------------------------


def stressed(index: float, regime: str = "static", **how: Any) -> Exchange:
    """An exchange in its 11th step whose averages give a stress index; slope 0.5 from 2, at most 3."""
    exchange = exchange_with(Breakers(stress_from=2.0, stress_slope=0.5, stress_most=3.0), regime=regime, **how)
    exchange.state.meta[s.M_STEP] = 11
    exchange.state.contracts["variance_fast_alpha"] = exchange.state.contracts["variance_slow_alpha"] = 1.0
    exchange.state.quotes["variance_slow"] = 1e-6
    exchange.state.quotes["variance_fast"] = 1e-6 * index**2
    return exchange


@pytest.mark.parametrize(("index", "factor"), [(0.5, 1.0), (2.0, 1.0), (3.0, 1.5), (4.0, 2.0), (6.0, 3.0), (50.0, 3.0)])
def test_rates_are_multiplied_by_the_stress_index(index: float, factor: float) -> None:
    exchange = stressed(index)
    step.announce(exchange.state)
    row = 11 % exchange.meta(s.M_RISK_SLOTS)
    assert exchange.state.rate_initial[0] == round(factor * s.RATE_ONE / 8)
    assert exchange.state.rate_maintenance[row, 0] == round(factor * s.RATE_ONE / 16)
    assert exchange.state.model_rates[0, 0, 1] == s.RATE_ONE // 16  # what the rule said stays


def test_maintenance_waits_for_its_notice() -> None:
    exchange = stressed(4.0, cash=1_000)
    exchange.trade(0, 1, 4)  # worth 4000: initial 500, maintenance 250
    before = [int(exchange.evaluate(exchange.state, 0, -1, which)) for which in (s.INITIAL, s.MAINTENANCE)]
    step.before_publish(exchange.state)
    step.announce(exchange.state)
    now = [int(exchange.evaluate(exchange.state, 0, -1, which)) for which in (s.INITIAL, s.MAINTENANCE)]
    exchange.state.meta[s.M_STEP] += 1
    assert (before, now) == ([500, 250], [1000, 250])
    assert int(exchange.evaluate(exchange.state, 0, -1, s.MAINTENANCE)) == 500


def test_scenario_profits_are_multiplied_too() -> None:
    calm, tense = stressed(1.0, "portfolio", cash=10_000), stressed(4.0, "portfolio", cash=10_000)
    for exchange in (calm, tense):
        exchange.trade(0, 1, 4)
        step.before_publish(exchange.state)
        exchange.model.publish_kernel(exchange.state, 0)
        step.announce(exchange.state)
        exchange.state.meta[s.M_STEP] += 1
    for which in (s.INITIAL, s.MAINTENANCE):
        asked = [int(e.evaluate(e.state, 0, -1, which)) for e in (calm, tense)]
        assert asked[1] == pytest.approx(2 * asked[0], abs=1)


def test_multiplied_rates_stay_within_the_whole_value() -> None:
    exchange = stressed(50.0)
    exchange.state.model_rates[0, 0] = int(0.9 * s.RATE_ONE), int(0.6 * s.RATE_ONE)
    step.announce(exchange.state)
    row = 11 % exchange.meta(s.M_RISK_SLOTS)
    assert exchange.state.rate_initial[0] == s.RATE_ONE
    assert 0 <= s.RATE_ONE - exchange.state.rate_maintenance[row, 0] <= 1


@given(moves=st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=30), seed=st.integers(0, 100))
def test_the_stress_index_agrees_with_weighted_means(moves: list[float], seed: int) -> None:
    """Each variance is the mean of squared returns with weights (1 - alpha)**age."""
    exchange = exchange_with(HALT)
    state = exchange.state
    alphas = 1 / 20, 1 / 1000
    state.contracts["variance_fast_alpha"], state.contracts["variance_slow_alpha"] = alphas
    state.history[:] = realmath.ln(float(PRICE))
    price, mids = float(PRICE * SUB), [PRICE * SUB]
    for move in moves:
        price *= math.exp(move)
        mids.append(max(round(price), 1))
        state.quotes["mid"][0] = mids[-1]
        marks.close_marks(state)
        state.meta[s.M_STEP] += 1
    squares = np.diff(np.log(mids)) ** 2
    weights = [(1 - alpha) ** np.arange(len(squares))[::-1] for alpha in alphas]
    fast, slow = (float((w * squares).sum() / w.sum()) for w in weights)
    assert breakers.stress_index(state, 0) == pytest.approx(math.sqrt(fast / slow) if slow > 0 else 1.0, rel=1e-9)


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"halt_move": 1.0}, "halt_move"),
        ({"halt_move": -0.1}, "halt_move"),
        ({"halt_window_seconds": 0.0}, "halt_window_seconds"),
        ({"halt_window_seconds": 60.0 * 5000}, "halt_window_seconds"),
        ({"halt_seconds": -1.0}, "halt_seconds"),
        ({"band": 1.5}, "band"),
        ({"throttle": -0.5}, "throttle"),
        ({"throttle": math.nan}, "throttle"),
        ({"stress_slope": -1.0}, "stress_slope"),
        ({"stress_most": 0.5}, "stress_most"),
    ],
)
def test_breakers_out_of_range_are_refused(change: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=f"clearing.breakers.{key}") as caught:
        exchange_with(replace(Breakers(), **change))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("regime", ["static", "dynamic", "portfolio", "isolated"])
def test_the_multiplier_serves_rules_of_rates_and_grids(regime: str) -> None:
    venue.check_stress(margin.create(regime, {}))


@pytest.mark.parametrize("regime", [name for name in margin.presets() if name not in ("static",)])
def test_the_multiplier_is_refused_to_the_others(regime: str) -> None:
    """A regime is served iff a compiled netting of published rates or grid answers for it, flat and without add-ons."""
    try:
        model = margin.create(regime, {})
    except ConfigError:
        pytest.skip("needs parameters")
    compiled = {"cross", "isolated", "scenarios"}
    name = getattr(model.requirement_kernel, "__name__", "")
    serves = name in compiled and model.schedule_rows == 1
    market: Any = SimpleNamespace(
        state=Exchange(2).state, config=MarketConfig(steps=8), contract_table=Exchange(2).table, margin=model
    )
    rule = ClearingConfig(breakers=Breakers(stress_slope=1.0))
    if serves:
        venue.put_breakers(market, rule)
    else:
        with pytest.raises(ConfigError, match="stress_slope"):
            venue.put_breakers(market, rule)
