"""The step, phase by phase, and the fused loop over steps. Both run the same phases and give the same bytes."""

from __future__ import annotations

import numpy as np

from sim.kernels.admission import admit, arrival_order
from sim.kernels.book import expire
from sim.kernels.breakers import check_halts, stress
from sim.kernels.clearing import clear
from sim.kernels.funding import expire_contracts, time_payments
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, OFFSET_SCRIPT
from sim.kernels.marks import close_marks, note_marks, set_option_indexes
from sim.kernels.match import match_batch
from sim.kernels.messages import push
from sim.kernels.moves import note_indexes, open_tape, read_marks
from sim.kernels.oracle import read_oracles
from sim.kernels.record import record_step
from sim.kernels.state import (
    ADVANCE,
    BUY,
    CAUSE_FUND_UNWIND,
    CAUSE_SCRIPT,
    CLEAR_STEP,
    DECIDE,
    INITIAL,
    IOC,
    M_BIDS,
    M_CONTRACTS,
    M_FILLS,
    M_FUND_UNWIND,
    M_POPULATIONS,
    M_PUBLISHED,
    M_PUBLISHERS,
    M_READINGS,
    M_RECORD_CAUSES,
    M_RECORD_EVERY,
    M_RECORD_TRADES,
    M_RISK_SLOTS,
    M_ROUNDS,
    M_STATUS,
    M_STEP,
    M_STEPS_PER_DAY,
    M_STORED,
    M_TRADERS,
    MAINTENANCE,
    MARKET,
    NEW,
    PUBLISH,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SF_CONTRACT,
    SF_LOTS,
    SF_NUMBER,
    SF_SIDE,
    SF_START,
    SF_STEPS,
    SPOT,
    WITH_EVALUATOR,
)
from sim.kernels.surface import note_flow, record_surfaces, update_surfaces
from sim.kernels.values import is_option

STREAM_ARRIVAL, STREAM_LIQUIDATION = 0, 1


@kernel(DECIDE)
def no_decision(state, population):
    """Fills the places of absent populations in the tuple of decision kernels."""


@kernel(PUBLISH)
def no_publication(state, slot):
    """Fills the places of absent margin models; also stands for a model that publishes in Python."""


@kernel()
def begin(state):
    """Phase 1, world: a new step, index, volatility surfaces, expiring orders, payments. Mutates books and ledger."""
    meta = state.meta
    if meta[M_RECORD_CAUSES] != 0 and meta[M_READINGS] == 0:
        open_tape(state)
    meta[M_STEP] += 1
    step = meta[M_STEP]
    meta[M_BIDS] = 0
    if meta[M_RECORD_TRADES] == 0:
        meta[M_FILLS] = 0
    row = min(step, state.index_path.shape[0] - 1)
    for contract in range(meta[M_CONTRACTS]):
        state.quotes[contract].index = state.index_path[row, contract]
        if meta[M_STEPS_PER_DAY] > 0 and step % meta[M_STEPS_PER_DAY] == 0:
            volume = state.quotes[contract].volume
            state.quotes[contract].volume_day = volume - state.quotes[contract].volume_day_start
            state.quotes[contract].volume_day_start = volume
    read_oracles(state)
    update_surfaces(state)
    set_option_indexes(state)
    note_indexes(state)
    expire(state, step)
    time_payments(state)


@kernel()
def house_messages(state):
    """Phase 2, the exchange's own orders: scripted flows, and the insurance fund selling what it took over."""
    meta = state.meta
    step = meta[M_STEP]
    script = meta[M_TRADERS] + OFFSET_SCRIPT
    for i in range(state.flows.shape[0]):
        flow = state.flows[i]
        done = step - flow[SF_START]
        if flow[SF_STEPS] <= 0 or done < 0 or done >= flow[SF_STEPS]:
            continue
        lots = flow[SF_LOTS] * (done + 1) // flow[SF_STEPS] - flow[SF_LOTS] * done // flow[SF_STEPS]
        if lots > 0:
            push(
                state, script, flow[SF_CONTRACT], NEW, flow[SF_SIDE], IOC, MARKET, 0, lots, 0, 0, CAUSE_SCRIPT,
                flow[SF_NUMBER],
            )  # fmt: skip
    fund = meta[M_TRADERS] + OFFSET_FUND
    if meta[M_FUND_UNWIND] > 0 and state.accounts[fund].positions > 0:
        for contract in range(meta[M_CONTRACTS]):
            held = state.positions[fund, contract].lots
            if held != 0:
                side = SELL if held > 0 else BUY
                push(
                    state, fund, contract, NEW, side, IOC, MARKET | REDUCE_ONLY, 0,
                    min(abs(held), meta[M_FUND_UNWIND]), 0, 0, CAUSE_FUND_UNWIND, 0,
                )  # fmt: skip


@kernel(WITH_EVALUATOR)
def record(state, evaluate):
    """Phase 8, record: contracts that end settle, averages move to the end of the step, the row is written if due."""
    note_flow(state)
    expire_contracts(state)
    close_marks(state)
    if state.meta[M_STEP] % state.meta[M_RECORD_EVERY] == 0:
        record_surfaces(state)
        record_step(state, evaluate)


@kernel()
def _announced(state, contract, which):
    """Rate of a contract as the active model gives it, 2**-32.

    Spot is covered by cash and coins. Rates charge options as parts of their underlying (:mod:`sim.kernels.charges`),
    so theirs is that of the contract that prices it; a rule in NumPy says itself what an option asks.
    """
    if state.contracts[contract].kind == SPOT:
        return np.int64(0)
    if is_option(state, contract) and state.meta[M_STORED] == 0:
        return state.model_rates[0, state.contracts[contract].reference, which]
    return state.model_rates[0, contract, which]


@kernel()
def announce_initial(state):
    """Put the active model's rates in force for new orders. Mutates ``rate_initial``."""
    for contract in range(state.meta[M_CONTRACTS]):
        state.rate_initial[contract] = _announced(state, contract, INITIAL)


@kernel()
def announce(state):
    """Put the active model's rates in force for new orders and into the ring of maintenance rates."""
    row = state.meta[M_STEP] % state.meta[M_RISK_SLOTS]
    announce_initial(state)
    for contract in range(state.meta[M_CONTRACTS]):
        state.rate_maintenance[row, contract] = _announced(state, contract, MAINTENANCE)
        for slot in range(state.meta[M_PUBLISHERS]):
            state.model_rate_sum[slot, contract] += state.model_rates[slot, contract, 0] / RATE_ONE
    stress(state)


@kernel()
def before_publish(state):
    """Phases 5 and 6 up to the model: marks, their ring, halts, the step of publication."""
    read_marks(state, -1)
    note_marks(state)
    check_halts(state)
    state.meta[M_PUBLISHED] = state.meta[M_STEP]


@kernel(CLEAR_STEP)
def clear_and_record(state, evaluate, streams):
    """Phases 7 and 8: margin calls and liquidations, then the record."""
    state.meta[M_ROUNDS] = clear(state, evaluate, streams[STREAM_LIQUIDATION])
    record(state, evaluate)


@kernel(CLEAR_STEP)
def admit_and_match(state, evaluate, streams):
    """Phases 3 and 4: arrival order, admission, matching."""
    arrival_order(state, streams[STREAM_ARRIVAL])
    admit(state, evaluate)
    match_batch(state)


@kernel(ADVANCE)
def advance(state, steps, decide, publish, evaluate, streams, phases):
    """Run steps without returning to Python.

    Args:
        state: the market.
        steps: number of steps.
        decide: decision kernels by population, padded with :func:`no_decision`.
        publish: publishers by slot, padded with :func:`no_publication`.
        evaluate: requirement kernel.
        streams: numbers of the arrival and liquidation streams.
        phases: :func:`admit_and_match` and :func:`clear_and_record`.

    Returns:
        Steps done; fewer than asked for when a kernel raised ``meta[M_STATUS]``.
    """
    for done in range(steps):
        begin(state)
        for population in range(state.meta[M_POPULATIONS]):
            decide[population](state, population)
        house_messages(state)
        phases[0](state, evaluate, streams)
        before_publish(state)
        for slot in range(state.meta[M_PUBLISHERS]):
            publish[slot](state, slot)
        announce(state)
        phases[1](state, evaluate, streams)
        if state.meta[M_STATUS] != 0:
            return np.int64(done + 1)
    return np.int64(steps)
