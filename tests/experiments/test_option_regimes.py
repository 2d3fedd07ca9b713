"""Whole markets with options under every regime: failing sellers are liquidated, buyers not, money is conserved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import build, scenario
from margin import registry
from sim import invariants
from sim.kernels import state as s
from sim.market import Market

SHOCK, EXPIRY, STEPS = 20, 45, 60
# reg_t and aevo_sm margin no perpetuals; a window of years of daily returns is longer than a market remembers
ELSEWHERE = {"reg_t", "aevo_sm", "hs_portfolio", "hs_portfolio_var"}
# asks of a bought option what a fall of its delta's worth would lose, which may be more than the option is worth
CHARGES_BUYERS = {"credit"}
REGIMES = sorted(set(registry.regimes()) - ELSEWHERE)

POPULATION = {"kind": "option_makers", "count": 6, "quotes": False, "hedge": "none"}
SEEDED = {"kind": "seed_options", "at_step": 5, "leverage": 30.0}


def market(regime: str, *, shadows: tuple[str, ...] = (), **clearing: Any) -> Market:
    """Naked puts, bought straddles and calls covered by the perpetual; nobody quotes options; the price falls 11 %."""
    raw = {
        "extends": "calm",
        "market": {"steps": STEPS, "burn_in": 0},
        "clearing": clearing,
        "chains": [
            {
                "name": "OPT", "underlying": "perp", "expiry_days": [EXPIRY / 1440, 7.0], "strikes": 5,
                "spacing": 0.025, "volatility": 0.57, "priced_on": "mark", "tick_size": 0.01, "tick_value": 1,
                "settlement_seconds": 300.0,
            }
        ],
        "populations": [POPULATION | {"name": name} for name in ("naked", "holders", "covered")],
        "events": [
            SEEDED | {"name": "a", "population": "naked", "lots": -30, "hedged": False, "option_type": "put"},
            SEEDED | {"name": "b", "population": "holders", "lots": 30, "hedged": False},
            SEEDED | {"name": "c", "population": "covered", "lots": -20, "hedged": True, "option_type": "call"},
            {"name": "d", "kind": "value_jump", "at_step": SHOCK, "log_size": -0.12},
        ],
    }  # fmt: skip
    return build.market(scenario.parse(raw, name="options", file="options"), 3, regime, shadows=shadows)


def rows(made: Market, name: str) -> np.ndarray:
    number = [one.name for one in made.populations].index(name)
    found: np.ndarray = np.flatnonzero(made.state.accounts["population"] == number)
    return found


def run(made: Market, until: int = STEPS) -> None:
    while made.tick < until:
        made.advance(min(5, until - made.tick))
        invariants.check(made.state)


@pytest.mark.parametrize("regime", REGIMES)
def test_sellers_who_fail_are_liquidated_and_buyers_are_not(regime: str) -> None:
    made = market(regime)
    run(made)
    state, option = made.state, made.state.contracts["option"] != 0
    liquidated = state.positions["liquidated"][:, option].sum(axis=1)
    assert liquidated[rows(made, "naked")].sum() > 0
    if regime not in CHARGES_BUYERS:
        assert liquidated[rows(made, "holders")].sum() == 0
    # nobody is left in liquidation with options that no one quotes
    left = (state.accounts["status"] == s.LIQUIDATING) & (state.positions["lots"][:, option] != 0).any(axis=1)
    assert not left.any()
    # what expired has settled
    gone = option & (state.contracts["expiry"] == EXPIRY)
    assert gone.any()
    assert not state.positions["lots"][:, gone].any()
    assert not state.quotes["open_interest"][gone].any()


@pytest.mark.parametrize("regime", ["static", "portfolio", "deribit_sm"])
def test_a_called_seller_has_time_and_options_may_expire_under_a_call(regime: str) -> None:
    made = market(regime, grace_steps=EXPIRY)
    run(made, SHOCK + 5)
    called = made.state.accounts["status"][rows(made, "naked")] == s.CALLED
    assert called.any()
    assert not made.state.positions["liquidated"][rows(made, "naked")].any()
    run(made)
    assert int(made.state.meta[s.M_CALLS]) > 0


@pytest.mark.parametrize("policy", ["hedge_first"])
def test_a_portfolio_of_options_is_hedged_before_it_is_sold(policy: str) -> None:
    made = market("portfolio", liquidation=policy)
    run(made)
    events = made.state.events[: int(made.state.meta[s.M_EVENTS])]
    hedged = events[events["kind"] == s.EV_HEDGE]
    assert len(hedged) > 0
    assert set(hedged["contract"].tolist()) == {0}


@pytest.mark.parametrize("other", ["portfolio", "isolated", "dynamic"])
def test_a_market_with_options_goes_on_under_another_regime(other: str) -> None:
    made = market("static", shadows=(other,))
    run(made, SHOCK - 5)
    before = made.state.positions["lots"].copy()
    twin = made.fork(margin=other)
    assert (twin.state.positions["lots"] == before).all()
    run(twin)
    run(made)
    naked = rows(made, "naked")
    assert twin.state.positions["liquidated"][naked].sum() > 0
    assert int(twin.state.wallets.sum()) != 0


def test_rules_in_numpy_ask_again_only_for_who_changed() -> None:
    """A rule that says that accounts do not bear on one another gives the same market as when it is asked for all."""
    first, second = market("deribit_sm"), market("deribit_sm")
    second.margin.separable = False  # type: ignore[attr-defined]
    for made in (first, second):
        run(made, SHOCK + 10)
    assert first.state.positions.tobytes() == second.state.positions.tobytes()
    assert first.state.wallets.tobytes() == second.state.wallets.tobytes()
