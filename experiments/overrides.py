"""``--set key=value``: change a scenario from the command line by the dotted keys that its file uses."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from sim.errors import Problem
from sim.problems import unknown

SOURCE = "--set"


def parse_value(text: str) -> Any:
    """A value as TOML spells it (``10``, ``0.5``, ``true``, ``[1, 2]``, ``"x"``); any other text is itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)  # .5 and 1. are numbers to a person, not to TOML
    except ValueError:
        return text


def apply(raw: dict[str, Any], assignments: Iterable[str], problems: list[Problem]) -> set[str]:
    """Apply assignments to a scenario in place.

    Entries of lists of tables are named by their ``name`` (``populations.leveraged.count``) or by their number.

    Args:
        raw: the parsed file, changed in place.
        assignments: texts ``dotted.key=value``.
        problems: gets what cannot be applied.

    Returns:
        The dotted keys that were set.
    """
    done: set[str] = set()
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        key = key.strip()
        if not sign or not key or not all(key.split(".")):
            problems.append(Problem(SOURCE, assignment, None, "dotted.key=value, for example market.steps=1440"))
            continue
        if _assign(raw, key, parse_value(text.strip()), problems):
            done.add(key)
    return done


def source_of(key: str, file: str, overridden: Iterable[str]) -> str:
    """Where a key's value came from: the file, or ``--set``."""
    return SOURCE if any(key == name or key.startswith(f"{name}.") for name in overridden) else file


def _assign(raw: dict[str, Any], key: str, value: Any, problems: list[Problem]) -> bool:
    *path, last = key.split(".")
    here: Any = raw
    for depth, part in enumerate(path):
        where = ".".join(path[: depth + 1])
        if isinstance(here, list):
            index = _entry(here, part)
            if index is None:
                problems.append(unknown(SOURCE, where, part, _names(here)))
                return False
            here = here[index]
        elif isinstance(here, dict):
            here = here.setdefault(part, {})
        if not isinstance(here, dict | list):
            problems.append(Problem(SOURCE, key, value, f"{where} is a value, not a table"))
            return False
    if isinstance(here, list):
        index = _entry(here, last)
        if index is None:
            problems.append(unknown(SOURCE, key, last, _names(here)))
            return False
        here[index] = value
    else:
        here[last] = value
    return True


def _entry(entries: list[Any], part: str) -> int | None:
    for index, entry in enumerate(entries):
        if isinstance(entry, Mapping) and entry.get("name") == part:
            return index
    return int(part) if part.isdigit() and int(part) < len(entries) else None


def _names(entries: list[Any]) -> list[str]:
    return [str(e["name"]) if isinstance(e, Mapping) and "name" in e else str(i) for i, e in enumerate(entries)]
