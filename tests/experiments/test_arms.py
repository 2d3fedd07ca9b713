from __future__ import annotations

import pytest

from experiments import scenario
from experiments.studies.arms import OWN, Arm, complete, grid, parse
from sim.errors import ConfigError
from sim.liquidation import POLICIES


@pytest.fixture
def venue():
    return scenario.load("venue")


def test_arms_are_read_as_scenario_files_are() -> None:
    text = 'no fund: clearing.waterfall.layers=["vault", "adl"], clearing.mark=ema, clearing.breakers.halt_move=.1'
    arm = parse(text)
    assert arm.label == "no fund"
    assert arm.changes == {"waterfall.layers": ["vault", "adl"], "mark": "ema", "breakers.halt_move": 0.1}
    assert parse("a: clearing.policy.target_ratio=1.2").changes == {"policy.target_ratio": 1.2}
    assert parse("x: clearing.waterfall={layers = ['adl'], ranking = 'binance'}").changes == {
        "waterfall": {"layers": ["adl"], "ranking": "binance"}
    }


@pytest.mark.parametrize(
    "text", ["", "ema", "ema:", ": clearing.mark=ema", "a: mark=ema", "a: margin.regime=x", "a: clearing.mark"]
)
def test_what_is_no_arm_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"label: clearing\.key=value"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: clearing.mark=medium", "clearing.mark"),
        ("a: clearing.marks=ema", "clearing.marks"),
        ('a: clearing.waterfall.layers=["savings"]', "clearing.waterfall"),
        ("a: clearing.fund_initial=7", "what was agreed before the fork stays"),
        ("a: clearing.mark.rule=ema", "clearing.mark"),
    ],
)
def test_a_design_that_is_none_names_its_key(venue, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text).section(venue)


def test_the_grid_is_policies_times_marks(venue) -> None:
    arms = grid(venue)
    assert len(arms) == 3 * len(POLICIES)
    assert arms[0].factors == {"policy": "full", "mark": "mid"}
    for arm in arms:
        section = arm.section(venue)
        assert section.liquidation == arm.factors["policy"]
        assert section.mark == arm.factors["mark"]
        limits = POLICIES[section.liquidation].limits
        assert not limits or section.forced_limit in limits
        assert section.waterfall == venue.clearing.waterfall
    assert [arm.label for arm in grid(venue, ["partial"], ["last"])] == ["partial, last"]
    with pytest.raises(ConfigError, match='did you mean "partial"'):
        grid(venue, ["partail"])
    with pytest.raises(ConfigError, match="--marks"):
        grid(venue, None, ["middle"])
    with pytest.raises(ConfigError, match="each name once"):
        grid(venue, ["full", "full"])


def test_another_policy_starts_from_its_own_parameters() -> None:
    changed = scenario.load("venue", ["clearing.liquidation=partial", "clearing.policy.target_ratio=1.2"])
    assert Arm("x", {"liquidation": "full"}).section(changed).policy == {}
    assert Arm("x", {"mark": "ema"}).section(changed).policy == {"target_ratio": 1.2}
    assert Arm("x", {"liquidation": "partial"}).section(changed).policy == {"target_ratio": 1.2}


def test_the_own_venue_is_always_an_arm(venue) -> None:
    arms, own = complete(venue, grid(venue, ["full", "partial"], ["ema", "mid"]))
    assert own == "full, mid"
    assert len(arms) == 4
    arms, own = complete(venue, [parse("halts: clearing.breakers.halt_move=0.05")])
    assert (own, [arm.label for arm in arms]) == (OWN, [OWN, "halts"])
    with pytest.raises(ConfigError, match="each name once"):
        complete(venue, [parse("a: clearing.mark=ema"), parse("a: clearing.mark=last")])
