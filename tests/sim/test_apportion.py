"""Shares of moves in a change of the mark, against a walk level by level, for paths drawn by Hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernels import apportion
from sim.kernels import state as s

MOVES = st.lists(st.tuples(st.integers(0, 3), st.integers(-6, 6)), max_size=25)
FORCED, ORDERS, INDEX = s.CAUSE_LIQUIDATION, s.CAUSE_NONE, s.CAUSE_INDEX


def ints(values: object) -> np.ndarray:
    return np.array(values, np.int64)


def level_by_level(amounts: list[int]) -> list[float]:
    """Share of each signed move in the net change: a level belongs to the move that crossed it last."""
    place, crossed = 0, {}
    for move, amount in enumerate(amounts):
        for _ in range(abs(amount)):
            level = place if amount > 0 else place - 1
            crossed[level] = move
            place += 1 if amount > 0 else -1
    levels = range(min(place, 0), max(place, 0))
    shares = [0.0] * len(amounts)
    for level in levels:
        shares[crossed[level]] += 1.0 / len(levels)
    return shares


@given(st.lists(st.integers(-9, 9), max_size=30))
def test_levels_belong_to_who_crossed_them_last(amounts: list[int]) -> None:
    n = len(amounts)
    starts, moves, shares = apportion.window_shares(ints([0]), ints([n]), np.arange(n, dtype=np.int64), ints(amounts))
    found = np.bincount(moves, shares, n) if n else np.zeros(0)
    assert starts[0] == 0 and starts[1] == len(moves)
    if sum(amounts) == 0:
        assert len(moves) == 0
    else:
        assert np.allclose(found, level_by_level(amounts))
        assert (np.diff(moves) > 0).all()  # in order of time


def path(steps: list[tuple[int, int]], readings: int, drive: str) -> tuple[np.ndarray, ...]:
    """Moves sorted by reading: causes, and the driver's value at each reading."""
    reading = np.sort(ints([1 + r for r, _ in steps]))
    amount = ints([a for _, a in steps])
    level = np.array([amount[reading <= r].sum() for r in range(readings)], np.int64)
    scale = 16 if drive == "last" else 1
    return reading, amount, 10_000 + scale * level


@given(MOVES)
@pytest.mark.parametrize(("rule", "drive"), [(s.MARK_LAST, "last"), (s.MARK_MID, "mid")])
def test_a_mark_that_follows_at_once(rule: int, drive: str, steps: list[tuple[int, int]]) -> None:
    reading, amount, mark = path(steps, 5, drive)
    cause = np.full(len(steps), ORDERS, np.int64)
    still = np.zeros(len(steps), np.int64)
    last, mid = (amount, still) if drive == "last" else (still, amount)
    where, owner, moved = apportion.mark_moves(mark, mark, np.full(5, rule, np.int64), reading, cause, last, mid)
    assert (owner >= 0).all()
    for r in range(1, 5):
        assert moved[where == r].sum() == mark[r] - mark[r - 1]


@given(MOVES, st.integers(1, 7), st.sampled_from([s.MARK_EMA, s.MARK_TWAP, s.MARK_INDEX_MEDIAN, s.MARK_HYPERLIQUID]))
def test_a_mark_that_lags(steps: list[tuple[int, int]], weight: int, rule: int) -> None:
    """Pieces always sum to the path; a mark between the two ends of its driver leaves nothing to the rule itself."""
    readings = 30
    reading, amount, mid = path(steps, readings, "mid")
    mark = mid.copy()
    for r in range(1, readings):
        mark[r] = mark[r - 1] + (mid[r] - mark[r - 1]) * weight // 8
    where, owner, moved = apportion.mark_moves(
        mark, mid, np.full(readings, rule, np.int64), reading, np.full(len(steps), FORCED, np.int64),
        np.zeros(len(steps), np.int64), amount,
    )  # fmt: skip
    for r in range(1, readings):
        assert moved[where == r].sum() == mark[r] - mark[r - 1]
    assert (np.diff(where) >= 0).all()
    assert (owner >= 0).all()


def test_a_lagging_mark_takes_moves_in_the_order_they_came() -> None:
    """Orders move the mid by 8, then a forced sale by 8; the mark follows by 4 a reading."""
    mark, mid = ints([100, 96, 92, 88, 84]), ints([100, 92, 84, 84, 84])
    where, owner, moved = apportion.mark_moves(
        mark, mid, np.full(5, s.MARK_EMA, np.int64), ints([1, 2]), ints([ORDERS, FORCED]), ints([0, 0]), ints([-8, -8])
    )
    assert [(int(r), int(m), int(a)) for r, m, a in zip(where, owner, moved, strict=True)] == [
        (1, 0, -4), (2, 0, -4), (3, 1, -4), (4, 1, -4),
    ]  # fmt: skip


def test_what_no_move_explains_is_the_rules_own() -> None:
    where, owner, moved = apportion.mark_moves(
        ints([100, 97]), ints([100, 100]), np.full(2, s.MARK_EMA, np.int64), *(ints([]) for _ in range(4))
    )
    assert (list(where), list(owner), list(moved)) == ([1], [apportion.RULE_MOVE], [-3])


def test_an_index_that_falls_with_the_mid_is_counted_once() -> None:
    """Index and mid fall by ten: the anchored mark falls by ten, and nothing of the mid's fall is left waiting."""
    mark, mid = ints([100, 90, 90]), ints([100, 90, 90])
    where, owner, moved = apportion.mark_moves(
        mark, mid, np.full(3, s.MARK_DERIBIT, np.int64), ints([1, 1]), ints([INDEX, ORDERS]), ints([0, 0]),
        ints([-10, -10]),
    )  # fmt: skip
    assert (list(where), list(owner), list(moved)) == ([1], [0], [-10])
