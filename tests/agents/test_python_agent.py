"""Traders in plain Python: they trade beside compiled ones, are forked, and draw keyed numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mesa
import numpy as np
import pytest
from pydantic import Field

import agents
import margin
from agents.columns import PopulationParams, ViewAgent
from agents.python_agent import PythonPopulation, PythonTrader
from agents.registry import _registered
from sim.config import MarketConfig
from sim.contracts import Contract
from sim.errors import ForkError
from sim.kernels.state import CANCEL_ALL, M_MESSAGES, M_STEP, MARKET, NEW, POST_ONLY, REDUCE_ONLY
from sim.market import Market
from sim.world import build_world
from sim.world.config import ConstantWorld
from tests.agents import rig

STEPS = 60


# ---- the twenty lines of a behaviour --------------------------------------------------------------------------------


class MomentumTrader(PythonTrader):
    """Buys after a rise and sells after a fall; contrarians, every second one, do the opposite."""

    def __init__(self, *args: Any) -> None:
        """Remember how often this trader acted."""
        super().__init__(*args)
        self.acted = 0

    def step(self) -> None:
        """Act on the move of the last steps, now and then."""
        move = self.quote().log_mid() - self.quote().log_mid(self.params.window)
        side = (1 if move > 0 else -1) * (1 if self.row % 2 else -1)
        if move and abs(self.lots) < 5 and self.draw("attention") < self.params.attention:
            self.market(side)
            self.acted += 1

    def state_dict(self) -> dict[str, Any]:
        """What a fork copies."""
        return {"acted": self.acted}


class MomentumParams(PopulationParams):
    """Parameters of the example."""

    window: int = Field(5, ge=1, description="steps over which a move is measured")
    attention: float = Field(0.5, gt=0, le=1, description="probability to act in a step")


class Momentum(PythonPopulation):
    """Momentum traders and contrarians in plain Python."""

    agent = MomentumTrader
    Params = MomentumParams


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def momentum() -> Iterator[type[Momentum]]:
    """The example as a registered kind."""
    yield agents.register("momentum_example")(Momentum)
    _registered.pop("momentum_example", None)


def build(
    kind: str = "momentum_example", params: dict[str, Any] | None = None, *, seed: int = 5, views: bool = False
) -> Market:
    info = agents.MarketInfo(("C0",), 60.0, 1440)
    contract = Contract("C0", price_band=0.5, max_price=1 << 15)
    latent = ("latent", {"arrivals": 40, "depth_ticks": 100})
    wanted = [latent, ("noise", {}), ("market_makers", {}), (kind, params or {})]
    populations = [agents.create(k, k, {"count": 8, **p} if k == kind else p, info) for k, p in wanted]
    world = build_world(ConstantWorld(kind="constant"), [contract], STEPS, 60.0, 1440, seed, [])
    return Market(
        MarketConfig(steps=STEPS), [contract], world, margin.create("static", {}), populations, seed=seed, views=views
    )


def lots_of(market: Market, name: str) -> np.ndarray:
    population = next(p for p in market.populations if p.name == name)
    return np.array(market.state.positions["lots"][population.first : population.first + population.count, 0])


def test_they_trade_beside_the_compiled_ones(momentum: type[Momentum]) -> None:
    market = build()
    for _ in range(40):
        market.step()
    traders = list(market.agents.select(agent_type=MomentumTrader))
    assert len(traders) == 8 and sum(trader.acted for trader in traders) > 0
    assert abs(lots_of(market, "momentum_example")).sum() > 0
    assert traders[0].lots == lots_of(market, "momentum_example")[0]
    assert traders[0].equity > 0 and traders[0].is_open
    assert traders[0].view.wallet > 0


def test_the_same_seed_gives_the_same_trades(momentum: type[Momentum]) -> None:
    runs = []
    for views in (False, True):
        market = build(views=views)
        for _ in range(30):
            market.step()
        runs.append(np.array(market.state.positions["lots"]))
    np.testing.assert_array_equal(*runs)


def test_a_fork_takes_what_traders_remember(momentum: type[Momentum]) -> None:
    market = build()
    for _ in range(20):
        market.step()
    twin = market.fork()
    population = next(p for p in market.populations if p.name == "momentum_example")
    assert population.state_dict(market) == population.state_dict(twin)
    for _ in range(10):
        market.step()
        twin.step()
    np.testing.assert_array_equal(market.state.positions["lots"], twin.state.positions["lots"])
    assert population.state_dict(market) == population.state_dict(twin)
    assert population.traders(market)[0] is not population.traders(twin)[0]


class Forgetful(PythonTrader):
    """Keeps something and does not say how to copy it."""

    def step(self) -> None:
        """Count."""
        self.seen = getattr(self, "seen", 0) + 1


def test_a_trader_that_cannot_be_copied_refuses_the_fork_by_name() -> None:
    @agents.register("forgetful_example")
    class Forgetfuls(PythonPopulation):
        """Forgetful traders."""

        agent = Forgetful

    try:
        market = build("forgetful_example")
        market.fork()  # nothing is kept yet
        market.step()
        with pytest.raises(ForkError, match="Forgetful keeps seen"):
            market.fork()
    finally:
        _registered.pop("forgetful_example", None)


class Stub(mesa.Model):
    """A model with a state and nothing else."""

    def __init__(self, state: Any) -> None:
        """Hold the arrays."""
        super().__init__()
        self.state = state


@pytest.fixture
def trader(momentum: type[Momentum]) -> PythonTrader:
    """One trader on its own."""
    state, (population,) = rig.market([("momentum_example", {"count": 3})], contracts=2)
    return population.traders(Stub(state))[1]  # type: ignore[attr-defined]


def test_orders_become_messages(trader: PythonTrader) -> None:
    trader.limit(3, 4990, lifetime=10, post_only=True)
    trader.limit(-2, 5010, contract="C1", reduce_only=True)
    trader.market(4)
    trader.market(0)
    trader.cancel(77)
    trader.cancel_all()
    sent = rig.sent(trader.model.state)
    assert [m[0] for m in sent] == [1] * 5
    assert sent[0][1:9] == (0, NEW, 1, POST_ONLY, 0, 4990, 3, 11)
    assert sent[1][1:8] == (1, NEW, -1, 0, REDUCE_ONLY, 5010, 2)
    assert sent[2][2:8] == (NEW, 1, 1, MARKET, 0, 4)
    assert sent[3][9] == 77
    assert sent[4][2] == CANCEL_ALL


def test_draws_are_keyed(trader: PythonTrader) -> None:
    first = trader.draw("attention")
    assert 0 < first < 1
    assert trader.draw("attention") == first
    assert len({first, trader.draw("attention", 1), trader.draw("size")}) == 3
    trader.model.state.meta[M_STEP] += 1
    assert trader.draw("attention") != first
    with pytest.raises(ValueError, match="k is a number"):
        trader.draw("attention", -1)


def test_a_trader_sees_the_market(trader: PythonTrader) -> None:
    quote = trader.quote("C1")
    assert (quote.bid, quote.ask, quote.mid, quote.mark) == (rig.PRICE - 1, rig.PRICE + 1, rig.PRICE, rig.PRICE)
    assert trader.position("C1") == 0 and trader.now == 1
    assert trader.model.state.meta[M_MESSAGES] == 0


def test_views_read_columns_as_python_scalars() -> None:
    state, (population,) = rig.market([("trend_followers", {"count": 5})])
    model = Stub(state)
    views = population.views(model)
    assert len(views) == 5 and all(isinstance(view, ViewAgent) for view in views)
    view: Any = views[2]
    assert type(view.leverage) is float and type(view.horizon) is int and type(view.lots) is int
    assert view.leverage == population.column(state, "leverage")[2]
    state.positions["lots"][2, 0] = -7
    assert view.lots == -7 and view.status == "open" and view.kind == "trend_followers"
    assert view.equity == 2 * rig.PRICE * 100 + 0 * view.wallet - 7 * rig.PRICE * 100
    assert len(model.agents.select(lambda agent: agent.direction > 0)) <= 5
