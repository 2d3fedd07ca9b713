"""Snapshots: the state's arrays on disk, and the hash that says whether two runs are the same."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import SnapshotError
from sim.kernels import state as s

FORMAT = 1


def layout_id() -> str:
    """Names the layout of the state: a snapshot of another layout is refused."""
    text = ";".join(f"{name}:{np.dtype(dtype).descr}:{ndim}" for name, dtype, ndim in s.FIELDS)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save(path: Path, state: s.State, extra: dict[str, Any]) -> None:
    """Write a snapshot: temporary name first, then rename, so that a kill leaves the old one whole.

    Args:
        path: file to write (``.npz``).
        state: the state.
        extra: what else must be remembered, as JSON.
    """
    arrays = {name: s.raw(np.asarray(array)) for name, array in s.arrays_of(state).items()}
    header = json.dumps({"format": FORMAT, "layout": layout_id(), "extra": extra})
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> tuple[s.State, dict[str, Any]]:
    """Read a snapshot.

    Returns:
        The state and what was remembered beside it.

    Raises:
        SnapshotError: the file is damaged or of another layout.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(bytes(file["header"]).decode())
            if header.get("format") != FORMAT or header.get("layout") != layout_id():
                raise SnapshotError(f"{path}: the snapshot was written by another version of the state's layout")
            arrays = [np.ascontiguousarray(file[name]).view(dtype) for name, dtype, _ in s.FIELDS]
    except SnapshotError:
        raise
    except Exception as error:
        raise SnapshotError(f"{path}: not a readable snapshot ({error})") from error
    return s.State(*arrays), header["extra"]


def hash_columns(columns: dict[str, np.ndarray]) -> str:
    """SHA-256 of canonical columns: names in order, values as little-endian bytes (never file headers).

    Args:
        columns: one-dimensional arrays by name; texts are hashed as UTF-8 with separators.
    """
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = np.asarray(columns[name])
        digest.update(name.encode() + b"\0")
        if values.dtype.kind in "OUST":
            digest.update("\0".join(str(v) for v in values.tolist()).encode())
        elif values.dtype.kind == "f":
            digest.update(values.astype("<f8").tobytes())
        elif values.dtype.kind == "b":
            digest.update(values.astype("u1").tobytes())
        else:
            digest.update(values.astype("<i8").tobytes())
    return digest.hexdigest()
