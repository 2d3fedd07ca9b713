"""Files of LOBSTER, https://lobsterdata.com/info/DataStructure.php: Nasdaq's orders and the book after each.

Two files without header and with equally many lines: messages (seconds after midnight, type, order, size, price x
10,000, direction of the limit order) and the book (ask price, ask size, bid price, bid size of each level). The
direction is that of the resting order, so the taker's sign is its opposite. Executions of hidden orders are reported
with direction 1 whatever their side was (http://help.lobsterdata.com/en/articles/699605), so their sign is left open
here and inferred where signs are needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.data.files import Kind, Layout, head, is_number, read, split_line
from experiments.data.series import Series, in_time_order
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

SUBMISSION, CANCELLATION, DELETION, EXECUTION, HIDDEN_EXECUTION, CROSS, HALT = 1, 2, 3, 4, 5, 6, 7
_PRICE_UNITS = 10_000
_EMPTY = 9_999_999_999  # price of a level that is not occupied: + for asks, - for bids
_NAME = re.compile(r"(?P<ticker>[^_]+)_(?P<date>\d{4}-\d{2}-\d{2})_\d+_\d+_(?P<kind>message|orderbook)_\d+")
_MESSAGE: dict[str, Kind] = {
    "time": "number", "type": "whole", "order": "whole", "size": "whole", "price": "whole", "direction": "whole",
}  # fmt: skip


def recognise(lines: Sequence[str], name: str = "") -> str | None:
    """``message``, ``orderbook`` or None, from the first lines or the file's name."""
    found = _NAME.match(name)
    if found:
        return found["kind"]
    rows = [split_line(line) for line in lines]
    if not all(is_number(field) for row in rows for field in row):
        return None
    if all(len(row) in (6, 7) and _is_message(row) for row in rows):
        return "message"
    if all(len(row) % 4 == 0 and len(row) == len(rows[0]) and _is_book(row) for row in rows):
        return "orderbook"
    return None


def _is_message(row: Sequence[str]) -> bool:
    whole = all(field.lstrip("-").isdecimal() for field in row[1:6])
    return whole and 0 <= float(row[0]) <= 86_400 and 1 <= int(row[1]) <= 7 and row[5] in ("-1", "1")


def _is_book(row: Sequence[str]) -> bool:
    if not all(field.lstrip("-").isdecimal() for field in row):
        return False
    ask, bid = int(row[0]), int(row[2])
    return ask > bid and (ask >= 100 and (bid >= 100 or bid == -_EMPTY)) and int(row[1]) >= 0 and int(row[3]) >= 0


def load(path: Path, date: str | None = None, book: Path | None = None) -> Series:
    """Read a day of messages together with its book.

    Args:
        path: either of the two files; the other is looked for beside it under LOBSTER's name.
        date: ISO date of the day; taken from the file's name if left out.
        book: the book's file, where the names do not tell.

    Raises:
        ConfigError: a line is wrong, the files differ in length, or the book alone was given.
    """
    import pandas as pd

    notes: list[str] = []
    messages_at, book_at = _pair(path, book)
    found = _NAME.match(messages_at.name)
    day = date if date is not None else found["date"] if found else None
    if day is None:
        day = "1970-01-01"
        notes.append("the file's name has no date; 1970-01-01 stands for the day")
    try:
        midnight = pd.Timestamp(day).normalize()
    except ValueError as error:
        raise ConfigError.of("date", day, "a date as YYYY-MM-DD") from error
    messages = _messages(messages_at, midnight)
    quotes = levels = None
    if book_at is not None:
        levels = _book(book_at, len(messages), messages_at)
        levels.insert(0, "time", messages["time"])
        if levels["ask_1"].isna().all() or levels["bid_1"].isna().all():
            raise ConfigError.of("column 1", "no price", "a book with two sides", file=str(book_at))
    else:
        notes.append("no file of the book beside the messages: trades only")
    backwards = bool((messages["time"].diff().dropna() < pd.Timedelta(0)).any())
    if backwards and levels is not None:
        levels = in_time_order(levels, [], "book")
    messages = in_time_order(messages, notes, "messages")
    if levels is not None:
        quotes = levels[["time", "bid_1", "bid_size_1", "ask_1", "ask_size_1"]]
        quotes = quotes.rename(columns=lambda name: name.removesuffix("_1"))
    kind = messages["type"].to_numpy()
    executed = messages[(kind == EXECUTION) | (kind == HIDDEN_EXECUTION)].reset_index(drop=True)
    hidden = executed["type"].to_numpy() == HIDDEN_EXECUTION
    sign = np.where(hidden, 0, -executed["direction"]).astype(np.int8)
    trades = executed[["time", "price", "size"]].assign(size=executed["size"].astype(float), sign=sign)
    if hidden.any():
        notes.append(f"{int(hidden.sum())} of {len(hidden)} executions met hidden orders, whose side the file masks")
    for code, what in ((CROSS, "cross trades"), (HALT, "halt messages")):
        if (kind == code).any():
            notes.append(f"{int((kind == code).sum())} {what} are in `messages` only")
    return Series(
        found["ticker"] if found else messages_at.stem, " + ".join(str(p) for p in (messages_at, book_at) if p),
        "lobster", trades=trades, quotes=quotes, book=levels, messages=messages, notes=tuple(notes),
    )  # fmt: skip


def _pair(path: Path, book: Path | None) -> tuple[Path, Path | None]:
    kind = recognise(head(path), path.name)
    if kind == "orderbook":
        twin = path.with_name(path.name.replace("_orderbook_", "_message_"))
        if twin == path or not twin.exists():
            raise ConfigError.of("file", str(path), "the message file; this is a book, and no messages stand beside it")
        return twin, path
    if book is None and "_message_" in path.name:
        twin = path.with_name(path.name.replace("_message_", "_orderbook_"))
        return path, twin if twin.exists() else None
    return path, book


def _messages(path: Path, midnight: pd.Timestamp) -> pd.DataFrame:
    width = len(split_line(head(path, 1)[0]))
    columns = dict(_MESSAGE) if width != 7 else {**_MESSAGE, "attribution": "ignored"}  # some orders name a participant
    layout = Layout(columns, header=False)
    frame = read(path, layout)
    seconds, kind = frame["time"].to_numpy(), frame["type"].to_numpy()
    halted = kind == HALT
    wrong = {
        "time": ((seconds < 0) | (seconds > 86_400), "seconds after midnight"),
        "type": ((kind < SUBMISSION) | (kind > HALT), "1 to 7"),
        "size": (frame["size"].to_numpy() < 0, "a number of shares, not negative"),
        "price": ((frame["price"].to_numpy() <= 0) & ~halted, "10,000 times a price above 0"),
        "direction": (~np.isin(frame["direction"].to_numpy(), (-1, 1)) & ~halted & (kind != CROSS), "-1 or 1"),
    }
    _refuse(path, frame, wrong)
    nanoseconds = np.rint(seconds * 1e9).astype("timedelta64[ns]")
    price = (frame["price"] / _PRICE_UNITS).where(~halted, frame["price"])  # of a halt a code: -1, 0 or 1
    return frame.assign(time=midnight.to_datetime64().astype("datetime64[ns]") + nanoseconds, price=price)


def _book(path: Path, expected: int, messages: Path) -> pd.DataFrame:
    width = len(split_line(head(path, 1)[0]))
    if width % 4:
        raise ConfigError.of(
            "line 1", f"{width} fields", "4 fields a level (ask, its size, bid, its size)", file=str(path)
        )
    names = [f"{name}_{level + 1}" for level in range(width // 4) for name in ("ask", "ask_size", "bid", "bid_size")]
    frame = read(path, Layout(dict.fromkeys(names, "whole"), header=False))
    if len(frame) != expected:
        raise ConfigError.of("lines", len(frame), f"{expected}, as many as in {messages.name}", file=str(path))
    wrong = {name: (frame[name].to_numpy() < 0, "a size, not negative") for name in names if "size" in name}
    _refuse(path, frame, wrong)
    frame = frame.astype(float)
    for level in range(1, width // 4 + 1):
        for side in ("ask", "bid"):
            price, size = frame[f"{side}_{level}"], f"{side}_size_{level}"
            occupied = (price.abs() < _EMPTY) & (price > 0)
            frame[f"{side}_{level}"] = (price / _PRICE_UNITS).where(occupied)
            frame[size] = frame[size].where(occupied)
    return frame


def _refuse(path: Path, frame: pd.DataFrame, wrong: dict[str, tuple[np.ndarray, str]]) -> None:
    """The error of the first row at fault; LOBSTER's files have neither header nor blank lines."""
    found = [(int(np.argmax(bad)), name, allowed) for name, (bad, allowed) in wrong.items() if bad.any()]
    if found:
        row, name, allowed = min(found)
        raise ConfigError.of(f"line {row + 1}, column {name}", frame[name].iloc[row].item(), allowed, file=str(path))
