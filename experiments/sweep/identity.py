"""Whose folder it is: in what two studies differ, and which process is at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sim.errors import OutputError

LOCK = ".lock"


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


def shown(value: Any) -> str:
    """A value for a message, not too long."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def locked(path: Path) -> Any:
    """Keep other processes from working on the folder, as long as this one lives.

    Raises:
        OutputError: another one does.
    """
    lock = (path / LOCK).open("a")
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
