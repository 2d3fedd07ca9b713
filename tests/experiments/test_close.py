"""A closed market is freed at once, not when the collector of cycles comes by."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from experiments import build, scenario
from tests.experiments.conftest import SMALL


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("views", [False, True])
@pytest.mark.usefixtures("no_collector")
def test_closed_markets_and_their_forks_leave_nothing(small_scenario: scenario.Scenario, views: bool) -> None:
    market = build.market(small_scenario, 1, shadows=["dynamic"], views=views)
    market.advance(5)
    arm = market.fork(margin="dynamic")
    arm.advance(5)
    found = [weakref.ref(market), weakref.ref(market.state), weakref.ref(arm), weakref.ref(arm.state)]
    tables = market.steps_table(), arm.accounts_table()
    market.close()
    arm.close()
    assert len(market.steps_table()) == len(tables[0])  # closed, and still readable
    del market, arm
    assert [reference() for reference in found] == [None] * 4


@pytest.fixture
def small_scenario(tmp_path_factory: pytest.TempPathFactory) -> scenario.Scenario:
    path = tmp_path_factory.mktemp("close") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return scenario.load(str(path))
