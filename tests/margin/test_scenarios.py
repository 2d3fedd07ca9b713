from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from sim.errors import ConfigError
from sim.kernels.state import INITIAL, MAINTENANCE, RATE_ONE
from tests.margin import markets

ROUNDING = 16  # profits are whole minor units per 2**10 lots, and positions here have up to 5,000 lots
RATES = {"initial": 0.125, "maintenance": 0.0625}


def requirement(params: dict[str, Any], lots: list[int], which: int = MAINTENANCE) -> int:
    contracts = markets.table(len(lots))
    model = margin.create("portfolio", params)
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    markets.give(state, {"lots": np.array([lots])})
    return int(model.requirement_kernel(state, 0, -1, which))


def values(lots: list[int]) -> np.ndarray:
    contracts = markets.table(len(lots))
    return np.array(lots) * contracts.initial_mark * contracts.tick_value / 16


@given(
    lots=st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=3),
    offset=st.floats(0.0, 1.0),
    maintenance=st.floats(0.001, 0.5),
)
def test_closed_form_for_linear_contracts(lots: list[int], offset: float, maintenance: float) -> None:
    """The greater of the net risk and of one less the offset of the gross risk."""
    risk = values(lots) * maintenance
    expected = max(abs(risk.sum()), (1.0 - offset) * np.abs(risk).sum())
    found = requirement({"initial": maintenance, "maintenance": maintenance, "offset": offset}, lots)
    if len(lots) == 1:
        expected = abs(risk[0])
    # profits are rounded per 2**10 lots, losses up to the unit, rates to 2**-32
    tolerance = len(lots) + np.abs(np.array(lots)).sum() / 1024 + np.abs(values(lots)).sum() / RATE_ONE
    assert found == pytest.approx(expected, abs=tolerance + 1)


def test_a_spread_is_cheap_and_not_free() -> None:
    """Equal and opposite risks cost one less the offset of what the legs cost apart."""
    contracts = markets.table(2)
    value = contracts.initial_mark * contracts.tick_value // 16
    lots = [int(value[1]) // 100, -int(value[0]) // 100]
    legs = requirement(RATES | {"offset": 0.8}, [lots[0], 0]) + requirement(RATES | {"offset": 0.8}, [0, lots[1]])
    for offset in (0.0, 0.5, 0.8, 1.0):
        spread = requirement(RATES | {"offset": offset}, lots)
        assert spread == pytest.approx((1.0 - offset) * legs, abs=ROUNDING)
    both_long = requirement(RATES | {"offset": 0.8}, [lots[0], -lots[1]])
    assert both_long == pytest.approx(legs, abs=ROUNDING)


def test_a_correlation_charges_the_spread_at_the_same_quantile() -> None:
    """The standard deviation of x - y is sqrt(2 - 2 rho), where the gross risk is 2."""
    contracts = markets.table(2)
    value = contracts.initial_mark * contracts.tick_value // 16
    lots = [int(value[1]) // 100, -int(value[0]) // 100]
    gross = float(np.abs(values(lots)).sum()) * 0.0625
    for correlation in (1.0, 0.9, 0.0, -1.0):
        found = requirement(RATES | {"correlation": correlation}, lots)
        assert found == pytest.approx(np.sqrt(2 - 2 * correlation) / 2 * gross, abs=ROUNDING)


def test_initial_is_the_factor_times_maintenance() -> None:
    for lots in ([5, -3], [100, 100], [0, 7]):
        assert requirement(RATES, lots, INITIAL) == 2 * requirement(RATES, lots, MAINTENANCE)


def test_inner_moves_never_bind_and_a_covered_extreme_does_not_either() -> None:
    for lots in ([5, -3], [100, 100], [-40, 7]):
        base = requirement(RATES | {"moves": [1.0]}, lots)
        assert requirement(RATES | {"moves": [0.25, 0.5, 1.0]}, lots) == base
        assert requirement(RATES | {"extreme_move": 3.0, "extreme_weight": 0.33}, lots) == base
        heavier = requirement(RATES | {"extreme_move": 3.0, "extreme_weight": 0.5, "offset": 1.0}, lots)
        assert heavier == pytest.approx(1.5 * requirement(RATES | {"offset": 1.0}, lots), abs=3)


def test_the_grid_follows_the_mark() -> None:
    contracts = markets.table(2)
    model = margin.create("portfolio", RATES)
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    before = markets.risk(state, scenarios=True).scenario_pnl
    state.quotes["mark"] = contracts.initial_mark * 2
    markets.publish(state, model, 1)
    after = markets.risk(state, scenarios=True).scenario_pnl
    assert np.abs(after - 2 * before).max() <= 1
    # 2**10 lots lose 6.25 % of their value in the full common move
    assert before[0, 5] == -int(1024 * 5000 * 100 * 0.0625)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"offset": 0.5, "correlation": 0.5}, "exactly one of offset, correlation"),
        ({"offset": 1.5}, "margin.params.offset"),
        ({"moves": [0.5]}, "largest is 1"),
        ({"moves": []}, "margin.params.moves"),
        ({"initial": {"a": 0.1, "b": 0.2}, "maintenance": 0.05}, "one ratio of initial to maintenance"),
    ],
)
def test_grids_that_cannot_be_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        requirement(params, [1, 1])


def test_rates_per_contract_with_one_ratio_are_accepted() -> None:
    params = {"initial": {"a": 0.1, "b": 0.2}, "maintenance": {"a": 0.05, "b": 0.1}, "offset": 1.0}
    assert requirement(params, [0, 4]) == pytest.approx(0.1 * 4 * 5700 * 25, abs=2)


def test_a_grid_may_stand_on_rates_that_follow_volatility() -> None:
    from margin.model import ComposedRule

    contracts = markets.table(2)
    params = margin.presets()["dynamic"].params | {"offset": 0.7}
    model = ComposedRule("dynamic_portfolio", "volatility", "scenarios", params)
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    markets.give(state, {"lots": np.array([[10, 0]])})
    assert int(model.requirement_kernel(state, 0, -1, INITIAL)) == pytest.approx(0.04 * 10 * 5000 * 100, abs=3)
    one_sided = ComposedRule("x", "volatility", "scenarios", params | {"overlays_on": "initial"})
    with pytest.raises(ConfigError, match="overlays_on"):
        one_sided.init(contracts)


def test_too_many_contracts_are_refused() -> None:
    from sim.contracts import Contract, ContractTable

    contracts = ContractTable.of([Contract(name=f"c{i}") for i in range(6)], 60.0, 1440)
    with pytest.raises(ConfigError, match="64 scenarios"):
        margin.create("portfolio").init(contracts)
