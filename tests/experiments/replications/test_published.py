"""The comparison with published numbers."""

from __future__ import annotations

import pytest

from experiments.replications.published import PUBLISHED, judge, odds, rows, within

BY_KEY = {fact.key: fact for fact in PUBLISHED}


def test_the_six_published_numbers() -> None:
    assert {fact.key: round(fact.value, 3) for fact in PUBLISHED} == {
        "worst_40_minutes": 0.701, "peak_minute": 0.325, "long_share": 0.839, "open_interest_fall": 0.536,
        "adl_delay": 61.7, "adl_leverage": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("measured", "published", "expected"),
    [(0.5, 1.0, True), (2.0, 1.0, True), (0.49, 1.0, False), (2.01, 1.0, False), (None, 1.0, False)],
)
def test_a_factor_of_two_has_both_ends(measured: float | None, published: float, expected: bool) -> None:
    assert within(measured, published) is expected


def test_a_share_is_judged_by_its_odds_too() -> None:
    found = judge(BY_KEY["long_share"], [1.0, 1.0, 0.98])
    assert found["agrees"]
    assert not found["odds_agree"]
    assert found["odds_ratio"] == pytest.approx(odds(2.98 / 3) / odds(8.30 / 9.89))
    assert "odds_ratio" not in judge(BY_KEY["adl_delay"], [60.0])
    everything = judge(BY_KEY["long_share"], [1.0])
    assert everything["odds_ratio"] == float("inf")
    assert not everything["odds_agree"]


def test_seeds_without_a_value_are_told_and_more_than_half_of_them_agree_with_nothing() -> None:
    half = judge(BY_KEY["adl_delay"], [60.0, 70.0, None])
    assert (half["agrees"], half["missing"], half["n"], half["median"]) == (True, 1, 2, 65.0)
    few = judge(BY_KEY["adl_delay"], [60.0, None, None])
    assert not few["agrees"]
    none = judge(BY_KEY["adl_delay"], [None, None])
    assert (none["mean"], none["agrees"], none["ratio"]) == (None, False, None)


def test_misses_are_shown_as_misses() -> None:
    judged = {fact.key: judge(fact, [fact.value] * 3) for fact in PUBLISHED}
    judged["adl_delay"] = judge(BY_KEY["adl_delay"], [10.0, 20.0])
    judged["adl_leverage"] = judge(BY_KEY["adl_leverage"], [None])
    shown = rows(judged)
    assert [row[-1] for row in shown[1:]] == ["yes", "yes", "yes", "yes", "no", "no, 1 seeds have none"]
    assert shown[5][1:4] == ["61.7 s", "15.0 s", "10.0 s to 20.0 s"]
