"""Option makers: what they quote, when they hedge, and that the compiled decision is the readable one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import agents
from agents import option_makers
from agents.columns import Population
from agents.desk import Desk
from agents.kernels import option_makers as kernels
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.kernels.state import (
    CALLED,
    CANCEL_ALL,
    CLOSED,
    LIQUIDATING,
    M_STEP,
    MARKET,
    OPEN,
    REDUCE_ONLY,
    SUBTICKS,
    State,
    copy_of,
)
from tests.agents import rig
from tests.agents.rig import PRICE, SENT

STRIKES = (4800, 4900, 5000, 5100, 5200)
FIELDS = {name: i for i, name in enumerate(SENT)}


def chain(kind: str = "linear", expiries: Sequence[int] = (1440, 10_080)) -> list[Contract]:
    """A perpetual and calls and puts on it, in the settlement currency or in the coin."""
    inverse = kind == "inverse"
    common: dict[str, Any] = {"underlying": "X", "max_price": 1 << 15, "price_band": 0.5}
    found = [
        Contract(
            name="perp", kind=f"{kind}_perpetual", initial_price=PRICE, tick_value=10**9 if inverse else 100, **common
        )
    ]
    for expiry in expiries:
        for strike in STRIKES:
            for option in ("call", "put"):
                found.append(
                    Contract(
                        name=f"{expiry}-{strike}-{option}", kind=f"{kind}_option", tick_size=0.0005 if inverse else 1.0,
                        tick_value=50 if inverse else 100, initial_price=10, strike=float(strike), option_type=option,
                        expiry_step=expiry, volatility=0.6, chain="X", **common,
                    )
                )  # fmt: skip
    return found


def makers(table: Sequence[Contract] = (), *, step: int = 1, **params: Any) -> tuple[State, Population]:
    """A market with makers at a step, all prices where they began."""
    state, (population,) = rig.market([("option_makers", params)], table=table or chain())
    state.meta[M_STEP] = step
    return state, population


def hold(state: State, account: int, lots: dict[int, int]) -> None:
    """Put positions into an account."""
    for k, n in lots.items():
        state.positions["lots"][account, k] = n
    state.accounts["positions"][account] = int((state.positions["lots"][account] != 0).sum())


def orders(sent: Sequence[tuple[int, ...]], contract: int | None = None) -> list[dict[str, int]]:
    """Orders for a contract, for options if none is named."""
    rows = [dict(zip(SENT, message, strict=True)) for message in sent]
    return [
        r for r in rows if r["kind"] == 0 and (r["contract"] > 0 if contract is None else r["contract"] == contract)
    ]


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "band": ("linear", {"band_lots": 3, "child_lots": 30, "period": 2, "slices": 3}),
    "time": ("linear", {"hedge": "time", "hedge_period": 200, "hedge_fraction": 0.7, "quotes": False}),
    "whalley-wilmott": ("linear", {"hedge": "whalley_wilmott", "risk_aversion": 3.0, "price": "index"}),
    "inverse": ("inverse", {"hedge": "whalley_wilmott", "risk_aversion": 30.0, "slices": 2, "skew_gamma": 2.0}),
    "none": ("inverse", {"hedge": "none", "vega_lots": 30, "gamma_lots": 20, "half_spread_vol": 0.2}),
    "bounded": ("linear", {"inventory_lots": 20, "most_lots": 15, "half_spread_ticks": 4.0, "most_delta": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_decision_equals_the_readable_one(case: str) -> None:
    kind, params = CASES[case]
    rng = np.random.default_rng(20)
    seen: Counter[tuple[int, int]] = Counter()
    for seed in range(25):
        compiled, (population,) = rig.market([("option_makers", {"count": 6} | params)], table=chain(kind), seed=seed)
        rig.randomise(compiled, rng)
        compiled.accounts["positions"] = (compiled.positions["lots"] != 0).sum(axis=1)
        compiled.trader_floats[:, kernels.QUOTED_AT] = rng.choice(
            [0.0, PRICE * SUBTICKS, float(compiled.quotes["mark"][0])], len(compiled.accounts)
        )
        plain = copy_of(compiled)
        population.decide(compiled, 0)
        desk = Desk(plain, 0, population)
        option_makers.decide(desk)
        assert rig.sent(compiled) == [tuple(message) for message in desk.messages]
        np.testing.assert_array_equal(compiled.trader_ints, plain.trader_ints)
        np.testing.assert_array_equal(compiled.trader_floats, plain.trader_floats)
        seen.update((min(message.contract, 1), message.kind) for message in desk.messages)
    assert (seen[0, 0] > 0) == (params.get("hedge") != "none")
    assert (seen[1, 0] > 0 and seen[-1, CANCEL_ALL] > 0) == params.get("quotes", True)


class TestHedging:
    """When the delta is hedged, and by how much."""

    CALL = 1 + 2 * 2  # the call at the money that expires first

    def gap(self, lots: int, own: int, **params: Any) -> tuple[list[dict[str, int]], State, Population]:
        state, population = makers(quotes=False, count=1, **params)
        hold(state, 0, {0: own, self.CALL: lots})
        return orders(rig.decide(state, population), 0), state, population

    @pytest.mark.parametrize(("lots", "side"), [(-100, 1), (100, -1)])
    def test_short_calls_are_hedged_by_a_purchase_and_long_ones_by_a_sale(self, lots: int, side: int) -> None:
        (order,), state, _ = self.gap(lots, 0)
        delta = state.trader_floats[0, kernels.OWN_DELTA]
        assert abs(delta) == pytest.approx(50, abs=2)
        assert (order["side"], order["quantity"], order["flags"]) == (side, round(abs(delta)), MARKET)

    def test_only_what_is_not_held_is_traded(self) -> None:
        (order,), *_ = self.gap(-100, 80)
        assert (order["side"], order["flags"]) == (-1, MARKET | REDUCE_ONLY)
        assert order["quantity"] == pytest.approx(30, abs=2)

    def test_a_gap_within_the_band_is_left_alone(self) -> None:
        assert not self.gap(-100, 44, band_lots=8)[0]
        assert self.gap(-100, 40, band_lots=8)[0][0]["quantity"] == pytest.approx(10, abs=2)

    def test_a_part_of_the_delta_can_be_hedged(self) -> None:
        assert self.gap(-100, 0, hedge_fraction=0.4)[0][0]["quantity"] == pytest.approx(20, abs=1)

    def test_who_hedges_nothing_leaves_the_hedge_he_has(self) -> None:
        assert not self.gap(-100, 30, hedge_fraction=0.0)[0]
        assert not self.gap(-100, 30, hedge="none")[0]

    def test_orders_are_no_larger_than_a_child(self) -> None:
        assert self.gap(-100, 0, child_lots=7)[0][0]["quantity"] == 7

    def test_a_dated_future_of_the_same_underlying_counts_as_hedge(self) -> None:
        table = chain()
        table.append(
            Contract(name="future", kind="linear_future", initial_price=PRICE, underlying="X", expiry_step=9999)
        )
        state, population = makers(table, quotes=False, count=1)
        hold(state, 0, {self.CALL: -100, len(table) - 1: 50})
        assert not orders(rig.decide(state, population), 0)

    def test_options_on_something_else_are_not_hedged_here(self) -> None:
        table = [*chain(), Contract(name="other", initial_price=PRICE, underlying="Y")]
        state, population = makers(table, quotes=True, count=1, contract="other")
        hold(state, 0, {self.CALL: -100})
        assert not rig.decide(state, population)

    def test_the_time_rule_hedges_once_a_period_and_makers_take_turns(self) -> None:
        state, population = makers(quotes=False, count=4, hedge="time", hedge_period=8)
        for account in range(4):
            hold(state, account, {self.CALL: -100})
        steps: dict[int, list[int]] = {account: [] for account in range(4)}
        for step in range(1, 41):
            for message in rig.decide(state, population, step):
                steps[message[0]].append(step)
        assert all(set(np.diff(found)) == {8} for found in steps.values())
        assert len({found[0] % 8 for found in steps.values()}) == 4

    def test_the_band_of_whalley_and_wilmott_in_their_own_units(self) -> None:
        """(3/2 k S Gamma^2 / lambda)^(1/3) of the underlying, and the order goes to its edge."""
        from sim.options import black76_greeks

        (order,), state, _ = self.gap(-100, 0, hedge="whalley_wilmott", risk_aversion=0.5, cost=0.002)
        years = 1439 / (365 * 1440)
        gamma = 100 * float(black76_greeks("call", PRICE, 5000.0, years, 0.6).gamma)  # units over price, ticks of one
        lot = PRICE * 100  # minor units; a unit is a lot
        aversion = 0.5 / lot  # per minor unit
        band = (1.5 * 0.002 * (PRICE * 100) * (gamma / 100) ** 2 / aversion) ** (1 / 3)
        assert state.trader_floats[0, kernels.OWN_BAND] == pytest.approx(band, rel=1e-9)
        assert order["quantity"] == round(abs(state.trader_floats[0, kernels.OWN_DELTA]) - band)

    @pytest.mark.parametrize(("status", "acts"), [(OPEN, True), (CALLED, True), (LIQUIDATING, False), (CLOSED, False)])
    def test_who_is_being_liquidated_does_not_hedge(self, status: int, acts: bool) -> None:
        state, population = makers(quotes=False, count=1)
        hold(state, 0, {self.CALL: -100})
        state.accounts["status"][0] = status
        assert bool(rig.decide(state, population)) == acts


class TestQuotes:
    """Prices and sizes of quotes."""

    WHOLE: ClassVar[dict[str, Any]] = {"slices": 1, "count": 1}

    def quoted(self, **params: Any) -> list[dict[str, int]]:
        state, population = makers(**self.WHOLE | params)
        return orders(rig.decide(state, population))

    def test_both_sides_of_model_value_a_half_spread_away(self) -> None:
        from sim.options import black76_greeks

        found = self.quoted(least_delta=0, most_delta=1, half_spread_vol=0.03, half_spread_ticks=0)
        assert len(found) == 2 * 20
        table = chain()
        for order in found:
            terms = table[order["contract"]]
            years = (terms.expiry_step - 1) / (365 * 1440)
            g = black76_greeks(terms.option_type, float(PRICE), terms.strike, years, 0.6)
            edge = float(g.price) - order["side"] * 0.03 * float(g.vega)
            assert order["price"] == (np.floor(edge) if order["side"] > 0 else np.ceil(edge))

    def test_only_deltas_within_the_range(self) -> None:
        found = {order["contract"] for order in self.quoted(least_delta=0.45, most_delta=0.55)}
        names = {chain()[k].name for k in found}
        assert names == {f"{expiry}-5000-{option}" for expiry in (1440, 10_080) for option in ("call", "put")}

    def test_sizes_fall_with_vega(self) -> None:
        size = {chain()[o["contract"]].name: o["quantity"] for o in self.quoted(size_lots=20.0, most_lots=10_000)}
        assert size["1440-5000-call"] / size["10080-5000-call"] == pytest.approx(np.sqrt(7), rel=0.02)
        assert size["10080-5000-call"] == pytest.approx(20 * np.sqrt(30 / 7), rel=0.03)

    @pytest.mark.parametrize(("lots", "way"), [(300, -1), (-300, 1)])
    def test_quotes_lean_against_inventory(self, lots: int, way: int) -> None:
        state, population = makers(**self.WHOLE)
        flat = {(o["contract"], o["side"]): o["price"] for o in orders(rig.decide(state, population))}
        hold(state, 0, {15: lots})
        state.trader_floats[0, kernels.QUOTED_AT] = 0
        held = {(o["contract"], o["side"]): o["price"] for o in orders(rig.decide(state, population))}
        moved = [np.sign(price - flat[key]) for key, price in held.items()]
        assert way in moved and -way not in moved

    @pytest.mark.parametrize("limit", [{"vega_lots": 20.0}, {"gamma_lots": 20.0}])
    @pytest.mark.parametrize("lots", [900, -900])
    def test_at_a_limit_only_the_side_that_reduces_is_quoted(self, limit: dict[str, float], lots: int) -> None:
        state, population = makers(**self.WHOLE | limit | {"inventory_lots": 10_000})
        hold(state, 0, {15: lots})
        assert {order["side"] for order in orders(rig.decide(state, population))} == {-int(np.sign(lots))}

    def test_position_in_an_option_is_bounded(self) -> None:
        state, population = makers(**self.WHOLE | {"inventory_lots": 40, "most_lots": 50, "size_lots": 1000})
        hold(state, 0, {15: 30})
        room = {o["side"]: o["quantity"] for o in orders(rig.decide(state, population)) if o["contract"] == 15}
        assert room == {1: 10, -1: 50}

    def test_every_option_is_quoted_once_a_round_and_until_its_next_turn(self) -> None:
        state, population = makers(count=2, slices=4, period=3, least_delta=0, most_delta=1, pull_move=1)
        until: dict[tuple[int, int, int], int] = {}
        turns = 0
        for step in range(1, 60):
            for order in orders(rig.decide(state, population, step)):
                key = (order["account"], order["contract"], order["side"])
                assert until.setdefault(key, step) == step, "sent before or after the last one lapsed"
                turns += 1
                until[key] = order["expiry"]
        assert turns > 2 * 20 * 2 * 4 and max(until.values()) < 60 + 12

    def test_a_move_pulls_all_quotes_and_renews_them(self) -> None:
        state, population = makers(**self.WHOLE | {"slices": 5})
        first = rig.decide(state, population)
        state.accounts["orders"][0] = len(first)
        assert len(orders(rig.decide(state, population, 2))) < len(orders(first))
        state.quotes["mark"][0] += 10 * SUBTICKS
        again = rig.decide(state, population, 3)
        assert (again[0][FIELDS["kind"]], again[0][FIELDS["contract"]]) == (CANCEL_ALL, -1)
        assert len(orders(again)) == len(orders(first))

    @pytest.mark.parametrize("trouble", ["volatile", "called"])
    def test_quotes_are_pulled_in_trouble(self, trouble: str) -> None:
        state, population = makers(**self.WHOLE)
        state.accounts["orders"][0] = len(rig.decide(state, population))
        if trouble == "called":
            state.accounts["status"][0] = CALLED
        else:
            state.quotes["variance_fast"][0] = 20 * state.quotes["variance_slow"][0]
        ((*message,),) = rig.decide(state, population, 2)
        assert message[FIELDS["kind"]] == CANCEL_ALL
        state.accounts["orders"][0] = 0
        assert not rig.decide(state, population, 3)

    def test_what_is_not_listed_yet_or_has_expired_is_not_quoted(self) -> None:
        table = chain()
        table[15] = Contract(**{name: getattr(table[15], name) for name in Contract.__slots__} | {"listing_step": 5})
        state, population = makers(table, slices=1, count=1, pull_move=1)
        assert 15 not in {o["contract"] for o in orders(rig.decide(state, population))}
        assert 15 in {o["contract"] for o in orders(rig.decide(state, population, 6))}
        assert {table[o["contract"]].expiry_step for o in orders(rig.decide(state, population, 1441))} == {10_080}


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"hedge": "sometimes"}, "hedge"),
        ({"hedge_fraction": 1.5}, "hedge_fraction"),
        ({"least_delta": 0.6, "most_delta": 0.5}, "most_delta"),
        ({"child_lots": 0}, "child_lots"),
        ({"contract": "nowhere"}, "contract"),
        ({"risk_aversion": 0}, "risk_aversion"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agents.create("option_makers", "m", params, rig.market_info())
    assert [problem.key for problem in caught.value.problems] == [key]


def test_an_option_cannot_be_the_hedge() -> None:
    info = agents.MarketInfo(tuple(one.name for one in chain()), terms=tuple(chain()))
    with pytest.raises(ConfigError, match="a perpetual or future"):
        agents.create("option_makers", "m", {"contract": chain()[3].name}, info)
    with pytest.raises(ConfigError, match="a perpetual or future"):
        makers(contract=chain()[3].name)
