"""The output folder of a run or a study.

A folder holds ``manifest.json`` (what was run, by what, how far it came), ``summary.json`` and Parquet tables. Files
are written under a temporary name and renamed, so that whatever bears its final name is whole. A folder whose manifest
says that it is unfinished is resumed when the same scenario, regimes and seeds are asked for again; any other folder
that is not empty is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MANIFEST, SUMMARY = "manifest.json", "summary.json"
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"
# What makes two jobs the same job, so that one may finish what the other began
IDENTITY = ("command", "scenario", "regimes", "seeds", "reading", "options", "plugins", "code")
ROOMS = ("sim", "agents", "margin", "experiments")
_TEMPORARY = ".partial"


class OutputFolder:
    """An output folder.

    Args:
        path: the folder; made when :meth:`begin` is called, not before.
        job: what is run; the keys of ``IDENTITY`` are compared when a folder is resumed.

    Raises:
        OutputError: the path holds something else.
    """

    def __init__(self, path: str | Path, job: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.job: dict[str, Any] = plain(job)
        self.resumed = self._resumable()
        self._started = time.monotonic()

    def _resumable(self) -> bool:
        allowed = "a new or empty folder, or one with an unfinished run of the same scenario, regimes and seeds"
        if not self.path.exists():
            return False
        if not self.path.is_dir():
            raise OutputError(f"--out = {str(self.path)!r} is not a folder; allowed: {allowed}")
        if not any(self.path.iterdir()):
            return False
        try:
            manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise OutputError(f"--out = {str(self.path)!r} is not empty; allowed: {allowed}") from None
        if manifest.get("status") == FINISHED:
            raise OutputError(f"--out = {str(self.path)!r} holds a finished run; allowed: {allowed}")
        differing = [key for key in IDENTITY if manifest.get(key) != self.job.get(key)]
        if differing:
            found = f"an unfinished run with other {', '.join(differing)}"
            raise OutputError(f"--out = {str(self.path)!r} holds {found}; allowed: {allowed}")
        return True

    def begin(self) -> None:
        """Make the folder, drop half-written files of an interrupted job, and write the manifest."""
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.rglob(f"*{_TEMPORARY}"):
            leftover.unlink()
        self.write_manifest(RUNNING)

    def write_manifest(self, status: str, **facts: Any) -> None:
        """Write the manifest.

        Args:
            status: how far the job is.
            facts: what is known beside the job: ``finished`` (units done), ``results_hash``, ``error``.
        """
        manifest = {
            "status": status,
            **self.job,
            **plain(facts),
            "environment": environment(),
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_seconds": round(time.monotonic() - self._started, 3),
        }
        self.write_json(MANIFEST, manifest)

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file; numbers that are not finite become null."""
        text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with self.replacing(name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_json(self, name: str) -> Any | None:
        """A JSON file of the folder, or None."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write ``name.parquet``."""
        with self.replacing(f"{name}.parquet") as temporary:
            table.to_parquet(temporary, engine="pyarrow", index=False, compression="zstd")

    def tables(self, pattern: str) -> list[Path]:
        """The Parquet files that match a pattern, by name."""
        return sorted(self.path.glob(pattern)) if self.path.is_dir() else []

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A temporary path to write; it takes the file's name once the block ended well."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + _TEMPORARY)
        yield temporary
        os.replace(temporary, target)


def new_folder(path: str) -> Path:
    """A folder that does not exist yet or is empty, for results that are written at once.

    Raises:
        OutputError: the path holds something.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"--out = {path!r} exists; allowed: a new or empty folder")
    return folder


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy scalars and arrays unwrapped, tuples as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    return str(value)


def table_hash(tables: Mapping[str, pd.DataFrame]) -> str:
    """SHA-256 of the canonical columns of some tables.

    Columns go by name, numbers as little-endian int64 or float64, texts as UTF-8 with a length before each: neither
    file headers, nor the order of columns, nor the way a library stores a type enters.
    """
    digest = hashlib.sha256()
    for name in sorted(tables):
        table = tables[name]
        digest.update(f"table {name} {len(table)}\n".encode())
        for column in sorted(table.columns):
            digest.update(f"column {column}\n".encode())
            digest.update(_canonical(table[column].to_numpy()))
    return digest.hexdigest()


def _canonical(values: np.ndarray) -> bytes:
    import numpy as np

    if values.dtype.kind in "iub":
        return values.astype("<i8").tobytes()
    if values.dtype.kind == "f":
        numbers = values.astype("<f8")
        numbers[np.isnan(numbers)] = np.nan  # one NaN for all
        return numbers.tobytes()
    parts = []
    for item in values:
        text = "" if item is None or item != item else str(item)
        encoded = text.encode()
        parts.append(len(encoded).to_bytes(4, "little") + encoded)
    return b"".join(parts)


def combined_hash(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash of many named ones, whatever their order."""
    digest = hashlib.sha256()
    for name, value in sorted(hashes):
        digest.update(f"{name} {value}\n".encode())
    return digest.hexdigest()


def environment() -> dict[str, Any]:
    """Versions that a result may depend on, and the commit that made it."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    for package in ("marginlab", "numpy", "numba", "pandas", "pyarrow", "mesa", "arch", "scipy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "commit": commit(),
    }


def installation() -> Path:
    """The folder that holds the four packages of this installation."""
    return Path(__file__).resolve().parents[1]


def commit() -> str | None:
    """The commit of a source checkout (with ``+changes`` when files differ from it), None elsewhere."""
    root = installation()
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *ROOMS)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}+changes" if changed else head


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def code_hash() -> str:
    """Hash of every source file of the four packages: runs of different code are never mixed in one folder."""
    digest = hashlib.sha256()
    root = installation()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
