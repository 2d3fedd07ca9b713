"""How a parameter relates to the length of a step: marks for fields of parameter models.

A file may state its market in one unit of time and run it at finer steps (``market.unit_seconds``). Fields that count
steps, rates per step and coefficients per square root of a step carry one of these marks, so that they are restated; a
trader kind or a rule of one's own does the same with ``Field(..., json_schema_extra=IN_STEPS)``.
"""

from __future__ import annotations

from typing import Any

KEY = "clock"
IN_STEPS: dict[str, Any] = {KEY: "steps"}
"""A duration: k steps become k x n steps that are n times shorter."""
PER_STEP: dict[str, Any] = {KEY: "per_step"}
"""A mean number of events in a step: divided by n."""
PER_ROOT_STEP: dict[str, Any] = {KEY: "per_root_step"}
"""A coefficient of the standard deviation of a step's return: multiplied by the square root of n."""


def restated(value: Any, mark: str, n: int) -> Any:
    """A parameter for steps that are ``n`` times shorter.

    Args:
        value: number in the file's unit; anything else comes back as it is.
        mark: ``"steps"``, ``"per_step"`` or ``"per_root_step"``.
        n: new steps in one unit.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if mark == IN_STEPS[KEY]:
        return value * n
    return value / n if mark == PER_STEP[KEY] else value * n**0.5
