"""Running a margin rule that is written in NumPy: the same step, with the rule asked in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.kernels import admission, clearing, match, pyrule
from sim.kernels import state as s
from sim.kernels.marks import set_marks
from sim.views import portfolio_view

if TYPE_CHECKING:
    from sim.market import Market


def store_requirement(market: Market, *, initial: bool) -> np.ndarray:
    """Ask the rule for every account and put the answer where :func:`stored_requirement` reads it.

    Args:
        market: the market.
        initial: True to apply the parameters that bind new orders, False those that bind maintenance.

    Returns:
        int64[A], the initial requirements.
    """
    state = market.state
    answer = market.margin.requirement(portfolio_view(market), market.risk_parameters(initial=initial))
    table = state.py_requirement
    columns = table.shape[1] - 1
    if initial:
        table[:, columns, s.INITIAL] = answer.initial
        if answer.initial_positions is not None:
            table[:, :columns, s.INITIAL] = answer.initial_positions
    table[:, columns, s.MAINTENANCE] = answer.maintenance
    if answer.maintenance_positions is not None:
        table[:, :columns, s.MAINTENANCE] = answer.maintenance_positions
    return table[:, columns, s.INITIAL].copy()


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
    match.match_batch(state)


def clear(market: Market) -> None:
    """Phase 7 with a NumPy rule: the rule is asked again before every round."""
    state = market.state
    evaluate = pyrule.stored_requirement
    if state.meta[s.M_LIQUIDATE] == 0:
        return
    store_requirement(market, initial=True)
    store_requirement(market, initial=False)
    pyrule.begin_clearing(state, evaluate)
    rounds = 0
    stream = market.streams[1]
    while rounds < state.meta[s.M_ROUNDS_MAX]:
        state.meta[s.M_ROUND] = rounds
        if clearing.clear_round(state, evaluate, stream, False) == 0:
            break
        rounds += 1
        set_marks(state)
        store_requirement(market, initial=False)
    if state.meta[s.M_FORCED_LIMIT] != s.LIMIT_NONE:
        state.meta[s.M_ROUND] = state.meta[s.M_ROUNDS_MAX]
        if clearing.clear_round(state, evaluate, stream, True) > 0:
            set_marks(state)
    store_requirement(market, initial=True)
    store_requirement(market, initial=False)
    pyrule.end_clearing(state, evaluate)
    state.meta[s.M_ROUNDS] = rounds
