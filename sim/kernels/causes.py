"""Why an account came into liquidation: the record that is made when a liquidation begins.

The excess of an account (or isolated position) is its equity less its maintenance requirement. Its liquidation begins
at a reading of the marks where that is negative; the last reading before at which it was not is where it was last
safe. The loss of excess between the two is apportioned by putting back one thing after the other, with the position
and the cash that the account has now:

* ``price``: its excess with the marks where they stood then, less its excess now; contract after contract;
* ``margin``: what is gained when the maintenance rates are put back as well;
* ``funding``: what it paid since then;
* ``own``: what is still lacking to an excess of zero: its own trades, fees and withdrawals, and its shares of losses.

So ``price + margin + funding + own = shortfall + headroom``, where the headroom, zero or more, is the excess that the
account would have had at the safe reading with its present position. Each part may be negative when it helped.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ledger import equity, position_equity
from sim.kernels.marks import set_conversions
from sim.kernels.moves import note_trade, room_for_reading, write_reading
from sim.kernels.state import (
    APPORTION,
    BEGIN_CAUSE,
    CAUSE,
    CAUSE_LIQUIDATION,
    EXCESS_OF,
    M_CAUSES,
    M_CONTRACTS,
    M_READINGS,
    M_RECORD_CAUSES,
    M_ROUND,
    M_ROW_BACK,
    M_STEP,
    M_STORED,
    MAINTENANCE,
    XR_CONTRACT,
)
from sim.kernels.values import maintenance_row, notional_of

LOOK_BACK = 64  # readings over which a breach may have gone unanswered (round limit, halt, liquidations off)


@kernel()
def _room_for_causes(state):
    """Make room for the rows of one more liquidation and an empty one. May replace ``causes``."""
    needed = state.meta[M_CAUSES] + state.meta[M_CONTRACTS] + 2
    old = state.causes
    if needed <= old.shape[0]:
        return
    larger = np.zeros(max(old.shape[0] * 2, needed), CAUSE)
    for i in range(old.shape[0]):
        larger[i] = old[i]
    state.causes = larger


@kernel()
def _concerned(state, account, contract, k):
    """True when the mark or index of contract k enters the excess: it is held, or prices a currency."""
    if contract >= 0:
        return k == contract
    if state.positions[account, k].lots != 0:
        return True
    for currency in range(1, state.conversion.shape[0]):
        if state.exchange[currency, XR_CONTRACT] == k:
            return True
    return False


@kernel()
def _put(state, k, reading):
    """Put mark and index of a contract where they stood at a reading. Mutates quotes and conversions."""
    row = state.readings[reading * state.meta[M_CONTRACTS] + k]
    state.quotes[k].mark = row.mark
    state.quotes[k].index = row.index
    if state.conversion.shape[0] > 1:
        set_conversions(state)


@kernel(EXCESS_OF)
def excess(state, account, contract, evaluate):
    """Equity less maintenance requirement of an account (contract -1) or isolated position, minor units."""
    if contract < 0:
        return equity(state, account) - evaluate(state, account, -1, MAINTENANCE)
    return position_equity(state, account, contract) - evaluate(state, account, contract, MAINTENANCE)


@kernel(APPORTION)
def _excess_at_rates(state, account, contract, safe, evaluate):
    """Excess at the marks as they stand and the risk parameters of an earlier reading.

    Rates are put where they stood then. Of parameters that are no rates (scenarios, add-ons) the ring keeps those of
    the step before, which stand for all earlier ones.
    """
    contracts = state.meta[M_CONTRACTS]
    if state.readings[safe * contracts].step >= state.meta[M_STEP]:
        return excess(state, account, contract, evaluate)
    state.meta[M_ROW_BACK] = 1
    row = maintenance_row(state)
    spare = state.meta[M_READINGS] * contracts
    for k in range(contracts):
        if _concerned(state, account, contract, k):
            state.readings[spare + k].rate = state.rate_maintenance[row, k]
            state.rate_maintenance[row, k] = state.readings[safe * contracts + k].rate
    found = excess(state, account, contract, evaluate)
    for k in range(contracts):
        if _concerned(state, account, contract, k):
            state.rate_maintenance[row, k] = state.readings[spare + k].rate
    state.meta[M_ROW_BACK] = 0
    return found


@kernel()
def _blank(state, n, account, contract, safe):
    """Begin row n of the causes; the row after it ends the record."""
    row = state.causes[n]
    row.reference = state.accounts[account].reference
    row.account = account
    row.contract = contract
    row.step = state.meta[M_STEP]
    row.round = state.meta[M_ROUND]
    row.reading = state.meta[M_READINGS] - 1
    row.safe = safe
    row.priced = -1
    row.shortfall = row.price = row.margin = row.funding = row.own = row.lots = row.notional = 0
    state.causes[n + 1].reference = -1


@kernel()
def _paid_since(state, account, safe):
    """Funding that an account paid after a reading, minor units; 0 where none was due."""
    then = state.readings[safe * state.meta[M_CONTRACTS]].step
    for k in range(state.meta[M_CONTRACTS]):
        if state.contracts[k].funding_interval > 0 and state.quotes[k].funding_last > then:
            return state.accounts[account].funding
    return np.int64(0)


@kernel(APPORTION)
def _apportion(state, account, contract, safe, evaluate):
    """Write the rows of a liquidation that was last safe at a reading (-1: never), at the end of the tape.

    Returns:
        Excess at that reading with the present position; what it lacks to zero has no explanation but the own part.
    """
    contracts = state.meta[M_CONTRACTS]
    first = state.meta[M_CAUSES]
    present = excess(state, account, contract, evaluate)
    _blank(state, first, account, contract, safe)
    state.causes[first].shortfall = -present
    if safe < 0:
        state.causes[first].own = -present
        return present
    for k in range(contracts):
        if _concerned(state, account, contract, k):
            write_reading(state, k)  # not yet counted: the place from where the present marks come back
    last, before = first, present
    for k in range(contracts):
        then = state.readings[safe * contracts + k]
        now = state.quotes[k]
        if not _concerned(state, account, contract, k) or (then.mark == now.mark and then.index == now.index):
            continue
        _put(state, k, safe)
        after = excess(state, account, contract, evaluate)
        if after != before:
            if state.causes[last].priced >= 0:
                last += 1
                _blank(state, last, account, contract, safe)
            state.causes[last].priced = k
            state.causes[last].price = after - before
        before = after
    left = before
    if state.meta[M_STORED] == 0:
        left = _excess_at_rates(state, account, contract, safe, evaluate)
        state.causes[first].margin = left - before
    for k in range(contracts):
        if _concerned(state, account, contract, k):
            _put(state, k, state.meta[M_READINGS])
    paid = _paid_since(state, account, safe)
    state.causes[first].funding = paid
    left += paid
    state.causes[first].own = max(-left, 0)
    return left


@kernel()
def _size(state, account, contract, n):
    """Write what is being liquidated into row n: lots of the position (the largest by value), value of all."""
    largest = np.int64(-1)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        value = notional_of(state, k, abs(lots))
        state.causes[n].notional += value
        if value > largest:
            largest = value
            state.causes[n].lots = lots


@kernel(BEGIN_CAUSE)
def begin_cause(state, account, contract, evaluate):
    """Record why the liquidation of an account, or of one isolated position, begins now.

    It was last safe at the reading before this one, or where it was called before that call. If it would have been in
    breach there already, and has not traded or paid since, its breach had gone unanswered (round limit, halt,
    liquidations switched off): the record then goes back to the newest reading at which it was safe.

    With a rule in NumPy, requirements are known at the present marks alone: ``price`` is the change of equity, and what
    is lacking then is ``margin`` unless the account has traded.

    Args:
        state: the market; mutates ``causes``. Marks, rates and conversions are moved and put back.
        account: the account, which has the number of its liquidation.
        contract: -1 for the whole account.
        evaluate: compiled requirement.
    """
    meta = state.meta
    if meta[M_RECORD_CAUSES] == 0:
        return
    _room_for_causes(state)
    room_for_reading(state)
    called = np.int64(state.accounts[account].safe_reading)
    newest = called if called >= 0 else meta[M_READINGS] - 2
    state.accounts[account].safe_reading = -1
    safe = max(newest, np.int64(-1))
    left = _apportion(state, account, contract, safe, evaluate)
    traded = np.int64(state.accounts[account].traded)
    if left < 0 and meta[M_STORED] != 0 and safe >= 0 and traded <= safe:
        state.causes[meta[M_CAUSES]].margin -= left
        state.causes[meta[M_CAUSES]].own = 0
    elif left < 0 and safe >= 0:
        earlier = safe
        while left < 0 and earlier > 0 and traded <= earlier and safe - earlier < LOOK_BACK:
            earlier -= 1
            left = _apportion(state, account, contract, earlier, evaluate)
        if left < 0 and earlier < safe:
            _apportion(state, account, contract, safe, evaluate)
    _size(state, account, contract, meta[M_CAUSES])
    reference = state.accounts[account].reference
    while state.causes[meta[M_CAUSES]].reference == reference:
        meta[M_CAUSES] += 1


@kernel()
def note_withdrawal(state, account):
    """Note that the resting orders of an account in liquidation were cancelled: a move of that liquidation."""
    if state.meta[M_RECORD_CAUSES] == 0:
        return
    reference = np.int64(state.accounts[account].reference)
    for k in range(state.meta[M_CONTRACTS]):
        note_trade(state, k, CAUSE_LIQUIDATION, reference, account, 0)
