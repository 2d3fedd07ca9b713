"""Producers and consumers: what is delivered, what of it is hedged, in which contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import agents
from agents import producers
from agents.columns import Population
from agents.kernels import producers as kernels
from sim.contracts import Contract
from sim.kernels.state import CALLED, RATE_ONE, SUBTICKS, State
from tests.agents import rig
from tests.agents.rig import PRICE, decide

WIDE = {"initial_price": PRICE, "max_price": 1 << 15, "price_band": 0.5}
SPOT = Contract("spot", "spot", base_currency="COIN", base_lot=100, **WIDE)
NEAR = Contract("near", "linear_future", underlying="COIN", expiry_step=200, **WIDE)
NEXT = Contract("next", "linear_future", underlying="COIN", expiry_step=900, **WIDE)
LAST = Contract("last", "linear_future", underlying="COIN", expiry_step=5000, **WIDE)
FINE = Contract("fine", "linear_future", underlying="COIN", expiry_step=7000, tick_size=0.5, **WIDE)


def option(kind: str, strike: float, expiry: int) -> Contract:
    """An option of the chain, of half a coin a lot."""
    return Contract(
        f"{kind}-{strike:g}-{expiry}", "linear_option", underlying="COIN", tick_size=1.0, tick_value=50, strike=strike,
        option_type=kind, expiry_step=expiry, volatility=0.8, chain="OPT", lot_size=0.5, **WIDE,
    )  # fmt: skip


CHAIN = tuple(option(k, s, e) for e in (300, 1000) for s in (4500.0, 5000.0, 5500.0) for k in ("call", "put"))
TERMS = (SPOT, NEAR, LAST, NEXT, FINE, *CHAIN)
NAMES = [contract.name for contract in TERMS]
CASES = {
    "producers": ("producers", {"contract": "near", "programme_days": 0.1, "roll_days": 0.05}),
    "consumers who buy spot": (
        "consumers",
        {"contract": "last", "programme_days": 0.2, "programme_lots": 1e5, "deliver": "spot"},
    ),
    "producers who sell spot": ("producers", {"contract": "near", "programme_days": 0.01, "deliver": "spot"}),
    "producers with puts": ("producers", {"contract": "last", "hedge": "options", "moneyness": 0.93}),
    "consumers with calls": ("consumers", {"contract": "last", "hedge": "options", "programme_days": 0.2}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_decision_equals_the_readable_one(case: str) -> None:
    kind, params = CASES[case]
    sent = rig.agree(kind, {"count": 15, "period": 3, **params}, producers.decide, terms=TERMS)
    assert len({message.contract for message in sent}) > 1
    assert {message.side for message in sent} == ({1} if "hedge" in params or kind == "consumers" else {-1, 1})


@given(
    output=some.integers(1, 10**6), programme=some.integers(1, 10**5), phase=some.integers(0, 10**5),
    steps=some.lists(some.integers(0, 10**6), min_size=2, max_size=2),
)  # fmt: skip
def test_what_is_delivered_is_what_came_off_the_programmes(
    output: int, programme: int, phase: int, steps: list[int]
) -> None:
    start, end = sorted(steps)
    delivered = [int(kernels.delivered_by(step, output, phase, programme)) for step in (start, end)]
    rest = [int(kernels.to_come(step, output, phase, programme)) for step in (start, end)]
    begun = [(step + phase) // programme * output for step in (start, end)]
    assert delivered[1] >= delivered[0] and all(0 < left <= output for left in rest)
    assert delivered[1] - delivered[0] == (begun[1] - rest[1]) - (begun[0] - rest[0])


def one(kind: str = "producers", **params: Any) -> tuple[State, Population]:
    """One trader of 100 lots a programme of 1,000 steps that has just begun, hedged in full."""
    stated = {
        "count": 1, "period": 1, "contract": "last", "programme_lots": 100, "programme_sigma": 0, "hedge_spread": 0,
        "programme_days": 1000 / 1440, "hedge_ratio": 1.0, "tolerance": 0.0, "child_lots": 1000,
    }  # fmt: skip
    state, (population,) = rig.market([(kind, stated | params)], terms=TERMS, steps=6000)
    population.column(state, "phase")[:] = 0
    population.column(state, "output")[:] = 100
    state.conversion[:] = RATE_ONE
    return state, population


def orders(state: State, population: Population, step: int) -> dict[str, int]:
    """Signed lots by contract that are sent in a step."""
    return {NAMES[m[1]]: m[3] * m[7] for m in decide(state, population, step)}


@pytest.mark.parametrize(("kind", "sign"), [("producers", -1), ("consumers", 1)])
def test_the_hedge_is_what_is_still_to_come(kind: str, sign: int) -> None:
    state, population = one(kind)
    assert orders(state, population, 1000) == {"last": 100 * sign}
    assert orders(state, population, 1300) == {"last": 70 * sign}
    state.positions["lots"][0, NAMES.index("last")] = 100 * sign
    assert orders(state, population, 1999) == {"last": -99 * sign}
    assert orders(state, population, 2000) == {}


def test_ratio_tolerance_and_child_bound_the_hedge() -> None:
    state, population = one(hedge_ratio=0.5, child_lots=7)
    assert orders(state, population, 1000) == {"last": -7}
    state, population = one(hedge_ratio=0.5, tolerance=0.2)
    state.positions["lots"][0, NAMES.index("last")] = -50
    assert orders(state, population, 1200) == {}
    assert orders(state, population, 1450) == {"last": 22}
    state.accounts["status"][0] = CALLED
    assert orders(state, population, 1450) == {}


def test_a_hedge_moves_to_the_next_dated_contract_before_its_own_expires() -> None:
    """It goes child by child and stays whole on the way; contracts in other units are passed over."""
    assert producers.successors(NEAR, {c.name: c for c in TERMS}) == ["next", "last"]
    state, population = one(contract="near", roll_days=50 / 1440, child_lots=30, programme_days=1e6)
    lots = state.positions["lots"]
    lots[0, NAMES.index("near")] = -100
    assert orders(state, population, 149) == {}
    for left in (70, 40, 10, 0):
        sent = orders(state, population, 160)
        moved = sent["near"]
        assert sent == {"near": moved, "next": -moved}
        lots[0, NAMES.index("near")] += moved
        lots[0, NAMES.index("next")] -= moved
        assert lots[0, NAMES.index("near")] == -left and lots[0].sum() == -100
    assert orders(state, population, 300) == {}
    assert orders(state, population, 870) == {"next": 30, "last": -30}


def test_what_was_not_rolled_in_time_is_hedged_anew() -> None:
    state, population = one(contract="near", roll_days=50 / 1440, programme_days=1e6)
    state.positions["lots"][0, NAMES.index("near")] = -100  # settled at step 200: the row is of no account
    assert orders(state, population, 250) == {"next": -100}


def test_the_last_contract_is_used_to_its_end_and_then_nothing() -> None:
    state, population = one(contract="last", roll_days=1.0, programme_days=1e6)
    assert orders(state, population, 5000) == {"last": -100}
    assert orders(state, population, 5001) == {}


def test_output_enters_as_coins_and_is_sold() -> None:
    state, population = one(deliver="spot", hedge_ratio=0.0, period=10)
    sold = 0
    for step in range(1, 1001):
        for lots in orders(state, population, step).values():
            sold -= lots
            state.wallets[0, 1] += lots * SPOT.base_lot  # filled
            state.booked[0, 1] += lots * SPOT.base_lot
    assert 99 <= sold <= 100  # the last wake may be some steps before the end
    assert int(state.net_deposits[1]) == int(state.deposits[0, 1]) == sold * SPOT.base_lot


def test_a_consumer_buys_what_he_needs_and_takes_it_away() -> None:
    state, population = one("consumers", deliver="spot", hedge_ratio=0.0)
    assert orders(state, population, 10) == {"spot": 1}
    state.wallets[0, 1] = 3 * SPOT.base_lot
    population.column(state, "owed")[:] = 5
    assert orders(state, population, 11) == {"spot": 2}
    assert int(state.wallets[0, 1]) == 0 and int(state.net_deposits[1]) == -3 * SPOT.base_lot


@pytest.mark.parametrize(("kind", "name", "moneyness", "strike"), [
    ("producers", "put", 0.91, 4500), ("producers", "put", 1.0, 5000), ("consumers", "call", 1.2, 5500),
])  # fmt: skip
def test_options_are_chosen_by_strike_and_expiry(kind: str, name: str, moneyness: float, strike: int) -> None:
    """A lot of the chain is half a coin, a lot of the future one: twice as many cover the programme."""
    state, population = one(kind, hedge="options", moneyness=moneyness)
    state.quotes["mark"][5:] = 200 * SUBTICKS
    assert orders(state, population, 1) == {f"{name}-{strike}-1000": 200}
    assert orders(state, population, 800) == {f"{name}-{strike}-1000": 40}
    population.column(state, "phase")[:] = 800
    assert orders(state, population, 1) == {f"{name}-{strike}-300": 40}
    held = state.positions["lots"]
    held[0, NAMES.index(f"{name}-5500-1000")] = 30
    assert orders(state, population, 1) == {f"{name}-{strike}-300": 10}
    held[0, NAMES.index(f"{name}-5500-1000")] = 90
    assert orders(state, population, 1) == {}


def test_amounts_beginnings_and_ratios_scatter_as_stated() -> None:
    params = {"count": 4000, "contract": "last", "programme_lots": 400, "programme_sigma": 0.5, "programme_days": 1}
    state, (population,) = rig.market([("producers", params)], terms=TERMS)
    output, phase, ratio = (population.column(state, name) for name in ("output", "phase", "ratio"))
    assert output.mean() == pytest.approx(400, rel=0.03)
    assert np.log(output).std() == pytest.approx(0.5, rel=0.03)
    assert phase.min() >= 0 and phase.max() < 1440 and phase.mean() == pytest.approx(720, rel=0.03)
    assert ratio.min() >= 0.6 and ratio.max() <= 1.0 and ratio.mean() == pytest.approx(0.8, rel=0.01)


@pytest.mark.parametrize(
    ("params", "key", "words"),
    [
        ({}, "contract", "a perpetual or future, not spot"),
        ({"contract": "last", "deliver": "near"}, "deliver", "a spot contract about COIN: spot"),
        ({"contract": "last", "hedge": "options", "chain": "X"}, "chain", "a chain about COIN: OPT"),
        ({"contract": "last", "chain": "OPT"}, "chain", 'only with hedge = "options"'),
    ],
)
def test_wrong_contracts_are_named(params: dict[str, Any], key: str, words: str) -> None:
    info = agents.MarketInfo(tuple(NAMES), 60.0, 1440, TERMS)
    (problem,) = agents.problems("producers", params, info)
    assert problem.key == key and words in problem.allowed
