from __future__ import annotations

import math

import pytest

from experiments.validation.bands import CONSISTENT, ESTIMATE, WITHIN, Measurement, judge
from experiments.validation.pace import Pace, in_words
from tests.experiments.validation.fakes import band

NAN = math.nan


@pytest.mark.parametrize(
    ("rule", "low", "high", "measured", "verdict"),
    [
        (WITHIN, 0.45, 0.7, (0.55, 0.5, 0.6), "pass"),
        (WITHIN, 0.45, 0.7, (0.55, 0.45, 0.7), "pass"),
        (WITHIN, 0.45, 0.7, (0.55, 0.4, 0.6), "unclear"),
        (WITHIN, 0.45, 0.7, (0.9, 0.6, 1.2), "unclear"),
        (WITHIN, 0.45, 0.7, (0.9, 0.8, 1.0), "miss"),
        (WITHIN, 0.45, 0.7, (0.2, 0.1, 0.3), "miss"),
        (WITHIN, 0.45, 0.7, (0.5, 0.0, 1.0), "unclear"),  # wider than the band on both sides
        (WITHIN, -math.inf, 1.15, (1.0, 0.2, 1.15), "pass"),
        (WITHIN, 1.3, math.inf, (1.5, 1.29, 1.7), "unclear"),
        (WITHIN, 0.0, 1.0, (0.5, NAN, NAN), "unclear"),
        (WITHIN, 0.0, 1.0, (NAN, 0.1, 0.2), "unclear"),
        (WITHIN, 0.0, 0.0, (0.0, 0.0, 0.0), "pass"),
        (WITHIN, 0.0, 0.0, (1e-12, 1e-12, 1e-12), "miss"),
        (ESTIMATE, 0.8, 1.0, (0.81, 0.5, 0.95), "pass"),
        (ESTIMATE, 0.8, 1.0, (0.79, NAN, NAN), "miss"),
        (ESTIMATE, 0.8, 1.0, (NAN, 0.9, 0.95), "unclear"),
        (CONSISTENT, 0.0, 0.0, (0.3, -0.1, 0.7), "pass"),
        (CONSISTENT, 0.0, 0.0, (0.3, 0.1, 0.7), "miss"),
        (CONSISTENT, 0.0, 0.0, (0.3, NAN, NAN), "unclear"),
    ],
)  # fmt: skip
def test_verdicts(rule: str, low: float, high: float, measured: tuple[float, float, float], verdict: str) -> None:
    assert judge(band("x", low, high, rule=rule), Measurement(*measured, seeds=10)) == verdict


def test_exact_and_missing_measurements() -> None:
    assert judge(band("x", 0.0, 0.0), Measurement.exact(0.0, 3)) == "pass"
    assert judge(band("x", 0.0, 0.0), Measurement.missing("no trades")) == "unclear"


def test_measurements_of_estimates() -> None:
    mean = Measurement.of({"mean": 1.0, "low": None, "high": 2.0}, 5)
    assert (mean.value, mean.high, mean.seeds) == (1.0, 2.0, 5)
    assert math.isnan(mean.low)
    assert Measurement.of({"ratio": 3.0, "low": 2.0, "high": 4.0}, 5).value == 3.0
    assert math.isnan(Measurement.of({"mean": None}, 0).value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": 2.0}, "not at most"),
        ({"low": NAN}, "not at most"),
        ({"rule": "perhaps"}, "none of within"),
        ({"full_seeds": 0}, "needs seeds"),
        ({"market": "spot"}, "neither calm nor shock"),
    ],
)
def test_bands_that_judge_nothing_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        band("x", **{"low": 0.0, "high": 1.0, **changes})  # type: ignore[arg-type]


def test_time_left_follows_the_machine() -> None:
    now = 0.0
    pace = Pace({"a": 10.0, "b": 20.0, "c": 30.0}, lambda: now)
    assert pace.left() == 60.0
    pace.begin("a")
    now = 5.0
    assert pace.left() == 55.0
    now = 20.0
    pace.end()  # twice as slow as expected
    assert pace.left() == 100.0
    pace.begin("b")
    pace.units(0, 10)
    now = 60.0
    pace.units(4, 10)
    assert pace.left() == pytest.approx(60.0 + 60.0)  # four of ten units in 40 s
    pace.end(kept=True)
    pace.begin("c")
    assert pace.left() == 60.0
    now = 500.0
    pace.end()
    assert pace.left() == 0.0
    assert pace.share() == 1.0


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3.0, "0 s"), (42.4, "42 s"), (200.0, "3 min"), (4200.0, "70 min"), (7500.0, "2 h 5 min")]
)
def test_durations_in_words(seconds: float, said: str) -> None:
    assert in_words(seconds) == said
