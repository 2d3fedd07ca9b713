"""Arms of a comparison of venues: a name, and what it changes in the scenario's ``[clearing]`` section.

An arm is written ``"label: clearing.key=value, clearing.other.key=value"``; keys and values are those of a scenario
file. Policies times marks are the arms of the study `policies`; waterfalls, breakers or single parameters are compared
in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from experiments.overrides import apply
from experiments.sections import ClearingSection
from sim.config import MARK_RULES
from sim.errors import ConfigError, Problem
from sim.liquidation import POLICIES
from sim.problems import from_validation, one_of

if TYPE_CHECKING:
    from experiments.scenario import Scenario

OPTION = "--arm"
MARKS = ("mid", "ema", "index_median")
OWN = "own"
"""Label of the scenario's own venue where no arm describes it."""
_FIXED_AT_A_FORK = ("fund_initial",)


@dataclass(frozen=True)
class Arm:
    """One design of the venue.

    Attributes:
        label: names it in tables and figures.
        changes: dotted keys under ``clearing`` -> value; empty for the scenario's own venue.
        factors: what it combines, such as ``{"policy": "full", "mark": "ema"}``; effects are averaged over them.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, str] = field(default_factory=dict)

    def section(self, scenario: Scenario) -> ClearingSection:
        """The ``[clearing]`` section of this arm.

        Another liquidation policy starts from its own parameters, not from what the scenario changes in its policy.

        Raises:
            ConfigError: with every key or value that is not allowed.
        """
        raw: dict[str, Any] = scenario.clearing.model_dump()
        if self.changes.get("liquidation", raw["liquidation"]) != raw["liquidation"]:
            raw["policy"] = {}
        problems: list[Problem] = []
        for key, value in self.changes.items():
            _put(raw, key, value)
        where = f"{OPTION} {self.label!r}"
        try:
            found = ClearingSection.model_validate(raw)
        except ValidationError as error:
            problems += from_validation(error, ClearingSection, raw, file=where, prefix="clearing")
            raise ConfigError(problems) from None
        for key in _FIXED_AT_A_FORK:
            if getattr(found, key) != getattr(scenario.clearing, key):
                allowed = f"{getattr(scenario.clearing, key)!r}: what was agreed before the fork stays"
                raise ConfigError.of(f"clearing.{key}", getattr(found, key), allowed, file=where)
        return found

    def stated(self) -> dict[str, Any]:
        """What manifests and reports say of it."""
        return {f"clearing.{key}": value for key, value in self.changes.items()}


def grid(scenario: Scenario, policies: Sequence[str] | None = None, marks: Sequence[str] | None = None) -> list[Arm]:
    """Every liquidation policy under every mark rule.

    A policy that is what its name says only under certain forced limits gets the first of them where the scenario has
    another; all else stays the scenario's.

    Args:
        scenario: whose venue is changed.
        policies: names; all of :data:`sim.liquidation.POLICIES` if None.
        marks: names; mid, ema and index_median if None.

    Raises:
        ConfigError: a name that is unknown or given twice.
    """
    policies = tuple(POLICIES) if policies is None else policies
    marks = MARKS if marks is None else marks
    for option, given, known in (("--policies", policies, POLICIES), ("--marks", marks, MARK_RULES)):
        for name in given:
            if name not in known:
                raise ConfigError.of(option, name, one_of(name, known))
        _distinct(option, given)
    return [
        Arm(
            f"{policy}, {mark}",
            {"liquidation": policy, "mark": mark, **_limit(scenario, policy)},
            {"policy": policy, "mark": mark},
        )
        for policy in policies
        for mark in marks
    ]


def _limit(scenario: Scenario, policy: str) -> dict[str, str]:
    """The forced limit that a policy needs and the scenario does not have."""
    limits = POLICIES[policy].limits
    return {"forced_limit": limits[0]} if limits and scenario.clearing.forced_limit not in limits else {}


def parse(text: str) -> Arm:
    """An arm as a user writes it.

    Examples:
        >>> parse('adl only: clearing.waterfall.layers=["adl"], clearing.mark=ema').changes
        {'waterfall.layers': ['adl'], 'mark': 'ema'}

    Raises:
        ConfigError: no label, no assignment, or a key outside ``clearing``.
    """
    label, colon, rest = text.partition(":")
    label = label.strip()
    allowed = 'label: clearing.key=value, ..., for example "ema: clearing.mark=ema"'
    if not colon or not label or not rest.strip():
        raise ConfigError.of(OPTION, text, allowed)
    changes: dict[str, Any] = {}
    for assignment in _assignments(rest):
        key = assignment.partition("=")[0].strip()
        problems: list[Problem] = []
        found: dict[str, Any] = {}
        apply(found, [assignment], problems)
        if problems or not key.startswith("clearing."):
            raise ConfigError.of(OPTION, assignment.strip(), allowed)
        value: Any = found
        for part in key.split("."):
            value = value[part]
        changes[key.removeprefix("clearing.")] = value
    return Arm(label, changes)


def complete(scenario: Scenario, arms: Sequence[Arm]) -> tuple[list[Arm], str]:
    """The arms with the scenario's own venue among them, and its label: every difference is measured against it.

    Raises:
        ConfigError: a label is used twice, or an arm is not a venue.
    """
    _distinct(OPTION, [arm.label for arm in arms])
    for arm in arms:
        if arm.section(scenario) == scenario.clearing:
            return list(arms), arm.label
    _distinct(OPTION, [OWN, *(arm.label for arm in arms)])
    return [Arm(OWN), *arms], OWN


def _distinct(option: str, names: Iterable[str]) -> None:
    names = list(names)
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubled:
        raise ConfigError.of(option, doubled[0], "each name once")


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; what is no table becomes one, so that validation names the key."""
    *path, last = key.split(".")
    here = raw
    for part in path:
        if not isinstance(here.get(part), dict):
            here[part] = {}
        here = here[part]
    here[last] = value


def _assignments(text: str) -> list[str]:
    """Split at commas that stand outside brackets, braces and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]
