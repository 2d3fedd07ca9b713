"""Bars on a grid, signs of takers, tapes."""

import numpy as np
import pandas as pd
import pytest

from experiments.data import Series, bars, lee_ready, taker_orders, taker_signs, tick_rule, to_tape
from sim.errors import ConfigError


def times(*seconds, start="2020-01-06 09:30"):
    return pd.Timestamp(start) + pd.to_timedelta(list(seconds), unit="s")


def trades(seconds, prices, sizes=None, signs=None, start="2020-01-06 09:30"):
    n = len(prices)
    return pd.DataFrame(
        {"time": times(*seconds, start=start), "price": np.asarray(prices, float),
         "size": np.ones(n) if sizes is None else np.asarray(sizes, float),
         "sign": np.zeros(n, np.int8) if signs is None else np.asarray(signs, np.int8)}
    )  # fmt: skip


def test_tick_rule_carries_the_last_move():
    assert tick_rule(np.array([5.0, 5, 6, 6, 5, 5, 7])).tolist() == [0, 0, 1, 1, -1, -1, 1]
    assert tick_rule(np.array([5.0, 5.0])).tolist() == [0, 0]


def test_lee_ready_uses_the_quote_strictly_before_and_the_tick_at_the_middle():
    quotes = pd.DataFrame({"time": times(0, 2, 4), "bid": [9.0, 10, 10], "ask": [11.0, 12, 12]})
    table = trades([0, 1, 2, 3, 5], [12, 11, 9.5, 11, 12])
    # no quote and no tick yet: 0; above 10; below 10, as the quote of 2 s is not before; at 11 an up-tick; above 11
    assert lee_ready(table, quotes).tolist() == [0, 1, -1, 1, 1]
    assert lee_ready(table, quotes, lag_seconds=10).tolist() == tick_rule(table["price"].to_numpy()).tolist()


def test_sources_of_signs_are_said():
    series = Series("x", "f", "t", trades=trades([0, 1, 2], [1, 2, 1], signs=[1, 0, -1]))
    signs, sentence = taker_signs(series)
    assert signs.tolist() == [1, 1, -1] and "1 of 3 by the tick test" in sentence
    assert taker_signs(series, "given")[0].tolist() == [1, 0, -1]
    assert taker_signs(series, "tick")[0].tolist() == [0, 1, -1]
    for rule, says in [("lee-ready", "quotes"), ("guess", "tick")]:
        with pytest.raises(ConfigError, match=says):
            taker_signs(series, rule)


def test_trades_of_one_moment_and_sign_are_one_order():
    series = Series("x", "f", "t", trades=trades([0, 0, 0, 1], [10, 12, 9, 9], [1, 3, 2, 2], [1, 1, -1, -1]))
    orders, _ = taker_orders(series)
    assert orders["size"].tolist() == [4, 2, 2] and orders["price"].tolist() == [11.5, 9, 9]


def test_bars_fill_gaps_within_a_day_and_not_the_night():
    first = trades([0, 30, 200], [10, 11, 12], [1, 2, 3], [1, -1, 1])
    second = trades([60], [13], [4], [-1], start="2020-01-07 09:30")
    table = bars(Series("x", "f", "t", trades=pd.concat([first, second], ignore_index=True)), 60)
    assert table["close"].tolist() == [11, 11, 11, 12, 13]
    assert table["open"].tolist() == [10, 11, 11, 12, 13]
    assert table["volume"].tolist() == [3, 0, 0, 3, 4] and table["buy_volume"].tolist() == [1, 0, 0, 3, 0]
    assert table["trades"].tolist() == [2, 0, 0, 1, 1]
    both = pd.concat([first, second], ignore_index=True)
    assert to_tape(Series("x", "f", "t", trades=both), 60).session.tolist() == [0, 0, 0, 0, 1]


def test_bars_of_bars():
    minute = pd.DataFrame(
        {"time": times(*range(0, 600, 60)), "open": 1.0, "high": np.arange(10) + 2.0, "low": 1.0,
         "close": np.arange(10) + 1.0, "volume": 1.0}
    )  # fmt: skip
    series = Series("x", "f", "plain-bars", bars=minute, bar_seconds=60.0)
    table = bars(series, 300)
    assert table["close"].tolist() == [5, 10] and table["high"].tolist() == [6, 11]
    assert table["volume"].tolist() == [5, 5] and table["buy_volume"].isna().all()
    for seconds, says in [(30, "multiple of 60"), (90, "multiple of 60"), (7, "divides a day"), (-60, "divides a day")]:
        with pytest.raises(ConfigError, match=says):
            bars(series, seconds)


def test_tape_from_quotes_and_trades():
    quotes = pd.DataFrame(
        {"time": times(0, 59, 60, 150), "bid": [9.0, 9, 10, 10], "bid_size": [1.0, 2, 3, 4], "ask": [11.0, 13, 12, 14],
         "ask_size": 5.0}
    )  # fmt: skip
    series = Series("x", "f", "t", quotes=quotes, trades=trades([1, 61], [11, 12], [2, 3], [1, 1]))
    tape = to_tape(series, 60)
    assert tape.name == "x" and tape.dt_seconds == 60 and tape.steps_per_day == 3
    assert tape.mid.tolist() == [11, 11, 12] and tape.depth_bid.tolist() == [2, 3, 4]
    assert (
        tape.volume.tolist() == [2, 3, 0] and tape.order_signs.tolist() == [1, 1] and tape.order_lots.tolist() == [2, 3]
    )


def test_tape_of_daily_closes():
    days = pd.DataFrame({"time": pd.to_datetime(["2020-01-03", "2020-01-06"]), "close": [1.0, 2.0], "volume": np.nan})
    days = days.assign(open=days["close"], high=days["close"], low=days["close"])
    tape = to_tape(Series("x", "f", "plain-bars", bars=days, bar_seconds=86_400.0), 86_400)
    assert tape.steps_per_day == 1 and tape.mid.tolist() == [1, 2] and tape.volume is None and tape.bid is None
