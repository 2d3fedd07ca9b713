from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from experiments.studies.compare import single
from experiments.tables import Estimate, Table
from experiments.tabulated.comparison import differences, outcomes, tables
from experiments.terminal import comparison_lines
from tests.experiments.synthetic import REGIMES, comparison

RESULT = comparison(12)


def _table(name: str) -> Table:
    return next(table for table in tables(RESULT) if table.name == name)


def test_every_table_of_a_comparison() -> None:
    names = [table.name for table in tables(RESULT)]
    assert names == ["outcomes", "differences", "incidence-pnl", "incidence-liquidated", "incidence-share"]
    assert all(table.caption for table in tables(RESULT))
    for table in tables(RESULT):
        assert table.latex().count("{") == table.latex().count("}")


def test_outcomes_are_the_means_in_the_unit_that_is_named() -> None:
    table = _table("outcomes")
    assert [column.name for column in table.columns] == ["outcome", *REGIMES]
    assert len(table.rows) == len(RESULT["measures"])
    row = next(row for row in table.rows if row[0] == "drawdown (%)")
    for regime, cell in zip(REGIMES, row[1:], strict=True):
        assert isinstance(cell, Estimate)
        kept = RESULT["measures"]["drawdown"][regime]
        for end, key in ((cell.value, "mean"), (cell.low, "low"), (cell.high, "high")):
            assert end == pytest.approx(100.0 * kept[key])
    marks = [cell.mark for cell in row[1:] if isinstance(cell, Estimate)]
    assert marks == ["", "*", "=", "*"]
    assert "* differs" in table.notes[0]


def test_differences_have_every_number_of_the_test() -> None:
    found = pd.read_csv(io.StringIO(differences(RESULT).csv()))
    tested = [d for by in RESULT["differences"].values() for d in by.values() if d["family"] != "event"]
    assert len(found) == len(tested) > 12
    row = found[(found["regime"] == "dynamic") & (found["measure"] == "drawdown")].iloc[0]
    kept = RESULT["differences"]["dynamic"]["drawdown"]
    assert row["unit"] == "pp"
    assert row["difference"] == pytest.approx(100.0 * kept["mean"])
    assert row["difference_low"] == pytest.approx(100.0 * kept["low"])
    for column in ("p", "p_holm", "required_n"):
        assert row[column] == pytest.approx(kept[column])
    assert row["verdict"] == "differs"
    assert len(differences(RESULT, ["drawdown"]).rows) == 3


def test_effects_with_intervals_where_a_result_has_them() -> None:
    bare = {"mean": 0.02, "low": 0.01, "high": 0.03, "n": 9, "p": 0.01, "p_holm": 0.02, "effect": 1.25}
    ends = {
        "t": {"mean": 0.02, "low": 0.005, "high": 0.035, "n": 9},
        "d_z": {"value": 1.13, "low": 0.2, "high": 2.0, "n": 9},
        "superiority": {"value": 0.875, "low": 0.6, "high": 1.0, "n": 9},
    }
    result = {"regimes": ["static", "dynamic"], "baseline": "static", "measures": {}}
    old = differences({**result, "differences": {"dynamic": {"drawdown": bare}}})
    new = differences({**result, "differences": {"dynamic": {"drawdown": {**bare, **ends}}}})
    assert "effect" in [column.name for column in old.columns]
    (row,) = csv.DictReader(io.StringIO(new.csv()))
    assert (row["t_low"], row["t_high"]) == ("0.5", "3.5")
    assert (row["d_z"], row["d_z_low"], row["d_z_high"]) == ("1.13", "0.2", "2")
    assert (row["superiority"], row["superiority_low"]) == ("0.875", "0.6")
    assert "+1.13 [+0.20, +2.00]" in new.markdown()
    assert "P(larger)" in new.notes[0]


def test_the_terminal_shows_the_same_table() -> None:
    lines = comparison_lines(RESULT)
    for line in outcomes(RESULT, ["drawdown", "bad_debt"], row_head="").lines()[1:]:
        label, cells = line.split("  ", 1)
        shown = next(shown for shown in lines if shown.startswith(label))
        assert shown.split() == f"{label} {cells}".split()


def test_incidence_is_a_row_per_population_in_one_unit() -> None:
    table = _table("incidence-pnl")
    assert [row[0] for row in table.rows] == ["leveraged", "makers", "hedgers", "noise"]
    assert {column.unit for column in table.columns[1:]} == {"million USD"}
    cell = table.rows[0][1]
    assert isinstance(cell, Estimate)
    assert cell.value == pytest.approx(RESULT["incidence"]["static"]["leveraged"]["pnl"]["mean"] / 1e8)


def test_one_regime_has_no_differences_and_one_run_no_intervals() -> None:
    alone = comparison(4, regimes=("static",))
    assert [table.name for table in tables(alone)][:2] == ["outcomes", "incidence-pnl"]
    measures = {"drawdown": 0.125, "bad_debt": 0.0, "margin_calls": None}
    run = {"regime": "static", "arm": "", "seed": 3, "measures": measures, "results_hash": "0"}
    incidence = {"static": {"leveraged": {"pnl": {"mean": -5.0}, "bankrupt": {"mean": 2.0}}}}
    view = {**alone, "runs": [run], "incidence": incidence, "title": "", "dates": None, "complete": True}
    made = {table.name: table for table in tables(single(view))}
    assert set(made) == {"outcomes", "incidence-pnl", "incidence-bankrupt"}
    assert "| drawdown     |  12.5 | %" in made["outcomes"].markdown()
    assert "| margin calls |   n/a |" in made["outcomes"].markdown()
    assert "seed 3" in made["outcomes"].caption
