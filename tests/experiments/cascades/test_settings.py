from __future__ import annotations

from pathlib import Path

import pytest

from experiments import scenario
from experiments.cascades.settings import (
    Cell,
    Leverage,
    at_leverage,
    at_shock,
    at_target,
    grid,
    in_the_world,
    main_setting,
    parse_leverages,
    parse_multiples,
    parse_range,
)
from experiments.events import Metaorder, Moment, SeedOpenInterest, ValueJumpEvent
from experiments.scenario import Scenario
from sim.errors import ConfigError

JUMP = """
[[events]]
name = "{name}"
kind = "{kind}"
at_step = 220
{more}
"""


def loaded(small: Path, name: str, kind: str, more: str = "") -> Scenario:
    small.write_text(small.read_text() + JUMP.format(name=name, kind=kind, more=more), encoding="utf-8")
    return scenario.load(small)


def test_open_interest_scales_with_the_target(small: Path) -> None:
    plain = scenario.load(small)
    (seeding,) = [e for e in at_target(plain, 0.5).events if isinstance(e, SeedOpenInterest)]
    assert seeding.per_bid_depth == pytest.approx(1.0)
    (again,) = [e for e in at_target(at_target(plain, 0.5), 1.0).events if isinstance(e, SeedOpenInterest)]
    assert again.per_bid_depth == pytest.approx(2.0)


def test_a_sale_is_multiplied_and_none_leaves_its_step(small: Path) -> None:
    plain = scenario.load(small)
    assert at_shock(plain, "sale", 1.0) is plain
    sale = at_shock(plain, "sale", 2.5).events[-1]
    assert isinstance(sale, Metaorder)
    assert sale.lots == 500
    none = at_shock(plain, "sale", 0.0)
    assert isinstance(none.events[-1], Moment)
    assert none.event_step("sale") == plain.event_step("sale")
    assert not in_the_world(plain, "sale")


def test_a_jump_of_the_value_is_multiplied_in_logs(small: Path) -> None:
    jumping = loaded(small, "jump", "value_jump", "log_size = -0.1")
    jump = at_shock(jumping, "jump", 0.5).events[-1]
    assert isinstance(jump, ValueJumpEvent)
    assert jump.log_size == pytest.approx(-0.05)
    assert in_the_world(jumping, "jump")


def test_a_factor_of_volatility_is_multiplied_above_one(small: Path) -> None:
    wild = loaded(small, "wild", "volatility", "factor = 3.0\nduration_steps = 10")
    assert at_shock(wild, "wild", 0.5).events[-1].factor == pytest.approx(2.0)  # type: ignore[attr-defined]
    assert at_shock(wild, "wild", 0.0).events[-1].factor == pytest.approx(1.0)  # type: ignore[attr-defined]


def test_an_event_without_a_size_has_no_multiples(small: Path) -> None:
    quiet = loaded(small, "quiet", "withdraw_makers", "duration_steps = 10")
    with pytest.raises(ConfigError, match="--shock"):
        at_shock(quiet, "quiet", 2.0)


def test_leverage_of_the_seeding_is_replaced(small: Path) -> None:
    plain = scenario.load(small)
    (seeding,) = [e for e in at_leverage(plain, Leverage(5, 15)).events if isinstance(e, SeedOpenInterest)]
    assert (seeding.leverage_low, seeding.leverage_high) == (5, 15)
    assert at_leverage(plain, None) is plain


def test_the_grid_names_what_is_not_the_scenarios_own() -> None:
    cells = grid((0.2, 1.1), (1.0, 2.0), (None, Leverage(5, 15)))
    assert len(cells) == 8
    assert [cell.arm for cell in cells[:3]] == ["r0 0.2", "r0 1.1", "r0 0.2 shock 2"]
    assert cells[-1] == Cell(1.1, 2.0, Leverage(5, 15))
    assert cells[-1].arm == "r0 1.1 shock 2 leverage 5:15"
    assert main_setting([(0.0, None), (1.0, None), (1.0, "5:15")]) == (1.0, None)


@pytest.mark.parametrize("text", ["", "a", "-1", "101", "1,1", "nan"])
def test_multiples_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--shock"):
        parse_multiples(text)


@pytest.mark.parametrize("text", ["", "10", "30:10", "0.5:2", "5:x", "10:30,10:30", "5:5000", "nan:2"])
def test_ranges_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--leverage"):
        parse_leverages(text)


def test_ranges_and_multiples_are_read() -> None:
    assert parse_multiples("0, 1,2.5") == (0.0, 1.0, 2.5)
    assert parse_leverages(None) == (None,)
    assert parse_leverages("5:15,20:20") == (Leverage(5, 15), Leverage(20, 20))
    assert parse_range("--bracket", "0.2:8", 0.001, 99, "0.2:8") == (0.2, 8.0)
