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


@dataclass(frozen=True, slots=True)
class Depeg:
    """The value of one contract moves to a part of what it would be, and stays there or comes back.

    Moves are straight lines in logs. Contracts about the same underlying follow.

    Attributes:
        step: first step that stands below.
        contract: name of the contract.
        level: factor on the value while it lasts.
        over: steps that the way there takes, 1 for at once.
        duration: steps at the level before the way back begins; ``None``: it stays.
        recovery: steps that the way back takes.
        name: name of the event in the scenario, for messages.
    """

    step: int
    contract: str
    level: float
    over: int = 1
    duration: int | None = None
    recovery: int = 1
    name: str = "depeg"


@dataclass(frozen=True, slots=True)
class OracleFault:
    """Sources, or an oracle as a whole, go wrong for a time.

    A fault hits what is observed; what is published shows it after the latency, and with an update interval only if a
    report falls into it.

    Attributes:
        step: first observation that is wrong.
        duration: steps for which it lasts.
        mode: ``"frozen"``: a source repeats its last price, an oracle does not report; ``"bias"``: prices are
            ``exp(log_size)`` times what they should be; ``"spike"``: so at first, fading to nothing in a straight line
            of logs.
        log_size: log of the factor; not for frozen.
        contract: name of the contract whose index it hits, ``None`` for all.
        sources: names of the sources; empty: the oracle as a whole.
        name: name of the event in the scenario, for messages.
    """

    step: int
    duration: int
    mode: str
    log_size: float = 0.0
    contract: str | None = None
    sources: tuple[str, ...] = ()
    name: str = "oracle_fault"


WorldEvent = ValueJump | VolatilityChange | Depeg | OracleFault
FAULT_MODES = ("frozen", "spike", "bias")


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
        elif isinstance(event, Depeg):
            problems += _depeg_problems(event, key)
        elif isinstance(event, OracleFault):
            problems += _fault_problems(event, key)
        else:
            if event.duration < 1:
                problems.append(Problem("", f"{key}.duration", event.duration, "at least 1 step"))
            if not 0 <= event.factor <= 1000:
                problems.append(Problem("", f"{key}.factor", event.factor, "a number from 0 to 1000"))
        contract = getattr(event, "contract", None)
        if contract is not None and contract not in names:
            problems.append(Problem("", f"{key}.contract", contract, "one of " + ", ".join(names)))
    if problems:
        raise ConfigError(problems)


def _depeg_problems(event: Depeg, key: str) -> list[Problem]:
    problems = []
    if not 0 < event.level <= 10:
        problems.append(Problem("", f"{key}.level", event.level, "a number above 0, at most 10"))
    for name, steps in (("over", event.over), ("duration", event.duration), ("recovery", event.recovery)):
        if steps is not None and steps < 1:
            problems.append(Problem("", f"{key}.{name}_steps", steps, "at least 1 step"))
    return problems


def _fault_problems(event: OracleFault, key: str) -> list[Problem]:
    problems = []
    if event.mode not in FAULT_MODES:
        problems.append(Problem("", f"{key}.mode", event.mode, "one of " + ", ".join(FAULT_MODES)))
    if event.duration < 1:
        problems.append(Problem("", f"{key}.duration_steps", event.duration, "at least 1 step"))
    if not abs(event.log_size) <= _LARGEST_LOG_SIZE:
        allowed = f"a log size from {-_LARGEST_LOG_SIZE:g} to {_LARGEST_LOG_SIZE:g}"
        problems.append(Problem("", f"{key}.log_size", event.log_size, allowed))
    return problems
