"""``marginlab sensitivity``: run a design over keys of a scenario, analyse it, and write what was found."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cli.options import print_json
from experiments.collected import check_outcomes, collected
from experiments.console import load_plugins, progress, say_where
from experiments.engines import Engine, engine
from experiments.sensitivity import indices, report
from experiments.sensitivity.design import SOBOL, Design
from experiments.store import plain
from experiments.sweep import study as studies
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.sweep.study import Study

FAILED_RUNS = 1
"""Exit status where a run failed; all else is kept."""
OUTCOMES = ("drawdown", "volatility", "liquidated_share")


@dataclass(frozen=True)
class Question:
    """What is asked of a scenario.

    Attributes:
        scenario: built-in name or a TOML file.
        design: keys, ranges, method.
        outcomes: measures.
        regimes: none or one: outcomes under it; more: differences of the others from the first.
        fork_at: event at which regimes part, or None for whole runs.
        seeds: common to all points.
        assignments: ``dotted.key=value`` texts.
        plugins: users' files, loaded already.
    """

    scenario: str
    design: Design
    outcomes: tuple[str, ...]
    seeds: tuple[int, ...]
    regimes: tuple[str, ...] = ()
    fork_at: str | None = None
    assignments: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def study(self) -> Study:
        """The study that runs every distinct point of the design.

        Raises:
            ConfigError: with every problem of the question and of the scenarios of its points.
        """
        self.design.validate()
        section: dict[str, Any] = {"scenario": self.scenario, "placebo": False}
        if self.regimes:
            section |= {"regimes": list(self.regimes), "baseline": self.regimes[0]}
        if self.fork_at is not None:
            section |= {"reading": "forked", "fork_at": self.fork_at}
        factors = [one.model_dump(exclude_defaults=True) for one in self.design.ranges]
        raw = {"study": section, "factors": factors, "design": {"kind": "list"}, "points": self.design.points}
        study = studies.parse(
            raw, name="sensitivity", file="sensitivity", assignments=self.assignments, plugins=self.plugins,
            seeds=self.seeds,
        )  # fmt: skip
        check_outcomes(self.outcomes)
        return replace(study, outcomes=self.outcomes)


def command(question: Question, *, jobs: int, out: str | None, retry_failed: bool, as_json: bool) -> int:
    """``marginlab sensitivity``.

    Returns:
        The exit status: 0, or 1 if a run failed.
    """
    if retry_failed and out is None:
        raise ConfigError.of("--retry-failed", None, "--out DIR, with the runs of which some failed")
    load_plugins(question.plugins)
    with progress(f"sensitivity {question.scenario}") as on_done:
        result = measure(question, engine(jobs), out=out, retry_failed=retry_failed, on_done=on_done)
    if as_json:
        print_json(result)
    else:
        print("\n".join(report.lines(result)))
        say_where(out)
    return FAILED_RUNS if result["failures"] else 0


def measure(
    question: Question, on: Engine, *, out: str | None = None, retry_failed: bool = False,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run what is missing and analyse every output.

    Returns:
        Plain data: ``outputs``, each as :func:`experiments.sensitivity.indices.analyse` gives it, with its ``outcome``
        and ``arm``.

    Raises:
        ConfigError: the question cannot be asked; nothing was run.
    """
    study, line = question.study(), command_line(question)
    identity = study.identity() | {"command": "sensitivity", "sampling": question.design.stated()}
    with collected(
        study.units(), study.columns(), study.function, on, identity=identity, line=line, out=out,
        retry_failed=retry_failed, on_done=on_done,
    ) as found:  # fmt: skip
        outputs = [
            {"outcome": name, "arm": arm} | indices.analyse(question.design, values)
            for arm, name, values in tabulated(found.runs, study, len(question.design.points))
        ]
        result: dict[str, Any] = plain(
            {
                "scenario": question.scenario, "design": question.design.stated(), "points": len(study.points),
                "regimes": study.regimes, "baseline": study.baseline, "reading": study.reading,
                "seeds": question.seeds, "outputs": outputs, "failures": found.failures,
                "results_hash": found.results_hash, "command": line,
            }
        )  # fmt: skip
        found.store.finish(result, found.results_hash)
    if out is not None:
        report.write(Path(out), result)
    return result


def tabulated(runs: pd.DataFrame, study: Study, points: int) -> list[tuple[str, str, np.ndarray]]:
    """Outputs as (arm, outcome, values of shape (points, seeds)): levels of one regime, or differences of several."""
    runs = runs[runs["arm"].fillna("") == ""]

    def table(regime: str, name: str) -> np.ndarray:
        chosen = runs[runs["regime"] == regime]
        wide = chosen.pivot(index="point", columns="seed", values=name) if name in chosen else chosen[[]]
        filled = wide.reindex(index=range(points), columns=list(study.seeds))
        found: np.ndarray = filled.to_numpy(dtype=np.float64)
        return found

    if len(study.regimes) == 1:
        return [(study.regimes[0], name, table(study.regimes[0], name)) for name in study.outcomes]
    return [
        (f"{regime} - {study.baseline}", name, table(regime, name) - table(study.baseline, name))
        for regime in study.regimes
        if regime != study.baseline
        for name in study.outcomes
    ]


def command_line(question: Question) -> str:
    """The shell line that does it again, engine and folder apart."""
    from experiments.report import seed_ranges

    design = question.design
    words = ["marginlab", "sensitivity", question.scenario]
    for one in design.ranges:
        marks = (":log" if one.scale == "log" else "") + (":integer" if one.integer else "")
        words += ["--key", f"{one.title}={one.low!r}:{one.high!r}{marks}"]
    words += ["--method", design.method, "--samples", str(design.samples)]
    words += ["--second-order"] if design.second and design.method == SOBOL else []
    words += ["--design-seed", str(design.seed)] if design.seed else []
    words += ["--outcome", ",".join(question.outcomes)]
    words += ["--regimes", ",".join(question.regimes)] if question.regimes else []
    words += ["--fork-at", question.fork_at] if question.fork_at else []
    words += ["--seeds", seed_ranges(list(question.seeds)).replace(" ", "")]
    words += [word for text in question.assignments for word in ("--set", text)]
    words += [word for path in question.plugins for word in ("--plugin", path)]
    return shlex.join(words)
