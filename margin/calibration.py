"""Calibration of a volatility rule on a daily price series, once, when the model is made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from margin.durations import parse_duration
from margin.parameters import Parameters, config_error
from margin.volatility import (
    Calibration,
    calibrate_ewma,
    calibrate_garch,
    calibrate_window,
    decay_of_half_life,
)
from sim.errors import ConfigError
from sim.world import HistoricalWorld, load_series

_KEY = "margin.params.calibrate"


class SeriesParameters(Parameters):
    """A daily price series: a data set, or a CSV or Parquet file with a ``date`` column."""

    dataset: str | None = Field(None, description='"arch:sp500" or "arch:nasdaq"')
    path: str | None = Field(None, description="CSV or Parquet file")
    column: str = Field("close", description="price column")
    start: str | None = Field(None, description="first date, YYYY-MM-DD")
    end: str | None = Field(None, description="last date, YYYY-MM-DD; set it before the run's first day")
    max_gap_days: int = Field(7, ge=1, description="longest gap between dates, calendar days")

    @model_validator(mode="after")
    def _one_source(self) -> SeriesParameters:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("exactly one of dataset, path")
        return self


def _shape(value: Any) -> str:
    tables = (
        isinstance(value, dict) and value and all(isinstance(item, (dict, SeriesParameters)) for item in value.values())
    )
    return "series by contract" if tables else "series"


if TYPE_CHECKING:
    SeriesPerContract = SeriesParameters | dict[str, SeriesParameters]
else:
    SeriesPerContract = Annotated[
        Annotated[SeriesParameters, Tag("series")] | Annotated[dict[str, SeriesParameters], Tag("series by contract")],
        Discriminator(_shape),
    ]


def log_returns(series: SeriesParameters) -> np.ndarray:
    """Daily log returns of a series, oldest first.

    Raises:
        ConfigError: the series cannot be read or holds bad prices.
    """
    values = series.model_dump(exclude={"column"}) | {"columns": series.column}
    try:
        prices, _ = load_series(HistoricalWorld(**values), ["calibrate"])
    except ValidationError as error:
        raise config_error(error, HistoricalWorld, prefix=_KEY) from error
    except ConfigError as error:
        # the reader speaks of the world's own series
        found = error.problems
        raise ConfigError([replace(one, key=one.key.replace("world", _KEY, 1)) for one in found]) from error
    return np.diff(np.log(prices[0].close))


def calibrated(
    series: SeriesPerContract,
    estimator: str,
    half_life: str | float | None,
    decay: float | None,
    window: int | None = None,
) -> dict[str, float | dict[str, float]]:
    """Parameters that take the place of ``calibrate``.

    Args:
        series: one for all contracts, or one per contract name.
        estimator: ``"ewma"``, ``"garch"``, ``"hs"``, ``"fhs"`` or ``"fhs_rescaled"``.
        half_life: of the EWMA in days (``"20d"``), or None.
        decay: lambda of the EWMA per day, or None.
        window: returns of a historical window without an EWMA.

    Returns:
        ``initial_volatility`` and, for a GARCH, ``omega``, ``alpha``, ``beta``; each a number or one per contract.
    """
    if estimator in ("ewma", "fhs", "fhs_rescaled") and decay is None:
        assert half_life is not None
        decay = decay_of_half_life(parse_duration(half_life)[0])
    keys = {"initial_volatility": "volatility"}
    if estimator == "garch":
        keys |= {"omega": "omega", "alpha": "alpha", "beta": "beta"}
    if isinstance(series, SeriesParameters):
        common = _of(series, estimator, decay, window)
        return {key: getattr(common, field) for key, field in keys.items()}
    each = {name: _of(one, estimator, decay, window) for name, one in series.items()}
    return {key: {name: getattr(one, field) for name, one in each.items()} for key, field in keys.items()}


def _of(series: SeriesParameters, estimator: str, decay: float | None, window: int | None) -> Calibration:
    returns = log_returns(series)
    if estimator == "garch":
        return calibrate_garch(returns)
    if estimator == "hs":
        assert window is not None
        return calibrate_window(returns, window)
    assert decay is not None
    return calibrate_ewma(returns, decay)
