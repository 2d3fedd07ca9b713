"""Where the runs of a sweep are kept: a folder that survives being killed at any moment, or memory.

A finished run is in the SQLite manifest at once. When all units of a chunk (a fixed range of them) are done, the chunk
is written as Parquet files under temporary names, these are renamed, and only then is the chunk dropped from the
manifest. Whatever moment the process is killed at, what is lost is the runs that were under way.

docs/store.md describes the folder for whoever reads it with other tools.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.jobs import UnitResult
from experiments.store import FAILED, FINISHED, INTERRUPTED, RUNNING, OutputFolder, code_hash, combined_hash, plain
from experiments.sweep import chunks, database
from experiments.sweep.chunks import CHUNK_UNITS, ROWS, RUNS, StoredUnit
from experiments.sweep.database import Database
from experiments.sweep.identity import LOCK, differences, locked, shown
from experiments.sweep.kept import KeptRuns
from experiments.sweep.memory import MemoryStore
from experiments.sweep.parts import FailedUnit, Loaded, Part, Waiting, by_unit, conformed, joined_rows, named
from sim.errors import ConfigError, OutputError, Problem

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHUNK_UNITS", "FailedUnit", "MemoryStore", "Store", "SweepStore", "differences"]


class Store(Protocol):
    """Keeps what is finished of a sweep."""

    def begin(self, points: Sequence[Mapping[str, Any]], units: Sequence[StoredUnit]) -> None:
        """Take note of what is to be done.

        Args:
            points: factor values of each point, by dotted key.
            units: the units of the study, in order. It may be called again with more of them, or with some of those
                that are known: a study that stops by itself learns only on the way how many it has.
        """

    def finished(self) -> set[int]:
        """Indices of the units that have a result."""

    def failed(self) -> set[int]:
        """Indices of the units that failed."""

    def failures(self) -> list[FailedUnit]:
        """The units that failed, in order."""

    def retry_failed(self) -> None:
        """Failed units count as not done again."""

    def add(self, unit: StoredUnit, result: UnitResult, seconds: float | None = None) -> None:
        """Keep the result of a unit; it is durable when this returns."""

    def fail(self, unit: StoredUnit, kind: str, message: str, detail: str = "", seconds: float | None = None) -> None:
        """Keep that a unit failed, and why."""

    def frame(self, table: str) -> pd.DataFrame:
        """A table in the order of the units: ``runs``, ``incidence``, ``points``, ``units``, or one of kept runs."""

    def results_hash(self) -> str:
        """Hash of all results, placebos left out: the same whatever engine ran them, in whatever order."""

    def note(self, **facts: Any) -> None:
        """Facts for the manifest."""

    def stopped(self, error: BaseException) -> None:
        """The sweep ends before all is done."""

    def finish(self, summary: Any, results_hash: str) -> None:
        """All is done: keep the summary."""

    def close(self) -> None:
        """Let go of the store."""


class SweepStore:
    """A folder with the runs of one study.

    Args:
        path: the folder; made when :meth:`begin` is called.
        identity: what makes two studies the same study, plain data.
        job: more for ``manifest.json``, such as what the user called.

    Attributes:
        path: the folder.
        folder: writes files into it, whole or not at all.
        resumed: whether the folder held a part of this study.

    Raises:
        OutputError: the path holds something else, or another process works on it.
        ConfigError: the folder holds another study: one problem for each key that differs.
    """

    def __init__(self, path: str | Path, identity: Mapping[str, Any], job: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.identity: dict[str, Any] = plain(dict(identity))
        self.code = str(self.identity.pop("code", None) or code_hash())
        self.facts: dict[str, Any] = {}
        self._kept: KeptRuns | None = None
        self._left: dict[int, int] = {}
        self._chunk_units = CHUNK_UNITS
        self._lock: Any = None
        self._database: Database | None = None
        self._kept_code = self.code
        self.resumed = self._resumable()
        self.folder = _Files(self.path, {"command": "sweep", "study": self.identity, **(job or {})})

    def _resumable(self) -> bool:
        allowed = "a new or empty folder, or one with this study"
        if not self.path.exists():
            return False
        if not self.path.is_dir():
            raise OutputError(f"--out = {str(self.path)!r} is not a folder; allowed: {allowed}")
        if not (self.path / database.NAME).is_file():
            if any(entry.name != LOCK for entry in self.path.iterdir()):
                raise OutputError(f"--out = {str(self.path)!r} is not empty; allowed: {allowed}")
            return False
        kept = Database(self.path, create=True)  # one that was killed while it made its tables has none
        try:
            identity, self._kept_code = kept.get("identity"), kept.get("code", self.code)
            complete = kept.get("status") == FINISHED
        finally:
            kept.close()
        if identity is None:
            return False
        changes = differences(identity, self.identity)
        if self._kept_code != self.code and not complete:
            changes.append(("code", self._kept_code, self.code))
        if changes:
            raise ConfigError(
                Problem(
                    f"--out {self.path}", key, new, f"{shown(old)}, as when this folder was begun; or another folder"
                )
                for key, old, new in changes
            )
        return True

    # -- the work ----------------------------------------------------------------------------------------------------

    def begin(self, points: Sequence[Mapping[str, Any]], units: Sequence[StoredUnit]) -> None:
        """Make the folder or go on with it.

        Raises:
            OutputError: another process works on the folder, or it holds other units.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = locked(self.path)
        if self._database is None:
            for leftover in self.path.rglob("*.partial"):
                leftover.unlink()
            self._database = Database(self.path, create=True)
        known, found = self.database, self.database.keys()
        by_index = {unit.index: unit for unit in units}
        other = [key for index, key in found.items() if index in by_index and by_index[index].key != key]
        if other:
            raise OutputError(f"--out = {str(self.path)!r} holds a unit {other[0]!r} that this study does not have")
        if known.get("identity") is None:
            known.put(identity=self.identity, code=self.code, chunk_units=CHUNK_UNITS, status=RUNNING)
        self._chunk_units = int(known.get("chunk_units", CHUNK_UNITS))
        known.put_points([plain(dict(point)) for point in points])
        known.put_units(
            (
                unit.index,
                unit.key,
                unit.point,
                unit.seed,
                *named(unit.task),
                unit.index // self._chunk_units,
                unit.command,
            )
            for unit in units
            if unit.index not in found
        )
        self._kept = KeptRuns(self.path, known)
        self._left = known.open_by_chunk()
        for chunk, left in self._left.items():
            if left == 0:
                self._write_chunk(chunk)
        counts = known.counts()
        if counts.get(database.OPEN, 0):
            self._status(RUNNING)

    @property
    def database(self) -> Database:
        """The SQLite manifest.

        Raises:
            RuntimeError: :meth:`begin` was not called.
        """
        if self._database is None:
            raise RuntimeError("a store is read after begin()")
        return self._database

    def finished(self) -> set[int]:
        """Indices of the units that have a result."""
        return self.database.with_status(database.FINISHED)

    def failed(self) -> set[int]:
        """Indices of the units that failed."""
        return self.database.with_status(database.FAILED)

    def failures(self) -> list[FailedUnit]:
        """The units that failed, in order."""
        columns = "unit, key, point, seed, error_kind, error, detail, command"
        query = f"SELECT {columns} FROM units WHERE status = ? ORDER BY unit"
        return [FailedUnit(*row) for row in self.database.connection.execute(query, (database.FAILED,))]

    def retry_failed(self) -> None:
        """Failed units count as not done again.

        Raises:
            OutputError: the code has changed since the others were run.
        """
        if self._kept_code != self.code:
            raise OutputError(f"--out = {str(self.path)!r} was run by other code; its failed runs cannot be joined")
        self.database.reopen_failed()
        self._left = self.database.open_by_chunk()

    def add(self, unit: StoredUnit, result: UnitResult, seconds: float | None = None) -> None:
        """Keep the result of a unit; it is durable when this returns."""
        parts = chunks.packed(unit, result)
        self.database.finish(unit.index, chunks.unit_hash(unit.key, plain(result.runs)), seconds, parts)
        self._count(unit.index)

    def fail(self, unit: StoredUnit, kind: str, message: str, detail: str = "", seconds: float | None = None) -> None:
        """Keep that a unit failed, and why."""
        self.database.fail(unit.index, kind, message, detail, seconds)
        self._count(unit.index)

    def _count(self, index: int) -> None:
        chunk = index // self._chunk_units
        self._left[chunk] -= 1
        if self._left[chunk] == 0:
            self._write_chunk(chunk)

    # -- chunks ------------------------------------------------------------------------------------------------------

    def _write_chunk(self, chunk: int) -> None:
        """Put what waits of a chunk into its files; one that was written before is joined with it."""
        waiting = self.database.pending_parts(chunk)
        if not waiting:
            return
        for table in ROWS:
            rows = self.kept.rows_of(table, waiting.get(RUNS, []))
            if rows:
                self._write(table, chunk, rows)
        for table, units in waiting.items():
            if table not in ROWS:
                self._write(table, chunk, {unit: Waiting(self.database, unit, table) for unit in units})
        self.database.drop_pending(chunk)

    def _write(self, table: str, chunk: int, parts: dict[int, Part]) -> None:
        """Write a file of one table: by unit, rows of runs as one group, tables of runs as a group each."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"{table}/chunk-{chunk:06d}.parquet"
        for unit, rows in by_unit(self.path / name).items():
            parts.setdefault(unit, Loaded(rows))
        order = sorted(parts)
        if table in ROWS:
            whole = joined_rows(table, [parts[unit].load() for unit in order], self.kept.factors)
            with self._durable(name) as temporary:
                pq.write_table(whole, temporary, compression="zstd")
            return
        schema = pa.unify_schemas([parts[unit].load().schema for unit in order], promote_options="permissive")
        with self._durable(name) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as out:
            for unit in order:
                out.write_table(conformed(parts[unit].load(), schema))

    @contextmanager
    def _durable(self, name: str) -> Iterator[Path]:
        """A temporary path; its content is on the disk before it takes the name."""
        with self.folder.replacing(name) as temporary:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())

    def _unify(self) -> None:
        """Give every file of a table the same columns, so that readers who look at the first one see them all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for table in self.kept.tables():
            files = self.kept.files(table)
            schemas = [pq.read_schema(file) for file in files]
            schema = pa.unify_schemas(schemas, promote_options="permissive")
            if table == RUNS:
                schema = chunks.in_order(schema.empty_table(), self.kept.factors).schema
            for file, present in zip(files, schemas, strict=True):
                if present == schema:
                    continue
                content = pq.ParquetFile(file)
                name = file.relative_to(self.path).as_posix()
                with self._durable(name) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as out:
                    for group in range(content.num_row_groups):
                        out.write_table(conformed(content.read_row_group(group), schema))
                content.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> KeptRuns:
        """What the folder holds.

        Raises:
            RuntimeError: :meth:`begin` was not called.
        """
        if self._kept is None:
            raise RuntimeError("a store is read after begin()")
        return self._kept

    def frame(self, table: str) -> pd.DataFrame:
        """A table in the order of the units, chunks and what waits for one together."""
        return self.kept.frame(table)

    def results_hash(self) -> str:
        """Hash of all results, placebos left out."""
        query = "SELECT key, hash FROM units WHERE status = ? AND hash <> ''"
        return combined_hash(self.database.connection.execute(query, (database.FINISHED,)).fetchall())

    # -- the manifest ------------------------------------------------------------------------------------------------

    def note(self, **facts: Any) -> None:
        """Facts for the manifest."""
        self.facts |= plain(facts)

    def _status(self, status: str, **facts: Any) -> None:
        kept, counts = self.database, self.database.counts()
        facts = kept.get("facts", {}) | self.facts | facts
        kept.put(status=status, facts=facts)
        progress = {
            "units": sum(counts.values()),
            "units_finished": counts.get(database.FINISHED, 0),
            "units_failed": counts.get(database.FAILED, 0),
        }
        self.folder.write_manifest(status, code=self._kept_code, **progress, **facts)

    def stopped(self, error: BaseException) -> None:
        """The sweep ends before all is done: the manifest says why."""
        if isinstance(error, KeyboardInterrupt):
            self._status(INTERRUPTED)
        else:
            self._status(FAILED, error=str(error) or type(error).__name__)

    def finish(self, summary: Any, results_hash: str) -> None:
        """Give all files of a table the same columns, write the summary, and close the manifest."""
        self._unify()
        self.folder.write_json("summary.json", summary)
        self.database.compact()
        complete = not self.database.counts().get(database.OPEN, 0)
        self._status(FINISHED if complete else INTERRUPTED, results_hash=results_hash)

    def close(self) -> None:
        """Let go of the folder."""
        if self._database is not None:
            self._database.close()
            self._database = self._kept = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class _Files(OutputFolder):
    """The files of a store; whether they may be gone on with is the store's to say."""

    def _resumable(self) -> bool:
        return False
