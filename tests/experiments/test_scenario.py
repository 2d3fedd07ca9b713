from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from experiments import scenario
from experiments.scenario import Scenario
from sim.errors import ConfigError
from tests.experiments.conftest import SMALL


def parsed(*assignments: str, **tables: Any) -> Scenario:
    raw = tomllib.loads(SMALL) | tables
    return scenario.parse(raw, name="small", file="small.toml", assignments=assignments)


def problems(*assignments: str, **tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(*assignments, **tables)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", sorted(scenario.builtin()))
def test_built_in_scenarios_are_valid(name: str) -> None:
    loaded = scenario.load(name)
    assert loaded.steps > 0
    assert loaded.market.name
    assert loaded.market.steps_per_day * loaded.market.dt_seconds <= 86_400


def test_a_scenario_as_run_loads_again_and_means_the_same() -> None:
    first = parsed()
    raw = first.as_run()
    raw["measure"] = {k: v for k, v in raw["measure"].items() if v is not None}
    again = scenario.parse(raw, name="small", file="again.toml")
    assert again.as_run() == first.as_run()


def test_overrides_reach_every_kind_of_table() -> None:
    loaded = parsed(
        "market.steps=300", "populations.leveraged.count=7", "contracts.one.tick_value=3", "margin.params.initial=.05",
        "events.sale.lots=50", "world.volatility=0.01", "market.name=other words",
    )  # fmt: skip
    assert loaded.steps == 300
    assert loaded.populations[2].params["count"] == 7
    assert loaded.contracts[0].tick_value == 3
    assert loaded.margin.params["initial"] == 0.05
    assert loaded.market.name == "other words"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("margin.regime=dynamc", ["--set", "margin.regime = 'dynamc'", 'did you mean "dynamic"']),
        ("populations.noise.kind=nois", ["populations.noise.kind = 'nois'", 'did you mean "noise"']),
        ("populations.noise.sizemean=3", ["populations.noise.sizemean", 'did you mean "size_mean"']),
        ("populations.nois.count=3", ["populations.nois", 'did you mean "noise"']),
        ("market.stpes=3", ["market.stpes", "no such key", "steps"]),
        ("margin.params.initail=0.1", ["margin.params.initail", 'did you mean "initial"']),
        ("margin.regimes.fast.half_live='1d'", ["margin.regimes.fast.half_live", 'did you mean "half_life"']),
        ("contracts.one.tick_value=2.6", ["contracts.one.tick_value = 2.6", "whole number", "nearest is 3"]),
        ("contracts.one.tick_value=0.2", ["nearest is 1"]),
        ("contracts.one.max_lots=1000000000000000", ["contracts.one.max_lots", "2^62", "at most"]),
        ("populations.noise.count=0", ["populations.noise.count = 0", "at least 1"]),
        ("populations.noise.contract=onn", ["populations.noise.contract", 'did you mean "one"']),
        ("market.steps=2.5", ["market.steps = 2.5", "whole number"]),
        ("market.dt_seconds=nan", ["market.dt_seconds", "finite"]),
        ("market.dt_seconds=true", ["market.dt_seconds", "number"]),
        ("market.burn_in=400", ["market.burn_in = 400", "fewer than the 400 steps"]),
        ("events.sale.at_step=400", ["events.sale", "steps 0 to 399"]),
        ("events.sale.kind=metaoder", ["events.sale.kind", 'did you mean "metaorder"']),
        ("events.sale.at_day=1", ["events.sale.at_step", "one of at_step, at_day, at_date"]),
        ("events.positions.population=leverage", ["events.positions.population", 'did you mean "leveraged"']),
        ("events.positions.lots=3", ["events.positions.lots", "one of lots and per_bid_depth"]),
        ("measure.event=sail", ["measure.event", 'did you mean "sale"']),
        ("clearing.forced_limit=banana", ["clearing.forced_limit", "none, bankruptcy, band"]),
        ("world.kind=gmb", ["world.kind", 'did you mean "gbm"']),
        ("nonsense", ["--set", "dotted.key=value"]),
        ("market.steps.more=1", ["market.steps", "not a table"]),
    ],
)
def test_each_mistake_is_one_line_that_says_what_is_allowed(assignment: str, expected: list[str]) -> None:
    found = problems(assignment)
    assert len(found) == 1, found
    for part in expected:
        assert part in found[0]
    assert "\n" not in found[0]


def test_the_scale_that_an_overflow_message_names_is_accepted() -> None:
    (line,) = problems("contracts.one.max_lots=1000000000000000")
    limit = int(line.split("max_lots of at most ")[1].split()[0])
    assert parsed(f"contracts.one.max_lots={limit}").contracts[0].max_lots == limit
    assert problems(f"contracts.one.max_lots={int(limit * 1.01)}")


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    keys = ("market.steps", "contracts.one.tick_value", "populations.noise.kind", "margin.regime", "world.volatility")
    found = problems(*(f"{key}={value}" for key, value in zip(keys, (0, 1.5, "x", "y", -1), strict=True)))
    assert len(found) == 5
    for key in keys:
        assert any(key in line for line in found)


def test_a_market_without_traders_or_contracts_is_refused() -> None:
    assert any("populations" in line and "traders" in line for line in problems(populations=[]))
    assert any("contracts" in line for line in problems(contracts=[]))
    assert any("[[contracts]]" in line for line in problems(contracts={"name": "one"}))


def test_names_must_differ() -> None:
    twice = tomllib.loads(SMALL)["populations"][:1] * 2
    assert any("no other entry" in line for line in problems(populations=twice, events=[]))


@pytest.mark.parametrize("name", ["my traders", "a.b", "", 3])
def test_a_population_has_a_name_that_a_random_stream_can_have(name: object) -> None:
    one = tomllib.loads(SMALL)["populations"][0] | {"name": name}
    found = problems(populations=[one], events=[])
    assert sum("populations" in line and "without spaces and dots" in line for line in found) == 1


def test_unknown_tables_are_refused() -> None:
    (line,) = problems(marjin={"regime": "static"})
    assert 'did you mean "margin"' in line


def test_the_two_choices_that_decide_the_waterfall_must_be_made() -> None:
    found = problems(clearing={})
    assert {line.split(" = ")[0].rpartition(".")[2] for line in found} == {"forced_limit", "surplus_to"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("2020-01-01,100\n2020-01-02,-5\n2020-01-03,100\n", "-5"),
        ("2020-01-01,100\n2020-01-02,nan\n2020-01-03,100\n", "nan"),
        ("2020-01-01,100\n2020-01-02,100\n2020-02-20,100\n", "2020-02-20"),
    ],
)
def test_bad_price_files_are_refused_at_load(tmp_path: Path, rows: str, expected: str) -> None:
    (tmp_path / "prices.csv").write_text("date,close\n" + rows, encoding="utf-8")
    raw = tomllib.loads(SMALL)
    raw["world"] = {"kind": "historical", "path": "prices.csv"}
    raw["market"]["steps"] = 150
    raw["events"], raw["measure"] = [], {}
    with pytest.raises(ConfigError) as caught:
        scenario.parse(raw, name="small", file="small.toml", folder=tmp_path)
    (line,) = str(caught.value).splitlines()
    assert "prices.csv" in line
    assert expected in line


def test_a_date_stands_for_the_start_of_its_trading_day() -> None:
    loaded = scenario.load("crisis-2008")
    assert loaded.dates is not None
    day = loaded.dates.index("2008-09-15")
    assert loaded.event_steps["lehman"] == day * loaded.market.steps_per_day
    with pytest.raises(ConfigError, match="a trading day 2007-01-03 to 2009-12-31"):
        scenario.load("crisis-2008", ["events.lehman.at_date=2008-09-14"])


def test_unknown_scenarios_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='did you mean "shock"'):
        scenario.load("shok")
    broken = tmp_path / "broken.toml"
    broken.write_text("[market\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="TOML"):
        scenario.load(broken)


def test_regimes_that_the_file_does_not_describe_share_its_rates() -> None:
    loaded = parsed("margin.params.initial=0.07")
    assert loaded.regime("portfolio") == ("portfolio", {"initial": 0.07, "maintenance": 0.02})
    assert loaded.regime("isolated") == ("isolated", {"initial": 0.07, "maintenance": 0.02})
    assert loaded.regime("fast") == ("dynamic", {"half_life": "20min"})
    assert loaded.regime("dynamic") == ("dynamic", {})
    with pytest.raises(ConfigError, match='did you mean "portfolio"'):
        loaded.regime("portfolo")


def test_a_switched_regime_takes_what_the_file_says_for_it() -> None:
    own = scenario.load("shock")
    fhs = scenario.load("shock", ["margin.regime=fhs"])
    assert fhs.margin.params == {} and fhs.regime("fhs") == ("fhs", {})
    assert fhs.regime("static") == own.regime("static")
    dynamic = scenario.load("shock", ["margin.regime=dynamic", "margin.params.half_life=1h"])
    assert dynamic.margin.params == own.margin.regimes["dynamic"] | {"half_life": "1h"}
    isolated = scenario.load("shock", ["margin.regime=isolated"])
    assert isolated.regime("isolated") == own.regime("isolated")
