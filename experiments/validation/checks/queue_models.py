"""Models of the order book with known answers, run on the book of this exchange."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.replications import queue_paths, zero_intelligence
from experiments.replications.queue_model import Rates, mid_up
from experiments.validation.bands import ESTIMATE, Band, Context, Measurement

QUICK_SECONDS, FULL_SECONDS = 10.0, 60.0

_QUEUES = "Cont, Stoikov and Talreja (2010), Operations Research 58(3), 549-563, table for a spread of one tick"
_ZERO = "Smith, Farmer, Gillemot and Krishnamurthy (2003), Quantitative Finance 3, 481; computed apart"
_PATHS = 4000  # a cell and seed
_SOLUTION_SEEDS = 1

MATRIX = np.array(
    [
        [0.500, 0.335, 0.259, 0.216, 0.188],
        [0.665, 0.500, 0.407, 0.348, 0.307],
        [0.741, 0.593, 0.500, 0.437, 0.391],
        [0.784, 0.652, 0.563, 0.500, 0.452],
        [0.812, 0.693, 0.609, 0.548, 0.500],
    ]
)
"""Probability that the mid moves up first: rows are bid queues of 1 to 5 orders, columns ask queues."""
SPREADS = {0.02: 0.491, 0.05: 0.549, 0.1: 0.629, 0.2: 0.763, 0.4: 1.007}
"""Mean spread by cancellation rate, one market order a unit of time, limit orders of density one, tick 0.005."""


def _band(id: str, question: str, statement: str, low: float, high: float, source: str, quick: int, full: int) -> Band:
    rule = "within" if id == "t18-exponent" else ESTIMATE
    return Band(
        id, "models of the order book", question, statement, low, high, "", source, "queue_models", quick, full,
        rule=rule, market="",
    )  # fmt: skip


BANDS = (
    _band(
        "t17-solution", "Queue model: largest distance of the exact solution from the published probabilities?",
        "at most 0.001", 0.0, 0.001, _QUEUES, _SOLUTION_SEEDS, _SOLUTION_SEEDS,
    ),
    _band(
        "t17-simulated", "Queue model: largest distance of the simulated book from the exact solution?",
        "at most 0.01", 0.0, 0.01, _QUEUES, 10, 20,
    ),
    _band(
        "t18-spread", "Zero intelligence: largest relative distance of the spread from the reference?", "at most 0.03",
        0.0, 0.03, _ZERO, 2, 8,
    ),
    _band(
        "t18-exponent", "Zero intelligence: exponent of the spread in the cancellation rate?", "0.70 to 0.80", 0.70,
        0.80, _ZERO, 0, 8,
    ),
)  # fmt: skip


def check(context: Context) -> Mapping[str, Measurement]:
    """Solve and simulate."""
    found: dict[str, Measurement] = {}
    exact = mid_up(Rates(), 1, *MATRIX.shape).values
    found["t17-solution"] = Measurement.exact(float(np.abs(exact - MATRIX).max()), 0, "25 cells")
    if context.wants("t17-simulated"):
        seeds = context.seeds("t17-simulated")
        study = queue_paths.QueueModel(Rates(), paths=_PATHS, seeds=seeds, questions=("move",))
        result = queue_paths.measure(study, context.workers, context.folder("queues", study.job()), context.on_done)
        distance = float(result["questions"]["move"]["largest_difference"])
        note = f"standard error of a cell at most {0.5 / (_PATHS * len(seeds)) ** 0.5:.4f}"
        found["t17-simulated"] = Measurement.exact(distance, len(seeds), note, _PATHS * len(seeds))
    ids = ("t18-spread", "t18-exponent")
    if context.wants(*ids):
        seeds = context.seeds(*ids)
        asked = zero_intelligence.ZeroIntelligence(cancel=tuple(SPREADS), seeds=seeds)
        folder = context.folder("zero-intelligence", asked.job())
        result = zero_intelligence.measure(asked, context.workers, folder, context.on_done)
        ratios = {row["cancel"]: row["spread"]["mean"] / SPREADS[row["cancel"]] for row in result["rows"]}
        largest = max(abs(ratio - 1.0) for ratio in ratios.values())
        note = "over the reference: " + ", ".join(f"{ratio:.3f} at {rate:g}" for rate, ratio in ratios.items())
        found["t18-spread"] = Measurement.exact(largest, len(seeds), note)
        found["t18-exponent"] = _exponent(result, len(seeds))
    return found


def _exponent(result: Mapping[str, object], seeds: int) -> Measurement:
    fit = result["spread_fit"]
    if not isinstance(fit, Mapping):
        return Measurement.missing("no curve fits", seeds)
    value, error = float(fit["c"]), fit["standard_error"]["c"]
    if error is None:
        return Measurement(value, float("nan"), float("nan"), seeds, "one seed has no standard error")
    return Measurement(value, value - 1.96 * error, value + 1.96 * error, seeds)
