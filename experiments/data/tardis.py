"""CSV files of Tardis.dev, https://docs.tardis.dev/downloadable-csv-files/data-types.

All have a header, are usually packed with gzip, and count time in microseconds since the epoch, UTC: ``timestamp`` is
the exchange's time, ``local_timestamp`` the arrival, which is what orders the rows. ``side`` of a trade is the taker's:
``buy``, ``sell`` or ``unknown``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.data.files import Kind, Layout, head, read, split_line
from experiments.data.series import Series, epoch_times, in_time_order
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = re.compile(r"(asks|bids)\[(\d+)\]\.(price|amount)")
_KEYS: dict[str, frozenset[str]] = {
    "trades": frozenset({"timestamp", "side", "price", "amount", "id"}),
    "quotes": frozenset({"timestamp", "ask_price", "ask_amount", "bid_price", "bid_amount"}),
    "book_snapshot": frozenset({"timestamp", "asks[0].price", "asks[0].amount", "bids[0].price", "bids[0].amount"}),
    "incremental_book_L2": frozenset({"timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount"}),
}
_KINDS: dict[str, Kind] = {
    "exchange": "text", "symbol": "text", "timestamp": "epoch", "local_timestamp": "epoch", "id": "ignored",
    "side": "text", "price": "price", "amount": "size", "is_snapshot": "flag", "ask_price": "price",
    "ask_amount": "size", "bid_price": "price", "bid_amount": "size",
}  # fmt: skip
_SIGNS = {"buy": 1, "sell": -1, "unknown": 0}


def recognise(lines: Sequence[str]) -> str | None:
    """Which of the files the header is of, or None."""
    names = {name.strip() for name in split_line(lines[0])}
    return next((kind for kind, keys in _KEYS.items() if keys <= names), None)


def load(path: Path, kind: str | None = None, levels: int = 5) -> Series:
    """Read trades, quotes, snapshots of the book, or changes of its levels.

    Args:
        path: CSV, packed or not.
        kind: ``trades``, ``quotes``, ``book_snapshot`` or ``incremental_book_L2``; told by the header if left out.
        levels: of the book rebuilt from ``incremental_book_L2``.

    Raises:
        ConfigError: the file is none of them, holds several instruments, or a line is wrong.
    """
    names = [name.strip() for name in split_line(head(path)[0])]
    chosen = kind if kind is not None else recognise(head(path))
    if chosen is None or not _KEYS[chosen] <= set(names):
        wanted = "trades, quotes, book_snapshot or incremental_book_L2" if chosen is None else chosen
        raise ConfigError.of("file", str(path), f"{wanted} of Tardis, with its header")
    columns: dict[str, Kind] = {}
    for name in names:
        level = _LEVEL.fullmatch(name)
        columns[name] = ("price" if level[3] == "price" else "size") if level else _KINDS.get(name, "ignored")
    sides = frozenset(name for name in names if _LEVEL.fullmatch(name) or name.startswith(("ask_", "bid_")))
    choices = {"trades": frozenset(_SIGNS), "incremental_book_L2": frozenset({"bid", "ask"})}.get(chosen)
    named = {"side": choices} if choices else {}
    frame = read(path, Layout(columns, header=True, optional=sides, choices=named))
    instrument = _one_instrument(frame, path)
    frame["time"] = epoch_times(frame["timestamp"].to_numpy())
    notes: list[str] = []
    if chosen == "incremental_book_L2":
        frame = _rebuilt(frame, path, levels, notes)
    frame = in_time_order(frame, notes, chosen)
    common: dict[str, Any] = {"instrument": instrument, "source": str(path), "format": f"tardis-{chosen}"}
    if chosen == "trades":
        signs = frame["side"].map(_SIGNS).astype(np.int8)
        trades = frame[["time", "price"]].assign(size=frame["amount"], sign=signs)
        return Series(**common, trades=trades, notes=tuple(notes))
    if chosen == "quotes":
        quotes = frame[["time"]].assign(
            bid=frame["bid_price"], bid_size=frame["bid_amount"], ask=frame["ask_price"], ask_size=frame["ask_amount"]
        )
        return Series(**common, quotes=quotes, notes=tuple(notes))
    if chosen == "book_snapshot":
        frame = frame.rename(columns={name: _our_name(name) for name in names if _LEVEL.fullmatch(name)})
    book = frame[["time", *sorted((n for n in frame if n[-1].isdigit() and "_" in n), key=_level_order)]]
    quotes = book[["time", "bid_1", "bid_size_1", "ask_1", "ask_size_1"]]
    quotes = quotes.rename(columns=lambda name: name.removesuffix("_1"))
    return Series(**common, quotes=quotes, book=book, notes=tuple(notes))


def _one_instrument(frame: pd.DataFrame, path: Path) -> str:
    if "symbol" not in frame:
        return path.name.split(".")[0]
    found = frame["symbol"].unique()
    if len(found) > 1:
        raise ConfigError.of("column symbol", ", ".join(found[:4]), "one instrument a file", file=str(path))
    return str(found[0])


def _our_name(name: str) -> str:
    level = _LEVEL.fullmatch(name)
    assert level is not None
    return f"{level[1][:-1]}{'_size' if level[3] == 'amount' else ''}_{int(level[2]) + 1}"


def _level_order(name: str) -> tuple[int, str]:
    return int(name.rsplit("_", 1)[1]), name


def _rebuilt(frame: pd.DataFrame, path: Path, levels: int, notes: list[str]) -> pd.DataFrame:
    """The book after each message (rows of one ``local_timestamp``), where one of its first levels changed.

    As Tardis describes: rows before the first snapshot are passed over; a snapshot after updates discards the book; an
    amount of 0 removes the level.
    """
    import pandas as pd

    snapshot = frame["is_snapshot"].to_numpy()
    if not snapshot.any():
        raise ConfigError.of("column is_snapshot", "false in every row", "at least one snapshot", file=str(path))
    start = int(np.argmax(snapshot))
    if start:
        notes.append(f"{start} updates before the first snapshot were passed over")
    arrival = frame["local_timestamp"].to_numpy()[start:]
    last = np.append(arrival[1:] != arrival[:-1], True)
    prices: tuple[list[float], list[float]] = ([], [])  # keys, best first: minus the price for bids
    sizes: tuple[dict[float, float], dict[float, float]] = ({}, {})
    out: list[list[float]] = []
    rows: list[int] = []
    shown: list[float] | None = None
    before = True
    steps = zip(
        (frame["side"] == "ask").to_numpy()[start:].tolist(), frame["price"].to_numpy()[start:].tolist(),
        frame["amount"].to_numpy()[start:].tolist(), snapshot[start:].tolist(), last.tolist(), strict=True,
    )  # fmt: skip
    for row, (asks, price, amount, fresh, closes) in enumerate(steps, start):
        if fresh and not before:
            for keys, held in zip(prices, sizes, strict=True):
                keys.clear()
                held.clear()
        before = fresh
        keys, held = prices[asks], sizes[asks]
        key = price if asks else -price
        if amount == 0:
            if held.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]
        else:
            if key not in held:
                keys.insert(bisect_left(keys, key), key)
            held[key] = amount
        if closes:
            now = _top(prices[0], sizes[0], levels, -1) + _top(prices[1], sizes[1], levels, 1)
            if now != shown:
                shown = now
                out.append(now)
                rows.append(row)
    names = [f"{side}{size}_{n + 1}" for side in ("bid", "ask") for n in range(levels) for size in ("", "_size")]
    rebuilt = pd.DataFrame(np.array(out).reshape(-1, len(names)), columns=names)
    rebuilt = rebuilt.replace(-1.0, np.nan)
    rebuilt.insert(0, "time", frame["time"].to_numpy()[rows])
    return rebuilt


def _top(keys: list[float], held: dict[float, float], levels: int, sign: int) -> list[float]:
    """Prices and sizes of the first levels, -1 where there is none (unlike NaN it equals itself)."""
    found: list[float] = []
    for key in keys[:levels]:
        found += (sign * key, held[key])
    return found + [-1.0] * (2 * levels - len(found))
