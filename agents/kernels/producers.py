"""Producers and consumers: a physical programme delivered over time, and the hedge of what is still to come."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, limit_near_mark, send, take_limit, value_of_lot
from sim.kernels import ledger
from sim.kernels.jit import kernel
from sim.kernels.marks import expired
from sim.kernels.messages import wake_range
from sim.kernels.realmath import exp, ln
from sim.kernels.state import (
    BUY,
    CAUSE_NONE,
    CLOSED,
    DECIDE,
    INVERSE_OPTION,
    IOC,
    M_CONTRACTS,
    M_STEP,
    NEW,
    OPEN,
    PI_CONTRACT,
    PI_PERIOD,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SUBTICKS,
)
from sim.kernels.values import underlying_price

CONTRACTS_MOST = 8  # dated contracts that a hedge can be rolled through
PARAMS = (
    "side", "programme", "tolerance", "child_lots", "slippage", "roll", "deliver", "chain", "log_moneyness",
    "option_slippage", *(f"contract{k}" for k in range(CONTRACTS_MOST)),
)  # fmt: skip
SIDE, PROGRAMME, TOLERANCE, CHILD_LOTS, SLIPPAGE, ROLL, DELIVER, CHAIN, LOG_MONEYNESS = range(9)
OPTION_SLIPPAGE, FIRST_CONTRACT = 9, 10
FLOATS = ("ratio",)
RATIO = 0
INTS = ("output", "phase", "owed")
OUTPUT, PHASE, OWED = range(3)


@kernel()
def delivered_by(step, output, phase, programme):
    """Lots delivered by a step since the programmes began: ``output`` lots over each ``programme`` steps, evenly."""
    return output * (step + phase) // programme


@kernel()
def to_come(step, output, phase, programme):
    """Lots of the present programme that are still to be delivered after a step."""
    return output - output * ((step + phase) % programme) // programme


@kernel()
def open_for(state, contract, steps):
    """Whether a contract is listed and does not expire within some steps."""
    step, last = state.meta[M_STEP], state.contracts[contract].expiry
    return step > state.contracts[contract].listing and (last == 0 or step + steps <= last)


@kernel()
def hedge_contract(state, parameters):
    """The first contract of the list that is not about to expire; else the first that trades; -1 if none does."""
    for margin in (np.int64(parameters[ROLL]), np.int64(0)):
        for k in range(CONTRACTS_MOST):
            contract = np.int64(parameters[FIRST_CONTRACT + k])
            if contract >= 0 and open_for(state, contract, margin):
                return contract
    return np.int64(-1)


@kernel()
def option_lots(state, option, contract):
    """Lots of an option whose underlying is worth as much as one lot of a contract."""
    terms = state.contracts[option]
    units = np.float64(terms.payoff) / np.float64(terms.divisor)
    if terms.kind != INVERSE_OPTION:
        units *= underlying_price(state, option)
    if terms.currency != 0:
        units *= state.conversion[terms.currency] / np.float64(RATE_ONE)
    return value_of_lot(state, contract) / units


@kernel()
def choose_option(state, chain, option_type, log_moneyness, until):
    """The option of a chain to hedge with, -1 if none trades.

    The first expiry at or after the step ``until``, else the last one; in it the strike nearest the price of the
    underlying times ``exp(log_moneyness)``, of equally near ones the lower.
    """
    best, expiry, distance = np.int64(-1), np.int64(0), 0.0
    for option in range(state.meta[M_CONTRACTS]):
        terms = state.contracts[option]
        if terms.chain != chain or terms.option != option_type or not open_for(state, option, np.int64(1)):
            continue
        gap = abs(np.float64(terms.strike) - underlying_price(state, option) * exp(log_moneyness))
        better = best < 0
        if not better and terms.expiry != expiry:
            better = (expiry < until and terms.expiry > expiry) or (until <= terms.expiry < expiry)
        elif not better:
            better = gap < distance
        if better:
            best, expiry, distance = np.int64(option), np.int64(terms.expiry), gap
    return best


@kernel()
def _order(state, account, contract, lots, slippage):
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots == 0:
        return
    held = state.positions[account, contract].lots
    flags = REDUCE_ONLY if lots * held < 0 and abs(lots) <= abs(held) else 0
    side = np.int64(BUY if lots > 0 else SELL)
    take_limit(state, account, contract, lots, limit_near_mark(state, contract, side, slippage), flags, 0)


@kernel()
def _hedge_contract(state, account, parameters, target):
    """Move the hedge in futures or a perpetual a child towards signed lots, out of what is about to expire."""
    now = hedge_contract(state, parameters)
    if now < 0:
        return
    child = np.int64(parameters[CHILD_LOTS])
    total = np.int64(0)
    for k in range(CONTRACTS_MOST):
        contract = np.int64(parameters[FIRST_CONTRACT + k])
        if contract < 0 or expired(state, contract):
            continue
        held = state.positions[account, contract].lots
        if contract != now and held != 0 and open_for(state, contract, np.int64(0)):
            leave = -clipped(held, child)
            _order(state, account, contract, leave, parameters[SLIPPAGE])
            held += leave
        total += held
    gap = target - total
    if abs(gap) > parameters[TOLERANCE] * state.trader_ints[account, OUTPUT]:
        _order(state, account, now, clipped(gap, child), parameters[SLIPPAGE])


@kernel()
def _hedge_options(state, account, contract, parameters, wanted, until):
    """Buy options until those held cover ``wanted`` lots; what covers more is kept until it expires."""
    chain, option_type = np.int64(parameters[CHAIN]), -np.int64(parameters[SIDE])
    covered = 0.0
    for option in range(state.meta[M_CONTRACTS]):
        terms = state.contracts[option]
        if terms.chain == chain and terms.option == option_type and state.positions[account, option].lots != 0:
            covered += state.positions[account, option].lots / option_lots(state, option, contract)
    gap = wanted - covered
    if gap <= parameters[TOLERANCE] * state.trader_ints[account, OUTPUT]:
        return
    option = choose_option(state, chain, option_type, parameters[LOG_MONEYNESS], until)
    if option < 0:
        return
    lots = np.int64(np.floor(min(gap, parameters[CHILD_LOTS]) * option_lots(state, option, contract) + 0.5))
    lots = min(lots, state.contracts[option].max_lots)
    if lots > 0:
        limit = limit_near_mark(state, option, np.int64(BUY), parameters[OPTION_SLIPPAGE])
        # an option of few ticks: the limit reaches at least one tick beyond the mark
        limit = max(limit, state.quotes[option].mark // SUBTICKS + 1)
        take_limit(state, account, option, lots, min(limit, state.contracts[option].max_price), 0, 0)


@kernel()
def _deliver(state, account, parameters, lots):
    """Bring what was produced to the spot market, or buy there what is consumed. Mutates wallets.

    Output enters the exchange as coins and is sold; coins that a consumer has bought leave it.
    """
    spot, side = np.int64(parameters[DELIVER]), np.int64(parameters[SIDE])
    terms = state.contracts[spot]
    child = np.int64(parameters[CHILD_LOTS])
    if side > 0:
        if lots > 0:
            ledger.deposit_in(state, account, terms.base_currency, lots * terms.base_lot)
        owed = state.wallets[account, terms.base_currency] // terms.base_lot
    else:
        owed = state.trader_ints[account, OWED] + lots
        bought = min(max(state.wallets[account, terms.base_currency] // terms.base_lot, np.int64(0)), owed)
        if bought > 0:
            ledger.deposit_in(state, account, terms.base_currency, -bought * terms.base_lot)
            owed -= bought
    state.trader_ints[account, OWED] = owed
    part = clipped(owed, child)
    if part > 0:
        price = limit_near_mark(state, spot, -side, parameters[SLIPPAGE])
        send(state, account, spot, NEW, -side, IOC, 0, price, part, 0, CAUSE_NONE)


@kernel(DECIDE)
def decide(state, population):
    """Deliver, and bring the hedges of waking rows to what is still to come. No draws.

    Mutates ``trader_ints`` of waking rows and, where they deliver to a spot market, their wallets.
    """
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    parameters = state.pop_params[population]
    contract, period = state.pop_ints[population, PI_CONTRACT], state.pop_ints[population, PI_PERIOD]
    programme, side = np.int64(parameters[PROGRAMME]), np.int64(parameters[SIDE])
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].status == CLOSED:
            continue
        output, phase = state.trader_ints[account, OUTPUT], state.trader_ints[account, PHASE]
        if parameters[DELIVER] >= 0.0:
            before = max(step - period, np.int64(0))
            lots = delivered_by(step, output, phase, programme) - delivered_by(before, output, phase, programme)
            _deliver(state, account, parameters, lots)
        if state.accounts[account].status != OPEN:
            continue
        rest = to_come(step, output, phase, programme)
        wanted = np.int64(np.floor(state.trader_floats[account, RATIO] * rest + 0.5))
        if parameters[CHAIN] < 0.0:
            _hedge_contract(state, account, parameters, -side * wanted)
        else:
            until = step + programme - (step + phase) % programme
            _hedge_options(state, account, contract, parameters, np.float64(wanted), until)


@kernel()
def fill(state, first, normals, uniforms, columns):
    """Write rows. ``columns``: mean output and the deviation of its logarithm, programme, mean ratio and its spread."""
    for row in range(uniforms.shape[0]):
        account = first + row
        mu = ln(columns[0]) - 0.5 * columns[1] * columns[1]
        output = np.int64(exp(mu + columns[1] * normals[row, 0]) + 0.5)
        state.trader_ints[account, OUTPUT] = max(output, np.int64(1))
        state.trader_ints[account, PHASE] = np.int64(uniforms[row, 1] * columns[2])
        state.trader_ints[account, OWED] = 0
        state.trader_floats[account, RATIO] = columns[3] * (1.0 + columns[4] * (2.0 * uniforms[row, 2] - 1.0))
