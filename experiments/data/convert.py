"""Bars of any length, and the tape that measures of stylised facts are taken on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.data.series import Series
from experiments.data.signs import taker_orders, taker_signs
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.facts.tape import Tape

_DAY = 86_400.0
_NANOSECONDS = 1_000_000_000


def bars(series: Series, seconds: float, signs: str = "auto") -> pd.DataFrame:
    """Bars of equal length on a grid that starts at midnight.

    Prices come from trades, else from the middle of quotes, else from the file's bars. A day's bars run from its first
    to its last observation; a bar without an observation carries the price forward with volume 0. Nights and days
    without any observation have no bars, so an exchange's closing hours are not filled with zero returns.

    Args:
        series: from `experiments.data.load`.
        seconds: length; it divides a day, or is a whole number of days.
        signs: rule of `taker_signs` for ``buy_volume``.

    Returns:
        ``time`` (start), ``open``, ``high``, ``low``, ``close``, ``volume`` (NaN where unknown), ``buy_volume`` (NaN
        where unknown), ``trades`` (count, 0 where unknown) and, with quotes, ``bid``, ``ask``, ``depth_bid``,
        ``depth_ask`` at the end of the bar (depth: the sizes of all levels that the file shows).

    Raises:
        ConfigError: the length does not fit a day, or the file's bars are longer or do not divide it.
    """
    _check_length(series, seconds)
    step = round(seconds * _NANOSECONDS)
    parts: list[pd.DataFrame] = []
    if series.trades is not None:
        parts.append(_from_trades(series, step, signs))
    if series.quotes is not None:
        parts.append(_from_quotes(series, step, with_prices=series.trades is None))
    if not parts:
        parts.append(_from_bars(series, step))
    table = parts[0] if len(parts) == 1 else parts[0].join(parts[1], how="outer")
    return _filled(table, step)


def _check_length(series: Series, seconds: float) -> None:
    whole_days = seconds >= _DAY and seconds % _DAY == 0
    divides = 0 < seconds < _DAY and abs(_DAY / seconds - round(_DAY / seconds)) < 1e-9
    if not (whole_days or divides):
        raise ConfigError.of("bar_seconds", seconds, "a length that divides a day (1, 10, 60, 300, ...), or whole days")
    own = series.bar_seconds
    if series.trades is None and series.quotes is None and own is not None:
        calendar = own >= _DAY and seconds >= _DAY  # daily files have weekends and holidays
        if seconds < own or (not calendar and abs(seconds / own - round(seconds / own)) > 1e-9):
            raise ConfigError.of(
                "bar_seconds", seconds, f"a multiple of {own:g}, the length of the file's bars", file=series.source
            )


def _slots(times: pd.Series, step: int) -> np.ndarray:
    """Start of the bar of each time, as datetime64[ns]."""
    counts = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return (counts - counts % step).astype("datetime64[ns]")


def _from_trades(series: Series, step: int, signs: str) -> pd.DataFrame:
    import pandas as pd

    trades = series.trades
    assert trades is not None
    sign, _ = taker_signs(series, signs)
    size = trades["size"].to_numpy()
    table = pd.DataFrame(
        {"price": trades["price"].to_numpy(), "volume": size, "buy_volume": np.where(sign > 0, size, 0.0)}
    )
    groups = table.groupby(_slots(trades["time"], step))
    made = groups["price"].agg(["first", "max", "min", "last", "size"])
    made.columns = pd.Index(["open", "high", "low", "close", "trades"])
    made[["volume", "buy_volume"]] = groups[["volume", "buy_volume"]].sum()
    if (sign == 0).all():
        made["buy_volume"] = np.nan
    return made


def _from_quotes(series: Series, step: int, with_prices: bool) -> pd.DataFrame:
    import pandas as pd

    quotes = series.quotes
    assert quotes is not None
    levels = series.book if series.book is not None else quotes
    table = quotes[["bid", "ask"]].copy()
    for side in ("bid", "ask"):
        names = [name for name in levels.columns if name.startswith(f"{side}_size")]
        table[f"depth_{side}"] = levels[names].sum(axis=1, min_count=1).to_numpy()
    slots = _slots(quotes["time"], step)
    made = table.groupby(slots).tail(1).set_axis(pd.Index(np.unique(slots)), axis=0)
    if with_prices:
        middle = ((quotes["bid"] + quotes["ask"]) / 2).groupby(slots).agg(["first", "max", "min", "last"])
        made[["open", "high", "low", "close"]] = middle.to_numpy()
        made["volume"], made["buy_volume"], made["trades"] = np.nan, np.nan, 0
    return made


def _from_bars(series: Series, step: int) -> pd.DataFrame:
    frame = series.bars
    if frame is None:
        raise ConfigError.of("file", series.source, "a file with bars, trades or quotes")
    slots = _slots(frame["time"], step)
    if step == round((series.bar_seconds or 0) * _NANOSECONDS):
        late = frame["time"].to_numpy() - slots
        if step >= _DAY * _NANOSECONDS or (late == late[0]).all():
            slots = frame["time"].to_numpy()  # the file's own bars, whatever moment of theirs it names
    groups = frame.groupby(slots)
    made = groups.agg(open=("open", "first"), high=("high", "max"), low=("low", "min"), close=("close", "last"))
    made["volume"] = groups["volume"].sum(min_count=1)
    made["buy_volume"] = groups["buy_volume"].sum(min_count=1) if "buy_volume" in frame else np.nan
    made["trades"] = 0
    return made


def _filled(table: pd.DataFrame, step: int) -> pd.DataFrame:
    """Every bar between a day's first and last, prices carried forward."""
    import pandas as pd

    if step < _DAY * _NANOSECONDS:
        days = table.index.normalize()
        edges = (
            pd.DataFrame({"first": table.index, "last": table.index}).groupby(days).agg({"first": "min", "last": "max"})
        )
        grid = [np.arange(a, b + np.timedelta64(step, "ns"), np.timedelta64(step, "ns"))
                for a, b in zip(edges["first"].to_numpy(), edges["last"].to_numpy(), strict=True)]  # fmt: skip
        table = table.reindex(pd.DatetimeIndex(np.concatenate(grid)))
    states = [name for name in ("close", "bid", "ask", "depth_bid", "depth_ask") if name in table]
    empty = table["close"].isna()
    known_volume = table["volume"].notna().any()
    known_buys = table["buy_volume"].notna().any()
    table[states] = table[states].ffill()
    for name in ("open", "high", "low"):
        table[name] = table[name].where(~empty, table["close"])
    if known_volume:
        table["volume"] = table["volume"].fillna(0.0)
    if known_buys:
        table["buy_volume"] = table["buy_volume"].fillna(0.0)
    table["trades"] = table["trades"].fillna(0).astype(np.int64)
    table = table[table["close"].notna()]
    return table.rename_axis("time").reset_index()


def steps_per_day(table: pd.DataFrame, seconds: float) -> int:
    """Bars from the earliest to the latest time of day that occurs; 1 for bars of a day or more.

    A market that never closes has 86400 / seconds of them, one that trades from 9:30 to 16:00 has 390 minutes.
    """
    if seconds >= _DAY:
        return 1
    clock = (table["time"] - table["time"].dt.normalize()).dt.total_seconds()
    return round((clock.max() - clock.min()) / seconds) + 1


def to_tape(series: Series, bar_seconds: float, signs: str = "auto") -> Tape:
    """The series as a tape, one step a bar.

    ``mid`` is the middle of the last quote of a bar, or where there are no quotes its last price. Orders of takers are
    in time order, their lots in the file's unit of size. A night begins a new session.

    Args:
        series: from `experiments.data.load`.
        bar_seconds: length of a step.
        signs: rule of `taker_signs`.

    Raises:
        ConfigError: as `bars`.
    """
    from experiments.facts.tape import LONGEST_FILL, Tape

    table = bars(series, bar_seconds, signs)
    optional: dict[str, Any] = {}
    mid = table["close"].to_numpy(float)
    if "bid" in table:
        middle = ((table["bid"] + table["ask"]) / 2).to_numpy(float)
        mid = np.where(np.isnan(middle), mid, middle)
        for name in ("bid", "ask", "depth_bid", "depth_ask"):
            optional[name] = table[name].to_numpy(float)
    if table["volume"].notna().any():
        optional["volume"] = table["volume"].to_numpy(float)
    if series.trades is not None:
        orders, _ = taker_orders(series, signs)
        optional["order_signs"] = orders["sign"].to_numpy(np.int8)
        optional["order_lots"] = orders["size"].to_numpy(float)
    if bar_seconds < _DAY:
        gaps = table["time"].diff().dt.total_seconds().to_numpy()
        optional["session"] = np.cumsum(gaps > max(LONGEST_FILL, bar_seconds))
    optional["price"] = "mid" if "bid" in table else "last" if series.trades is not None else "close"
    return Tape(
        name=series.instrument, dt_seconds=float(bar_seconds), steps_per_day=steps_per_day(table, bar_seconds), mid=mid,
        **optional,
    )  # fmt: skip
