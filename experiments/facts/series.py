"""Tapes of files and of data sets: whatever :func:`experiments.data.load` reads, and the daily series of ``arch``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.facts.tape import Tape
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

DATASETS = ("arch:sp500", "arch:nasdaq")
BAR_SECONDS = 60.0
"""Length of the steps that trades and quotes are put into."""
_SUFFIXES = (".csv", ".parquet", ".gz", ".zip", ".bz2", ".xz", ".tsv", ".txt", ".pq")


def is_series(source: str) -> bool:
    """True where a source is a data set or a file of prices, not a scenario."""
    return source.startswith("arch:") or Path(source).suffix.lower() in _SUFFIXES


def read(
    source: str, column: str | None = None, date_format: str | None = None, bar_seconds: float | None = None
) -> tuple[Tape, dict[str, Any]]:
    """The tape of a file, and what it was made from.

    Args:
        source: ``arch:sp500``, ``arch:nasdaq``, or a file of bars, trades or quotes.
        column: price column; told by the names if None.
        date_format: of text dates; ISO or the one usual form that fits if None.
        bar_seconds: seconds of a step; the file's own bars if it has them, else 60.

    Returns:
        Tape, and plain data: ``source``, ``instrument``, ``format``, ``rows``, ``first``, ``last``, ``notes``.

    Raises:
        ConfigError: no such file or data set, or one that cannot be read.
    """
    if source.startswith("arch:"):
        return _dataset(source, column)
    from experiments import data

    series = data.load(source, column=column, date_format=date_format)
    seconds = bar_seconds or series.bar_seconds or BAR_SECONDS
    table = data.bars(series, seconds)
    if "bid" in table:
        middle = ((table["bid"] + table["ask"]) / 2).to_numpy(np.float64)
        table["price"] = np.where(np.isnan(middle), table["close"].to_numpy(np.float64), middle)
    else:
        table["price"] = table["close"]
    if table["volume"].isna().all():
        table = table.drop(columns="volume")
    signs = lots = None
    if series.trades is not None:
        orders, _ = data.taker_orders(series)
        orders = orders[orders["sign"] != 0]
        if len(orders):
            signs, lots = orders["sign"].to_numpy(np.float64), orders["size"].to_numpy(np.float64)
    tape = Tape.from_bars(
        table.set_index("time"), name=series.instrument, price="price", dt_seconds=seconds, signs=signs, lots=lots
    )
    first, last = series.span
    described = {"source": source, "instrument": series.instrument, "format": series.format, "rows": series.rows,
                 "first": first, "last": last, "notes": list(series.notes)}  # fmt: skip
    return tape, described


def _dataset(source: str, column: str | None) -> tuple[Tape, dict[str, Any]]:
    if source not in DATASETS:
        raise ConfigError.of("PRICES", source, " or ".join(DATASETS))
    from importlib import import_module

    frame: pd.DataFrame = import_module(f"arch.data.{source.removeprefix('arch:')}").load()
    price = column or "Adj Close"
    if price not in frame.columns:
        raise ConfigError.of("--column", price, "one of " + ", ".join(map(str, frame.columns)), file=source)
    tape = Tape.from_bars(frame, name=source, price=price, volume="Volume")
    days = [str(day.date()) for day in (frame.index[0], frame.index[-1])]
    described = {"source": source, "instrument": source, "format": "arch", "rows": {"bars": len(frame)},
                 "first": days[0], "last": days[1], "notes": []}  # fmt: skip
    return tape, described


def seconds_text(seconds: float) -> str:
    """A length of time in words.

    Examples:
        >>> seconds_text(60.0), seconds_text(600.0), seconds_text(86_400.0), seconds_text(7.5)
        ('1 minute', '10 minutes', '1 day', '7.5 seconds')
    """
    for unit, length in (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0)):
        if seconds >= length and (math.isclose(seconds % length, 0.0) or unit == "second"):
            count = seconds / length
            return f"{count:g} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"
