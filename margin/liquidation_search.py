"""Liquidation and bankruptcy prices under any rule: search along the price of one underlying.

The portfolio is put at another price of one underlying, everything else held: linear and inverse contracts and futures
keep their basis in proportion, options are revalued by Black-76 at their implied volatility (that of the mark where the
file gives one), coins of that underlying change their worth as collateral. The rule publishes anew at that price from
its initial memory, so grids, tiers and option charges follow the price while forecasts of volatility stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from margin.liquidation_price import Prices
from margin.portfolio import ContractTerms, Portfolio
from margin.portfolio_units import option_value

NODES = 64  # of the scan in each direction, their distances from the price in geometric progression
NEAREST = 0.002  # distance of the first node, fraction of the price
LOWEST = 1e-6  # a fall is searched down to this fraction of the price
HIGHEST = 1000.0  # a rise up to this multiple
_VOLATILITY_MAX = 20.0


def frozen(portfolio: Portfolio) -> Portfolio:
    """The same portfolio with what depends on today's marks written out, so that it can be put at another price.

    Entries and limits that default to the mark become explicit, and the volatility of an option whose mark is given
    becomes the one implied by that mark. An option whose mark lies outside Black-76's bounds keeps its mark.
    """
    from margin.portfolio_units import _Builder

    builder = _Builder(portfolio)
    marks = dict(zip(builder.number, builder.marks, strict=True))
    contracts = []
    for terms in portfolio.contracts:
        if terms.is_option and terms.mark is not None:
            implied = implied_volatility(portfolio, terms)
            if implied is not None:
                terms = terms.model_copy(update={"volatility": implied, "mark": None})
        contracts.append(terms)
    return portfolio.model_copy(
        update={
            "contracts": tuple(contracts),
            "positions": tuple(
                row if row.entry is not None else row.model_copy(update={"entry": marks[row.contract]})
                for row in portfolio.positions
            ),
            "orders": tuple(
                row if row.price is not None else row.model_copy(update={"price": marks[row.contract]})
                for row in portfolio.orders
            ),
        }
    )


def implied_volatility(portfolio: Portfolio, terms: ContractTerms) -> float | None:
    """Volatility at which Black-76 gives the option's mark, by bisection; None if none does."""
    assert terms.mark is not None
    target = float(terms.mark)
    low, high = 1e-6, _VOLATILITY_MAX
    if not option_value(portfolio, terms, low) < target < option_value(portfolio, terms, high):
        return None
    while high - low > 1e-13 * high:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if option_value(portfolio, terms, middle) < target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def at_price(portfolio: Portfolio, underlying: str, price: float) -> Portfolio:
    """A frozen portfolio at another price of one underlying.

    Args:
        portfolio: as :func:`frozen` gives it.
        underlying: its name.
        price: above 0.
    """
    now = next(one.price for one in portfolio.underlyings if one.name == underlying)
    there = Decimal(repr(price))
    ratio = there / now
    contracts = []
    for terms in portfolio.contracts:
        if terms.underlying == underlying:
            update: dict[str, Decimal] = {}
            if terms.forward is not None:
                update["forward"] = terms.forward * ratio
            if terms.mark is not None:
                update["mark"] = terms.mark if terms.is_option else terms.mark * ratio
            terms = terms.model_copy(update=update) if update else terms
        contracts.append(terms)
    collateral = []
    for row in portfolio.collateral:
        if row.price is not None and portfolio.currency == underlying:
            row = row.model_copy(update={"price": row.price / ratio})
        elif row.price is not None and row.currency == underlying:
            row = row.model_copy(update={"price": row.price * ratio})
        collateral.append(row)
    under = tuple(
        one.model_copy(update={"price": there}) if one.name == underlying else one for one in portfolio.underlyings
    )
    return portfolio.model_copy(
        update={"underlyings": under, "contracts": tuple(contracts), "collateral": tuple(collateral)}
    )


def nearest_prices(gap: Callable[[float], float], price: float) -> Prices:
    """Prices nearest to today's, below and above, at which a gap (equity less requirement) is lost.

    The gap is scanned at prices whose distances grow geometrically, a dip between nodes is looked into, and the first
    change of sign is closed in on. Where the gap is negative today, the prices are those at which it would be made up.

    Args:
        gap: of a price; positive when the account is safe, NaN where it cannot be told (the scan ends there).
        price: today's.

    Examples:
        >>> nearest_prices(lambda p: 1_000 - 3 * (p - 3_000) - 0.15 * p, 3_000).above  # dYdX
        3174.60317...
        >>> nearest_prices(lambda p: 1_000 - 3 * (p - 3_000) - 0.15 * p, 3_000).below is None
        True
    """
    start = gap(price)
    below = [price * (1.0 - d) for d in _distances(1.0 - LOWEST)]
    above = [price * (1.0 + d) for d in _distances(HIGHEST - 1.0)]
    return Prices(_first_root(gap, price, start, below), _first_root(gap, price, start, above))


def _distances(farthest: float) -> list[float]:
    growth = (farthest / NEAREST) ** (1.0 / (NODES - 1))
    return [NEAREST * growth**k for k in range(NODES)]


def _first_root(gap: Callable[[float], float], price: float, start: float, nodes: list[float]) -> float | None:
    if start == 0.0:
        return price
    sign = math.copysign(1.0, start)
    before, here = (price, start * sign), (price, start * sign)
    for node in nodes:
        found = gap(node) * sign
        if math.isnan(found):
            return None
        if found <= 0.0:
            return _close_in(gap, here[0], node, sign)
        if here[1] < min(before[1], found) and here[0] != price:
            lowest = _lowest(gap, before[0], node, sign)
            if gap(lowest) * sign <= 0.0:
                return _close_in(gap, before[0], lowest, sign)
        before, here = here, (node, found)
    return None


def _close_in(gap: Callable[[float], float], safe: float, lost: float, sign: float) -> float:
    """The root between a price where the gap holds and one where it does not (regula falsi, Illinois, and halving)."""
    held, missing = gap(safe) * sign, gap(lost) * sign
    side = 0
    for step in range(200):
        if missing == 0.0 or abs(lost - safe) <= 1e-13 * max(abs(lost), abs(safe)):
            return lost
        middle = (safe * missing - lost * held) / (missing - held)
        if step % 4 == 3 or not min(safe, lost) < middle < max(safe, lost):
            middle = 0.5 * (safe + lost)
            if middle in (safe, lost):
                return lost
        found = gap(middle) * sign
        if found == 0.0:
            return middle
        if found > 0.0:
            safe, held = middle, found
            missing = missing * 0.5 if side == 1 else missing
            side = 1
        else:
            lost, missing = middle, found
            held = held * 0.5 if side == -1 else held
            side = -1
    return lost


def _lowest(gap: Callable[[float], float], low: float, high: float, sign: float) -> float:
    """Where a gap with one dip between two prices is smallest (golden section)."""
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    a, b = low, high
    c, d = b - golden * (b - a), a + golden * (b - a)
    at_c, at_d = gap(c) * sign, gap(d) * sign
    for _ in range(24):
        if min(at_c, at_d) <= 0.0:
            break
        if at_c < at_d:
            b, d, at_d = d, c, at_c
            c = b - golden * (b - a)
            at_c = gap(c) * sign
        else:
            a, c, at_c = c, d, at_d
            d = a + golden * (b - a)
            at_d = gap(d) * sign
    return c if at_c < at_d else d
