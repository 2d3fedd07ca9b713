"""Dates and times written in text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.data.series import epoch_times
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_USUAL = (  # tried on the whole column, where it is not ISO
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y",
    "%d-%b-%y", "%b %d, %Y", "%d %b %Y", "%Y.%m.%d", "%Y%m%d",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p", " %H%M%S")


def parse_times(texts: pd.Series, path: Path, column: str, date_format: str | None, notes: list[str]) -> np.ndarray:
    """Times of a column of text: a given format, counts since the epoch, ISO 8601, or the one usual form that fits.

    A form fits if every text of the column does; where two fit and differ (03/04/2020), the format must be said.

    Returns:
        datetime64[ns][n], UTC where the texts name a zone.

    Raises:
        ConfigError: a text is no time, or the form is ambiguous.
    """
    import pandas as pd

    if date_format is not None:
        return _checked(pd.to_datetime(texts, format=date_format, errors="coerce"), texts, path, column, date_format)
    first = texts.iloc[0]
    if first.replace(".", "", 1).isdecimal() and len(first.split(".")[0]) >= 9:
        counts = pd.to_numeric(texts, errors="coerce")
        if counts.isna().any() or (counts <= 0).any():
            _checked(counts.where(counts > 0), texts, path, column, "a time counted from 1970-01-01")
        whole = counts.to_numpy()
        if whole.dtype.kind == "f":
            return (
                np.rint(whole * 1e9).astype("int64").astype("datetime64[ns]")
                if whole.max() < 1e11
                else epoch_times(whole)
            )
        return epoch_times(whole)
    iso = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    compact = first.isdecimal() and len(first) == 8  # 20200304 is ISO too
    if iso.notna().all() or compact:
        return _checked(iso, texts, path, column, "a date as YYYY-MM-DD or an ISO 8601 time")
    fitting: dict[str, np.ndarray] = {}
    for day in _USUAL:
        for clock in _CLOCKS:
            if pd.notna(pd.to_datetime(first, format=day + clock, errors="coerce")):
                parsed = pd.to_datetime(texts, format=day + clock, errors="coerce")
                if parsed.notna().all():
                    fitting[day + clock] = parsed.to_numpy().astype("datetime64[ns]")
    if not fitting:
        return _checked(
            iso, texts, path, column, "a date as YYYY-MM-DD, an ISO 8601 time, or a form named by --date-format"
        )
    forms = list(fitting)
    if any((fitting[form] != fitting[forms[0]]).any() for form in forms[1:]):
        raise ConfigError.of(
            f"column {column}", first, f"dates of one form; these fit {' and '.join(forms)}: name it (--date-format)",
            file=str(path),
        )  # fmt: skip
    notes.append(f"dates were read as {forms[0]}")
    return fitting[forms[0]]


def _checked(parsed: pd.Series, texts: pd.Series, path: Path, column: str, allowed: str) -> np.ndarray:
    """The times, or the error of the first text that is none."""
    if parsed.isna().any():
        row = int(np.argmax(parsed.isna()))
        where = "row" if path.suffix == ".parquet" else "line"
        number = row + (1 if where == "row" else 2)
        raise ConfigError.of(f"{where} {number}, column {column}", texts.iloc[row], allowed, file=str(path))
    if getattr(parsed.dtype, "tz", None) is not None:
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
    return parsed.to_numpy().astype("datetime64[ns]")
