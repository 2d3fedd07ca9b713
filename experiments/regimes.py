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

SCALE = "scale"
"""Key of a regime's table that is no parameter of it: a factor on everything the regime charges."""
SCALE_LIMIT = 1000.0
_SCALE_ALLOWED = f"a number above 0, at most {SCALE_LIMIT:g}"


def resolve(scenario: Scenario, label: str) -> tuple[str, dict[str, Any]]:
    """The registered regime and the parameters of a label; see :meth:`experiments.scenario.Scenario.regime`."""
    if label in scenario.margin.regimes:
        params = dict(scenario.margin.regimes[label])
        regime = str(params.pop("regime", label))
        return regime, parameters(regime, params)
    if label == scenario.margin.regime:
        return label, parameters(label, scenario.margin.params)
    known = list(margin.regimes())
    if label not in known:
        choices = list(dict.fromkeys([*known, *scenario.margin.regimes]))
        raise ConfigError.of("margin.regime", label, one_of(label, choices), file=scenario.file)
    return label, shared(label, scenario.margin.params)


def parameters(regime: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A regime's table without the factor ``scale``, which is not the regime's own parameter."""
    return {key: value for key, value in table.items() if key != SCALE or owns_scale(regime)}


def owns_scale(regime: str) -> bool:
    """Whether a user's regime has a parameter of its own that is called ``scale``: then the key means that."""
    return SCALE in getattr(margin.params_model(regime), "model_fields", {})


def stated_scale(scenario: Scenario, label: str) -> float | None:
    """The factor that the scenario states for a label, None where it states none."""
    if label in scenario.margin.regimes:
        table: Mapping[str, Any] = scenario.margin.regimes[label]
    else:
        table = scenario.margin.params if label == scenario.margin.regime else {}
    regime, _ = resolve(scenario, label)
    return float(table[SCALE]) if SCALE in table and not owns_scale(regime) else None


def scale_of(scenario: Scenario, label: str) -> float:
    """The factor on everything that a label's regime charges, 1 where the scenario states none."""
    stated = stated_scale(scenario, label)
    return 1.0 if stated is None else stated


def stated(scenario: Scenario, label: str) -> dict[str, Any]:
    """What a result says of a label: ``regime``, ``params``, and ``scale`` where one is stated."""
    regime, params = resolve(scenario, label)
    factor = stated_scale(scenario, label)
    return {"regime": regime, "params": params} | ({} if factor is None else {SCALE: factor})


def scaled(scenario: Scenario, factors: Mapping[str, float]) -> Scenario:
    """The scenario with a factor on everything that some labels' regimes charge.

    Args:
        scenario: as it stands.
        factors: by label; they replace factors that the scenario states.

    Raises:
        ConfigError: a regime has a parameter of its own called ``scale``, or a factor is out of range.
    """
    from experiments.scenario import with_changes

    section = scenario.margin
    params, tables = dict(section.params), {label: dict(table) for label, table in section.regimes.items()}
    for label, factor in factors.items():
        regime, own_params = resolve(scenario, label)
        where = f"margin.regimes.{label}.{SCALE}"
        if owns_scale(regime):
            allowed = "a regime without a parameter of its own called scale"
            raise ConfigError.of(where, regime, allowed, file=scenario.file)
        if not 0.0 < factor <= SCALE_LIMIT:
            raise ConfigError.of(where, factor, _SCALE_ALLOWED, file=scenario.file)
        if label == section.regime and label not in tables:
            params[SCALE] = float(factor)
        else:
            tables[label] = own_params | {"regime": regime, SCALE: float(factor)}
    return with_changes(scenario, margin=section.model_copy(update={"params": params, "regimes": tables}))


def shared(regime: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters of the scenario's own regime that another regime knows too."""
    known = getattr(margin.params_model(regime), "model_fields", {})
    return {key: value for key, value in params.items() if key in known}


def own(raw: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The regime that a parsed file names, and the parameters it gives to it."""
    table = raw.get("margin")
    found = table if isinstance(table, Mapping) else {}
    params = found.get("params")
    return found.get("regime", "static"), dict(params) if isinstance(params, Mapping) else {}


def follow_switch(raw: Mapping[str, Any], regime: Any, params: Mapping[str, Any], overridden: Iterable[str]) -> None:
    """After ``--set margin.regime=NAME``, let ``[margin.params]`` be what the file says for that regime.

    The file wrote it for the regime that it names itself; the new one gets its ``[margin.regimes.NAME]``, or those
    parameters that it knows too, as it would in a comparison. Parameters that were assigned stay.

    Args:
        raw: the parsed file after the assignments, changed in place.
        regime: that the file names.
        params: that the file gives to it.
        overridden: the dotted keys that were assigned.
    """
    table = raw.get("margin")
    if not isinstance(table, dict) or "margin.regime" not in overridden or "margin.params" in overridden:
        return
    chosen, others = table.get("regime"), table.get("regimes", {})
    if chosen == regime or chosen not in margin.regimes() or not isinstance(others, dict):
        return
    entry = others.get(chosen)
    if isinstance(entry, Mapping) and "regime" in entry:
        return
    kept = dict(entry) if isinstance(entry, Mapping) else shared(str(chosen), params)
    assigned = {key: table["params"][key] for key in table.get("params", {}) if f"margin.params.{key}" in overridden}
    table["params"] = kept | assigned
    table["regimes"] = {label: given for label, given in others.items() if label != chosen}
    table["regimes"].setdefault(regime, dict(params))


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
    problems = []
    factor = params.get(SCALE, 1.0)
    if not owns_scale(regime) and not _is_scale(factor):
        problems.append(Problem("", f"{where}.{SCALE}", factor, _SCALE_ALLOWED))
    try:
        margin.create(regime, parameters(regime, params))
    except ConfigError as error:
        known = [*getattr(margin.params_model(regime), "model_fields", {}), SCALE]
        problems += [_hinted(_moved(problem, where, ""), known, contracts) for problem in error.problems]
    return problems


def _is_scale(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value <= SCALE_LIMIT


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
