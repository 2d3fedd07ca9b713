"""The queue model by simulation on the book of this exchange, beside its exact solution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import jobs
from experiments.engines import engine
from experiments.replications.queue_model import Answer, Rates, bid_filled, mean_time, mid_up, spread_made
from experiments.store import OutputFolder, code_hash, combined_hash
from experiments.terminal import columns
from sim.errors import ConfigError, KernelError

QUESTIONS = {
    "move": "the next move of the mid is up",
    "bid": "the last order at the bid is filled before the mid moves",
    "both": "the last orders at bid and ask are both filled before the mid moves",
}
_SOLVERS: dict[str, Callable[[Rates, int, int, int], Answer]] = {"move": mid_up, "bid": bid_filled, "both": spread_made}
_MOST_EVENTS = 1_000_000  # of a path


@dataclass(frozen=True)
class QueueModel:
    """One study.

    Attributes:
        rates: of the order flow.
        spread: ticks between the best prices.
        bids: longest bid queue; cells are queues 1 .. bids.
        asks: longest ask queue.
        paths: simulated paths a cell and seed; 0 solves only.
        seeds: of the paths.
        questions: keys of `QUESTIONS`.
    """

    rates: Rates
    spread: int = 1
    bids: int = 5
    asks: int = 5
    paths: int = 4_000
    seeds: tuple[int, ...] = (0,)
    questions: tuple[str, ...] = tuple(QUESTIONS)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ConfigError: no such question, no paths, or a spread without rates.
        """
        for question in self.questions:
            if question not in QUESTIONS:
                raise ConfigError.of("--questions", question, "one or more of " + ", ".join(QUESTIONS))
        if not 0 <= self.paths <= 10_000_000:
            raise ConfigError.of("--paths", self.paths, "0 (solve only) to 10000000")
        race = self.rates.at(self.spread)
        for key, value in (("--bids", self.bids), ("--asks", self.asks)):
            if not 1 <= value <= 64:
                raise ConfigError.of(key, value, "1 to 64 orders")
        for key, rate in (("--market", race.market), ("--ask-market", race.ask_market)):
            if rate == 0 and self.questions != ("move",):
                raise ConfigError.of(
                    key, rate, "a rate above 0, or --questions move: without takers no order is filled"
                )
        for key, out in (("--cancel", race.market + race.cancel), ("--ask-cancel", race.ask_market + race.ask_cancel)):
            if out == 0:
                raise ConfigError.of(key, out, "a rate above 0 where there are no market orders: this queue never ends")

    def units(self) -> list[jobs.Unit]:
        """Each seed and bid queue, all questions and ask queues."""
        cells = [(seed, bids) for seed in self.seeds for bids in range(1, self.bids + 1)] if self.paths else []
        return [jobs.Unit(jobs.safe_key("seed", seed, "bids", bids), (self, seed, bids)) for seed, bids in cells]

    def job(self) -> dict[str, Any]:
        """What the output folder is of."""
        options = {
            "rates": self.rates.__dict__, "spread": self.spread, "bids": self.bids, "asks": self.asks,
            "paths": self.paths, "questions": list(self.questions),
        }  # fmt: skip
        return {
            "command": "queue-model", "scenario": "queue-model", "regimes": [], "seeds": list(self.seeds),
            "options": options, "code": code_hash(),
        }  # fmt: skip


def paths(
    rates: Rates, spread: int, bids: int, asks: int, question: str, seed: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Simulated outcomes and durations.

    Returns:
        int8[count] with the codes of :mod:`experiments.kernels.queue_model`, and float64[count] times.

    Raises:
        KernelError: a path did not end.
    """
    from experiments.kernels import queue_model as kernel
    from sim.kernels.state import M_LEDGER, M_STP, STP_OFF, allocate

    state = allocate(traders=4, contracts=1, steps=1, window=4096, pool=1 << 10, tape=64)
    state.meta[M_LEDGER] = 0
    state.meta[M_STP] = STP_OFF
    state.contracts["max_price"] = 1 << 24
    watch = {"move": kernel.WATCH_MOVE, "bid": kernel.WATCH_BID, "both": kernel.WATCH_BOTH}[question]
    stretch = list(QUESTIONS).index(question) + 3 * (asks + 100 * (bids + 100 * spread))  # no two cells share draws
    outcome, duration = np.zeros(count, np.int8), np.zeros(count)
    kernel.race(
        state, *rates.arrays(), spread, bids, asks, watch, seed, stretch << 32, _MOST_EVENTS, outcome, duration
    )  # fmt: skip
    if (outcome == kernel.UNDECIDED).any():
        raise KernelError(
            f"a path of the queue model did not end within {_MOST_EVENTS} events: queues grow without end"
        )
    return outcome, duration


def row(task: tuple[QueueModel, int, int]) -> jobs.UnitResult:
    """One bid queue against every ask queue, for one seed."""
    study, seed, bids = task
    found: dict[str, list[int]] = {}
    times: list[float] = []
    for question in study.questions:
        found[question] = []
        for asks in range(1, study.asks + 1):
            outcome, duration = paths(study.rates, study.spread, bids, asks, question, seed, study.paths)
            found[question].append(int((outcome == (1 if question == "move" else 2)).sum()))
            if question == "move":
                times.append(float(duration.sum()))
    text = [(f"{question}/{bids}/{seed}", str(hits)) for question, hits in found.items()]
    record = {"seed": seed, "bids": bids, "hits": found, "times": times, "results_hash": combined_hash(text)}
    return jobs.UnitResult([record])


def measure(
    study: QueueModel, workers: int = 1, folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Solve, and simulate beside it.

    Returns:
        Plain data: ``questions`` with ``exact``, ``error`` and, with paths, ``simulated``, ``standard_error`` and
        ``largest_difference``; ``mean_time``; ``results_hash``.

    Raises:
        ConfigError: queues that grow without end.
    """
    size = (study.rates, study.spread, study.bids, study.asks)
    exact = {question: _SOLVERS[question](*size) for question in study.questions}
    mean = mean_time(*size) if "move" in study.questions else None
    units = study.units()
    runs = jobs.perform(units, row, engine(workers), folder, on_done)
    total = study.paths * len(study.seeds)
    answers: dict[str, Any] = {}
    for question, answer in exact.items():
        entry: dict[str, Any] = {
            "means": QUESTIONS[question],
            "exact": answer.values,
            "error": answer.error,
            "longest_queue": answer.longest,
        }
        if total:
            share = _gathered(runs, study, lambda run, q=question: run["hits"][q]) / total
            entry |= {
                "simulated": share, "standard_error": np.sqrt(answer.values * (1 - answer.values) / total),
                "largest_difference": float(np.abs(share - answer.values).max()),
            }  # fmt: skip
        answers[question] = entry
    result: dict[str, Any] = {"kind": "queue-model", **study.job(), "paths_a_cell": total, "questions": answers}
    if mean is not None:
        result["mean_time"] = {"exact": mean.values}
        if total:
            result["mean_time"]["simulated"] = _gathered(runs, study, lambda run: run["times"]) / total
    result["results_hash"] = combined_hash((f"{run['bids']}/{run['seed']}", run["results_hash"]) for run in runs)
    from experiments.store import plain

    result = plain(result)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _gathered(
    runs: Sequence[Mapping[str, Any]], study: QueueModel, part: Callable[[Any], Sequence[float]]
) -> np.ndarray:
    table = np.zeros((study.bids, study.asks))
    for run in runs:
        table[run["bids"] - 1] += part(run)
    return table


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result for a terminal."""
    told = [f"Queue model of Cont, Stoikov and Talreja, spread {result['options']['spread']}", ""]
    for entry in result["questions"].values():
        told.append(f"P({entry['means']}); rows: bid queue, columns: ask queue")
        told += [f"  {line}" for line in _table(entry["exact"])]
        told.append(
            f"  solved; cutting the queues at {entry['longest_queue']} orders errs by at most {max(entry['error'], 1e-15):.1g}"
        )
        if "simulated" in entry:
            told += [f"  {line}" for line in _table(entry["simulated"])]
            worst = max(max(r) for r in entry["standard_error"])
            told.append(
                f"  {result['paths_a_cell']:,} paths a cell on the order book: largest difference "
                f"{entry['largest_difference']:.4f}, largest standard error {worst:.4f}"
            )
        told.append("")
    if "mean_time" in result:
        told.append("Mean time to the first move of the mid")
        told += [f"  {line}" for line in _table(result["mean_time"]["exact"])]
        told.append("")
    return [*told, f"Results hash: {result['results_hash']}"]


def _table(values: Sequence[Sequence[float]]) -> list[str]:
    head = ["", *(str(k + 1) for k in range(len(values[0])))]
    return columns([head, *([str(k + 1), *(f"{value:.3f}" for value in r)] for k, r in enumerate(values))])
