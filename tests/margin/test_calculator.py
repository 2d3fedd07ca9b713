"""The calculator: published examples through the portfolio file, and agreement with the market's evaluators."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from margin.calculator import Result, calculate
from margin.evaluation import evaluate, prepared
from margin.liquidation_price import Leg, bankruptcy_prices, liquidation_prices
from margin.portfolio import Portfolio, load
from sim.errors import ConfigError
from sim.kernels.state import INITIAL, MAINTENANCE
from tests.margin import markets


def perpetual(price: float, size: float, collateral: float | None = None, **position: Any) -> dict[str, Any]:
    file: dict[str, Any] = {
        "underlyings": [{"name": "BTC", "price": price}],
        "contracts": [{"name": "PERP", "underlying": "BTC"}],
        "positions": [{"contract": "PERP", "size": size, **position}],
    }
    return file if collateral is None else file | {"collateral": [{"currency": "USD", "amount": collateral}]}


def inverse(price: float, size: float, **rest: Any) -> dict[str, Any]:
    contract = {"name": "COIN", "underlying": "BTC", "kind": "inverse_perpetual"} | rest.pop("contract", {})
    return {
        "underlyings": [{"name": "BTC", "price": price}],
        "contracts": [contract],
        "positions": [{"contract": "COIN", "size": size} | rest.pop("position", {})],
    } | rest


def rates(initial: float, maintenance: float) -> dict[str, float]:
    return {"initial": initial, "maintenance": maintenance}


def test_t1_through_the_calculator() -> None:
    file = perpetual(20_000, 1, leverage=50)
    mark = calculate(file, "isolated", rates(0.02, 0.005)).positions[0]
    assert mark.margin == pytest.approx(400)
    assert mark.liquidation_price == pytest.approx(19_698.49, abs=1e-2)
    assert mark.bankruptcy_price == pytest.approx(19_600, abs=1e-4)
    entry = calculate(file | {"account": {"mm_basis": "entry"}}, "isolated", rates(0.02, 0.005)).positions[0]
    assert entry.liquidation_price == pytest.approx(19_700, abs=1e-2)


def test_t2_through_the_calculator() -> None:
    cross = inverse(
        8_000, 10_000, contract={"fee_taker": 0.00075}, account={"mm_basis": "entry"},
        collateral=[{"currency": "BTC", "amount": 0.5}],
    )  # fmt: skip
    found = calculate(cross, "cross", rates(0.01, 0.005))
    assert found.currency == "BTC"
    assert found.maintenance == pytest.approx(0.00625, abs=1e-9)
    assert found.positions[0].bankruptcy_price == pytest.approx(5_718.571, abs=1e-3)
    assert found.positions[0].liquidation_price == pytest.approx(5_739.0835, abs=1e-3)
    short = inverse(50_000, -60_000, position={"leverage": 10}, account={"mm_basis": "entry"})
    found = calculate(short, "isolated", rates(0.1, 0.005))
    assert found.positions[0].margin == pytest.approx(0.12, abs=1e-9)
    assert found.positions[0].liquidation_price == pytest.approx(55_248.619, abs=1e-3)
    long = calculate(inverse(7_890.08, 100, position={"leverage": 50}), "isolated", rates(0.02, 0.005))
    assert long.positions[0].bankruptcy_price == pytest.approx(7_735.3725, abs=1e-3)


def test_t6_through_the_calculator() -> None:
    alone = calculate(perpetual(3_000, -3, 1_000), "cross", rates(0.1, 0.05))
    assert alone.positions[0].liquidation_price == pytest.approx(3_174.60, abs=1e-2)
    both = {
        "underlyings": [{"name": "ETH", "price": 3_000}, {"name": "STRK", "price": 1.75}],
        "contracts": [{"name": "ETH-USD", "underlying": "ETH"}, {"name": "STRK-USD", "underlying": "STRK"}],
        "positions": [{"contract": "ETH-USD", "size": -1.5}, {"contract": "STRK-USD", "size": 1_000}],
        "collateral": [{"currency": "USD", "amount": 1_000}],
    }
    by_name = {"initial": {"ETH-USD": 0.1, "STRK-USD": 0.2}, "maintenance": {"ETH-USD": 0.05, "STRK-USD": 0.1}}
    found = calculate(both, "cross", by_name)
    assert found.equity == pytest.approx(1_000)
    assert found.positions[0].liquidation_price == pytest.approx(3_380.95, abs=1e-2)
    assert found.underlyings["ETH"].liquidation_above == pytest.approx(3_380.95, abs=1e-2)


def test_t7_through_the_calculator() -> None:
    for size, expected in ((1, 96_202.53), (-1, 103_703.70)):
        found = calculate(perpetual(100_000, size, leverage=20), "isolated", rates(0.05, 1 / 80))
        assert found.positions[0].liquidation_price == pytest.approx(expected, abs=1e-2)


def test_t7_under_the_preset_of_the_venue() -> None:
    for size, expected in ((1, 96_202.53), (-1, 103_703.70)):
        found = calculate(perpetual(100_000, size, leverage=20), "hyperliquid_isolated")
        assert found.positions[0].margin == pytest.approx(5_000)
        assert found.positions[0].initial == pytest.approx(5_000, abs=1e-4)
        assert found.positions[0].liquidation_price == pytest.approx(expected, abs=1e-2)


def test_a_chosen_leverage_sets_initial_and_not_maintenance() -> None:
    at = {lever: calculate(perpetual(100, 100, 5_000, leverage=lever), "hyperliquid") for lever in (5, 10)}
    assert [at[lever].initial for lever in (5, 10)] == pytest.approx([2_000, 1_000], abs=1e-3)
    assert at[5].maintenance == at[10].maintenance


def test_liquidation_prices_across_tiers() -> None:
    tiers = [(50e3, 0.004), (250e3, 0.005), (1e6, 0.01), (10e6, 0.025), (20e6, 0.05)]
    for size in (-3, 5, 20, -150):
        cash = abs(size) * 3_000.0
        found = calculate(perpetual(60_000, size, cash), "binance_tiers")
        exact = liquidation_prices([Leg(size, 60_000, tiers)], cash)
        expected = exact.below if size > 0 else exact.above
        assert found.positions[0].liquidation_price == pytest.approx(expected, rel=1e-6)


def option(**changes: Any) -> dict[str, Any]:
    terms = {
        "name": "CALL", "underlying": "BTC", "kind": "linear_option", "strike": 110, "option_type": "call",
        "days_to_expiry": 30, "volatility": 0.6,
    }  # fmt: skip
    return {
        "underlyings": [{"name": "BTC", "price": 100}],
        "contracts": [{"name": "PERP", "underlying": "BTC"}, terms | changes],
        "positions": [{"contract": "PERP", "size": 1}, {"contract": "CALL", "size": -1}],
        "collateral": [{"currency": "USD", "amount": 30}],
    }


def test_options_are_worth_black_76_and_count_in_equity() -> None:
    found = calculate(option(), "static")
    from sim.kernels.black76 import black76

    value = black76(1, 100.0, 110.0, 30 / 365, 0.6)
    assert found.equity == pytest.approx(30 - value, abs=1e-7)
    assert found.positions[1].mark == pytest.approx(value, abs=1e-7)
    assert found.positions[1].profit == pytest.approx(0.0, abs=1e-7)  # entered at the mark


def short_call(price: float) -> float:
    """Charge of the call struck at 110 at a rate of 2 %, beside its value, which is booked."""
    return max(0.02 * price - max(110.0 - price, 0.0), 0.01 * price)


def test_liquidation_prices_revalue_options() -> None:
    found = calculate(option(), "static", rates(0.04, 0.02))
    from sim.kernels.black76 import black76

    for price in (found.underlyings["BTC"].liquidation_below, found.underlyings["BTC"].liquidation_above):
        if price is None:
            continue
        value = black76(1, price, 110.0, 30 / 365, 0.6)
        now = black76(1, 100.0, 110.0, 30 / 365, 0.6)
        assert 30 + (price - 100) - value == pytest.approx(0.02 * price + short_call(price), abs=1e-6)
        assert now > 0
    assert found.underlyings["BTC"].liquidation_below is not None


def test_an_option_whose_mark_is_given_moves_at_the_volatility_that_it_implies() -> None:
    from sim.kernels.black76 import black76

    mark = float(black76(1, 100.0, 110.0, 30 / 365, 0.9))
    found = calculate(option(mark=mark, volatility=0.6), "static", rates(0.04, 0.02))
    price = found.underlyings["BTC"].liquidation_below
    assert price is not None
    value = black76(1, price, 110.0, 30 / 365, 0.9)
    assert 30 - mark + mark - value + (price - 100) == pytest.approx(0.02 * price + short_call(price), abs=1e-5)


def test_collateral_in_coins_falls_with_the_price_and_has_a_haircut() -> None:
    file = perpetual(50_000, 1) | {
        "collateral": [{"currency": "USD", "amount": 1_000}, {"currency": "BTC", "amount": 0.2, "haircut": 0.1}]
    }
    found = calculate(file, "cross", rates(0.1, 0.05))
    assert found.equity == pytest.approx(11_000)
    assert found.margin_equity == pytest.approx(1_000 + 9_000)
    assert found.excess == pytest.approx(10_000 - 5_000, abs=1e-4)
    assert [c.counted for c in found.collateral] == pytest.approx([1_000, 9_000])
    price = found.positions[0].liquidation_price
    assert price is not None
    assert 1_000 + 0.18 * price + price - 50_000 == pytest.approx(0.05 * price, abs=1e-3)


def test_a_debt_in_a_coin_counts_in_full() -> None:
    file = perpetual(100, 1) | {
        "collateral": [{"currency": "USD", "amount": 500}, {"currency": "BTC", "amount": -2, "haircut": 0.5}]
    }
    assert calculate(file, "static").margin_equity == pytest.approx(300)


def test_an_account_below_maintenance_learns_where_it_would_be_whole() -> None:
    found = calculate(perpetual(100, 10, 10), "static", rates(0.04, 0.02))
    assert found.maintenance_excess == pytest.approx(-10, abs=1e-5)
    assert any("below maintenance" in note for note in found.notes)
    assert found.underlyings["BTC"].liquidation_above == pytest.approx(
        liquidation_prices([Leg(10, 100, 0.02)], 10).below, rel=1e-7
    )


def test_isolated_pockets() -> None:
    file = perpetual(100, 10, 1_000, entry=90)
    default = calculate(file, "isolated", rates(0.1, 0.05))
    assert default.positions[0].margin == pytest.approx(90, abs=1e-5)
    assert default.equity == pytest.approx(1_100)  # the pocket comes out of the wallet
    given_ = calculate(perpetual(100, 10, 1_000, entry=90, margin=200), "isolated", rates(0.1, 0.05))
    assert given_.positions[0].margin == pytest.approx(200)
    assert given_.equity == pytest.approx(1_300)
    in_cross = calculate(perpetual(100, 10, 1_000, entry=90, margin=200), "cross", rates(0.1, 0.05))
    assert in_cross.equity == pytest.approx(1_300)
    assert in_cross.positions[0].margin is None


def test_orders_reserve_what_they_add() -> None:
    file = perpetual(100, 10, 1_000) | {
        "orders": [
            {"contract": "PERP", "side": "buy", "size": 5, "price": 101},
            {"contract": "PERP", "side": "sell", "size": 3},
        ]
    }
    found = calculate(file, "cross", rates(0.1, 0.05))
    # 15 lots at 10 % and 5 bought one above the mark, against 10 lots held
    assert found.initial == pytest.approx(150 + 5, abs=1e-5)
    assert found.parts["open_orders"] == pytest.approx(55, abs=1e-5)
    assert [order.reserve for order in found.orders] == pytest.approx([55, 0], abs=1e-5)
    assert found.excess == pytest.approx(1_000 - 155, abs=1e-5)


def test_volatility_starts_from_the_portfolio() -> None:
    file = perpetual(100, 1, 50)
    file["underlyings"][0]["daily_volatility"] = 0.03
    found = calculate(file, "dynamic_daily")
    assert found.initial == pytest.approx(100 * 2.326347874 * 0.03 * 2**0.5, rel=1e-6)
    assert any("volatility starts" in note for note in found.notes)
    returns = dict(file["underlyings"][0], returns=[0.01, -0.02, 0.005])
    del returns["daily_volatility"]
    measured = calculate(file | {"underlyings": [returns]}, "dynamic_daily")
    assert measured.initial == pytest.approx(found.initial * (5.25e-4 / 3) ** 0.5 / 0.03, rel=1e-6)
    fixed = calculate(file, "dynamic_daily", {"initial_rate": 0.07})
    assert fixed.initial == pytest.approx(7.0, rel=1e-6)


def test_the_file_names_the_regime_and_its_parameters() -> None:
    file = perpetual(100, 1, 50) | {"regime": "cross", "params": rates(0.3, 0.2)}
    assert calculate(file).initial == pytest.approx(30, abs=1e-6)
    assert calculate(file, params={"initial": 0.5}).initial == pytest.approx(50, abs=1e-6)
    other = calculate(file, "static")
    assert other.initial == pytest.approx(4, abs=1e-6)
    assert any("left aside" in note for note in other.notes)


@st.composite
def files(draw: st.DrawFn) -> Portfolio:
    """Portfolios of up to three linear contracts, with orders and cash."""
    count = draw(st.integers(1, 3))
    money = st.decimals(Decimal("0.5"), Decimal(90_000), places=2)
    names = "ABC"[:count]
    held = draw(st.lists(st.sampled_from(names), min_size=1, max_size=count, unique=True))
    sizes = st.decimals(Decimal(-50), Decimal(50), places=2).filter(bool)
    orders = draw(st.lists(st.sampled_from(names), max_size=3))
    return load(
        {
            "underlyings": [{"name": f"U{name}", "price": draw(money)} for name in names],
            "contracts": [
                {"name": name, "underlying": f"U{name}", "multiplier": draw(st.sampled_from(["1", "0.1", "10"]))}
                for name in names
            ],
            "positions": [{"contract": name, "size": draw(sizes), "entry": draw(money)} for name in held],
            "orders": [
                {
                    "contract": name, "side": draw(st.sampled_from(["buy", "sell"])), "size": abs(draw(sizes)),
                    "price": draw(money),
                }
                for name in orders
            ],
            "collateral": [{"currency": "USD", "amount": draw(money)}],
        }
    )  # fmt: skip


def in_market(portfolio: Portfolio, model: Any) -> Any:
    """The portfolio as account 0 of a market's arrays."""
    snapshot = portfolio.snapshot()
    state = markets.market(snapshot.contracts, traders=1)
    state.quotes["mark"] = snapshot.portfolio.mark
    markets.install(state, 0, model, snapshot.contracts)
    markets.publish(state, model, 0)
    view = snapshot.portfolio
    columns = ("lots", "open_buy", "open_sell", "loss_buy", "loss_sell")
    markets.give(state, {name: getattr(view, name) for name in columns})
    return state


@pytest.mark.parametrize("name", ["static", "cross", "isolated", "portfolio"])
@settings(max_examples=40)
@given(portfolio=files(), initial=st.floats(0.001, 1.0), share=st.floats(0.1, 1.0))
def test_the_calculator_asks_what_the_market_asks(
    name: str, portfolio: Portfolio, initial: float, share: float
) -> None:
    model = margin.create(name, rates(initial, initial * share))
    portfolio = prepared(portfolio, model)
    found = evaluate(portfolio, model)
    state = in_market(portfolio, model)
    kernel = model.requirement_kernel
    assert int(found.answer.initial[0]) == int(kernel(state, 0, -1, INITIAL))
    assert int(found.answer.maintenance[0]) == int(kernel(state, 0, -1, MAINTENANCE))
    assert sum(found.parts.values()) == found.initial
    assert sum(found.maintenance_parts.values()) == found.maintenance


@settings(max_examples=15)
@given(
    price=st.floats(0.01, 1e5), leverage=st.floats(1.5, 50), side=st.sampled_from([1, -1]), coin=st.booleans(),
    size=st.decimals(Decimal("0.01"), Decimal(1000), places=2), basis=st.sampled_from(["mark", "entry"]),
)  # fmt: skip
def test_the_search_agrees_with_the_closed_form(
    price: float, leverage: float, side: int, coin: bool, size: Decimal, basis: str
) -> None:
    price = round(price, 2)
    at = rates(1 / leverage, 0.4 / leverage)
    signed = side * float(size)
    account = {"account": {"mm_basis": basis}}
    file = (
        inverse(price, signed, position={"leverage": leverage}) if coin else perpetual(price, signed, leverage=leverage)
    )
    result = calculate(file | account, "isolated", at)
    held, per_unit = result.positions[0], result.minor_units["per_unit"]
    value = float(size) / price if coin else float(size) * price
    leg, pocket = Leg(signed, price, at["maintenance"]), value / leverage
    liquidation = liquidation_prices([leg], pocket, mm_basis=basis, inverse=coin)
    bankruptcy = bankruptcy_prices([leg], pocket, inverse=coin)
    pairs = (
        (held.liquidation_price, liquidation.below if side > 0 else liquidation.above),
        (held.bankruptcy_price, bankruptcy.below if side > 0 else bankruptcy.above),
    )
    for searched, exact in pairs:
        if exact is None or exact > 900 * price:
            assert searched is None or searched > 900 * price
        else:
            # amounts of a tiny position are whole minor units
            assert searched == pytest.approx(exact, rel=1e-5 + 4.0 / (value * per_unit))


def test_every_number_is_json() -> None:
    import json

    found = calculate(perpetual(100, 1, 50), "portfolio")
    assert isinstance(found, Result)
    text = json.dumps(found.as_dict(), allow_nan=False)
    assert json.loads(text)["scenarios"]


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"regime": "statik"}, "regime", "statik"),
        ({"params": {"initial": 2.0}}, "params.initial", 2.0),
        ({"params": {"rate": 0.1}}, "params.rate", 0.1),
        ({"collateral": [{"currency": "DOGE", "amount": 5}]}, "collateral.0.price", None),
    ],
)
def test_bad_input_names_key_and_value(change: dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        calculate(perpetual(100, 1, 50) | {"regime": "static"} | change)
    problem = caught.value.problems[0]
    assert (problem.key, problem.value) == (key, value)


def test_no_regime_is_an_error_that_lists_them() -> None:
    with pytest.raises(ConfigError, match=r"one of .*cross.*static"):
        calculate(perpetual(100, 1, 50))


def test_a_rule_that_cannot_margin_a_contract_says_so_in_one_line() -> None:
    names = [{"name": f"P{i}", "underlying": "BTC"} for i in range(9)]
    file = perpetual(100, 1, 50) | {"contracts": names, "positions": [{"contract": "P1", "size": 1}]}
    with pytest.raises(ConfigError) as caught:
        calculate(file, "portfolio")
    assert len(str(caught.value).splitlines()) == 1


def test_arrays_of_every_account_stay_apart() -> None:
    # the requirement of each position alone is asked for in one batch
    found = calculate(option(), "static", rates(0.04, 0.02))
    assert np.isclose(sum(p.maintenance for p in found.positions), found.maintenance, atol=1e-6)
