"""Collateral in several currencies: what it is worth as margin, after haircuts.

A haircut is the part of a currency's value that does not count. It applies to what is owned, never to what is owed: a
debt in a coin counts in full, or borrowing it would raise the margin equity.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from margin.parameters import NonNegative, Parameters
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import ModelState, PortfolioView
from sim.kernels.state import RATE_ONE

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
SIZE_HEADROOM = 1.1  # Drift protocol: a weight shrinks once imf x sqrt(size) exceeds a tenth


def currency_equity(portfolio: PortfolioView) -> np.ndarray:
    """Equity per currency: cash, pockets and unrealised profit of the contracts that settle in it.

    Returns:
        int64[A, K], minor units of each currency.
    """
    kinds = len(portfolio.conversion)
    owned = np.zeros((len(portfolio.lots), kinds), np.int64)
    if portfolio.wallets.size:
        owned += portfolio.wallets
    else:
        owned[:, 0] = portfolio.cash[:, 0]
    own = portfolio.cash[:, 1:] + portfolio.unrealised()
    for contract, currency in enumerate(portfolio.contracts.currency):
        owned[:, currency] += own[:, contract]
    return owned


def size_haircut(
    owned: np.ndarray, minor: np.ndarray, haircut: npt.ArrayLike, size_factor: npt.ArrayLike
) -> np.ndarray:
    """Haircuts that grow with the amount held: weight ``min(1 - haircut, 1.1 / (1 + size_factor x sqrt(size)))``.

    The collateral weight of the Drift protocol (github.com/drift-labs/protocol-v2, programs/drift/src/math/margin.rs).

    Args:
        owned: int64[A, K], minor units of each currency.
        minor: float64[K], minor units per unit.
        haircut: int64[K], 2**-32, for small amounts.
        size_factor: int64[K], 2**-32 per square root of a unit; 0 leaves the haircut as it is.

    Returns:
        int64[A, K], 2**-32, rounded up.
    """
    size = np.maximum(owned, 0) / minor
    factor = np.asarray(size_factor, np.int64) / RATE_ONE
    weight = SIZE_HEADROOM / (1.0 + factor * np.sqrt(size))
    larger = np.ceil((1.0 - weight) * RATE_ONE).astype(np.int64)
    return np.maximum(np.asarray(haircut, np.int64), np.where(factor > 0.0, larger, 0))


def margin_equity(
    portfolio: PortfolioView, haircut: npt.ArrayLike, size_factor: npt.ArrayLike | None = None
) -> np.ndarray:
    """Equity that counts as margin, in the account currency.

    The sum over currencies of the equity in it, converted, less its haircut where it is positive. Each currency's term
    is exact until it is rounded down.

    Args:
        portfolio: all accounts.
        haircut: int64[K], 2**-32 of value; ``RiskParameters.haircut`` (a shorter array stands for zeros at the end).
        size_factor: int64[K] for haircuts that grow with the amount (see :func:`size_haircut`);
            ``RiskParameters.arrays["haircut_size"]`` where a rule publishes it.

    Returns:
        int64[A], minor units of the account currency.
    """
    owned = currency_equity(portfolio)
    cut = np.zeros(owned.shape[1], np.int64)
    given = np.asarray(haircut, np.int64)
    cut[: len(given)] = given
    cuts = np.broadcast_to(cut, owned.shape)
    if size_factor is not None and np.any(size_factor):
        cuts = size_haircut(owned, portfolio.contracts.minor[: len(cut)], cut, size_factor)
    weight = np.where(owned > 0, RATE_ONE - cuts, RATE_ONE)
    total = np.zeros(len(owned), np.int64)
    for currency, price in enumerate(portfolio.conversion):
        if int(price) == RATE_ONE and np.all(weight[:, currency] == RATE_ONE):
            total += owned[:, currency]
            continue
        # Python integers: cash x price x weight needs up to 160 bits
        worth = owned[:, currency].astype(object) * int(price) * weight[:, currency].astype(object)
        total += np.array([int(amount) >> 64 for amount in worth], np.int64)
    return total


class CollateralParameters(Parameters):
    """Haircuts of the currencies that margin an account beside its own."""

    haircut: dict[str, Share] = Field(
        default_factory=dict, description="part of a currency's value that does not count, by currency"
    )
    haircut_size: dict[str, NonNegative] = Field(
        default_factory=dict,
        description="growth of the haircut with the amount held, per square root of a unit, by currency",
    )


def haircuts(params: CollateralParameters, contracts: ContractTable) -> ModelState:
    """Haircuts in the units in which they are published.

    Args:
        params: the parameters; a currency that they do not name has no haircut.
        contracts: the contract table.

    Returns:
        Arrays ``haircut`` and ``haircut_size``, int64[K].

    Raises:
        ConfigError: a haircut on the account currency, in which requirements stand.
    """
    found: ModelState = {}
    for key, given in (("haircut", params.haircut), ("haircut_size", params.haircut_size)):
        if given.get(contracts.currencies[0]):
            allowed = f"currencies other than the account's ({contracts.currencies[0]}), which counts in full"
            raise ConfigError.of(f"margin.params.{key}", given, allowed)
        found[key] = np.array([rate_to_units(given.get(name, 0.0)) for name in contracts.currencies], np.int64)
    return found
