"""Durations of margin rules, stated in time so that a change of the step size does not change their meaning."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sim.contracts import ContractTable

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|min|h|d)")
ALLOWED = 'a positive number of seconds, or text such as "90s", "10min", "1.5h", "1d" (d: trading days)'


def parse_duration(value: Any) -> tuple[float, str]:
    """Split a duration into an amount and its unit, ``"s"`` or ``"d"``.

    Args:
        value: seconds as a number, or text with a unit.

    Raises:
        ValueError: the value is not a positive duration.

    Examples:
        >>> parse_duration("10min"), parse_duration(90), parse_duration("2d")
        ((600.0, 's'), (90.0, 's'), (2.0, 'd'))
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        amount, unit = float(value), "s"
    else:
        match = _PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(ALLOWED)
        unit = match.group(2)
        amount = float(match.group(1)) * _SECONDS.get(unit, 1.0)
    if not 0.0 < amount < float("inf"):
        raise ValueError(ALLOWED)
    return amount, "d" if unit == "d" else "s"


def _checked(value: Any) -> Any:
    parse_duration(value)
    return value


Duration = Annotated[str | float, BeforeValidator(_checked), Field(description=ALLOWED)]


def in_steps(duration: str | float, contracts: ContractTable) -> float:
    """A duration in steps, not rounded.

    A day is a trading day (``steps_per_day`` steps), because volatility is quoted per trading day: with 78 five-minute
    steps a day, "1d" is 78 steps and "6.5h" is the same.
    """
    amount, unit = parse_duration(duration)
    return amount * contracts.steps_per_day if unit == "d" else amount / contracts.dt_seconds


def in_whole_steps(duration: str | float, contracts: ContractTable) -> int:
    """A duration in whole steps, at least one."""
    return max(1, round(in_steps(duration, contracts)))
