"""Free parameters: keys of a scenario with bounds, and their way into the unit cube and back.

The search and the derivatives work in a *working coordinate* of each parameter, the value itself or its logarithm,
scaled so that the bounds are 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments import scenario as scenarios
from experiments.calibration.bars import Floats
from experiments.overrides import parse_value
from sim.errors import ConfigError, Problem

SOURCE = "--free"
SCALES = ("linear", "log", "whole")
# Keys that say how long, how often and what is recorded: the bars of the data fix them.
FIXED = ("market.steps", "market.burn_in", "market.steps_per_day", "market.dt_seconds", "market.unit_seconds",
         "record.", "measure.", "market.name")  # fmt: skip
_DIGITS = 7  # significant digits of a value: what is printed is what was run


@dataclass(frozen=True)
class Free:
    """A free parameter.

    Attributes:
        keys: dotted keys that take the value; mostly one, several where they are tied.
        low: smallest value.
        high: largest value.
        log: searched, and differentiated, in logarithms.
        whole: takes whole numbers alone.
    """

    keys: tuple[str, ...]
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def name(self) -> str:
        """The parameter as a reader names it."""
        return "+".join(self.keys)

    @property
    def width(self) -> float:
        """Distance of the bounds in the working coordinate (natural or log units)."""
        return self.work(self.high) - self.work(self.low)

    def work(self, value: float) -> float:
        """The working coordinate of a value."""
        return math.log(value) if self.log else value

    def unit(self, value: float) -> float:
        """Where a value lies between the bounds, 0 to 1."""
        return (self.work(value) - self.work(self.low)) / self.width

    def value(self, unit: float) -> float:
        """The value at a place between the bounds, rounded to what is run: whole, or seven significant digits."""
        work = self.work(self.low) + min(max(unit, 0.0), 1.0) * self.width
        found = math.exp(work) if self.log else work
        if self.whole:
            return float(min(max(round(found), self.low), self.high))
        return min(max(float(f"{found:.{_DIGITS}g}"), self.low), self.high)

    def assignments(self, value: float) -> list[str]:
        """The value as ``--set`` takes it."""
        text = str(int(value)) if self.whole else repr(float(value))
        return [f"{key}={text}" for key in self.keys]


def parse(texts: Sequence[str]) -> tuple[Free, ...]:
    """Free parameters from texts ``KEY=LOW:HIGH[:log]``; ``KEY+KEY=...`` ties keys to one value.

    Raises:
        ConfigError: a text is not of that form, or a key is free twice.
    """
    found: list[Free] = []
    for text in texts:
        key, sign, bounds = text.partition("=")
        keys = tuple(part.strip() for part in key.split("+"))
        low, high, *rest = [*bounds.split(":"), ""][: max(2, bounds.count(":") + 1)]
        words = [word.strip() for word in rest if word.strip()]
        numbers = [parse_value(low.strip()), parse_value(high.strip())]
        good = bool(sign) and all(all(k.split(".")) for k in keys) and all(_number(n) for n in numbers)
        if not good or any(word not in SCALES for word in words):
            raise ConfigError.of(SOURCE, text, "KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=LOW:HIGH:whole")
        a, b = float(numbers[0]), float(numbers[1])
        if not a < b:
            raise ConfigError.of(SOURCE, text, "a lower bound below the upper one")
        if "log" in words and a <= 0.0:
            raise ConfigError.of(SOURCE, text, "bounds above 0 with a logarithmic scale")
        for one in keys:
            if any(one == fixed or (fixed.endswith(".") and one.startswith(fixed)) for fixed in FIXED):
                raise ConfigError.of(SOURCE, one, "a key that the length of the data's bars does not fix")
            if any(one in other.keys for other in found) or keys.count(one) > 1:
                raise ConfigError.of(SOURCE, one, "each key once")
        found.append(Free(keys, a, b, "log" in words, "whole" in words))
    if not found:
        raise ConfigError.of(SOURCE, None, "at least one KEY=LOW:HIGH")
    return tuple(found)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def settle(free: Sequence[Free], source: str, assignments: Sequence[str]) -> tuple[Free, ...]:
    """Try the keys on a scenario: refuse bounds that it does not allow, find which take whole numbers alone.

    A combination of parameters that the scenario refuses (alpha and beta of a GARCH world that sum to one or more) is
    no error here: such points lie outside the space that is searched.

    Raises:
        ConfigError: no such key, or a bound that is not allowed whatever the others are.
    """
    return tuple(_settled(parameter, source, assignments) for parameter in free)


def _settled(parameter: Free, source: str, assignments: Sequence[str]) -> Free:
    ends = (parameter.low, parameter.high)
    if not parameter.whole:
        within = parameter.low + 0.5 * (parameter.high - parameter.low)
        tried = within if not within.is_integer() else within + 0.25 * min(1.0, parameter.high - parameter.low)
        if not _problems(parameter, tried, source, assignments):
            for end in ends:
                _refuse(_problems(parameter, end, source, assignments))
            return parameter
        as_whole = replace(parameter, whole=True)
        if _problems(as_whole, math.ceil(parameter.low), source, assignments):
            _refuse(_problems(parameter, tried, source, assignments))
        parameter = as_whole
    if not all(end.is_integer() for end in ends):
        raise ConfigError.of(
            SOURCE, f"{parameter.name}={ends[0]:g}:{ends[1]:g}", "whole bounds: the key takes them alone"
        )
    for end in ends:
        _refuse(_problems(parameter, end, source, assignments))
    return parameter


def _problems(parameter: Free, value: float, source: str, assignments: Sequence[str]) -> list[Problem]:
    """Problems with the parameter's own keys, whatever the other keys hold."""
    try:
        scenarios.load(source, [*assignments, *parameter.assignments(value)])
    except ConfigError as error:
        own = [p for p in error.problems if any(p.key == key or p.key.startswith(f"{key}.") for key in parameter.keys)]
        missing = [p for p in error.problems if any(str(p.value) in key.split(".") for key in parameter.keys)]
        return own + [p for p in missing if p not in own]
    return []


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigError([Problem(SOURCE, p.key, p.value, p.allowed) for p in problems])


def values_at(free: Sequence[Free], units: Floats) -> dict[str, float]:
    """Name -> value of a point of the unit cube."""
    return {p.name: p.value(float(u)) for p, u in zip(free, units, strict=True)}


def units_of(free: Sequence[Free], values: Mapping[str, float]) -> Floats:
    """The point of the unit cube of some values."""
    return np.array([p.unit(values[p.name]) for p in free], np.float64)
