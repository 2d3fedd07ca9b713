"""Oracles: what venues show of the value, what is made of it, and when it is reported.

An oracle observes its sources each step, makes one price of them, and reports it when an interval has passed on its
clock or the price has moved far enough; a report is published after a latency. Where all sources are exogenous the
published index is a path that is made before the run (:func:`publish`). Where the market's own spot contract is a
source, the same rule runs inside the step (:func:`read_oracles`).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.keyed import normal
from sim.kernels.realmath import exp
from sim.kernels.state import (
    M_CONTRACTS,
    M_HISTORY,
    M_STEP,
    OP_FACTOR,
    OP_OWN_FACTOR,
    OP_SOURCE,
    OP_STALE,
    OR_AGGREGATION,
    OR_DEVIATION,
    OR_INTERVAL,
    OR_LATENCY,
    OR_OWN,
    OR_OWN_HELD,
    OR_OWN_LATENCY,
    OR_OWN_TICKS,
    OR_OWN_WEIGHT,
    OR_PAUSED,
    OR_REPORT,
    OR_REPORT_STEP,
    OR_SOURCES,
    OR_STALE,
    OR_STALE_POLICY,
    OR_STALE_STEPS,
    OR_WEIGHT,
    PRICE_MID,
    STALE_PAUSE,
    WEIGHTED_MEAN,
    WEIGHTED_MEDIAN,
)
from sim.kernels.values import is_option


@kernel()
def aggregate(values, weights, how):
    """One price of several.

    Args:
        values: float64[n], n of at least one; sorted in place.
        weights: float64[n], positive; sorted with them.
        how: ``WEIGHTED_MEAN``, ``MEDIAN`` (all weights alike) or ``WEIGHTED_MEDIAN``: the value at which the weight
            up to it passes half of the total, the mean of two where it is exactly half between them.
    """
    n = len(values)
    total, mean = 0.0, 0.0
    for i in range(n):
        if how != WEIGHTED_MEAN and how != WEIGHTED_MEDIAN:
            weights[i] = 1.0
        total += weights[i]
        mean += weights[i] * values[i]
    if n == 1:
        return values[0]
    if how == WEIGHTED_MEAN:
        return mean / total
    for i in range(1, n):
        value, weight, j = values[i], weights[i], i
        while j > 0 and values[j - 1] > value:
            values[j], weights[j] = values[j - 1], weights[j - 1]
            j -= 1
        values[j], weights[j] = value, weight
    below = 0.0
    for i in range(n - 1):
        below += weights[i]
        if 2.0 * below == total:
            return 0.5 * (values[i] + values[i + 1])
        if 2.0 * below > total:
            return values[i]
    return values[n - 1]


@kernel()
def venue(seed, stream, deviation, decay, latency, value, price):
    """The price of another venue: the value times the exponential of a stationary Ornstein-Uhlenbeck process, late.

    Args:
        seed: seed of the run.
        stream: stream of the venue; step t draws with the key (seed, stream, t, 0).
        deviation: stationary standard deviation of the log price around the log value, 0: the value itself.
        decay: what is left of a deviation after one step.
        latency: steps from the venue to the oracle.
        value: float64[T + 1], ticks.
        price: float64[T + 1], written: what the oracle sees at each step.
    """
    level = 0.0
    noise = deviation * np.sqrt(1.0 - decay * decay)
    for t in range(len(value)):
        if deviation > 0.0:
            z = normal(seed, stream, t, 0)
            level = deviation * z if t == 0 else level * decay + noise * z
        shown = value[t] * exp(level) if deviation > 0.0 else value[t]
        for later in range(t + latency if t > 0 else 0, min(t + latency + 1, len(value))):
            price[later] = shown


@kernel()
def combine(prices, weights, how, out):
    """Aggregate several venues' paths, float64[T + 1, n], into one, float64[T + 1]."""
    values, own = np.empty(prices.shape[1]), np.empty(prices.shape[1])
    for t in range(len(out)):
        values[:] = prices[t]
        own[:] = weights
        out[t] = aggregate(values, own, how)


@kernel()
def _is_due(step, interval, deviation, now, report):
    return step % interval == 0 or (deviation > 0.0 and abs(now - report) > deviation * report)


@kernel()
def subticks(price, largest):
    """A price in ticks as an index in sub-ticks, halves up, cut to what the contract can have."""
    return min(max(np.int64(np.floor(price * 16.0 + 0.5)), np.int64(1)), largest * 16)


@kernel()
def publish(observed, factor, latency, interval, deviation, largest, index, age):
    """The published index of one contract and the age of the report behind it.

    The oracle observes each step and reports when ``interval`` steps have passed on its clock, or when the observation
    is more than ``deviation`` (a fraction, 0 for never) away from its last report; a report is published ``latency``
    steps after the observation.

    Args:
        observed: float64[T + 1], ticks.
        factor: float64[T + 1], fault that multiplies the observation; 0: the oracle does not report.
        latency: steps.
        interval: steps, at least one.
        deviation: fraction.
        largest: largest price, ticks.
        index: int64[T + 1], sub-ticks, written.
        age: int64[T + 1], steps since the observation that stands in the index, written.
    """
    report, reported = observed[0], np.int64(0)
    for t in range(len(observed)):
        seen = t - latency
        if seen > 0 and factor[seen] != 0.0:
            now = observed[seen] * factor[seen]
            if _is_due(seen, interval, deviation, now, report):
                report, reported = now, np.int64(seen)
        index[t] = subticks(report, largest)
        age[t] = t - reported


@kernel()
def _own_price(state, contract, seen):
    """Mid of the own spot contract as the oracle sees it at a step, in ticks of ``contract``.

    The newest mid known at step t is that of the end of step t - 1. Mutates the observation that a fault holds.
    """
    cells = state.oracle[contract]
    if state.oracle_path[seen, contract, OP_OWN_FACTOR] != 0.0:
        step = max(np.int64(seen - 1 - cells[OR_OWN_LATENCY]), np.int64(0))
        mid = state.price_history[step & (state.meta[M_HISTORY] - 1), np.int64(cells[OR_OWN]), PRICE_MID]
        cells[OR_OWN_HELD] = mid / 16.0 * cells[OR_OWN_TICKS] * state.oracle_path[seen, contract, OP_OWN_FACTOR]
    return cells[OR_OWN_HELD]


@kernel()
def _observe(state, contract, seen):
    """What the oracle makes of external venues and the own spot contract at a step, ticks."""
    cells = state.oracle[contract]
    external = np.int64(cells[OR_SOURCES])
    values, weights = np.empty(external + 1), np.empty(external + 1)
    for i in range(external):
        values[i] = state.oracle_path[seen, contract, OP_SOURCE + i]
        weights[i] = cells[OR_WEIGHT + i]
    values[external] = _own_price(state, contract, seen)
    weights[external] = cells[OR_OWN_WEIGHT]
    return aggregate(values, weights, np.int64(cells[OR_AGGREGATION]))


@kernel()
def _report(state, contract):
    """The rule of :func:`publish` for one step of an oracle that looks at the own spot contract.

    Mutates ``oracle`` and the index in quotes.
    """
    cells = state.oracle[contract]
    seen = state.meta[M_STEP] - np.int64(cells[OR_LATENCY])
    if seen > 0:
        now = _observe(state, contract, seen)
        factor = state.oracle_path[seen, contract, OP_FACTOR]
        if factor != 0.0 and _is_due(
            seen, np.int64(cells[OR_INTERVAL]), cells[OR_DEVIATION], now * factor, cells[OR_REPORT]
        ):
            cells[OR_REPORT] = now * factor
            cells[OR_REPORT_STEP] = seen
    state.quotes[contract].index = subticks(cells[OR_REPORT], state.contracts[contract].max_price)
    age = state.meta[M_STEP] - cells[OR_REPORT_STEP]
    cells[OR_STALE] = 1.0 if 0.0 < cells[OR_STALE_STEPS] < age else 0.0


@kernel()
def read_oracles(state):
    """Put the index of oracles that look at the own spot contract into quotes, and say which oracles are stale.

    Mutates ``oracle`` and quotes. Nothing to do where every index is a path and no report can be stale.
    """
    if state.oracle_path.shape[0] == 1:
        return
    row = min(state.meta[M_STEP], state.oracle_path.shape[0] - 1)
    paused = 0.0
    for contract in range(state.meta[M_CONTRACTS]):
        if state.oracle[contract, OR_OWN] >= 0.0:
            _report(state, contract)
        else:
            state.oracle[contract, OR_STALE] = state.oracle_path[row, contract, OP_STALE]
    for contract in range(state.meta[M_CONTRACTS]):
        if is_option(state, contract):  # it is valued on the index of its underlying
            state.oracle[contract, OR_STALE] = state.oracle[state.contracts[contract].reference, OR_STALE]
        if state.oracle[contract, OR_STALE] != 0.0 and state.oracle[contract, OR_STALE_POLICY] == STALE_PAUSE:
            paused += 1.0
    state.oracle[0, OR_PAUSED] = paused


@kernel()
def liquidation_is_paused(state, account, contract):
    """True while the oracle of a position's contract (contract -1: of any position's) is stale and pauses liquidations.

    Neither is the account called then.
    """
    if state.oracle[0, OR_PAUSED] == 0.0:
        return False
    for k in range(state.meta[M_CONTRACTS]):
        cells = state.oracle[k]
        if cells[OR_STALE] != 0.0 and cells[OR_STALE_POLICY] == STALE_PAUSE and (contract < 0 or contract == k):
            if state.positions[account, k].lots != 0:
                return True
    return False
