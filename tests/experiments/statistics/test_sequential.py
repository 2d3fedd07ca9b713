from __future__ import annotations

import numpy as np
import pytest

from experiments.statistics import StoppingRule, decide, decide_all, t_interval
from sim.errors import ConfigError


def test_it_stops_one_batch_after_the_interval_is_narrow_enough() -> None:
    sample = np.random.default_rng(1).normal(1.0, 1.0, 500)
    rule = StoppingRule(0.2)
    found = decide(sample, rule)
    before = t_interval(sample[: found.n - rule.batch])
    assert found.stop and found.reason == "width"
    assert (before["high"] - before["low"]) / 2 <= 0.2
    earlier = t_interval(sample[: found.n - 2 * rule.batch])
    assert (earlier["high"] - earlier["low"]) / 2 > 0.2
    known = t_interval(sample[: found.n])
    assert (found.low, found.high) == pytest.approx((known["low"], known["high"]))


def test_further_seeds_and_their_number_do_not_change_the_decision() -> None:
    sample = np.random.default_rng(2).normal(size=400)
    rule = StoppingRule(0.25)
    found = decide(sample, rule)
    for n in range(found.n, 400, 7):
        assert decide(sample[:n], rule) == found
    going = decide(sample[: found.n - 1], rule)
    assert not going.stop and going.next_n == found.n


def test_it_stops_at_the_maximum_and_says_so() -> None:
    found = decide(np.random.default_rng(3).normal(size=60), StoppingRule(1e-6, minimum=20, maximum=55, batch=10))
    assert (found.stop, found.reason, found.n) == (True, "maximum", 55)


def test_a_relative_width_is_a_share_of_the_baseline() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(10.0, 1.0, 300)
    found = decide(rng.normal(0.2, 1.0, 300), StoppingRule(0.02, relative=True), base)
    assert found.wanted == pytest.approx(0.02 * base[: found.n].mean()) and found.half_width <= found.wanted


def test_seeds_without_a_value_count_as_seeds() -> None:
    sample = np.random.default_rng(5).normal(size=200)
    sample[::4] = np.nan
    found = decide(sample, StoppingRule(0.5))
    assert found.stop and found.mean == pytest.approx(np.nanmean(sample[: found.n]))
    assert decide(np.full(30, np.nan), StoppingRule(0.5, maximum=30)).reason == "maximum"


def test_a_sign_stops_a_confidence_sequence_only() -> None:
    sample = np.random.default_rng(6).normal(2.0, 1.0, 100)
    rule = StoppingRule(1e-3, method="confidence_sequence", until="sign")
    rule.validate()
    assert decide(sample, rule).reason == "sign" and decide(sample, rule).n == 30
    with pytest.raises(ConfigError, match="holds at every look"):
        StoppingRule(0.1, until="sign").validate()


def test_all_intervals_must_be_narrow_at_a_shared_level() -> None:
    rng = np.random.default_rng(7)
    values = {"a": rng.normal(0.0, 1.0, 600), "b": rng.normal(0.0, 2.0, 600)}
    both = decide_all(values, StoppingRule(0.3))
    assert both["confidence"] == pytest.approx(0.975) and both["stop"]
    assert both["n"] == both["decisions"]["b"].n > both["decisions"]["a"].n
    alone = decide_all(values, StoppingRule(0.3), simultaneous=False)
    assert alone["n"] < both["n"]
    going = decide_all({k: v[:100] for k, v in values.items()}, StoppingRule(0.3))
    assert not going["stop"] and going["next_n"] == 110


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        StoppingRule(0.0, minimum=3, maximum=1, batch=0, confidence=2.0, method="peek").validate("study.stop")  # type: ignore[arg-type]
    told = str(caught.value)
    for key in ("half_width", "minimum", "maximum", "batch", "confidence", "method"):
        assert f"study.stop.{key}" in told


def _coverage(draw: object, rule: StoppingRule, true: float, rounds: int) -> tuple[float, float]:
    rng, held, used = np.random.default_rng(9), 0, 0
    for _ in range(rounds):
        found = decide(draw(rng, rule.maximum), rule)  # type: ignore[operator]
        held += found.low <= true <= found.high
        used += found.n
    return held / rounds, used / rounds


@pytest.mark.study
@pytest.mark.parametrize("half_width", [0.15, 0.25, 0.35])
@pytest.mark.parametrize("shape", ["normal", "exponential"])
def test_the_fixed_width_rule_keeps_its_level(shape: str, half_width: float) -> None:
    draws = {"normal": lambda g, n: g.normal(1.0, 1.0, n), "exponential": lambda g, n: g.exponential(1.0, n)}
    held, _ = _coverage(draws[shape], StoppingRule(half_width, maximum=400), 1.0, 3000)
    assert held > (0.94 if shape == "normal" else 0.91), held


@pytest.mark.study
@pytest.mark.parametrize("shape", ["normal", "exponential"])
def test_a_confidence_sequence_holds_at_every_look(shape: str) -> None:
    # stopped as soon as zero, the true mean, is outside: an ordinary interval fails here in a third of all studies
    draws = {"normal": lambda g, n: g.normal(0.0, 1.0, n), "exponential": lambda g, n: g.exponential(1.0, n) - 1.0}
    rule = StoppingRule(1e-6, method="confidence_sequence", until="sign", maximum=500)
    held, _ = _coverage(draws[shape], rule, 0.0, 2000)
    assert held > 0.94 if shape == "normal" else held > 0.92, held
