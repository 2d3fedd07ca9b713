from __future__ import annotations

import numpy as np
import pytest

from experiments.procyclicality.frontier import over_seeds, stationary_blocks

OBJECTIVES = ("cost", "loss")


def test_who_is_dominated_and_by_whom() -> None:
    values = {
        "cheap": {"cost": np.array([1.0, 1.1]), "loss": np.array([3.0, 3.1])},
        "safe": {"cost": np.array([2.0, 2.1]), "loss": np.array([1.0, 1.1])},
        "poor": {"cost": np.array([2.5, 2.6]), "loss": np.array([1.5, 1.6])},
    }
    found = over_seeds(values, OBJECTIVES, 200)
    assert found["non_dominated"] == ["cheap", "safe"]
    assert found["dominated_by"] == {"poor": "safe"}
    assert found["support"] == {"cheap": 1.0, "safe": 1.0, "poor": 0.0}
    assert found["values"]["poor"] == {"cost": pytest.approx(2.55), "loss": pytest.approx(1.55)}
    assert over_seeds(values, OBJECTIVES, 200) == found


def test_support_says_how_sure_a_place_on_the_frontier_is() -> None:
    """Two rules at the same cost whose losses differ by chance alone: each is dominated about half of the time."""
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(40):
        a, b = rng.standard_normal((2, 30))
        values = {name: {"cost": np.ones(30), "loss": loss} for name, loss in (("a", a), ("b", b))}
        support = over_seeds(values, OBJECTIVES, 300)["support"]
        assert support["a"] + support["b"] == pytest.approx(1.0)
        shares.append(support["a"])
    assert 0.3 < float(np.mean(shares)) < 0.7


def test_pairing_and_gaps() -> None:
    noise = np.random.default_rng(1).standard_normal(50)
    noise[3] = np.nan
    values = {"a": {"cost": noise, "loss": noise}, "b": {"cost": noise + 0.01, "loss": noise + 0.01}}
    found = over_seeds(values, OBJECTIVES, 100)
    assert found["support"] == {"a": 1.0, "b": 0.0}  # seeds are drawn together
    alike = over_seeds(values, OBJECTIVES, 100, decimals={"cost": 0, "loss": 0})
    assert alike["support"]["b"] > 0.5
    unknown = {"a": {"cost": noise, "loss": noise * np.nan}, "b": values["b"]}
    assert over_seeds(unknown, OBJECTIVES, 10)["values"]["a"]["loss"] is None
    single = over_seeds({"a": {"cost": np.ones(1), "loss": np.ones(1)}}, OBJECTIVES)
    assert single["resamples"] == 0


def test_blocks_are_of_the_length_asked_for_and_cover_all_days_alike() -> None:
    drawn = np.array(list(stationary_blocks(200, 10.0, 400)))
    assert drawn.min() == 0
    assert drawn.max() == 199
    goes_on = (np.diff(drawn, axis=1) == 1) | (np.diff(drawn, axis=1) == -199)
    assert goes_on.mean() == pytest.approx(1.0 - 0.1 + 0.1 / 200, abs=0.01)
    counts = np.bincount(drawn.ravel(), minlength=200) / 400
    assert counts.mean() == pytest.approx(1.0)
    assert counts.std() < 0.25
