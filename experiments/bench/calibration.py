"""Rates that can be compared between noisy machines: each is measured in turns with a fixed loop.

A machine that is busy or slow slows the calibration loop as well, so the ratio of the two says more than either. The
loop is compiled like the simulator's kernels and does what they do most: integer arithmetic on addresses that the
processor cannot foresee.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from sim.kernels.jit import kernel

WORDS = 1 << 20  # 8 MB: beyond the second-level cache of most processors, like the state of a large market
TURNS = 2_000_000


@kernel()
def _walk(memory, turns, start):
    """Follow a pseudo-random path through memory, changing it; returns where it ended."""
    mask = memory.shape[0] - 1
    place = start
    total = np.int64(0)
    for _ in range(turns):
        place = (place * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
        slot = (place >> 33) & mask
        word = memory[slot]
        total += word
        if word & 1:
            memory[slot] = word + 3
        else:
            memory[slot] = word ^ total
    return total


Work = Callable[[], tuple[float, float]]
"""Does some units of work; returns (units, seconds)."""


class Calibration:
    """The calibration loop with its memory."""

    def __init__(self) -> None:
        """Allocate the memory and compile the loop."""
        self._memory = np.arange(WORDS, dtype=np.int64)
        _walk(self._memory, 1, 1)

    def rate(self) -> float:
        """Millions of turns per second, measured now."""
        start = time.perf_counter()
        _walk(self._memory, TURNS, 20071009)
        return TURNS / (time.perf_counter() - start) / 1e6


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Something whose rate is measured.

    Attributes:
        name: unique, dotted.
        unit: of the rate, such as ``"steps/s"``.
        prepare: does everything that is not measured (compilation included) and returns the piece of work; each call
            of the work does some units and returns how many, and the seconds they took.
        rounds: how often the work is called.
        scale: the rate is divided by this (``1e6`` for millions).
        inverse: report seconds per unit instead of units per second; the smallest is then the best, and the ratio is
            value x calibration.
    """

    name: str
    unit: str
    prepare: Callable[[], Work]
    rounds: int = 7
    scale: float = 1.0
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured rate.

    Attributes:
        name: of the benchmark.
        value: median rate over the rounds.
        unit: of the value.
        command: prints this figure again.
        best: best round: what a quiet moment of this machine gives.
        calibration: median rate of the calibration loop in the same rounds, millions of turns per second.
        ratio: median over rounds of value / calibration (value x calibration for times): this is
            what to compare between machines.
        rounds: number of rounds.
    """

    name: str
    value: float
    unit: str
    command: str
    best: float
    calibration: float
    ratio: float
    rounds: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, six significant digits."""
        return {
            key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def measure(benchmark: Benchmark, calibration: Calibration, rounds: int | None = None) -> Figure:
    """Measure one benchmark in turns with the calibration loop.

    Args:
        benchmark: what to measure.
        calibration: the loop, made once per process.
        rounds: instead of the benchmark's own number.

    Returns:
        Its figure.
    """
    work = benchmark.prepare()
    work()
    rates, loops = [], []
    for _ in range(rounds or benchmark.rounds):
        before = calibration.rate()
        units, seconds = work()
        rates.append(seconds / units if benchmark.inverse else units / seconds / benchmark.scale)
        loops.append((before + calibration.rate()) / 2)
    pairs = zip(rates, loops, strict=True)
    ratios = [rate * loop if benchmark.inverse else rate / loop for rate, loop in pairs]
    return Figure(
        name=benchmark.name,
        value=statistics.median(rates),
        unit=benchmark.unit,
        command=f"python -m experiments.bench --only {benchmark.name}",
        best=min(rates) if benchmark.inverse else max(rates),
        calibration=statistics.median(loops),
        ratio=statistics.median(ratios),
        rounds=len(rates),
    )


def select(benchmarks: Iterable[Benchmark], only: str) -> list[Benchmark]:
    """The benchmarks whose name is, or starts with, one of the comma-separated names (all if empty)."""
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    return [b for b in benchmarks if not wanted or any(b.name == w or b.name.startswith(f"{w}.") for w in wanted)]
