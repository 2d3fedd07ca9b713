"""``marginlab power`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.drawing import canvas
from experiments.power import batches, designs

Marginlab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "printed", False)
    monkeypatch.setattr(batches, "SWAPS", 10)
    monkeypatch.setattr(batches, "SIZES", (3,))


def test_a_scenario_with_regimes(marginlab: Marginlab, small: Path, tmp_path: Path) -> None:
    arguments = (
        "power", str(small), "--regimes", "static,fast", "--fork-at", "sale", "--pairs", "2", "--seeds", "6",
        "--outcome", "drawdown", "--out", "found",
    )  # fmt: skip
    ended = marginlab(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert "3 disjoint batches of 2 pairs (6 seeds)" in ended.stdout
    assert "flagged in 0 of 3 batches" in ended.stdout
    summary = json.loads((tmp_path / "found/summary.json").read_text())
    effects = summary["points"][0]["effects"]["fast"]
    assert effects["drawdown"]["pooled"]["n"] == 6
    assert (tmp_path / "found/tables/power.csv").is_file()
    again = marginlab(*arguments, "--json")
    assert json.loads(again.stdout) == summary


def test_a_study_file(marginlab: Marginlab, small: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        '[study]\nscenario = "small.toml"\nregimes = ["static", "fast"]\noutcomes = ["drawdown"]\n'
        '[[factors]]\nkey = "events.sale.lots"\nvalues = [100, 200]\n'
    )
    ended = marginlab("power", "s.toml", "--pairs", "1", "--seeds", "2", "--json")
    assert ended.returncode == 0, ended.stderr
    points = json.loads(ended.stdout)["points"]
    assert [point["label"] for point in points] == ["events.sale.lots = 100", "events.sale.lots = 200"]
    assert all(point["nulls"]["placebo"] == {"flagged": 0, "batches": 2} for point in points)


def test_the_built_in_design_repeats_each_unit_by_its_command() -> None:
    design = designs.load("forked-margin", (3, 4))
    assert design.regimes == ("static", "fast_1min", "slow_1min", "level of fast_1min", "level of slow_1min")
    assert [unit.command for unit in design.units] == [
        f"marginlab power forked-margin --seeds {seed}:{seed + 1} --pairs 1" for seed in (3, 4)
    ]


def test_bad_input_is_one_line(marginlab: Marginlab, small: Path) -> None:
    for arguments, told in (
        ((str(small),), "--regimes"),
        ((str(small), "--regimes", "static"), "--regimes"),
        ((str(small), "--regimes", "static,fst"), "fst"),
        ((str(small), "--regimes", "static,fast", "--fork-at", "sail"), "sail"),
        (("forked-margin", "--regimes", "static,fast"), "--regimes"),
        (("forked-margin:calm",), "events"),
        (("forked-margin", "--outcome", "drawdwn"), "drawdown"),
        (("forked-margin", "--pairs", "30", "--seeds", "10"), "--pairs"),
        (("forked-margin", "--level", "2"), "--level"),
        (("nowhere", "--regimes", "a,b"), "nowhere"),
    ):
        ended = marginlab("power", *arguments)
        assert ended.returncode != 0, arguments
        assert told in ended.stderr, (arguments, ended.stderr)
        assert "Traceback" not in ended.stderr
