"""Markets in random states, for tests of decisions: arrays and populations, without the exchange around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import agents
from agents.columns import Population
from sim.contracts import Contract, contract_records
from sim.interfaces import PopulationSetup
from sim.kernels.state import (
    CALLED,
    CLOSED,
    LIQUIDATING,
    M_BIDS,
    M_MAKERS_WITHDRAWN_UNTIL,
    M_MESSAGES,
    M_POPULATIONS,
    M_SCENARIOS,
    M_SEED,
    M_STEP,
    NO_PRICE,
    OPEN,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    PI_PERIOD,
    PI_STREAM,
    PI_WAKE_ROWS,
    PI_WAKE_STARTS,
    RATE_ONE,
    SUBTICKS,
    State,
    allocate,
)
from sim.keyed import stream

PRICE = 5000
SENT = (
    "account", "contract", "kind", "side", "tif", "flags", "price", "quantity", "expiry", "ref", "cause", "cause_ref",
)  # fmt: skip


def market_info(contracts: int = 1) -> agents.MarketInfo:
    """Names of one or more contracts with steps of a minute."""
    return agents.MarketInfo(tuple(f"C{k}" for k in range(contracts)), 60.0, 1440)


def market(
    kinds: Sequence[tuple[str, dict[str, Any]]],
    *,
    contracts: int = 1,
    seed: int = 1,
    steps: int = 400,
    info: agents.MarketInfo | None = None,
    table: Sequence[Contract] = (),
) -> tuple[State, list[Population]]:
    """A market in its first state, with populations filled in; each is named after its kind."""
    if table:
        info, contracts = agents.MarketInfo(tuple(one.name for one in table), 60.0, 1440), len(table)
    info = info or market_info(contracts)
    populations = [agents.create(kind, kind, params, info) for kind, params in kinds]
    table = table or [
        Contract(name=name, initial_price=PRICE, max_price=1 << 15, price_band=0.5) for name in info.contracts
    ]
    traders = sum(population.count for population in populations)
    state = allocate(
        traders=traders,
        contracts=contracts,
        steps=steps,
        window=32768,
        populations=len(populations),
        wake_rows=traders + 1,
        wake_starts=sum(population.period + 1 for population in populations) + 1,
    )
    state.contracts[:] = contract_records(table)
    state.meta[M_SEED] = seed
    state.meta[M_STEP] = 1
    state.meta[M_POPULATIONS] = len(populations)
    state.value[:] = PRICE
    state.history[:] = np.log(PRICE)
    state.rate_initial[:] = RATE_ONE // 25
    for row in state.quotes:
        row["bid"], row["ask"], row["last"] = PRICE - 1, PRICE + 1, PRICE
        row["mid"] = row["mark"] = row["index"] = PRICE * SUBTICKS
        row["variance_fast"] = row["variance_slow"] = 1e-6
    first = starts = 0
    for number, population in enumerate(populations):
        _enrol(state, population, number, first, starts, seed)
        setup = PopulationSetup(
            state, number, first, population.count, seed, stream(f"population.{population.name}"), table, 60.0, 1440,
            np.full(contracts, float(PRICE)),
        )  # fmt: skip
        population.fill(setup)
        first += population.count
        starts += population.period + 1
    return state, populations


def _enrol(state: State, population: Population, number: int, first: int, starts: int, seed: int) -> None:
    """Write the row of a population and its wake table with evenly dealt phases."""
    row = state.pop_ints[number]
    row[PI_FIRST], row[PI_COUNT], row[PI_CONTRACT] = first, population.count, population.contract
    row[PI_PERIOD], row[PI_STREAM] = population.period, stream(f"population.{population.name}")
    row[PI_WAKE_ROWS], row[PI_WAKE_STARTS] = first, starts
    state.accounts["population"][first : first + population.count] = number
    if population.period:
        phases = np.sort(np.random.Generator(np.random.Philox(seed)).integers(0, population.period, population.count))
        order = np.argsort(phases, kind="stable")
        state.wake_rows[first : first + population.count] = first + order
        counts = np.bincount(phases, minlength=population.period)
        state.wake_starts[starts : starts + population.period + 1] = first + np.concatenate([[0], np.cumsum(counts)])


def randomise(state: State, rng: np.random.Generator) -> None:
    """Put the market in some state that it might be in: prices, volatility, positions, calls, an empty side."""
    contracts, accounts = state.positions.shape[1], state.positions.shape[0]
    step = int(rng.integers(1, 300))
    state.meta[M_STEP] = step
    state.meta[M_SEED] = int(rng.integers(0, 1 << 40))
    state.meta[M_MESSAGES] = state.meta[M_BIDS] = 0
    state.meta[M_MAKERS_WITHDRAWN_UNTIL] = int(rng.choice([0, step, step + 1]))
    if rng.random() < 0.5:
        state.meta[M_SCENARIOS] = 16
        state.scenario_pnl[:, :, :16] = rng.integers(-30_000_000, 30_000_000, (1, contracts, 16))
        state.scenario_weight[:16] = rng.integers(RATE_ONE // 3, RATE_ONE, 16)
        state.initial_factor[0] = int(1.3 * RATE_ONE)
    for contract in range(contracts):
        mid = int(rng.normal(PRICE * SUBTICKS, 4000)) // 8 * 8
        spread = int(rng.integers(1, 12))
        quote = state.quotes[contract]
        bid = (mid // SUBTICKS) - spread // 2
        quote["bid"] = bid if rng.random() < 0.9 else NO_PRICE
        quote["ask"] = bid + spread if rng.random() < 0.9 else NO_PRICE
        quote["mid"] = mid
        quote["mark"] = mid + int(rng.integers(-40, 40))
        slow = float(rng.choice([1e-7, 1e-6, 4e-6]))
        quote["variance_slow"] = slow
        quote["variance_fast"] = slow * float(rng.choice([0.0, 0.5, 1.0, 3.0, 8.0, 30.0]))
        state.levels["depth"][contract] = rng.integers(1, 60, state.levels.shape[1])
        state.rate_initial[contract] = int(RATE_ONE * rng.uniform(0.005, 0.2))
        log_value = np.log(PRICE) + np.cumsum(rng.normal(0, 0.002, state.value.shape[0]))
        state.value[:, contract] = np.exp(log_value + rng.normal(0, 0.01))
        ring = state.history.shape[0]
        wander = 0.001 * np.cumsum(rng.normal(size=ring)) * rng.integers(0, 3)
        state.history[:, contract] = np.log(mid / SUBTICKS) + wander
        lots = rng.integers(-40, 41, accounts) * (rng.random(accounts) < 0.6)
        state.positions["lots"][:, contract] = lots
        state.positions["cost"][:, contract] = lots * PRICE * 100
    state.activity[:] = np.exp(rng.normal(0, 0.3, state.activity.shape[0]))
    state.accounts["status"] = rng.choice([OPEN, OPEN, OPEN, OPEN, CALLED, LIQUIDATING, CLOSED], accounts)
    state.accounts["orders"] = rng.integers(0, 3, accounts)
    state.accounts["last_liquidation"] = np.where(rng.random(accounts) < 0.3, rng.integers(-800, step, accounts), -1)
    state.accounts["key_step"] = -1


def sent(state: State) -> list[tuple[int, ...]]:
    """The messages in the buffer as tuples in the order of :class:`agents.desk.Message`."""
    rows = np.asarray(state.messages)[: int(state.meta[M_MESSAGES])]
    return [tuple(int(row[name]) for name in SENT) for row in rows]


def decide(state: State, population: Population, step: int = 1, number: int = 0) -> list[tuple[int, ...]]:
    """The messages of one step."""
    state.meta[M_STEP] = step
    state.meta[M_MESSAGES] = state.meta[M_BIDS] = 0
    population.decide(state, number)
    return sent(state)


def over(state: State, population: Population, steps: int) -> np.ndarray:
    """The messages of many steps as rows, in the columns of ``SENT``."""
    return np.array([message for step in range(1, steps + 1) for message in decide(state, population, step)])


def column(messages: np.ndarray, name: str) -> np.ndarray:
    """One field of messages."""
    return messages[:, SENT.index(name)]
