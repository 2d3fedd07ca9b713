from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from experiments.engines import InProcess
from experiments.sweep import chunks
from experiments.sweep.chunks import Factors
from experiments.sweep.perform import perform
from experiments.sweep.store import CHUNK_UNITS, MemoryStore, SweepStore, differences
from sim.errors import ConfigError, OutputError
from tests.experiments.sweep import made

SEEDS = 20  # 120 units: two whole chunks and a part of one
TABLES = ("runs", "incidence", "points", "steps")


def files(folder: Path) -> dict[str, bytes]:
    """Every Parquet file of a folder, byte for byte."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.parquet")}


def swept(folder: Path, units: list[made.MadeUnit], *, finish: bool = True) -> SweepStore:
    store = SweepStore(folder, made.IDENTITY)
    store.begin(made.POINTS, units)
    perform(units, made.make, InProcess(), store)
    if finish:
        store.finish({"units": len(units)}, store.results_hash())
    return store


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "out"
    swept(folder, made.units(SEEDS, keep=True)).close()
    return folder


def test_pandas_polars_and_duckdb_read_the_folder_without_us(undisturbed: Path) -> None:
    by_pandas = pd.read_parquet(undisturbed / "runs")
    by_polars = pl.read_parquet(undisturbed / "runs" / "*.parquet")
    by_duckdb = duckdb.sql(f"SELECT * FROM read_parquet('{undisturbed}/runs/*.parquet') ORDER BY unit").df()
    assert len(by_pandas) == len(by_polars) == len(by_duckdb) == 6 * SEEDS
    assert list(by_pandas.columns) == by_polars.columns == list(by_duckdb.columns)
    # a measure that only the last chunks have is in the columns of the first file
    assert by_pandas["own_measure"].notna().sum() == by_polars["own_measure"].count() == 3 * SEEDS
    assert by_pandas["margin.rate"].dtype == "float64" and set(by_pandas["scenario"]) == {"calm", "shock"}
    assert by_pandas["drawdown"].tolist() == by_polars["drawdown"].to_list() == by_duckdb["drawdown"].tolist()
    assert by_polars["r0_event"].null_count() == 6  # seed 1: not measured is null, not a number
    long = pl.read_parquet(undisturbed / "incidence" / "*.parquet")
    assert long.filter(pl.col("population") == "makers")["value"].to_list() == by_polars["drawdown"].to_list()


def test_the_manifest_is_plain_sqlite(undisturbed: Path) -> None:
    connection = sqlite3.connect(undisturbed / "manifest.sqlite")
    rows = connection.execute("SELECT unit, chunk, status, hash, wall_seconds, command FROM units").fetchall()
    assert [row[0] for row in rows] == list(range(6 * SEEDS))
    assert all(row[1] == row[0] // CHUNK_UNITS and row[2] == "finished" and row[4] >= 0 for row in rows)
    assert [json.loads(text) for (text,) in connection.execute("SELECT factors FROM points")] == made.POINTS
    assert connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)
    connection.close()
    manifest = json.loads((undisturbed / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["units_finished"] == 6 * SEEDS
    assert manifest["study"] == made.IDENTITY
    assert {"peak_mb", "first_quarter_mb", "last_quarter_mb", "growth"} <= set(manifest["memory"])


def test_order_resumption_and_retries_leave_no_trace(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    broken = made.units(SEEDS, {3: "raise", 60: "raise"}, keep=True)
    store = SweepStore(folder, made.IDENTITY)
    store.begin(made.POINTS, broken)
    perform(broken[::-1][:70], made.make, InProcess(), store)
    store.close()
    assert not (folder / "runs" / "chunk-000000.parquet").exists()
    store = swept(folder, broken)
    assert store.resumed and store.failed() == {3, 60}
    assert [(f.kind, f.message, f.command) for f in store.failures()] == [
        ("ZeroDivisionError", "divided by nothing", "marginlab run --seed 1"),
        ("ZeroDivisionError", "divided by nothing", "marginlab run --seed 0"),
    ]
    assert "Traceback" in store.failures()[0].detail
    assert files(folder) != files(undisturbed)
    store.close()
    store = SweepStore(folder, made.IDENTITY)
    whole = made.units(SEEDS, keep=True)
    store.begin(made.POINTS, whole)
    assert perform(whole, made.make, InProcess(), store).done_now == 0  # failed runs wait until they are asked for
    store.retry_failed()
    assert perform(whole, made.make, InProcess(), store).done_now == 2
    store.finish({}, store.results_hash())
    assert files(folder) == files(undisturbed)
    kept = json.loads((undisturbed / "manifest.json").read_text())["results_hash"]
    assert store.results_hash() == kept
    store.close()


def test_memory_keeps_the_same_tables(undisturbed: Path) -> None:
    units = made.units(SEEDS, keep=True)
    store, memory = SweepStore(undisturbed, made.IDENTITY), MemoryStore()
    for each in (store, memory):
        each.begin(made.POINTS, units)
        perform(units, made.make, InProcess(), each)
    for table in TABLES:
        pd.testing.assert_frame_equal(store.frame(table), memory.frame(table))
    same = ["unit", "key", "point", "seed", "regime", "arm", "chunk", "status", "hash", "command"]
    pd.testing.assert_frame_equal(store.frame("units")[same], memory.frame("units")[same])
    assert store.results_hash() == memory.results_hash()
    assert store.finished() == memory.finished() and not memory.failed()
    store.close()


def test_tables_are_whole_before_their_chunk_is_written(undisturbed: Path, tmp_path: Path) -> None:
    units = made.units(SEEDS, keep=True)
    store = SweepStore(tmp_path / "out", made.IDENTITY)
    store.begin(made.POINTS, units)
    perform(units[:55], made.make, InProcess(), store)
    whole = pd.read_parquet(undisturbed / "runs").query("unit < 55")
    columns = store.frame("runs").columns
    pd.testing.assert_frame_equal(store.frame("runs"), whole[columns])
    store.close()


def test_more_units_may_follow(undisturbed: Path, tmp_path: Path) -> None:
    units = made.units(SEEDS, keep=True)
    swept(tmp_path / "out", units[:70]).close()
    store = swept(tmp_path / "out", units[:30])  # gone on with from its first part
    assert len(store.finished()) == 70
    store.begin(made.POINTS, units)
    perform(units, made.make, InProcess(), store)
    store.finish({}, store.results_hash())
    store.close()
    assert files(tmp_path / "out") == files(undisturbed)


def test_a_changed_study_is_refused_with_every_key(undisturbed: Path, tmp_path: Path) -> None:
    changed = {
        "study": {"name": "made", "seeds": [0, 1, 2, 3]},
        "factors": [{"key": "margin.rate", "values": [0.1, 2]}],
        "more": 1,
    }
    with pytest.raises(ConfigError) as caught:
        SweepStore(undisturbed, changed)
    problems = {problem.key: (problem.value, problem.allowed.split(",  ")[0]) for problem in caught.value.problems}
    assert set(problems) == {"study.seeds", "factors.0.values", "more"}
    assert problems["study.seeds"][0] == [0, 1, 2, 3] and problems["study.seeds"][1].startswith("[0, 1, 2],")


def test_other_code_may_summarise_and_may_not_go_on(tmp_path: Path) -> None:
    units = made.units(4, {2: "raise"})
    store = SweepStore(tmp_path / "out", made.IDENTITY | {"code": "old"})
    store.begin(made.POINTS, units)
    perform(units[:5], made.make, InProcess(), store)
    store.close()
    with pytest.raises(ConfigError, match=r"code = 'new'; allowed: 'old'"):
        SweepStore(tmp_path / "out", made.IDENTITY | {"code": "new"})
    store = SweepStore(tmp_path / "out", made.IDENTITY | {"code": "old"})
    store.begin(made.POINTS, units)
    perform(units, made.make, InProcess(), store)
    store.finish({}, store.results_hash())
    store.close()
    store = SweepStore(tmp_path / "out", made.IDENTITY | {"code": "new"})
    store.begin(made.POINTS, units)
    assert len(store.frame("runs")) == len(units) - 1
    with pytest.raises(OutputError, match="other code"):
        store.retry_failed()
    store.close()


def test_folders_that_are_no_store_and_folders_in_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not empty"):
        SweepStore(tmp_path / "other", made.IDENTITY)
    with pytest.raises(OutputError, match="is not a folder"):
        SweepStore(tmp_path / "file", made.IDENTITY)
    first = swept(tmp_path / "out", made.units(2), finish=False)
    second = SweepStore(tmp_path / "out", made.IDENTITY)
    with pytest.raises(OutputError, match="written by another process"):
        second.begin(made.POINTS, made.units(2))
    first.close()
    second.begin(made.POINTS, made.units(2))
    with pytest.raises(OutputError, match="holds a unit '0-dynamic-0'"):
        second.begin(made.POINTS, [made.MadeUnit(1, "other", made.MadeTask(0, 0, "static"), "", 0, 0)])
    second.close()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.sqlite").write_text("this is not a database, whatever its name says")
    with pytest.raises(OutputError, match="not a database"):
        SweepStore(tmp_path / "damaged", made.IDENTITY)


def test_factor_columns_have_the_type_of_all_points() -> None:
    points = [
        {"a.whole": 1, "a.number": 1, "a.text": "x", "a.flag": True, "a.list": [1, 2], "a.mixed": 1, "seed": 3},
        {"a.whole": 2, "a.number": 0.5, "a.text": "y", "a.flag": False, "a.list": [3], "a.mixed": "one"},
    ]
    factors = Factors.of(points)
    assert factors.types == {
        "a.whole": "int64", "a.number": "float64", "a.text": "string", "a.flag": "bool", "a.list": "string",
        "a.mixed": "string", "factor.seed": "int64",
    }  # fmt: skip
    assert factors.row(0)["a.list"] == "[1, 2]" and factors.row(0)["a.mixed"] == "1"
    assert factors.row(1)["factor.seed"] is None


def test_differences_name_the_key_that_has_changed() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": 1}], "gone": None, "x": {}}
    new = {"a": {"b": 1, "c": [1, 3]}, "d": [{"e": 1}, {"e": 2}], "x": {}}
    assert differences(old, new) == [("a.c", [1, 2], [1, 3]), ("d.1.e", None, 2)]


def test_placebos_do_not_enter_the_hash() -> None:
    runs = [{"regime": "static", "arm": arm, "results_hash": arm or "own"} for arm in ("", "placebo")]
    assert chunks.unit_hash("key", runs) == chunks.unit_hash("key", runs[:1]) != ""
    assert chunks.unit_hash("key", runs[1:]) == ""
