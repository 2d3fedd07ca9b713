"""What each kind does, seen from its messages and columns."""

from __future__ import annotations

import numpy as np
import pytest

import agents
from agents.kernels import noise as kernels
from sim.kernels.ledger import equity
from sim.kernels.state import (
    CANCEL_ALL,
    M_MAKERS_WITHDRAWN_UNTIL,
    NEW,
    POST_ONLY,
    RATE_ONE,
)
from tests.agents import rig
from tests.agents.rig import column, decide, over

PRICE = rig.PRICE


def test_deposits_are_stated_in_lots_at_full_value() -> None:
    kinds = [("hedgers", {"capital_lots": 3}), ("noise", {"outside_lots": 2, "capital_lots": 1})]
    state, (one, two) = rig.market(kinds)
    assert (state.wallets[: one.count, 0] == 3 * PRICE * 100).all()
    assert (state.wallets[one.count : one.count + two.count, 0] == PRICE * 100).all()
    assert (state.accounts["outside"][one.count : one.count + two.count] == 2 * PRICE * 100).all()
    assert equity(state, 0) == 3 * PRICE * 100


def test_decisions_of_a_step_do_not_depend_on_other_populations() -> None:
    """The same population after another one says the same, on shifted accounts."""
    for kind in ("latent", "noise", "hedgers", "trend_followers"):
        alone, (population,) = rig.market([(kind, {})])
        beside, (_, twin) = rig.market([("value_arbitrageurs", {}), (kind, {})])
        alone.levels["depth"] = beside.levels["depth"] = 9
        for step in range(1, 61):
            mine = [(message[0] + twin.first, *message[1:]) for message in decide(alone, population, step)]
            assert mine == decide(beside, twin, step, number=1)


class TestLatent:
    """Limit orders with exogenous everything."""

    def test_rates_sizes_distances_and_lifetimes(self) -> None:
        state, (population,) = rig.market([("latent", {})], steps=3000)
        sent = over(state, population, 3000)
        assert len(sent) / 3000 == pytest.approx(8.0, abs=0.2)
        assert column(sent, "quantity").mean() == pytest.approx(10.0, rel=0.03)
        assert column(sent, "side").mean() == pytest.approx(0.0, abs=0.03)
        distance = -column(sent, "side") * (column(sent, "price") - PRICE)
        assert distance.min() == 1 and distance.max() == 2000
        assert distance.mean() == pytest.approx(1000.5, rel=0.02)
        assert (column(sent, "tif") == POST_ONLY).all()
        assert len(np.unique(column(sent, "account"))) == 200

    def test_mean_lifetime(self) -> None:
        state, (population,) = rig.market([("latent", {"lifetime": 50})], steps=2000)
        lived = []
        for step in range(1, 2001):
            lived += [message[rig.SENT.index("expiry")] - step for message in decide(state, population, step)]
        assert min(lived) == 1
        assert np.mean(lived) == pytest.approx(50.5, rel=0.03)

    def test_no_order_crosses_the_price_band(self) -> None:
        """The venue refuses buys above and sells below the band; orders far on the other side may rest."""
        state, (population,) = rig.market([("latent", {"value_centred": True, "depth_ticks": 300})])
        state.contracts["band"] = RATE_ONE // 100
        state.value[:] = PRICE + 200.0
        sent = over(state, population, 300)
        buys, sells = sent[column(sent, "side") == 1], sent[column(sent, "side") == -1]
        assert column(buys, "price").max() <= PRICE + 50
        assert column(sells, "price").max() > PRICE + 400

    def test_value_centred_orders_follow_value_and_may_cross(self) -> None:
        state, (population,) = rig.market([("latent", {"value_centred": True, "depth_ticks": 20})])
        state.value[:] = 6000.0
        sent = over(state, population, 100)
        assert column(sent, "price").mean() == pytest.approx(6000, abs=2)
        assert (column(sent, "tif") != POST_ONLY).all()

    def test_arrivals_do_not_depend_on_the_market(self) -> None:
        one, (population,) = rig.market([("latent", {})])
        two, _ = rig.market([("latent", {})])
        two.quotes["mid"] += 320
        two.quotes["mark"] += 320
        for step in range(1, 50):
            calm, moved = np.array(decide(one, population, step)), np.array(decide(two, population, step))
            for name in ("account", "side", "quantity", "expiry"):
                np.testing.assert_array_equal(column(calm, name), column(moved, name))
            np.testing.assert_array_equal(column(calm, "price") + 20, column(moved, "price"))


class TestNoise:
    """Order splitting."""

    def test_signs_have_long_memory(self) -> None:
        state, (population,) = rig.market([("noise", {"count": 20})], steps=6000)
        state.levels["depth"] = 1000
        sides = column(over(state, population, 6000), "side").astype(float)
        # an order is of the same parent as an earlier one with probability 1 / 20, as long as that parent lasts
        correlation = [np.corrcoef(sides[:-lag], sides[lag:])[0, 1] for lag in range(1, 51)]
        assert np.mean(correlation) > 0.01
        assert abs(sides.mean()) < 0.35

    def test_sizes_stop_at_the_best_price(self) -> None:
        state, (population,) = rig.market([("noise", {})])
        state.levels["depth"] = 2
        sent = over(state, population, 300)
        assert column(sent, "quantity").max() == 2
        state.quotes["ask"] = -1
        sent = over(state, population, 300)
        assert (column(sent, "side") == -1).all()

    def test_rate_follows_activity(self) -> None:
        state, (population,) = rig.market([("noise", {})])
        state.levels["depth"] = 100
        calm = len(over(state, population, 390))
        state.activity[:] = 3.0
        assert len(over(state, population, 390)) / calm == pytest.approx(3.0, rel=0.15)

    def test_feedback_takes_its_part_from_a_price_that_stands_still(self) -> None:
        plain, (population,) = rig.market([("noise", {"arrivals": 20})])
        plain.levels["depth"] = 100
        still, (excited,) = rig.market([("noise", {"arrivals": 20, "feedback": 0.6})])
        still.levels["depth"] = 100
        ratio = len(over(still, excited, 390)) / len(over(plain, population, 390))
        assert ratio == pytest.approx(0.4, rel=0.1)

    def test_feedback_is_bounded_and_fades_as_averages_catch_up(self) -> None:
        params = {"arrivals": 20, "feedback": 0.5, "feedback_most": 4, "feedback_shortest": 1, "feedback_longest": 20}
        state, (population,) = rig.market([("noise", params)])
        state.levels["depth"] = 100
        calm = len(over(state, population, 100))
        state.history[:] += 0.2
        factors = [kernels.excitement(state, 0) for _ in range(400)]
        assert factors[0] == pytest.approx(0.5 + 0.5 * 4)
        assert factors[-1] == pytest.approx(0.5, abs=1e-6)
        assert (np.diff(factors) <= 0).all()
        assert calm == pytest.approx(0.5 * 20 * 100, rel=0.1)

    def test_feedback_is_neutral_in_a_random_walk_of_its_volatility(self) -> None:
        params = {"feedback": 0.5, "feedback_volatility": 0.038, "feedback_most": 1000, "feedback_longest": 30}
        state, _ = rig.market([("noise", params)])
        steps = np.random.default_rng(3).normal(0.0, 0.038 / np.sqrt(1440), 6000)
        level = state.history[0, 0] + np.cumsum(steps)
        factors = []
        for now in level:
            state.history[:, 0] = now  # only the last completed step is looked at
            factors.append(kernels.excitement(state, 0))
        assert np.mean(factors[200:]) == pytest.approx(1.0, abs=0.1)


class TestFundamentalists:
    """Weak and slow."""

    def test_they_buy_below_and_sell_above_value(self) -> None:
        state, (population,) = rig.market([("fundamentalists", {"opinion_sigma": 0.0, "period": 1})])
        state.value[:] = PRICE * 1.2
        sent = np.array(decide(state, population))
        assert len(sent) == 50 and (column(sent, "side") == 1).all() and (column(sent, "quantity") == 5).all()
        state.positions["lots"][:50, 0] = 20
        assert decide(state, population) == []
        state.value[:] = PRICE / 1.2
        assert (column(np.array(decide(state, population)), "side") == -1).all()


class TestHedgers:
    """Outside exposure."""

    def test_exposure_is_stationary_and_autocorrelated(self) -> None:
        state, (population,) = rig.market([("hedgers", {"count": 400, "period": 1, "persistence": 0.9})], steps=60)
        before = population.column(state, "exposure").copy()
        assert before.std() == pytest.approx(1.0, abs=0.1)
        decide(state, population)
        after = population.column(state, "exposure")
        assert after.std() == pytest.approx(1.0, abs=0.1)
        assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.9, abs=0.04)

    def test_they_offset_their_exposure_beyond_the_tolerance(self) -> None:
        state, (population,) = rig.market([("hedgers", {"count": 300, "period": 1, "mean_lots": 30})])
        sent = np.array(decide(state, population))
        target = -(30 + 10 * population.column(state, "exposure"))
        wanted = np.zeros(300)
        wanted[column(sent, "account")] = column(sent, "side") * column(sent, "quantity")
        acted = wanted != 0
        assert (abs(target[~acted]) <= 3.5).all()
        assert abs(wanted[acted] - target[acted]).max() <= 0.5


class TestMarketMakers:
    """Quotes, skew, withdrawal."""

    def test_quotes_surround_the_mid(self) -> None:
        state, (population,) = rig.market([("market_makers", {})])
        state.quotes["variance_fast"] = state.quotes["variance_slow"] = 0.0
        state.accounts["orders"][0] = 1
        sent = decide(state, population)
        assert sent[0][2] == CANCEL_ALL
        bids = [(m[6], m[7]) for m in sent[1:] if m[3] == 1]
        asks = [(m[6], m[7]) for m in sent[1:] if m[3] == -1]
        assert bids == [(PRICE - 1, 2), (PRICE - 2, 3), (PRICE - 3, 4)]
        assert asks == [(PRICE + 1, 2), (PRICE + 2, 3), (PRICE + 3, 4)]

    def test_they_widen_shrink_and_withdraw_as_volatility_rises(self) -> None:
        state, (population,) = rig.market([("market_makers", {})])
        spreads, sizes = [], []
        for ratio in (1.0, 2.0, 3.5, 4.0):
            state.quotes["variance_fast"] = ratio * ratio * 1e-6
            quotes = [m for m in decide(state, population) if m[2] == NEW]
            spreads.append(min((m[6] for m in quotes if m[3] == -1), default=0) - PRICE)
            sizes.append(sum(m[7] for m in quotes))
        assert spreads[0] < spreads[1] < spreads[2]
        assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == 0

    def test_inventory_skews_and_bounds_the_quotes(self) -> None:
        state, (population,) = rig.market([("market_makers", {})])
        flat = decide(state, population)
        state.positions["lots"][0, 0] = 38
        loaded = decide(state, population)
        assert max(m[6] for m in loaded if m[3] == 1) < max(m[6] for m in flat if m[3] == 1)
        assert sum(m[7] for m in loaded if m[3] == 1) == 2
        state.positions["lots"][0, 0] = 55
        assert all(m[3] == -1 for m in decide(state, population))

    def test_a_scripted_withdrawal_cancels_and_stays_out(self) -> None:
        state, (population,) = rig.market([("market_makers", {})])
        state.meta[M_MAKERS_WITHDRAWN_UNTIL] = 10
        state.accounts["orders"][0] = 6
        assert [m[2] for m in decide(state, population, step=9)] == [CANCEL_ALL]
        assert len(decide(state, population, step=10)) == 7


def test_columns_are_found_by_name() -> None:
    state, (population,) = rig.market([("trend_followers", {})])
    assert population.column(state, "leverage").shape == (1000,)
    assert population.column(state, "leverage").min() >= 2 and population.column(state, "leverage").max() <= 50
    assert population.column(state, "horizon").min() >= 60
    with pytest.raises(KeyError, match="it has leverage, next_attention"):
        population.column(state, "lever")


def test_wake_period_visits_every_trader_once() -> None:
    state, (population,) = rig.market([("fundamentalists", {"period": 7, "opinion_sigma": 0.0})])
    state.value[:] = PRICE * 2
    accounts = [m[0] for step in range(1, 8) for m in decide(state, population, step)]
    assert sorted(accounts) == list(range(50))


def test_market_info_is_what_create_needs() -> None:
    info = agents.MarketInfo(("A",))
    assert agents.create("latent", "l", {}, info).contract == 0
