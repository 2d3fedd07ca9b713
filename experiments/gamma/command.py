"""``marginlab gamma``: run the arms of every seed, compare them, and write what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import scenario
from experiments.cli.options import print_json
from experiments.collected import collected
from experiments.console import load_plugins, progress, say_where
from experiments.engines import Engine, engine
from experiments.gamma import report
from experiments.gamma.study import ARMS, OFF, OUTCOMES, GammaStudy, command_line, measured
from experiments.run import PLACEBO
from experiments.statistics import paired_summary
from experiments.store import plain

if TYPE_CHECKING:
    import pandas as pd

FAILED_RUNS = 1
"""Exit status where a run failed; all else is kept."""


def command(
    source: str, seeds: Sequence[int], *, assignments: Sequence[str], plugins: Sequence[str], check: bool, jobs: int,
    out: str | None, as_json: bool,
) -> int:  # fmt: skip
    """``marginlab gamma``.

    Returns:
        The exit status: 0, or 1 if a run failed.
    """
    load_plugins(plugins)
    study = GammaStudy(scenario.load(source, assignments), tuple(seeds), tuple(plugins), check)
    with progress(f"gamma {study.scenario.name}") as on_done:
        line = command_line(source, assignments, plugins)
        result = measure(study, engine(jobs), out=out, line=line, on_done=on_done)
    if as_json:
        print_json(result)
    else:
        print("\n".join(report.lines(result)))
        say_where(out)
    return FAILED_RUNS if result["failures"] else 0


def measure(
    study: GammaStudy, on: Engine, *, out: str | None = None, line: str = "",
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run what is missing and compare the arms.

    Args:
        study: what is measured.
        on: where runs are made.
        out: folder, or None.
        line: the shell line of the command, seeds apart.
        on_done: told (units done, units in all).

    Returns:
        Plain data: ``summary`` as :func:`experiments.statistics.paired_summary` gives it (baseline ``off``), ``signs``
        (short less long), ``paths`` (mean log path by arm).
    """
    with collected(
        study.units(line), [{}], measured, on, identity=study.identity(), line=line, out=out, on_done=on_done
    ) as found:
        values, again = _columns(found.runs, study.seeds)
        complete = [name for name in OUTCOMES if name in values[OFF]]
        result: dict[str, Any] = plain(
            {
                "study": "gamma", "scenario": study.scenario.name, "dealers": study.dealers, "seeds": study.seeds,
                "from_step": study.first, "to_step": study.last, "arms": ARMS, "outcomes": complete,
                "summary": paired_summary(values, OFF, again, families=dict.fromkeys(complete, "price")),
                "signs": paired_summary(
                    {arm: values[arm] for arm in ARMS if arm != OFF}, "long", families=dict.fromkeys(complete, "price")
                ),
                "paths": _mean_paths(found.store.frame("paths")) if len(found.runs) else {},
                "failures": found.failures, "results_hash": found.results_hash, "command": line,
            }
        )  # fmt: skip
        found.store.finish(result, found.results_hash)
    if out is not None:
        report.write(Path(out), result)
    return result


def _columns(
    runs: pd.DataFrame, seeds: Sequence[int]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Outcomes by arm and name over seeds, and those of the placebo."""

    def of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
        by_seed = frame.set_index("seed").reindex(list(seeds))
        return {name: by_seed[name].to_numpy(np.float64) for name in OUTCOMES if name in by_seed.columns}

    plain_runs = runs[runs["arm"].fillna("") == ""]
    values = {arm: of(plain_runs[plain_runs["regime"] == arm]) for arm in ARMS}
    return values, of(runs[runs["arm"] == PLACEBO])


def _mean_paths(paths: pd.DataFrame) -> dict[str, Any]:
    """Mean log mid since the seeding and its standard error over seeds, by arm."""
    found: dict[str, Any] = {}
    for arm, rows in paths.groupby("regime"):
        by = rows.groupby("step")["log_mid"]
        error = by.std(ddof=1) / np.sqrt(by.count())
        found[str(arm)] = {
            "step": by.mean().index.to_list(), "mean": by.mean().to_list(), "error": error.to_list(),
            "spread": by.std(ddof=1).to_list(),
        }  # fmt: skip
    return found
