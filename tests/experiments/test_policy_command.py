"""The policies on the command line, and what a scenario may say of them."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from experiments import build, commands, policy_page, scenario
from sim.errors import ConfigError
from sim.liquidation import POLICIES, parameters
from tests.experiments.conftest import SMALL


def parsed(*assignments: str) -> scenario.Scenario:
    return scenario.parse(tomllib.loads(SMALL), name="small", file="small.toml", assignments=assignments)


def problems(*assignments: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(*assignments)
    return [str(problem) for problem in caught.value.problems]


def test_a_scenario_names_and_changes_a_policy() -> None:
    loaded = parsed("clearing.liquidation=hyperliquid", "clearing.policy.step_above=5000")
    rule = build.clearing(loaded).policy
    assert (rule.size, rule.step_above, rule.cooldown_seconds) == ("step", 5000.0, 30.0)
    assert loaded.as_run()["clearing"]["policy"] == {"step_above": 5000.0}
    assert build.clearing(parsed()).policy == POLICIES["full"]


BAD: list[tuple[list[str], list[str]]] = [
    (["clearing.liquidation=aav"], ["--set: clearing.liquidation = 'aav'", 'did you mean "aave"']),
    (["clearing.policy.target_ratio=0.99"], ["clearing.policy.target_ratio = 0.99", "at least 1"]),
    (["clearing.policy.bonus=-0.01"], ["clearing.policy.bonus = -0.01", "at least 0"]),
    (["clearing.policy.step_fraction=0"], ["clearing.policy.step_fraction = 0", "above 0"]),
    (["clearing.policy.step_fraction=1.5"], ["clearing.policy.step_fraction = 1.5", "at most 1"]),
    (["clearing.policy.bonsu=1"], ["clearing.policy.bonsu", 'did you mean "bonus"']),
    (["clearing.policy.cooldown_seconds=true"], ["clearing.policy.cooldown_seconds = True", "a number"]),
    (["clearing.policy.size=most"], ["clearing.policy.size = 'most'", "full, target, step, close_factor"]),
    (["clearing.liquidation=dydx"], ["small.toml: clearing.forced_limit = 'none'", "fillable"]),
    (["clearing.liquidation=binance"], ["small.toml: clearing.forced_limit = 'none'", "bankruptcy"]),
    (["clearing.liquidation=aave", "clearing.waterfall.layers=[]"], ["clearing.waterfall.layers = []", "last resort"]),
    (["clearing.waterfall.layers=['fund']"], ["clearing.waterfall.layers = ['fund']", "last resort: adl or socialise"]),
    (["clearing.waterfall.layers=['vault','adl']"], ["clearing.waterfall.vault", "population"]),
    (["clearing.waterfall.vault=nois"], ["clearing.waterfall.vault = 'nois'", 'did you mean "noise"']),
    (
        ["clearing.liquidation=hyperliquid", "clearing.waterfall.layers=['adl']"],
        ["clearing.policy.backstop_ratio", "a fund or vault among clearing.waterfall.layers"],
    ),
    (
        ["clearing.liquidation=synthetix", "clearing.policy.flow_lots_per_second=0.001"],
        ["clearing.policy.flow_lots_per_second = 0.001", "at least one lot within its window of 60 s"],
    ),
]


@pytest.mark.parametrize(("assignments", "expected"), BAD)
def test_bad_policies_get_one_clear_line(assignments: list[str], expected: list[str]) -> None:
    found = problems(*assignments)
    assert len(found) == 1
    for text in expected:
        assert text in found[0]


def shown(capsys: pytest.CaptureFixture[str], name: str | None, *, as_json: bool) -> Any:
    commands.policies(name, as_json=as_json)
    text = capsys.readouterr().out
    return json.loads(text) if as_json else text


def test_the_list_has_every_policy_with_parameters_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, None, as_json=False)
    found = shown(capsys, None, as_json=True)
    assert list(found) == list(POLICIES)
    for name, rule in POLICIES.items():
        assert rule.summary in text
        assert rule.source in text
        assert found[name]["parameters"] == policy_page.changed(name)
    assert "step_above=100000" in text
    assert "needs forced_limit fillable" in text


def test_one_policy_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "hyperliquid", as_json=True)
    assert tuple(found["parameters"]) == parameters()
    assert found["parameters"]["backstop_ratio"]["value"] == pytest.approx(2 / 3)
    assert found["parameters"]["target_ratio"]["allowed"] == "number >= 1 and <= 1000"
    text = shown(capsys, "hyperliquid", as_json=False)
    assert "cooldown_seconds" in text
    assert "auction_cut" not in text
    assert "auction_cut" in shown(capsys, "maker_clip", as_json=False)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match='did you mean "aave"'):
        commands.policies("aav", as_json=False)
