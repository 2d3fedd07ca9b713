"""The anti-procyclicality tools: what is done to a calculated rate before it is published.

In this order, with ``M`` the calculated rate of an update, ``R`` the buffer's reference and ``P`` the rate published at
the update before:

1. stress weight ``w`` (EMIR RTS 153/2013 Art. 28(1)(b) asks for at least 25 %): ``M <- (1 - w) M + w M_stress``;
2. buffer ``b`` (Art. 28(1)(a): at least 25 %, which may be exhausted while calculated requirements rise), by one of
   two rules of release and rebuild. By level, with ``L < H`` rates of given volatilities: ``M (1 + b k)``,
   ``k = clip((H - M) / (H - L), 0, 1)``: whole up to L, released as M rises to H, rebuilt as M falls. By reference:
   ``max(M, (1 + b) min(M, R))``. Up to its reference the buffer is whole; above, it is released one for one, so that
   the published rate stands still until ``M = (1 + b) R``, where it is exhausted. It is rebuilt as the reference moves
   to the calculated rate, ``R <- R + (1 - 2^(-update / buffer_rebuild)) (M - R)``, after each update;
3. floor (Art. 28(1)(c): not below the rate of a ten-year volatility): ``max(., floor)``;
4. speed limit ``x`` per ``speed_interval``: at most ``P (1 + x)^(1/n)`` with n updates per interval, so that no
   interval sees more than ``1 + x``;
5. cap: ``min(., cap)``.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from margin.durations import Duration, in_steps, in_whole_steps
from margin.kernels.columns import (
    ON_BOTH,
    ON_INITIAL,
    ON_MAINTENANCE,
    P_BUFFER,
    P_BUFFER_GONE,
    P_BUFFER_WHOLE,
    P_CAP,
    P_FLOOR,
    P_GROWTH,
    P_OVERLAYS_ON,
    P_REBUILD,
    P_STRESS,
    P_STRESS_WEIGHT,
    S_OVERLAID,
    S_REFERENCE,
    S_STARTED,
)
from margin.parameters import (
    NonNegative,
    Parameters,
    PositivePerContract,
    Rate,
    RatePerContract,
    at_least_everywhere,
    per_contract,
    units,
)
from sim.contracts import ContractTable
from sim.errors import ConfigError
from sim.kernels.realmath import power
from sim.kernels.state import RATE_ONE

_TARGETS = {"both": ON_BOTH, "initial": ON_INITIAL, "maintenance": ON_MAINTENANCE}


class OverlayParameters(Parameters):
    """Parameters of the tools; each is off unless given."""

    stress_weight: float = Field(0.0, ge=0.0, le=1.0, description="weight of the stressed rate")
    stress_volatility: PositivePerContract | None = Field(
        None, description="volatility of the stressed period, per square root of a trading day"
    )
    buffer: NonNegative = Field(0.0, description="buffer as a fraction of the calculated rate, such as 0.25")
    buffer_rebuild: Duration = Field("20d", description="half-life of the buffer's reference")
    buffer_whole_volatility: PositivePerContract | None = Field(
        None,
        description="release by level: volatility up to which the buffer is whole, per square root of a trading day",
    )
    buffer_gone_volatility: PositivePerContract | None = Field(
        None, description="release by level: volatility from which nothing of the buffer is left"
    )
    floor: RatePerContract | None = Field(None, description="smallest initial rate")
    floor_volatility: PositivePerContract | None = Field(
        None, description="volatility whose rate is the floor, per square root of a trading day"
    )
    speed_limit: NonNegative | None = Field(None, description="largest relative rise per speed_interval")
    speed_interval: Duration = "1d"
    cap: Rate = Field(1.0, description="largest initial rate")
    overlays_on: Literal["both", "initial", "maintenance"] = Field("both", description="rates that the tools change")

    @model_validator(mode="after")
    def _consistent(self) -> OverlayParameters:
        if self.stress_weight > 0.0 and self.stress_volatility is None:
            raise ValueError("stress_volatility, since stress_weight is positive")
        whole, gone = self.buffer_whole_volatility, self.buffer_gone_volatility
        if (whole is None) != (gone is None):
            raise ValueError("both buffer_whole_volatility and buffer_gone_volatility, or neither")
        if whole is not None and gone is not None and not at_least_everywhere(whole, gone):
            raise ValueError("a buffer_whole_volatility that is not above buffer_gone_volatility")
        if self.floor is not None and self.floor_volatility is not None:
            raise ValueError("either floor or floor_volatility, not both")
        if self.floor is not None and not at_least_everywhere(self.floor, self.cap):
            raise ValueError("a floor that is not above the cap")
        return self


def write_overlays(
    table: np.ndarray, overlays: OverlayParameters, contracts: ContractTable, rate_of_day: np.ndarray, update_steps: int
) -> None:
    """Write the overlay columns of ``model_params``.

    Args:
        table: float64[C, K], mutated.
        overlays: the parameters.
        contracts: the contract table.
        rate_of_day: float64[C], rate per unit of volatility per square root of a trading day (quantile x sqrt(days)).
        update_steps: steps between updates.

    Raises:
        ConfigError: the speed limit's interval is shorter than the update interval, or the floor is above the cap.
    """
    names = contracts.names
    table[:, P_STRESS_WEIGHT] = overlays.stress_weight
    if overlays.stress_volatility is not None:
        table[:, P_STRESS] = rate_of_day * per_contract("stress_volatility", overlays.stress_volatility, names)
    table[:, P_BUFFER] = overlays.buffer
    for column, key in ((P_BUFFER_WHOLE, "buffer_whole_volatility"), (P_BUFFER_GONE, "buffer_gone_volatility")):
        level = getattr(overlays, key)
        if level is not None:
            table[:, column] = rate_of_day * per_contract(key, level, names)
    table[:, P_REBUILD] = 1.0 - power(0.5, update_steps / in_steps(overlays.buffer_rebuild, contracts))
    floor = np.zeros(len(names))
    if overlays.floor is not None:
        floor = per_contract("floor", overlays.floor, names)
    elif overlays.floor_volatility is not None:
        floor = rate_of_day * per_contract("floor_volatility", overlays.floor_volatility, names)
        if np.any(floor > overlays.cap):
            allowed = f"a volatility whose rate ({floor.max():.4g}) is not above the cap ({overlays.cap:g})"
            raise ConfigError.of("margin.params.floor_volatility", overlays.floor_volatility, allowed)
    table[:, P_FLOOR] = units(floor)
    table[:, P_CAP] = units(np.full(len(names), overlays.cap))
    table[:, P_OVERLAYS_ON] = _TARGETS[overlays.overlays_on]
    if overlays.speed_limit is not None:
        interval = in_whole_steps(overlays.speed_interval, contracts)
        if interval < update_steps:
            raise ConfigError.of(
                "margin.params.speed_interval", overlays.speed_interval, "a duration that is not below update_interval"
            )
        updates = math.ceil(interval / update_steps)
        table[:, P_GROWTH] = power(1.0 + overlays.speed_limit, 1.0 / updates)


def stress_weighted(rate: np.ndarray, stressed: np.ndarray, weight: float | np.ndarray) -> np.ndarray:
    """``(1 - w) M + w M_stress`` (EMIR RTS 153/2013 Art. 28(1)(b))."""
    return (1.0 - weight) * rate + weight * stressed


def reference_buffered(rate: np.ndarray, reference: np.ndarray, buffer: float | np.ndarray) -> np.ndarray:
    """Art. 28(1)(a), released one for one above a reference that follows: ``max(M, (1 + b) min(M, R))``."""
    return np.maximum(rate, (1.0 + buffer) * np.minimum(rate, reference))


def level_buffered(
    rate: np.ndarray, whole: np.ndarray, exhausted: np.ndarray, buffer: float | np.ndarray
) -> np.ndarray:
    """Art. 28(1)(a), released between two levels: ``M (1 + b k)``, ``k = clip((H - M) / (H - L), 0, 1)``.

    Args:
        rate: calculated rates M.
        whole: L, up to which the buffer is whole.
        exhausted: H, from which nothing of it is left; where ``H <= L`` it is all or nothing at H.
        buffer: b, such as 0.25.
    """
    gap = exhausted - whole
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.clip((exhausted - rate) / gap, 0.0, 1.0)
    return rate * (1.0 + buffer * np.where(gap > 0.0, part, np.where(rate < exhausted, 1.0, 0.0)))


def speed_limited(rate: np.ndarray, previous: np.ndarray, growth: float | np.ndarray) -> np.ndarray:
    """At most ``growth`` times the rate before."""
    return np.minimum(rate, previous * growth)


def to_units(rates: np.ndarray) -> np.ndarray:
    """Rates as whole units of 2**-32, to nearest, at most 100 %; float64[C]."""
    return np.minimum(np.floor(rates * RATE_ONE + 0.5), float(RATE_ONE))


def overlaid(params: np.ndarray, memory: np.ndarray, calculated: np.ndarray) -> np.ndarray:
    """Apply the tools to the calculated rates of all contracts: the readable form of the compiled overlays.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K]; the buffer's reference and the last overlaid rate are mutated.
        calculated: float64[C], fractions.

    Returns:
        float64[C], whole units of 2**-32.
    """
    started = memory[:, S_STARTED] != 0.0
    rate = stress_weighted(calculated, params[:, P_STRESS], params[:, P_STRESS_WEIGHT])
    reference = np.where(started, memory[:, S_REFERENCE], rate)
    following = reference_buffered(rate, reference, params[:, P_BUFFER])
    between = level_buffered(rate, params[:, P_BUFFER_WHOLE], params[:, P_BUFFER_GONE], params[:, P_BUFFER])
    buffered = np.where(params[:, P_BUFFER_GONE] > 0.0, between, following)
    memory[:, S_REFERENCE] = reference + params[:, P_REBUILD] * (rate - reference)
    published = np.maximum(to_units(buffered), params[:, P_FLOOR])
    limited = np.floor(memory[:, S_OVERLAID] * params[:, P_GROWTH])
    published = np.where(started & (params[:, P_GROWTH] > 0.0), np.minimum(published, limited), published)
    published = np.minimum(published, params[:, P_CAP])
    memory[:, S_OVERLAID] = published
    return published
