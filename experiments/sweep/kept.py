"""What a folder holds of a sweep, chunks and what waits for one together; also while the sweep runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.sweep.chunks import POINTS, ROWS, RUNS, UNITS, Factors
from experiments.sweep.database import Database
from experiments.sweep.parts import (
    UNIT_COLUMNS,
    Loaded,
    Part,
    Place,
    Waiting,
    arrow_rows,
    as_frame,
    by_unit,
    joined_rows,
    points_frame,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class KeptRuns:
    """The tables in a folder.

    Args:
        path: of the folder.
        database: its manifest.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.database = database
        self.factors = Factors.of(database.points())

    def tables(self) -> list[str]:
        """Names of the tables that have files."""
        return sorted({file.parent.name for file in self.path.glob("*/chunk-*.parquet")})

    def files(self, table: str) -> list[Path]:
        """Files of a table, in order."""
        return sorted(self.path.glob(f"{table}/chunk-*.parquet"))

    def frame(self, table: str) -> pd.DataFrame:
        """A table in the order of the units, chunks and what waits for one together."""
        import pandas as pd

        if table == POINTS:
            return points_frame(self.factors, len(self.factors.values))
        if table == UNITS:
            columns = ", ".join(UNIT_COLUMNS)
            rows = self.database.connection.execute(f"SELECT {columns} FROM units ORDER BY unit").fetchall()
            return pd.DataFrame(rows, columns=UNIT_COLUMNS)
        parts = self.waiting(table)
        for file in self.files(table):
            for unit, rows in by_unit(file).items():
                parts.setdefault(unit, Loaded(rows))
        return as_frame(table, [parts[unit].load() for unit in sorted(parts)], self.factors)

    def waiting_tables(self) -> dict[str, pa.Table]:
        """What is finished and in no chunk yet, by table."""
        found = {}
        for table in dict.fromkeys([*ROWS, *self.database.pending_names()]):
            parts = self.waiting(table)
            if parts:
                found[table] = joined_rows(table, [parts[unit].load() for unit in sorted(parts)], self.factors)
        return found

    def waiting(self, table: str) -> dict[int, Part]:
        """What is finished and in no chunk yet, by unit."""
        if table in ROWS:
            return self.rows_of(table, self.database.pending_units(RUNS))
        return {unit: Waiting(self.database, unit, table) for unit in self.database.pending_units(table)}

    def rows_of(self, table: str, units: Sequence[int]) -> dict[int, Part]:
        """Rows of units that are in no chunk yet, in the table of runs or of incidence."""
        found: dict[int, Part] = {}
        for unit in units:
            runs = json.loads(self.database.body(unit, RUNS))
            point, seed, key = self.database.place(unit)
            rows = arrow_rows(table, Place(unit, key, None, "", point, seed), self.factors, runs)
            if rows.num_rows:
                found[unit] = Loaded(rows)
        return found
