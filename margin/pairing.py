"""Pairing of option legs into strategies: the readable definition of :mod:`margin.kernels.strategies`.

Python integers of any size, one account at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from margin.kernels import strategies as kernels
from sim.interfaces import PortfolioView, RiskParameters

Kind = Literal["call", "put", "stock"]
_KINDS: dict[int, Kind] = {kernels.CALL_LEG: "call", kernels.PUT_LEG: "put", kernels.STOCK_LEG: "stock"}


@dataclass(frozen=True, slots=True)
class Leg:
    """One holding of a group (one underlying, one currency).

    Attributes:
        name: of the contract.
        kind: call, put or stock.
        units: signed units of the underlying.
        alone: what one unit on this side is charged alone, ``2**-bits`` minor units.
        premium: price of one unit.
        strike: of one unit; 0 for stock.
        expiry: seconds to expiry.
        covered: a short option with one unit of stock, stock included.
        protected: a long option with one unit of stock, stock included.
    """

    name: str
    kind: Kind
    units: int
    alone: int
    premium: int
    strike: int
    expiry: int
    covered: int
    protected: int

    @property
    def short(self) -> bool:
        """True where it is sold."""
        return self.units < 0

    @property
    def falling(self) -> bool:
        """True where it gains when the price falls: short calls, long puts, short stock."""
        return self.short != (self.kind == "put")


@dataclass(frozen=True, slots=True)
class Strategy:
    """Legs that are margined together.

    Attributes:
        name: naked call, vertical spread, strangle, covered call ...
        legs: names of the contracts.
        units: units of the underlying.
        amount: ``2**-bits`` minor units.
    """

    name: str
    legs: tuple[str, ...]
    units: int
    amount: int

    @property
    def label(self) -> str:
        """Name and legs, as parts show them."""
        return f"{self.name}: {' / '.join(self.legs)}"


def pair(bear: Leg, bull: Leg) -> tuple[str, int] | None:
    """Strategy and charge of one unit of a falling and one of a rising leg; None where the rule knows no such pair.

    Cboe Rule 10.3(c)(5) and FINRA Rule 4210(f)(2): spreads, straddles, and options against stock.
    """
    if bear.kind == "stock" or bull.kind == "stock":
        option = bull if bear.kind == "stock" else bear
        if option.kind == "stock":
            return None
        return (f"covered {option.kind}", option.covered) if option.short else (
            f"protective {option.kind}", option.protected
        )  # fmt: skip
    if bear.short and bull.short:
        greater, other = (bear, bull) if bear.alone >= bull.alone else (bull, bear)
        name = "short straddle" if bear.strike == bull.strike else "short strangle"
        return name, greater.alone + other.premium
    if bear.kind != bull.kind:
        return None
    sold, bought = (bear, bull) if bear.short else (bull, bear)
    if bought.expiry < sold.expiry:
        return None
    loss = max(bull.strike - bear.strike, 0)
    if bought.expiry > sold.expiry:
        return f"{bear.kind} {'calendar' if bull.strike == bear.strike else 'diagonal'} spread", loss
    return f"{bear.kind} {'credit' if loss else 'debit'} spread", loss


def best_pairing(legs: list[Leg]) -> list[Strategy]:
    """The pairing that asks least: while a chain of re-pairings saves anything, take the one that saves most per unit.

    Every strategy of two legs takes one falling and one rising leg, so this is a transport problem and successive
    cheapest chains solve it exactly, in whole units.
    """
    bears, bulls = [leg for leg in legs if leg.falling], [leg for leg in legs if not leg.falling]
    found = {(i, j): pair(x, y) for i, x in enumerate(bears) for j, y in enumerate(bulls)}
    saving = {
        (i, j): bears[i].alone + bulls[j].alone - known[1] for (i, j), known in found.items() if known is not None
    }
    saving = {pairing: amount for pairing, amount in saving.items() if amount > 0}
    left, right = [abs(leg.units) for leg in bears], [abs(leg.units) for leg in bulls]
    flow: dict[tuple[int, int], int] = {}
    while (chain := _best_chain(saving, flow, left, right)) is not None:
        added, dropped = chain[::2], chain[1::2]
        amount = min(left[added[0][0]], right[added[-1][1]], *(flow[pairing] for pairing in dropped))
        for pairing in added:
            flow[pairing] = flow.get(pairing, 0) + amount
        for pairing in dropped:
            flow[pairing] -= amount
        left[added[0][0]] -= amount
        right[added[-1][1]] -= amount
    paired = []
    for (i, j), units in sorted(flow.items()):
        known = found[i, j]
        if units > 0 and known is not None:
            paired.append(Strategy(known[0], (bears[i].name, bulls[j].name), units, units * known[1]))
    rest = [
        (leg, units) for side, rests in ((bears, left), (bulls, right)) for leg, units in zip(side, rests, strict=True)
    ]
    return paired + [_alone(leg, units) for leg, units in rest if units > 0]


def _best_chain(
    saving: dict[tuple[int, int], int], flow: dict[tuple[int, int], int], left: list[int], right: list[int]
) -> list[tuple[int, int]] | None:
    """Pairs to add and to drop in turn, from a falling leg with units left to a rising leg with units left."""
    reached_left: dict[int, tuple[int, list[tuple[int, int]]]] = {i: (0, []) for i, rest in enumerate(left) if rest > 0}
    reached_right: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    changed = True
    while changed:
        changed = False
        for (i, j), amount in saving.items():
            if i in reached_left:
                gain = reached_left[i][0] + amount
                if j not in reached_right or gain > reached_right[j][0]:
                    reached_right[j] = (gain, [*reached_left[i][1], (i, j)])
                    changed = True
        for (i, j), units in flow.items():
            if units > 0 and j in reached_right:
                gain = reached_right[j][0] - saving[i, j]
                if i not in reached_left or gain > reached_left[i][0]:
                    reached_left[i] = (gain, [*reached_right[j][1], (i, j)])
                    changed = True
    ends = [reached_right[j] for j, rest in enumerate(right) if rest > 0 and j in reached_right]
    best: Any = max(ends, key=lambda end: end[0], default=None)
    return best[1] if best is not None and best[0] > 0 else None


def _alone(leg: Leg, units: int) -> Strategy:
    side = "short" if leg.short else "long"
    name = f"naked {leg.kind}" if leg.short and leg.kind != "stock" else f"{side} {leg.kind}"
    return Strategy(name, (leg.name,), units, units * leg.alone)


def covered(legs: list[Leg]) -> bool:
    """True where there is a short option and every one can be matched with a long one that expires no earlier."""
    shorts = [leg for leg in legs if leg.kind != "stock" and leg.short]
    return bool(shorts) and all(
        sum(leg.units for leg in legs if leg.kind == one.kind and leg.expiry >= one.expiry) >= 0 for one in shorts
    )


def largest_loss(legs: list[Leg]) -> int:
    """Largest loss of options at expiry over a price of zero and their strikes, ``2**-bits`` minor units, or 0."""
    options = [leg for leg in legs if leg.kind != "stock"]
    side = {"call": 1, "put": -1}

    def loss(price: int) -> int:
        return -sum(leg.units * max(side[leg.kind] * (price - leg.strike), 0) for leg in options)

    return max([0, loss(0), *(loss(leg.strike) for leg in options)])


def strategies(legs: list[Leg], *, universal: bool) -> list[Strategy]:
    """How a group is margined: the best pairing or, where it is allowed and asks less, all options as one spread."""
    pairs = best_pairing(legs)
    if not universal or not covered(legs):
        return pairs
    options = [leg for leg in legs if leg.kind != "stock"]
    names = tuple(leg.name for leg in options)
    whole = Strategy("universal spread", names, max(abs(leg.units) for leg in options), largest_loss(legs))
    stock = [_alone(leg, abs(leg.units)) for leg in legs if leg.kind == "stock"]
    if sum(one.amount for one in [whole, *stock]) < sum(one.amount for one in pairs):
        return [whole, *stock]
    return pairs


def legs_of(
    portfolio: PortfolioView, risk: RiskParameters, account: int, which: str
) -> list[tuple[np.ndarray, list[Leg]]]:
    """Holdings of one account by group: the group's contracts, and a leg for each that is held.

    Args:
        portfolio: every account's.
        risk: with the tables that the rule published.
        account: its number.
        which: ``"initial"`` or ``"maintenance"``.
    """
    table, members, starts = risk.arrays[which], risk.arrays["members"], risk.arrays["starts"]
    found = []
    for first, last in pairwise(starts):
        legs = []
        for c in members[first:last]:
            row, units = table[c], int(portfolio.lots[account, c]) * int(table[c, kernels.T_UNITS])
            if units != 0:
                legs.append(
                    Leg(
                        name=portfolio.contracts.names[c],
                        kind=_KINDS[int(row[kernels.T_KIND])],
                        units=units,
                        alone=int(row[kernels.T_SHORT] if units < 0 else row[kernels.T_LONG]),
                        premium=int(row[kernels.T_PREMIUM]),
                        strike=int(row[kernels.T_STRIKE]),
                        expiry=int(row[kernels.T_EXPIRY]),
                        covered=int(row[kernels.T_COVERED]),
                        protected=int(row[kernels.T_PROTECTED]),
                    )
                )
        found.append((members[first:last], legs))
    return found
