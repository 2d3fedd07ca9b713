"""The risk parameter file of SPAN: what is published once per step, as integers."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from margin.kernels import revalue
from margin.kernels.span import DELTA_BITS
from margin.revaluation import Terms, by_name, whole
from margin.span_parameters import SpanParameters
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView
from sim.kernels.state import SPOT

_MONTH_YEARS = 1.0 / 12.0
_SAME_EXPIRY = 1e-6  # years; half a minute


def price_scan(params: SpanParameters, terms: Terms, market: MarketView) -> np.ndarray:
    """Price scan range of each contract, float64[C] price units; zero where only an array is given.

    Raises:
        ConfigError: a contract has no range and no given array.
    """
    contracts = terms.contracts
    rate = by_name("price_scan_rate", params.price_scan_rate, contracts)
    if params.price_scan_sigmas > 0.0:
        forecast = np.asarray(market.daily_volatility, np.float64)
        for c in np.flatnonzero(~np.isfinite(forecast)).tolist():
            allowed = "a daily volatility, which price_scan_sigmas multiplies"
            raise ConfigError.of(f"contracts.{contracts.names[c]}", float(forecast[c]), allowed)
        rate = np.maximum(rate, params.price_scan_sigmas * np.sqrt(params.price_scan_days) * forecast)
    absolute = by_name("price_scan_range", params.price_scan_range, contracts)
    found = np.where(absolute > 0.0, absolute, rate * terms.price)
    for c, name in enumerate(contracts.names):
        if found[c] <= 0.0 and name not in params.risk_arrays:
            allowed = f"a price scan range (price_scan_rate, price_scan_range or risk_arrays) for {name}"
            raise ConfigError.of("margin.params.price_scan_rate", params.price_scan_rate, allowed)
    return found


def profits(params: SpanParameters, terms: Terms, scan: np.ndarray) -> np.ndarray:
    """Risk arrays: profit of 2**10 lots, int64[C, 16], minor units of the settlement currency."""
    contracts = terms.contracts
    price, volatility, cover = params.scenarios()
    points = np.maximum(
        by_name("volatility_scan_range", params.volatility_scan_range, contracts),
        by_name("volatility_scan_rate", params.volatility_scan_rate, contracts) * terms.volatility,
    )
    move = np.array(scan)[:, None] * price
    given = [name in params.risk_arrays for name in contracts.names]
    move[given] = 0.0
    found = terms.profits(move, points[:, None] * volatility, cover, params.lookahead_days)
    per_lot = 1.0 / contracts.contract_lots if contracts.contract_lots is not None else np.ones(len(given))
    for c in np.flatnonzero(given):
        values = np.array(params.risk_arrays[contracts.names[c]])
        minor = contracts.minor[contracts.currency[c]] * per_lot[c] * 1024.0
        found[c] = whole(np.floor(values * minor + 0.5)[None, :], contracts)[0]
    return found


def deltas(params: SpanParameters, terms: Terms, scan: np.ndarray) -> np.ndarray:
    """Composite delta per unit of the underlying, float64[C]."""
    contracts = terms.contracts
    node, weight = params.nodes()
    found = revalue.composite_deltas(
        contracts.option, terms.price, np.nan_to_num(contracts.strike), terms.years_after(params.lookahead_days),
        terms.volatility, terms.interest_rate, contracts.kind, scan[:, None] * node, weight,
    )  # fmt: skip
    for name, delta in params.risk_deltas.items():
        if name not in contracts.names:
            allowed = "names of contracts: " + ", ".join(contracts.names)
            raise ConfigError.of("margin.params.risk_deltas", name, allowed)
        found[contracts.names.index(name)] = delta
    return np.asarray(found)


def _months(terms: Terms) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Tiers: one per commodity and expiry, nearest first; perpetuals and spot before all.

    Returns:
        Tier of each contract, first tier of each commodity (and their number), time to expiry of each tier.
    """
    contracts = terms.contracts
    years = np.where(np.isfinite(terms.years), terms.years, 0.0)
    tier, start = np.zeros(len(years), np.int64), [0]
    times: list[float] = []
    for g in range(len(contracts.underlyings)):
        members = np.flatnonzero(contracts.underlying == g)
        for c in members[np.argsort(years[members], kind="stable")]:
            if len(times) == start[-1] or years[c] - times[-1] > _SAME_EXPIRY:
                times.append(float(years[c]))
            tier[c] = len(times) - 1
        start.append(len(times))
    return tier, np.array(start, np.int64), times


def _fine(amount: float, what: str) -> int:
    """An amount in minor units as a whole number of 2**-10, rounded up."""
    found = float(np.ceil(round(amount * 1024.0, 6)))
    if not 0.0 <= found < 2.0**60:
        raise ConfigError.of(f"margin.params.{what}", amount, "an amount that 64-bit integers hold")
    return int(found)


def publish_arrays(params: SpanParameters, contracts: ContractTable, market: MarketView) -> dict[str, np.ndarray]:
    """Everything that the evaluator reads, by contract c, commodity g (an underlying) and month t.

    ``profit`` [C, 16] minor units of the settlement currency per 2**10 lots; ``delta`` [C] in 2**-16 of the
    commodity's reference lot (its largest, in units of the underlying); ``tier`` [C]; ``tier_start`` [G + 1];
    ``reference`` [G], the contract in whose currency charges stand; ``spread_start`` [G + 1], ``spread_legs`` [N, 2],
    ``spread_charge`` [N] and ``delivery`` [T] in 2**-10 minor units per reference lot; ``short_minimum`` [C] in 2**-10
    minor units per lot of the contract's own currency; ``credit_start`` [K + 1], ``leg_group`` [L], ``leg_ratio`` [L],
    ``credit_rate`` [K]; ``factor`` [1], initial over maintenance, 2**-32.

    Raises:
        ConfigError: parameters and contracts do not fit together.
    """
    unknown = sorted(set(params.risk_arrays) - set(contracts.names))
    if unknown:
        allowed = "names of contracts: " + ", ".join(contracts.names)
        raise ConfigError.of("margin.params.risk_arrays", unknown, allowed)
    groups = len(contracts.underlyings)
    terms = Terms.of(contracts, market, dated=len(contracts.names) > groups or params.delivery_days > 0.0)
    scan = price_scan(params, terms, market)
    units, quote = terms.units, terms.minor_per_quote
    members = [np.flatnonzero(contracts.underlying == g) for g in range(groups)]
    reference = np.array([m[np.argmax(units[m])] for m in members], np.int64)
    largest = units[reference]
    share = deltas(params, terms, scan) * units / largest[contracts.underlying]
    tier, tier_start, times = _months(terms)
    worth = largest * quote[reference]  # minor units per price unit of a reference lot

    rate = by_name("calendar_rate", params.calendar_rate, contracts)
    charge = by_name("calendar_charge", params.calendar_charge, contracts)
    spread_start, legs, charges = [0], [], []
    for g in range(groups):
        months = range(int(tier_start[g]), int(tier_start[g + 1]))
        for near, far in sorted(combinations(months, 2), key=lambda pair: (pair[1] - pair[0], pair[0])):
            # the far month's price is that of its future where there is one
            c = min(np.flatnonzero(tier == far), key=lambda one: (contracts.option[one] != 0, one))
            apart = (times[far] - times[near]) / _MONTH_YEARS
            least = max(rate[c], params.calendar_rate_per_month * apart)
            amount = charge[c] if charge[c] > 0.0 else min(least, params.calendar_rate_max) * terms.price[c]
            legs.append((near, far))
            charges.append(_fine(amount * worth[g], "calendar_rate"))
        if not any(charges[spread_start[-1] :]):
            del legs[spread_start[-1] :], charges[spread_start[-1] :]
        spread_start.append(len(legs))

    rate = by_name("delivery_rate", params.delivery_rate, contracts)
    charge = by_name("delivery_charge", params.delivery_charge, contracts)
    delivery = np.zeros(len(times), np.int64)
    due = np.isfinite(terms.years) & (terms.years * 365.0 <= params.delivery_days) & (contracts.kind != SPOT)
    for c in np.flatnonzero(due):
        amount = charge[c] if charge[c] > 0.0 else rate[c] * terms.price[c]
        fine = _fine(amount * worth[contracts.underlying[c]], "delivery_rate")
        delivery[tier[c]] = max(delivery[tier[c]], fine)

    rate = by_name("short_option_minimum_rate", params.short_option_minimum_rate, contracts)
    charge = by_name("short_option_minimum", params.short_option_minimum, contracts)
    least_short = np.where(charge > 0.0, charge, rate * terms.price) * contracts.is_option * units * quote

    credit_start, group, ratio = [0], [], []
    for i, credit in enumerate(params.credits):
        for name, per_spread in credit.legs.items():
            if name not in contracts.underlyings:
                allowed = "names of underlyings: " + ", ".join(contracts.underlyings)
                raise ConfigError.of(f"margin.params.credits[{i}].legs", name, allowed)
            g = contracts.underlyings.index(name)
            size = round(per_spread / largest[g] * (1 << DELTA_BITS))
            if size == 0:
                raise ConfigError.of(f"margin.params.credits[{i}].legs.{name}", per_spread, "more units per spread")
            group.append(g)
            ratio.append(size)
        credit_start.append(len(group))
    return {
        "profit": profits(params, terms, scan),
        "delta": np.floor(share * (1 << DELTA_BITS) + 0.5).astype(np.int64),
        "tier": tier,
        "tier_start": tier_start,
        "reference": reference,
        "spread_start": np.array(spread_start, np.int64),
        "spread_legs": np.array(legs, np.int64).reshape(-1, 2),
        "spread_charge": np.array(charges, np.int64),
        "delivery": delivery,
        "short_minimum": np.array([_fine(amount, "short_option_minimum") for amount in least_short], np.int64),
        "credit_start": np.array(credit_start, np.int64),
        "leg_group": np.array(group, np.int64),
        "leg_ratio": np.array(ratio, np.int64),
        "credit_rate": np.array([rate_to_units(credit.credit) for credit in params.credits], np.int64),
        "factor": np.array([rate_to_units(params.initial_ratio)], np.int64),
    }
