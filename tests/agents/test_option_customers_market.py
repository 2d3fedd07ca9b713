"""Option customers in a running market: the scenario options-market."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from experiments.build import market as build_market
from experiments.scenario import load
from sim.market import Market

STEPS, ROLLED = 900, 1700
CHAIN = ["chains.OPT.expiry_days=[1.0, 3.0]", "chains.OPT.listing_days=[0, 0]", "chains.OPT.strikes=9"]  # quick


def lots(market: Market, name: str) -> np.ndarray:
    """Positions of a population, int64[rows, contracts]."""
    population = market.populations[market.population_number(name)]
    return market.state.positions["lots"][population.first : population.first + population.count]


def rights(market: Market, right: int) -> np.ndarray:
    """Which contracts are calls (1) or puts (-1)."""
    return market.state.contracts["option"] == right


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    made = build_market(load("options-market", [*CHAIN, "populations.vaults.days=1.0"]), 5)
    made.run_until(STEPS)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "calls", "puts", "owns"),
    [
        ("writers", -1, 0, 1),
        ("owners", 0, 1, 1),
        ("vaults", -1, -1, 0),
        ("scalpers", 1, 1, None),
        ("speculators", 1, 0, 0),
    ],
)
def test_each_kind_holds_what_it_is_for(market: Market, name: str, calls: int, puts: int, owns: int | None) -> None:
    held = lots(market, name)
    for right, side in ((1, calls), (-1, puts)):
        assert np.sign(held[:, rights(market, right)].sum()) == side
    if owns is not None:
        assert np.sign(held[:, 0].sum()) == owns


def test_dealers_take_the_other_side_and_hedge_it(market: Market) -> None:
    options = rights(market, 1) | rights(market, -1)
    assert not market.state.positions["lots"].sum(axis=0)[options].any(), "every option has a buyer and a seller"
    assert lots(market, "dealers")[:, options].any()
    dealers = market.populations[market.population_number("dealers")]
    assert max(abs(view.net_delta) for view in dealers.views(market)) < 20
    market.check()


def test_writers_are_covered(market: Market) -> None:
    held = lots(market, "writers")
    assert (held[:, 0] + held[:, 1:].sum(axis=1) >= 0).all()


def test_views_name_the_legs(market: Market) -> None:
    vaults = market.populations[market.population_number("vaults")]
    legs = [view.legs for view in vaults.views(market) if view.target]
    assert legs and all([name[-1] for name in names] == ["C", "P"] for names in legs)


def test_a_fork_goes_on_alike_and_options_roll(market: Market) -> None:
    twin, same = market.fork(), market.fork()
    for one in (twin, same):
        one.run_until(STEPS + 100)
    assert twin.results_hash() == same.results_hash()
    twin.run_until(ROLLED)
    twin.check()
    expired = market.state.contracts["expiry"] <= ROLLED
    options = rights(twin, 1) | rights(twin, -1)
    assert not twin.state.positions["lots"][:, options & expired].any()
    assert lots(twin, "vaults")[:, options & ~expired].any()
    twin.close()
    same.close()


def test_structure_can_change_in_a_live_market(market: Market) -> None:
    twin = market.fork()
    vaults: Any = twin.populations[twin.population_number("vaults")]
    vaults.change(twin, structure="put", days=1.0)
    number = twin.population_number("vaults")
    assert twin.state.pop_params[number, vaults.PARAMS.index("calls")] == 0
    twin.close()
