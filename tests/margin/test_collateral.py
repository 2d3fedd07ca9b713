from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.collateral import CollateralParameters, currency_equity, haircuts, margin_equity
from sim.errors import ConfigError
from sim.interfaces import PortfolioView
from tests.margin import markets

ONE = 1 << 32
amounts = st.integers(-(1 << 50), 1 << 50)


def account(cash: list[list[int]], conversion: list[int], lots: Any = None, cost: Any = None) -> PortfolioView:
    """Accounts with cash in several currencies; contract a settles in the first, contract b in the last."""
    table = replace(
        markets.table(2),
        currencies=tuple("XYZ"[: len(conversion)]),
        currency=np.array([0, len(conversion) - 1]),
        minor=np.full(len(conversion), 100.0),
    )
    rows = len(cash)
    nothing = np.zeros((rows, 2), np.int64)
    wallets = np.array(cash, np.int64)
    return PortfolioView(
        table, table.initial_mark, nothing if lots is None else lots, nothing if cost is None else cost,
        np.column_stack([wallets[:, :1], nothing]), nothing, nothing, nothing, nothing,
        wallets=wallets, conversion=np.array(conversion, np.int64),
    )  # fmt: skip


def slow(owned: list[int], conversion: list[int], cut: list[int]) -> int:
    """Sum of converted equities, less the haircut of each that is positive."""
    total = 0
    for amount, price, part in zip(owned, conversion, cut, strict=True):
        counted = Fraction(ONE - part, ONE) if amount > 0 else Fraction(1)
        total += floor(Fraction(amount) * Fraction(price, ONE) * counted)
    return total


@given(
    cash=st.lists(st.lists(amounts, min_size=3, max_size=3), min_size=1, max_size=4),
    prices=st.lists(st.integers(1, 1 << 40), min_size=2, max_size=2),
    cuts=st.lists(st.integers(0, ONE), min_size=2, max_size=2),
    lots=st.integers(-1000, 1000),
)
def test_equals_a_slow_reference_to_the_unit(
    cash: list[list[int]], prices: list[int], cuts: list[int], lots: int
) -> None:
    held = np.full((len(cash), 2), lots)
    portfolio = account(cash, [ONE, *prices], lots=held, cost=held * 499_000)
    own = currency_equity(portfolio).tolist()
    assert own[0][1] == cash[0][1]
    assert own[0][2] == cash[0][2] + lots * (5700 * 25 - 499_000)
    expected = [slow(row, [ONE, *prices], [0, *cuts]) for row in own]
    assert margin_equity(portfolio, np.array([0, *cuts])).tolist() == expected


@given(cash=amounts, price=st.integers(1, 1 << 40), cut=st.integers(0, ONE), more=st.integers(0, 1 << 40))
def test_never_above_the_value_and_never_falls_when_cash_comes_in(cash: int, price: int, cut: int, more: int) -> None:
    poor, rich = account([[0, cash]], [ONE, price]), account([[0, cash + more]], [ONE, price])
    assert margin_equity(poor, [0, cut])[0] <= margin_equity(poor, [0])[0] == floor(Fraction(cash * price, ONE))
    assert margin_equity(poor, [0, cut])[0] <= margin_equity(rich, [0, cut])[0]


@given(amount=st.integers(1, 1 << 45), cut=st.floats(0.0, 0.5), factor=st.floats(0.0, 0.01))
def test_a_size_haircut_follows_drifts_weight(amount: int, cut: float, factor: float) -> None:
    units = np.array([0, round(cut * ONE)]), np.array([0, round(factor * ONE)])
    found = margin_equity(account([[0, amount]], [ONE, ONE]), *units)[0]
    weight = min(1.0 - cut, 1.1 / (1.0 + units[1][1] / ONE * sqrt(amount / 100.0)) if units[1][1] else 1.0)
    assert found == pytest.approx(amount * weight, abs=2 + amount * 1e-9)


def test_worked_by_hand() -> None:
    """1,000.00 of the account currency, 2 coins at 300.00 less an eighth, and a whole debt of 1 coin at 50.00."""
    portfolio = account([[100_000, 200, -100]], [ONE, 300 * ONE, 50 * ONE])
    cut = np.array([0, ONE // 8, ONE // 2])
    assert margin_equity(portfolio, cut)[0] == 100_000 + 52_500 - 5_000
    assert margin_equity(portfolio, [0])[0] == 100_000 + 60_000 - 5_000


def test_haircuts_by_currency() -> None:
    table = account([[0, 0]], [ONE, ONE]).contracts
    found = haircuts(CollateralParameters(haircut={"Y": 0.25, "unused": 0.5}), table)
    assert found["haircut"].tolist() == [0, ONE // 4]
    assert found["haircut_size"].tolist() == [0, 0]
    with pytest.raises(ConfigError, match="which counts in full"):
        haircuts(CollateralParameters(haircut={"X": 0.25}), table)
