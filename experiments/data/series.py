"""What every reader returns: one set of columns, whatever the file called them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Series:
    """Market data of one instrument.

    Times are ``datetime64[ns]`` without a zone: UTC where the file counts from the epoch, the exchange's own clock
    where it does not (LOBSTER). Frames are ordered by time; rows of equal time keep the file's order.

    Attributes:
        instrument: the instrument's name, or the file's.
        source: the file or files read.
        format: name of the format, one of `experiments.data.FORMATS`.
        bars: ``time`` (start of the bar), ``open``, ``high``, ``low``, ``close``, ``volume`` (NaN where the file has
            none) and, where known, ``buy_volume`` (bought by takers), or None.
        trades: ``time``, ``price``, ``size``, ``sign`` (+1 the taker bought, -1 sold, 0 not said), or None.
        quotes: ``time``, ``bid``, ``bid_size``, ``ask``, ``ask_size`` (NaN where a side is empty), or None.
        book: further levels on the rows of ``quotes``: ``bid_1``, ``bid_size_1``, ``ask_1``, ``ask_size_1``, ``bid_2``,
            ..., or None.
        messages: LOBSTER's order messages: ``time``, ``type``, ``order``, ``size``, ``price``, ``direction``, or None.
        bar_seconds: length of the bars; None where there are none, or where prices lie irregularly in time.
        notes: what a reader of results should know about the reading, a sentence each.
    """

    instrument: str
    source: str
    format: str
    bars: pd.DataFrame | None = None
    trades: pd.DataFrame | None = None
    quotes: pd.DataFrame | None = None
    book: pd.DataFrame | None = None
    messages: pd.DataFrame | None = None
    bar_seconds: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each frame that is there."""
        frames = {name: getattr(self, name) for name in ("bars", "trades", "quotes", "book", "messages")}
        return {name: len(frame) for name, frame in frames.items() if frame is not None}

    @property
    def span(self) -> tuple[str, str]:
        """First and last time of the data, ISO."""
        frame = next(f for f in (self.trades, self.quotes, self.bars) if f is not None)
        return frame["time"].iloc[0].isoformat(), frame["time"].iloc[-1].isoformat()

    def with_trades_of(self, other: Series) -> Series:
        """This series' quotes with the trades of another file of the same instrument.

        Raises:
            ConfigError: the other has no trades.
        """
        if other.trades is None:
            raise ConfigError.of("trades", other.source, "a file with trades")
        return replace(
            self, trades=other.trades, source=f"{self.source} + {other.source}", notes=self.notes + other.notes
        )


def in_time_order(frame: pd.DataFrame, notes: list[str], what: str) -> pd.DataFrame:
    """The frame by time, stable; says in ``notes`` how many rows stood before an earlier one."""
    times = frame["time"].to_numpy()
    backwards = int((times[1:] < times[:-1]).sum())
    if backwards:
        notes.append(f"{backwards} rows of the {what} stood after a later one; they were put in order of time")
        frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return frame


def epoch_times(values: np.ndarray) -> np.ndarray:
    """Times from counts since 1970-01-01 UTC, in whichever of s, ms, us or ns each count is.

    The unit is told by the size of the number: until the year 5138 counts of seconds are below 1e11, of milliseconds
    below 1e14, of microseconds below 1e17. Binance changed its spot files from milliseconds to microseconds on
    2025-01-01, so one series can hold both.

    Args:
        values: int64[n], positive.

    Returns:
        datetime64[ns][n].
    """
    counts = np.asarray(values, dtype=np.int64)
    factor = np.select([counts < 10**11, counts < 10**14, counts < 10**17], [10**9, 10**6, 10**3], 1)
    return (counts * factor).astype("datetime64[ns]")
