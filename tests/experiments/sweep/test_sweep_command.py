"""`marginlab sweep` as a user calls it: results, resumption, failures, parts, engines."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from experiments import engines
from experiments.drawing import sweep as drawing
from experiments.sweep import command, study
from sim.errors import ConfigError

Call = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """
[study]
name = "rates and sales"
scenario = "small.toml"
seeds = 3
regimes = ["static", "fast"]
outcomes = ["drawdown", "liquidations", "mean_initial_rate"]
tables = "first"

[[factors]]
key = "margin.params.initial"
values = [0.04, 0.08]
"""
FORKED = STUDY.replace("outcomes", 'reading = "forked"\noutcomes', 1)


@pytest.fixture
def own(small: Path) -> Path:
    path = small.parent / "own.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn once in this module: they are most of the time of a small sweep."""
    monkeypatch.setattr(drawing, "figures", lambda *_: [])


def test_a_sweep_leaves_a_summary_tables_figures_and_a_page(
    own: Path, marginlab: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = marginlab("sweep", "own.toml", "--jobs", "1", "--out", "kept", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    kept = json.loads((tmp_path / "kept" / "summary.json").read_text(encoding="utf-8"))
    assert kept == result
    assert [point["values"] for point in result["points"]] == [
        {"margin.params.initial": 0.04}, {"margin.params.initial": 0.08}
    ]  # fmt: skip
    first = result["points"][0]
    assert set(first["placebo"].values()) == {0.0}
    assert first["placebo_identical"]
    assert set(first["incidence"]["fast"]) == {"latent", "noise", "leveraged"}
    rates = [point["measures"]["mean_initial_rate"]["static"]["mean"] for point in result["points"]]
    assert rates == pytest.approx([0.04, 0.08], rel=1e-6)
    contrast = result["effects"]["margin.params.initial"]["contrasts"]["static"]["mean_initial_rate"][0]
    assert contrast["mean"] == pytest.approx(0.04, rel=1e-6)
    runs = pd.read_parquet(tmp_path / "kept" / "runs")
    assert len(runs) == 2 * 3 * 3
    assert "steps" in [path.name for path in (tmp_path / "kept").iterdir()]
    for name in ("report.html", "paper.tex", "tables/differences.csv", "figures/differences.png"):
        assert (tmp_path / "kept" / name).is_file(), name
    page = (tmp_path / "kept" / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "").replace(
        "https://www.w3.org", ""
    )
    monkeypatch.setattr(drawing, "figures", lambda *_: [])
    # a finished folder is summarised again, under other outcomes too
    own.write_text(STUDY.replace('"liquidations", ', ""), encoding="utf-8")
    again = marginlab("sweep", "own.toml", "--jobs", "1", "--out", "kept")
    assert again.returncode == 0, again.stderr
    assert f"Results hash: {result['results_hash']}" in again.stdout
    assert marginlab("report", "kept").returncode == 0
    # another study is refused, naming what differs
    own.write_text(STUDY.replace("0.08", "0.07"), encoding="utf-8")
    refused = marginlab("sweep", "own.toml", "--jobs", "1", "--out", "kept")
    assert refused.returncode == 2
    assert "points.1.margin.params.initial = 0.07; allowed: 0.08" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_each_command_repeats_its_unit(own: Path, marginlab: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own.parent)
    for text in (STUDY, FORKED):
        own.write_text(text, encoding="utf-8")
        found = study.load("own.toml", seeds=(2,))
        result = command.carry_out(found, engines.InProcess())
        assert result["complete"]
        point = result["points"][1]
        for unit in found.units():
            if unit.point == 1 and unit.arm == "" and unit.regime in ("fast", ""):
                again = json.loads(marginlab(*shlex.split(unit.command)[1:], "--json").stdout)
                measured = again["measures"]["drawdown"]
                value = measured["fast"]["mean"] if unit.regime == "" else measured
                assert value == pytest.approx(point["measures"]["drawdown"]["fast"]["mean"], rel=1e-9)


def test_every_engine_gives_the_same(own: Path, two_workers: None) -> None:
    found = study.load(str(own), seeds=range(2))
    one = command.carry_out(found, engines.InProcess())
    two = command.carry_out(found, engines.engine(2))
    assert one == two


def test_failures_are_listed_and_the_rest_is_kept(own: Path, marginlab: Call, tmp_path: Path, undrawn: None) -> None:
    (tmp_path / "picky.py").write_text(PICKY, encoding="utf-8")
    own.write_text(STUDY.replace('"fast"]', '"picky"]\nplugins = ["picky.py"]'), encoding="utf-8")
    done = marginlab("sweep", "own.toml", "--jobs", "1", "--seeds", "2", "--out", "kept")
    assert done.returncode == 1, done.stderr
    assert "Failed: 2" in done.stdout
    assert "point 1, seed 1: ArithmeticError: too much" in done.stdout
    assert "marginlab run small.toml --margin picky --seed 1 --set margin.params.initial=0.08 --plugin" in done.stdout
    assert "2 units of 12 failed" in done.stdout
    kept = json.loads((tmp_path / "kept" / "summary.json").read_text(encoding="utf-8"))
    assert [entry["seed"] for entry in kept["failures"]] == [0, 1]
    assert not kept["complete"]
    assert kept["points"][1]["differences"]["picky"]["drawdown"]["dropped"] == 2
    assert kept["points"][0]["differences"]["picky"]["drawdown"]["dropped"] == 0
    # they are left alone until asked for
    assert marginlab("sweep", "own.toml", "--jobs", "1", "--seeds", "2", "--out", "kept").returncode == 1
    again = marginlab("sweep", "own.toml", "--jobs", "1", "--seeds", "2", "--out", "kept", "--retry-failed")
    assert again.returncode == 1


PICKY = '''
"""A rule that does not like high rates."""

import numpy as np

import margin
from margin.netting import charge
from sim.interfaces import Requirement


@margin.register("picky")
class Picky(margin.Rule):
    """Static rates up to 7 %."""

    def requirement(self, portfolio, risk):
        if risk.rate_initial.max() > 0.07 * 2**32:
            raise ArithmeticError("too much")
        lots = np.abs(portfolio.lots)
        found = {
            "initial": charge(portfolio.value(portfolio.worst_lots()), risk.rate_initial).sum(axis=1),
            "maintenance": charge(portfolio.value(lots), risk.rate_maintenance).sum(axis=1),
        }
        return Requirement(**found)
'''


def test_parts_have_folders_of_their_own(own: Path, marginlab: Call, tmp_path: Path, undrawn: None) -> None:
    (tmp_path / "second.toml").write_text(FORKED.replace("seeds = 3", "seeds = 2"), encoding="utf-8")
    (tmp_path / "both.toml").write_text(
        '[study]\nname = "both"\nparts = ["own.toml", "second.toml"]\n', encoding="utf-8"
    )
    done = marginlab("sweep", "both.toml", "--jobs", "1", "--seeds", "2", "--out", "kept", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["parts"]) == ["own", "second"]
    alone = marginlab("sweep", "second.toml", "--jobs", "1", "--seeds", "2", "--json")
    assert json.loads(alone.stdout)["results_hash"] == result["parts"]["second"]["results_hash"]
    assert (tmp_path / "kept" / "second" / "report.html").is_file()
    assert "rates and sales" in (tmp_path / "kept" / "report.html").read_text(encoding="utf-8")
    again = marginlab("sweep", "both.toml", "--jobs", "1", "--seeds", "2", "--out", "kept")
    assert result["results_hash"] in again.stdout
    other = marginlab("sweep", "own.toml", "--jobs", "1", "--out", "kept")
    assert other.returncode == 2


def test_studies_are_listed(marginlab: Call) -> None:
    listed = marginlab("studies", "--json")
    assert "margin-levels" in json.loads(listed.stdout)
    assert "[study]" in marginlab("studies", "margin-levels").stdout
    wrong = marginlab("studies", "margin-level")
    assert wrong.returncode == 2
    assert 'did you mean "margin-levels"?' in wrong.stderr
    assert json.loads(marginlab("schema", "study").stdout)["title"] == "MarginLab study"
    assert marginlab("sweep", "margin-levels", "--retry-failed").returncode == 2


def test_a_point_stops_when_its_intervals_are_narrow(own: Path, tmp_path: Path, undrawn: None) -> None:
    stop = '[stop]\noutcomes = ["mean_initial_rate"]\nhalf_width = {}\nminimum = 10\nbatch = 1\n'
    text = STUDY.replace("seeds = 3", "seeds = 14").replace('tables = "first"', "").replace('"fast"]', '"half"]')
    text += '[regimes.half]\nregime = "static"\ninitial = 0.02\nmaintenance = 0.01\n'
    own.write_text(text + stop.format(0.001), encoding="utf-8")
    found = study.load(own)
    result = command.carry_out(found, engines.InProcess(), out=tmp_path / "kept")
    # rates are fixed, so intervals are points at the first look; the rule takes one batch more
    assert [point["seeds"] for point in result["points"]] == [11, 11]
    assert result["units"] == 2 * 11 * 3
    assert result["stopping"]["0"]["reason"] == "width"
    again = command.carry_out(found, engines.InProcess(), out=tmp_path / "kept")
    assert again == result
    unhurried = command.carry_out(study.load(own, seeds=range(11)), engines.InProcess())
    assert unhurried["points"][0]["measures"] == result["points"][0]["measures"]


def test_regimes_are_brought_to_equal_cost_at_every_point(own: Path, undrawn: None, tmp_path: Path) -> None:
    text = FORKED.replace("seeds = 3", "seeds = 1").replace('"fast"]', '"half"]')
    text += '[regimes.half]\nregime = "static"\ninitial = 0.02\nmaintenance = 0.01\n'
    own.write_text(text + '[equal_cost]\nmeasure = "mean_margin"\nseeds = "900:902"\n', encoding="utf-8")
    found = study.load(own)
    result = command.carry_out(found, engines.InProcess(), out=tmp_path / "kept")
    factors = [result["equal_cost"][str(i)]["factors"]["half"] for i in range(2)]
    assert factors == pytest.approx([2.0, 4.0], rel=0.01)
    for point in result["points"]:
        rates = point["measures"]["mean_initial_rate"]
        assert rates["half"]["mean"] == pytest.approx(rates["static"]["mean"], rel=0.01)
    kept = pd.read_parquet(tmp_path / "kept" / "runs")
    assert sorted(kept.loc[kept["regime"] == "half", "scale"]) == pytest.approx(sorted(factors))
    assert command.carry_out(found, engines.InProcess(), out=tmp_path / "kept") == result
    with pytest.raises(ConfigError, match="seeds that the study does not use"):
        study.load(own, seeds=(901,))
