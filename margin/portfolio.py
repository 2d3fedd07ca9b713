"""A portfolio in plain units, and its translation into the integers that margin rules work on.

The same rules serve the simulated market and a portfolio file: :meth:`Portfolio.snapshot` chooses ticks, lots and minor
units fine enough to hold every number of the file exactly, so that the calculator asks the very evaluators that the
market asks.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sim.contracts import INVERSE_KINDS, KINDS, OPTION_KINDS, OPTION_TYPES, ContractTable
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels.state import SPOT, SUBTICKS

Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
PositiveAmount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Kind = Literal[
    "linear_perpetual", "linear_future", "inverse_perpetual", "inverse_future", "spot", "linear_option",
    "inverse_option",
]  # fmt: skip

DIGITS_MAX = 8  # finest tick and lot, decimal places
_LARGEST = 1 << 61


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnderlyingTerms(_Table):
    """``[[underlyings]]``: what contracts are about."""

    name: Name
    price: PositiveAmount = Field(description="spot or index price")
    daily_volatility: float | None = Field(None, gt=0.0, description="forecast, per square root of a day")
    volatility: float | None = Field(None, gt=0.0, description="default implied volatility, per square root of a year")
    spread: float = Field(0.0, ge=0.0, description="best ask less best bid, price units")
    daily_volume: float | None = Field(None, gt=0.0, description="units traded per day")
    open_interest: float | None = Field(None, ge=0.0, description="units open in the contract's market")
    asset_class: str = Field("", description="for rules by class: broad_index, narrow_index, equity, crypto ...")
    returns: tuple[float, ...] = Field((), description="daily log returns, oldest first, for historical rules")


class ContractTerms(_Table):
    """``[[contracts]]``: what can be held."""

    name: Name
    kind: Kind = "linear_perpetual"
    underlying: Name
    mark: PositiveAmount | None = Field(None, description="default: the underlying's price; options: Black-76")
    forward: PositiveAmount | None = Field(None, description="forward price at expiry; default: the spot price")
    multiplier: PositiveAmount = Field(Decimal(1), description="units (inverse: quote units) per contract")
    currency: Name = Field("USD", description="settlement currency; inverse contracts: the coin")
    strike: PositiveAmount | None = None
    option_type: Literal["call", "put"] | None = None
    days_to_expiry: float | None = Field(None, gt=0.0, description="days of 24 hours")
    expiry: datetime.date | None = Field(None, description="date, with the portfolio's valuation date")
    volatility: float | None = Field(None, gt=0.0, description="implied volatility, per square root of a year")

    @model_validator(mode="after")
    def _option_terms(self) -> ContractTerms:
        option = KINDS[self.kind] in OPTION_KINDS
        if option and (self.strike is None or self.option_type is None):
            raise ValueError("a strike and an option_type (call or put) with an option")
        if option and self.days_to_expiry is None and self.expiry is None:
            raise ValueError("an option with an expiry (date) or days_to_expiry")
        if self.days_to_expiry is not None and self.expiry is not None:
            raise ValueError("one of expiry, days_to_expiry")
        if not option and (self.strike is not None or self.option_type is not None):
            raise ValueError("strike and option_type only with an option")
        return self


class PositionTerms(_Table):
    """``[[positions]]``: what is held."""

    contract: Name
    size: Amount = Field(description="signed number of contracts; negative is short")
    entry: PositiveAmount | None = Field(None, description="average entry price; default: the mark")
    margin: Amount | None = Field(None, description="isolated: cash in the position's pocket, settlement currency")
    leverage: PositiveAmount | None = Field(None, description="isolated: chosen leverage, sets the pocket at entry")


class OrderTerms(_Table):
    """``[[orders]]``: open orders."""

    contract: Name
    side: Literal["buy", "sell"]
    size: PositiveAmount
    price: PositiveAmount | None = Field(None, description="limit; default: the mark")


class CollateralTerms(_Table):
    """``[[collateral]]``: cash and coins that margin the account."""

    currency: Name
    amount: Amount
    price: PositiveAmount | None = Field(None, description="in the account currency; default 1, or its underlying's")
    haircut: float = Field(0.0, ge=0.0, le=1.0, description="part of its value that does not count")


class AccountTerms(_Table):
    """``[account]``: who holds it."""

    currency: Name = Field("USD", description="currency in which requirements stand")
    features: dict[str, float] = Field(
        default_factory=dict, description="behaviour and credit of the account, for rules that read them"
    )


@dataclass(slots=True)
class StaticMarket:
    """A market that stands still: the :class:`sim.interfaces.MarketView` of a portfolio file (attributes as there)."""

    contracts: ContractTable
    mark: np.ndarray
    spot: np.ndarray
    forward: np.ndarray
    implied_volatility: np.ndarray
    time_to_expiry: np.ndarray
    daily_volatility: np.ndarray
    spread: np.ndarray
    volume: np.ndarray
    open_interest: np.ndarray
    interest_rate: float = 0.0
    history: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    asset_class: tuple[str, ...] = ()
    step: int = 0
    time_s: float = 0.0

    @property
    def index(self) -> np.ndarray:
        """Index of each contract: its mark, int64[C] sub-ticks."""
        return self.mark

    @property
    def value(self) -> np.ndarray:
        """Exogenous value in ticks: the mark, float64[C]."""
        return self.mark / SUBTICKS

    @property
    def mid(self) -> np.ndarray:
        """Mid in ticks: the mark, float64[C]."""
        return self.mark / SUBTICKS

    @property
    def bid(self) -> np.ndarray:
        """Best bids in ticks, int64[C]."""
        return (self.mark - np.rint(self.spread / self.contracts.tick_size * SUBTICKS / 2).astype(np.int64)) // SUBTICKS

    @property
    def ask(self) -> np.ndarray:
        """Best asks in ticks, int64[C]."""
        return -(
            -(self.mark + np.rint(self.spread / self.contracts.tick_size * SUBTICKS / 2).astype(np.int64)) // SUBTICKS
        )

    @property
    def depth_bid(self) -> np.ndarray:
        """Unknown: zero lots, int64[C]."""
        return np.zeros(len(self.mark), np.int64)

    @property
    def depth_ask(self) -> np.ndarray:
        """Unknown: zero lots, int64[C]."""
        return np.zeros(len(self.mark), np.int64)

    @property
    def risk(self) -> RiskParameters:
        """Nothing is in force before a rule has published."""
        zero = np.zeros(len(self.mark), np.int64)
        return RiskParameters(rate_initial=zero, rate_maintenance=zero)

    @property
    def pending_risk(self) -> np.ndarray:
        """Nothing is announced, int64[1, C]."""
        return np.zeros((1, len(self.mark)), np.int64)

    def returns(self, window: int, sample_steps: int = 1) -> np.ndarray:
        """Daily log returns of each contract's underlying, float64[window, C], newest last.

        Raises:
            ConfigError: the file gives fewer.
        """
        if sample_steps != 1 or window > len(self.history):
            raise ConfigError.of(
                "underlyings.returns", len(self.history), f"at least {window} daily returns of each underlying"
            )
        return self.history[len(self.history) - window :]


@dataclass(slots=True)
class Snapshot:
    """A portfolio as rules see it.

    Attributes:
        contracts: the contract table.
        market: the market view.
        portfolio: one account's portfolio view.
        lot: contracts per lot, Decimal by contract.
        tick: price units per tick, Decimal by contract.
        minor: minor units per unit of the account currency.
    """

    contracts: ContractTable
    market: StaticMarket
    portfolio: PortfolioView
    lot: tuple[Decimal, ...]
    tick: tuple[Decimal, ...]
    minor: int


class Portfolio(_Table):
    """A portfolio file: contracts, marks, volatilities, positions, orders, collateral."""

    regime: str | None = Field(None, description="margin regime, when the command names none")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the regime")
    date: datetime.date | None = Field(None, description="valuation date, for expiries given as dates")
    interest_rate: float = Field(0.0, description="continuously compounded, per year")
    account: AccountTerms = Field(default_factory=AccountTerms)
    underlyings: tuple[UnderlyingTerms, ...] = Field(min_length=1)
    contracts: tuple[ContractTerms, ...] = Field(min_length=1)
    positions: tuple[PositionTerms, ...] = ()
    orders: tuple[OrderTerms, ...] = ()
    collateral: tuple[CollateralTerms, ...] = ()

    def snapshot(self) -> Snapshot:
        """The portfolio in integer units, as margin rules see it.

        Raises:
            ConfigError: names do not fit together, an expiry lies in the past, or the numbers span too many digits.
        """
        return _Builder(self).build()


def _digits(values: list[Decimal | None]) -> int:
    """Decimal places that hold every value exactly."""
    found = [max(0, -int(value.normalize().as_tuple().exponent)) for value in values if value is not None]
    return max(found, default=0)


class _Builder:
    def __init__(self, portfolio: Portfolio) -> None:
        self.file = portfolio
        self.underlyings = {one.name: one for one in portfolio.underlyings}
        self.terms = portfolio.contracts
        self.number = {one.name: i for i, one in enumerate(portfolio.contracts)}
        self._check_names()
        self.marks = [self._mark(one) for one in self.terms]
        self.currencies = list(
            dict.fromkeys(
                [portfolio.account.currency]
                + [one.currency for one in self.terms]
                + [one.currency for one in portfolio.collateral]
            )
        )
        self.digits = [self._price_digits(i) for i in range(len(self.terms))]
        self.sizes = [self._size_digits(i) for i in range(len(self.terms))]
        self.currency_digits = {name: self._currency_digits(name) for name in self.currencies}

    def _check_names(self) -> None:
        file = self.file
        if len(self.underlyings) != len(file.underlyings) or len(self.number) != len(file.contracts):
            raise ConfigError.of("contracts", sorted(self.number), "names that are given once")
        for i, one in enumerate(file.contracts):
            if one.underlying not in self.underlyings:
                allowed = "one of " + ", ".join(self.underlyings)
                raise ConfigError.of(f"contracts[{i}].underlying", one.underlying, allowed)
        for key, rows in (("positions", file.positions), ("orders", file.orders)):
            for i, row in enumerate(rows):  # type: ignore[var-annotated, arg-type]
                if row.contract not in self.number:
                    allowed = "one of " + ", ".join(self.number)
                    raise ConfigError.of(f"{key}[{i}].contract", row.contract, allowed)
        if not file.positions and not file.orders:
            raise ConfigError.of("positions", [], "at least one position or order")

    def years(self, one: ContractTerms) -> float:
        """Time to expiry, years of 365 days; inf where there is none."""
        if one.days_to_expiry is not None:
            return one.days_to_expiry / 365.0
        if one.expiry is None:
            return float("inf")
        if self.file.date is None:
            raise ConfigError.of("date", None, "a valuation date, since contracts give their expiry as a date")
        days = (one.expiry - self.file.date).days
        if days <= 0:
            raise ConfigError.of("contracts.expiry", str(one.expiry), f"a date after {self.file.date}")
        return days / 365.0

    def volatility(self, one: ContractTerms) -> float:
        """Implied volatility of an option."""
        found = one.volatility if one.volatility is not None else self.underlyings[one.underlying].volatility
        if found is None:
            raise ConfigError.of(f"contracts.{one.name}.volatility", None, "an implied volatility above 0")
        return found

    def forward(self, one: ContractTerms) -> float:
        """Forward price at expiry."""
        return float(one.forward if one.forward is not None else self.underlyings[one.underlying].price)

    def _mark(self, one: ContractTerms) -> Decimal:
        if one.mark is not None:
            return one.mark
        if KINDS[one.kind] not in OPTION_KINDS:
            dated = one.forward if one.forward is not None else None
            return dated if dated is not None else self.underlyings[one.underlying].price
        from sim.kernels.black76 import black76

        years, strike = self.years(one), float(one.strike or 0)
        discount = float(np.exp(-self.file.interest_rate * years)) if one.kind == "linear_option" else 1.0
        side = OPTION_TYPES[one.option_type or ""]
        price = black76(side, self.forward(one), strike, years, self.volatility(one)) * discount
        if one.kind == "inverse_option":
            price /= self.forward(one)
        return max(Decimal(repr(round(price, DIGITS_MAX))), Decimal(1).scaleb(-DIGITS_MAX))

    def _rows(self, i: int) -> tuple[list[PositionTerms], list[OrderTerms]]:
        name = self.terms[i].name
        return [p for p in self.file.positions if p.contract == name], [
            o for o in self.file.orders if o.contract == name
        ]

    def _price_digits(self, i: int) -> int:
        held, orders = self._rows(i)
        wanted = _digits([self.marks[i], *(p.entry for p in held), *(o.price for o in orders)])
        if wanted > DIGITS_MAX:
            raise ConfigError.of(f"contracts.{self.terms[i].name}", wanted, f"at most {DIGITS_MAX} decimals of a price")
        return wanted

    def _size_digits(self, i: int) -> int:
        held, orders = self._rows(i)
        wanted = _digits([*(p.size for p in held), *(o.size for o in orders)])
        if wanted > DIGITS_MAX:
            raise ConfigError.of(f"contracts.{self.terms[i].name}", wanted, f"at most {DIGITS_MAX} decimals of a size")
        return wanted

    def _currency_digits(self, name: str) -> int:
        """Decimal places of a currency: every tick of a lot is worth a whole number of its minor units."""
        wanted = [6, _digits([c.amount for c in self.file.collateral if c.currency == name])]
        for i, one in enumerate(self.terms):
            if one.currency == name and KINDS[one.kind] not in INVERSE_KINDS:
                wanted.append(self.digits[i] + self.sizes[i] + _digits([one.multiplier]))
            elif one.currency == name:
                wanted.append(10)  # an inverse value is rounded, so keep more of a coin
        return max(wanted)

    def build(self) -> Snapshot:
        """Put the arrays together."""
        file, terms = self.file, self.terms
        count = len(terms)
        minor = {name: 10**digits for name, digits in self.currency_digits.items()}
        lot = [Decimal(1).scaleb(-digits) for digits in self.sizes]
        tick = [Decimal(1).scaleb(-digits) for digits in self.digits]
        tick_value = np.zeros(count, np.int64)
        for i, one in enumerate(terms):
            per_lot = lot[i] * one.multiplier * minor[one.currency]
            exact = per_lot / tick[i] if KINDS[one.kind] in INVERSE_KINDS else per_lot * tick[i]
            if exact != exact.to_integral_value() or exact >= _LARGEST:
                raise ConfigError.of(f"contracts.{one.name}", str(exact), "fewer decimals of price, size or multiplier")
            tick_value[i] = int(exact)
        names = list(dict.fromkeys(one.underlying for one in terms))
        table = ContractTable(
            names=tuple(one.name for one in terms),
            tick_value=tick_value,
            initial_mark=np.array([int(m / t * SUBTICKS) for m, t in zip(self.marks, tick, strict=True)], np.int64),
            dt_seconds=86400.0,
            steps_per_day=1,
            kind=np.array([KINDS[one.kind] for one in terms], np.int64),
            tick_size=np.array([float(t) for t in tick]),
            lot_size=np.array([float(size * one.multiplier) for size, one in zip(lot, terms, strict=True)]),
            currencies=tuple(self.currencies),
            currency=np.array([self.currencies.index(one.currency) for one in terms], np.int64),
            underlyings=tuple(names),
            underlying=np.array([names.index(one.underlying) for one in terms], np.int64),
            strike=np.array([float(one.strike) if one.strike is not None else np.nan for one in terms]),
            option=np.array([OPTION_TYPES.get(one.option_type or "", 0) for one in terms], np.int64),
            minor=np.array([float(minor[name]) for name in self.currencies]),
            contract_lots=np.array([float(1 / size) for size in lot]),
        )
        view = self._portfolio(table, lot, tick, minor)
        return Snapshot(table, self._market(table), view, tuple(lot), tuple(tick), minor[file.account.currency])

    def _market(self, table: ContractTable) -> StaticMarket:
        under = [self.underlyings[one.underlying] for one in self.terms]
        returns = [one.returns for one in under]
        window = min((len(one) for one in returns), default=0)
        lots = table.lot_size
        price = np.array([float(one.price) for one in under])
        # an inverse lot is a number of quote units
        units = np.where(table.inverse, price, 1.0)
        return StaticMarket(
            contracts=table,
            mark=table.initial_mark.copy(),
            spot=price,
            forward=np.array([self.forward(one) for one in self.terms]),
            implied_volatility=np.array(
                [self.volatility(one) if one.option_type is not None else np.nan for one in self.terms]
            ),
            time_to_expiry=np.array([self.years(one) for one in self.terms]),
            daily_volatility=np.array([one.daily_volatility or np.nan for one in under]),
            spread=np.array([one.spread for one in under]),
            volume=np.array([(one.daily_volume or 0.0) for one in under]) * units / lots,
            open_interest=np.array([(one.open_interest or 0.0) for one in under]) * units / lots,
            interest_rate=self.file.interest_rate,
            history=np.array([one[len(one) - window :] for one in returns]).T if window else np.zeros((0, len(under))),
            asset_class=tuple(one.asset_class for one in under),
        )

    def _portfolio(
        self, table: ContractTable, lot: list[Decimal], tick: list[Decimal], minor: dict[str, int]
    ) -> PortfolioView:
        count = len(self.terms)
        arrays = {name: np.zeros((1, count), np.int64) for name in ("lots", "cost", "buy", "sell", "lb", "ls")}
        pockets = np.zeros((1, count), np.int64)
        for place, row in enumerate(self.file.positions):
            i = self.number[row.contract]
            if arrays["lots"][0, i]:
                raise ConfigError.of(f"positions[{place}].contract", row.contract, "a contract that is held once")
            lots = int(row.size / lot[i])
            ticks = (row.entry if row.entry is not None else self.marks[i]) / tick[i]
            arrays["lots"][0, i] = lots
            worth = self._worth(i, lots, ticks, int(table.tick_value[i]))
            option = KINDS[self.terms[i].kind] in OPTION_KINDS or KINDS[self.terms[i].kind] == SPOT
            arrays["cost"][0, i] = 0 if option else worth
            unit = minor[self.terms[i].currency]
            if row.margin is not None and row.leverage is not None:
                raise ConfigError.of(f"positions[{place}]", str(row.margin), "one of margin, leverage")
            if row.margin is not None:
                pockets[0, i] = int(row.margin * unit)
            elif row.leverage is not None:
                pockets[0, i] = int(Decimal(abs(worth)) / row.leverage)
        for row_ in self.file.orders:
            i = self.number[row_.contract]
            lots = int(row_.size / lot[i])
            price = (row_.price if row_.price is not None else self.marks[i]) / tick[i]
            mark = Decimal(int(table.initial_mark[i])) / SUBTICKS
            sign = 1 if row_.side == "buy" else -1
            own = self._worth(i, sign * lots, price, int(table.tick_value[i])) - self._worth(
                i, sign * lots, mark, int(table.tick_value[i])
            )
            arrays["buy" if sign > 0 else "sell"][0, i] += lots
            arrays["lb" if sign > 0 else "ls"][0, i] += max(own, 0)
        wallets, conversion = self._wallets(minor)
        cash = np.concatenate([wallets[:, :1], pockets], axis=1)
        return PortfolioView(
            contracts=table, mark=table.initial_mark.copy(), lots=arrays["lots"], cost=arrays["cost"], cash=cash,
            open_buy=arrays["buy"], open_sell=arrays["sell"], loss_buy=arrays["lb"], loss_sell=arrays["ls"],
            wallets=wallets, conversion=conversion,
            features={key: np.array([value]) for key, value in self.file.account.features.items()},
        )  # fmt: skip

    def _worth(self, i: int, lots: int, ticks: Decimal, tick_value: int) -> int:
        """Value at a price as the ledger books it: linear, or ``-round(lots x M / price)`` for inverse contracts."""
        if KINDS[self.terms[i].kind] not in INVERSE_KINDS:
            return int(lots * ticks * tick_value)
        return -int((Decimal(lots * tick_value) / ticks).to_integral_value())

    def _wallets(self, minor: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """Cash per currency, and what a minor unit of each is worth in the account currency."""
        wallets = np.zeros((1, len(self.currencies)), np.int64)
        price: dict[str, Decimal] = {self.file.account.currency: Decimal(1)}
        for row in self.file.collateral:
            wallets[0, self.currencies.index(row.currency)] += int(row.amount * minor[row.currency])
            if row.price is not None:
                price[row.currency] = row.price
        for name in self.currencies:
            if name not in price:
                if name not in self.underlyings:
                    raise ConfigError.of(f"collateral.{name}.price", None, f"a price in {self.file.account.currency}")
                price[name] = self.underlyings[name].price
        account = minor[self.file.account.currency]
        units = [int(price[name] * account / minor[name] * (1 << 32)) for name in self.currencies]
        return wallets, np.array(units, np.int64)
