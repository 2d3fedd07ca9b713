"""The tape of events: refusals, margin calls, liquidations, waterfall. It grows and never wraps."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import EVENT, M_EVENTS, M_EVENTS_TOTAL, M_STEP, RECORD_EVENT


@kernel()
def _grow_events(state):
    old = state.events
    larger = np.zeros(old.shape[0] * 2, EVENT)
    for i in range(old.shape[0]):
        larger[i] = old[i]
    state.events = larger


@kernel(RECORD_EVENT)
def record_event(state, kind, contract, account, reason, a, b, c):
    """Append an event of this step. Mutates ``events`` and its counters."""
    n = state.meta[M_EVENTS]
    if n == state.events.shape[0]:
        _grow_events(state)
    row = state.events[n]
    row.step = state.meta[M_STEP]
    row.kind = kind
    row.contract = contract
    row.account = account
    row.reason = reason
    row.a = a
    row.b = b
    row.c = c
    state.meta[M_EVENTS] = n + 1
    state.meta[M_EVENTS_TOTAL] += 1
