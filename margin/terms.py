"""Contract terms as integers, for rules that charge amounts of money per lot rather than rates.

An amount per unit is held in ``2**-bits`` minor units, ``bits`` as many as leave room for sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import gcd

import numpy as np

from sim.contracts import KINDS, ContractTable
from sim.errors import ConfigError
from sim.interfaces import PortfolioView
from sim.kernels.wide import mul_rate

BITS_MAX = 10
_LARGEST_LOG2 = 52
_UNITS_MAX = 1 << 24


def require_kinds(contracts: ContractTable, kinds: Sequence[str], rule: str) -> None:
    """Refuse contracts that a rule cannot margin.

    Raises:
        ConfigError: a contract is of another kind; names it and the kinds that the rule knows.
    """
    codes = {KINDS[kind] for kind in kinds}
    names = {code: kind for kind, code in KINDS.items()}
    for name, kind in zip(contracts.names, contracts.kind, strict=True):
        if int(kind) not in codes:
            raise ConfigError.of(f"contracts.{name}.kind", names[int(kind)], f"{rule} margins " + ", ".join(kinds))


def groups(keys: Sequence[tuple[object, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Contracts by group: their numbers in the order of groups, int64[C], and where each group starts, int64[G + 1]."""
    order = list(dict.fromkeys(keys))
    members = [[c for c, key in enumerate(keys) if key == group] for group in order]
    starts = np.cumsum([0] + [len(group) for group in members])
    return np.array([c for group in members for c in group], np.int64), starts.astype(np.int64)


def common_units(contracts: ContractTable, members: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest unit of the underlying that divides every lot of a group.

    Returns:
        Units per lot, int64[C], and size of the unit, float64[C].

    Raises:
        ConfigError: the lots of one underlying have no common unit of a reasonable size.
    """
    units, size = np.ones(len(members), np.int64), np.zeros(len(members))
    for first, last in pairwise(starts):
        group = members[first:last]
        lots = [Fraction(Decimal(repr(float(contracts.lot_size[c])))) for c in group]
        bottom = 1
        for lot in lots:
            bottom = bottom * lot.denominator // gcd(bottom, lot.denominator)
        unit = Fraction(gcd(*(int(lot * bottom) for lot in lots)), bottom)
        for c, lot in zip(group, lots, strict=True):
            units[c], size[c] = int(lot / unit), float(unit)
        if int(units[group].max()) > _UNITS_MAX:
            name = contracts.names[int(group[0])]
            raise ConfigError.of(f"contracts.{name}.multiplier", float(max(lots)), "lots that share a common unit")
    return units, size


def fixed_point(amounts: np.ndarray, minor: np.ndarray, what: str, most: int = BITS_MAX) -> tuple[np.ndarray, int]:
    """Real amounts of money as integers.

    Args:
        amounts: float64[C, F], units of each contract's currency.
        minor: float64[C], minor units per unit.
        what: for the error.
        most: fraction bits at most.

    Returns:
        int64[C, F] in ``2**-bits`` minor units, rounded to nearest, and the bits.

    Raises:
        ConfigError: an amount is not finite, or too large.
    """
    scaled = amounts * minor[:, None]
    if not np.isfinite(scaled).all():
        raise ConfigError.of(what, "an amount that is not finite", "marks, prices and volatilities that are numbers")
    largest = float(np.abs(scaled).max(initial=1.0))
    room = int(np.floor(_LARGEST_LOG2 - np.log2(max(largest, 1.0))))
    if room < 0:
        raise ConfigError.of(what, largest, "amounts per unit below 2**52 minor units; use fewer decimals")
    bits = min(room, most)
    return np.rint(scaled * 2.0**bits).astype(np.int64), bits


def mark_price(contracts: ContractTable, mark: np.ndarray) -> np.ndarray:
    """Marks in price units, float64[C]."""
    return np.asarray(mark) / 16.0 * contracts.tick_size


def option_value(portfolio: PortfolioView) -> np.ndarray:
    """Value at mark of all options, in the account currency, int64[A]; negative for short options."""
    from margin.kernels.strategies import converted_sum

    contracts = portfolio.contracts
    value = np.where(contracts.is_option, portfolio.value(), 0)
    return converted_sum(value, contracts.currency, portfolio.conversion)


def single_rate(amount: np.ndarray, value: np.ndarray) -> np.ndarray:
    """What one position alone is charged over its value, as a published rate: int64[C], from 1 to 2**32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(value > 0, np.asarray(amount, np.float64) / value, 1.0)
    return np.clip(np.rint(rate * 2.0**32), 1, 2.0**32).astype(np.int64)


def settled(
    parts: dict[str, np.ndarray], sums: list[dict[int, int]], portfolio: PortfolioView, bits: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Totals of exact sums by currency, each rounded up and converted, and parts (rounded down) that add up to them.

    Args:
        parts: named int64[A], account currency.
        sums: for each account, ``2**-bits`` minor units by currency.
        portfolio: gives the conversion.
        bits: of the fraction.
    """
    total = np.array(
        [
            sum(int(mul_rate(-(-amount >> bits), int(portfolio.conversion[k]))) for k, amount in of.items())
            for of in sums
        ],
        np.int64,
    )
    rounding = total - sum(parts.values(), np.zeros(len(sums), np.int64))
    return parts | ({"rounding": rounding} if rounding.any() else {}), total
