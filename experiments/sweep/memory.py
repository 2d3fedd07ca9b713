"""The store of sweeps whose results nobody asked to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.jobs import UnitResult
from experiments.store import combined_hash, plain
from experiments.sweep import chunks, database
from experiments.sweep.chunks import CHUNK_UNITS, POINTS, ROWS, RUNS, UNITS, Factors, StoredUnit
from experiments.sweep.parts import UNIT_COLUMNS, FailedUnit, arrow_rows, as_frame, named, points_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class MemoryStore:
    """A store for sweeps whose results nobody asked to keep."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.summary: Any = None
        self._points: list[dict[str, Any]] = []
        self._factors = Factors.of(())
        self._units: dict[int, StoredUnit] = {}
        self._results: dict[int, tuple[list[dict[str, Any]], dict[str, pa.Table], str, float | None]] = {}
        self._failures: dict[int, tuple[FailedUnit, float | None]] = {}

    def begin(self, points: Sequence[Mapping[str, Any]], units: Sequence[StoredUnit]) -> None:
        """Take note of what is to be done."""
        self._points = [plain(dict(point)) for point in points]
        self._factors = Factors.of(self._points)
        self._units = {unit.index: unit for unit in units}

    def finished(self) -> set[int]:
        """Indices of the units that have a result."""
        return set(self._results)

    def failed(self) -> set[int]:
        """Indices of the units that failed."""
        return set(self._failures)

    def failures(self) -> list[FailedUnit]:
        """The units that failed, in order."""
        return [self._failures[index][0] for index in sorted(self._failures)]

    def retry_failed(self) -> None:
        """Failed units count as not done again."""
        self._failures.clear()

    def add(self, unit: StoredUnit, result: UnitResult, seconds: float | None = None) -> None:
        """Keep the result of a unit."""
        parts = chunks.packed(unit, result)
        runs = json.loads(parts.pop(RUNS))
        tables = {name: chunks.unpacked(body) for name, body in parts.items()}
        self._results[unit.index] = (runs, tables, chunks.unit_hash(unit.key, runs), seconds)
        self._failures.pop(unit.index, None)

    def fail(self, unit: StoredUnit, kind: str, message: str, detail: str = "", seconds: float | None = None) -> None:
        """Keep that a unit failed, and why."""
        found = FailedUnit(unit.index, unit.key, unit.point, unit.seed, kind, message, detail, unit.command)
        self._failures[unit.index] = (found, seconds)

    def frame(self, table: str) -> pd.DataFrame:
        """A table in the order of the units."""
        if table == POINTS:
            return points_frame(self._factors, len(self._points))
        if table == UNITS:
            return self._units_frame()
        parts: list[pa.Table] = []
        for index in sorted(self._results):
            runs, tables, _, _ = self._results[index]
            if table in ROWS:
                parts.append(arrow_rows(table, self._units[index], self._factors, runs))
            elif table in tables:
                parts.append(tables[table])
        return as_frame(table, parts, self._factors)

    def _units_frame(self) -> pd.DataFrame:
        import pandas as pd

        rows = []
        for index, unit in sorted(self._units.items()):
            _, _, found, seconds = self._results.get(index, ((), {}, None, None))
            failure, spent = self._failures.get(index, (None, None))
            status = database.FINISHED if index in self._results else database.FAILED if failure else database.OPEN
            regime, arm = named(unit.task)
            rows.append((
                index, unit.key, unit.point, unit.seed, regime, arm, index // CHUNK_UNITS, status, found,
                seconds if seconds is not None else spent, failure and failure.kind, failure and failure.message,
                failure and failure.detail, unit.command,
            ))  # fmt: skip
        return pd.DataFrame(rows, columns=UNIT_COLUMNS)

    def results_hash(self) -> str:
        """Hash of all results."""
        return combined_hash((self._units[index].key, found[2]) for index, found in self._results.items() if found[2])

    def note(self, **facts: Any) -> None:
        """Facts for the manifest."""
        self.facts |= facts

    def stopped(self, error: BaseException) -> None:
        """Nothing is left to keep."""

    def finish(self, summary: Any, results_hash: str) -> None:
        """Keep the summary."""
        self.summary = summary

    def close(self) -> None:
        """Nothing to let go of."""
