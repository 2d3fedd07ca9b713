from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from margin import netting
from margin.portfolio import Portfolio
from margin.schedules import maintenance_amounts
from sim.contracts import INVERSE_PERPETUAL
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels import schedule as compiled
from sim.kernels.schedule import GROWING, PER_CHARGE, T_FLOOR, TIERS
from sim.kernels.state import INITIAL, MAINTENANCE, RATE_ONE
from sim.schedules import scaled_schedule
from tests.margin import markets
from tests.margin.test_requirement import COLUMNS, portfolios

DOGE = [{"floor": 0, "max_leverage": 10}, {"floor": 20_000, "max_leverage": 5}, {"floor": 100_000, "max_leverage": 3}]
CUMULATED = (0, 50, 1_300, 16_300, 266_300, 1_266_300, 2_516_300, 5_016_300, 25_016_300, 100_016_300)


# -- rules to draw from --------------------------------------------------------------------------------------------


@st.composite
def tiered(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    count = draw(st.integers(1, 6))
    floors = [0.0, *sorted(draw(st.sets(st.integers(1, 10**9), min_size=count - 1, max_size=count - 1)))]
    rates = sorted(draw(st.lists(st.floats(0.001, 1.0), min_size=count, max_size=count)))
    share = draw(st.floats(0.1, 1.0))
    tiers = [{"floor": f, "initial": r, "maintenance": r * share} for f, r in zip(floors, rates, strict=True)]
    form = draw(st.sampled_from(["whole", "continuous"]))
    return draw(st.sampled_from(["binance_tiers", "hyperliquid_isolated"])), {"tiers": tiers, "initial_form": form}


@st.composite
def stepped(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    initial = draw(st.floats(0.001, 1.0))
    return "bitmex", {
        "initial": initial,
        "maintenance": initial * draw(st.floats(0.1, 1.0)),
        "limit": draw(st.floats(0.0, 1e8)),
        "step": draw(st.floats(0.01, 1e8)),
        "step_rate": draw(st.floats(1e-6, 0.5)),
        "measure": draw(st.sampled_from(["value", "size"])),
    }


@st.composite
def sized(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    initial, growth = draw(st.floats(0.001, 1.0)), draw(st.floats(0.0, 0.01))
    share = draw(st.floats(0.1, 1.0))
    return "deribit_linear", {
        "initial": initial,
        "maintenance": initial * share,
        "initial_per_unit": growth,
        "maintenance_per_unit": growth * share,
    }


rules = tiered() | stepped() | sized()


# -- the slow reference --------------------------------------------------------------------------------------------


def slow_charge(table: list[list[int]], which: int, lots: int, value: int) -> int:
    """Charge of a position in fractions, from the integers of the table."""
    shift = PER_CHARGE * which
    if table[0][0] == TIERS:
        total = Fraction(0)
        for tier in range(1, table[0][1] + 1):
            if tier == 1 or value > table[tier][T_FLOOR]:
                rate, base, anchor = (table[tier][column + shift] for column in (1, 2, 3))
                total = base + Fraction((value - anchor) * rate, 1 << 62)
        return ceil(total)
    assert table[0][0] == GROWING
    size = lots if table[0][4] else value
    count = ceil(Fraction(max(size - table[0][2], 0), table[0][3]))
    base, slope, full = (table[1][column + shift] for column in (1, 2, 3))
    return value if count >= full else ceil(value * Fraction(base + count * slope, 1 << 62))


def slow_requirement(view: PortfolioView, tables: list[Any], account: int, which: int, layout: str, c: int) -> int:
    """Requirement of one contract of one account under a schedule."""
    lots = int(view.lots[account, c])
    bids, asks = int(view.open_buy[account, c]), int(view.open_sell[account, c])

    def charge(size: int, value: int | None = None) -> int:
        worth = int(view.contracts.tick_value[c]) * int(view.mark[c]) * size // 16
        return slow_charge(tables[c], which, size, worth if value is None else value)

    if which == MAINTENANCE:
        return charge(abs(lots))
    sides = []
    for side, ordered, loss in ((1, bids, view.loss_buy), (-1, asks, view.loss_sell)):
        own = int(loss[account, c])
        if layout == "cross":
            sides.append(charge(abs(lots + side * ordered)) + own)
            continue
        held = max(side * lots, 0)
        opening = ordered - min(ordered, max(-side * lots, 0))
        if opening:
            per_lot = int(view.contracts.tick_value[c]) * int(view.mark[c])
            grown = charge(held + opening, per_lot * held // 16 + per_lot * opening // 16)
            sides.append(grown - charge(held) + ceil(Fraction(own * opening, ordered)))
    return max(sides, default=0)


def prepared(rule: tuple[str, dict[str, Any]], portfolio: Any) -> Any:
    contracts, rows, marks = portfolio
    model = margin.create(*rule)
    state = markets.market(contracts, traders=5)
    state.quotes["mark"] = marks
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    markets.give(state, rows)
    return model, state


@given(rule=rules, portfolio=portfolios())
def test_market_batch_definition_and_slow_reference_agree_to_the_unit(rule: Any, portfolio: Any) -> None:
    model, state = prepared(rule, portfolio)
    view, risk = markets.view(state, portfolio[0]), markets.risk(state)
    tables = state.tiers.tolist()
    batch, definition = model.requirement(view, risk), model.explain(view, risk)
    assert np.array_equal(batch.initial, definition.initial)
    assert np.array_equal(batch.maintenance, definition.maintenance)
    for answer in (batch, definition):
        assert np.array_equal(sum(answer.parts.values()), answer.initial)
        assert np.array_equal(sum(answer.maintenance_parts.values()), answer.maintenance)
        assert all(part.min() >= 0 for part in answer.parts.values())
    for which, found in ((INITIAL, batch.initial), (MAINTENANCE, batch.maintenance)):
        for account in range(5):
            alone = [slow_requirement(view, tables, account, which, model.layout, c) for c in range(len(portfolio[2]))]
            assert found[account] == sum(alone) == model.requirement_kernel(state, account, -1, which)
            assert [model.requirement_kernel(state, account, c, which) for c in range(len(alone))] == alone


def inverse_view(portfolio: Any, price: int) -> PortfolioView:
    """The same lots, with every second contract coin-margined in a second currency."""
    contracts, rows, marks = portfolio
    size = len(marks)
    other = np.arange(size) % 2
    table = replace(
        contracts,
        kind=np.where(other == 1, INVERSE_PERPETUAL, contracts.kind),
        tick_value=np.where(other == 1, 10**9, contracts.tick_value),
        currencies=("USD", "BTC"), currency=other, minor=np.array([100.0, 1e8]),
    )  # fmt: skip
    cells = {name: rows[name] for name in COLUMNS}
    return PortfolioView(
        table, np.array(marks), cost=np.zeros((5, size), np.int64), cash=np.zeros((5, size + 1), np.int64),
        wallets=np.zeros((5, 2), np.int64), conversion=np.array([RATE_ONE, price]), **cells,
    )  # fmt: skip


@given(
    rule=rules | st.sampled_from([("static", {}), ("isolated", {})]),
    portfolio=portfolios(contracts=3),
    price=st.integers(1, 1 << 36),
)
def test_inverse_contracts_and_other_currencies_in_batch_and_definition(rule: Any, portfolio: Any, price: int) -> None:
    model = margin.create(*rule)
    view = inverse_view(portfolio, price)
    risk, _ = model.publish(markets.Clock(0, view.mark), model.init(view.contracts))
    batch, definition = model.requirement(view, risk), model.explain(view, risk)
    assert np.array_equal(batch.initial, definition.initial)
    assert np.array_equal(batch.maintenance, definition.maintenance)
    coins, mark = abs(int(view.lots[0, 1])) * 16 * 10**9, int(view.mark[1])
    value = int(Fraction(coins, mark) + Fraction(1, 2))
    if "tiers" in risk.arrays:
        due = slow_charge(risk.arrays["tiers"][1].tolist(), MAINTENANCE, abs(int(view.lots[0, 1])), value)
    else:
        due = ceil(Fraction(value * int(risk.rate_maintenance[1]), RATE_ONE))
    alone = replace(view, lots=np.where(np.arange(3) == 1, view.lots, 0))
    assert model.requirement(alone, risk).maintenance[0] == ceil(Fraction(due * price, RATE_ONE))


# -- properties ----------------------------------------------------------------------------------------------------


def charge_of(tables: np.ndarray, which: int, value: int, lots: int = 1) -> int:
    return int(compiled.scheduled(tables, 0, which, np.int64(lots), np.int64(value)))


@given(rule=tiered(), cents=st.integers(-3, 3))
def test_tiers_are_continuous_at_their_floors(rule: Any, cents: int) -> None:
    tables = margin.create(*rule).init(markets.table(1))["tiers"]
    forms = (INITIAL, MAINTENANCE) if rule[1]["initial_form"] == "continuous" else (MAINTENANCE,)
    for which in forms:
        for floor in tables[0, 2:, T_FLOOR]:
            at, near = charge_of(tables, which, int(floor)), charge_of(tables, which, max(int(floor) + cents, 0))
            assert abs(near - at) <= abs(cents) + 1
            above, beneath = charge_of(tables, which, int(floor) + 1), charge_of(tables, which, int(floor))
            assert 0 <= above - beneath <= 1


@given(rule=rules, small=st.integers(0, 1 << 50), more=st.integers(0, 1 << 50))
def test_more_is_never_charged_less_and_never_negative(rule: Any, small: int, more: int) -> None:
    tables = margin.create(*rule).init(markets.table(1))["tiers"]
    for which in (INITIAL, MAINTENANCE):
        less = charge_of(tables, which, small, small // 1000)
        assert 0 <= less <= charge_of(tables, which, small + more, (small + more) // 1000)
        assert less <= small
        if which == MAINTENANCE:
            assert less <= charge_of(tables, INITIAL, small, small // 1000) + 1


@given(portfolio=portfolios(), times=st.integers(2, 1000))
def test_flat_rates_are_homogeneous_within_a_unit(portfolio: Any, times: int) -> None:
    contracts, rows, marks = portfolio
    few = {name: np.where(cells > 0, cells % 1000, -(-cells % 1000)) for name, cells in rows.items()}
    model, small = prepared(("static", {}), (contracts, few, marks))
    _, large = prepared(("static", {}), (contracts, {name: cells * times for name, cells in few.items()}, marks))
    # one unit per contract for the rate, one for the value at a mark in sixteenths of a tick
    slack = 2 * times * len(marks)
    for which in (INITIAL, MAINTENANCE):
        for account in range(5):
            one = model.requirement_kernel(small, account, -1, which)
            many = model.requirement_kernel(large, account, -1, which)
            assert abs(many - times * one) <= slack


@given(rule=tiered(), lots=st.lists(st.integers(1, 100_000), min_size=2, max_size=2))
def test_split_over_accounts_a_position_is_charged_less(rule: Any, lots: list[int]) -> None:
    """A charge that rises with size is super-additive, which is why venues aggregate the accounts of one owner."""
    tables = margin.create(*rule).init(markets.table(1))["tiers"]
    parts = [charge_of(tables, MAINTENANCE, size * 500_000) for size in lots]
    assert charge_of(tables, MAINTENANCE, sum(lots) * 500_000) >= sum(parts) - 2


@given(scale=st.floats(0.25, 4.0), rule=tiered())
def test_an_equal_mean_fork_scales_the_charge(scale: float, rule: Any) -> None:
    tables = margin.create(*rule).init(markets.table(1))["tiers"]
    scaled = scaled_schedule(tables, scale)
    for value in (0, 1_000, 10**7, 10**12):
        before, after = (charge_of(table, MAINTENANCE, value, value // 500_000) for table in (tables, scaled))
        assert after <= max(before * scale, 0) * (1 + 1e-6) + value * 1e-8 + 12
        if scale <= 1.0:
            assert after >= before * scale * (1 - 1e-6) - value * 1e-8 - 12
    assert np.array_equal(scaled_schedule(tables, 1.0), tables)


# -- published numbers ---------------------------------------------------------------------------------------------


def ask(regime: str, params: dict[str, Any], contract: dict[str, Any], positions: list[dict[str, Any]]) -> Any:
    """Requirements of a portfolio file, in units of the account currency."""
    file = {
        "account": {"currency": contract.get("currency", "USD")},
        "underlyings": [{"name": contract["underlying"], "price": contract.pop("price")}],
        "contracts": [contract],
        "positions": positions,
    }
    found = Portfolio.model_validate(file).snapshot()
    model = margin.create(regime, params)
    risk, _ = model.publish(found.market, model.init(found.contracts))
    answer = model.requirement(found.portfolio, risk)
    return answer.initial[0] / found.minor, answer.maintenance[0] / found.minor


def linear(name: str, price: str, size: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return {"name": name, "underlying": name, "price": price}, [{"contract": name, "size": size}]


def test_t5_the_maintenance_amounts_of_the_binance_table_follow_from_the_recursion() -> None:
    tiers = margin.presets()["binance_tiers"].params["tiers"]
    amounts = maintenance_amounts([t["floor"] for t in tiers], [t["maintenance"] for t in tiers])
    assert amounts == list(CUMULATED)
    for tier, amount in zip(tiers, CUMULATED, strict=True):
        initial, maintenance = ask("binance_tiers", {}, *linear("BTC", str(tier["cap"]), "-1"))
        assert maintenance == pytest.approx(tier["cap"] * tier["maintenance"] - amount, abs=1e-6)
        assert initial == pytest.approx(tier["cap"] / tier["max_leverage"], rel=1e-8)


def test_t5_hyperliquid_doge_tiers() -> None:
    initial, maintenance = ask("hyperliquid", {"tiers": DOGE}, *linear("DOGE", "0.15", "1000000"))
    assert round(maintenance, 2) == 17_333.33
    assert initial == pytest.approx(50_000, abs=1e-3)
    continuous, _ = ask(
        "hyperliquid", {"tiers": DOGE, "initial_form": "continuous"}, *linear("DOGE", "0.15", "1000000")
    )
    assert continuous == pytest.approx(2 * 17_333.333333, abs=1e-3)


@pytest.mark.parametrize(("leverage", "expected"), [(10, 1_000), (20, 500), (100, 500)])
def test_a_chosen_leverage_changes_initial_and_not_maintenance(leverage: float, expected: float) -> None:
    params = {"tiers": [{"floor": 0, "max_leverage": 20}], "leverage": leverage}
    assert ask("hyperliquid", params, *linear("X", "100", "100")) == pytest.approx((expected, 250))


@pytest.mark.parametrize(("interest", "rate"), [(37_500_000, 0.525), (25_000_000, 0.05), (1_000, 0.05), (10**9, 1.0)])
def test_t6_dydx_initial_rate_rises_with_open_interest(interest: int, rate: float) -> None:
    file = {
        "underlyings": [{"name": "X", "price": "1000", "open_interest": interest / 1000}],
        "contracts": [{"name": "X", "underlying": "X"}],
        "positions": [{"contract": "X", "size": "-2.5"}],
    }
    found = Portfolio.model_validate(file).snapshot()
    params = {"initial": 0.05, "maintenance": 0.03, "lower": 25_000_000, "upper": 50_000_000}
    model = margin.create("dydx", params)
    risk, _ = model.publish(found.market, model.init(found.contracts))
    assert risk.rate_initial[0] / RATE_ONE == pytest.approx(rate, abs=1e-9)
    answer = model.requirement(found.portfolio, risk)
    assert answer.initial[0] / found.minor == pytest.approx(2_500 * rate)
    assert answer.maintenance[0] / found.minor == pytest.approx(75)


@pytest.mark.parametrize(
    ("size", "initial", "maintenance"),
    [("25", 53_125, 28_125), ("350", 1_312_500, 962_500), ("-350", 1_312_500, 962_500)],
)
def test_t8_deribit_linear_perpetual(size: str, initial: float, maintenance: float) -> None:
    found = ask("deribit_linear", {}, *linear("BTC", "100000", size))
    assert found == pytest.approx((initial, maintenance), abs=1e-6)


@pytest.mark.parametrize(
    ("size", "initial", "maintenance"), [("25", 200.625, 100.625), ("6000", 84_000, 60_000), ("1000000", 2e8, 2e8)]
)
def test_t8_deribit_linear_perpetual_on_sol(size: str, initial: float, maintenance: float) -> None:
    params = {"initial": 0.04, "maintenance": 0.02, "initial_per_unit": 5e-6, "maintenance_per_unit": 5e-6}
    assert ask("deribit_linear", params, *linear("SOL", "200", size)) == pytest.approx((initial, maintenance), abs=1e-6)


@pytest.mark.parametrize(
    ("coins", "steps"), [(180, 0), (200, 0), (200.5, 1), (300, 1), (301, 2), (1_000, 8), (3_000, 28)]
)
def test_bitmex_step_tiers_of_an_inverse_contract(coins: float, steps: int) -> None:
    contract = {"name": "XBTUSD", "kind": "inverse_perpetual", "underlying": "XBT", "price": "8000", "currency": "XBT"}
    positions = [{"contract": "XBTUSD", "size": str(coins * 8000)}]
    rates = min(0.01 + 0.005 * steps, 1.0), min(0.005 + 0.005 * steps, 1.0)
    found = ask("bitmex", {}, contract, positions)
    assert found == pytest.approx((coins * rates[0], coins * rates[1]), rel=1e-8)


# -- bad input -----------------------------------------------------------------------------------------------------


def rows(*cells: tuple[float, float, float, float | None]) -> list[dict[str, Any]]:
    return [
        {"floor": floor, "initial": initial, "maintenance": keep} | ({} if cap is None else {"cap": cap})
        for floor, initial, keep, cap in cells
    ]


@pytest.mark.parametrize(
    ("tiers", "line"),
    [
        (rows((10, 0.1, 0.05, None)), "a first tier with floor 0"),
        (rows((0, 0.1, 0.05, 100), (50, 0.2, 0.1, None)), "tiers that do not overlap (tier 2 starts at 50, below 100)"),
        (rows((0, 0.1, 0.05, 100), (150, 0.2, 0.1, None)), "tiers without gaps"),
        (rows((0, 0.1, 0.05, None), (200, 0.2, 0.1, None), (100, 0.3, 0.1, None)), "tiers with floors that rise"),
        (rows((0, 0.2, 0.05, None), (100, 0.1, 0.05, None)), "initial rates that do not fall (tier 2)"),
        (rows((0, 0.2, 0.1, None), (100, 0.3, 0.05, None)), "maintenance rates do not fall (tier 2)"),
        (rows((0, 0.1, 0.2, None)), "maintenance is not above their initial rate (tier 1)"),
        (rows((0, 0.1, 0.05, None), (100, 0.2, 0.1, 90)), "a cap above the floor"),
        (rows((0, 1.5, 0.05, None)), "less than or equal to 1"),
        ([{"floor": 0, "initial": 0.1, "max_leverage": 10}], "exactly one of max_leverage, initial"),
        ([{"floor": 0, "max_leverage": 0.5}], "greater than or equal to 1"),
        ([{"floor": -1, "max_leverage": 5}], "greater than or equal to 0"),
        ([], "at least one tier"),
    ],
)
def test_bad_tiers_get_one_clear_line(tiers: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        margin.create("binance_tiers", {"tiers": tiers})
    assert line in str(caught.value)
    assert "margin.params" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        ("binance_tiers", {"leverage": 0.5}, "a leverage of at least 1"),
        ("bitmex", {"maintenance": 0.02}, "a maintenance rate that is not above the initial rate"),
        ("bitmex", {"step": 0}, "greater than 0"),
        ("deribit_linear", {"maintenance_per_unit": 0.1}, "a maintenance_per_unit that is not above initial_per_unit"),
        ("dydx", {"lower": 50_000_000}, "a lower cap below the upper cap"),
        ("dydx", {"upper": -1}, "greater than 0"),
        ("cross_collateral", {"haircut": {"BTC": 1.5}}, "less than or equal to 1"),
    ],
)
def test_bad_parameters_get_one_clear_line(name: str, params: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        margin.create(name, params)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tiers_by_contract() -> None:
    table = markets.table(2)
    tiers = {"a": [{"floor": 0, "max_leverage": 10}], "b": DOGE}
    found = margin.create("hyperliquid", {"tiers": tiers}).init(table)["tiers"]
    assert found.shape[:2] == (2, 4)
    assert charge_of(found[1:], MAINTENANCE, 15_000_000) == 1_733_334
    assert charge_of(found, MAINTENANCE, 15_000_000) == pytest.approx(750_000, abs=1)
    with pytest.raises(ConfigError, match="tiers for each of a, b"):
        margin.create("hyperliquid", {"tiers": {"a": DOGE}}).init(table)


def test_the_readable_schedule_takes_whole_columns() -> None:
    tables = margin.create("hyperliquid", {"tiers": DOGE}).init(markets.table(1))["tiers"]
    values = np.array([0, 1, 2_000_000, 2_000_001, 10_000_000, 15_000_000])
    found = netting.scheduled(tables[0], MAINTENANCE, np.ones_like(values), values)
    assert found.tolist() == [charge_of(tables, MAINTENANCE, int(value)) for value in values]
    assert isinstance(RiskParameters(values, values).arrays, dict)
