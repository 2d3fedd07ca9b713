"""The SQLite manifest of a sweep: what is to be done, what is done, finished runs whose chunk is not yet written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.errors import OutputError

NAME = "manifest.sqlite"
SCHEMA_VERSION = 1
OPEN, FINISHED, FAILED = "open", "finished", "failed"

_SCHEMA = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE points (point INTEGER PRIMARY KEY, factors TEXT NOT NULL);
CREATE TABLE units (
    unit INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, point INTEGER NOT NULL, seed INTEGER NOT NULL,
    regime TEXT NOT NULL, arm TEXT NOT NULL, chunk INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'open',
    hash TEXT, wall_seconds REAL, error_kind TEXT, error TEXT, detail TEXT, command TEXT NOT NULL
);
CREATE INDEX units_by_chunk ON units (chunk);
CREATE INDEX units_by_status ON units (status);
CREATE TABLE pending (unit INTEGER NOT NULL, part TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (unit, part));
"""


class Database:
    """The manifest of one folder; this process is the only one that writes it.

    Args:
        folder: of the sweep.
        create: this process writes it, and makes the tables where there are none yet; otherwise it only reads.

    Raises:
        OutputError: the file is not a manifest, or one of another version of the schema.
    """

    def __init__(self, folder: Path, *, create: bool) -> None:
        self.path = folder / NAME
        address = f"{self.path.resolve().as_uri()}?mode={'rwc' if create else 'rw'}"
        try:
            self.connection = sqlite3.connect(address, uri=True, timeout=60.0, isolation_level=None)
            self._open(create)
        except sqlite3.DatabaseError as error:
            raise OutputError(f"{self.path}: {error}; allowed: the manifest of a sweep") from None

    def _open(self, create: bool) -> None:
        if not create:
            self._check_version()
            return
        # a rollback journal, not a write-ahead log: that one does not work on the network drives of clusters
        self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.execute("PRAGMA synchronous = FULL")
        if not self._tables():
            self.connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        self._check_version()

    def _check_version(self) -> None:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise OutputError(f"{self.path}: schema version {version}; allowed: {SCHEMA_VERSION}, of this MarginLab")

    def _tables(self) -> list[str]:
        return [name for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    # -- the study ---------------------------------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """A fact of the study."""
        row = self.connection.execute("SELECT value FROM study WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def put(self, **facts: Any) -> None:
        """Keep facts of the study."""
        rows = [(key, json.dumps(value)) for key, value in facts.items()]
        with self.transaction():
            self.connection.executemany("INSERT OR REPLACE INTO study VALUES (?, ?)", rows)

    def transaction(self) -> _Transaction:
        """All or nothing of what is written inside."""
        return _Transaction(self.connection)

    def put_points(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Keep the points, by number."""
        rows = [(number, json.dumps(dict(point))) for number, point in enumerate(points)]
        with self.transaction():
            self.connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?)", rows)

    def points(self) -> list[dict[str, Any]]:
        """Factor values of every point, by dotted key."""
        return [json.loads(text) for (text,) in self.connection.execute("SELECT factors FROM points ORDER BY point")]

    # -- units -------------------------------------------------------------------------------------------------------

    def put_units(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Keep units that are not known yet: (unit, key, point, seed, regime, arm, chunk, command)."""
        with self.transaction():
            self.connection.executemany(
                "INSERT OR IGNORE INTO units (unit, key, point, seed, regime, arm, chunk, command)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def keys(self) -> dict[int, str]:
        """Keys of the known units."""
        return dict(self.connection.execute("SELECT unit, key FROM units ORDER BY unit").fetchall())

    def with_status(self, status: str) -> set[int]:
        """Units of a status."""
        return {unit for (unit,) in self.connection.execute("SELECT unit FROM units WHERE status = ?", (status,))}

    def counts(self) -> dict[str, int]:
        """Number of units by status."""
        return dict(self.connection.execute("SELECT status, count(*) FROM units GROUP BY status").fetchall())

    def open_by_chunk(self) -> dict[int, int]:
        """Units not yet done, by chunk; 0 where all are."""
        query = f"SELECT chunk, sum(status = '{OPEN}') FROM units GROUP BY chunk"
        return dict(self.connection.execute(query).fetchall())

    def finish(self, unit: int, unit_hash: str, seconds: float | None, parts: Mapping[str, bytes]) -> None:
        """A unit is done: keep its results until its chunk is written."""
        with self.transaction():
            self.connection.executemany(
                "INSERT OR REPLACE INTO pending VALUES (?, ?, ?)",
                [(unit, part, body) for part, body in parts.items()],
            )
            self.connection.execute(
                "UPDATE units SET status = ?, hash = ?, wall_seconds = ?, error_kind = NULL, error = NULL,"
                " detail = NULL WHERE unit = ?",
                (FINISHED, unit_hash, seconds, unit),
            )

    def fail(self, unit: int, kind: str, message: str, detail: str, seconds: float | None) -> None:
        """A unit has failed."""
        with self.transaction():
            self.connection.execute(
                "UPDATE units SET status = ?, wall_seconds = ?, error_kind = ?, error = ?, detail = ? WHERE unit = ?",
                (FAILED, seconds, kind, message, detail, unit),
            )

    def reopen_failed(self) -> None:
        """Failed units are to be done again."""
        with self.transaction():
            self.connection.execute(f"UPDATE units SET status = '{OPEN}' WHERE status = '{FAILED}'")

    # -- finished runs that are not in a chunk yet --------------------------------------------------------------------

    def pending_parts(self, chunk: int) -> dict[str, list[int]]:
        """Units of a chunk that wait to be written, by part, in order."""
        found: dict[str, list[int]] = {}
        query = (
            "SELECT part, unit FROM pending WHERE unit IN (SELECT unit FROM units WHERE chunk = ?) ORDER BY part, unit"
        )
        for part, unit in self.connection.execute(query, (chunk,)):
            found.setdefault(part, []).append(unit)
        return found

    def pending_units(self, part: str) -> list[int]:
        """Units with a part that waits to be written, in order."""
        query = "SELECT unit FROM pending WHERE part = ? ORDER BY unit"
        return [unit for (unit,) in self.connection.execute(query, (part,))]

    def pending_names(self) -> list[str]:
        """Parts that wait to be written."""
        return [part for (part,) in self.connection.execute("SELECT DISTINCT part FROM pending ORDER BY part")]

    def body(self, unit: int, part: str) -> bytes:
        """A part that waits to be written."""
        query = "SELECT body FROM pending WHERE unit = ? AND part = ?"
        (body,) = self.connection.execute(query, (unit, part)).fetchone()
        return bytes(body)

    def drop_pending(self, chunk: int) -> None:
        """The chunk is written."""
        with self.transaction():
            query = "DELETE FROM pending WHERE unit IN (SELECT unit FROM units WHERE chunk = ?)"
            self.connection.execute(query, (chunk,))

    def place(self, unit: int) -> tuple[int, int, str]:
        """Point, seed and key of a unit."""
        query = "SELECT point, seed, key FROM units WHERE unit = ?"
        point, seed, key = self.connection.execute(query, (unit,)).fetchone()
        return point, seed, key

    def compact(self) -> None:
        """Give back the room of what was dropped."""
        self.connection.execute("VACUUM")


class _Transaction:
    """``BEGIN IMMEDIATE`` to ``COMMIT``; undone where the block raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
