"""What makers with a reference and news traders do, seen from their messages."""

from __future__ import annotations

import numpy as np
import pytest

from agents.columns import Population
from sim.kernels.state import BUY, M_MESSAGES, M_STEP, NEW, SELL, SUBTICKS, State
from tests.agents import rig
from tests.agents.rig import PRICE


def quotes(state: State, population: Population, side: int) -> list[tuple[int, int]]:
    """Prices and lots of the new orders of a side."""
    state.meta[M_MESSAGES] = 0
    population.decide(state, 0)
    sent = state.messages[: int(state.meta[M_MESSAGES])]
    chosen = sent[(sent["kind"] == NEW) & (sent["side"] == side)]
    return [(int(price), int(lots)) for price, lots in zip(chosen["price"], chosen["quantity"], strict=True)]


def test_a_pool_quotes_around_the_published_index_wherever_value_and_mid_are() -> None:
    state, (pool,) = rig.market(
        [("reference_makers", {"reference": "index", "half_spread": 0.01, "levels": 2, "level_step": 0.01})]
    )
    state.quotes["index"][0] = 4000 * SUBTICKS
    # whole ticks away from the centre: a bid of 3960 may stand at 3959
    assert np.allclose(quotes(state, pool, BUY), [(3960, 2), (3960 * 0.99, 2)], rtol=0, atol=1)
    assert np.allclose(quotes(state, pool, SELL), [(4040, 2), (4040 * 1.01, 2)], rtol=0, atol=1)


def test_its_price_falls_in_a_straight_line_with_what_it_has_bought() -> None:
    state, (pool,) = rig.market(
        [
            (
                "reference_makers",
                {"reference": "index", "half_spread": 0.0, "levels": 1, "lean": 0.1, "inventory_lots": 100},
            )
        ]
    )
    asks = []
    for lots in (-100, -50, 0, 50, 100):
        state.positions["lots"][pool.first, 0] = lots
        asks.append(quotes(state, pool, SELL)[0][0] if lots > -100 else PRICE * 1.1)
    assert np.allclose(np.diff(asks), -0.05 * PRICE, atol=1.5)
    state.positions["lots"][pool.first, 0] = 99
    assert quotes(state, pool, BUY)[0][1] == 1  # room for one lot only


@pytest.mark.parametrize(("follow", "centre"), [(0.0, 5100), (1.0, 5202), (0.5, 5151)])
def test_a_maker_takes_over_the_markets_distance_and_moves_with_the_news(follow: float, centre: int) -> None:
    state, (maker,) = rig.market([("reference_makers", {"follow": follow, "half_spread": 0.0, "levels": 1})])
    quotes(state, maker, BUY)  # it sees the reference at 5000
    state.quotes["mid"][0] = 5100 * SUBTICKS  # order flow moves the market by 2 %
    state.value[:, 0] = 5100.0  # and then there is news of 2 %
    state.meta[M_STEP] = 2
    assert quotes(state, maker, BUY)[0][0] == pytest.approx(centre, abs=2)


def test_news_traders_answer_the_move_of_the_value_and_leave_its_level_alone() -> None:
    state, (news,) = rig.market([("news_traders", {"count": 1, "threshold": 0.001, "threshold_spread": 0.0})])
    state.meta[M_STEP] = 10
    state.value[:, 0] = 6000.0  # the market has long stood 17 % under value
    assert quotes(state, news, BUY) == []
    state.value[10:, 0] = 6060.0  # news of 1 %: fair is 5050, asks up to 5044 are stale
    state.meta[M_STEP] = 10
    assert quotes(state, news, BUY) == [(5044, 50)]
    state.value[10:, 0] = 5940.0
    assert quotes(state, news, SELL) == [(4955, 50)]


def test_their_horizon_is_within_the_history_that_the_market_keeps() -> None:
    import agents

    population = agents.create("news_traders", "news", {"horizon": 6000}, rig.market_info())
    assert population.history >= 6000


def test_a_priority_fee_is_an_account_column_from_the_start() -> None:
    state, (news,) = rig.market([("news_traders", {"count": 3, "priority_fee_lots": 0.01})])
    rows = state.accounts["priority_fee"][news.first : news.first + 3]
    assert list(rows) == [int(0.01 * PRICE * 100)] * 3
