"""Effects of factors on made runs whose response is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.sweep.effects import effects
from experiments.sweep.factors import DesignSection, FactorSection, expand

SEEDS = 12


def made(kind: str, points: int | None, response: Any) -> tuple[Any, pd.DataFrame]:
    """A study of two numeric factors, and runs whose drawdown is a response plus what a seed adds everywhere."""
    factors = (
        FactorSection(key="a", low=1.0, high=100.0, scale="log", levels=3 if points is None else None),
        FactorSection(key="b", low=-1.0, high=1.0, levels=2 if points is None else None),
    )
    design = DesignSection(kind=kind, points=points)
    values, _ = expand(factors, design, (), "f")
    study = SimpleNamespace(
        factors=factors, design=design, regimes=("static", "other"), baseline="static",
        points=[SimpleNamespace(index=i, values=v) for i, v in enumerate(values)],
    )  # fmt: skip
    shared = np.random.default_rng(1).normal(size=SEEDS)
    rows = [
        {
            "point": i, "regime": regime, "arm": "", "seed": seed,
            "drawdown": response(v["a"], v["b"]) * (2.0 if regime == "other" else 1.0) + shared[seed],
        }
        for i, v in enumerate(values) for seed in range(SEEDS) for regime in study.regimes
    ]  # fmt: skip
    return study, pd.DataFrame(rows)


def plane(a: float, b: float) -> float:
    return 3.0 * float(np.log10(a)) + 5.0 * b


def test_main_effects_of_a_grid_are_exact_within_seeds() -> None:
    study, runs = made("grid", None, plane)
    found = effects(study, runs, ["drawdown"], resamples=499)
    of_a = found["a"]["contrasts"]["static"]["drawdown"]
    assert [entry["mean"] for entry in of_a] == pytest.approx([3.0, 6.0])
    assert [entry["low"] for entry in of_a] == pytest.approx([3.0, 6.0])  # seeds' own part cancels
    assert found["b"]["contrasts"]["static"]["drawdown"][0]["mean"] == pytest.approx(10.0)
    assert found["b"]["contrasts"]["other - static"]["drawdown"][0]["mean"] == pytest.approx(10.0)
    assert found["a"]["slope"]["static"]["drawdown"]["mean"] == pytest.approx(6.0)
    assert found["a"]["explained"]["static"]["drawdown"] == pytest.approx(1.0)
    assert found["a"]["centres"] == [1.0, 10.0, 100.0]
    assert found["a"]["slope"]["static"]["drawdown"]["verdict"] == "different"
    assert "other" not in found["a"]["contrasts"]


@pytest.mark.parametrize("kind", ["sobol", "latin_hypercube"])
def test_slopes_of_a_sample_are_those_of_the_plane(kind: str) -> None:
    study, runs = made(kind, 16, plane)
    found = effects(study, runs, ["drawdown"], resamples=499)
    spread = np.ptp([np.log10(point.values["a"]) for point in study.points])
    assert found["a"]["slope"]["static"]["drawdown"]["mean"] == pytest.approx(3.0 * spread)
    assert len(found["a"]["labels"]) == 4
    assert found["a"]["centres"] == sorted(found["a"]["centres"])


def test_no_effect_is_told_as_none_and_curvature_shows_in_the_share_explained() -> None:
    study, runs = made("grid", None, lambda a, b: (np.log10(a) - 1.0) ** 2)
    found = effects(study, runs, ["drawdown"], resamples=499)
    assert found["b"]["contrasts"]["static"]["drawdown"][0]["mean"] == pytest.approx(0.0, abs=1e-12)
    assert found["a"]["explained"]["static"]["drawdown"] == pytest.approx(0.0, abs=1e-9)


def test_seeds_missing_at_one_point_are_left_out_at_all() -> None:
    study, runs = made("grid", None, plane)
    runs = runs.drop(runs.index[(runs["point"] == 2) & (runs["seed"] == 5)])
    found = effects(study, runs, ["drawdown"], resamples=499)
    assert found["a"]["contrasts"]["static"]["drawdown"][0]["n"] == SEEDS - 1
    assert found["a"]["contrasts"]["static"]["drawdown"][0]["mean"] == pytest.approx(3.0)


@pytest.mark.parametrize("spread", [1e-6, 1e-3, 0.03, 0.1])
def test_three_seeds_that_agree_closely_have_an_effect_size(spread: float) -> None:
    from experiments.statistics import paired_difference

    base = np.array([1.0, 2.0, 3.0])
    found = paired_difference(base - 1.0 - spread * np.array([0.0, 1.0, 2.5]), base, resamples=99)
    assert found["effect"] < -1.0
