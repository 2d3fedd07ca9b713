"""How long a command takes before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from experiments.bench.calibration import Benchmark, Work


def _help() -> Work:
    command = [sys.executable, "-m", "experiments", "--help"]
    environment = {**os.environ, "COLUMNS": "100"}

    def work() -> tuple[float, float]:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return 1, time.perf_counter() - start

    return work


def benchmarks() -> list[Benchmark]:
    """``marginlab --help``, from the start of the interpreter to its end, in seconds."""
    return [Benchmark("startup.help", "s", _help, rounds=9, inverse=True)]
