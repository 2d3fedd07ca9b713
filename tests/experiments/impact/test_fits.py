"""Fits of impact curves against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from experiments.impact.fits import (
    MODELS,
    compare_curves,
    compare_models,
    level_weights,
    log_log,
    power_law,
    project,
)

SIZES = np.array([0.002, 0.005, 0.01, 0.02, 0.05, 0.1])


def noisy(level: np.ndarray, seeds: int = 60, noise: float = 0.05, number: int = 1) -> np.ndarray:
    """Curves around a level with noise that sizes of one seed share in part."""
    draw = np.random.default_rng(number)
    own, shared = draw.normal(size=(seeds, len(level))), draw.normal(size=(seeds, 1))
    return level * (1.0 + noise * shared) + noise * np.mean(level) * own


@pytest.mark.parametrize(("name", "shape"), [("power", 0.37), ("power", 1.2), ("logarithmic", 0.01),
                                             ("crossover", 0.012), ("threshold", 0.004)])  # fmt: skip
def test_exact_curves_are_recovered(name: str, shape: float) -> None:
    model = MODELS[name]
    level = 1.7 * model.function(SIZES, np.array([shape]))
    found = project(model, SIZES, level, np.eye(len(SIZES)))
    assert found.shape[0] == pytest.approx(shape, rel=2e-3)
    assert found.amplitude[0] == pytest.approx(1.7, rel=6e-3)
    assert not found.at_bound[0]


def test_the_weighted_fit_is_that_of_scipy() -> None:
    y = noisy(4.0 * SIZES**0.6)
    found = power_law(SIZES, y, 200)
    error = y.std(axis=0, ddof=1) / np.sqrt(len(y))
    (amplitude, exponent), _ = optimize.curve_fit(
        lambda q, a, d: a * q**d, SIZES, y.mean(axis=0), p0=(1.0, 0.5), sigma=error
    )
    assert found["exponent"]["value"] == pytest.approx(exponent, abs=2e-4)
    assert found["prefactor"]["value"] == pytest.approx(amplitude, rel=2e-3)
    line = log_log(SIZES, y, 200)
    slope, level = np.polyfit(np.log(SIZES), np.log(y.mean(axis=0)), 1, w=y.mean(axis=0) / error)
    assert line["exponent"]["value"] == pytest.approx(slope)
    assert line["prefactor"]["value"] == pytest.approx(np.exp(level))


def test_the_interval_covers_the_exponent() -> None:
    inside, errors, values = 0, [], []
    for number in range(120):
        found = power_law(SIZES, noisy(4.0 * SIZES**0.55, 40, 0.2, number), 300)["exponent"]
        inside += found["low"] <= 0.55 <= found["high"]
        errors.append(found["se"])
        values.append(found["value"])
    assert inside >= 100  # 95 % of 120 is 114; bootstrap over 40 seeds is a little narrow
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_bins_that_are_not_above_zero_are_kept_in_levels_and_named_in_logarithms() -> None:
    y = noisy(4.0 * SIZES)
    y[:, 0] -= y[:, 0].mean() + 0.01
    assert power_law(SIZES, y, 200)["exponent"]["value"] > 1.0
    assert log_log(SIZES, y, 200)["left_out"] == [0.002]
    nothing = power_law(SIZES, -np.abs(y), 200)
    assert nothing["exponent"]["value"] is None
    assert nothing["prefactor"]["value"] is None
    assert len(log_log(SIZES, -np.abs(y), 200)["left_out"]) == len(SIZES)


def test_one_seed_or_one_size() -> None:
    alone = power_law(SIZES, (3.0 * SIZES**0.5)[None, :], 200)
    assert alone["exponent"]["value"] == pytest.approx(0.5, abs=1e-4)
    assert alone["exponent"]["se"] is None
    assert power_law(SIZES[:1], np.ones((5, 1)), 200)["exponent"]["value"] is None
    assert compare_models(SIZES, np.ones((1, 6)))["table"] == []
    assert level_weights(np.ones((4, 2))).shape == (2, 2)  # no spread at all


@pytest.mark.parametrize(("name", "shape"), [("square_root", 0.5), ("linear", 1.0), ("logarithmic", 0.004),
                                             ("crossover", 0.012), ("threshold", 0.008)])  # fmt: skip
def test_the_model_that_made_the_curve_is_chosen(name: str, shape: float) -> None:
    level = MODELS[name].function(SIZES, np.array([shape]))[0]
    found = compare_models(SIZES, noisy(2.0 * level, 80, 0.03))
    assert found["best_bic"] == name
    assert found["covariance"] == "full"
    rows = {row["model"]: row for row in found["table"]}
    assert 0.0 <= rows[name]["p_fit"] <= 1.0
    assert sum(row["aic_weight"] for row in rows.values()) == pytest.approx(1.0)
    assert rows[name]["bic"] - rows[name]["aic"] == pytest.approx(rows[name]["parameters"] * (np.log(80) - 2.0))


def test_the_test_of_fit_has_its_level() -> None:
    level = MODELS["square_root"].function(SIZES, np.array([0.5]))[0]
    p = []
    for number in range(100):
        table = compare_models(SIZES, noisy(level, 40, 0.03, number))["table"]
        p.append(next(row["p_fit"] for row in table if row["model"] == "square_root"))
    assert np.mean(np.array(p) < 0.1) < 0.2
    assert 0.4 < np.mean(p) < 0.6


def test_few_seeds_use_a_diagonal_covariance() -> None:
    assert compare_models(SIZES, noisy(4.0 * SIZES**0.5, 8))["covariance"] == "diagonal"


def test_two_curves() -> None:
    base = noisy(4.0 * SIZES**0.6, 60, 0.05)
    found = compare_curves(SIZES, 1.5 * base, base, 300)
    assert found["prefactor_ratio"]["value"] == pytest.approx(1.5)
    assert found["exponent_change"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert found["exponent_significant"] is False
    steeper = compare_curves(SIZES, noisy(9.0 * SIZES**0.9, 60, 0.05, 2), base, 300)
    assert steeper["exponent_significant"] is True
    with pytest.raises(ValueError, match="same seeds"):
        compare_curves(SIZES, base[:5], base)
