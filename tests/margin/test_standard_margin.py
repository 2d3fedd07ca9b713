"""Standard margin of Deribit, Aevo and Derive: published numbers, definitions, properties."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ConfigError
from tests.margin.books import Book, accounts, book, same

COIN = {"name": "BTC", "price": 100_000, "volatility": 0.6}


def option(kind: str, side: str, strike: float, mark: float, days: float = 30, **more: Any) -> dict[str, Any]:
    name = f"{side[0].upper()}{strike:g}@{days:g}"
    terms = {
        "kind": kind,
        "underlying": "BTC",
        "option_type": side,
        "strike": strike,
        "mark": mark,
        "days_to_expiry": days,
    }
    return {"name": name, **terms, "currency": "BTC" if kind == "inverse_option" else "USD", **more}


def one(regime: str, terms: dict[str, Any], size: float, currency: str = "USD", **params: Any) -> Book:
    return book(
        regime,
        params,
        account={"currency": currency},
        underlyings=[COIN],
        contracts=[terms],
        positions=[{"contract": terms["name"], "size": size}],
        collateral=[{"currency": "USD", "amount": 0, "price": "0.00001"}] if currency == "BTC" else [],
    )


T8 = [
    ("call", 110_000, 0.02, 0.12, 0.095),
    ("call", 102_000, 0.05, 0.18, 0.125),
    ("put", 95_000, 0.03, 0.13, 0.105),
    ("put", 250_000, 1.5, 1.65, 1.6125),
]


@pytest.mark.parametrize(("side", "strike", "mark", "initial", "maintenance"), T8)
def test_t8_deribit_inverse_options(side: str, strike: float, mark: float, initial: float, maintenance: float) -> None:
    made = one("deribit_sm", option("inverse_option", side, strike, mark), -1, "BTC")
    answer = made.requirement()
    assert made.units(answer.initial) == pytest.approx(initial, abs=1e-6)
    assert made.units(answer.maintenance) == pytest.approx(maintenance, abs=1e-6)
    # in an account that is kept in dollars, the coins are worth their price
    dollars = one("deribit_sm", option("inverse_option", side, strike, mark), -2.5)
    assert dollars.units(dollars.requirement().initial) == pytest.approx(2.5 * 100_000 * initial, abs=1e-3)
    # the linear option of the same price in quote asks spot times as much
    linear = one("deribit_sm", option("linear_option", side, strike, mark * 100_000), -1)
    assert linear.units(linear.requirement().initial) == pytest.approx(100_000 * initial, abs=1e-6)
    assert linear.units(linear.requirement().maintenance) == pytest.approx(100_000 * maintenance, abs=1e-6)


@pytest.mark.parametrize(("size", "initial", "maintenance"), [(25, 53_125, 28_125), (-350, 1_312_500, 962_500)])
def test_t8_deribit_futures_grow_with_their_size(size: float, initial: float, maintenance: float) -> None:
    made = one("deribit_sm", {"name": "perp", "underlying": "BTC"}, size)
    assert made.units(made.requirement().initial) == pytest.approx(initial, abs=1e-6)
    assert made.units(made.requirement().maintenance) == pytest.approx(maintenance, abs=1e-6)
    inverse = {"name": "inverse", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC", "multiplier": 10}
    coins = one("deribit_sm", inverse, size * 10_000, "BTC")
    assert coins.units(coins.requirement().initial) == pytest.approx(initial / 100_000, abs=1e-6)


def test_long_options_need_no_margin_and_aevo_keeps_more() -> None:
    long = one("deribit_sm", option("inverse_option", "call", 110_000, 0.02), 3, "BTC")
    assert long.units(long.requirement().initial) == 0
    assert long.units(long.requirement().equity_excluded) == pytest.approx(0.06)
    aevo = one("aevo_sm", option("linear_option", "call", 110_000, 2_000), -1)
    assert aevo.units(aevo.requirement().maintenance) == pytest.approx(12_000)
    with pytest.raises(ConfigError, match="perp"):
        one("aevo_sm", {"name": "perp", "underlying": "BTC"}, 1)
    with pytest.raises(ConfigError, match=r"coin\.kind"):
        one("deribit_sm", {"name": "coin", "kind": "spot", "underlying": "BTC"}, 1)


def derive(legs: list[tuple[str, float, float, float]], **more: Any) -> Book:
    contracts = [option("linear_option", side, strike, mark, **more) for side, strike, mark, _ in legs]
    return book(
        "derive_sm",
        underlyings=[COIN],
        contracts=contracts,
        positions=[{"contract": c["name"], "size": leg[3]} for c, leg in zip(contracts, legs, strict=True)],
    )


@pytest.mark.parametrize(
    ("legs", "initial", "maintenance"),
    [
        # alone: call max(15 % - 10 %, 13 %) S + m; 9 % S + m
        ([("call", 110_000, 2_000, -1)], 15_000, 11_000),
        # put: 1.05 times maintenance binds deep in the money, 9 % of its mark over 9 % of spot
        ([("put", 250_000, 150_000, -1)], 1.05 * (13_500 + 150_000), 163_500),
        # credit spread: its width; debit spread: nothing
        ([("call", 100_000, 5_000, -1), ("call", 104_000, 3_500, 1)], 4_000, 4_000),
        ([("call", 100_000, 5_000, 1), ("call", 104_000, 3_500, -1)], 0, 0),
        # iron condor: one side can lose
        ([("put", 90_000, 900, 1), ("put", 92_000, 1_200, -1), ("call", 108_000, 1_300, -1),
          ("call", 111_000, 900, 1)], 3_000, 3_000),
        # ratio spread: alone, 2 (15 % S + m), against the net short call at 1.2 F and no loss below
        ([("call", 100_000, 5_000, 1), ("call", 104_000, 3_500, -2)], 2 * (13_000 + 3_500), 2 * (9_000 + 3_500)),
    ],
)  # fmt: skip
def test_derive_expiry_is_the_better_of_two(legs: Any, initial: float, maintenance: float) -> None:
    made = derive(legs)
    same(made.requirement(), made.explain())
    assert made.units(made.requirement().initial) == pytest.approx(initial, abs=1e-6)
    assert made.units(made.requirement().maintenance) == pytest.approx(maintenance, abs=1e-6)


def test_derive_net_short_calls_beside_the_largest_loss() -> None:
    # alone: 2 x (15 % S + m) = 2 x 105,000; together: 2 x 1,000 at the upper strike + 1.2 F for one call
    made = derive([("call", 10_000, 90_000, -2), ("call", 11_000, 89_000, 1)])
    same(made.requirement(), made.explain())
    assert made.units(made.requirement().initial) == pytest.approx(120_000 + 2_000, abs=1e-6)
    assert made.units(made.requirement().maintenance) == pytest.approx(110_000 + 2_000, abs=1e-6)
    assert "largest loss: C10000@30 / C11000@30" in made.explain().parts


def test_derive_perpetual_and_coin() -> None:
    made = book(
        "derive_sm",
        underlyings=[COIN],
        contracts=[{"name": "perp", "underlying": "BTC"}, {"name": "coin", "kind": "spot", "underlying": "BTC"}],
        positions=[{"contract": "perp", "size": -2}, {"contract": "coin", "size": 1}],
    )
    same(made.requirement(), made.explain())
    assert made.units(made.requirement().initial) == pytest.approx(20_000 + 25_000)
    assert made.units(made.requirement().maintenance) == pytest.approx(13_000 + 20_000)


@pytest.mark.parametrize(
    ("name", "initial", "maintenance", "parts"),
    [
        ("deribit_sm", 2.25125, 1.65125, [1.2, 0.52, 0.53125]),
        ("derive_sm", 8_250, 6_930, [3_000, 2_550, 1_200, 1_500]),
    ],
)
def test_the_worked_examples_of_the_docs(name: str, initial: float, maintenance: float, parts: list[float]) -> None:
    file = tomllib.loads((Path(__file__).parents[2] / "docs" / "portfolios" / f"{name}.toml").read_text())
    made = book(file.pop("regime"), **file)
    same(made.requirement(), made.explain())
    assert made.units(made.requirement().initial) == pytest.approx(initial, abs=1e-8)
    assert made.units(made.requirement().maintenance) == pytest.approx(maintenance, abs=1e-8)
    found = [made.units(part) for part in made.explain().parts.values() if part[0] > 1]
    assert found == pytest.approx(parts, abs=1e-8)


def surface(kind: str) -> list[dict[str, Any]]:
    return [
        option(kind, side, strike, round(mark / (100_000 if kind == "inverse_option" else 1), 4), days)
        for side in ("call", "put")
        for strike, mark in ((90_000, 11_321.5), (100_000, 5_002.3), (110_000, 1_777.7))
        for days in (7, 30)
    ]


PERP = {"name": "perp", "underlying": "BTC"}
INVERSE = {"name": "inverse", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC", "multiplier": 10}
MARKETS = {
    "derive_sm": book(
        "derive_sm", underlyings=[COIN], contracts=[*surface("linear_option"), PERP],
        positions=[{"contract": "perp", "size": "0.1"}],
    ),
    "deribit_sm": book(
        "deribit_sm", underlyings=[COIN], contracts=[*surface("inverse_option"), INVERSE],
        positions=[{"contract": "inverse", "size": 1}],
    ),
}  # fmt: skip
CONTRACTS = 13


@pytest.mark.parametrize("regime", list(MARKETS))
def test_compiled_equals_the_definition_to_the_unit(regime: str) -> None:
    random = np.random.default_rng(6)
    lots = random.integers(-9, 10, (80, CONTRACTS)) * (random.random((80, CONTRACTS)) < 0.4)
    orders = random.integers(0, 4, (2, 80, CONTRACTS)) * (random.random((2, 80, CONTRACTS)) < 0.1)
    view = accounts(MARKETS[regime], lots, *orders)
    same(MARKETS[regime].requirement(view), MARKETS[regime].explain(view))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=CONTRACTS, max_size=CONTRACTS),
    st.integers(0, CONTRACTS - 2),
    st.integers(2, 30),
    st.sampled_from(list(MARKETS)),
)
def test_properties(held: list[int], bought: int, scale: int, regime: str) -> None:
    made = MARKETS[regime]
    lots = np.array(held, np.int64)
    longer = lots.copy()
    longer[bought] += 1 if lots[bought] >= 0 else 0
    single = np.diag(lots)
    options = lots.copy()
    options[-1] = 0  # futures grow faster than their size
    answer = made.requirement(accounts(made, np.vstack([lots, longer, options, options * scale, single])))
    for amount in (answer.initial, answer.maintenance):
        assert amount[0] >= 0
        assert amount[1] <= amount[0]
        assert abs(amount[3] - scale * amount[2]) <= 2 * scale
        assert amount[0] <= amount[4:].sum()
