"""A price series in bars of one length: what moments are measured on, of data and of simulated markets alike.

A moment of daily returns is compared with a moment of daily returns: the simulated market is sampled at the bar length
of the data, at the close of each bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
DAY = 86_400.0


@dataclass(frozen=True)
class Bars:
    """Closes of consecutive bars.

    Attributes:
        name: of the series.
        seconds: length of a bar; None for trading days, whatever their hours.
        price: float64[n + 1], positive closes.
        spread: float64[n], ask less bid over mid in each bar, or None where there are no quotes.
        volume: float64[n] traded in each bar, or None.
        breaks: bool[n], True where the return of a bar spans a gap (a night, a halt of the recording) and is left out.
        first: when the series begins, as text.
        last: when it ends.
        sha256: of the file, empty for simulated series.
        notes: what a reader of results should know about the reading.
    """

    name: str
    seconds: float | None
    price: Floats
    spread: Floats | None = None
    volume: Floats | None = None
    breaks: NDArray[np.bool_] | None = None
    first: str = ""
    last: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of returns."""
        return len(self.price) - 1

    @cached_property
    def returns(self) -> Floats:
        """Log returns, float64[n]; NaN where a return spans a gap."""
        found = np.diff(np.log(self.price))
        if self.breaks is not None:
            found[self.breaks] = np.nan
        return found

    @cached_property
    def absolute(self) -> Floats:
        """Absolute log returns, float64[n]."""
        return np.abs(self.returns)

    def sums(self, horizon: int) -> Floats:
        """Overlapping log returns over ``horizon`` bars, float64[n], each at its last bar; NaN where it has a gap."""
        kept: dict[int, Floats] = self.__dict__.setdefault("_sums", {})
        if horizon not in kept:
            windows = np.lib.stride_tricks.sliding_window_view(self.returns, horizon)
            kept[horizon] = np.concatenate([np.full(horizon - 1, np.nan), windows.sum(axis=1)])
        return kept[horizon]

    @property
    def length(self) -> str:
        """The bar length as a reader says it."""
        return "1 day" if self.seconds is None else f"{self.seconds:g} s"

    def described(self) -> dict[str, Any]:
        """Where the series comes from and how long it is, as plain data."""
        return {
            "name": self.name,
            "bar_seconds": self.seconds,
            "bars": self.count,
            "gaps": int(np.isnan(self.returns).sum()),
            "first": self.first,
            "last": self.last,
            "sha256": self.sha256,
            "notes": list(self.notes),
        }


def read(
    source: str,
    *,
    column: str | None = None,
    date_format: str | None = None,
    form: str = "auto",
    start: str | None = None,
    end: str | None = None,
    bar_seconds: float | None = None,
) -> Bars:
    """Read the series that a market is calibrated to.

    Args:
        source: ``arch:sp500`` or ``arch:nasdaq`` (daily), or any file that :func:`experiments.data.load` reads.
        column: price column of a plain file.
        date_format: of its dates, as ``strptime`` reads it.
        form: format of the file.
        start: first time to use, ISO.
        end: last time.
        bar_seconds: length of the bars to make; the file's own (trades: 60 s) if left out.

    Raises:
        ConfigError: the file or one of the options does not fit.
    """
    if source.startswith("arch:"):
        if bar_seconds is not None:
            raise ConfigError.of("--bar", bar_seconds, "left out with daily data")
        return _daily(source, column, date_format, start, end)
    from experiments import data

    series = data.load(source, form, column=column, date_format=date_format)
    return from_series(series, start=start, end=end, bar_seconds=bar_seconds)


def _daily(source: str, column: str | None, date_format: str | None, start: str | None, end: str | None) -> Bars:
    from margin.backtests.series import load_prices

    series = load_prices(source, column or "close", date_format)
    dates = np.array(series.dates)
    for key, text in (("--start", start), ("--end", end)):
        _time(key, text)
    kept = np.ones(len(dates), bool)
    if start is not None:
        kept &= dates >= start
    if end is not None:
        kept &= dates <= end
    if kept.sum() < 3:
        raise ConfigError.of("--start", start, f"dates between {dates[0]} and {dates[-1]}")
    days = dates[kept]
    return Bars(source, None, series.prices[kept], first=str(days[0]), last=str(days[-1]), sha256=series.sha256)


def from_series(
    series: Any, *, start: str | None = None, end: str | None = None, bar_seconds: float | None = None
) -> Bars:
    """Bars of a loaded file of bars, trades or quotes.

    Bars without a trade carry the last close on, inside a session; where nothing was recorded for longer than ten bars
    and more than a quarter of an hour, the series has a gap and the return over it is left out.

    Args:
        series: an :class:`experiments.data.series.Series`.
        start: first time to use, ISO.
        end: last time.
        bar_seconds: length of bars; of a file of bars a multiple of its own.

    Raises:
        ConfigError: nothing is left, or the length does not fit.
    """
    import pandas as pd

    low, high = _time("--start", start), _time("--end", end)
    frame, own = _closes(series)
    if low is not None:
        frame = frame[frame["time"] >= low]
    if high is not None:
        frame = frame[frame["time"] <= high]
    if len(frame) < 3:
        raise ConfigError.of("--data", series.source, "a file with at least 3 prices between --start and --end")
    length = float(bar_seconds or own or 60.0)
    if own is not None and (length < own or abs(length / own - round(length / own)) > 1e-9):
        raise ConfigError.of("--bar", length, f"a multiple of the file's own {own:g} s")
    first, last = frame["time"].iloc[0].isoformat(), frame["time"].iloc[-1].isoformat()
    if length >= DAY:
        if length > DAY:
            raise ConfigError.of("--bar", length, "at most a day (86400 s)")
        grouped = frame.groupby(frame["time"].dt.floor("D"), sort=True)
        prices, volume = grouped["price"].last(), grouped["volume"].sum(min_count=1)
        spread = grouped["spread"].mean()
        breaks = None
        seconds = None
    else:
        floor = frame["time"].dt.floor(pd.Timedelta(seconds=length))
        grouped = frame.groupby(floor, sort=True)
        grid = pd.date_range(floor.iloc[0], floor.iloc[-1], freq=pd.Timedelta(seconds=length))
        raw = grouped["price"].last().reindex(grid)
        silent = _gaps(raw.isna().to_numpy(), length)
        prices = raw.ffill()[~silent]
        volume = grouped["volume"].sum(min_count=1).reindex(grid)[~silent]
        if not volume.isna().all():
            volume = volume.fillna(0.0)
        spread = grouped["spread"].mean().reindex(grid)[~silent]
        after_gap = np.concatenate([[False], silent[:-1]])[~silent]
        breaks = after_gap[1:] if after_gap.any() else None
        seconds = length
    return Bars(
        name=series.instrument, seconds=seconds, price=prices.to_numpy(np.float64),
        spread=_known(spread), volume=_known(volume), breaks=breaks, first=first, last=last,
        sha256=_hash(series.source), notes=tuple(series.notes),
    )  # fmt: skip


def _closes(series: Any) -> tuple[pd.DataFrame, float | None]:
    """Time, price, volume and relative spread of whatever a file has, and the length of its bars."""
    import pandas as pd

    if series.bars is not None:
        bars = series.bars
        frame = pd.DataFrame({"time": bars["time"], "price": bars["close"], "volume": bars.get("volume", np.nan)})
        return frame.assign(spread=np.nan).dropna(subset=["price"]), series.bar_seconds
    parts = []
    if series.quotes is not None:
        quotes = series.quotes
        middle = (quotes["ask"] + quotes["bid"]) / 2.0
        parts.append(pd.DataFrame({"time": quotes["time"], "spread": (quotes["ask"] - quotes["bid"]) / middle}))
        if series.trades is None:
            parts[0]["price"], parts[0]["volume"] = middle, np.nan
    if series.trades is not None:
        trades = series.trades
        parts.append(pd.DataFrame({"time": trades["time"], "price": trades["price"], "volume": trades["size"]}))
    if not parts:
        raise ConfigError.of("--data", series.source, "a file of bars, trades or quotes")
    whole = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    for name in ("price", "volume", "spread"):
        if name not in whole:
            whole[name] = np.nan
    return whole.sort_values("time", kind="stable", ignore_index=True), None


def _gaps(missing: NDArray[np.bool_], length: float) -> NDArray[np.bool_]:
    """Bars that belong to a stretch without any record, longer than ten bars and a quarter of an hour."""
    longest = max(10, int(np.ceil(900.0 / length)))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.view(np.int8), [0]])))
    silent = np.zeros(len(missing), bool)
    for begin, end in edges.reshape(-1, 2):
        if end - begin > longest:
            silent[begin:end] = True
    return silent


def _known(column: Any) -> Floats | None:
    """Values at the bars that have a return; None where the file knows none."""
    values = column.to_numpy(np.float64)[1:]
    return None if np.isnan(values).all() else values


def _time(key: str, text: str | None) -> Any:
    import pandas as pd

    if text is None:
        return None
    try:
        return pd.Timestamp(text).tz_localize(None)
    except ValueError:
        raise ConfigError.of(key, text, "a date or time such as 2008-01-31 or 2024-05-01T12:00") from None


def _hash(source: str) -> str:
    from pathlib import Path

    from experiments.store import file_hash

    return file_hash(source) if Path(source).is_file() else ""
