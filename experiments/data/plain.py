"""Plain tables with a column of dates or times: bars, single prices, trades or best quotes, in CSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.data.files import Kind, Layout, head, is_number, plain_name, read, split_line
from experiments.data.series import Series, in_time_order
from experiments.data.timestamps import parse_times
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", ".", "NA", "N/A", "NaN", "nan", "null", "None", "-", "#N/A")
_DAY = 86_400.0
_USUAL, _REGULAR = 0.5, 0.9  # least shares of steps that are one bar, and a whole number of bars
_NAMES: dict[str, tuple[str, ...]] = {  # as `plain_name` writes them, most telling first
    "time": (
        "datetime", "timestamp", "time", "date", "datetimeutc", "timeutc", "opentime", "observationdate", "ts", "day",
        "unix", "unixtimestamp", "t",
    ),
    "clock": ("time", "timeofday", "hour"),
    "close": ("close", "closeprice", "adjclose", "adjustedclose", "price", "last", "lastprice", "px", "mid", "midprice",
              "settle", "settlement", "value", "closelast", "c"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "h"),
    "low": ("low", "lowprice", "l"),
    "volume": ("volume", "vol", "volumebtc", "basevolume", "v", "tickvolume"),
    "size": ("size", "qty", "quantity", "amount", "volume", "vol"),
    "bid": ("bid", "bidprice", "bestbid", "bestbidprice", "bid1"),
    "ask": ("ask", "askprice", "bestask", "bestaskprice", "ask1", "offer"),
    "bid_size": ("bidsize", "bidqty", "bestbidqty", "bidamount", "bidvolume", "bidsize1"),
    "ask_size": ("asksize", "askqty", "bestaskqty", "askamount", "askvolume", "asksize1"),
    "side": ("side", "takerside", "aggressorside", "aggressor", "direction", "sign"),
    "buyer_maker": ("isbuyermaker", "buyermaker"),
}  # fmt: skip
_SIDES = {
    "buy": 1,
    "b": 1,
    "1": 1,
    "+1": 1,
    "1.0": 1,
    "sell": -1,
    "s": -1,
    "-1": -1,
    "-1.0": -1,
    "unknown": 0,
    "0": 0,
    "": 0,
}


def recognise(lines: Sequence[str]) -> str | None:
    """``plain`` if the header names a time and something else, or None."""
    delimiter = delimiter_of(lines)
    fields = split_line(lines[0], delimiter)
    known = {plain_name(field) for field in fields}
    return "plain" if len(fields) > 1 and known & set(_NAMES["time"]) else None


def delimiter_of(lines: Sequence[str]) -> str:
    """Comma, semicolon, tab or bar: the one that the header has most of."""
    return max(",;\t|", key=lambda mark: lines[0].count(mark))


def load(path: Path, column: str | None = None, date_format: str | None = None) -> Series:
    """Read a table whose columns are known by their names.

    Trades if there is a price, a size and the taker's side; quotes if there are bid and ask; else bars. A file with one
    price column is taken as bars of that price. Rows without a price (holidays of FRED files) are left out and counted.

    Args:
        path: CSV (packed or not; comma, semicolon, tab or bar) or Parquet.
        column: the price column; told by the names if left out.
        date_format: of text dates, as ``strptime`` reads it; ISO, or the one usual form that fits, if left out.

    Raises:
        ConfigError: columns are missing or ambiguous, or a line is wrong.
    """
    frame, names, notes = _parquet(path) if _is_parquet(path) else _csv(path, column, date_format)
    roles = _roles(names, path, column)
    time = _times(frame, roles, path, date_format, notes)
    if column is None and "bid" in roles and "ask" in roles and "open" not in roles:
        return _quotes(frame, roles, time, path, notes)
    if "side" in roles or "buyer_maker" in roles:
        return _trades(frame, roles, time, path, notes)
    return _bars(frame, roles, time, path, notes)


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        raise ConfigError.of("file", str(path), "an existing file")
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _parquet(path: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ConfigError.of("file", str(path), f"a readable Parquet file ({error})") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=frame.index.name or "time")
    if frame.empty:
        raise ConfigError.of("file", str(path), "a file with at least one row of data")
    frame.columns = [str(name) for name in frame.columns]
    return frame, list(frame.columns), []


def _csv(path: Path, column: str | None, date_format: str | None) -> tuple[pd.DataFrame, list[str], list[str]]:
    lines = head(path)
    delimiter = delimiter_of(lines)
    names = [name.strip() for name in split_line(lines[0], delimiter)]
    if len(set(names)) < len(names):
        raise ConfigError.of("header", lines[0], "columns with names that differ", file=str(path))
    roles = _roles(names, path, column)
    used = set(roles.values())
    texts = {roles[role] for role in ("time", "clock", "side", "buyer_maker") if role in roles}
    sizes = {roles[role] for role in ("volume", "size", "bid_size", "ask_size") if role in roles}
    kinds: dict[str, Kind] = {
        name: "ignored" if name not in used else "text" if name in texts else "size" if name in sizes else "price"
        for name in names
    }
    decimal = "," if delimiter == ";" and _has_decimal_commas(lines[1:]) else "."
    optional = frozenset(name for name in used - texts)
    frame = read(
        path, Layout(kinds, header=True, delimiter=delimiter, decimal=decimal, missing=MISSING, optional=optional)
    )
    return frame, names, []


def _has_decimal_commas(lines: Sequence[str]) -> bool:
    fields = [field for line in lines for field in split_line(line, ";")]
    return any("," in field and is_number(field.replace(",", ".", 1)) for field in fields)


def _roles(names: Sequence[str], path: Path, column: str | None) -> dict[str, str]:
    """Which column plays which part."""
    plain = {plain_name(name): name for name in reversed(names)}
    roles: dict[str, str] = {}
    for role, known in _NAMES.items():
        found = next((plain[name] for name in known if name in plain), None)
        if found is not None:
            roles[role] = found
    if "date" in plain and roles.get("clock") in (plain.get("time"), plain.get("hour"), plain.get("timeofday")):
        roles["time"] = plain["date"]
    else:
        roles.pop("clock", None)
    if "time" not in roles:
        raise ConfigError.of(
            "header", ",".join(names), "a column of dates or times (date, time, timestamp, ...)", file=str(path)
        )
    if column is not None:
        exact = column if column in names else plain.get(plain_name(column))
        if exact is None:
            raise ConfigError.of("column", column, "one of " + ", ".join(names), file=str(path))
        kept = {role: name for role, name in roles.items() if role in ("time", "clock", "volume")}
        return {**kept, "close": exact}
    if "close" not in roles and not ("bid" in roles and "ask" in roles):
        others = [name for name in names if name not in roles.values()]
        if len(others) != 1:
            raise ConfigError.of(
                "header", ",".join(names), "a column close or price, bid and ask, or one column beside the date;"
                " or name the price column (--column)", file=str(path),
            )  # fmt: skip
        roles["close"] = others[0]
    return roles


def _times(
    frame: pd.DataFrame, roles: dict[str, str], path: Path, date_format: str | None, notes: list[str]
) -> np.ndarray:
    import pandas as pd

    column = frame[roles["time"]]
    if pd.api.types.is_datetime64_any_dtype(column):
        zone = getattr(column.dtype, "tz", None)
        naive = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        if naive.isna().any():
            row = int(np.argmax(naive.isna()))
            raise ConfigError.of(f"row {row + 1}, column {roles['time']}", None, "a time", file=str(path))
        return naive.to_numpy().astype("datetime64[ns]")
    texts = column.astype(str).str.strip()
    if "clock" in roles:
        texts = texts + " " + frame[roles["clock"]].astype(str).str.strip()
    return parse_times(texts, path, roles["time"], date_format, notes)


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    import pandas as pd

    values = pd.to_numeric(frame[name], errors="coerce")
    wrong = (values.isna() & frame[name].notna()) | ~np.isfinite(values.fillna(0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ConfigError.of(f"row {row + 1}, column {name}", frame[name].iloc[row], "a number", file=str(path))
    return values.astype(float)


def _prices(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    values = _numbers(frame, name, path)
    if (values <= 0).any():
        row = int(np.argmax(values <= 0))
        raise ConfigError.of(
            f"row {row + 1}, column {name}", float(values.iloc[row]), "a price above 0", file=str(path)
        )
    return values


def _made(frame: pd.DataFrame, needed: str, notes: list[str], path: Path, what: str) -> pd.DataFrame:
    """Rows that have a price, in order of time."""
    gone = int(frame[needed].isna().sum())
    if gone:
        notes.append(f"{gone} rows without a price were left out")
        frame = frame[frame[needed].notna()].reset_index(drop=True)
    if frame.empty:
        raise ConfigError.of("file", str(path), "a file with at least one price")
    return in_time_order(frame, notes, what)


def _bars(frame: pd.DataFrame, roles: dict[str, str], time: np.ndarray, path: Path, notes: list[str]) -> Series:
    import pandas as pd

    close = _prices(frame, roles["close"], path)
    made = pd.DataFrame({"time": time})
    for role in ("open", "high", "low"):
        made[role] = _prices(frame, roles[role], path).fillna(close) if role in roles else close
    made["close"] = close
    made["volume"] = _numbers(frame, roles["volume"], path) if "volume" in roles else np.nan
    made = _made(made, "close", notes, path, "bars")
    same = made["time"].to_numpy()[1:] == made["time"].to_numpy()[:-1]
    if same.any():
        raise ConfigError.of(
            f"column {roles['time']}", str(made["time"].iloc[int(np.argmax(same))]), "each time once", file=str(path)
        )
    seconds = _length(made["time"].to_numpy())
    if seconds is None:
        notes.append("times lie irregularly: prices are taken as observations, not as bars")
    return Series(_instrument(path), str(path), "plain-bars", bars=made, bar_seconds=seconds, notes=tuple(notes))


def _length(times: np.ndarray) -> float | None:
    """Seconds of a bar: the commonest step between times, if most are it and nearly all multiples of it; else None.

    From a day up calendars count (weekends, holidays, months): the commonest step in whole days.
    """
    steps = np.diff(times).astype(float) / 1e9
    if not len(steps):
        return _DAY
    lengths, counts = np.unique(steps, return_counts=True)
    common = float(lengths[np.argmax(counts)])
    if common >= _DAY:
        return round(common / _DAY) * _DAY
    regular = np.abs(steps / common - np.round(steps / common)) < 1e-6
    divides = abs(_DAY / common - round(_DAY / common)) < 1e-6
    usual = counts.max() >= _USUAL * len(steps) and regular.mean() >= _REGULAR
    return common if divides and usual else None


def _trades(frame: pd.DataFrame, roles: dict[str, str], time: np.ndarray, path: Path, notes: list[str]) -> Series:
    import pandas as pd

    made = pd.DataFrame({"time": time, "price": _prices(frame, roles["close"], path)})
    made["size"] = _numbers(frame, roles["size"], path).fillna(0.0) if "size" in roles else 1.0
    if "size" not in roles:
        notes.append("no size column: each trade counts 1")
    role = "side" if "side" in roles else "buyer_maker"
    texts = frame[roles[role]].astype(str).str.strip().str.lower()
    signs = texts.map(_SIDES if role == "side" else {"true": -1, "1": -1, "false": 1, "0": 1})
    if signs.isna().any():
        row = int(np.argmax(signs.isna()))
        raise ConfigError.of(
            f"row {row + 1}, column {roles[role]}", texts.iloc[row],
            "buy or sell" if role == "side" else "true or false",
            file=str(path),
        )  # fmt: skip
    made["sign"] = signs.astype(np.int8)
    made = _made(made, "price", notes, path, "trades")
    return Series(_instrument(path), str(path), "plain-trades", trades=made, notes=tuple(notes))


def _quotes(frame: pd.DataFrame, roles: dict[str, str], time: np.ndarray, path: Path, notes: list[str]) -> Series:
    import pandas as pd

    made: dict[str, Any] = {"time": time}
    for role in ("bid", "bid_size", "ask", "ask_size"):
        reader = _numbers if "size" in role else _prices
        made[role] = reader(frame, roles[role], path) if role in roles else np.nan
    ordered = in_time_order(pd.DataFrame(made), notes, "quotes")
    if (ordered["bid"].notna() & ordered["ask"].notna()).sum() == 0:
        raise ConfigError.of("file", str(path), "a file with at least one row that has bid and ask")
    return Series(_instrument(path), str(path), "plain-quotes", quotes=ordered, notes=tuple(notes))


def _instrument(path: Path) -> str:
    return path.name.split(".")[0]
