"""One file at steps of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import build, scenario
from experiments.time_units import restate
from sim.clock import IN_STEPS, KEY, PER_ROOT_STEP, PER_STEP, restated
from sim.errors import ConfigError


def at(dt: float, *more: str) -> scenario.Scenario:
    return scenario.load("shock", [f"market.dt_seconds={dt}", *more])


def short(dt: float, *more: str) -> scenario.Scenario:
    """The same traders without events, for few steps."""
    raw = scenario.tables("shock")
    raw.pop("events"), raw.pop("measure")
    return scenario.parse(raw, name="short", file="short", assignments=[f"market.dt_seconds={dt}", *more])


def params(found: scenario.Scenario, name: str) -> Any:
    return next(p for p in build.populations(found) if p.name == name).params


def test_the_marks() -> None:
    assert restated(30, IN_STEPS[KEY], 6) == 180
    assert restated(8.0, PER_STEP[KEY], 4) == 2.0
    assert restated(0.5, PER_ROOT_STEP[KEY], 4) == 1.0
    assert restated(True, IN_STEPS[KEY], 6) is True and restated("day", IN_STEPS[KEY], 6) == "day"


def test_at_the_unit_itself_nothing_changes() -> None:
    raw = scenario.tables("shock")
    raw["market"].pop("unit_seconds")
    assert scenario.parse(raw, name="shock", file="shock.toml").as_run() == scenario.load("shock").as_run()


def test_time_stays_and_steps_multiply() -> None:
    minute, fine = at(60), at(10)
    assert fine.steps * 10 == minute.steps * 60
    assert fine.market.burn_in == 6 * minute.market.burn_in
    assert fine.market.steps_per_day == 6 * minute.market.steps_per_day
    assert fine.event_steps == {name: 6 * step for name, step in minute.event_steps.items()}
    assert fine.margin.notice_steps == 6 and fine.measure.window_steps == 6 * 240
    assert [event.model_dump()["steps"] for event in fine.events if event.name == "sale"] == [60]
    assert fine.record.every == 6 and fine.clearing.max_rounds == minute.clearing.max_rounds


def test_defaults_of_populations_are_restated_too() -> None:
    minute, fine = at(60), at(15)
    assert params(fine, "latent").arrivals == pytest.approx(params(minute, "latent").arrivals / 4)
    assert params(fine, "latent").lifetime == pytest.approx(params(minute, "latent").lifetime * 4)
    assert params(fine, "makers").period == 4 * params(minute, "makers").period
    assert params(fine, "makers").spread_per_sigma == pytest.approx(2 * params(minute, "makers").spread_per_sigma)
    assert params(fine, "leveraged").horizon_high == 4 * params(minute, "leveraged").horizon_high
    assert params(fine, "hedgers").persistence == params(minute, "hedgers").persistence


def test_every_duration_of_every_kind_is_marked() -> None:
    """A field that says it counts steps must carry a mark, or a finer step would change its time."""
    import agents
    from experiments import time_units
    from experiments.events import EVENT_KINDS
    from experiments.sections import ContractSection

    models = [agents.parameters(kind) for kind in agents.kinds()]
    models += [*time_units._TABLES.values(), ContractSection, *EVENT_KINDS.values()]
    names = {"period", "arrivals", "lifetime", "cooldown", "patience", "rest", "steps", "at_step", "burn_in", "every"}
    for model in models:
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra
            marked = isinstance(extra, dict) and KEY in extra
            if model.__name__ == "LiquidatorParams" and name == "patience":  # a distance
                continue
            if name in names or name.endswith("_steps"):
                assert marked, f"{model.__name__}.{name}"


def test_longer_histories_are_kept_where_horizons_need_them() -> None:
    market = build.market(short(1, "market.steps=600", "market.burn_in=0", "populations.leveraged.count=5"), 0)
    assert market.state.history.shape[0] == 1 << int(np.ceil(np.log2(2701 * 60)))
    market.close()


def test_what_a_run_says_of_itself_runs_the_same() -> None:
    fine = short(20, "market.steps=300", "market.burn_in=10")
    again = scenario.parse(fine.as_run(), name="again", file="manifest")
    first, second = (build.market(found, 3) for found in (fine, again))
    first.advance(400)
    second.advance(400)
    assert first.results_hash() == second.results_hash()
    first.close(), second.close()


def test_depth_and_volume_per_day_stay_near() -> None:
    """The same market at a finer step: as many lots traded a day and resting, within what one seed varies."""
    found = {}
    for dt in (60, 20):
        market = build.market(short(dt, "market.steps=2880", "market.burn_in=1440"), 1)
        market.advance(market.config.steps)
        table = market.steps_table()
        found[dt] = float(table["volume"].iloc[-1]), float(table["depth_bid"].iloc[-1])
        market.close()
    for fine, coarse in zip(found[20], found[60], strict=True):
        assert 0.5 < fine / coarse < 2.0


@pytest.mark.parametrize("dt", [7, 120, 0.7])
def test_a_step_that_is_no_part_of_the_unit_is_refused(dt: float) -> None:
    with pytest.raises(ConfigError, match=r"market\.dt_seconds"):
        at(dt)


def test_wrong_values_are_left_for_validation() -> None:
    raw: dict[str, Any] = {"market": {"unit_seconds": 60, "dt_seconds": 10, "steps": "many"}, "populations": ["x"]}
    problems: list[Any] = []
    restate(raw, problems)
    assert raw["market"]["steps"] == "many" and not problems
    with pytest.raises(ConfigError, match="unit_seconds"):
        scenario.load("shock", ["market.unit_seconds=-5"])
