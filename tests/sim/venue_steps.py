"""A bare exchange that goes through whole steps, with a world and an oracle of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim import invariants, venue
from sim.config import ClearingConfig, MarketConfig
from sim.contracts import Contract
from sim.kernels import state as s
from sim.kernels import step
from sim.world import WorldPaths
from tests.sim.exchange import STREAMS, Exchange


class SteppedExchange(Exchange):
    """:class:`Exchange` whose index comes from a world; every step is checked.

    It stands before its first step; orders are sent between steps.
    """

    def __init__(
        self, contracts: Sequence[Contract], world: WorldPaths, clearing: ClearingConfig | None = None, **more: Any
    ) -> None:
        path = world.oracle_path
        columns = 0 if path is None else path.shape[2]
        super().__init__(contracts=contracts, steps=len(world.index) - 1, oracle_columns=columns, **more)
        self.state.meta[s.M_STEP] = 0
        self.state.index_path[:] = world.index
        if path is not None:
            self.state.oracle[:] = world.oracle
            self.state.oracle_path[:] = path
        for c, terms in enumerate(contracts):
            self.state.price_history[:, c, s.PRICE_MID] = terms.initial_price * s.SUBTICKS
        if clearing is not None:
            market: Any = self
            market.config, market.contract_table = MarketConfig(steps=len(world.index) - 1), self.table
            venue.put(market, clearing)
        invariants.check(self.state)

    def step(self) -> None:
        """Match what was sent, mark, publish, clear, record."""
        state = self.state
        waiting = self.meta(s.M_MESSAGES)
        state.meta[s.M_FILLS] = 0
        step.begin(state)
        assert self.meta(s.M_MESSAGES) == waiting
        step.admit_and_match(state, self.evaluate, STREAMS)
        step.before_publish(state)
        self.model.publish_kernel(state, 0)
        step.announce(state)
        step.clear_and_record(state, self.evaluate, STREAMS)
        invariants.check(state)
        invariants.check_status(state)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def mark(self, c: int = 0) -> float:
        """Mark in ticks."""
        return float(self.state.quotes["mark"][c]) / s.SUBTICKS

    def index(self, c: int = 0) -> float:
        """Index in ticks."""
        return float(self.state.quotes["index"][c]) / s.SUBTICKS
