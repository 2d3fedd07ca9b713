"""What traders under margin, arbitrageurs and liquidators do, seen from their messages."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from agents.columns import Population
from sim.kernels.state import (
    CALLED,
    CAUSE_LIQUIDATOR,
    M_BIDS,
    M_SCENARIOS,
    RATE_ONE,
    REDUCE_ONLY,
    State,
)
from tests.agents import rig
from tests.agents.rig import column, decide

PRICE = rig.PRICE


class TestTrendFollowers:
    """Open, hold, leave."""

    @staticmethod
    def rising(**params: float) -> tuple[State, Population]:
        state, (population,) = rig.market([("trend_followers", {"period": 1, "contrarian_share": 0, **params})])
        ring = np.arange(state.history.shape[0])
        state.history[:, 0] = np.where(ring == 0, 0.3, 0.0) + np.log(PRICE)  # at step 1, slot 0 is the last mid
        return state, population

    def test_attention_is_bernoulli_per_wake(self) -> None:
        state, population = self.rising(bias=9)
        counts = []
        for step in range(1, 200):
            state.history[:, 0] = np.log(PRICE)
            counts.append(len(decide(state, population, step)))
        assert np.mean(counts) / 1000 == pytest.approx(0.05, abs=0.002)

    def test_attention_comes_at_the_same_steps_whatever_was_held(self) -> None:
        """Holders miss attentions, and the later ones still fall on the same steps."""
        one, population = self.rising(bias=9)
        two, _ = self.rising(bias=9)
        for step in range(1, 80):
            two.positions["lots"][:1000, 0] = 7 if step < 60 else 0
            mine, other = decide(one, population, step), decide(two, population, step)
            if step >= 60:
                assert mine == other

    def test_lots_are_leverage_times_equity(self) -> None:
        state, population = self.rising(leverage_low=10, leverage_high=10, capital_lots=3, attention=0.9)
        state.rate_initial[:] = RATE_ONE // 50
        sent = np.array(decide(state, population))
        assert len(sent) > 700 and (column(sent, "side") == 1).all()
        assert (column(sent, "quantity") == 30).all()

    def test_leverage_stays_within_initial_margin(self) -> None:
        state, population = self.rising(leverage_low=50, leverage_high=50, capital_lots=40, attention=0.9)
        state.rate_initial[:] = RATE_ONE // 10
        (lots,) = set(column(np.array(decide(state, population)), "quantity"))
        assert lots == 40 * 9  # .9 / initial rate

    def test_a_turned_trend_closes_the_position(self) -> None:
        state, population = self.rising()
        state.positions["lots"][:1000, 0] = -12
        sent = np.array(decide(state, population))
        assert len(sent) == 1000
        assert (column(sent, "side") == 1).all() and (column(sent, "quantity") == 12).all()
        assert (column(sent, "flags") == REDUCE_ONLY).all()

    def test_a_liquidated_trader_stays_out(self) -> None:
        state, population = self.rising(attention=0.9)
        state.accounts["last_liquidation"] = 0
        assert decide(state, population) == []

    def test_says_how_far_back_it_reads(self) -> None:
        _, (population,) = rig.market([("trend_followers", {"horizon_high": 3000})])
        assert population.history == 3001

    def test_deposits_vary_around_their_mean(self) -> None:
        state, (population,) = rig.market([("trend_followers", {"count": 4000, "capital_sigma": 0.5})])
        wallets = state.wallets[: population.count, 0]
        assert wallets.mean() == pytest.approx(2 * PRICE * 100, rel=0.03)
        assert np.log(wallets).std() == pytest.approx(0.5, rel=0.05)


class TestLeverageTargeters:
    """Margin moves leverage."""

    PARAMS: ClassVar[dict[str, float]] = {
        "count": 100, "period": 1, "enter_steps": 0, "long_share": 1.0, "leverage_low": 10, "leverage_high": 10,
    }  # fmt: skip

    def test_a_higher_initial_rate_makes_them_sell(self) -> None:
        state, (population,) = rig.market([("leverage_targeters", {**self.PARAMS, "capital_lots": 10})])
        state.rate_initial[:] = RATE_ONE // 20
        state.positions["lots"][:100, 0] = 100
        state.positions["cost"][:100, 0] = 100 * PRICE * 100
        assert decide(state, population) == []
        state.rate_initial[:] = RATE_ONE // 5  # at most .9 / .2 = 4.5
        sent = np.array(decide(state, population))
        assert (column(sent, "side") == -1).all() and (column(sent, "quantity") == 10).all() and len(sent) == 100
        assert (column(sent, "flags") == REDUCE_ONLY).all()

    def test_gains_make_them_buy_and_losses_sell(self) -> None:
        state, (population,) = rig.market([("leverage_targeters", {**self.PARAMS, "capital_lots": 10})])
        state.rate_initial[:] = RATE_ONE // 50
        state.positions["lots"][:100, 0] = 100
        for move, side in ((0.02, 1), (-0.02, -1)):
            state.positions["cost"][:100, 0] = int(100 * PRICE * 100 * (1 - move))
            assert {m[3] for m in decide(state, population)} == {side}

    def test_under_a_call_they_only_reduce(self) -> None:
        state, (population,) = rig.market([("leverage_targeters", self.PARAMS)])
        state.accounts["status"] = CALLED
        assert decide(state, population) == []
        state.positions["lots"][:100, 0] = 900
        assert all(m[5] == REDUCE_ONLY for m in decide(state, population))


class TestSpreadTraders:
    """Two legs."""

    @staticmethod
    def dear_first_leg() -> tuple[State, Population]:
        state, (population,) = rig.market(
            [("spread_traders", {"other": "C1", "count": 1, "period": 1, "opinion_sigma": 0.0})], contracts=2
        )
        state.quotes["mid"][0] = state.quotes["mark"][0] = int(PRICE * 16 * 1.02)
        return state, population

    def test_they_sell_the_dear_leg_and_buy_the_cheap_one(self) -> None:
        state, population = self.dear_first_leg()
        legs = {m[1]: m[3] * m[7] for m in decide(state, population)}
        assert legs == {0: -5, 1: 5}

    def test_netting_lets_them_be_larger(self) -> None:
        """The position at which they stop is bounded by the margin of the pair."""
        largest = {}
        for rule in ("rates", "scenarios"):
            state, population = self.dear_first_leg()
            state.rate_initial[:] = RATE_ONE // 10
            if rule == "scenarios":
                state.meta[M_SCENARIOS] = 2
                state.scenario_pnl[0, :, 0] = PRICE * 100 * 1024 // 10
                state.scenario_pnl[0, :, 1] = -PRICE * 100 * 1024 // 10
                state.scenario_weight[:2] = RATE_ONE
                state.initial_factor[0] = RATE_ONE
            for _ in range(300):
                legs = decide(state, population)
                if not legs:
                    break
                for m in legs:
                    state.positions["lots"][0, m[1]] += m[3] * m[7]
                    state.positions["cost"][0, m[1]] += m[3] * m[7] * int(state.quotes["mark"][m[1]]) * 100 // 16
            largest[rule] = abs(state.positions["lots"][0, 0])
        assert largest["rates"] == pytest.approx(50 * 0.7 / 0.2 / 1.02, abs=2)
        assert largest["scenarios"] > 1.5 * largest["rates"]

    def test_a_leg_that_ran_ahead_comes_back(self) -> None:
        state, population = self.dear_first_leg()
        state.positions["lots"][0, 0] = -60
        legs = {m[1]: m[3] * m[7] for m in decide(state, population)}
        assert legs[0] == 5

    def test_under_a_call_they_close(self) -> None:
        state, population = self.dear_first_leg()
        state.positions["lots"][0] = -20, 20
        state.accounts["status"] = CALLED
        legs = {m[1]: m[3] * m[7] for m in decide(state, population)}
        assert legs == {0: 5, 1: -5}


class TestValueArbitrageurs:
    """Price towards value."""

    def test_they_take_what_lies_beyond_value(self) -> None:
        state, (population,) = rig.market([("value_arbitrageurs", {})])
        state.value[:] = PRICE * 1.01
        sent = np.array(decide(state, population))
        assert len(sent) == 10 and (column(sent, "side") == 1).all()
        assert (column(sent, "price") < PRICE * 1.01).all() and (column(sent, "price") > PRICE).all()
        state.value[:] = PRICE * 0.99
        assert (column(np.array(decide(state, population)), "side") == -1).all()
        state.value[:] = PRICE
        assert decide(state, population) == []

    def test_inventory_is_bounded_and_given_back_at_value(self) -> None:
        state, (population,) = rig.market([("value_arbitrageurs", {"inventory_lots": 100})])
        state.value[:] = PRICE * 1.01
        state.positions["lots"][:10, 0] = 100
        assert decide(state, population) == []
        state.value[:] = PRICE - 1.0
        sent = np.array(decide(state, population))
        assert (column(sent, "side") == -1).all() and (column(sent, "quantity") == 10).all()


class TestLiquidators:
    """Offers and unwinding."""

    @staticmethod
    def offers(state: State, population: Population) -> np.ndarray:
        decide(state, population)
        return np.array(np.asarray(state.bids)[: int(state.meta[M_BIDS])])

    def test_they_offer_on_both_sides_within_their_capital(self) -> None:
        state, (population,) = rig.market([("liquidators", {"count": 1, "capital_lots": 10, "leverage": 3})])
        offers = self.offers(state, population)
        assert sorted(offers["side"]) == [-1, 1] and (offers["lots"] == 30).all()

    def test_the_discount_rises_with_volatility_and_inventory(self) -> None:
        state, (population,) = rig.market([("liquidators", {"count": 1})])
        calm = self.offers(state, population)["discount"].max() / RATE_ONE
        state.quotes["variance_fast"] = 1e-4
        wild = self.offers(state, population)
        assert wild["discount"].max() / RATE_ONE == pytest.approx(0.005 + 3 * 0.01)
        state.positions["lots"][0, 0] = 100
        loaded = self.offers(state, population)
        assert loaded["discount"][loaded["side"] == 1] > loaded["discount"][loaded["side"] == -1] >= calm * RATE_ONE

    def test_inventory_is_unwound_with_its_cause(self) -> None:
        state, (population,) = rig.market([("liquidators", {"count": 1, "period": 1})])
        state.positions["lots"][0, 0] = 12
        (message,) = decide(state, population)
        assert message[3] * message[7] == -5
        assert message[10] == CAUSE_LIQUIDATOR and message[5] == REDUCE_ONLY

    def test_a_full_liquidator_offers_only_to_shrink(self) -> None:
        state, (population,) = rig.market([("liquidators", {"count": 1, "inventory_lots": 20})])
        state.positions["lots"][0, 0] = 20
        assert set(self.offers(state, population)["side"]) == {-1}
