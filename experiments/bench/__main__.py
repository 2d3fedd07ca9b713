"""Measure speed and write ``bench.json``: ``python -m experiments.bench [--out FILE] [--only NAMES] [--quick]``.

Every rate is measured in turns with a calibration loop (see :mod:`experiments.bench.calibration`), so that two
machines, or two moments of a busy one, can be compared by their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.bench import book, chain, liquidations, market, requirements, span, startup
from experiments.bench.calibration import Benchmark, Calibration, Figure, measure, select

QUICK_ROUNDS = 3


def benchmarks() -> list[Benchmark]:
    """Every benchmark of the project, in the order in which they are reported."""
    margins = [*requirements.benchmarks(), *span.benchmarks()]
    return [
        *book.benchmarks(),
        *liquidations.benchmarks(),
        *market.benchmarks(),
        *chain.benchmarks(),
        *margins,
        *startup.benchmarks(),
    ]


def line(figure: Figure) -> str:
    """One figure as a line of the printed table."""
    return (
        f"{figure.name:<34} {figure.value:>12,.4g} {figure.unit:<12} best {figure.best:>10,.4g}"
        f"   loop {figure.calibration:>6.1f} M/s   ratio {figure.ratio:>9.4g}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--only", default="", help="comma-separated names, or first words of names")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds each")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(arguments)
    chosen = select(benchmarks(), options.only)
    if options.list:
        print("\n".join(benchmark.name for benchmark in chosen))
        return 0
    if not chosen:
        known = ", ".join(benchmark.name for benchmark in benchmarks())
        print(f"--only = {options.only!r}; allowed: {known}", file=sys.stderr)
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {load():.1f}")
    calibration = Calibration()
    figures = []
    for benchmark in chosen:
        figures.append(measure(benchmark, calibration, QUICK_ROUNDS if options.quick else None))
        print(line(figures[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps([figure.as_dict() for figure in figures], indent=2) + "\n", encoding="utf-8")
        print(f"written to {options.out}")
    return 0


def load() -> float:
    """Processes that want a core, averaged over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


if __name__ == "__main__":
    sys.exit(main())
