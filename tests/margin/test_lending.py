"""Lending markets: health, close factor, seized collateral."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin import lending


def test_t15_health_factor() -> None:
    assert lending.health_factor([10_000], [0.8], 6_000) == pytest.approx(1.3333, abs=1e-4)


@pytest.mark.parametrize(("health", "part"), [(1.0, 0.0), (0.96, 0.5), (0.9501, 0.5), (0.95, 1.0), (0.94, 1.0)])
def test_t15_close_factor(health: float, part: float) -> None:
    assert lending.close_factor(health) == part


def test_t15_toxic_loan_to_value() -> None:
    assert lending.toxic_ltv(0.05) == pytest.approx(0.9524, abs=1e-4)


def test_health_adds_up_over_collaterals_and_debt_may_be_none() -> None:
    assert lending.health_factor([1_000, 2_000], [0.8, 0.5], 1_200) == pytest.approx(1.5)
    assert lending.health_factor([1.0], [0.8], 0.0) == float("inf")
    with pytest.raises(ValueError, match="2 collaterals, but 1 thresholds"):
        lending.health_factor([1.0, 2.0], [0.8], 1.0)


@given(st.floats(0.01, 0.3), st.floats(0.3, 1.5), st.floats(0.01, 0.5))
def test_a_liquidation_worsens_the_loan_to_value_exactly_above_the_toxic_one(
    bonus: float, ltv: float, part: float
) -> None:
    collateral, debt = 1_000.0, 1_000.0 * ltv
    repaid = part * min(debt, collateral / (1 + bonus)) * 0.9
    taken, protocol = lending.seized(repaid, 1.0, 1.0, bonus, 0.1)
    assert taken + protocol == pytest.approx(repaid * (1 + bonus))
    after = (debt - repaid) / (collateral - taken - protocol)
    if abs(ltv - lending.toxic_ltv(bonus)) > 1e-9:
        assert (after > ltv) == (ltv > lending.toxic_ltv(bonus))
