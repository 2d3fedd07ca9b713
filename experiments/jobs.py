"""Carry out the units of a job on an engine, keep what is finished in the output folder, resume what is not.

A unit is the smallest piece that is kept or done again: one run, or one seed of a forked comparison with all its arms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.engines import Engine
from experiments.store import FAILED, FINISHED, INTERRUPTED, OutputFolder, combined_hash, plain

if TYPE_CHECKING:
    import pandas as pd

RUNS = "runs"
TABLES = ("steps", "events", "trades", "accounts", "causes", "cascades", "surface")


@dataclass(frozen=True)
class Unit:
    """A piece of a job.

    Attributes:
        key: names it in the output folder.
        task: what the job's function gets.
    """

    key: str
    task: Any


@dataclass
class UnitResult:
    """What a unit gives back.

    Attributes:
        runs: one plain dictionary per run: ``regime``, ``seed``, ``arm``, ``measures``, ``incidence``,
            ``results_hash`` and more.
        tables: tables to keep, by name, with the columns ``regime`` and ``seed``.
    """

    runs: list[dict[str, Any]]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def perform(
    units: Sequence[Unit],
    function: Callable[[Any], UnitResult],
    engine: Engine,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Carry out every unit that the folder does not hold yet.

    Args:
        units: the pieces, with distinct keys.
        function: module-level function from a task to its result.
        engine: where tasks are run.
        folder: where results are kept as they come, or None to keep them in memory only.
        on_done: told (units done, units in all) at the start and after each.

    Returns:
        The runs of all units, in the order of the units, whatever order they finished in.

    Raises:
        KeyboardInterrupt: the user stopped the job; finished units are kept and the manifest says so.
    """
    finished: dict[str, list[dict[str, Any]]] = {}
    if folder is not None:
        folder.begin()
        for unit in units:
            kept = folder.read_json(_file(unit.key))
            if kept is not None:
                finished[unit.key] = kept["runs"]
    missing = [unit for unit in units if unit.key not in finished]
    if on_done is not None:
        on_done(len(finished), len(units))
    try:
        for position, result in engine.map(function, [unit.task for unit in missing]):
            key = missing[position].key
            runs = plain(result.runs)
            if folder is not None:
                for name, table in result.tables.items():
                    folder.write_table(f"{RUNS}/{key}.{name}", table)
                folder.write_json(_file(key), {"key": key, "runs": runs})
            finished[key] = runs
            if on_done is not None:
                on_done(len(finished), len(units))
    except BaseException as error:
        if folder is not None:
            stopped = isinstance(error, KeyboardInterrupt)
            detail = {} if stopped else {"error": str(error) or type(error).__name__}
            folder.write_manifest(INTERRUPTED if stopped else FAILED, **_progress(units, finished), **detail)
        raise
    return [run for unit in units for run in finished[unit.key]]


def finish(folder: OutputFolder, units: Sequence[Unit], summary: Any, results_hash: str) -> None:
    """Write the summary, gather the tables of the kept runs, and close the manifest."""
    for name in TABLES:
        _gather(folder, name)
    folder.write_json("summary.json", summary)
    folder.write_manifest(FINISHED, **_progress(units, units_done=len(units)), results_hash=results_hash)


def hash_of(runs: Iterable[Mapping[str, Any]]) -> str:
    """The results hash of a job: of its runs' hashes, placebos left out."""
    named = ((f"{run['regime']}/{run['arm']}/{run['seed']}", run["results_hash"]) for run in runs)
    return combined_hash((name, value) for name, value in named if "/placebo/" not in name)


def safe_key(*parts: Any) -> str:
    """A unit's key from its parts: letters, digits, dots and dashes only."""
    return "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", str(part)) for part in parts)


def _progress(units: Sequence[Unit], finished: Any = None, *, units_done: int | None = None) -> dict[str, int]:
    return {"units": len(units), "units_finished": len(finished or ()) if units_done is None else units_done}


def _file(key: str) -> str:
    return f"{RUNS}/{key}.json"


def _gather(folder: OutputFolder, name: str) -> None:
    """Put the parts of a table into one file, in the order of their names, then drop the parts."""
    parts = folder.tables(f"{RUNS}/*.{name}.parquet")
    if not parts:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.unify_schemas([pq.read_schema(part) for part in parts])
    with folder.replacing(f"{name}.parquet") as target, pq.ParquetWriter(target, schema, compression="zstd") as out:
        for part in parts:
            out.write_table(pq.read_table(part).cast(schema))
    _remove(parts)


def _remove(parts: Iterable[Path]) -> None:
    for part in parts:
        part.unlink()
