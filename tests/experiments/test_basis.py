"""Spot, future and perpetual in one market: nothing is lost, hedges roll and expire, arbitrage ties prices together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import build, run
from experiments.scenario import Scenario, load, parse, tables
from experiments.studies import basis
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.market import Market


def market_of(scenario: Scenario, seed: int = 3) -> Market:
    """A whole run with every invariant checked after every step."""
    market = build.market(scenario, seed)
    run.advance(market, scenario.steps, scenario.steps, check=True)
    return market


def named(market: Market, name: str) -> Any:
    """A population by name."""
    return next(p for p in market.populations if p.name == name)


def lots_of(market: Market, name: str) -> np.ndarray:
    """Positions of a population by contract, int64[C]."""
    population = named(market, name)
    rows = slice(population.first, population.first + population.count)
    lots: np.ndarray = market.state.positions["lots"][rows].sum(axis=0)
    return lots


def test_the_scenario_runs_with_every_invariant_and_everybody_trades() -> None:
    market = market_of(load("basis", ["market.steps=360", "market.burn_in=0"]))
    assert lots_of(market, "producers")[1] < 0 < lots_of(market, "consumers")[1]
    assert lots_of(market, "basis")[1] != 0 and lots_of(market, "stops")[2] != 0
    assert int(market.state.net_deposits[1]) > 0
    spot = named(market, "basis").views(market)
    assert sum(agent.lots_other for agent in spot) == pytest.approx(-lots_of(market, "basis")[1], abs=300)
    assert all(0 < agent.to_come <= agent.output for agent in named(market, "producers").views(market))
    stop = named(market, "stops")
    assert [agent.stop for agent in stop.views(market)] == stop.column(market.state, "stop").tolist()
    held = market.state.positions["lots"][stop.first : stop.first + stop.count, 2]
    levels, mark = stop.column(market.state, "stop"), market.state.quotes["mark"][2] / 16
    assert (levels[held > 0] < mark + 50).all() and (levels[held < 0] > mark - 50).all()
    assert (levels[held != 0] > 0).all()
    market.close()


def test_a_run_can_be_forked_in_the_middle_and_goes_on_alike() -> None:
    scenario = load("basis", ["market.steps=300", "market.burn_in=0"])
    market = build.market(scenario, 5)
    run.advance(market, 200, 300)
    twin = market.fork()
    for one in (market, twin):
        run.advance(one, 300, 300)
    assert market.results_hash() == twin.results_hash()
    twin.close()
    market.close()


def two_futures() -> Scenario:
    """The scenario with a future that expires after 288 steps and one to roll into."""
    raw = tables("basis")
    raw["market"] |= {"steps": 360, "burn_in": 0}
    near = next(c for c in raw["contracts"] if c["name"] == "future")
    near["expiry_days"] = 0.2
    far = near | {"name": "later", "expiry_days": 40}
    raw["contracts"].append(far)
    quoting = [dict(p, contract="later", name=p["name"] + "-later") for p in raw["populations"] if p["name"] in (
        "latent-future", "makers-future")]  # fmt: skip
    kept = [p for p in raw["populations"] if p["name"] not in ("stops", "trend", "noise-perp")]
    for population in kept:
        if population["kind"] in ("producers", "consumers"):
            population["roll_days"] = 0.05
    raw["populations"] = kept + quoting
    return parse(raw, name="two-futures", file="two-futures.toml")


def test_hedges_roll_pairs_unwind_and_the_expiry_pays_to_the_unit() -> None:
    market = market_of(two_futures())
    assert lots_of(market, "producers")[1] == 0 and lots_of(market, "producers")[3] < 0
    assert lots_of(market, "consumers")[3] > 0
    arbitrageurs = named(market, "basis")
    assert lots_of(market, "basis")[1] == 0
    assert all(agent.lots_other == 0 for agent in arbitrageurs.views(market))
    market.close()


def test_producers_buy_puts_where_somebody_offers_them() -> None:
    raw = tables("basis")
    raw["market"] |= {"steps": 200, "burn_in": 0}
    raw["chains"] = [
        {"name": "OPT", "underlying": "spot", "expiry_days": [7], "strike_list": [90.0, 95.0], "volatility": 0.6,
         "tick_size": 0.01, "tick_value": 1, "kind": "linear_option"}
    ]  # fmt: skip
    raw["populations"] = [p for p in raw["populations"] if p["contract"] == "spot" or p["kind"] == "producers"]
    raw["populations"].append({"kind": "latent", "name": "offers", "contract": "OPT-7d-95-P", "depth_ticks": 20})
    producer = next(p for p in raw["populations"] if p["kind"] == "producers")
    producer |= {"hedge": "options", "moneyness": 0.95, "option_slippage": 0.5}
    market = market_of(parse(raw, name="puts", file="puts.toml"))
    bought = dict(zip([c.name for c in market.contracts], lots_of(market, "producers"), strict=True))
    assert bought.pop("OPT-7d-95-P") > 100
    assert not any(bought.values())
    market.close()


def table_of(prices: dict[str, list[float]]) -> pd.DataFrame:
    """A steps table with mids only, from step 1."""
    frames = [
        pd.DataFrame({"step": np.arange(1, len(mids) + 1), "contract": name, "mid": mids})
        for name, mids in prices.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_the_deviation_is_the_log_basis_less_carry_until_expiry() -> None:
    spot = Contract("spot", "spot", base_currency="COIN", base_lot=100)
    future = Contract("future", "linear_future", underlying="COIN", expiry_step=3)
    years = np.array([2, 1, 0]) / 365
    mids = [*(100 * np.exp(0.1 * years + [0.01, 0.02, 0.03])), 7.0]
    gap = basis.deviation(table_of({"spot": [100.0] * 4, "future": mids}), future, spot, 0.1, 1)
    np.testing.assert_allclose(gap[:3], [0.01, 0.02, 0.03], atol=1e-12)
    assert np.isnan(gap[3])


def test_the_persistence_of_an_autoregression_is_its_coefficient() -> None:
    rng = np.random.default_rng(1)
    series = np.zeros(40_000)
    for t in range(1, len(series)):
        series[t] = 0.9 * series[t - 1] + rng.normal()
    assert basis.persistence(series, 3) == pytest.approx(0.9**3, abs=0.02)
    assert np.isnan(basis.persistence(np.ones(50), 3))


def test_the_study_says_what_each_kind_ties(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--seeds", "1:2", "--set", "market.steps=1200", "--set", "market.burn_in=400", "--out", str(tmp_path)]
    assert basis.main([*asked, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rms = {arm: {name: m["rms"]["mean"] for name, m in found.items()} for arm, found in result["arms"].items()}
    assert rms["both"]["future"] < rms["neither"]["future"] / 2
    assert rms["both"]["perp"] < rms["neither"]["perp"]
    assert rms["basis only"]["perp"] > rms["funding only"]["perp"]
    shown = basis.lines(result)
    assert len(shown) == 10 and shown[2].startswith("| both | future | ")
    assert basis.main(asked) == 1  # the folder holds a finished study
    assert "a finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "calm"], "a spot contract, and a future or a perpetual"),
        (["--set", "populations.basis.entry=-1"], "a number of at least 0"),
        (["--seeds", "x"], "seeds"),
    ],
)
def test_what_cannot_be_studied_is_said(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert basis.main(arguments) == 1
    assert words in capsys.readouterr().err


def test_an_arm_needs_its_traders() -> None:
    raw = tables("basis")
    raw["populations"] = [p for p in raw["populations"] if p["kind"] != "funding_arbitrageurs"]
    with pytest.raises(ConfigError, match="some funding_arbitrageurs in it"):
        basis.without(parse(raw, name="b", file="b.toml"), ["funding_arbitrageurs"])


@pytest.mark.study
def test_arbitrage_ties_prices_together_on_fresh_seeds() -> None:
    """The statement of docs/basis.md, on the first seeds of it."""
    result = basis.study(load("basis"), range(5000, 5006), workers=2)
    arms = result["arms"]
    for arm, contract, tied in [("neither", "future", False), ("both", "future", True), ("basis only", "perp", False),
                                ("funding only", "perp", True), ("funding only", "future", False)]:  # fmt: skip
        found = arms[arm][contract]
        assert (found["persistence"]["mean"] < 0.5) == tied, (arm, contract)
        assert (found["rms"]["mean"] < 150) == tied, (arm, contract)
