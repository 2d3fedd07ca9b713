"""Initial rates that rise with a market's open interest, as on dYdX v4.

``initial + max((OI - lower) / (upper - lower) x (1 - initial), 0)``, at most 100 %, where OI is open interest at the
oracle price. Maintenance does not change: who holds a position is not called because others came in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from margin.kernels.columns import P_INITIAL, P_MAINTENANCE, P_OPEN_LOWER, P_OPEN_UPPER
from margin.parameters import NonNegativePerContract, PositivePerContract, per_contract, units
from margin.rates import FixedRateParameters
from sim.contracts import ContractTable
from sim.interfaces import MarketView
from sim.kernels.state import RATE_ONE


class OpenInterestParameters(FixedRateParameters):
    """Fixed rates, and the open interest between which the initial rate rises to 100 %."""

    lower: NonNegativePerContract = Field(description="open interest where the rise begins, settlement currency")
    upper: PositivePerContract = Field(description="open interest where the initial rate is 100 %")

    @model_validator(mode="after")
    def _caps(self) -> OpenInterestParameters:
        below: Any = self.lower
        above: Any = self.upper
        if isinstance(below, dict) and isinstance(above, dict):
            ordered = all(below[name] < above[name] for name in below.keys() & above.keys())
        else:
            lows = below.values() if isinstance(below, dict) else [below]
            highs = above.values() if isinstance(above, dict) else [above]
            ordered = max(lows) < min(highs)
        if not ordered:
            raise ValueError("a lower cap below the upper cap")
        return self


def write_open_interest(table: np.ndarray, params: OpenInterestParameters, contracts: ContractTable) -> None:
    """Write the columns of ``model_params`` that the publisher reads (float64[C, K], mutated)."""
    minor = contracts.minor[contracts.currency]
    table[:, P_INITIAL] = units(per_contract("initial", params.initial, contracts.names))
    table[:, P_MAINTENANCE] = units(per_contract("maintenance", params.maintenance, contracts.names))
    table[:, P_OPEN_LOWER] = per_contract("lower", params.lower, contracts.names) * minor
    table[:, P_OPEN_UPPER] = per_contract("upper", params.upper, contracts.names) * minor


def initial_rates(params: np.ndarray, market: MarketView, tick_value: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Initial rates of the step: the readable form of the compiled publisher.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        market: for index and open interest.
        tick_value: int64[C], minor units per tick and lot.
        inverse: bool[C].

    Returns:
        float64[C], whole numbers of 2**-32.
    """
    index = np.asarray(market.index, np.float64)
    lots = np.asarray(market.open_interest, np.float64)
    unit = tick_value.astype(np.float64)
    worth = np.where(inverse, lots * unit * 16.0 / index, lots * index * unit / 16.0)
    base, low, high = params[:, P_INITIAL], params[:, P_OPEN_LOWER], params[:, P_OPEN_UPPER]
    share = np.maximum((worth - low) / (high - low), 0.0)
    return np.minimum(np.floor(base + share * (RATE_ONE - base) + 0.5), float(RATE_ONE))
