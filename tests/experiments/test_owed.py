"""A run whose losses exceed everything says who is owed what: in its record, on the terminal, in its report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from experiments.measures import owed
from experiments.terminal import run_lines
from sim.kernels import state as s

TABLE = pd.DataFrame(
    {
        "account": [0, 1, 3],
        "population": ["makers", "traders", "traders"],
        "claim": [4001, 1000, 1],
        "paid": [3201, 800, 0],
        "owed": [800, 200, 1],
    }
)


def market(uncovered: int) -> Any:
    meta = np.zeros(s.META_SIZE, np.int64)
    meta[s.M_UNCOVERED] = uncovered
    return SimpleNamespace(state=SimpleNamespace(meta=meta), statement=lambda: TABLE)


def test_nothing_is_said_while_everybody_is_paid() -> None:
    assert owed(market(0)) is None


def test_claims_are_summed_by_population() -> None:
    assert owed(market(1001)) == {
        "uncovered": 1001,
        "missing": 1001,
        "populations": {
            "makers": {"claim": 4001, "paid": 3201, "owed": 800},
            "traders": {"claim": 1001, "paid": 800, "owed": 201},
        },
    }


def test_a_run_prints_who_is_owed() -> None:
    result = {
        "scenario": "ruin", "regime": "static", "seed": 1, "measures": {"bad_debt": 5}, "incidence": {},
        "results_hash": "x", "owed": owed(market(1001)),
    }  # fmt: skip
    text = "\n".join(run_lines(result))
    assert "Losses exceeded everything" in text
    assert "makers" in text and "traders" in text
