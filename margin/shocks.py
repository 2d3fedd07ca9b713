"""Revaluing contracts under shocks: what portfolio rules publish, and what they read of a portfolio.

A :class:`Shock` moves prices, volatilities, time, the basis or the interest rate. :class:`Revaluation` values one lot
of every contract under every shock; :class:`Book` holds portfolios in the account currency, as the compiled evaluators
of :mod:`margin.kernels.portfolio_margin` want them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from margin.kernels.shocks import converted, lot_values
from margin.parameters import NonNegative, Parameters, Positive
from sim.contracts import INVERSE_KINDS, KINDS, ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView, PortfolioView
from sim.kernels.realmath import exp, power
from sim.kernels.state import INVERSE_OPTION, RATE_ONE, SPOT, SUBTICKS

LOTS = 1 << 10  # amounts stand per so many lots
DAYS = 365.0
_LARGEST = 2.0**62


class VolatilityShockParameters(Parameters):
    """How far implied volatilities move, by time to expiry: ``range x (days / max(T, floor))**power``."""

    volatility_up: NonNegative = Field(
        description="relative rise of an implied volatility at volatility_days to expiry"
    )
    volatility_down: float = Field(ge=0.0, le=1.0, description="relative fall of an implied volatility there")
    power_short: NonNegative = Field(description="exponent up to volatility_days to expiry")
    power_long: NonNegative = Field(description="exponent beyond")
    volatility_days: Positive = Field(30.0, description="days to expiry at which the shocks are as given")
    days_floor: Positive = Field(1.0, description="shorter times to expiry count as this one, days")

    def volatility_factors(self, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Factors of implied volatilities in an up and in a down move, float64[C] each."""
        up, down = np.ones(len(years)), np.ones(len(years))
        for c, time in enumerate(years):
            days = float(time) * DAYS
            if not np.isfinite(days):
                continue
            exponent = self.power_short if days <= self.volatility_days else self.power_long
            size = float(power(self.volatility_days / max(days, self.days_floor), exponent))
            up[c], down[c] = 1.0 + self.volatility_up * size, max(0.0, 1.0 - self.volatility_down * size)
        return up, down


@dataclass(frozen=True, slots=True)
class Shock:
    """What happens to all contracts of an underlying at once.

    Attributes:
        name: shown in scenario tables.
        move: relative move of every price.
        volatility: 1 up, -1 down, 0 unchanged.
        days: time that passes.
        basis: move of the annualised basis of forwards over spot.
        rate: move of the interest rate per year.
        weight: part of the loss that counts.
    """

    name: str
    move: float = 0.0
    volatility: int = 0
    days: float = 0.0
    basis: float = 0.0
    rate: float = 0.0
    weight: float = 1.0


def shock_name(move: float, volatility: int) -> str:
    """Name of a cell of a price x volatility grid.

    Examples:
        >>> shock_name(-0.15, 1), shock_name(0.0, 0)
        ('-15% up', '0%')
    """
    words = {1: " up", 0: "", -1: " down"}
    return f"{100 * move:+.4g}%".replace("+0%", "0%") + words[volatility]


class Revaluation:
    """Values of one lot under shocks, in minor units of each contract's settlement currency.

    Gains count at the moved price of their settlement currency. An account kept in the coin itself counts them in quote
    currency, converted at the present price; with ``in_coins`` it counts coins, and quote currency at its moved price.

    Args:
        market: the market.
        contracts: the contract table.
        kinds: names of the kinds that the rule can margin.
        rule: name of the rule, for errors.
        in_coins: whether an account that is kept in the underlying coin counts gains in coins.

    Raises:
        ConfigError: a contract is of another kind, or an option has no volatility.
    """

    def __init__(
        self, market: MarketView, contracts: ContractTable, kinds: Sequence[str], rule: str, *, in_coins: bool = False
    ) -> None:
        self.contracts = contracts
        codes = {KINDS[name] for name in kinds}
        names = {code: name for name, code in KINDS.items()}
        for c, code in enumerate(contracts.kind.tolist()):
            if code not in codes:
                allowed = f"one of {', '.join(kinds)}, which {rule} can margin"
                raise ConfigError.of(f"contracts.{contracts.names[c]}.kind", names[code], allowed)
        option = contracts.is_option
        self.volatility = np.where(option, np.asarray(market.implied_volatility, float), 0.0)
        for c in np.flatnonzero(option & ~(self.volatility > 0.0)).tolist():
            allowed = "an implied volatility above 0"
            raise ConfigError.of(f"contracts.{contracts.names[c]}.volatility", float(self.volatility[c]), allowed)
        self.spot = np.asarray(market.spot, float)
        self.mark = np.asarray(market.mark) / SUBTICKS * contracts.tick_size
        self.price = np.where(option, np.asarray(market.forward, float), self.mark)
        self.years = np.asarray(market.time_to_expiry, float)
        self.rate = float(market.interest_rate)
        inverse = np.isin(contracts.kind, INVERSE_KINDS)
        self.unit = np.where(
            inverse, contracts.tick_value * contracts.tick_size, contracts.tick_value / contracts.tick_size
        )
        # value of the underlying in one lot, in the settlement currency
        self.size = np.where(
            inverse,
            self.unit / self.spot,
            np.where(contracts.kind == INVERSE_OPTION, self.unit, self.unit * self.spot),
        )
        # price of the settlement currency in what gains are counted in: rises with the move, falls with it, or neither
        coins = coin_numbers(contracts)
        own = contracts.currencies[0]
        account = contracts.underlyings.index(own) if own in contracts.underlyings else -1
        pairs = zip(contracts.currency.tolist(), contracts.underlying.tolist(), strict=True)
        if in_coins:
            self.settlement = np.array([1 if coins[k] == u else -(account == u and k != 0) for k, u in pairs], int)
        else:
            self.settlement = np.array([int(coins[k] == u or (account == u and k == 0)) for k, u in pairs], int)

    def values(
        self,
        shocks: Sequence[Shock],
        up: np.ndarray | None = None,
        down: np.ndarray | None = None,
        *,
        basis_years: np.ndarray | None = None,
        fixed: np.ndarray | None = None,
        discounted: bool = True,
    ) -> np.ndarray:
        """Value of one lot of each contract under each shock, float64[C, S] minor units of its settlement currency.

        Args:
            shocks: the scenarios.
            up: factors of implied volatilities in an up move, float64[C].
            down: factors in a down move, float64[C].
            basis_years: time over which the annualised basis of each contract acts, float64[C].
            fixed: part of each price that no longer moves, float64[C].
            discounted: whether a linear option is worth its discounted pay-off; else Black-76 with factor one.
        """
        contracts, count = self.contracts, len(self.contracts.names)
        one = np.ones(count)
        factor = {1: one if up is None else up, 0: one, -1: one if down is None else down}
        moving = one if fixed is None else 1.0 - fixed
        basis = np.zeros(count) if basis_years is None else basis_years
        left = np.where(contracts.is_option, self.years, 0.0)
        factors: dict[tuple[float, float], np.ndarray] = {}
        for shock in shocks:
            if (shock.days, shock.rate) not in factors:
                later = left - shock.days / DAYS
                found = [self._discount(c, float(later[c]), shock.rate, discounted) for c in range(count)]
                factors[shock.days, shock.rate] = np.array(found)
        columns = [
            (
                (1.0 + moving * shock.move) * (1.0 + shock.basis * basis) - 1.0,
                np.maximum(left - shock.days / DAYS, 0.0),
                self.volatility * factor[shock.volatility],
                factors[shock.days, shock.rate],
            )
            for shock in shocks
        ]
        move, years, volatility, discount = (
            np.ascontiguousarray(np.array(part).T) for part in zip(*columns, strict=True)
        )
        value = np.empty((count, len(shocks)))
        strike = np.where(contracts.is_option, contracts.strike, 1.0)
        lot_values(
            contracts.kind, contracts.option, self.price, strike, self.unit, move, years, volatility, discount, value
        )
        return value

    def _discount(self, c: int, years: float, rate: float, discounted: bool) -> float:
        """Factor of an option's value: linear options are worth their discounted pay-off, inverse ones are not."""
        if not self.contracts.is_option[c]:
            return 1.0
        linear = discounted and self.contracts.kind[c] != INVERSE_OPTION
        base = self.rate if linear else 0.0
        return float(exp(-(base + rate) * max(years, 0.0))) if base + rate != 0.0 else 1.0

    def profits(self, values: np.ndarray, now: np.ndarray, shocks: Sequence[Shock]) -> np.ndarray:
        """Gain of one lot under each shock, float64[C, S], at the moved price of its settlement currency.

        Args:
            values: float64[C, S], from :meth:`values`.
            now: float64[C], value without a shock.
            shocks: the scenarios.
        """
        moved = (1.0 + np.array([shock.move for shock in shocks]))[None, :] ** self.settlement[:, None]
        # an option's whole value counts in equity; of other contracts only the gain does, and the coins that it makes
        whole = self.contracts.is_option[:, None]
        return np.where(whole, values * moved - now[:, None], (values - now[:, None]) * moved)


def per_lots(amounts: np.ndarray) -> np.ndarray:
    """Amounts per lot as int64 per 2**10 lots, rounded to nearest."""
    return np.rint(np.asarray(amounts, float) * LOTS).astype(np.int64)


def rates(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Rates in units of 2**-32, int64."""
    return np.array([rate_to_units(float(value)) for value in values], np.int64)


def numbers(keys: Sequence[tuple[object, ...] | None]) -> tuple[np.ndarray, list[int]]:
    """A number for each different key in order of appearance, -1 for None; and where each first appears.

    Examples:
        >>> numbers([None, ("a", 1), ("b", 1), ("a", 1)])
        (array([-1,  0,  1,  0]), [1, 2])
    """
    order: dict[object, int] = {}
    first: list[int] = []
    for place, key in enumerate(keys):
        if key is not None and key not in order:
            order[key] = len(order)
            first.append(place)
    return np.array([-1 if key is None else order[key] for key in keys], np.int64), first


def expiry_keys(contracts: ContractTable, years: np.ndarray, *, strikes: bool) -> list[tuple[object, ...] | None]:
    """Underlying and expiry (and strike) of each option, None for other contracts."""
    return [
        (int(contracts.underlying[c]), float(years[c]), *((float(contracts.strike[c]),) if strikes else ()))
        if contracts.option[c] != 0
        else None
        for c in range(len(contracts.names))
    ]


def coin_numbers(contracts: ContractTable) -> list[int]:
    """Underlying that each currency is a coin of, -1 for none; the account currency never is one."""
    return [
        contracts.underlyings.index(name) if k > 0 and name in contracts.underlyings else -1
        for k, name in enumerate(contracts.currencies)
    ]


def standalone_rate(profit: np.ndarray, weight: np.ndarray, charge: np.ndarray, value: np.ndarray) -> np.ndarray:
    """What one position alone is charged, over its value: tells traders what leverage is possible.

    Args:
        profit: float64[C, S], per lot.
        weight: float64[S].
        charge: float64[C], per lot.
        value: float64[C], per lot, at mark.

    Returns:
        int64[C], 2**-32, from 1 to 2**32.
    """
    worst = np.max(np.abs(profit) * weight[None, :], axis=1) + charge
    share = np.clip(worst / np.maximum(np.abs(value), 1e-300), 0.0, 1.0)
    return np.clip(np.rint(share * RATE_ONE), 1, RATE_ONE).astype(np.int64)


class Book:
    """Portfolios of all accounts in the account currency.

    Attributes:
        lots: int64[A, C], signed.
        buys: int64[A, C], lots of open buy orders.
        sells: int64[A, C], lots of open sell orders.
        own: int64[A], loss of open orders against the mark, minor units.
        coins: int64[A, U], coin balances (wallets and unrealised profit in coins) at the present price, minor units.
    """

    def __init__(self, portfolio: PortfolioView) -> None:
        contracts = portfolio.contracts
        self.lots = np.ascontiguousarray(portfolio.lots, np.int64)
        self.buys = np.ascontiguousarray(portfolio.open_buy, np.int64)
        self.sells = np.ascontiguousarray(portfolio.open_sell, np.int64)
        self._rate = portfolio.conversion[contracts.currency].astype(np.int64)
        self._same = bool(np.all(self._rate == RATE_ONE))
        own = portfolio.loss_buy + portfolio.loss_sell
        self.own = self.amounts(np.ascontiguousarray(own.T)).sum(axis=0)
        self.coins = np.zeros((len(self.lots), len(contracts.underlyings)), np.int64)
        held = portfolio.wallets if portfolio.wallets.size else np.zeros((len(self.lots), 1), np.int64)
        gains = np.where(contracts.is_option | (contracts.kind == SPOT), 0, portfolio.unrealised())
        for k, underlying in enumerate(coin_numbers(contracts)):
            if underlying >= 0:
                balance = gains[:, contracts.currency == k].sum(axis=1)
                if k < held.shape[1]:
                    balance = balance + held[:, k]
                rate = np.full(1, portfolio.conversion[k], np.int64)
                self.coins[:, underlying] += converted(np.ascontiguousarray(balance[None, :]), rate)[0]

    def profits(self, values: np.ndarray) -> np.ndarray:
        """Published gains per scenario in the account currency, int64[C, S].

        Raises:
            ConfigError: a gain or loss of an account could exceed what 64 bits hold.
        """
        profit = self.amounts(values)
        most = np.array(
            [np.abs(part).max(axis=0, initial=0) for part in (self.lots, self.buys, self.sells)], float
        ).sum(axis=0)
        largest = float(most @ np.abs(profit.astype(float)).max(axis=1)) / LOTS
        if largest >= _LARGEST:
            allowed = f"positions whose gains in a scenario stay below {_LARGEST:.3g} minor units (fewer decimals help)"
            raise ConfigError.of("positions", f"{largest:.3g}", allowed)
        return profit

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Amounts by contract of the settlement currency, int64[C] or int64[C, S], in the account currency."""
        if self._same:
            return np.ascontiguousarray(values, np.int64)
        table = np.ascontiguousarray(values if values.ndim == 2 else values[:, None], np.int64)
        return np.ascontiguousarray(converted(table, self._rate).reshape(values.shape))


def coin_shocks(shocks: Sequence[Shock]) -> np.ndarray:
    """Relative moves of a coin, int64[S] in 2**-32."""
    return rates([shock.move for shock in shocks])


def weights(shocks: Sequence[Shock]) -> np.ndarray:
    """Parts of the losses that count, int64[S] in 2**-32."""
    return rates([shock.weight for shock in shocks])
