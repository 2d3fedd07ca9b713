"""Option customers: what each kind takes and when, and that the compiled decision is the readable one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import agents
from agents import option_customers
from agents.columns import Population
from agents.desk import Desk
from agents.kernels import option_customers as kernels
from sim.errors import ConfigError
from sim.kernels.state import CALLED, CLOSED, LIQUIDATING, M_STEP, MARKET, REDUCE_ONLY, State, copy_of
from tests.agents import rig
from tests.agents.test_option_makers import chain, hold, orders

DAY = 1440
ALWAYS = {"count": 1, "period": 1, "pause": 0.01, "build": 1, "size_least": 1.0, "delta_spread": 0.0, "least_days": 0.1}


def customers(kind: str, *, inverse: bool = False, step: int = 5, **params: Any) -> tuple[State, Population]:
    """A market with one customer who may begin at once."""
    table = chain("inverse" if inverse else "linear", (DAY, 7 * DAY))
    state, (population,) = rig.market([(kind, ALWAYS | params)], terms=table)
    state.meta[M_STEP] = step
    return state, population


def act(state: State, population: Population) -> list[tuple[int, ...]]:
    """The messages of the step at which the market stands."""
    return rig.decide(state, population, int(state.meta[M_STEP]))


def terms(state: State, k: int) -> tuple[int, float, int]:
    """Right, strike in ticks and expiry of an option."""
    row = state.contracts[k]
    return int(row["option"]), float(row["strike"]) / 16, int(row["expiry"])


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "writers": ("covered_writers", "linear", {}),
    "inverse writers": ("covered_writers", "inverse", {"rest": 20, "edge": -0.1}),
    "puts": ("put_buyers", "linear", {"days": 1.0, "cover": 0.5, "build": 10}),
    "vaults": ("vault_sellers", "inverse", {"pause": 20.0, "close_days": 0.3}),
    "scalpers": ("gamma_scalpers", "linear", {"days": 1.0, "least_days": 0.8, "close_days": 0.7}),
    "trend": ("call_buyers", "linear", {"trend_steps": 30, "trend_move": 0.001}),
    "falls": (
        "call_buyers",
        "linear",
        {"trend_steps": 30, "trend_move": -0.001, "close_days": 6.9, "least_days": 6.95},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_decision_equals_the_readable_one(case: str) -> None:
    kind, inverse, params = CASES[case]
    rng = np.random.default_rng(3)
    seen: Counter[int] = Counter()
    for seed in range(20):
        base = {"count": 12, "period": 2, "pause": 100.0}
        state, (population,) = rig.market([(kind, base | params)], terms=chain(inverse, (DAY, 7 * DAY)), seed=seed)
        rig.randomise(state, rng)
        size = len(state.accounts)
        live = rng.integers(0, 2, size)  # half of them in the middle of a structure
        puts = kind in ("put_buyers", "vault_sellers", "gamma_scalpers")
        strikes = rng.integers(0, 10, size)
        state.trader_ints[:, kernels.CALL] = live * (2 + 2 * strikes) * (kind != "put_buyers")
        state.trader_ints[:, kernels.PUT] = live * (3 + 2 * strikes) * puts
        state.trader_ints[:, kernels.TARGET] = live * rng.integers(1, 60, size)
        state.trader_ints[:, kernels.BEGAN] = state.meta[M_STEP] - rng.integers(0, 90, size)
        state.accounts["positions"] = (state.positions["lots"] != 0).sum(axis=1)
        plain = copy_of(state)
        population.decide(state, 0)
        desk = Desk(plain, 0, population)
        option_customers.decide(desk)
        assert rig.sent(state) == [tuple(message) for message in desk.messages]
        np.testing.assert_array_equal(state.trader_ints, plain.trader_ints)
        seen.update(min(message.contract, 1) for message in desk.messages)
    assert seen[1] > 0
    assert (seen[0] > 0) == (kind in ("covered_writers", "put_buyers", "gamma_scalpers"))


class TestStructures:
    """Which options are chosen."""

    def test_writers_sell_an_upside_call_on_what_they_own(self) -> None:
        state, population = customers("covered_writers", size_mean=10.0)
        sent = act(state, population)
        (bought,), (sold,) = orders(sent, 0), orders(sent)
        assert (bought["side"], bought["quantity"], bought["flags"]) == (1, 10, MARKET)
        right, strike, expiry = terms(state, sold["contract"])
        assert (sold["side"], right, expiry) == (-1, 1, 7 * DAY) and strike > rig.PRICE
        assert sold["quantity"] == 10, "a lot of these options is on a lot of the perpetual"

    def test_owners_buy_a_downside_put(self) -> None:
        state, population = customers("put_buyers", size_mean=10.0, days=1.0)
        (order,) = orders(act(state, population))
        right, strike, expiry = terms(state, order["contract"])
        assert (order["side"], right, expiry) == (1, -1, DAY) and strike < rig.PRICE

    @pytest.mark.parametrize(
        ("structure", "rights"), [("strangle", [1, -1]), ("straddle", [1, -1]), ("put", [-1]), ("call", [1])]
    )
    def test_vaults_sell_what_they_are_told(self, structure: str, rights: list[int]) -> None:
        state, population = customers("vault_sellers", structure=structure)
        sent = orders(act(state, population))
        legs = [terms(state, order["contract"]) for order in sent]
        assert [leg[0] for leg in legs] == rights and {order["side"] for order in sent} == {-1}
        assert len({order["quantity"] for order in sent}) == 1
        if structure == "straddle":
            assert legs[0][1:] == legs[1][1:]
        if structure == "strangle":
            assert legs[1][1] < rig.PRICE < legs[0][1] and legs[0][2] == legs[1][2]

    @pytest.mark.parametrize("inverse", [False, True])
    @pytest.mark.parametrize("delta", [0.05, 0.3, 0.5, 0.9])
    def test_the_strike_is_the_one_whose_delta_is_nearest(self, delta: float, inverse: bool) -> None:
        from agents.kernels import option_greeks as greeks

        state, population = customers("call_buyers", delta=delta, inverse=inverse)
        (order,) = orders(act(state, population))
        table = greeks.empty_table(state)
        gaps = {}
        for k in range(1, len(state.contracts)):
            if terms(state, k)[0] == 1 and terms(state, k)[2] == 7 * DAY:
                greeks.lot_greeks(state, k, float(greeks.spot_of(state, 0, True)), table)
                gaps[k] = abs(table[k, greeks.FORWARD_DELTA] - delta)
        assert order["contract"] == min(gaps, key=gaps.__getitem__)

    def test_an_expiry_with_too_little_time_is_not_chosen(self) -> None:
        state, population = customers("call_buyers", days=0.5, least_days=2.0)
        (order,) = orders(act(state, population))
        assert terms(state, order["contract"])[2] == 7 * DAY
        state, population = customers("call_buyers", least_days=8.0)
        assert not act(state, population)


class TestLife:
    """Building, holding, closing, rolling."""

    def test_a_structure_is_built_in_parts(self) -> None:
        state, population = customers("call_buyers", size_mean=60.0, build=6, pause=1.0)
        state.trader_ints[0, kernels.DUE] = 0
        sent = []
        for step in range(5, 15):
            state.meta[M_STEP] = step
            batch = orders(act(state, population))
            for order in batch:
                hold(state, 0, {order["contract"]: state.positions["lots"][0, order["contract"]] + order["quantity"]})
            sent += [order["quantity"] for order in batch]
        assert sent == [10] * 6

    def test_the_limit_is_beyond_the_mark(self) -> None:
        state, population = customers("call_buyers", edge=0.2, edge_vol=0.0)
        for side, kind in ((1, "call_buyers"), (-1, "covered_writers")):
            state, population = customers(kind, edge=0.2, edge_vol=0.0)
            state.quotes["mark"][1:] = 100 * 16
            (order,) = orders(act(state, population))
            assert order["price"] == 100 + 20 * side and order["side"] == side

    def test_it_is_rolled_after_expiry(self) -> None:
        state, population = customers("call_buyers", days=1.0, size_mean=10.0)
        (order,) = orders(act(state, population))
        hold(state, 0, {order["contract"]: 10})
        state.meta[M_STEP] = 700
        assert not act(state, population), "held"
        hold(state, 0, {order["contract"]: 0})
        state.meta[M_STEP] = DAY + 1
        (order,) = orders(act(state, population))
        assert terms(state, order["contract"])[2] == 7 * DAY

    def test_it_is_closed_before_expiry_if_so_told(self) -> None:
        state, population = customers("gamma_scalpers", days=1.0, least_days=0.9, close_days=0.5, hedge_band=1e6)
        legs = [order["contract"] for order in orders(act(state, population))]
        hold(state, 0, dict.fromkeys(legs, 10))
        state.meta[M_STEP] = DAY // 2 + 1
        sent = orders(act(state, population))
        assert [(o["contract"], o["side"], o["quantity"], o["flags"]) for o in sent] == [
            (k, -1, 10, REDUCE_ONLY) for k in legs
        ]

    def test_scalpers_trade_their_delta_away(self) -> None:
        state, population = customers("gamma_scalpers", hedge_band=2.0, least_days=0.9)
        hold(state, 0, {5: 100})  # calls at the money
        (order,) = orders(act(state, population), 0)
        assert order["side"] == -1 and order["quantity"] == pytest.approx(50, abs=3)
        hold(state, 0, {0: -order["quantity"]})
        assert not orders(act(state, population), 0)

    def test_a_trend_is_waited_for(self) -> None:
        for move, rises, falls in ((0.02, 1, 0), (-0.02, 0, 1), (0.0, 0, 0)):
            for threshold, count in ((0.01, rises), (-0.01, falls)):
                state, population = customers("call_buyers", step=50, trend_steps=10, trend_move=threshold)
                state.history[49 & (state.history.shape[0] - 1), 0] += move
                assert len(orders(act(state, population))) == count

    @pytest.mark.parametrize(("status", "active"), [(CALLED, False), (LIQUIDATING, False), (CLOSED, False)])
    def test_accounts_in_trouble_take_nothing_new(self, status: int, active: bool) -> None:
        state, population = customers("vault_sellers")
        state.accounts["status"] = status
        assert bool(act(state, population)) == active


def test_sizes_have_the_mean_asked_for_and_a_least() -> None:
    state, (population,) = rig.market([("call_buyers", {"count": 4000, "size_mean": 8.0})], terms=chain())
    sizes = population.column(state, "size")
    assert sizes.mean() == pytest.approx(8.0, rel=0.05) and sizes.min() >= 0.2 * 8.0


@pytest.mark.parametrize(
    ("kind", "params", "key"),
    [
        ("vault_sellers", {"structure": "butterfly"}, "structure"),
        ("call_buyers", {"delta": 1.0}, "delta"),
        ("gamma_scalpers", {"least_days": 0.1}, "least_days"),
        ("covered_writers", {"cover": -1}, "cover"),
        ("put_buyers", {"hedge_band": 1.0}, "hedge_band"),
        ("call_buyers", {"rest": -3}, "rest"),
    ],
)
def test_bad_parameters_are_refused(kind: str, params: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agents.create(kind, kind, params, rig.market_info())
    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_market_without_options_is_refused() -> None:
    with pytest.raises(ConfigError, match="options are listed"):
        rig.market([("call_buyers", {})])
