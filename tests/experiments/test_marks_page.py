"""The page on marks and oracles: its example, its scenario, and the events it describes, as a file states them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import build, scenario
from sim import venue
from sim.config import MARK_RULES, ClearingConfig, MarketConfig
from sim.errors import ConfigError
from sim.kernels import marks
from sim.kernels import state as s
from sim.marks import Marking
from tests.sim.exchange import Exchange

DT = 30.0
CLEARING = {"mark_ema_half_life_seconds": 60.0, "mark_window_seconds": 90.0}
MARKING = Marking(basis_window_seconds=90.0, index_limit=0.02)


@pytest.fixture
def page(project_root: Path) -> str:
    return (project_root / "docs" / "marks.md").read_text(encoding="utf-8")


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column has a heading."""
    lines = page[page.index(f"\n| {heading} |") :].strip().split("\n")
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_worked_example_is_what_the_rules_give(page: str) -> None:
    readings = [[float(cell) for cell in row] for row in table(page, "step | bid")]
    rows = table(page, "rule | step 1")
    assert {row[0].split("`")[1] for row in rows} == set(MARK_RULES)
    for label, *cells in rows:
        rule = label.split("`")[1]
        e = Exchange(2, mark=MARK_RULES[rule], oracle_columns=s.OP_SOURCE)
        market: Any = SimpleNamespace(
            state=e.state, config=MarketConfig(steps=8, dt_seconds=DT), contract_table=e.table
        )
        venue.put_marking(market, ClearingConfig(mark=rule, marking=MARKING, **CLEARING))
        found = []
        for step, bid, ask, last, index, elsewhere in readings:
            e.state.oracle_path[int(step), 0, s.OP_PERP] = elsewhere if "with" in label else 0.0
            quote = e.state.quotes
            quote["bid"][0], quote["ask"][0], quote["last"][0], quote["index"][0] = bid, ask, last, index * s.SUBTICKS
            marks.set_marks(e.state)
            found.append(float(quote["mark"][0]) / s.SUBTICKS)
            marks.close_marks(e.state)
            e.state.meta[s.M_STEP] += 1
        assert found == [float(cell) for cell in cells[:3]], label
    kept = {row[0].split("`")[1] for row in rows if float(row[3]) >= 95}
    assert kept == {"ema", "twap", "index", "deribit"}


def given(page: str, **changes: Any) -> dict[str, Any]:
    """The scenario of the page."""
    block = next(text for text in re.findall(r"```toml\n(.*?)```", page, re.S) if "[market]" in text)
    return tomllib.loads(block) | changes


def parsed(raw: dict[str, Any], *assignments: str) -> scenario.Scenario:
    return scenario.parse(raw, name="depeg", file="depeg.toml", assignments=assignments)


def test_the_depeg_of_the_page_liquidates_and_its_twin_does_not(page: str) -> None:
    """The figures of the page; every invariant is checked at every step."""
    liquidated, mids = [], []
    for level in (1.0, 0.65):
        market = build.market(parsed(given(page), f"events.depeg.level={level}"), 7)
        market.advance(300)
        before = int(market.state.meta[s.M_LIQUIDATIONS])
        mids = [float(market.state.quotes["mid"][0]) / s.SUBTICKS]
        while market.tick < 360:
            market.step()
            market.check()
        liquidated.append(int(market.state.meta[s.M_LIQUIDATIONS]) - before)
        mids.append(float(market.state.quotes["mid"][0]) / s.SUBTICKS)
        market.close()
    said = re.search(
        r"seed 7 .*, (\d+) accounts are liquidated .*, and (\d+) with .* at ([\d.]+) before .* at ([\d.]+) after",
        " ".join(page.split()),
    )
    assert said is not None
    assert [int(said[2]), int(said[1])] == liquidated
    assert [float(said[3]), float(said[4])] == mids
    assert liquidated[1] > 10 * liquidated[0]


def test_the_oracle_of_the_page_is_valid(page: str) -> None:
    block = next(text for text in re.findall(r"```toml\n(.*?)```", page, re.S) if "[world.oracle]" in text)
    raw = given(page)
    oracle = tomllib.loads(block)["world"]["oracle"]
    oracle["sources"][-1]["contract"] = "usdx"  # the spot contract of that scenario
    raw["world"] |= {"oracle": oracle}
    raw["market"] |= {"dt_seconds": 3}
    checked = parsed(raw)
    assert checked.world.oracle.aggregation == "weighted_median"
    made = build.world(checked, 3)
    assert made.oracle is not None
    assert made.oracle[:, s.OR_OWN].tolist() == [-1, 1]


FAULT = {"name": "fault", "kind": "oracle_fault", "at_step": 10, "duration_steps": 5, "mode": "frozen"}
DEPEG = {"name": "drop", "kind": "depeg", "at_step": 10, "contract": "usdx", "level": 0.5}
SOURCES = {"sources": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (FAULT | {"sources": ["c"]}, "events.fault.sources = 'c'; allowed: a source of the oracle: a, b"),
        (FAULT | {"mode": "spike"}, "events.fault.log_size = 0.0; allowed: a number other than 0 with mode = spike"),
        (FAULT | {"log_size": 0.1}, "events.fault.log_size = 0.1; allowed: nothing with mode = frozen"),
        (FAULT | {"contract": "purp"}, "events.fault.contract = 'purp'; allowed: perp, usdx (did you mean \"perp\"?)"),
        (FAULT | {"mode": "melted"}, "events.fault.mode = 'melted'; allowed: frozen, spike, bias"),
        (DEPEG | {"contract": "perp"}, "events.drop.contract = 'perp'; allowed: a spot contract: usdx"),
        (DEPEG | {"level": 0}, "events.drop.level = 0; allowed: a number above 0"),
        (
            {"name": "swap", "kind": "swap_collateral", "at_step": 10, "population": "leveraged", "currency": "EUR"},
            "events.swap.currency = 'EUR'; allowed: a currency beside USD: USDX",
        ),
    ],
)
def test_events_that_name_what_is_not_there_are_refused(page: str, event: dict[str, Any], message: str) -> None:
    raw = given(page)
    raw["world"] |= {"oracle": SOURCES}
    raw["events"].append(event)
    with pytest.raises(ConfigError) as caught:
        parsed(raw)
    assert [str(problem) for problem in caught.value.problems] == [f"depeg.toml: {message}"]


@pytest.mark.parametrize(
    ("table_", "key"),
    [
        ({"world": {"oracle": {"sources": [{"name": "a", "weight": 0}]}}}, "world.oracle.sources.a.weight"),
        ({"world": {"oracle": {"sources": [{"name": "a", "kind": "spot", "contract": "perp"}]}}},
         "world.oracle.sources.a.contract"),
        ({"world": {"oracle": {"aggregation": "mode"}}}, "world.oracle.aggregation"),
        ({"clearing": {"marking": {"index_limit": 0}}}, "clearing.marking.index_limit"),
        ({"clearing": {"marking": {"premium_seconds": -1}}}, "clearing.marking.premium_seconds"),
        ({"clearing": {"marking": {"speed": 1}}}, "clearing.marking.speed"),
        ({"clearing": {"mark": "medain"}}, "clearing.mark"),
        ({"clearing": {"mark_window_seconds": 0}}, "clearing.mark_window_seconds"),
    ],
)  # fmt: skip
def test_bad_marks_and_oracles_get_one_line(page: str, table_: dict[str, Any], key: str) -> None:
    raw = given(page)
    for name, changes in table_.items():
        raw[name] |= changes
    with pytest.raises(ConfigError) as caught:
        parsed(raw)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_faults_reach_the_world(page: str) -> None:
    raw = given(page)
    raw["world"] = {"kind": "constant", "oracle": SOURCES | {"aggregation": "mean"}}
    raw["events"].append(FAULT | {"mode": "bias", "log_size": 0.2, "sources": ["a"], "contract": "perp"})
    made = build.world(parsed(raw), 1)
    wrong = [t for t in range(len(made.index)) if made.index[t, 0] != 5000 * s.SUBTICKS]
    assert wrong == [11, 12, 13, 14, 15]
    assert (made.index[:300, 1] == 10_000 * s.SUBTICKS).all()
