from __future__ import annotations

from typing import Any

import pytest

from margin.durations import in_steps, in_whole_steps, parse_duration
from tests.margin import markets


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("10min", 600.0), ("1.5h", 5400.0), (" 2 h", 7200.0), (45, 45.0), (0.5, 0.5)]
)
def test_durations_in_seconds(text: Any, seconds: float) -> None:
    assert parse_duration(text) == (seconds, "s")


@pytest.mark.parametrize("bad", ["", "10", "-1h", "0s", "1w", "h", None, True, -3, 0, float("inf"), float("nan"), []])
def test_what_is_no_duration(bad: Any) -> None:
    with pytest.raises(ValueError, match="positive"):
        parse_duration(bad)


def test_a_day_is_a_trading_day() -> None:
    session = markets.table(1, dt_seconds=300.0, steps_per_day=78)
    assert in_steps("1d", session) == 78
    assert in_steps("6.5h", session) == 78
    assert in_whole_steps("0.5d", session) == 39
    around_the_clock = markets.table(1, dt_seconds=60.0, steps_per_day=1440)
    assert in_steps("1d", around_the_clock) == in_steps("24h", around_the_clock) == 1440


def test_whole_steps_are_at_least_one() -> None:
    assert in_whole_steps("1s", markets.table(1, dt_seconds=60.0)) == 1
