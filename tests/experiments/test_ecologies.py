"""The families of default markets: an index future over a real path, and a thin on-chain market."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import build, scenario
from experiments.facts.catalogue import measure
from experiments.facts.tape import Tape
from sim.kernels.ledger import OFFSET_FEES
from sim.kernels.state import M_TRADERS

FAMILIES = ("index-future", "index-future-2008", "index-future-2017", "onchain", "onchain-2s")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_short_run_conserves_money_at_every_step(name: str) -> None:
    market = build.market(scenario.load(name), 5)
    for _ in range(40):
        market.step()
        market.check()
    market.close()


@pytest.mark.parametrize("name", ["index-future-2008", "index-future-2017"])
def test_members_differ_from_the_base_where_they_say_so(name: str) -> None:
    base, member = scenario.load("index-future"), scenario.load(name)
    assert [p.name for p in member.populations] == [p.name for p in base.populations]
    assert member.world.start != base.world.start
    assert member.market.dt_seconds == base.market.dt_seconds
    assert member.contracts[0].initial_price == pytest.approx(_first_close(member) / 0.25, abs=1)


def _first_close(loaded: scenario.Scenario) -> float:
    from sim.world.history import load_series

    return float(load_series(loaded.world, ["es"])[0][0].close[0])


def test_two_second_blocks_run_the_same_market_in_finer_steps() -> None:
    slow, fast = scenario.load("onchain"), scenario.load("onchain-2s")
    noise = {s.name: next(p.params for p in s.populations if p.name == "noise") for s in (slow, fast)}
    assert fast.market.steps_per_day == 6 * slow.market.steps_per_day
    assert 6 * noise["onchain-2s"]["arrivals"] == pytest.approx(noise["onchain"]["arrivals"])


def test_index_future_facts_and_its_real_path() -> None:
    loaded = scenario.load("index-future", ["record.trades=true"])
    market = build.market(loaded, 11)
    market.advance(10 * 390)
    tape = Tape.from_market(market, loaded.market.burn_in)
    facts = measure(tape)
    assert facts["spread_bp"] < 4.0
    assert facts["one_sided"] == 0.0
    assert abs(facts["ac1"]) < 0.1
    assert facts["volume_volatility"] > 0.1
    steps = market.steps_table()
    closes = steps[steps.step % 390 == 0]
    mid, value = (np.diff(np.log(closes[name].to_numpy())) for name in ("mid", "value"))
    assert np.corrcoef(mid, value)[0, 1] > 0.85  # seven days of one seed; .95 and more over a month
    market.close()


def test_onchain_is_wide_late_and_pulled_back() -> None:
    loaded = scenario.load("onchain")
    market = build.market(loaded, 11)
    market.advance(10_000)
    steps = market.steps_table()
    steps = steps[steps.step > 3000]
    assert 8.0 < ((steps.ask - steps.bid) / steps.mid * 1e4).median() < 40.0
    error = np.log(steps["index"] / steps["value"]).to_numpy()
    deviation = float(loaded.world.oracle.deviation)
    assert 0 < np.mean(np.abs(error) > deviation) < 0.1  # beyond it only while a report is under way
    basis = np.log(steps["mid"] / steps["value"]).to_numpy()
    change, before = basis[100:] - basis[:-100], basis[:-100]
    assert np.polyfit(before, change, 1)[0] < -0.5  # within 20 minutes most of a deviation is gone
    fees = market.state.wallets[int(market.state.meta[M_TRADERS]) + OFFSET_FEES, 0]
    assert fees > 0
    market.close()
