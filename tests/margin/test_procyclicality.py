from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from sim.errors import ConfigError
from sim.kernels.state import RATE_ONE
from tests.margin import markets

BASE: dict[str, Any] = {
    "estimator": "ewma",
    "decay": 0.9,
    "sample_interval": "1d",
    "update_interval": "1d",
    "horizon": "1d",
    "quantile": 2.5,
    "initial_volatility": 0.01,
    "maintenance_ratio": 0.5,
}
paths = st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=40)


def rates(params: dict[str, Any], returns: Any, per_day: int = 1) -> np.ndarray:
    """Initial and maintenance rates in units, int64[steps, 2], along log returns of the mark."""
    contracts = markets.table(1, 86_400 / per_day, per_day)
    model = margin.create("dynamic_daily", BASE | params)
    state = markets.market(contracts)
    markets.install(state, 0, model, contracts)
    marks = np.maximum(np.rint(8e8 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))), 16)
    found = []
    for step, mark in enumerate(marks):
        state.quotes["mark"] = int(mark)
        markets.publish(state, model, step)
        found.append(state.model_rates[0, 0].copy())
    return np.array(found)


def units(rate: float) -> int:
    return round(rate * RATE_ONE)


@given(returns=paths, floor=st.floats(0.001, 0.5))
def test_a_floor_is_a_floor(returns: list[float], floor: float) -> None:
    with_floor, plain = rates({"floor": floor}, returns), rates({}, returns)
    assert np.all(with_floor[:, 0] >= units(floor))
    assert np.array_equal(with_floor[:, 0], np.maximum(plain[:, 0], units(floor)))


def test_a_floor_volatility_is_the_rate_of_that_volatility() -> None:
    calm = np.zeros(60)
    assert rates({"floor_volatility": 0.008}, calm)[-1, 0] == units(2.5 * 0.008)


@given(returns=paths, cap=st.floats(0.001, 1.0))
def test_a_cap_is_a_cap(returns: list[float], cap: float) -> None:
    with_cap, plain = rates({"cap": cap}, returns), rates({}, returns)
    assert np.array_equal(with_cap[:, 0], np.minimum(plain[:, 0], units(cap)))


@given(
    returns=paths,
    limit=st.floats(0.0, 1.0),
    interval=st.sampled_from([1, 2, 3, 5, 7]),
    update=st.sampled_from([1, 2, 3]),
)
def test_no_interval_sees_more_than_the_speed_limit(
    returns: list[float], limit: float, interval: int, update: int
) -> None:
    params = {"speed_limit": limit, "speed_interval": f"{interval}d", "update_interval": f"{update}d"}
    if update > interval:
        with pytest.raises(ConfigError, match="speed_interval"):
            rates(params, returns)
        return
    limited = rates(params, returns)[:, 0]
    for start in range(len(limited)):
        window = limited[start : start + interval + 1]
        assert window.max() <= np.floor(window[0] * (1.0 + limit)) + 1
    # it only ever lowers, and binds nowhere if nothing rises
    assert np.all(limited <= rates({"update_interval": f"{update}d"}, returns)[:, 0])
    calm = np.zeros(20)
    assert np.array_equal(rates(params, calm), rates({"update_interval": f"{update}d"}, calm))


def test_a_limited_rate_catches_up_in_the_end() -> None:
    jump = np.concatenate([[0.15], np.full(30, 0.1) * (-1) ** np.arange(30)])
    limited, plain = rates({"speed_limit": 0.1}, jump)[:, 0], rates({}, jump)[:, 0]
    assert limited[1] == int(limited[0] * 1.1)
    assert limited[-1] == plain[-1]


@given(returns=paths, weight=st.floats(0.0, 1.0), stress=st.floats(0.001, 0.3))
def test_stress_weight_is_a_weighted_mean(returns: list[float], weight: float, stress: float) -> None:
    stressed = rates({"stress_weight": weight, "stress_volatility": stress}, returns)[:, 0]
    plain = rates({}, returns)[:, 0]
    # the calculated rate itself is clipped at 100 % where it is published alone
    inside = plain < RATE_ONE
    expected = np.minimum((1.0 - weight) * plain + weight * 2.5 * stress * RATE_ONE, RATE_ONE)
    assert np.abs(stressed - expected)[inside].max(initial=0.0) <= 1.5


@given(returns=paths, buffer=st.floats(0.0, 0.5))
def test_a_buffer_lies_between_the_calculated_rate_and_the_buffered_one(returns: list[float], buffer: float) -> None:
    buffered, plain = rates({"buffer": buffer, "buffer_rebuild": "10d"}, returns)[:, 0], rates({}, returns)[:, 0]
    assert np.all(buffered >= plain)
    assert np.all(buffered <= np.minimum(np.ceil((1.0 + buffer) * plain) + 1, RATE_ONE))
    assert buffered[0] == pytest.approx((1.0 + buffer) * plain[0], abs=2)


def test_a_buffer_is_released_one_for_one_and_rebuilt_at_its_half_life() -> None:
    """Calculated volatility steps from 1 % to s and stays: with the EWMA at its fixed point each return is s."""
    params = {"decay": 1e-9, "buffer": 0.25, "buffer_rebuild": "10d"}
    for rise, released in ((1.2, 1.25), (1.25, 1.25), (1.6, 1.6)):
        path = rates(params, 0.01 * rise * (-1.0) ** np.arange(60))[:, 0] / (0.025 * RATE_ONE)
        assert path[0] == pytest.approx(1.25, rel=1e-6)
        # until it is exhausted the buffer takes the rise and the published rate stands still
        assert path[1] == pytest.approx(released, rel=1e-6)
        # rebuilding: the reference covers half the way every ten days
        for days in (10, 20, 40):
            reference = rise - (rise - 1.0) * 0.5 ** (days / 10)
            assert path[1 + days] == pytest.approx(max(rise, 1.25 * min(rise, reference)), rel=1e-5)
        assert path[-1] == pytest.approx(1.25 * rise, rel=0.01)


@given(returns=paths)
def test_overlays_may_touch_one_rate_only(returns: list[float]) -> None:
    tools = {"floor": 0.05, "buffer": 0.25, "speed_limit": 0.1, "cap": 0.3}
    plain, both = rates({}, returns), rates(tools, returns)
    initial_only = rates(tools | {"overlays_on": "initial"}, returns)
    maintenance_only = rates(tools | {"overlays_on": "maintenance"}, returns)
    assert np.array_equal(initial_only[:, 0], both[:, 0])
    assert np.array_equal(initial_only[:, 1], np.minimum(plain[:, 1], both[:, 0]))
    assert np.array_equal(maintenance_only[:, 0], plain[:, 0])
    assert np.array_equal(maintenance_only[:, 1], np.minimum(both[:, 1], plain[:, 0]))


@given(returns=paths)
def test_maintenance_is_never_above_initial(returns: list[float]) -> None:
    for ratio in (0.5, 1.0):
        found = rates({"maintenance_ratio": ratio, "floor": 0.04, "overlays_on": "maintenance"}, returns)
        assert np.all(found[:, 1] <= found[:, 0])
        assert np.all(found >= 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"floor": 0.5, "cap": 0.4}, "floor that is not above the cap"),
        ({"floor": 0.1, "floor_volatility": 0.01}, "either floor or floor_volatility"),
        ({"stress_weight": 0.25}, "stress_volatility"),
        ({"buffer": -0.1}, "margin.params.buffer"),
        ({"speed_limit": -0.1}, "margin.params.speed_limit"),
        ({"overlays_on": "all"}, "margin.params.overlays_on"),
        ({"floor_volatility": 0.3, "cap": 0.4}, "not above the cap"),
    ],
)
def test_tools_that_contradict_each_other_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rates(params, [0.0])
