"""Questions to folders: of sweeps whole and under way, of studies of parts, and of other commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from experiments import query
from experiments.engines import InProcess
from experiments.query import Results
from experiments.sweep.perform import perform
from experiments.sweep.store import SweepStore
from sim.errors import ConfigError, OutputError
from tests.experiments.sweep import made

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts: one swept to its end with a failure, one under way: a chunk written, five units waiting."""
    base = tmp_path_factory.mktemp("query")
    for part, seeds, done in (("whole", 6, 36), ("begun", 20, 55)):
        store, units = SweepStore(base / part, made.IDENTITY), made.units(seeds, {7: "raise"}, keep=True)
        store.begin(made.POINTS, units)
        perform(units[:done], made.make, InProcess(), store)
        if part == "whole":
            store.finish({}, store.results_hash())
        store.close()
    return base


def test_sql_sees_runs_points_units_and_kept_tables(folder: Path) -> None:
    with Results(folder / "whole") as results:
        assert set(results.tables) == {"runs", "incidence", "points", "units", "steps"}
        found = results.sql("SELECT regime, count(*) AS n, max(drawdown) AS top FROM runs GROUP BY 1 ORDER BY 1")
        assert found["n"].tolist() == [11, 24]
        assert found["top"].tolist() == pytest.approx([1.51, 1.5])
        joined = 'SELECT u.command FROM runs r JOIN units u USING (unit) WHERE r."margin.rate" = 1 AND r.seed = 5'
        assert set(results.sql(joined)["command"]) == {"marginlab run --seed 5"}
        assert results.sql("SELECT sum(value) FROM incidence").iloc[0, 0] == pytest.approx(0.0)
        assert len(results.sql("FROM steps")) == 20
        assert results.sql("PIVOT incidence ON population USING count(*) GROUP BY regime").shape == (2, 3)


def test_a_sweep_under_way_is_seen_with_every_finished_run(folder: Path) -> None:
    with Results(folder / "begun") as results:
        assert results.sql("SELECT count(*), count(DISTINCT unit) FROM runs").iloc[0].tolist() == [54, 54]
        assert results.sql("SELECT status, count(*) AS n FROM units GROUP BY 1 ORDER BY 1")["n"].tolist() == [1, 54, 65]
        assert results.sql("SELECT * FROM runs WHERE unit >= 50").shape[0] == 5


def test_parts_are_read_as_one(folder: Path) -> None:
    with Results(folder) as results:
        assert results.sql("SELECT part, count(*) AS n FROM runs GROUP BY 1 ORDER BY 1")["n"].tolist() == [54, 35]
        assert set(results.find(["seed=19"])["part"]) == {"begun"}


def test_runs_are_found_by_their_parameters(folder: Path) -> None:
    with Results(folder / "whole") as results:
        found = results.find(["rate=1", "regime=dynamic", "seed<=1"])
        assert found["unit"].tolist() == [19, 22]
        assert found["command"].tolist() == ["marginlab run --seed 0", "marginlab run --seed 1"]
        assert len(results.find(["margin.rate=0.1,1", "seed=2"])) == 6
        assert len(results.find(["scenario=Shock", "arm!=placebo"])) == 12
        assert results.find(["status=failed"])["error"].tolist() == ["divided by nothing"]
        for bad, allowed in (("nope=1", "one of unit, key"), ("seed", "key=value"), ("seed>x", "a number after >")):
            with pytest.raises(ConfigError, match=allowed):
                results.find([bad])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nope FROM runs", r"\"nope\" not found.*tables: runs\(unit, point"),
        ("SELECT * FROM nowhere", "tables: incidence"),
        ("SELECT margin.rate FROM runs", 'runs.*"margin.rate"'),
        ("SELEC 1", "syntax error"),
        ("DROP VIEW runs", "allowed: one SELECT"),
        ("COPY runs TO 'runs.csv'", "allowed: one SELECT"),
        ("SELECT 1; SELECT 2", "allowed: one SELECT"),
        ("", "allowed: one SELECT"),
    ],
)
def test_questions_that_cannot_be_answered_say_what_there_is(folder: Path, sql: str, said: str) -> None:
    with Results(folder / "whole") as results, pytest.raises(ConfigError, match=said):
        results.sql(sql)


def test_folders_of_other_commands_can_be_asked(tmp_path: Path) -> None:
    runs = [{"regime": "static", "seed": seed, "arm": "", "measures": {"drawdown": 0.1 * seed}} for seed in range(3)]
    (tmp_path / "summary.json").write_text(json.dumps({"runs": runs}))
    pd.DataFrame({"step": [1, 2], "mark": [10.0, 11.0]}).to_parquet(tmp_path / "steps.parquet")
    with Results(tmp_path) as results:
        assert results.sql("SELECT sum(drawdown) FROM runs").iloc[0, 0] == pytest.approx(0.3)
        assert results.sql("SELECT max(mark) FROM steps").iloc[0, 0] == 11.0
        with pytest.raises(ConfigError, match="folder of a sweep"):
            results.find(["seed=1"])
    with pytest.raises(OutputError, match="is not a folder"):
        Results(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match="holds no tables"):
        Results(tmp_path / "empty")


def test_answers_as_text() -> None:
    table = pd.DataFrame({"name": ["a|b", None], "value": [1.5, float("nan")], "n": [1, 22]})
    assert query.as_json(table) == [{"name": "a|b", "value": 1.5, "n": 1}, {"name": None, "value": None, "n": 22}]
    assert query.as_csv(table) == "name,value,n\na|b,1.5,1\n,,22\n"
    assert query.as_markdown(table).splitlines() == [
        "| name | value | n |", "| --- | ---: | ---: |", "| a\\|b | 1.5 | 1 |", "|  |  | 22 |",
    ]  # fmt: skip
    assert query.as_lines(table).splitlines() == ["name  value   n", "a|b     1.5   1", "             22", "(2 rows)"]


def test_the_command_as_a_user_runs_it(folder: Path, marginlab: Command) -> None:
    whole = str(folder / "whole")
    assert "runs" in marginlab("query", whole).stdout
    found = marginlab("query", whole, "SELECT count(*) AS n FROM runs", "--json")
    assert found.returncode == 0 and json.loads(found.stdout) == [{"n": 35}]
    found = marginlab("query", whole, "--find", "seed=1", "regime=static", "rate=1", "--csv")
    assert len(found.stdout.splitlines()) == 3 and "marginlab run --seed 1" in found.stdout
    for bad in (("SELECT nope FROM runs",), ("SELECT 1", "FROM runs"), ("SELECT 1", "--csv", "--json")):
        refused = marginlab("query", whole, *bad)
        assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1 and not refused.stdout
