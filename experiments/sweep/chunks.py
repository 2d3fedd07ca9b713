"""What a sweep keeps of its runs, as tables: rows of runs, rows of incidence, the tables of kept runs.

Everything here is a function of the study's points, of a unit and of its result, and of nothing else: which worker ran
it, when, and in which order, leaves no trace in these tables, so that their files are the same bytes on every engine.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from experiments.jobs import UnitResult
from experiments.store import combined_hash, plain

if TYPE_CHECKING:
    import pyarrow as pa

RUNS, INCIDENCE = "runs", "incidence"
POINTS, UNITS = "points", "units"
ROWS = (RUNS, INCIDENCE)
RESERVED = (RUNS, INCIDENCE, POINTS, UNITS)
PLACEBO = "placebo"
CHUNK_UNITS = 50
"""Units of a chunk."""
# Columns of the table of runs that are not factors and not measures. `cascade` and `owed` are JSON.
LEADING = ("unit", "point")
FOLLOWING = ("regime", "arm", "seed", "steps", "results_hash", "scale", "cascade", "owed")
_NOT_RESULTS = ("wall_seconds",)  # of one machine
_NESTED = ("measures", "incidence")


class StoredUnit(Protocol):
    """What the store needs to know of a piece of work (:class:`experiments.sweep.units.SweepUnit`)."""

    @property
    def index(self) -> int:
        """Place in the study, from 0."""

    @property
    def key(self) -> str:
        """Names the unit, distinct within the study."""

    @property
    def task(self) -> Any:
        """What the function gets: picklable."""

    @property
    def command(self) -> str:
        """The shell line that does this unit alone."""

    @property
    def point(self) -> int:
        """Number of its point."""

    @property
    def seed(self) -> int:
        """Its seed."""


@dataclass(frozen=True)
class Factors:
    """The factor columns of a study.

    Attributes:
        names: columns, one per factor: its dotted key.
        types: Arrow type of each column, by name: ``bool``, ``int64``, ``float64`` or ``string``.
        values: per point, the value in each column.
    """

    names: tuple[str, ...]
    types: dict[str, str]
    values: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, points: Sequence[Mapping[str, Any]]) -> Factors:
        """The columns from the points: factor values by dotted key.

        A column has the type that fits its values at all points; lists, tables and mixtures are kept as JSON text.
        """
        found = [plain(dict(point)) for point in points]
        keys = list(dict.fromkeys(key for point in found for key in point))
        columns = {key: _column_name(key) for key in keys}
        types = {columns[key]: _type([point[key] for point in found if point.get(key) is not None]) for key in keys}
        values = tuple(
            {columns[key]: _as(types[columns[key]], point.get(key)) for key in keys if key in point} for point in found
        )
        return cls(tuple(columns.values()), types, values)

    def row(self, point: int) -> dict[str, Any]:
        """Column values of a point, None where it does not set the factor."""
        given = self.values[point] if point < len(self.values) else {}
        return {name: given.get(name) for name in self.names}


def _column_name(key: str) -> str:
    """A factor's column: its key, unless the table has such a column already."""
    return f"factor.{key}" if key in (*LEADING, *FOLLOWING) else key


def _type(values: Sequence[Any]) -> str:
    if values and all(isinstance(value, bool) for value in values):
        return "bool"
    if values and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        whole = all(isinstance(value, int) and abs(value) < 2**63 for value in values)
        return "int64" if whole else "float64"
    return "string"


def _as(kind: str, value: Any) -> Any:
    if value is None or kind == "bool" or kind == "int64":
        return value
    if kind == "float64":
        return float(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def unit_hash(key: str, runs: Iterable[Mapping[str, Any]]) -> str:
    """Hash of what a unit gave: of its runs' hashes, placebos left out; empty if it has none but placebos."""
    named = [
        (f"{key}/{run.get('regime', '')}/{run.get('arm', '')}", str(run["results_hash"]))
        for run in runs
        if run.get("arm") != PLACEBO and run.get("results_hash") is not None
    ]
    return combined_hash(named) if named else ""


def run_rows(unit: StoredUnit, factors: Factors, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per run of a unit: its place, the factors, what ran, every measure.

    Numbers that a run carries beside its measures get columns of their own; what is nested becomes JSON text.
    """
    rows = []
    for run in runs:
        row: dict[str, Any] = {"unit": unit.index, "point": unit.point, **factors.row(unit.point)}
        row |= dict.fromkeys(FOLLOWING)
        row |= {"regime": "", "arm": "", "seed": unit.seed}
        for name, value in run.items():
            if name not in (*_NESTED, *_NOT_RESULTS):
                row[name] = json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
        for name, value in run.get("measures", {}).items():
            row[name] = None if value is None else float(value)
        rows.append(row)
    return rows


def incidence_rows(unit: StoredUnit, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per run, population and quantity."""
    return [
        {
            "unit": unit.index, "point": unit.point, "regime": run.get("regime", ""), "arm": run.get("arm", ""),
            "seed": run.get("seed", unit.seed), "population": population, "quantity": quantity,
            "value": None if value is None else float(value),
        }
        for run in runs
        for population, quantities in run.get("incidence", {}).items()
        for quantity, value in quantities.items()
    ]  # fmt: skip


def arrow_runs(rows: Sequence[Mapping[str, Any]], factors: Factors) -> pa.Table:
    """Rows of runs as an Arrow table: the same columns in the same order whatever came first."""
    import pyarrow as pa

    types: dict[str, Any] = {"unit": pa.int64(), "point": pa.int64()}
    types |= {name: pa.type_for_alias(factors.types[name]) for name in factors.names}
    known = {"seed": pa.int64(), "steps": pa.int64(), "scale": pa.float64()}
    types |= {name: known.get(name, pa.string()) for name in FOLLOWING}
    present = {name for row in rows for name in row} - set(types)
    texts = {name for row in rows for name in present if isinstance(row.get(name), str)}
    types |= {name: pa.string() if name in texts else pa.float64() for name in ordered(present)}
    columns = {
        name: pa.array([_cell(row.get(name), kind == pa.string()) for row in rows], kind)
        for name, kind in types.items()
    }
    return pa.table(columns)


def _cell(value: Any, text: bool) -> Any:
    return str(value) if text and value is not None else value


def ordered(names: Iterable[str]) -> list[str]:
    """Measures in the order of the vocabulary, then others by name."""
    from experiments.vocabulary import MEASURES

    place = {name: number for number, name in enumerate(MEASURES)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def arrow_incidence(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of incidence as an Arrow table."""
    import pyarrow as pa

    whole, text = ("unit", "point", "seed"), ("regime", "arm", "population", "quantity")
    kinds = {name: pa.int64() for name in whole} | {name: pa.string() for name in text} | {"value": pa.float64()}
    order = ("unit", "point", "regime", "arm", "seed", "population", "quantity", "value")
    return pa.table({name: pa.array([row[name] for row in rows], kinds[name]) for name in order})


def packed(unit: StoredUnit, result: UnitResult) -> dict[str, bytes]:
    """A result as the store holds it until its chunk is written: the runs as JSON, tables as Arrow streams."""
    import pyarrow as pa

    found = {RUNS: json.dumps(plain(result.runs), separators=(",", ":"), allow_nan=False).encode()}
    for name, table in result.tables.items():
        if name in RESERVED or not name.isidentifier():
            raise ValueError(
                f"a run gave a table named {name!r}; allowed: a name that is none of {', '.join(RESERVED)}"
            )
        if not len(table.columns):
            continue
        body = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
        for position, (column, value) in enumerate((("unit", unit.index), ("point", unit.point))):
            body = body.add_column(position, column, pa.repeat(pa.scalar(value, pa.int64()), len(body)))
        buffer = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(buffer, body.schema, options=options) as writer:
            writer.write_table(body)
        found[name] = buffer.getvalue()
    return found


def unpacked(body: bytes) -> pa.Table:
    """A table from its Arrow stream."""
    import pyarrow as pa

    return pa.ipc.open_stream(body).read_all()


def joined(tables: Sequence[pa.Table], factors: Factors) -> pa.Table:
    """Tables of runs under each other; a measure that one does not have is null there, columns are in their order."""
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    return in_order(pa.concat_tables(tables, promote_options="permissive"), factors)


def in_order(table: pa.Table, factors: Factors) -> pa.Table:
    """The columns of a table of runs in their order."""
    first = [*LEADING, *factors.names, *FOLLOWING]
    return table.select([*first, *ordered(set(table.column_names) - set(first))])
