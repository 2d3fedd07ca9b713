"""Options that a script gives to a population: as much feedback as was asked for, exact in the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents
import margin
from agents.registry import MarketInfo
from sim.config import ClearingConfig, MarketConfig, ScriptedEvent
from sim.contracts import Contract
from sim.deltas import hedge_lots, live_options
from sim.errors import ConfigError
from sim.kernels.record import depth_near
from sim.market import Market
from sim.options import black76_greeks, inverse_greeks
from sim.world import GbmWorld, build_world

STEPS, SEEDED, DAY = 60, 40, 1440
PRICE = 2000


def listed(inverse: bool = False, priced_on: str = "mark", strikes: int = 9) -> list[Contract]:
    """A perpetual, and calls and puts of two expiries on it."""
    currency = "BTC" if inverse else "USD"
    perpetual = Contract(
        "perp", kind="inverse_perpetual" if inverse else "linear_perpetual", initial_price=PRICE, max_price=8000,
        max_lots=10**6, tick_value=10**10 if inverse else 10, currency=currency, underlying="coin",
    )  # fmt: skip
    found = [perpetual]
    for days in (5, 9):
        for i in range(strikes):
            for option in ("call", "put"):
                found.append(
                    Contract(
                        f"o-{days}-{i}-{option}", kind="inverse_option" if inverse else "linear_option",
                        tick_size=0.0001 if inverse else 1.0, tick_value=1000 if inverse else 10, initial_price=50,
                        max_price=10**4, max_lots=10**6, currency=currency, underlying="coin",
                        strike=PRICE * (1 + 0.02 * (i - strikes // 2)), option_type=option, expiry_step=days * DAY,
                        volatility=0.6, chain="chain", priced_on=priced_on,
                    )
                )  # fmt: skip
    return found


def market(event: ScriptedEvent, contracts: list[Contract] | None = None, regime: str = "static") -> Market:
    contracts = contracts or listed()
    info = MarketInfo(tuple(c.name for c in contracts), 60.0, DAY)
    populations = [
        agents.create("latent", "latent", {"count": 20, "lifetime": 500.0, "depth_ticks": 600, "prefill": True}, info),
        agents.create("noise", "noise", {"count": 20, "arrivals": 2.0}, info),
        agents.create("option_makers", "dealers", {"count": 3, "quotes": False, "capital_lots": 5000.0}, info),
    ]
    steps = MarketConfig(steps=STEPS)
    world = build_world(GbmWorld(volatility=0.03), contracts, STEPS, 60.0, DAY, 3, ())
    rule = margin.create(regime, {"initial": 0.05, "maintenance": 0.03})
    return Market(steps, contracts, world, rule, populations, (event,), ClearingConfig(), seed=3)


def event(options: int = 36, **changes: Any) -> ScriptedEvent:
    stated: dict[str, Any] = {"population": "dealers", "options": tuple(range(1, 1 + options)), "gamma_per_depth": -0.5}
    return ScriptedEvent("gamma", "seed_options", SEEDED, **(stated | changes))


def rows(exchange: Market) -> slice:
    population = exchange.populations[2]
    return slice(population.first, population.first + population.count)


def hedge_of(exchange: Market, factor: float = 1.0) -> float:
    """Delta of all dealers' options, lots of the perpetual."""
    options = live_options(exchange)
    held = exchange.state.positions["lots"][rows(exchange)][:, options].sum(axis=0)
    return float(held @ hedge_lots(exchange, 0, options, factor)[:, 0])


@settings(max_examples=8)
@given(gamma=st.floats(-2.0, 2.0).filter(lambda g: abs(g) > 0.05), low=st.floats(0.9, 0.97))
def test_the_hedge_changes_by_what_was_asked_for(gamma: float, low: float) -> None:
    exchange = market(event(gamma_per_depth=gamma, strikes=(low, 1.1)))
    exchange.run_until(SEEDED)
    exchange.check()
    changed = hedge_of(exchange, 0.95) - hedge_of(exchange)  # long gamma: the delta falls with the price
    assert -changed == pytest.approx(gamma * depth_near(exchange.state, 0, 1), rel=0.02)
    strikes = [exchange.contracts[k].strike for k in live_options(exchange)]
    mark = int(exchange.state.quotes["mark"][0]) / 16
    given = exchange.state.positions["lots"][rows(exchange)][:, live_options(exchange)].any(axis=0)
    assert list(given) == [low * mark <= strike <= 1.1 * mark for strike in strikes]
    exchange.advance(STEPS - SEEDED)
    exchange.check()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("gamma", [-0.4, 0.4])
def test_every_account_starts_delta_neutral_and_loses_nothing_at_the_mark(gamma: float, inverse: bool) -> None:
    exchange = market(event(gamma_per_depth=gamma), listed(inverse))
    exchange.run_until(SEEDED - 1)
    before = [exchange.equity(a) for a in range(*rows(exchange).indices(10**6))]
    twin = exchange.fork(events=[])
    exchange.run_until(SEEDED)
    twin.run_until(SEEDED)
    exchange.check()
    options = live_options(exchange)
    hedges = hedge_lots(exchange, 0, options, 1.0)[:, 0]
    lots = exchange.state.positions["lots"][rows(exchange)]
    assert abs(lots[:, options] @ hedges + lots[:, 0]).max() <= 0.5
    after = [exchange.equity(a) for a in range(*rows(exchange).indices(10**6))]
    brought = exchange.state.deposits[rows(exchange), 0] - twin.state.deposits[rows(exchange), 0]
    assert ((brought > 0) if gamma > 0 else (brought == 0)).all()  # who buys is given the premium
    # rounding of each position's value to whole minor units is all that there may be
    assert abs(np.array(after) - np.array(before) - brought).max() <= 2 * len(options)


def test_leverage_says_what_cash_they_bring() -> None:
    exchange = market(event(lots=-9, gamma_per_depth=0.0, leverage=2.0))
    exchange.run_until(SEEDED)
    exchange.check()
    options = live_options(exchange)
    state = exchange.state
    mark = int(state.quotes["mark"][0])
    for account in range(*rows(exchange).indices(10**6)):
        lots = state.positions["lots"][account, options]
        gross = abs(lots).sum() * mark * 10 // 16
        assert exchange.equity(account) == pytest.approx(gross / 2, rel=1e-4)


def test_isolated_pockets_take_premium_and_margin() -> None:
    exchange = market(event(lots=-3, gamma_per_depth=0.0, leverage=1.0), regime="isolated")
    exchange.run_until(SEEDED)
    exchange.check()
    options = live_options(exchange)
    assert (exchange.state.positions["pocket"][rows(exchange)][:, options] > 0).all()
    exchange.advance(STEPS - SEEDED)
    exchange.check()


def test_without_a_hedge_and_with_chosen_options() -> None:
    exchange = market(event(options=18, lots=30, gamma_per_depth=0.0, hedged=False, strikes=(0.5, 2.0)))
    exchange.run_until(SEEDED)
    held = exchange.state.positions["lots"][rows(exchange)]
    assert (held[:, 0] == 0).all()
    assert (held[:, 1:19].sum(axis=0) == 30).all()
    assert (held[:, 19:] == 0).all()


def test_strikes_that_hold_nothing_are_refused() -> None:
    exchange = market(event(strikes=(1.5, 2.0)))
    with pytest.raises(ConfigError, match=r"events.gamma.strikes.*a range that holds a strike"):
        exchange.run_until(SEEDED)
    far = market(event(strikes=(0.9, 1.1), gamma_per_depth=1e9))
    with pytest.raises(ConfigError, match="more lots than a position has"):
        far.run_until(SEEDED)


@settings(max_examples=15)
@given(factor=st.floats(0.7, 1.4))
def test_deltas_at_other_prices_are_those_of_the_formula(factor: float) -> None:
    for inverse in (False, True):
        exchange = market(event(), listed(inverse, strikes=3))
        options = live_options(exchange)
        found = hedge_lots(exchange, 0, options, [factor])[:, 0]
        price = PRICE * factor
        for k, value in zip(options, found, strict=True):
            terms = exchange.contracts[k]
            greeks = (inverse_greeks if inverse else black76_greeks)(
                terms.option_type, price, terms.strike, terms.expiry_step / (365 * DAY), 0.6
            )
            # an option is on one coin of 1e7 minor units; an inverse lot is worth 1e10 / price of them
            wanted = greeks.delta * (price / 1000 if inverse else 1.0)
            assert value == pytest.approx(float(wanted), rel=1e-9, abs=1e-12)


def test_options_that_are_not_listed_or_have_expired_do_not_live() -> None:
    contracts = listed(strikes=1)
    contracts[1] = replace(contracts[1], listing_step=20)
    contracts[2] = replace(contracts[2], expiry_step=10)
    exchange = market(event(options=4, strikes=(0.9, 1.1)), contracts)
    assert live_options(exchange) == [2, 3, 4]
    exchange.run_until(15)
    assert live_options(exchange) == [3, 4]
    exchange.run_until(20)
    assert live_options(exchange) == [1, 3, 4]
