"""The impact study on a small market: exact pairing, what is asked for is done, bad input, the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import build, scenario
from experiments.events import Metaorder
from experiments.impact.study import ImpactStudy, exponent, measure, path_steps, path_times, tape
from sim.errors import ConfigError

Call = Callable[..., "subprocess.CompletedProcess[str]"]
KEYS = {"curve", "exponent", "prefactor", "models", "path", "variance_reduction", "runs", "results_hash"}


def study(small: Path, **changes: object) -> ImpactStudy:
    given = {"sizes": (0.02, 0.1), "seeds": (0, 1, 2), "resamples": 100} | changes
    return ImpactStudy(scenario.load(small), **given)  # type: ignore[arg-type]


def test_an_arm_is_the_market_with_the_metaorder_scripted_from_the_start(small: Path) -> None:
    asked = study(small, seeds=(5,), sides="sell", relaxation=1.0)
    result = measure(asked)
    loaded = scenario.load(small)
    start = loaded.event_steps["sale"]
    others = tuple(event for event in loaded.events if event.name != "sale")
    twin = build.market(replace(loaded, events=others), 5)
    twin.advance(loaded.steps)
    without, _ = tape(twin, 0)
    for run in result["runs"]:
        order = Metaorder(
            name="own", kind="metaorder", at_step=start, side="sell", lots=run["lots"], steps=run["steps"]
        )
        steps = {**loaded.event_steps, "own": start}
        market = build.market(replace(loaded, events=(*others, order), event_steps=steps), 5)
        market.advance(start + 2 * run["steps"])
        mid, _ = tape(market, 0)
        assert np.array_equal(mid[: start + 1], without[: start + 1])
        end = start + run["steps"]
        assert run["impact"] == pytest.approx(-np.log(mid[end] / without[end]), abs=1e-15)
        assert run["path"][0] == 0.0
        assert run["path"][20] == run["impact"]
        assert run["path"][-1] == pytest.approx(-np.log(mid[-1] / without[end + run["steps"]]), abs=1e-15)
        market.close()
    twin.close()


@pytest.mark.usefixtures("two_workers")
def test_results_are_the_same_in_every_engine_and_hold_what_is_promised(small: Path) -> None:
    result = measure(study(small))
    assert set(result) >= KEYS
    assert measure(study(small), workers=2) == result
    assert [row["size"] for row in result["curve"]] == [0.02, 0.1]
    assert [row["steps"] for row in result["curve"]] == [10, 50]  # size / 0.2 x 100 steps
    assert all(row["participation"] == pytest.approx(0.2, rel=0.1) for row in result["curve"])
    assert all(row["filled_share"] == pytest.approx(1.0) for row in result["curve"])
    assert result["curve"][1]["impact"] > 0.0
    assert len(result["path"]["time"]) == len(result["path"]["pooled"]["ratio"]) == 41
    for run in result["runs"]:
        assert run["lots"] == max(1, round(run["size"] * run["daily_volume"]))
        assert run["filled"] == run["lots"]


def test_duration_holds_time_and_participation_holds_pace(small: Path) -> None:
    timed = measure(study(small, duration=20, relaxation=0.0))
    assert [row["steps"] for row in timed["curve"]] == [20, 20]
    assert timed["participation"] is None and "20 steps" in timed["reading"]
    paced = study(small, participation=0.5)
    assert [paced.steps_of(size) for size in (0.02, 0.1)] == [4, 20]


def test_liquidations_are_compared_from_one_state(small: Path) -> None:
    result = measure(study(small, liquidations="compare", r0=1.5, sides="sell", relaxation=0.0))
    both = result["liquidations"]
    assert {run["liquidations"] for run in result["runs"]} == {"on", "off"}
    assert both["effect"]["prefactor_ratio"]["value"] > 0.0
    assert result["at_start"]["r0"]["median"] > 0.5
    sold = {(run["seed"], run["size"]): run["lots"] for run in result["runs"] if run["liquidations"] == "on"}
    assert all(sold[run["seed"], run["size"]] == run["lots"] for run in result["runs"])
    off = measure(study(small, liquidations="off", r0=1.5, sides="sell", relaxation=0.0))
    assert [row["impact_bp"] for row in off["curve"]] == [row["impact_bp"] for row in both["off"]["curve"]]


def test_a_run_is_as_long_as_its_metaorders_need(small: Path) -> None:
    long = study(small, sizes=(0.2,), participation=0.1, seeds=(0,))
    assert long.last_step == 200 + 200 + 400
    result = measure(long)
    assert result["curve"][0]["steps"] == 200
    short = measure(study(small, sizes=(0.02,), participation=0.1, seeds=(0,)))
    assert short["units"] == result["units"]  # units do not depend on the sizes that are asked for


def test_the_exponent_alone(small: Path) -> None:
    found = exponent(scenario.load(small), (0, 1, 2), (0.02, 0.05, 0.1), resamples=100)
    assert set(found) == {"value", "se", "low", "high", "prefactor", "curve", "daily_volume", "daily_volatility"}


def test_times_of_the_path() -> None:
    assert path_steps(1, 0.0)[-1] == 1
    assert path_steps(40, 2.0)[20] == 40
    assert path_steps(7, 2.0)[-1] == 21
    assert len(path_times(0.0)) == 21


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (0.3,)}, "--sizes"),
        ({"sizes": (0.01, 0.01)}, "--sizes"),
        ({"seeds": ()}, "--seeds"),
        ({"participation": 0.0}, "--participation"),
        ({"duration": 0}, "--duration"),
        ({"sides": "long"}, "--side"),
        ({"liquidations": "maybe"}, "--liquidations"),
        ({"at_step": 400}, "--at-step"),
        ({"relaxation": -1.0}, "--relaxation"),
        ({"contract": "onne"}, 'did you mean "one"'),
        ({"resamples": 5}, "--resamples"),
    ],
)
def test_what_cannot_be_measured_is_refused(small: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(small, **changes)


def test_the_command(small: Path, marginlab: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = marginlab("impact", str(small), "--seeds", "3", "--sizes", "0.02,0.1", "--liquidations", "compare",
                     "--resamples", "100", "--out", str(out), "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) >= KEYS
    drawn = ("figures/impact-curve.png", "figures/impact-curve.svg", "figures/impact-path.png")
    tabulated = ("tables/curve-on.csv", "tables/curve-off.tex", "tables/law.md", "paper.tex")
    for name in ("summary.json", "manifest.json", *drawn, *tabulated):
        assert (out / name).stat().st_size > 0
    wrong = marginlab("impact", str(small), "--participation", ".1", "--duration", "5")
    assert wrong.returncode == 2 and "not both" in wrong.stderr and len(wrong.stderr.splitlines()) == 1


def test_t21_the_command_of_laws(marginlab: Call) -> None:
    done = marginlab("impact-laws", "almgren", "--set", "duration=.1,.2,.5", "--json")
    costs = [round(1e4 * row["cost"], 1) for row in json.loads(done.stdout)["rows"]]
    assert costs == pytest.approx([32.2, 24.6, 18.4], abs=0.05)
    wrong = marginlab("impact-laws", "almgren", "--set", "duration=soon")
    assert wrong.returncode == 2 and "allowed: a number" in wrong.stderr


@pytest.mark.study
def test_impact_of_the_calm_market_is_concave() -> None:
    found = exponent("calm", range(1000, 1040))
    assert found["se"] <= 0.05
    assert 0.6 < found["value"] < 0.8
