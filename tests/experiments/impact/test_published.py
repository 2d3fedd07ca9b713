"""Published laws of impact against published numbers and closed forms."""

from __future__ import annotations

import math

import pytest

from experiments.impact.published import (
    LAWS,
    almgren,
    amplification,
    critical_leverage,
    described,
    evaluate,
    fair_level,
    power_impact,
    propagator_decay,
    propagator_path,
)
from sim.errors import ConfigError


@pytest.mark.parametrize(("duration", "cost"), [(0.1, 32.2), (0.2, 24.6), (0.5, 18.4)])
def test_t21_almgren_ten_percent_of_ibm(duration: float, cost: float) -> None:
    found = almgren(656_100, 6.561e6, 0.0157, 1.728e9, duration)
    assert 1e4 * found["permanent"] == pytest.approx(19.9, abs=0.1)
    assert 1e4 * found["cost"] == pytest.approx(cost, abs=0.1)
    assert found["cost"] == pytest.approx(found["permanent"] / 2 + found["temporary"])
    sold = almgren(-656_100, 6.561e6, 0.0157, 1.728e9, duration)
    assert sold["permanent"] == -found["permanent"]
    assert sold["cost"] == -found["cost"]


def test_t21_almgren_by_hand_for_other_inputs() -> None:
    found = almgren(100.0, 1_000.0, 0.02, 16_000.0, 0.4, 0.5, 0.3, 2.0, 0.5, 1.0)
    assert found["permanent"] == pytest.approx(0.5 * 0.02 * 0.01 * 4.0)
    assert found["temporary"] == pytest.approx(0.3 * 0.02 * 0.25)
    assert almgren(0.0, 1_000.0, 0.02, 16_000.0, 0.4)["cost"] == 0.0


@pytest.mark.parametrize("impact", [0.02, 0.1, 0.5])
def test_t21_critical_leverage(impact: float) -> None:
    found = critical_leverage(impact)
    assert found["critical_leverage"] == pytest.approx(3 / (2 * impact))
    assert critical_leverage(impact, exponent=1.0)["critical_leverage"] == pytest.approx(2 / impact)
    critical = found["critical_leverage"]
    assert critical_leverage(impact, 0.999 * critical)["adjusted_leverage"] > 900 * (1 - found["discount"])
    assert critical_leverage(impact, 1.001 * critical)["adjusted_leverage"] == math.inf


def test_t21_amplification() -> None:
    assert amplification(0.0)["amplification"] == 1.0
    assert amplification(0.8)["amplification"] == pytest.approx(5.0)
    assert amplification(1.0)["amplification"] == math.inf


def test_square_root_law_and_fair_price() -> None:
    found = power_impact(0.04, 0.02, 1.5)
    assert found["impact"] == pytest.approx(1.5 * 0.02 * 0.2)
    assert found["cost"] == pytest.approx(found["impact"] * 2 / 3)
    assert fair_level()["kept"] == pytest.approx(2 / 3)


def test_propagator() -> None:
    assert propagator_path(1.0, 0.3)["relative_impact"] == 1.0
    assert propagator_path(0.25)["relative_impact"] == pytest.approx(0.5)
    assert propagator_path(2.0)["relative_impact"] == pytest.approx(math.sqrt(2) - 1)
    assert propagator_path(5.0, 0.0)["relative_impact"] == pytest.approx(1.0)  # permanent
    found = propagator_decay(0.5)
    assert found["decay"] == 0.25
    assert propagator_path(1 + found["half_decay"], 0.25)["relative_impact"] == pytest.approx(0.5)
    assert propagator_decay(0.0)["half_decay"] == pytest.approx(0.5625)
    assert propagator_decay(1.0)["half_decay"] == math.inf


def test_every_law_runs_on_its_defaults_and_says_what_it_takes() -> None:
    for name, law in LAWS.items():
        (row,) = evaluate(name, {})
        assert set(law.prices) <= set(row)
        assert all(math.isfinite(value) for value in row.values())
        assert [entry["name"] for entry in described(name)["inputs"]] == [entry.name for entry in law.inputs]


def test_several_values_make_a_table() -> None:
    rows = evaluate("almgren", {"duration": [0.1, 0.5], "gamma": [0.314, 0.5]})
    assert [(row["duration"], row["gamma"]) for row in rows] == [(0.1, 0.314), (0.1, 0.5), (0.5, 0.314), (0.5, 0.5)]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("almgrem", {}, 'did you mean "almgren"'),
        ("almgren", {"sigma": [0.1]}, "daily_volatility"),
        ("almgren", {"duration": [0.0]}, "above 0"),
        ("critical-leverage", {"impact": [1.5]}, "at most 1"),
        ("power", {"size": [0.01] * 200, "exponent": [0.5] * 200}, "10000 combinations"),
    ],
)
def test_bad_inputs_of_laws(name: str, given: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(name, given)
