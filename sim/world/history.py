"""The historical series behind the contracts: which source belongs to which, on which common dates."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from sim.errors import ConfigError, Problem
from sim.world.config import HistoricalWorld
from sim.world.prices import Prices, read_prices

DATASETS = ("arch:sp500", "arch:nasdaq")


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """Where a contract's series comes from, for the manifest of a run.

    Attributes:
        contract: name of the contract.
        source: data set or file.
        column: price column.
        sha256: hash of the source's bytes.
        first: first date used.
        last: last date used.
    """

    contract: str
    source: str
    column: str
    sha256: str
    first: str
    last: str


def trading_days(config: HistoricalWorld, names: Sequence[str]) -> tuple[str, ...]:
    """Dates of the trading days that can be replayed, the first close (step 0) not among them."""
    return load_series(config, names)[0][0].dates[1:]


def load_series(config: HistoricalWorld, names: Sequence[str]) -> tuple[list[Prices], list[SeriesSource]]:
    """The series of each contract, on the dates that all of them have.

    Args:
        config: the ``[world]`` table.
        names: contract names.

    Raises:
        ConfigError: a source does not fit the contracts, cannot be read or holds bad prices.
    """
    columns = [config.columns] if isinstance(config.columns, str) else list(config.columns)
    if config.dataset is not None:
        sources = [config.dataset] if isinstance(config.dataset, str) else list(config.dataset)
        _check_count("world.dataset", config.dataset, len(sources), names)
        unknown = [name for name in sources if name not in DATASETS]
        if unknown:
            raise ConfigError([Problem("", "world.dataset", name, "one of " + ", ".join(DATASETS)) for name in unknown])
        columns = columns * len(names) if len(columns) == 1 else columns
        _check_count("world.columns", config.columns, len(columns), names)
        series = [_dataset(name, column, config) for name, column in zip(sources, columns, strict=True)]
    elif isinstance(config.path, str):
        sources = [config.path] * len(names)
        _check_count("world.columns", config.columns, len(columns), names)
        series = _file(config.path, columns, config)
    else:
        assert config.path is not None
        sources = list(config.path)
        _check_count("world.path", config.path, len(sources), names)
        columns = columns * len(names) if len(columns) == 1 else columns
        _check_count("world.columns", config.columns, len(columns), names)
        series = [_file(path, [column], config)[0] for path, column in zip(sources, columns, strict=True)]
    series = _on_common_dates(series, config.max_gap_days)
    described = [
        SeriesSource(contract, source, column, prices.sha256, prices.dates[0], prices.dates[-1])
        for contract, source, column, prices in zip(names, sources, columns, series, strict=True)
    ]
    return series, described


def _check_count(key: str, value: object, count: int, names: Sequence[str]) -> None:
    if count != len(names):
        raise ConfigError.of(key, value, f"one for each of the {len(names)} contracts ({', '.join(names)})")


def _file(path: str, columns: Sequence[str], config: HistoricalWorld) -> list[Prices]:
    return read_prices(
        path,
        columns,
        start=config.start,
        end=config.end,
        max_gap_days=config.max_gap_days,
        date_format=config.date_format,
    )


def _dataset(name: str, column: str, config: HistoricalWorld) -> Prices:
    path = _dataset_file(name.partition(":")[2])
    return read_prices(
        path,
        [column],
        start=config.start,
        end=config.end,
        max_gap_days=config.max_gap_days,
        date_format="%m/%d/%Y",
        source=name,
    )[0]


@lru_cache
def _dataset_file(name: str) -> Path:
    """File of one of arch's data sets.

    The package takes seconds to import, and its series is a plain file beside it, so it is found without an import.
    """
    package = importlib.util.find_spec("arch")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "data" / name / f"{name}.csv.gz"
        if path.is_file():
            return path
    raise ConfigError.of("world.dataset", f"arch:{name}", "a data set that is installed (pip install arch)")


def _on_common_dates(series: list[Prices], max_gap_days: int) -> list[Prices]:
    """Keep the dates that every series has: exchanges differ in holidays."""
    common = set(series[0].dates).intersection(*(prices.dates for prices in series[1:]))
    dates = tuple(day for day in series[0].dates if day in common)
    label = ", ".join(dict.fromkeys(prices.source for prices in series))
    if len(dates) < 2:
        raise ConfigError.of("common dates", len(dates), "at least 2 dates that every series has", file=label)
    problems = [
        Problem(label, "common dates", day, f"at most {max_gap_days} calendar days after {before}")
        for before, day in pairwise(dates)
        if (date.fromisoformat(day) - date.fromisoformat(before)).days > max_gap_days
    ]
    if problems:
        raise ConfigError(problems[:10])
    if all(prices.dates == dates for prices in series):
        return series
    kept = []
    for prices in series:
        rows = np.array([day in common for day in prices.dates])
        kept.append(Prices(dates, prices.close[rows], prices.span[rows], prices.source, prices.sha256))
    return kept
