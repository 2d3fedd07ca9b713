"""Tapes of markets and of bars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from experiments import build, scenario
from experiments.facts.tape import DAY, Tape
from sim.errors import ConfigError


def test_a_market_gives_everything_and_its_orders_add_up() -> None:
    loaded = scenario.load("calm", ["market.steps=1500", "record.trades=true"])
    market = build.market(loaded, 3)
    market.advance(1500)
    tape = Tape.from_market(market, 500)
    steps = market.steps_table()
    after = steps[steps["step"] > 500]
    assert len(tape) == 1000
    assert (tape.dt_seconds, tape.steps_per_day) == (60.0, 1440)
    assert np.array_equal(tape.mid, after["mid"])
    assert tape.volume is not None
    assert tape.order_signs is not None
    assert tape.order_lots is not None
    assert tape.volume.sum() == steps["volume"].iloc[-1] - steps["volume"].iloc[499]
    assert tape.order_lots.sum() == tape.volume.sum()
    assert set(np.unique(tape.order_signs)) == {-1.0, 1.0}
    trades = market.trades_table()
    assert len(tape.order_signs) == trades[trades["step"] > 500]["taker_order"].nunique()
    market.close()


def test_without_trades_there_are_no_signs() -> None:
    market = build.market(scenario.load("calm", ["market.steps=1600"]), 0)
    market.advance(1600)
    tape = Tape.from_market(market, 1440)
    assert tape.order_signs is None
    assert "order_signs" not in tape.has
    with pytest.raises(ConfigError, match="start"):
        Tape.from_market(market, 1599)
    with pytest.raises(ConfigError, match="contract"):
        Tape.from_market(market, 0, contract=1)
    market.close()


def minutes(days: int, per_day: int, start: str = "2024-01-02 09:30") -> pd.DatetimeIndex:
    first = pd.Timestamp(start)
    return pd.DatetimeIndex(
        [first + pd.Timedelta(days=d) + pd.Timedelta(minutes=m) for d in range(days) for m in range(per_day)]
    )


def test_nights_end_a_session_and_missing_minutes_do_not() -> None:
    index = minutes(3, 390)
    frame = pd.DataFrame({"close": np.linspace(100, 110, len(index)), "volume": 1.0}, index)
    kept = frame.drop(index[[5, 6, 400]])
    tape = Tape.from_bars(kept)
    assert (tape.dt_seconds, tape.steps_per_day, len(tape)) == (60.0, 390, 1170)
    assert tape.session is not None
    assert np.bincount(tape.session).tolist() == [390] * 3
    assert tape.volume is not None
    assert tape.volume.sum() == len(kept)
    assert tape.mid[5] == tape.mid[4] == frame["close"].iloc[4]
    assert tape.days == 3.0
    daily = tape.daily()
    assert daily.mid == pytest.approx(frame["close"].iloc[[389, 779, 1169]])
    assert daily.volume is not None
    assert daily.volume.sum() == len(kept)


def test_a_market_that_never_closes_is_one_session() -> None:
    index = pd.date_range("2024-01-01", periods=4 * 1440, freq="1min")
    tape = Tape.from_bars(pd.DataFrame({"close": np.linspace(1, 2, len(index))}, index))
    assert tape.session is None
    assert (tape.steps_per_day, tape.days, tape.volume) == (1440, 4.0, None)
    assert len(tape.daily()) == 4


def test_daily_closes_are_taken_as_they_come() -> None:
    index = pd.bdate_range("2020-01-01", periods=500)
    tape = Tape.from_bars(pd.DataFrame({"close": np.linspace(1, 2, 500)}, index))
    assert (tape.dt_seconds, tape.steps_per_day, len(tape), tape.session) == (DAY, 1, 500, None)
    assert tape.is_daily
    assert tape.daily() is tape
    weekly = Tape.from_bars(pd.DataFrame({"close": np.linspace(1, 2, 50)}, index[::5][:50]))
    assert not weekly.is_daily
    assert weekly.steps_of(DAY) is None


def test_horizons_are_whole_numbers_of_steps() -> None:
    five = Tape("five minutes", 300.0, 288, np.ones(10))
    assert five.steps_of(60.0) is None
    assert five.steps_of(600.0) == 2
    assert five.steps_of(DAY) == 288
    assert Tape("blocks", 12.0, 7200, np.ones(10)).steps_of(60.0) == 5
    assert Tape("odd", 7.0, 12342, np.ones(10)).steps_of(60.0) is None
    stock = Tape("stock", 60.0, 390, np.ones(10))
    assert stock.steps_of(DAY) == 390


@pytest.mark.parametrize(
    ("frame", "key"),
    [
        (pd.DataFrame({"close": [1.0, 2.0]}, pd.date_range("2024", periods=2)), "bars"),
        (pd.DataFrame({"close": [1.0, 0.0, 2.0]}, pd.date_range("2024", periods=3)), "close"),
        (pd.DataFrame({"open": [1.0, 1.0, 2.0]}, pd.date_range("2024", periods=3)), "--column"),
        (pd.DataFrame({"close": [1.0, 1.0, 2.0]}), "time"),
        (
            pd.DataFrame({"close": [1.0, 1.0, 2.0]}, pd.DatetimeIndex(["2024-01-01", "2024-01-03", "2024-01-02"])),
            "time",
        ),
    ],
)
def test_bad_bars_are_refused(frame: pd.DataFrame, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Tape.from_bars(frame)
    assert caught.value.problems[0].key == key


def test_arrays_must_fit_together() -> None:
    with pytest.raises(ConfigError, match="bid"):
        Tape("x", 60.0, 1440, np.ones(10), bid=np.ones(9))
    with pytest.raises(ConfigError, match="order_lots"):
        Tape("x", 60.0, 1440, np.ones(10), order_signs=np.ones(5), order_lots=np.ones(4))
    with pytest.raises(ConfigError, match="dt_seconds"):
        Tape("x", math.nan, 1440, np.ones(10))
    with pytest.raises(ConfigError, match="steps_per_day"):
        Tape("x", 60.0, 0, np.ones(10))
