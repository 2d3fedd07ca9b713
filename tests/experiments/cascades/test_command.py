from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from experiments.drawing import canvas

Command = Callable[..., subprocess.CompletedProcess[str]]
SET = ("--set", "margin.params.initial=0.02", "--set", "margin.params.maintenance=0.01")


def test_the_command_measures_writes_and_draws(
    small: Path, marginlab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "printed", False)  # the widths of print have tests of their own
    arguments = (
        "cascade", str(small), *SET, "--r0", "0.3,2", "--shock", "1,2", "--leverage", "15:25", "--seeds", "2",
        "--critical", "--bracket", "0.5:4", "--resamples", "5",
    )  # fmt: skip
    done = marginlab(*arguments, "--out", "kept", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [(c["target"], c["shock"], c["leverage"]) for c in result["cascades"][:3]] == [
        (0.3, 1.0, "15:25"), (2.0, 1.0, "15:25"), (0.3, 2.0, "15:25"),
    ]  # fmt: skip
    assert len(result["cascades"]) == 4
    assert len(result["runs"]) == 8
    assert [(s["shock"], s["leverage"]) for s in result["critical"]["settings"]] == [
        (1.0, "15:25"), (2.0, "15:25"),
    ]  # fmt: skip
    assert {"trees", "bursts"} == {row["kind"] for row in result["sizes"]}
    kept = tmp_path / "kept"
    for name in ("cascades", "cascade-critical", "cascade-critical-effects", "cascade-shape", "cascade-sizes"):
        for ending in ("md", "csv", "tex"):
            assert (kept / "tables" / f"{name}.{ending}").stat().st_size > 50
    assert (kept / "figures" / "onset.png").stat().st_size > 1000
    page = (kept / "report.html").read_text(encoding="utf-8")
    assert "--critical --bracket 0.5:4 --event sale --seeds 0:2" in page
    trees = pd.read_parquet(kept / "cascades.parquet")
    on = {(r["seed"], r["target"], r["shock"]): r for r in result["runs"]}
    for (seed, target, shock), rows in trees.groupby(["seed", "target", "shock"]):
        run = on[seed, target, shock]
        assert rows["lots"].sum() == pytest.approx(run["liquidated_share"] * run["leveraged"])
    (kept / "report.html").unlink()
    again = marginlab("report", "kept")
    assert again.returncode == 0, again.stderr
    assert (kept / "report.html").read_text(encoding="utf-8") == page


def test_the_terminal_shows_what_was_asked_for(small: Path, marginlab: Command) -> None:
    done = marginlab("cascade", str(small), *SET, "--r0", "0.3,2", "--seeds", "2", "--resamples", "0")
    assert done.returncode == 0, done.stderr
    for text in ("R0 aimed at", "drawdown multiplier", "branching ratio", "bimodality", "Results hash"):
        assert text in done.stdout
    assert "critical R0" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if line.startswith("  ")) <= 118


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--shock", "x", "multiples"),
        ("--leverage", "30:10", "LOW:HIGH"),
        ("--bracket", "2:2", "two different ends"),
        ("--bracket", "8", "LOW:HIGH"),
        ("--resamples", "-1", "whole number"),
        ("--r0", "1,1", "different numbers"),
        ("--event", "positions", "after the seeding"),
        ("--leverage", "1:1.1", "R0 is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_before_work_starts(
    option: str, value: str, said: str, small: Path, marginlab: Command, tmp_path: Path
) -> None:
    done = marginlab("cascade", str(small), "--seeds", "2", option, value, "--out", "kept")
    assert done.returncode == 2
    assert option in done.stderr
    assert said in done.stderr
    assert not (tmp_path / "kept").exists()
