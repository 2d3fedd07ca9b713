"""Snapshots go on with the same bytes, and refuse what does not belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim import snapshot
from sim.errors import SnapshotError
from sim.kernels import state as s
from sim.market import Market
from tests.sim import markets

AT = 80


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Market, Path]:
    market = markets.market()
    market.advance(AT)
    path = tmp_path_factory.mktemp("snapshots") / "at80.npz"
    market.save(path)
    return market, path


def test_a_loaded_market_has_the_same_bytes(saved: tuple[Market, Path]) -> None:
    market, path = saved
    loaded = markets.market().load(path)
    for name, array in s.arrays_of(market.state).items():
        found = getattr(loaded.state, name)
        assert found.tobytes() == array.tobytes(), name
        assert (found.dtype, found.shape) == (array.dtype, array.shape), name
    assert loaded.tick == AT
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_loaded_market_goes_on_with_the_same_bytes(saved: tuple[Market, Path]) -> None:
    market, path = saved
    loaded, straight = markets.market().load(path), market.fork()
    loaded.advance(60)
    straight.advance(60)
    assert loaded.results_hash() == straight.results_hash()
    for name, array in s.arrays_of(straight.state).items():
        assert getattr(loaded.state, name).tobytes() == array.tobytes(), name
    loaded.check()


def test_a_snapshot_is_not_changed_by_running_on(saved: tuple[Market, Path]) -> None:
    _, path = saved
    before = path.read_bytes()
    markets.market().load(path).advance(10)
    assert path.read_bytes() == before


def test_saving_over_a_snapshot_replaces_it_whole(saved: tuple[Market, Path], tmp_path: Path) -> None:
    market, _ = saved
    path = tmp_path / "run.npz"
    path.write_bytes(b"half a snapshot")
    market.save(path)
    assert markets.market().load(path).tick == AT


@pytest.mark.parametrize("other", ["seed", "regime", "size"])
def test_another_market_refuses_it(saved: tuple[Market, Path], other: str) -> None:
    _, path = saved
    made = {
        "seed": lambda: markets.market(seed=9),
        "regime": lambda: markets.market("cross"),
        "size": lambda: markets.market(steps=100, events=()),
    }[other]()
    with pytest.raises(SnapshotError, match="another scenario, regime or seed"):
        made.load(path)


def test_a_damaged_file_is_named(saved: tuple[Market, Path], tmp_path: Path) -> None:
    market, path = saved
    broken = tmp_path / "broken.npz"
    broken.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SnapshotError, match=r"broken\.npz"):
        market.load(broken)
    with pytest.raises(SnapshotError, match="missing"):
        market.load(tmp_path / "missing.npz")


def test_another_layout_is_refused(saved: tuple[Market, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market, _ = saved
    path = tmp_path / "old.npz"
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "layout_id", lambda: "another")
        market.save(path)
    with pytest.raises(SnapshotError, match="another version"):
        market.load(path)


def test_hashes_see_values_names_and_order() -> None:
    columns = {"a": np.arange(3), "b": np.array([0.5, np.nan, -0.0]), "c": np.array(["x", "y"], object)}
    base = snapshot.hash_columns(columns)
    assert snapshot.hash_columns(dict(reversed(columns.items()))) == base
    assert snapshot.hash_columns(columns | {"a": np.arange(3, dtype=np.int32)}) == base
    assert snapshot.hash_columns(columns | {"a": np.arange(3)[::-1]}) != base
    assert snapshot.hash_columns(columns | {"b": np.array([0.5, np.nan, 0.0])}) != base
    assert snapshot.hash_columns({"d": columns["a"], "b": columns["b"], "c": columns["c"]}) != base
