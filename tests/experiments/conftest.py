"""A small market that runs in a moment, and the command line: called within this process or as one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments import cli, engines

ROOT = Path(__file__).resolve().parents[2]

SMALL = """
[market]
name = "small"
steps = 400
steps_per_day = 100
burn_in = 50

[[contracts]]
name = "one"
tick_value = 2
max_lots = 100_000
max_price = 50_000
fee_liquidation = 0.005

[world]
kind = "gbm"
volatility = 0.03

[margin]
regime = "static"

[margin.params]
initial = 0.04
maintenance = 0.02

[margin.regimes.fast]
regime = "dynamic"
half_life = "20min"

[clearing]
forced_limit = "none"
surplus_to = "trader"

[measure]
event = "sale"

[[populations]]
kind = "latent"
name = "latent"
count = 20
lifetime = 200.0

[[populations]]
kind = "noise"
name = "noise"
count = 20

[[populations]]
kind = "trend_followers"
name = "leveraged"
count = 60
horizon_low = 10
horizon_high = 100

[[events]]
name = "positions"
kind = "seed_open_interest"
at_step = 150
population = "leveraged"
per_bid_depth = 2.0
r0 = 1.0

[[events]]
name = "sale"
kind = "metaorder"
at_step = 200
side = "sell"
lots = 200
steps = 10
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The file of the small scenario."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(autouse=True, scope="session")
def figures_for_the_screen_alone() -> None:
    """Tests of other things don't wait for figures in the widths of print; tests of those ask for them."""
    from experiments.drawing import canvas

    canvas.printed = False


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[engines.KeptPool]:
    """Two worker processes that outlive a test."""
    pool = engines.KeptPool(2)
    yield pool
    pool.close()


@pytest.fixture
def two_workers(shared_pool: engines.KeptPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for two workers is given processes that need not start and load the compiled code again."""
    monkeypatch.setattr(engines, "_pool", shared_pool)


@pytest.fixture
def marginlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the command in a folder of its own, within this process, which has the imports and the compiled code."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        assert isinstance(end.value.code, int)
        return subprocess.CompletedProcess(["marginlab", *arguments], end.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def marginlab_process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the command in a folder and a process of its own, as a shell does."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "experiments", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return call
