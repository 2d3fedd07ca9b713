"""``market.unit_seconds``: one file, run at steps of different lengths.

Counts of steps in a file, and rates per step, are in units of ``unit_seconds``. With ``market.dt_seconds`` shorter than
that, everything that counts steps is restated before the file is checked: durations grow, rates per step shrink,
coefficients of a step's volatility grow with the square root. What a trader does when it wakes stays the same, so the
market at 1 s is the market at 60 s with decisions, arrivals and margin checks spread over finer time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from experiments.events import EVENT_KINDS
from experiments.sections import (
    ClearingSection,
    ContractSection,
    MarginSection,
    MarketSection,
    MeasureSection,
    RecordSection,
)
from sim.clock import KEY, restated
from sim.errors import Problem

_TABLES: dict[str, type[BaseModel]] = {
    "market": MarketSection,
    "margin": MarginSection,
    "clearing": ClearingSection,
    "record": RecordSection,
    "measure": MeasureSection,
}


def restate(raw: dict[str, Any], problems: list[Problem]) -> None:
    """Restate a parsed file in steps of ``market.dt_seconds``, in place; nothing happens without ``unit_seconds``.

    Args:
        raw: the tables after ``--set``; values that are not numbers are left for validation to name.
        problems: gets a unit that is not a whole number of steps.
    """
    market = raw.get("market")
    if not isinstance(market, dict) or market.get("unit_seconds") is None:
        return
    unit = market["unit_seconds"]
    dt = market.get("dt_seconds", unit)
    if not _positive(unit) or not _positive(dt):
        return
    market.setdefault("dt_seconds", dt)
    n = round(unit / dt)
    if n < 1 or abs(n * dt - unit) > 1e-9 * unit:
        allowed = f"a whole part of market.unit_seconds = {unit:g}: {unit:g}, {unit / 2:g}, {unit / 3:g}, ..."
        problems.append(Problem("", "market.dt_seconds", dt, allowed))
        return
    market.pop("unit_seconds")  # from here on the tables are in steps
    if n == 1:
        return
    for key, model in _TABLES.items():
        table = raw.setdefault(key, {})
        if isinstance(table, dict):
            _table(table, model, n)
    for entry in _entries(raw, "contracts"):
        _table(entry, ContractSection, n)
    for entry in _entries(raw, "events"):
        if entry.get("kind") in EVENT_KINDS:
            _table(entry, EVENT_KINDS[entry["kind"]], n)
    _populations(raw, n)


def _populations(raw: Mapping[str, Any], n: int) -> None:
    import agents

    for entry in _entries(raw, "populations"):
        if entry.get("kind") in agents.kinds():
            _table(entry, agents.parameters(entry["kind"]), n)


def _table(table: dict[str, Any], model: type[BaseModel], n: int) -> None:
    """Restate the marked fields of one table; a field that is left out has its default restated."""
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and KEY in extra:
            value = table.get(name, None if field.is_required() else field.default)
            if value is not None:
                table[name] = restated(value, str(extra[KEY]), n)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            inner = table.get(name, {})
            if isinstance(inner, dict):
                _table(inner, field.annotation, n)
                if inner:
                    table[name] = inner


def _entries(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    given = raw.get(key)
    return [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
