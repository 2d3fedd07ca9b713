from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from margin import netting
from sim.kernels.state import INITIAL, MAINTENANCE
from tests.margin import markets, reference

COLUMNS = ("lots", "open_buy", "open_sell", "loss_buy", "loss_sell")
RULES = ("cross", "isolated", "portfolio")


@st.composite
def portfolios(draw: st.DrawFn, contracts: int | None = None) -> tuple[Any, dict[str, np.ndarray], list[int]]:
    """Contract table, portfolios of five accounts, marks."""
    size = contracts or draw(st.integers(1, 3))
    held = st.integers(-1_000_000, 1_000_000) | st.integers(-5, 5)
    ordered = st.just(0) | st.integers(0, 1_000_000) | st.integers(0, 5)
    rows: dict[str, np.ndarray] = {}
    for name in COLUMNS:
        cell = held if name == "lots" else ordered
        rows[name] = np.array(draw(st.lists(st.lists(cell, min_size=size, max_size=size), min_size=5, max_size=5)))
    for side in ("buy", "sell"):
        # an order's loss is per lot
        rows[f"loss_{side}"] = rows[f"loss_{side}"] % 1000 * rows[f"open_{side}"]
    marks = draw(st.lists(st.integers(16, 16 * 65_000), min_size=size, max_size=size))
    return markets.table(size), rows, marks


def rates(draw_initial: float, share: float) -> dict[str, float]:
    return {"initial": draw_initial, "maintenance": draw_initial * share}


rate_pairs = st.builds(rates, st.floats(0.0005, 1.0), st.floats(0.05, 1.0))


def prepared(name: str, params: dict[str, Any], portfolio: tuple[Any, dict[str, np.ndarray], list[int]]) -> Any:
    contracts, rows, marks = portfolio
    model = margin.create(name, params)
    state = markets.market(contracts, traders=5)
    state.quotes["mark"] = marks
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    markets.give(state, rows)
    return model, state


def compiled(model: Any, state: Any, which: int, contract: int = -1) -> list[int]:
    return [int(model.requirement_kernel(state, account, contract, which)) for account in range(5)]


def ask(name: str, params: dict[str, Any], portfolio: Any, which: int) -> np.ndarray:
    return np.array(compiled(*prepared(name, params, portfolio), which))


def slow(name: str, state: Any, account: int, which: int, contract: int = -1) -> int:
    row = int(state.meta[0]) % 2
    chosen = range(len(state.quotes)) if contract < 0 else [contract]
    rows = []
    for c in chosen:
        cells = {column: int(state.positions[column][account, c]) for column in COLUMNS}
        cells |= {"mark": int(state.quotes["mark"][c]), "tick_value": int(state.contracts["tick_value"][c])}
        cells |= {"rate_initial": int(state.rate_initial[c]), "rate_maintenance": int(state.rate_maintenance[row, c])}
        rows.append(cells)
    if name != "portfolio":
        return getattr(reference, name)(rows, which == INITIAL)
    grid = markets.risk(state, scenarios=True)
    factor = grid.initial_factor if which == INITIAL else None
    profits = [grid.scenario_pnl[c].tolist() for c in chosen]
    return reference.scenarios(rows, profits, grid.scenario_weight.tolist(), factor)


@pytest.mark.parametrize("name", RULES)
@given(portfolio=portfolios(), pair=rate_pairs, extreme=st.sampled_from([0.0, 3.0]))
def test_kernel_numpy_and_slow_reference_agree_to_the_unit(
    name: str, portfolio: Any, pair: dict[str, float], extreme: float
) -> None:
    params = pair | ({"extreme_move": extreme} if name == "portfolio" else {})
    model, state = prepared(name, params, portfolio)
    answer = model.requirement(markets.view(state, portfolio[0]), markets.risk(state, scenarios=name == "portfolio"))
    for which, numpy_form in ((INITIAL, answer.initial), (MAINTENANCE, answer.maintenance)):
        expected = [slow(name, state, account, which) for account in range(5)]
        assert compiled(model, state, which) == expected
        assert numpy_form.tolist() == expected
        for contract in range(len(portfolio[2])):
            alone = [slow(name, state, account, which, contract) for account in range(5)]
            assert compiled(model, state, which, contract) == alone
            if name == "isolated":
                table = answer.initial_positions if which == INITIAL else answer.maintenance_positions
                assert table[:, contract].tolist() == alone
    assert sum(answer.parts.values()).tolist() == answer.initial.tolist()


@pytest.mark.parametrize("name", RULES)
@given(portfolio=portfolios(), pair=rate_pairs)
def test_never_negative_and_zero_for_nothing(name: str, portfolio: Any, pair: dict[str, float]) -> None:
    for which in (INITIAL, MAINTENANCE):
        assert ask(name, pair, portfolio, which).min() >= 0
    contracts, rows, marks = portfolio
    nothing = (contracts, {column: np.zeros_like(cells) for column, cells in rows.items()}, marks)
    assert ask(name, pair, nothing, INITIAL).max() == 0


@pytest.mark.parametrize("name", RULES)
@given(portfolio=portfolios(), pair=rate_pairs, higher=st.floats(1.0, 3.0))
def test_monotone_in_the_rate(name: str, portfolio: Any, pair: dict[str, float], higher: float) -> None:
    raised = {key: min(rate * higher, 1.0) for key, rate in pair.items()}
    if name == "portfolio":  # keep the ratio of initial to maintenance
        factor = raised["initial"] / pair["initial"]
        raised["maintenance"] = pair["maintenance"] * factor
    which = MAINTENANCE if name == "portfolio" else INITIAL
    assert np.all(ask(name, raised, portfolio, which) >= ask(name, pair, portfolio, which))


@given(portfolio=portfolios(), pair=rate_pairs)
def test_portfolio_never_exceeds_the_sum_of_its_parts(portfolio: Any, pair: dict[str, float]) -> None:
    model, state = prepared("portfolio", pair, portfolio)
    for which in (INITIAL, MAINTENANCE):
        parts = sum(np.array(compiled(model, state, which, c)) for c in range(len(portfolio[2])))
        assert np.all(np.array(compiled(model, state, which)) <= parts)


@given(portfolio=portfolios(), pair=rate_pairs)
def test_portfolio_never_exceeds_static_at_the_same_rates(portfolio: Any, pair: dict[str, float]) -> None:
    factor = pair["initial"] / pair["maintenance"]
    # static rounds each contract's value down and its margin up; the grid rounds profits towards zero and losses up
    slack = len(portfolio[2])
    assert np.all(ask("portfolio", pair, portfolio, MAINTENANCE) <= ask("static", pair, portfolio, MAINTENANCE) + slack)
    contracts, rows, marks = portfolio
    alone = (contracts, rows | {column: np.zeros_like(rows[column]) for column in COLUMNS[1:]}, marks)
    assert np.all(
        ask("portfolio", pair, alone, INITIAL) <= ask("static", pair, alone, INITIAL) + slack * (factor + 1) + 1
    )


@given(portfolio=portfolios(), pair=rate_pairs)
def test_isolated_and_cross_ask_the_same_maintenance_in_other_pockets(portfolio: Any, pair: dict[str, float]) -> None:
    assert np.array_equal(ask("isolated", pair, portfolio, MAINTENANCE), ask("cross", pair, portfolio, MAINTENANCE))
    # what is reserved for orders is never more than cross asks for orders and positions together
    assert np.all(ask("isolated", pair, portfolio, INITIAL) <= ask("cross", pair, portfolio, INITIAL))


@given(portfolio=portfolios(), pair=rate_pairs)
def test_orders_never_lower_the_requirement(portfolio: Any, pair: dict[str, float]) -> None:
    contracts, rows, marks = portfolio
    without = (contracts, rows | {column: np.zeros_like(rows[column]) for column in COLUMNS[1:]}, marks)
    for name in ("cross", "portfolio"):
        assert np.all(ask(name, pair, portfolio, INITIAL) >= ask(name, pair, without, INITIAL))


def test_initial_reads_the_newest_parameters_and_maintenance_those_in_force() -> None:
    contracts = markets.table(2)
    for name in RULES:
        model = margin.create(name, {"initial": 0.125, "maintenance": 0.0625})
        state = markets.market(contracts, traders=1, notice=2)
        markets.install(state, 0, model, contracts)
        markets.publish(state, model, 0)
        markets.publish(state, model, 1)
        markets.publish(state, model, 2)
        lots = {"lots": np.array([[3, 0]])}
        markets.give(state, lots if name != "isolated" else lots | {"open_buy": np.array([[3, 0]])})
        before = [int(model.requirement_kernel(state, 0, -1, which)) for which in (INITIAL, MAINTENANCE)]
        state.model_scale[0] = 2.0
        markets.publish(state, model, 3)
        after = [int(model.requirement_kernel(state, 0, -1, which)) for which in (INITIAL, MAINTENANCE)]
        assert after == [2 * before[0], before[1]]
        markets.publish(state, model, 4)
        assert int(model.requirement_kernel(state, 0, -1, MAINTENANCE)) == before[1]
        markets.publish(state, model, 5)
        assert int(model.requirement_kernel(state, 0, -1, MAINTENANCE)) == 2 * before[1]


def test_worked_by_hand() -> None:
    """Two contracts at 5000 and 5700 ticks, 100 and 25 minor units per tick and lot; initial 10 %, maintenance 5 %."""
    contracts = markets.table(2)
    rows = {column: np.zeros((5, 2), np.int64) for column in COLUMNS}
    rows["lots"][0] = [10, -4]
    rows["lots"][1] = [10, 0]
    rows["open_sell"][1] = [15, 0]
    rows["loss_sell"][1] = [3001, 0]
    portfolio = (contracts, rows, contracts.initial_mark.tolist())
    pair = {"initial": 0.10, "maintenance": 0.05}
    # 10 % of 10 x 500,000 and of 4 x 142,500, each rounded up from a rate just above 0.1 in 2**-32
    assert ask("cross", pair, portfolio, INITIAL)[0] == 500_001 + 57_001
    # open sells first close 10 lots, so 5 are opening: all sells fill leaves 5 short, which is less than 10 long
    assert ask("cross", pair, portfolio, INITIAL)[1] == 500_001
    # isolated reserves the 5 opening lots and their third of the loss, 3001 x 5 / 15
    assert ask("isolated", pair, portfolio, INITIAL)[1] == 250_001 + 1001
    assert ask("isolated", pair, portfolio, MAINTENANCE)[0] == 250_001 + 28_501
    # net risk 250,000 - 28,500 against 1 - 0.729 of the gross 278,500
    portfolio_margin = ask("portfolio", pair | {"offset": 0.729}, portfolio, MAINTENANCE)[0]
    assert abs(int(portfolio_margin) - 221_500) <= 2


def test_charge_is_exact_beyond_float_precision() -> None:
    values = np.array([0, 1, (1 << 61) + 12345, (1 << 62) - 1], np.int64)
    for rate in (0, 1, 12345, (1 << 31) + 1, (1 << 32) - 1, 1 << 32):
        expected = [-(-int(value) * rate >> 32) for value in values]
        assert netting.charge(values, rate).tolist() == expected
