"""The record of causes in whole markets: it changes nothing, is complete, and is the same by every way of running."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim import snapshot
from sim.causes import CLASSES, Causes, cascades_table
from sim.config import RecordConfig
from sim.kernels import state as s
from sim.liquidation import POLICIES
from tests.sim import markets
from tests.sim.test_causes import consistent
from tests.sim.test_market import NumpyStatic

LAST = 160
TAPES = {"moves": s.M_MOVES, "causes": s.M_CAUSES}


def run(regime: Any = "static", *, causes: bool = True, **how: Any) -> Any:
    market = markets.market(regime, record=RecordConfig(causes=causes), **how)
    market.advance(LAST)
    return market


@pytest.fixture(scope="module")
def recorded() -> Any:
    return run()


def tapes(market: Any) -> dict[str, bytes]:
    state = market.state
    rows = {name: int(state.meta[which]) for name, which in TAPES.items()}
    rows["readings"] = int(state.meta[s.M_READINGS] * state.meta[s.M_CONTRACTS])
    return {name: s.raw(getattr(state, name)[:n]).tobytes() for name, n in rows.items()}


def test_recording_changes_nothing(recorded: Any) -> None:
    assert recorded.results_hash() == run(causes=False).results_hash()
    assert int(recorded.state.meta[s.M_LIQUIDATIONS]) == len(Causes(recorded.state)) > 5


def test_the_tape_sums_to_the_path_of_prices(recorded: Any) -> None:
    state = recorded.state
    readings = state.readings[: int(state.meta[s.M_READINGS])]
    moves = state.moves[: int(state.meta[s.M_MOVES])]
    for name, column, scale in (("last", "last", 1), ("mid", "mid", 1)):
        of = moves[moves["cause"] != s.CAUSE_INDEX]
        summed = np.bincount(of["reading"], of[name], len(readings)) * scale
        assert np.array_equal(summed[1:], np.diff(readings[column]))
    of = moves[moves["cause"] == s.CAUSE_INDEX]
    assert np.array_equal(np.bincount(of["reading"], of["mid"], len(readings))[1:], np.diff(readings["index"]))
    assert set(readings["round"]) >= {-1, 0, 1}
    assert (np.diff(readings["step"]) >= 0).all()


def test_step_by_step_and_after_a_fork_the_tapes_are_the_same(recorded: Any) -> None:
    slow = markets.market(record=RecordConfig(causes=True))
    for _ in range(LAST // 2):
        slow.step()
    twin = slow.fork()
    twin.advance(LAST - twin.tick)
    assert tapes(twin) == tapes(recorded)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"mark": "ema"},
        {"mark": "index_median"},
        {"grace_steps": 3},
        {"policy": POLICIES["partial"], "forced_limit": "bankruptcy", "fund_initial": 3000},
        {"regime": "isolated"},
        {"regime": "portfolio", "contract_count": 2},
        {"max_rounds": 1, "forced_limit": "band"},
    ],
    ids=["mid", "ema", "index_median", "grace", "partial", "isolated", "two_contracts", "one_round"],
)
def test_the_record_is_consistent(how: dict[str, Any]) -> None:
    market = run(**how)
    found = Causes(market.state)
    assert len(found) == int(market.state.meta[s.M_LIQUIDATIONS]) > 0
    consistent(found)
    table = market.causes_table()
    assert list(table["liquidation"]) == list(found.reference)
    assert np.allclose(table[[f"w_{name}" for name in CLASSES]].sum(axis=1), 1.0)
    cascades = cascades_table(table)
    assert cascades["size"].sum() == len(table) and (cascades["duration_steps"] >= 0).all()
    assert cascades["depth"].max() == table["generation"].max()


def test_a_rule_in_numpy_is_recorded_by_its_equity() -> None:
    """The same liquidations as the compiled rule; requirements at other marks are not known, so prices count less."""
    fast, slow = run(), run(NumpyStatic(**markets.RATES))
    assert slow.results_hash() == fast.results_hash()
    a, b = Causes(fast.state), Causes(slow.state)
    assert (a.reference == b.reference).all()
    assert (a.rows["shortfall"] == b.rows["shortfall"]).all()
    consistent(b)
    assert slow.state.meta[s.M_STORED] == 1 and fast.state.meta[s.M_STORED] == 0


def test_a_snapshot_keeps_the_tapes(recorded: Any, tmp_path: Any) -> None:
    recorded.save(tmp_path / "run.npz")
    again = markets.market(record=RecordConfig(causes=True)).load(tmp_path / "run.npz")
    assert tapes(again) == tapes(recorded)
    assert snapshot.hash_columns({"a": Causes(again.state).weights}) == snapshot.hash_columns(
        {"a": Causes(recorded.state).weights}
    )
