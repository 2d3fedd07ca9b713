"""A cheap set of checks: units that do next to nothing and say that they ran, and checks that end in every verdict.

As a program it is a validation that a test may kill: ``python -m tests.experiments.validation.fakes OUT [JOBS]``.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from experiments.jobs import Unit, UnitResult
from experiments.store import OutputFolder
from experiments.validation.bands import CONSISTENT, ESTIMATE, Band, Context, Measurement
from experiments.validation.checks import Registered
from experiments.validation.run import Validation, validate

LOG, PAUSE = "MARGINLAB_TEST_LOG", "MARGINLAB_TEST_PAUSE"


def band(id: str, low: float, high: float, check: str = "numbers", **more: Any) -> Band:
    given = {
        "group": "fakes", "question": f"How large is {id}?", "statement": f"from {low:g} to {high:g}", "unit": "",
        "source": "made up", "quick_seeds": 2, "full_seeds": 6, "market": "",
    }  # fmt: skip
    return Band(id=id, low=low, high=high, check=check, **{**given, **more})


def unit(task: tuple[str, int]) -> UnitResult:
    """Write down that it ran, take a moment, give a number."""
    name, seed = task
    if name == "broken":
        raise ZeroDivisionError("nothing to divide by")
    time.sleep(float(os.environ.get(PAUSE, "0")))
    log = os.environ.get(LOG)
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{name} {seed}\n")
    return UnitResult([{"seed": seed, "value": (seed * 7919 % 13) / 13.0}])


def _values(context: Context, name: str) -> list[float]:
    units = [Unit(f"{name}-{seed}", (name, seed)) for seed in context.seeds()]
    return [run["value"] for run in context.perform("units", units, unit)]


def numbers(context: Context) -> dict[str, Measurement]:
    values = _values(context, "numbers")
    n, mean = len(values), sum(values) / len(values)
    return {
        "inside": Measurement(mean, mean - 0.1, mean + 0.1, n),
        "outside": Measurement(mean + 5.0, mean + 4.0, mean + 6.0, n, "a miss on purpose"),
        "astride": Measurement(0.9, 0.8, 1.2, n, n=50),
        "slow": Measurement.exact(0.0, n),
    }


def broken(context: Context) -> dict[str, Measurement]:
    _values(context, "broken")
    return {}


def last(context: Context) -> dict[str, Measurement]:
    values = _values(context, "last")
    return {"sum": Measurement.exact(sum(values), len(values)), "unseen": Measurement.missing("there was none")}


NUMBERS = Registered(
    "numbers", numbers,
    (
        band("inside", 0.0, 1.0), band("outside", 0.0, 1.0, unit="bp"), band("astride", -math.inf, 1.0),
        band("slow", 0.0, 0.0, rule=ESTIMATE, quick_seeds=0),
    ),
    1.0, 2.0,
)  # fmt: skip
BROKEN = Registered("broken", broken, (band("none", 0.0, math.inf, "broken"),), 1.0, 2.0)
LAST = Registered(
    "last", last,
    (
        band("sum", 0.0, 100.0, "last", group="others", control=True),
        band("unseen", 0.0, 0.0, "last", group="others", rule=CONSISTENT),
    ),
    1.0, 2.0,
)  # fmt: skip
CHECKS = (NUMBERS, LAST)


def main(out: str, jobs: str = "1", first: str = "0") -> None:
    asked = Validation(CHECKS, first_seed=int(first))
    asked.validate()
    result = validate(asked, workers=int(jobs), folder=OutputFolder(out, asked.job()))
    print(result["results_hash"])


if __name__ == "__main__":
    main(*sys.argv[1:])
