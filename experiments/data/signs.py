"""Who took: signs of trades, given or inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.data.series import Series
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def tick_rule(price: np.ndarray) -> np.ndarray:
    """Signs by the tick test (Lee and Ready 1991, section I.B).

    +1 if the last different price was lower, -1 if it was higher, 0 before the first change.

    Args:
        price: float64[n], trade prices in time order.

    Returns:
        int8[n].
    """
    moves = np.sign(np.diff(price, prepend=price[:1])).astype(np.int8)
    changed = np.flatnonzero(moves)
    last = np.maximum.accumulate(np.where(moves != 0, np.arange(len(moves)), -1))
    return np.where(last >= 0, moves[np.maximum(last, 0)], 0).astype(np.int8) if len(changed) else moves


def lee_ready(trades: pd.DataFrame, quotes: pd.DataFrame, lag_seconds: float = 0.0) -> np.ndarray:
    """Signs by the rule of Lee and Ready (Journal of Finance 46, 1991).

    A trade above the midpoint of the quote before it was bought, one below it sold; one at the midpoint, or without a
    quote before it, is signed by the tick test. The quote is the last one strictly before the trade (less the lag): the
    quote of the same instant already shows what the trade left. Lee and Ready lagged quotes by 5 s because those of
    1988 were reported late; today's files need no lag.

    Args:
        trades: ``time`` and ``price``, in time order.
        quotes: ``time``, ``bid``, ``ask``, in time order.
        lag_seconds: how old a quote must be, not negative.

    Returns:
        int8[n].
    """
    import pandas as pd

    mid = pd.DataFrame({"time": quotes["time"], "mid": (quotes["bid"] + quotes["ask"]) / 2}).dropna()
    cut = trades["time"] - pd.Timedelta(lag_seconds, unit="s")
    last = np.searchsorted(mid["time"].to_numpy(), cut.to_numpy(), side="left") - 1
    middles = mid["mid"].to_numpy()
    before = np.where(last >= 0, middles[np.maximum(last, 0)], np.nan) if len(middles) else np.full(len(cut), np.nan)
    price = trades["price"].to_numpy()
    with np.errstate(invalid="ignore"):
        by_quote = np.sign(price - before)
    tested = tick_rule(price)
    return np.where(np.isnan(by_quote) | (by_quote == 0), tested, by_quote).astype(np.int8)


def taker_signs(series: Series, rule: str = "auto") -> tuple[np.ndarray, str]:
    """Signs of the series' trades, and a sentence that says where they come from.

    Args:
        series: with trades.
        rule: ``auto`` takes the file's own signs and infers those that it leaves open, by Lee-Ready where there are
            quotes, else by the tick test; ``given``, ``lee-ready`` and ``tick`` use one source for every trade.

    Returns:
        int8[n] (0 where undecided), and the sentence.

    Raises:
        ConfigError: no trades, no such rule, or no quotes for ``lee-ready``.
    """
    if series.trades is None:
        raise ConfigError.of("trades", series.source, "a file with trades")
    if rule not in ("auto", "given", "lee-ready", "tick"):
        raise ConfigError.of("signs", rule, "auto, given, lee-ready or tick")
    if rule == "lee-ready" and series.quotes is None:
        raise ConfigError.of("signs", rule, "auto, given or tick, as the file has no quotes")
    given = series.trades["sign"].to_numpy()
    if rule == "given" or (rule == "auto" and (given != 0).all()):
        return given, "signs of the taker as the file gives them"
    by_quotes = series.quotes is not None and rule != "tick"
    inferred = lee_ready(series.trades, series.quotes) if by_quotes else tick_rule(series.trades["price"].to_numpy())  # type: ignore[arg-type]
    name = "the rule of Lee and Ready" if by_quotes else "the tick test"
    if rule != "auto" or (given == 0).all():
        return inferred, f"signs by {name}"
    open_ones = int((given == 0).sum())
    return np.where(given != 0, given, inferred), f"signs as the file gives them, {open_ones} of {len(given)} by {name}"


def taker_orders(series: Series, rule: str = "auto") -> tuple[pd.DataFrame, str]:
    """Taker orders: neighbouring trades of one time and one sign are one order that met several resting ones.

    Two takers of one side in the same instant count as one, which the coarser the file's clock the likelier happens.

    Returns:
        ``time``, ``sign``, ``size`` and ``price`` (mean, weighted by size) of each order with a sign, and the sentence
        of `taker_signs`.
    """
    import pandas as pd

    signs, sentence = taker_signs(series, rule)
    trades = series.trades
    assert trades is not None
    table = pd.DataFrame(
        {"time": trades["time"], "sign": signs, "size": trades["size"], "value": trades["size"] * trades["price"]}
    )
    table = table[table["sign"] != 0]
    fresh = (table["time"] != table["time"].shift()) | (table["sign"] != table["sign"].shift())
    grouped = table.groupby(fresh.cumsum(), sort=False).agg(
        time=("time", "first"), sign=("sign", "first"), size=("size", "sum"), value=("value", "sum")
    )
    grouped["price"] = grouped.pop("value") / grouped["size"].where(grouped["size"] > 0)
    return grouped.reset_index(drop=True), sentence
