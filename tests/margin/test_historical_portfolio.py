from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin.historical_portfolio import HistoricalPortfolioParameters, tail_weights
from sim.errors import ConfigError
from sim.kernels.state import RATE_ONE
from tests.margin.grids import OTHER, RETURNS, Desk, book, future, orders, portfolios

CONTRACTS = len(book()["contracts"])
SHORT: dict[str, Any] = {"window": 50, "confidence": 0.9, "floor_move": 0.01}


@pytest.fixture(scope="module")
def shortfall() -> Desk:
    return Desk("hs_portfolio", SHORT)


@pytest.fixture(scope="module")
def quantile() -> Desk:
    return Desk("hs_portfolio_var", SHORT)


def linear(**params: Any) -> Desk:
    raw = book(contracts=[future("x", "AA", 30), future("y", "BB", 30)], positions=[{"contract": "x", "size": 1}])
    return Desk("hs_portfolio", {"window": 50, "horizon": "1d"} | params, raw)


def profits(returns: tuple[float, ...], price: float, window: int = 50) -> np.ndarray:
    return price * (np.exp(np.array(returns[-window:])) - 1.0)


def test_value_at_risk_is_the_interpolated_quantile_of_the_whole_portfolio() -> None:
    desk = linear(measure="var", confidence=0.97)
    profit = 3 * profits(RETURNS, 100) - 5 * profits(OTHER, 40)
    expected = -pd.Series(profit).quantile(0.03, interpolation="linear")
    assert desk.maintenance([[3, -5]]) == pytest.approx(expected * desk.snap.minor, abs=60)
    higher = linear(measure="var", confidence=0.97, quantile="higher")
    expected = -pd.Series(profit).quantile(0.03, interpolation="lower")
    assert higher.maintenance([[3, -5]]) == pytest.approx(expected * higher.snap.minor, abs=60)


def test_expected_shortfall_is_the_mean_of_the_tail_with_a_fraction_of_the_last() -> None:
    desk = linear(confidence=0.95)  # 2.5 scenarios of 50
    losses = np.sort(profits(OTHER, 40))[:3] * -7
    expected = (losses[0] + losses[1] + 0.5 * losses[2]) / 2.5
    assert desk.maintenance([[0, 7]]) == pytest.approx(expected * desk.snap.minor, abs=60)


def test_the_margin_period_is_overlapping_sums_or_the_square_root_of_time() -> None:
    desk = linear(measure="var", confidence=0.98, quantile="higher", horizon="5d")
    sums = pd.Series(RETURNS[-54:]).rolling(5).sum().dropna()
    worst = np.sort(100 * (np.exp(sums) - 1))[0]
    assert desk.maintenance([[1, 0]]) == pytest.approx(-worst * desk.snap.minor, abs=60)
    root = linear(measure="var", confidence=0.98, quantile="higher", horizon="5d", horizon_method="sqrt")
    worst = 100 * (math.exp(min(RETURNS[-50:]) * math.sqrt(5)) - 1)
    assert root.maintenance([[1, 0]]) == pytest.approx(-worst * root.snap.minor, abs=60)


def test_filtering_rescales_each_return_to_the_newest_volatility() -> None:
    desk = linear(measure="var", confidence=0.98, quantile="higher", filtered=True, decay=0.9)
    past = np.array(RETURNS[-50:])
    variance = [float(np.mean(past**2))]
    for value in past:
        variance.append(0.9 * variance[-1] + 0.1 * value**2)
    scaled = past * np.sqrt(variance[-1] / np.array(variance[:-1]))
    worst = 100 * (math.exp(scaled.min()) - 1)
    assert desk.maintenance([[1, 0]]) == pytest.approx(-worst * desk.snap.minor, abs=60)


def test_the_floor_is_the_loss_when_all_prices_move() -> None:
    desk = linear(floor_move=0.5)
    parts = desk.explain([[1, 1]]).maintenance_parts
    assert sum(parts.values())[0] == 70 * desk.snap.minor
    assert parts["floor"][0] > 0
    assert desk.explain([[2, -5]]).maintenance_parts["floor"][0] == 0  # equal values offset under common moves


def test_options_are_revalued_in_full() -> None:
    """A short straddle loses on both sides, by more than its delta says."""
    from sim.kernels.black76 import black76
    from tests.margin.grids import option

    legs = [option("c", "AA", "call", 100, 30), option("p", "AA", "put", 100, 30)]
    raw = book(contracts=legs, positions=[{"contract": "c", "size": 1}], interest_rate=0.0)
    desk = Desk("hs_portfolio", {"window": 50, "horizon": "1d", "measure": "var", "quantile": "higher"}, raw)
    prices = 100 * np.exp(np.array(RETURNS[-50:]))
    value = [sum(black76(side, float(f), 100.0, 30 / 365, 0.3) for side in (1, -1)) for f in (100.0, *prices)]
    assert desk.maintenance([[-1, -1]]) == pytest.approx((max(value[1:]) - value[0]) * desk.snap.minor, rel=1e-6)


@pytest.mark.parametrize("measure", ["var", "es"])
@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.975, 0.99, 0.999])
@pytest.mark.parametrize("window", [10, 250, 500, 1000])
def test_tail_weights_sum_to_one(measure: str, confidence: float, window: int) -> None:
    params = HistoricalPortfolioParameters.model_validate(
        {"measure": measure, "confidence": confidence, "window": window}
    )
    weights = tail_weights(params)
    assert weights.sum() == RATE_ONE
    assert (weights >= 0).all()
    assert len(weights) <= window + 1


@settings(max_examples=40, deadline=None)
@given(data=st.data(), lots=portfolios(CONTRACTS))
def test_compiled_tail_is_the_definition_to_the_unit(
    shortfall: Desk, quantile: Desk, data: st.DataObject, lots: np.ndarray
) -> None:
    buy, sell, own = (data.draw(orders(CONTRACTS, len(lots))) for _ in range(3))
    for desk in (shortfall, quantile):
        desk.agree(lots)
        desk.agree(lots, buy, sell, own)


@settings(max_examples=60, deadline=None)
@given(lots=portfolios(CONTRACTS, 1), other=portfolios(CONTRACTS, 1), times=st.integers(1, 20))
def test_shortfall_is_never_negative_never_above_its_parts_and_homogeneous(
    shortfall: Desk, lots: np.ndarray, other: np.ndarray, times: int
) -> None:
    def ask(row: np.ndarray) -> int:
        return shortfall.maintenance(row)

    # each of the six products of loss and weight is rounded up in 2**-10 units; the weights are whole numbers of 2**-32
    assert 0 <= ask(lots + other) <= ask(lots) + ask(other) + 1
    assert abs(times * ask(lots) - ask(times * lots)) <= times


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": 0.0}, "confidence"),
        ({"window": 60, "horizon": "2d"}, "at least 61 daily returns"),
        ({"window": 5}, "window"),
        ({"measure": "cvar"}, "measure"),
        ({"horizon": "-1d"}, "horizon"),
        ({"decay": 1.0}, "decay"),
    ],
)
def test_bad_parameters_get_one_clear_line(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Desk("hs_portfolio", params)
