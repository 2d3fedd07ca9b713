"""A portfolio in plain units, and its translation into the integers that margin rules work on.

The same rules serve the simulated market and a portfolio file: :meth:`Portfolio.snapshot` chooses ticks, lots and minor
units fine enough to hold every number of the file exactly, so that the calculator asks the very evaluators that the
market asks.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from sim.contracts import INVERSE_KINDS, KINDS, OPTION_KINDS, ContractTable
from sim.errors import ConfigError, Problem
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels.state import SUBTICKS
from sim.problems import from_validation


def _not_zero(value: Decimal) -> Decimal:
    if value == 0:
        raise ValueError("a number that is not zero")
    return value


_ANY, _ABOVE = WithJsonSchema({"type": "number"}), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
Amount = Annotated[Decimal, Field(allow_inf_nan=False), _ANY]
PositiveAmount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False), _ABOVE]
Size = Annotated[Decimal, Field(allow_inf_nan=False), AfterValidator(_not_zero), _ANY]
Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Kind = Literal[
    "linear_perpetual", "linear_future", "inverse_perpetual", "inverse_future", "spot", "linear_option",
    "inverse_option",
]  # fmt: skip


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnderlyingTerms(_Table):
    """``[[underlyings]]``: what contracts are about."""

    name: Name = Field(description="unique")
    price: PositiveAmount = Field(description="spot or index price")
    daily_volatility: float | None = Field(
        None, gt=0.0, allow_inf_nan=False,
        description="forecast, per square root of a day; default: root mean square of the returns",
    )  # fmt: skip
    volatility: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="default implied volatility, per square root of a year"
    )
    spread: float = Field(0.0, ge=0.0, allow_inf_nan=False, description="best ask less best bid, price units")
    daily_volume: float | None = Field(None, gt=0.0, allow_inf_nan=False, description="units traded per day")
    open_interest: float | None = Field(
        None, ge=0.0, allow_inf_nan=False, description="units open in the contract's market"
    )
    asset_class: str = Field("", description="for rules by class: broad_index, narrow_index, equity, crypto ...")
    returns: tuple[Number, ...] = Field((), description="daily log returns, oldest first, for historical rules")


class ContractTerms(_Table):
    """``[[contracts]]``: what can be held."""

    name: Name = Field(description="unique")
    kind: Kind = Field("linear_perpetual", description="linear: settled in the quote currency; inverse: in the coin")
    underlying: Name = Field(description="name of one of the underlyings; contracts of one may offset")
    mark: PositiveAmount | None = Field(None, description="default: the underlying's price; options: Black-76")
    forward: PositiveAmount | None = Field(None, description="forward price at expiry; default: the spot price")
    multiplier: PositiveAmount = Field(Decimal(1), description="units (inverse: quote units) per contract")
    currency: Name = Field("", description="settlement currency; default USD, inverse contracts: the underlying coin")
    fee_taker: float = Field(
        0.0, ge=0.0, lt=1.0, description="of value, for closing; kept back at liquidation and bankruptcy prices"
    )
    strike: PositiveAmount | None = Field(None, description="options: strike")
    option_type: Literal["call", "put"] | None = Field(None, description="options: right to buy or to sell")
    days_to_expiry: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="options, dated futures: days of 24 hours"
    )
    expiry: datetime.date | None = Field(None, description="date, with the portfolio's valuation date")
    volatility: float | None = Field(
        None,
        gt=0.0,
        allow_inf_nan=False,
        description="options: implied, per square root of a year; default: the underlying's, or that of the mark",
    )

    @model_validator(mode="before")
    @classmethod
    def _settlement_currency(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("currency") or not isinstance(given.get("kind", ""), str):
            return given
        coin = given.get("kind", "").startswith("inverse")
        return {**given, "currency": given.get("underlying") if coin else "USD"}

    @property
    def is_option(self) -> bool:
        """True for options."""
        return KINDS[self.kind] in OPTION_KINDS

    @property
    def is_inverse(self) -> bool:
        """True for inverse perpetuals and futures: value is size over price (inverse options count like linear)."""
        return KINDS[self.kind] in INVERSE_KINDS

    @model_validator(mode="after")
    def _option_terms(self) -> ContractTerms:
        option = self.is_option
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

    contract: Name = Field(description="name of a contract; each is held once")
    size: Size = Field(description="signed number of contracts; negative is short")
    entry: PositiveAmount | None = Field(None, description="average entry price; default: the mark")
    margin: Amount | None = Field(
        None, description="isolated: cash in the position's pocket, settlement currency; cross: cash like any other"
    )
    leverage: PositiveAmount | None = Field(None, description="chosen leverage; isolated: sets the pocket at entry")

    @model_validator(mode="after")
    def _one_pocket(self) -> PositionTerms:
        if self.margin is not None and self.leverage is not None:
            raise ValueError("one of margin, leverage")
        return self


class OrderTerms(_Table):
    """``[[orders]]``: open orders."""

    contract: Name = Field(description="name of a contract")
    side: Literal["buy", "sell"] = Field(description="of the order")
    size: PositiveAmount = Field(description="number of contracts still open")
    price: PositiveAmount | None = Field(None, description="limit; default: the mark")


class CollateralTerms(_Table):
    """``[[collateral]]``: cash and coins that margin the account."""

    currency: Name = Field(description="of the amount")
    amount: Amount = Field(description="units of it; negative is owed")
    price: PositiveAmount | None = Field(
        None, description="in the account currency; default: 1 for that itself, a coin's its underlying's"
    )
    haircut: float = Field(
        0.0, ge=0.0, le=1.0, allow_inf_nan=False, description="part of its value that does not count"
    )


class AccountTerms(_Table):
    """``[account]``: who holds it."""

    currency: Name | None = Field(
        None,
        description="currency in which requirements stand; default: that of all contracts, or USD where they differ",
    )
    mm_basis: Literal["mark", "entry"] = Field(
        "mark", description="maintenance of positions at their marks, or at their entry prices (Bybit isolated)"
    )
    features: dict[str, Number] = Field(
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
        prices: units of the account currency per unit of each currency of the contract table.
    """

    contracts: ContractTable
    market: StaticMarket
    portfolio: PortfolioView
    lot: tuple[Decimal, ...]
    tick: tuple[Decimal, ...]
    minor: int
    prices: tuple[Decimal, ...]


class Portfolio(_Table):
    """A portfolio file: contracts, marks, volatilities, positions, orders, collateral."""

    regime: str | None = Field(None, description="margin regime, when the command names none")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the regime")
    date: datetime.date | None = Field(None, description="valuation date, for expiries given as dates")
    interest_rate: Number = Field(0.0, description="continuously compounded, per year")
    account: AccountTerms = Field(default_factory=AccountTerms)
    underlyings: tuple[UnderlyingTerms, ...] = Field(min_length=1, description="what contracts are about")
    contracts: tuple[ContractTerms, ...] = Field(min_length=1, description="what can be held")
    positions: tuple[PositionTerms, ...] = Field((), description="what is held")
    orders: tuple[OrderTerms, ...] = Field((), description="open orders")
    collateral: tuple[CollateralTerms, ...] = Field((), description="cash and coins that margin the account")

    @property
    def currency(self) -> str:
        """Account currency: as given, else the one in which all contracts settle, else USD."""
        if self.account.currency is not None:
            return self.account.currency
        settled = {one.currency for one in self.contracts}
        return settled.pop() if len(settled) == 1 else "USD"

    def snapshot(self, *, strict: bool = True) -> Snapshot:
        """The portfolio in integer units, as margin rules see it.

        Args:
            strict: refuse numbers that leave a mark no room in 64 bits; otherwise round it.

        Raises:
            ConfigError: names do not fit together, an expiry lies in the past, or the numbers span too many digits.
        """
        from margin.portfolio_units import build

        return build(self, strict=strict)


def read(path: str | Path) -> dict[str, Any]:
    """The tables of a portfolio file; decimal fractions keep every digit (Decimal).

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    file = Path(path)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError.of("PORTFOLIO", str(path), f"a TOML file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError.of("byte", error.start, "text in UTF-8", file=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError.of("syntax", str(error), "TOML (https://toml.io)", file=str(path)) from None


def parse(raw: Mapping[str, Any], file: str = "") -> Portfolio:
    """Check a portfolio.

    Args:
        raw: the tables, as a file or a Python dict gives them.
        file: what messages call it.

    Raises:
        ConfigError: with every problem.
    """
    given = {key: _floats(value) if key in ("params", "account") else value for key, value in raw.items()}
    try:
        portfolio = Portfolio.model_validate(given)
    except ValidationError as error:
        problems = from_validation(error, Portfolio, given, file=file)
        raise ConfigError(_with_places(problems, given)) from None
    return portfolio


def load(source: Portfolio | Mapping[str, Any] | str | Path) -> Portfolio:
    """A portfolio from a file, a dict of the same shape, or as it is.

    Raises:
        ConfigError: with every problem.
    """
    if isinstance(source, Portfolio):
        return source
    if isinstance(source, Mapping):
        return parse(source)
    return parse(read(source), str(source))


def _floats(value: Any) -> Any:
    """Parameters are plain floats, whatever the file was parsed with."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {key: _floats(item) for key, item in value.items()}
    return [_floats(item) for item in value] if isinstance(value, list) else value


def _with_places(problems: list[Problem], given: Mapping[str, Any]) -> list[Problem]:
    """Rules about a whole table show the name of its row in place of a table.

    A list is not called too short because of what is wrong in its rows.
    """
    shown = []
    for problem in problems:
        if any(other.key.startswith(f"{problem.key}.") for other in problems):
            continue
        value = float(problem.value) if isinstance(problem.value, Decimal) else problem.value
        if value == "a table":
            key, _, row = problem.key.partition(".")
            rows = given.get(key)
            if isinstance(rows, list) and row.isdigit() and int(row) < len(rows):
                value = rows[int(row)].get("contract", value)
            elif row:
                value = row
        shown.append(Problem(problem.file, problem.key, value, problem.allowed))
    return shown
