from __future__ import annotations

from pathlib import Path

import pytest

from experiments import scenario
from experiments.cascades.settings import Leverage
from experiments.studies.cascades import Cascades, at_target, measure
from sim.errors import ConfigError


@pytest.mark.usefixtures("two_workers")
def test_twins_without_liquidations_fall_less(small: Path) -> None:
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    study = Cascades(loaded, (0.05, 1.5), (0, 1, 2))
    result = measure(study)
    calm, cascade = result["cascades"]
    assert calm["r0"]["mean"] < cascade["r0"]["mean"]
    assert calm["multiplier"]["ratio"] <= cascade["multiplier"]["ratio"]
    assert cascade["liquidated_share"]["mean"] > 0
    for run in result["runs"]:
        assert run["fall_on"] >= 0
        assert run["fall_off"] >= 0
    assert measure(study, workers=2) == result


def test_what_cannot_be_measured_is_refused(small: Path) -> None:
    plain = scenario.load(small)
    with pytest.raises(ConfigError, match='did you mean "sale"'):
        _ = Cascades(plain, (1.0,), (0,), event="sael").shock
    calm = scenario.load("calm")
    with pytest.raises(ConfigError, match="seed_open_interest"):
        at_target(calm, 1.0)
    with pytest.raises(ConfigError, match="--event"):
        _ = Cascades(calm, (1.0,), (0,)).shock


def test_a_grid_shares_history_and_keeps_r0(small: Path) -> None:
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    alone = measure(Cascades(loaded, (1.0,), (0, 1)))
    grid = measure(Cascades(loaded, (0.3, 1.0), (0, 1), shocks=(0.0, 1.0), leverages=(None, Leverage(15, 25))))
    chosen = [r for r in grid["runs"] if (r["target"], r["shock"], r["leverage"]) == (1.0, 1.0, None)]
    # a cell is the same to the bit whatever stands beside it in the grid
    assert [r["results_hash"] for r in chosen] == [r["results_hash"] for r in alone["runs"]]
    by = {(r["seed"], r["target"], r["shock"], r["leverage"]): r for r in grid["runs"]}
    for (seed, target, shock, leverage), run in by.items():
        # the state before the shock does not know its size
        assert run["r0"] == by[seed, target, 0.0, leverage]["r0"]
        if leverage is not None and target == 1.0 and shock == 1.0:
            assert run["r0_seeded"] == pytest.approx(by[seed, target, shock, None]["r0_seeded"], rel=0.15)
            assert run["open_interest_factor"] != 1.0
    assert sum(r["fall_off"] for r in grid["runs"] if r["shock"] == 0.0) < sum(
        r["fall_off"] for r in grid["runs"] if r["shock"] == 1.0
    )


def test_a_shock_of_the_value_has_multiples(small: Path) -> None:
    jump = '[[events]]\nname = "jump"\nkind = "value_jump"\nat_step = 205\nlog_size = -0.05\n'
    small.write_text(small.read_text() + jump, encoding="utf-8")
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    result = measure(Cascades(loaded, (0.5,), (0,), event="jump", shocks=(1.0, 2.0)))
    alone = measure(Cascades(loaded, (0.5,), (0,), event="jump"))
    assert result["runs"][0]["results_hash"] == alone["runs"][0]["results_hash"]
    assert result["runs"][1]["results_hash"] != alone["runs"][0]["results_hash"]


@pytest.mark.usefixtures("two_workers")
def test_thresholds_are_where_the_grid_says(small: Path) -> None:
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    study = Cascades(loaded, (0.2, 3.0), (0, 1), bracket=(0.2, 6.0), resamples=0)
    result = measure(study, workers=2)
    assert measure(study)["critical"] == result["critical"]
    (setting,) = result["critical"]["settings"]
    assert setting["inside"] + setting["below"] + setting["above"] == 2
    for run in result["runs"]:
        for threshold in run.get("thresholds", ()):
            low = next(r for r in result["runs"] if r["seed"] == run["seed"] and r["target"] == 0.2)
            assert (threshold["side"] == "below") == (low["share_seeded"] > 0.3)
    assert result["cascades"][1]["branching_ratio"]["ratio"] > 0
