"""Basis and funding arbitrageurs: what they hold against what, when, and when not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import agents
from agents import carry_traders as carry
from agents.columns import Population
from agents.kernels import carry_traders as kernels
from sim.contracts import Contract
from sim.kernels.funding import funding_units
from sim.kernels.state import CALLED, RATE_ONE, REDUCE_ONLY, SUBTICKS, State
from tests.agents import rig
from tests.agents.rig import PRICE, decide

WIDE = {"initial_price": PRICE, "max_price": 1 << 15, "price_band": 0.5}
SPOT = Contract("spot", "spot", base_currency="COIN", base_lot=100, **WIDE)
FUTURE = Contract("future", "linear_future", underlying="COIN", expiry_step=400, **WIDE)
FAR = Contract("far", "linear_future", underlying="COIN", tick_size=0.5, tick_value=50, expiry_step=1_051_200, **WIDE)
PERP = Contract("perp", "linear_perpetual", underlying="COIN", funding_interval_steps=480, impact_lots=1, **WIDE)
OTHER = Contract("oil", "linear_future", underlying="OIL", **WIDE)
TERMS = (SPOT, FUTURE, FAR, PERP, OTHER)
YEARS = 2.0 - 1 / (365 * 1440)  # to the expiry of the far future, at step 1

CASES = {
    "basis future spot": ("basis_arbitrageurs", {"contract": "future", "other": "spot"}),
    "basis future far": ("basis_arbitrageurs", {"contract": "far", "other": "future", "rate": 0.1, "period": 2}),
    "basis perp spot": ("basis_arbitrageurs", {"contract": "perp", "other": "spot", "child_lots": 40}),
    "funding perp spot": ("funding_arbitrageurs", {"contract": "perp", "other": "spot", "rate_sigma": 0.2}),
    "funding perp future": ("funding_arbitrageurs", {"contract": "perp", "other": "far", "period": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_decision_equals_the_readable_one(case: str) -> None:
    kind, params = CASES[case]
    readable = carry.trade_basis if kind == "basis_arbitrageurs" else carry.trade_funding
    sent = rig.agree(kind, {"count": 20, "coin_lots": 50, **params}, readable, terms=TERMS)
    assert {message.side for message in sent} == {-1, 1} and len({message.contract for message in sent}) == 2


def pair(kind: str = "basis_arbitrageurs", **params: Any) -> tuple[State, Population]:
    """One arbitrageur between the far future or the perpetual and spot, prices alike."""
    stated = {
        "count": 1, "period": 1, "contract": "far", "other": "spot", "rate": 0.0, "entry_spread": 0.0, "scale": 0.01,
        "child_lots": 4, "coin_lots": 100, "capital_lots": 1000, "leverage": 100,
    }  # fmt: skip
    state, (population,) = rig.market([(kind, stated | params)], terms=TERMS)
    state.conversion[:] = RATE_ONE
    return state, population


def at(state: State, contract: str, price: float) -> None:
    """Put a contract's prices somewhere, in price units."""
    number = [terms.name for terms in TERMS].index(contract)
    ticks = price / TERMS[number].tick_size
    state.quotes["mid"][number] = state.quotes["mark"][number] = round(ticks * SUBTICKS)
    state.quotes["bid"][number], state.quotes["ask"][number] = math.floor(ticks) - 1, math.ceil(ticks) + 1


def orders(state: State, population: Population, step: int = 1) -> dict[str, int]:
    """Signed lots by contract that are sent in a step."""
    return {TERMS[m[1]].name: m[3] * m[7] for m in decide(state, population, step)}


@pytest.mark.parametrize(("price", "side"), [(5600.0, -1), (4400.0, 1)])
def test_the_dear_leg_is_sold_against_the_cheap_one_in_balance(price: float, side: int) -> None:
    """The far future has half the tick at half the money: a lot of it is a coin as a lot of spot is."""
    state, population = pair()
    at(state, "far", price)
    sent = orders(state, population)
    assert sent["far"] == side * 4
    assert sent["spot"] == -side * round(4 * price / PRICE)


@given(rate=some.floats(-0.2, 0.2), gap=some.floats(-0.4, 0.4))
def test_nothing_is_opened_within_carry_costs_and_entry(rate: float, gap: float) -> None:
    state, population = pair(rate=rate, entry=0.03, cost=0.01)
    at(state, "far", PRICE * math.exp(rate * YEARS + gap))
    excess = (abs(gap) - 0.01) / YEARS - 0.03
    sent = orders(state, population)
    if excess < -0.001:
        assert sent == {}
    if excess > 0.001:
        assert sent["far"] == (-4 if gap > 0 else 4)


def test_without_an_expiry_the_basis_counts_over_the_stated_days() -> None:
    state, population = pair(contract="perp", horizon_days=36.5, entry=0.5, cost=0.0)
    at(state, "perp", PRICE * math.exp(0.049))
    assert orders(state, population) == {}
    at(state, "perp", PRICE * math.exp(0.052))
    assert orders(state, population)["perp"] < 0


def hold(state: State, population: Population, contract: str, lots: int) -> None:
    """Give the arbitrageur a balanced pair."""
    number = [terms.name for terms in TERMS].index(contract)
    state.positions["lots"][0, number] = lots
    coins = population.column(state, "endowment")[0] - lots
    state.wallets[0, 1] = coins * SPOT.base_lot


def test_a_pair_is_held_until_it_no_longer_earns() -> None:
    state, population = pair(entry=0.03)
    hold(state, population, "far", -20)
    at(state, "far", PRICE * 1.001)
    assert orders(state, population) == {}
    at(state, "far", PRICE * 0.999)
    assert orders(state, population) == {"far": 4, "spot": -4}
    state.accounts["status"][0] = CALLED
    at(state, "far", PRICE * 1.1)
    sent = decide(state, population)
    assert [m[3] * m[7] for m in sent if m[1] == 2] == [4] and sent[0][5] == REDUCE_ONLY


def test_one_leg_that_ran_ahead_is_brought_back() -> None:
    state, population = pair()
    at(state, "far", PRICE * 1.2)
    state.positions["lots"][0, 2] = -60
    assert orders(state, population)["far"] == 4


def test_after_expiry_the_other_leg_is_sold() -> None:
    state, population = pair(contract="future")
    hold(state, population, "far", 0)
    state.wallets[0, 1] += 30 * SPOT.base_lot
    at(state, "future", PRICE * 1.2)
    assert orders(state, population, step=401) == {"spot": -5}


def test_nobody_sells_coins_that_he_has_not_nor_buys_beyond_his_cash() -> None:
    state, population = pair(coin_lots=2)
    at(state, "far", PRICE * 0.8)
    assert abs(orders(state, population)["spot"]) <= 2
    state, population = pair(headroom=0.5)
    at(state, "far", PRICE * 1.2)
    state.wallets[0, 0] = PRICE * 100 * 5  # buys five lots, half of it two
    assert orders(state, population)["spot"] <= 2


def test_coins_of_the_endowment_do_not_count_as_held() -> None:
    state, population = pair(coin_lots=77)
    assert int(state.wallets[0, 1]) == 77 * SPOT.base_lot
    assert kernels.held_of(state, 0, 0) == 0
    hold(state, population, "far", -9)
    assert kernels.held_of(state, 0, 0) == 9 and population.column(state, "endowment")[0] == 77


@given(level=some.floats(-0.05, 0.05), interest=some.floats(-0.001, 0.001), clamp=some.floats(0, 0.01))
def test_the_rate_at_a_premium_is_what_the_venue_pays(level: float, interest: float, clamp: float) -> None:
    state, _ = pair()
    terms = state.contracts
    terms["funding_interest"], terms["funding_clamp"] = round(interest * RATE_ONE), round(clamp * RATE_ONE)
    state.quotes["premium_count"], state.quotes["premium_sum"] = 10, 10 * level
    assert kernels.rate_at(state, 3, level) == pytest.approx(funding_units(state, 3) / RATE_ONE, abs=1e-8)


def test_expected_funding_is_the_accrued_rate_now_and_the_present_one_later() -> None:
    state, _ = pair()
    state.contracts["funding_interest"] = state.contracts["funding_clamp"] = 0
    state.quotes["premium_count"], state.quotes["premium_sum"] = 240, 240 * 0.01
    years = 480 / (365 * 1440)
    # the book is empty, so the premium of now is zero: half an interval at 0.01, then nothing
    assert kernels.expected_funding(state, 3, 10 * years) == pytest.approx(0.005 / 10 / years)
    assert kernels.expected_funding(state, 3, years / 2) == pytest.approx(0.005 / years)


@pytest.mark.parametrize(("premium", "side"), [(0.01, -1), (-0.01, 1)])
def test_who_is_paid_funding_takes_the_other_side(premium: float, side: int) -> None:
    state, population = pair("funding_arbitrageurs", contract="perp", horizon_days=1 / 3)
    state.quotes["premium_count"], state.quotes["premium_sum"] = 480, 480 * premium
    assert orders(state, population) == {"perp": side * 4, "spot": -side * 4}


def test_funding_is_weighed_against_what_the_other_leg_costs() -> None:
    """Long the far future at a premium of 40 % over two years costs 20 % a year, and funding brings less."""
    state, population = pair("funding_arbitrageurs", contract="perp", other="far", horizon_days=1 / 3, cost=0.0)
    state.contracts["funding_interest"] = state.contracts["funding_clamp"] = 0
    state.quotes["premium_count"], state.quotes["premium_sum"] = 480, 480 * 0.10 / 1095
    at(state, "far", PRICE * math.exp(0.4))
    state.quotes["index"][2] = round(PRICE / FAR.tick_size) * SUBTICKS
    assert orders(state, population)["perp"] > 0
    at(state, "far", PRICE)
    assert orders(state, population)["perp"] < 0


def test_rates_and_entries_scatter_as_stated() -> None:
    params = {"count": 4000, "contract": "far", "other": "spot", "rate": 0.05, "rate_sigma": 0.01, "entry": 0.02}
    state, (population,) = rig.market([("basis_arbitrageurs", params)], terms=TERMS)
    rate, entry = population.column(state, "rate"), population.column(state, "entry")
    assert rate.mean() == pytest.approx(0.05, abs=0.001) and rate.std() == pytest.approx(0.01, rel=0.05)
    assert entry.min() >= 0.01 and entry.max() <= 0.03 and entry.mean() == pytest.approx(0.02, rel=0.02)
    assert np.corrcoef(rate, entry)[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("kind", "params", "key", "words"),
    [
        ("basis_arbitrageurs", {"contract": "far", "other": "oil"}, "other", "one of spot, future, perp"),
        ("basis_arbitrageurs", {"contract": "far", "other": "far"}, "other", "one of spot, future, perp"),
        ("basis_arbitrageurs", {"other": "far"}, "contract", "a perpetual or future, not spot"),
        ("basis_arbitrageurs", {"contract": "oil", "other": "far"}, "other", "a second contract about what oil"),
        ("funding_arbitrageurs", {"contract": "far", "other": "spot"}, "contract", "that pays funding: perp"),
    ],
)
def test_wrong_legs_are_named(kind: str, params: dict[str, Any], key: str, words: str) -> None:
    info = agents.MarketInfo(tuple(c.name for c in TERMS), 60.0, 1440, TERMS)
    (problem,) = agents.problems(kind, params, info, key="populations.arb")
    assert problem.key == f"populations.arb.{key}" and words in problem.allowed
