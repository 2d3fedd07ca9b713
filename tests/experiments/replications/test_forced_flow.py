"""Measures of forced closing on tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.replications import forced_flow as flow


def events(*rows: tuple[int, str, str, int, int]) -> pd.DataFrame:
    """(step, kind, population, a, b)"""
    table = pd.DataFrame(rows, columns=["step", "kind", "population", "a", "b"])
    return table.assign(contract="perp")


def steps(marks: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame({"step": list(marks), "mark": list(marks.values())}).assign(contract="perp")


MARKS = steps({1: 100.0, 2: 90.0, 3: 80.0})


def test_every_way_of_closing_is_counted_once_on_its_side() -> None:
    found = flow.closings(
        events(
            (1, "liquidation", "retail", -5, 3),  # a long sells: 3 of 5 lots were filled
            (1, "liquidation", "retail", -2, 0),  # nothing was
            (2, "liquidation", "retail", 4, 4),  # a short is bought back
            (2, "backstop", "retail", 7, 1),  # the vault takes a long over
            (3, "auto_deleveraging", "retail", -6, 1),  # against shorts: a long was closed
            (3, "auto_deleveraging", "vault", -9, 1),  # of the vault: counted when it took the position
            (3, "takeover", "retail", -1, 5),  # the fund takes a short over
            (3, "bid_taken", "retail", 8, 1),  # within the liquidation that asked for it
            (3, "margin_call", "retail", 8, 1),
        ),
        MARKS,
        backstop="vault",
    )
    assert found["lots"].tolist() == [3, 4, 7, 6, 1]
    assert found["side"].tolist() == [1, -1, 1, 1, -1]
    assert found["value"].tolist() == [300.0, 360.0, 630.0, 480.0, 80.0]
    assert flow.long_share(found) == pytest.approx(1410 / 1850)
    assert len(flow.closings(events((3, "auto_deleveraging", "vault", -9, 1)), MARKS, backstop="")) == 1


def test_nothing_has_no_shares() -> None:
    found = flow.closings(events((1, "liquidation", "retail", -5, 0)), MARKS, backstop="vault")
    assert not len(found)
    assert math.isnan(flow.long_share(found))
    assert math.isnan(flow.largest_share(np.zeros(5), 2))
    assert math.isnan(flow.delay(found, found, since=0, dt_seconds=10.0))


def test_a_step_that_was_not_recorded_is_refused() -> None:
    with pytest.raises(ValueError, match="record.every"):
        flow.closings(events((9, "liquidation", "retail", -5, 5)), MARKS, backstop="")


def test_minutes_begin_after_the_start_and_hold_whole_steps() -> None:
    step = np.array([10, 11, 16, 17, 22, 23, 40])
    value = np.array([64.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    # steps 11 to 16 are the first minute, 17 to 22 the second, 23 the third; 10 lies before, 40 after
    assert flow.by_minute(step, value, since=10, until=23, dt_seconds=10.0).tolist() == [3.0, 12.0, 16.0]


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=60).filter(lambda values: sum(values) > 0), st.integers(1, 70)
)
def test_the_largest_share_is_that_of_a_search(values: list[int], minutes: int) -> None:
    span = min(minutes, len(values))
    best = max(sum(values[i : i + span]) for i in range(len(values) - span + 1))
    assert flow.largest_share(np.array(values, float), minutes) == pytest.approx(best / sum(values))


def test_the_delay_runs_from_the_first_closing_after_the_event_to_the_first_adl_of_anybody() -> None:
    table = flow.closings(
        events((1, "liquidation", "retail", -1, 1), (2, "backstop", "retail", 1, 1)), MARKS, backstop="vault"
    )
    adl = events((3, "auto_deleveraging", "vault", -9, 1))
    assert flow.delay(table, adl, since=1, dt_seconds=10.0) == 10.0
    assert flow.delay(table, adl, since=0, dt_seconds=10.0) == 20.0
    assert math.isnan(flow.delay(table, adl, since=3, dt_seconds=10.0))


def test_the_median_leverage_counts_fills_and_accounts() -> None:
    gave = flow.Deleveraged(np.array([7, 7, 7, 8]), np.array([0.4, 0.3, 0.2, 1.0]), np.array([True] * 4))
    assert gave.median() == pytest.approx(0.35)
    assert gave.median_of_accounts() == pytest.approx(0.7)
    none = flow.Deleveraged(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool))
    assert math.isnan(none.median())
    assert math.isnan(none.median_of_accounts())
