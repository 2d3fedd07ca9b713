from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.facts.tape import Tape
from experiments.scenario import load
from experiments.validation import checks
from experiments.validation.bands import Context, judge
from experiments.validation.checks import controls, facts, published
from sim.errors import ConfigError

QUICK_LIMIT, FULL_LIMIT = 300.0, 7200.0


def test_bands_are_unique_and_say_what_they_ask() -> None:
    bands = [band for check in checks.registered() for band in check.bands]
    assert len({band.id for band in bands}) == len(bands)
    for band in bands:
        assert band.question, band.id
        assert band.statement, band.id
        assert band.source, band.id
        assert math.isfinite(band.low) or math.isfinite(band.high), band.id


def test_the_runs_are_expected_to_take_no_longer_than_promised() -> None:
    found = checks.registered()
    assert sum(check.seconds(True) for check in found if any(band.quick_seeds for band in check.bands)) < QUICK_LIMIT
    assert sum(check.seconds(False) for check in found) < FULL_LIMIT


def test_t21_published_numbers() -> None:
    found = published.check(Context("calm", "shock", published.BANDS))
    assert {band.id: judge(band, found[band.id]) for band in published.BANDS} == {b.id: "pass" for b in published.BANDS}


def returns_of(n: int) -> np.ndarray:
    return np.random.default_rng(1).standard_t(4.0, n) * 5e-4


def tape(returns: np.ndarray, signs: np.ndarray | None = None) -> Tape:
    mid = 100.0 * np.exp(np.cumsum(returns))
    return Tape("made", 60.0, 1440, mid, bid=mid * (1 - 5e-4), ask=mid * (1 + 5e-4), order_signs=signs)


def test_facts_of_a_series_of_known_facts() -> None:
    rng = np.random.default_rng(2)
    found = facts.measures(tape(returns_of(60_000), rng.choice([-1.0, 1.0], 100_000)))
    assert found["spread"] == pytest.approx(10.0)
    assert abs(found["ac1"]) < 0.02
    assert abs(found["ac2"]) < 0.02
    assert abs(found["memory"]) < 0.02
    assert 3.0 < found["hill"] < 6.0  # sums of ten keep the tail of 4
    assert found["kurtosis_minute"] > 2.0
    assert found["kurtosis_hour"] < 0.5 * found["kurtosis_minute"]
    assert abs(found["signs"]) < 1e-3


def test_facts_see_bounce_clusters_and_memory_of_signs() -> None:
    rng = np.random.default_rng(3)
    innovations = rng.standard_normal(60_001) * 5e-4
    bounce = facts.measures(tape(innovations[1:] - 0.5 * innovations[:-1]))
    assert bounce["ac1"] == pytest.approx(-0.4, abs=0.02)
    level = np.zeros(60_000)
    for i in range(1, len(level)):
        level[i] = 0.999 * level[i - 1] + 0.04 * rng.standard_normal()
    assert facts.measures(tape(returns_of(60_000) * np.exp(level)))["memory"] > 0.1
    # parents with lengths of tail exponent 1.5, one after the other: memory as lag^-0.5
    lengths = np.minimum((rng.random(40_000) ** (-1 / 1.5)).astype(int), 100_000)
    signs = np.repeat(rng.choice([-1.0, 1.0], len(lengths)), lengths)
    assert facts.measures(tape(returns_of(600), signs))["signs"] > 0.01


def test_facts_of_daily_closes_are_not_made_up() -> None:
    daily = Tape("daily", 86_400.0, 1, 100.0 * np.exp(np.cumsum(returns_of(500))))
    found = facts.measures(daily)
    assert all(math.isnan(value) for value in found.values())


def test_controls_spoil_what_they_say() -> None:
    calm = load("calm")

    def params(scenario: object, name: str) -> dict[str, object]:
        return next(dict(spec.params) for spec in scenario.populations if spec.name == name)  # type: ignore[attr-defined]

    assert params(controls.more_makers(calm), "makers")["count"] == 4
    assert params(controls.short_lives(calm), "latent")["lifetime"] == 200.0
    whole = controls.unsplit(calm)
    assert params(whole, "noise")["parent_longest"] == 1
    assert {params(whole, name)["child_lots"] for name in ("fundamentalists", "hedgers")} == {1_000_000}
    fine = load("calm", ["market.dt_seconds=20"])
    assert params(controls.short_lives(fine), "latent")["lifetime"] == 600.0
    assert params(controls.more_makers(controls.more_makers(calm)), "makers")["count"] == 16
    assert calm == load("calm")


def test_a_market_without_the_part_to_spoil_is_refused() -> None:
    calm = load("calm")
    with pytest.raises(ConfigError, match="a population of kind vault"):
        controls.changed(calm, "vault", "count", lambda count: count)
