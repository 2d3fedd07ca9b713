from __future__ import annotations

import math

import numpy as np
import pytest

from margin.backtests.procyclicality import (
    ewma_step_response,
    largest_call,
    largest_increase,
    peak_to_trough,
    tail_index,
    volatility_of_margin,
)
from sim.errors import ConfigError


@pytest.mark.parametrize(
    ("alpha", "beta", "kappa", "within"),
    [
        (3**-0.5, 0.0, 4.0, 1e-8),
        (15 ** (-1 / 3), 0.0, 6.0, 1e-8),
        (0.1, 0.85, 9.072, 5e-4),
        (0.1, 0.88, 5.610, 5e-4),
        (0.07, 0.92, 5.769, 5e-4),
        (0.0981, 0.8892, 4.545, 5e-4),
        (0.3, 0.7, 2.0, 1e-8),
    ],
)
def test_t20_tail_index(alpha: float, beta: float, kappa: float, within: float) -> None:
    assert tail_index(alpha, beta) == pytest.approx(kappa, abs=within)


def test_tail_index_solves_its_equation() -> None:
    """By exact moments of the normal law where kappa / 2 is whole: E[(a Z^2 + b)^2] = 3 a^2 + 2 a b + b^2 = 1."""
    alpha = 0.2
    beta = -alpha + math.sqrt(1.0 - 2.0 * alpha * alpha)
    assert tail_index(alpha, beta) == pytest.approx(4.0, abs=1e-8)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.9), (-0.1, 0.9), (0.1, -0.1), (math.nan, 0.9), (0.5, 1.5)])
def test_tail_index_of_nothing(alpha: float, beta: float) -> None:
    with pytest.raises(ConfigError, match="alpha, beta"):
        tail_index(alpha, beta)


@pytest.mark.parametrize(("decay", "response"), [(0.94, 3.695), (0.97, 3.160), (0.99, 2.215)])
def test_t20_response_of_an_ewma_to_a_step(decay: float, response: float) -> None:
    assert ewma_step_response(decay, 30, 4.0) == pytest.approx(response, abs=5e-4)


def test_measures_by_hand() -> None:
    margin = [2.0, 3.0, 1.5, 6.0, 4.0]
    assert peak_to_trough(margin) == 4.0
    assert largest_increase(margin, 1) == 3.0
    assert largest_increase(margin, 2) == pytest.approx(5 / 3)
    assert largest_call(margin, 3) == 4.0
    assert volatility_of_margin(margin) == pytest.approx(np.std(np.diff(np.log(margin)), ddof=1))


def test_a_margin_that_never_moves() -> None:
    flat = np.full(40, 0.05)
    assert (peak_to_trough(flat), largest_increase(flat, 30), volatility_of_margin(flat)) == (1.0, 0.0, 0.0)


def test_figures_that_do_not_exist() -> None:
    assert math.isinf(peak_to_trough([0.0, 1.0]))
    assert math.isnan(largest_increase([1.0, 2.0], 5))
    assert math.isnan(largest_increase([0.0, 2.0], 1))
    assert math.isnan(largest_call([1.0, 2.0], 2))
    assert math.isnan(volatility_of_margin([0.0, 1.0, 2.0]))
