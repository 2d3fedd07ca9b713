"""Options under rate rules and the scenario grid: worked examples, and three forms of one charge that agree."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from margin import batch, netting
from margin.kernels import requirement
from sim.contracts import Contract, ContractTable, contract_records
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels import charges, marks
from sim.kernels import state as s
from sim.kernels.black76 import black76
from tests.margin import markets

ACCOUNTS = 3
STEPS_PER_DAY = 1440
EXPIRY = 30 * STEPS_PER_DAY
# ticks of 1 and cents: a lot of the perpetual moves 100 cents a tick, options are quoted in tenths
LINEAR = (
    Contract(name="P", initial_price=5000, tick_value=100),
    *(
        Contract(
            name=f"{kind}{strike}", kind="linear_option", underlying="P", tick_size=0.1, tick_value=10,
            initial_price=500, strike=strike, option_type=kind, expiry_step=EXPIRY, volatility=0.8,
        )
        for kind, strike in (("call", 5500), ("put", 4500), ("call", 4000), ("put", 5000))
    ),
)  # fmt: skip
COIN = (
    Contract(name="I", kind="inverse_perpetual", currency="BTC", initial_price=5000, tick_value=10**10),
    *(
        Contract(
            name=f"{kind}{strike}", kind="inverse_option", underlying="BTC", currency="BTC", tick_size=0.0001,
            tick_value=10_000, initial_price=500, strike=strike, option_type=kind, expiry_step=EXPIRY, volatility=0.8,
        )
        for kind, strike in (("call", 5500), ("put", 4500), ("call", 4000), ("put", 5000))
    ),
)  # fmt: skip
MARKETS = {"linear": LINEAR, "coin": COIN}
TIERS = {
    "tiers": [
        {"floor": 0.0, "maintenance": 0.05, "max_leverage": 10},
        {"floor": 20_000.0, "maintenance": 0.1, "max_leverage": 5},
    ]
}


def prepared(contracts: tuple[Contract, ...], price: int, regime: str, params: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A state with every mark read at a price of the underlying in sub-ticks, the rule and the table."""
    table = ContractTable.of(contracts, 60.0, STEPS_PER_DAY)
    state = markets.market(table, traders=ACCOUNTS)
    state.contracts[:] = contract_records(contracts, STEPS_PER_DAY)
    state.quotes["index"] = state.quotes["mark"] = price
    marks.set_option_indexes(state)
    option = table.is_option
    state.quotes["mark"][option] = state.quotes["index"][option]
    model = margin.create(regime, params)
    state.meta[s.M_LAYOUT] = s.ISOLATED if model.layout == "isolated" else s.CROSS
    markets.install(state, 0, model, table)
    markets.publish(state, model, 0)
    state.rate_maintenance[:] = state.rate_maintenance[0]
    return state, model, table


def alone(contracts: tuple[Contract, ...], price: float, c: int, lots: int, rate: float, which: int) -> int:
    state, _, _ = prepared(contracts, round(price * 16), "static", {"initial": rate, "maintenance": rate})
    markets.give(state, {"lots": np.array([[lots if k == c else 0 for k in range(len(contracts))]])})
    return int(requirement.cross(state, 0, -1, which))


@pytest.mark.parametrize("which", [s.INITIAL, s.MAINTENANCE])
@pytest.mark.parametrize(
    ("c", "expected"),
    [
        (1, 0.20 * 5000 - 500),  # call, 500 out of the money: 1000 - 500, at least 500
        (2, 0.20 * 5000 - 500),  # put, 500 out of the money: at least 10 % of its strike, 450
        (3, 0.20 * 5000),  # call in the money
        (4, 0.20 * 5000),  # put at the money
    ],
)
def test_a_short_option_is_charged_a_part_of_its_underlying(c: int, expected: float, which: int) -> None:
    """Cboe Rule 10.3 at 20 % and 10 %, less the premium, which equity has booked."""
    assert alone(LINEAR, 5000.0, c, -1, 0.2, which) == round(expected * 100)


def test_the_floor_is_half_of_the_rate_on_the_underlying_of_a_call_and_on_the_strike_of_a_put() -> None:
    assert alone(LINEAR, 4000.0, 1, -3, 0.2, s.MAINTENANCE) == 3 * 40_000  # 800 - 1500 is below 10 % of 4000
    assert alone(LINEAR, 6000.0, 2, -3, 0.2, s.MAINTENANCE) == 3 * 45_000  # 1200 - 1500 is below 10 % of 4500


def test_in_coin_a_short_option_is_charged_a_part_of_the_coin() -> None:
    coin = 10_000 * 10_000  # minor units that a lot pays per coin
    assert alone(COIN, 5000.0, 3, -2, 0.2, s.MAINTENANCE) == 2 * coin // 5
    assert alone(COIN, 5000.0, 1, -1, 0.2, s.MAINTENANCE) == coin // 5 - coin // 10
    assert alone(COIN, 6000.0, 2, -1, 0.2, s.MAINTENANCE) == -(-coin * 4500 // (6000 * 10))  # 10 % of K / S


@given(price=st.integers(40_000, 160_000), c=st.integers(1, 4), lots=st.integers(1, 2_000))
def test_a_long_option_is_paid_in_full_and_worth_nothing_as_collateral(price: int, c: int, lots: int) -> None:
    state, _, _ = prepared(LINEAR, price, "static", {"initial": 0.1, "maintenance": 0.05})
    value = int(state.quotes["mark"][c]) * lots * 10 // 16
    assert alone(LINEAR, price / 16, c, lots, 0.1, s.MAINTENANCE) == value


@given(price=st.integers(40_000, 160_000), c=st.integers(1, 4), rate=st.floats(0.01, 1.0), lots=st.integers(1, 2_000))
def test_a_charge_covers_the_exact_formula_and_no_more_than_its_rounding(
    price: int, c: int, rate: float, lots: int
) -> None:
    units = Fraction(round(Fraction(rate) * s.RATE_ONE), s.RATE_ONE)
    side, strike = (1, -1, 1, -1)[c - 1], (5500, 4500, 4000, 5000)[c - 1]
    spot = Fraction(price, 16)
    out = max(side * (strike - spot), 0)
    base = spot if side > 0 else strike
    exact = lots * 100 * max(units * spot - out, units * base / 2)
    found = alone(LINEAR, price / 16, c, -lots, rate, s.MAINTENANCE)
    assert exact <= found <= exact + 3


@st.composite
def books(draw: st.DrawFn) -> dict[str, np.ndarray]:
    def cells(low: int, high: int) -> np.ndarray:
        row = st.lists(st.integers(low, high), min_size=5, max_size=5)
        return np.array(draw(st.lists(row, min_size=ACCOUNTS, max_size=ACCOUNTS)), np.int64)

    return {
        "lots": cells(-2_000, 2_000), "open_buy": cells(0, 500), "open_sell": cells(0, 500),
        "loss_buy": cells(0, 10_000), "loss_sell": cells(0, 10_000),
    }  # fmt: skip


def asked(state: Any, evaluate: Any) -> tuple[list[int], list[int]]:
    kinds = (s.INITIAL, s.MAINTENANCE)
    first, second = ([int(evaluate(state, a, -1, which)) for a in range(ACCOUNTS)] for which in kinds)
    return first, second


def seen(state: Any, table: ContractTable) -> tuple[PortfolioView, RiskParameters]:
    """The view and the risk, with what options are valued on."""
    view = markets.view(state, table)
    view.underlying = state.quotes["index"][state.contracts["reference"]].copy()
    return view, markets.risk(state)


@pytest.mark.parametrize("kind", list(MARKETS))
@pytest.mark.parametrize(
    ("regime", "params"),
    [("static", {"initial": 0.13, "maintenance": 0.07}), ("isolated", {"initial": 0.13, "maintenance": 0.07}),
     ("binance_tiers", TIERS), ("deribit_linear", {})],
)  # fmt: skip
@settings(max_examples=25)
@given(book=books(), price=st.integers(40_000, 160_000))
def test_three_forms_of_a_rule_agree_to_the_unit(
    regime: str, params: dict[str, Any], kind: str, book: dict[str, np.ndarray], price: int
) -> None:
    """The market's evaluator, the batch over arrays and the readable definition."""
    if kind == "coin" and regime == "deribit_linear":
        return
    state, model, table = prepared(MARKETS[kind], price, regime, params)
    markets.give(state, book)
    view, risk = seen(state, table)
    first, second = asked(state, model.requirement_kernel)
    isolated = model.layout == "isolated"
    for answer in (
        (netting.isolated if isolated else netting.cross)(view, risk),
        (batch.isolated if isolated else batch.cross)(view, risk),
    ):
        assert answer.initial.tolist() == first
        assert answer.maintenance.tolist() == second


@settings(max_examples=25)
@given(book=books(), price=st.integers(40_000, 160_000))
def test_the_grid_of_the_market_is_the_definition(book: dict[str, np.ndarray], price: int) -> None:
    state, model, table = prepared(LINEAR, price, "portfolio", {"initial": 0.12, "maintenance": 0.06})
    markets.give(state, book)
    view, risk = seen(state, table)[0], markets.risk(state, scenarios=True)
    first, second = asked(state, model.requirement_kernel)
    answer = netting.scenarios(view, risk)
    assert answer.initial.tolist() == first
    assert answer.maintenance.tolist() == second
    memory = model.init(table)
    clock = Static(table, state)
    stated, _ = model.publish(clock, memory)  # type: ignore[arg-type]
    assert np.abs(stated.scenario_pnl - risk.scenario_pnl).max() <= 1
    assert stated.scenario_weight.tolist() == risk.scenario_weight.tolist()


class Static:
    """As much of a market view as the grid reads."""

    def __init__(self, table: ContractTable, state: Any) -> None:
        terms = state.contracts
        self.step, self.mark, self.interest_rate = 0, state.quotes["mark"].copy(), 0.0
        self.spot = state.quotes["index"][terms["reference"]] / 16.0
        self.time_to_expiry = terms["expiry"] * terms["years_per_step"]
        self.implied_volatility = terms["volatility"].copy()


def grid_of(lots: list[int], price: float = 5000.0, **params: Any) -> int:
    state, model, _ = prepared(LINEAR, round(price * 16), "portfolio", {"initial": 0.1, "maintenance": 0.1} | params)
    markets.give(state, {"lots": np.array([lots])})
    return int(model.requirement_kernel(state, 0, -1, s.MAINTENANCE))


def test_the_grid_charges_a_short_call_its_loss_when_price_and_volatility_rise() -> None:
    years = 30 / 365
    value = [float(black76(1.0, x, 5500.0, years, v)) for x, v in ((5000.0, 0.8), (5500.0, 1.0))]
    assert grid_of([0, -10, 0, 0, 0]) == pytest.approx(1000 * (value[1] - value[0]), abs=20)
    # with volatilities that stand still it is less, and a long call loses no more than it costs
    assert grid_of([0, -10, 0, 0, 0], volatility_move=0.0) < grid_of([0, -10, 0, 0, 0])
    assert grid_of([0, 10, 0, 0, 0]) <= 1000 * value[0]


def test_a_hedge_counts_in_the_grid() -> None:
    short, hedge = [0, 0, 0, -100, 0], [95, 0, 0, 0, 0]
    covered = [a + b for a, b in zip(short, hedge, strict=True)]
    assert grid_of(covered) < 0.5 * grid_of(short)
    spread = [0, 100, 0, -100, 0]
    assert grid_of(spread) < grid_of(short)


def test_a_straddle_loses_most_when_prices_stand_still_and_volatility_falls() -> None:
    alone = grid_of([0, 0, 0, 0, 10])
    assert grid_of([0, 10, 10, 0, 0], moves=[1.0], volatility_move=0.5) > 0
    assert alone > 0


def test_charges_by_size_need_one_currency() -> None:
    other = (LINEAR[0], *(Contract(**{**_fields(one), "currency": "EUR"}) for one in LINEAR[1:]))
    table = ContractTable.of(
        (*other, Contract(name="FX", kind="spot", currency="USD", base_currency="EUR", base_lot=1)), 60.0, STEPS_PER_DAY
    )
    with pytest.raises(ConfigError, match=r"call5500\.currency"):
        margin.create("binance_tiers", TIERS).init(table)


def _fields(contract: Contract) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in contract.__dataclass_fields__}


def test_opening_a_short_option_brings_in_what_it_adds() -> None:
    state, _, _ = prepared(LINEAR, 80_000, "isolated", {"initial": 0.2, "maintenance": 0.1})
    first = int(charges.opening_margin(state, 1, s.SELL, 0, 7, 0))
    more = int(charges.opening_margin(state, 1, s.SELL, 7, 5, 0))
    assert first + more == int(charges.option_charge(state, 1, s.INITIAL, -12))
    assert int(charges.opening_margin(state, 1, s.BUY, 7, 5, 0)) == int(state.quotes["mark"][1]) * 50 // 16
