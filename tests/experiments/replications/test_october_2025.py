"""The replication of 10 October 2025: its measures on tables made by hand, the scenario, its page, the command."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import build, scenario
from experiments.replications import forced_flow as flow
from experiments.replications import october_2025
from experiments.replications.published import PUBLISHED, odds
from experiments.tabulated.sheets import replication
from sim.errors import ConfigError

STEPS, SINCE, EVENT = 1800, 600, 1200  # steps of 10 s: the window is 200 minutes


def day() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Half of the open interest goes in the crash, the mark falls from 100 to 80 and comes back to 90."""
    step = np.arange(1, STEPS + 1)
    mark = np.where(step <= EVENT, 100.0, np.where(step <= EVENT + 60, 80.0, 90.0))
    steps = pd.DataFrame(
        {
            "step": step, "contract": "perp", "mark": mark, "mid": mark, "value": np.where(step <= EVENT, 100.0, 95.0),
            "open_interest": np.where(step <= EVENT + 30, 1000, 500),
            "depth_bid": np.where((step > EVENT) & (step < EVENT + 60), 10, 400), "bad_debt": 0, "uncovered": 7,
        }
    )  # fmt: skip
    events = pd.DataFrame(
        [
            (SINCE, "liquidation", "retail", -99, 99),  # before the window
            (SINCE + 1, "liquidation", "retail", -10, 10),  # 1000, 100 minutes before the crash
            (EVENT + 1, "liquidation", "retail", -50, 50),  # 4000 in the crash minute
            (EVENT + 6, "backstop", "retail", 25, 0),  # 2000, still in it
            (EVENT + 8, "auto_deleveraging", "vault", -20, 0),  # 70 s after the first
            (EVENT + 300, "liquidation", "retail", 20, 20),  # 1800 of a short, 50 minutes on
        ],
        columns=["step", "kind", "population", "a", "b"],
    ).assign(contract="perp")
    return steps, events


def measured(steps: pd.DataFrame, events: pd.DataFrame, gave: flow.Deleveraged) -> tuple[dict[str, float], Any]:
    return october_2025.measure(
        steps, events, gave, since=SINCE, event=EVENT, dt_seconds=10.0, vault="vault", lot_value=1000.0
    )


def test_the_six_measures_of_a_day_made_by_hand() -> None:
    gave = flow.Deleveraged(np.array([1, 2, 2]), np.array([0.1, 0.3, 0.2]), np.array([True, True, False]))
    found, series = measured(*day(), gave)
    assert found["worst_40_minutes"] == pytest.approx(6000 / 8800)
    assert found["peak_minute"] == pytest.approx(6000 / 8800)
    assert found["long_share"] == pytest.approx(7000 / 8800)
    assert found["open_interest_fall"] == pytest.approx(0.6)  # 500 lots at 80 of 1000 at 100
    assert found["open_interest_fall_lots"] == pytest.approx(0.5)
    assert found["adl_delay"] == 70.0
    assert found["adl_delay_day"] == 10.0 * (EVENT + 8 - SINCE - 1)
    assert found["adl_leverage"] == 0.2
    assert found["adl_profitable"] == pytest.approx(2 / 3)
    assert found["adl_share"] == pytest.approx(20 * 80 / 8800)
    assert found["depth_fall"] == pytest.approx(390 / 400)
    assert found["price_fall"] == pytest.approx(0.2)
    assert found["price_fall_end"] == pytest.approx(0.1)
    assert found["value_fall_end"] == pytest.approx(0.05)
    assert found["uncovered"] == 7.0
    assert set(series) == set(october_2025.SERIES)
    assert {len(column) for column in series.values()} == {200}
    assert series["liquidated"][100] == 6000.0
    assert series["deleveraged"][101] == 1600.0


def test_a_day_without_auto_deleveraging_has_no_delay_and_no_leverage() -> None:
    steps, events = day()
    none = flow.Deleveraged(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool))
    found, _ = measured(steps, events[events["kind"] != "auto_deleveraging"], none)
    assert [name for name, value in found.items() if math.isnan(value)] == [
        "adl_delay", "adl_leverage", "adl_delay_day", "adl_leverage_accounts", "adl_profitable",
    ]  # fmt: skip


def test_a_run_reaches_the_book_the_vault_and_counterparties_and_leverage_is_read_before_the_clearing() -> None:
    loaded = scenario.load("october-2025")
    market = build.market(loaded, 0)
    event = loaded.event_step("crash")
    market.advance(event)
    watch = flow.LeverageWatch(market)
    while market.tick < event + 60:
        watch.step()
    market.check()
    events = market.events_table()
    assert {"liquidation", "backstop", "auto_deleveraging"} <= set(events["kind"])
    gave = watch.deleveraged()
    adl = events[(events["kind"] == "auto_deleveraging") & (events["step"] > event)]
    assert gave.account.tolist() == adl["reason"].astype(int).tolist()
    assert (gave.leverage > 0).all()
    assert gave.profitable.mean() > 0.5
    market.close()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("market.dt_seconds=7", "market.dt_seconds"),
        ("market.dt_seconds=120", "market.dt_seconds"),
        ("record.every=2", "record.every"),
        ("market.burn_in=15000", "measure.event"),
    ],
)
def test_a_scenario_that_cannot_be_measured_is_one_clear_line(change: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        october_2025.Replication(scenario.load("october-2025", [change]), (0,)).validate()
    assert [problem.key for problem in refused.value.problems] == [key]


def test_an_unknown_replication_is_one_clear_line(marginlab: Callable[..., Any]) -> None:
    done = marginlab("replicate", "october-2024")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "october-2025" in done.stderr


def test_the_summary_and_its_lines_show_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    study = october_2025.Replication(scenario.load("october-2025"), (5, 6))
    steps, events = day()
    none = flow.Deleveraged(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool))
    found, series = measured(steps, events, none)
    values = {name: None if math.isnan(value) else value for name, value in found.items()}
    runs = [
        {"regime": "static", "arm": "", "seed": n, "measures": values, "series": series, "results_hash": f"{n:064x}"}
        for n in study.seeds
    ]
    result = october_2025.summary(study, runs)
    assert result["agree"] == 4  # the peak minute is too large a share, and nobody was seen to give way
    published, _ = replication(result)
    assert [row[0] for row in published.rows] == [entry["label"] for entry in result["published"].values()]
    text = "\n".join(october_2025.lines(result))
    assert "4 of 6 means" in text
    assert "no, 2 seeds have none" in text


def test_the_page_states_the_published_numbers_and_the_bounds_of_shares(project_root: Path) -> None:
    page = (project_root / "docs" / "october-2025.md").read_text(encoding="utf-8")
    shares = [fact for fact in PUBLISHED if fact.unit == "share"]
    for fact in shares:
        near = [odds(fact.value) / 2, odds(fact.value) * 2]
        low, high = (100 * x / (1 + x) for x in near)
        half, double = 50 * fact.value, min(200 * fact.value, 100.0)
        row = rf"\| {100 * fact.value:.1f} % \| {half:.1f} to {double:.3g} % \| {low:.1f} to {high:.1f} % \|"
        assert re.search(row, page), row


def test_the_published_facts_are_what_the_study_reports() -> None:
    study = october_2025.Replication(scenario.load("october-2025"))
    assert study.seeds == tuple(range(30_000, 30_030))
    assert replace(study, seeds=(1, 2)).job()["seeds"] == [1, 2]
