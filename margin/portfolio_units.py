"""From a portfolio in plain units to integers: ticks, lots and minor units as fine as 64 bits hold.

Each currency gets the finest minor unit (at most 10 decimals) that leaves every value times 2**14 below 2**61, which is
what scenario grids (2**10 lots) and their sums need; a coin's minor unit is worth about as much as one of the account
currency. Each contract then gets the finest tick for which a tick of a lot is a whole number of minor units. Marks of a
file are exact unless they have more digits than that leaves; a mark is never off by more than a millionth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sim.contracts import (
    KINDS,
    OPTION_TYPES,
    TERM_DIVISOR,
    TERM_PAYOFF,
    TERM_REFERENCE,
    TERM_STRIKE,
    ContractTable,
)
from sim.errors import ConfigError, Problem
from sim.interfaces import PortfolioView
from sim.kernels.state import SPOT, SUBTICKS

if TYPE_CHECKING:
    from margin.portfolio import ContractTerms, OrderTerms, Portfolio, PositionTerms, Snapshot, StaticMarket

DIGITS_MAX = 10  # finest minor unit, decimal places
SIZE_DIGITS_MAX = 8
_VALUE_BITS = 47  # 61 bits less 2**10 lots and 2**4 sub-ticks
_BOOKED = 1 << 8
_MARK_DIGITS = 14  # a mark in sub-ticks is exact as float64
_MARK_DIGITS_LEAST = 7
_MARK_ERROR = Decimal("1e-6")
_RATE_ONE = 1 << 32
_PRODUCT_MAX = 1 << 60


def build(portfolio: Portfolio, *, strict: bool = True) -> Snapshot:
    """The portfolio in integer units.

    Args:
        portfolio: the file.
        strict: refuse numbers that leave a mark no room; otherwise round it.

    Raises:
        ConfigError: names do not fit together, something is missing, or the numbers span too many digits.
    """
    return _Builder(portfolio, strict=strict).build()


def option_value(portfolio: Portfolio, terms: ContractTerms, volatility: float | None = None) -> float:
    """Black-76 value of an option in price units of its contract (an inverse option: in the coin).

    Args:
        portfolio: for the underlying's price, the valuation date and interest.
        terms: the option.
        volatility: implied; default that of the file.
    """
    return _Builder(portfolio, check=False).option_value(terms, volatility)


def volatility_of_mark(portfolio: Portfolio, terms: ContractTerms) -> float | None:
    """Volatility at which Black-76 gives the mark of an option whose mark is given; None if none does."""
    return _Builder(portfolio, check=False).volatility_of_mark(terms)


def marks(portfolio: Portfolio) -> dict[str, Decimal]:
    """Mark of every contract: as given, or derived from its underlying."""
    builder = _Builder(portfolio)
    return dict(zip(builder.number, builder.marks, strict=True))


def years_to_expiry(portfolio: Portfolio, terms: ContractTerms) -> float:
    """Years of 365 days; inf where there is no expiry.

    Raises:
        ConfigError: a date in the past, or no valuation date.
    """
    if terms.days_to_expiry is not None:
        return terms.days_to_expiry / 365.0
    if terms.expiry is None:
        return float("inf")
    if portfolio.date is None:
        raise ConfigError.of("date", None, "a valuation date, since contracts give their expiry as a date")
    days = (terms.expiry - portfolio.date).days
    if days <= 0:
        raise ConfigError.of(f"contracts.{terms.name}.expiry", str(terms.expiry), f"a date after {portfolio.date}")
    return days / 365.0


def currency_prices(portfolio: Portfolio) -> dict[str, Decimal]:
    """Units of the account currency per unit of every currency of the portfolio, the account's first.

    A collateral's own price counts; else a coin is worth its underlying's price, in the account currency or, where the
    account stands in a coin itself, over that coin's price.

    Raises:
        ConfigError: a currency has no price.
    """
    account = portfolio.currency
    names = dict.fromkeys(
        [account, *(one.currency for one in portfolio.contracts), *(row.currency for row in portfolio.collateral)]
    )
    spot = {one.name: one.price for one in portfolio.underlyings}
    given = {row.currency: row.price for row in portfolio.collateral if row.price is not None}
    settled = {one.currency for one in portfolio.contracts}
    quote = spot.get(account, Decimal(1))
    prices: dict[str, Decimal] = {}
    problems = []
    for name in names:
        if name == account:
            prices[name] = Decimal(1)
        elif name in given:
            prices[name] = given[name]
        elif name in spot:
            prices[name] = spot[name] / quote
        elif account in spot and name in settled:
            prices[name] = 1 / quote
        else:
            place = next((i for i, row in enumerate(portfolio.collateral) if row.currency == name), None)
            key = f"collateral.{place}.price" if place is not None else "collateral"
            allowed = f"a price of {name} in {account} (collateral of that currency), or an underlying named {name}"
            problems.append(Problem("", key, None, allowed))
    if problems:
        raise ConfigError(problems)
    return prices


def _decimals(value: Decimal) -> int:
    """Decimal places that hold a value exactly."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def _log10(value: Decimal) -> float:
    return float(value.log10()) if value > 0 else -math.inf


class _Builder:
    def __init__(self, portfolio: Portfolio, check: bool = True, strict: bool = True) -> None:
        self.file = portfolio
        self.strict = strict
        self.underlyings = {one.name: one for one in portfolio.underlyings}
        self.terms = portfolio.contracts
        self.number = {one.name: i for i, one in enumerate(portfolio.contracts)}
        if check:
            self._check_names()
            self.prices = currency_prices(portfolio)
            self.marks = [self._mark(one) for one in self.terms]
            self.currencies = list(self.prices)

    def _check_names(self) -> None:
        file, problems = self.file, []
        for key, names in (
            ("underlyings", [one.name for one in file.underlyings]),
            ("contracts", [one.name for one in file.contracts]),
            ("positions", [row.contract for row in file.positions]),
        ):
            for name in {name for name in names if names.count(name) > 1}:
                allowed = "a contract that is held once" if key == "positions" else "a name that is given once"
                problems.append(Problem("", f"{key}.{name}", name, allowed))
        for one in file.contracts:
            if one.underlying not in self.underlyings:
                allowed = "one of " + ", ".join(self.underlyings)
                problems.append(Problem("", f"contracts.{one.name}.underlying", one.underlying, allowed))
        held: list[tuple[str, Sequence[PositionTerms | OrderTerms]]] = [
            ("positions", file.positions),
            ("orders", file.orders),
        ]
        for key, rows in held:
            for i, row in enumerate(rows):
                if row.contract not in self.number:
                    allowed = "one of " + ", ".join(self.number)
                    problems.append(Problem("", f"{key}.{i}.contract", row.contract, allowed))
                elif _decimals(row.size) > SIZE_DIGITS_MAX:
                    allowed = f"at most {SIZE_DIGITS_MAX} decimals"
                    problems.append(Problem("", f"{key}.{i}.size", str(row.size), allowed))
        if not file.positions and not file.orders:
            problems.append(Problem("", "positions", [], "at least one position or order"))
        if problems:
            raise ConfigError(problems)

    def volatility(self, one: ContractTerms) -> float:
        """Implied volatility of an option: its own, the underlying's, or that of its mark."""
        found = one.volatility if one.volatility is not None else self.underlyings[one.underlying].volatility
        if found is None and one.mark is not None:
            found = self.volatility_of_mark(one)
        if found is None:
            allowed = "an implied volatility above 0 (or a mark that implies one)"
            raise ConfigError.of(f"contracts.{one.name}.volatility", None, allowed)
        return found

    def volatility_of_mark(self, one: ContractTerms) -> float | None:
        """Volatility at which Black-76 gives an option's mark; None if none does."""
        from sim.kernels.black76 import implied_volatility

        years, forward = years_to_expiry(self.file, one), self.forward(one)
        scale = forward if one.kind == "inverse_option" else 1.0 / self._discount(years)
        side = OPTION_TYPES[one.option_type or ""]
        found = float(implied_volatility(side, float(one.mark or 0) * scale, forward, float(one.strike or 0), years))
        return found if found > 0.0 else None

    def forward(self, one: ContractTerms) -> float:
        """Forward price at expiry."""
        return float(one.forward if one.forward is not None else self.underlyings[one.underlying].price)

    def option_value(self, one: ContractTerms, volatility: float | None = None) -> float:
        """Black-76, discounted where the premium is in the quote currency."""
        from sim.kernels.black76 import black76

        years, strike = years_to_expiry(self.file, one), float(one.strike or 0)
        side = OPTION_TYPES[one.option_type or ""]
        used = self.volatility(one) if volatility is None else volatility
        price = float(black76(side, self.forward(one), strike, years, used))
        return price / self.forward(one) if one.kind == "inverse_option" else price * self._discount(years)

    def _discount(self, years: float) -> float:
        return math.exp(-self.file.interest_rate * years)

    def _mark(self, one: ContractTerms) -> Decimal:
        if one.mark is not None:
            return one.mark
        if not one.is_option:
            return one.forward if one.forward is not None else self.underlyings[one.underlying].price
        return Decimal(repr(self.option_value(one)))

    def _sizes(self, i: int) -> list[Decimal]:
        name = self.terms[i].name
        rows: list[PositionTerms | OrderTerms] = [*self.file.positions, *self.file.orders]
        return [row.size for row in rows if row.contract == name]

    def _gross(self, i: int) -> Decimal:
        """Largest value that the contract's rows can have, settlement currency."""
        one, name = self.terms[i], self.terms[i].name
        seen = [self.marks[i], self.underlyings[one.underlying].price if one.is_option else self.marks[i]]
        if one.kind == "inverse_option":
            seen = [Decimal(1)]
        booked = [row.entry for row in self.file.positions if row.contract == name and row.entry is not None]
        booked += [row.price for row in self.file.orders if row.contract == name and row.price is not None]
        # what is booked at other prices enters sums, not grids
        seen += [price * _BOOKED if one.is_inverse else price / _BOOKED for price in booked]
        units = max(sum(map(abs, self._sizes(i)), Decimal(0)), Decimal(1)) * one.multiplier
        return units / min(seen) if one.is_inverse else units * max(seen)

    def _digits(self) -> dict[str, int]:
        """Decimal places of each currency."""
        gross = dict.fromkeys(self.currencies, Decimal(1))
        for i, one in enumerate(self.terms):
            gross[one.currency] += self._gross(i)
        for row in self.file.collateral:
            gross[row.currency] += abs(row.amount)
        for held in self.file.positions:
            gross[self.terms[self.number[held.contract]].currency] += abs(held.margin or Decimal(0))
        total = sum((gross[name] * self.prices[name] for name in self.currencies), Decimal(0))
        budget = _VALUE_BITS * math.log10(2.0)
        account = min(DIGITS_MAX, math.floor(budget - _log10(total)))
        found = {}
        for name in self.currencies:
            level = account + math.floor(_log10(self.prices[name]))
            found[name] = max(0, min(DIGITS_MAX, level, math.floor(budget - _log10(gross[name]))))
        for i, one in enumerate(self.terms):
            if one.is_inverse:  # a coin's decimals leave the mark its own
                room = self._inverse_digits(i) - math.ceil(_MARK_DIGITS_LEAST - _log10(self.marks[i]))
                found[one.currency] = max(0, min(found[one.currency], room))
        return found

    def _inverse_digits(self, i: int) -> int:
        """Decimals of the coin and of the tick together, so that lots x tick value stays below 2**57."""
        units = max(sum(map(abs, self._sizes(i)), Decimal(0)), Decimal(1)) * self.terms[i].multiplier
        return math.floor(57 * math.log10(2.0) - _log10(units))

    def _tick_digits(self, i: int, size_digits: int, digits: int) -> int:
        """Decimal places of a contract's tick; raises where the mark would be too coarse."""
        one, mark = self.terms[i], self.marks[i]
        lot_digits = size_digits + _decimals(one.multiplier)
        if one.is_inverse:
            finest = self._inverse_digits(i) - digits
            enough = finest + digits >= lot_digits  # a tick of a lot is a whole number
        else:
            finest, enough = digits - lot_digits, True
        finest = min(finest, math.floor(_MARK_DIGITS - max(_log10(mark), 0.0)))
        tick = Decimal(1).scaleb(-finest)
        off = abs(Decimal(round(mark / tick * SUBTICKS)) * tick / SUBTICKS - mark)
        scale = self.underlyings[one.underlying].price if one.is_option and one.kind != "inverse_option" else mark
        if one.kind == "inverse_option":
            scale = Decimal(1)
        if not enough or (self.strict and off > _MARK_ERROR * scale):
            allowed = "fewer decimals of mark, size and multiplier for a portfolio as large as this"
            raise ConfigError.of(f"contracts.{one.name}", one.name, allowed)
        return finest

    def build(self) -> Snapshot:
        """Put the arrays together."""
        from margin.portfolio import Snapshot

        terms = self.terms
        digits = self._digits()
        minor = {name: 10 ** digits[name] for name in self.currencies}
        sizes = [max(map(_decimals, self._sizes(i)), default=0) for i in range(len(terms))]
        lot = [Decimal(1).scaleb(-places) for places in sizes]
        tick = [Decimal(1).scaleb(-self._tick_digits(i, sizes[i], digits[one.currency])) for i, one in enumerate(terms)]
        tick_value = [
            int(lot[i] * one.multiplier * minor[one.currency] * (1 / tick[i] if one.is_inverse else tick[i]))
            for i, one in enumerate(terms)
        ]
        names = list(dict.fromkeys(one.underlying for one in terms))
        marks = [max(1, round(m / t * SUBTICKS)) for m, t in zip(self.marks, tick, strict=True)]
        option_terms, underlying = self._option_terms(lot, minor)
        table = ContractTable(
            names=tuple(one.name for one in terms),
            tick_value=np.array(tick_value, np.int64),
            initial_mark=np.array(marks, np.int64),
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
            option_terms=option_terms,
        )
        view = self._portfolio(table, lot, minor)
        view.underlying = underlying
        prices = tuple(self.prices[name] for name in self.currencies)
        return Snapshot(table, self._market(table), view, tuple(lot), tuple(tick), minor[self.file.currency], prices)

    def _reference(self, i: int) -> int:
        """The first contract on the same underlying that is no option, else the contract itself."""
        about = self.terms[i].underlying
        return next((k for k, one in enumerate(self.terms) if one.underlying == about and not one.is_option), i)

    def _payoff(self, i: int, places: int, lot: list[Decimal], minor: dict[str, int]) -> Fraction:
        """Minor units that a lot of an option pays per unit of its underlying's price (inverse: per coin)."""
        one = self.terms[i]
        paid = Fraction(lot[i] * one.multiplier * minor[one.currency])
        return paid if one.kind == "inverse_option" else paid / 10**places

    def _places(self, i: int, lot: list[Decimal], minor: dict[str, int]) -> int:
        """Decimal places in which an option's strike and its underlying's price are counted, as many as 64 bits hold.

        Raises:
            ConfigError: the strike has more.
        """
        one = self.terms[i]
        strike, price = one.strike or Decimal(0), self.underlyings[one.underlying].price
        largest = max(strike, price)
        places = min(max(_decimals(strike), _decimals(price)), math.floor(_MARK_DIGITS - max(_log10(largest), 0.0)))
        while places > _decimals(strike):
            paid = self._payoff(i, places, lot, minor)
            if max(paid.numerator, paid.denominator * int(largest * 10**places)) < _PRODUCT_MAX:
                break
            places -= 1
        if places < _decimals(strike):
            allowed = "fewer decimals for a portfolio as large as this"
            raise ConfigError.of(f"contracts.{one.name}.strike", str(strike), allowed)
        return places

    def _option_terms(self, lot: list[Decimal], minor: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """Strikes and pay-offs in whole numbers (``ContractTable.option_terms``), and underlyings in the same units."""
        table = np.zeros((len(self.terms), 4), np.int64)
        prices = np.ones(len(self.terms), np.int64)
        for i, one in enumerate(self.terms):
            table[i, TERM_REFERENCE], table[i, TERM_DIVISOR] = self._reference(i), 1
            if not one.is_option:
                continue
            places = self._places(i, lot, minor)
            paid = self._payoff(i, places, lot, minor)
            table[i, TERM_STRIKE] = int((one.strike or Decimal(0)) * 10**places)
            table[i, TERM_PAYOFF], table[i, TERM_DIVISOR] = paid.numerator, paid.denominator
            prices[i] = max(1, round(self.underlyings[one.underlying].price * 10**places))
        return table, prices

    def _market(self, table: ContractTable) -> StaticMarket:
        from margin.portfolio import StaticMarket

        under = [self.underlyings[one.underlying] for one in self.terms]
        returns = [one.returns for one in under]
        window = min((len(one) for one in returns), default=0)
        history = np.array([one[len(one) - window :] for one in returns]).T if window else np.zeros((0, len(under)))
        measured = [math.sqrt(sum(r * r for r in own) / len(own)) if own else math.nan for own in returns]
        price = np.array([float(one.price) for one in under])
        # an inverse lot is a number of quote units
        units = np.where(table.inverse, price, 1.0) / table.lot_size
        return StaticMarket(
            contracts=table,
            mark=table.initial_mark.copy(),
            spot=price,
            forward=np.array([self.forward(one) for one in self.terms]),
            implied_volatility=np.array([self.volatility(one) if one.is_option else np.nan for one in self.terms]),
            time_to_expiry=np.array([years_to_expiry(self.file, one) for one in self.terms]),
            daily_volatility=np.array([one.daily_volatility or m for one, m in zip(under, measured, strict=True)]),
            spread=np.array([one.spread for one in under]),
            volume=np.array([(one.daily_volume or 0.0) for one in under]) * units,
            open_interest=np.array([(one.open_interest or 0.0) for one in under]) * units,
            interest_rate=self.file.interest_rate,
            history=history,
            asset_class=tuple(one.asset_class for one in under),
        )

    def _portfolio(self, table: ContractTable, lot: list[Decimal], minor: dict[str, int]) -> PortfolioView:
        count = len(self.terms)
        arrays = {name: np.zeros((1, count), np.int64) for name in ("lots", "cost", "buy", "sell", "lb", "ls")}
        pockets = np.zeros((1, count), np.int64)
        for row in self.file.positions:
            i = self.number[row.contract]
            unit = minor[self.terms[i].currency]
            arrays["lots"][0, i] = int(row.size / lot[i])
            worth = self._worth(i, row.size, row.entry if row.entry is not None else self.marks[i], unit)
            # premium and coins were paid for: their whole value counts
            paid = self.terms[i].is_option or KINDS[self.terms[i].kind] == SPOT
            arrays["cost"][0, i] = 0 if paid else worth
            if row.margin is not None:
                pockets[0, i] = round(row.margin * unit)
            elif row.leverage is not None:
                pockets[0, i] = -int(-Decimal(abs(worth)) // row.leverage)
        for order in self.file.orders:
            i = self.number[order.contract]
            sign = 1 if order.side == "buy" else -1
            unit = minor[self.terms[i].currency]
            price = order.price if order.price is not None else self.marks[i]
            own = self._worth(i, sign * order.size, price, unit) - self._worth(
                i, sign * order.size, self.marks[i], unit
            )
            arrays["buy" if sign > 0 else "sell"][0, i] += int(order.size / lot[i])
            arrays["lb" if sign > 0 else "ls"][0, i] += max(own, 0)
        wallets = np.zeros((1, len(self.currencies)), np.int64)
        for holding in self.file.collateral:
            wallets[0, self.currencies.index(holding.currency)] += round(holding.amount * minor[holding.currency])
        account = minor[self.file.currency]
        units = [int(self.prices[name] * account / minor[name] * _RATE_ONE) for name in self.currencies]
        return PortfolioView(
            contracts=table, mark=table.initial_mark.copy(), lots=arrays["lots"], cost=arrays["cost"],
            cash=np.concatenate([wallets[:, :1], pockets], axis=1),
            open_buy=arrays["buy"], open_sell=arrays["sell"], loss_buy=arrays["lb"], loss_sell=arrays["ls"],
            wallets=wallets, conversion=np.array(units, np.int64),
            features={key: np.array([value]) for key, value in self.file.account.features.items()},
        )  # fmt: skip

    def _worth(self, i: int, size: Decimal, price: Decimal, unit: int) -> int:
        """Value at a price as the ledger books it: linear, or ``-round(size x multiplier / price)`` inverse."""
        amount = size * self.terms[i].multiplier * unit
        return -round(amount / price) if self.terms[i].is_inverse else round(amount * price)
