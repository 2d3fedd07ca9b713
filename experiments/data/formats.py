"""Which format a file has, and the one function that reads them all."""

from __future__ import annotations

from pathlib import Path

from experiments.data import binance, lobster, plain, tardis
from experiments.data.files import head
from experiments.data.series import Series
from sim.errors import ConfigError

FORMATS: dict[str, str] = {
    "lobster": "LOBSTER: messages and book of a Nasdaq stock, two CSV files without header",
    "binance-trades": "Binance: trades",
    "binance-aggTrades": "Binance: trades of one taker order at one price, added up",
    "binance-klines": "Binance: bars",
    "binance-bookTicker": "Binance: best bid and ask",
    "tardis-trades": "Tardis: trades",
    "tardis-quotes": "Tardis: best bid and ask",
    "tardis-book_snapshot": "Tardis: first 5 or 25 levels of the book",
    "tardis-incremental_book_L2": "Tardis: changes of every level; the book is rebuilt",
    "plain": "CSV or Parquet with a column of dates or times: bars, prices, trades or quotes",
}


def detect(path: str | Path) -> str:
    """The format of a file, told by its first lines.

    Raises:
        ConfigError: it cannot be read or is of no known format.
    """
    path = Path(path)
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(4) == b"PAR1":
                return "plain"
    lines = head(path)
    kind = tardis.recognise(lines)
    if kind is not None:
        return f"tardis-{kind}"
    kind = binance.recognise(lines)
    if kind is not None:
        return f"binance-{kind}"
    if lobster.recognise(lines, path.name) is not None:
        return "lobster"
    if plain.recognise(lines) is not None:
        return "plain"
    raise ConfigError.of(
        "line 1", lines[0], "a file of a known format (" + ", ".join(FORMATS) + "); a plain table needs a header that"
        " names its date or time column", file=str(path),
    )  # fmt: skip


def load(
    path: str | Path, format: str = "auto", *, column: str | None = None, date_format: str | None = None,
    date: str | None = None, book: str | Path | None = None, levels: int = 5,
) -> Series:  # fmt: skip
    """Read a file of market data.

    Args:
        path: the file; CSV may be packed (gz, zip, bz2, xz).
        format: one of `FORMATS`, or ``auto``.
        column: price column of a plain table.
        date_format: of a plain table's dates, as ``strptime`` reads it.
        date: ISO date of LOBSTER files whose name has none.
        book: LOBSTER's book, if it does not stand beside the messages under its own name.
        levels: of the book rebuilt from Tardis' ``incremental_book_L2``.

    Raises:
        ConfigError: the file cannot be read; names file, line and column.
    """
    path = Path(path)
    if format != "auto" and format not in FORMATS:
        raise ConfigError.of("format", format, "auto, " + ", ".join(FORMATS))
    if levels < 1:
        raise ConfigError.of("levels", levels, "1 or more")
    if not path.exists():
        raise ConfigError.of("file", str(path), "an existing file")
    chosen = detect(path) if format == "auto" else format
    house, _, kind = chosen.partition("-")
    if house == "binance":
        return binance.load(path, kind)
    if house == "tardis":
        return tardis.load(path, kind, levels)
    if house == "lobster":
        return lobster.load(path, date, Path(book) if book is not None else None)
    return plain.load(path, column, date_format)
