"""The arms of a seed, on a small market, and the command as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import build, run, scenario
from experiments.cli import main
from experiments.engines import InProcess
from experiments.gamma.command import measure
from experiments.gamma.study import GammaStudy, GammaTask, flipped, measured
from sim.errors import ConfigError
from sim.kernels import state as s

SMALL = (
    "market.steps=420", "market.burn_in=120", "events.book.at_step=200", "measure.window_steps=120",
    "chains.OPT.expiry_days=[0.2]", "events.book.gamma_per_depth=0.02", "events.book.strikes=[0.97, 1.03]",
)  # fmt: skip


@pytest.fixture(scope="module")
def small() -> scenario.Scenario:
    return scenario.load("pinning", SMALL)


def test_arms_share_the_state_before_and_differ_in_sign_alone(small: scenario.Scenario) -> None:
    base = build.market(small, 3)
    run.advance(base, 199, 199)
    short, long = (flipped(base, ("dealers",), sign, hedged=True) for sign in (-1, 1))
    for market in (short, long):
        market.advance(1)
    first = int(short.state.pop_ints[short.population_number("dealers"), s.PI_FIRST])
    options = [k for k, terms in enumerate(short.contracts) if terms.is_option]
    mine, theirs = (market.state.positions["lots"][first, options] for market in (short, long))
    assert (mine == -theirs).all() and mine.any()
    assert short.state.quotes["mid"][0] == long.state.quotes["mid"][0]


def test_the_placebo_is_exactly_zero_and_hedging_is_not(small: scenario.Scenario) -> None:
    result = measure(GammaStudy(small, (1, 2), check=True), InProcess())
    assert result["summary"]["placebo"] == dict.fromkeys(result["outcomes"], 0.0)
    assert "strike_distance" in result["outcomes"]
    assert result["paths"]["short"]["mean"] != result["paths"]["off"]["mean"]
    assert result["failures"] == []


def test_a_seed_gives_the_same_whatever_ran_before(small: scenario.Scenario) -> None:
    runs = [measured(GammaTask(small, 5, 320)).runs for _ in range(2)]
    assert [r["results_hash"] for r in runs[0]] == [r["results_hash"] for r in runs[1]]
    assert [r["measures"] for r in runs[0]] == [r["measures"] for r in runs[1]]


def test_what_cannot_be_flipped_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed_options"):
        GammaStudy(scenario.load("calm"), (0,))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    words = ["gamma", "pinning", "--seeds", "2", *(w for text in SMALL for w in ("--set", text)), "--out", str(folder)]
    with pytest.raises(SystemExit) as first:
        main([*words, "--json"])
    assert first.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert result["seeds"] == [0, 1]
    assert {"gamma.png", "gamma.svg"} <= {path.name for path in (folder / "figures").iterdir()}
    assert (folder / "tables" / "gamma.csv").read_text().count("\n") == 1 + len(result["outcomes"])
    with pytest.raises(SystemExit):
        main(words)  # goes on with what is kept
    assert "exactly zero" in capsys.readouterr().out
    assert json.loads((folder / "summary.json").read_text())["results_hash"] == result["results_hash"]
