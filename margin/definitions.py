"""Readable definitions that portfolio rules share: one account at a time, in plain Python integers of any size.

:mod:`margin.kernels.portfolio_margin` computes the same numbers, to the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from margin.shocks import Book
from sim.interfaces import Requirement


@dataclass(frozen=True, slots=True)
class Row:
    """One account, with or without its open orders.

    Attributes:
        lots: signed, by contract.
        buys: lots of open buy orders, by contract; zero without orders.
        sells: lots of open sell orders, by contract; zero without orders.
        coins: coin balances by underlying, minor units of the account currency.
    """

    lots: list[int]
    buys: list[int]
    sells: list[int]
    coins: list[int]

    @classmethod
    def of(cls, book: Book, account: int, *, ordered: bool) -> Row:
        """An account of a book."""
        buys, sells = book.buys[account].tolist(), book.sells[account].tolist()
        none = [0] * len(buys)
        lots, coins = book.lots[account].tolist(), book.coins[account].tolist()
        return cls(lots, buys if ordered else none, sells if ordered else none, coins)

    def sizes(self) -> list[int]:
        """Largest absolute positions that open orders could lead to."""
        triples = zip(self.lots, self.buys, self.sells, strict=True)
        return [max(abs(lots + buys), abs(lots - sells)) for lots, buys, sells in triples]


def times(lots: int, amount: int) -> int:
    """Lots times an amount per 2**10 lots, rounded down."""
    return int(lots) * int(amount) >> 10


def times_up(lots: int, amount: int) -> int:
    """Lots times an amount per 2**10 lots, rounded up.

    Examples:
        >>> times(1, 1025), times_up(1, 1025)
        (1, 2)
    """
    return -times(-lots, amount)


def part(amount: int, rate: int) -> int:
    """An amount times a rate in 2**-32, rounded up."""
    return -(-int(amount) * int(rate) >> 32)


def losses(row: Row, profit: np.ndarray, group: Sequence[int], shock: Sequence[int]) -> list[list[int]]:
    """Loss in every scenario, by underlying; an open order counts where it would lose.

    Args:
        row: the account.
        profit: int64[C, S], per 2**10 lots.
        group: underlying of each contract.
        shock: relative move of a coin in each scenario, 2**-32.
    """
    found = [[-(coins * int(move) >> 32) for move in shock] for coins in row.coins]
    for c, underlying in enumerate(group):
        for s, gain in enumerate(profit[c].tolist()):
            found[underlying][s] -= times(row.lots[c], gain)
            found[underlying][s] += times_up(row.buys[c], max(-gain, 0)) + times_up(row.sells[c], max(gain, 0))
    return found


def worst(loss: Sequence[int], weight: Sequence[int]) -> int:
    """Largest weighted loss, at least zero."""
    return max([0, *(part(amount, share) for amount, share in zip(loss, weight, strict=True) if amount > 0)])


def short_options(row: Row, charge: np.ndarray, strike: np.ndarray) -> int:
    """Charge for options that are short net per strike: calls and puts of one strike and expiry offset."""
    net: dict[int, int] = {}
    for c, k in enumerate(strike.tolist()):
        if k >= 0:
            net[k] = net.get(k, 0) + times(row.lots[c] - row.sells[c], charge[c])
    return sum(max(-amount, 0) for amount in net.values())


def gross(row: Row, charge: np.ndarray) -> int:
    """Charge on the size of every position."""
    return sum(times_up(size, amount) for size, amount in zip(row.sizes(), charge.tolist(), strict=True))


def assembled(
    maintenance: list[dict[str, int]],
    ordered: list[int],
    factor: int,
    extra: list[dict[str, int]],
    own: np.ndarray,
    loss: list[list[int]],
    names: Sequence[str],
) -> Requirement:
    """A requirement with its parts.

    Args:
        maintenance: named parts of each account's maintenance margin, minor units.
        ordered: maintenance of each account were its open orders filled where they lose.
        factor: initial over maintenance, 2**-32.
        extra: named parts of each account that only initial margin has.
        own: int64[A], loss of open orders against the mark.
        loss: loss per scenario of each account.
        names: of the scenarios.
    """
    held = np.array([sum(parts.values()) for parts in maintenance], np.int64)
    filled = np.array(ordered, np.int64)
    raised = np.array([part(amount, factor) for amount in ordered], np.int64)
    by_name = {name: np.array([parts[name] for parts in maintenance], np.int64) for name in maintenance[0]}
    more = {name: np.array([parts[name] for parts in extra], np.int64) for name in extra[0]}
    parts = by_name | {"open_orders": filled - held, "initial_factor": raised - filled} | more | {"order_losses": own}
    return Requirement(
        initial=sum(parts.values(), np.zeros(len(held), np.int64)),
        maintenance=held,
        parts=parts,
        maintenance_parts=by_name,
        scenario_loss=np.array(loss, np.int64),
        scenario_names=tuple(names),
    )


def total_loss(loss: list[list[int]]) -> list[int]:
    """Loss per scenario over all underlyings, before its weight."""
    return [sum(column) for column in zip(*loss, strict=True)]
