"""Parts of the tables of a sweep, unit by unit, and how they are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.sweep import chunks
from experiments.sweep.chunks import ROWS, RUNS, Factors, StoredUnit
from experiments.sweep.database import Database

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

UNIT_COLUMNS = (
    "unit", "key", "point", "seed", "regime", "arm", "chunk", "status", "hash", "wall_seconds", "error_kind", "error",
    "detail", "command",
)  # fmt: skip


@dataclass(frozen=True)
class FailedUnit:
    """A unit that has no result.

    Attributes:
        index: of the unit.
        key: of the unit.
        point: number of its point.
        seed: its seed.
        kind: name of the exception, or ``WorkerDied``.
        message: its one line.
        detail: the traceback.
        command: does this unit alone.
    """

    index: int
    key: str
    point: int
    seed: int
    kind: str
    message: str
    detail: str
    command: str


@dataclass(frozen=True)
class Place:
    """A unit as the manifest knows it."""

    index: int
    key: str
    task: Any
    command: str
    point: int
    seed: int


class Part(Protocol):
    """What a unit adds to a table."""

    def load(self) -> pa.Table:
        """The rows."""


@dataclass(frozen=True)
class Loaded:
    """Rows at hand."""

    rows: pa.Table

    def load(self) -> pa.Table:
        """The rows."""
        return self.rows


@dataclass(frozen=True)
class Waiting:
    """A table of a run that waits in the manifest: read when it is written, not all at once."""

    database: Database
    unit: int
    table: str

    def load(self) -> pa.Table:
        """The rows, from the manifest."""
        return chunks.unpacked(self.database.body(self.unit, self.table))


def arrow_rows(table: str, unit: StoredUnit, factors: Factors, runs: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows of a unit in the table of runs or of incidence."""
    if table == RUNS:
        return chunks.arrow_runs(chunks.run_rows(unit, factors, runs), factors)
    return chunks.arrow_incidence(chunks.incidence_rows(unit, runs))


def joined_rows(table: str, parts: Sequence[pa.Table], factors: Factors) -> pa.Table:
    """Rows of several units under each other."""
    import pyarrow as pa

    if table == RUNS:
        return chunks.joined(parts, factors)
    return pa.concat_tables(parts, promote_options="permissive")


def as_frame(table: str, parts: Sequence[pa.Table], factors: Factors) -> pd.DataFrame:
    """Parts of a table, by unit, as one frame; an empty one of the table's own columns where there are none."""
    import pandas as pd
    import pyarrow as pa

    if table in ROWS:
        if not parts:
            parts = [chunks.arrow_runs((), factors) if table == RUNS else chunks.arrow_incidence(())]
        return joined_rows(table, parts, factors).to_pandas()
    return pa.concat_tables(parts, promote_options="permissive").to_pandas() if parts else pd.DataFrame()


def points_frame(factors: Factors, count: int) -> pd.DataFrame:
    """The table of points: number and factors."""
    import pyarrow as pa

    columns = {"point": pa.array(range(count), pa.int64())}
    for name in factors.names:
        kind = pa.type_for_alias(factors.types[name])
        columns[name] = pa.array([factors.row(point)[name] for point in range(count)], kind)
    return pa.table(columns).to_pandas()


def conformed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the columns of a schema; those that it does not have are null."""
    import pyarrow as pa

    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def by_unit(file: Path) -> dict[int, pa.Table]:
    """The rows of a file by unit; nothing where it is not there."""
    if not file.is_file():
        return {}
    import numpy as np
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(file).read()
    units = rows["unit"].to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(units)]
    return {int(units[a]): rows.slice(a, b - a) for a, b in pairwise(edges) if b > a}


def named(task: Any) -> tuple[str, str]:
    """Regime and arm of a task; a task of several regimes names them all."""
    several = getattr(task, "regimes", None)
    regime = getattr(task, "regime", None) or (",".join(several) if several else "")
    return str(regime), str(getattr(task, "arm", "") or "")
