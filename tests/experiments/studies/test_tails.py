from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import scenario
from experiments.facts.estimators import hill
from experiments.studies.tails import SHARE, Tails, measure, tail_difference


def test_known_exponents_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    heavy, light = rng.pareto(2.0, (40, 200)) + 1.0, rng.pareto(4.0, (40, 200)) + 1.0
    found = tail_difference(heavy, light, resamples=200)
    assert found["on"]["value"] == pytest.approx(2.0, rel=0.15)
    assert found["off"]["value"] == pytest.approx(4.0, rel=0.15)
    assert found["on"]["value"] == pytest.approx(hill(heavy.ravel(), SHARE)[0])
    assert found["difference"]["high"] < -1.0
    assert found["difference"]["low"] < found["difference"]["value"] < found["difference"]["high"]


def test_twins_with_equal_returns_do_not_differ() -> None:
    returns = np.random.default_rng(2).standard_t(3, (10, 100))
    found = tail_difference(returns, returns, resamples=50)
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 10}


def test_one_seeding_and_nothing_else_happens(small: Path) -> None:
    loaded = scenario.load(small)
    study = Tails(loaded, (1.5,), (0, 1), days=1)
    quiet = study.quiet(1.5)
    assert [event.kind for event in quiet.events] == ["seed_open_interest"]
    result = measure(study)
    (one,) = result["tails"]
    assert one["returns"] == 2 * 10  # a day of this market has a hundred minutes
    assert measure(study)["results_hash"] == result["results_hash"]
