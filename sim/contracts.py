"""Contracts: what is traded, in which integer units, and the proof that no sum can overflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.errors import ConfigError
from sim.kernels.state import (
    CALL,
    CONTRACT,
    INVERSE_FUTURE,
    INVERSE_OPTION,
    INVERSE_PERPETUAL,
    LINEAR_FUTURE,
    LINEAR_OPTION,
    LINEAR_PERPETUAL,
    PRICED_ON_INDEX,
    PRICED_ON_MARK,
    PUT,
    RATE_ONE,
    SPOT,
    SUBTICKS,
)

KINDS = {
    "linear_perpetual": LINEAR_PERPETUAL,
    "linear_future": LINEAR_FUTURE,
    "inverse_perpetual": INVERSE_PERPETUAL,
    "inverse_future": INVERSE_FUTURE,
    "spot": SPOT,
    "linear_option": LINEAR_OPTION,
    "inverse_option": INVERSE_OPTION,
}
INVERSE_KINDS = (INVERSE_PERPETUAL, INVERSE_FUTURE)
OPTION_KINDS = (LINEAR_OPTION, INVERSE_OPTION)
OPTION_TYPES = {"call": CALL, "put": PUT}
PERPETUAL_KINDS = (LINEAR_PERPETUAL, INVERSE_PERPETUAL)
DATED_KINDS = (LINEAR_FUTURE, INVERSE_FUTURE, LINEAR_OPTION, INVERSE_OPTION)
PRICED_ON = {"index": PRICED_ON_INDEX, "mark": PRICED_ON_MARK}
OVERFLOW_BOUND = 1 << 62
DAYS_PER_YEAR = 365


def rate_to_units(rate: float) -> int:
    """A rate (0.02 for 2 %) in integer units of 2**-32, rounded to nearest."""
    return round(Fraction(rate) * RATE_ONE)


def rate_from_units(units: int) -> float:
    """The inverse of :func:`rate_to_units`."""
    return units / RATE_ONE


@dataclass(frozen=True, slots=True)
class Contract:
    """What is traded, and in which integer units.

    A fill of ``lots`` at ``ticks`` moves one integer value v between two accounts. Linear contracts, options and spot:
    ``v = ticks x lots x tick_value``. Inverse (coin-margined) contracts: ``v = round(lots x tick_value / ticks)`` minor
    units of the coin, so ``tick_value`` is then the value in minor units of one lot at a price of one tick.

    Attributes:
        name: unique in the market.
        kind: ``"linear_perpetual"``, ``"linear_future"``, ``"inverse_perpetual"``, ``"inverse_future"``, ``"spot"``,
            ``"linear_option"`` or ``"inverse_option"`` (European, premium and pay-off in the underlying coin).
        tick_size: price units per tick, for display and for price files.
        tick_value: minor units of the currency per tick and lot; a whole number.
        initial_price: price at step 0 in ticks.
        currency: settlement currency; of spot the currency in which it is quoted.
        max_lots: largest order and position, lots.
        max_price: largest price, ticks.
        price_band: orders priced through mark x (1 +- band) are refused; market orders trade up to it.
        fee_taker: fraction of value.
        fee_maker: fraction of value.
        fee_liquidation: fraction of the value of forced fills, paid to the insurance fund.
        funding_interval_steps: steps between funding payments of a perpetual, 0 for none.
        funding_interest: interest part of the funding rate per eight hours.
        funding_clamp: bound on (interest - premium) per eight hours.
        funding_periods: funding intervals in eight hours (N / 8 in the published formula).
        impact_lots: size whose average fill price is the impact price of the premium index.
        settle_interval_steps: steps between settlements of a future, 0 for none.
        underlying: what the contract is about; contracts of one underlying may offset. Default: the contract itself.
        lot_size: units of the underlying per lot (inverse: contracts' quote units per lot), for rules in units.
        base_currency: spot: the currency that is bought.
        base_lot: spot: minor units of ``base_currency`` per lot.
        strike: options: strike in price units of the underlying.
        option_type: options: ``"call"`` or ``"put"``.
        expiry_step: options and dated futures: step at whose end the contract settles for good, 0 for none.
        volatility: options: implied volatility per square root of a year at step 0.
        chain: options: the chain that they belong to, whose surface moves their volatility.
        listing_step: step after which the contract trades.
        settle_steps: steps up to expiry over which the final settlement price is averaged.
        priced_on: options and dated futures: ``"index"`` or ``"mark"`` of the underlying, on which options are valued
            and both settle.
        band_ticks: least half-width of the price band, ticks; a band in per cent alone shuts cheap options.
    """

    name: str
    kind: str = "linear_perpetual"
    tick_size: float = 1.0
    tick_value: int = 100
    initial_price: int = 5000
    currency: str = "USD"
    max_lots: int = 1_000_000
    max_price: int = 1 << 16
    price_band: float = 0.10
    fee_taker: float = 0.0
    fee_maker: float = 0.0
    fee_liquidation: float = 0.005
    funding_interval_steps: int = 0
    funding_interest: float = 0.0001
    funding_clamp: float = 0.0005
    funding_periods: int = 1
    impact_lots: int = 50
    settle_interval_steps: int = 0
    underlying: str = ""
    lot_size: float = 1.0
    base_currency: str = ""
    base_lot: int = 0
    strike: float = 0.0
    option_type: str = ""
    expiry_step: int = 0
    volatility: float = 0.0
    chain: str = ""
    listing_step: int = 0
    settle_steps: int = 1
    priced_on: str = "index"
    band_ticks: int = 0

    @property
    def is_inverse(self) -> bool:
        """True where value is lots x tick_value / price."""
        return KINDS[self.kind] in INVERSE_KINDS

    @property
    def is_option(self) -> bool:
        """True for options."""
        return KINDS[self.kind] in OPTION_KINDS

    @property
    def about(self) -> str:
        """Name of the underlying: as given, else the coin that is bought or settled in, else the contract itself."""
        if self.underlying or not (self.base_currency or self.is_inverse or self.kind == "inverse_option"):
            return self.underlying or self.name
        return self.base_currency or self.currency

    def value(self, lots: int, ticks: int) -> int:
        """What a fill moves, minor units of the settlement currency: exact, or rounded with halves up (inverse)."""
        if self.is_inverse:
            return (2 * lots * self.tick_value + ticks) // (2 * ticks)
        return lots * ticks * self.tick_value


def currencies_of(contracts: Sequence[Contract]) -> tuple[str, ...]:
    """Every currency by number: settlement currencies in the order of the contracts, then those that spot buys.

    Number 0, the settlement currency of the first contract, is the account currency.
    """
    base = [contract.base_currency for contract in contracts if contract.base_currency]
    return tuple(dict.fromkeys([contract.currency for contract in contracts] + base))


def chains_of(contracts: Sequence[Contract]) -> tuple[str, ...]:
    """Names of the option chains, in the order of their first contracts."""
    return tuple(dict.fromkeys(contract.chain for contract in contracts if contract.chain))


def references(contracts: Sequence[Contract]) -> list[int]:
    """For each contract the one whose index is the price of its underlying.

    That is the first spot contract or perpetual about the same underlying, else the first that is no option, else (an
    option alone) the contract itself.
    """
    found = []
    for number, contract in enumerate(contracts):
        same = [i for i, other in enumerate(contracts) if other.about == contract.about and not other.is_option]
        first = [i for i in same if KINDS[contracts[i].kind] == SPOT or KINDS[contracts[i].kind] in PERPETUAL_KINDS]
        found.append((first or same or [number])[0])
    return found


def exact(value: float) -> Fraction:
    """A number as it is written: 0.1 is one tenth."""
    return Fraction(repr(float(value)))


def strike_subticks(contract: Contract, reference: Contract) -> Fraction:
    """Strike in sub-ticks of the contract that prices the underlying; contracts need a whole number."""
    return exact(contract.strike) / exact(reference.tick_size) * SUBTICKS


def payoff(contract: Contract, reference: Contract) -> Fraction:
    """Minor units that an option lot pays per sub-tick of the reference (inverse: per coin), for ``final_value``."""
    if KINDS[contract.kind] == INVERSE_OPTION:
        return contract.tick_value / exact(contract.tick_size)
    return contract.tick_value * exact(reference.tick_size) / exact(contract.tick_size) / SUBTICKS


def exchange_rules(contracts: Sequence[Contract], account_minor: int) -> np.ndarray:
    """Where the rate of each currency against the account currency comes from, int64[K, 4] (``XR_*`` of the state).

    A spot contract between the two says it; else an inverse contract that settles in the currency, whose lot is worth
    ``lot_size`` units of the account currency.

    Args:
        contracts: the contracts.
        account_minor: minor units of the account currency per unit.

    Raises:
        ConfigError: nothing says what a currency is worth.
    """
    names = currencies_of(contracts)
    rules = np.zeros((len(names), 4), np.int64)
    for number, name in enumerate(names[1:], start=1):
        rule = _exchange_rule(contracts, name, names[0], account_minor)
        if rule is None:
            allowed = f"a market with a price for it: a spot contract between {name} and {names[0]}, or an inverse one"
            raise ConfigError.of("contracts.currency", name, allowed)
        rules[number] = rule
    return rules


def _exchange_rule(
    contracts: Sequence[Contract], name: str, account: str, account_minor: int
) -> tuple[int, int, int, int] | None:
    for i, contract in enumerate(contracts):
        if contract.kind == "spot" and (contract.base_currency, contract.currency) == (name, account):
            return i, contract.tick_value, SUBTICKS * contract.base_lot, 1
        if contract.kind == "spot" and (contract.base_currency, contract.currency) == (account, name):
            return i, SUBTICKS * contract.base_lot, contract.tick_value, -1
    for i, contract in enumerate(contracts):
        if contract.is_inverse and contract.currency == name:
            times = exact(contract.lot_size) * account_minor / (contract.tick_value * SUBTICKS)
            return i, times.numerator, times.denominator, 1
    return None


# columns of ``ContractTable.option_terms``
TERM_REFERENCE, TERM_STRIKE, TERM_PAYOFF, TERM_DIVISOR = range(4)


def _terms_of_options(contracts: Sequence[Contract]) -> np.ndarray:
    table = np.zeros((len(contracts), 4), np.int64)
    for row, contract, number in zip(table, contracts, references(contracts), strict=True):
        row[TERM_REFERENCE], row[TERM_DIVISOR] = number, 1
        if contract.is_option:
            paid = payoff(contract, contracts[number])
            row[TERM_STRIKE] = int(strike_subticks(contract, contracts[number]))
            row[TERM_PAYOFF], row[TERM_DIVISOR] = paid.numerator, paid.denominator
    return table


@dataclass(frozen=True, slots=True)
class ContractTable:
    """The contracts of a market as a margin model sees them.

    Attributes:
        names: contract names, length C.
        tick_value: int64[C], minor units per tick and lot (inverse: minor units of one lot at a price of one tick).
        initial_mark: int64[C], sub-ticks at step 0.
        dt_seconds: simulated seconds per step.
        steps_per_day: steps in a trading day.
        kind: int64[C], codes of :data:`KINDS`.
        tick_size: float64[C], price units per tick.
        lot_size: float64[C], units of the underlying per lot (inverse: quote units per lot).
        currencies: settlement currencies, length K; number 0 is the account currency, in which requirements stand.
        currency: int64[C], number of the settlement currency.
        underlyings: names, length U.
        underlying: int64[C], number of the underlying.
        strike: float64[C], price units; NaN where there is none.
        option: int64[C], 1 call, -1 put, 0 no option.
        minor: float64[K], minor units per unit of each currency, for display and for rules with absolute amounts.
        contract_lots: float64[C], lots per quoted contract, for rules with amounts per contract; none: a lot is one.
        option_terms: int64[C, 4], columns ``TERM_*``: the contract that prices the underlying; of options the strike in
            its sub-ticks, and the pay-off of a lot, ``payoff / divisor`` minor units per sub-tick (inverse: per coin).
            None where only terms in price units are known.
    """

    names: tuple[str, ...]
    tick_value: np.ndarray
    initial_mark: np.ndarray
    dt_seconds: float
    steps_per_day: int
    kind: np.ndarray
    tick_size: np.ndarray
    lot_size: np.ndarray
    currencies: tuple[str, ...]
    currency: np.ndarray
    underlyings: tuple[str, ...]
    underlying: np.ndarray
    strike: np.ndarray
    option: np.ndarray
    minor: np.ndarray
    contract_lots: np.ndarray | None = None
    option_terms: np.ndarray | None = None

    @property
    def inverse(self) -> np.ndarray:
        """True where value is lots x tick_value / price, bool[C]."""
        return np.isin(self.kind, INVERSE_KINDS)

    @property
    def is_option(self) -> np.ndarray:
        """True for options, bool[C]."""
        return self.option != 0

    @classmethod
    def of(
        cls,
        contracts: Sequence[Contract],
        dt_seconds: float,
        steps_per_day: int,
        minor_units: Mapping[str, int] | None = None,
    ) -> ContractTable:
        """Build the table from contracts; a currency has 100 minor units where nothing else is said."""
        currencies = currencies_of(contracts)
        underlyings = tuple(dict.fromkeys(contract.about for contract in contracts))
        options = [OPTION_TYPES.get(contract.option_type, 0) for contract in contracts]
        return cls(
            names=tuple(contract.name for contract in contracts),
            tick_value=np.array([contract.tick_value for contract in contracts], np.int64),
            initial_mark=np.array([contract.initial_price * SUBTICKS for contract in contracts], np.int64),
            dt_seconds=float(dt_seconds),
            steps_per_day=int(steps_per_day),
            kind=np.array([KINDS[contract.kind] for contract in contracts], np.int64),
            tick_size=np.array([contract.tick_size for contract in contracts], np.float64),
            lot_size=np.array([contract.lot_size for contract in contracts], np.float64),
            currencies=currencies,
            currency=np.array([currencies.index(contract.currency) for contract in contracts], np.int64),
            underlyings=underlyings,
            underlying=np.array([underlyings.index(c.about) for c in contracts], np.int64),
            strike=np.array([c.strike if o else np.nan for c, o in zip(contracts, options, strict=True)]),
            option=np.array(options, np.int64),
            minor=np.array([float((minor_units or {}).get(name, 100)) for name in currencies]),
            option_terms=_terms_of_options(contracts),
        )


def overflow_product(max_lots: int, max_price: int, tick_value: int, contracts: int, accounts: int) -> int:
    """The product that must stay below 2**62 so that no money sum can overflow a signed 64-bit integer.

    Of an inverse contract pass a price of 1: its value is largest at the smallest mark, a sixteenth of a tick.
    """
    return int(max_lots) * int(max_price) * int(tick_value) * SUBTICKS * int(contracts) * int(accounts)


def contract_records(
    contracts: Sequence[Contract], steps_per_day: int = 1440, interest_rate: float = 0.0
) -> np.ndarray:
    """Contracts as the record array of the state."""
    table = np.zeros(len(contracts), CONTRACT)
    currencies = {name: i for i, name in enumerate(currencies_of(contracts))}
    chains = chains_of(contracts)
    for row, contract, reference in zip(table, contracts, references(contracts), strict=True):
        row["kind"] = KINDS[contract.kind]
        row["currency"] = currencies[contract.currency]
        row["tick_value"] = contract.tick_value
        row["max_lots"] = contract.max_lots
        row["max_price"] = contract.max_price
        row["band"] = rate_to_units(contract.price_band)
        row["fee_taker"] = rate_to_units(contract.fee_taker)
        row["fee_maker"] = rate_to_units(contract.fee_maker)
        row["fee_liquidation"] = rate_to_units(contract.fee_liquidation)
        row["funding_interval"] = contract.funding_interval_steps
        row["funding_interest"] = rate_to_units(contract.funding_interest)
        row["funding_clamp"] = rate_to_units(contract.funding_clamp)
        row["funding_periods"] = contract.funding_periods
        row["impact_lots"] = contract.impact_lots
        row["settle_interval"] = contract.settle_interval_steps
        row["base_currency"] = currencies.get(contract.base_currency, 0)
        row["base_lot"] = contract.base_lot
        row["reference"] = reference
        row["expiry"] = contract.expiry_step
        row["years_per_step"] = 1.0 / (DAYS_PER_YEAR * steps_per_day)
        row["interest_rate"] = interest_rate
        row["priced_on"] = PRICED_ON[contract.priced_on]
        row["chain"] = chains.index(contract.chain) if contract.chain else -1
        row["listing"] = contract.listing_step
        row["settle_window"] = max(contract.settle_steps, 1)
        row["band_least"] = contract.band_ticks * SUBTICKS
        if contract.is_option:
            _option_terms(row, contract, contracts[reference])
    return table


def _option_terms(row: np.ndarray, contract: Contract, reference: Contract) -> None:
    """Strike, pay-off and volatility of an option, in the units of the contract that prices its underlying."""
    strike, paid = strike_subticks(contract, reference), payoff(contract, reference)
    if strike.denominator != 1 or strike <= 0:
        raise ConfigError.of(
            f"contracts.{contract.name}.strike", contract.strike,
            f"a multiple of a sixteenth of {reference.name}'s tick_size {reference.tick_size}",
        )  # fmt: skip
    row["option"] = OPTION_TYPES[contract.option_type]
    row["strike"] = int(strike)
    row["payoff"], row["divisor"] = paid.numerator, paid.denominator
    row["volatility"] = contract.volatility
    ticks = exact(contract.tick_size)
    inverse = KINDS[contract.kind] == INVERSE_OPTION
    row["premium_scale"] = float(SUBTICKS / ticks if inverse else exact(reference.tick_size) / ticks)
