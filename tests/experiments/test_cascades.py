from __future__ import annotations

from pathlib import Path

import pytest

from experiments import scenario
from experiments.events import SeedOpenInterest
from experiments.studies.cascades import Cascades, at_target, measure
from sim.errors import ConfigError


def test_open_interest_scales_with_the_target(small: Path) -> None:
    loaded = scenario.load(small)
    (seeding,) = [e for e in at_target(loaded, 0.5).events if isinstance(e, SeedOpenInterest)]
    assert seeding.per_bid_depth == pytest.approx(1.0)
    (again,) = [e for e in at_target(at_target(loaded, 0.5), 1.0).events if isinstance(e, SeedOpenInterest)]
    assert again.per_bid_depth == pytest.approx(2.0)


@pytest.mark.usefixtures("two_workers")
def test_twins_without_liquidations_fall_less(small: Path) -> None:
    loaded = scenario.load(small, ["margin.params.initial=0.02", "margin.params.maintenance=0.01"])
    study = Cascades(loaded, (0.05, 1.5), (0, 1, 2))
    result = measure(study)
    calm, cascade = result["cascades"]
    assert calm["r0"]["mean"] < cascade["r0"]["mean"]
    assert calm["multiplier"]["ratio"] <= cascade["multiplier"]["ratio"]
    assert cascade["liquidated_share"]["mean"] > 0
    for run in result["runs"]:
        assert run["fall_on"] >= 0
        assert run["fall_off"] >= 0
    assert measure(study, workers=2) == result


def test_what_cannot_be_measured_is_refused(small: Path) -> None:
    plain = scenario.load(small)
    with pytest.raises(ConfigError, match='did you mean "sale"'):
        _ = Cascades(plain, (1.0,), (0,), event="sael").shock
    calm = scenario.load("calm")
    with pytest.raises(ConfigError, match="seed_open_interest"):
        at_target(calm, 1.0)
    with pytest.raises(ConfigError, match="--event"):
        _ = Cascades(calm, (1.0,), (0,)).shock
