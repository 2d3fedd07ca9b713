"""The built-in study of dynamic against static margin: its design, its measures, its command on a few seeds."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from experiments.studies.dynamic_vs_static import design, equal, figures
from experiments.studies.dynamic_vs_static.__main__ import main
from experiments.studies.dynamic_vs_static.arms import AT_FORK, THROUGH
from experiments.studies.dynamic_vs_static.reactions import Horizons, reactions
from experiments.sweep import study
from sim.errors import ConfigError


def test_both_parts_compare_the_same_rules_on_seeds_that_nothing_was_tuned_on():
    parts = [design.load(part) for part in design.PARTS]
    assert [part.name for part in study.load(design.NAME).parts] == [f"{design.NAME}-{p.part}" for p in parts]
    assert parts[0].regimes == parts[1].regimes
    for part in parts:
        assert part.baseline == "static"
        assert min(part.seeds) >= 1000 > max(part.pilot)


def test_every_tool_is_one_change_of_the_bare_rule():
    for part in map(design.load, design.PARTS):
        labels = part.scenario.margin.regimes
        bare = {key: value for key, value in labels["dynamic"].items() if key != "regime"}
        for rule in part.rules[1:]:
            assert {key: labels[rule].get(key) for key in bare} == bare
            assert set(labels[rule]) > set(bare)


def test_pilot_seeds_of_the_study_are_refused():
    with pytest.raises(ConfigError, match="--pilot"):
        design.load("cascade").on("0:5", "4:8")
    with pytest.raises(ConfigError, match="--part"):
        design.load("2009")


def steps(mark: list[float], rate: list[float]) -> pd.DataFrame:
    """A step table of one contract, one row per step from 0."""
    n = len(mark)
    return pd.DataFrame(
        {
            "step": np.arange(n), "contract": "a", "mark": mark, "rate_initial": rate, "equity": np.full(n, 200),
            "call_amount": np.arange(n) * 10,
        }
    )  # fmt: skip


def test_measures_of_a_path_that_is_known():
    mark = [100.0, 100.0, 90.0, 90.0, 99.0, 99.0]
    rate = [0.05, 0.04, 0.04, 0.12, 0.12, 0.06]
    found = reactions(steps(mark, rate), Horizons(short=1, long=3, risk=1, every=1), start=0, end=5)
    assert found["peak_to_trough"] == pytest.approx(3.0)
    assert found["rise_short"] == pytest.approx(2.0)  # .04 to .12 within a step
    assert found["rise_long"] == pytest.approx(2.0)
    # five periods of a long and a short lot; the fall of 10 % is not within 4 %, the rise of 10 % is within 12 %
    assert found["coverage"] == pytest.approx(0.9)
    assert found["largest_shortfall"] == pytest.approx(0.06)
    assert found["called_share"] == pytest.approx(50 / 200)


def test_a_fixed_rate_is_not_procyclical():
    found = reactions(steps([100.0] * 9, [0.05] * 9), Horizons(1, 4, 2, 1), start=2, end=8)
    assert (found["peak_to_trough"], found["rise_short"], found["rise_long"]) == (1.0, 0.0, 0.0)
    assert (found["coverage"], found["largest_shortfall"]) == (1.0, 0.0)


def test_a_window_without_a_whole_period_of_risk_is_refused():
    with pytest.raises(ValueError, match="margin period of risk"):
        reactions(steps([100.0] * 4, [0.05] * 4), Horizons(1, 2, 9, 1), start=0, end=3)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_the_factor_of_equal_cost_is_found(power):
    found = equal.solve(lambda factor: (3.0 * factor) ** power)
    assert found["factor"] == pytest.approx(1 / 3, rel=2 * equal.TOLERANCE / power)
    assert abs(found["residual"]) <= equal.TOLERANCE * 1.01


def test_the_nearest_factor_is_given_where_no_factor_will_do():
    found = equal.solve(lambda factor: 1.5 if factor > 0.7 else 0.8)
    assert found["residual"] == pytest.approx(-0.2)


def test_the_cascade_as_a_user_runs_it(capsys, tmp_path, monkeypatch):
    short = design.load("cascade")
    kept = type(short)(**{**short.__dict__, "regimes": ("static", "dynamic", "cap")})
    monkeypatch.setattr(design, "load", lambda part: kept)
    monkeypatch.setattr(equal, "solve", lambda relative: {"factor": 0.5, "residual": relative(0.5) - 1.0, "tries": 1.0})
    monkeypatch.setitem(figures.PANELS, "cascade", ("drawdown", "coverage"))
    arguments = ["--part", "cascade", "--seeds", "100:102", "--pilot", "0:1", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "placebo (static again): equal to the bit" in said
    folder = tmp_path / "out" / "cascade"
    result = json.loads((folder / "summary.json").read_text())
    assert set(result["readings"]) == {AT_FORK, THROUGH}
    for reading in result["readings"].values():
        assert all(value == 0.0 for value in reading["placebo"].values())
    assert (folder / "tables" / "dynamic-vs-static-cascade-at-the-fork-rules.tex").is_file()
    assert (folder / "figures" / "dynamic-vs-static-cascade.svg").is_file()
    first = json.loads((folder / "runs" / "seed-100.json").read_text())["runs"]
    assert {run["arm"] for run in first} == {"", "placebo", AT_FORK, THROUGH}
    assert main(arguments) == 1
    assert "finished run" in capsys.readouterr().err


def test_a_wrong_seed_is_one_line(capsys):
    assert main(["--part", "cascade", "--seeds", "many"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
