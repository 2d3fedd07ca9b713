"""Scripted events that touch the exogenous world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.errors import ConfigError, Problem

_LARGEST_LOG_SIZE = 5.0


@dataclass(frozen=True, slots=True)
class ValueJump:
    """The value is multiplied by ``exp(log_size)`` from a step onwards.

    Attributes:
        step: first step that stands on the new level.
        log_size: log of the factor; ``-0.1`` is a fall of 9.5 %.
        contract: name of the contract, ``None`` for all.
        name: name of the event in the scenario, for messages.
    """

    step: int
    log_size: float
    contract: str | None = None
    name: str = "value_jump"


@dataclass(frozen=True, slots=True)
class VolatilityChange:
    """The random part of the value's increments is multiplied for a time.

    Jumps of a jump diffusion and closes of a historical series stay as they are.

    Attributes:
        step: first step whose increment is multiplied.
        duration: steps for which it lasts.
        factor: of the standard deviation.
        name: name of the event in the scenario, for messages.
    """

    step: int
    duration: int
    factor: float
    name: str = "volatility"


WorldEvent = ValueJump | VolatilityChange


def volatility_factors(events: Iterable[WorldEvent], steps: int) -> np.ndarray:
    """Multiplier of the random increment into each step, float64[steps + 1]; overlapping changes multiply."""
    factor = np.ones(steps + 1)
    for event in events:
        if isinstance(event, VolatilityChange):
            factor[event.step : event.step + event.duration] *= event.factor
    return factor


def check_events(events: Iterable[WorldEvent], steps: int, names: Sequence[str]) -> None:
    """Raise :class:`~sim.errors.ConfigError` with everything wrong in the events."""
    problems = []
    for event in events:
        key = f"events.{event.name}"
        if not 1 <= event.step <= steps:
            problems.append(Problem("", f"{key}.at_step", event.step, f"a step from 1 to {steps}, the end of the run"))
        if isinstance(event, ValueJump):
            if not abs(event.log_size) <= _LARGEST_LOG_SIZE:
                allowed = f"a log size from {-_LARGEST_LOG_SIZE:g} to {_LARGEST_LOG_SIZE:g}"
                problems.append(Problem("", f"{key}.size", event.log_size, allowed))
            if event.contract is not None and event.contract not in names:
                problems.append(Problem("", f"{key}.contract", event.contract, "one of " + ", ".join(names)))
        else:
            if event.duration < 1:
                problems.append(Problem("", f"{key}.duration", event.duration, "at least 1 step"))
            if not 0 <= event.factor <= 1000:
                problems.append(Problem("", f"{key}.factor", event.factor, "a number from 0 to 1000"))
    if problems:
        raise ConfigError(problems)
