"""Where the runs of a sweep are kept: a folder that survives being killed at any moment, or memory.

A finished run is in the SQLite manifest at once. When all units of a chunk (a fixed range of them) are done, the chunk
is written as Parquet files under temporary names, these are renamed, and only then is the chunk dropped from the
manifest. Whatever moment the process is killed at, what is lost is the runs that were under way.

docs/store.md describes the folder for whoever reads it with other tools.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.jobs import UnitResult
from experiments.store import FAILED, FINISHED, INTERRUPTED, RUNNING, OutputFolder, code_hash, combined_hash, plain
from experiments.sweep import chunks, database
from experiments.sweep.chunks import POINTS, ROWS, RUNS, UNITS, Factors, StoredUnit
from experiments.sweep.database import Database
from sim.errors import ConfigError, OutputError, Problem

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK_UNITS = 50
_LOCK = ".lock"


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


class Store(Protocol):
    """Keeps what is finished of a sweep."""

    def begin(self, points: Sequence[Mapping[str, Any]], units: Sequence[StoredUnit]) -> None:
        """Take note of what is to be done.

        Args:
            points: factor values of each point, by dotted key.
            units: every unit of the study, in order. It may be called again with more of them at the end.
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


UNIT_COLUMNS = (
    "unit", "key", "point", "seed", "regime", "arm", "chunk", "status", "hash", "wall_seconds", "error_kind", "error",
    "detail", "command",
)  # fmt: skip


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
        self._factors = Factors.of(())
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
            if any(entry.name != _LOCK for entry in self.path.iterdir()):
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
                    f"--out {self.path}", key, new, f"{_shown(old)}, as when this folder was begun; or another folder"
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
            self._lock = _locked(self.path)
        if self._database is None:
            for leftover in self.path.rglob("*.partial"):
                leftover.unlink()
            self._database = Database(self.path, create=True)
        kept, found = self.database, self.database.keys()
        by_index = {unit.index: unit for unit in units}
        other = [key for index, key in found.items() if index not in by_index or by_index[index].key != key]
        if other:
            raise OutputError(f"--out = {str(self.path)!r} holds a unit {other[0]!r} that this study does not have")
        if kept.get("identity") is None:
            kept.put(identity=self.identity, code=self.code, chunk_units=CHUNK_UNITS, status=RUNNING)
        self._chunk_units = int(kept.get("chunk_units", CHUNK_UNITS))
        self._factors = Factors.of(points)
        kept.put_points([plain(dict(point)) for point in points])
        kept.put_units(
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
        self._left = kept.open_by_chunk()
        for chunk, left in self._left.items():
            if left == 0:
                self._write_chunk(chunk)
        counts = kept.counts()
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
            rows = self._rows(table, waiting.get(RUNS, []))
            if rows:
                self._write(table, chunk, rows)
        for table, units in waiting.items():
            if table not in ROWS:
                self._write(table, chunk, {unit: _Waiting(self.database, unit, table) for unit in units})
        self.database.drop_pending(chunk)

    def _rows(self, table: str, units: Sequence[int]) -> dict[int, _Part]:
        found: dict[int, _Part] = {}
        for unit in units:
            runs = json.loads(self.database.body(unit, RUNS))
            point, seed, key = self.database.place(unit)
            rows = arrow_rows(table, _Place(unit, key, None, "", point, seed), self._factors, runs)
            if rows.num_rows:
                found[unit] = _Loaded(rows)
        return found

    def _write(self, table: str, chunk: int, parts: dict[int, _Part]) -> None:
        """Write a file of one table: by unit, rows of runs as one group, tables of runs as a group each."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"{table}/chunk-{chunk:06d}.parquet"
        for unit, rows in _by_unit(self.path / name).items():
            parts.setdefault(unit, _Loaded(rows))
        order = sorted(parts)
        if table in ROWS:
            whole = joined_rows(table, [parts[unit].load() for unit in order], self._factors)
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

        for table in self.tables():
            files = self._files(table)
            schemas = [pq.read_schema(file) for file in files]
            schema = pa.unify_schemas(schemas, promote_options="permissive")
            if table == RUNS:
                schema = chunks.in_order(schema.empty_table(), self._factors).schema
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

    def tables(self) -> list[str]:
        """Names of the tables that have files."""
        return sorted({file.parent.name for file in self.path.glob("*/chunk-*.parquet")})

    def _files(self, table: str) -> list[Path]:
        return sorted(self.path.glob(f"{table}/chunk-*.parquet"))

    def frame(self, table: str) -> pd.DataFrame:
        """A table in the order of the units, chunks and what waits for one together."""
        import pandas as pd

        if table == POINTS:
            return points_frame(self._factors, len(self._factors.values))
        if table == UNITS:
            columns = ", ".join(UNIT_COLUMNS)
            rows = self.database.connection.execute(f"SELECT {columns} FROM units ORDER BY unit").fetchall()
            return pd.DataFrame(rows, columns=UNIT_COLUMNS)
        parts = self._waiting(table)
        for file in self._files(table):
            for unit, rows in _by_unit(file).items():
                parts.setdefault(unit, _Loaded(rows))
        return as_frame(table, [parts[unit].load() for unit in sorted(parts)], self._factors)

    def _waiting(self, table: str) -> dict[int, _Part]:
        """What is finished and in no chunk yet, by unit."""
        if table in ROWS:
            return self._rows(table, self.database.pending_units(RUNS))
        return {unit: _Waiting(self.database, unit, table) for unit in self.database.pending_units(table)}

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
            self._database = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class _Files(OutputFolder):
    """The files of a store; whether they may be gone on with is the store's to say."""

    def _resumable(self) -> bool:
        return False


@dataclass(frozen=True)
class _Place:
    """A unit as the manifest knows it."""

    index: int
    key: str
    task: Any
    command: str
    point: int
    seed: int


class _Part(Protocol):
    def load(self) -> pa.Table: ...


@dataclass(frozen=True)
class _Loaded:
    rows: pa.Table

    def load(self) -> pa.Table:
        return self.rows


@dataclass(frozen=True)
class _Waiting:
    """A table of a run that waits in the manifest: read when it is written, not all at once."""

    database: Database
    unit: int
    table: str

    def load(self) -> pa.Table:
        return chunks.unpacked(self.database.body(self.unit, self.table))


def arrow_rows(table: str, unit: StoredUnit, factors: Factors, runs: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows of a unit in the table of runs or of incidence."""
    if table == RUNS:
        return chunks.arrow_runs(chunks.run_rows(unit, factors, runs), factors)
    return chunks.arrow_incidence(chunks.incidence_rows(unit, runs))


def joined_rows(table: str, parts: Sequence[pa.Table], factors: Factors) -> pa.Table:
    """Rows of several units under each other."""
    import pyarrow as pa

    return chunks.joined(parts, factors) if table == RUNS else pa.concat_tables(parts)


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


def _by_unit(file: Path) -> dict[int, pa.Table]:
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


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(Dotted key, old value, new value) of everything in which two identities differ; None where one has no value."""
    before, after = dict(_flat("", old)), dict(_flat("", new))
    keys = dict.fromkeys([*before, *after])
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    nested: Any = None
    if isinstance(value, Mapping) and value:
        nested = value.items()
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        nested = enumerate(value)
    if nested is None:
        yield prefix, value
        return
    for key, item in nested:
        yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _locked(path: Path) -> Any:
    """Keep other processes from working on the folder, as long as this one lives.

    Raises:
        OutputError: another one does.
    """
    lock = (path / _LOCK).open("a")
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; there two sweeps of one folder are the user's to avoid
        return lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OutputError(
            f"--out = {str(path)!r} is being written by another process; allowed: to wait for it"
        ) from None
    except OSError:  # a drive without locks
        pass
    return lock
