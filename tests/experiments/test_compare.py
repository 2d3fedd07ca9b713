"""Comparisons: pairing, placebo, engines, resuming, stopping."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import jobs, run, scenario
from experiments.engines import InProcess
from experiments.scenario import Scenario
from experiments.store import OutputFolder
from experiments.studies.compare import Comparison, compare
from sim.errors import ConfigError
from tests.experiments.conftest import ROOT

REGIMES = ("static", "fast", "portfolio", "isolated")


@pytest.fixture
def loaded(small: Path) -> Scenario:
    return scenario.load(small)


def test_whole_runs_are_paired_and_the_placebo_is_exactly_zero(loaded: Scenario, tmp_path: Path) -> None:
    comparison = Comparison(loaded, REGIMES, (0, 1))
    folder = OutputFolder(tmp_path / "out", comparison.job())
    result = compare(comparison, folder=folder)
    assert result["reading"] == "whole-run"
    assert result["baseline"] == "static"
    assert set(result["placebo"].values()) == {0.0}
    assert result["placebo_identical"] is True
    assert set(result["differences"]) == set(REGIMES) - {"static"}
    assert {"r0_event", "open_interest_event"} <= result["measures"].keys()
    assert set(result["incidence"]["static"]) == {"latent", "noise", "leveraged"}
    steps = pd.read_parquet(tmp_path / "out" / "steps.parquet")
    assert list(steps.columns[:2]) == ["regime", "seed"]
    assert set(steps["regime"]) == set(REGIMES)
    assert set(steps["seed"]) == {0}
    values = steps.groupby("regime")["value"].apply(lambda v: tuple(v))
    assert len(set(values)) == 1  # one world for all regimes
    assert not list((tmp_path / "out" / "runs").glob("*.parquet"))


def test_forked_arms_share_one_history(loaded: Scenario, tmp_path: Path) -> None:
    comparison = Comparison(loaded, REGIMES, (0, 1), fork_at="sale")
    result = compare(comparison, folder=OutputFolder(tmp_path / "out", comparison.job()))
    assert result["reading"] == "forked at sale"
    assert set(result["placebo"].values()) == {0.0}
    event = result["event_step"]
    assert event == 200
    steps = pd.read_parquet(tmp_path / "out" / "steps.parquet").drop(columns="seed")
    before = {
        regime: rows[rows["step"] <= event].drop(columns="regime").reset_index(drop=True)
        for regime, rows in steps.groupby("regime")
    }
    for regime in REGIMES:
        pd.testing.assert_frame_equal(before[regime], before["static"])
        assert result["differences"].get(regime, {}).get("r0_event", {"mean": 0.0})["mean"] == 0.0
    assert result["scales"]["static"] == 1.0
    assert result["scales"]["portfolio"] == 1.0  # same rates: netting is not scaled away
    assert result["scales"]["fast"] > 0


@pytest.mark.usefixtures("two_workers")
def test_results_do_not_depend_on_workers_or_checks(loaded: Scenario) -> None:
    base = Comparison(loaded, ("static", "portfolio"), (3, 4), fork_at="sale")
    one = compare(base)
    two = compare(base, workers=2)
    checked = compare(replace(base, check=True))
    assert one == two
    assert one["results_hash"] == checked["results_hash"]


def test_other_seeds_give_other_results(loaded: Scenario) -> None:
    first = compare(Comparison(loaded, ("static",), (0,), placebo=False))
    second = compare(Comparison(loaded, ("static",), (1,), placebo=False))
    assert first["results_hash"] != second["results_hash"]


def test_an_interrupted_job_keeps_what_is_finished_and_resumes(loaded: Scenario, tmp_path: Path) -> None:
    comparison = Comparison(loaded, ("static", "portfolio"), (0, 1), placebo=False)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(comparison, folder=OutputFolder(tmp_path / "out", comparison.job()), on_done=interrupt)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"
    assert (manifest["units_finished"], manifest["units"]) == (2, 4)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").glob("*.json")}
    assert len(kept) == 2

    seen: list[int] = []
    folder = OutputFolder(tmp_path / "out", comparison.job())
    assert folder.resumed
    result = compare(comparison, folder=folder, on_done=lambda done, total: seen.append(done))
    assert seen[0] == 2  # nothing finished is run again
    assert {name: (tmp_path / "out" / "runs" / name).stat().st_mtime_ns for name in kept} == kept
    assert result == compare(comparison)


def test_a_failed_job_says_so(loaded: Scenario, tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out", {"command": "x"})
    units = [jobs.Unit("a", 0)]
    with pytest.raises(ZeroDivisionError):
        jobs.perform(units, _divide, InProcess(), folder)
    manifest = folder.read_json("manifest.json")
    assert manifest["status"] == "failed"
    assert "zero" in manifest["error"]


def _divide(number: int) -> jobs.UnitResult:
    return jobs.UnitResult([{"x": 1 / number}])


def test_what_cannot_be_compared_is_refused(loaded: Scenario) -> None:
    with pytest.raises(ConfigError, match="each regime once"):
        Comparison(loaded, ("static", "static"), (0,)).validate()
    with pytest.raises(ConfigError, match='did you mean "sale"'):
        Comparison(loaded, ("static",), (0,), fork_at="sael").validate()
    with pytest.raises(ConfigError, match='did you mean "dynamic"'):
        Comparison(loaded, ("static", "dinamic"), (0,)).validate()


def test_the_baseline_is_the_regime_of_the_scenario(loaded: Scenario) -> None:
    assert Comparison(loaded, ("portfolio", "static"), (0,)).baseline == "static"
    assert Comparison(loaded, ("portfolio", "isolated"), (0,)).baseline == "portfolio"


def test_views_do_not_change_a_run(loaded: Scenario) -> None:
    from experiments import build

    hashes = set()
    for views in (False, True):
        market = build.market(loaded, 5, views=views)
        run.advance(market, 300, loaded.steps)
        hashes.add(market.results_hash())
        market.close()
    assert len(hashes) == 1


def test_a_plug_in_runs_in_every_worker(small: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "flat.py"
    plugin.write_text(
        "import numpy as np\nimport margin\n\n\n"
        "@margin.register('flat_rule')\n"
        "class Flat(margin.Rule):\n"
        "    '''Four hundred minor units a lot.'''\n\n"
        "    def requirement(self, portfolio, risk):\n"
        "        held = np.abs(portfolio.lots).sum(axis=1)\n"
        "        worst = portfolio.worst_lots().sum(axis=1)\n"
        "        return margin.Requirement(initial=400 * worst, maintenance=200 * held)\n",
        encoding="utf-8",
    )
    run.load_plugins([str(plugin)])
    loaded = scenario.load(small, ["market.steps=220"])
    comparison = Comparison(loaded, ("static", "flat_rule"), (0, 1), plugins=(str(plugin),), placebo=False)
    one, two = compare(comparison), compare(comparison, workers=2)
    assert one == two
    assert len(comparison.job()["plugins"][str(plugin)]) == 64


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_ctrl_c_leaves_finished_runs_and_a_manifest_that_says_so(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "experiments", "compare", str(small), "--margin", "static,portfolio", "--seeds", "200",
        "--jobs", "2", "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        # a suite that was started in the background ignores the signal, and its children would too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not list(out.glob("runs/*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group hears it
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines() == ["marginlab: interrupted"]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"
    finished = [json.loads(path.read_text(encoding="utf-8")) for path in out.glob("runs/*.json")]
    assert 0 < len(finished) == manifest["units_finished"] < manifest["units"] == 600
    assert all(unit["runs"][0]["measures"] for unit in finished)


def test_runs_in_json_are_the_runs_in_memory(loaded: Scenario, tmp_path: Path) -> None:
    comparison = Comparison(loaded, ("static",), (2,), placebo=False)
    (unit,) = comparison.units()
    direct = run.run(unit.task)
    folder = OutputFolder(tmp_path / "out", comparison.job())
    (kept,) = jobs.perform(comparison.units(), run.run, InProcess(), folder)
    measured: dict[str, Any] = direct.runs[0]["measures"]
    for name, value in kept["measures"].items():
        assert (value is None and np.isnan(measured[name])) or value == measured[name]
