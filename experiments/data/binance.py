"""Files of Binance's public archive, https://data.binance.vision.

Columns: https://github.com/binance/binance-public-data (README). Spot files have no header, newer futures files have
one; spot times are milliseconds until 2024-12-31 and microseconds from 2025-01-01 on (same README). ``isBuyerMaker``
true means that the buyer's order rested, so the taker sold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.files import Kind, Layout, head, is_header, plain_name, read, split_line
from experiments.data.series import Series, epoch_times, in_time_order
from sim.errors import ConfigError

_FLAGS = frozenset({"true", "false", "1", "0"})
_TABLES: dict[str, dict[str, Kind]] = {
    "trades": {
        "id": "ignored", "price": "price", "size": "size", "value": "ignored", "time": "epoch", "buyer_maker": "flag",
        "best_match": "ignored",
    },
    "aggTrades": {
        "id": "ignored", "price": "price", "size": "size", "first": "ignored", "last": "ignored", "time": "epoch",
        "buyer_maker": "flag", "best_match": "ignored",
    },
    "klines": {
        "time": "epoch", "open": "price", "high": "price", "low": "price", "close": "price", "volume": "size",
        "close_time": "epoch", "value": "ignored", "count": "ignored", "buy_volume": "size", "buy_value": "ignored",
        "ignore": "ignored",
    },
    "bookTicker": {
        "id": "ignored", "bid": "price", "bid_size": "size", "ask": "price", "ask_size": "size", "time": "epoch",
        "event_time": "ignored",
    },
}  # fmt: skip
_FIRST_NAMES = {  # of a header, as `plain_name` writes them
    "trades": ({"id", "tradeid"}, "price"),
    "aggTrades": ({"aggtradeid", "aggregatetradeid", "a"}, "price"),
    "klines": ({"opentime"}, "open"),
    "bookTicker": ({"updateid"}, "bestbidprice"),
}
_WIDTHS = {"trades": (6, 7), "aggTrades": (7, 8), "klines": (12,), "bookTicker": (7,)}
_NAME = re.compile(r"(?P<symbol>[A-Z0-9_]+)-(?:trades|aggTrades|bookTicker|\d+(?:s|m|h|d|w|mo))-\d{4}-\d{2}")


def recognise(lines: Sequence[str]) -> str | None:
    """Which of the four files the first lines are of, or None."""
    fields = [field.strip() for field in split_line(lines[0])]
    if is_header(fields):
        names = [plain_name(field) for field in fields]
        for kind, (first, second) in _FIRST_NAMES.items():
            if len(names) in _WIDTHS[kind] and names[0] in first and names[1] == second:
                return kind
        return None
    for kind in ("klines", "aggTrades", "bookTicker", "trades"):
        if len(fields) in _WIDTHS[kind] and _looks_like(kind, fields):
            return kind
    return None


def _looks_like(kind: str, fields: Sequence[str]) -> bool:
    """Whether the fields that tell the files apart are what they must be: times are 13 or 16 digits, flags flags."""
    texts = dict(zip(_TABLES[kind], fields, strict=False))
    wanted = {"klines": ("time", "close_time"), "bookTicker": ("time", "event_time")}.get(kind, ("time",))
    if not all(texts[name].isdecimal() and len(texts[name]) in (13, 16) for name in wanted):
        return False
    return "buyer_maker" not in texts or texts["buyer_maker"].lower() in _FLAGS


def load(path: Path, kind: str | None = None) -> Series:
    """Read a file of trades, aggregated trades, klines or best quotes.

    Args:
        path: CSV, or the zip archive as downloaded.
        kind: ``trades``, ``aggTrades``, ``klines`` or ``bookTicker``; told by the first lines if left out.

    Raises:
        ConfigError: the file is none of the four, or a line is wrong.
    """
    lines = head(path)
    chosen = kind if kind is not None else recognise(lines)
    if chosen is None:
        raise ConfigError.of("file", str(path), "trades, aggTrades, klines or bookTicker of Binance")
    first = split_line(lines[0])
    width = len(first) if len(first) in _WIDTHS[chosen] else _WIDTHS[chosen][0]
    columns = dict(list(_TABLES[chosen].items())[:width])
    frame = read(path, Layout(columns, header=is_header(first)))
    frame["time"] = epoch_times(frame["time"].to_numpy())
    notes: list[str] = []
    frame = in_time_order(frame, notes, chosen)
    found = _NAME.search(path.name)
    common: dict[str, Any] = {"instrument": found["symbol"] if found else path.name.split(".")[0], "source": str(path)}
    form = f"binance-{chosen}"
    if chosen == "klines":
        lengths = (epoch_times(frame["close_time"].to_numpy()) - frame["time"].to_numpy()).astype(float)
        # files close a bar 1 ms or 1 us before the next one opens; months differ by days
        seconds = round(float(np.median(lengths)) / 1e9, 1)
        seconds = seconds if seconds < 86_400 else 86_400.0 * round(seconds / 86_400)
        bars = frame[["time", "open", "high", "low", "close", "volume", "buy_volume"]]
        return Series(**common, format=form, bars=bars, bar_seconds=seconds, notes=tuple(notes))
    if chosen == "bookTicker":
        quotes = frame[["time", "bid", "bid_size", "ask", "ask_size"]]
        return Series(**common, format=form, quotes=quotes, notes=tuple(notes))
    trades = frame[["time", "price", "size"]].assign(sign=np.where(frame["buyer_maker"], -1, 1).astype(np.int8))
    return Series(**common, format=form, trades=trades, notes=tuple(notes))
