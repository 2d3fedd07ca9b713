"""``marginlab sensitivity`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from experiments.drawing import canvas

Marginlab = Callable[..., subprocess.CompletedProcess[str]]
KEYS = ("--key", "events.sale.lots=50:400:integer", "--key", "margin.params.maintenance=0.01:0.03")


@pytest.fixture(autouse=True)
def _screen_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "printed", False)


def test_morris_of_a_small_market(marginlab: Marginlab, small: Path, tmp_path: Path) -> None:
    arguments = (
        "sensitivity", str(small), *KEYS, "--samples", "4", "--seeds", "2", "--outcome", "drawdown",
        "--out", "found", "--json",
    )  # fmt: skip
    ended = marginlab(*arguments)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    drawdown = result["outputs"][0]
    assert list(drawdown["indices"]) == ["events.sale.lots", "margin.params.maintenance"]
    assert drawdown["placebo"] == 0.0
    assert drawdown["noise"]["seeds"] == 2
    runs = pd.concat([pd.read_parquet(file) for file in sorted((tmp_path / "found/runs").glob("*.parquet"))])
    assert len(runs) == 2 * result["points"]
    assert (tmp_path / "found/tables/sensitivity-drawdown.tex").is_file()
    assert (tmp_path / "found/figures/indices-drawdown.png").is_file()
    assert (tmp_path / "found/figures/convergence-drawdown.svg").is_file()
    again = marginlab(*arguments)  # nothing is left to run: it is analysed again
    assert json.loads(again.stdout) == result


def test_differences_of_regimes_are_outcomes_too(marginlab: Marginlab, small: Path) -> None:
    ended = marginlab(
        "sensitivity", str(small), *KEYS[:2], "--method", "sobol", "--samples", "4", "--seeds", "1", "--regimes",
        "static,fast", "--fork-at", "sale", "--outcome", "mean_initial_rate",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "fast - static" in ended.stdout
    assert "One seed" in ended.stdout


def test_bad_input_is_one_line_for_each_problem(marginlab: Marginlab, small: Path) -> None:
    for arguments, told in (
        ((), "--key"),
        (("--key", "a=2:1"), "--key"),
        ((*KEYS, "--method", "sobl"), "--method"),
        ((*KEYS, "--method", "sobol", "--samples", "12"), "power of 2"),
        ((*KEYS, "--outcome", "drawdwn"), "drawdown"),
        (("--key", "events.sail.lots=1:2"), "events.sail"),
        (("--key", "margin.params.maintenance=0.01:7"), "margin.params.maintenance"),
        ((*KEYS, "--retry-failed"), "--retry-failed"),
        ((*KEYS, "--regimes", "static,none"), "none"),
    ):
        ended = (
            marginlab("sensitivity", str(small), *arguments, "--seeds", "1", "--samples", "4")
            if ("--samples" not in arguments)
            else marginlab("sensitivity", str(small), *arguments, "--seeds", "1")
        )
        assert ended.returncode != 0, arguments
        assert told in ended.stderr, (arguments, ended.stderr)
        assert "Traceback" not in ended.stderr
