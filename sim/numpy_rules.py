"""Running a margin rule that is written in NumPy: the same step, with the rule asked in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.kernels import admission, clearing, hedging, match, pyrule, values, waterfall
from sim.kernels import state as s
from sim.kernels.moves import read_marks
from sim.views import portfolio_view

if TYPE_CHECKING:
    from sim.interfaces import ModelState
    from sim.market import Market

_KEPT = "published:"  # keys of a model's memory that hold published arrays


def with_arrays(before: ModelState, memory: ModelState, arrays: dict[str, np.ndarray], row: int) -> ModelState:
    """A model's memory with what it published beside rates and scenarios, kept for as long as notice lasts.

    Args:
        before: memory with the arrays of earlier rows.
        memory: what the model remembers now.
        arrays: what it published.
        row: of the ring of published parameters.
    """
    kept = {key: array for key, array in before.items() if key.startswith(_KEPT)}
    return memory | kept | {f"{_KEPT}{row}:{name}": np.asarray(array) for name, array in arrays.items()}


def kept_arrays(memory: ModelState, row: int) -> dict[str, np.ndarray]:
    """The arrays of a row of the ring, by name."""
    prefix = f"{_KEPT}{row}:"
    return {key.removeprefix(prefix): array for key, array in memory.items() if key.startswith(prefix)}


def fill_arrays(memory: ModelState, row: int, rows: int) -> None:
    """Put the arrays of a row in force in every row of the ring (``memory`` is mutated)."""
    for name, array in kept_arrays(memory, row).items():
        memory.update({f"{_KEPT}{other}:{name}": array for other in range(rows)})


def store_requirement(market: Market, *, initial: bool) -> np.ndarray:
    """Ask the rule for every account and put the answer where :func:`stored_requirement` reads it.

    Args:
        market: the market.
        initial: True to apply the parameters that bind new orders, False those that bind maintenance.

    Returns:
        int64[A], the initial requirements.
    """
    table = market.state.py_requirement
    columns = table.shape[1] - 1
    rows = _to_ask(market, initial=initial)
    if rows is None or len(rows):
        _ask_for(market, rows, initial=initial)
    return table[:, columns, s.INITIAL].copy()


def _ask_for(market: Market, rows: np.ndarray | None, *, initial: bool) -> None:
    """Ask the rule for some accounts (None: all) and store what it answers."""
    answer = market.margin.requirement(portfolio_view(market, rows), market.risk_parameters(initial=initial))
    table = market.state.py_requirement
    columns = table.shape[1] - 1
    at = slice(None) if rows is None else rows
    # the engine compares with the ledger's equity, so what the rule leaves out of equity is asked for on top
    excluded = np.int64(0) if answer.equity_excluded is None else answer.equity_excluded
    which = s.INITIAL if initial else s.MAINTENANCE
    required = answer.initial if initial else answer.maintenance
    table[at, columns, which] = np.maximum(required + excluded, 0)
    positions = answer.initial_positions if initial else answer.maintenance_positions
    if positions is not None:
        table[at, :columns, which] = positions


class Asked:
    """What a rule was asked last, for initial or for maintenance: who has not changed since is not asked again.

    Attributes:
        terms: of the last question, prices and published parameters; another question is for all accounts.
        digests: uint64[A], of the accounts when they were asked.
    """

    def __init__(self) -> None:
        self.terms: tuple[object, ...] | None = None
        self.digests = np.zeros(0, np.uint64)


def _to_ask(market: Market, *, initial: bool) -> np.ndarray | None:
    """Numbers of the accounts whose stored answer may be out of date; None where that is everyone.

    Only of a rule that says that accounts do not bear on one another (``separable``) is less asked than everything.
    """
    if not getattr(market.margin, "separable", False):
        return None
    state, asked = market.state, market.asked[initial]
    row = values.newest_row(state) if initial else values.maintenance_row(state)
    terms = (
        int(state.meta[s.M_STEP]), int(state.meta[s.M_PUBLISHED]), int(row),
        state.quotes["mark"].tobytes(), state.quotes["index"].tobytes(),
        state.conversion.tobytes(), state.haircut.tobytes(), state.quotes["final_count"].tobytes(),
    )  # fmt: skip
    now = np.empty(len(state.positions), np.uint64)
    pyrule.digests(state, now)
    before, asked.digests = asked.digests, now
    same, asked.terms = terms == asked.terms, terms
    return np.flatnonzero(now != before) if same else None


def admit_and_match(market: Market) -> None:
    """Phases 3 and 4 with a NumPy rule: admission in waves, then matching."""
    state = market.state
    admission.arrival_order(state, market.streams[0])
    before = store_requirement(market, initial=True)
    wave = 0
    while pyrule.begin_wave(state, wave):
        after = store_requirement(market, initial=True)
        pyrule.end_wave(state, wave, before, after)
        wave += 1
    pyrule.report_refusals(state)
    match.match_batch(state)


def _ask(market: Market) -> None:
    """Let the rule answer for both the parameters of new orders and those of maintenance."""
    store_requirement(market, initial=True)
    store_requirement(market, initial=False)


def _ask_hedged(market: Market, account: int) -> None:
    """Let the rule answer for an account with the hedge that a liquidation would try first (``M_HEDGED``)."""
    state = market.state
    contract, lots = hedging.plan_hedge(state, account)
    if lots == 0:
        return
    state.positions["lots"][account, contract] += lots
    store_requirement(market, initial=False)
    state.meta[s.M_HEDGED] = 1 + state.py_requirement[account, -1, s.MAINTENANCE]
    state.positions["lots"][account, contract] -= lots
    store_requirement(market, initial=False)


def _clear_round(market: Market, *, last_resort: bool) -> int:
    """One round; the rule is asked again after every account that was called or liquidated. Returns lots moved."""
    state, evaluate = market.state, market._evaluate
    moved = 0
    for k in range(clearing.open_round(state, evaluate, market.streams[1])):
        i = int(state.scratch_order[k])
        account, contract = int(state.scratch_accounts[i]), int(state.scratch_contracts[i])
        before = int(state.meta[s.M_EVENTS_TOTAL])
        if contract < 0 and state.policy[s.LP_HEDGE_FIRST] and not last_resort:
            _ask_hedged(market, account)
        moved += clearing.resolve(state, account, contract, last_resort, evaluate)
        state.meta[s.M_HEDGED] = 0
        if state.meta[s.M_EVENTS_TOTAL] != before:
            _ask(market)
    before = int(state.meta[s.M_EVENTS_TOTAL])
    waterfall.settle_losses(state)
    if state.meta[s.M_EVENTS_TOTAL] != before:
        _ask(market)
    return moved


def clear(market: Market) -> None:
    """Phase 7 with a NumPy rule (see :func:`sim.kernels.clearing.clear`)."""
    state, evaluate = market.state, market._evaluate
    state.meta[s.M_ROUNDS] = 0
    _ask(market)
    if state.meta[s.M_LIQUIDATE] == 0:
        return
    clearing.begin_clearing(state, evaluate)
    rounds = 0
    while rounds < state.meta[s.M_ROUNDS_MAX]:
        state.meta[s.M_ROUND] = rounds
        if _clear_round(market, last_resort=False) == 0:
            break
        rounds += 1
        read_marks(state, rounds)
        _ask(market)
    if clearing.has_last_resort(state):
        state.meta[s.M_ROUND] = state.meta[s.M_ROUNDS_MAX]
        if _clear_round(market, last_resort=True) > 0:
            read_marks(state, int(state.meta[s.M_ROUNDS_MAX]) + 1)
            _ask(market)
    before = int(state.meta[s.M_EVENTS_TOTAL])
    waterfall.settle_backstops(state)
    if state.meta[s.M_EVENTS_TOTAL] != before:
        _ask(market)
    clearing.end_clearing(state, evaluate)
    state.meta[s.M_ROUNDS] = rounds
