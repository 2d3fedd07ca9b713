"""Contracts: what is traded, in which integer units, and the proof that no sum can overflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.kernels.state import CONTRACT, LINEAR_FUTURE, LINEAR_PERPETUAL, RATE_ONE, SUBTICKS

KINDS = {"linear_perpetual": LINEAR_PERPETUAL, "linear_future": LINEAR_FUTURE}
OVERFLOW_BOUND = 1 << 62


def rate_to_units(rate: float) -> int:
    """A rate (0.02 for 2 %) in integer units of 2**-32, rounded to nearest."""
    return round(Fraction(rate) * RATE_ONE)


def rate_from_units(units: int) -> float:
    """The inverse of :func:`rate_to_units`."""
    return units / RATE_ONE


@dataclass(frozen=True, slots=True)
class Contract:
    """A linear contract: value = ticks x lots x tick_value.

    Attributes:
        name: unique in the market.
        kind: ``"linear_perpetual"`` (funding) or ``"linear_future"`` (variation margin settled at intervals).
        tick_size: price units per tick, for display and for price files.
        tick_value: minor units of the currency per tick and lot; a whole number.
        initial_price: price at step 0 in ticks.
        currency: settlement currency.
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


@dataclass(frozen=True, slots=True)
class ContractTable:
    """The contracts of a market as a margin model sees them.

    Attributes:
        names: contract names, length C.
        tick_value: int64[C], minor units per tick and lot.
        initial_mark: int64[C], sub-ticks at step 0.
        dt_seconds: simulated seconds per step.
        steps_per_day: steps in a trading day.
    """

    names: tuple[str, ...]
    tick_value: np.ndarray
    initial_mark: np.ndarray
    dt_seconds: float
    steps_per_day: int

    @classmethod
    def of(cls, contracts: Sequence[Contract], dt_seconds: float, steps_per_day: int) -> ContractTable:
        """Build the table from contracts."""
        return cls(
            names=tuple(contract.name for contract in contracts),
            tick_value=np.array([contract.tick_value for contract in contracts], np.int64),
            initial_mark=np.array([contract.initial_price * SUBTICKS for contract in contracts], np.int64),
            dt_seconds=float(dt_seconds),
            steps_per_day=int(steps_per_day),
        )


def overflow_product(max_lots: int, max_price: int, tick_value: int, contracts: int, accounts: int) -> int:
    """The product that must stay below 2**62 so that no money sum can overflow a signed 64-bit integer."""
    return int(max_lots) * int(max_price) * int(tick_value) * SUBTICKS * int(contracts) * int(accounts)


def contract_records(contracts: Sequence[Contract], ema_alpha: float) -> np.ndarray:
    """Contracts as the record array of the state."""
    table = np.zeros(len(contracts), CONTRACT)
    currencies = {name: i for i, name in enumerate(dict.fromkeys(c.currency for c in contracts))}
    for row, contract in zip(table, contracts, strict=True):
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
        row["ema_alpha"] = ema_alpha
    return table
