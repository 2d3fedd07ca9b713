from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import scenario
from experiments.events import Metaorder, SeedOpenInterest
from experiments.studies import crossover as study
from experiments.studies.crossover import Crossover, measure, summary
from experiments.studies.crossover_fits import UNIFORM, bimodality, crossover, decay_with_size, logistic_fit
from experiments.studies.sizes import enlarged
from sim.errors import ConfigError


def test_logistic_fit_agrees_with_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    x = np.linspace(-1, 1, 8)
    n = np.full(8, 4000.0)
    hits = rng.binomial(4000, 1 / (1 + np.exp(-(0.3 + 3 * x))))
    a, b = logistic_fit(x, hits / n, n)
    fitted = sm.GLM(np.column_stack([hits, n - hits]), sm.add_constant(x), family=sm.families.Binomial()).fit()
    assert (a, b) == pytest.approx(tuple(fitted.params), abs=0.01)


def test_a_jump_has_a_finite_slope_and_a_flat_curve_no_position() -> None:
    x = np.log([0.5, 1.0, 2.0, 4.0])
    a, b = logistic_fit(x, [0, 0, 1, 1], [20] * 4)
    position, width = crossover(a, b)
    assert 1.0 < position < 2.0
    assert 0 < width < np.log(4)
    assert np.isnan(crossover(0.0, 0.0)[0])
    assert np.isnan(logistic_fit([1.0], [0.5], [10])[0])


def test_bimodality_of_known_distributions() -> None:
    rng = np.random.default_rng(5)
    assert bimodality(rng.uniform(size=20_000)) == pytest.approx(UNIFORM, abs=0.01)
    assert bimodality(rng.standard_normal(20_000)) == pytest.approx(1 / 3, abs=0.02)
    assert bimodality(rng.integers(0, 2, 5000).astype(float)) > 0.95
    assert np.isnan(bimodality([1.0, 1.0, 1.0, 1.0]))


def _runs(sharpening: float, seeds: int = 60) -> list[dict[str, Any]]:
    rng = np.random.default_rng(6)
    runs = []
    for factor in (1, 4, 16):
        scale = 0.5 * factor**-sharpening
        for seed in range(seeds):
            critical = np.exp(np.log(1.4) + scale * rng.logistic())
            for target in (0.4, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5):
                runs.append(
                    {
                        "way": "finer", "factor": factor, "target": target, "seed": seed, "r0": target,
                        "r0_shock": target, "share": 0.9 if target > critical else 0.05,
                    }
                )  # fmt: skip
    return runs


def test_a_rise_that_sharpens_is_told_from_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_RESAMPLES", 150)  # enough for intervals as wide apart as these
    sharp = summary(_runs(0.5), ("finer",), (1, 4, 16))["ways"]["finer"]["width"]
    same = summary(_runs(0.0), ("finer",), (1, 4, 16))
    fixed, base = same["ways"]["finer"]["width"], same["sizes"][0]
    assert sharp["low"] > 0.2
    assert fixed["low"] < 0 < fixed["high"]
    assert base["position"]["low"] < 1.4 < base["position"]["high"]
    assert decay_with_size([1, 4], [1.0, float("nan")]) != decay_with_size([1, 4], [1.0, 0.5])


def test_enlarged_markets(small: Path) -> None:
    loaded = scenario.load(small)
    finer, whole = enlarged(loaded, 4, "finer"), enlarged(loaded, 4, "whole")
    counts = {spec.name: spec.params.get("count") for spec in finer.populations}
    assert counts == {"latent": 20, "noise": 20, "leveraged": 240}
    by = {spec.name: spec.params for spec in whole.populations}
    assert by["latent"]["count"] == 80
    assert by["latent"]["arrivals"] == pytest.approx(32.0)
    assert by["noise"]["arrivals"] == pytest.approx(16.0)
    (order,) = [e for e in whole.events if isinstance(e, Metaorder)]
    (seeded,) = [e for e in whole.events if isinstance(e, SeedOpenInterest)]
    assert (order.lots, seeded.per_bid_depth) == (800, 2.0)
    assert enlarged(loaded, 1, "whole") is loaded
    with pytest.raises(ConfigError, match="finer, whole"):
        enlarged(loaded, 2, "wider")
    with pytest.raises(ConfigError, match="arrivals"):
        enlarged(loaded, 200, "whole")


def test_small_markets_are_measured(small: Path) -> None:
    asked = Crossover(scenario.load(small), (0, 1, 2), factors=(1, 2), targets=(0.5, 2.0))
    assert asked.sizes() == [("finer", 1), ("finer", 2), ("whole", 2)]
    result = measure(asked)
    low, high = result["sizes"][0]["curve"]
    assert low["r0"] < high["r0"]
    assert all(0 <= point["share"] <= 1 for size in result["sizes"] for point in size["curve"])
    with pytest.raises(ConfigError, match="seed_open_interest"):
        Crossover(scenario.load("calm"), (0,)).units()
