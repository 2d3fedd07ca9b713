"""Indices against functions whose indices are known in closed form, through the same pipeline as runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from experiments.sensitivity.design import Design, parse_ranges
from experiments.sensitivity.indices import analyse, elementary_effects, noise

PI = np.pi
ANGLES = parse_ranges([f"x{i}={-PI}:{PI}" for i in (1, 2, 3)])
Point = Mapping[str, Any]


def ishigami(p: Point, a: float = 7.0, b: float = 0.1) -> float:
    """Ishigami and Homma (1990), ISUMA '90, 398-403."""
    return float(np.sin(p["x1"]) + a * np.sin(p["x2"]) ** 2 + b * p["x3"] ** 4 * np.sin(p["x1"]))


def outputs(design: Design, function: Callable[[Point], float]) -> np.ndarray:
    return np.array([function(point) for point in design.points])[:, None]


def test_sobol_of_ishigami() -> None:
    a, b = 7.0, 0.1
    v1, v2, v13 = 0.5 * (1 + b * PI**4 / 5) ** 2, a**2 / 8, b**2 * PI**8 * (1 / 18 - 1 / 50)
    total = v1 + v2 + v13
    first = {"x1": v1 / total, "x2": v2 / total, "x3": 0.0}
    whole = {"x1": (v1 + v13) / total, "x2": v2 / total, "x3": v13 / total}
    design = Design("sobol", ANGLES, 512, second=True)
    found = analyse(design, outputs(design, ishigami), resamples=200)
    for key in first:
        assert found["indices"][key]["S1"]["mean"] == pytest.approx(first[key], abs=0.05)
        assert found["indices"][key]["ST"]["mean"] == pytest.approx(whole[key], abs=0.05)
        for name, truth in (("S1", first[key]), ("ST", whole[key])):
            interval = found["indices"][key][name]
            assert interval["low"] - 0.02 <= truth <= interval["high"] + 0.02
    assert found["pairs"]["x1 x x3"]["S2"]["mean"] == pytest.approx(v13 / total, abs=0.1)
    assert found["pairs"]["x1 x x2"]["S2"]["mean"] == pytest.approx(0.0, abs=0.1)
    assert found["placebo"] == 0.0
    sizes = [step["n"] for step in found["convergence"]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 512


def test_sobol_of_the_g_function() -> None:
    """Saltelli and Sobol (1995), Reliab. Eng. Syst. Saf. 50, 225-239: V_i = 1 / (3 (1 + a_i)^2)."""
    a = np.array([0.0, 1.0, 4.5, 9.0])
    ranges = parse_ranges([f"x{i}=0:1" for i in range(4)])

    def g(p: Point) -> float:
        x = np.array([p[f"x{i}"] for i in range(4)])
        return float(np.prod((np.abs(4 * x - 2) + a) / (1 + a)))

    parts = 1.0 / (3.0 * (1.0 + a) ** 2)
    variance = np.prod(1.0 + parts) - 1.0
    design = Design("sobol", ranges, 1024)
    found = analyse(design, outputs(design, g), resamples=100)["indices"]
    for i in range(4):
        whole = parts[i] * np.prod(np.delete(1.0 + parts, i)) / variance
        assert found[f"x{i}"]["S1"]["mean"] == pytest.approx(parts[i] / variance, abs=0.03)
        assert found[f"x{i}"]["ST"]["mean"] == pytest.approx(whole, abs=0.03)


def test_morris_of_a_plane_is_its_slopes_and_equals_salib() -> None:
    ranges = parse_ranges(["a=0:2", "b=-1:1", "c=0:1"])
    design = Design("morris", ranges, 10)
    found = analyse(design, outputs(design, lambda p: 3.0 * p["a"] - 5.0 * p["b"]), resamples=100)["indices"]
    for key, effect in (("a", 6.0), ("b", -10.0), ("c", 0.0)):  # over the whole range
        assert found[key]["mu"]["mean"] == pytest.approx(effect)
        assert found[key]["mu_star"]["mean"] == pytest.approx(abs(effect))
        assert found[key]["sigma"]["mean"] == pytest.approx(0.0, abs=1e-9)
        assert found[key]["mu"]["low"] == pytest.approx(effect)

    bent = Design("morris", ANGLES, 16)
    y = outputs(bent, ishigami)
    told = analyse(bent, y, resamples=100)
    effects = elementary_effects(bent.unit.reshape(16, 5, 4), bent.spread(y)[:, 0].reshape(16, 5))
    for i, key in enumerate(("x1", "x2", "x3")):
        assert told["indices"][key]["mu_star"]["mean"] == pytest.approx(np.abs(effects[:, i]).mean())
        assert told["indices"][key]["sigma"]["mean"] == pytest.approx(effects[:, i].std(ddof=1))
        assert told["effects"][key] == pytest.approx(effects[:, i])
    assert np.all(effects[:, 3] == 0.0)


def test_luck_is_told_from_parameters() -> None:
    rng = np.random.default_rng(4)
    points, seeds = 400, 60
    y = 2.0 * rng.normal(size=(points, 1)) + rng.normal(size=(1, seeds)) + 0.5 * rng.normal(size=(points, seeds))
    found = noise(y)
    assert found["parameters"] == pytest.approx(4.0, rel=0.25)
    assert found["seed"] == pytest.approx(1.0, rel=0.5)
    assert found["interaction"] == pytest.approx(0.25, rel=0.05)
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert found["within"] == pytest.approx(float(y.var(axis=1, ddof=1).mean()))
    assert noise(y[:, :1])["shares"] is None
    y[3, :] = np.nan
    assert noise(y)["points"] == points - 1
    y[:, 5] = np.nan
    assert noise(y[:4])["seeds"] in (seeds - 1, seeds)


def test_luck_common_to_all_points_does_not_move_indices() -> None:
    design = Design("sobol", ANGLES, 64)
    y = outputs(design, ishigami)
    lucky = y + np.array([[-3.0, 0.0, 3.0]])
    alone, with_luck = analyse(design, y, resamples=100), analyse(design, lucky, resamples=100)
    for key in ("x1", "x2", "x3"):
        for name in ("S1", "ST"):
            assert with_luck["indices"][key][name]["mean"] == pytest.approx(alone["indices"][key][name]["mean"])
    assert with_luck["noise"]["interaction"] == pytest.approx(0.0, abs=1e-20)


def test_what_failed_leaves_its_block_out_and_constants_have_no_indices() -> None:
    design = Design("morris", ANGLES, 8)
    y = outputs(design, ishigami)
    y[0] = np.nan
    found = analyse(design, y, resamples=100)
    assert 1 <= found["dropped"] < 5
    assert found["blocks"] == 8 - found["dropped"]
    flat = analyse(design, np.full_like(y, 0.7))
    assert flat["constant"]
    assert flat["indices"] == {}
    none = analyse(design, np.full_like(y, np.nan))
    assert none["dropped"] == 8
    assert none["indices"] == {}
