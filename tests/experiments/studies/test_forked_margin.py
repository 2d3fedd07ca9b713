from __future__ import annotations

from pathlib import Path

import pytest

from experiments import scenario
from experiments.events import VolatilityEvent
from experiments.studies.forked_margin import (
    INITIAL,
    LEVEL,
    RULES,
    SALE,
    STATIC,
    TURBULENCE,
    ForkedMargin,
    ReactiveRule,
    measure,
)
from experiments.studies.setups import seeding
from sim.errors import ConfigError

_FAST = ReactiveRule("fast", 11.2, 1.0)


def test_setup_is_the_one_of_the_question() -> None:
    study = ForkedMargin(scenario.load("shock"), (0,))
    sale, turbulent = study.setup(SALE), study.setup(TURBULENCE)
    start = sale.market.burn_in
    assert sale.event_steps == {"positions": start + 300, "sale": start + 720}
    assert sale.steps == start + 720 + 480
    assert (seeding(sale).leverage_low, seeding(sale).leverage_high) == (3.0, 25.0)
    assert sale.margin.params == {"initial": 0.04, "maintenance": 0.02}
    (event,) = [e for e in turbulent.events if isinstance(e, VolatilityEvent)]
    assert (event.factor, event.duration_steps) == (3.0, 240)
    assert turbulent.event_steps[TURBULENCE] == start + 720


def test_times_are_minutes_whatever_the_step() -> None:
    fine = ForkedMargin(scenario.load("shock", ["market.dt_seconds=10"]), (0,)).setup(SALE)
    assert fine.event_steps["sale"] == fine.market.burn_in + 720 * 6
    assert fine.steps - fine.event_steps["sale"] == 480 * 6


def test_arms_share_the_past_and_the_placebo_is_exact(small: Path) -> None:
    loaded = scenario.load(small)
    result = measure(ForkedMargin(loaded, (0, 1), (SALE,), (_FAST,)))
    one = result["events"][SALE]
    assert one["placebo_identical"]
    assert set(one["placebo"].values()) == {0.0}
    rates = one["measures"]["mean_initial_rate"]
    assert rates[STATIC]["mean"] == pytest.approx(INITIAL, abs=1e-9)
    # the reactive rate stays within its bounds, and its companion costs the same
    assert 0.5 * INITIAL <= rates["fast"]["mean"] <= 4 * INITIAL
    assert rates[LEVEL + "fast"]["mean"] == pytest.approx(rates["fast"]["mean"], rel=0.01)
    for name in ("r0_event", "open_interest_event"):
        assert len({one["measures"][name][arm]["mean"] for arm in (STATIC, "fast", LEVEL + "fast")}) == 1
    again = measure(ForkedMargin(loaded, (0, 1), (SALE,), (_FAST,)), workers=1)
    assert again["results_hash"] == result["results_hash"]


def test_labels_differ_and_scenarios_without_a_sale_are_refused() -> None:
    assert len({rule.label for rule in RULES}) == len(RULES)
    with pytest.raises(ConfigError, match="seed_open_interest"):
        ForkedMargin(scenario.load("calm"), (0,)).setup(SALE)
