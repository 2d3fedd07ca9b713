"""Study files: what they mean, and what is said of wrong ones."""

from __future__ import annotations

import json
import pickle
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from experiments import overrides, scenario
from experiments.sweep import study as studies
from experiments.sweep.factors import DesignSection, FactorSection, expand
from experiments.sweep.schema import study_schema
from experiments.sweep.sections import MODELS, SECTIONS
from experiments.sweep.units import assignment
from sim.errors import ConfigError

GRID = """
[study]
scenario = "small.toml"
seeds = "3:5"
regimes = ["static", "fast", "tight"]
outcomes = ["drawdown", "liquidations"]

[set]
market.steps = 300

[regimes.tight]
regime = "static"
initial = 0.08
maintenance = 0.04

[[factors]]
key = "margin.params.initial"
values = [0.04, 0.05]

[[factors]]
name = "sale"
key = "events.sale.lots"
low = 100
high = 400
levels = 3
scale = "log"
integer = true
"""


def of(text: str, small: Path, **options: Any) -> studies.Study:
    return studies.parse(tomllib.loads(text), name="own", file="own.toml", folder=small.parent, **options)


def complaints(text: str, small: Path, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        of(text, small, **options)
    return [str(problem) for problem in error.value.problems]


def test_a_grid_is_every_combination(small: Path) -> None:
    study = of(GRID, small)
    assert [dict(point.values) for point in study.points] == [
        {"margin.params.initial": initial, "sale": lots} for initial in (0.04, 0.05) for lots in (100, 200, 400)
    ]
    assert study.seeds == (3, 4)
    assert study.baseline == "static"
    point = study.points[5].scenario
    assert point.margin.params == {"initial": 0.05, "maintenance": 0.02}
    assert point.margin.regimes["tight"] == {"regime": "static", "initial": 0.08, "maintenance": 0.04}
    assert next(event.lots for event in point.events if event.name == "sale") == 400
    assert point.steps == 300
    assert study.columns()[5] == {"margin.params.initial": 0.05, "events.sale.lots": 400}


def test_units_are_points_by_seeds_by_regimes_with_a_placebo(small: Path) -> None:
    study = of(GRID, small)
    units = study.units()
    assert [unit.index for unit in units] == list(range(6 * 2 * 4))
    assert len({unit.key for unit in units}) == len(units)
    assert [(u.regime, u.arm, u.seed, u.point) for u in units[:5]] == [
        ("static", "", 3, 0), ("fast", "", 3, 0), ("tight", "", 3, 0), ("static", "placebo", 3, 0), ("static", "", 4, 0)
    ]  # fmt: skip
    assert units[0].task.scenario is units[7].task.scenario is study.points[0].scenario
    assert pickle.loads(pickle.dumps(units[9].task)) == units[9].task


def test_the_command_of_a_unit_makes_its_scenario(small: Path) -> None:
    study = of(GRID, small)
    for unit in (study.units()[0], study.units()[-2]):
        words = shlex.split(unit.command)
        assert words[:2] == ["marginlab", "run"]
        assert words[words.index("--margin") + 1] == unit.regime
        assert words[words.index("--seed") + 1] == str(unit.seed)
        again = scenario.load(words[2], [words[i + 1] for i, word in enumerate(words) if word == "--set"])
        assert again.as_run() == study.points[unit.point].scenario.as_run()


def test_a_fork_is_one_unit_per_seed(small: Path) -> None:
    study = of(GRID.replace('seeds = "3:5"', 'seeds = [7]\nreading = "forked"\nbaseline = "tight"'), small)
    assert len(study.units()) == 6
    unit = study.units()[0]
    assert unit.task.event == "sale"  # the scenario's own event
    assert unit.command.startswith("marginlab compare ")
    assert "--baseline tight --fork-at sale --seeds 7:8" in unit.command


def test_identity_tells_what_changes_results(small: Path) -> None:
    whole = of(GRID, small)
    same = of(GRID.replace('"liquidations"]', '"volatility"]').replace("[study]", '[study]\nname = "other"'), small)
    assert same.identity() == whole.identity()
    assert json.loads(json.dumps(whole.identity())) == whole.identity()
    for changed in (
        of(GRID.replace("initial = 0.08", "initial = 0.09"), small),
        of(GRID.replace("[0.04, 0.05]", "[0.04, 0.06]"), small),
        of(GRID, small, seeds=(3,)),
        of(GRID, small, assignments=("world.volatility=0.02",)),
    ):
        assert changed.identity() != whole.identity()
    identity = of(GRID, small, assignments=("events.sale.steps=20",)).identity()
    (as_run,) = identity["scenario"].values()
    assert as_run["events"]["sale"]["steps"] == 20


@pytest.mark.parametrize("kind", ["sobol", "latin_hypercube"])
def test_samples_fill_their_ranges(kind: str) -> None:
    factors = (
        FactorSection(key="a", low=1.0, high=100.0, scale="log"),
        FactorSection(key="b", low=0, high=3, integer=True),
        FactorSection(key="c", values=("x", "y")),
    )
    points, problems = expand(factors, DesignSection(kind=kind, points=64, seed=4), (), "f")
    assert not problems
    assert points == expand(factors, DesignSection(kind=kind, points=64, seed=4), (), "f")[0]
    assert points != expand(factors, DesignSection(kind=kind, points=64, seed=5), (), "f")[0]
    assert sum(point["a"] < 10.0 for point in points) == 32  # half the points in each half of a logarithmic range
    assert [sum(point["b"] == level for point in points) for level in range(4)] == [16, 16, 16, 16]
    assert sum(point["c"] == "x" for point in points) == 32


def test_keys_move_together_and_scenarios_vary(small: Path) -> None:
    study = of(
        """
        [study]
        scenario = "small.toml"
        seeds = 1
        [[factors]]
        name = "rates"
        keys = ["margin.params.initial", "margin.params.maintenance"]
        values = [[0.1, 0.05], [0.2, 0.1]]
        labels = ["low", "high"]
        [[factors]]
        key = "scenario"
        values = ["small.toml", "calm"]
        """,
        small,
    )
    assert [p.scenario.margin.params for p in study.points[:2]] == [{"initial": 0.1, "maintenance": 0.05}] * 2
    assert [p.scenario.name for p in study.points] == ["small", "calm", "small", "calm"]
    assert study.factors[0].label(study.points[2].values["rates"]) == "high"
    assert set(study.identity()["scenario"]) == {"small", "calm"}


def test_listed_points_need_no_factors(small: Path) -> None:
    text = """
        [study]
        scenario = "small.toml"
        [design]
        kind = "list"
        [[points]]
        margin.params.initial = 0.1
        "events.sale.lots" = 100
        [[points]]
        margin.params.initial = 0.2
        "events.sale.lots" = 300
        """
    study = of(text, small)
    assert [dict(point.values) for point in study.points] == [
        {"margin.params.initial": 0.1, "events.sale.lots": 100},
        {"margin.params.initial": 0.2, "events.sale.lots": 300},
    ]
    (said,) = complaints(text.replace('"events.sale.lots" = 300', ""), small)
    assert "points.1.events.sale.lots = None; allowed: a value: every point gives every factor" in said


def test_every_problem_is_told_at_once_with_what_was_meant(small: Path) -> None:
    text = """
        [study]
        scenario = "small.toml"
        regimes = ["static", "fats"]
        outcomes = ["drawdwn"]
        [[factors]]
        key = "populations.latent.lifetime"
        values = [100.0, -1.0]
        """
    said = "\n".join(complaints(text, small))
    assert "own.toml: study.outcomes = 'drawdwn'" in said
    assert '(did you mean "drawdown"?)' in said
    assert "own.toml: populations.latent.lifetime = -1.0; allowed: a number above 0 (point 1:" in said
    assert "own.toml: study.regimes = 'fats'" in said
    assert '(did you mean "fast"?)' in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[study]", "[sudy]"), '(did you mean "study"?)'),
        (("seeds =", "sedes ="), 'study.sedes = \'3:5\'; allowed: no such key'),
        (('"3:5"', '"5:3"'), "study.seeds = '5:3'"),
        (('"small.toml"', '"clam"'), 'study.scenario = \'clam\''),
        (("levels = 3\n", ""), "factors.sale.levels = None; allowed: the number of levels of a grid"),
        (("low = 100", "low = 500"), "low below high"),
        (("low = 100", "low = -1"), "low above 0 where scale is log"),
        (('key = "events.sale.lots"', 'key = "margin.params.initial"'), "a key that no other factor has"),
        (("market.steps = 300", "market.stpes = 300"), "market.stpes = 300"),
        (('"tight"]', '"static"]'), "each regime once"),
        (("initial = 0.08", "initail = 0.08"), "initail"),
        (("[set]", '[design]\nkind = "sobol"\npoints = 12\n[set]'), "a power of 2, such as 8 or 16"),
        (("[set]", '[design]\nkind = "sobol"\n[set]'), "design.points = None"),
        (("[set]", '[design]\nkind = "list"\n[set]'), "points = None; allowed: at least one [[points]] table"),
        (('outcomes', 'baseline = "isolated"\noutcomes'), "study.baseline = 'isolated'; allowed: static, fast, tight"),
        (('outcomes', 'fork_at = "sale"\noutcomes'), 'nothing, unless reading = "forked"'),
        (('outcomes', 'reading = "forked"\nfork_at = "sales"\noutcomes'), '(did you mean "sale"?)'),
        (('outcomes', 'parts = ["a.toml"]\noutcomes'), "study.parts = 'a.toml'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(small: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in GRID
    assert said in "\n".join(complaints(GRID.replace(*change), small))


def test_an_assignment_to_a_factor_is_refused(small: Path) -> None:
    (said,) = complaints(GRID, small, assignments=("margin.params.initial=0.1",))
    assert said.startswith("--set: margin.params.initial")
    (said,) = complaints(GRID, small, assignments=("market.burn_inn=1",))
    assert said.startswith("--set: market.burn_inn")


def test_a_part_cannot_hold_itself(tmp_path: Path, small: Path) -> None:
    (tmp_path / "a.toml").write_text('[study]\nparts = ["b.toml"]\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('[study]\nparts = ["a.toml"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="not part of itself"):
        studies.load(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "value",
    [
        0.05,
        3,
        True,
        "mid",
        "true",
        "1e3",
        "two words",
        'q"uote\\',
        ["a", 1.5],
        {"regime": "dynamic", "x y": [1]},
        1e-9,
        "",
    ],
)
def test_assignments_keep_their_values(value: Any) -> None:
    key, _, text = assignment("some.key", value).partition("=")
    assert key == "some.key"
    assert overrides.parse_value(text) == value
    assert type(overrides.parse_value(text)) is type(value)


@pytest.mark.parametrize("name", sorted(studies.builtin()))
def test_built_in_studies_are_sound(name: str) -> None:
    study = studies.load(name)
    assert study.title != name


def test_the_schema_and_the_page_name_every_key(project_root: Path) -> None:
    schema = study_schema()
    assert list(schema["properties"]) == list(SECTIONS)
    page = (project_root / "docs" / "studies-from-files.md").read_text(encoding="utf-8")
    fields = [name for model in (*MODELS.values(), FactorSection) for name in model.model_fields]
    assert [name for name in fields if f"`{name}`" not in page] == []
