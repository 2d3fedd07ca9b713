"""Mechanisms of impact: arms from one state, the interaction's arithmetic, bad input, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import scenario
from experiments.drawing import mechanisms as drawing
from experiments.impact.mechanisms import ARMS, Cell, MechanismStudy, at_cell, dealers_of, measure
from experiments.impact.mechanisms_report import lines
from experiments.impact.mechanisms_summary import effects, summarise
from experiments.impact.study import ImpactStudy
from experiments.studies import gamma_sign, interaction
from experiments.tabulated.mechanisms import tables
from sim.errors import ConfigError

SOON = ["events.options.at_step=118", "events.positions.at_step=118", "events.sale.at_step=120", "market.burn_in=60"]
SHORT = [*SOON, "market.steps=400", "measure.window_steps=60"]


def study(seeds: tuple[int, ...] = (1,), cells: tuple[Cell, ...] = (Cell(),), **changes: Any) -> MechanismStudy:
    given: dict[str, Any] = {"duration": 5, "sides": "sell", "resamples": 199} | changes
    impact = ImpactStudy(scenario.load("gamma-perpetual", SHORT), given.pop("sizes", (0.05,)), seeds, **given)
    return MechanismStudy(impact, cells)


def run(seed: int, mechanism: str, impact: float, cell: str = "a", size: float = 0.05) -> dict[str, Any]:
    gain = {f"gain_{key}_{way}": 0.2 for key in ("gamma", "liquidations", "stops", "all") for way in ("fall", "rise")}
    return {
        "seed": seed, "regime": "static", "cell": cell, "gamma": None, "r0_target": None, "mechanism": mechanism,
        "size": size, "side": -1, "lots": 100, "filled": 100, "steps": 5, "daily_volume": 2000.0,
        "daily_variance": 1.0, "steps_per_day": 1440, "impact": impact, "mean_impact": impact, "after": impact,
        "path": [0.0, impact, impact], "liquidated": 0, "placebo": 0.0, "runaway_fall": False, "runaway_rise": False,
        "arm": f"{cell}/{mechanism}", "results_hash": "0", **gain,
    }  # fmt: skip


def made(values: dict[str, float], seeds: int = 12, cell: str = "a", noise: float = 0.01) -> list[dict[str, Any]]:
    """Runs whose arms share their noise, as paired seeds do."""
    shift = np.linspace(-noise, noise, seeds)
    return [run(i, arm, value + shift[i], cell) for i in range(seeds) for arm, value in values.items()]


def test_the_interaction_is_both_less_the_sum_of_each() -> None:
    found = effects(made({"none": 1.0, "dealers": 1.2, "liquidations": 1.3, "both": 1.7}), 0.05, 1.0, 199)["impact"]
    assert found["extra"]["both"]["mean"] == pytest.approx(0.7)
    assert found["interaction"]["mean"] == pytest.approx(0.2)
    assert found["amplification"]["dealers"]["ratio"] == pytest.approx(1.2)
    assert found["ratio"]["ratio"] == pytest.approx(0.7 / 0.5)
    assert found["interaction"]["p"] < 0.02


def test_mechanisms_that_only_add_up_have_no_interaction() -> None:
    found = effects(made({"none": 1.0, "dealers": 1.2, "liquidations": 1.3, "both": 1.5}), 0.05, 1.0, 199)["impact"]
    assert found["interaction"]["mean"] == pytest.approx(0.0, abs=1e-12)


def test_a_mechanism_that_lifts_every_size_alike_raises_the_prefactor_alone() -> None:
    lifts = {"none": 1.0, "dealers": 1.2, "liquidations": 1.0, "both": 1.5}
    sizes = (0.01, 0.04, 0.09)
    runs = [
        run(seed, arm, lift * (1.0 + 0.01 * seed) * size**0.5, size=size) | {"lots": 2000 * size, "filled": 2000 * size}
        for seed in range(8) for arm, lift in lifts.items() for size in sizes
    ]  # fmt: skip
    found = summarise(runs, np.array([0.0, 1.0, 2.0]), 199)
    arms = found["groups"][0]["arms"]
    for arm, lift in lifts.items():
        law = arms[arm]["laws"]["mean_impact"]
        assert law["exponent"]["value"] == pytest.approx(0.5, abs=1e-3)
        assert law["against_none"]["prefactor_ratio"]["value"] == pytest.approx(lift)
        assert law["against_none"]["exponent_change"]["value"] == pytest.approx(0.0, abs=1e-9)
    shown = found | {"scenario": "a", "reading": "b", "sides": "sell", "seeds": list(range(8)), "start": 1,
                     "results_hash": "0"}  # fmt: skip
    assert any("dealers" in line and "1.20" in line for line in lines(shown))


def test_the_family_of_the_correction_is_every_cell() -> None:
    values = {"none": 1.0, "dealers": 1.2, "liquidations": 1.3, "both": 1.7}
    alone = summarise(made(values), np.array([0.0, 1.0, 2.0]), 199)
    three = [run for cell in "abc" for run in made(values, cell=cell)]
    together = summarise(three, np.array([0.0, 1.0, 2.0]), 199)
    row = together["groups"][0]["effects"][0]["impact"]["interaction"]
    assert row["family"] == 3
    assert row["p_holm"] == pytest.approx(3 * alone["groups"][0]["effects"][0]["impact"]["interaction"]["p"])


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    cells = tuple(Cell(gamma, target) for gamma in (-0.1, -0.2) for target in (0.2, 0.4))
    return measure(study((1, 2), cells))


def test_a_twin_run_again_is_the_same_to_the_last_bit(result: dict[str, Any]) -> None:
    assert result["placebo"] == 0.0
    assert len(result["groups"]) == 4
    assert {record["mechanism"] for record in result["runs"]} == set(ARMS)


def test_without_liquidations_nothing_is_liquidated(result: dict[str, Any]) -> None:
    assert all(r["liquidated"] == 0 for r in result["runs"] if r["mechanism"] in ("none", "dealers"))


def test_the_gain_of_hedging_grows_with_the_dealers_gamma(result: dict[str, Any]) -> None:
    gains = {group["gamma"]: group["gain"]["gamma"]["mean"] for group in result["groups"]}
    assert 0.0 < gains[-0.1] < gains[-0.2]


def test_figures_and_tables(result: dict[str, Any], tmp_path: Path) -> None:
    assert len(drawing.figures(result, tmp_path)) == 3
    assert (tmp_path / "mechanisms-grid.png").is_file()
    assert [len(table.rows) for table in tables(result)] == [4, 4, 4, 4, 16]


def test_a_cell_changes_what_is_seeded_and_nothing_else() -> None:
    base = scenario.load("gamma-perpetual")
    changed = at_cell(base, Cell(0.3, 0.2))
    options, positions = ({e.name: e for e in changed.events}[name] for name in ("options", "positions"))
    assert options.gamma_per_depth == 0.3  # type: ignore[attr-defined]
    assert positions.per_bid_depth == pytest.approx(0.25)  # type: ignore[attr-defined]
    assert at_cell(base, Cell()) == base
    assert dealers_of(base) == ("dealers",)


@pytest.mark.parametrize(
    ("source", "cells", "margins", "said"),
    [
        ("shock", (Cell(),), (), "option makers"),
        ("gamma-perpetual", (Cell(), Cell()), (), "different cells"),
        ("gamma-perpetual", (Cell(0.0),), (), "other than 0"),
        ("gamma-perpetual", (Cell(),), ("no_such_rule",), "no_such_rule"),
        ("gamma-perpetual", (Cell(),), ("static", "static"), "different regimes"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    source: str, cells: tuple[Cell, ...], margins: tuple[str, ...], said: str
) -> None:
    impact = ImpactStudy(scenario.load(source), (0.05,), (1,), duration=5)
    with pytest.raises(ConfigError, match=said):
        MechanismStudy(impact, cells, margins)


def test_the_studies_are_those_that_were_declared() -> None:
    found = interaction.declared([5000])
    assert len(found.cells) == 9
    assert found.impact.sizes == (0.05,)
    assert gamma_sign.gamma_of(found.impact.scenario) == 0.1
    assert not any(e.kind == "seed_open_interest" for e in gamma_sign.unlevered(found.impact.scenario).events)


def test_the_command_prints_json_and_refuses_options_that_mean_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from experiments.cli import main

    sets = [word for text in SHORT for word in ("--set", text)]
    line = ["impact", "gamma-perpetual", *sets, "--sizes", "0.05", "--duration", "5", "--side", "sell"]
    with pytest.raises(SystemExit) as done:
        main([*line, "--mechanisms", "--margin", "static", "--seeds", "3:4", "--json"])
    assert done.value.code == 0
    assert json.loads(capsys.readouterr().out)["placebo"] == 0.0
    with pytest.raises(SystemExit) as refused:
        main([*line, "--gamma", "0.1"])
    assert refused.value.code
    assert "without --mechanisms" in capsys.readouterr().err
