"""Reading a daily price series, and refusing one that a market should not be built on."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import ConfigError, Problem

_MOST_PROBLEMS = 10
_A_PRICE = "a finite number above 0"


@dataclass(frozen=True)
class Prices:
    """One daily series.

    Attributes:
        dates: ISO dates, strictly increasing.
        close: float64[n], finite and positive.
        span: float64[n], high over low of the day (at least 1), or 0 where the source has no range.
        source: where it comes from, for messages and manifests.
        sha256: hash of the source's bytes.
    """

    dates: tuple[str, ...]
    close: np.ndarray
    span: np.ndarray
    source: str
    sha256: str


def read_prices(
    path: str | Path,
    columns: Sequence[str] = ("close",),
    *,
    start: str | None = None,
    end: str | None = None,
    max_gap_days: int = 7,
    date_format: str | None = None,
    source: str | None = None,
) -> list[Prices]:
    """Read one or more daily series of a CSV (also gzipped) or Parquet file.

    The file has a header with ``date`` and the price columns, upper or lower case alike. Columns ``high``
    and ``low`` give the daily range of a column called ``close``.

    Args:
        path: the file.
        columns: price columns; one series is returned for each.
        start: first date to keep.
        end: last date to keep.
        max_gap_days: longest gap between kept dates, in calendar days.
        date_format: ``strptime`` format of text dates, such as ``"%m/%d/%Y"``; ISO dates if left out.
        source: name of the series in messages, the path if left out.

    Returns:
        The series, all with the same dates.

    Raises:
        ConfigError: the file cannot be read, or dates or prices are missing, malformed, not finite, not positive,
            duplicated, out of order, too far apart, or do not cover [start, end].
    """
    file = Path(path)
    name = source or str(path)
    rows, data = _open(file, name)
    header = {str(title).strip().lower(): i for i, title in reversed(list(enumerate(next(rows, []))))}
    missing = [title for title in ("date", *columns) if title.lower() not in header]
    if missing:
        found = ", ".join(header) or "none"
        raise ConfigError([Problem(name, "column", title, f"one of the file's columns ({found})") for title in missing])
    ranged = all(title in header for title in ("high", "low"))
    problems: list[Problem] = []
    dates: list[str] = []
    values: list[list[float]] = []
    last = date.min
    for line, row in enumerate(rows, start=2):
        if not any(str(cell).strip() for cell in row if cell is not None):
            continue
        day = _date(_cell(row, header["date"]), date_format)
        if day is None:
            allowed = f"a date as {date_format or 'YYYY-MM-DD'}"
            problems.append(Problem(name, f"line {line}, date", _cell(row, header["date"]), allowed))
            continue
        kept = (start is None or day.isoformat() >= start) and (end is None or day.isoformat() <= end)
        problems.extend(_order_problems(name, line, last, day, max_gap_days if kept and dates else None))
        last = max(last, day)
        if not kept:
            continue
        found_values = []
        for title in columns:
            cell = _cell(row, header[title.lower()])
            value = _number(cell)
            if not (math.isfinite(value) and value > 0):
                problems.append(Problem(name, f"line {line}, {day}, {title}", cell, _A_PRICE))
            found_values.append(value)
        span = 0.0
        if ranged and "close" in (title.lower() for title in columns):
            high, low = _cell(row, header["high"]), _cell(row, header["low"])
            if math.isfinite(_number(high)) and _number(high) >= _number(low) > 0:
                span = _number(high) / _number(low)
            else:
                problems.append(
                    Problem(name, f"line {line}, {day}, high and low", f"{high}, {low}", "a high of at least the low")
                )
        dates.append(day.isoformat())
        values.append([*found_values, span])
    problems.extend(_coverage_problems(name, dates, start, end, max_gap_days))
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        shown = problems[:_MOST_PROBLEMS]
        if more > 0:
            shown.append(Problem(name, "further problems", more, "none"))
        raise ConfigError(shown)
    table = np.array(values)
    digest = hashlib.sha256(data).hexdigest()
    nothing = np.zeros(len(dates))
    return [
        Prices(
            tuple(dates), table[:, i].copy(), table[:, -1].copy() if title.lower() == "close" else nothing, name, digest
        )
        for i, title in enumerate(columns)
    ]


def _open(file: Path, name: str) -> tuple[Iterator[Sequence[Any]], bytes]:
    """Rows of the file, header first, and its bytes."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError.of("world.path", str(file), f"a file that can be read ({error.strerror})") from error
    lower = file.name.lower()
    try:
        if lower.endswith(".parquet"):
            return _parquet_rows(data), data
        if lower.endswith((".csv", ".csv.gz")):
            text = (gzip.decompress(data) if lower.endswith(".gz") else data).decode("utf-8-sig")
            return csv.reader(io.StringIO(text, newline="")), data
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise ConfigError.of("world.path", name, f"a readable CSV or Parquet file ({reason})") from error
    raise ConfigError.of("world.path", name, "a file that ends in .csv, .csv.gz or .parquet")


def _parquet_rows(data: bytes) -> Iterator[Sequence[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))
    columns = [column.to_pylist() for column in table.columns]
    return iter([table.column_names, *zip(*columns, strict=True)])


def _cell(row: Sequence[Any], place: int) -> Any:
    return row[place] if place < len(row) else ""


def _date(cell: Any, date_format: str | None) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = str(cell).strip()
    try:
        return (datetime.strptime(text, date_format) if date_format else datetime.fromisoformat(text)).date()
    except ValueError:
        return None


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


def _order_problems(name: str, line: int, last: date, day: date, max_gap_days: int | None) -> Iterator[Problem]:
    if day == last:
        yield Problem(name, f"line {line}, date", day.isoformat(), "each date once")
    elif day < last:
        yield Problem(name, f"line {line}, date", day.isoformat(), f"a date after {last}, dates in order")
    elif max_gap_days is not None and (day - last).days > max_gap_days:
        allowed = f"at most {max_gap_days} calendar days after {last} (world.max_gap_days)"
        yield Problem(name, f"line {line}, date", day.isoformat(), allowed)


def _coverage_problems(
    name: str, dates: Sequence[str], start: str | None, end: str | None, max_gap_days: int
) -> Iterator[Problem]:
    if len(dates) < 2:
        between = f" from {start or 'the first date'} to {end or 'the last date'}" if start or end else ""
        yield Problem(name, "rows", len(dates), f"at least 2 closes{between}")
        return
    first, last = date.fromisoformat(dates[0]), date.fromisoformat(dates[-1])
    if start is not None and (first - date.fromisoformat(start)).days > max_gap_days:
        yield Problem(name, "world.start", start, f"a start that the series covers, it begins on {first}")
    if end is not None and (date.fromisoformat(end) - last).days > max_gap_days:
        yield Problem(name, "world.end", end, f"an end that the series covers, it ends on {last}")
