"""Questions to an output folder: SQL over its tables, and runs found by their parameters.

Every table of the folder is a DuckDB view. A sweep that is under way, or was killed, is read with all its finished
runs; a study made of parts is read as one, with the part's name in a column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.store import SUMMARY, plain
from experiments.sweep import database
from experiments.sweep.chunks import POINTS, ROWS, RUNS, UNITS, Factors, arrow_runs, run_rows
from experiments.sweep.database import Database
from experiments.sweep.kept import KeptRuns
from experiments.sweep.parts import Place
from sim.errors import ConfigError, OutputError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

PART = "part"
ALLOWED_SQL = "one SELECT, DESCRIBE, SHOW TABLES, SUMMARIZE, PIVOT or EXPLAIN of DuckDB's SQL"
_CONDITION = re.compile(r"\s*(?P<key>[^=<>!~]+?)\s*(?P<operator>>=|<=|!=|=|>|<)\s*(?P<value>.*?)\s*", re.DOTALL)


class Results:
    """The tables of an output folder. Close it, or use it as a context manager.

    Args:
        path: folder of a sweep, of a study of several parts, or of any command with ``--out``.

    Attributes:
        tables: columns of each table, by name.

    Raises:
        OutputError: the folder holds no results.
    """

    def __init__(self, path: str | Path) -> None:
        import duckdb

        self.path = Path(path)
        self._databases: list[Database] = []
        self.connection = duckdb.connect()
        try:
            self._fill()
        except BaseException:
            self.close()
            raise
        self.tables = {name: self._columns(name) for name in self._names()}

    def __enter__(self) -> Results:
        """The tables themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self.connection.close()
        for opened in self._databases:
            opened.close()

    def _fill(self) -> None:
        if not self.path.is_dir():
            raise OutputError(f"{str(self.path)!r} is not a folder; allowed: a folder that a command wrote with --out")
        if (self.path / database.NAME).is_file():
            parts = {"": self.path}
        else:
            parts = {file.parent.name: file.parent for file in sorted(self.path.glob(f"*/{database.NAME}"))}
        if parts:
            self._sweeps(parts)
        else:
            self._plain_folder()
        if not self._names():
            raise OutputError(f"{str(self.path)!r} holds no tables; allowed: a folder that a command wrote with --out")

    def _sweeps(self, parts: Mapping[str, Path]) -> None:
        sources: dict[str, list[str]] = {}
        for number, (part, path) in enumerate(parts.items()):
            label = f"{_text(part)} AS {PART}, " if part else ""
            opened = Database(path, create=False)
            self._databases.append(opened)
            kept = KeptRuns(path, opened)
            # what waits is read first: a chunk that is written meanwhile is then seen twice, not never
            waiting = kept.waiting_tables()
            for table in dict.fromkeys([*ROWS, *kept.tables(), *waiting, POINTS, UNITS]):
                found = sources.setdefault(table, [])
                units: list[int] = []
                if table in waiting or table in (POINTS, UNITS):
                    name = f"_{table}_{number}"
                    rows: Any = kept.frame(table) if table in (POINTS, UNITS) else waiting[table]
                    self.connection.register(name, rows)
                    found.append(f"SELECT {label}* FROM {name}")
                    units = [] if table in (POINTS, UNITS) else sorted(set(rows["unit"].to_pylist()))
                if table not in (POINTS, UNITS) and kept.files(table):
                    files = f"read_parquet({_text(str(path / table / 'chunk-*.parquet'))}, union_by_name = true)"
                    but = f" WHERE unit NOT IN ({', '.join(map(str, units))})" if units else ""
                    found.append(f"SELECT {label}* FROM {files}{but}")
        for table, found in sources.items():
            if found:
                self._view(table, " UNION ALL BY NAME ".join(found))

    def _plain_folder(self) -> None:
        """A folder of a single run or of a comparison: its Parquet files, and the runs of its summary."""
        for file in sorted(self.path.glob("*.parquet")):
            self._view(file.stem, f"SELECT * FROM read_parquet({_text(str(file))})")
        summary = self.path / SUMMARY
        if not summary.is_file():
            return
        try:
            found = json.loads(summary.read_text(encoding="utf-8"))
        except ValueError:
            raise OutputError(f"{summary}: not a summary that can be read") from None
        runs = found.get("runs") or ([found] if "measures" in found else [])
        runs = [run for run in runs if isinstance(run, dict) and isinstance(run.get("measures"), dict)]
        kept = [{key: run[key] for key in _RUN_KEYS if key in run} for run in runs]
        if kept and RUNS not in self._names():
            factors = Factors.of(())
            places = [Place(number, "", None, "", 0, int(run.get("seed", 0))) for number, run in enumerate(kept)]
            rows = [row for place, run in zip(places, kept, strict=True) for row in run_rows(place, factors, [run])]
            self.connection.register("_runs", arrow_runs(rows, factors).drop_columns(["unit", "point"]))
            self._view(RUNS, "SELECT * FROM _runs")

    def _view(self, name: str, query: str) -> None:
        self.connection.execute(f"CREATE VIEW {_quoted(name)} AS {query}")

    def _names(self) -> list[str]:
        query = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name"
        return [name for (name,) in self.connection.execute(query).fetchall() if not name.startswith("_")]

    def _columns(self, table: str) -> list[str]:
        return [row[0] for row in self.connection.execute(f"DESCRIBE {_quoted(table)}").fetchall()]

    def listing(self) -> pd.DataFrame:
        """Every table with its number of rows and its columns."""
        import pandas as pd

        counts = {
            name: self.connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone() for name in self.tables
        }
        rows = [(name, (counts[name] or (0,))[0], ", ".join(map(_quoted, of))) for name, of in self.tables.items()]
        return pd.DataFrame(rows, columns=["table", "rows", "columns"])

    # -- questions ---------------------------------------------------------------------------------------------------

    def sql(self, query: str) -> pd.DataFrame:
        """The answer to a question in SQL; nothing is changed or written by it.

        Raises:
            ConfigError: it is no such question, or names what is not there.
        """
        import duckdb

        try:
            statements = self.connection.extract_statements(query)
        except duckdb.Error as error:
            raise self._refused(query, error) from None
        reading = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
        if len(statements) != 1 or statements[0].type not in reading:
            raise ConfigError.of("SQL", query, ALLOWED_SQL)
        try:
            return self.connection.execute(query).df()
        except duckdb.Error as error:
            raise self._refused(query, error) from None

    def _refused(self, query: str, error: duckdb.Error) -> ConfigError:
        reason = " ".join(str(error).split("LINE ")[0].split())
        near = [
            f"{name}({', '.join(_quoted(column) for column in columns)})" for name, columns in self._named_in(query)
        ]
        return ConfigError.of("SQL", query, f"{ALLOWED_SQL}: {reason}; tables: {'; '.join(near)}")

    def _named_in(self, query: str) -> list[tuple[str, list[str]]]:
        """Columns of the tables that a question names; of no columns, all tables, where it names none."""
        words = set(re.findall(r"\w+", query.lower()))
        named = [(name, columns) for name, columns in self.tables.items() if name.lower() in words]
        return named or [(name, []) for name in self.tables]

    def find(self, conditions: Sequence[str]) -> pd.DataFrame:
        """Units whose parameters meet all of some conditions, each with the command that does it again.

        Args:
            conditions: ``key=value``; also with ``!=``, ``<``, ``<=``, ``>``, ``>=``. A key is a column of ``units`` or
                ``points``, or the end of a factor's dotted key; several values are separated by commas.

        Raises:
            ConfigError: a condition cannot be read, or names no such column.
        """
        if UNITS not in self.tables:
            raise ConfigError.of("--find", str(self.path), "the folder of a sweep")
        factors = [column for column in self.tables[POINTS] if column not in ("point", PART)]
        known = [column for column in self.tables[UNITS] if column != "detail"] + factors
        where = [self._where(condition, known, factors) for condition in conditions]
        part = [PART] if PART in self.tables[UNITS] else []
        shown = [*part, "unit", "point", *factors, "regime", "arm", "seed", "status", "error", "command"]
        joined = " AND ".join(f"u.{_quoted(key)} = p.{_quoted(key)}" for key in [*part, "point"])
        columns = ", ".join(f"{'p' if name in factors else 'u'}.{_quoted(name)}" for name in shown)
        text = f"SELECT {columns} FROM units u JOIN points p ON {joined}"
        text += f" WHERE {' AND '.join(where)}" if where else ""
        return self.connection.execute(f"{text} ORDER BY {', '.join(f'u.{key}' for key in [*part, 'unit'])}").df()

    def _where(self, condition: str, known: Sequence[str], factors: Sequence[str]) -> str:
        found = _CONDITION.fullmatch(condition)
        if found is None:
            raise ConfigError.of(
                "--find", condition, "key=value (also !=, <, <=, >, >=), such as seed=7 or status=failed"
            )
        key, operator, value = found["key"], found["operator"], found["value"]
        column = self._column(key, condition, known, factors)
        name = f"{'p' if column in factors else 'u'}.{_quoted(column)}"
        if operator in ("=", "!="):
            values = value.split(",") if "," in value and not value.startswith("[") else [value]
            # a forked unit has several regimes
            several = [f"list_contains(string_split({name}, ','), {_text(item.strip())})" for item in values]
            tests = several if column == "regime" else [_equal(name, item.strip()) for item in values]
            return f"({' OR '.join(tests)})" if operator == "=" else f"NOT coalesce({' OR '.join(tests)}, false)"
        try:
            float(value)
        except ValueError:
            raise ConfigError.of("--find", condition, f"a number after {operator}") from None
        return f"TRY_CAST({name} AS DOUBLE) {operator} {float(value)!r}"

    def _column(self, key: str, condition: str, known: Sequence[str], factors: Sequence[str]) -> str:
        if key in known:
            return key
        ending = [column for column in factors if column.endswith(f".{key}")]
        if len(ending) == 1:
            return ending[0]
        names = ", ".join(ending or [*(column for column in known if column != "command")])
        raise ConfigError.of("--find", condition, f"a key that is one of {names}")


_RUN_KEYS = ("regime", "seed", "arm", "measures", "cascade", "scale", "results_hash", "owed", "steps")


def _equal(name: str, value: str) -> str:
    """A test for equality: of numbers as numbers, of everything else as text."""
    try:
        number = float(value)
    except ValueError:
        return f"lower(CAST({name} AS VARCHAR)) = {_text(value.lower())}"
    if number != number or number in (float("inf"), float("-inf")):
        return f"CAST({name} AS VARCHAR) = {_text(value)}"
    return f"(TRY_CAST({name} AS DOUBLE) = {number!r} OR CAST({name} AS VARCHAR) = {_text(value)})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'


# ----------------------------------------------------------------------------------------------------------------------
# as text


def as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dictionaries; what is missing or not finite is null."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_dict(orient="records")]


def as_csv(table: pd.DataFrame) -> str:
    """Comma-separated values with a head."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def as_markdown(table: pd.DataFrame) -> str:
    """A Markdown table."""
    rows = [[_cell(value).replace("|", "\\|").replace("\n", " ") for value in row] for row in _rows(table)]
    head = [str(name).replace("|", "\\|") for name in table.columns]
    lines = [head, ["---:" if _numeric(table, i) else "---" for i in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def as_lines(table: pd.DataFrame) -> str:
    """Columns for a terminal, numbers to the right."""
    if not len(table.columns):
        return ""
    rows = [[_cell(value).replace("\n", " ") for value in row] for row in _rows(table)]
    head = [str(name) for name in table.columns]
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    right = [_numeric(table, i) for i in range(len(head))]
    found = []
    for line in [head, *rows]:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        found.append("  ".join(cells).rstrip())
    count = f"{len(rows)} row" + ("" if len(rows) == 1 else "s")
    return "\n".join([*found, f"({count})"]) + "\n"


def _rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(index=False, name=None))


def _numeric(table: pd.DataFrame, column: int) -> bool:
    return table.dtypes.iloc[column].kind in "iuf"


def _plain(value: Any) -> Any:
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return plain(value)


def _cell(value: Any) -> str:
    found = _plain(value)
    if found is None:
        return ""
    return f"{found:.6g}" if isinstance(found, float) else str(found)
