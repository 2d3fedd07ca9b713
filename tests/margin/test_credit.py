"""Credit-based margin: a hand-worked example, the line, the call, properties."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from margin.credit import collateral_call
from sim.errors import ConfigError
from sim.kernels import state as layout
from sim.kernels.black76 import black76
from sim.kernels.values import newest_row
from sim.numpy_rules import kept_arrays
from sim.views import portfolio_view
from tests.margin.books import Book, accounts, book, same
from tests.sim import markets as live

DOCS = Path(__file__).parents[2] / "docs" / "portfolios"
Z = NormalDist().inv_cdf(0.99)


def from_file(name: str, **features: float) -> Book:
    file = tomllib.loads((DOCS / name).read_text())
    regime, params = file.pop("regime"), file.pop("params", None)
    file["account"]["features"] |= features
    return book(regime, params, **file)


def test_the_hand_worked_example_of_the_docs() -> None:
    made = from_file("credit.toml")
    answer = made.explain()
    same(made.requirement(), answer)
    # V = 5m x 0.02 - 2m x 0.005; e = 27,500 and -15,000 a day at one sigma, correlation 0.5
    sigma = sqrt(27_500**2 + 15_000**2 - 27_500 * 15_000)
    increase = Z * sigma * sqrt(10)
    assert sigma == pytest.approx(23_848.48, abs=0.01)
    assert made.units(answer.parts["current exposure"]) == 90_000
    assert made.units(answer.parts["potential increase"]) == pytest.approx(increase, abs=1e-4)
    assert made.units(answer.parts["credit line"]) == pytest.approx(-1500 / (0.02 * 0.6))
    assert made.units(answer.initial) == 141_000  # 140,442.72 rounded up to thousands
    assert made.units(answer.maintenance) == pytest.approx(90_000 + 0.75 * increase - 125_000 - 10_000, abs=1e-4)
    # the account holds 60,000: the call is 81,000; its positions' loss is in the requirement, so cash is compared
    assert made.units(made.rule.call(made.snapshot.portfolio, made.risk)) == 81_000
    assert made.units(answer.equity_excluded) == -90_000


def test_a_downgrade_is_a_margin_call() -> None:
    asked = [from_file("credit.toml", default_probability=pd) for pd in (0.005, 0.01, 0.02, 0.04, 0.2, 1.0)]
    initial = [made.units(made.requirement().initial) for made in asked]
    lines = [made.units(made.rule.line(made.snapshot.portfolio, made.risk)) for made in asked]
    assert lines == [500_000, 250_000, 125_000, 62_500, 12_500, 2_500]
    assert initial == [0, 16_000, 141_000, 203_000, 253_000, 263_000]
    calls = [made.units(made.rule.call(made.snapshot.portfolio, made.risk)) for made in asked]
    assert calls == [0, 0, 81_000, 143_000, 193_000, 203_000]


def test_threshold_granted_line_and_transfer() -> None:
    made = from_file("credit.toml", threshold=20_000, default_probability=0.005)
    assert made.units(made.requirement().initial) == 70_000
    assert made.units(made.explain().parts["beyond the threshold"]) == 70_000
    granted = from_file("credit.toml", credit_line=100_000)
    assert granted.units(granted.requirement().initial) == 166_000
    # 135,000 held: 6,000 is missing, which is below the minimum transfer
    small = from_file("credit.toml", collateral_held=135_000)
    assert small.units(small.rule.call(small.snapshot.portfolio, small.risk)) == 0
    assert collateral_call(
        np.array([100, 90, 89]), np.array([50]), np.array([10]), np.array([40]), 25
    ).tolist() == [50, 0, 0]  # fmt: skip


def test_wrong_way_risk_shrinks_the_line() -> None:
    file = tomllib.loads((DOCS / "credit.toml").read_text())
    regime, params = file.pop("regime"), file.pop("params")
    file["account"]["features"]["drawdown"] = 0.5
    made = book(regime, params | {"wrong_way_account": 2.0, "wrong_way_market": 10.0}, **file)
    line = made.rule.line(made.snapshot.portfolio, made.risk)
    assert made.units(line) == pytest.approx(125_000 / 2)
    # the market falls by a tenth from its highest mark: PD x (1 + 1 + 1)
    market = made.snapshot.market
    memory = made.rule.init(made.snapshot.contracts)
    market.mark = (market.mark * 9) // 10
    fallen, _ = made.rule.publish(market, memory)
    assert made.units(made.rule.line(made.snapshot.portfolio, fallen)) == pytest.approx(125_000 / 3, rel=1e-6)


def test_capital_and_settled_variation() -> None:
    file = tomllib.loads((DOCS / "credit.toml").read_text())
    regime, params = file.pop("regime"), file.pop("params")
    file["collateral"] = [{"currency": "USD", "amount": 150_000}]
    file["account"]["features"].pop("threshold")
    made = book(regime, params | {"line_of_capital": 0.5, "variation": "settled", "rounding": 0}, **file)
    # equity 150,000 - 90,000; half of it is the line, and only the potential increase counts
    increase = Z * sqrt(27_500**2 + 15_000**2 - 27_500 * 15_000) * sqrt(10)
    assert made.units(made.requirement().initial) == pytest.approx(increase - 30_000, abs=1e-4)
    assert made.requirement().equity_excluded is None


RETURNS = tuple(0.01 * np.sin(1.7 * np.arange(120) ** 1.3))
OTHER = tuple(0.02 * np.cos(2.3 * np.arange(120) ** 1.2))


def historical(size: float, confidence: float = 0.95, **contract: Any) -> Book:
    return book(
        "credit",
        {"method": "historical", "window": 100, "confidence": confidence, "horizon_days": 1, "expected_loss_limit": 0},
        underlyings=[{"name": "S", "price": 200, "returns": RETURNS, "volatility": 0.5}],
        contracts=[{"name": "x", "underlying": "S"} | contract],
        positions=[{"contract": "x", "size": size}],
    )


def test_historical_loss_at_the_confidence_level() -> None:
    last = np.array(RETURNS[-100:])
    losses = np.sort(-3 * 200 * np.expm1(last))
    made = historical(3)
    same(made.requirement(), made.explain())
    assert made.units(made.requirement().initial) == pytest.approx(losses[94], abs=1e-4)
    # an option is repriced in each scenario; the premium itself is current exposure
    call = {"kind": "linear_option", "strike": 200, "option_type": "call", "days_to_expiry": 2}
    short = historical(-1, **call)
    same(short.requirement(), short.explain())

    def worth(price: float) -> float:
        return float(black76(1, price, 200.0, 2 / 365, 0.5))

    repriced = np.sort([worth(200 * float(np.exp(r))) for r in last])
    assert short.units(short.requirement().initial) == pytest.approx(repriced[94], abs=1e-4)
    delta = book(
        "credit", {"volatility": 0.01, "horizon_days": 1, "expected_loss_limit": 0, "variation": "settled"},
        underlyings=[{"name": "S", "price": 200, "volatility": 0.5}],
        contracts=[{"name": "x", "underlying": "S"} | call],
        positions=[{"contract": "x", "size": -1}],
    )  # fmt: skip
    assert delta.units(delta.requirement().initial) == pytest.approx(Z * 0.01 * 200 * 0.50738, rel=1e-4)


@pytest.mark.parametrize(
    ("params", "features", "words"),
    [
        ({"confidence": 1.0}, {}, "confidence"),
        ({"confidence": 0.3}, {}, "confidence"),
        ({"method": "historical", "window": 50}, {}, "window"),
        ({"haircuts": {"XAU": 0.1}}, {}, "XAU"),
        ({}, {"default_probability": 1.5}, "account.features.default_probability = 1.5"),
        ({}, {"credit_line": -1.0}, "account.features.credit_line"),
    ],
)
def test_bad_input_is_named(params: dict[str, Any], features: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        book(
            "credit", params, account={"features": features},
            underlyings=[{"name": "S", "price": 100, "daily_volatility": 0.02}],
            contracts=[{"name": "x", "underlying": "S"}],
            positions=[{"contract": "x", "size": 1}],
        ).requirement()  # fmt: skip


def test_a_volatility_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"underlyings\.S\.daily_volatility"):
        book("credit", underlyings=[{"name": "S", "price": 100}], contracts=[{"name": "x", "underlying": "S"}],
             positions=[{"contract": "x", "size": 1}])  # fmt: skip


def mixed(method: str) -> Book:
    call = {"kind": "linear_option", "strike": 105, "option_type": "call", "days_to_expiry": 20, "volatility": 0.4}
    return book(
        "credit",
        {"method": method, "window": 100, "expected_loss_limit": 0.05, "minimum_transfer": 1},
        underlyings=[
            {"name": "S", "price": 100, "daily_volatility": 0.02, "returns": RETURNS},
            {"name": "T", "price": 30_000, "daily_volatility": 0.03, "returns": OTHER},
        ],
        contracts=[
            {"name": "s", "underlying": "S"},
            {"name": "call", "underlying": "S"} | call,
            {"name": "t", "underlying": "T"},
            {"name": "coin", "underlying": "T", "kind": "inverse_perpetual", "currency": "T", "multiplier": 10},
        ],
        positions=[{"contract": "s", "size": 1}],
    )


MIXED = {method: mixed(method) for method in ("normal", "historical")}


@pytest.mark.parametrize("method", list(MIXED))
def test_compiled_equals_the_definition_to_the_unit(method: str) -> None:
    random = np.random.default_rng(8)
    lots = random.integers(-9, 10, (40, 4)) * (random.random((40, 4)) < 0.7)
    orders = random.integers(0, 4, (2, 40, 4)) * (random.random((2, 40, 4)) < 0.2)
    view = replace(accounts(MIXED[method], lots, *orders), features={"default_probability": random.random(40)})
    same(MIXED[method].requirement(view), MIXED[method].explain(view))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=4, max_size=4), st.integers(2, 40), st.floats(0, 1), st.floats(0, 1))
def test_properties(held: list[int], scale: int, low: float, high: float) -> None:
    lots = np.array([held, [scale * x for x in held], *np.diag(held).tolist()], np.int64)
    for made in MIXED.values():
        increase = made.rule.increase(accounts(made, lots), lots, made.risk)
        assert abs(increase[1] - scale * increase[0]) <= 4 * scale + 2
        if made.rule.params.method == "normal":  # subadditive
            assert increase[0] <= increase[2:].sum()
        probability = np.array(sorted((low, high)))
        view = replace(accounts(made, lots[[0, 0]]), features={"default_probability": probability})
        answer = made.requirement(view)
        assert (answer.initial >= answer.maintenance).all()
        assert (answer.maintenance >= 0).all()
        assert answer.initial[0] <= answer.initial[1]  # a higher probability of default never asks less


def test_an_order_that_closes_asks_nothing_more() -> None:
    made = MIXED["normal"]
    one = [[10, 0, 0, 0]]
    none, closing, adding = (
        made.requirement(accounts(made, one, buys, sells)).initial[0]
        for buys, sells in (([[0] * 4], [[0] * 4]), ([[0] * 4], [[15, 0, 0, 0]]), ([[5, 0, 0, 0]], [[0] * 4]))
    )
    assert closing == none < adding


def test_the_preset_can_be_made() -> None:
    assert margin.create("credit").parameters["expected_loss_limit"] == 6.0


def test_it_runs_a_market_and_liquidates_there() -> None:
    rule = margin.create("credit", {"horizon_days": 0.1, "line_of_capital": 0.25, "wrong_way_market": 5.0})
    market = live.market(rule)
    market.advance(130)
    one, other = market.fork(), market
    one.advance(20)
    other.advance(20)
    assert one.results_hash() == other.results_hash()
    assert market.state.meta[layout.M_LIQUIDATIONS] > 0
    risk = market.risk_parameters(initial=True)
    risk.arrays |= kept_arrays(market.margin_state, int(newest_row(market.state)))
    view = portfolio_view(market)
    same(rule.requirement(view, risk), rule.explain(view, risk))
    assert 0 < risk.arrays["drawdown"][0] < 1 << 32
