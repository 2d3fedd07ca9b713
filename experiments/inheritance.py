"""``extends``: a scenario file that says only how it differs from another.

Tables are merged key by key. Entries of lists of tables are merged by ``name``; new names are added at the end, and
``drop = true`` takes an entry away. A table or an entry that states another ``kind``, and a ``[margin]`` table that
states another ``regime``, start anew instead: parameters of one kind mean nothing to another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sim.errors import ConfigError

KEY = "extends"
_PATHS = (("world", "path"),)


def whole(
    raw: dict[str, Any], folder: Path, label: str, locate: Callable[[str, Path, str], tuple[Path, str]],
    read: Callable[[Path, str], dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """A parsed file together with what it extends.

    Args:
        raw: the tables of the file.
        folder: where it lies; relative paths in the result start there.
        label: how messages call it.
        locate: finds the file that a name or path in a folder means.
        read: parses a file.

    Raises:
        ConfigError: ``extends`` is not a text, names no scenario, or leads back to a file on the way.
    """
    return _whole(raw, folder, label, locate, read, ())


def _whole(raw: dict[str, Any], folder: Path, label: str, locate: Any, read: Any, seen: tuple[Path, ...]) -> Any:
    if KEY not in raw:
        return raw
    own = {key: value for key, value in raw.items() if key != KEY}
    name = raw[KEY]
    if not isinstance(name, str) or not name:
        raise ConfigError.of(KEY, name, "the name of a built-in scenario, or a TOML file", file=label)
    path, base_label = locate(name, folder, label)
    path = path.resolve()
    if path in seen:
        raise ConfigError.of(KEY, name, "a scenario that does not extend this one in turn", file=label)
    base = _whole(read(path, base_label), path.parent, base_label, locate, read, (*seen, path))
    _anchor(base, path.parent, folder)
    return _merged(base, own)


def _anchor(tables: dict[str, Any], base: Path, folder: Path) -> None:
    """Make the relative paths of a base mean the same from another folder."""
    if base.resolve() == folder.resolve():
        return
    for table, key in _PATHS:
        entry = tables.get(table)
        if isinstance(entry, dict) and key in entry:
            given = entry[key]
            if isinstance(given, str):
                entry[key] = str(base / given)
            elif isinstance(given, list):
                entry[key] = [str(base / part) if isinstance(part, str) else part for part in given]


def _merged(base: Any, own: Any, key: str = "") -> Any:
    if isinstance(base, list) and isinstance(own, list) and _named(base) and _named(own):
        return _merged_entries(base, own)
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    if "kind" in own and own["kind"] != base.get("kind"):
        return own
    if key == "margin" and own.get("regime", base.get("regime")) != base.get("regime"):
        base = {name: value for name, value in base.items() if name != "params"}
    found = dict(base)
    for name, value in own.items():
        found[name] = _merged(base[name], value, name) if name in base else value
    return found


def _merged_entries(base: list[Any], own: list[Any]) -> list[Any]:
    changes = {_name(entry): entry for entry in own}
    found = []
    for entry in base:
        change = changes.pop(_name(entry), None)
        if change is None:
            found.append(entry)
        elif change.get("drop") is not True:
            found.append(_merged(entry, change))
    return [*found, *(entry for entry in own if _name(entry) in changes)]


def _named(entries: list[Any]) -> bool:
    return all(isinstance(entry, Mapping) and _name(entry) for entry in entries)


def _name(entry: Mapping[str, Any]) -> Any:
    return entry.get("name", entry.get("kind"))
