"""A model that costs nothing, for tests of the machinery: normal returns with a scale and a moving average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.calibration.bars import Bars
from experiments.calibration.moments import measure, parse
from sim.errors import ConfigError

NAMES = "sd,variance_ratio:5,acf:1,acf:2"
BARS = 1000


def series(values: Mapping[str, float], seed: int, bars: int = BARS) -> Bars:
    """Returns scale x (e_t + ma e_(t-1)), e standard normal."""
    noise = np.random.default_rng(seed).standard_normal(bars + 1)
    returns = values["scale"] * (noise[1:] + values["ma"] * noise[:-1])
    return Bars("toy", 60.0, np.exp(np.concatenate([[0.0], np.cumsum(returns)])))


class Toy:
    """Model of the toy for :class:`experiments.calibration.evaluations.Evaluator`."""

    def task(self, values: Mapping[str, float], seed: int) -> Any:
        """The run of one seed; a scale above 0.05 with a positive average is refused, as scenarios refuse pairs."""
        if values["scale"] > 0.05 and values["ma"] > 0.0:
            raise ConfigError.of("scale", values["scale"], "at most 0.05 with a positive moving average")
        return dict(values), seed


def simulate(task: Any) -> list[float]:
    """Moments of one run."""
    values, seed = task
    return [float(x) for x in measure(series(values, seed), parse(NAMES))]
