"""Margin regimes as scenarios and comparisons name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import margin
from sim.errors import ConfigError, Problem
from sim.problems import did_you_mean, one_of, unknown

if TYPE_CHECKING:
    from experiments.scenario import Scenario
    from sim.interfaces import MarginModel


def resolve(scenario: Scenario, label: str) -> tuple[str, dict[str, Any]]:
    """The registered regime and the parameters of a label; see :meth:`experiments.scenario.Scenario.regime`."""
    if label in scenario.margin.regimes:
        params = dict(scenario.margin.regimes[label])
        return str(params.pop("regime", label)), params
    if label == scenario.margin.regime:
        return label, dict(scenario.margin.params)
    known = list(margin.regimes())
    if label not in known:
        choices = list(dict.fromkeys([*known, *scenario.margin.regimes]))
        raise ConfigError.of("margin.regime", label, one_of(label, choices), file=scenario.file)
    return label, shared(label, scenario.margin.params)


def shared(regime: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters of the scenario's own regime that another regime knows too."""
    known = getattr(margin.params_model(regime), "model_fields", {})
    return {key: value for key, value in params.items() if key in known}


def make(scenario: Scenario, label: str) -> MarginModel:
    """The margin model of a label.

    Raises:
        ConfigError: no such regime, or parameters it does not take.
    """
    regime, params = resolve(scenario, label)
    try:
        model = margin.create(regime, params)
    except ConfigError as error:
        where = f"margin.regimes.{label}" if label in scenario.margin.regimes else "margin.params"
        raise ConfigError(_moved(problem, where, scenario.file) for problem in error.problems) from None
    model.name = label  # forks find a regime by its label: two labels may be variants of one regime
    return model


def check(regime: Any, params: Mapping[str, Any], key: str, where: str, contracts: Sequence[str]) -> list[Problem]:
    """What is wrong with a regime and its parameters.

    Args:
        regime: registered name.
        params: its parameters.
        key: dotted key that names the regime.
        where: dotted key of the table of parameters.
        contracts: contract names, for hints.
    """
    if regime not in margin.regimes():
        return [unknown("", key, regime, margin.regimes())]
    try:
        margin.create(regime, dict(params))
    except ConfigError as error:
        known = getattr(margin.params_model(regime), "model_fields", {})
        return [_hinted(_moved(problem, where, ""), known, contracts) for problem in error.problems]
    return []


def _moved(problem: Problem, where: str, file: str) -> Problem:
    """A problem of ``margin.params`` under the key where the parameters stand."""
    key = problem.key
    if key.startswith("margin.params"):
        key = where + key.removeprefix("margin.params")
    return Problem(problem.file or file, key, problem.value, problem.allowed)


def _hinted(problem: Problem, known: Iterable[str], contracts: Sequence[str]) -> Problem:
    """The problem of an unknown key with what was probably meant."""
    word = problem.key.rpartition(".")[2]
    names = [*known, *contracts]
    hint = "" if word in names else did_you_mean(word, names)
    return Problem(problem.file, problem.key, problem.value, problem.allowed + hint)
