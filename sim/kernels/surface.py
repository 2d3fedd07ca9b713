"""Volatility surfaces of option chains: SSVI whose level follows realised volatility, and whose skew moves.

A surface is a row of ``state.surface``: parameters, what it remembers, and what follows from both. Total implied
variance of log-moneyness k at a time to expiry with at-the-money total variance theta is

    w(k) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))
    phi = eta / (theta^gamma (1 + theta)^(1 - gamma))

(Gatheral and Jacquier 2014, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14:59-71). With gamma in
(0, 1/2] and eta (1 + |rho|) <= 2 a slice has no butterfly arbitrage, and with theta that does not fall with the time to
expiry slices do not cross: both hold for every state that these kernels can reach.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.marks import expected_final
from sim.kernels.realmath import exp, ln, power
from sim.kernels.state import (
    BUY,
    M_CONTRACTS,
    M_FILLS,
    M_RECORDS,
    M_STEP,
    SURFACE_CELLS,
    SURFACE_RECORD,
)
from sim.kernels.values import underlying_price

# Cells of a row. Parameters (sim.surface says what they mean; 0 in SF_ON: the volatility of a contract stays)
SF_ON, SF_LEVEL, SF_REVERSION, SF_REALISED_WEIGHT, SF_PREMIUM, SF_SKEW, SF_CURVATURE, SF_POWER = range(8)
SF_LEVERAGE, SF_SKEW_RETURN, SF_SKEW_REALISED, SF_FLOW_LEVEL, SF_FLOW_SKEW, SF_FLOW_LOTS = range(8, 14)
SF_LOWEST, SF_HIGHEST, SF_UPDATE, SF_SAMPLE, SF_SOURCE = range(14, 19)
SF_KEEP_REALISED, SF_KEEP_PRICE, SF_KEEP_FLOW, SF_CONTRACT, SF_TREND_SCALE = range(19, 24)
# What it remembers: realised variance per year, last sampled and average log price, signed flow, flow by moneyness
SF_REALISED, SF_LAST, SF_AVERAGE, SF_FLOW, SF_TILT = range(32, 37)
# What follows: variance per year now and in the long run, correlation
SF_SPOT, SF_LONG, SF_RHO = range(40, 43)

SOURCE_MARK, SOURCE_MID, SOURCE_INDEX = 0.0, 1.0, 2.0
_MONTH = 30.0 / 365.0
_RHO_MOST = 0.999


@kernel()
def bounded(x):
    """``x / sqrt(1 + x^2)``: rises from -1 to 1, with slope one at zero."""
    return x / np.sqrt(1.0 + x * x)


@kernel()
def at_the_money(spot, long, reversion, years):
    """Total variance at the money: expected variance from ``spot`` towards ``long`` summed over the time to expiry.

    The expectation of a variance that reverts at ``reversion`` per year (of GARCH(1,1), Bollerslev 1986, in continuous
    time). It never falls with ``years``, whatever the two variances are.
    """
    x = reversion * years
    if x < 1e-9:
        return spot * years
    return long * years + (spot - long) * (1.0 - exp(-x)) / reversion


@kernel()
def curvature(theta, eta, gamma):
    """The function phi of SSVI, the power law; with gamma in (0, 1/2] and eta (1 + |rho|) <= 2 free of arbitrage."""
    if gamma == 0.5:
        return eta / np.sqrt(theta * (1.0 + theta))
    return eta / (power(theta, gamma) * power(1.0 + theta, 1.0 - gamma))


@kernel()
def total_variance(k, theta, rho, phi):
    """Total implied variance of SSVI at log-moneyness k (log of strike over forward)."""
    x = phi * k + rho
    return 0.5 * theta * (1.0 + rho * phi * k + np.sqrt(x * x + 1.0 - rho * rho))


@kernel()
def surface_volatility(row, k, years):
    """Implied volatility of a surface at log-moneyness k and a time to expiry in years, above 0.

    Args:
        row: a row of ``state.surface`` that is on.
        k: log of strike over forward.
        years: time to expiry.
    """
    theta = at_the_money(row[SF_SPOT], row[SF_LONG], row[SF_REVERSION], years)
    phi = curvature(theta, row[SF_CURVATURE], row[SF_POWER])
    return np.sqrt(total_variance(k, theta, row[SF_RHO], phi) / years)


@kernel()
def rho_limit(eta):
    """Largest |rho| at which eta (1 + |rho|) <= 2."""
    return _RHO_MOST if eta <= 0.0 else min(2.0 / eta - 1.0, _RHO_MOST)


@kernel()
def derive_surface(state, chain, price):
    """Variances and correlation from what the surface remembers. Mutates the row.

    Args:
        state: the market.
        chain: row.
        price: log price of the underlying now.
    """
    row = state.surface[chain]
    level = row[SF_LEVEL] * row[SF_LEVEL]
    weight = row[SF_REALISED_WEIGHT]
    moved = price - row[SF_AVERAGE]
    pressure = row[SF_FLOW_LEVEL] * bounded(row[SF_FLOW])
    spot = (1.0 - weight) * level + weight * row[SF_PREMIUM] * row[SF_PREMIUM] * row[SF_REALISED]
    lowest, highest = row[SF_LOWEST] * row[SF_LOWEST], row[SF_HIGHEST] * row[SF_HIGHEST]
    moving = exp(2.0 * (pressure - row[SF_LEVERAGE] * moved))
    state.surface[chain, SF_SPOT] = min(max(spot * moving, lowest), highest)
    state.surface[chain, SF_LONG] = min(max(level * exp(2.0 * pressure), lowest), highest)
    rho = row[SF_SKEW] + row[SF_FLOW_SKEW] * bounded(row[SF_TILT])
    if row[SF_SKEW_RETURN] != 0.0:
        rho += row[SF_SKEW_RETURN] * bounded(moved / row[SF_TREND_SCALE])
    if row[SF_SKEW_REALISED] != 0.0 and row[SF_REALISED] > 0.0:
        rho += row[SF_SKEW_REALISED] * bounded(0.5 * ln(row[SF_REALISED] / level))
    most = rho_limit(row[SF_CURVATURE])
    state.surface[chain, SF_RHO] = min(max(rho, -most), most)


@kernel()
def underlying_log(state, chain):
    """Log price of a chain's underlying as its surface watches it."""
    quote = state.quotes[np.int64(state.surface[chain, SF_CONTRACT])]
    source = state.surface[chain, SF_SOURCE]
    price = quote.mark
    if source == SOURCE_MID:
        price = quote.mid
    elif source == SOURCE_INDEX:
        price = quote.index
    return ln(price / 16.0)


@kernel()
def start_surface(state, chain):
    """Begin without memory: realised variance at the long-run level, no trend, no flow. Mutates the row."""
    price = underlying_log(state, chain)
    level = state.surface[chain, SF_LEVEL]
    state.surface[chain, SF_REALISED] = level * level
    state.surface[chain, SF_LAST] = price
    state.surface[chain, SF_AVERAGE] = price
    derive_surface(state, chain, price)


@kernel()
def sample_price(state, chain, price, years):
    """Take one return of the underlying into realised variance, and its price into the average. Mutates the row."""
    row = state.surface[chain]
    change = price - row[SF_LAST]
    state.surface[chain, SF_REALISED] += (1.0 - row[SF_KEEP_REALISED]) * (change * change / years - row[SF_REALISED])
    state.surface[chain, SF_AVERAGE] += (1.0 - row[SF_KEEP_PRICE]) * (price - row[SF_AVERAGE])
    state.surface[chain, SF_LAST] = price


@kernel()
def put_volatilities(state):
    """Write the volatility of every option whose chain's surface is on and due. Mutates contracts."""
    step = state.meta[M_STEP]
    for contract in range(state.meta[M_CONTRACTS]):
        terms = state.contracts[contract]
        chain = terms.chain
        if chain < 0 or state.surface[chain, SF_ON] == 0.0 or terms.expiry <= step:
            continue
        if step % np.int64(state.surface[chain, SF_UPDATE]) != 0:
            continue
        years = (terms.expiry - step) * terms.years_per_step
        k = ln(terms.strike / 16.0) - priced_log(state, contract) - terms.interest_rate * years
        state.contracts[contract].volatility = surface_volatility(state.surface[chain], k, years)


@kernel()
def priced_log(state, contract):
    """Log of the price at which an option is valued: of the underlying, or of what its average is expected to be."""
    return ln(expected_final(state, contract, np.float64(underlying_price(state, contract))) / 16.0)


@kernel()
def update_surfaces(state):
    """Move the surfaces to the beginning of a step and write the volatilities of their options.

    Indexes are those of this step, marks and mids those of the step before. Mutates ``surface`` and contracts.
    """
    step = state.meta[M_STEP]
    due = False
    for chain in range(state.surface.shape[0]):
        row = state.surface[chain]
        if row[SF_ON] == 0.0:
            continue
        price = underlying_log(state, chain)
        every = np.int64(row[SF_SAMPLE])
        if step % every == 0:
            years = every * state.contracts[np.int64(row[SF_CONTRACT])].years_per_step
            sample_price(state, chain, price, years)
        if step % np.int64(row[SF_UPDATE]) == 0:
            derive_surface(state, chain, price)
            due = True
    if due:
        put_volatilities(state)


@kernel()
def note_flow(state):
    """Let the pressure of past flow fade and add the option trades of this step. Mutates ``surface``.

    A lot bought by a taker counts one at the money with a month to go and otherwise by its vega against that; sold, as
    much less. ``tilt`` is the same times the moneyness in standard deviations, within -1 .. 1: buying of low strikes
    pushes it down. Demand pressure: Garleanu, Pedersen and Poteshman 2009, Review of Financial Studies 22:4259-4299.
    """
    watched = False
    for chain in range(state.surface.shape[0]):
        if state.surface[chain, SF_ON] != 0.0 and state.surface[chain, SF_FLOW_LOTS] > 0.0:
            watched = True
            state.surface[chain, SF_FLOW] *= state.surface[chain, SF_KEEP_FLOW]
            state.surface[chain, SF_TILT] *= state.surface[chain, SF_KEEP_FLOW]
    if not watched:
        return
    step = state.meta[M_STEP]
    fill = state.meta[M_FILLS] - 1
    while fill >= 0 and state.fills[fill].step == step:
        trade = state.fills[fill]
        fill -= 1
        terms = state.contracts[trade.contract]
        chain = terms.chain
        if chain < 0 or state.surface[chain, SF_ON] == 0.0 or state.surface[chain, SF_FLOW_LOTS] <= 0.0:
            continue
        years = (terms.expiry - step) * terms.years_per_step
        deviation = terms.volatility * np.sqrt(years) if years > 0.0 else 0.0
        if deviation <= 0.0:
            continue
        k = ln(terms.strike / 16.0) - priced_log(state, trade.contract) - terms.interest_rate * years
        d1 = 0.5 * deviation - k / deviation
        lots = trade.quantity * exp(-0.5 * d1 * d1) * np.sqrt(years / _MONTH) / state.surface[chain, SF_FLOW_LOTS]
        if trade.side != BUY:
            lots = -lots
        state.surface[chain, SF_FLOW] += lots
        state.surface[chain, SF_TILT] += lots * min(max(k / deviation, -1.0), 1.0)


@kernel()
def record_surfaces(state):
    """Write what the surfaces are behind their cells, for the row of the step record that is written next.

    Mutates ``surface``; nothing where no room was made for a record.
    """
    first = SURFACE_CELLS + state.meta[M_RECORDS] * SURFACE_RECORD
    if first + SURFACE_RECORD > state.surface.shape[1]:
        return
    for chain in range(state.surface.shape[0]):
        row = state.surface[chain]
        if row[SF_ON] == 0.0:
            continue
        out = state.surface[chain]
        out[first] = row[SF_SPOT]
        out[first + 1] = row[SF_LONG]
        out[first + 2] = row[SF_RHO]
        out[first + 3] = row[SF_REALISED]
        out[first + 4] = row[SF_FLOW]
        out[first + 5] = row[SF_TILT]
        out[first + 6] = underlying_log(state, chain)
