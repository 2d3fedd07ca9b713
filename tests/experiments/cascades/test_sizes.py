from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import special

from experiments.cascades import sizes
from experiments.cascades.sizes import SizeTask, drawn_from, exponent, fit, goodness, pooled, power_law, scan


def by_seed(sample: sizes.Sizes, seeds: int) -> tuple[dict[str, int], ...]:
    return tuple({str(k): v for k, v in Counter(part.tolist()).items()} for part in np.array_split(sample, seeds))


def test_draws_follow_the_discrete_law() -> None:
    sample = drawn_from(2.5, 2, 20_000, np.random.default_rng(0))
    assert sample.min() == 2
    for k in (2, 3, 5, 20):
        assert (sample >= k).mean() == pytest.approx(special.zeta(2.5, k) / special.zeta(2.5, 2), abs=0.01)


def test_draws_beyond_the_table_keep_the_tail() -> None:
    sample = drawn_from(1.3, 1, 20_000, np.random.default_rng(0))
    assert (sample >= 100_000).mean() == pytest.approx(special.zeta(1.3, 1e5) / special.zeta(1.3, 1.0), abs=0.01)


@pytest.mark.parametrize(("alpha", "xmin"), [(1.8, 1), (2.5, 4), (3.6, 1)])
def test_a_power_law_is_found_and_not_ruled_out(alpha: float, xmin: int) -> None:
    rng = np.random.default_rng(int(10 * alpha))
    noise = rng.integers(1, xmin, 300) if xmin > 1 else np.zeros(0, np.int64)
    sample = np.sort(np.concatenate([noise, drawn_from(alpha, xmin, 700, rng)]))
    law = power_law(sample)
    assert law is not None
    assert xmin <= law.xmin <= xmin + 3
    assert law.alpha == pytest.approx(alpha, abs=4 * law.sigma)
    p = goodness(sample, law, 30)
    assert p is not None
    assert p > sizes.RULED_OUT


def test_an_exponential_is_told_from_a_power_law() -> None:
    sample = np.sort(np.random.default_rng(4).geometric(0.12, 600))
    found = fit(SizeTask("geometric", by_seed(sample, 10), 20))
    assert found["p"] < sizes.RULED_OUT
    assert found["alternatives"]["truncated_power_law"]["ratio"] < 0
    assert found["alternatives"]["truncated_power_law"]["p"] < 0.05


def test_the_fast_scan_agrees_with_the_package() -> None:
    rng = np.random.default_rng(11)
    for sample in (drawn_from(2.2, 1, 500, rng), rng.geometric(0.2, 500), drawn_from(3.5, 3, 400, rng)):
        law, own = power_law(np.sort(sample)), scan(sample)
        assert law is not None
        assert own is not None
        assert own[0] == law.xmin
        assert own[1] == pytest.approx(law.alpha, rel=1e-3)
        assert own[2] == pytest.approx(law.ks, abs=1e-4)
        assert exponent(sample, law.xmin) == pytest.approx(law.alpha, rel=1e-3)


def test_a_fit_holds_what_it_says() -> None:
    sample = drawn_from(2.4, 1, 600, np.random.default_rng(2))
    found = fit(SizeTask("x", by_seed(sample, 20), 0))
    assert (found["n"], found["largest"], found["p"]) == (600, sample.max(), None)
    assert found["low"] < found["alpha"] < found["high"]
    assert found["low"] < 2.4 < found["high"]
    assert found["ccdf"][0] == [1, 1.0]
    assert set(found["alternatives"]) == set(sizes.ALTERNATIVES)
    assert (pooled(by_seed(sample, 20)) == np.sort(sample)).all()


@pytest.mark.parametrize("counts", [(), ({},), ({"1": 400},), ({"1": 30, "2": 10, "3": 5},), ({"1": 900, "7": 60},)])
def test_too_little_is_not_fitted_and_says_so(counts: tuple[dict[str, int], ...]) -> None:
    found = fit(SizeTask("x", counts, 10))
    assert "alpha" not in found
    assert found["reason"]


def test_trees_and_bursts_are_counted_in_the_window() -> None:
    causes = pd.DataFrame(
        {
            "step": [3, 5, 5, 6, 9, 9, 12],
            "cascade": [0, 1, 1, 1, 4, 5, 6],
            "generation": [0, 0, 1, 2, 0, 0, 0],
            "w_liquidations": [0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0],
        }
    )
    found = sizes.counted(causes, 3, 11)
    assert found["trees"] == {"1": 2, "3": 1}
    assert found["bursts"] == {"2": 1, "3": 1}  # steps 5 and 6 run on, step 9 stands alone
    assert (found["liquidations"], found["forced"], found["depth"]) == (5, 1.5, 2)
    empty = sizes.counted(causes, 20, 30)
    assert (empty["trees"], empty["bursts"], empty["liquidations"]) == ({}, {}, 0)
