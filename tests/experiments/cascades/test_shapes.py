from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from experiments.cascades.flow import forced_flow
from experiments.cascades.shapes import _coefficients, one_mode, proportion, shape
from experiments.studies.crossover_fits import bimodality


@pytest.mark.parametrize(("k", "n"), [(0, 20), (7, 20), (20, 20), (1, 3)])
def test_a_proportion_has_wilsons_interval(k: int, n: int) -> None:
    found = proportion(k, n)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-9)
    assert found["mean"] == k / n
    assert proportion(0, 0)["mean"] is None


def test_rows_have_the_coefficient_of_single_samples() -> None:
    rows = np.random.default_rng(0).random((5, 30))
    assert _coefficients(rows) == pytest.approx([bimodality(row) for row in rows])


def test_two_groups_are_not_one_mode() -> None:
    rng = np.random.default_rng(1)
    two = np.clip(np.concatenate([rng.normal(0.1, 0.05, 40), rng.normal(0.9, 0.05, 40)]), 0, 1)
    p_two, p_one = one_mode(two), one_mode(rng.normal(0.5, 0.1, 80))
    assert p_two is not None
    assert p_one is not None
    assert p_two < 0.05 < p_one


def test_the_test_of_one_mode_keeps_its_level() -> None:
    rng = np.random.default_rng(2)
    rejected = [(one_mode(rng.normal(size=30), 40) or 0.0) < 0.05 for _ in range(60)]
    assert np.mean(rejected) <= 0.12


def test_a_shape_says_how_many_lose_how_much() -> None:
    found = shape([0.02] * 12 + [0.3] * 3 + [0.9] * 5)
    assert [found[name]["mean"] for name in ("little", "some", "much")] == [0.6, 0.15, 0.25]
    assert found["coefficient"]["value"] > found["uniform"]
    few = shape([0.1, 0.1])
    assert few["unimodal_p"] is None
    assert np.isnan(few["coefficient"]["value"])
    assert shape([np.nan])["little"]["n"] == 0


def test_forced_flow_of_a_window() -> None:
    steps = pd.DataFrame(
        {"step": [10, 11, 12, 13, 14], "liquidated": [5, 5, 15, 45, 45], "volume": [100, 120, 160, 280, 300]}
    )
    found = forced_flow(steps, 10, 14, 60.0)
    assert found == {"forced_share": 0.2, "forced_half_s": 180.0, "forced_peak": 0.75}
    two = pd.concat([steps, steps], ignore_index=True)  # two contracts
    assert forced_flow(two, 10, 14, 60.0) == found
    calm = forced_flow(steps, 13, 14, 60.0)
    assert calm["forced_share"] == 0.0
    assert np.isnan(calm["forced_half_s"])
    assert np.isnan(forced_flow(steps, 14, 14, 60.0)["forced_share"])
