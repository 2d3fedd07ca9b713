"""Simulated moments at points of the parameter space: run, kept, never run twice.

Every point is run with the same seeds (common random numbers: McFadden 1989, Duffie and Singleton 1993), so that
differences between points are the parameters' doing and the distance is a fixed function of them. Each finished point
is one file of the output folder, written whole or not at all: a killed job takes up where it was, and since the search
is a function of the distances alone, it takes the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from experiments.calibration.bars import Floats
from experiments.engines import Engine
from experiments.store import OutputFolder, combined_hash
from sim.errors import ConfigError

FOLDER = "evaluations"
Values = Mapping[str, float]


class Model(Protocol):
    """Something with parameters that can be simulated."""

    def task(self, values: Values, seed: int) -> Any:
        """What the simulating function gets for one seed at one point.

        Raises:
            ConfigError: the point is none of the model's.
        """
        ...


@dataclass(frozen=True)
class Evaluation:
    """Simulated moments at one point.

    Attributes:
        values: the point.
        moments: float64[S, q], a row for each seed; None where the point cannot be run.
        problem: why not, empty otherwise.
    """

    values: dict[str, float]
    moments: Floats | None
    problem: str = ""

    @property
    def mean(self) -> Floats:
        """Moments averaged over seeds, float64[q]."""
        assert self.moments is not None
        return self.moments.mean(axis=0)


class Evaluator:
    """Evaluates points and keeps them.

    Args:
        model: what is simulated.
        function: module-level function from the model's task to the moments of one seed, or to a text that says why
            there are none.
        seeds: the same at every point.
        engine: where runs are executed.
        folder: where evaluations are kept, or None.
        on_done: told of each finished point.

    Attributes:
        known: every evaluation so far, by key.
    """

    def __init__(
        self,
        model: Model,
        function: Callable[[Any], list[float] | str],
        seeds: Sequence[int],
        engine: Engine,
        folder: OutputFolder | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        self.model, self.function, self.seeds = model, function, tuple(seeds)
        self.engine, self.folder, self.on_done = engine, folder, on_done
        self.known: dict[str, Evaluation] = {}

    def __call__(self, points: Sequence[Values]) -> list[Evaluation]:
        """Evaluate points, those not known yet by running them all at once.

        Raises:
            KeyboardInterrupt: the user stopped; finished points are kept.
        """
        keys = [key_of(values) for values in points]
        missing = {key: values for key, values in zip(keys, points, strict=True) if key not in self.known}
        for key in list(missing):
            kept = self.folder.read_json(_file(key)) if self.folder is not None else None
            if kept is not None:
                self._keep(key, Evaluation(dict(missing.pop(key)), _array(kept["moments"]), kept["problem"]), new=False)
        self._run(missing)
        return [self.known[key] for key in keys]

    def _run(self, missing: Mapping[str, Values]) -> None:
        tasks, owners = [], []
        for key, values in missing.items():
            try:
                mine = [self.model.task(values, seed) for seed in self.seeds]
            except ConfigError as error:
                self._keep(key, Evaluation(dict(values), None, str(error.problems[0])))
                continue
            tasks += mine
            owners += [(key, row) for row in range(len(mine))]
        found: dict[str, dict[int, list[float] | str]] = {}
        for position, result in self.engine.map(self.function, tasks) if tasks else ():
            key, row = owners[position]
            rows = found.setdefault(key, {})
            rows[row] = result
            if len(rows) == len(self.seeds):
                ordered = [rows[i] for i in range(len(rows))]
                problem = next((text for text in ordered if isinstance(text, str)), "")
                moments = None if problem else np.array(ordered, np.float64)
                self._keep(key, Evaluation(dict(missing[key]), moments, problem))

    def _keep(self, key: str, evaluation: Evaluation, *, new: bool = True) -> None:
        self.known[key] = evaluation
        if new and self.folder is not None:
            moments = evaluation.moments
            content = {"values": evaluation.values, "moments": moments, "problem": evaluation.problem}
            self.folder.write_json(_file(key), content)
        if self.on_done is not None:
            self.on_done(len(self.known))

    def results_hash(self) -> str:
        """Hash of every point's simulated moments, whatever the order they came in."""
        return combined_hash(
            (key, "" if e.moments is None else hashlib.sha256(e.moments.astype("<f8").tobytes()).hexdigest())
            for key, e in self.known.items()
        )


def key_of(values: Values) -> str:
    """The name of a point: a hash of its values."""
    return hashlib.sha256(json.dumps(dict(sorted(values.items()))).encode()).hexdigest()[:24]


def _file(key: str) -> str:
    return f"{FOLDER}/{key}.json"


def _array(rows: list[list[float]] | None) -> Floats | None:
    return None if rows is None else np.array(rows, np.float64)
