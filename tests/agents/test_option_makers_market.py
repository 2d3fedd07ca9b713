"""Option makers in a running market, and parameters that change while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agents.kernels import option_makers as kernels
from agents.python_agent import PythonPopulation, PythonTrader
from experiments import build, scenario
from sim.errors import ConfigError
from sim.interfaces import AccountView
from sim.kernels.state import SUBTICKS
from sim.market import Market

SEEDED_AT, STEPS = 200, 500


def made(seed: int = 1, gamma: float = -0.2, **params: Any) -> Market:
    """Makers who only hedge get options at step 200."""
    raw: dict[str, Any] = {
        "extends": "calm",
        "market": {"steps": STEPS, "burn_in": 0},
        "chains": [{"name": "X", "underlying": "perp", "expiry_days": [2], "strikes": 5, "priced_on": "mark",
                    "tick_size": 0.02, "tick_value": 2}],
        "populations": [{"kind": "option_makers", "name": "dealers", "count": 3, "quotes": False} | params],
        "events": [{"name": "options", "kind": "seed_options", "at_step": SEEDED_AT, "population": "dealers",
                    "gamma_per_depth": gamma}],
    }  # fmt: skip
    return build.market(scenario.parse(raw, name="t", file="t"), seed, views=True)


def dealers(market: Market) -> Any:
    """Their views."""
    return [agent for agent in market.agents if getattr(agent, "population_name", "") == "dealers"]


@pytest.fixture
def market() -> Iterator[Market]:
    """One that has just seeded its options."""
    one = made(gamma=-0.4, band_lots=2)
    one.run_until(SEEDED_AT + 1)
    yield one
    one.close()


def held(market: Market) -> np.ndarray:
    """Lots of the perpetual of every dealer."""
    return np.array([view.lots for view in dealers(market)])


def test_makers_follow_their_delta(market: Market) -> None:
    """Whatever the price does, the position is within the band, a lot and the last move of minus the delta."""
    gaps, deltas = [], []
    for _ in range(250):
        market.step()
        gaps += [abs(view.net_delta) for view in dealers(market)]
        deltas.append(dealers(market)[0].delta)
    assert np.ptp(deltas) > 10, "the delta has to move"
    assert np.quantile(gaps, 0.95) < 2 + 1
    market.check()


def test_views_show_greeks(market: Market) -> None:
    view = dealers(market)[0]
    assert view.gamma < 0 and view.vega < 0 and view.band == 2.0 and view.kind == "option_makers"
    assert view.net_delta == pytest.approx(view.delta + view.lots)


def test_makers_without_capital_are_liquidated() -> None:
    one = made(capital_lots=0.5, gamma=-4.0)
    one.run_until(STEPS)
    lots = sum(view.liquidated_lots for view in dealers(one))
    assert lots > 0
    one.check()
    one.close()


class TestChange:
    """Parameters of a live market."""

    def test_a_fork_changes_alone(self, market: Market) -> None:
        twin, same = market.fork(), market.fork()
        population = twin.populations[twin.population_number("dealers")]
        population.change(twin, hedge_fraction=0.0)
        number = market.population_number("dealers")
        assert population.hedged_share(twin) == 0.0 and population.hedged_share(market) == 1.0
        assert market.state.pop_params[number, kernels.HEDGE_FRACTION] == 1.0
        before = held(twin)
        for one in (twin, same, market):
            one.run_until(STEPS)
        np.testing.assert_array_equal(held(twin), before)
        assert (held(market) != before).any()
        assert market.results_hash() == same.results_hash() != twin.results_hash()

    def test_changes_add_up_and_are_inherited(self, market: Market) -> None:
        population = market.populations[market.population_number("dealers")]
        number = market.population_number("dealers")
        population.change(market, hedge_fraction=0.5)
        twin = market.fork()
        population.change(twin, hedge="time", hedge_period=30)
        population.change(market, hedge_fraction=1.0)
        values = twin.state.pop_params[number]
        assert (values[kernels.HEDGE], values[kernels.HEDGE_PERIOD], values[kernels.HEDGE_FRACTION]) == (1, 30, 0.5)
        fresh = made(gamma=-0.4, band_lots=2)
        np.testing.assert_array_equal(market.state.pop_params, fresh.state.pop_params)
        fresh.close()

    def test_every_kind_of_trader_can_change(self, market: Market) -> None:
        makers = market.populations[market.population_number("makers")]
        makers.change(market, levels=5)
        number = market.population_number("makers")
        assert market.state.pop_params[number, makers.PARAMS.index("levels")] == 5

    @pytest.mark.parametrize(
        ("params", "keys"),
        [
            ({"hedge_fraction": 2.0}, ["hedge_fraction"]),
            ({"count": 9, "period": 3}, ["count", "period"]),
            ({"hedge_ratio": 0.5}, ["hedge_ratio"]),
            ({"hedge": "often", "band_lots": -1}, ["hedge", "band_lots"]),
            ({"least_delta": 0.9}, ["most_delta"]),
        ],
    )
    def test_bad_changes_are_refused_and_change_nothing(
        self, market: Market, params: dict[str, Any], keys: list[str]
    ) -> None:
        before = market.state.pop_params.copy()
        population = market.populations[market.population_number("dealers")]
        with pytest.raises(ConfigError) as caught:
            population.change(market, **params)
        assert [problem.key for problem in caught.value.problems] == keys
        np.testing.assert_array_equal(market.state.pop_params, before)

    def test_what_was_used_to_make_the_market_cannot_change(self, market: Market) -> None:
        population = market.populations[market.population_number("fundamentalists")]
        with pytest.raises(ConfigError, match="after the market was made"):
            population.change(market, opinion_sigma=0.5, child_lots=9)
        number = market.population_number("fundamentalists")
        assert market.state.pop_params[number, population.PARAMS.index("child_lots")] == population.params.child_lots


class Gambler(PythonTrader):
    """Takes a quote of an option at random."""

    def step(self) -> None:
        if self.draw("size") < 0.5:
            options = [k for k, terms in enumerate(self.model.contracts) if terms.is_option]
            k = options[int(self.draw("which") * len(options))]
            lots = 1 + int(4 * self.draw("lots"))
            quote = self.quote(k)
            side = 1 if self.draw("side") < 0.5 else -1
            if (quote.ask if side > 0 else quote.bid) > 0:
                self.limit(side * lots, quote.ask if side > 0 else quote.bid, contract=k, immediate=True)


class Gamblers(PythonPopulation):
    """Random flow in options."""

    agent = Gambler


@pytest.fixture(scope="module")
def traded() -> Iterator[tuple[Market, list[dict[str, float]]]]:
    """A market in which random flow trades against the makers for three quarters of a day."""
    from agents.registry import _registered, register

    register("gamblers")(Gamblers)
    raw: dict[str, Any] = {
        "extends": "calm",
        "market": {"steps": 1000, "burn_in": 0},
        "chains": [{"name": "X", "underlying": "perp", "expiry_days": [1, 3], "strikes": 5, "priced_on": "mark",
                    "tick_size": 0.02, "tick_value": 2}],
        "populations": [
            {"kind": "option_makers", "name": "dealers", "count": 2, "vega_lots": 30.0, "band_lots": 2.0},
            {"kind": "gamblers", "name": "gamblers", "count": 6},
        ],
    }  # fmt: skip
    one = build.market(scenario.parse(raw, name="t", file="t"), 4, views=True)
    found = []
    while one.tick < 1000:
        one.run_until(one.tick + 10)
        for view in dealers(one):
            lot = float(one.state.quotes["mark"][0]) / SUBTICKS * float(one.state.contracts["tick_value"][0])
            found.append({"net": view.net_delta, "vega": view.vega / (lot * kernels.VEGA_OF_LOT)})
    yield one, found
    one.close()
    _registered.pop("gamblers")


def test_makers_trade_both_ways_and_stay_within_their_limits(
    traded: tuple[Market, list[dict[str, float]]],
) -> None:
    """Random flow is absorbed: vega stays near its limit at most, deltas are hedged, money adds up."""
    market, found = traded
    volume = market.state.quotes["volume"][1:]
    assert volume.sum() > 1000 and (volume > 0).sum() > 10
    vega = np.array([row["vega"] for row in found])
    assert vega.max() > 0 > vega.min() or np.abs(vega).max() < 30
    assert np.abs(vega).max() < 30 * 1.5
    assert np.quantile(np.abs([row["net"] for row in found]), 0.9) < 4
    market.check()


def test_makers_earn_the_spread_on_random_flow(traded: tuple[Market, list[dict[str, float]]]) -> None:
    market, _ = traded
    gained = {
        name: sum(int(market.equity(a.account)) for a in agents_of(market, name)) - paid_in(market, name)
        for name in ("dealers", "gamblers")
    }
    assert gained["dealers"] > 0 > gained["gamblers"]


def agents_of(market: Market, name: str) -> list[Any]:
    """Rows of a population."""
    first = market.populations[market.population_number(name)].first
    count = market.populations[market.population_number(name)].count
    return [AccountView(market, first + row) for row in range(count)]


def paid_in(market: Market, name: str) -> int:
    """Deposits of a population."""
    return sum(int(market.state.deposits[view.account, 0]) for view in agents_of(market, name))
