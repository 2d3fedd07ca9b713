"""Stop-loss traders: when a stop goes off, where it stands, what becomes of the position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import agents
from agents import stop_loss_traders as stops
from agents.columns import Population
from agents.kernels.stop_loss_traders import stop_level
from sim.errors import ConfigError
from sim.kernels.state import BUY, CLOSED, IOC, MARKET, REDUCE_ONLY, SELL, SUBTICKS, State
from tests.agents import rig
from tests.agents.rig import PRICE, column, decide

CASES = {
    "plain": {"count": 60, "pause": 30, "hold": 200},
    "trailing on the last price": {
        "count": 60, "trailing": True, "trigger": "last", "stop_least": 0, "round_share": 1.0, "pause": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_decision_equals_the_readable_one(case: str) -> None:
    sent = rig.agree("stop_loss_traders", CASES[case], stops.decide)
    forced = [message for message in sent if message.flags == MARKET | REDUCE_ONLY]
    assert {message.side for message in forced} == {BUY, SELL} == {m.side for m in sent if not m.flags}


def holders(lots: int, stop: int, **params: object) -> tuple[State, Population]:
    """Traders who all hold a position with a stop."""
    state, (population,) = rig.market([("stop_loss_traders", {"count": 3, **params})])
    state.positions["lots"][:3, 0] = lots
    population.column(state, "stop")[:] = stop
    population.column(state, "due")[:] = 10_000
    population.column(state, "distance")[:] = abs(PRICE - stop)
    return state, population


@pytest.mark.parametrize(("lots", "away"), [(7, -1), (-7, 1)])
def test_a_stop_goes_off_at_its_level_and_not_a_subtick_before(lots: int, away: int) -> None:
    stop = PRICE + 100 * away
    state, population = holders(lots, stop)
    state.quotes["mark"][0] = stop * SUBTICKS - away
    assert decide(state, population) == []
    state.quotes["mark"][0] = stop * SUBTICKS
    sent = np.array(decide(state, population))
    assert (column(sent, "side") == -np.sign(lots)).all() and (column(sent, "quantity") == 7).all()
    assert (column(sent, "flags") == MARKET | REDUCE_ONLY).all() and (column(sent, "tif") == IOC).all()


def test_the_last_price_triggers_where_that_is_asked_for() -> None:
    state, population = holders(4, PRICE - 50, trigger="last")
    state.quotes["mark"][0] = (PRICE - 80) * SUBTICKS
    assert decide(state, population) == []
    state.quotes["last"][0] = PRICE - 50
    assert len(decide(state, population)) == 3


def test_a_stop_that_did_not_fill_is_sent_again_and_then_forgotten() -> None:
    state, population = holders(4, PRICE + 1)
    assert len(decide(state, population, 1)) == 3
    state.positions["lots"][:3, 0] = 1
    assert [message[7] for message in decide(state, population, 2)] == [1, 1, 1]
    state.positions["lots"][:3, 0] = 0
    assert decide(state, population, 3) == []
    assert (population.column(state, "stop") == 0).all()
    assert (population.column(state, "due") > 3).all()


def test_trailing_stops_follow_the_price_one_way_only() -> None:
    state, population = holders(4, PRICE - 100, trailing=True)
    seen = []
    for move in (0, 60, 30, 200, 150):
        state.quotes["mark"][0] = (PRICE + move) * SUBTICKS
        assert decide(state, population) == []
        seen.append(int(population.column(state, "stop")[0]) - PRICE)
    assert seen == [-100, -40, -40, 100, 100]


def test_positions_end_when_they_are_due_and_closed_accounts_do_nothing() -> None:
    state, population = holders(4, PRICE - 100)
    population.column(state, "due")[:] = 5
    assert decide(state, population, 4) == []
    state.accounts["status"][0] = CLOSED
    assert [message[0] for message in decide(state, population, 5)] == [1, 2]


def test_a_position_that_came_otherwise_gets_a_stop() -> None:
    state, population = holders(-4, 0)
    assert decide(state, population) == []
    assert (population.column(state, "stop") > PRICE).all()


def test_entries_are_as_many_as_large_and_as_far_from_their_stops_as_stated() -> None:
    params = {"count": 6000, "pause": 0.01, "round_share": 0.25, "size_mean": 4, "round_ticks": 100, "capital_lots": 99}
    state, (population,) = rig.market([("stop_loss_traders", params)])
    sent = np.array(decide(state, population))
    assert len(sent) == 6000
    assert (column(sent, "side") == BUY).mean() == pytest.approx(0.7, abs=0.02)
    assert column(sent, "quantity").mean() == pytest.approx(4.0, rel=0.03)
    stop, side = population.column(state, "stop"), np.zeros(6000)
    side[column(sent, "account")] = column(sent, "side")
    assert (side * (PRICE - stop) > 0).all()
    distance = np.abs(PRICE - stop) / PRICE
    assert distance.mean() == pytest.approx(0.02, rel=0.05)
    behind = (stop + side) % 100 == 0
    assert behind.mean() == pytest.approx(0.25 + 0.75 / 100, abs=0.02)
    assert (behind[side > 0] == (stop[side > 0] % 100 == 99)).all()


def test_entries_are_bounded_by_margin() -> None:
    params = {"count": 500, "pause": 0.01, "size_mean": 1000, "capital_lots": 1, "headroom": 0.5, "slippage": 0.01}
    state, (population,) = rig.market([("stop_loss_traders", params)])
    assert column(np.array(decide(state, population)), "quantity").max() == int(0.5 / (0.04 + 0.01))


@given(
    price=some.integers(16, 1 << 20),
    side=some.sampled_from([BUY, SELL]),
    distance=some.floats(0, 0.99),
    snap=some.booleans(),
    grid=some.integers(2, 500),
)
def test_a_stop_is_never_at_the_price_already(price: int, side: int, distance: float, snap: bool, grid: int) -> None:
    level = int(stop_level(price, side, distance, snap, grid))
    assert level >= 1
    assert level == 1 or side * (price - level * SUBTICKS) >= SUBTICKS
    assert not snap or level == 1 or (level + side) % grid == 0
    if not snap:
        assert abs(price * (1 - side * distance) / SUBTICKS - level) <= 2


def test_bounds_must_be_ordered() -> None:
    with pytest.raises(ConfigError, match="stop_least at most stop_mean"):
        agents.create("stop_loss_traders", "s", {"stop_least": 0.03, "stop_mean": 0.02}, rig.market_info())
    with pytest.raises(ConfigError, match="trigger = 'mid'"):
        agents.create("stop_loss_traders", "s", {"trigger": "mid"}, rig.market_info())
