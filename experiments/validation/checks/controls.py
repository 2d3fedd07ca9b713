"""Negative controls: markets spoilt on purpose, in which the facts must fail.

A fact that shows whatever the market is made of says nothing about it. Here a part that a fact is put down to is taken
out, and the fact has to go: concave impact with a crowd of market makers who refill at once, or with latent orders that
are gone too soon; the long memory of order signs where nobody splits an order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import agents
from experiments.scenario import Scenario
from experiments.validation.bands import CALM, CONSISTENT, Band, Context, Measurement
from experiments.validation.checks.facts import mean, tapes
from experiments.validation.checks.impact import exponent
from sim.errors import ConfigError

QUICK_SECONDS, FULL_SECONDS = 10.0, 80.0

MAKERS = 4
"""Times as many market makers."""
LIFETIME = 200.0
"""Minutes that a latent order lives, in the mean."""
_WHOLE = 1_000_000  # lots: no order is larger
_TABLE = "design study of this simulator"
_THEORY = "Lillo, Mike and Farmer (2005), Phys. Rev. E 71, 066122: memory comes from splitting"


def _band(id: str, question: str, statement: str, low: float, high: float, source: str, **more: Any) -> Band:
    return Band(
        id, "negative controls", question, statement, low, high, "", source, "controls", control=True, market=CALM,
        **more,
    )  # fmt: skip


BANDS = (
    _band(
        "control-makers", f"Exponent of impact with {MAKERS} times the market makers?", "at least 0.75", 0.75, math.inf,
        _TABLE, quick_seeds=8, full_seeds=40,
    ),
    _band(
        "control-lifetime", f"Exponent of impact with latent orders that live {LIFETIME:g} minutes?", "at least 0.75",
        0.75, math.inf, _TABLE, quick_seeds=8, full_seeds=40,
    ),
    _band(
        "control-unsplit", "Autocorrelation of order signs at lags of 500 to 2,000 orders, no order being split?",
        "not above 0: no long memory", -math.inf, 0.0, _THEORY, quick_seeds=16, full_seeds=64, rule=CONSISTENT,
    ),
)  # fmt: skip


def check(context: Context) -> Mapping[str, Measurement]:
    """Spoil the market of ordinary trading in three ways and measure what has to fail."""
    found = {}
    for id, spoil in (("control-makers", more_makers), ("control-lifetime", short_lives)):
        if context.wants(id):
            found[id], _ = exponent(context, id, spoil(context.scenario("calm")), context.seeds(id))
    id = "control-unsplit"
    if context.wants(id):
        spoilt = unsplit(context.scenario("calm", "record.trades=true"))
        measured = mean(tapes(context, id, spoilt, context.seeds(id)), "signs")
        note = f"{(measured.high - measured.low) / 2:.1g} would show" if math.isfinite(measured.low) else measured.note
        found[id] = replace(measured, note=note)
    return found


def more_makers(scenario: Scenario) -> Scenario:
    """The market with :data:`MAKERS` times as many market makers."""
    return changed(scenario, "market_makers", "count", lambda count: count * MAKERS)


def short_lives(scenario: Scenario) -> Scenario:
    """The market with latent orders that live :data:`LIFETIME`, or a tenth of what they do if that is shorter."""
    steps = LIFETIME * 60.0 / scenario.market.dt_seconds
    return changed(scenario, "latent", "lifetime", lambda lifetime: min(steps, lifetime / 10.0))


def unsplit(scenario: Scenario) -> Scenario:
    """The market in which nobody splits: a noise taker's parent is one order, and so is what anybody else wants."""
    spoilt = changed(scenario, "noise", "parent_longest", lambda longest: 1)
    for kind in dict.fromkeys(spec.kind for spec in scenario.populations):
        for key in ("child_lots", "unwind_lots"):
            if key in agents.parameters(kind).model_fields:
                spoilt = changed(spoilt, kind, key, lambda lots: _WHOLE)
    return spoilt


def changed(scenario: Scenario, kind: str, key: str, change: Callable[[Any], Any]) -> Scenario:
    """The scenario with a parameter of every population of a kind changed.

    Raises:
        ConfigError: it has no such population.
    """
    default = agents.parameters(kind).model_fields[key].default
    populations = []
    for spec in scenario.populations:
        if spec.kind == kind:
            spec = replace(spec, params={**spec.params, key: change(spec.params.get(key, default))})
        populations.append(spec)
    if all(spec.kind != kind for spec in scenario.populations):
        raise ConfigError.of("populations", None, f"a population of kind {kind}, to be spoilt", file=scenario.file)
    return replace(scenario, populations=tuple(populations))
