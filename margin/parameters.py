"""Helpers shared by the parameter models of the room."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from sim.contracts import rate_to_units
from sim.errors import ConfigError, Problem

_TAGS = frozenset({"number", "by contract", "series", "series by contract", "table", "table by contract"})


def _shape(value: Any) -> str:
    return "by contract" if isinstance(value, dict) else "number"


def _per_contract(kind: Any) -> Any:
    """A number of one kind, or a table of such numbers by contract name."""
    tagged = Annotated[kind, Tag("number")] | Annotated[dict[str, kind], Tag("by contract")]
    return Annotated[tagged, Discriminator(_shape)]


Rate = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
if TYPE_CHECKING:
    RatePerContract = float | dict[str, float]
    PositivePerContract = float | dict[str, float]
    NonNegativePerContract = float | dict[str, float]
else:
    RatePerContract = _per_contract(Rate)
    PositivePerContract = _per_contract(Positive)
    NonNegativePerContract = _per_contract(NonNegative)


class Parameters(BaseModel):
    """Base of all parameter models: unknown keys are errors, values do not change after creation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def per_contract(key: str, value: float | dict[str, float], names: tuple[str, ...]) -> np.ndarray:
    """One number for each contract, float64[C].

    Args:
        key: parameter, for the error.
        value: a number common to all, or one per contract name.
        names: the contracts.

    Raises:
        ConfigError: a name is missing or unknown.
    """
    if not isinstance(value, dict):
        return np.full(len(names), float(value))
    if set(value) != set(names):
        allowed = "a number, or one number for each of " + ", ".join(names)
        raise ConfigError.of(f"margin.params.{key}", value, allowed)
    return np.array([float(value[name]) for name in names])


def units(rates: np.ndarray) -> np.ndarray:
    """Rates as whole float64 numbers of 2**-32, rounded to nearest."""
    return np.array([float(rate_to_units(float(rate))) for rate in rates])


def at_least_everywhere(low: float | dict[str, float], high: float | dict[str, float]) -> bool:
    """True when ``low <= high`` holds for every contract that either names."""
    if isinstance(low, dict) and isinstance(high, dict):
        return all(low[name] <= high[name] for name in low.keys() & high.keys())
    lows = list(low.values()) if isinstance(low, dict) else [low]
    highs = list(high.values()) if isinstance(high, dict) else [high]
    return max(lows) <= min(highs)


def config_error(
    error: ValidationError,
    model: type[BaseModel],
    nested: Mapping[str, type[BaseModel]] | None = None,
    prefix: str = "margin.params",
) -> ConfigError:
    """Every problem that pydantic found, with the dotted key that a scenario file spells.

    Args:
        error: from the validation of ``model``.
        model: the parameter model.
        nested: models of parameters that are tables themselves.
        prefix: where the parameters stand in the file.
    """
    problems = []
    for found in error.errors():
        parts = [str(part) for part in found["loc"] if str(part) not in _TAGS]
        value = found["input"]
        if found["type"] == "extra_forbidden":
            owner = (nested or {}).get(parts[0], model) if len(parts) > 1 else model
            allowed = "one of " + ", ".join(owner.model_fields)
        else:
            context: dict[str, Any] = found.get("ctx") or {}
            allowed = str(context.get("error") or found["msg"]).removeprefix("Input should be ")
            if isinstance(value, dict) and not parts:
                # a rule about several parameters: show those that it speaks of
                words = set(re.findall(r"\w+", allowed))
                value = {key: item for key, item in value.items() if key in words}
        problems.append(Problem("", ".".join([prefix, *parts]), value, allowed))
    return ConfigError(problems)
