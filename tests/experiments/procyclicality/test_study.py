from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import build, engines, jobs, run, scenario
from experiments.drawing import canvas
from experiments.procyclicality.study import Procyclicality, at_equal_cost, measure
from experiments.procyclicality.tables import lines
from experiments.procyclicality.tasks import FORK, perform
from experiments.procyclicality.unit import Samples, leveraged, unit_lots, unit_margin
from experiments.regimes import stated_scale
from sim.errors import ConfigError

SHORT = {"sample": "1min", "period": "5min", "window": "10min", "step_for": "60min", "horizons": ("5min", "60min")}
RULE = """
import numpy as np
import margin
from sim.interfaces import RiskParameters


@margin.register("follows_the_range")
class FollowsTheRange(margin.Rule):
    def init(self, contracts):
        return {}

    def publish(self, market, state):
        rate = 0.02 + 4.0 * market.returns(30).std(axis=0)
        units = np.clip(np.rint(rate * 2**32), 1, 2**31).astype(np.int64)
        return RiskParameters(rate_initial=2 * units, rate_maintenance=units), state
"""


def study(small: Path, regimes: tuple[str, ...] = ("static", "fast"), seeds: int = 3, **options: Any) -> Procyclicality:
    loaded = scenario.load(small, options.pop("assignments", ()))
    return Procyclicality(loaded, regimes, tuple(range(seeds)), **SHORT | options)


def test_margin_of_a_unit_is_the_rate_under_rules_with_one(small: Path) -> None:
    loaded = scenario.load(small)
    for regime in ("static", "fast", "isolated", "portfolio"):
        market = build.market(loaded, 1, regime)
        market.advance(120)
        lots = unit_lots(market)
        assert lots.tolist() == [100]
        rate = market.state.model_rates[0, 0, 0] / 2.0**32
        assert unit_margin(market, lots) == pytest.approx(rate, rel=2e-3)
        market.close()


def test_who_is_leveraged_and_what_they_could_pay(small: Path) -> None:
    market = build.market(scenario.load(small), 1, "static")
    market.advance(180)
    liquid, held = leveraged(market)
    table = market.accounts_table()
    own = table[table["population"] == "leveraged"]
    assert 0.0 < liquid < float(own["equity"].sum())
    lots = market.state.positions["lots"][:, 0]
    value = np.abs(market.portfolio().value()[:, 0]).astype(float)
    equity = np.array([market.equity(a) for a in range(len(lots))])
    chosen = (value > np.maximum(equity, 0)) & (market.state.accounts["exempt"] == 0)
    assert held == pytest.approx(float(value[chosen].sum()))
    market.close()


def test_samples_lie_on_one_grid(small: Path) -> None:
    market = build.market(scenario.load(small), 1, "static")
    run.advance(market, 50, 400)
    seen = Samples(unit_lots(market))
    seen.along(market, 75, 10, 400)
    assert seen.step == [50, 60, 70]
    assert market.tick == 75


@pytest.mark.usefixtures("two_workers")
def test_what_the_rule_itself_brings_about(small: Path) -> None:
    asked = study(small, seeds=2)
    result = measure(asked)
    still, moving = result["endogenous"]["static"], result["endogenous"]["fast"]
    assert result["placebo_identical"]
    assert set(result["placebo"].values()) == {0.0}
    assert still["identical"]
    assert still["placebo_identical"]
    assert all(d["mean"] == 0.0 and d["verdict"] == "identical" for d in still["differences"].values())
    assert not moving["identical"]
    assert moving["differences"]["peak_margin"]["mean"] != 0.0
    assert moving["path"]["price_gap"]["mean"][0] == 0.0  # one past
    assert np.ptp(moving["path"]["margin_frozen"]["mean"]) < 1e-3
    assert moving["frozen"]["margin_rise"]["mean"] < 0.01
    assert moving["feedback"]["rise_live"]["mean"] >= 0.0
    assert result["measures"]["peak_to_trough"]["static"]["mean"] == 1.0
    assert result["measures"]["peak_to_trough"]["fast"]["mean"] > 1.1
    assert result["measures"]["correlation_volatility"]["static"]["n"] == 0
    response = result["response"]["regimes"]
    assert response["static"]["peak_ratio"]["mean"] == 1.0
    assert response["fast"]["log_ratio"]["mean"][0] == 0.0
    assert set(result["frontier"]["support"]) == {"static", "fast"}
    others = jobs.perform(asked.units(), perform, engines.engine(2))
    hashes = {(r["kind"], r["regime"], r["seed"], r["arm"]): r["results_hash"] for r in others}
    assert {(r["kind"], r["regime"], r["seed"], r["arm"]): r["results_hash"] for r in result["runs"]} == hashes


def test_a_users_rule_has_a_history_of_its_own(small: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(RULE)
    run.load_plugins([str(plugin)])
    asked = study(small, ("static", "follows_the_range"), 1, plugins=(str(plugin),), step_for="5min")
    assert asked.histories() == [(("static",), "static"), (("follows_the_range",), "follows_the_range")]
    own = measure(asked)["endogenous"]["follows_the_range"]
    assert own["history"] == "own"
    assert own["placebo_identical"]
    assert not own["identical"]
    assert own["feedback"] is None


def test_at_equal_cost_whole_runs_carry_a_factor_and_twins_do_not(small: Path) -> None:
    found = at_equal_cost(study(small, seeds=2))
    assert found.equal_cost is not None
    factor = found.equal_cost["factors"]["fast"]
    assert abs(found.equal_cost["regimes"]["fast"]["residual"]["mean"]) <= found.equal_cost["settings"]["tolerance"]
    tasks = [unit.task for unit in found.units()]
    assert {stated_scale(task.scenario, "fast") for task in tasks if task.kind != FORK} == {factor}
    assert {stated_scale(task.scenario, "fast") for task in tasks if task.kind == FORK} == {None}
    result = measure(found)
    rates = {label: by["mean"] for label, by in result["measures"]["mean_initial_rate"].items()}
    assert rates["fast"] == pytest.approx(rates["static"], rel=0.5)  # pilot seeds are others
    assert any("equal mean initial rate" in line for line in lines(result))


def test_what_does_not_fit_is_refused_before_anything_runs(small: Path) -> None:
    for options, told in (
        ({"regimes": ("static", "static")}, "each regime once"),
        ({"regimes": ("static", "sttic")}, "did you mean"),
        ({"event": "sael"}, "--event"),
        ({"period": "400min"}, "--period"),
        ({"horizons": ("1min", "400min")}, "--horizons"),
        ({"window": "fortnight"}, "--window"),
        ({"sample": "30min", "period": "30min", "window": "30min", "horizons": ()}, "--sample"),
        ({"factor": 0.0}, "--factor"),
    ):
        with pytest.raises(ConfigError, match=told):
            study(small, **options).validate()  # type: ignore[arg-type]


def test_defaults_follow_the_length_of_the_run() -> None:
    short = Procyclicality(scenario.load("perpetual-shock"), ("static",), (0,))
    assert (short.steps("sample"), short.samples("period"), short.horizon_samples()) == (
        10,
        6,
        (("1h", 6), ("1d", 144)),
    )
    assert short.step_window() == (2880, 720)
    long = Procyclicality(scenario.load("crisis-2008"), ("static",), (0,))
    assert long.long
    assert long.steps("sample") == 78
    assert long.horizon_samples() == (("1d", 1), ("5d", 5), ("30d", 30))


def test_the_command(
    marginlab: Callable[..., Any], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "printed", False)  # widths of print have tests of their own
    common = (
        "procyclicality", str(small), "--margin", "static,fast", "--seeds", "2", "--sample", "1min", "--period", "5min",
        "--window", "10min", "--horizons", "5min", "--step-for", "30min",
    )  # fmt: skip
    done = marginlab(*common, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "static frozen is static itself, to the byte." in done.stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert {path.stem for path in (tmp_path / "out" / "tables").glob("*.csv")} == {
        "procyclicality", "impulse-response", "endogenous", "frontier",
    }  # fmt: skip
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert json.loads(marginlab(*common, "--json").stdout) == kept
    bad = marginlab(*common, "--column", "close2")
    assert bad.returncode != 0
    assert "an option of prices" in bad.stderr
