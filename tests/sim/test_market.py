"""The market as a whole: the same bytes by every way of running it, forks, twins, Python traders and NumPy rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import margin
from agents.python_agent import PythonPopulation, PythonTrader
from agents.registry import register
from margin import netting
from sim.config import RecordConfig, ScriptedEvent
from sim.errors import ConfigError, ForkError
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels import state as s
from sim.liquidation import POLICIES as NAMED
from sim.market import Market
from sim.world import ConstantWorld, build_world
from tests.sim import markets

END = markets.STEPS
FORK = markets.CRASH - 10


def run(steps: int = END, **how: Any) -> Market:
    market = markets.market(**how)
    market.advance(steps)
    return market


def different(one: Market, other: Market) -> list[str]:
    """Names of state arrays whose bytes differ."""
    mine, theirs = s.arrays_of(one.state), s.arrays_of(other.state)
    return [name for name, array in mine.items() if array.tobytes() != theirs[name].tobytes()]


@pytest.fixture(scope="module")
def base() -> Market:
    return run()


@pytest.fixture(scope="module")
def half() -> Market:
    """A market shortly before the crash, with every regime in shadow."""
    return run(FORK, shadows=("isolated", "portfolio"))


def test_the_market_is_worth_testing(base: Market) -> None:
    meta = base.state.meta
    assert meta[s.M_LIQUIDATIONS] > 10
    assert meta[s.M_BAD_DEBT] > 0
    assert meta[s.M_FILLS_TOTAL] > 500
    assert len(base.events_table().query("kind == 'bid_taken'"))
    base.check()


def test_the_same_seed_gives_the_same_bytes(base: Market) -> None:
    again = run()
    assert different(base, again) == []
    assert again.results_hash() == base.results_hash()
    assert run(seed=4).results_hash() != base.results_hash()


def test_step_and_advance_give_the_same_bytes(base: Market) -> None:
    stepped = markets.market()
    for at in range(END):
        assert stepped.tick == at
        stepped.step()
    assert different(base, stepped) == []
    assert stepped.results_hash() == base.results_hash()


def test_advancing_in_pieces(base: Market) -> None:
    pieces = markets.market()
    for n in (1, 59, 0, 1, 29, 30, 120):
        pieces.advance(n)
    pieces.run_until(END)
    pieces.run_until(5)
    assert different(base, pieces) == []


@pytest.mark.parametrize("at", [60, markets.CRASH])
def test_events_are_done_alike_however_their_step_was_reached(at: int) -> None:
    stepped = markets.market()
    for _ in range(at):
        stepped.step()
    assert different(run(at), stepped) == []


def test_views_do_not_matter(base: Market) -> None:
    seen = markets.market(views=True)
    assert len(seen.agents) == int(seen.state.meta[s.M_TRADERS])
    seen.advance(END)
    assert seen.results_hash() == base.results_hash()
    seen.close()


def test_recording_does_not_change_the_path(base: Market) -> None:
    other = run(record=RecordConfig(every=7, trades=True, refusals=True, depth_every=3, totals_every=2))
    assert other.accounts_table().equals(base.accounts_table())
    for name in ("positions", "wallets", "orders", "quotes", "accounts"):
        assert name not in different(base, other)
    assert len(other.trades_table()) == int(base.state.meta[s.M_FILLS_TOTAL])


def test_the_world_ends() -> None:
    market = run(END)
    with pytest.raises(ValueError, match="ends at step"):
        market.step()


# -- forks -------------------------------------------------------------------------------------------------------------


def test_a_fork_goes_on_like_its_market(half: Market, base: Market) -> None:
    twin, placebo = half.fork(), half.fork()
    twin.advance(END - FORK)
    placebo.advance(END - FORK)
    assert different(twin, placebo) == []
    assert twin.results_hash() == placebo.results_hash()
    # the base run had no shadows; what it gave to the world is the same
    assert twin.results_hash() == base.results_hash()


def test_a_fork_leaves_its_market_alone(half: Market) -> None:
    before = {name: array.tobytes() for name, array in s.arrays_of(half.state).items()}
    half.fork(margin="isolated").advance(20)
    assert {name: array.tobytes() for name, array in s.arrays_of(half.state).items()} == before


def test_the_regime_in_force_is_a_placebo(half: Market) -> None:
    one, other = half.fork(), half.fork(margin=half.margin.name)
    one.advance(30)
    other.advance(30)
    assert different(one, other) == []


@pytest.mark.parametrize("regime", ["isolated", "portfolio"])
def test_a_fork_into_another_regime_conserves_money(half: Market, regime: str) -> None:
    before = [half.equity(a) for a in range(len(half.state.accounts))]
    twin = half.fork(margin=regime)
    twin.check()
    assert [twin.equity(a) for a in range(len(before))] == before
    twin.advance(END - FORK)
    twin.check()
    assert twin.state.net_deposits[0] == half.state.net_deposits[0]
    back = twin.state.positions["pocket"].sum()
    assert (back != 0) == (regime == "isolated")


def test_a_layout_changes_there_and_back() -> None:
    market = run(FORK, shadows=("isolated", "static"), regime="cross")
    out = market.fork(margin="isolated")
    assert out.state.wallets[: int(out.state.meta[s.M_TRADERS])][out.state.positions["lots"][:-4, 0] != 0].sum() == 0
    out.advance(5)
    back = out.fork(margin="static")
    back.check()
    assert (back.state.positions["pocket"] == 0).all()
    back.advance(10)
    back.check()


def test_an_unknown_regime(half: Market) -> None:
    with pytest.raises(ConfigError, match="isolated, portfolio"):
        half.fork(margin="kitchen")


def test_liquidations_off_is_a_twin_until_the_first_liquidation(half: Market) -> None:
    off = half.fork(liquidations=False)
    off.advance(END - FORK)
    on = half.fork()
    on.advance(END - FORK)
    assert off.state.meta[s.M_LIQUIDATIONS] == half.state.meta[s.M_LIQUIDATIONS]
    assert on.state.meta[s.M_LIQUIDATIONS] > half.state.meta[s.M_LIQUIDATIONS]
    liquidations = on.events_table().query(f"kind == 'liquidation' and step > {FORK}")
    first = int(liquidations["step"].iloc[0])
    columns = ["last", "bid", "ask", "volume"]
    same = on.steps_table().query(f"step < {first}")[columns]
    assert same.equals(off.steps_table().query(f"step < {first}")[columns])
    off.check()


def test_a_fork_without_the_event_that_has_not_happened(half: Market) -> None:
    calm = half.fork(events=())
    calm.advance(END - FORK)
    crash = half.fork()
    crash.advance(END - FORK)
    assert calm.steps_table()["mid"].iloc[-1] > crash.steps_table()["mid"].iloc[-1]
    same = calm.steps_table().query(f"step <= {markets.CRASH}").drop(columns="funding_rate")
    assert same.equals(crash.steps_table().query(f"step <= {markets.CRASH}").drop(columns="funding_rate"))


def test_a_fork_into_another_world(half: Market) -> None:
    twin = half.fork(world=markets.world())
    twin.advance(10)
    with pytest.raises(ForkError, match=f"step {FORK}"):
        half.fork(world=build_world(ConstantWorld(), half.contracts, END, 60.0, 1440, 3, ()))


# -- scripted events ---------------------------------------------------------------------------------------------------


def test_a_metaorder_sends_its_lots_over_its_steps() -> None:
    event = ScriptedEvent("sale", "metaorder", 20, side=-1, lots=103, steps=10)
    market = run(60, events=[event], record=RecordConfig(trades=True))
    fills = market.trades_table().query("cause == 'script'")
    assert fills["step"].between(21, 30).all()
    script = len(market.state.accounts) - 1
    assert int(market.state.positions["lots"][script, 0]) == -int(fills["lots"].sum())
    assert 0 < int(fills["lots"].sum()) <= 103


def test_seeded_open_interest_has_the_leverage_that_was_asked_for() -> None:
    market = run(60)
    first = int(market.state.pop_ints[3, s.PI_FIRST])
    seeded = [a for a in range(first, first + 60) if market.state.positions["lots"][a, 0] != 0]
    assert len(seeded) > 40
    market.check()


# -- Python traders ----------------------------------------------------------------------------------------------------


class Idler(PythonTrader):
    """Does nothing."""

    def step(self) -> None:
        """Wait."""


class Buyer(PythonTrader):
    """Buys a lot now and then."""

    def step(self) -> None:
        """Decide."""
        if self.draw("mood") < 0.2:
            self.market(1)


@register("idlers_for_tests")
class Idlers(PythonPopulation):
    """Traders that do nothing."""

    agent = Idler


@register("buyers_for_tests")
class Buyers(PythonPopulation):
    """Traders that buy."""

    agent = Buyer


IDLE = (*markets.POPULATIONS, ("idlers_for_tests", "idlers", {"count": 2}))
BUY = (*markets.POPULATIONS, ("buyers_for_tests", "buyers", {"count": 2}))


def test_a_python_trader_that_does_nothing_changes_nothing() -> None:
    # no scripted order: the script's account has another number, so another place in the arrival order
    alone, beside = run(events=markets.EVENTS[:1]), run(events=markets.EVENTS[:1], populations=IDLE)
    assert alone.steps_table().equals(beside.steps_table())
    traders = int(alone.state.meta[s.M_TRADERS])
    assert np.array_equal(alone.state.positions["lots"][:traders], beside.state.positions["lots"][:traders])


def test_a_python_trader_trades_and_forks() -> None:
    market = run(FORK, populations=BUY)
    traders = int(market.state.meta[s.M_TRADERS])
    assert market.state.positions["lots"][traders - 2 : traders, 0].sum() > 10
    one, other = market.fork(), market.fork()
    one.advance(30)
    for _ in range(30):
        other.step()
    assert different(one, other) == []
    one.check()


# -- rules in NumPy ----------------------------------------------------------------------------------------------------


class NumpyStatic(margin.Rule):
    """The fixed rates of ``static``, asked in Python."""

    name = "numpy_static"

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts."""
        return netting.cross(portfolio, risk)


class NumpyIsolated(margin.Rule):
    """The same with a pocket per position."""

    name = "numpy_isolated"
    layout = "isolated"

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts."""
        return netting.isolated(portfolio, risk)


POLICIES: list[dict[str, Any]] = [
    {},
    {"policy": NAMED["partial"], "forced_limit": "bankruptcy", "grace_steps": 2, "fund_initial": 3000},
    {"surplus_to": "fund", "forced_limit": "band", "max_rounds": 2},
]


@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "partial", "surplus"])
@pytest.mark.parametrize(("compiled", "rule"), [("static", NumpyStatic), ("isolated", NumpyIsolated)])
def test_a_rule_in_numpy_gives_the_hash_of_the_compiled_one(compiled: str, rule: type, policy: dict[str, Any]) -> None:
    record = RecordConfig(refusals=True)
    fast = run(160, regime=compiled, record=record, **policy)
    slow = run(160, regime=rule(**markets.RATES), record=record, **policy)
    assert fast.state.meta[s.M_LIQUIDATIONS] > 0
    assert slow.results_hash() == fast.results_hash()
    for name in ("positions", "wallets", "accounts", "events"):
        assert name not in different(fast, slow)


def test_a_rule_in_numpy_with_liquidations_off() -> None:
    fast, slow = run(FORK), run(FORK, regime=NumpyStatic(**markets.RATES))
    fast, slow = fast.fork(liquidations=False), slow.fork(liquidations=False)
    fast.advance(60)
    slow.advance(60)
    assert slow.results_hash() == fast.results_hash()


# -- two contracts -----------------------------------------------------------------------------------------------------

PAIR = (
    *markets.POPULATIONS,
    ("latent", "latent_b", {"count": 20, "lifetime": 60.0, "depth_ticks": 600, "contract": "b"}),
    ("spread_traders", "spreads", {"count": 15, "other": "b", "period": 4, "capital_lots": 2.0, "entry": 0.0,
                                   "scale": 0.002}),
)  # fmt: skip


@pytest.mark.parametrize("regime", ["static", "isolated", "portfolio"])
def test_two_contracts_hold_every_invariant(regime: str) -> None:
    market = markets.market(regime, populations=PAIR, contract_count=2)
    for _ in range(0, 160, 8):
        market.advance(8)
        market.check()
    assert (market.state.quotes["volume"] > 0).all()


def test_two_contracts_step_and_advance() -> None:
    one = run(140, populations=PAIR, contract_count=2)
    other = markets.market(populations=PAIR, contract_count=2)
    for _ in range(140):
        other.step()
    assert different(one, other) == []
