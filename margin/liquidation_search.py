"""Liquidation and bankruptcy prices under any rule: search along the price of one underlying.

The portfolio is put at another price of one underlying, all else held (:mod:`margin.portfolio_shift`), and the rule
publishes anew there from its initial memory: grids, tiers and option charges follow the price, forecasts of volatility
stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from margin.evaluation import Evaluation, evaluate
from margin.liquidation_price import Prices
from margin.portfolio_shift import Shifter
from sim.errors import ConfigError

NODES = 48  # of the scan in each direction, their distances from the price in geometric progression
NEAREST = 0.002  # distance of the first node, fraction of the price
LOWEST = 1e-6  # a fall is searched down to this fraction of the price
HIGHEST = 1000.0  # a rise up to this multiple


def nearest_prices(gap: Callable[[float], float], price: float) -> Prices:
    """Prices nearest to today's, below and above, at which a gap (equity less requirement) is lost.

    The gap is scanned at prices whose distances grow geometrically, a dip between nodes is looked into, and the first
    change of sign is closed in on. Where the gap is negative today, the prices are those at which it would be made up.

    Args:
        gap: of a price; positive when the account is safe, NaN where it cannot be told (the scan ends there).
        price: today's.

    Examples:
        >>> round(nearest_prices(lambda p: 1_000 - 3 * (p - 3_000) - 0.15 * p, 3_000).above, 6)  # dYdX
        3174.603175
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


@dataclass(frozen=True, slots=True)
class UnderlyingPrices:
    """Prices of one underlying at which a cross account is lost, all else held; None where no price does it.

    Attributes:
        price: now.
        liquidation_below: equity falls to maintenance when the price falls to here.
        liquidation_above: when it rises to here.
        bankruptcy_below: equity falls to zero.
        bankruptcy_above: when it rises to here.
    """

    price: float
    liquidation_below: float | None
    liquidation_above: float | None
    bankruptcy_below: float | None
    bankruptcy_above: float | None


@dataclass(slots=True)
class Solution:
    """Liquidation and bankruptcy prices of a portfolio.

    Attributes:
        accounts: by underlying, for cross accounts.
        positions: by contract, liquidation and bankruptcy price on the side where the position loses.
        notes: what a reader should know about them.
    """

    accounts: dict[str, UnderlyingPrices] = field(default_factory=dict)
    positions: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, contract: str) -> tuple[float | None, float | None]:
        """Liquidation and bankruptcy price of a position."""
        return self.positions[contract]


def solve(now: Evaluation) -> Solution:
    """Liquidation and bankruptcy prices of every position under its rule.

    Cross: prices of the position's underlying at which the account's margin equity falls to its maintenance, or its
    equity to zero. Isolated: prices at which the pocket does. Closing fees, where contracts give them, are kept back:
    at bankruptcy those of closing there, at liquidation those of closing at the bankruptcy price.

    Args:
        now: the portfolio at its marks, with entries and pockets written out.
    """
    search = _Search(now)
    found = Solution()
    held = [now.portfolio.contracts[now.number[row.contract]].underlying for row in now.portfolio.positions]
    for underlying in dict.fromkeys(held):
        search.underlying(underlying, found)
    return found


class _Search:
    def __init__(self, now: Evaluation) -> None:
        self.now = now
        self.shifter = Shifter(now.portfolio)
        self.known: dict[tuple[str, float], Evaluation | None] = {}

    def at(self, underlying: str, price: float) -> Evaluation | None:
        """The portfolio there, or None where it cannot be told (numbers too large, a rule that has no answer)."""
        key = (underlying, price)
        if key not in self.known:
            try:
                found = evaluate(self.shifter.at(underlying, price), self.now.rule, strict=False)
                _ = found.maintenance
                self.known[key] = found
            except ConfigError:
                self.known[key] = None
        return self.known[key]

    def underlying(self, name: str, found: Solution) -> None:
        now = self.now
        price = float(next(one.price for one in now.portfolio.underlyings if one.name == name))
        held = now.held(name)
        if not now.isolated:
            liquidation, bankruptcy = self._prices(name, price, None)
            found.accounts[name] = UnderlyingPrices(
                price, liquidation.below, liquidation.above, bankruptcy.below, bankruptcy.above
            )
            if now.margin_equity < now.maintenance:
                found.notes.append(
                    "equity is below maintenance now: liquidation prices are those at which it would be made up"
                )
        for i in held:
            terms = now.portfolio.contracts[i]
            if now.isolated:
                liquidation, bankruptcy = self._prices(name, price, i)
            side = self._losing_side(name, price, i)
            scale = 1.0 if terms.is_option else now.mark(i) / price
            found.positions[terms.name] = (
                _scaled(_pick(liquidation, side), scale),
                _scaled(_pick(bankruptcy, side), scale),
            )
        self.known.clear()

    def _losing_side(self, name: str, price: float, i: int) -> int:
        """-1 if the position loses when the price falls, 1 if it loses when it rises."""
        up, down = self.at(name, price * 1.001), self.at(name, price * 0.999)
        if up is None or down is None:
            return -1 if self.now.view.lots[0, i] > 0 else 1
        return -1 if up.worth(i) >= down.worth(i) else 1

    def _prices(self, name: str, price: float, pocket: int | None) -> tuple[Prices, Prices]:
        def equity(there: Evaluation, margin: bool) -> float:
            if pocket is not None:
                return float(there.pocket_equity(pocket))
            return float(there.margin_equity if margin else there.equity)

        def fees(there: Evaluation) -> float:
            return float(there.closing_fees[pocket] if pocket is not None else there.closing_fee(name))

        def bankrupt(at: float) -> float:
            there = self.at(name, at)
            return math.nan if there is None else equity(there, False) - fees(there)

        def gap(at: float, kept: float) -> float:
            there = self.at(name, at)
            if there is None:
                return math.nan
            required = there.position_maintenance[pocket] if pocket is not None else there.maintenance
            return equity(there, True) - float(required) - kept

        bankruptcy = nearest_prices(bankrupt, price)
        kept_now = fees(self.now)
        sides = []
        for root in (bankruptcy.below, bankruptcy.above):
            there = self.at(name, root) if root is not None and kept_now else None
            sides.append(fees(there) if there is not None else kept_now)
        if sides[0] == sides[1]:
            return nearest_prices(lambda at: gap(at, sides[0]), price), bankruptcy
        below = nearest_prices(lambda at: gap(at, sides[0]), price).below
        above = nearest_prices(lambda at: gap(at, sides[1]), price).above
        return Prices(below, above), bankruptcy


def _pick(prices: Prices, side: int) -> float | None:
    return prices.below if side < 0 else prices.above


def _scaled(price: float | None, scale: float) -> float | None:
    return None if price is None else price * scale
