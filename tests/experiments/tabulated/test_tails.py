from __future__ import annotations

import numpy as np
import pytest

from experiments.tabulated import tails
from experiments.vocabulary import scale_of


def outcomes(n: int) -> dict[str, dict[str, np.ndarray]]:
    seeds = np.arange(n, dtype=float)
    return {
        "static": {"drawdown": seeds / 1000.0, "coverage": 1.0 - seeds / 1000.0},
        "dynamic": {"drawdown": seeds / 1000.0 + 0.05, "coverage": 1.0 - seeds / 500.0},
    }


def test_the_bad_tail_is_the_lower_one_of_what_one_wants_more_of() -> None:
    found = tails.tails_of(outcomes(100), "static", ("drawdown", "coverage", "absent"))
    assert set(found["measures"]) == {"drawdown", "coverage"}
    drawdown, coverage = (found["measures"][name]["static"] for name in ("drawdown", "coverage"))
    assert drawdown["worst"]["value"] == pytest.approx(0.099)
    assert drawdown["shortfalls"]["0.9"]["value"] == pytest.approx(np.arange(90, 100).mean() / 1000.0)
    assert coverage["worst"]["value"] == pytest.approx(0.901)
    assert coverage["shortfalls"]["0.9"]["value"] == pytest.approx(1.0 - np.arange(90, 100).mean() / 1000.0)
    assert found["differences"]["dynamic"]["drawdown"]["shortfalls"]["0.9"]["value"] == pytest.approx(0.05)


def test_a_row_per_outcome_and_regime_with_a_difference_for_all_but_the_baseline() -> None:
    found = tails.tails_of(outcomes(100), "static", ("drawdown",))
    made = tails.table(list(tails.rows(found, "static", {"drawdown": scale_of("fraction", [0.05])})), "static")
    static, dynamic = made.rows
    assert static[:2] == ("Drawdown (%)", "static")
    assert static[-1] == ""
    assert dynamic[-1].value == pytest.approx(5.0)
    assert dynamic[-1].mark == "*"
    assert "Worst seed" in made.markdown()


def test_few_seeds_have_no_tails() -> None:
    assert tails.tails_of(outcomes(tails.LEAST_SEEDS - 1), "static", ("drawdown",)) == {}
    assert tails.tails_of(outcomes(50), "static", ("absent",)) == {}
