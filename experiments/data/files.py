"""Tables of text read fast, and searched line by line once something in them is wrong."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["price", "number", "size", "whole", "epoch", "flag", "text", "ignored"]

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
_ALLOWED: dict[str, str] = {
    "price": "a price above 0",
    "number": "a number",
    "size": "a size, not negative",
    "whole": "a whole number",
    "epoch": "a time counted from 1970-01-01 in s, ms, us or ns",
    "flag": "true or false",
}


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if it is a gz, bz2, xz or zip archive (told by its first bytes, not its name).

    Raises:
        ConfigError: no such file, damaged, or a zip archive of several files.
    """
    try:
        with path.open("rb") as probe:
            magic = probe.read(6)
    except FileNotFoundError as error:
        raise ConfigError.of("file", str(path), "an existing file") from error
    except OSError as error:
        raise ConfigError.of("file", str(path), f"a readable file ({error.strerror})") from error
    try:
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(path) as stream:
                yield stream  # type: ignore[misc]
        elif magic[:3] == b"BZh":
            with bz2.open(path) as stream:
                yield stream  # type: ignore[misc]
        elif magic == b"\xfd7zXZ\x00":
            with lzma.open(path) as stream:
                yield stream  # type: ignore[misc]
        elif magic[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if len(names) != 1:
                    raise ConfigError.of("file", str(path), f"a zip archive of one file; this one has {len(names)}")
                with archive.open(names[0]) as member:
                    yield member
        else:
            with path.open("rb") as plain:
                yield plain
    except (EOFError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise ConfigError.of("file", str(path), f"an archive that is not damaged ({error})") from error


def head(path: Path, lines: int = 20) -> list[str]:
    """The first lines that are not blank.

    Raises:
        ConfigError: the file is empty or is not text.
    """
    found: list[str] = []
    with opened(path) as stream:
        try:
            for line in io.TextIOWrapper(stream, encoding="utf-8-sig", newline=None):
                if line.strip():
                    found.append(line.rstrip("\n"))
                if len(found) == lines:
                    break
        except UnicodeDecodeError as error:
            raise ConfigError.of("file", str(path), "a text file in UTF-8, or Parquet") from error
    if not found:
        raise ConfigError.of("file", str(path), "a file that is not empty")
    return found


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    Attributes:
        columns: name and kind of each column, in the file's order.
        header: whether the first line names the columns.
        delimiter: between fields.
        decimal: decimal mark.
        missing: texts that stand for a value that is not there, allowed in columns of ``optional``.
        optional: columns in which a value may be missing.
        choices: what columns of text may say, in lower case.
    """

    columns: Mapping[str, Kind]
    header: bool
    delimiter: str = ","
    decimal: str = "."
    missing: tuple[str, ...] = ("",)
    optional: frozenset[str] = frozenset()
    choices: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read(path: Path, layout: Layout) -> pd.DataFrame:
    """Read a table; columns of kind ``ignored`` are left out, flags become bool, times stay counts.

    Raises:
        ConfigError: a line has too few or too many fields, or a value is not of its column's kind; file, line and
            column are named.
    """
    import pandas as pd

    names = list(layout.columns)
    kept = [name for name in names if layout.columns[name] != "ignored"]
    exact = [name for name in kept if layout.columns[name] in ("whole", "epoch") and name not in layout.optional]
    types: dict[str, Any] = dict.fromkeys(names, "str") | {
        name: "int64" if name in exact else "float64" for name in kept if layout.columns[name] not in ("flag", "text")
    }
    try:
        with opened(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of lines that are too long
            frame = pd.read_csv(
                stream, names=names, header=0 if layout.header else None, dtype=types, sep=layout.delimiter,
                decimal=layout.decimal, na_values=list(layout.missing), keep_default_na=False, index_col=False,
                encoding="utf-8-sig",
            )[kept]  # fmt: skip
        for name in kept:
            frame[name] = _checked(frame[name], layout.columns[name], name in layout.optional, layout.choices.get(name))
    except (ValueError, pd.errors.ParserWarning) as error:  # pandas' parser errors are ValueErrors
        raise located(path, layout, error) from error
    if frame.empty:
        raise ConfigError.of("file", str(path), "a file with at least one row of data")
    return frame


def _checked(column: pd.Series, kind: Kind, optional: bool, choices: frozenset[str] | None) -> pd.Series:
    if kind == "text":
        texts = column.fillna("")
        if choices is None:
            return texts
        texts = texts.str.strip().str.lower()
        if not texts.isin(choices).all():
            raise ValueError("text")
        return texts
    if kind == "flag":
        lower = column.str.strip().str.lower()
        if not lower.isin(_TRUE | _FALSE).all():
            raise ValueError("flag")
        return lower.isin(_TRUE)
    values = column.to_numpy()
    present = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    fits = np.isfinite(values)
    if kind in ("price", "epoch"):
        fits &= values > 0
    if kind == "size":
        fits &= values >= 0
    if (~fits & present).any() or (not optional and not present.all()):
        raise ValueError(kind)
    return column


def located(path: Path, layout: Layout, cause: Exception) -> ConfigError:
    """The error of the first line that does not fit, found by reading the file slowly."""
    names = list(layout.columns)
    for line, row in rows(path, layout.delimiter):
        if layout.header and line == 1:
            continue
        if len(row) == len(names) + 1 and not row[-1]:
            row = row[:-1]  # a delimiter at the end of the line
        if len(row) != len(names):
            return ConfigError.of(
                f"line {line}", layout.delimiter.join(row),
                f"{len(names)} fields ({', '.join(names)}); it has {len(row)}", file=str(path),
            )  # fmt: skip
        for name, text in zip(names, row, strict=True):
            kind = layout.columns[name]
            choices = layout.choices.get(name)
            if choices is not None and text.strip().lower() not in choices:
                return ConfigError.of(f"line {line}, column {name}", text, " or ".join(sorted(choices)), file=str(path))
            if not _fits(text.strip(), kind, layout, name in layout.optional):
                return ConfigError.of(f"line {line}, column {name}", text, _ALLOWED[kind], file=str(path))
    return ConfigError.of("file", str(path), f"a table of {', '.join(names)} ({cause})")


def rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers (of a row's last line) and fields; blank lines are left out."""
    with opened(path) as stream:
        reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace"), delimiter=delimiter)
        for row in reader:
            if row:
                yield reader.line_num, row


def _fits(text: str, kind: Kind, layout: Layout, optional: bool) -> bool:
    if kind in ("text", "ignored") or (optional and text in layout.missing):
        return True
    if kind == "flag":
        return text.lower() in _TRUE | _FALSE
    if kind in ("whole", "epoch") and not optional:
        return text.lstrip("+-").isdecimal() and (kind == "whole" or int(text) > 0)
    try:
        value = float(text.replace(layout.decimal, ".")) if "_" not in text else math.nan
    except ValueError:
        return False
    return math.isfinite(value) and (kind != "price" or value > 0) and (kind not in ("size", "epoch") or value >= 0)


def plain_name(text: str) -> str:
    """A column's name without case, spaces and signs, to compare names by."""
    return "".join(c for c in text.lower() if c.isalnum())


def split_line(line: str, delimiter: str = ",") -> list[str]:
    """The fields of one line."""
    return next(csv.reader([line], delimiter=delimiter))


def is_number(text: str) -> bool:
    """Whether a field is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_header(fields: Sequence[str]) -> bool:
    """Whether a first line names columns: no field of it is a number."""
    return not any(is_number(field) for field in fields)
