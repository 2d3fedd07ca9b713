"""The daily profile of activity, and volatility that follows activity."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from sim.contracts import Contract
from sim.world import GbmWorld, HistoricalWorld, WorldPaths, build_world
from sim.world.config import Activity

DAY = 100
CONTRACT = [Contract(name="A", initial_price=1 << 20, max_price=1 << 30)]
SP500 = [Contract(name="A", initial_price=6000, tick_size=0.25, max_price=1 << 20)]


def build(
    world: GbmWorld | HistoricalWorld, steps: int = 200 * DAY, contracts: list[Contract] = CONTRACT, seed: int = 3
) -> WorldPaths:
    return build_world(world, contracts, steps, 60.0, DAY, seed)


def gbm(**activity: object) -> GbmWorld:
    return GbmWorld(volatility=0.02, activity=Activity.model_validate(activity))


def test_a_profile_has_mean_one_over_a_day_and_repeats() -> None:
    activity = build(gbm(deviation=0.0, profile=[3.0, 1.0, 2.0])).activity[1:]
    days = activity.reshape(-1, DAY)
    assert np.allclose(days.mean(axis=1), 1.0, rtol=0, atol=1e-12)
    assert np.array_equal(days[0], days[-1])
    # straight lines 3 -> 1 -> 2 have mean 7 / 4: highest at the open, lowest at the middle
    assert days[0, 0] == pytest.approx(3 / 1.75, rel=0.02)
    assert days[0].argmin() in (DAY // 2 - 1, DAY // 2)
    assert days[0, -1] == pytest.approx(2 / 1.75, rel=0.02)


def test_a_profile_of_one_number_changes_nothing() -> None:
    plain, flat = build(gbm()).activity, build(gbm(profile=[7.0])).activity
    assert np.allclose(plain, flat, rtol=1e-12)


def test_without_an_exponent_the_value_does_not_know_of_activity() -> None:
    assert np.array_equal(build(gbm()).value, build(gbm(deviation=1.0, profile=[2.0, 1.0])).value)


@pytest.mark.parametrize("exponent", [0.5, 0.8])
def test_variance_follows_activity_and_keeps_its_mean(exponent: float) -> None:
    world = build(
        gbm(
            deviation=0.3, time_constants_seconds=[600.0, 3000.0], profile=[2.0, 0.7, 1.5], volatility_exponent=exponent
        ),
        steps=3000 * DAY,
    )
    plain = build(gbm(), steps=3000 * DAY)
    r, r0 = (np.diff(np.log(w.value[:, 0])) for w in (world, plain))
    # the same draws, scaled: r + v/2 is the noise
    centred, centred0 = r + 0.5 * 0.02**2 / DAY, r0 + 0.5 * 0.02**2 / DAY
    assert np.mean(centred**2) / np.mean(centred0**2) == pytest.approx(1.0, abs=0.03)
    many = np.abs(centred0) > 1e-5
    scaled = np.log(np.abs(centred[many] / centred0[many]))
    slope = np.polyfit(np.log(world.activity[1:][many]), scaled, 1)[0]
    assert slope == pytest.approx(exponent, abs=0.02)


def test_real_closes_are_hit_whatever_happens_within_the_day() -> None:
    settings = {"dataset": "arch:sp500", "columns": "Close", "start": "2008-09-02", "end": "2008-10-31"}
    plain = build(HistoricalWorld(**settings), steps=40 * DAY, contracts=SP500)
    profile = Activity(profile=[2.0, 0.5, 2.0], volatility_exponent=0.5)
    shaped = build(HistoricalWorld(**settings, activity=profile), steps=40 * DAY, contracts=SP500)
    assert np.array_equal(plain.closes(DAY), shaped.closes(DAY))
    squares = (np.diff(np.log(shaped.value[:, 0])) ** 2).reshape(-1, DAY).mean(axis=0)
    assert squares[:10].mean() > 2 * squares[45:55].mean()


@pytest.mark.parametrize("bad", [{"profile": [1.0, 0.0]}, {"profile": ["high"]}, {"volatility_exponent": -1}])
def test_bad_activity_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Activity.model_validate(bad)
