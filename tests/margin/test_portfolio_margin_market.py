"""Venues' portfolio margins in a running market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim import numpy_rules
from sim.kernels.state import INITIAL, MAINTENANCE
from tests.sim import markets

STEPS = 60


@pytest.mark.parametrize("regime", ["deribit_pm", "derive_pm", "okx_pm"])
def test_margins_a_market_of_perpetuals_and_goes_on_from_a_snapshot(regime: str, tmp_path: Path) -> None:
    market = markets.market(regime)
    market.advance(STEPS)
    market.check()
    path = tmp_path / "run.npz"
    market.save(path)
    loaded = markets.market(regime).load(path)
    for one in (market, loaded):
        one.advance(STEPS)
        one.check()
    assert loaded.results_hash() == market.results_hash()
    # what stands in the market is what the definition says of its portfolio
    for initial, which in ((True, INITIAL), (False, MAINTENANCE)):
        risk = market.risk_parameters(initial=initial)
        explained = market.margin.explain(market.portfolio(), risk)  # type: ignore[attr-defined]
        numpy_rules.store_requirement(market, initial=initial)
        expected = explained.initial if initial else explained.maintenance
        assert np.any(expected > 0)
        assert market.state.py_requirement[: len(expected), -1, which].tolist() == expected.tolist()


def test_published_arrays_keep_their_notice() -> None:
    memory = {"own": np.zeros(1)}
    first = numpy_rules.with_arrays({}, memory, {"charge": np.array([1])}, 0)
    numpy_rules.fill_arrays(first, 0, 2)
    second = numpy_rules.with_arrays(first, memory, {"charge": np.array([2])}, 1)
    assert numpy_rules.kept_arrays(second, 0)["charge"].tolist() == [1]
    assert numpy_rules.kept_arrays(second, 1)["charge"].tolist() == [2]
    assert set(second) == {"own", "published:0:charge", "published:1:charge"}
