"""Option chains of a scenario: what they list, what is wrong with them, and what a run keeps of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from experiments import build
from experiments.cli import app
from experiments.scenario import Scenario, parse
from sim.errors import ConfigError
from sim.options import black76_price

PERP = {"name": "perp", "tick_size": 0.5, "tick_value": 1, "initial_price": 200, "max_lots": 100_000}
CHAIN: dict[str, Any] = {
    "name": "OPT", "underlying": "perp", "expiry_days": [0.125, 1], "strikes": 3, "spacing": 0.05, "tick_size": 0.1,
    "tick_value": 10, "volatility": 0.8,
}  # fmt: skip
BASE: dict[str, Any] = {
    "market": {"dt_seconds": 60.0, "steps": 240, "steps_per_day": 1440, "minor_units": {"BTC": 10**8}},
    "world": {"kind": "gbm", "volatility": 0.03},
    "margin": {"regime": "static", "params": {"initial": 0.1, "maintenance": 0.05}},
    "clearing": {"forced_limit": "none", "surplus_to": "trader"},
    "populations": [
        {"kind": "latent", "name": "latent", "count": 5},
        {"kind": "noise", "name": "noise", "count": 5},
        {"kind": "latent", "name": "quotes", "count": 5, "contract": "OPT-1d-100-C", "lifetime": 30.0},
        {"kind": "noise", "name": "takers", "count": 5, "contract": "OPT-1d-100-C"},
    ],
}


def raw(*chains: dict[str, Any], contracts: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    listed = [dict(one) for one in contracts or [PERP]]
    return {**copy.deepcopy(BASE), "contracts": listed, "chains": [dict(one) for one in chains]}


def scenario(*chains: dict[str, Any], contracts: list[dict[str, Any]] | None = None) -> Scenario:
    return parse(raw(*chains, contracts=contracts), name="options", file="")


def problems(*chains: dict[str, Any], contracts: list[dict[str, Any]] | None = None) -> list[str]:
    given = raw(*chains, contracts=contracts)
    given["populations"] = given["populations"][:1]
    with pytest.raises(ConfigError) as caught:
        parse(given, name="options", file="")
    return str(caught.value).splitlines()


def test_a_chain_lists_calls_and_puts_behind_the_contracts() -> None:
    made = build.contracts(scenario(CHAIN))
    assert [one.name for one in made[:5]] == [
        "perp",
        "OPT-0p125d-95-C",
        "OPT-0p125d-95-P",
        "OPT-0p125d-100-C",
        "OPT-0p125d-100-P",
    ]
    assert len(made) == 1 + 2 * 3 * 2
    last = made[-1]
    assert (last.strike, last.option_type, last.expiry_step, last.settle_steps) == (105.0, "put", 1440, 30)
    worth = float(black76_price("put", 100.0, 105.0, 1 / 365, 0.8))
    assert last.initial_price == round(worth / 0.1)
    assert last.max_price == 8192  # four times the dearest of price and strikes, in ticks, up to a power of two


def test_strikes_may_be_named_and_are_not_confused() -> None:
    chain = CHAIN | {"strike_list": [100.03125, 100.0625, 99.5], "expiry_days": [1, 1.0625]}
    names = [one.name for one in build.contracts(scenario(chain | {"strike_list": [*chain["strike_list"], 100.0]}))]
    assert "OPT-1d-100p03125-C" in names
    assert "OPT-1p0625d-100p0625-P" in names
    assert len(set(names)) == len(names) == 1 + 2 * 4 * 2


def test_an_inverse_chain_is_in_coin() -> None:
    coin = {"name": "coin", "kind": "inverse_perpetual", "currency": "BTC", "lot_size": 100.0, "tick_value": 10**10,
            "max_lots": 1000, "initial_price": 5000}  # fmt: skip
    chain = {"name": "I", "kind": "inverse_option", "underlying": "coin", "expiry_days": [1], "strikes": 3,
             "tick_size": 0.0005, "tick_value": 5000, "lot_size": 0.1, "max_lots": 10_000}  # fmt: skip
    given = raw(chain, contracts=[coin])
    given["populations"] = given["populations"][:1]
    made = build.contracts(parse(given, name="options", file=""))
    assert {one.currency for one in made} == {"BTC"}
    assert made[1].about == "BTC"


def test_a_scenario_with_a_chain_loads_again_from_its_manifest() -> None:
    first = scenario(CHAIN | {"surface": {"skew": -0.2, "curvature": 0.5}, "listing_days": [0, 0.05]})
    again = parse(copy.deepcopy(first.as_run()) | {"measure": {}}, name="options", file="")
    assert again.contracts == first.contracts
    assert again.chains == first.chains
    assert again.as_run()["chains"] == first.as_run()["chains"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"underlying": "prep"}, 'one of the contracts: perp (did you mean "perp"?)'),
        ({"expiry_days": [1, 1, 2]}, "chains.OPT.expiry_days = 1"),
        ({"expiry_days": []}, "chains.OPT.expiry_days = []; allowed: at least 1 entries"),
        ({"listing_days": [0]}, "chains.OPT.listing_days = [0.0]; allowed: as many as expiry_days (2), or none"),
        ({"listing_days": [0, 1]}, "chains.OPT.listing_days = 1"),
        ({"strike_list": [100.01]}, "chains.OPT.strike_list = 100.01; allowed: multiples of 0.03125"),
        ({"tick_value": 11}, "chains.OPT.tick_value = 11; allowed: 10"),
        ({"max_lots": 10**12}, "chains.OPT.max_lots = 1000000000000; allowed: a smaller scale"),
        ({"max_price": 20}, "chains.OPT.max_price = 20; allowed: at least "),
        ({"name": "O" * 45}, "a shorter name"),
        ({"priced_on": "last"}, "chains.OPT.priced_on = 'last'"),
        ({"colour": 1}, "chains.OPT.colour = 1; allowed: no such key"),
        ({"surface": {"skew": -0.5}}, "chains.OPT.surface.curvature = 0.0; allowed: above 0 with skew"),
        ({"surface": {"skew": -0.5, "curvature": 1.5}}, "chains.OPT.surface.curvature = 1.5; allowed: at most 1.333"),
        ({"surface": {"flow_skew": 0.1, "curvature": 1.0}}, "chains.OPT.surface.flow_lots = 0.0; allowed: above 0"),
        ({"surface": {"skwe": -0.5}}, 'did you mean "skew"?'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_chain_is_said_once(change: dict[str, Any], expected: str) -> None:
    found = problems(CHAIN | change)
    assert len(found) == 1, found
    assert expected in found[0]


def test_options_are_priced_by_the_contract_that_leads() -> None:
    spot = {
        "name": "spot",
        "kind": "spot",
        "tick_value": 1,
        "lot_size": 0.01,
        "base_currency": "BTC",
        "base_lot": 10**6,
    }
    future = {"name": "future", "kind": "linear_future", "underlying": "BTC", "expiry_days": 30, "tick_value": 100}
    found = problems(CHAIN | {"underlying": "future"}, contracts=[spot, future])
    assert len(found) == 1
    assert "chains.OPT.underlying = 'future'; allowed: spot, whose price is that of BTC" in found[0]


@pytest.mark.parametrize("change", [{"listing_days": [0]}, {"tick_size": -1}, {"surface": {"skwe": 1}}])
def test_a_wrong_chain_is_all_that_is_said(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario(CHAIN | change)
    assert [problem.key.split(".")[:2] for problem in caught.value.problems] == [["chains", "OPT"]]
    given = raw(CHAIN)
    given["populations"][2]["contract"] = "OPT-1d-101-C"
    with pytest.raises(ConfigError, match=r"populations\.quotes\.contract = 'OPT-1d-101-C'"):
        parse(given, name="options", file="")


def test_many_small_contracts_leave_room_for_a_large_one() -> None:
    large = PERP | {"max_lots": 10**11}
    wide = CHAIN | {"expiry_days": [1, 2, 3, 4, 5, 6], "strikes": 21}
    assert len(scenario(wide, contracts=[large]).contracts) == 253
    found = problems(wide, contracts=[PERP | {"max_lots": 10**12}])
    assert len(found) == 1
    assert "contracts.perp.max_lots = 1000000000000; allowed: a smaller scale" in found[0]


def test_two_chains_of_one_name_are_refused() -> None:
    assert "chains.OPT.name = 'OPT'; allowed: a name that no other entry has" in problems(CHAIN, CHAIN)[0]


FILE = """
[market]
dt_seconds = 60.0
steps = 240
[[contracts]]
name = "perp"
tick_size = 0.5
tick_value = 1
initial_price = 200
max_lots = 100000
[[chains]]
name = "OPT"
underlying = "perp"
expiry_days = [0.125, 1]
strikes = 3
spacing = 0.05
tick_size = 0.1
tick_value = 10
volatility = 0.8
[chains.surface]
curvature = 0.8
realised_weight = 0.5
[world]
kind = "gbm"
volatility = 0.03
[margin]
regime = "static"
[clearing]
forced_limit = "none"
surplus_to = "trader"
[[populations]]
kind = "latent"
name = "latent"
count = 5
"""


def test_a_run_keeps_its_surface(tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text(FILE)
    done = CliRunner().invoke(app, ["run", str(tmp_path / "options.toml"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    table = pd.read_parquet(tmp_path / "out" / "surface.parquet")
    assert set(table["expiry_step"]) == {180, 1440}
    assert table[table["expiry_step"] == 180]["step"].max() == 179
    assert (table["atm"] > 0).all()
    assert table["atm"].nunique() > 10
