"""Charges that depend on the size of a position: leverage tiers, steps of the rate, rates linear in size.

Parameter models in plain units, and the integer tables (:mod:`sim.kernels.schedule`) that market and calculator read.
Values are those of one position at mark, in its settlement currency: the quote currency of linear contracts, the coin
of inverse ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from margin.parameters import (
    NonNegative,
    NonNegativePerContract,
    Parameters,
    Positive,
    PositivePerContract,
    Rate,
    RatePerContract,
    at_least_everywhere,
    per_contract,
)
from sim.contracts import TERM_REFERENCE, ContractTable
from sim.errors import ConfigError
from sim.kernels import schedule as k
from sim.kernels.codes import SCHEDULE_COLUMNS
from sim.kernels.state import RATE_ONE
from sim.schedules import growing, rebased

Leverage = Annotated[float, Field(ge=1.0, allow_inf_nan=False)]
_LARGEST = 1 << 62


class Tier(Parameters):
    """A range of position values with its rates."""

    floor: NonNegative = Field(description="value above which the tier holds, settlement currency; of the first: 0")
    cap: Positive | None = Field(None, description="value up to which it holds; default: the next floor")
    max_leverage: Leverage | None = Field(None, description="largest leverage; the initial rate is one over it")
    initial: Rate | None = Field(None, description="initial rate, instead of max_leverage")
    maintenance: Rate | None = Field(None, description="maintenance rate; default: maintenance_ratio x initial")

    @model_validator(mode="after")
    def _one_initial(self) -> Tier:
        if (self.max_leverage is None) == (self.initial is None):
            raise ValueError("exactly one of max_leverage, initial")
        return self

    @property
    def initial_rate(self) -> Fraction:
        """Initial rate without regard to a chosen leverage."""
        return 1 / exact(self.max_leverage) if self.max_leverage is not None else exact(self.initial or 0.0)

    def maintenance_rate(self, ratio: float) -> Fraction:
        """Maintenance rate; ``ratio`` times the initial rate where the tier names none."""
        return exact(self.maintenance) if self.maintenance is not None else exact(ratio) * self.initial_rate


def exact(number: float) -> Fraction:
    """The decimal number that a float was written as."""
    return Fraction(repr(float(number)))


def _tiers_shape(value: Any) -> str:
    return "table by contract" if isinstance(value, dict) else "table"


if TYPE_CHECKING:
    TiersPerContract = tuple[Tier, ...] | dict[str, tuple[Tier, ...]]
else:
    _TAGGED = (
        Annotated[tuple[Tier, ...], Tag("table")] | Annotated[dict[str, tuple[Tier, ...]], Tag("table by contract")]
    )
    TiersPerContract = Annotated[_TAGGED, Discriminator(_tiers_shape)]


def _check_tiers(tiers: Sequence[Tier]) -> None:
    """Raise ValueError naming the first tier that does not follow from the one before it."""
    if not tiers:
        raise ValueError("at least one tier")
    if tiers[0].floor != 0:
        raise ValueError(f"a first tier with floor 0 (it is {tiers[0].floor:g})")
    for number, (low, high) in enumerate(pairwise(tiers), start=2):
        if high.floor <= low.floor:
            raise ValueError(f"tiers with floors that rise (tier {number}: {high.floor:g} after {low.floor:g})")
        if low.cap is not None and low.cap > high.floor:
            raise ValueError(f"tiers that do not overlap (tier {number} starts at {high.floor:g}, below {low.cap:g})")
        if low.cap is not None and low.cap < high.floor:
            raise ValueError(f"tiers without gaps (tier {number} starts at {high.floor:g}, above {low.cap:g})")
        if high.initial_rate < low.initial_rate:
            raise ValueError(f"initial rates that do not fall (tier {number})")
    last = tiers[-1]
    if last.cap is not None and last.cap <= last.floor:
        raise ValueError(f"a cap above the floor (tier {len(tiers)}: {last.cap:g} after {last.floor:g})")


class TierParameters(Parameters):
    """Leverage tiers.

    Maintenance is continuous: ``value x maintenance_k - amount_k`` with the maintenance amounts that the recursion
    ``amount_k = amount_{k-1} + floor_k x (maintenance_k - maintenance_{k-1})`` gives. Initial is the value over the
    largest leverage of its tier, or over the chosen leverage if that is lower.
    """

    tiers: TiersPerContract = Field(description="in order, common or by contract name")
    initial_form: Literal["whole", "continuous"] = Field(
        "whole", description="initial: the tier's rate on the whole value, or continuous like maintenance"
    )
    leverage: PositivePerContract | None = Field(None, description="chosen leverage, common or by contract name")
    maintenance_ratio: float = Field(
        0.5, gt=0.0, le=1.0, description="maintenance over initial of tiers that name no maintenance rate"
    )

    @field_validator("tiers")
    @classmethod
    def _follow(cls, value: Any) -> Any:
        for tiers in value.values() if isinstance(value, dict) else [value]:
            _check_tiers(tiers)
        return value

    @model_validator(mode="after")
    def _maintenance(self) -> TierParameters:
        if self.leverage is not None:
            chosen = self.leverage.values() if isinstance(self.leverage, dict) else [self.leverage]
            if min(chosen) < 1.0:
                raise ValueError("a leverage of at least 1")
        for tiers in self.tiers.values() if isinstance(self.tiers, dict) else [self.tiers]:
            rates = [tier.maintenance_rate(self.maintenance_ratio) for tier in tiers]
            for number, (tier, rate) in enumerate(zip(tiers, rates, strict=True), start=1):
                if rate > tier.initial_rate:
                    raise ValueError(f"tiers whose maintenance is not above their initial rate (tier {number})")
                if number > 1 and rate < rates[number - 2]:
                    raise ValueError(f"tiers whose maintenance rates do not fall (tier {number})")
        return self


class StepParameters(Parameters):
    """Rates of the whole position that rise by a step for every step of size begun above a limit."""

    initial: RatePerContract = Field(description="initial rate up to the limit")
    maintenance: RatePerContract = Field(description="maintenance rate up to the limit")
    limit: NonNegativePerContract = Field(description="position up to which the base rates hold")
    step: PositivePerContract = Field(description="size of a step")
    step_rate: RatePerContract = Field(description="what each step adds to both rates")
    measure: Literal["value", "size"] = Field(
        "value", description="limit and step are values in the settlement currency, or units of the underlying"
    )

    @model_validator(mode="after")
    def _ordered(self) -> StepParameters:
        if not at_least_everywhere(self.maintenance, self.initial):
            raise ValueError("a maintenance rate that is not above the initial rate")
        return self


class SizeParameters(Parameters):
    """Rates linear in size: ``initial + initial_per_unit x size``, at most 100 %, likewise maintenance.

    Size is in units of the underlying; of an inverse contract it is the value in coins.
    """

    initial: RatePerContract = Field(description="initial rate of a small position")
    maintenance: RatePerContract = Field(description="maintenance rate of a small position")
    initial_per_unit: NonNegativePerContract = Field(description="growth of the initial rate per unit")
    maintenance_per_unit: NonNegativePerContract = Field(description="growth of the maintenance rate per unit")

    @model_validator(mode="after")
    def _ordered(self) -> SizeParameters:
        if not at_least_everywhere(self.maintenance, self.initial):
            raise ValueError("a maintenance rate that is not above the initial rate")
        if not at_least_everywhere(self.maintenance_per_unit, self.initial_per_unit):
            raise ValueError("a maintenance_per_unit that is not above initial_per_unit")
        return self


ScheduleParameters = TierParameters | StepParameters | SizeParameters


def maintenance_amounts(floors: Sequence[float], rates: Sequence[float]) -> list[Fraction]:
    """What tiers deduct so that the charge is continuous: ``value x rate_k - amount_k``.

    Args:
        floors: of the tiers, from 0 up.
        rates: of the tiers.

    Returns:
        The amounts, exact for the decimal numbers given.

    Examples:
        >>> [int(amount) for amount in maintenance_amounts([0, 50_000, 250_000], [0.004, 0.005, 0.01])]
        [0, 50, 1300]
    """
    amounts = [Fraction(0)]
    for place in range(1, len(floors)):
        rise = exact(rates[place]) - exact(rates[place - 1])
        amounts.append(amounts[-1] + exact(floors[place]) * rise)
    return amounts


def schedule_rows(params: ScheduleParameters) -> int:
    """Rows that the table of charges needs per contract."""
    if not isinstance(params, TierParameters):
        return 2
    found = params.tiers.values() if isinstance(params.tiers, dict) else [params.tiers]
    return 1 + max(len(tiers) for tiers in found)


def schedule_tables(params: ScheduleParameters, contracts: ContractTable) -> np.ndarray:
    """The table of charges, int64[C, rows, SCHEDULE_COLUMNS].

    Raises:
        ConfigError: a parameter names contracts that do not exist, or leaves some out.
    """
    tables = np.zeros((len(contracts.names), schedule_rows(params), SCHEDULE_COLUMNS), np.int64)
    if isinstance(params, TierParameters):
        _write_tiers(tables, params, contracts)
    elif isinstance(params, StepParameters):
        _write_steps(tables, params, contracts)
    else:
        _write_sizes(tables, params, contracts)
    return tables


def smallest_rates(tables: np.ndarray) -> np.ndarray:
    """Initial and maintenance rate of the smallest position, int64[2, C] in 2**-32: what rules publish."""
    found = np.zeros((2, len(tables)), np.int64)
    for contract, table in enumerate(tables):
        for which in (0, 1):
            cell = int(table[1, k.T_RATE + which * k.PER_CHARGE])
            # from 2**-62 to 2**-32
            found[which, contract] = min(max((cell + (1 << 29)) >> 30, 1), RATE_ONE)
    return found


def _units(rate: Fraction) -> int:
    # down: a charge that is a whole number must not be lifted by a hair and then rounded up
    return min(max(int(rate * (1 << k.RATE_BITS)), 1), 1 << k.RATE_BITS)


def _write_tiers(tables: np.ndarray, params: TierParameters, contracts: ContractTable) -> None:
    names = contracts.names
    if isinstance(params.tiers, dict) and set(params.tiers) != set(names):
        allowed = "tiers, or tiers for each of " + ", ".join(names)
        raise ConfigError.of("margin.params.tiers", ", ".join(params.tiers), allowed)
    chosen = None if params.leverage is None else per_contract("leverage", params.leverage, names)
    for contract, name in enumerate(names):
        tiers = params.tiers[name] if isinstance(params.tiers, dict) else params.tiers
        least = Fraction(0) if chosen is None else 1 / exact(chosen[contract])
        minor = exact(contracts.minor[contracts.currency[contract]])
        table = tables[contract]
        table[0, k.S_KIND], table[0, k.S_TIERS] = k.TIERS, len(tiers)
        for row, tier in enumerate(tiers, start=1):
            floor = min(int(exact(tier.floor) * minor), _LARGEST)
            maintenance = tier.maintenance_rate(params.maintenance_ratio)
            table[row, k.T_FLOOR] = floor
            table[row, k.T_RATE] = _units(max(tier.initial_rate, maintenance, least))
            table[row, k.T_ANCHOR] = floor if params.initial_form == "continuous" else 0
            table[row, k.T_RATE + k.PER_CHARGE] = _units(maintenance)
            table[row, k.T_ANCHOR + k.PER_CHARGE] = floor
        tables[contract] = rebased(table)


def _measure(
    table: np.ndarray, contract: int, contracts: ContractTable, limit: Fraction, step: Fraction, *, in_units: bool
) -> Fraction:
    """Write what is counted, and say how many of its integer units make one unit of size or value."""
    # an inverse contract's size in coins is its value
    lots = in_units and not contracts.inverse[contract]
    minor = contracts.minor[contracts.currency[contract]]
    unit = 1 / exact(contracts.lot_size[contract]) if lots else exact(minor)
    table[0, k.S_KIND], table[0, k.S_LOTS] = k.GROWING, lots
    table[0, k.S_LIMIT] = min(int(limit * unit), _LARGEST)
    table[0, k.S_STEP] = min(max(int(step * unit), 1), _LARGEST)
    return unit


def _write_growing(table: np.ndarray, which: int, base: float, slope: Fraction) -> None:
    one = 1 << k.RATE_BITS
    shift = which * k.PER_CHARGE
    table[1, k.G_BASE + shift : k.G_FULL + shift + 1] = growing(exact(base) * one, slope * one)


def _write_steps(tables: np.ndarray, params: StepParameters, contracts: ContractTable) -> None:
    names = ("initial", "maintenance", "limit", "step", "step_rate")
    found = {name: per_contract(name, getattr(params, name), contracts.names) for name in names}
    for contract, table in enumerate(tables):
        limit, step = exact(found["limit"][contract]), exact(found["step"][contract])
        _measure(table, contract, contracts, limit, step, in_units=params.measure == "size")
        for which, name in enumerate(("initial", "maintenance")):
            _write_growing(table, which, found[name][contract], exact(found["step_rate"][contract]))


def _write_sizes(tables: np.ndarray, params: SizeParameters, contracts: ContractTable) -> None:
    for which, name in enumerate(("initial", "maintenance")):
        base = per_contract(name, getattr(params, name), contracts.names)
        growth = per_contract(f"{name}_per_unit", getattr(params, f"{name}_per_unit"), contracts.names)
        for contract, table in enumerate(tables):
            # a step per lot, or per minor unit of the coin
            unit = _measure(table, contract, contracts, Fraction(0), Fraction(0), in_units=True)
            _write_growing(table, which, base[contract], exact(growth[contract]) / unit)


def require_one_currency(contracts: ContractTable) -> None:
    """Refuse options that settle in another currency than the contract whose schedule charges them.

    Raises:
        ConfigError: names the option and the currency that it would need.
    """
    if contracts.option_terms is None:
        return
    for c in np.flatnonzero(contracts.is_option):
        reference = int(contracts.option_terms[c, TERM_REFERENCE])
        own, wanted = (contracts.currencies[contracts.currency[k]] for k in (c, reference))
        if own != wanted:
            allowed = f"{wanted}, as {contracts.names[reference]}, whose charges by size apply to its options"
            raise ConfigError.of(f"contracts.{contracts.names[c]}.currency", own, allowed)
