from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments import build, equal_cost, run, scenario
from experiments.equal_cost import EqualCost, solve
from experiments.regimes import resolve, scale_of, scaled, stated_scale
from experiments.root_search import Search
from sim.errors import ConfigError


@pytest.mark.parametrize(
    "function",
    [lambda x: x - 1.3, lambda x: math.tanh(x - 2.0), lambda x: x**3 - 0.5, lambda x: 5.0 * math.atan(4.0 * x + 3.0)],
)
def test_a_root_is_found(function: Callable[[float], float]) -> None:
    search = Search(0.0, -4.0, 4.0, 1e-3, 30, 1.0)
    while (point := search.ask()) is not None:
        search.tell(function(point))
    assert search.reached and abs(function(search.best[0])) <= 1e-3


def test_what_has_no_root_ends_and_says_why() -> None:
    found = {}
    functions = {"flat": lambda x: 1.0, "jump": lambda x: -1.0 if x < 0.7 else 1.0, "far": lambda x: 9.0 + 0.1 * x}
    for name, function in functions.items():
        search = found[name] = Search(0.0, -4.0, 4.0, 1e-3, 30, 1.0)
        while (point := search.ask()) is not None:
            search.tell(function(point))
        assert not search.reached
    assert found["flat"].flat and found["jump"].bracketed and not found["far"].bracketed


def test_a_factor_is_a_factor_on_both_rates(small: Path) -> None:
    plain = scenario.load(small)
    double = scaled(plain, {"static": 2.0, "fast": 0.5})
    assert resolve(double, "fast") == resolve(plain, "fast") and scale_of(double, "static") == 2.0
    assert stated_scale(plain, "fast") is None
    for label, factor in (("static", 2.0), ("fast", 0.5)):
        rates = []
        for one in (plain, double):
            market = build.market(one, 0, label)
            rates.append(market.state.model_rates[0, 0].copy())
            market.close()
        assert rates[1] == pytest.approx(factor * rates[0], abs=1)


def test_the_file_and_set_state_a_factor_and_bad_ones_are_refused(small: Path) -> None:
    given = scenario.load(small, ["margin.regimes.fast.scale=1.5", "margin.params.scale=0.8"])
    assert (scale_of(given, "fast"), scale_of(given, "static")) == (1.5, 0.8)
    for bad in ("0", "-1", "true", "'x'", "inf"):
        with pytest.raises(ConfigError, match=r"margin\.regimes\.fast\.scale"):
            scenario.load(small, [f"margin.regimes.fast.scale={bad}"])


def test_a_stated_factor_is_kept_at_a_fork_and_one_changes_nothing(small: Path) -> None:
    plain = scenario.load(small)
    for factor in (1.0, 0.5):
        task = run.ForkTask(scaled(plain, {"fast": factor}), 3, "static", ("static", "fast"), "sale")
        records = run.fork(task).runs
        assert [r["scale"] for r in records] == [1.0, factor, 1.0]
        assert records[0]["results_hash"] == records[2]["results_hash"]
    base = build.market(plain, 3, "fast")
    same = build.market(scaled(plain, {"fast": 1.0}), 3, "fast")
    base.advance(150)
    same.advance(150)
    assert base.results_hash() == same.results_hash()
    base.close()
    same.close()


@pytest.mark.parametrize("fork_at", [None, "sale"])
def test_costs_meet_on_the_pilot_seeds(small: Path, fork_at: str | None) -> None:
    loaded = scenario.load(small)
    found = solve(loaded, ["fast", "isolated"], "static", "mean_margin", (900, 901, 902), fork_at=fork_at)
    entry = found["regimes"]["fast"]
    assert abs(entry["residual"]["mean"]) <= 0.006 and entry["factor"] != 1.0
    assert found["regimes"]["isolated"]["factor"] == 1.0  # the same rates already
    made = equal_cost.apply(loaded, found)
    assert stated_scale(made, "fast") == entry["factor"]
    costs = [
        equal_cost.cost(equal_cost.CostTask(made, seed, "fast", "static", fork_at, "mean_margin")).runs[0]["cost"]
        for seed in (900, 901, 902)
    ]
    assert np.mean(costs) == pytest.approx(found["target"], rel=0.006)


def test_a_target_moves_the_baseline_too(small: Path) -> None:
    settings = EqualCost("coverage", (900, 901, 902), target=0.9, tolerance=0.02)
    loaded = scenario.load(small, ["market.dt_seconds=360"])
    found = solve(loaded, ["static", "fast"], "static", settings)
    for entry in found["regimes"].values():
        assert entry["cost"] == pytest.approx(0.9, abs=0.021)
    assert found["regimes"]["static"]["factor"] < 1.0


def test_what_cannot_be_met_is_refused_by_name(small: Path) -> None:
    loaded = scenario.load(small)
    narrow = EqualCost("mean_margin", (900, 901), low=0.99, high=1.01)
    with pytest.raises(ConfigError, match=r"margin\.regimes\.fast\.scale.*within reach"):
        solve(loaded, ["fast"], "static", narrow)
    with pytest.raises(ConfigError, match="mean_margin"):
        solve(loaded, ["fast"], "static", "mean_margn", (900, 901))


def test_the_option_is_read_with_its_target_and_pilots_are_not_the_study_s() -> None:
    found = equal_cost.parse("coverage=0.95", range(900, 910))
    assert found.target == 0.95 and not set(found.seeds) & set(range(900, 910)) and len(found.seeds) == 20
    with pytest.raises(ConfigError, match="seeds that the study does not use"):
        equal_cost.parse("mean_margin", [1, 2], [2, 3])
    for bad in ("margin", "coverage=2", "coverage=x"):
        with pytest.raises(ConfigError, match="equal-cost"):
            equal_cost.parse(bad, [1])


def test_the_command(small: Path, marginlab: Callable[..., object]) -> None:
    arguments = ("compare", str(small), "--margin", "static,fast", "--seeds", "3", "--pilot", "900:903")
    done = marginlab(*arguments, "--equal-cost", "mean_margin", "--json")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    result = json.loads(done.stdout)  # type: ignore[attr-defined]
    assert result["parameters"]["fast"]["scale"] == result["equal_cost"]["factors"]["fast"]
    assert result["equal_cost"]["achieved"]["outcome"] == "mean_initial_rate"
    assert result["placebo_identical"] and "leveraged" in result["incidence_differences"]["fast"]
    shown = marginlab(*arguments, "--equal-cost", "mean_margin")
    assert "At equal mean margin" in shown.stdout  # type: ignore[attr-defined]
    assert "--pilot" in marginlab(*arguments).stderr  # type: ignore[attr-defined]
