"""The price series of a backtest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.errors import ConfigError
from sim.world import HistoricalWorld, load_series

_ANY_GAP = 100 * 366  # calendar days: a backtest goes row by row


@dataclass(frozen=True)
class Series:
    """A price series.

    Attributes:
        source: file or data set.
        column: price column.
        sha256: hash of the source's bytes.
        dates: ISO dates, strictly increasing.
        prices: float64[n], positive.
    """

    source: str
    column: str
    sha256: str
    dates: tuple[str, ...]
    prices: np.ndarray

    @property
    def returns(self) -> np.ndarray:
        """Log returns, float64[n - 1]; element i ends on ``dates[i + 1]``."""
        return np.diff(np.log(self.prices))


def load_prices(source: str, column: str = "close", date_format: str | None = None) -> Series:
    """Read a price series.

    Args:
        source: ``arch:sp500``, ``arch:nasdaq``, or a CSV or Parquet file with a ``date`` column.
        column: price column.
        date_format: of the file's dates, as ``strptime`` reads it; ISO dates if left out.

    Raises:
        ConfigError: the file cannot be read, or its dates or prices are missing, malformed or out of order.
    """
    where = {"dataset": source} if source.startswith("arch:") else {"path": source}
    config = HistoricalWorld(**where, columns=column, date_format=date_format, max_gap_days=_ANY_GAP)  # type: ignore[arg-type]
    try:
        prices, described = load_series(config, ["PRICES"])
    except ConfigError as error:
        keys = {"world.path": "PRICES", "world.dataset": "PRICES", "column": "--column"}
        one = error.problems[0]  # the first bad line; the others are seen once it is mended
        raise ConfigError(replace(one, key=keys.get(one.key, one.key))) from error
    return Series(source, column, described[0].sha256, prices[0].dates, prices[0].close)
