"""What portfolio rules share: contracts revalued in scenarios, amounts by name, and the prices that a position pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from margin.kernels import revalue
from sim.contracts import INVERSE_KINDS, ContractTable
from sim.errors import ConfigError
from sim.interfaces import MarketView, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import INVERSE_OPTION, RATE_ONE, SUBTICKS

DAYS_PER_YEAR = 365.0
PROFIT_MAX = float(1 << 60)  # profits of 2**10 lots, minor units
UNIT_LOTS = 1 << 10


@dataclass(frozen=True, slots=True)
class Terms:
    """Contracts as a revaluation needs them, one entry per contract.

    Attributes:
        contracts: the contract table.
        price: float64[C], mark (options: forward of the underlying), price units.
        years: float64[C], to expiry; inf where there is none.
        volatility: float64[C], implied volatility; 0 where the contract is no option.
        interest_rate: continuously compounded per year.
    """

    contracts: ContractTable
    price: np.ndarray
    years: np.ndarray
    volatility: np.ndarray
    interest_rate: float

    @classmethod
    def of(cls, contracts: ContractTable, market: MarketView, *, dated: bool = False) -> Terms:
        """Read the market.

        Args:
            contracts: the contract table.
            market: the market view.
            dated: read expiries even where there is no option.
        """
        price = np.asarray(market.mark) / SUBTICKS * contracts.tick_size
        options = contracts.is_option
        count = len(price)
        years, volatility, interest_rate = np.full(count, np.inf), np.zeros(count), 0.0
        if options.any() or dated:
            years = np.asarray(market.time_to_expiry, np.float64)
        if options.any():
            price = np.where(options, market.forward, price)
            volatility = np.where(options, market.implied_volatility, 0.0)
            interest_rate = float(market.interest_rate)
            for c in np.flatnonzero(options):
                if not (np.isfinite(years[c]) and np.isfinite(volatility[c]) and price[c] > 0.0):
                    allowed = "an option with a forward price, an expiry and an implied volatility"
                    raise ConfigError.of(f"contracts.{contracts.names[c]}", float(volatility[c]), allowed)
        return cls(contracts, price, years, volatility, interest_rate)

    @property
    def units(self) -> np.ndarray:
        """Units of the underlying per lot, float64[C]."""
        inverse = np.isin(self.contracts.kind, INVERSE_KINDS)
        return np.where(inverse, self.contracts.lot_size / self.price, self.contracts.lot_size)

    @property
    def minor_per_quote(self) -> np.ndarray:
        """Minor units of the settlement currency per unit of quote money, float64[C]."""
        table = self.contracts
        linear = table.tick_value / (table.tick_size * table.lot_size)
        coins = np.where(
            table.kind == INVERSE_OPTION, linear / self.price, table.tick_value * table.tick_size / table.lot_size
        )
        coins = np.where(np.isin(table.kind, INVERSE_KINDS), coins / self.price, coins)
        return np.where(np.isin(table.kind, (*INVERSE_KINDS, INVERSE_OPTION)), coins, linear)

    def years_after(self, days: float) -> np.ndarray:
        """Time to expiry when ``days`` have passed, float64[C], at least zero."""
        return np.maximum(self.years - days / DAYS_PER_YEAR, 0.0)

    def profits(self, move: np.ndarray, volatility_move: np.ndarray, cover: np.ndarray, days: float) -> np.ndarray:
        """Profit of 2**10 lots of each contract in each scenario.

        Args:
            move: float64[C, S], change of the price, price units.
            volatility_move: float64[C, S], change of the implied volatility.
            cover: float64[S], part that counts.
            days: that pass in a scenario.

        Returns:
            int64[C, S], minor units of each contract's settlement currency, rounded to nearest.

        Raises:
            ConfigError: a price of an inverse contract would fall to zero, or the amounts are too large.
        """
        table = self.contracts
        coin = np.isin(table.kind, (*INVERSE_KINDS, INVERSE_OPTION))
        gone = coin & ((self.price[:, None] + move) <= 0.0).any(axis=1)
        for c in np.flatnonzero(gone):
            allowed = f"price moves above -100 %, since {table.names[c]} is coin-margined"
            raise ConfigError.of("margin.params", float(move[c].min() / self.price[c]), allowed)
        found = revalue.profits(
            table.kind, table.option, self.price, np.nan_to_num(table.strike), self.years, self.years_after(days),
            self.volatility, self.interest_rate, table.tick_size, table.tick_value,
            np.ascontiguousarray(move, np.float64), np.ascontiguousarray(volatility_move, np.float64),
            np.ascontiguousarray(cover, np.float64),
        )  # fmt: skip
        return whole(found, table)


def whole(profit: np.ndarray, contracts: ContractTable) -> np.ndarray:
    """Profits as integers, int64[C, S].

    Raises:
        ConfigError: an amount is not finite or too large.
    """
    for c in np.flatnonzero(~(np.abs(profit) < PROFIT_MAX).all(axis=1)):
        allowed = "amounts that 64-bit integers hold; choose coarser minor units"
        raise ConfigError.of(f"contracts.{contracts.names[c]}", float(np.abs(profit[c]).max()), allowed)
    return profit.astype(np.int64)


def by_name(
    key: str, value: float | dict[str, float], contracts: ContractTable, default: float = 0.0, prefix: str = ""
) -> np.ndarray:
    """One number for each contract, float64[C]: a common one, or a table by contract or underlying.

    Args:
        key: parameter, for the error.
        value: the number, or numbers by name; a contract's own goes before its underlying's.
        contracts: the contract table.
        default: for contracts that the table does not name.
        prefix: of the key, ``"margin.params."`` when empty.

    Raises:
        ConfigError: a name is unknown.
    """
    if not isinstance(value, dict):
        return np.full(len(contracts.names), float(value))
    known = {*contracts.names, *contracts.underlyings}
    if not set(value) <= known:
        allowed = "names of contracts or underlyings: " + ", ".join(sorted(known))
        raise ConfigError.of(f"{prefix or 'margin.params.'}{key}", sorted(set(value) - known), allowed)
    found = np.full(len(contracts.names), float(default))
    for c, name in enumerate(contracts.names):
        about = contracts.underlyings[contracts.underlying[c]]
        found[c] = float(value.get(name, value.get(about, default)))
    return found


def conversion_of(portfolio: PortfolioView) -> np.ndarray:
    """Account currency per settlement currency of each contract, int64[C], 2**-32."""
    return np.ascontiguousarray(np.asarray(portfolio.conversion, np.int64)[portfolio.contracts.currency])


def converted(amount: np.ndarray, rate: np.ndarray, *, up: bool) -> np.ndarray:
    """Integer amounts in the account currency, exactly, rounded up or towards minus infinity.

    Args:
        amount: int64[N] or int64[N, S].
        rate: int64[N], 2**-32.
        up: rounding.
    """
    if (rate == RATE_ONE).all():
        return amount
    factor = rate.astype(object).reshape((-1,) + (1,) * (amount.ndim - 1))
    product = amount.astype(object) * factor
    return np.array((-(-product >> 32)) if up else (product >> 32)).astype(np.int64)


def lone_rates(
    contracts: ContractTable,
    mark: np.ndarray,
    requirement: Callable[[PortfolioView, RiskParameters], Requirement],
    risk: RiskParameters,
) -> tuple[np.ndarray, np.ndarray]:
    """What a position alone is charged over its value, the dearer of long and short.

    Args:
        contracts: the contract table.
        mark: int64[C], sub-ticks.
        requirement: the rule's evaluator.
        risk: what it reads.

    Returns:
        Initial and maintenance rates, int64[C], 2**-32, from one unit to ``2**32``.
    """
    count = len(contracts.names)
    lots = np.concatenate([np.eye(count, dtype=np.int64), -np.eye(count, dtype=np.int64)]) * UNIT_LOTS
    none = np.zeros_like(lots)
    view = PortfolioView(
        contracts, np.asarray(mark, np.int64), lots, none, np.zeros((2 * count, 1 + count), np.int64),
        none, none, none, none, conversion=np.full(len(contracts.currencies), RATE_ONE, np.int64),
    )  # fmt: skip
    answer = requirement(view, risk)
    value = np.abs(np.diagonal(view.value()[:count])).astype(object)
    rates = []
    for required in (answer.initial, answer.maintenance):
        dearer = np.maximum(required[:count], required[count:]).astype(object)
        rates.append(
            np.array(
                [min(max(-(-d * RATE_ONE // max(v, 1)), 1), RATE_ONE) for d, v in zip(dearer, value, strict=True)],
                np.int64,
            )
        )
    return rates[0], rates[1]
